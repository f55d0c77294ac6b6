//! Where credentials and secrets are kept that commands look after: by this user, or by a server.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use http::{Method, StatusCode};
use nebula_core::{
    CredentialId, ExposeSecret as _, ProjectId, SecretId, SecretString, TenantId, Timestamp,
};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{CredentialDeleted, CredentialUse, CredentialUser, SecretDeleted, SecretSet};
use nebula_vault::{Opened, VaultError, VaultPut};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{
    compose::{self, ComposedSecrets, ComposedVault},
    failure::Failure,
    reach::{Listed, Text},
    server::{Ask, Server},
    settings::{Loaded, Place},
};

/// The most that one page of a list is asked for.
const PAGE: usize = 500;

/// A time as servers write it (RFC 3339).
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Text::deserialize(deserializer).map(|it| it.0)
}

fn maybe_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let time = Option::<Text<Timestamp>>::deserialize(deserializer)?;
    Ok(time.map(|it| it.0))
}

/// A credential without its values.
#[derive(Debug, Deserialize)]
pub(crate) struct Shown {
    pub(crate) credential: CredentialId,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) version: u32,
    /// Null where it cannot be opened.
    pub(crate) hosts: Option<Vec<String>>,
    /// To which project it belongs; null is none.
    pub(crate) project: Option<String>,
    #[serde(deserialize_with = "time")]
    pub(crate) put_at: Timestamp,
    #[serde(deserialize_with = "maybe_time")]
    pub(crate) used_at: Option<Timestamp>,
    /// The master key that it is encrypted with; a server does not tell it.
    #[serde(skip)]
    pub(crate) key: Option<String>,
}

/// One use of a credential.
#[derive(Debug, Deserialize)]
pub(crate) struct Used {
    #[serde(deserialize_with = "time")]
    pub(crate) at: Timestamp,
    pub(crate) version: u32,
    pub(crate) by: String,
    pub(crate) execution: Option<String>,
    pub(crate) node: Option<String>,
    pub(crate) attempt: Option<u32>,
}

impl From<CredentialUse> for Used {
    fn from(it: CredentialUse) -> Self {
        let (at, version) = (it.at, it.version);
        let plain = |by: &str| Self {
            at,
            version,
            by: by.to_owned(),
            execution: None,
            node: None,
            attempt: None,
        };
        match it.user {
            CredentialUser::Attempt {
                execution,
                node,
                attempt,
            } => Self {
                execution: Some(execution.to_string()),
                node: Some(node),
                attempt: Some(attempt),
                ..plain("attempt")
            },
            CredentialUser::Refresh => plain("refresh"),
            CredentialUser::Test => plain("test"),
            CredentialUser::Change => plain("change"),
        }
    }
}

/// What becomes of a credential that is put.
#[derive(Debug)]
pub(crate) enum Put {
    /// It has this version, and these hosts.
    Stored { version: u32, hosts: Vec<String> },
    /// It has another version than the one that was to be followed; none if it is not there.
    Conflict { version: Option<u32> },
}

/// A credential to put: its next version, or a new one where there is nothing to follow.
#[derive(Debug)]
pub(crate) struct NewCredential {
    pub(crate) from: Option<u32>,
    pub(crate) kind: CredentialType,
    /// What is left out stays.
    pub(crate) fields: BTreeMap<String, SecretString>,
    /// `None` stays.
    pub(crate) hosts: Option<AllowedHosts>,
    /// `None` stays.
    pub(crate) project: Option<ProjectId>,
}

/// Who keeps credentials and secrets.
#[async_trait]
pub(crate) trait Keeper: fmt::Debug + Send + Sync {
    /// Whether what is put can be read again, and what to tell of it once something is.
    async fn check(&self) -> Result<Option<String>, Failure>;

    /// Credentials by id, and why some cannot be opened.
    async fn credentials(
        &self,
        limit: usize,
    ) -> Result<(Listed<Shown>, Option<VaultError>), Failure>;

    /// The uses of a credential, newest first.
    async fn uses(&self, id: &CredentialId, limit: usize) -> Result<Option<Vec<Used>>, Failure>;

