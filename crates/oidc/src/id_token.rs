//! What an ID token must say before anything of it is believed (OpenID Connect Core 1.0, section 3.1.3.7).

use std::time::Duration;

use nebula_core::Timestamp;
use nebula_jwt::{PublicKey, SignedToken};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

/// By what an ID token may be signed. Neither `none` nor anything that takes a secret.
pub const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// By how much the clocks of the provider and of this machine may differ.
pub const SKEW: Duration = Duration::from_secs(60);

/// How long ago a token may have been made: it is fetched at once.
pub const MAX_AGE: Duration = Duration::from_mins(10);

/// The longest token, in bytes.
pub const MAX_ID_TOKEN: usize = 16 << 10;

/// The most keys of a provider that are looked at.
pub const MAX_KEYS: usize = 64;

/// The most bytes of a subject (OpenID Connect Core 1.0, section 2).
const MAX_SUBJECT: usize = 255;

/// The most bytes of an email and of a name.
const MAX_TEXT: usize = 320;

/// The public keys of a provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeySet(Vec<Value>);

impl KeySet {
    /// Reads a JSON Web Key Set (RFC 7517), its first [`MAX_KEYS`]; `None` if it is none.
    #[must_use]
    pub fn read(document: &Value) -> Option<Self> {
        let all = document.get("keys")?.as_array()?;
        Some(Self(all.iter().take(MAX_KEYS).cloned().collect()))
    }

    /// Those with which this token may be signed.
    fn fitting(&self, token: &SignedToken<'_>, algorithm: &str) -> Vec<PublicKey> {
        let same = |key: &Value, name: &str, wanted: &str| {
            key.get(name).is_none_or(|it| it.as_str() == Some(wanted))
        };
        let fits = |key: &&Value| {
            let named = token
                .key_id()
                .is_none_or(|id| key.get("kid").and_then(Value::as_str) == Some(id));
            named && same(key, "use", "sig") && same(key, "alg", algorithm)
        };
        let keys = self.0.iter().filter(fits);
        keys.filter_map(|key| PublicKey::of(algorithm, key))
            .collect()
    }
}

/// What a token must be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who signs, byte for byte.
    pub issuer: &'a str,
    /// For whom.
    pub client_id: &'a str,
    /// For which login.
    pub nonce: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// What a token says that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct IdToken {
    /// Who somebody is for their issuer, for ever.
    pub subject: String,
    /// Their email, if the provider has verified it.
    pub email: Option<String>,
    /// How they are called; may be empty.
    pub name: String,
    /// All that it says.
    pub claims: Map<String, Value>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// It is no token.
    #[error("the ID token is none")]
    Malformed,
    /// It says of itself that it is signed in a way that is not taken.
    #[error("the ID token is not signed by one of RS256, ES256 and EdDSA")]
    Algorithm,
    /// The provider has no such key.
    #[error("the ID token is signed with a key that the provider does not publish")]
    UnknownKey,
    /// It was not signed with the key that it names.
    #[error("the signature of the ID token is wrong")]
    Signature,
    /// It is for somebody else, for something else, or not for now.
    #[error("the ID token says something else in `{0}` than it must")]
    Claim(&'static str),
}

