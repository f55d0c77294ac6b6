//! What can be wrong with settings.

use std::{fmt, io, path::PathBuf};

use crate::{FilePlace, MAX_FILE_BYTES, Source};

/// So many problems are reported at once; the rest waits for the next try.
pub const MAX_PROBLEMS: usize = 20;

/// One thing that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is not there, is no regular file, or may not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could change the settings.
    #[error("{path} can be written by others (mode {mode:03o}); run `chmod go-w {path}`", path = path.display())]
    WritableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("{}: is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is no TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: FilePlace,
        /// What was expected there.
        message: String,
    },
    /// A layer names a setting that does not exist.
    #[error("{origin}: there is no setting `{key}`{}", hint(meant.as_deref()))]
    UnknownKey {
        /// The key with dots.
        key: String,
        /// Who names it.
        origin: Source,
        /// The key that was probably meant.
        meant: Option<String>,
    },
    /// A setting has a wrong value.
    #[error("{origin}: `{key}`: {message}")]
    Value {
        /// The key with dots.
        key: String,
        /// Who gives the value.
        origin: Source,
        /// What is wrong with it.
        message: String,
    },
}

/// Everything that is wrong with the settings; at least one problem.
#[derive(Debug)]
pub struct ConfigError {
    /// In the order of the layers, unreadable layers first.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

fn hint(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}
