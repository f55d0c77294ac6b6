//! Addresses of stores and queues: which driver, and where.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use nebula_core::{ExposeSecret as _, SecretString};
use nebula_program::failure::Failure;

/// The longest address, in bytes.
const MAX_ADDRESS: u64 = 4 * 1024;

/// Where something is. Its text may hold a password, so it is shown nowhere.
#[derive(Debug, Clone)]
pub struct Address(SecretString);

impl Address {
    /// What is before the first colon: which driver it is for.
    #[must_use]
    pub fn scheme(&self) -> &str {
        let text = self.0.expose_secret();
        text.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// What is after the first colon.
    #[must_use]
    pub fn rest(&self) -> &str {
        let text = self.0.expose_secret();
        text.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// The whole of it, for a driver.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// The absolute path that follows the scheme.
    ///
    /// # Errors
    /// It is none.
    pub fn path(&self, key: &str) -> Result<PathBuf, Failure> {
        let rest = self.rest();
        let path = Path::new(rest.strip_prefix("//").unwrap_or(rest));
        if path.is_absolute() && path.file_name().is_some() {
            return Ok(path.to_owned());
        }
        let scheme = self.scheme();
        let message = format!("`{key}`: after `{scheme}:` comes no absolute path of a file");
        let advice = format!("write it as {scheme}:/var/lib/nebula/nebula.db");
        Err(Failure::invalid("SETTINGS", message).advice(advice))
    }
}

/// The address under `key`: as it stands in the settings, or the whole text of a file that the settings name.
///
/// # Errors
/// Both are given, the file cannot be read or others may read it, or a password stands in the settings, where
/// `config show` and logs would tell it.
pub fn read(
    key: &str,
    given: Option<&str>,
    file: Option<&Path>,
    usual: impl FnOnce() -> String,
) -> Result<Address, Failure> {
    let wrong = |message: String| Failure::invalid("SETTINGS", message);
    match (given, file) {
        (Some(_), Some(_)) => {
            Err(wrong(format!("`{key}` and `{key}_file` are both given"))
                .advice("keep one of them"))
        }
        (None, None) => Ok(Address(usual().into())),
        (Some(text), None) if has_password(text) => {
            let message =
                format!("`{key}` has a password in it, which would be shown with the settings");
            let advice = format!(
                "write the whole address into a file that only this user may read, and name that in `{key}_file`"
            );
            Err(wrong(message).advice(advice))
        }
        (Some(text), None) => Ok(Address(text.to_owned().into())),
        (None, Some(file)) => of_file(key, file),
    }
}

fn of_file(key: &str, path: &Path) -> Result<Address, Failure> {
    let unreadable = |error| Failure::file(path, "read", &error);
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let message = format!(
                "`{key}_file`: {} may be read by others (mode {mode:03o})",
                path.display()
            );
            let advice = format!("run `chmod 600 {}`", path.display());
            return Err(Failure::invalid("SETTINGS", message).advice(advice));
        }
    }
    let mut text = String::new();
    let read = file.take(MAX_ADDRESS + 1).read_to_string(&mut text);
    read.map_err(unreadable)?;
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.contains('\n') || text.len() as u64 > MAX_ADDRESS {
        let message = format!(
            "`{key}_file`: {} holds no address: one line of at most {MAX_ADDRESS} bytes",
            path.display()
        );
        return Err(
            Failure::invalid("SETTINGS", message).advice("write nothing but the address into it")
        );
    }
    Ok(Address(trimmed.to_owned().into()))
}

/// Whether an address has a password before its host, or as a parameter.
fn has_password(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = authority.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let before_host = user.is_some_and(|user| user.contains(':'));
    before_host || query.split('&').any(|it| it.starts_with("password="))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(given: Option<&str>, file: Option<&Path>) -> Result<Address, Failure> {
        read("storage.address", given, file, || {
            "sqlite:/usual".to_owned()
        })
    }

    #[test]
    fn an_address_says_which_driver_and_where() {
        let usual = of(None, None).unwrap();
        assert_eq!((usual.scheme(), usual.rest()), ("sqlite", "/usual"));
        assert_eq!(usual.path("x").unwrap(), Path::new("/usual"));
        let url = of(Some("sqlite:///var/n.db"), None).unwrap();
        assert_eq!(url.path("x").unwrap(), Path::new("/var/n.db"));
        for none in ["sqlite:", "sqlite:n.db", "sqlite:/", "n.db", ""] {
            let address = of(Some(none), None).unwrap();
            assert_eq!(address.path("x").unwrap_err().code, "SETTINGS", "{none}");
        }
    }

    #[test]
    fn a_password_stands_in_a_file_of_its_own() {
        for told in [
            "postgres://me:secret@db/n",
            "redis://:secret@cache:6379/0",
            "postgres://db/n?user=me&password=secret",
        ] {
            let failure = of(Some(told), None).unwrap_err();
            assert!(failure.message.contains("password"), "{}", failure.message);
            assert!(!failure.message.contains("secret"), "{}", failure.message);
        }
        for kept in [
            "postgres://me@db:5432/n?host=/run",
            "redis://cache:6379/0",
            "memory:",
        ] {
            assert!(of(Some(kept), None).is_ok(), "{kept}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("address");
        let put = |text: &str| fs::write(&file, text).unwrap();
        put("postgres://me:secret@db/n\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;

            let may = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            may(0o640);
            let failure = of(None, Some(&file)).unwrap_err();
            assert!(failure.message.contains("640"), "{}", failure.message);
            may(0o600);
        }
        let address = of(None, Some(&file)).unwrap();
        assert_eq!(address.scheme(), "postgres");
        assert!(!format!("{address:?}").contains("secret"));
        assert!(of(Some("memory:"), Some(&file)).is_err());
        for none in ["", " \n", "a\nb\n", &"a".repeat(5_000)] {
            put(none);
            assert_eq!(of(None, Some(&file)).unwrap_err().code, "SETTINGS");
        }
    }
}
