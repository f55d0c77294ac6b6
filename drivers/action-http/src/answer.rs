//! What came back, as JSON.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use nebula_action::ActionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the body of an answer stands in the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reading {
    /// As its `Content-Type` says: JSON as a value, text as text, anything else as base64.
    #[default]
    Auto,
    /// As a value; it must be JSON. An empty body is null.
    Json,
    /// As text; it must be UTF-8.
    Text,
    /// As base64 (RFC 4648, with padding), for bytes of any kind.
    Base64,
    /// As `{ blob: { digest, length } }`: its bytes are put into a blob.
    Blob,
}

/// The body as a value.
pub(crate) fn read(
    bytes: Vec<u8>,
    headers: &HeaderMap,
    reading: Reading,
) -> Result<Value, ActionError> {
    let packed = headers
        .get(header::CONTENT_ENCODING)
        .map(http::HeaderValue::as_bytes);
    if packed.is_some_and(|it| !it.eq_ignore_ascii_case(b"identity")) && reading != Reading::Base64
    {
        let message =
            "the answer is packed in a way that nobody asked for; read it with `response: base64`";
        return Err(ActionError::fatal("HTTP_ENCODING", message));
    }
    match reading {
        Reading::Auto => by_type(bytes, headers),
        Reading::Json => json(&bytes),
        Reading::Text => text(bytes),
        // Where it was put into a blob, nobody reads it here.
        Reading::Base64 | Reading::Blob => Ok(STANDARD.encode(bytes).into()),
    }
}

fn by_type(bytes: Vec<u8>, headers: &HeaderMap) -> Result<Value, ActionError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok());
    let kind = given
        .and_then(|it| it.split(';').next())
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || kind.ends_with("+json");
    let is_text = kind.starts_with("text/")
        || kind.ends_with("+xml")
        || kind.ends_with("/xml")
        || kind.ends_with("/javascript")
        || kind.ends_with("/x-www-form-urlencoded")
        || kind.ends_with("/yaml")
        || kind.ends_with("ndjson");
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    match (is_json, is_text) {
        (true, _) => json(&bytes),
        (false, true) => text(bytes),
        (false, false) => Ok(STANDARD.encode(bytes).into()),
    }
}

fn json(bytes: &[u8]) -> Result<Value, ActionError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!(
            "the body of the answer is no JSON (line {}, column {}); read it with `response: text`",
            error.line(),
            error.column()
        );
        ActionError::fatal("HTTP_NOT_JSON", message)
    })
}

fn text(bytes: Vec<u8>) -> Result<Value, ActionError> {
    String::from_utf8(bytes).map(Value::from).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!(
            "the body of the answer is no UTF-8 text: byte {at} is wrong; read it with `response: base64`"
        );
        ActionError::fatal("HTTP_NOT_UTF8", message)
    })
}

/// The headers by their names in lower case: a text each, joined by commas where there are several,
/// but `set-cookie`, which is a list.
pub(crate) fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut map = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let texts: Vec<String> = values
            .map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
            .collect();
        let value = match *name == header::SET_COOKIE {
            true => Value::from(texts),
            false => Value::from(texts.join(", ")),
        };
        map.insert(name.as_str().to_owned(), value);
    }
    map
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, bytes: &[u8], reading: Reading, expected: Result<Value, &str>) {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        let found = read(bytes.to_vec(), &headers, reading);
        let found = found.map_err(|error| error.code.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{kind}");
    }

    #[test]
    fn a_body_is_read_as_its_type_says_unless_the_author_says_how() {
        use Reading::{Auto, Base64, Json, Text};
        check(
            "application/json",
            b"{\"a\":1}",
            Auto,
            Ok(json!({ "a": 1 })),
        );
        check(
            "Application/Problem+JSON; charset=utf-8",
            b"[]",
            Auto,
            Ok(json!([])),
        );
        check("application/json", b"", Auto, Ok(Value::Null));
        check("application/json", b"{", Auto, Err("HTTP_NOT_JSON"));
        check(
            "text/html; charset=utf-8",
            "é".as_bytes(),
            Auto,
            Ok(json!("é")),
        );
        check("text/plain", b"\xff", Auto, Err("HTTP_NOT_UTF8"));
        check("image/png", b"abc", Auto, Ok(json!("YWJj")));
        check("", b"abc", Auto, Ok(json!("YWJj")));
        check("text/plain", b"[1]", Json, Ok(json!([1])));
        check("application/json", b"[1]", Text, Ok(json!("[1]")));
        check("text/plain", b"abc", Base64, Ok(json!("YWJj")));
    }

    #[test]
    fn headers_that_repeat_are_joined_but_cookies() {
        let mut given = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("x-a", "2"), ("set-cookie", "a=b")] {
            given.append(name, value.parse().unwrap());
        }
        let expected = json!({ "x-a": "1, 2", "set-cookie": ["a=b"] });
        assert_eq!(Value::from(headers(&given)), expected);
    }
}
