//! Parameters that are names with values: headers, queries, forms.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use nebula_action::ActionError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

/// Names with their values. A value is a text, a number or a boolean, or a list of them, which
/// repeats the name; `null` leaves it out.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Pairs(Map<String, Value>);

impl JsonSchema for Pairs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Pairs")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": {
                "type": ["string", "number", "boolean", "null", "array"],
                "items": { "type": ["string", "number", "boolean", "null"] },
            },
        })
    }
}

impl Pairs {
    /// The pairs as texts; `place` is the JSON pointer of the parameter.
    pub(crate) fn texts(&self, place: &str) -> Result<Vec<(&str, String)>, ActionError> {
        let mut texts = Vec::new();
        for (name, value) in &self.0 {
            match value {
                Value::Array(values) => {
                    for value in values {
                        add(&mut texts, name, value, place)?;
                    }
                }
                value => add(&mut texts, name, value, place)?,
            }
        }
        Ok(texts)
    }

    /// Adds the pairs to the query of `url`.
    pub(crate) fn extend_query(&self, url: &mut Url) -> Result<(), ActionError> {
        let texts = self.texts("/query")?;
        if !texts.is_empty() {
            url.query_pairs_mut().extend_pairs(texts);
        }
        Ok(())
    }

    /// The pairs as headers.
    pub(crate) fn headers(&self) -> Result<HeaderMap, ActionError> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.texts("/headers")? {
            let wrong = |what: &str| {
                let message = format!("the header `{name}` {what}");
                ActionError::invalid_input("HTTP_HEADER", pointer("/headers", name), message)
            };
            let key = HeaderName::try_from(name)
                .map_err(|_| wrong("has a name that HTTP does not take"))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| wrong("has a line break or a control character in its value"))?;
            headers.append(key, value);
        }
        Ok(headers)
    }
}

fn add<'a>(
    texts: &mut Vec<(&'a str, String)>,
    name: &'a str,
    value: &Value,
    place: &str,
) -> Result<(), ActionError> {
    let text = match value {
        Value::Null => return Ok(()),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Array(_) | Value::Object(_) => {
            let message = format!(
                "`{name}` must be a text, a number, a boolean or a list of them; \
                 JSON.stringify makes a text of any value"
            );
            return Err(ActionError::invalid_input(
                "HTTP_VALUE",
                pointer(place, name),
                message,
            ));
        }
    };
    texts.push((name, text));
    Ok(())
}

fn pointer(place: &str, name: &str) -> String {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}