    /// The type and the version of a credential.
    async fn credential(&self, id: &CredentialId)
    -> Result<Option<(CredentialType, u32)>, Failure>;

    /// Puts a credential.
    async fn put(&self, id: &CredentialId, new: NewCredential) -> Result<Put, Failure>;

    /// Removes a credential; false if there is none.
    async fn remove(&self, id: &CredentialId) -> Result<bool, Failure>;
}

/// Who keeps the credentials of a command.
pub(crate) async fn keeper(loaded: &Loaded) -> Result<Box<dyn Keeper>, Failure> {
    Ok(match &loaded.place {
        Place::Server(url) => Box::new(compose::server(loaded, url)?),
        _ => Box::new(compose::vault(loaded).await?),
    })
}

/// What is wrong with a credential itself.
pub(crate) fn invalid(error: impl fmt::Display) -> Failure {
    Failure::invalid("CREDENTIAL_INVALID", error.to_string())
        .advice("`nebula credentials types` shows the fields of each type")
}

#[async_trait]
impl Keeper for ComposedVault {
    async fn check(&self) -> Result<Option<String>, Failure> {
        self.check_keys().await?;
        Ok(self.secrets.new_key())
    }

    async fn credentials(
        &self,
        limit: usize,
    ) -> Result<(Listed<Shown>, Option<VaultError>), Failure> {
        let tenant = TenantId::local();
        let mut found = self.vault.list(&tenant, None, limit + 1).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let (mut items, mut closed) = (Vec::with_capacity(found.len()), None);
        for summary in found {
            let about = match self.vault.about(&tenant, &summary.id).await {
                Ok(about) => Some(about),
                Err(error) => {
                    closed.get_or_insert(error);
                    None
                }
            };
            let (hosts, project) = about.map(|it| (it.hosts, it.project)).unzip();
            items.push(Shown {
                credential: summary.id,
                kind: summary.kind,
                version: summary.version,
                hosts: hosts.map(|hosts| hosts.patterns().collect()),
                project: project.flatten().map(|it| it.to_string()),
                put_at: summary.put_at,
                used_at: summary.used_at,
                key: Some(summary.key.to_string()),
            });
        }
        Ok((Listed { items, more }, closed))
    }

    async fn uses(&self, id: &CredentialId, limit: usize) -> Result<Option<Vec<Used>>, Failure> {
        let tenant = TenantId::local();
        let uses = self.vault.uses(&tenant, id, None, limit).await?;
        if uses.is_empty() && !self.vault.exists(&tenant, id).await? {
            return Ok(None);
        }
        Ok(Some(uses.into_iter().map(Into::into).collect()))
    }

    async fn credential(
        &self,
        id: &CredentialId,
    ) -> Result<Option<(CredentialType, u32)>, Failure> {
        let tenant = TenantId::local();
        let found = self
            .vault
            .list(&tenant, None, usize::from(u16::MAX))
            .await?;
        let Some(summary) = found.into_iter().find(|it| it.id == *id) else {
            return Ok(None);
        };
        Ok(Some((
            summary.kind.parse().map_err(invalid)?,
            summary.version,
        )))
    }

    async fn put(&self, id: &CredentialId, new: NewCredential) -> Result<Put, Failure> {
        let (vault, tenant) = (&self.vault, TenantId::local());
        let (mut fields, mut hosts, mut project) = (new.fields, new.hosts, new.project);
        if let Some(from) = new.from {
            let Opened {
                version,
                credential,
            } = vault.open(&tenant, id, &CredentialUser::Change).await?;
            if version != from {
                return Ok(Put::Conflict {
                    version: Some(version),
                });
            }
            for (name, value) in credential.fields() {
                let stays = || value.clone();
                fields.entry(name.to_owned()).or_insert_with(stays);
            }
            hosts.get_or_insert_with(|| credential.hosts().clone());
            project = project.or_else(|| credential.project().cloned());
        }
        let credential = Credential::new(new.kind, fields, hosts.unwrap_or_default());
        let credential = credential.map_err(invalid)?.in_project(project);
        let hosts = credential.hosts().patterns().collect();
        Ok(match vault.put(&tenant, id, new.from, &credential).await? {
            VaultPut::Stored { version } => Put::Stored { version, hosts },
            VaultPut::Conflict { version } => Put::Conflict { version },
        })
    }

