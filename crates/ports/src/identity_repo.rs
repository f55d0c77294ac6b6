//! Who there is: persons and service accounts, projects, who belongs to which, API keys.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use nebula_core::{Digest, PrincipalId, ProjectId, TenantId, Timestamp};

use crate::Result;

/// The most persons and service accounts of a tenant.
pub const MAX_PRINCIPALS: usize = 5_000;

/// The most projects of a tenant.
pub const MAX_PROJECTS: usize = 1_000;

/// The most memberships of one person or service account.
pub const MAX_MEMBERSHIPS: usize = 200;

/// The most API keys of one person or service account.
pub const MAX_API_KEYS: usize = 50;

/// The most bytes of a login, a name, and the subject of another identity provider.
pub const MAX_IDENTITY_TEXT: usize = 512;

/// The most bytes of a password's hash.
pub const MAX_PASSWORD_HASH: usize = 512;

/// The most bytes of an API key's prefix.
pub const MAX_KEY_PREFIX: usize = 32;

/// The most scopes of an API key, and the most bytes of one.
pub const MAX_SCOPES: usize = 64;

/// How seldom a last use is written: what was used less than this ago is not written again.
pub const USE_WRITTEN_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// What somebody may do in a project; which permissions that means, `nebula_identity` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Runs what is there.
    Operator,
    /// Changes workflows.
    Editor,
    /// Changes who may what.
    Admin,
    /// Everything; a tenant that has one keeps one.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Operator,
        Self::Editor,
        Self::Admin,
        Self::Owner,
    ];

    /// Its name, as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; there are viewer, operator, editor, admin and owner")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}

/// The hash of a password in the format that its maker chose. It shows in no debug text.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Keeps the text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever compares a password with it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// Somebody who logs in.
    Person,
    /// A program's account: it has API keys and no password.
    Service,
}

/// One version of a person or a service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalRecord {
    /// Who.
    pub id: PrincipalId,
    /// Its version, from 1.
    pub version: u32,
    /// Person or service account; it never changes.
    pub kind: PrincipalKind,
    /// What it logs in with, or a service's name: 1 to [`MAX_IDENTITY_TEXT`] bytes, once in a tenant.
    pub login: String,
    /// What is shown of it, at most [`MAX_IDENTITY_TEXT`] bytes.
    pub name: String,
    /// At most [`MAX_PASSWORD_HASH`] bytes; without one nobody logs in with a password.
    pub password: Option<PasswordHash>,
    /// Who it is for another identity provider, once in a tenant.
    pub subject: Option<String>,
    /// Whether it may do nothing for now.
    pub disabled: bool,
}

/// By what a principal is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKey<'a> {
    /// Its id.
    Id(PrincipalId),
    /// Its login, byte for byte.
    Login(&'a str),
    /// Who it is for another identity provider, byte for byte.
    Subject(&'a str),
}

/// One role of a principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    /// Where: `None` is every project of the tenant, and what belongs to no project.
    pub project: Option<ProjectId>,
    /// As what.
    pub role: Role,
}

/// A principal with all its memberships, as they were in one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub principal: PrincipalRecord,
    /// When this version was put, by the store's clock.
    pub put_at: Timestamp,
    /// All of them, that of all projects first, then by project.
    pub memberships: Vec<Membership>,
}

/// One version of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRecord {
    /// Which one.
    pub id: ProjectId,
    /// Its version, from 1.
    pub version: u32,
    /// What is shown of it: 1 to [`MAX_IDENTITY_TEXT`] bytes.
    pub name: String,
}

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// By what it is looked for, 1 to [`MAX_KEY_PREFIX`] bytes, once in a tenant; it is no secret.
    pub prefix: String,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What is shown of it: 1 to [`MAX_IDENTITY_TEXT`] bytes.
    pub name: String,
    /// The SHA-256 of its secret part.
    pub hash: Digest,
    /// The only project that it is for; `None` is all of its principal's.
    pub project: Option<ProjectId>,
    /// The only permissions that it is for; `None` is all of its principal's.
    pub scopes: Option<Vec<String>>,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
}

/// An API key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What was added.
    pub key: ApiKeyRecord,
    /// When it was added, by the store's clock.
    pub added_at: Timestamp,
    /// When it was used last, by the store's clock; written at most every [`USE_WRITTEN_EVERY`].
    pub used_at: Option<Timestamp>,
    /// Whether a use now would be written ([`IdentityRepo::key_used`]), by the store's clock.
    pub use_is_due: bool,
    /// Whether its time is over, by the store's clock.
    pub expired: bool,
}

/// What became of a record that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RecordPut {
    /// It is the version now.
    Stored,
    /// It was there already, with the same content: a retry after a lost reply.
    Same,
    /// It is not the next version; nothing was written.
    Conflict {
        /// The version that is there; 0 if there is none.
        version: u32,
    },
    /// Another one has this login or subject; nothing was written.
    Taken,
    /// Nobody who is not disabled would own the tenant any more; nothing was written.
    LastOwner,
}

/// What became of a record that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RecordDeleted {
    /// It is gone, with its memberships and keys.
    Deleted,
    /// There was none.
    Unknown,
    /// It is the last owner; nothing was deleted.
    LastOwner,
}

