//! How whoever calls a webhook proves who they are.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nebula_core::{Digest, ExposeSecret as _, SecretId, SecretString, Timestamp};
use ring::{hmac, signature};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use crate::{
    jwt::Jwt,
    reader::Reader,
    standard::{self, Standard},
};

/// For how long a signed delivery counts at most, before and after its timestamp: keys of executions
/// live for seven days, so that one which is replayed within the window is always known.
pub const MAX_REPLAY_WINDOW: Duration = Duration::from_secs(86_400);
/// For how long it does where nothing is said.
pub(crate) const REPLAY_WINDOW: Duration = Duration::from_secs(300);

/// How whoever calls proves who they are.
///
/// | written | what is asked |
/// |---|---|
/// | `none` | nothing: whoever knows the address may call |
/// | `{ type: basic, user, secret }` | a name and a password |
/// | `{ type: header, name, secret }` | a header with the secret |
/// | `{ type: jwt, algorithm, secret or key, issuer, audience, leeway }` | a bearer token ([`Jwt`]) |
/// | `{ type: hmac, secret, header, … }`, `{ type: ed25519, public_key, header, … }` | a [`Signature`] |
/// | `{ type: standard_webhooks, secret, window }` | a signature as [Standard Webhooks](Standard) has it |
///
/// `secret` is the id of a secret; there is no place for one itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// Nothing is asked.
    None,
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        user: String,
        /// The password.
        secret: SecretId,
    },
    /// A header with the secret.
    Header {
        /// Which header, in lower case.
        name: String,
        /// Its value.
        secret: SecretId,
    },
    /// A signed token.
    Jwt(Jwt),
    /// The delivery is signed.
    Signature(Signature),
    /// The delivery is signed as Standard Webhooks says.
    Standard(Standard),
}

/// A signature over a delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    scheme: Scheme,
    /// Which header has it, in lower case.
    header: String,
    /// Which part of a header `name=value,name=value` it is.
    part: Option<String>,
    /// What stands before it.
    prefix: String,
    encoding: Encoding,
    timestamp: Option<Stamp>,
    signed: Vec<Piece>,
    window: Duration,
}

#[derive(Debug, Clone, PartialEq)]
enum Scheme {
    Hmac {
        algorithm: Hash,
        secret: SecretId,
        key: Encoding,
    },
    Ed25519 {
        public_key: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Hash {
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Encoding {
    #[default]
    Hex,
    Base64,
    Utf8,
}

/// Where the time of a signature stands.
#[derive(Debug, Clone, PartialEq)]
enum Stamp {
    Header(String),
    Part(String),
}

/// A piece of what is signed.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Timestamp,
    Body,
    Header(String),
}

/// The headers of a delivery, with names in lower case.
#[derive(Debug, Clone, Default)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

/// What a delivery has proved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proof {
    /// Names what was signed, if something was: the same for a delivery that is replayed.
    pub signed: Option<Digest>,
    /// The claims of its token.
    pub claims: Option<Value>,
}

/// Why a delivery proved nothing. No text has anything of what was sent, or of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// What must be there is not.
    #[error("the header `{0}` is missing, or is there twice")]
    Missing(String),
    /// It is none.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// It is another one.
    #[error("{0} is wrong")]
    Wrong(&'static str),
    /// It is too old, or from the future.
    #[error("its timestamp is further away than {} from now", nebula_core::duration_text(*.0))]
    Stale(Duration),
    /// A token says that it does not count.
    #[error("the token does not count: its `{0}` does not fit")]
    Claim(&'static str),
}

impl Headers {
    /// The one header of this name.
    pub(crate) fn one(&self, name: &str) -> Result<&str, Refused> {
        let mut all = self.0.iter().filter(|(known, _)| known == name);
        let missing = || Refused::Missing(name.to_owned());
        let (_, value) = all.next().ok_or_else(missing)?;
        match all.next() {
            Some(_) => Err(missing()),
            None => str::from_utf8(value).map_err(|_| Refused::Malformed("a header")),
        }
    }
}

/// Whether what was shown is the secret, in a time that tells nothing of either: not even how long the
/// secret is. [`SecretString`] has no other comparison.
fn is_secret(shown: &[u8], secret: &SecretString) -> bool {
    let (shown, secret) = (
        Digest::of(shown),
        Digest::of(secret.expose_secret().as_bytes()),
    );
    shown.as_bytes().ct_eq(secret.as_bytes()).into()
}

impl Auth {
    /// The secret that [`Auth::check`] needs.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretId> {
        match self {
            Self::None => None,
            Self::Basic { secret, .. } | Self::Header { secret, .. } => Some(secret),
            Self::Jwt(jwt) => jwt.secret(),
            Self::Standard(standard) => Some(standard.secret()),
            Self::Signature(signature) => match &signature.scheme {
                Scheme::Hmac { secret, .. } => Some(secret),
                Scheme::Ed25519 { .. } => None,
            },
        }
    }

    /// Whether the body is a part of what proves it.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        matches!(self, Self::Signature(_) | Self::Standard(_))
    }

