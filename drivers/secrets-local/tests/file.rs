//! What the file and its key promise beyond the port: nothing is overwritten, nothing is lost.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nebula_core::{ExposeSecret as _, SecretId, TenantId};
use nebula_ports::{ErrorKind, PortError, SecretsRotated, SecretsStore as _};
use nebula_secrets_local::{KeyCommand, KeySource, LocalSecrets, SecretsConfig};
use nebula_system::{SystemClock, SystemEntropy, ThreadPoolOffload};
use tempfile::TempDir;

/// With a timer: a lock may be held for a moment by a child that another test has just begun.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("secrets.nebula")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("secrets.key")
    }

    fn config(&self) -> SecretsConfig {
        SecretsConfig::file(self.file())
    }

    async fn open(&self) -> Result<LocalSecrets, PortError> {
        self.open_with(KeySource::File(self.key())).await
    }

    async fn open_with(&self, source: KeySource) -> Result<LocalSecrets, PortError> {
        open(self.config(), source).await
    }

    /// A home with the secret `a`.
    async fn with_a_secret() -> Self {
        let home = Self::new();
        set(&home.open().await.unwrap(), "a", "hunter2")
            .await
            .unwrap();
        home
    }

    /// Every file with its content.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = fs::read_dir(self.0.path()).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
        files.into_iter().map(read).collect()
    }
}

async fn open(config: SecretsConfig, source: KeySource) -> Result<LocalSecrets, PortError> {
    let clock = Arc::new(SystemClock::default());
    let offload = Arc::new(ThreadPoolOffload::new(2.try_into().unwrap()).unwrap());
    LocalSecrets::open(config, source, clock, Arc::new(SystemEntropy), offload).await
}

fn given(text: &str) -> KeySource {
    KeySource::Given {
        from: "the test".to_owned(),
        text: text.into(),
    }
}

fn id(text: &str) -> SecretId {
    SecretId::new(text).unwrap()
}

async fn set(store: &LocalSecrets, name: &str, value: &str) -> Result<(), PortError> {
    let set = store.set(&TenantId::local(), &id(name), value.into()).await;
    set.map(|_| ())
}

async fn get(store: &LocalSecrets, name: &str) -> Result<Option<String>, PortError> {
    let found = store.get(&TenantId::local(), &id(name)).await?;
    Ok(found.map(|value| value.expose_secret().to_owned()))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_secret_makes_a_key_and_reading_does_not() {
    run(async {
        let home = Home::new();
        let store = home.open().await.unwrap();
        assert_eq!(get(&store, "a").await.unwrap(), None);
        assert!(home.content().is_empty());
        set(&store, "a", "hunter2").await.unwrap();
        assert_eq!((mode(&home.key()), mode(&home.file())), (0o600, 0o600));
        for (path, content) in home.content() {
            let shows = content.windows(7).any(|at| at == b"hunter2");
            assert!(!shows, "{}", path.display());
        }
        let again = home.open().await.unwrap();
        assert_eq!(get(&again, "a").await.unwrap().as_deref(), Some("hunter2"));
    });
}

#[test]
fn without_its_key_the_file_is_not_opened_and_no_key_is_made() {
    run(async {
        let home = Home::with_a_secret().await;
        let store = home.open().await.unwrap();
        fs::remove_file(home.key()).unwrap();
        let before = home.content();
        let error = home.open().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Key);
        assert!(
            error.to_string().contains("secrets.key is not there"),
            "{error}"
        );
        assert_eq!(home.content(), before);
        // Who had it open still has the key.
        assert_eq!(get(&store, "a").await.unwrap().as_deref(), Some("hunter2"));
    });
}

