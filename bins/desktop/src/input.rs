//! The input of an execution, from flags.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use nebula_validator::Schema;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Puts the input together: the whole first, then single fields over it.
///
/// `schema` is that of the workflow, null where it has none. `limit` bounds what is read from a file or standard input, in bytes.
pub(crate) fn gather(
    whole: Option<&str>,
    fields: &[String],
    schema: &Value,
    limit: u64,
) -> Result<Value, Failure> {
    let whole = whole.map(|text| read_whole(text, limit)).transpose()?;
    if fields.is_empty() {
        // Without a schema an input has named fields, here none; with one, the schema says.
        let none = if schema.is_null() {
            Value::Object(Map::new())
        } else {
            Value::Null
        };
        return Ok(whole.unwrap_or(none));
    }
    let mut input = match whole {
        None => Map::new(),
        Some(Value::Object(map)) => map,
        Some(_) => {
            let message = "--input-json is no object, so --input cannot add fields to it";
            return Err(Failure::invalid("INPUT", message).advice("give one of the two"));
        }
    };
    let schema = if schema.is_null() {
        Value::Bool(true)
    } else {
        schema.clone()
    };
    let schema = Schema::compile(&schema)
        .map_err(|error| Failure::invalid("INPUT", format!("the input schema: {error}")))?;
    let mut given: Vec<&str> = Vec::with_capacity(fields.len());
    for field in fields {
        let (name, value) = one(field, &schema)?;
        if given.contains(&name) {
            let message = format!("the input field `{name}` is given twice");
            return Err(Failure::invalid("INPUT", message).advice("give it once"));
        }
        given.push(name);
        input.insert(name.to_owned(), value);
    }
    Ok(Value::Object(input))
}

/// Reads `name=text` or `name:=JSON`.
fn one<'f>(field: &'f str, schema: &Schema) -> Result<(&'f str, Value), Failure> {
    let Some((name, text)) = field.split_once('=') else {
        let shown: String = field.chars().take(80).collect();
        return Err(
            Failure::invalid("INPUT", format!("`{shown}` is no input field"))
                .advice("write name=text, or name:=JSON for an exact value"),
        );
    };
    let (name, exact) = match name.strip_suffix(':') {
        Some(name) => (name, true),
        None => (name, false),
    };
    if name.is_empty() {
        let message = format!("`{field}` has no name before `=`");
        return Err(Failure::invalid("INPUT", message).advice("write name=text or name:=JSON"));
    }
    if exact {
        let value = parse(text, &format!("the input field `{name}`"))?;
        return Ok((name, value));
    }
    let value = schema
        .coerce(name, text)
        .map_err(|error| Failure::invalid("INPUT", error.to_string()))?;
    Ok((name, value))
}

fn read_whole(text: &str, limit: u64) -> Result<Value, Failure> {
    if text == "-" {
        let bytes = read_within(io::stdin().lock(), limit, "standard input", Path::new("-"))?;
        return parse_bytes(&bytes, "standard input");
    }
    if let Some(name) = text.strip_prefix('@') {
        let bytes = read_file(Path::new(name), limit)?;
        return parse_bytes(&bytes, name);
    }
    parse(text, "--input-json")
}

/// Reads a file that is at most `limit` bytes long; a longer one is refused by its length.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::file(path, "read", &error);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let name = path.to_string_lossy();
    if length > limit {
        return Err(too_large(&name, length, limit));
    }
    read_within(file, limit, &name, path)
}

/// Reads at most `limit` bytes, and says so if there are more.
pub(crate) fn read_within(
    from: impl Read,
    limit: u64,
    name: &str,
    path: &Path,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::file(path, "read", &error))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(name, bytes.len() as u64, limit));
    }
    Ok(bytes)
}

fn too_large(name: &str, bytes: u64, limit: u64) -> Failure {
    let limit = nebula_core::ByteSize::bytes(limit);
    let message =
        format!("{name} has {bytes} bytes or more; the limit engine.max_input is {limit}");
    Failure::invalid("INPUT_TOO_LARGE", message)
        .advice("let the workflow read large data with file.read")
}

pub(crate) fn parse_bytes(bytes: &[u8], name: &str) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).map_err(|error| not_json(&error, name))
}

/// Reads a short text that came with a flag: itself, what is in `@FILE`, or `-` for standard input; of
/// those, at most `limit` bytes.
pub(crate) fn text(text: &str, name: &str, limit: u64) -> Result<String, Failure> {
    let (from, path): (Box<dyn Read>, _) = match (text, text.strip_prefix('@')) {
        ("-", _) => (Box::new(io::stdin().lock()), Path::new("-")),
        (_, Some(file)) => {
            let path = Path::new(file);
            let file = File::open(path).map_err(|error| Failure::file(path, "read", &error))?;
            (Box::new(file), path)
        }
        (text, None) => return Ok(text.to_owned()),
    };
    let mut bytes = Vec::new();
    let read = from.take(limit).read_to_end(&mut bytes);
    read.map_err(|error| Failure::file(path, "read", &error))?;
    let wrong = |_| Failure::invalid("USAGE", format!("{name}: what is there is no text"));
    String::from_utf8(bytes).map_err(wrong)
}

/// Reads JSON that came with a flag.
pub(crate) fn parse(text: &str, name: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| not_json(&error, name))
}

fn not_json(error: &serde_json::Error, name: &str) -> Failure {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        let message = format!("{name} is nested deeper than 127, the limit for JSON");
        return Failure::invalid("INPUT_TOO_DEEP", message).advice("flatten it");
    }
    // Without the place: serde_json's columns count bytes of the line, and a flag has one line.
    Failure::invalid("INPUT_NOT_JSON", format!("{name} is no JSON: {text}"))
        .advice("strings need double quotes in JSON; for plain text write name=text")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(field: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        let schema = Schema::compile(&json!({
            "properties": { "count": { "type": "integer" }, "on": { "type": "boolean" }, "name": { "type": "string" } },
        }))
        .unwrap();
        match one(field, &schema) {
            Ok((_, value)) => assert_eq!(value, expected, "{field}"),
            Err(failure) => assert_eq!(json!(failure.code), expected, "{field}"),
        }
    }

    #[test]
    fn text_becomes_what_the_schema_asks_for() {
        check("count=7", json!(7));
        check("on=true", json!(true));
        check("name=7", json!("7"));
        check("other=7", json!("7"));
        check("name=a=b", json!("a=b"));
        check("name=", json!(""));
        check("count=seven", json!("INPUT"));
        check("count", json!("INPUT"));
        check("=7", json!("INPUT"));
    }

    #[test]
    fn colon_equals_takes_json_exactly() {
        check("other:=7", json!(7));
        check("other:=[1, {\"a\": null}]", json!([1, { "a": null }]));
        check("other:=seven", json!("INPUT_NOT_JSON"));
        check(
            &format!("other:={}", "[".repeat(200)),
            json!("INPUT_TOO_DEEP"),
        );
    }
}
