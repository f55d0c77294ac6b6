//! Makes credentials ready for use.
//!
//! [`Access`] opens a credential from the vault. One of OAuth 2.0 whose access token is over is refreshed
//! before: by one user at a time in all processes, over the guarded way out, and the new tokens are the
//! credential's next version. [`Access::test`] tries one. Start reading at [`Access::open`].
//!
//! Does not know: any driver, who may use a credential and what for, nodes and their retries.
//!
//! # Invariants
//! - However many ask for a token at once, the server is asked for it once.
//! - What a refresh gave is stored before anybody gets it, in the place of the version that it came from.
//! - A refresh that somebody has begun and given up is brought to its end by whoever asks next: a server
//!   that takes a refresh token once would not take it again.
//! - No error and no log line carries what a server said but its error code.
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc};
//! use nebula_access::{Access, AccessPorts};
//! use nebula_core::{CredentialId, ExposeSecret, TenantId};
//! use nebula_credential::{AllowedHosts, Credential, CredentialType};
//! use nebula_ports::CredentialUser;
//! use nebula_testkit::{ManualClock, MemoryCredentialRepo, MemorySecretsStore, SeededEntropy, run};
//! use nebula_vault::Vault;
//!
//! let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
//! let repo = Arc::new(MemoryCredentialRepo::new(clock.clone()));
//! let secrets = Arc::new(MemorySecretsStore::default());
//! let vault = Arc::new(Vault::new(repo, secrets, entropy.clone()));
//! let http = None; // nothing can be refreshed
//! let access = Access::new(AccessPorts { vault: vault.clone(), http, clock, entropy });
//!
//! let (tenant, id) = (TenantId::local(), CredentialId::new("shop").unwrap());
//! let fields = BTreeMap::from([("token".to_owned(), "hunter2".into())]);
//! let hosts = AllowedHosts::parse(["api.example"]).unwrap();
//! let credential = Credential::new(CredentialType::Bearer, fields, hosts).unwrap();
//! run(async {
//!     let _ = vault.put(&tenant, &id, None, &credential).await.unwrap();
//!     let opened = access.open(&tenant, &id, &CredentialUser::Test).await.unwrap();
//!     let token = opened.credential.field("token").unwrap();
//!     assert_eq!(token.expose_secret(), "hunter2");
//! });
//! ```

mod access;
mod error;
mod oauth;
mod tested;
mod token;

pub use access::{Access, AccessPorts, LEASE, MARGIN, MAX_DENIALS};
pub use error::AccessError;
pub use oauth::{OAuthClient, authorize_url, token_request};
pub use tested::{Asked, GivenToken, TestError, Tested, Verdict};
pub use token::{Consent, Consented, MAX_ANSWER, TOTAL, UNSAID};
