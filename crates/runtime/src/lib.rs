//! The worker: leases an execution, drives its machine, runs attempts, commits.
