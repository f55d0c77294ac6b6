//! Measures the engine against the floor of its store.
