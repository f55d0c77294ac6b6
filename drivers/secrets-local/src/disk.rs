//! Reading and replacing files so that a crash leaves the one or the other.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use crate::error::Fault;

/// What a file is made of, step by step; the tests of crashes stop between any two steps.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// A new file with mode 0600.
    fn create(&self, path: &Path) -> io::Result<File>;
    fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Waits until the content is on the disk.
    fn sync(&self, file: &File, path: &Path) -> io::Result<()>;
    /// Puts one file in the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// The disk of the host.
#[derive(Debug)]
pub(crate) struct HostDisk;

impl Disk for HostDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    fn write(&self, file: &mut File, _: &Path, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File, _: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Other systems have no such call, and need none.
        if cfg!(unix) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// Puts a file with this content in the place of `path`; the caller holds the lock.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<(), Fault> {
    let new = beside(path, ".new");
    let replaced = || {
        // What a crash left is not worth anything.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = disk.create(&new)?;
        disk.write(&mut file, &new, content)?;
        disk.sync(&file, &new)?;
        drop(file);
        disk.rename(&new, path)?;
        disk.sync_folder(folder(path))
    };
    replaced().map_err(|error| Fault::write(path, error))
}

/// `path` with more at its end.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

/// The folder that a file is in.
pub(crate) fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes a folder and those above it, for the user alone.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Fault> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|error| Fault::write(folder, error))
}

/// Opens a regular file to read; `None` if there is none. Never waits for a pipe or a device.
pub(crate) fn open(path: &Path) -> Result<Option<File>, Fault> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::read(path, error)),
    };
    let metadata = file.metadata().map_err(|error| Fault::read(path, error))?;
    if !metadata.is_file() {
        let message = format!("{} is no regular file", path.display());
        return Err(Fault::read(path, io::Error::other(message)));
    }
    Ok(Some(file))
}

/// Reads at most one byte more than `limit`.
pub(crate) fn read(file: File, path: &Path, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = file.take(limit as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Fault::read(path, error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_only_so_far() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::write(&path, b"0123456789").unwrap();
        for (limit, expected) in [(4, 5), (9, 10), (10, 10), (20, 10)] {
            let file = open(&path).unwrap().unwrap();
            assert_eq!(read(file, &path, limit).unwrap().len(), expected, "{limit}");
        }
    }
}