    async fn remove(&self, id: &CredentialId) -> Result<bool, Failure> {
        let removed = self.vault.remove(&TenantId::local(), id).await?;
        Ok(removed == CredentialDeleted::Deleted)
    }
}

#[derive(Debug, Deserialize)]
struct CredentialPage {
    credentials: Vec<Shown>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct UsePage {
    uses: Vec<Used>,
    next: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Stored {
    version: u32,
}

#[async_trait]
impl Keeper for Server {
    async fn check(&self) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn credentials(
        &self,
        limit: usize,
    ) -> Result<(Listed<Shown>, Option<VaultError>), Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut ask = Ask::new(Method::GET).at(["credentials"]);
            // A server tells of a next page where one is full.
            let wanted = (limit + 1 - items.len()).min(PAGE);
            ask = ask.with("limit", wanted.to_string());
            if let Some(cursor) = cursor {
                ask = ask.with("cursor", cursor);
            }
            let page: CredentialPage = self.get(ask).await?;
            items.extend(page.credentials);
            cursor = page.next;
            if cursor.is_none() || items.len() > limit {
                let more = items.len() > limit;
                items.truncate(limit);
                return Ok((Listed { items, more }, None));
            }
        }
    }

    async fn uses(&self, id: &CredentialId, limit: usize) -> Result<Option<Vec<Used>>, Failure> {
        let (mut uses, mut before) = (Vec::new(), None::<u64>);
        loop {
            let ask = Ask::new(Method::GET).at(["credentials"]);
            let ask = ask.at([id.as_str(), "uses"]);
            let wanted = (limit - uses.len()).clamp(1, PAGE);
            let mut ask = ask.with("limit", wanted.to_string());
            if let Some(before) = before {
                ask = ask.with("before", before.to_string());
            }
            let page: Option<UsePage> = self.find(ask).await?;
            let Some(page) = page else {
                return Ok(None);
            };
            uses.extend(page.uses);
            before = page.next;
            if before.is_none() || uses.len() >= limit {
                return Ok(Some(uses));
            }
        }
    }

    async fn credential(
        &self,
        id: &CredentialId,
    ) -> Result<Option<(CredentialType, u32)>, Failure> {
        let (listed, _) = self.credentials(usize::from(u16::MAX)).await?;
        let found = listed.items.into_iter().find(|it| it.credential == *id);
        found
            .map(|it| Ok((it.kind.parse().map_err(invalid)?, it.version)))
            .transpose()
    }

    async fn put(&self, id: &CredentialId, new: NewCredential) -> Result<Put, Failure> {
        let fields: BTreeMap<_, _> = new
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        let hosts: Option<Vec<String>> = new.hosts.map(|hosts| hosts.patterns().collect());
        let mut body = json!({ "from": new.from, "fields": fields });
        if new.from.is_none() {
            body["type"] = new.kind.name().into();
        }
        if let Some(hosts) = &hosts {
            body["hosts"] = json!(hosts);
        }
        if let Some(project) = &new.project {
            body["project"] = json!(project);
        }
        let ask = Ask::new(Method::PUT).at(["credentials"]).at([id.as_str()]);
        let answer = self.send(ask.json(&body)).await?;
        if answer.status() == StatusCode::CONFLICT && answer.code() == Some("CREDENTIAL_CHANGED") {
            let now = self.credential(id).await?;
            return Ok(Put::Conflict {
                version: now.map(|(_, version)| version),
            });
        }
        let Stored { version } = answer.good()?.json()?;
        let hosts = match hosts {
            Some(hosts) => hosts,
            None => {
                let (listed, _) = self.credentials(usize::from(u16::MAX)).await?;
                let found = listed.items.into_iter().find(|it| it.credential == *id);
                found.and_then(|it| it.hosts).unwrap_or_default()
            }
        };
        Ok(Put::Stored { version, hosts })
    }

    async fn remove(&self, id: &CredentialId) -> Result<bool, Failure> {
        let ask = Ask::new(Method::DELETE).at(["credentials"]);
        let answer = self.send(ask.at([id.as_str()])).await?;
        if answer.status() == StatusCode::NOT_FOUND && answer.is_unknown() {
            return Ok(false);
        }
        answer.good().map(|_| true)
    }
}

