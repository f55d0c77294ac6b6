//! What is in the folders that triggers watch.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use cap_std::{ambient_authority, fs::Dir};
use nebula_action::Protected;
use nebula_core::{Offload, Timestamp};
use nebula_ports::{ErrorKind, FolderReader, FoundFile, PortError, Result};

use crate::{glob, list::MAX_SCANNED};

/// Reads folders on the threads of an [`Offload`].
#[derive(Debug)]
pub struct Folders {
    offload: Arc<dyn Offload>,
    protected: Protected,
}

impl Folders {
    /// Reads every folder but those that `protected` closes.
    #[must_use]
    pub fn new(offload: Arc<dyn Offload>, protected: Protected) -> Self {
        Self { offload, protected }
    }
}

#[async_trait]
impl FolderReader for Folders {
    async fn files(
        &self,
        folder: &Path,
        pattern: Option<&str>,
        most: usize,
    ) -> Result<Vec<FoundFile>> {
        let result = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&result);
        let (folder, pattern) = (folder.to_path_buf(), pattern.map(str::to_owned));
        let protected = self.protected.clone();
        let job = Box::new(move || {
            let done = files(&folder, pattern.as_deref(), most, &protected);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        });
        self.offload.run(job).await;
        let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        done.unwrap_or_else(|| Err(refused(ErrorKind::Unavailable, "the look at it broke off")))
    }
}

fn refused(kind: ErrorKind, message: impl Into<String>) -> PortError {
    PortError::new(kind, "action-file", "read a folder", message)
}

fn files(
    folder: &Path,
    pattern: Option<&str>,
    most: usize,
    protected: &Protected,
) -> Result<Vec<FoundFile>> {
    let shown = folder.display();
    let failed = |error: &io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::NotADirectory => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        refused(kind, format!("{shown}: {error}"))
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(|it| failed(&it))?;
    let real: PathBuf = fs::canonicalize(folder).map_err(|it| failed(&it))?;
    if protected.closes(&real) {
        let message = format!("{shown} is a folder that the engine keeps closed");
        return Err(refused(ErrorKind::Invalid, message));
    }
    let mut found = Vec::new();
    for (scanned, entry) in dir.entries().map_err(|it| failed(&it))?.enumerate() {
        let entry = entry.map_err(|it| failed(&it))?;
        if scanned >= MAX_SCANNED {
            let message = format!("{shown} holds more than {MAX_SCANNED} entries");
            return Err(refused(ErrorKind::Invalid, message));
        }
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let fits = pattern.is_none_or(|pattern| glob::fits(pattern, &name));
        if !fits || protected.closes(&real.join(&name)) {
            continue;
        }
        // An entry that went away since the folder was read is no entry; a link is none whatever it leads to.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        if found.len() >= most {
            let message =
                format!("{shown} holds more than {most} files that fit; narrow `pattern`");
            return Err(refused(ErrorKind::Invalid, message));
        }
        let modified = metadata
            .modified()
            .ok()
            .map(cap_std::time::SystemTime::into_std);
        found.push(FoundFile {
            name,
            size: metadata.len(),
            modified: Timestamp::from_millis(modified.map_or(0, millis)),
        });
    }
    Ok(found)
}

/// Since 1970; before that, so many less than nothing.
fn millis(time: SystemTime) -> i64 {
    let whole = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: Result<Vec<FoundFile>>) -> Vec<String> {
        let mut names: Vec<_> = found.unwrap().into_iter().map(|it| it.name).collect();
        names.sort();
        names
    }

    #[test]
    fn regular_files_that_fit_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["a.csv", "b.csv", "c.txt"] {
            fs::write(path.join(name), name).unwrap();
        }
        fs::create_dir(path.join("d.csv")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(path.join("a.csv"), path.join("e.csv")).unwrap();
        let none = Protected::default();
        assert_eq!(
            names(files(path, Some("*.csv"), 9, &none)),
            ["a.csv", "b.csv"]
        );
        assert_eq!(names(files(path, None, 3, &none)).len(), 3);
        let found = files(path, Some("c*"), 9, &none).unwrap();
        let written = fs::metadata(path.join("c.txt"))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(found[0].size, 5);
        assert_eq!(found[0].modified.as_millis(), millis(written));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("a"), "a").unwrap();
        fs::write(path.join("b"), "b").unwrap();
        let none = Protected::default();
        let said = |found: Result<Vec<FoundFile>>| {
            let error = found.unwrap_err();
            (error.kind, error.message)
        };
        let (kind, message) = said(files(path, None, 1, &none));
        assert!(
            kind == ErrorKind::Invalid && message.contains("more than 1 files"),
            "{message}"
        );
        let (kind, message) = said(files(&path.join("none"), None, 9, &none));
        assert!(
            kind == ErrorKind::Unavailable && message.contains("none"),
            "{message}"
        );
        let (kind, _) = said(files(&path.join("a"), None, 9, &none));
        assert_eq!(kind, ErrorKind::Invalid);
        let closed = Protected::new([fs::canonicalize(path).unwrap()]);
        let (kind, message) = said(files(path, None, 9, &closed));
        assert!(
            kind == ErrorKind::Invalid && message.contains("closed"),
            "{message}"
        );
        let one = Protected::new([fs::canonicalize(path).unwrap().join("a")]);
        assert_eq!(names(files(path, None, 9, &one)), ["b"]);
    }
}
