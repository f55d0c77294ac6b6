//! A compiled schema.

use std::{fmt, sync::Arc};

use jsonschema::{
    PatternOptions, ReferencingError, Registry, Retrieve, Uri, Validator,
    error::ValidationErrorKind,
};
use serde_json::Value;

use crate::{
    cost,
    meter::{Meter, MeteredJson},
    pointer,
    problem::{self, MAX_PROBLEMS, Problem},
    rule::Rule,
};

/// The largest compiled `pattern`, in bytes of memory.
pub const MAX_PATTERN_SIZE: usize = 1 << 20;

/// How many documents may be given beside a schema.
pub const MAX_DOCUMENTS: usize = 256;

/// Where a schema without an `$id` of its own stands.
const NOWHERE: &str = "json-schema:///";

/// Why a JSON value is not a schema that this crate takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema is wrong{}: {message}", place(pointer))]
pub struct SchemaError {
    /// Where in the schema; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl SchemaError {
    pub(crate) fn whole(message: String) -> Self {
        Self {
            pointer: String::new(),
            message,
        }
    }
}

fn place(pointer: &str) -> String {
    match pointer {
        "" => String::new(),
        pointer => format!(" at {pointer}"),
    }
}

/// What `format` means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Formats {
    /// A text that does not have the format is a problem. Unknown formats are notes.
    #[default]
    Checked,
    /// It is a note, as draft 2020-12 has it.
    Noted,
}

/// How a schema is compiled; begin with [`Schema::options`].
#[derive(Debug, Clone, Default)]
pub struct SchemaOptions<'d> {
    documents: Vec<(&'d str, &'d Value)>,
    formats: Formats,
    rules: Vec<Rule>,
}

impl<'d> SchemaOptions<'d> {
    /// Gives another schema that references may lead to, by its URI. Nothing else is reachable.
    ///
    /// At most [`MAX_DOCUMENTS`]; the later one of two with the same URI counts.
    #[must_use]
    pub fn document(mut self, uri: &'d str, document: &'d Value) -> Self {
        self.documents.push((uri, document));
        self
    }

    /// Says what `format` means; without it, formats are checked.
    #[must_use]
    pub fn formats(mut self, formats: Formats) -> Self {
        self.formats = formats;
        self
    }

    /// Gives rules beside those that the schema itself has.
    #[must_use]
    pub fn rules(mut self, rules: Vec<Rule>) -> Self {
        self.rules = rules;
        self
    }

    /// Compiles a schema; `true` and `{}` take every value.
    ///
    /// # Errors
    /// [`SchemaError`]: it breaks the rules of its draft, breaks a limit of this crate, refers to a
    /// document that was not given, or has a `pattern` that cannot run in linear time.
    pub fn compile(&self, schema: &Value) -> Result<Schema, SchemaError> {
        if self.documents.len() > MAX_DOCUMENTS {
            let message = format!("more than {MAX_DOCUMENTS} documents are given beside it");
            return Err(SchemaError::whole(message));
        }
        let mut left = cost::MAX_SCHEMA_SIZE;
        let mut refers = cost::bounded(schema, &mut left)?;
        for (_, document) in &self.documents {
            refers |= cost::bounded(document, &mut left)?;
        }
        let registry = if refers {
            Some(self.registry(schema)?)
        } else {
            None
        };
        let mut options = jsonschema::options_for::<MeteredJson>()
            .with_retriever(Refuse)
            .should_validate_formats(self.formats == Formats::Checked)
            .should_ignore_unknown_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_SIZE));
        if let Some(registry) = &registry {
            let mut roots = vec![(base(schema), schema)];
            roots.extend(&self.documents);
            cost::applied(registry, &roots)?;
            options = options.with_registry(registry);
        }
        let validator = options
            .build(schema)
            .map_err(|error| refused(schema, error))?;
        Ok(Schema {
            validator: Arc::new(validator),
            rules: [Rule::of(schema)?, self.rules.clone()].concat().into(),
            source: Arc::new(schema.clone()),
        })
    }

    /// The schema and its documents by their URIs.
    fn registry<'s>(&self, schema: &'s Value) -> Result<Registry<'s>, SchemaError>
    where
        'd: 's,
    {
        let mut registry = Registry::new().retriever(Refuse);
        for (uri, document) in &self.documents {
            registry = registry.add(uri, *document).map_err(|error| {
                SchemaError::whole(format!("the document `{uri}` cannot be used: {error}"))
            })?;
        }
        registry
            .add(base(schema), schema)
            .and_then(jsonschema::RegistryBuilder::prepare)
            .map_err(|error| astray(schema, &error))
    }
}

/// Where a schema stands.
fn base(schema: &Value) -> &str {
    let id = schema.get("$id").and_then(Value::as_str);
    id.unwrap_or(NOWHERE)
}

