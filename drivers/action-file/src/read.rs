//! `file.read`.

use std::{io::Read, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use cap_std::fs::OpenOptions;
use nebula_action::{Access, ActionContext, ActionError, ErrorClass, GrantedPath, Size};
use nebula_core::{ByteSize, Offload};
use nebula_derive::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{blocking, parameters::Encoding, place::Place};

/// The largest file that is read where `max_size` says nothing.
pub const DEFAULT_READ: ByteSize = ByteSize::mib(16);

/// The most that `max_size` may ask for.
pub const MAX_READ: ByteSize = ByteSize::mib(256);

/// Reads a whole file.
///
/// The file must be a regular one; a text must be UTF-8, other bytes come as base64. A file that is
/// larger than `max_size` (default 16 MiB) is an error, never cut.
#[derive(Debug, Action)]
#[action(
    id = "file.read",
    version = "1.0",
    title = "Read file",
    effect = "read",
    files(read = "path")
)]
pub struct FileRead {
    offload: Arc<dyn Offload>,
}

/// The parameters of `file.read`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadIn {
    /// The file; a relative path begins at the workflow's folder.
    path: String,
    /// How the file's bytes stand in the result.
    #[serde(default)]
    encoding: Encoding,
    /// The largest file to read, such as `64 MiB`; at most 256 MiB.
    max_size: Option<Size>,
}

/// The result of `file.read`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReadOut {
    /// The absolute path.
    path: String,
    /// Its size in bytes.
    size: u64,
    /// Its content, in the encoding that was asked for.
    text: String,
}

impl FileRead {
    /// Reads on the threads of `offload`.
    #[must_use]
    pub fn new(offload: Arc<dyn Offload>) -> Self {
        Self { offload }
    }

    async fn run(&self, ctx: &ActionContext, input: ReadIn) -> Result<ReadOut, ActionError> {
        let granted = ctx.file(Access::Read, &input.path)?;
        let max_size = input.max_size.map_or(DEFAULT_READ, |size| size.0);
        if max_size > MAX_READ {
            let message = format!("`max_size` is {max_size}; at most {MAX_READ} are read at once");
            return Err(ActionError::invalid_input(
                "FILE_MAX_SIZE",
                "/max_size",
                message,
            ));
        }
        let work = move || read(granted, input.encoding, max_size);
        blocking::run(&*self.offload, ErrorClass::Fatal, work).await
    }
}

fn read(
    granted: GrantedPath,
    encoding: Encoding,
    max_size: ByteSize,
) -> Result<ReadOut, ActionError> {
    let path = granted.path().display().to_string();
    let place = Place::of_file(granted, Access::Read)?;
    let file = place.existing(OpenOptions::new().read(true))?;
    let too_large = || {
        let message = format!(
            "{path} is larger than {max_size}; raise `max_size` (at most {MAX_READ}) or read a smaller file"
        );
        ActionError::limit("FILE_TOO_LARGE", message)
    };
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > max_size.as_u64() {
        return Err(too_large());
    }
    // The size is a hint only: files grow, and those of `/proc` say 0.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(max_size.as_u64() + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| place.error(&error, false))?;
    let size = bytes.len() as u64;
    if size > max_size.as_u64() {
        return Err(too_large());
    }
    let text = match encoding {
        Encoding::Base64 => STANDARD.encode(&bytes),
        Encoding::Utf8 => String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let message = format!(
                "{path} is no UTF-8 text: byte {at} is wrong; read it with `encoding: base64`"
            );
            ActionError::fatal("FILE_NOT_UTF8", message)
        })?,
    };
    Ok(ReadOut { path, size, text })
}
