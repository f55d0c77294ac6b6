//! The port: reads without a lock, writes under one that all processes share.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{
    Clock, Entropy, ExposeSecret as _, KeyId, Offload, SecretId, SecretString, TenantId,
};
use nebula_ports::{
    ErrorKind, MAX_SECRET_BYTES, MAX_TENANT_SECRETS, Result, SecretDeleted, SecretSet,
    SecretsRotated, SecretsStore,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    blocking,
    config::{KeySource, MAX_FILE_BYTES, SecretsConfig},
    disk::{self, Disk, HostDisk},
    error::Fault,
    key::{Key, named},
    ring::{Ring, missing},
    seal::{Sealed, Secrets, seal},
};

/// How often a read begins anew because file and keys were replaced in the middle of it.
const READ_ATTEMPTS: usize = 16;
/// How long a writer waits before it asks for the lock again.
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// A [`SecretsStore`] in one encrypted file.
///
/// Nothing of it stays in memory between two calls but the keys. Any number of handles in any number
/// of processes on one machine may use one file; not for network file systems, whose locks and
/// renames are not dependable.
pub struct LocalSecrets {
    file: Arc<SecretFile>,
    clock: Arc<dyn Clock>,
    offload: Arc<dyn Offload>,
    /// Writers of this handle take turns here, so that they need not look for the lock.
    turn: Arc<Mutex<()>>,
}

impl fmt::Debug for LocalSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSecrets")
            .field("path", &self.file.config.path)
            .finish_non_exhaustive()
    }
}

impl LocalSecrets {
    /// Opens the file, if there is one: with the right key, or not at all. Nothing is written.
    ///
    /// `entropy` must be fit for keys, as that of `nebula_system` is; `offload` takes the blocking
    /// work; `clock` measures how long a write waits for other processes.
    ///
    /// # Errors
    /// `Key`: the key is missing or another one. `Corrupt`: the file is damaged; it stays as it is.
    /// `Format`: it is no file of secrets. `Invalid`: the settings are impossible. `Unavailable`.
    pub async fn open(
        config: SecretsConfig,
        source: KeySource,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        offload: Arc<dyn Offload>,
    ) -> Result<Self> {
        const OPERATION: &str = "open the secrets";
        let checked = config.check().and_then(|()| source.check());
        checked.map_err(|fault| fault.during(OPERATION))?;
        let file = Arc::new(SecretFile {
            config,
            ring: Ring::new(source),
            entropy,
            disk: Arc::new(HostDisk),
        });
        let looked = Arc::clone(&file);
        let read = blocking::run(&*offload, move || looked.read().map(drop));
        read.await.map_err(|fault| fault.during(OPERATION))?;
        Ok(Self {
            file,
            clock,
            offload,
            turn: Arc::default(),
        })
    }

    /// The key that the file is encrypted with, and how many secrets it holds; `None` if there is no file.
    ///
    /// # Errors
    /// As [`SecretsStore::get`].
    pub async fn state(&self) -> Result<Option<(KeyId, usize)>> {
        let file = Arc::clone(&self.file);
        let read = move || Ok(file.read()?.map(|it| (it.key.id(), it.secrets.len())));
        let read = blocking::run(&*self.offload, read).await;
        read.map_err(|fault| fault.during("look at the secrets"))
    }

    /// Reads the file as it is now.
    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        look: impl FnOnce(Secrets) -> T + Send + 'static,
    ) -> Result<T> {
        let file = Arc::clone(&self.file);
        let read = move || {
            Ok(look(
                file.read()?
                    .map(|opened| opened.secrets)
                    .unwrap_or_default(),
            ))
        };
        let read = blocking::run(&*self.offload, read).await;
        read.map_err(|fault| fault.during(operation))
    }

    /// Does `work` under the lock; the work has it until its end, also when the future is dropped.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&SecretFile) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let written = async {
            let lock = self.lock().await?;
            let file = Arc::clone(&self.file);
            let locked = move || {
                let done = work(&file);
                drop(lock);
                done
            };
            blocking::run(&*self.offload, locked).await
        };
        written.await.map_err(|fault| fault.during(operation))
    }

    async fn lock(&self) -> Result<Lock, Fault> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let begun = self.clock.monotonic();
        loop {
            let file = Arc::clone(&self.file);
            let taken = blocking::run(&*self.offload, move || file.try_lock());
            if let Some(file) = taken.await? {
                return Ok(Lock {
                    _file: file,
                    _turn: turn,
                });
            }
            let timeout = self.file.config.lock_timeout;
            if self.clock.monotonic().saturating_sub(begun) >= timeout {
                return Err(Fault::new(
                    ErrorKind::Unavailable,
                    format!(
                        "another process has held {} for {timeout:?}; nothing was written",
                        self.file.lock_path().display()
                    ),
                ));
            }
            self.clock.sleep(LOCK_LOOK).await;
        }
    }
}

