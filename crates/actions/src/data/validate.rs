//! `data.validate`.

use std::collections::BTreeMap;

use nebula_action::{ActionContext, ActionError};
use nebula_derive::action;
use nebula_validator::{Formats, Problem, Rule, Schema, SchemaError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How many problems a message names; the report has them all.
const MAX_NAMED: usize = 5;

/// The parameters of `data.validate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidateIn {
    /// What is checked; `$json` if nothing is said.
    value: Value,
    /// What it must be: a JSON Schema, of draft 2020-12 unless its `$schema` names another. Nothing is
    /// fetched: `$ref` leads into the schema itself or into `schemas`.
    #[schemars(schema_with = "a_schema")]
    schema: Value,
    /// Other schemas that `$ref` may lead to, by their URIs.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 256))]
    schemas: BTreeMap<String, Value>,
    /// What must hold between parts of the value: each an object with one of `given`, `absent`,
    /// `exactly_one`, `at_most_one`, `at_least_one`, `compare`, `unique`, `when`, `each`, `at`, `all`,
    /// `any`.
    #[serde(default)]
    rules: Vec<Value>,
    /// Whether `format` is checked; default true.
    formats: Option<bool>,
    /// What becomes of a value that is not valid; default `fail`.
    invalid: Option<Invalid>,
}

/// What becomes of a value that is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Invalid {
    /// The node fails.
    Fail,
    /// The output says what is wrong.
    Report,
}

/// One thing that is wrong with a value.
#[derive(Debug, Serialize)]
struct Wrong {
    pointer: String,
    message: String,
    keyword: String,
}

/// A literal schema of draft 2020-12 is checked before the run; what names another draft, later.
fn a_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["object", "boolean"],
        "if": { "required": ["$schema"] },
        "else": { "$ref": "https://json-schema.org/draft/2020-12/schema" },
    })
}

/// Checks a value with a JSON Schema and with rules between its parts.
///
/// A valid value is given on as it is. One that is not fails the node (`DATA_INVALID`, which names the
/// first five problems with their places and no values), or with `invalid: report` gives
/// `{ valid, problems: [{ pointer, message, keyword }] }`, of at most 100 problems; a valid value gives
/// such a report, too. Patterns run in linear time: look-around and back-references are not there.
#[action(
    id = "data.validate",
    version = "1.0",
    title = "Validate data",
    effect = "pure",
    defaults = { "value": "{{ $json }}" },
    examples = [
        {
            "title": "a valid order goes on",
            "parameters": {
                "schema": {
                    "type": "object",
                    "required": ["id", "amount"],
                    "properties": { "amount": { "type": "number", "exclusiveMinimum": 0 } },
                },
            },
            "json": { "id": 7, "amount": 2.5 },
            "output": { "id": 7, "amount": 2.5 },
        },
        {
            "title": "a report of what is wrong",
            "parameters": {
                "value": "{{ $json.orders }}",
                "schema": { "type": "array", "items": { "required": ["id"] } },
                "rules": [
                    { "unique": { "at": "", "by": "/id" } },
                    { "each": { "at": "", "rule": { "compare": { "left": "/from", "is": "at_most", "right": "/to" } } } },
                ],
                "invalid": "report",
            },
            "json": { "orders": [{ "id": 1, "from": 3, "to": 2 }, {}, { "id": 1 }] },
            "output": {
                "valid": false,
                "problems": [
                    { "pointer": "/1", "message": "`id` is missing", "keyword": "required" },
                    { "pointer": "/2/id", "message": "is the same as in element 0", "keyword": "x-rules" },
                    { "pointer": "/0/from", "message": "must be at most `to`", "keyword": "x-rules" },
                ],
            },
        },
        {
            "title": "a schema that refers to another one",
            "parameters": {
                "schema": { "items": { "$ref": "https://example.com/money" } },
                "schemas": { "https://example.com/money": { "required": ["currency"] } },
                "invalid": "report",
            },
            "json": [{ "currency": "EUR" }],
            "output": { "valid": true, "problems": [] },
        },
    ],
)]
pub(crate) async fn validate(_: &ActionContext, input: ValidateIn) -> Result<Value, ActionError> {
    let problems = input.compile()?.check(&input.value);
    match input.invalid.unwrap_or(Invalid::Fail) {
        Invalid::Report => Ok(report(problems)),
        Invalid::Fail if problems.is_empty() => Ok(input.value),
        Invalid::Fail => Err(ActionError::fatal("DATA_INVALID", summary(&problems))),
    }
}

impl ValidateIn {
    fn compile(&self) -> Result<Schema, ActionError> {
        let formats = match self.formats {
            Some(false) => Formats::Noted,
            _ => Formats::Checked,
        };
        let options = self.schemas.iter().fold(
            Schema::options().formats(formats),
            |options, (uri, schema)| options.document(uri, schema),
        );
        let wrong = |parameter: &str, error: &SchemaError| {
            let pointer = format!("{parameter}{}", error.pointer);
            ActionError::invalid_input("DATA_SCHEMA", pointer, error.message.clone())
        };
        let rules = Rule::list(&self.rules).map_err(|error| wrong("/rules", &error))?;
        let compiled = options.rules(rules).compile(&self.schema);
        compiled.map_err(|error| wrong("/schema", &error))
    }
}

fn report(problems: Vec<Problem>) -> Value {
    let wrong: Vec<_> = problems
        .into_iter()
        .map(|problem| Wrong {
            pointer: problem.pointer,
            message: problem.message,
            keyword: problem.keyword,
        })
        .collect();
    json!({ "valid": wrong.is_empty(), "problems": wrong })
}

fn summary(problems: &[Problem]) -> String {
    let named: Vec<_> = problems
        .iter()
        .take(MAX_NAMED)
        .map(ToString::to_string)
        .collect();
    let more = match problems.len() - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("the value is not valid: {}{more}", named.join("; "))
}
