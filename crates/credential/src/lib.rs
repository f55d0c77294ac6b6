//! What a credential is, and how it is encrypted.
//!
//! A [`Credential`] is fields of a [`CredentialType`] with the hosts that they may be sent to. It is
//! stored as a [`Sealed`] envelope: each field under a key of its own version, and that key under one
//! of the [`MasterKeys`]. A [`Redactor`] takes its values out of what an attempt gives. Start reading at [`Credential::new`], then at [`Sealed::seal`].
//!
//! Does not know: where envelopes and master keys are kept, who uses a credential, the clock.
//!
//! # Invariants
//! - No value of a field shows in a debug text or an error, and its memory is overwritten when it is dropped.
//! - An envelope opens only as the tenant's, id's, version's and type's that it was sealed as, with all
//!   of its fields and hosts as they were.
//! - A new master key needs no plaintext of a field: only the key of the version is encrypted anew.
//!
//! ```
//! use std::collections::BTreeMap;
//! use nebula_core::{CredentialId, ExposeSecret, TenantId};
//! use nebula_credential::{AllowedHosts, Credential, CredentialType, MasterKeys, Place, Sealed};
//! use nebula_testkit::SeededEntropy;
//!
//! let entropy = SeededEntropy::new(1); // outside of tests: `nebula_system::SystemEntropy`
//! let fields = BTreeMap::from([("token".to_owned(), "hunter2".into())]);
//! let hosts = AllowedHosts::parse(["api.example"]).unwrap();
//! let credential = Credential::new(CredentialType::Bearer, fields, hosts).unwrap();
//! let (tenant, id) = (TenantId::local(), CredentialId::new("shop").unwrap());
//! let place = Place { tenant: &tenant, id: &id, version: 1 };
//!
//! let keys = MasterKeys::random(&entropy);
//! let sealed = Sealed::seal(&credential, place, &keys, &entropy).unwrap();
//! let opened = Sealed::read(sealed.as_bytes()).unwrap().open(place, &keys).unwrap();
//! assert_eq!(opened.field("token").unwrap().expose_secret(), "hunter2");
//! ```

mod aead;
mod check;
mod credential;
mod fields;
mod hosts;
mod keys;
mod redact;
mod sealed;
mod usable;
mod webhook;

pub use credential::{Credential, CredentialError, MAX_FIELD_BYTES, MAX_FIELD_NAME, MAX_FIELDS};
pub use fields::{CredentialType, Field, UnknownType};
pub use hosts::{AllowedHosts, HostsError, MAX_HOSTS};
pub use keys::{KeysError, MAX_MASTER_KEYS, MasterKeys};
pub use redact::{LAYERS, MARKER, MAX_WHOLE, MIN_WITHIN, PIECE, PIECES, Redactor};
pub use sealed::{MAX_SEALED_BYTES, Place, SealError, Sealed};
