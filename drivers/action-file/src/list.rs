//! `file.list`.

use std::{sync::Arc, time::SystemTime};

use cap_std::fs::{DirEntry, Metadata};
use nebula_action::{
    Access, ActionContext, ActionError, ErrorClass, GrantedPath, Heartbeat, Progress,
};
use nebula_core::{Offload, Timestamp};
use nebula_derive::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{blocking, glob, place::Place};

/// How many entries are listed where `max_entries` says nothing.
pub const DEFAULT_ENTRIES: usize = 1_000;

/// The most that `max_entries` may ask for.
pub const MAX_ENTRIES: usize = 100_000;

/// How many entries of one folder are looked at, fitting or not.
pub const MAX_SCANNED: usize = 1_000_000;

/// Lists what is in a folder, sorted by name.
///
/// Symbolic links are listed as such and not followed; folders are not entered. What the engine
/// keeps closed (its data, `.git`) is left out. More entries than `max_entries` are an error, never
/// a cut list.
#[derive(Debug, Action)]
#[action(
    id = "file.list",
    version = "1.0",
    title = "List folder",
    effect = "read",
    files(read = "path")
)]
pub struct FileList {
    offload: Arc<dyn Offload>,
}

/// The parameters of `file.list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListIn {
    /// The folder; a relative path begins at the workflow's folder.
    path: String,
    /// Only names that fit: `*` stands for any characters, `?` for one.
    #[schemars(length(min = 1, max = 255))]
    pattern: Option<String>,
    /// The most entries to list; default 1,000.
    #[schemars(range(min = 1, max = 100_000))]
    max_entries: Option<usize>,
}

/// One entry of a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// Its name; bytes that are no UTF-8 are shown as `�`.
    name: String,
    /// Its absolute path.
    path: String,
    /// Its size in bytes; of a folder whatever the file system says.
    size: u64,
    /// What it is.
    kind: Kind,
    /// When its content was last changed (RFC 3339, UTC), where the file system knows.
    modified: Option<String>,
}

/// What an entry is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, whatever it leads to.
    Link,
    /// A FIFO, a socket, a device.
    Other,
}

impl FileList {
    /// Looks on the threads of `offload`.
    #[must_use]
    pub fn new(offload: Arc<dyn Offload>) -> Self {
        Self { offload }
    }

    async fn run(&self, ctx: &ActionContext, input: ListIn) -> Result<Vec<Entry>, ActionError> {
        let granted = ctx.file(Access::Read, &input.path)?;
        let max_entries = input.max_entries.unwrap_or(DEFAULT_ENTRIES);
        if max_entries > MAX_ENTRIES {
            let message =
                format!("`max_entries` is {max_entries}; at most {MAX_ENTRIES} are listed");
            return Err(ActionError::invalid_input(
                "FILE_MAX_ENTRIES",
                "/max_entries",
                message,
            ));
        }
        let heartbeat = ctx.heartbeat.clone();
        let work = move || list(granted, input.pattern.as_deref(), max_entries, &heartbeat);
        blocking::run(&*self.offload, ErrorClass::Fatal, work).await
    }
}

fn list(
    granted: GrantedPath,
    pattern: Option<&str>,
    max_entries: usize,
    heartbeat: &Heartbeat,
) -> Result<Vec<Entry>, ActionError> {
    let place = Place::of_folder(granted)?;
    let (dir, real) = place.folder()?;
    let folder = place.granted().path();
    let mut entries = Vec::new();
    let found = dir.entries().map_err(|error| place.error(&error, false))?;
    for (scanned, entry) in found.enumerate() {
        heartbeat.progress(Progress::done(scanned as u64).note("entries"));
        let entry = entry.map_err(|error| place.error(&error, false))?;
        if scanned >= MAX_SCANNED {
            let message = format!("{} holds more than {MAX_SCANNED} entries", folder.display());
            return Err(ActionError::limit("FILE_TOO_MANY_ENTRIES", message));
        }
        let (name, exact) = (
            entry.file_name().to_string_lossy().into_owned(),
            entry.file_name(),
        );
        let fits = pattern.is_none_or(|pattern| glob::fits(pattern, &name));
        if !fits || place.granted().closes(&real.join(&exact)) {
            continue;
        }
        if entries.len() >= max_entries {
            let message = format!(
                "{} holds more than {max_entries} entries that fit; raise `max_entries` (at most {MAX_ENTRIES}) or narrow `pattern`",
                folder.display()
            );
            return Err(ActionError::limit("FILE_TOO_MANY_ENTRIES", message));
        }
        // An entry that went away since the folder was read is no entry.
        let Some(metadata) = metadata(&entry) else {
            continue;
        };
        entries.push(Entry {
            path: folder.join(&exact).display().to_string(),
            name,
            size: metadata.len(),
            kind: kind(&metadata),
            modified: metadata
                .modified()
                .ok()
                .and_then(|time| rfc3339(time.into_std())),
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn metadata(entry: &DirEntry) -> Option<Metadata> {
    entry.metadata().ok()
}

fn kind(metadata: &Metadata) -> Kind {
    if metadata.is_symlink() {
        Kind::Link
    } else if metadata.is_dir() {
        Kind::Folder
    } else if metadata.is_file() {
        Kind::File
    } else {
        Kind::Other
    }
}

fn rfc3339(time: SystemTime) -> Option<String> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let millis = i64::try_from(since.as_millis()).ok()?;
    Some(Timestamp::from_millis(millis).to_string())
}
