//! Folders and files that only the user may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

use crate::failure::Failure;

/// Makes a folder, and those above it, for the user alone; one that is there stays as it is.
///
/// # Errors
/// It cannot be made.
pub fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;

        builder.mode(0o700);
    }
    builder.create(folder)
}

/// Opens a file to append to it; a new one is the user's alone, and an old one becomes so.
///
/// # Errors
/// It cannot be opened, or is somebody else's.
pub fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

        let file = options.mode(0o600).open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// What a file of the user's alone holds, at most `limit` bytes and one more that tells of too many;
/// made with `new` when it is missing.
///
/// # Errors
/// It can be neither made nor read.
pub fn kept(path: &Path, limit: u64, new: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::file(path, "read", &error);
    if !path.try_exists().map_err(unreadable)? {
        make(path, &new()).map_err(|error| Failure::file(path, "write", &error))?;
    }
    let mut bytes = Vec::new();
    // Whoever else could read it is kept out from now on.
    let file = open_private(path).map_err(unreadable)?;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

/// Writes a new file, unless another process was faster.
fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => File::open(folder)?.sync_all(),
    }
}
