//! The workflow engine as a crate.
