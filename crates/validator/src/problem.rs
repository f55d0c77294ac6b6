//! What is wrong with a value, and whether that is certain.

use std::fmt;

use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use crate::{message, meter::MAX_STEPS_PER_VALUE, pointer};

/// How many problems of one value are reported.
pub const MAX_PROBLEMS: usize = 100;

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the value; empty for the whole. A property that is not allowed is itself the place.
    pub pointer: String,
    /// What is wrong there: types, sizes and the schema's own limits, never the value.
    pub message: String,
    /// The schema keyword that says so: `type`, `required`.
    pub keyword: String,
}

impl Problem {
    /// The value was not checked to the end.
    pub(crate) fn too_costly() -> Self {
        Self {
            pointer: String::new(),
            message: format!(
                "cannot be checked: its schema looks at it more than {MAX_STEPS_PER_VALUE} times \
                 for each of its parts, or follows it too deep; use fewer references to one \
                 definition within the definition, or a flatter value"
            ),
            keyword: "$ref".to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

/// Words the errors that are certain although the places in `unknown` may hold anything.
pub(crate) fn collect<'e>(
    schema: &Value,
    errors: impl Iterator<Item = ValidationError<'e>>,
    unknown: &[&str],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for error in errors {
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
        word(schema, &error, unknown, &mut problems);
    }
    problems.truncate(MAX_PROBLEMS);
    problems
}

fn word(
    schema: &Value,
    error: &ValidationError<'_>,
    unknown: &[&str],
    problems: &mut Vec<Problem>,
) {
    if !certain(error, unknown) {
        return;
    }
    let pointer = error.instance_path().as_str();
    let keyword = error.kind().keyword();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = known_beside(schema, error.schema_path().as_str());
            for name in unexpected {
                let pointer = pointer::below(&mut pointer.to_owned(), name, |p| p.clone());
                problems.push(Problem {
                    pointer,
                    message: message::unexpected(name, &known),
                    keyword: keyword.to_owned(),
                });
            }
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            // Where all branches but one want another type of value, the author meant that one.
            let mut meant = context
                .iter()
                .filter(|branch| !branch.iter().any(|inner| of_other_type(inner, pointer)));
            match (meant.next(), meant.next()) {
                (Some(branch), None) if context.len() > 1 => {
                    let before = problems.len();
                    for inner in branch {
                        word(schema, inner, unknown, problems);
                    }
                    debug_assert!(
                        problems.len() > before,
                        "a certain branch has a certain error"
                    );
                }
                _ => problems.push(Problem {
                    pointer: pointer.to_owned(),
                    message: message::no_branch(context, pointer),
                    keyword: keyword.to_owned(),
                }),
            }
        }
        Kind::PropertyNames { error: inner } => problems.push(Problem {
            pointer: pointer.to_owned(),
            message: format!("has a property whose name {}", message::of(inner)),
            keyword: keyword.to_owned(),
        }),
        _ => problems.push(Problem {
            pointer: pointer.to_owned(),
            message: message::of(error),
            keyword: keyword.to_owned(),
        }),
    }
}

/// The properties described beside the keyword at `keyword`.
fn known_beside<'s>(schema: &'s Value, keyword: &str) -> Vec<&'s str> {
    let beside = keyword
        .rsplit_once('/')
        .and_then(|(parent, _)| schema.pointer(parent)?.get("properties")?.as_object());
    beside.map_or_else(Vec::new, |known| known.keys().map(String::as_str).collect())
}

fn of_other_type(error: &ValidationError<'_>, pointer: &str) -> bool {
    matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == pointer
}

