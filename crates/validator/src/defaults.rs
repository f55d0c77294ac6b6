//! What a schema says of properties that are not given.

use serde_json::{Map, Value};

/// The value with the defaults of its schema, which is not checked here.
///
/// A default applies to a property at the top that is not given. A value that is not given at all
/// (null) counts as an empty object where the schema describes an object.
#[must_use]
pub fn with_defaults(schema: &Value, input: Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let object = properties.is_some() || schema.get("type").is_some_and(|kind| kind == "object");
    let mut input = if input.is_null() && object {
        Value::Object(Map::new())
    } else {
        input
    };
    if let (Some(given), Some(properties)) = (input.as_object_mut(), properties) {
        for (name, property) in properties {
            if let Some(default) = property
                .get("default")
                .filter(|_| !given.contains_key(name))
            {
                given.insert(name.clone(), default.clone());
            }
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_fill_what_is_not_given() {
        let schema = json!({ "properties": { "a": { "default": 1 }, "b": {} } });
        assert_eq!(with_defaults(&schema, Value::Null), json!({ "a": 1 }));
        assert_eq!(
            with_defaults(&schema, json!({ "a": null })),
            json!({ "a": null })
        );
        assert_eq!(
            with_defaults(&json!({ "type": "array" }), Value::Null),
            Value::Null
        );
    }
}
