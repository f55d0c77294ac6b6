//! Deliveries that are signed as [Standard Webhooks] 1.0 says.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nebula_core::{Digest, ExposeSecret as _, SecretId, SecretString, Timestamp};
use ring::hmac;

use crate::{
    auth::{Headers, MAX_REPLAY_WINDOW, Proof, REPLAY_WINDOW, Refused},
    reader::Reader,
};

/// Which header has the signatures.
pub(crate) const SIGNATURE: &str = "webhook-signature";

/// How many signatures of one delivery are looked at.
const MAX_SIGNATURES: usize = 8;

/// A signature over id, time and body, in the headers that the standard names.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    secret: SecretId,
    window: Duration,
}

impl Standard {
    pub(crate) fn secret(&self) -> &SecretId {
        &self.secret
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.refuse_others(["type", "secret", "window"]);
        let window = reader.span("window", MAX_REPLAY_WINDOW);
        Some(Self {
            secret: reader.secret()?,
            window: window.unwrap_or(REPLAY_WINDOW),
        })
    }

    /// What was signed is named by its id: whoever sends it again signs another time.
    pub(crate) fn check(
        &self,
        headers: &Headers,
        body: &[u8],
        secret: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Proof, Refused> {
        let (id, stamp) = (
            headers.one("webhook-id")?,
            headers.one("webhook-timestamp")?,
        );
        let signatures = headers.one(SIGNATURE)?;
        let key = secret.and_then(|it| key(it.expose_secret()));
        let key = key.ok_or(Refused::Wrong("the signature"))?;
        // A full stop in it would let the signature count for another id, time and body.
        if id.is_empty() || id.contains('.') {
            return Err(Refused::Malformed("the header `webhook-id`"));
        }
        let signed = [format!("{id}.{stamp}.").as_bytes(), body].concat();
        // While a secret is replaced, a sender shows a signature of each.
        let right = signatures.split(' ').take(MAX_SIGNATURES).any(|text| {
            let given = text.strip_prefix("v1,");
            let given = given.and_then(|text| STANDARD.decode(text).ok());
            // This compares in constant time.
            given.is_some_and(|given| hmac::verify(&key, &signed, &given).is_ok())
        });
        if !right {
            return Err(Refused::Wrong("the signature"));
        }
        let seconds: i64 = stamp
            .parse()
            .map_err(|_| Refused::Malformed("the timestamp"))?;
        let millis = seconds
            .checked_mul(1_000)
            .ok_or(Refused::Malformed("the timestamp"))?;
        let at = Timestamp::from_millis(millis);
        if now.since(at).max(at.since(now)) > self.window {
            return Err(Refused::Stale(self.window));
        }
        Ok(Proof {
            signed: Some(Digest::of_parts(&[b"webhook-id", id.as_bytes()])),
            claims: None,
        })
    }
}

/// The key in a secret `whsec_…`; `None` if it is none.
fn key(secret: &str) -> Option<hmac::Key> {
    let text = secret.strip_prefix("whsec_")?;
    let key = STANDARD.decode(text.trim_end()).ok()?;
    // A short key is guessed.
    (key.len() >= 24).then(|| hmac::Key::new(hmac::HMAC_SHA256, &key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Auth;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const RIGHT: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const AT: i64 = 1_614_265_330;

    fn check(
        signature: &str,
        id: &str,
        (stamp, now): (&str, i64),
        secret: &str,
    ) -> Result<Proof, String> {
        let auth = json!({ "auth": { "type": "standard_webhooks", "secret": "partner" } });
        let mut reader = Reader::new(auth.as_object().unwrap());
        let auth = crate::auth::read(&mut reader).unwrap();
        assert!(auth.hides(SIGNATURE) && auth.reads_body());
        let Auth::Standard(standard) = auth else {
            panic!("{auth:?}")
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let headers = Headers(vec![
            header("webhook-id", id),
            header("webhook-timestamp", stamp),
            header(SIGNATURE, signature),
        ]);
        let body = br#"{"test": 2432232314}"#;
        let now = Timestamp::from_millis(now * 1_000);
        let proof = standard.check(&headers, body, Some(&secret.into()), now);
        proof.map_err(|refused| refused.to_string())
    }

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

    /// The example of the specification.
    #[test]
    fn a_delivery_of_the_specification_is_let_in_and_known_by_its_id() {
        let stamp = AT.to_string();
        let proof = check(RIGHT, ID, (&stamp, AT), SECRET).unwrap();
        let known = Digest::of_parts(&[b"webhook-id", ID.as_bytes()]);
        assert_eq!(proof.signed, Some(known));
        // Two secrets, and a version that is not known here.
        let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for several in [format!("{other} {RIGHT}"), format!("v1a,xyz {RIGHT}")] {
            assert!(check(&several, ID, (&stamp, AT + 299), SECRET).is_ok());
        }
    }

    #[test]
    fn what_is_not_signed_by_the_secret_or_too_old_is_refused() {
        let stamp = AT.to_string();
        let refused = |signature: &str, id: &str, time: (&str, i64), secret: &str, said: &str| {
            let found = check(signature, id, time, secret).unwrap_err();
            assert!(found.contains(said), "{signature} {id} {time:?}: {found}");
        };
        let (now, wrong) = ((&*stamp, AT), "the signature is wrong");
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for secret in [other, "whsec_", "", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            refused(RIGHT, ID, now, secret, wrong);
        }
        let bare = RIGHT.trim_start_matches("v1,");
        let late = format!("{}{RIGHT}", "v1,AAAA ".repeat(MAX_SIGNATURES));
        for signature in [bare, "v1,", "v2,AAAA", "", &late] {
            refused(signature, ID, now, SECRET, wrong);
        }
        // A key that could be guessed lets in nobody, also whoever has guessed it.
        let short = hmac::Key::new(hmac::HMAC_SHA256, &[7; 23]);
        let signed = format!("{ID}.{AT}.{{\"test\": 2432232314}}");
        let by_short = STANDARD.encode(hmac::sign(&short, signed.as_bytes()));
        let guessed = format!("whsec_{}", STANDARD.encode([7; 23]));
        refused(&format!("v1,{by_short}"), ID, now, &guessed, wrong);
        refused(RIGHT, "msg_other", now, SECRET, wrong);
        refused(RIGHT, "msg.1", now, SECRET, "cannot be read");
        for away in [AT + 301, AT - 301] {
            refused(RIGHT, ID, (&stamp, away), SECRET, "further away than 5m");
        }
        // Another time is another text.
        refused(RIGHT, ID, ("1614265331", AT), SECRET, wrong);
    }
}