/// The claims of a token that was signed with one of `keys` and is what was expected.
///
/// # Errors
/// [`IdTokenError`]: the first thing that is wrong.
pub fn check(text: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<IdToken, IdTokenError> {
    if text.len() > MAX_ID_TOKEN {
        return Err(IdTokenError::Malformed);
    }
    let token = SignedToken::read(text).ok_or(IdTokenError::Malformed)?;
    let algorithm = ALGORITHMS
        .into_iter()
        .find(|it| token.algorithm() == Some(it));
    let algorithm = algorithm.ok_or(IdTokenError::Algorithm)?;
    if token.is_critical() {
        return Err(IdTokenError::Malformed);
    }
    let fitting = keys.fitting(&token, algorithm);
    if fitting.is_empty() {
        return Err(IdTokenError::UnknownKey);
    }
    if !fitting.iter().any(|key| key.holds(&token)) {
        return Err(IdTokenError::Signature);
    }
    let claims = token.claims().ok_or(IdTokenError::Malformed)?;
    let wrong = |name| Err(IdTokenError::Claim(name));
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return wrong("iss");
    }
    let (meant, several) = match claims.get("aud") {
        Some(Value::Array(all)) => (
            all.iter().any(|it| *it == expected.client_id),
            all.len() > 1,
        ),
        one => (
            one.and_then(Value::as_str) == Some(expected.client_id),
            false,
        ),
    };
    if !meant {
        return wrong("aud");
    }
    match claims.get("azp") {
        None if several => return wrong("azp"),
        Some(azp) if azp.as_str() != Some(expected.client_id) => return wrong("azp"),
        _ => {}
    }
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    let (now, skew) = (
        expected.now.as_millis() as f64 / 1_000.0,
        SKEW.as_secs_f64(),
    );
    if !seconds("exp").is_some_and(|it| now < it + skew) {
        return wrong("exp");
    }
    let age = MAX_AGE.as_secs_f64() + skew;
    if !seconds("iat").is_some_and(|it| it <= now + skew && it + age > now) {
        return wrong("iat");
    }
    if claims.contains_key("nbf") && !seconds("nbf").is_some_and(|it| it <= now + skew) {
        return wrong("nbf");
    }
    let nonce = text("nonce").unwrap_or_default().as_bytes();
    if expected.nonce.is_empty() || !bool::from(nonce.ct_eq(expected.nonce.as_bytes())) {
        return wrong("nonce");
    }
    let possible = |it: &&str| (1..=MAX_SUBJECT).contains(&it.len()) && it.is_ascii();
    let Some(subject) = text("sub").filter(possible).map(str::to_owned) else {
        return wrong("sub");
    };
    let email = verified_email(|name| claims.get(name));
    let name = text("name").filter(is_short).unwrap_or_default().to_owned();
    Ok(IdToken {
        subject,
        email,
        name,
        claims,
    })
}

fn is_short(text: &&str) -> bool {
    text.len() <= MAX_TEXT && !text.contains(char::is_control)
}

