//! Between typed actions and JSON: what the macros of `nebula-derive` call.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::{ActionContext, ActionError, ActionResult, Example, schema_of};

/// How many bytes of an expectation a message repeats; it lists the variants of an enum at most.
const MAX_EXPECTED: usize = 400;

/// Reads the parameters of a typed action.
///
/// # Errors
/// Class `InvalidInput` with the place; the message never repeats the value.
pub fn decode<T: DeserializeOwned>(input: Value) -> Result<T, ActionError> {
    serde_path_to_error::deserialize(input).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            let name = match segment {
                Segment::Seq { index } => index.to_string(),
                Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
                // The variant of an enum is no place in the value; an unknown place has no name.
                Segment::Enum { .. } | Segment::Unknown => continue,
            };
            pointer.push('/');
            pointer.push_str(&name);
        }
        let subject = if pointer.is_empty() {
            "the parameters"
        } else {
            pointer.as_str()
        };
        let message = format!("{subject}: {}", without_value(&error.inner().to_string()));
        ActionError::invalid_input("PARAMETER_INVALID", pointer, message)
    })
}

/// What serde says, less the value that it repeats.
fn without_value(message: &str) -> String {
    if message.starts_with("missing field `") {
        return message.replacen("missing field", "must have a field", 1);
    }
    let Some((_, expected)) = message.rsplit_once(", expected ") else {
        return "has a value that this parameter does not take".to_owned();
    };
    let end = expected.floor_char_boundary(MAX_EXPECTED);
    let expected = &expected[..end];
    if message.starts_with("unknown field") {
        return format!("has a field that is not known; expected {expected}");
    }
    const KINDS: [(&str, &str); 7] = [
        ("string", "a string"),
        ("integer", "an integer"),
        ("floating point", "a number"),
        ("boolean", "a boolean"),
        ("null", "null"),
        ("map", "an object"),
        ("sequence", "an array"),
    ];
    let kind = message.strip_prefix("invalid type: ").and_then(|rest| {
        let known = KINDS.into_iter().find(|(name, _)| rest.starts_with(name));
        known.map(|(_, kind)| kind)
    });
    match kind {
        Some(kind) => format!("must be {expected}, not {kind}"),
        None => format!("must be {expected}"),
    }
}

/// Writes the result of a typed action.
///
/// # Errors
/// Class `Fatal`: the type has no JSON form, such as a map whose keys are no text.
pub fn encode<T: Serialize>(output: T) -> Result<ActionResult, ActionError> {
    let value = serde_json::to_value(output).map_err(|_| {
        ActionError::fatal(
            "RESULT_NOT_JSON",
            "the action's result has no JSON form; this is a fault of the action",
        )
    })?;
    Ok(ActionResult::output(value))
}

/// The same for a list and, for each element, the index of the input element that it came from.
///
/// # Errors
/// Those of [`encode`].
pub fn encode_with_lineage<T: Serialize>(
    (output, lineage): (T, Vec<u32>),
) -> Result<ActionResult, ActionError> {
    Ok(encode(output)?.with_lineage(lineage))
}

/// The schemas of what the method `run` of an action takes and gives.
pub fn schemas<A, I, O, F>(_run: F) -> (Value, Value)
where
    F: AsyncFn(&A, &ActionContext, I) -> Result<O, ActionError>,
    I: JsonSchema,
    O: JsonSchema,
{
    (schema_of::<I>(), schema_of::<O>())
}

/// The same where `run` also gives the lineage.
pub fn schemas_with_lineage<A, I, O, F>(_run: F) -> (Value, Value)
where
    F: AsyncFn(&A, &ActionContext, I) -> Result<(O, Vec<u32>), ActionError>,
    I: JsonSchema,
    O: JsonSchema,
{
    (schema_of::<I>(), schema_of::<O>())
}

/// Examples that the author wrote as JSON.
///
/// # Panics
/// If they are no examples: they are constants of their author.
#[must_use]
pub fn examples(json: Value) -> Vec<Example> {
    serde_json::from_value(json).unwrap_or_else(|error| panic!("examples of an action: {error}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::ErrorClass;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct In {
        rows: Vec<Row>,
        #[serde(default)]
        mode: Mode,
        #[serde(default, with = "nebula_core::serde_duration::option")]
        wait: Option<std::time::Duration>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Row {
        n: u8,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        #[default]
        Fast,
        Safe,
    }

    fn check(input: Value, pointer: &str, message: &str) {
        let error = decode::<In>(input).unwrap_err();
        assert_eq!(error.message, message);
        let ErrorClass::InvalidInput { pointer: place } = error.class else {
            panic!("{error}");
        };
        assert_eq!(place, pointer);
    }

    #[test]
    fn a_wrong_parameter_is_named_by_its_place_and_never_by_its_value() {
        check(json!({}), "", "the parameters: must have a field `rows`");
        check(
            json!({ "rows": [{ "n": 1 }, { "n": "secret" }] }),
            "/rows/1/n",
            "/rows/1/n: must be u8, not a string",
        );
        check(
            json!({ "rows": [{ "n": 300 }] }),
            "/rows/0/n",
            "/rows/0/n: must be u8",
        );
        check(
            json!({ "rows": [], "mode": "secret, expected nothing" }),
            "/mode",
            "/mode: must be `fast` or `safe`",
        );
        check(
            json!({ "rows": [], "secret": 1 }),
            "/secret",
            "/secret: has a field that is not known; expected one of `rows`, `mode`, `wait`",
        );
        check(
            json!({ "rows": [], "wait": "secret" }),
            "/wait",
            "/wait: has a value that this parameter does not take",
        );
    }
}
