//! From a granted path to a directory handle and a name below it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, File, OpenOptions},
};
use nebula_action::{Access, ActionError, Capability, GrantedPath};

use crate::error;

/// A file's name below an open directory that the grant covers.
pub(crate) struct Place {
    granted: GrantedPath,
    access: Access,
    dir: Dir,
    /// Where `dir` really is; only compared with what the engine keeps closed.
    real_dir: PathBuf,
    /// Below `dir`; for a grant that names the file itself, only its name.
    relative: PathBuf,
    /// The grant names the path itself, so a link there would lead to something else.
    exact: bool,
}

impl Place {
    /// Opens the granted root, or the folder around it where the grant names the file itself.
    pub(crate) fn of_file(granted: GrantedPath, access: Access) -> Result<Self, ActionError> {
        let relative = granted.relative().to_path_buf();
        if !relative.as_os_str().is_empty() {
            let root = granted.root().to_path_buf();
            return Self::open(granted, access, &root, relative, false);
        }
        match (granted.path().parent(), granted.path().file_name()) {
            (Some(parent), Some(name)) => {
                let (parent, name) = (parent.to_path_buf(), PathBuf::from(name));
                Self::open(granted, access, &parent, name, true)
            }
            _ => Err(error::folder(&granted)),
        }
    }

    /// Opens the granted root; the path is a folder: the root itself or below it.
    pub(crate) fn of_folder(granted: GrantedPath) -> Result<Self, ActionError> {
        let relative = match granted.relative() {
            path if path.as_os_str().is_empty() => PathBuf::from("."),
            path => path.to_path_buf(),
        };
        let root = granted.root().to_path_buf();
        Self::open(granted, Access::Read, &root, relative, false)
    }

    fn open(
        granted: GrantedPath,
        access: Access,
        dir: &Path,
        relative: PathBuf,
        exact: bool,
    ) -> Result<Self, ActionError> {
        let opened = Dir::open_ambient_dir(dir, ambient_authority())
            .and_then(|opened| Ok((opened, fs::canonicalize(dir)?)));
        match opened {
            Ok((dir, real_dir)) => Ok(Self {
                granted,
                access,
                dir,
                real_dir,
                relative,
                exact,
            }),
            Err(error) => Err(error::of(&error, &granted, access, false)),
        }
    }

    /// The path as it was asked for.
    pub(crate) fn granted(&self) -> &GrantedPath {
        &self.granted
    }

    /// Words an error of the operating system.
    pub(crate) fn error(&self, error: &io::Error, began: bool) -> ActionError {
        error::of(error, &self.granted, self.access, began)
    }

    /// The path below the handle with every link followed, none of them out of it.
    fn resolve(&self, relative: &Path) -> Result<PathBuf, ActionError> {
        let resolved = self
            .dir
            .canonicalize(relative)
            .map_err(|error| self.error(&error, false))?;
        self.check_open(&resolved)?;
        Ok(resolved)
    }

    fn check_open(&self, resolved: &Path) -> Result<(), ActionError> {
        if self.granted.closes(&self.real_dir.join(resolved)) {
            return Err(error::protected(&self.granted));
        }
        Ok(())
    }

    /// Opens a regular file that is there; waits for nobody at the other end of a FIFO.
    pub(crate) fn existing(&self, options: &mut OpenOptions) -> Result<File, ActionError> {
        let resolved = if self.exact {
            self.check_open(&self.relative)?;
            self.refuse_link()?;
            self.relative.clone()
        } else {
            self.resolve(&self.relative)?
        };
        options.nonblock(true).follow(FollowSymlinks::No);
        let file = self
            .dir
            .open_with(&resolved, options)
            .map_err(|error| self.opening_failed(&resolved, &error))?;
        let metadata = file.metadata().map_err(|error| self.error(&error, false))?;
        if metadata.is_dir() {
            return Err(error::folder(&self.granted));
        }
        if !metadata.is_file() {
            return Err(error::not_regular(&self.granted));
        }
        Ok(file)
    }