/// The right to write; the operating system takes it back from a process that dies.
struct Lock {
    _file: File,
    _turn: OwnedMutexGuard<()>,
}

/// The file and its keys.
#[derive(Debug)]
pub(crate) struct SecretFile {
    pub(crate) config: SecretsConfig,
    pub(crate) ring: Ring,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) disk: Arc<dyn Disk>,
}

/// The content of the file, and the key that opened it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) secrets: Secrets,
    pub(crate) key: Key,
}

impl SecretFile {
    /// The content of the file; `None` if there is none.
    ///
    /// Without a lock: a file that is replaced meanwhile stays readable. But the key may have been
    /// replaced after the file was read; then the file was replaced before, and is read again.
    pub(crate) fn read(&self) -> Result<Option<Opened>, Fault> {
        let path = &self.config.path;
        let mut before = None;
        for _ in 0..READ_ATTEMPTS {
            let Some(file) = disk::open(path)? else {
                return Ok(None);
            };
            let bytes = disk::read(file, path, MAX_FILE_BYTES)?;
            if bytes.len() > MAX_FILE_BYTES {
                return Err(self.damaged(Fault::corrupt(format!(
                    "it is larger than {MAX_FILE_BYTES} bytes"
                ))));
            }
            let sealed = Sealed::read(&bytes).map_err(|fault| self.damaged(fault))?;
            let found = |keys: &[Key]| sealed.key(keys).cloned();
            let known = self.ring.keys()?;
            let key = match known.and_then(|keys| found(&keys)) {
                Some(key) => Some(key),
                None => match self.ring.ask()? {
                    None => return Err(missing(&self.ring, path)),
                    Some(keys) => found(&keys),
                },
            };
            if let Some(key) = key {
                let opened = sealed.open(&key);
                let secrets = opened.map_err(|fault| self.damaged(fault))?;
                return Ok(Some(Opened { secrets, key }));
            }
            if before.as_ref() == Some(&bytes) {
                return Err(Fault::key(format!(
                    "{} is encrypted with the key {}, which is not in {}",
                    path.display(),
                    named(sealed.key_id()),
                    self.ring.name()
                )));
            }
            before = Some(bytes);
        }
        Err(Fault::new(
            ErrorKind::Unavailable,
            format!("{} is replaced all the time", path.display()),
        ))
    }

    /// Puts the path before what is wrong with the file.
    fn damaged(&self, fault: Fault) -> Fault {
        fault.about(&self.config.path)
    }

    /// The content to change; a file that is not there gets a key, made if the source is a file that
    /// is not there either.
    fn read_to_write(&self) -> Result<Opened, Fault> {
        if let Some(opened) = self.read()? {
            return Ok(opened);
        }
        let key = match (self.ring.ask()?, self.ring.is_ours()) {
            (Some(keys), _) => keys[0].clone(),
            (None, true) => {
                let (key, folders) = (Key::random(&*self.entropy), self.config.create_folders);
                self.ring.write(&*self.disk, folders, vec![key.clone()])?;
                key
            }
            (None, false) => return Err(Fault::key(format!("{} gave no key", self.ring.name()))),
        };
        let secrets = Secrets::new();
        Ok(Opened { secrets, key })
    }

    fn write(&self, opened: &Opened) -> Result<(), Fault> {
        let content = seal(&opened.key, &*self.entropy, &opened.secrets)?;
        disk::replace(&*self.disk, &self.config.path, &content)
    }

