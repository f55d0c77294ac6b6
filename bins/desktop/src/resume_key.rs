//! The secret from which the tokens of approvals follow: a file beside the database, for the user alone.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use nebula_core::Entropy as _;
use nebula_execution::ResumeKey;
use nebula_system::SystemEntropy;

use crate::{failure::Failure, private::open_private, settings::Place};

/// What the file's name adds to that of the database.
pub(crate) const SUFFIX: &str = "-key";

/// The key of the database at this place; made when it is missing. One in memory is gone with it.
pub(crate) fn of(place: &Place) -> Result<ResumeKey, Failure> {
    let Some(database) = place.path() else {
        return Ok(ResumeKey::new(random()));
    };
    let mut path = database.clone().into_os_string();
    path.push(SUFFIX);
    let path = Path::new(&path);
    if !path
        .try_exists()
        .map_err(|error| Failure::file(path, "read", &error))?
    {
        make(path).map_err(|error| Failure::file(path, "write", &error))?;
    }
    read(path)
}

fn read(path: &Path) -> Result<ResumeKey, Failure> {
    let mut bytes = Vec::new();
    // Whoever else could read it is kept out from now on.
    let key = open_private(path).map(|file| file.take(ResumeKey::BYTES as u64 + 1));
    key.and_then(|mut key| key.read_to_end(&mut bytes))
        .map_err(|error| Failure::file(path, "read", &error))?;
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

/// Writes a new key, unless another process was faster.
fn make(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&random())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.error),
        _ => fs::File::open(folder)?.sync_all(),
    }
}

fn random() -> [u8; ResumeKey::BYTES] {
    let mut bytes = [0; ResumeKey::BYTES];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&SystemEntropy.next_u64().to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_is_private_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Named(folder.path().join("n.db"));
        let file = folder.path().join("n.db-key");
        of(&place).unwrap();
        let first = fs::read(&file).unwrap();
        of(&place).unwrap();
        assert_eq!((fs::read(&file).unwrap(), first.len()), (first, 32));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;

            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            of(&place).unwrap();
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        fs::write(&file, "short").unwrap();
        assert_eq!(of(&place).unwrap_err().code, "KEY_FILE");
    }
}
