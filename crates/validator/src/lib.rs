//! Checks JSON values against JSON Schemas and rules between their parts.
//!
//! [`Schema::compile`] takes a JSON Schema (draft 2020-12 unless `$schema` says otherwise) within
//! named limits; [`Schema::check`] gives every problem of a value with its place, and
//! [`Schema::check_known`] those that hold whatever the parts turn out to be that are not known yet.
//! [`Schema::coerce`] turns the text of `--input name=text` into what the schema asks for, and
//! [`with_defaults`] fills in what was not given. A [`Rule`] says what must hold between parts of a
//! value; a schema has them under [`RULES`], at its top. Start reading at [`Schema`].
//!
//! Does not know: workflows, actions, where a schema or a value comes from.
//!
//! # Invariants
//! - Nothing is fetched: a `$ref` leads into the same schema, to a document that was given beside it
//!   ([`SchemaOptions::document`]), or is refused.
//! - A check ends: what a schema may cost is counted before it is compiled, and what it does cost
//!   while a value is checked.
//! - A message names types, sizes and the schema's own limits, never a value.
//! - Patterns run in linear time; a pattern that needs look-around or back-references is refused.
//!
//! # Choices
//! `format` is checked for the formats that JSON Schema defines, although the draft lets it be a
//! mere note; unknown formats (`uint32`) are notes. `unevaluatedProperties` and `unevaluatedItems`
//! work as the draft says, but count as unsure where parts of the value are not known.
//!
//! ```
//! use nebula_validator::Schema;
//! use serde_json::json;
//!
//! let schema = Schema::compile(&json!({
//!     "type": "object",
//!     "required": ["path"],
//!     "properties": { "path": { "type": "string" }, "rows": { "type": "integer", "maximum": 10 } },
//! })).unwrap();
//! let problems = schema.check(&json!({ "rows": 11 }));
//! assert_eq!(problems[0].to_string(), "`path` is missing");
//! assert_eq!(problems[1].to_string(), "/rows: is more than 10");
//! // `rows` holds an expression: nobody knows its value yet, but `path` is missing all the same.
//! assert_eq!(schema.check_known(&json!({ "rows": null }), &["/rows"]).len(), 1);
//! assert_eq!(schema.coerce("rows", "7"), Ok(json!(7)));
//! ```

mod coerce;
mod cost;
mod defaults;
mod message;
mod meter;
mod pointer;
mod problem;
mod rule;
mod schema;

pub use coerce::CoerceError;
pub use cost::{MAX_APPLIED, MAX_CHAIN, MAX_SCHEMA_DEPTH, MAX_SCHEMA_SIZE};
pub use defaults::with_defaults;
pub use meter::MAX_STEPS_PER_VALUE;
pub use problem::{MAX_PROBLEMS, Problem};
pub use rule::{Comparison, MAX_RULES, RULES, Rule};
pub use schema::{Formats, MAX_DOCUMENTS, MAX_PATTERN_SIZE, Schema, SchemaError, SchemaOptions};
