//! Where values come from.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

/// A place in a settings file. Text form: `path:line:column`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    /// The file.
    pub path: Arc<Path>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// Where one value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The preset's own value.
    Default,
    /// A settings file.
    File(FilePlace),
    /// The environment.
    Environment {
        /// The variable's whole name.
        variable: Arc<str>,
    },
    /// The command line.
    Flag {
        /// The flag as the user writes it.
        name: Arc<str>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => place.fmt(f),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

/// The source of every value, by its key with dots: `worker.concurrency`. A list is one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(pub(crate) BTreeMap<String, Source>);

impl Sources {
    /// Where the value of `key` comes from; `None` if there is no such value.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<&Source> {
        self.0.get(key)
    }

    /// Every key with its source, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.0.iter().map(|(key, source)| (key.as_str(), source))
    }
}
