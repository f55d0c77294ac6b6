//! Gives the host's clock, entropy, thread pool, folders and signals.
