//! Decides what happens next in one execution.
