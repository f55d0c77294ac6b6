//! The power fails between any two steps on the disk: one of the keys that are left opens what is left.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nebula_core::{ExposeSecret as _, SecretId, TenantId};
use nebula_ports::SecretsRotated;
use nebula_testkit::SeededEntropy;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::{
    config::{KeySource, SecretsConfig},
    disk::{Disk, HostDisk},
    key::Key,
    ring::Ring,
    store::SecretFile,
};

/// A disk that loses what was not synchronised when the power fails before step `fails_at`.
#[derive(Debug)]
struct Volatile {
    fails_at: usize,
    /// Whether names that were not synchronised are lost, too; a disk may keep them or not.
    loses_names: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: usize,
    failed: bool,
    /// Files whose content is not on the disk yet.
    unsynced: Vec<PathBuf>,
    /// Names that were given and are not on the disk yet, with what was there before.
    renamed: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl Volatile {
    fn step(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.steps == self.fails_at && !state.failed {
            state.failed = true;
            for path in &state.unsynced {
                // An empty file is what a journal of metadata leaves of one without its data.
                let _ = File::options().write(true).truncate(true).open(path);
            }
            if self.loses_names {
                for (path, before) in state.renamed.iter().rev() {
                    match before {
                        Some(before) => fs::write(path, before)?,
                        None => fs::remove_file(path)?,
                    }
                }
            }
        }
        state.steps += 1;
        match state.failed {
            true => Err(io::Error::other("the power is off")),
            false => Ok(()),
        }
    }
}

impl Disk for Volatile {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        HostDisk.create(path)
    }

    fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        self.state.lock().unsynced.push(path.to_owned());
        HostDisk.write(file, path, bytes)
    }

    fn sync(&self, _: &File, path: &Path) -> io::Result<()> {
        self.step()?;
        self.state.lock().unsynced.retain(|other| other != path);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let mut state = self.state.lock();
        for path in &mut state.unsynced {
            if path == from {
                to.clone_into(path);
            }
        }
        state.renamed.push((to.to_owned(), fs::read(to).ok()));
        HostDisk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?;
        let mut state = self.state.lock();
        state
            .renamed
            .retain(|(path, _)| path.parent() != Some(folder));
        Ok(())
    }
}

fn file(folder: &TempDir, disk: impl Disk + 'static, seed: u64) -> SecretFile {
    // In two folders, as on a desktop: the names of one say nothing about those of the other.
    let key = folder.path().join("config/secrets.key");
    SecretFile {
        config: SecretsConfig {
            create_folders: true,
            ..SecretsConfig::file(folder.path().join("secrets.nebula"))
        },
        ring: Ring::new(KeySource::File(key)),
        entropy: Arc::new(SeededEntropy::new(seed)),
        disk: Arc::new(disk),
    }
}

fn place(id: &str) -> (TenantId, SecretId) {
    (TenantId::local(), SecretId::new(id).unwrap())
}

/// What a process that comes afterwards reads.
fn value(folder: &TempDir, id: &str) -> Option<String> {
    let opened = file(folder, HostDisk, 99).read();
    let mut secrets = opened.expect("one of the keys opens it")?.secrets;
    let value = secrets.remove(&place(id));
    value.map(|value| value.expose_secret().to_owned())
}

/// Does `work` on a store with a secret, with the power off at every step; `holds` looks at the rest.
fn at_every_step(
    prepare: impl Fn(&TempDir),
    work: impl Fn(&SecretFile) -> bool,
    holds: impl Fn(&TempDir, bool),
) -> usize {
    for loses_names in [false, true] {
        for fails_at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            prepare(&folder);
            let disk = Volatile {
                fails_at,
                loses_names,
                state: Mutex::default(),
            };
            let done = work(&file(&folder, disk, 5));
            holds(&folder, done);
            if done {
                if loses_names {
                    return fails_at;
                }
                break;
            }
        }
    }
    unreachable!("the work comes to its end")
}

fn one_secret(folder: &TempDir) {
    let _ = file(folder, HostDisk, 1).set(place("a"), "hunter2".into());
}

#[test]
fn a_rotation_can_be_cut_off_anywhere() {
    let steps = at_every_step(
        one_secret,
        |file| file.rotate().is_ok(),
        |folder, _| {
            assert_eq!(value(folder, "a").as_deref(), Some("hunter2"));
            // And the next one comes to its end, and drops every key but one.
            let rotated = file(folder, HostDisk, 6).rotate().unwrap();
            assert!(matches!(
                rotated,
                SecretsRotated::Rotated { secrets: 1, .. }
            ));
            assert_eq!(value(folder, "a").as_deref(), Some("hunter2"));
            let keys = file(folder, HostDisk, 7).ring.ask().unwrap().unwrap();
            assert_eq!(keys.len(), 1);
            // It went on to a newer key, and not back to the one that everything began with.
            assert_ne!(keys[0].id(), Key::random(&SeededEntropy::new(1)).id());
        },
    );
    assert_eq!(steps, 15, "three files of five steps each");
}

#[test]
fn a_secret_that_replaces_another_can_be_cut_off_anywhere() {
    at_every_step(
        one_secret,
        |file| file.set(place("a"), "second".into()).is_ok(),
        |folder, done| {
            let found = value(folder, "a");
            match done {
                true => assert_eq!(found.as_deref(), Some("second")),
                false => assert!(matches!(found.as_deref(), Some("hunter2" | "second"))),
            }
        },
    );
}

#[test]
fn the_first_secret_can_be_cut_off_anywhere() {
    at_every_step(
        |_| {},
        |file| file.set(place("a"), "first".into()).is_ok(),
        |folder, done| {
            let found = value(folder, "a");
            assert!(!done || found.is_some());
            // What was begun stands in nobody's way.
            let again = file(folder, HostDisk, 8).set(place("a"), "again".into());
            assert!(again.is_ok());
            assert_eq!(value(folder, "a").as_deref(), Some("again"));
        },
    );
}
