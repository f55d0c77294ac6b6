//! `file.write`.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use cap_fs_ext::MetadataExt as _;
use cap_std::fs::{Dir, OpenOptions};
use nebula_action::{Access, ActionContext, ActionError, ErrorClass, GrantedPath, Reconciled};
use nebula_core::{ByteSize, Digest, Offload};
use nebula_derive::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    blocking, error,
    parameters::{self, Encoding},
    place::{self, Place},
};

/// The largest content that is written at once.
pub const MAX_WRITE: ByteSize = ByteSize::mib(256);

/// Writes a text to a file.
///
/// `create` (the default) makes a new file and touches none that is there. `overwrite` puts a whole
/// new content in the file's place: readers see the old or the new, never a mixture. `append` adds
/// to the end, making the file if it is missing. When the action has succeeded, the content is on
/// the disk. Other values than text are turned into text by `text.format` first.
#[derive(Debug, Action)]
#[action(
    id = "file.write",
    version = "1.0",
    title = "Write file",
    effect(
        parameter = "mode",
        cases(
            create = "at_most_once",
            overwrite = "idempotent",
            append = "at_most_once"
        ),
        absent = "at_most_once",
    ),
    files(write = "path"),
    reconcile
)]
pub struct FileWrite {
    offload: Arc<dyn Offload>,
}

/// The parameters of `file.write`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteIn {
    /// The file; a relative path begins at the workflow's folder.
    path: String,
    /// The text to write; turn other values into text with `text.format`.
    #[serde(deserialize_with = "parameters::text")]
    content: String,
    /// How `content` stands for the file's bytes.
    #[serde(default)]
    encoding: Encoding,
    /// What becomes of a file that is there already.
    #[serde(default)]
    mode: Mode,
    /// Make missing folders above the file.
    #[serde(default)]
    make_folders: bool,
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// It is an error.
    #[default]
    Create,
    /// Its content is replaced.
    Overwrite,
    /// The content is added at its end.
    Append,
}

/// The result of `file.write`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WriteOut {
    /// The absolute path.
    path: String,
    /// How many bytes were written.
    bytes: u64,
}

impl FileWrite {
    /// Writes on the threads of `offload`.
    #[must_use]
    pub fn new(offload: Arc<dyn Offload>) -> Self {
        Self { offload }
    }

    async fn run(&self, ctx: &ActionContext, input: WriteIn) -> Result<WriteOut, ActionError> {
        let granted = ctx.file(Access::Write, &input.path)?;
        let (mode, make_folders) = (input.mode, input.make_folders);
        let bytes = bytes(input)?;
        // The same name at every attempt, so that the next one finds what a crash left behind.
        let temporary = Digest::of(ctx.idempotency_key.as_bytes()).to_string();
        let work = move || {
            if make_folders {
                place::make_folders(&granted)?;
            }
            let path = granted.path().display().to_string();
            let place = Place::of_file(granted, Access::Write)?;
            match mode {
                Mode::Create => create(&place, &bytes)?,
                Mode::Overwrite => overwrite(&place, &bytes, &temporary[..16])?,
                Mode::Append => append(&place, &bytes)?,
            }
            Ok(WriteOut {
                path,
                bytes: bytes.len() as u64,
            })
        };
        blocking::run(&*self.offload, ErrorClass::Unknown, work).await
    }

    /// A created file with the same content is ours: nobody else may have made it in between, since
    /// the attempt would then have failed. An append leaves no trace that could be told apart.
    async fn reconcile(
        &self,
        ctx: &ActionContext,
        input: WriteIn,
    ) -> Result<Reconciled, ActionError> {
        if input.mode != Mode::Create {
            return Ok(Reconciled::Unknown);
        }
        let granted = ctx.file(Access::Write, &input.path)?;
        let bytes = bytes(input)?;
        let work = move || created(granted, &bytes);
        blocking::run(&*self.offload, ErrorClass::Fatal, work).await
    }
}

fn bytes(input: WriteIn) -> Result<Vec<u8>, ActionError> {
    let bytes = match input.encoding {
        Encoding::Utf8 => input.content.into_bytes(),
        Encoding::Base64 => STANDARD.decode(input.content.as_bytes()).map_err(|_| {
            let message = "`content` is no base64 (RFC 4648, with padding); leave `encoding` out for plain text";
            ActionError::invalid_input("FILE_CONTENT", "/content", message)
        })?,
    };
    if bytes.len() > MAX_WRITE.as_usize() {
        let message =
            format!("`content` is larger than {MAX_WRITE}, the most that is written at once");
        return Err(ActionError::limit("FILE_CONTENT_TOO_LARGE", message));
    }
    Ok(bytes)
}

