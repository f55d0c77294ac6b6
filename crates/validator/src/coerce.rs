//! Text from a command line, as the type that a schema asks for.

use serde_json::{Number, Value};

use crate::{Schema, message};

/// How many references are followed from a property to its type.
const MAX_REFS: usize = 16;

/// Why a text is not what the schema asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{property}` must be {wanted}; the text given is not; write `{property}:=JSON` to give any JSON value exactly"
)]
pub struct CoerceError {
    /// The property.
    pub property: String,
    /// What it must be: `an integer`.
    pub wanted: String,
}

impl Schema {
    /// Reads `text` as the type of the property `property` of an object that fits this schema.
    ///
    /// A property that may be a string, or whose type is open, takes the text as it is. Arrays and
    /// objects are read as JSON. Only the type is looked at; [`Schema::check`] says the rest.
    ///
    /// # Errors
    /// [`CoerceError`]: the text cannot be read as any of the types that the schema allows.
    pub fn coerce(&self, property: &str, text: &str) -> Result<Value, CoerceError> {
        let mut types = Vec::new();
        let described = property_of(self.source(), self.source(), property, MAX_REFS);
        if let Some(described) = described {
            types_of(self.source(), described, MAX_REFS, &mut types);
        }
        if types.is_empty() || types.contains(&"string") {
            return Ok(Value::from(text));
        }
        let read = types.iter().find_map(|wanted| read(wanted, text.trim()));
        read.ok_or_else(|| CoerceError {
            property: property.chars().take(80).collect(),
            wanted: types
                .iter()
                .map(|name| message::with_article(name))
                .collect::<Vec<_>>()
                .join(" or "),
        })
    }
}

fn read(wanted: &str, text: &str) -> Option<Value> {
    match wanted {
        "null" => (text == "null").then_some(Value::Null),
        "boolean" => text.parse().ok().map(Value::Bool),
        "integer" | "number" => {
            let number: Number = serde_json::from_str(text).ok()?;
            let whole = !number.is_f64() || number.as_f64().is_some_and(|n| n.fract() == 0.0);
            (wanted == "number" || whole).then_some(Value::Number(number))
        }
        "array" => serde_json::from_str(text).ok().filter(Value::is_array),
        "object" => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => None,
    }
}

/// The schema of a property, found in `properties` here, behind a reference or in `allOf`.
fn property_of<'s>(
    root: &'s Value,
    schema: &'s Value,
    name: &str,
    refs: usize,
) -> Option<&'s Value> {
    if let Some(found) = schema.get("properties").and_then(|all| all.get(name)) {
        return Some(found);
    }
    let refs = refs.checked_sub(1)?;
    let behind = referred(root, schema).and_then(|target| property_of(root, target, name, refs));
    behind.or_else(|| {
        let parts = schema.get("allOf")?.as_array()?;
        parts
            .iter()
            .find_map(|part| property_of(root, part, name, refs))
    })
}

/// The types that a schema allows, in its order; none if it does not say.
fn types_of<'s>(root: &'s Value, schema: &'s Value, refs: usize, types: &mut Vec<&'s str>) {
    let Some(refs) = refs.checked_sub(1) else {
        return;
    };
    let mut add = |name: &'s str| {
        if !types.contains(&name) {
            types.push(name);
        }
    };
    match schema.get("type") {
        Some(Value::String(name)) => return add(name),
        Some(Value::Array(names)) => return names.iter().filter_map(Value::as_str).for_each(add),
        _ => {}
    }
    if let Some(only) = schema.get("const") {
        return add(message::type_name(only));
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return options
            .iter()
            .for_each(|option| add(message::type_name(option)));
    }
    if let Some(target) = referred(root, schema) {
        types_of(root, target, refs, types);
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(parts) = schema.get(keyword).and_then(Value::as_array) {
            for part in parts {
                types_of(root, part, refs, types);
            }
        }
    }
}

fn referred<'s>(root: &'s Value, schema: &Value) -> Option<&'s Value> {
    let target = schema.get("$ref")?.as_str()?;
    root.pointer(target.strip_prefix('#')?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &Value, text: &str, expected: &Value) {
        let whole =
            json!({ "properties": { "p": schema }, "$defs": { "n": { "type": "number" } } });
        let coerced = Schema::compile(&whole).unwrap().coerce("p", text);
        let shown = coerced.unwrap_or_else(|error| json!({ "error": error.wanted }));
        assert_eq!(shown, *expected, "{schema} {text}");
    }

    #[test]
    fn text_becomes_what_the_schema_asks_for() {
        check(&json!({ "type": "integer" }), "42", &json!(42));
        check(
            &json!({ "type": "integer" }),
            "4.5",
            &json!({ "error": "an integer" }),
        );
        check(&json!({ "type": "number" }), "-1.5e3", &json!(-1500.0));
        check(
            &json!({ "type": "number" }),
            "NaN",
            &json!({ "error": "a number" }),
        );
        check(&json!({ "type": "boolean" }), "true", &json!(true));
        check(
            &json!({ "type": "boolean" }),
            "yes",
            &json!({ "error": "a boolean" }),
        );
        check(
            &json!({ "type": ["integer", "null"] }),
            "null",
            &json!(null),
        );
        check(&json!({ "type": "array" }), "[1, \"a\"]", &json!([1, "a"]));
        check(
            &json!({ "type": "object" }),
            "[1]",
            &json!({ "error": "an object" }),
        );
        check(&json!({ "$ref": "#/$defs/n" }), "7", &json!(7));
        check(
            &json!({ "anyOf": [{ "$ref": "#/$defs/n" }, { "type": "null" }] }),
            "null",
            &json!(null),
        );
        check(&json!({ "enum": [1, 2] }), "2", &json!(2));
    }

    #[test]
    fn what_may_be_text_stays_text() {
        check(&json!({ "type": "string" }), "42", &json!("42"));
        check(
            &json!({ "type": ["integer", "string"] }),
            "42",
            &json!("42"),
        );
        check(&json!({}), " 42 ", &json!(" 42 "));
        check(&json!(true), "null", &json!("null"));
        let open = Schema::compile(&json!(true)).unwrap();
        assert_eq!(open.coerce("any", "x"), Ok(json!("x")));
    }

    #[test]
    fn the_error_says_what_to_write_and_not_what_was_given() {
        let schema =
            Schema::compile(&json!({ "properties": { "n": { "type": "integer" } } })).unwrap();
        let error = schema.coerce("n", "hunter2").unwrap_err().to_string();
        assert!(
            error.contains("`n` must be an integer") && error.contains("n:=JSON"),
            "{error}"
        );
        assert!(!error.contains("hunter2"));
    }
}
