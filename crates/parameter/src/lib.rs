//! Compiles a node's parameters and resolves them to JSON for one attempt.