/// A JSON Schema, ready to check values. Cheap to clone.
#[derive(Clone)]
pub struct Schema {
    validator: Arc<Validator<MeteredJson>>,
    rules: Arc<[Rule]>,
    source: Arc<Value>,
}

impl Schema {
    /// Compiles a schema that refers to no other, and checks formats.
    ///
    /// # Errors
    /// As [`SchemaOptions::compile`].
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        Self::options().compile(schema)
    }

    /// Documents beside a schema, and what `format` means.
    #[must_use]
    pub fn options<'d>() -> SchemaOptions<'d> {
        SchemaOptions::default()
    }

    /// Every problem of `value`, at most [`MAX_PROBLEMS`](crate::MAX_PROBLEMS); empty if it is valid.
    ///
    /// Where schema and value together would cost too much, that is the one problem: see
    /// [`MAX_STEPS_PER_VALUE`](crate::MAX_STEPS_PER_VALUE).
    #[must_use]
    pub fn check(&self, value: &Value) -> Vec<Problem> {
        // To know only that all is right costs a fraction of looking for all that is wrong.
        let meter = Meter::new(value);
        if self.validator.is_valid(meter.node()) && !meter.spent() {
            return self.broken(value, &[], Vec::new());
        }
        self.problems(value, &[])
    }

    /// The problems of a value of which some parts are not known yet: those that no choice of these
    /// parts could mend.
    ///
    /// `unknown` holds their JSON pointers; what stands there in `value` does not matter.
    #[must_use]
    pub fn check_known<P: AsRef<str>>(&self, value: &Value, unknown: &[P]) -> Vec<Problem> {
        let unknown: Vec<&str> = unknown.iter().map(AsRef::as_ref).collect();
        self.problems(value, &unknown)
    }

    fn problems(&self, value: &Value, unknown: &[&str]) -> Vec<Problem> {
        let meter = Meter::new(value);
        let errors = self.validator.iter_errors(meter.node());
        if meter.spent() {
            return vec![Problem::too_costly()];
        }
        self.broken(
            value,
            unknown,
            problem::collect(&self.source, errors, unknown),
        )
    }

    /// Adds what the rules say.
    fn broken(&self, value: &Value, unknown: &[&str], mut problems: Vec<Problem>) -> Vec<Problem> {
        for rule in &*self.rules {
            rule.add(value, unknown, &mut problems);
        }
        problems.truncate(MAX_PROBLEMS);
        problems
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

fn refused(schema: &Value, error: jsonschema::ValidationError<'static>) -> SchemaError {
    if let ValidationErrorKind::Referencing(error) = error.kind() {
        return astray(schema, error);
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

/// A reference that leads to nothing that is there.
fn astray(schema: &Value, error: &ReferencingError) -> SchemaError {
    let fragment = |to: &str, wanted: &str| {
        to.split_once('#')
            .is_some_and(|(_, fragment)| fragment == wanted)
    };
    let led = |to: &str| match error {
        ReferencingError::Unretrievable { uri, .. } => {
            // It stands there as it was written, or resolved.
            let document = |uri: &str| uri.split('#').next().unwrap_or_default().to_owned();
            let written = document(to);
            let end = written.trim_start_matches("../").trim_start_matches("./");
            !end.is_empty() && document(uri).ends_with(end)
        }
        ReferencingError::PointerToNowhere { pointer } => fragment(to, pointer),
        ReferencingError::NoSuchAnchor { anchor } => fragment(to, anchor),
        _ => !to.starts_with('#'),
    };
    let pointer = reference(schema, &led, &mut String::new()).unwrap_or_default();
    let message = match error {
        ReferencingError::Unretrievable { .. } => Refused.to_string(),
        ReferencingError::PointerToNowhere { .. } | ReferencingError::NoSuchAnchor { .. } => {
            "a `$ref` leads nowhere; it must name a place within this schema, such as `#/$defs/…`"
                .to_owned()
        }
        ReferencingError::UnknownSpecification { specification } => format!(
            "`$schema` names `{specification}`, which is no draft of JSON Schema known here"
        ),
        _ => format!("a reference cannot be followed: {error}"),
    };
    SchemaError { pointer, message }
}

/// The first reference that `led` knows.
fn reference(here: &Value, led: &dyn Fn(&str) -> bool, at: &mut String) -> Option<String> {
    match here {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            pointer::below(at, key, |at| match value {
                Value::String(to) if cost::is_reference(key) => led(to).then(|| at.clone()),
                value => reference(value, led, at),
            })
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(i, value)| {
            pointer::below(at, &i.to_string(), |at| reference(value, led, at))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cost::{MAX_SCHEMA_DEPTH, MAX_SCHEMA_SIZE};

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
            assert_eq!(pointer, "/properties/a/$ref", "{target}: {message}");
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
