//! JSON Web Tokens (RFC 7519) of whoever calls a webhook.

use std::time::Duration;

use nebula_core::{ExposeSecret as _, SecretId, SecretString, Timestamp};
use nebula_jwt::{PublicKey, SignedToken};
use ring::hmac;
use serde_json::Value;

use crate::{Refused, reader::Reader};

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 << 10;
/// By how much clocks may differ at most.
const MAX_LEEWAY: Duration = Duration::from_secs(600);
/// By how much they may where nothing is said.
const LEEWAY: Duration = Duration::from_secs(30);

/// A token that is asked for. What it is signed with stands here, and not in the token: so nobody can
/// have a public key taken for a secret (RFC 8725, 3.1).
///
/// `algorithm` is one of `HS256`, `HS384`, `HS512`, whose key is a `secret` of 32 bytes at least, or of
/// `RS256`, `PS256`, `ES256`, `EdDSA`, whose public `key` is a JSON Web Key (RFC 7517). `exp` must be in the token;
/// `nbf` counts, and `iss` and `aud` where `issuer` and `audience` are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    key: Key,
    issuer: Option<String>,
    audience: Option<String>,
    leeway: Duration,
}

#[derive(Debug, Clone, PartialEq)]
enum Key {
    Secret { name: &'static str, id: SecretId },
    Public(PublicKey),
}

impl Key {
    fn name(&self) -> &'static str {
        match self {
            Self::Secret { name, .. } => name,
            Self::Public(key) => key.algorithm(),
        }
    }

    fn holds(&self, secret: Option<&SecretString>, token: &SignedToken<'_>) -> bool {
        match self {
            Self::Secret { name, .. } => {
                let algorithm = match *name {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                // RFC 7518, 3.2: a shorter one could be guessed from one token.
                let secret = secret.map(|it| it.expose_secret().as_bytes());
                let secret = secret.filter(|it| it.len() >= 32);
                secret.is_some_and(|key| {
                    let key = hmac::Key::new(algorithm, key);
                    hmac::verify(&key, token.signed(), token.signature()).is_ok()
                })
            }
            Self::Public(key) => key.holds(token),
        }
    }
}

impl Jwt {
    pub(crate) fn secret(&self) -> Option<&SecretId> {
        match &self.key {
            Key::Secret { id, .. } => Some(id),
            Key::Public(_) => None,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.refuse_others([
            "type",
            "algorithm",
            "secret",
            "key",
            "issuer",
            "audience",
            "leeway",
        ]);
        let key = match reader.needed("algorithm", "algorithm: HS256") {
            Some(name @ ("HS256" | "HS384" | "HS512")) => {
                if reader.get("key").is_some() {
                    reader.wrong("key", format!("{name} has a `secret`, and no public key"));
                }
                let names = ["HS256", "HS384", "HS512"];
                let name = names.into_iter().find(|it| *it == name);
                let id = reader.secret();
                name.zip(id).map(|(name, id)| Key::Secret { name, id })
            }
            Some(name @ ("RS256" | "PS256" | "ES256" | "EdDSA")) => {
                if reader.get("secret").is_some() {
                    reader.wrong(
                        "secret",
                        format!("{name} has a public `key`, and no secret"),
                    );
                }
                let key = reader.get("key").and_then(|key| PublicKey::of(name, key));
                if key.is_none() {
                    let message = format!(
                        "expected the public key of {name} as a JSON Web Key: an object with `kty`"
                    );
                    reader.wrong("key", message);
                }
                key.map(Key::Public)
            }
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                let message =
                    format!("`{other}` is none of HS256, HS384, HS512, RS256, PS256, ES256, EdDSA");
                reader.wrong("algorithm", message);
                None
            }
            None => None,
        };
        Some(Self {
            issuer: reader.text("issuer").map(str::to_owned),
            audience: reader.text("audience").map(str::to_owned),
            leeway: reader.span("leeway", MAX_LEEWAY).unwrap_or(LEEWAY),
            key: key?,
        })
    }

    /// The claims of a token that counts.
    pub(crate) fn check(
        &self,
        token: &str,
        secret: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Value, Refused> {
        let malformed = || Refused::Malformed("the token");
        if token.len() > MAX_TOKEN_BYTES {
            return Err(malformed());
        }
        let token = SignedToken::read(token).ok_or_else(malformed)?;
        // RFC 7515, 4.1.11: what is critical and not understood, refuses.
        if token.algorithm() != Some(self.key.name()) || token.is_critical() {
            return Err(Refused::Wrong("the algorithm of the token"));
        }
        if !self.key.holds(secret, &token) {
            return Err(Refused::Wrong("the signature"));
        }
        let claims = Value::Object(token.claims().ok_or_else(malformed)?);
        let seconds = |name: &str| claims.get(name).map(|it| it.as_f64().unwrap_or(f64::NAN));
        let now = now.as_millis() as f64 / 1_000.0;
        let leeway = self.leeway.as_secs_f64();
        // What is no number compares with nothing.
        if !seconds("exp").is_some_and(|it| now < it + leeway) {
            return Err(Refused::Claim("exp"));
        }
        if !seconds("nbf").is_none_or(|it| now + leeway >= it) {
            return Err(Refused::Claim("nbf"));
        }
        if self
            .issuer
            .as_ref()
            .is_some_and(|it| claims["iss"] != it.as_str())
        {
            return Err(Refused::Claim("iss"));
        }
        let meant = |wanted: &String| match &claims["aud"] {
            Value::Array(all) => all.iter().any(|it| it == wanted.as_str()),
            one => one == wanted.as_str(),
        };
        if !self.audience.as_ref().is_none_or(meant) {
            return Err(Refused::Claim("aud"));
        }
        Ok(claims)
    }
}
