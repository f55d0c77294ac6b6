//! What is sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use nebula_action::{ActionContext, ActionError, RequestBody};
use nebula_core::Digest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    blobs::{self, BlobName},
    parameters::Pairs,
};

/// The body of a request, in one of these forms.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Body {
    /// Any value, as `application/json`.
    Json(Value),
    /// Names with their values, as `application/x-www-form-urlencoded`.
    Form(Pairs),
    /// Parts, as `multipart/form-data`.
    Multipart(Vec<Part>),
    /// A text, as `text/plain` in UTF-8; another `Content-Type` goes into `headers`.
    Text(String),
    /// The content of a blob, as `application/octet-stream`; another `Content-Type` goes into `headers`. The
    /// node needs the capability `blob`.
    Blob(BlobName),
    /// Bytes in base64 (RFC 4648, with padding), as `application/octet-stream`; another
    /// `Content-Type` goes into `headers`.
    Base64(String),
}

/// One part of a `multipart/form-data` body (RFC 7578).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// The field's name.
    name: String,
    /// Its content as a text.
    text: Option<String>,
    /// Its content as base64; instead of `text`.
    base64: Option<String>,
    /// Makes a file of it, with this name.
    filename: Option<String>,
    /// The type of its content, such as `image/png`.
    content_type: Option<String>,
}

/// The body; adds the `Content-Type` where the author gave none. The same at every attempt.
pub(crate) async fn prepare(
    ctx: &ActionContext,
    body: &Body,
    headers: &mut HeaderMap,
) -> Result<RequestBody, ActionError> {
    let Body::Blob(name) = body else {
        return encode(body, &ctx.idempotency_key, headers);
    };
    let body = blobs::body(ctx, name).await?;
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/octet-stream"));
    Ok(body)
}

/// A body that is not in a blob, in bytes. `key` is the same at every attempt.
fn encode(body: &Body, key: &str, headers: &mut HeaderMap) -> Result<RequestBody, ActionError> {
    let (bytes, content_type) = match body {
        Body::Json(value) => (
            value.to_string().into_bytes(),
            "application/json".to_owned(),
        ),
        Body::Form(pairs) => {
            let texts = pairs.texts("/body/form")?;
            let form = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(texts)
                .finish();
            (
                form.into_bytes(),
                "application/x-www-form-urlencoded".to_owned(),
            )
        }
        Body::Multipart(parts) => multipart(parts, key)?,
        Body::Text(text) => (
            text.clone().into_bytes(),
            "text/plain; charset=utf-8".to_owned(),
        ),
        Body::Blob(_) => {
            let message = "a blob is read before";
            return Err(ActionError::fatal("HTTP_BODY", message));
        }
        Body::Base64(text) => {
            let bytes = decoded(text, "/body/base64")?;
            (bytes, "application/octet-stream".to_owned())
        }
    };
    let own = matches!(body, Body::Multipart(_));
    if own || !headers.contains_key(header::CONTENT_TYPE) {
        let value = HeaderValue::try_from(content_type).map_err(|_| {
            ActionError::fatal("HTTP_BODY", "the body has a type that HTTP does not take")
        })?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    Ok(RequestBody::Bytes(Bytes::from(bytes)))
}

fn decoded(text: &str, pointer: &str) -> Result<Vec<u8>, ActionError> {
    STANDARD.decode(text).map_err(|_| {
        let message = "this is no base64 (RFC 4648, with padding)";
        ActionError::invalid_input("HTTP_BODY", pointer, message)
    })
}

fn multipart(parts: &[Part], key: &str) -> Result<(Vec<u8>, String), ActionError> {
    let mut contents = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let place = format!("/body/multipart/{i}");
        contents.push(match (&part.text, &part.base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(text)) => decoded(text, &format!("{place}/base64"))?,
            _ => {
                let message = "a part has either `text` or `base64`";
                return Err(ActionError::invalid_input("HTTP_BODY", place, message));
            }
        });
        if part
            .content_type
            .as_ref()
            .is_some_and(|it| HeaderValue::from_str(it).is_err())
        {
            let message = "a content type has no line break and no control character";
            let place = format!("{place}/content_type");
            return Err(ActionError::invalid_input("HTTP_BODY", place, message));
        }
    }
    let boundary = boundary(&contents, key);
    let mut body = Vec::new();
    for (part, content) in parts.iter().zip(&contents) {
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(&part.name)
        );
        if let Some(name) = &part.filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(name)));
        }
        let file = part
            .filename
            .is_some()
            .then_some("application/octet-stream");
        if let Some(content_type) = part.content_type.as_deref().or(file) {
            head.push_str(&format!("\r\nContent-Type: {content_type}"));
        }
        head.push_str("\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((body, format!("multipart/form-data; boundary={boundary}")))
}

/// A text that is in none of the contents, and the same for the same contents and key.
fn boundary(contents: &[Vec<u8>], key: &str) -> String {
    let mut text = key.to_owned();
    loop {
        let digest = Digest::of(text.as_bytes()).to_string();
        let found = format!("nebula-{}", &digest[..32]);
        let within = |content: &Vec<u8>| {
            let mut windows = content.windows(found.len());
            windows.any(|window| window == found.as_bytes())
        };
        if !contents.iter().any(within) {
            return found;
        }
        text = digest;
    }
}

/// A name between quotes, as browsers write it (HTML standard, "multipart/form-data").
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(body: Value, content_type: &str, expected: &str) {
        let body: Body = serde_json::from_value(body).unwrap();
        let mut headers = HeaderMap::new();
        let RequestBody::Bytes(bytes) = encode(&body, "key", &mut headers).unwrap() else {
            panic!("the body is in memory");
        };
        let boundary = boundary(&[], "key");
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text.replace(&boundary, "B"), expected);
        let found = headers[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!(found.replace(&boundary, "B"), content_type);
    }

    #[test]
    fn each_form_has_its_bytes_and_its_type() {
        check(
            json!({ "json": { "a": [1] } }),
            "application/json",
            r#"{"a":[1]}"#,
        );
        check(
            json!({ "form": { "a": "b c&d", "n": 1, "l": ["x", true], "no": null } }),
            "application/x-www-form-urlencoded",
            "a=b+c%26d&n=1&l=x&l=true",
        );
        check(json!({ "text": "é" }), "text/plain; charset=utf-8", "é");
        check(
            json!({ "base64": "YWJj" }),
            "application/octet-stream",
            "abc",
        );
        check(
            json!({ "multipart": [
                { "name": "a\"\r\nX: y", "text": "1" },
                { "name": "f", "base64": "YWJj", "filename": "x.png", "content_type": "image/png" },
            ] }),
            "multipart/form-data; boundary=B",
            "--B\r\nContent-Disposition: form-data; name=\"a%22%0D%0AX: y\"\r\n\r\n1\r\n\
             --B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.png\"\r\n\
             Content-Type: image/png\r\n\r\nabc\r\n--B--\r\n",
        );
    }

    #[test]
    fn a_boundary_is_in_no_part() {
        let first = boundary(&[], "key");
        let second = boundary(&[first.clone().into_bytes()], "key");
        assert_ne!(first, second);
        assert_eq!(second, boundary(&[first.into_bytes()], "key"));
    }
}
