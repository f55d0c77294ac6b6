//! A bounded task queue in memory.
