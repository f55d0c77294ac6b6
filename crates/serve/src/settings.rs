//! How a server answers.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use nebula_api::ApiConfig;
use nebula_core::serde_duration;
use nebula_oidc::OidcConfig;
use serde::{Deserialize, Serialize};

/// How a server answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeSettings {
    /// Where it listens, if `--listen` says nothing.
    pub listen: SocketAddr,
    /// How long requests that are under way may take once it is asked to stop.
    #[serde(with = "serde_duration")]
    pub grace: Duration,
    /// The file with its certificate, in PEM, if `--tls-cert` says nothing; without one there is no TLS.
    pub tls_cert: Option<PathBuf>,
    /// The file with the key of that.
    pub tls_key: Option<PathBuf>,
    /// How long it pauses between one deletion of blobs that no execution names and the next; zero: it
    /// deletes none.
    #[serde(with = "serde_duration")]
    pub collect_every: Duration,
    /// The limits of the API.
    pub limits: ApiConfig,
    /// The provider of identities by which people log in beside their passwords.
    pub oidc: OidcConfig,
}

impl Default for ServeSettings {
    /// On this machine alone.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            grace: Duration::from_secs(30),
            collect_every: Duration::from_hours(6),
            tls_cert: None,
            tls_key: None,
            limits: ApiConfig::default(),
            oidc: OidcConfig::default(),
        }
    }
}
