//! Signed tokens of others, and the keys that they are held against.
//!
//! A [`SignedToken`] is a JSON Web Token (RFC 7519) that was read and not yet believed. A [`PublicKey`] is a
//! JSON Web Key (RFC 7517) for one algorithm. Start reading at [`PublicKey::holds`].
//!
//! Does not know: which algorithms and keys somebody trusts, what time it is, what a claim means.
//!
//! # Invariants
//! - Whoever asks says the algorithm; a token never chooses by which one it is checked (RFC 8725, 3.1).
//! - A public key is never used as a secret: what HMAC signs is no business of this package.
//! - Foreign input ends with `None`, never with a panic.
//!
//! ```
//! use nebula_jwt::{PublicKey, SignedToken};
//! use serde_json::json;
//!
//! // RFC 8037, appendices A.2 and A.4.
//! let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
//! let key = PublicKey::of("EdDSA", &key).unwrap();
//! let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
//!     hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
//! let token = SignedToken::read(text).unwrap();
//! assert_eq!(token.algorithm(), Some("EdDSA"));
//! assert!(key.holds(&token));
//! assert_eq!(token.claims(), None); // what was signed there is no JSON
//! ```

mod key;
mod token;

pub use key::PublicKey;
pub use token::SignedToken;