#[test]
fn a_wrong_key_is_refused_at_open_and_later_before_anything_is_written() {
    run(async {
        let home = Home::with_a_secret().await;
        let other = "07".repeat(32);
        let before = home.content();
        let error = home.open_with(given(&other)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Key);
        assert!(
            error.to_string().contains("which is not in the test"),
            "{error}"
        );
        assert!(!error.to_string().contains(&other), "{error}");
        assert_eq!(home.content(), before);
        // A handle that was opened before there was a file meets it only when it writes.
        let late = Home::new();
        let store = late.open_with(given(&other)).await.unwrap();
        fs::copy(home.file(), late.file()).unwrap();
        let content = fs::read(late.file()).unwrap();
        assert_eq!(
            set(&store, "b", "x").await.unwrap_err().kind,
            ErrorKind::Key
        );
        assert_eq!(store.rotate().await.unwrap_err().kind, ErrorKind::Key);
        let deleted = store.delete(&TenantId::local(), &id("a")).await;
        assert_eq!(deleted.unwrap_err().kind, ErrorKind::Key);
        assert_eq!(fs::read(late.file()).unwrap(), content);
    });
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    run(async {
        let home = Home::with_a_secret().await;
        for open_to in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(home.key(), fs::Permissions::from_mode(open_to)).unwrap();
            let error = home.open().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Key, "{open_to:o}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(home.key(), fs::Permissions::from_mode(0o400)).unwrap();
        assert!(home.open().await.is_ok());
    });
}

#[test]
fn a_key_file_that_is_a_pipe_or_a_folder_is_refused_at_once() {
    run(async {
        for make in ["mkfifo", "mkdir"] {
            let home = Home::with_a_secret().await;
            fs::remove_file(home.key()).unwrap();
            let made = std::process::Command::new(make).arg(home.key()).status();
            assert!(made.unwrap().success());
            let error = home.open().await.unwrap_err();
            assert!(
                error.to_string().contains("no regular file"),
                "{make}: {error}"
            );
        }
    });
}

#[test]
fn a_damaged_file_is_an_error_and_stays_as_it_is() {
    run(async {
        let home = Home::with_a_secret().await;
        let (whole, store) = (fs::read(home.file()).unwrap(), home.open().await.unwrap());
        let last = whole.len() - 1;
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            bytes
        };
        let cases = [
            ("empty", Vec::new(), ErrorKind::Corrupt),
            (
                "cut in the header",
                whole[..30].to_vec(),
                ErrorKind::Corrupt,
            ),
            (
                "cut in the content",
                whole[..last].to_vec(),
                ErrorKind::Corrupt,
            ),
            ("longer", [&whole[..], b"x"].concat(), ErrorKind::Corrupt),
            ("flipped key id", flipped(17), ErrorKind::Corrupt),
            ("flipped nonce", flipped(45), ErrorKind::Corrupt),
            ("flipped content", flipped(70), ErrorKind::Corrupt),
            ("flipped tag", flipped(last), ErrorKind::Corrupt),
            ("another format", flipped(15), ErrorKind::Format),
            (
                "another program's",
                b"SQLite format 3\0 and more".to_vec(),
                ErrorKind::Format,
            ),
        ];
        for (what, bytes, kind) in cases {
            fs::write(home.file(), &bytes).unwrap();
            let error = home.open().await.unwrap_err();
            assert_eq!(error.kind, kind, "{what}: {error}");
            assert!(
                error.to_string().contains("secrets.nebula"),
                "{what}: {error}"
            );
            assert_eq!(get(&store, "a").await.unwrap_err().kind, kind, "{what}");
            assert_eq!(
                set(&store, "b", "x").await.unwrap_err().kind,
                kind,
                "{what}"
            );
            assert_eq!(store.rotate().await.unwrap_err().kind, kind, "{what}");
            assert_eq!(fs::read(home.file()).unwrap(), bytes, "{what}");
        }
        fs::write(home.file(), &whole).unwrap();
        assert_eq!(get(&store, "a").await.unwrap().as_deref(), Some("hunter2"));
    });
}

