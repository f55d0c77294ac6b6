//! Opening a database: alone or beside others, checked, and set aside where it is damaged.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nebula_core::Clock;
use nebula_ports::ErrorKind;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{
    SqliteConfig,
    check::{self, Verdict},
    error::Fault,
    holders::{Holders, options},
    log, schema,
};

/// A database that is ready for work.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) holders: Holders,
    /// Tells other processes, as long as it is open, that the file is in use.
    pub(crate) presence: Option<File>,
}

/// Opens the database that `config` names; creates it if it is missing.
pub(crate) fn open(config: &SqliteConfig, clock: &Arc<dyn Clock>) -> Result<Opened, Fault> {
    config.check()?;
    schema::check_library()?;
    match &config.path {
        None => open_in_memory(config, clock),
        Some(path) => open_file(path, config, clock),
    }
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path, config: &SqliteConfig) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    schema::prepare(&connection, config)?;
    Ok(connection)
}

/// A connection that writes, to a file that exists.
pub(crate) fn writer(path: &Path, config: &SqliteConfig) -> Result<Connection, Fault> {
    let connection = connect(path)?;
    schema::prepare(&connection, config)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}

fn open_in_memory(config: &SqliteConfig, clock: &Arc<dyn Clock>) -> Result<Opened, Fault> {
    let mut connection = Connection::open_in_memory()?;
    schema::prepare(&connection, config)?;
    schema::prepare_writer(&connection, config)?;
    schema::migrate(&mut connection, clock.now())?;
    Ok(Opened {
        connection,
        holders: Holders::new(None),
        presence: None,
    })
}

fn open_file(path: &Path, config: &SqliteConfig, clock: &Arc<dyn Clock>) -> Result<Opened, Fault> {
    let found = look_at(path, config)?;
    let folder = beside(path, "-holders");
    let ours = folder.is_dir();
    make_folder(&folder, false)?;

    // One process at a time opens; so nobody begins to use a file that somebody sets aside.
    // Both files are never the database itself: closing a second handle of that would drop
    // SQLite's own locks on it.
    let guard_path = folder.join("guard");
    let guard = options()
        .open(&guard_path)
        .map_err(|e| at(&e, &guard_path))?;
    let guarded = guard.lock().is_ok();
    let open_path = folder.join("open");
    let presence = options().open(&open_path).map_err(|e| at(&e, &open_path))?;
    let alone = guarded && presence.try_lock().is_ok();

    let creating = folder.join("creating");
    create_file(path, found, &creating)?;
    let opened = open_checked(path, config, clock, alone);
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(Verdict::Failed(fault)) => return Err(fault),
        Err(Verdict::Foreign(fault)) => {
            if alone && !ours {
                forget_folder(&folder);
            }
            return Err(fault);
        }
        Err(Verdict::NotADatabase) if !ours => {
            if alone {
                forget_folder(&folder);
            }
            return Err(check::not_a_database(path));
        }
        Err(Verdict::NotADatabase) => {
            return Err(check::set_aside(
                path,
                alone,
                clock.as_ref(),
                "its header is damaged",
            ));
        }
        Err(Verdict::Damaged(what)) => {
            return Err(check::set_aside(path, alone, clock.as_ref(), &what));
        }
    };
    schema::prepare_writer(&connection, config)?;
    schema::migrate(&mut connection, clock.now())?;
    let _ = fs::remove_file(&creating);

    // From exclusive to shared, while the guard keeps everybody else from trying.
    if alone {
        let _ = presence.unlock();
    }
    let shared = presence.lock_shared().is_ok();
    let holders = Holders::new(shared.then_some(folder));
    Ok(Opened {
        connection,
        holders,
        presence: Some(presence),
    })
}

/// What is at the database's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Empty,
    File,
}

fn look_at(path: &Path, config: &SqliteConfig) -> Result<Found, Fault> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(Fault::new(
            ErrorKind::Unavailable,
            format!("`{shown}` is a folder; name a file in it, such as `{shown}/nebula.db`"),
        )),
        Ok(there) if !there.is_file() => Err(Fault::new(
            ErrorKind::Unavailable,
            format!("`{shown}` is no regular file; name a file on a local disk"),
        )),
        Ok(there) if there.len() == 0 => Ok(Found::Empty),
        Ok(_) => Ok(Found::File),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            if !parent.is_dir() {
                if !config.create_folder {
                    let parent = parent.display();
                    return Err(Fault::new(
                        ErrorKind::Unavailable,
                        format!(
                            "the folder `{parent}` does not exist; create it, or choose another path for the database"
                        ),
                    ));
                }
                make_folder(parent, true)?;
            }
            Ok(Found::Nothing)
        }
        Err(error) => Err(at(&error, path)),
    }
}

/// Makes the file with mode 0600 before SQLite makes it with another.
///
/// An empty file is an error, for it may be all that is left of a database; except where a process
/// died just after it made the file, which the mark `creating` tells.
fn create_file(path: &Path, found: Found, creating: &Path) -> Result<(), Fault> {
    match found {
        Found::File => Ok(()),
        Found::Empty if creating.exists() => Ok(()),
        // Somebody else may have made it in between; now it is a database.
        Found::Empty if fs::metadata(path).is_ok_and(|there| there.len() > 0) => Ok(()),
        Found::Empty => Err(Fault::corrupt(format!(
            "`{}` is empty, which no database is; delete it to begin a new one, or restore a backup",
            path.display()
        ))),
        Found::Nothing => {
            options().open(creating).map_err(|e| at(&e, creating))?;
            let mut options = options();
            match options.create_new(true).open(path) {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(at(&error, path)),
            }
        }
    }
}

/// Opens the file and looks whether it is ours and sound.
fn open_checked(
    path: &Path,
    config: &SqliteConfig,
    clock: &Arc<dyn Clock>,
    alone: bool,
) -> Result<Connection, Verdict> {
    let unclean = fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0);
    if alone && unclean {
        let log = beside(path, "-wal");
        let damage = log::damage(&log).map_err(|error| at(&error, &log))?;
        if let Some(damage) = damage {
            return Err(Verdict::Damaged(damage));
        }
    }
    let connection = connect(path)?;
    // Until it is known to be sound, the file stays as it was found, with its log.
    keep_log(&connection, unclean)?;
    schema::prepare(&connection, config)?;
    if connection.is_readonly("main").map_err(Fault::from)? {
        return Err(Verdict::Failed(Fault::new(
            ErrorKind::ReadOnly,
            format!("`{}` may only be read", path.display()),
        )));
    }
    check::header(&connection, path)?;
    if alone {
        check::content(&connection, clock, unclean)?;
    }
    keep_log(&connection, false)?;
    Ok(connection)
}

/// Whether closing the last connection leaves the write-ahead log as it is.
fn keep_log(connection: &Connection, keep: bool) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)?;
    Ok(())
}

/// `path` with `suffix` after its file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn make_folder(path: &Path, all: bool) -> Result<(), Fault> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.recursive(all).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(&error, path)),
        _ => Ok(()),
    }
}

/// Removes what was made beside a file that is not ours.
fn forget_folder(folder: &Path) {
    // What stays does no harm.
    for name in ["guard", "open", "creating"] {
        let _ = fs::remove_file(folder.join(name));
    }
    let _ = fs::remove_dir(folder);
}

fn at(error: &io::Error, path: &Path) -> Fault {
    Fault::io(error, format!("`{}`", path.display()))
}
