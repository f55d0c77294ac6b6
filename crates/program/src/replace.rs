//! Replacing a file whole or not at all.

use std::{
    fs::{self, Metadata},
    io::{self, Write as _},
    path::Path,
};

/// Writes `content` beside `path` and moves it there, so that nobody ever reads a half of it.
///
/// The new file has mode 0600; with `like`, the permissions and the owner of that file.
///
/// # Errors
/// The file is what it was.
pub fn replace(path: &Path, content: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    if let Some(like) = like {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};

            let own = file.as_file().metadata()?;
            let other = |wanted, there| (wanted != there).then_some(wanted);
            let (user, group) = (other(like.uid(), own.uid()), other(like.gid(), own.gid()));
            if user.is_some() || group.is_some() {
                fchown(file.as_file(), user, group)?;
            }
        }
        file.as_file().set_permissions(like.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}
