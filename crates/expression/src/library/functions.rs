//! The table of functions and constants, and the namespaces that they make.

use super::{Function, json, json_parse};

/// All functions, sorted by name.
pub(super) const FUNCTIONS: &[Function] = &[json_parse::PARSE, json::STRINGIFY];

/// Constants, and what they are.
const CONSTANTS: &[(&str, f64)] = &[("Infinity", f64::INFINITY), ("NaN", f64::NAN)];

/// The function that is written so.
pub(crate) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .binary_search_by(|row| row.name.cmp(name))
        .ok()
        .map(|at| &FUNCTIONS[at])
}

/// The constant that is written so.
pub(crate) fn constant(name: &str) -> Option<f64> {
    CONSTANTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

/// The names of all functions.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|row| row.name)
}

/// Whether functions or constants are written with that name before a dot.
pub(crate) fn is_namespace(name: &str) -> bool {
    matches!(
        name,
        "Array" | "Boolean" | "Date" | "JSON" | "Math" | "Number" | "Object" | "String"
    )
}
