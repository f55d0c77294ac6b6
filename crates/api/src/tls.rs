//! The certificate of a server, which can be replaced while it serves.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Why certificate and key are of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The first is no certificate.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The second is no key.
    #[error("the key cannot be read: {0}")]
    Key(String),
    /// They cannot be used, or do not belong together.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3 with one certificate, for HTTP/1.1.
#[derive(Clone)]
pub struct Tls {
    now: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its key: both as PEM.
    ///
    /// # Errors
    /// [`TlsError`]; it never has anything of the key in it.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let config = Arc::new(config(chain, key)?);
        Ok(Self {
            now: Arc::new(RwLock::new(config)),
        })
    }

    /// Takes another certificate for connections that come from now on.
    ///
    /// # Errors
    /// [`TlsError`]: the one before stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let new = Arc::new(config(chain, key)?);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub(crate) fn now(&self) -> Arc<ServerConfig> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&now)
    }
}

fn config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| TlsError::Certificate(error.to_string()))?;
    if certificates.is_empty() {
        let message = "it has no certificate in PEM".to_owned();
        return Err(TlsError::Certificate(message));
    }
    let key = PrivateKeyDer::from_pem_slice(key);
    let key = key.map_err(|error| TlsError::Key(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_no_key_is_told_apart() {
        let chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let of = |chain: &str, key: &str| Tls::new(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(of("", ""), TlsError::Certificate(_)));
        assert!(matches!(of("no PEM", ""), TlsError::Certificate(_)));
        assert!(matches!(of(chain, ""), TlsError::Key(_)));
        assert!(matches!(of(chain, chain), TlsError::Key(_)));
    }
}
