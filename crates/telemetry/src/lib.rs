//! Events projected from journals, and log output.
