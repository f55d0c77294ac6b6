//! Admits, starts, signals and recovers executions.
