//! Certificate and key of a server, as files that may be replaced while it serves.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use nebula_api::{Tls, TlsError};
use zeroize::Zeroizing;

use nebula_program::failure::Failure;

use crate::settings::ServeSettings;

/// The largest of these files that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// What tells one state of a file from the next: its length, and when it was changed.
type Seen = [Option<(u64, SystemTime)>; 2];

/// Two files, and what was read from them last.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    seen: Seen,
    tls: Tls,
}

impl TlsFiles {
    /// Reads what the settings name; none if they name nothing.
    pub(crate) fn open(settings: &ServeSettings) -> Result<Option<Self>, Failure> {
        let named = |path: &Option<PathBuf>| {
            let absolute = path.as_ref().map(|path| {
                std::path::absolute(path).map_err(|error| Failure::file(path, "find", &error))
            });
            absolute.transpose()
        };
        let (certificate, key) = (named(&settings.tls_cert)?, named(&settings.tls_key)?);
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            _ => {
                let message = "TLS needs both a certificate and its key, and one is named";
                return Err(Failure::invalid("SETTINGS", message).advice(
                    "give --tls-cert and --tls-key, or `serve.tls_cert` and `serve.tls_key`",
                ));
            }
        };
        let seen = [seen(&certificate), seen(&key)];
        let (chain, secret) = (read(&certificate)?, read(&key)?);
        let tls = Tls::new(&chain, &secret);
        let tls = tls.map_err(|error| unusable(&error, &certificate, &key))?;
        Ok(Some(Self {
            certificate,
            key,
            seen,
            tls,
        }))
    }

    /// What serves.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Reads the files again if they have changed; whether they had. What cannot be used is told once, and
    /// what was read before stays.
    pub(crate) fn look(&mut self) -> Result<bool, Failure> {
        let now = [seen(&self.certificate), seen(&self.key)];
        if now == self.seen {
            return Ok(false);
        }
        self.seen = now;
        let (chain, secret) = (read(&self.certificate)?, read(&self.key)?);
        let replaced = self.tls.replace(&chain, &secret);
        replaced.map_err(|error| unusable(&error, &self.certificate, &self.key))?;
        Ok(true)
    }
}

fn seen(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |error| Failure::file(path, "read", &error);
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE), &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn unusable(error: &TlsError, certificate: &Path, key: &Path) -> Failure {
    let (path, advice) = match error {
        TlsError::Key(_) => (key, "give a private key in PEM, which no password protects"),
        _ => (
            certificate,
            "give the certificate of this server in PEM, and the key that belongs to it",
        ),
    };
    Failure::environment("TLS_UNUSABLE", format!("{}: {error}", path.display())).advice(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_replaces_the_files_counts_once_it_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let given = here.join("../../drivers/http-reqwest/tests/certificates");
        let file = |name: &str| folder.path().join(name);
        let good = fs::read(given.join("leaf.pem")).unwrap();
        fs::write(file("chain.pem"), &good).unwrap();
        fs::copy(given.join("leaf.key"), file("key.pem")).unwrap();
        let settings = ServeSettings {
            tls_cert: Some(file("chain.pem")),
            tls_key: Some(file("key.pem")),
            ..ServeSettings::default()
        };
        let mut files = TlsFiles::open(&settings).unwrap().unwrap();
        assert!(!files.look().unwrap());
        // Told once, and what was read before stays.
        fs::write(file("chain.pem"), "half a certifi").unwrap();
        assert_eq!(files.look().unwrap_err().code, "TLS_UNUSABLE");
        assert!(!files.look().unwrap());
        fs::write(file("chain.pem"), [&good[..], b"\n"].concat()).unwrap();
        assert!(files.look().unwrap());
        let half = ServeSettings {
            tls_key: None,
            ..settings.clone()
        };
        let refused = TlsFiles::open(&half).unwrap_err();
        assert_eq!(refused.code, "SETTINGS");
        assert!(TlsFiles::open(&ServeSettings::default()).unwrap().is_none());
        // What is behind the limit is not read.
        let far = [&vec![b'\n'; MAX_FILE as usize], &good[..]].concat();
        fs::write(file("chain.pem"), far).unwrap();
        let refused = TlsFiles::open(&settings).unwrap_err();
        assert_eq!(refused.code, "TLS_UNUSABLE");
    }
}
