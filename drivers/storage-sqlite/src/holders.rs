//! Which processes that hold leases are still alive.
//!
//! Every incarnation that asks a handle for a lease gets a file `<database>-holders/<incarnation>`,
//! on which the handle keeps a shared lock of the operating system. The system drops the lock when
//! the process ends, however it ends: whoever gets the exclusive lock knows that nobody holds the
//! incarnation's leases any more, lets them expire, and removes the file. Whatever cannot be
//! checked counts as alive: then the lease's own time decides, as it does between machines.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use nebula_core::Timestamp;
use nebula_ports::Incarnation;
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::error::Fault;

/// The most incarnations that one handle keeps a file for; leases of further ones end by time alone.
pub(crate) const MAX_HOLDERS: usize = 1024;

/// How often a file may vanish while it is being locked.
const ATTEMPTS: usize = 16;

/// The lock files of one database, and those that this handle holds.
#[derive(Debug)]
pub(crate) struct Holders {
    /// `None`: a database in memory, which no other process sees.
    folder: Option<PathBuf>,
    mine: BTreeMap<Uuid, File>,
}

/// An incarnation that nobody lives as any more; its file is locked as long as this value lives.
#[derive(Debug)]
pub(crate) struct Dead {
    holder: Uuid,
    path: PathBuf,
    _lock: File,
}

impl Dead {
    /// Lets the leases of the dead one end `now`.
    pub(crate) fn expire(&self, connection: &Connection, now: Timestamp) -> Result<usize, Fault> {
        // Every leased execution is in this index: it is due when its lease ends.
        let mut statement = connection.prepare_cached(
            "UPDATE executions INDEXED BY executions_due
             SET lease_until = ?2, ring_key = max(?2, rung_at)
             WHERE ring_key IS NOT NULL AND holder = ?1 AND lease_until > ?2",
        )?;
        Ok(statement.execute(params![self.holder.as_bytes(), now.as_millis()])?)
    }

    /// Forgets the dead one, after its expired leases were committed.
    pub(crate) fn forget(self) {
        // A file that stays is found and forgotten by the next one who looks.
        let _ = fs::remove_file(&self.path);
    }
}

impl Holders {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            mine: BTreeMap::new(),
        }
    }

    /// Shows the other processes that `holder` lives in this one.
    pub(crate) fn register(&mut self, holder: Incarnation) {
        let Some(folder) = &self.folder else { return };
        if self.mine.contains_key(&holder.0) || self.mine.len() >= MAX_HOLDERS {
            return;
        }
        if let Some(file) = locked_file(&folder.join(holder.0.to_string())) {
            self.mine.insert(holder.0, file);
        }
    }

    /// Whether `holder` is known to live no more.
    pub(crate) fn dead(&self, holder: Incarnation) -> Option<Dead> {
        if self.mine.contains_key(&holder.0) {
            return None;
        }
        let path = self.folder.as_ref()?.join(holder.0.to_string());
        exclusively(path, holder.0)
    }

    /// Everybody who is known to live no more.
    pub(crate) fn all_dead(&self) -> Vec<Dead> {
        let Some(entries) = self.folder.as_ref().and_then(|f| fs::read_dir(f).ok()) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| Some((entry.ok()?.path(), ())));
        names
            .filter_map(|(path, ())| {
                let holder = Uuid::parse_str(path.file_name()?.to_str()?).ok()?;
                (!self.mine.contains_key(&holder)).then(|| exclusively(path, holder))?
            })
            .collect()
    }

    /// Gives up every incarnation of this handle; those that no other handle shares are dead now.
    pub(crate) fn leave(&mut self) -> Vec<Dead> {
        let Some(folder) = &self.folder else {
            return Vec::new();
        };
        let mine = std::mem::take(&mut self.mine);
        mine.into_iter()
            .filter_map(|(holder, file)| {
                drop(file);
                exclusively(folder.join(holder.to_string()), holder)
            })
            .collect()
    }
}

/// The exclusive lock on a holder's file, unless somebody holds it or it cannot be had.
fn exclusively(path: PathBuf, holder: Uuid) -> Option<Dead> {
    let file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
    file.try_lock().ok()?;
    // Between opening and locking, another process may have forgotten the holder and a new life of
    // it may have made a new file: then this lock says nothing.
    same_file(&file, &path).then_some(Dead {
        holder,
        path,
        _lock: file,
    })
}

/// A file at `path` with a shared lock on it.
fn locked_file(path: &Path) -> Option<File> {
    for _ in 0..ATTEMPTS {
        let file = options().open(path).ok()?;
        file.lock_shared().ok()?;
        if same_file(&file, path) {
            return Some(file);
        }
    }
    None
}

/// Read and write, created with mode 0600.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether the open file is the one at `path` still.
#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Without a portable way to tell, nobody is known to be dead.
#[cfg(not(unix))]
fn same_file(_: &File, _: &Path) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn holder(n: u128) -> Incarnation {
        Incarnation(Uuid::from_u128(n))
    }

    #[test]
    fn a_holder_is_dead_once_nobody_lives_as_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Holders::new(Some(folder.path().to_owned()));
        let (mut a, mut b, watcher) = (open(), open(), open());
        a.register(holder(1));
        b.register(holder(1));
        assert!(watcher.dead(holder(1)).is_none());
        assert!(a.leave().is_empty(), "b lives as the same one");
        assert!(watcher.dead(holder(1)).is_none());
        drop(b);
        assert_eq!(watcher.all_dead().len(), 1);
        watcher.dead(holder(1)).unwrap().forget();
        assert!(
            watcher.dead(holder(1)).is_none(),
            "what has no file counts as alive"
        );
    }

    #[test]
    fn only_one_finds_the_dead_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Holders::new(Some(folder.path().to_owned()));
        let mut a = open();
        a.register(holder(1));
        drop(a);
        let (b, c) = (open(), open());
        let found = b.dead(holder(1)).unwrap();
        assert!(c.dead(holder(1)).is_none());
        drop(found);
        assert!(c.dead(holder(1)).is_some());
    }
}
