//! Asks an OpenID provider who somebody is (OpenID Connect Core 1.0, the code flow).
//!
//! [`OidcConfig`] is what an operator says of the provider. [`Provider::begin`] gives the address at which
//! somebody logs in there, [`Provider::finish`] takes what their browser brings back and says who they are:
//! [`Claimed`]. What an ID token must say is a pure function, [`check`]. Start reading at
//! [`Provider::finish`].
//!
//! Does not know: who has an account here, browsers, cookies and sessions, how a request leaves the host.
//!
//! # Invariants
//! - What is believed of somebody stands in an ID token that the configured issuer signed, for this client,
//!   for this login, and now; by RS256, ES256 or EdDSA, never by what the token itself chooses.
//! - An email counts only if the provider says that it was verified.
//! - Where codes and the client's secret go is said by the issuer's own document, over TLS.
//! - Whatever callers bring, the provider is asked for its keys at most once in [`KEYS_AGAIN`].
//!
//! ```
//! use nebula_oidc::OidcConfig;
//!
//! let config = |issuer: &str| OidcConfig {
//!     issuer: Some(issuer.to_owned()),
//!     client_id: "nebula".to_owned(),
//!     ..OidcConfig::default()
//! };
//! assert!(config("https://id.example").settings().unwrap().is_some());
//! assert!(config("http://id.example").settings().is_err()); // anybody on the way could answer
//! assert!(OidcConfig::default().settings().unwrap().is_none()); // there is no provider
//! ```

mod config;
mod id_token;
mod provider;

pub use config::{OidcConfig, OidcConfigError, OidcSettings};
pub use id_token::{
    ALGORITHMS, Expected, IdToken, IdTokenError, KeySet, MAX_AGE, MAX_ID_TOKEN, MAX_KEYS, SKEW,
    check,
};
pub use provider::{
    AGAIN, Back, Claimed, KEYS_AGAIN, KEYS_LAST, MAX_DOCUMENT, Provider, ProviderError,
    ProviderPorts,
};
