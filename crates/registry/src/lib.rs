//! Knows which actions and versions exist.