/// What became of a membership that was to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum MembershipChanged {
    /// It is as asked for.
    Changed,
    /// It was so already: a retry after a lost reply.
    Same,
    /// The role there is another one than expected; nothing was written.
    Conflict {
        /// The role that is there.
        role: Option<Role>,
    },
    /// There is no such principal, or no such project; nothing was written.
    Unknown,
    /// Nobody who is not disabled would own the tenant any more; nothing was written.
    LastOwner,
}

/// What became of an API key that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum KeyAdded {
    /// It opens from now on.
    Added,
    /// The same key was there already: a retry after a lost reply.
    Same,
    /// Another key has this prefix; nothing was written.
    Taken,
    /// There is no such principal; nothing was written.
    Unknown,
}

/// Keeps who there is in each tenant.
///
/// Rules (each is a test of `nebula_testkit::identity_repo!`): versions are numbered 1, 2, 3…; of
/// writers at once one wins, and a repeated write changes nothing; a login and a subject belong to one
/// principal of a tenant; a role changes only from the one that was seen; a tenant that has an owner
/// who is not disabled keeps one; what is deleted takes its memberships and keys along, at once; a key
/// is added to somebody who is there, and never changed; the store's clock decides what is over;
/// everything is bounded; another tenant sees and changes nothing.
#[async_trait]
pub trait IdentityRepo: fmt::Debug + Send + Sync + 'static {
    /// Puts the next version of a person or a service account.
    ///
    /// # Errors
    /// `Invalid`: a text is too long, the login is empty, or the kind is another one than before.
    /// `Full`: there are [`MAX_PRINCIPALS`]. `Unavailable`: it may be stored; the same call again
    /// answers `Same` then.
    async fn put_principal(&self, tenant: &TenantId, new: PrincipalRecord) -> Result<RecordPut>;

    /// Deletes a principal with its memberships and API keys.
    ///
    /// # Errors
    /// `Unavailable`: it may be deleted.
    async fn delete_principal(&self, tenant: &TenantId, id: PrincipalId) -> Result<RecordDeleted>;

    /// A principal with its memberships, if there is one; also a disabled one.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn standing(&self, tenant: &TenantId, key: PrincipalKey<'_>) -> Result<Option<Standing>>;

    /// Principals by login, at most `limit`, those whose login is after `after`.
    ///
    /// # Errors
    /// `Corrupt`. `Unavailable`.
    async fn principals(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Standing>>;

    /// Puts the next version of a project.
    ///
    /// # Errors
    /// `Invalid`: the name is empty or too long. `Full`: there are [`MAX_PROJECTS`]. `Unavailable`: it
    /// may be stored; the same call again answers `Same` then.
    async fn put_project(&self, tenant: &TenantId, new: ProjectRecord) -> Result<RecordPut>;

    /// Deletes a project, the memberships in it and the API keys for it.
    ///
    /// # Errors
    /// `Unavailable`: it may be deleted.
    async fn delete_project(&self, tenant: &TenantId, id: &ProjectId) -> Result<RecordDeleted>;

    /// Projects by id, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<&ProjectId>,
        limit: usize,
    ) -> Result<Vec<ProjectRecord>>;

    /// Changes what a principal is in a project, or in all of them: from the role that was seen to
    /// another one; `None` is no membership.
    ///
    /// # Errors
    /// `Full`: it has [`MAX_MEMBERSHIPS`]. `Unavailable`: it may be changed; the same call again answers
    /// `Same` then.
    async fn change_membership(
        &self,
        tenant: &TenantId,
        principal: PrincipalId,
        project: Option<&ProjectId>,
        from: Option<Role>,
        to: Option<Role>,
    ) -> Result<MembershipChanged>;

    /// Who has a membership in exactly this project, or of all projects if `None`; by id, at most
    /// `limit`, those after `after`.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn members(
        &self,
        tenant: &TenantId,
        project: Option<&ProjectId>,
        after: Option<PrincipalId>,
        limit: usize,
    ) -> Result<Vec<(PrincipalId, Role)>>;

    /// Adds an API key to a principal.
    ///
    /// # Errors
    /// `Invalid`: a text is empty or too long, or there are too many scopes. `Full`: the principal has
    /// [`MAX_API_KEYS`]. `Unavailable`: it may be added; the same call again answers `Same` then.
    async fn add_key(&self, tenant: &TenantId, new: ApiKeyRecord) -> Result<KeyAdded>;

    /// Removes an API key for good.
    ///
    /// # Errors
    /// `Unavailable`: it may be removed.
    async fn remove_key(&self, tenant: &TenantId, prefix: &str) -> Result<RecordDeleted>;

    /// The API key with this prefix, if there is one; also one whose time is over.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn key(&self, tenant: &TenantId, prefix: &str) -> Result<Option<StoredKey>>;

    /// The same with its principal, both as they stand in one moment: for whoever lets somebody in. The
    /// principal of a key is there as long as the key is.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn key_and_standing(
        &self,
        tenant: &TenantId,
        prefix: &str,
    ) -> Result<Option<(StoredKey, Standing)>>;

    /// Notes that a key was used now; within [`USE_WRITTEN_EVERY`] of the use before, and of a key
    /// that is not there, nothing is written.
    ///
    /// # Errors
    /// `Unavailable`: it may be noted.
    async fn key_used(&self, tenant: &TenantId, prefix: &str) -> Result<()>;

    /// The API keys of a principal, by prefix: at most [`MAX_API_KEYS`].
    ///
    /// # Errors
    /// `Corrupt`. `Unavailable`.
    async fn keys(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<StoredKey>>;
}
