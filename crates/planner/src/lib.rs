//! Compiles a definition and a catalog into an execution plan.
