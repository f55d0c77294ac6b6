//! Reads workflow definitions and reports every problem of them at once.
