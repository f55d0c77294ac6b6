//! What list actions share: expressions over each element, limits, stopping when told.

use std::borrow::Cow;

use nebula_action::{ActionContext, ActionError, Deferred, ErrorClass};
use nebula_expression::ExpressionError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;

/// The longest list that an action takes or makes.
pub const MAX_ITEMS: usize = 1_000_000;

/// How many elements pass between two looks at the cancellation.
const LOOK_EVERY: usize = 1_024;

/// Stands in an action's parameters for one that is an expression over `$item` and `$index`.
///
/// The engine hands the expression over in the context and leaves the parameter out; what is here
/// after all was no text, and cannot be evaluated.
#[derive(Debug)]
pub(crate) struct Formula;

impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Formula {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Formula")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "boolean", "number", "null"] })
    }
}

/// The names of a parameter that is otherwise an expression, which the engine takes out.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl JsonSchema for Names {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Names")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "items": { "type": "string" },
            "minItems": 1,
            "maxItems": 16,
        })
    }
}

/// The program of a parameter that must be there.
pub(crate) fn program<'c>(
    ctx: &'c ActionContext,
    path: &str,
    given: Option<&Formula>,
) -> Result<&'c Deferred, ActionError> {
    match given {
        None => ctx.program(path),
        Some(_) => Err(ActionError::invalid_input(
            "PARAMETER_NOT_AN_EXPRESSION",
            format!("/{path}"),
            format!(
                "`{path}` must be one expression over `$item`, such as `$item.price * 2` or \
                 `{{ id: $item.id }}`, not a list, an object or a text with `{{{{ }}}}` inside"
            ),
        )),
    }
}

/// The programs of an object parameter, with their names.
pub(crate) fn programs<'c>(
    ctx: &'c ActionContext,
    parameter: &'c str,
) -> impl Iterator<Item = (&'c str, &'c Deferred)> {
    ctx.deferred.iter().filter_map(move |(path, program)| {
        let name = path.strip_prefix(parameter)?.strip_prefix('/')?;
        Some((name, program))
    })
}

/// Refuses lists that are too long.
pub(crate) fn bounded(items: &[Value]) -> Result<(), ActionError> {
    if items.len() > MAX_ITEMS {
        let message = format!(
            "`items` has {} elements; the limit is {MAX_ITEMS}; use `for_each` or work in parts",
            items.len()
        );
        return Err(ActionError::limit("LIST_TOO_LONG", message));
    }
    Ok(())
}

/// Stops between two elements when told to.
pub(crate) fn go_on(ctx: &ActionContext, index: usize) -> Result<(), ActionError> {
    if index.is_multiple_of(LOOK_EVERY) && ctx.cancellation.is_cancelled() {
        let message = format!("stopped before element {index}");
        return Err(ActionError::new(
            "CANCELLED",
            message,
            ErrorClass::Cancelled,
        ));
    }
    Ok(())
}

/// An expression's error, with the parameter and the element.
pub(crate) fn failed(path: &str, index: usize, error: &ExpressionError) -> ActionError {
    let hint = error.hint.as_ref().map(|hint| format!("; {hint}"));
    let message = format!(
        "`{path}` for element {index}: {}{}",
        error.message,
        hint.unwrap_or_default()
    );
    ActionError::invalid_input(error.code, format!("/{path}"), message)
}

/// Element indices as lineage has them; lists are shorter than [`MAX_ITEMS`].
pub(crate) fn origin(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The JSON type of a value, as messages name it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The value under a name in an element; dots lead further in.
pub(crate) fn field<'v>(item: &'v Value, name: &str) -> Option<&'v Value> {
    match item.get(name) {
        Some(found) => Some(found),
        None => {
            let (first, rest) = name.split_once('.')?;
            field(item.get(first)?, rest)
        }
    }
}

/// Refuses an expression where the name of a field is meant.
pub(crate) fn field_name(name: &str, pointer: &str, instead: &str) -> Result<(), ActionError> {
    if name.is_empty() || name.starts_with('$') || name.contains("{{") {
        let message = format!("{pointer} must be the name of a field; {instead}");
        return Err(ActionError::invalid_input(
            "PARAMETER_NOT_A_FIELD",
            pointer,
            message,
        ));
    }
    Ok(())
}
