//! Where the file is, where its key comes from, and how much there may be.

use std::{path::PathBuf, time::Duration};

use nebula_core::SecretString;

use crate::error::Fault;

/// The most secrets that a file can be made to hold, of all tenants.
pub const MAX_SECRETS: usize = 16_384;

/// The largest file that is read or written, in bytes.
pub const MAX_FILE_BYTES: usize = 64 << 20;

/// The most bytes of a text with keys: a key file, a variable, what a command prints.
pub const MAX_KEY_TEXT: usize = 4 << 10;

/// The most keys in such a text.
pub const MAX_KEYS: usize = 16;

/// The longest time that a command which prints a key, or a keyring, can be given.
pub const MAX_COMMAND_TIME: Duration = Duration::from_secs(300);

/// How secrets are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretsConfig {
    /// The file, made with mode 0600 when the first secret is set. Beside it lie `<file>.lock` and,
    /// after a crash, `<file>.new`.
    pub path: PathBuf,
    /// Whether missing folders of the file and of a key file are made, with mode 0700. Default: no.
    pub create_folders: bool,
    /// How long a write waits for other processes that write. Default: 10s.
    pub lock_timeout: Duration,
    /// How many secrets there may be, of all tenants, 1 to [`MAX_SECRETS`]; another one is refused
    /// with `Full`. Default: 1,024.
    pub max_secrets: usize,
}

impl SecretsConfig {
    /// Secrets in the file `path`, whose folder must exist.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            create_folders: false,
            lock_timeout: Duration::from_secs(10),
            max_secrets: 1_024,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        if !(1..=MAX_SECRETS).contains(&self.max_secrets) {
            return Err(Fault::invalid(format!(
                "`max_secrets` is {}; set it to 1 to {MAX_SECRETS}",
                self.max_secrets
            )));
        }
        Ok(())
    }
}

/// Where the key comes from.
///
/// Each source gives a text of 1 to [`MAX_KEYS`] keys, the newest first, parted by white space or
/// commas; lines that begin with `#` are remarks. A key is 32 random bytes in base64 or hex. The
/// file of secrets names the one that it is encrypted with; a new file takes the first.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file that its owner alone may read. If there is neither this file nor one with secrets, it
    /// is made with a random key when the first secret is set, and a rotation writes it anew. It
    /// belongs to one file of secrets: a rotation drops every key but the new one.
    File(PathBuf),
    /// A text that the caller got, from an environment variable for example.
    Given {
        /// Where it came from, for errors: `the environment variable X`.
        from: String,
        /// The keys.
        text: SecretString,
    },
    /// A program that prints the keys.
    Command(KeyCommand),
    /// An item in the keyring of the operating system, in the user's session. As with a file, it is made
    /// with a random key when the first secret is set, if there is neither it nor a file with secrets, and a
    /// rotation writes it anew. Linux only, with the feature `keyring`; else `Key`, with what to do.
    Keyring(KeyringItem),
}

/// An item in the keyring of the operating system. Its attributes are `application`: `nebula`, and
/// `secrets`: the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringItem {
    /// What tells it from those of other files of secrets, such as the file's path. At least one byte.
    pub name: String,
    /// How long the keyring may take, up to [`MAX_COMMAND_TIME`]: its user may have to unlock it.
    pub timeout: Duration,
}

/// A program that prints keys. It is started directly, without a shell, with the environment of this
/// process and nothing on its standard input; its standard error is that of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCommand {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take, up to [`MAX_COMMAND_TIME`]; then it is killed with all that it started.
    pub timeout: Duration,
}

impl KeySource {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let command = match self {
            Self::Command(command) => command,
            Self::Keyring(item) => return item.check(),
            Self::File(_) | Self::Given { .. } => return Ok(()),
        };
        if !command.program.is_absolute() {
            return Err(Fault::invalid(format!(
                "the command for the key, {}, is no absolute path; which program runs would depend on the current folder",
                command.program.display()
            )));
        }
        if command.timeout.is_zero() || command.timeout > MAX_COMMAND_TIME {
            return Err(Fault::invalid(format!(
                "the command for the key has {:?}; give it a time up to {MAX_COMMAND_TIME:?}",
                command.timeout
            )));
        }
        Ok(())
    }
}

impl KeyringItem {
    fn check(&self) -> Result<(), Fault> {
        if self.name.is_empty() {
            return Err(Fault::invalid("the item of the keyring has no name"));
        }
        if self.timeout.is_zero() || self.timeout > MAX_COMMAND_TIME {
            return Err(Fault::invalid(format!(
                "the keyring has {:?}; give it a time up to {MAX_COMMAND_TIME:?}",
                self.timeout
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_refused() {
        let config = SecretsConfig::file("/s");
        assert!(config.check().is_ok());
        for max_secrets in [0, MAX_SECRETS + 1] {
            let wrong = SecretsConfig {
                max_secrets,
                ..config.clone()
            };
            assert!(wrong.check().is_err());
        }
        let command = |program: &str, timeout| {
            KeySource::Command(KeyCommand {
                program: program.into(),
                arguments: Vec::new(),
                timeout,
            })
        };
        assert!(command("/bin/true", MAX_COMMAND_TIME).check().is_ok());
        for wrong in [
            command("true", MAX_COMMAND_TIME),
            command("/bin/true", Duration::ZERO),
            command("/bin/true", MAX_COMMAND_TIME * 2),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        let item = |name: &str, timeout| {
            KeySource::Keyring(KeyringItem {
                name: name.to_owned(),
                timeout,
            })
        };
        assert!(item("/s", MAX_COMMAND_TIME).check().is_ok());
        for wrong in [
            item("", MAX_COMMAND_TIME),
            item("/s", Duration::ZERO),
            item("/s", MAX_COMMAND_TIME * 2),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_that_was_given_shows_in_no_debug_text() {
        let source = KeySource::Given {
            from: "a test".to_owned(),
            text: "c2VjcmV0".into(),
        };
        assert!(!format!("{source:?}").contains("c2VjcmV0"));
    }
}