/// Whether the error stands whatever the unknown places hold.
fn certain(error: &ValidationError<'_>, unknown: &[&str]) -> bool {
    if unknown.is_empty() {
        return true;
    }
    let place = error.instance_path().as_str();
    if unknown.iter().any(|hole| pointer::within(place, hole)) {
        return false;
    }
    // Which of `then` and `else` applies may hang on an unknown part.
    let schema_path = error.schema_path().as_str();
    if schema_path
        .split('/')
        .any(|part| part == "then" || part == "else")
    {
        return false;
    }
    let holds_unknown = unknown.iter().any(|hole| pointer::within(hole, place));
    match error.kind() {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => context
            .iter()
            .all(|branch| branch.iter().any(|inner| certain(inner, unknown))),
        // These look at names, counts and the type of the value itself, all of which are known.
        Kind::AdditionalProperties { .. }
        | Kind::AdditionalItems { .. }
        | Kind::Required { .. }
        | Kind::Type { .. }
        | Kind::MinItems { .. }
        | Kind::MaxItems { .. }
        | Kind::MinProperties { .. }
        | Kind::MaxProperties { .. }
        | Kind::PropertyNames { .. }
        | Kind::FalseSchema => true,
        _ => !holds_unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Schema;

    fn check(schema: &Value, value: &Value, unknown: &[&str], expected: &[&str]) {
        let schema = Schema::compile(schema).unwrap();
        let problems = schema.check_known(value, unknown);
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{value}");
    }

    #[test]
    fn every_problem_has_its_place_and_the_limit_it_broke() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "minLength": 2, "pattern": "^[a-z]+$" },
                "mode": { "enum": ["fast", "safe"] },
                "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 1 },
                "at": { "type": "string", "format": "date-time" },
                "n": { "type": ["integer", "null"] },
            },
            "required": ["name", "port"],
            "additionalProperties": false,
        });
        let value = json!({ "name": "X", "mode": "secret", "tags": ["a", 3], "at": "soon", "n": 1.5, "nane": 1 });
        let schema = Schema::compile(&schema).unwrap();
        let mut shown: Vec<_> = schema
            .check(&value)
            .iter()
            .map(ToString::to_string)
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "/at: is no date-time",
                "/mode: must be one of \"fast\", \"safe\"",
                "/n: must be an integer or null, not a number",
                "/name: does not match the pattern `^[a-z]+$`",
                "/name: is shorter than 2 characters",
                "/nane: `nane` is not known here; did you mean `name`",
                "/tags/1: must be a string, not an integer",
                "/tags: has more than 1 element",
                "`port` is missing",
            ]
        );
        assert!(!shown.concat().contains("secret"));
    }

    #[test]
    fn a_choice_of_shapes_reports_the_shape_that_was_meant() {
        let schema =
            json!({ "anyOf": [{ "type": "object", "required": ["a"] }, { "type": "null" }] });
        check(&schema, &json!({}), &[], &["`a` is missing"]);
        check(
            &schema,
            &json!(1),
            &[],
            &["must be an object or null, not an integer"],
        );
        let choice =
            json!({ "oneOf": [{ "const": "json" }, { "const": "csv", "description": "…" }] });
        check(
            &choice,
            &json!("xml"),
            &[],
            &["must be one of \"json\", \"csv\""],
        );
        let both = json!({ "oneOf": [{ "type": "integer" }, { "minimum": 2 }] });
        check(
            &both,
            &json!(3),
            &[],
            &["fits more than one of the shapes of which it must fit one"],
        );
    }

    #[test]
    fn problems_that_an_unknown_part_could_mend_are_left_out() {
        let schema = json!({
            "type": "object",
            "properties": { "path": { "type": "string" }, "max": { "type": "integer" }, "list": { "type": "array", "minItems": 2, "uniqueItems": true } },
            "required": ["path", "mode"],
            "additionalProperties": false,
        });
        check(
            &schema,
            &json!({ "path": null, "max": "many", "extra": null, "list": [null] }),
            &["/path", "/extra", "/list/0"],
            &[
                "`mode` is missing",
                "/max: must be an integer, not a string",
                "/list: has fewer than 2 elements",
                "/extra: `extra` is not known here; known are `path`, `max`, `list`",
            ],
        );
        check(&schema, &json!(null), &[""], &[]);
        check(
            &json!({ "uniqueItems": true }),
            &json!([null, null]),
            &["/0"],
            &[],
        );
        check(
            &json!({ "const": { "a": 1 } }),
            &json!({ "a": null }),
            &["/a"],
            &[],
        );
        check(
            &json!({ "not": { "required": ["a"], "properties": { "a": { "const": null } } } }),
            &json!({ "a": null }),
            &["/a"],
            &[],
        );
    }

    #[test]
    fn a_choice_is_wrong_for_certain_only_if_every_shape_is() {
        let schema = json!({ "anyOf": [
            { "type": "object", "properties": { "kind": { "const": "a" }, "x": { "type": "integer" } }, "required": ["x"] },
            { "type": "array" },
        ] });
        check(&schema, &json!({ "kind": null, "x": 1 }), &["/kind"], &[]);
        check(
            &schema,
            &json!({ "kind": null }),
            &["/kind"],
            &["`x` is missing"],
        );
        let conditional = json!({ "if": { "properties": { "k": { "const": 1 } } }, "then": { "required": ["a"] }, "else": { "required": ["b"] } });
        check(&conditional, &json!({ "k": null }), &["/k"], &[]);
        check(&conditional, &json!({ "k": 1 }), &[], &["`a` is missing"]);
    }

    #[test]
    fn the_number_of_problems_is_bounded() {
        let schema = Schema::compile(&json!({ "items": { "type": "string" } })).unwrap();
        let value: Value = (0..1000).collect();
        assert_eq!(schema.check(&value).len(), super::MAX_PROBLEMS);
    }
}
