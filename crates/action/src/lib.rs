//! What code that a node runs looks like, and what it may touch.
