//! Keeps workflows and executions in one SQLite file.