#[test]
fn a_rotated_file_opens_with_the_new_key_alone() {
    run(async {
        let home = Home::with_a_secret().await;
        let old = fs::read_to_string(home.key()).unwrap();
        let store = home.open().await.unwrap();
        let rotated = store.rotate().await.unwrap();
        assert!(matches!(
            rotated,
            SecretsRotated::Rotated { secrets: 1, .. }
        ));
        let new = fs::read_to_string(home.key()).unwrap();
        let key = |text: &str| text.lines().last().unwrap().to_owned();
        assert!(!new.contains(&key(&old)), "the old key is gone");
        assert_eq!(mode(&home.key()), 0o600);
        assert_eq!(
            home.open_with(given(&key(&old))).await.unwrap_err().kind,
            ErrorKind::Key
        );
        let opened = home.open_with(given(&key(&new))).await.unwrap();
        assert_eq!(get(&opened, "a").await.unwrap().as_deref(), Some("hunter2"));
    });
}

#[test]
fn a_key_that_is_not_in_a_file_is_rotated_by_giving_a_newer_one_first() {
    run(async {
        let home = Home::new();
        let (old, new) = ("07".repeat(32), "08".repeat(32));
        let store = home.open_with(given(&old)).await.unwrap();
        set(&store, "a", "hunter2").await.unwrap();
        let before = fs::read(home.file()).unwrap();
        let none = store.rotate().await.unwrap();
        assert!(
            matches!(none, SecretsRotated::NoNewerKey { .. }),
            "{none:?}"
        );
        assert_eq!(fs::read(home.file()).unwrap(), before);
        // With both, everything goes on under the old one until it is rotated.
        let both = home
            .open_with(given(&format!("{new}\n{old}")))
            .await
            .unwrap();
        set(&both, "b", "x").await.unwrap();
        assert_eq!(get(&store, "b").await.unwrap().as_deref(), Some("x"));
        assert!(matches!(
            both.rotate().await.unwrap(),
            SecretsRotated::Rotated { secrets: 2, .. }
        ));
        let alone = home.open_with(given(&new)).await.unwrap();
        assert_eq!(get(&alone, "a").await.unwrap().as_deref(), Some("hunter2"));
        assert_eq!(get(&store, "a").await.unwrap_err().kind, ErrorKind::Key);
    });
}

#[test]
fn a_command_gives_the_key() {
    run(async {
        let home = Home::new();
        let key = home.0.path().join("printed");
        fs::write(&key, "07".repeat(32)).unwrap();
        let command = |arguments: &[&str]| {
            KeySource::Command(KeyCommand {
                program: "/bin/cat".into(),
                arguments: arguments.iter().map(ToString::to_string).collect(),
                timeout: Duration::from_secs(60),
            })
        };
        let store = home
            .open_with(command(&[key.to_str().unwrap()]))
            .await
            .unwrap();
        set(&store, "a", "hunter2").await.unwrap();
        let same = home.open_with(given(&"07".repeat(32))).await.unwrap();
        assert_eq!(get(&same, "a").await.unwrap().as_deref(), Some("hunter2"));
        // One that fails opens nothing.
        let error = home.open_with(command(&["/nowhere"])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Key);
        assert!(error.to_string().contains("exit status: 1"), "{error}");
    });
}

/// A rotation that comes to its end between the read of the file and that of the key: here, while the
/// command for the key runs.
#[test]
fn a_reader_that_meets_a_rotation_reads_again() {
    run(async {
        let (home, rotated) = (Home::with_a_secret().await, Home::new());
        let old = fs::read_to_string(home.key()).unwrap();
        fs::copy(home.key(), rotated.key()).unwrap();
        fs::copy(home.file(), rotated.file()).unwrap();
        let _ = rotated.open().await.unwrap().rotate().await.unwrap();
        assert_ne!(fs::read_to_string(rotated.key()).unwrap(), old);
        let script = format!(
            "cp {} {}; cat {}",
            rotated.file().display(),
            home.file().display(),
            rotated.key().display()
        );
        let source = KeySource::Command(KeyCommand {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script],
            timeout: Duration::from_secs(60),
        });
        let store = home.open_with(source).await.unwrap();
        assert_eq!(get(&store, "a").await.unwrap().as_deref(), Some("hunter2"));
    });
}