fn create(place: &Place, bytes: &[u8]) -> Result<(), ActionError> {
    let (dir, name) = place.parent(false)?;
    let mut file = dir
        .open_with(&name, OpenOptions::new().write(true).create_new(true))
        .map_err(|error| place.error(&error, false))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // The file is ours alone: without it the disk is as it was, so the error may say so.
        let gone = dir.remove_file(&name).is_ok();
        return Err(place.error(&error, !gone));
    }
    sync_folder(&dir).map_err(|error| not_synced(place, &error))
}

fn created(granted: GrantedPath, bytes: &[u8]) -> Result<Reconciled, ActionError> {
    let path = granted.path().display().to_string();
    let missing = |error: &ActionError| error.code == "FILE_NOT_FOUND";
    let place = match Place::of_file(granted, Access::Write) {
        Err(error) if missing(&error) => return Ok(Reconciled::NotHappened),
        opened => opened?,
    };
    let file = match place.existing(OpenOptions::new().read(true)) {
        Err(error) if missing(&error) => return Ok(Reconciled::NotHappened),
        opened => opened?,
    };
    let mut found = Vec::new();
    file.take(bytes.len() as u64 + 1)
        .read_to_end(&mut found)
        .map_err(|error| place.error(&error, false))?;
    if found == bytes {
        return Ok(Reconciled::Happened(
            json!({ "path": path, "bytes": bytes.len() }),
        ));
    }
    // Another content: a write that was cut off, or somebody else's file. A person can tell.
    Ok(Reconciled::Unknown)
}

fn overwrite(place: &Place, bytes: &[u8], unique: &str) -> Result<(), ActionError> {
    let (dir, name) = place.parent(true)?;
    let old = match dir.symlink_metadata(&name) {
        Ok(found) if found.is_dir() => return Err(error::folder(place.granted())),
        Ok(found) if !found.is_file() => return Err(error::not_regular(place.granted())),
        Ok(found) => Some(found.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(place.error(&error, false)),
    };
    let temporary = temporary_name(&name, unique);
    let written = write_beside(&dir, &temporary, bytes).and_then(|()| {
        if let Some(permissions) = old {
            dir.set_permissions(&temporary, permissions)?;
        }
        dir.rename(&temporary, &dir, &name)
    });
    if let Err(error) = written {
        // Nothing was put in the file's place; what is left beside it is worth nothing.
        let _ = dir.remove_file(&temporary);
        return Err(place.error(&error, false));
    }
    sync_folder(&dir).map_err(|error| not_synced(place, &error))
}

/// `.report.md.nebula-3f…tmp`: hidden, in the same folder so that a rename is enough.
fn temporary_name(name: &Path, unique: &str) -> PathBuf {
    let shown: String = name.to_string_lossy().chars().take(100).collect();
    PathBuf::from(format!(".{shown}.nebula-{unique}.tmp"))
}

fn write_beside(dir: &Dir, name: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = match dir.open_with(name, &options) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            dir.remove_file(name)?;
            dir.open_with(name, &options)?
        }
        opened => opened?,
    };
    file.write_all(bytes)?;
    file.sync_all()
}

fn append(place: &Place, bytes: &[u8]) -> Result<(), ActionError> {
    let mut options = OpenOptions::new();
    let (mut file, made_in) = match place.existing(options.append(true)) {
        Err(error) if error.code == "FILE_NOT_FOUND" => {
            let (dir, name) = place.parent(false)?;
            // Whoever makes it first, everybody appends to the same file.
            let file = dir
                .open_with(&name, options.append(true).create(true))
                .map_err(|error| place.error(&error, false))?;
            (file, Some(dir))
        }
        opened => (opened?, None),
    };
    let metadata = file
        .metadata()
        .map_err(|error| place.error(&error, false))?;
    if metadata.nlink() > 1 {
        // Its other names may lie outside the grant, and would get what is added here.
        return Err(error::has_other_names(place.granted()));
    }
    // One call, so that lines of several writers do not mix.
    let count = match file.write(bytes) {
        Ok(count) => count,
        Err(error) => return Err(place.error(&error, false)),
    };
    if count < bytes.len() {
        let message = format!(
            "only {count} of {} bytes were added to {}; free some space, then mend the end of the file",
            bytes.len(),
            place.granted().path().display()
        );
        return Err(ActionError::fatal("FILE_APPEND_CUT", message));
    }
    file.sync_all().map_err(|error| not_synced(place, &error))?;
    match made_in {
        Some(dir) => sync_folder(&dir).map_err(|error| not_synced(place, &error)),
        None => Ok(()),
    }
}

/// Makes a new name durable, not only the bytes behind it.
fn sync_folder(dir: &Dir) -> io::Result<()> {
    // The handle itself may be one for lookups only (`O_PATH`), which cannot be synced.
    dir.open(".")?.sync_all()
}

fn not_synced(place: &Place, error: &io::Error) -> ActionError {
    let message = format!(
        "{} was written, but the system does not say that it is on the disk ({})",
        place.granted().path().display(),
        error.kind()
    );
    ActionError::new("FILE_NOT_SYNCED", message, ErrorClass::Unknown)
}