    pub(crate) fn set(
        &self,
        place: (TenantId, SecretId),
        value: SecretString,
    ) -> Result<SecretSet, Fault> {
        let mut opened = self.read_to_write()?;
        let room = self.config.max_secrets;
        if opened.secrets.len() >= room && !opened.secrets.contains_key(&place) {
            return Err(Fault::new(
                ErrorKind::Full,
                format!(
                    "{} holds {room} secrets, the most that it may; delete one, or raise `max_secrets`",
                    self.config.path.display()
                ),
            ));
        }
        let mine = opened.secrets.keys().filter(|(owner, _)| *owner == place.0);
        if !opened.secrets.contains_key(&place) && mine.count() >= MAX_TENANT_SECRETS {
            return Err(Fault::new(
                ErrorKind::Full,
                format!(
                    "the tenant has {MAX_TENANT_SECRETS} secrets, the most that it may have; delete one"
                ),
            ));
        }
        let before = opened.secrets.insert(place, value);
        self.write(&opened)?;
        Ok(match before {
            Some(_) => SecretSet::Replaced,
            None => SecretSet::New,
        })
    }

    fn delete(&self, place: &(TenantId, SecretId)) -> Result<SecretDeleted, Fault> {
        let Some(mut opened) = self.read()? else {
            return Ok(SecretDeleted::Unknown);
        };
        if opened.secrets.remove(place).is_none() {
            return Ok(SecretDeleted::Unknown);
        }
        self.write(&opened)?;
        Ok(SecretDeleted::Deleted)
    }

    /// First the new key is on the disk beside the old one, then the file is encrypted with it, then
    /// the old one goes: at each moment the key of the file is there.
    pub(crate) fn rotate(&self) -> Result<SecretsRotated, Fault> {
        let Opened { secrets, key } = self.read_to_write()?;
        let (from, count) = (key.id(), secrets.len());
        let keys = self.ring.ask()?;
        let newest = keys.as_ref().map_or(&key, |keys| &keys[0]);
        let newer = (newest.raw_id() != key.raw_id()).then(|| newest.clone());
        let to = match (newer, self.ring.is_ours()) {
            // Also what a rotation left that did not come to its end.
            (Some(newer), _) => newer,
            (None, false) => return Ok(SecretsRotated::NoNewerKey { key: from }),
            (None, true) => {
                let newer = Key::random(&*self.entropy);
                let both = vec![newer.clone(), key];
                self.ring.write(&*self.disk, false, both)?;
                newer
            }
        };
        let to_id = to.id();
        let opened = Opened { secrets, key: to };
        self.write(&opened)?;
        if self.ring.is_ours() {
            self.ring.write(&*self.disk, false, vec![opened.key])?;
        }
        Ok(SecretsRotated::Rotated {
            from,
            to: to_id,
            secrets: count,
        })
    }

    fn lock_path(&self) -> PathBuf {
        disk::beside(&self.config.path, ".lock")
    }

    /// The lock, unless another handle has it.
    fn try_lock(&self) -> Result<Option<File>, Fault> {
        let path = self.lock_path();
        if self.config.create_folders {
            disk::make_folder(disk::folder(&path))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path);
        let file = file.map_err(|error| Fault::write(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Fault::write(&path, error)),
        }
    }
}

#[async_trait]
impl SecretsStore for LocalSecrets {
    async fn get(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretString>> {
        let place = (tenant.clone(), id.clone());
        self.read("get a secret", move |mut secrets| secrets.remove(&place))
            .await
    }

    async fn set(
        &self,
        tenant: &TenantId,
        id: &SecretId,
        value: SecretString,
    ) -> Result<SecretSet> {
        const OPERATION: &str = "set a secret";
        let bytes = value.expose_secret().len();
        if !(1..=MAX_SECRET_BYTES).contains(&bytes) {
            let message =
                format!("it has {bytes} bytes; a secret has 1 to {MAX_SECRET_BYTES} bytes");
            return Err(Fault::invalid(message).during(OPERATION));
        }
        let place = (tenant.clone(), id.clone());
        self.write(OPERATION, move |file| file.set(place, value))
            .await
    }

    async fn delete(&self, tenant: &TenantId, id: &SecretId) -> Result<SecretDeleted> {
        let place = (tenant.clone(), id.clone());
        self.write("delete a secret", move |file| file.delete(&place))
            .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&SecretId>,
        limit: usize,
    ) -> Result<Vec<SecretId>> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        let look = move |secrets: Secrets| {
            let mine = secrets.into_keys().filter(|(owner, id)| {
                *owner == tenant && after.as_ref().is_none_or(|after| id > after)
            });
            mine.map(|(_, id)| id).take(limit).collect()
        };
        self.read("list the secrets", look).await
    }

    async fn rotate(&self) -> Result<SecretsRotated> {
        self.write("rotate the key of the secrets", SecretFile::rotate)
            .await
    }
}