    /// Whether a header, by its name in lower case, opens something: it belongs into no journal.
    #[must_use]
    pub fn hides(&self, header: &str) -> bool {
        let usual = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
        ];
        usual.contains(&header)
            || match self {
                Self::Header { name, .. } => name == header,
                Self::Signature(signature) => signature.header == header,
                Self::Standard(_) => header == standard::SIGNATURE,
                _ => false,
            }
    }

    /// What a delivery proves, at this time; `secret` is that of [`Auth::secret`].
    ///
    /// # Errors
    /// [`Refused`]: it proves nothing.
    pub fn check(
        &self,
        headers: &Headers,
        body: &[u8],
        secret: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Proof, Refused> {
        // A secret that is not there opens nothing.
        let needed = || secret.ok_or(Refused::Wrong("what was shown"));
        match self {
            Self::None => Ok(Proof::default()),
            Self::Basic { user, .. } => {
                let (name, password) = basic(headers.one("authorization")?)?;
                let name = Digest::of(&name);
                let name = name
                    .as_bytes()
                    .ct_eq(Digest::of(user.as_bytes()).as_bytes());
                // Both are compared, whatever came of the first.
                match bool::from(name) & is_secret(&password, needed()?) {
                    true => Ok(Proof::default()),
                    false => Err(Refused::Wrong("the name or the password")),
                }
            }
            Self::Header { name, .. } => {
                match is_secret(headers.one(name)?.as_bytes(), needed()?) {
                    true => Ok(Proof::default()),
                    false => Err(Refused::Wrong("the secret")),
                }
            }
            Self::Jwt(jwt) => {
                let shown = headers.one("authorization")?;
                let token = shown
                    .split_once(' ')
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
                let (_, token) = token.ok_or(Refused::Malformed("the token"))?;
                let claims = Some(jwt.check(token.trim(), secret, now)?);
                Ok(Proof {
                    claims,
                    signed: None,
                })
            }
            Self::Signature(signature) => signature.check(headers, body, secret, now),
            Self::Standard(standard) => standard.check(headers, body, secret, now),
        }
    }
}

fn basic(shown: &str) -> Result<(Vec<u8>, Vec<u8>), Refused> {
    let malformed = || Refused::Malformed("the name and the password");
    let (scheme, rest) = shown.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let mut decoded = STANDARD.decode(rest.trim()).map_err(|_| malformed())?;
    let colon = decoded
        .iter()
        .position(|it| *it == b':')
        .ok_or_else(malformed)?;
    let password = decoded.split_off(colon + 1);
    decoded.truncate(colon);
    Ok((decoded, password))
}

impl Signature {
    /// The values that a header `name=value,name=value` has under this name.
    fn parts<'h>(header: &'h str, name: &str) -> Vec<&'h str> {
        let pairs = header
            .split(',')
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value)
            .collect()
    }

    fn check(
        &self,
        headers: &Headers,
        body: &[u8],
        secret: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Proof, Refused> {
        let header = headers.one(&self.header)?;
        let shown = match &self.part {
            Some(name) => Self::parts(header, name),
            None => vec![header],
        };
        let stamp = match &self.timestamp {
            None => "",
            Some(Stamp::Header(name)) => headers.one(name)?,
            Some(Stamp::Part(name)) => match Self::parts(header, name)[..] {
                [one] => one,
                _ => return Err(Refused::Malformed("the timestamp")),
            },
        };
        let mut signed = Vec::with_capacity(body.len() + 64);
        for piece in &self.signed {
            match piece {
                Piece::Text(text) => signed.extend_from_slice(text.as_bytes()),
                Piece::Timestamp => signed.extend_from_slice(stamp.as_bytes()),
                Piece::Body => signed.extend_from_slice(body),
                Piece::Header(name) => signed.extend_from_slice(headers.one(name)?.as_bytes()),
            }
        }
        let secret = secret.map(|it| it.expose_secret().as_bytes());
        // While a key is replaced, a sender may show a signature of each.
        let right = shown.iter().take(8).any(|text| {
            let text = text.strip_prefix(self.prefix.as_str());
            let given = text.and_then(|text| self.encoding.decode(text.as_bytes()));
            given.is_some_and(|given| self.scheme.holds(secret, &signed, &given))
        });
        if !right {
            return Err(Refused::Wrong("the signature"));
        }
        if self.timestamp.is_some() {
            let at = at(stamp).ok_or(Refused::Malformed("the timestamp"))?;
            if now.since(at).max(at.since(now)) > self.window {
                return Err(Refused::Stale(self.window));
            }
        }
        // Of what was signed, not of the signature: that can be written in several ways.
        let signed = Some(Digest::of(&signed));
        Ok(Proof {
            signed,
            claims: None,
        })
    }
}

