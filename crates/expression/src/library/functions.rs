//! The table of functions, and the namespaces that they make.

use super::{
    Function, construct, date, date_time, duration, extension, interval, intl, json, json_parse,
    math, number, object, regex, uri, url,
};

/// Each module's rows.
pub(super) static GROUPS: &[&[Function]] = &[
    &construct::FUNCTIONS,
    &date::FUNCTIONS,
    &date_time::FUNCTIONS,
    &date_time::PRESETS,
    &duration::FUNCTIONS,
    &interval::FUNCTIONS,
    &intl::FUNCTIONS,
    &extension::FUNCTIONS,
    &regex::FUNCTIONS,
    &math::FUNCTIONS,
    &number::FUNCTIONS,
    &object::FUNCTIONS,
    &uri::FUNCTIONS,
    &url::FUNCTIONS,
    &[json_parse::PARSE, json::STRINGIFY],
];

/// The function that is written so.
pub(crate) fn function(name: &str) -> Option<&'static Function> {
    GROUPS.iter().find_map(|group| {
        group
            .binary_search_by(|row| row.name.cmp(name))
            .ok()
            .map(|at| &group[at])
    })
}

/// The names of all functions.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().copied().flatten().map(|row| row.name)
}

/// Whether functions or constants are written with that name before a dot.
pub(crate) fn is_namespace(name: &str) -> bool {
    matches!(
        name,
        "Array"
            | "Date"
            | "DateTime"
            | "Duration"
            | "Interval"
            | "Intl"
            | "JSON"
            | "Map"
            | "Math"
            | "Number"
            | "Object"
            | "Set"
            | "String"
            | "URL"
            | "URLSearchParams"
    )
}
