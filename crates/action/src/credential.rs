//! Credentials: which an action takes, and those that one attempt holds.

use std::{fmt, sync::Arc};

use compact_str::CompactString;
use http::{HeaderName, HeaderValue};
use nebula_core::{CredentialId, ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::SignDelivery;

/// A place for a credential, which a node fills: `credentials: { <slot>: <credential id> }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSlot {
    /// Its name: `auth`.
    pub name: String,
    /// The types of credentials that the action can use there, by their names: `bearer`.
    pub types: Vec<String>,
    /// Whether the action cannot do without.
    #[serde(default)]
    pub required: bool,
}

/// What an attempt may do with a credential.
pub trait UsableCredential: fmt::Debug + Send + Sync + 'static {
    /// The name of its type.
    fn kind(&self) -> &'static str;

    /// The value of a field.
    fn field(&self, name: &str) -> Option<&SecretString>;

    /// How it goes with a request; `None` if this type does not.
    fn http_auth(&self) -> Option<HttpAuth>;

    /// Whether it may be sent to the host and the port of this URL.
    fn may_go_to(&self, url: &Url) -> bool;

    /// The hosts that it may be sent to, for messages.
    fn hosts(&self) -> String;
}

/// How a credential goes with a request.
#[derive(Debug)]
pub enum HttpAuth {
    /// As a header; its value is marked as sensitive.
    Header(HeaderName, HeaderValue),
    /// As a parameter of the query.
    Query(String, SecretString),
    /// As a signature over id, time and body; nothing of the credential itself leaves.
    Signed(Box<dyn SignDelivery>),
}

impl HttpAuth {
    /// A header; `None` if no header can have this value.
    #[must_use]
    pub fn header(name: HeaderName, value: &SecretString) -> Option<Self> {
        let mut value = HeaderValue::from_str(value.expose_secret()).ok()?;
        value.set_sensitive(true);
        Some(Self::Header(name, value))
    }
}

/// One credential in the hands of one attempt. Its values are overwritten in memory when the attempt's
/// last handle is dropped.
#[derive(Debug, Clone)]
pub struct HeldCredential {
    slot: CompactString,
    id: CredentialId,
    credential: Arc<dyn UsableCredential>,
}

impl HeldCredential {
    /// The credential `id` in the slot of an attempt.
    #[must_use]
    pub fn new(slot: &str, id: CredentialId, credential: Arc<dyn UsableCredential>) -> Self {
        let slot = slot.into();
        Self {
            slot,
            id,
            credential,
        }
    }

    /// The slot that it fills.
    #[must_use]
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &CredentialId {
        &self.id
    }
}

impl std::ops::Deref for HeldCredential {
    type Target = dyn UsableCredential;

    fn deref(&self) -> &Self::Target {
        &*self.credential
    }
}

/// The credentials of one attempt, by their slots; none by default.
#[derive(Debug, Clone, Default)]
pub struct Credentials(Option<Arc<[HeldCredential]>>);

impl Credentials {
    /// These.
    #[must_use]
    pub fn new(held: Vec<HeldCredential>) -> Self {
        Self((!held.is_empty()).then(|| held.into()))
    }

    /// That of a slot, if the node fills it.
    #[must_use]
    pub fn get(&self, slot: &str) -> Option<&HeldCredential> {
        let held = self.0.iter().flat_map(|held| held.iter());
        held.into_iter().find(|it| it.slot == slot)
    }
}
