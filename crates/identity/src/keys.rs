//! API keys: made, listed, removed.

use std::time::Duration;

use nebula_core::{PrincipalId, ProjectId, SecretString};
use nebula_ports::{ApiKeyRecord, KeyAdded, PrincipalKind, RecordDeleted, StoredKey};
use serde_json::{Value, json};

use crate::{
    Identity, IdentityError, Permission, Principal, Via, What, Why,
    token::{self, TokenKind},
};

/// The longest that a key lasts: a year and a day.
pub const MAX_KEY_LASTS: Duration = Duration::from_hours(24 * 366);

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose: one's own, or a service account's.
    pub principal: PrincipalId,
    /// What is shown of it.
    pub name: String,
    /// The only project that it is for; `None` is all of its principal's.
    pub project: Option<ProjectId>,
    /// The only permissions that it is for; `None` is all of its principal's.
    pub permissions: Option<Vec<Permission>>,
    /// How long it lasts, at most [`MAX_KEY_LASTS`].
    pub lasts: Duration,
}

/// A key that was made.
#[derive(Debug)]
pub struct MadeKey {
    /// The key: given once, and stored nowhere. `nbk_<prefix>_<secret>`.
    pub text: SecretString,
    /// By what it is listed and removed.
    pub prefix: String,
}

impl Identity {
    /// Makes an API key: for oneself, or with `users:write` for a service account that is not above one.
    ///
    /// # Errors
    /// `Denied`: also for whoever came with an API key. `Invalid`: it lasts too long, or is for another
    /// person. `Unknown`: there is no such principal or project. Those of the ports.
    pub async fn make_key(
        &self,
        by: &Principal,
        new: NewKey,
        from: &str,
    ) -> Result<MadeKey, IdentityError> {
        let target = format!("principal:{}", new.principal);
        let what = ("keys.make", &*target, from);
        self.may_manage_keys(by, new.principal, what).await?;
        if new.lasts.is_zero() || new.lasts > MAX_KEY_LASTS {
            let days = MAX_KEY_LASTS.as_secs() / 86_400;
            let message = format!("an API key lasts some time, and {days} days at most");
            return Err(IdentityError::Invalid(message));
        }
        let made = token::new(&*self.ports.entropy, TokenKind::Key, &by.tenant);
        let expires_at = self.now().plus(new.lasts);
        let names = |all: &Vec<Permission>| all.iter().map(ToString::to_string).collect();
        let scopes: Option<Vec<String>> = new.permissions.as_ref().map(names);
        let change = json!({
            "for": target,
            "name": new.name,
            "project": new.project,
            "permissions": scopes,
            "expires_at": expires_at.to_string(),
        });
        let key = format!("key:{}", made.prefix);
        self.record(by, What::allowed(what.0, key, from, change))
            .await?;
        let record = ApiKeyRecord {
            prefix: made.prefix.clone(),
            principal: new.principal,
            name: new.name,
            hash: made.hash,
            project: new.project,
            scopes,
            expires_at: Some(expires_at),
        };
        match self.ports.identities.add_key(&by.tenant, record).await? {
            KeyAdded::Added | KeyAdded::Same => Ok(MadeKey {
                text: made.text,
                prefix: made.prefix,
            }),
            KeyAdded::Taken => Err(IdentityError::Changed("the prefix of the key".to_owned())),
            KeyAdded::Unknown => {
                let what = "such principal, or no such project";
                Err(IdentityError::Unknown(what.to_owned()))
            }
        }
    }

    /// The API keys of somebody: one's own, or with `users:read` of others.
    ///
    /// # Errors
    /// `Denied`. Those of the port.
    pub async fn keys(
        &self,
        by: &Principal,
        of: PrincipalId,
        from: &str,
    ) -> Result<Vec<StoredKey>, IdentityError> {
        let permission = match by.id() == Some(of) {
            true => Permission::KeysOwn,
            false => Permission::UsersRead,
        };
        let what = ("keys.list", &*format!("principal:{of}"), from);
        self.require(by, permission, None, what).await?;
        Ok(self.ports.identities.keys(&by.tenant, of).await?)
    }

    /// Removes an API key for good: one's own, or with `users:write` one of whoever is not above one.
    ///
    /// # Errors
    /// `Denied`. `Unknown`. Those of the ports.
    pub async fn remove_key(
        &self,
        by: &Principal,
        prefix: &str,
        from: &str,
    ) -> Result<(), IdentityError> {
        let target = format!("key:{prefix}");
        let what = ("keys.remove", &*target, from);
        let unknown = || IdentityError::Unknown(format!("API key `{prefix}`"));
        let stored = self.ports.identities.key(&by.tenant, prefix).await?;
        // Whoever may not know which keys there are learns nothing from a prefix that is made up.
        let of = match &stored {
            Some(stored) => stored.key.principal,
            None => {
                self.require(by, Permission::UsersWrite, None, what).await?;
                return Err(unknown());
            }
        };
        if by.id() == Some(of) {
            self.require(by, Permission::KeysOwn, None, what).await?;
        } else {
            self.managed(by, of, "keys.remove", from).await?;
        }
        self.record(by, What::allowed(what.0, what.1, from, Value::Null))
            .await?;
        match self.ports.identities.remove_key(&by.tenant, prefix).await? {
            RecordDeleted::Unknown => Err(unknown()),
            _ => Ok(()),
        }
    }

    async fn may_manage_keys(
        &self,
        by: &Principal,
        of: PrincipalId,
        what: (&str, &str, &str),
    ) -> Result<(), IdentityError> {
        let own = by.id() == Some(of);
        let permission = if own {
            Permission::KeysOwn
        } else {
            Permission::UsersWrite
        };
        if matches!(by.via, Via::Key(_)) {
            return self.deny(by, permission, Why::NotWithKey, what).await;
        }
        if own {
            return self.require(by, permission, None, what).await;
        }
        let standing = self.managed(by, of, what.0, what.2).await?;
        match standing.principal.kind {
            PrincipalKind::Service => Ok(()),
            PrincipalKind::Person => Err(IdentityError::Invalid(
                "a person makes their own API keys; make a service account for a program"
                    .to_owned(),
            )),
        }
    }
}
