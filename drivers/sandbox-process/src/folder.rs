//! The folder in which a program begins.

use std::{fs, io, path::PathBuf};

use cap_std::{ambient_authority, fs::Dir};
use nebula_action::GrantedPath;
use nebula_ports::ProgramError;

/// An open folder below a grant, and how a new process gets there.
pub(crate) struct Folder {
    /// Held open until the process has begun: its path leads through it.
    _open: Option<Dir>,
    path: PathBuf,
}

impl Folder {
    /// Opens `granted` without leaving its root; the root of the file system where nothing is granted.
    pub(crate) fn open(granted: Option<&GrantedPath>) -> Result<Self, ProgramError> {
        let Some(granted) = granted else {
            return Ok(Self {
                _open: None,
                path: PathBuf::from("/"),
            });
        };
        let failed = |why: String| ProgramError::Folder {
            folder: granted.path().display().to_string(),
            why,
        };
        let io = |error: io::Error| failed(error.to_string());
        let root = Dir::open_ambient_dir(granted.root(), ambient_authority()).map_err(io)?;
        let real_root = fs::canonicalize(granted.root()).map_err(io)?;
        let relative = match granted.relative() {
            here if here.as_os_str().is_empty() => std::path::Path::new("."),
            below => below,
        };
        // Links are followed within the root only.
        let resolved = root.canonicalize(relative).map_err(io)?;
        let real = real_root.join(&resolved);
        if granted.closes(&real) {
            let why = "it belongs to the engine or to version control; no grant opens it";
            return Err(failed(why.to_owned()));
        }
        let open = root.open_dir(&resolved).map_err(io)?;
        let path = path(&open, real);
        Ok(Self {
            _open: Some(open),
            path,
        })
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

/// A path that leads to the folder that is open, whatever stands at its name by now.
#[cfg(target_os = "linux")]
fn path(open: &Dir, _real: PathBuf) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

#[cfg(not(target_os = "linux"))]
fn path(_open: &Dir, real: PathBuf) -> PathBuf {
    real
}
