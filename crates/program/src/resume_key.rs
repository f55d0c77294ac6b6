//! The secret from which the tokens of approvals follow: a file beside the database, for the user alone.

use std::path::{Path, PathBuf};

use nebula_core::Entropy as _;
use nebula_execution::ResumeKey;
use nebula_system::SystemEntropy;

use crate::{failure::Failure, private::kept};

/// What the file's name adds to that of the database.
pub const SUFFIX: &str = "-key";

/// The file beside this database.
#[must_use]
pub fn beside(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(SUFFIX);
    path.into()
}

/// The key in this file; made when it is missing. Without a file it is gone with the process.
///
/// # Errors
/// The file can be neither made nor read, or holds no key.
pub fn of(file: Option<&Path>) -> Result<ResumeKey, Failure> {
    let Some(path) = file else {
        return Ok(ResumeKey::new(random()));
    };
    let bytes = kept(path, ResumeKey::BYTES as u64, || random().to_vec())?;
    let bytes = bytes.try_into().map_err(|_| {
        let (shown, wanted) = (path.display(), ResumeKey::BYTES);
        Failure::environment(
            "KEY_FILE",
            format!("{shown} does not have the {wanted} bytes of a key"),
        )
        .advice("move it away: a new one is made, and tokens that were handed out lose their use")
    })?;
    Ok(ResumeKey::new(bytes))
}

/// Bytes that nobody can guess.
#[must_use]
pub fn random() -> [u8; ResumeKey::BYTES] {
    let mut bytes = [0; ResumeKey::BYTES];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&SystemEntropy.next_u64().to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_stays_is_private_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = beside(&folder.path().join("n.db"));
        assert_eq!(file, folder.path().join("n.db-key"));
        of(Some(&file)).unwrap();
        let first = fs::read(&file).unwrap();
        of(Some(&file)).unwrap();
        assert_eq!((fs::read(&file).unwrap(), first.len()), (first, 32));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;

            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            of(Some(&file)).unwrap();
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        fs::write(&file, "short").unwrap();
        assert_eq!(of(Some(&file)).unwrap_err().code, "KEY_FILE");
    }
}
