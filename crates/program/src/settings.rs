//! Groups of settings that several programs have, each with the defaults of all of them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use nebula_config::{Source, Sources};
use nebula_core::{SecretString, serde_duration};
use nebula_telemetry::LogFormat;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// How connections over HTTP are made and kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// PEM files with certificates to trust beside those of the system.
    pub ca_files: Vec<PathBuf>,
    /// How long a connection may take, over all addresses of a name, TLS included.
    #[serde(with = "serde_duration")]
    pub connect_timeout: Duration,
    /// For how long a connection is kept that nobody uses.
    #[serde(with = "serde_duration")]
    pub keep_idle: Duration,
}

/// Where secrets are kept, and where their key comes from: at most one of the four.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsSettings {
    /// The file; default: `secrets.nebula` in the user's data folder.
    pub path: Option<PathBuf>,
    /// The file with the key; default: `secrets.key` in the user's config folder.
    pub key_file: Option<PathBuf>,
    /// The name of a variable that holds the key.
    pub key_variable: Option<String>,
    /// A program, by its absolute path, with its arguments; it prints the key.
    pub key_command: Option<Vec<String>>,
    /// How long that program may take.
    #[serde(with = "serde_duration")]
    pub key_command_timeout: Duration,
    /// Whether the key lies in the keyring of the operating system.
    pub key_in_keyring: bool,
    /// How long the keyring may take; its user may have to unlock it.
    #[serde(with = "serde_duration")]
    pub keyring_timeout: Duration,
    /// How long a write waits for another process that writes.
    #[serde(with = "serde_duration")]
    pub lock_timeout: Duration,
    /// The most secrets.
    pub max_secrets: usize,
}

/// Which programs may run; none by default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSettings {
    /// By their absolute paths, as nodes name them.
    pub allow: Vec<PathBuf>,
}

/// What is logged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// A level, or levels for parts of the program.
    pub filter: String,
    /// How lines look.
    pub format: LogShape,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogShape {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl From<LogShape> for LogFormat {
    fn from(shape: LogShape) -> Self {
        match shape {
            LogShape::Text => Self::Text,
            LogShape::Json => Self::Json,
        }
    }
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            ca_files: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            keep_idle: Duration::from_secs(30),
        }
    }
}

impl Default for SecretsSettings {
    fn default() -> Self {
        Self {
            path: None,
            key_file: None,
            key_variable: None,
            key_command: None,
            key_command_timeout: Duration::from_secs(30),
            key_in_keyring: false,
            keyring_timeout: Duration::from_secs(120),
            lock_timeout: Duration::from_secs(10),
            max_secrets: 1_024,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            filter: "warn".to_owned(),
            format: LogShape::Text,
        }
    }
}

/// Where the key of the secrets comes from.
#[derive(Debug)]
pub enum KeyFrom {
    /// From its file.
    File,
    /// From the keyring of the operating system.
    Keyring,
    /// It is here.
    Given {
        /// Where it came from, for errors.
        from: String,
        /// The key.
        text: SecretString,
    },
    /// A program prints it.
    Command {
        /// By its absolute path.
        program: PathBuf,
        /// As they are.
        arguments: Vec<String>,
    },
}

impl SecretsSettings {
    /// Where the key comes from.
    ///
    /// # Errors
    /// It comes from several places at once, or from a variable that is not set.
    pub fn key(&self) -> Result<KeyFrom, Failure> {
        let (variable, command) = (&self.key_variable, &self.key_command);
        let keyring = self.key_in_keyring;
        let wrong = |message: String| Failure::invalid("SETTINGS", message);
        match (&self.key_file, variable, command, keyring) {
            (_, None, None, false) => Ok(KeyFrom::File),
            (None, None, None, true) => Ok(KeyFrom::Keyring),
            (None, Some(name), None, false) => {
                let value = nebula_system::variable(name).map(OsString::into_string);
                let text = match value {
                    Some(Ok(text)) => text,
                    Some(Err(_)) => return Err(wrong(format!("the variable {name} is no text"))),
                    None => {
                        let message = format!(
                            "the key of the secrets is to come from the variable {name}, which is not set"
                        );
                        return Err(Failure::environment("STORE_KEY", message)
                            .advice("set it, or change `secrets.key_variable`"));
                    }
                };
                Ok(KeyFrom::Given {
                    from: format!("the variable {name}"),
                    text: text.into(),
                })
            }
            (None, None, Some(command), false) => {
                let Some((program, arguments)) = command.split_first() else {
                    return Err(wrong("`secrets.key_command` names no program".to_owned()));
                };
                Ok(KeyFrom::Command {
                    program: program.into(),
                    arguments: arguments.to_vec(),
                })
            }
            _ => Err(
                wrong("the key of the secrets comes from several places at once".to_owned()).advice(
                    "keep one of `secrets.key_file`, `secrets.key_variable`, `secrets.key_command` and `secrets.key_in_keyring`",
                ),
            ),
        }
    }
}

/// Refuses paths that would mean other files in every folder.
///
/// # Errors
/// One of them is relative: where it was given, and what to do.
pub fn absolute<'a>(
    sources: &Sources,
    key: &str,
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), Failure> {
    match paths.into_iter().find(|path| !path.is_absolute()) {
        Some(path) => Err(relative(sources, key, path)),
        None => Ok(()),
    }
}

/// A path that would mean another file in every folder.
#[must_use]
pub fn relative(sources: &Sources, key: &str, path: &Path) -> Failure {
    let source = sources.of(key).map(Source::to_string);
    let (source, path) = (source.unwrap_or_default(), path.display());
    let message = format!(
        "{source}: `{key}` is the relative path {path}, which would be another file in every folder"
    );
    Failure::invalid("SETTINGS", message).advice("write an absolute path there")
}