/// Seconds or milliseconds since 1970, or RFC 3339.
fn at(stamp: &str) -> Option<Timestamp> {
    match stamp.parse::<i64>() {
        Ok(number) if number.abs() < 100_000_000_000 => {
            Some(Timestamp::from_millis(number.checked_mul(1_000)?))
        }
        Ok(number) => Some(Timestamp::from_millis(number)),
        Err(_) => stamp.parse().ok(),
    }
}

impl Scheme {
    fn holds(&self, secret: Option<&[u8]>, signed: &[u8], given: &[u8]) -> bool {
        match self {
            Self::Hmac { algorithm, key, .. } => {
                let algorithm = match algorithm {
                    Hash::Sha256 => hmac::HMAC_SHA256,
                    Hash::Sha384 => hmac::HMAC_SHA384,
                    Hash::Sha512 => hmac::HMAC_SHA512,
                };
                let key = secret.and_then(|secret| key.decode(secret));
                // An empty key is everybody's.
                let key = key.filter(|key| !key.is_empty());
                // This compares in constant time.
                key.is_some_and(|key| {
                    hmac::verify(&hmac::Key::new(algorithm, &key), signed, given).is_ok()
                })
            }
            Self::Ed25519 { public_key } => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, public_key);
                key.verify(signed, given).is_ok()
            }
        }
    }
}

impl Encoding {
    fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.to_vec()),
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex => {
                let digit = |it: u8| char::from(it).to_digit(16);
                let pairs = text.chunks(2).map(|pair| match pair {
                    [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
                    _ => None,
                });
                pairs.collect()
            }
        }
    }
}

/// Reads `auth`; what is wrong with it is told to `reader`.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Auth> {
    let object = match reader.get("auth") {
        Some(Value::String(text)) if text == "none" => return Some(Auth::None),
        Some(Value::Object(object)) => object,
        Some(_) => {
            reader.wrong("auth", "expected `none`, or an object with a `type`");
            return None;
        }
        None => {
            let message = "it is missing; write it like `auth: { type: header, name: X-Api-Key, secret: shop-key }`, or `auth: none` if whoever knows the address may call";
            reader.wrong("auth", message);
            return None;
        }
    };
    let mut inner = Reader::new(object);
    let auth = match inner.needed("type", "type: hmac") {
        Some("basic") => {
            inner.refuse_others(["type", "user", "secret"]);
            let user = inner.needed("user", "user: shop").map(str::to_owned);
            let secret = inner.secret();
            user.zip(secret)
                .map(|(user, secret)| Auth::Basic { user, secret })
        }
        Some("header") => {
            inner.refuse_others(["type", "name", "secret"]);
            let name = inner.header("name", "name: X-Api-Key");
            let secret = inner.secret();
            name.zip(secret)
                .map(|(name, secret)| Auth::Header { name, secret })
        }
        Some("jwt") => Jwt::read(&mut inner).map(Auth::Jwt),
        Some("hmac") => inner.signature(true).map(Auth::Signature),
        Some("standard_webhooks") => Standard::read(&mut inner).map(Auth::Standard),
        Some("ed25519") => inner.signature(false).map(Auth::Signature),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            let message = format!(
                "`{other}` is none of `basic`, `header`, `jwt`, `hmac`, `ed25519`, `standard_webhooks`"
            );
            inner.wrong("type", message);
            None
        }
        None => None,
    };
    reader.within("auth", inner.errors());
    auth
}

