//! The keys that a source gives, and where they may be kept.

use std::{path::Path, sync::Arc};

use nebula_core::ExposeSecret as _;
use nebula_ports::ErrorKind;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::{
    command,
    config::{KeySource, MAX_KEY_TEXT},
    disk::{self, Disk},
    error::Fault,
    key::Key,
    keyring,
};

/// Keys, newest first.
pub(crate) type Keys = Arc<Vec<Key>>;

/// A source and what it gave last: a command is not run for every read.
#[derive(Debug)]
pub(crate) struct Ring {
    source: KeySource,
    known: Mutex<Option<Keys>>,
}

impl Ring {
    pub(crate) fn new(source: KeySource) -> Self {
        Self {
            source,
            known: Mutex::new(None),
        }
    }

    /// What the source gave last, or gives now; `None` if its file, or its item in a keyring, is not there.
    pub(crate) fn keys(&self) -> Result<Option<Keys>, Fault> {
        let known = self.known.lock().clone();
        match known {
            Some(keys) => Ok(Some(keys)),
            None => self.ask(),
        }
    }

    /// What the source gives now; `None` if its file, or its item in a keyring, is not there.
    pub(crate) fn ask(&self) -> Result<Option<Keys>, Fault> {
        let text = match &self.source {
            KeySource::File(path) => read(path)?,
            KeySource::Given { text, .. } => {
                Some(Zeroizing::new(text.expose_secret().as_bytes().to_vec()))
            }
            KeySource::Command(command) => Some(command::output(command)?),
            KeySource::Keyring(item) => keyring::read(item)?,
        };
        let Some(text) = text else {
            return Ok(None);
        };
        let keys = Arc::new(Key::parse(&text, &self.name())?);
        *self.known.lock() = Some(Arc::clone(&keys));
        Ok(Some(keys))
    }

    /// Whether the place in which the keys are kept is ours to write.
    pub(crate) fn is_ours(&self) -> bool {
        match &self.source {
            KeySource::File(_) | KeySource::Keyring(_) => true,
            KeySource::Given { .. } | KeySource::Command(_) => false,
        }
    }

    /// Replaces the keys where they are kept, durably; one that is not ours is left as it is.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        create_folders: bool,
        keys: Vec<Key>,
    ) -> Result<(), Fault> {
        let text = Key::file_text(&keys);
        // Whatever comes of it, what is known may be outdated.
        *self.known.lock() = None;
        match &self.source {
            KeySource::File(path) => {
                if create_folders {
                    disk::make_folder(disk::folder(path))?;
                }
                disk::replace(disk, path, text.as_bytes())?;
            }
            KeySource::Keyring(item) => keyring::write(item, &text)?,
            KeySource::Given { .. } | KeySource::Command(_) => return Ok(()),
        }
        *self.known.lock() = Some(Arc::new(keys));
        Ok(())
    }

    /// Where the keys come from, for people.
    pub(crate) fn name(&self) -> String {
        match &self.source {
            KeySource::File(path) => format!("the key file {}", path.display()),
            KeySource::Given { from, .. } => from.clone(),
            KeySource::Command(command) => {
                format!("what {} printed", command.program.display())
            }
            KeySource::Keyring(item) => {
                format!("the key for {} in the keyring of this user", item.name)
            }
        }
    }
}

/// The content of a key file; `None` if it is not there.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    let Some(file) = disk::open(path)? else {
        return Ok(None);
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let metadata = file.metadata().map_err(|error| Fault::read(path, error))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let shown = path.display();
            return Err(Fault::key(format!(
                "the key file {shown} is open to others (mode {mode:03o}); run `chmod 600 {shown}`, and rotate the key if somebody may have read it"
            )));
        }
    }
    // Of its final size, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(vec![0; MAX_KEY_TEXT + 1]);
    let mut length = 0;
    let mut file = file;
    loop {
        let read = std::io::Read::read(&mut file, &mut bytes[length..]);
        match read.map_err(|error| Fault::read(path, error))? {
            0 => break,
            more => length += more,
        }
    }
    bytes.truncate(length);
    Ok(Some(bytes))
}

/// There are secrets, and nobody has their key.
pub(crate) fn missing(ring: &Ring, secrets: &Path) -> Fault {
    Fault::new(
        ErrorKind::Key,
        format!(
            "{} is not there, and {} holds secrets that only it opens; restore a copy of it, or move the secrets away to begin anew",
            ring.name(),
            secrets.display()
        ),
    )
}
