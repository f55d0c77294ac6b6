//! Secrets in one encrypted file, whose key comes from elsewhere.
//!
//! [`LocalSecrets`] is the `SecretsStore` of the desktop preset, and of a server without a vault: one
//! file, encrypted as a whole with XChaCha20-Poly1305. Where the key comes from is a [`KeySource`].
//! Start reading at [`LocalSecrets::open`].
//!
//! Does not know: what a secret is for, who may read it.
//!
//! # Invariants
//! - A key that does not open what is there writes nothing.
//! - The file is replaced as a whole, under a lock that all processes share, after its content has
//!   reached the disk: whenever the machine stops, the file before or the file after is there.
//! - At every moment of a rotation, a key that is on the disk opens the file that is on the disk.
//! - What is damaged is an error and stays as it is.
//!
//! ```
//! use std::sync::Arc;
//! use nebula_core::{ExposeSecret, SecretId, TenantId};
//! use nebula_ports::SecretsStore;
//! use nebula_secrets_local::{KeySource, LocalSecrets, SecretsConfig};
//! use nebula_system::SystemEntropy;
//! use nebula_testkit::{InlineOffload, ManualClock, run};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! let config = SecretsConfig::file(folder.path().join("secrets.nebula"));
//! let source = KeySource::File(folder.path().join("secrets.key"));
//! run(async {
//!     let clock = Arc::new(ManualClock::default());
//!     let store = LocalSecrets::open(config, source, clock, Arc::new(SystemEntropy), Arc::new(InlineOffload));
//!     let store = store.await.unwrap();
//!     let (tenant, id) = (TenantId::local(), SecretId::new("shop-key").unwrap());
//!     let _ = store.set(&tenant, &id, "hunter2".into()).await.unwrap();
//!     let found = store.get(&tenant, &id).await.unwrap().unwrap();
//!     assert_eq!(found.expose_secret(), "hunter2");
//! });
//! ```

mod blocking;
mod command;
mod config;
#[cfg(all(test, unix))]
mod crash;
mod disk;
mod error;
mod key;
mod keyring;
mod ring;
mod seal;
mod store;

pub use config::{
    KeyCommand, KeySource, KeyringItem, MAX_COMMAND_TIME, MAX_FILE_BYTES, MAX_KEY_TEXT, MAX_KEYS,
    MAX_SECRETS, SecretsConfig,
};
pub use store::LocalSecrets;
