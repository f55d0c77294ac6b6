//! Content that is coming in: in memory first, then in a file that is nobody's blob yet.

use std::{
    fmt,
    fs::TryLockError,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cap_std::fs::{File, OpenOptions};
use nebula_core::{BlobId, DigestWriter, Timestamp};
use nebula_ports::{BlobPut, ErrorKind};

use crate::{error::Fault, folder::Folder, name, shard::Shard};

/// How much content is kept in memory before it is written: what is smaller and known already never
/// touches the disk a second time.
pub(crate) const BUFFER: usize = 1 << 20;

/// How many names a put tries for its file; each taken one belongs to somebody else.
const NAMES: u32 = 1_000;

/// Content of which the end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    buffer: Vec<u8>,
    digest: DigestWriter,
    temporary: Option<Temporary>,
}

impl Incoming {
    /// Takes a piece; says whether there is enough to write it away.
    pub(crate) fn take(&mut self, piece: &[u8]) -> bool {
        self.buffer.extend_from_slice(piece);
        self.buffer.len() >= BUFFER
    }

    /// How many bytes were taken.
    pub(crate) fn length(&self) -> u64 {
        self.digest.length() + self.buffer.len() as u64
    }

    /// Writes away what is in memory.
    pub(crate) fn spill(mut self, root: &Folder, tenant: &str) -> Result<Self, Fault> {
        self.digest.update(&self.buffer);
        let temporary = match self.temporary.take() {
            Some(temporary) => temporary,
            None => Temporary::new(root.made(tenant)?.made(name::INCOMING)?)?,
        };
        temporary.write(&self.buffer)?;
        self.buffer.clear();
        self.temporary = Some(temporary);
        Ok(self)
    }

    /// Puts the content, which is all here, in its place.
    pub(crate) fn finish(
        mut self,
        root: &Folder,
        tenant: &str,
        now: impl Fn() -> Timestamp,
    ) -> Result<BlobPut, Fault> {
        self.digest.update(&self.buffer);
        let id = BlobId {
            length: self.digest.length(),
            digest: self.digest.clone().finish(),
        };
        let folder = root.made(tenant)?;
        let shard = Shard::made(&folder, id.digest)?;
        if shard.is_whole(id)?
            && let Some(blob) = shard.lock()?.renew(id, now())?
        {
            return Ok(BlobPut::Known(blob));
        }
        // Not there, damaged, or deleted in this moment.
        let temporary = match self.temporary {
            Some(temporary) => temporary,
            None => Temporary::new(folder.made(name::INCOMING)?)?,
        };
        temporary.write(&self.buffer)?;
        temporary.sync()?;
        let blob = shard.lock()?.place(temporary, id, now())?;
        Ok(BlobPut::Stored(blob))
    }
}

/// A file on its way to become a blob; gone when it is dropped before.
///
/// It is locked as long as its writer lives: so whoever clears up knows what is left over.
pub(crate) struct Temporary {
    folder: Arc<Folder>,
    name: String,
    /// `None` once it has become a blob.
    file: Option<File>,
    _lock: std::fs::File,
}

impl fmt::Debug for Temporary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Temporary").field(&self.name).finish()
    }
}

impl Temporary {
    fn new(folder: Folder) -> Result<Self, Fault> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let folder = Arc::new(folder);
        for _ in 0..NAMES {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}", std::process::id());
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            let file = match folder.dir().open_with(&name, &options) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened.map_err(|error| folder.fault(&name, error))?,
            };
            let fault = |error| folder.fault(&name, error);
            let lock = file.try_clone().map_err(fault)?.into_std();
            match lock.try_lock() {
                Ok(()) => {}
                // Somebody clears up and took it for a leftover.
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(fault(error)),
            }
            // And may have been quicker.
            if folder.looked_at(&name)?.is_none() {
                continue;
            }
            return Ok(Self {
                folder: Arc::clone(&folder),
                name,
                file: Some(file),
                _lock: lock,
            });
        }
        let message = format!("{}: no free name for a file", folder.place(""));
        Err(Fault::new(ErrorKind::Unavailable, message))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn file(&self) -> &File {
        self.file.as_ref().expect("it is no blob yet")
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Fault> {
        let mut file = self.file();
        file.write_all(bytes)
            .map_err(|error| self.folder.fault(&self.name, error))
    }

    fn sync(&self) -> Result<(), Fault> {
        let synced = self.file().sync_all();
        synced.map_err(|error| self.folder.fault(&self.name, error))
    }

    /// Becomes the file `name` in `folder`, in the place of whatever has that name.
    pub(crate) fn rename(mut self, folder: &Folder, name: &str) -> Result<(), Fault> {
        let renamed = self.folder.dir().rename(&self.name, folder.dir(), name);
        renamed.map_err(|error| folder.not_ours(name, "regular file", error))?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What cannot be removed is left over, and cleared away by the next who looks.
            let _ = self.folder.dir().remove_file(&self.name);
        }
    }
}