impl Reader<'_> {
    /// The id of a secret.
    pub(crate) fn secret(&mut self) -> Option<SecretId> {
        let text = self.needed("secret", "secret: shop-key")?;
        let id = SecretId::new(text).map_err(|_| {
            "this is the id of a secret, which `nebula secrets set ID` sets; the secret itself has no place here".to_owned()
        });
        let id = match id {
            // The keys of the installation are no passwords of anybody.
            Ok(id) if id.as_str().starts_with("nebula.") => {
                Err(format!("`{id}` is a secret of the installation"))
            }
            id => id,
        };
        id.map_err(|message| self.wrong("secret", message)).ok()
    }

    /// The name of a header, in lower case.
    fn header(&mut self, field: &'static str, such: &str) -> Option<String> {
        let name = self.needed(field, such)?;
        self.header_name(field, name)
    }

    fn header_name(&mut self, field: &str, name: &str) -> Option<String> {
        let letter = |it: u8| it.is_ascii_alphanumeric() || b"-_".contains(&it);
        if name.is_empty() || name.len() > 128 || !name.bytes().all(letter) {
            self.wrong(field, "this is no name of a header");
            return None;
        }
        Some(name.to_ascii_lowercase())
    }

    fn signature(&mut self, hmac: bool) -> Option<Signature> {
        let own: &[&str] = match hmac {
            true => &["secret", "algorithm", "key_encoding"],
            false => &["public_key"],
        };
        let shared = [
            "type",
            "header",
            "part",
            "prefix",
            "encoding",
            "timestamp",
            "timestamp_part",
            "signed",
            "window",
        ];
        self.refuse_others(shared.into_iter().chain(own.iter().copied()));
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        let scheme = match hmac {
            true => self.hmac(),
            false => self.ed25519(),
        };
        let header = self.header("header", "header: X-Signature");
        let part = self.text("part").map(str::to_owned);
        let prefix = self.text("prefix").unwrap_or_default().to_owned();
        let encoding = self.choice("encoding", &encodings);
        let timestamp = match (self.text("timestamp"), self.text("timestamp_part")) {
            (Some(_), Some(_)) => {
                self.wrong(
                    "timestamp_part",
                    "`timestamp` is there too; one of the two says where it is",
                );
                None
            }
            (Some(name), None) => self.header_name("timestamp", name).map(Stamp::Header),
            (None, Some(part)) => Some(Stamp::Part(part.to_owned())),
            (None, None) => None,
        };
        let usual = match timestamp {
            Some(_) => "{timestamp}.{body}",
            None => "{body}",
        };
        let signed = self.text("signed").unwrap_or(usual);
        let signed = self.pieces(signed, timestamp.is_some());
        let window = self.span("window", MAX_REPLAY_WINDOW);
        if window.is_some() && timestamp.is_none() {
            self.wrong("window", "there is no `timestamp` that it could be about");
        }
        Some(Signature {
            scheme: scheme?,
            header: header?,
            part,
            prefix,
            encoding,
            timestamp,
            signed: signed?,
            window: window.unwrap_or(REPLAY_WINDOW),
        })
    }

    fn hmac(&mut self) -> Option<Scheme> {
        let hashes = [
            ("sha256", Hash::Sha256),
            ("sha384", Hash::Sha384),
            ("sha512", Hash::Sha512),
        ];
        let keys = [
            ("utf8", Some(Encoding::Utf8)),
            ("hex", Some(Encoding::Hex)),
            ("base64", Some(Encoding::Base64)),
        ];
        let algorithm = self.choice("algorithm", &hashes);
        let key = self.choice("key_encoding", &keys).unwrap_or(Encoding::Utf8);
        let secret = self.secret()?;
        Some(Scheme::Hmac {
            algorithm,
            secret,
            key,
        })
    }

    fn ed25519(&mut self) -> Option<Scheme> {
        let text = self.needed("public_key", "public_key: 32 bytes in hex or base64")?;
        let keys = [Encoding::Hex, Encoding::Base64].map(|it| it.decode(text.as_bytes()));
        let key = keys.into_iter().flatten().find(|key| key.len() == 32);
        if key.is_none() {
            self.wrong("public_key", "it is 32 bytes, in hex or base64");
        }
        key.map(|public_key| Scheme::Ed25519 { public_key })
    }

    /// What is signed: `{timestamp}.{body}`. Body and timestamp must be in it, or they would prove nothing.
    fn pieces(&mut self, written: &str, stamped: bool) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut rest = written;
        while let Some(open) = rest.find('{') {
            let (text, after) = rest.split_at(open);
            let Some(close) = after.find('}') else {
                self.wrong("signed", "a brace is not closed");
                return None;
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            pieces.push(match &after[1..close] {
                "timestamp" => Piece::Timestamp,
                "body" => Piece::Body,
                name => match name.strip_prefix("header:") {
                    Some(header) => Piece::Header(self.header_name("signed", header)?),
                    None => {
                        let name: String = name.chars().take(40).collect();
                        let message = format!(
                            "`{{{name}}}` is none of `{{timestamp}}`, `{{body}}`, `{{header:NAME}}`"
                        );
                        self.wrong("signed", message);
                        return None;
                    }
                },
            });
            rest = &after[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        if !pieces.contains(&Piece::Body) || pieces.contains(&Piece::Timestamp) != stamped {
            self.wrong(
                "signed",
                "`{body}` must be in it, and `{timestamp}` where there is a `timestamp`: what is not signed proves nothing",
            );
            return None;
        }
        Some(pieces)
    }
}
