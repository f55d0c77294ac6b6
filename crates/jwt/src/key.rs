//! Public keys, each for one algorithm.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature;
use serde_json::Value;

use crate::SignedToken;

/// A public key for one algorithm (RFC 7518, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Key);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Rsa { pss: bool, n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// The key of `algorithm` (`RS256`, `PS256`, `ES256`, `EdDSA`) that a JSON Web Key holds; `None` if it
    /// holds none of it.
    #[must_use]
    pub fn of(algorithm: &str, key: &Value) -> Option<Self> {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok();
        let of = |length: usize| move |it: &Vec<u8>| it.len() == length;
        let key = match (algorithm, key["kty"].as_str()?, key["crv"].as_str()) {
            ("RS256" | "PS256", "RSA", _) => Key::Rsa {
                pss: algorithm == "PS256",
                n: bytes("n")?,
                e: bytes("e")?,
            },
            ("ES256", "EC", Some("P-256")) => {
                let (x, y) = (bytes("x").filter(of(32))?, bytes("y").filter(of(32))?);
                Key::P256([&[4][..], &x, &y].concat())
            }
            ("EdDSA", "OKP", Some("Ed25519")) => Key::Ed25519(bytes("x").filter(of(32))?),
            _ => return None,
        };
        Some(Self(key))
    }

    /// The name of its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Key::Rsa { pss: false, .. } => "RS256",
            Key::Rsa { pss: true, .. } => "PS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    /// Whether the token was signed with the secret of this key by its algorithm. RSA has 2,048 bits at
    /// least.
    #[must_use]
    pub fn holds(&self, token: &SignedToken<'_>) -> bool {
        // RFC 7515, 4.1.11: what is critical and not understood, refuses.
        if token.algorithm() != Some(self.algorithm()) || token.is_critical() {
            return false;
        }
        let (signed, given) = (token.signed(), token.signature());
        let verified = |algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            let key = signature::UnparsedPublicKey::new(algorithm, key);
            key.verify(signed, given).is_ok()
        };
        match &self.0 {
            Key::Rsa { pss, n, e } => {
                let algorithm = match pss {
                    true => &signature::RSA_PSS_2048_8192_SHA256,
                    false => &signature::RSA_PKCS1_2048_8192_SHA256,
                };
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(algorithm, signed, given).is_ok()
            }
            Key::P256(point) => verified(&signature::ECDSA_P256_SHA256_FIXED, point),
            Key::Ed25519(key) => verified(&signature::ED25519, key),
        }
    }
}
