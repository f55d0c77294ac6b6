//! A compiled schema.

use std::{fmt, sync::Arc};

use jsonschema::{PatternOptions, Retrieve, Uri, Validator, error::ValidationErrorKind};
use serde_json::Value;

use crate::{
    pointer,
    problem::{self, Problem},
};

/// The largest schema, in bytes of its texts and one byte for every value.
pub const MAX_SCHEMA_SIZE: usize = 1 << 20;

/// The deepest nesting of a schema.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// The largest compiled `pattern`, in bytes of memory.
pub const MAX_PATTERN_SIZE: usize = 1 << 20;

/// Why a JSON value is not a schema that this crate takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema is wrong{}: {message}", place(pointer))]
pub struct SchemaError {
    /// Where in the schema; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

fn place(pointer: &str) -> String {
    match pointer {
        "" => String::new(),
        pointer => format!(" at {pointer}"),
    }
}

/// A JSON Schema, ready to check values. Cheap to clone.
#[derive(Clone)]
pub struct Schema {
    validator: Arc<Validator>,
    source: Arc<Value>,
}

impl Schema {
    /// Compiles a schema; `true` and `{}` take every value.
    ///
    /// # Errors
    /// [`SchemaError`]: it breaks the rules of its draft, is larger than [`MAX_SCHEMA_SIZE`] or deeper
    /// than [`MAX_SCHEMA_DEPTH`], refers to another document, or has a `pattern` that cannot run in
    /// linear time or needs more than [`MAX_PATTERN_SIZE`].
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let mut left = MAX_SCHEMA_SIZE;
        bounded(schema, 0, &mut left)?;
        let validator = jsonschema::options()
            .with_retriever(Refuse)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_SIZE))
            .build(schema)
            .map_err(|error| refused(schema, error))?;
        Ok(Self {
            validator: Arc::new(validator),
            source: Arc::new(schema.clone()),
        })
    }

    /// Every problem of `value`, at most [`MAX_PROBLEMS`](crate::MAX_PROBLEMS); empty if it is valid.
    ///
    /// The caller bounds the depth of `value`: inputs are limited where they are read.
    #[must_use]
    pub fn check(&self, value: &Value) -> Vec<Problem> {
        // To know only that all is right costs a fraction of looking for all that is wrong.
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        problem::collect(&self.source, self.validator.iter_errors(value), &[])
    }

    /// The problems of a value of which some parts are not known yet: those that no choice of these
    /// parts could mend.
    ///
    /// `unknown` holds their JSON pointers; what stands there in `value` does not matter.
    #[must_use]
    pub fn check_known<P: AsRef<str>>(&self, value: &Value, unknown: &[P]) -> Vec<Problem> {
        let unknown: Vec<&str> = unknown.iter().map(AsRef::as_ref).collect();
        problem::collect(&self.source, self.validator.iter_errors(value), &unknown)
    }

    /// The schema as it was given.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.source).finish()
    }
}

/// Answers every request for another document with no.
struct Refuse;

#[derive(Debug, thiserror::Error)]
#[error("schemas are not fetched; put the other schema under `$defs` and refer to `#/$defs/…`")]
struct Refused;

impl Retrieve for Refuse {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(Box::new(Refused))
    }
}

/// Counts before anything is compiled, so that a hostile schema costs no more than reading it.
fn bounded(schema: &Value, depth: usize, left: &mut usize) -> Result<(), SchemaError> {
    let error = |message: String| SchemaError {
        pointer: String::new(),
        message,
    };
    if depth > MAX_SCHEMA_DEPTH {
        let message = format!("it is nested deeper than {MAX_SCHEMA_DEPTH} levels");
        return Err(error(message));
    }
    let size = 1 + match schema {
        Value::String(text) => text.len(),
        Value::Object(map) => map.keys().map(String::len).sum(),
        _ => 0,
    };
    *left = left
        .checked_sub(size)
        .ok_or_else(|| error(format!("it is larger than {MAX_SCHEMA_SIZE} bytes")))?;
    match schema {
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| bounded(item, depth + 1, left)),
        Value::Object(map) => map
            .values()
            .try_for_each(|item| bounded(item, depth + 1, left)),
        _ => Ok(()),
    }
}

