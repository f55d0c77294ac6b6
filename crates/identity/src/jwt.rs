//! Signed tokens that live for minutes: JSON Web Tokens (RFC 7519) with HMAC-SHA-256 alone.
//!
//! The header is one fixed text that is compared as a whole: there is no algorithm to choose, so none
//! can be chosen wrongly (RFC 8725, 3.1). No library: the kept ones bring RSA, whose crate has an open
//! advisory, or a second provider of cryptography that is set for the whole process.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nebula_core::{Digest, PrincipalId, SecretString, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Who made the token.
const ISSUER: &str = "nebula";

/// For whom.
const AUDIENCE: &str = "nebula-api";

/// How far the clocks of two machines may be apart.
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);

/// The most bytes of a token: whatever is longer is none.
pub(crate) const MAX_JWT: usize = 1_024;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// Whose it is.
    pub(crate) sub: PrincipalId,
    /// The tenant.
    pub(crate) tid: TenantId,
    /// The session.
    pub(crate) sid: Uuid,
    /// Seconds since 1970.
    iat: i64,
    exp: i64,
}

impl Claims {
    pub(crate) fn new(
        tenant: &TenantId,
        principal: PrincipalId,
        session: Uuid,
        now: Timestamp,
        lives: Duration,
    ) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: principal,
            tid: tenant.clone(),
            sid: session,
            iat: now.as_millis() / 1_000,
            exp: now.plus(lives).as_millis() / 1_000,
        }
    }

    /// Whether it is for us, and now.
    fn holds(&self, now: Timestamp) -> bool {
        let now = now.as_millis() / 1_000;
        let leeway = i64::try_from(LEEWAY.as_secs()).expect("a small number");
        self.iss == ISSUER
            && self.aud == AUDIENCE
            && now < self.exp.saturating_add(leeway)
            && now.saturating_add(leeway) >= self.iat
    }
}

fn signature(key: &[u8], signed: &str) -> Digest {
    Digest::mac(key, signed.as_bytes())
}

/// Signs.
pub(crate) fn sign(key: &[u8], claims: &Claims) -> SecretString {
    let claims = serde_json::to_vec(claims).expect("texts and numbers");
    let signed = format!("{HEADER}.{}", BASE64.encode(claims));
    let signature = BASE64.encode(signature(key, &signed).as_bytes());
    SecretString::from(format!("{signed}.{signature}"))
}

/// Whether a text looks like a signed token.
pub(crate) fn is_one(text: &str) -> bool {
    text.len() <= MAX_JWT && text.split('.').count() == 3
}

/// The tenant that a token names, before anything of it is believed: it says which key to check with.
pub(crate) fn tenant(text: &str) -> Option<TenantId> {
    read(text).map(|(_, _, claims)| claims.tid)
}

fn read(text: &str) -> Option<(&str, [u8; 32], Claims)> {
    if !is_one(text) {
        return None;
    }
    let (signed, signature) = text.rsplit_once('.')?;
    let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
    let signature = BASE64.decode(signature).ok()?.try_into().ok()?;
    let claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
    Some((signed, signature, claims))
}

/// Reads a token that was signed with this key and holds now.
pub(crate) fn verify(key: &[u8], text: &str, now: Timestamp) -> Option<Claims> {
    let (signed, given, claims) = read(text)?;
    let right = signature(key, signed).as_bytes().ct_eq(&given);
    (bool::from(right) && claims.holds(now)).then_some(claims)
}

#[cfg(test)]
mod tests {
    use nebula_core::ExposeSecret;

    use super::*;

    const KEY: &[u8] = b"a key of thirty-two bytes, about";
    const LIVES: Duration = Duration::from_mins(10);

    fn now() -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000)
    }

    fn claims() -> Claims {
        let id = Uuid::from_u128(7).into();
        Claims::new(&TenantId::local(), id, Uuid::from_u128(8), now(), LIVES)
    }

    fn signed(header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = BASE64.encode(signature(KEY, &signed).as_bytes());
        format!("{signed}.{signature}")
    }

    #[test]
    fn a_token_holds_for_its_time_and_its_key() {
        let text = sign(KEY, &claims());
        let text = text.expose_secret();
        assert_eq!(verify(KEY, text, now()), Some(claims()));
        assert_eq!(verify(b"another", text, now()), None);
        let last = now().plus(LIVES + LEEWAY - Duration::from_secs(1));
        assert!(verify(KEY, text, last).is_some());
        assert!(verify(KEY, text, now().plus(LIVES + LEEWAY)).is_none());
        let early = Timestamp::from_millis(now().as_millis() - 31_000);
        assert!(verify(KEY, text, early).is_none());
    }

    #[test]
    fn no_header_and_no_claim_but_ours_is_taken() {
        let ours = serde_json::to_string(&claims()).unwrap();
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        assert!(verify(KEY, &signed(header, &ours), now()).is_some());
        for header in [
            r#"{"alg":"none","typ":"JWT"}"#,
            r#"{"alg":"HS512","typ":"JWT"}"#,
            r#"{"alg":"hs256","typ":"JWT"}"#,
            r#"{"typ":"JWT","alg":"HS256"}"#,
            r#"{"alg":"HS256","typ":"JWT","kid":"x"}"#,
            r#"{"alg":"RS256","typ":"JWT"}"#,
        ] {
            assert_eq!(verify(KEY, &signed(header, &ours), now()), None, "{header}");
        }
        for (from, to) in [
            (r#""aud":"nebula-api""#, r#""aud":"other""#),
            (r#""iss":"nebula""#, r#""iss":"other""#),
            (r#""tid":"local""#, r#""tid":"../x""#),
            (r#"{"iss""#, r#"{"more":1,"iss""#),
        ] {
            let claims = ours.replace(from, to);
            assert_ne!(claims, ours);
            assert_eq!(
                verify(KEY, &signed(header, &claims), now()),
                None,
                "{claims}"
            );
        }
    }

    #[test]
    fn a_changed_character_is_no_token() {
        let text = sign(KEY, &claims());
        let text = text.expose_secret();
        for at in 0..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(verify(KEY, &changed, now()), None, "{at}");
        }
        for wrong in [
            "",
            ".",
            "..",
            "a.b.c",
            &format!("{text}="),
            &format!("{text}."),
        ] {
            assert_eq!(verify(KEY, wrong, now()), None);
        }
        let unsigned = text.rsplit_once('.').unwrap().0;
        assert_eq!(verify(KEY, &format!("{unsigned}."), now()), None);
    }
}
