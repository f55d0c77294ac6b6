//! The bounds of a definition. Each is reported under its own code before it can cost anything.

/// The largest definition, in bytes: 4 MiB. Check a file's size before reading it.
pub const MAX_DEFINITION_BYTES: usize = 4 << 20;

/// The deepest nesting of lists and objects.
pub const MAX_DEPTH: usize = 64;

/// The most values (scalars, lists and objects) of a definition.
pub const MAX_VALUES: usize = 500_000;

/// The most nodes of a workflow, bodies included.
pub const MAX_NODES: usize = 10_000;

/// The most connections of a workflow, bodies included and short forms expanded.
pub const MAX_CONNECTIONS: usize = 50_000;

/// The most problems that are collected; reading goes on, the rest is only counted.
pub const MAX_PROBLEMS: usize = 1_000;

/// The most problems that [`crate::render`] draws.
pub const MAX_RENDERED: usize = 100;

/// How often the YAML reader mends an unquoted expression to look for further problems behind it.
pub(crate) const MAX_MENDS: usize = 20;