fn refused(schema: &Value, error: jsonschema::ValidationError<'static>) -> SchemaError {
    if let ValidationErrorKind::Referencing(_) = error.kind() {
        let (pointer, target) = dangling(schema, schema, &mut String::new())
            .unwrap_or_else(|| (String::new(), String::new()));
        let message = if target.starts_with('#') || target.is_empty() {
            "a `$ref` leads nowhere; it must name a place within this schema, such as `#/$defs/…`"
                .to_owned()
        } else {
            Refused.to_string()
        };
        return SchemaError { pointer, message };
    }
    // Compiling checks the schema as a value of its meta-schema: the schema is the instance here.
    let place = error.instance_path().to_string();
    let worded = problem::collect(&Value::Null, std::iter::once(error), &[]).pop();
    let (pointer, message) = match worded {
        Some(problem) => (problem.pointer, problem.message),
        None => (place, "it breaks the rules of its draft".to_owned()),
    };
    SchemaError { pointer, message }
}

/// The first reference that does not lead into the schema itself, with its target.
fn dangling(root: &Value, here: &Value, at: &mut String) -> Option<(String, String)> {
    match here {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            pointer::below(at, key, |at| match value {
                Value::String(target) if key == "$ref" || key == "$dynamicRef" => {
                    let inside = target
                        .strip_prefix('#')
                        .is_some_and(|local| local.is_empty() || root.pointer(local).is_some());
                    (!inside).then(|| (at.clone(), target.clone()))
                }
                value => dangling(root, value, at),
            })
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(i, value)| {
            pointer::below(at, &i.to_string(), |at| dangling(root, value, at))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value) -> (String, String) {
        let error = Schema::compile(schema).unwrap_err();
        (error.pointer, error.message)
    }

    #[test]
    fn a_reference_to_another_document_is_refused_with_its_place() {
        for target in [
            "https://example.com/a.json",
            "file:///etc/passwd",
            "other.json#/x",
        ] {
            let (pointer, message) = refused(&json!({ "properties": { "a": { "$ref": target } } }));
            assert_eq!(pointer, "/properties/a/$ref");
            assert!(message.starts_with("schemas are not fetched"), "{message}");
        }
        let (pointer, message) = refused(&json!({ "$ref": "#/$defs/nobody" }));
        assert_eq!(pointer, "/$ref");
        assert!(message.contains("leads nowhere"), "{message}");
    }

    #[test]
    fn a_schema_may_refer_to_itself() {
        let tree = json!({
            "type": "object",
            "properties": { "children": { "type": "array", "items": { "$ref": "#" } } },
            "additionalProperties": false,
        });
        let schema = Schema::compile(&tree).unwrap();
        assert!(
            schema
                .check(&json!({ "children": [{ "children": [] }] }))
                .is_empty()
        );
        assert_eq!(
            schema.check(&json!({ "children": [{ "x": 1 }] }))[0].pointer,
            "/children/0/x"
        );
    }

    #[test]
    fn a_reference_in_a_circle_ends() {
        if let Ok(schema) = Schema::compile(&json!({ "$ref": "#" })) {
            let _ = schema.check(&json!(1));
        }
        let circle = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } });
        if let Ok(schema) = Schema::compile(&circle) {
            let _ = schema.check(&json!({ "x": [1] }));
        }
    }

    #[test]
    fn a_schema_that_breaks_its_draft_is_refused_with_its_place() {
        let (pointer, message) = refused(&json!({ "properties": { "a": { "type": "text" } } }));
        assert_eq!(pointer, "/properties/a/type", "{message}");
        let (pointer, _) = refused(&json!({ "required": "a" }));
        assert_eq!(pointer, "/required");
        assert!(Schema::compile(&json!(7)).is_err());
    }

    #[test]
    fn limits_are_named() {
        let mut deep = json!({});
        for _ in 0..=MAX_SCHEMA_DEPTH {
            deep = json!({ "not": deep });
        }
        assert!(refused(&deep).1.contains("64 levels"));
        let large = json!({ "description": "x".repeat(MAX_SCHEMA_SIZE) });
        assert!(refused(&large).1.contains("1048576 bytes"));
        let pattern = json!({ "pattern": "(?:a{1000}){1000}" });
        assert!(Schema::compile(&pattern).is_err());
    }

    #[test]
    fn patterns_that_could_take_for_ever_are_refused() {
        assert!(Schema::compile(&json!({ "pattern": "^(?=a)b" })).is_err());
        let nested = Schema::compile(&json!({ "pattern": "^(a+)+$" })).unwrap();
        assert_eq!(
            nested
                .check(&json!(format!("{}!", "a".repeat(50_000))))
                .len(),
            1
        );
    }
}
