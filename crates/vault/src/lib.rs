//! Credentials by id: what stands between their store, their master keys and whoever uses them.
//!
//! A [`Vault`] encrypts a credential before a `CredentialRepo` gets it, and opens it for a user whose
//! use it has recorded. Each tenant has master keys of its own, each of them a secret under a reserved
//! id ([`key_secret`]); [`Vault::rotate_keys`] replaces them while others read and write. Start reading
//! at [`Vault::open`].
//!
//! Does not know: any driver, how a credential is used, who may use it.
//!
//! # Invariants
//! - The primary key of a tenant is a secret, durable, before anything is encrypted with it; it is
//!   deleted after nothing is encrypted with it any more, and nothing can be again.
//! - A key that is missing, or another one than its id says, writes nothing.
//! - A value is given out after its use was recorded.
//! - Of two that change or rotate at once, each sees what the other did; no call overwrites what it has
//!   not seen.
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc};
//! use nebula_core::{CredentialId, ExposeSecret, TenantId};
//! use nebula_credential::{AllowedHosts, Credential, CredentialType};
//! use nebula_ports::CredentialUser;
//! use nebula_testkit::{ManualClock, MemoryCredentialRepo, MemorySecretsStore, SeededEntropy, run};
//! use nebula_vault::{Vault, VaultPut};
//!
//! let repo = MemoryCredentialRepo::new(Arc::new(ManualClock::default()));
//! let secrets = MemorySecretsStore::default();
//! let vault = Vault::new(Arc::new(repo), Arc::new(secrets), Arc::new(SeededEntropy::new(1)));
//!
//! let (tenant, id) = (TenantId::local(), CredentialId::new("shop").unwrap());
//! let fields = BTreeMap::from([("token".to_owned(), "hunter2".into())]);
//! let hosts = AllowedHosts::parse(["api.example"]).unwrap();
//! let credential = Credential::new(CredentialType::Bearer, fields, hosts).unwrap();
//! run(async {
//!     let put = vault.put(&tenant, &id, None, &credential).await.unwrap();
//!     assert_eq!(put, VaultPut::Stored { version: 1 });
//!     let opened = vault.open(&tenant, &id, &CredentialUser::Test).await.unwrap();
//!     let token = opened.credential.field("token").unwrap();
//!     assert_eq!((opened.version, token.expose_secret()), (1, "hunter2"));
//! });
//! ```

mod audit;
mod error;
mod keys;
mod rotate;
mod vault;

pub use error::VaultError;
pub use keys::{KeyFound, KeyState, RESERVED, is_reserved, key_secret};
pub use rotate::KeysRotated;
pub use vault::{About, Opened, Vault, VaultPut};
