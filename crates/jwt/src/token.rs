//! Tokens as they come: three parts in Base64.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// A token that was read; nothing of it is to be believed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedToken<'t> {
    head: Map<String, Value>,
    /// Head and claims, as they were signed.
    signed: &'t str,
    claims: &'t str,
    signature: Vec<u8>,
}

impl<'t> SignedToken<'t> {
    /// Reads a token in its compact form; `None` if it is none. How long it may be, the caller says.
    #[must_use]
    pub fn read(text: &'t str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        if claims.contains('.') {
            return None;
        }
        Some(Self {
            head: object(head)?,
            signed,
            claims,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// How it says that it was signed.
    #[must_use]
    pub fn algorithm(&self) -> Option<&str> {
        self.head.get("alg")?.as_str()
    }

    /// With which key it says that it was signed.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.head.get("kid")?.as_str()
    }

    /// Whether its reader must understand more than is understood here.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.head.contains_key("crit")
    }

    /// What was signed.
    #[must_use]
    pub fn signed(&self) -> &'t [u8] {
        self.signed.as_bytes()
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What it says; `None` if that is no JSON object.
    #[must_use]
    pub fn claims(&self) -> Option<Map<String, Value>> {
        object(self.claims)
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_three_parts_is_no_token() {
        for wrong in [
            "",
            ".",
            "..",
            "e30",
            "e30.e30",
            "e30.e30.e30.e30",
            "W10.e30.",
            "e30.e30.!",
        ] {
            assert_eq!(SignedToken::read(wrong), None, "{wrong}");
        }
        let read = SignedToken::read("e30.e30.").unwrap();
        assert_eq!((read.algorithm(), read.claims()), (None, Some(Map::new())));
    }
}
