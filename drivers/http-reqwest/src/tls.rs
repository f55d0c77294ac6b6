//! TLS: rustls with ring, the system's certificates and those of the settings.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The TLS settings of `https` and of `http`.
#[derive(Debug)]
pub(crate) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    /// Made at the first `https` request: reading the system's certificates takes milliseconds.
    trusting: OnceLock<Result<ClientConfig, rustls::Error>>,
    /// Trusts nobody; for connections without TLS.
    none: ClientConfig,
}

impl Tls {
    /// Reads the certificates in `files`.
    ///
    /// # Errors
    /// A file cannot be read, or holds no certificate.
    pub(crate) fn new(files: &[PathBuf]) -> io::Result<Self> {
        let mut extra = Vec::new();
        for file in files {
            extra.extend(certificates(file)?);
        }
        let none = config(RootCertStore::empty()).map_err(io::Error::other)?;
        Ok(Self {
            extra,
            trusting: OnceLock::new(),
            none,
        })
    }

    pub(crate) fn config(&self, https: bool) -> Result<ClientConfig, String> {
        if !https {
            return Ok(self.none.clone());
        }
        let made = self.trusting.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            // A certificate that cannot be read is one that is not trusted.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots.add_parsable_certificates(self.extra.iter().cloned());
            config(roots)
        });
        match made {
            Ok(config) => Ok(config.clone()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What connections over TLS trust that are none of HTTP: the system's certificates and those in `files`, read
/// when the first one is made.
///
/// # Errors
/// A file cannot be read, or holds no certificate.
pub fn trusting(
    files: &[PathBuf],
) -> io::Result<impl Fn() -> Result<ClientConfig, String> + Send + Sync + 'static> {
    let tls = Tls::new(files)?;
    Ok(move || {
        let mut config = tls.config(true)?;
        config.alpn_protocols.clear();
        Ok(config)
    })
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let wrong = |error: &dyn std::fmt::Display| {
        io::Error::other(format!("the certificates in {}: {error}", file.display()))
    };
    let read = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))?;
    let found: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&error))?;
    match found.is_empty() {
        true => Err(wrong(&"there are none; the file must be PEM")),
        false => Ok(found),
    }
}

fn config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
