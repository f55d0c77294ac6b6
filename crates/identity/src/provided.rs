//! Logging in by what a provider of identities has signed.

use std::time::Duration;

use nebula_core::{PrincipalId, TenantId, Timestamp};
use nebula_ports::{
    MAX_IDENTITY_TEXT, MembershipChanged, PrincipalKey, PrincipalKind, PrincipalRecord, RecordPut,
    Role, SessionKind, Standing,
};
use serde_json::json;

use crate::{
    Identity, LoggedIn, NotAuthenticated, What, audit::cut, login::normal, people::target_of,
};

/// How long somebody who was added without a password is waited for.
pub const INVITATION: Duration = Duration::from_hours(24 * 7);

/// Who somebody is, as their provider has signed it. Whoever makes one of these has checked that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provided {
    /// The provider.
    pub issuer: String,
    /// Who they are for that one, for ever: an email may belong to somebody else tomorrow.
    pub subject: String,
    /// Their email, if the provider has verified it.
    pub email: Option<String>,
    /// How they are called; may be empty.
    pub name: String,
    /// What they are in all projects if they come for the first time and nobody has added them.
    pub role: Option<Role>,
    /// The token of an invitation that they showed when they began.
    pub invitation: Option<String>,
}

/// How an identity elsewhere is kept: no issuer has a space in it.
fn subject_of(provided: &Provided) -> String {
    format!("{} {}", provided.issuer, provided.subject)
}

/// Whether somebody was added and has nothing yet to log in with.
pub(crate) fn waits(record: &PrincipalRecord) -> bool {
    let nothing = record.password.is_none() && record.subject.is_none();
    record.kind == PrincipalKind::Person && nothing && !record.disabled
}

/// Whether they are waited for no longer.
fn is_over(standing: &Standing, now: Timestamp) -> bool {
    standing.put_at.plus(INVITATION) <= now
}

impl Identity {
    /// Lets somebody in whom a provider has named. Known are they by issuer and subject. Whoever comes for
    /// the first time with the token of an `invitation` is whoever was invited, whatever their email; or
    /// the first time is taken for the person who was added with their verified email as login within
    /// [`INVITATION`], if that one has neither a password nor another identity; or else is added, if `role`
    /// says as what.
    ///
    /// # Errors
    /// `NoAccount`: nobody has added them. `Refused`: they are shut out.
    ///
    /// # Cancel safety
    /// They may be known from then on, or a session be open that nobody can use.
    pub async fn login_by_provider(
        &self,
        tenant: &TenantId,
        provided: &Provided,
        agent: &str,
        from: &str,
    ) -> Result<LoggedIn, NotAuthenticated> {
        let subject = subject_of(provided);
        let identities = &self.ports.identities;
        if subject.len() > MAX_IDENTITY_TEXT {
            return self.nobody(tenant, "unknown", from).await;
        }
        let found = identities
            .standing(tenant, PrincipalKey::Subject(&subject))
            .await?;
        let standing = match found {
            Some(standing) => standing,
            None => match self.first_visit(tenant, provided, &subject, from).await? {
                Some(standing) => standing,
                None => return self.nobody(tenant, "unknown", from).await,
            },
        };
        let record = &standing.principal;
        if record.disabled || record.kind != PrincipalKind::Person {
            let what = What::denied("sessions.open", target_of(record), from);
            self.record_denial(tenant, None, what).await?;
            return Err(NotAuthenticated::Refused);
        }
        self.open(tenant, standing, SessionKind::Browser, agent, from)
            .await
    }

    async fn nobody<T>(
        &self,
        tenant: &TenantId,
        target: &str,
        from: &str,
    ) -> Result<T, NotAuthenticated> {
        let what = What::denied("sessions.open", target, from);
        self.record_denial(tenant, None, what).await?;
        Err(NotAuthenticated::NoAccount)
    }

    /// The person whom a new identity belongs to, who has it from now on.
    async fn first_visit(
        &self,
        tenant: &TenantId,
        provided: &Provided,
        subject: &str,
        from: &str,
    ) -> Result<Option<Standing>, NotAuthenticated> {
        if let Some(token) = &provided.invitation {
            let invited = self.invited(token).await?.filter(|(of, _)| of == tenant);
            return match invited {
                Some((_, record)) => self.linked(tenant, record, provided, subject, from).await,
                None => Ok(None),
            };
        }
        let Some(email) = &provided.email else {
            return Ok(None);
        };
        let login = normal(email);
        let identities = &self.ports.identities;
        let key = PrincipalKey::Login(&login);
        match identities.standing(tenant, key).await? {
            // Whoever has a password or another identity is not taken over by an email.
            Some(it) if waits(&it.principal) && !is_over(&it, self.now()) => {
                self.linked(tenant, it.principal, provided, subject, from)
                    .await
            }
            Some(_) => Ok(None),
            None => match provided.role {
                Some(role) => {
                    self.added(tenant, (login, role), provided, subject, from)
                        .await
                }
                None => Ok(None),
            },
        }
    }

    /// Gives a person this identity.
    async fn linked(
        &self,
        tenant: &TenantId,
        record: PrincipalRecord,
        provided: &Provided,
        subject: &str,
        from: &str,
    ) -> Result<Option<Standing>, NotAuthenticated> {
        let change = json!({ "issuer": provided.issuer, "subject": provided.subject });
        let what = What::allowed("users.link", target_of(&record), from, change);
        self.append(tenant, None, what).await?;
        let name = match record.name.is_empty() {
            true => cut(&provided.name, MAX_IDENTITY_TEXT),
            false => record.name.clone(),
        };
        let next = PrincipalRecord {
            version: record.version + 1,
            subject: Some(subject.to_owned()),
            name,
            ..record
        };
        self.stored(tenant, next).await
    }

    /// Adds a person who has this identity.
    async fn added(
        &self,
        tenant: &TenantId,
        (login, role): (String, Role),
        provided: &Provided,
        subject: &str,
        from: &str,
    ) -> Result<Option<Standing>, NotAuthenticated> {
        let record = PrincipalRecord {
            id: PrincipalId::from(self.ports.entropy.uuid()),
            version: 1,
            kind: PrincipalKind::Person,
            login,
            name: cut(&provided.name, MAX_IDENTITY_TEXT),
            password: None,
            subject: Some(subject.to_owned()),
            disabled: false,
        };
        let id = record.id;
        let change = json!({
            "login": record.login, "issuer": provided.issuer, "subject": provided.subject,
            "role": [null, role.as_str()],
        });
        let what = What::allowed("users.add", target_of(&record), from, change);
        self.append(tenant, None, what).await?;
        let Some(_) = self.stored(tenant, record).await? else {
            return Ok(None);
        };
        let identities = &self.ports.identities;
        // Of whoever has given them a role meanwhile, or taken them away, that counts.
        let _: MembershipChanged = identities
            .change_membership(tenant, id, None, None, Some(role))
            .await?;
        Ok(identities.standing(tenant, PrincipalKey::Id(id)).await?)
    }

    /// The record as it is from now on; `None` if somebody else was first.
    pub(crate) async fn stored(
        &self,
        tenant: &TenantId,
        record: PrincipalRecord,
    ) -> Result<Option<Standing>, NotAuthenticated> {
        let (id, identities) = (record.id, &self.ports.identities);
        match identities.put_principal(tenant, record).await? {
            RecordPut::Stored | RecordPut::Same => {
                Ok(identities.standing(tenant, PrincipalKey::Id(id)).await?)
            }
            RecordPut::Conflict { .. } | RecordPut::Taken | RecordPut::LastOwner => Ok(None),
        }
    }
}
