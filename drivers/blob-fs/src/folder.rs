//! Folders and files below the root, opened part by part without following a link.

use std::{
    fmt, io,
    path::Path,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, File, Metadata, OpenOptions},
};
use nebula_core::Timestamp;

use crate::{config::BlobFsConfig, error::Fault};

/// An open folder, with what to call it in errors.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: Dir,
    place: String,
}

/// The folder of everything, which may not be there before the first put.
#[derive(Debug)]
pub(crate) struct Root {
    config: BlobFsConfig,
    folder: OnceLock<Folder>,
}

impl Root {
    /// Opens the folder, if it is there or must be.
    pub(crate) fn open(config: BlobFsConfig) -> Result<Self, Fault> {
        let root = Self {
            config,
            folder: OnceLock::new(),
        };
        if root.existing()?.is_none() && !root.config.create_folder {
            let error = io::ErrorKind::NotFound.into();
            return Err(Fault::io(error, root.place()));
        }
        Ok(root)
    }

    pub(crate) fn place(&self) -> impl fmt::Display {
        self.config.path.display()
    }

    /// The folder; `None` if nobody has put anything yet.
    pub(crate) fn existing(&self) -> Result<Option<&Folder>, Fault> {
        if let Some(folder) = self.folder.get() {
            return Ok(Some(folder));
        }
        let folder = Folder::ambient(&self.config.path)?;
        Ok(folder.map(|folder| self.folder.get_or_init(|| folder)))
    }

    /// The folder, made if it is missing.
    pub(crate) fn made(&self) -> Result<&Folder, Fault> {
        if let Some(folder) = self.existing()? {
            return Ok(folder);
        }
        let path = &self.config.path;
        let made = Dir::create_ambient_dir_all(path, ambient_authority());
        made.and_then(|()| sync_above(path))
            .map_err(|error| Fault::io(error, self.place()))?;
        let gone = || Fault::io(io::ErrorKind::NotFound.into(), self.place());
        self.existing()?.ok_or_else(gone)
    }
}

/// A regular file that is ours alone, and what is known of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) length: u64,
    pub(crate) modified: Timestamp,
}

impl Folder {
    /// The folder at a path that is given from outside; `None` if there is none.
    fn ambient(path: &Path) -> Result<Option<Self>, Fault> {
        let place = path.display().to_string();
        match Dir::open_ambient_dir(path, ambient_authority()) {
            Ok(dir) => Ok(Some(Self { dir, place })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::io(error, place)),
        }
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What to call `name` in this folder.
    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.place)
    }

    pub(crate) fn fault(&self, name: &str, error: io::Error) -> Fault {
        Fault::io(error, self.place(name))
    }

    /// The folder `name` in this one; `None` if there is none.
    pub(crate) fn existing(&self, name: &str) -> Result<Option<Self>, Fault> {
        match self.dir.open_dir_nofollow(name) {
            Ok(dir) => Ok(Some(Self {
                dir,
                place: self.place(name),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.not_ours(name, "folder", error)),
        }
    }

    /// The same, made if it is missing; its name is on the disk then.
    pub(crate) fn made(&self, name: &str) -> Result<Self, Fault> {
        if let Some(folder) = self.existing(name)? {
            return Ok(folder);
        }
        match self.dir.create_dir(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.fault(name, error));
            }
            // Whoever made it may not have come to this yet.
            _ => self.sync()?,
        }
        let gone = || self.fault(name, io::ErrorKind::NotFound.into());
        self.existing(name)?.ok_or_else(gone)
    }

    /// The file `name`; `None` if there is none.
    pub(crate) fn file(&self, name: &str) -> Result<Option<Found>, Fault> {
        let mut options = OpenOptions::new();
        // A FIFO waits for nobody; a link leads nowhere.
        options.read(true).nonblock(true).follow(FollowSymlinks::No);
        let file = match self.dir.open_with(name, &options) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.not_ours(name, "regular file", error)),
        };
        let metadata = file.metadata().map_err(|error| self.fault(name, error))?;
        if let Some(what) = foreign(&metadata) {
            return Err(Fault::corrupt(format!("{} {what}", self.place(name))));
        }
        let modified = modified(&metadata).map_err(|error| self.fault(name, error))?;
        Ok(Some(Found {
            file,
            length: metadata.len(),
            modified,
        }))
    }

    /// Length and time of the regular file `name`; `None` if there is none, or something else.
    pub(crate) fn looked_at(&self, name: &str) -> Result<Option<(u64, Timestamp)>, Fault> {
        let metadata = match self.dir.symlink_metadata(name) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(name, error)),
        };
        if foreign(&metadata).is_some() {
            return Ok(None);
        }
        let modified = modified(&metadata).map_err(|error| self.fault(name, error))?;
        Ok(Some((metadata.len(), modified)))
    }

    /// What stands in the place of a folder or file says so; all else is a failure of the disk.
    pub(crate) fn not_ours(&self, name: &str, wanted: &str, error: io::Error) -> Fault {
        let what = match self.dir.symlink_metadata(name) {
            Ok(found) if found.is_symlink() => "a symbolic link",
            Ok(found) if found.is_dir() && wanted != "folder" => "a folder",
            Ok(found) if found.is_file() && wanted == "folder" => "a file",
            Ok(found) if !found.is_file() && !found.is_dir() => "a FIFO, a socket or a device",
            _ => return self.fault(name, error),
        };
        let place = self.place(name);
        Fault::corrupt(format!(
            "{place} is {what}, not a {wanted}; whoever put it there should take it away"
        ))
    }

    /// Makes names in this folder durable, not only the bytes behind them.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        let handle = self.handle()?;
        handle.sync_all().map_err(|error| self.fault(".", error))
    }

    /// A handle that can be synced and locked: the one in `dir` may be for lookups only.
    pub(crate) fn handle(&self) -> Result<std::fs::File, Fault> {
        let handle = self.dir.open(".").map_err(|error| self.fault(".", error))?;
        Ok(handle.into_std())
    }

    /// The names in this folder, in no order; those that are no text are nobody's.
    pub(crate) fn names(&self) -> Result<impl Iterator<Item = Result<String, Fault>>, Fault> {
        let entries = self.dir.entries().map_err(|error| self.fault(".", error))?;
        Ok(entries.filter_map(|entry| match entry {
            Ok(entry) => entry.file_name().into_string().ok().map(Ok),
            Err(error) => Some(Err(self.fault(".", error))),
        }))
    }
}

/// What makes a file not ours, in words.
fn foreign(metadata: &Metadata) -> Option<impl fmt::Display> {
    if !metadata.is_file() {
        Some("is no regular file; whoever put it there should take it away")
    } else if metadata.nlink() > 1 {
        // Who knows it by another name can change it, and would see its time change.
        Some("has a second name (a hard link); whoever gave it one should take it away")
    } else {
        None
    }
}

/// When a file was modified, to the millisecond before.
fn modified(metadata: &Metadata) -> io::Result<Timestamp> {
    let time = metadata.modified()?.into_std();
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_millis(
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        },
    ))
}

/// The time of a file that says `at`.
pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    let span = Duration::from_millis(at.as_millis().unsigned_abs());
    match at.as_millis() < 0 {
        true => UNIX_EPOCH - span,
        false => UNIX_EPOCH + span,
    }
}

/// The name of the root itself should last, too.
fn sync_above(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}
