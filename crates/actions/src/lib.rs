//! The built-in pure actions, and the metadata of control actions.