#[test]
fn a_file_that_is_too_large_is_said_to_be_so_and_stays() {
    run(async {
        let home = Home::with_a_secret().await;
        let path = home.0.path().join("secrets.nebula");
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len((64 << 20) + 1).unwrap();
        let error = home.open().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt);
        assert!(error.to_string().contains("larger than"), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), (64 << 20) + 1);
    });
}

#[test]
fn a_full_file_takes_no_other_secret_but_new_values() {
    run(async {
        let home = Home::new();
        let config = SecretsConfig {
            max_secrets: 2,
            ..home.config()
        };
        let store = open(config, KeySource::File(home.key())).await.unwrap();
        for name in ["a", "b", "a"] {
            set(&store, name, "x").await.unwrap();
        }
        let error = set(&store, "c", "x").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Full);
        assert!(error.to_string().contains("holds 2 secrets"), "{error}");
        let _ = store.delete(&TenantId::local(), &id("a")).await.unwrap();
        set(&store, "c", "x").await.unwrap();
    });
}

#[test]
fn a_writer_waits_for_another_process_only_so_long() {
    run(async {
        let home = Home::with_a_secret().await;
        let config = SecretsConfig {
            lock_timeout: Duration::from_millis(50),
            ..home.config()
        };
        let store = open(config, KeySource::File(home.key())).await.unwrap();
        let held = fs::File::open(home.0.path().join("secrets.nebula.lock")).unwrap();
        held.lock().unwrap();
        let error = set(&store, "b", "x").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(
            error.to_string().contains("another process has held"),
            "{error}"
        );
        // Readers need no lock.
        assert_eq!(get(&store, "a").await.unwrap().as_deref(), Some("hunter2"));
        drop(held);
        set(&store, "b", "x").await.unwrap();
    });
}

#[test]
fn a_folder_that_is_missing_is_made_only_if_that_was_asked_for() {
    run(async {
        let home = Home::new();
        let (data, keys) = (home.0.path().join("data"), home.0.path().join("keys"));
        let config = SecretsConfig::file(data.join("secrets.nebula"));
        let source = || KeySource::File(keys.join("secrets.key"));
        let store = open(config.clone(), source()).await.unwrap();
        assert!(set(&store, "a", "x").await.is_err());
        let config = SecretsConfig {
            create_folders: true,
            ..config
        };
        set(&open(config, source()).await.unwrap(), "a", "x")
            .await
            .unwrap();
        assert_eq!((mode(&data), mode(&keys)), (0o700, 0o700));
    });
}

/// Locks of files belong to the handle that was opened, so handles in one process meet as those of
/// several do; `bins/desktop` does the same with processes.
#[test]
#[expect(clippy::disallowed_methods, reason = "handles are to meet on threads")]
fn of_handles_that_write_and_rotate_at_once_nothing_is_lost() {
    const WRITERS: usize = 3;
    const EACH: usize = 8;
    let home = Arc::new(run(Home::with_a_secret()));
    let writers = (0..WRITERS).map(|writer| {
        let home = Arc::clone(&home);
        std::thread::spawn(move || {
            run(async {
                let config = SecretsConfig {
                    lock_timeout: Duration::from_secs(120),
                    ..home.config()
                };
                let store = open(config, KeySource::File(home.key())).await.unwrap();
                for number in 0..EACH {
                    set(&store, &format!("s-{writer}-{number}"), "x")
                        .await
                        .unwrap();
                    let _ = store.rotate().await.unwrap();
                    assert_eq!(get(&store, "a").await.unwrap().as_deref(), Some("hunter2"));
                }
            });
        })
    });
    let writers: Vec<_> = writers.collect();
    for writer in writers {
        writer.join().unwrap();
    }
    run(async {
        let store = home.open().await.unwrap();
        let ids = store.list(&TenantId::local(), None, 1_000).await.unwrap();
        assert_eq!(ids.len(), 1 + WRITERS * EACH);
    });
}
