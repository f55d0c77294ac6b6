//! Laying one layer over the other.

use std::{io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ConfigError, MAX_PROBLEMS, Problem, Source, Sources, file,
    read::{ReadError, Reader},
    tree::Tree,
};

/// A setting that was given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// As the user wrote it: `--concurrency`.
    pub name: &'static str,
    /// The setting, with dots: `worker.concurrency`.
    pub key: &'static str,
    /// Its text.
    pub value: String,
}

/// Settings under construction. Each call lays one more layer on top of the ones before.
#[derive(Debug)]
pub struct Layers {
    defaults: Tree,
    merged: Tree,
    problems: Vec<Problem>,
}

impl Layers {
    /// The lowest layer: the preset's own values. They also say which settings exist, together
    /// with the `deny_unknown_fields` of their types.
    ///
    /// # Panics
    /// If `defaults` cannot be written as JSON: settings are structs of our own with text keys.
    #[must_use]
    pub fn new<T: Serialize>(defaults: &T) -> Self {
        let json = serde_json::to_value(defaults).expect("settings have text keys");
        let defaults = Tree::from_defaults(json);
        Self {
            merged: defaults.clone(),
            defaults,
            problems: Vec::new(),
        }
    }

    /// A TOML file that must exist. On Unix it is refused if group or others may write to it.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        match file::read(path) {
            Ok(Some(tree)) => self.merged.overlay(tree),
            Ok(None) => self.problems.push(Problem::Unreadable {
                path: path.to_owned(),
                source: io::ErrorKind::NotFound.into(),
            }),
            Err(problem) => self.problems.push(problem),
        }
        self
    }

    /// The same for a file that need not exist, such as the user's own in its usual place.
    #[must_use]
    pub fn optional_file(mut self, path: &Path) -> Self {
        match file::read(path) {
            Ok(Some(tree)) => self.merged.overlay(tree),
            Ok(None) => {}
            Err(problem) => self.problems.push(problem),
        }
        self
    }

    /// Variables whose names begin with `prefix`, except the `reserved` ones, which mean something
    /// else. The rest of a name is the key in any case, `__` between its parts:
    /// `NEBULA_WORKER__LEASE_TTL` is `worker.lease_ttl`. Lists are written as in TOML: `["a", "b"]`.
    #[must_use]
    pub fn environment(
        mut self,
        prefix: &str,
        reserved: &[&str],
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        for (name, value) in variables {
            let Some(key) = name.strip_prefix(prefix) else {
                continue;
            };
            if reserved.contains(&name.as_str()) {
                continue;
            }
            let path: Vec<_> = key.to_lowercase().split("__").map(str::to_owned).collect();
            let variable = name.into();
            let tree = Tree::at(&path, &Source::Environment { variable }, value);
            self.merged.overlay(tree);
        }
        self
    }

    /// One setting from the command line.
    #[must_use]
    pub fn flag(mut self, flag: Flag) -> Self {
        let path: Vec<_> = flag.key.split('.').map(str::to_owned).collect();
        let name = flag.name.into();
        let tree = Tree::at(&path, &Source::Flag { name }, flag.value);
        self.merged.overlay(tree);
        self
    }

    /// Checks everything and gives the settings with their sources.
    ///
    /// # Errors
    /// [`ConfigError`]: every problem of every layer, up to [`MAX_PROBLEMS`].
    pub fn build<T: DeserializeOwned>(mut self) -> Result<(T, Sources), ConfigError> {
        // A value that is wrong is reported and then put back, so that the next one can be found.
        while self.problems.len() < MAX_PROBLEMS {
            match T::deserialize(Reader(&self.merged)) {
                Ok(settings) if self.problems.is_empty() => {
                    let mut sources = Sources::default();
                    self.merged.note_sources("", &mut sources);
                    return Ok((settings, sources));
                }
                Ok(_) => break,
                Err(error) => {
                    let changed = self.merged.reset(&error.path(), Some(&self.defaults));
                    self.problems.push(ReadError::into_problem(error));
                    if !changed {
                        break;
                    }
                }
            }
        }
        Err(ConfigError {
            problems: self.problems,
        })
    }
}