/// Who keeps secrets.
#[async_trait]
pub(crate) trait SecretKeeper: fmt::Debug + Send + Sync {
    /// Sets a secret; whether it is new.
    async fn set(&self, id: &SecretId, value: SecretString) -> Result<bool, Failure>;

    /// Ids, in order.
    async fn ids(&self, limit: usize) -> Result<Listed<SecretId>, Failure>;

    /// Deletes a secret; false if there is none.
    async fn delete(&self, id: &SecretId) -> Result<bool, Failure>;

    /// What to tell once something is written.
    fn new_key(&self) -> Option<String>;

    /// Where they are, in a sentence.
    fn words(&self) -> String;
}

/// Who keeps the secrets of a command.
pub(crate) async fn secret_keeper(loaded: &Loaded) -> Result<Box<dyn SecretKeeper>, Failure> {
    Ok(match &loaded.place {
        Place::Server(url) => Box::new(compose::server(loaded, url)?),
        _ => Box::new(compose::secrets(loaded).await?),
    })
}

#[async_trait]
impl SecretKeeper for ComposedSecrets {
    async fn set(&self, id: &SecretId, value: SecretString) -> Result<bool, Failure> {
        let set = self.store.set(&TenantId::local(), id, value).await?;
        Ok(set == SecretSet::New)
    }

    async fn ids(&self, limit: usize) -> Result<Listed<SecretId>, Failure> {
        let tenant = TenantId::local();
        let mut items = self.store.list(&tenant, None, limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Listed { items, more })
    }

    async fn delete(&self, id: &SecretId) -> Result<bool, Failure> {
        let deleted = self.store.delete(&TenantId::local(), id).await?;
        Ok(deleted == SecretDeleted::Deleted)
    }

    fn new_key(&self) -> Option<String> {
        Self::new_key(self)
    }

    fn words(&self) -> String {
        format!("in {}", self.path.display())
    }
}

#[derive(Debug, Deserialize)]
struct SecretPage {
    secrets: Vec<SecretId>,
    next: Option<String>,
}

#[async_trait]
impl SecretKeeper for Server {
    async fn set(&self, id: &SecretId, value: SecretString) -> Result<bool, Failure> {
        let ask = Ask::new(Method::PUT).at(["secrets"]).at([id.as_str()]);
        let ask = ask.json(&json!({ "value": value.expose_secret() }));
        let answer = self.send(ask).await?.good()?;
        Ok(answer.status() == StatusCode::CREATED)
    }

    async fn ids(&self, limit: usize) -> Result<Listed<SecretId>, Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut ask = Ask::new(Method::GET).at(["secrets"]);
            let wanted = (limit + 1 - items.len()).min(PAGE);
            ask = ask.with("limit", wanted.to_string());
            if let Some(cursor) = cursor {
                ask = ask.with("cursor", cursor);
            }
            let page: SecretPage = self.get(ask).await?;
            items.extend(page.secrets);
            cursor = page.next;
            if cursor.is_none() || items.len() > limit {
                let more = items.len() > limit;
                items.truncate(limit);
                return Ok(Listed { items, more });
            }
        }
    }

    async fn delete(&self, id: &SecretId) -> Result<bool, Failure> {
        let ask = Ask::new(Method::DELETE).at(["secrets"]);
        let answer = self.send(ask.at([id.as_str()])).await?;
        if answer.status() == StatusCode::NOT_FOUND && answer.is_unknown() {
            return Ok(false);
        }
        answer.good().map(|_| true)
    }

    fn new_key(&self) -> Option<String> {
        None
    }

    fn words(&self) -> String {
        format!("on {}", self.url().text())
    }
}

/// JSON: what a list says of a credential.
impl Shown {
    pub(crate) fn document(&self) -> Value {
        json!({
            "credential": self.credential,
            "type": self.kind,
            "version": self.version,
            "hosts": self.hosts,
            "project": self.project,
            "put_at": self.put_at,
            "used_at": self.used_at,
            "key": self.key,
        })
    }
}
