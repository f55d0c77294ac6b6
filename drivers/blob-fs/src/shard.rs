//! One folder of blobs, and the lock under which ages change and files come and go.

use std::{fs::FileTimes, time::Duration};

use cap_std::fs::File;
use nebula_core::{BlobId, Digest, DigestWriter, Timestamp};
use nebula_ports::{Blob, BlobDeleted};

use crate::{
    error::Fault,
    folder::{Folder, system_time},
    incoming::Temporary,
    name,
    outgoing::read_all,
};

/// The folder of all blobs of a tenant whose digests begin alike.
#[derive(Debug)]
pub(crate) struct Shard {
    folder: Folder,
}

/// The right to change a shard; given back when it is dropped, and when its process ends.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    folder: &'a Folder,
    /// Closing it unlocks.
    _handle: std::fs::File,
}

impl Shard {
    /// The shard of `digest`; `None` if there was never a blob in it.
    pub(crate) fn existing(
        root: &Folder,
        tenant: &str,
        digest: Digest,
    ) -> Result<Option<Self>, Fault> {
        let (shard, _) = name::of_blob(digest);
        let Some(tenant) = root.existing(tenant)? else {
            return Ok(None);
        };
        Ok(tenant.existing(&shard)?.map(|folder| Self { folder }))
    }

    /// The same, made if it is missing.
    pub(crate) fn made(tenant: &Folder, digest: Digest) -> Result<Self, Fault> {
        let (shard, _) = name::of_blob(digest);
        let folder = tenant.made(&shard)?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Waits until no other process or thread changes this shard.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, Fault> {
        let handle = self.folder.handle()?;
        let locked = handle.lock();
        locked.map_err(|error| self.folder.fault(".", error))?;
        Ok(Locked {
            folder: &self.folder,
            _handle: handle,
        })
    }

    /// Says whether the blob is there with all its bytes.
    pub(crate) fn is_whole(&self, id: BlobId) -> Result<bool, Fault> {
        let (_, file) = name::of_blob(id.digest);
        let found = match self.folder.file(&file) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(false),
            // Something else in its place: a put takes the place back.
            Err(fault) if fault.kind == nebula_ports::ErrorKind::Corrupt => return Ok(false),
            Err(fault) => return Err(fault),
        };
        if found.length != id.length {
            return Ok(false);
        }
        let mut digest = DigestWriter::default();
        read_all(&found.file, |bytes| digest.update(bytes))
            .map_err(|error| self.folder.fault(&file, error))?;
        Ok(digest.finish() == id.digest)
    }
}

impl Locked<'_> {
    /// Begins the age of a blob anew; `None` if it is not there with this length.
    pub(crate) fn renew(&self, id: BlobId, now: Timestamp) -> Result<Option<Blob>, Fault> {
        let (_, file) = name::of_blob(id.digest);
        let Some(found) = self.folder.file(&file)? else {
            return Ok(None);
        };
        if found.length != id.length {
            return Ok(None);
        }
        let renewed_at = later(Some(found.modified), now);
        self.set_time(&found.file, &file, renewed_at)?;
        // Whoever put it may not have come to this yet: what we say is there must be on the disk.
        self.folder.sync()?;
        Ok(Some(Blob { id, renewed_at }))
    }

    /// Puts a file that is on the disk in the place of the blob, whatever is there.
    pub(crate) fn place(
        &self,
        temporary: Temporary,
        id: BlobId,
        now: Timestamp,
    ) -> Result<Blob, Fault> {
        let (_, file) = name::of_blob(id.digest);
        let before = self.folder.looked_at(&file)?.map(|(_, modified)| modified);
        let renewed_at = later(before, now);
        self.set_time(temporary.file(), temporary.name(), renewed_at)?;
        temporary.rename(self.folder, &file)?;
        self.folder.sync()?;
        Ok(Blob { id, renewed_at })
    }

    fn set_time(&self, file: &File, name: &str, at: Timestamp) -> Result<(), Fault> {
        let fault = |error| self.folder.fault(name, error);
        let file = file.try_clone().map_err(fault)?.into_std();
        let times = FileTimes::new().set_modified(system_time(at));
        file.set_times(times).map_err(fault)?;
        file.sync_all().map_err(fault)
    }

    /// Deletes the file of a blob, unless its age is not the one that was seen. That it is gone need
    /// not be on the disk: what comes back after a crash is as old as it was.
    pub(crate) fn delete(&self, digest: Digest, seen: Timestamp) -> Result<BlobDeleted, Fault> {
        let (_, file) = name::of_blob(digest);
        let Some((length, renewed_at)) = self.folder.looked_at(&file)? else {
            return Ok(BlobDeleted::Missing);
        };
        if renewed_at != seen {
            let id = BlobId { digest, length };
            return Ok(BlobDeleted::Renewed(Blob { id, renewed_at }));
        }
        let removed = self.folder.dir().remove_file(&file);
        removed.map_err(|error| self.folder.fault(&file, error))?;
        Ok(BlobDeleted::Deleted)
    }
}

/// The age of a renewal: later than the one before, whatever the clock says.
fn later(before: Option<Timestamp>, now: Timestamp) -> Timestamp {
    before.map_or(now, |before| now.max(before.plus(Duration::from_millis(1))))
}
