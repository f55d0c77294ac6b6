//! The first person: whoever has the token that the first start writes into a file.

use std::time::Duration;

use nebula_core::{PrincipalId, SecretString, TenantId};
use nebula_ports::{
    MembershipChanged, PrincipalKey, PrincipalKind, PrincipalRecord, RecordPut, Role, SessionKind,
};
use serde_json::json;

use crate::{
    Identity, IdentityError, LoggedIn, NotAuthenticated, What,
    login::normal,
    people::target_of,
    token::{self, TokenKind},
};

/// How long the token of the first administrator can be used; a start makes another one.
pub const FIRST_RUN: Duration = Duration::from_hours(24);

const PURPOSE: &str = "first-admin";

/// Whether a tenant waits for its first person.
#[derive(Debug)]
pub enum FirstRun {
    /// Somebody owns it.
    Over,
    /// Nobody does: whoever has this token becomes the first owner. It takes the place of one that was
    /// given before; it goes into a file that its owner alone reads, never into a log.
    Waits(SecretString),
}

/// The first person.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// What they log in with.
    pub login: String,
    /// What is shown of them; may be empty.
    pub name: String,
    /// Their password.
    pub password: SecretString,
    /// For what they are let in.
    pub kind: SessionKind,
    /// With what program.
    pub agent: String,
}

impl Identity {
    /// Whether a tenant waits for its first person, with a new token for them.
    ///
    /// # Errors
    /// Those of the ports.
    pub async fn first_run(&self, tenant: &TenantId) -> Result<FirstRun, IdentityError> {
        if self.is_owned(tenant).await? {
            return Ok(FirstRun::Over);
        }
        let token = self
            .put_once(tenant, PURPOSE, String::new(), FIRST_RUN, true)
            .await?;
        Ok(FirstRun::Waits(token))
    }

    async fn is_owned(&self, tenant: &TenantId) -> Result<bool, IdentityError> {
        const PAGE: usize = 100;
        let identities = &self.ports.identities;
        let mut after: Option<PrincipalId> = None;
        loop {
            let page = identities.members(tenant, None, after, PAGE).await?;
            for (id, role) in &page {
                let key = PrincipalKey::Id(*id);
                if *role == Role::Owner
                    && let Some(standing) = identities.standing(tenant, key).await?
                    && standing.principal.kind == PrincipalKind::Person
                {
                    return Ok(true);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(*last),
                _ => return Ok(false),
            }
        }
    }

    /// Makes the first person, who owns the tenant, and lets them in. The token is spent, whatever comes
    /// of it; a further start gives another one as long as nobody owns the tenant.
    ///
    /// # Errors
    /// `Refused`: the token is no such token, or the tenant is owned. Inside: what
    /// [`Identity::add_principal`] says of login and password.
    pub async fn first_admin(
        &self,
        token: &str,
        first: FirstAdmin,
        from: &str,
    ) -> Result<Result<LoggedIn, IdentityError>, NotAuthenticated> {
        // Before anything that takes work: nobody is the first any more.
        let shown = token::parse(TokenKind::Once, token).ok_or(NotAuthenticated::Refused)?;
        match self.is_owned(&shown.tenant).await {
            Ok(false) => {}
            Ok(true) => return Err(NotAuthenticated::Refused),
            Err(error) => return Ok(Err(error)),
        }
        // Before the token is spent: a password that is too short shall not cost a restart.
        let (login, password) = (normal(&first.login), self.hashed(&first.password).await);
        let password = match password {
            Ok(password) if !login.is_empty() => password,
            Ok(_) => {
                let message = "a login has one character at least".to_owned();
                return Ok(Err(IdentityError::Invalid(message)));
            }
            Err(error) => return Ok(Err(error)),
        };
        let (tenant, _) = self.take_once(PURPOSE, token).await?;
        match self.is_owned(&tenant).await {
            Ok(false) => {}
            Ok(true) => return Err(NotAuthenticated::Refused),
            Err(error) => return Ok(Err(error)),
        }
        let record = PrincipalRecord {
            id: PrincipalId::from(self.ports.entropy.uuid()),
            version: 1,
            kind: PrincipalKind::Person,
            login,
            name: first.name,
            password: Some(password),
            subject: None,
            disabled: false,
        };
        let id = match self.make_first(&tenant, record, from).await {
            Ok(id) => id,
            Err(error) => return Ok(Err(error)),
        };
        let standing = self
            .ports
            .identities
            .standing(&tenant, PrincipalKey::Id(id))
            .await?;
        let standing = standing.ok_or(NotAuthenticated::Refused)?;
        self.open(&tenant, standing, first.kind, &first.agent, from)
            .await
            .map(Ok)
    }

    async fn make_first(
        &self,
        tenant: &TenantId,
        record: PrincipalRecord,
        from: &str,
    ) -> Result<PrincipalId, IdentityError> {
        let id = record.id;
        let change = json!({ "login": record.login, "name": record.name, "role": [null, "owner"] });
        let what = What::allowed("users.add_first", target_of(&record), from, change);
        self.append(tenant, None, what).await?;
        let login = format!("the login `{}`", record.login);
        match self.ports.identities.put_principal(tenant, record).await? {
            RecordPut::Stored | RecordPut::Same => {}
            _ => return Err(IdentityError::Taken(login)),
        }
        let (identities, owner) = (&self.ports.identities, Some(Role::Owner));
        match identities
            .change_membership(tenant, id, None, None, owner)
            .await?
        {
            MembershipChanged::Changed | MembershipChanged::Same => Ok(id),
            _ => Err(IdentityError::Changed(login)),
        }
    }
}
