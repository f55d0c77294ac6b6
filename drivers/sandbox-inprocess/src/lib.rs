//! Runs first-party actions in the engine's own process.