/// The email of these claims, if the provider has verified it.
pub(crate) fn verified_email<'c>(claim: impl Fn(&str) -> Option<&'c Value>) -> Option<String> {
    let verified = claim("email_verified") == Some(&Value::Bool(true));
    let email = claim("email").and_then(Value::as_str);
    let email = email.filter(|it| verified && is_short(it) && it.contains('@'));
    email.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use ring::{
        hmac,
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        },
    };
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example";

    fn now() -> Timestamp {
        "2030-01-01T12:00:00Z".parse().unwrap()
    }

    fn ed() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn coded(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn public() -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": coded(ed().public_key()) })
    }

    fn keys() -> KeySet {
        KeySet::read(&json!({ "keys": [public()] })).unwrap()
    }

    fn expected() -> Expected<'static> {
        Expected {
            issuer: ISSUER,
            client_id: "nebula",
            nonce: "n-1",
            now: now(),
        }
    }

    fn claims(change: &Value) -> Value {
        let at = now().as_millis() / 1_000;
        let mut whole = json!({
            "iss": ISSUER, "aud": "nebula", "sub": "ann", "nonce": "n-1",
            "iat": at, "exp": at + 300, "email": "ann@example.org", "email_verified": true,
        });
        for (key, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(whole.as_object_mut().unwrap().remove(key)),
                value => whole[key] = value.clone(),
            }
        }
        whole
    }

    fn signed(head: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let text = format!("{}.{}", coded(head.to_string()), coded(claims.to_string()));
        let signature = coded(sign(text.as_bytes()));
        format!("{text}.{signature}")
    }

    fn by_ed(head: &Value, claims: &Value) -> String {
        signed(head, claims, |text| ed().sign(text).as_ref().to_vec())
    }

    fn checked(claims: &Value) -> Result<IdToken, IdTokenError> {
        let token = by_ed(&json!({ "alg": "EdDSA", "kid": "1" }), claims);
        check(&token, &keys(), &expected())
    }

    #[test]
    fn what_is_signed_for_this_client_and_login_is_believed() {
        let read = checked(&claims(&json!({ "name": "Ann" }))).unwrap();
        assert_eq!((&*read.subject, &*read.name), ("ann", "Ann"));
        assert_eq!(read.email.as_deref(), Some("ann@example.org"));
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&P256, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&P256, pkcs8.as_ref(), &random).unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = (coded(&point[..32]), coded(&point[32..]));
        let key =
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256", "use": "sig" });
        let keys = KeySet::read(&json!({ "keys": [public(), key] })).unwrap();
        let sign = |text: &[u8]| pair.sign(&random, text).unwrap().as_ref().to_vec();
        let token = signed(&json!({ "alg": "ES256" }), &claims(&json!({})), sign);
        assert!(check(&token, &keys, &expected()).is_ok());
    }

    /// Guards: each claim.
    #[test]
    fn what_is_for_another_or_not_for_now_is_refused() {
        let at = now().as_millis() / 1_000;
        for (change, name) in [
            (json!({ "iss": "https://id.example/" }), "iss"),
            (json!({ "iss": "https://evil.example" }), "iss"),
            (json!({ "iss": null }), "iss"),
            (json!({ "aud": "other" }), "aud"),
            (json!({ "aud": ["other"] }), "aud"),
            (json!({ "aud": null }), "aud"),
            (json!({ "aud": { "nebula": true } }), "aud"),
            (json!({ "aud": ["nebula", "other"] }), "azp"),
            (json!({ "aud": ["nebula", "other"], "azp": "other" }), "azp"),
            (json!({ "azp": "other" }), "azp"),
            (json!({ "azp": 7 }), "azp"),
            (json!({ "exp": at - 60 }), "exp"),
            (json!({ "exp": null }), "exp"),
            (json!({ "exp": "2099-01-01" }), "exp"),
            (json!({ "iat": at + 61 }), "iat"),
            (json!({ "iat": at - 660 }), "iat"),
            (json!({ "iat": null }), "iat"),
            (json!({ "nbf": at + 61 }), "nbf"),
            (json!({ "nbf": "now" }), "nbf"),
            (json!({ "nonce": "n-2" }), "nonce"),
            (json!({ "nonce": null }), "nonce"),
            (json!({ "sub": "" }), "sub"),
            (json!({ "sub": "ä" }), "sub"),
            (json!({ "sub": "x".repeat(256) }), "sub"),
            (json!({ "sub": 7 }), "sub"),
        ] {
            let found = checked(&claims(&change));
            assert_eq!(found, Err(IdTokenError::Claim(name)), "{change}");
        }
        for change in [
            json!({ "exp": at - 59 }),
            json!({ "iat": at + 60 }),
            json!({ "iat": at - 659 }),
            json!({ "aud": ["nebula"] }),
            json!({ "aud": ["other", "nebula"], "azp": "nebula" }),
            json!({ "nbf": at + 60 }),
        ] {
            assert!(checked(&claims(&change)).is_ok(), "{change}");
        }
    }

    /// Guard: nobody who has not verified it has an email.
    #[test]
    fn an_email_counts_only_if_it_was_verified() {
        for said in [json!(false), json!("true"), json!(1), Value::Null] {
            let read = checked(&claims(&json!({ "email_verified": said }))).unwrap();
            assert_eq!(read.email, None, "{said}");
        }
        let read = checked(&claims(&json!({ "email": "ann" }))).unwrap();
        assert_eq!(read.email, None);
    }

    /// Guards: `none`, a public key that is taken for a secret, and an algorithm that nobody allows.
    #[test]
    fn a_token_does_not_choose_how_it_is_checked() {
        let claims = claims(&json!({}));
        let unsigned = signed(&json!({ "alg": "none", "kid": "1" }), &claims, |_| {
            Vec::new()
        });
        assert_eq!(
            check(&unsigned, &keys(), &expected()),
            Err(IdTokenError::Algorithm)
        );
        for secret in [ed().public_key().as_ref(), public().to_string().as_bytes()] {
            for head in [
                json!({ "alg": "HS256", "kid": "1" }),
                json!({ "alg": "HS256" }),
            ] {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                let token = signed(&head, &claims, |text| {
                    hmac::sign(&key, text).as_ref().to_vec()
                });
                assert_eq!(
                    check(&token, &keys(), &expected()),
                    Err(IdTokenError::Algorithm)
                );
            }
        }
        for wrong in ["PS256", "RS512", "eddsa", "", "ES384"] {
            let token = by_ed(&json!({ "alg": wrong, "kid": "1" }), &claims);
            assert_eq!(
                check(&token, &keys(), &expected()),
                Err(IdTokenError::Algorithm)
            );
        }
        // Of an algorithm that is allowed, and that the key is not of.
        for other in ["RS256", "ES256"] {
            let token = by_ed(&json!({ "alg": other, "kid": "1" }), &claims);
            assert_eq!(
                check(&token, &keys(), &expected()),
                Err(IdTokenError::UnknownKey)
            );
        }
    }

    #[test]
    fn only_keys_that_are_published_for_signing_count() {
        let claims = claims(&json!({}));
        let token = by_ed(&json!({ "alg": "EdDSA", "kid": "2" }), &claims);
        assert_eq!(
            check(&token, &keys(), &expected()),
            Err(IdTokenError::UnknownKey)
        );
        for (name, value) in [("use", "enc"), ("alg", "ES256")] {
            let mut key = public();
            key[name] = json!(value);
            let keys = KeySet::read(&json!({ "keys": [key] })).unwrap();
            let token = by_ed(&json!({ "alg": "EdDSA", "kid": "1" }), &claims);
            assert_eq!(
                check(&token, &keys, &expected()),
                Err(IdTokenError::UnknownKey)
            );
        }
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let head = json!({ "alg": "EdDSA", "kid": "1" });
        let token = signed(&head, &claims, |text| other.sign(text).as_ref().to_vec());
        assert_eq!(
            check(&token, &keys(), &expected()),
            Err(IdTokenError::Signature)
        );
        let many = vec![json!({}); MAX_KEYS].into_iter().chain([public()]);
        let keys = KeySet::read(&json!({ "keys": many.collect::<Vec<_>>() })).unwrap();
        let token = by_ed(&json!({ "alg": "EdDSA", "kid": "1" }), &claims);
        assert_eq!(
            check(&token, &keys, &expected()),
            Err(IdTokenError::UnknownKey)
        );
    }

    #[test]
    fn what_is_changed_too_long_or_critical_is_refused() {
        let claims = claims(&json!({}));
        let good = by_ed(&json!({ "alg": "EdDSA", "kid": "1" }), &claims);
        let (head, rest) = good.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let other = coded(json!({ "sub": "bob" }).to_string());
        let swapped = format!("{head}.{other}.{signature}");
        assert_eq!(
            check(&swapped, &keys(), &expected()),
            Err(IdTokenError::Signature)
        );
        let critical = json!({ "alg": "EdDSA", "kid": "1", "crit": ["x"], "x": 1 });
        let long = by_ed(
            &json!({ "alg": "EdDSA", "pad": "x".repeat(MAX_ID_TOKEN) }),
            &claims,
        );
        for token in [
            &by_ed(&critical, &claims),
            &long,
            &"x.y".to_owned(),
            &String::new(),
        ] {
            assert_eq!(
                check(token, &keys(), &expected()),
                Err(IdTokenError::Malformed)
            );
        }
    }
}
