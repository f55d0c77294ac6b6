//! The keyring of the operating system: on Linux whoever provides the Secret Service on the session's
//! D-Bus, such as GNOME's keyring or KWallet.
//!
//! The specification: <https://specifications.freedesktop.org/secret-service>. What is sent is encrypted
//! for the session.

use zeroize::Zeroizing;

use crate::{config::KeyringItem, error::Fault};

/// What `item` holds; `None` if there is no such item.
///
/// # Errors
/// There is no keyring, it is locked and stays so, or it does not answer in time.
pub(crate) fn read(item: &KeyringItem) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    service::call(item, service::read)
}

/// Puts a text in the place of what `item` holds.
pub(crate) fn write(item: &KeyringItem, text: &Zeroizing<String>) -> Result<(), Fault> {
    let text = text.clone();
    service::call(item, move |item| service::write(item, &text))
}

/// There is no keyring to be asked.
fn none(why: &str) -> Fault {
    Fault::key(format!(
        "there is no keyring of the operating system that could be asked for the key: {why}; start one in this session (on Linux: a D-Bus session bus with gnome-keyring or KWallet), or have the key come from a file, a variable or a command"
    ))
}

#[cfg(not(all(feature = "keyring", target_os = "linux")))]
mod service {
    use super::{Fault, KeyringItem, Zeroizing, none};

    const WHY: &str = "this build knows none (it needs Linux and the feature `keyring`)";

    pub(super) fn call<T>(
        item: &KeyringItem,
        ask: impl FnOnce(&KeyringItem) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        ask(item)
    }

    pub(super) fn read(_: &KeyringItem) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        Err(none(WHY))
    }

    pub(super) fn write(_: &KeyringItem, _: &Zeroizing<String>) -> Result<(), Fault> {
        Err(none(WHY))
    }
}

#[cfg(all(feature = "keyring", target_os = "linux"))]
mod service {
    use std::{
        collections::HashMap,
        sync::mpsc::{RecvTimeoutError, sync_channel},
        thread,
    };

    use secret_service::{
        EncryptionType, Error,
        blocking::{Item, SecretService},
    };

    use super::{Fault, KeyringItem, Zeroizing, none};

    /// Asks in a thread of its own, since a person may have to be asked for a password.
    pub(super) fn call<T: Send + 'static>(
        item: &KeyringItem,
        ask: impl FnOnce(&KeyringItem) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (give, take) = sync_channel(1);
        let (asked, timeout) = (item.clone(), item.timeout);
        #[expect(
            clippy::disallowed_methods,
            reason = "a question with a limit of time needs a thread; it ends with the answer of the keyring, or with this process"
        )]
        let asker = thread::Builder::new()
            .name("nebula-keyring".to_owned())
            .spawn(move || {
                // Nobody listens any more once the time is up.
                let _ = give.send(ask(&asked));
            });
        asker.map_err(|error| Fault::key(format!("the keyring cannot be asked: {error}")))?;
        match take.recv_timeout(timeout) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(Fault::key(format!(
                "the keyring of this user took longer than {timeout:?}; unlock it, and try again"
            ))),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Fault::key("the keyring of this user broke off"))
            }
        }
    }

    fn connect() -> Result<SecretService<'static>, Fault> {
        SecretService::connect(EncryptionType::Dh).map_err(|error| match error {
            Error::Unavailable => none("nobody provides the Secret Service in this session"),
            other => none(&other.to_string()),
        })
    }

    fn attributes(item: &KeyringItem) -> HashMap<&str, &str> {
        HashMap::from([("application", "nebula"), ("secrets", &*item.name)])
    }

    fn refused(doing: &str, error: &Error) -> Fault {
        let why = match error {
            Error::Locked | Error::Prompt => "it is locked, and was not unlocked".to_owned(),
            Error::NoResult => {
                "it has no collection that is the default one; make one, as a login to a desktop does"
                    .to_owned()
            }
            other => other.to_string(),
        };
        Fault::key(format!("the keyring of this user cannot {doing}: {why}"))
    }

    pub(super) fn read(item: &KeyringItem) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        let service = connect()?;
        let failed = |error| refused("give the key", &error);
        let found = service.search_items(attributes(item)).map_err(failed)?;
        let open: Option<&Item<'_>> = found.unlocked.first();
        let item = match (open, found.locked.first()) {
            (Some(item), _) => item,
            (None, Some(item)) => {
                item.unlock().map_err(failed)?;
                item
            }
            (None, None) => return Ok(None),
        };
        item.get_secret()
            .map(Zeroizing::new)
            .map(Some)
            .map_err(failed)
    }

    pub(super) fn write(item: &KeyringItem, text: &Zeroizing<String>) -> Result<(), Fault> {
        let service = connect()?;
        let failed = |error| refused("keep the key", &error);
        let collection = service.get_default_collection().map_err(failed)?;
        collection.unlock().map_err(failed)?;
        let label = format!("Key of Nebula's secrets in {}", item.name);
        collection
            .create_item(
                &label,
                attributes(item),
                text.as_bytes(),
                true,
                "text/plain",
            )
            .map_err(failed)?;
        Ok(())
    }
}
