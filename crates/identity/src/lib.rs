//! Settles who calls and what they may do.
//!
//! [`Identity::authenticate`] makes a [`Principal`] of what a caller shows: an API key, a session, a
//! signed token, a ticket, the token of this machine. [`Principal::may`] says whether they may do
//! something in a project, by [`Permission`] and role. The rest of [`Identity`] manages people, service
//! accounts, projects, memberships, keys and sessions, and records all of it. Start reading at
//! [`Identity::authenticate`].
//!
//! Does not know: any driver, HTTP, routes, what a permission is asked for.
//!
//! # Invariants
//! - Of passwords argon2id hashes are stored, of tokens SHA-256; each token is given once.
//! - What a caller is told never says whether somebody exists, nor does the time that it takes.
//! - A session that was closed, a key that was removed and a principal that was disabled let nobody in
//!   from then on, also with what was signed before.
//! - A key only narrows what its principal may do. Nobody gives a role, a key or a password to somebody
//!   above them.
//! - Whatever changes something is in the audit log before it happens.
//!
//! ```
//! use std::sync::Arc;
//! use nebula_core::{ExposeSecret, TenantId};
//! use nebula_identity::{
//!     Evidence, FirstAdmin, FirstRun, Identity, IdentityConfig, IdentityPorts, Issued, PasswordCost,
//!     Permission,
//! };
//! use nebula_ports::SessionKind;
//! use nebula_testkit::{
//!     InlineOffload, ManualClock, MemoryAuditLog, MemoryIdentityRepo, MemorySecretsStore,
//!     MemorySessionRepo, SeededEntropy, run,
//! };
//!
//! let clock = Arc::new(ManualClock::default());
//! let ports = IdentityPorts {
//!     identities: Arc::new(MemoryIdentityRepo::new(clock.clone())),
//!     sessions: Arc::new(MemorySessionRepo::new(clock.clone())),
//!     audit: Arc::new(MemoryAuditLog::new(clock.clone())),
//!     secrets: Arc::new(MemorySecretsStore::default()),
//!     offload: Arc::new(InlineOffload),
//!     clock,
//!     entropy: Arc::new(SeededEntropy::new(1)),
//! };
//! let config = IdentityConfig {
//!     password_cost: PasswordCost { memory_kib: 8, passes: 1 }, // a test; never outside
//!     ..IdentityConfig::default()
//! };
//! let identity = Identity::new(ports, config);
//! run(async {
//!     let FirstRun::Waits(token) = identity.first_run(&TenantId::local()).await.unwrap() else {
//!         panic!("nobody is there yet")
//!     };
//!     let first = FirstAdmin {
//!         login: "ada".to_owned(),
//!         name: String::new(),
//!         password: "correct horse".into(),
//!         kind: SessionKind::Program,
//!         agent: "a program".to_owned(),
//!     };
//!     let made = identity.first_admin(token.expose_secret(), first, "127.0.0.1").await;
//!     let Issued::Program { access, .. } = made.unwrap().unwrap().issued else {
//!         panic!("it is a program")
//!     };
//!     let shown = Evidence::Bearer(access.expose_secret());
//!     let principal = identity.authenticate(shown, "127.0.0.1").await.unwrap();
//!     assert!(principal.is_allowed(Permission::SettingsWrite, None));
//! });
//! ```

mod audit;
mod error;
mod first_run;
mod identity;
mod invitations;
mod jwt;
mod keys;
mod login;
mod password;
mod people;
mod permission;
mod principal;
mod provided;
mod sealed;
mod token;

pub use audit::{DENIALS_PER, MAX_DENIALS, What};
pub use error::{IdentityError, NotAuthenticated};
pub use first_run::{FIRST_RUN, FirstAdmin, FirstRun};
pub use identity::{
    CHECK_AGAIN, Evidence, Identity, IdentityConfig, IdentityPorts, LocalToken, TICKET,
};
pub use invitations::{Acceptance, Invited, NewInvitation};
pub use keys::{MAX_KEY_LASTS, MadeKey, NewKey};
pub use login::{Issued, LoggedIn, Login};
pub use password::{
    HASHINGS, HASHINGS_WAITING, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordCost,
};
pub use people::NewPrincipal;
pub use permission::{Permission, PermissionError, Reach, table};
pub use principal::{Decision, Narrowed, Principal, Via, Who, Why};
pub use provided::{INVITATION, Provided};
