//! Requests that deliver something to somebody's webhook, signed as [Standard Webhooks] 1.0 says.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use nebula_core::{Digest, Timestamp};

use crate::{HttpErrorKind, HttpRequest, RequestBody};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const AT: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest `webhook-id`, in bytes.
const MAX_ID: usize = 128;

/// Signs deliveries.
pub trait SignDelivery: fmt::Debug + Send + Sync + 'static {
    /// The value of `webhook-signature` for the bytes `<id>.<seconds since 1970>.<body>`: `v1,<base64>` for
    /// each secret that counts, with a space between them.
    fn signatures(&self, id: &str, seconds: i64, body: &[u8]) -> String;
}

/// Adds what a receiver verifies to a request: its id, the time of this attempt, and the signatures over both
/// and the body. The id is the `webhook-id` that the request has, else its `idempotency-key`, so it is the same
/// at every attempt, and a receiver knows what it has had before.
///
/// # Errors
/// There is nothing to tell it by, the id that its author gave is none, or the body is a stream.
pub(crate) fn sign(
    request: &mut HttpRequest,
    signer: &dyn SignDelivery,
    now: Timestamp,
) -> Result<(), HttpErrorKind> {
    let body: &[u8] = match &request.body {
        RequestBody::Empty => b"",
        RequestBody::Bytes(bytes) => bytes,
        RequestBody::Stream(_) => {
            return Err(HttpErrorKind::Request(
                "a body that is a stream or a blob cannot be signed; send a reference to it as `json`",
            ));
        }
    };
    let id = id_of(&request.headers)?;
    let seconds = now.as_millis().div_euclid(1_000);
    let signatures = signer.signatures(&id, seconds, body);
    // All of them are of printable ASCII.
    let text = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| HttpErrorKind::Request("its signature is none that a header takes"))
    };
    let (id, seconds) = (text(&id)?, HeaderValue::from(seconds));
    let mut signatures = text(&signatures)?;
    signatures.set_sensitive(true);
    let headers = &mut request.headers;
    headers.insert(ID, id);
    headers.insert(AT, seconds);
    headers.insert(SIGNATURE, signatures);
    Ok(())
}

fn id_of(headers: &HeaderMap) -> Result<String, HttpErrorKind> {
    // A full stop would let a signature count for another id, time and body.
    let is_id = |text: &str| {
        let plain = |it: u8| it.is_ascii_graphic() && it != b'.';
        !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(plain)
    };
    if let Some(own) = headers.get(ID) {
        let own = own.to_str().ok().filter(|own| is_id(own));
        return own.map(str::to_owned).ok_or(HttpErrorKind::Request(
            "`webhook-id` has 1 to 128 letters, digits and signs, and no full stop",
        ));
    }
    let key = headers.get(KEY).ok_or(HttpErrorKind::Request(
        "what is signed needs an id: a method that writes has one, another says it as the header `webhook-id`",
    ))?;
    Ok(match key.to_str() {
        Ok(key) if is_id(key) => key.to_owned(),
        _ => Digest::of(key.as_bytes()).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HttpLimits, Sender};

    /// Shows what it was asked to sign.
    #[derive(Debug)]
    struct Shown;

    impl SignDelivery for Shown {
        fn signatures(&self, id: &str, seconds: i64, body: &[u8]) -> String {
            format!("{id}.{seconds}.{}", String::from_utf8_lossy(body))
        }
    }

    #[derive(Debug)]
    struct Endless;

    #[async_trait::async_trait]
    impl crate::HttpBody for Endless {
        async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, crate::HttpError> {
            Ok(Some(bytes::Bytes::from_static(b"x")))
        }
    }

    fn signed(headers: &[(HeaderName, &str)], body: RequestBody) -> Result<HeaderMap, String> {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let mut request = HttpRequest {
            method: http::Method::POST,
            url: "https://api.example/".parse().unwrap(),
            headers: headers.collect(),
            body,
            limits: HttpLimits::default(),
            sender: Sender::default(),
        };
        let now = Timestamp::from_millis(1_614_265_330_999);
        sign(&mut request, &Shown, now).map_err(|error| error.to_string())?;
        Ok(request.headers)
    }

    #[track_caller]
    fn check(headers: &[(HeaderName, &str)], body: &'static [u8], expected: &str) {
        let headers = signed(headers, RequestBody::Bytes(body.into())).unwrap();
        assert_eq!(headers[SIGNATURE].to_str().unwrap(), expected);
        let (id, rest) = expected.split_once('.').unwrap();
        assert_eq!(headers[ID].to_str().unwrap(), id);
        assert_eq!(headers[AT].to_str().unwrap(), &rest[..10]);
        assert!(headers[SIGNATURE].is_sensitive() && !headers[ID].is_sensitive());
    }

    #[test]
    fn the_id_is_the_idempotency_key_unless_the_author_says_another() {
        check(&[(KEY, "abc-1")], b"{}", "abc-1.1614265330.{}");
        check(&[(KEY, "abc-1"), (ID, "msg_7")], b"", "msg_7.1614265330.");
    }

    #[test]
    fn a_key_that_is_no_id_is_one_by_its_digest() {
        let digest = Digest::of(b"order 1.7");
        let expected = format!("{digest}.1614265330.x");
        check(&[(KEY, "order 1.7")], b"x", &expected);
    }

    #[test]
    fn what_cannot_be_signed_is_not_sent() {
        let refused = |headers: &[_], body| signed(headers, body).unwrap_err();
        let long = "i".repeat(MAX_ID + 1);
        for id in ["", "a.b", "a b", &long] {
            let said = refused(&[(KEY, "k"), (ID, id)], RequestBody::Empty);
            assert!(said.contains("`webhook-id` has 1 to 128"), "{id}: {said}");
        }
        let said = refused(&[], RequestBody::Empty);
        assert!(said.contains("needs an id"), "{said}");
        let said = refused(&[(KEY, "k")], RequestBody::Stream(Box::new(Endless)));
        assert!(said.contains("cannot be signed"), "{said}");
    }
}
