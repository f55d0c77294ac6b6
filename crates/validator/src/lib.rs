//! Checks JSON values against JSON Schemas.