    /// Opening a socket, or a FIFO without a reader, fails with numbers that say little.
    fn opening_failed(&self, resolved: &Path, error: &io::Error) -> ActionError {
        match self.dir.symlink_metadata(resolved) {
            Ok(found) if found.is_dir() => error::folder(&self.granted),
            Ok(found) if found.is_symlink() => error::leaves(&self.granted, self.access),
            Ok(found) if !found.is_file() => error::not_regular(&self.granted),
            _ => self.error(error, false),
        }
    }

    fn refuse_link(&self) -> Result<(), ActionError> {
        match self.dir.symlink_metadata(&self.relative) {
            Ok(found) if found.is_symlink() => Err(error::leaves(&self.granted, self.access)),
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(&error, false)),
        }
    }

    /// The open folder in which the file is or will be, and the file's name there: where a link
    /// stands in the file's place, those of what it leads to.
    pub(crate) fn parent(&self, follow: bool) -> Result<(Dir, PathBuf), ActionError> {
        let mut relative = self.relative.clone();
        let link = self.dir.symlink_metadata(&relative);
        if follow && link.is_ok_and(|found| found.is_symlink()) {
            if self.exact {
                return Err(error::leaves(&self.granted, self.access));
            }
            relative = self.resolve(&relative)?;
        }
        let (Some(name), Some(parent)) = (relative.file_name(), relative.parent()) else {
            return Err(error::folder(&self.granted));
        };
        let parent = match parent {
            here if here.as_os_str().is_empty() => Path::new("."),
            parent => parent,
        };
        let parent = self.resolve(parent)?;
        self.check_open(&parent.join(name))?;
        let dir = self
            .dir
            .open_dir(&parent)
            .map_err(|error| self.error(&error, false))?;
        Ok((dir, PathBuf::from(name)))
    }

    /// Opens the folder itself.
    pub(crate) fn folder(&self) -> Result<(Dir, PathBuf), ActionError> {
        let resolved = self.resolve(&self.relative)?;
        let metadata = self.dir.metadata(&resolved);
        let metadata = metadata.map_err(|error| self.error(&error, false))?;
        if !metadata.is_dir() {
            let message = format!(
                "{} is no folder; list the folder that it is in",
                self.granted.path().display()
            );
            return Err(ActionError::fatal("FILE_NOT_A_FOLDER", message));
        }
        let dir = self
            .dir
            .open_dir(&resolved)
            .map_err(|error| self.error(&error, false))?;
        Ok((dir, self.real_dir.join(resolved)))
    }
}

/// Makes the missing folders above a file that is to be written.
///
/// # Errors
/// Class `Denied` where a missing folder is not itself covered by the grant.
pub(crate) fn make_folders(granted: &GrantedPath) -> Result<(), ActionError> {
    let failed = |error: &io::Error| error::of(error, granted, Access::Write, false);
    let Some(folder) = granted.path().parent() else {
        return Ok(());
    };
    if folder.is_dir() {
        return Ok(());
    }
    let Ok(below) = folder.strip_prefix(granted.root()) else {
        let capability = Capability::File(Access::Write, folder.to_path_buf());
        let what = format!(
            "the folder {} is missing and may not be made",
            folder.display()
        );
        return Err(ActionError::denied(what, &capability));
    };
    // The grant covers its root itself, so a missing root may be made; what is above it may not.
    match fs::create_dir(granted.root()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(&error)),
        _ => {}
    }
    let root = Dir::open_ambient_dir(granted.root(), ambient_authority());
    let root = root.map_err(|error| failed(&error))?;
    let real_root = fs::canonicalize(granted.root()).map_err(|error| failed(&error))?;
    // One folder at a time, so that a link into a closed place is seen before anything is made there.
    let mut made = PathBuf::from(".");
    for part in below.components() {
        made.push(part);
        match root.create_dir(&made) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(&error));
            }
            _ => {}
        }
        made = root.canonicalize(&made).map_err(|error| failed(&error))?;
        if granted.closes(&real_root.join(&made)) {
            return Err(error::protected(granted));
        }
    }
    Ok(())
}
