//! Who there is: people, service accounts, projects, and what they are where.

use nebula_core::{ExposeSecret as _, PrincipalId, ProjectId, SecretString};
use nebula_ports::{
    Closing, MAX_PROJECTS, Membership, MembershipChanged, PasswordHash, PrincipalKey,
    PrincipalKind, PrincipalRecord, ProjectRecord, RecordDeleted, RecordPut, Role, Standing,
};
use serde_json::{Value, json};

use crate::{
    Identity, IdentityError, Permission, Principal, What, Why,
    login::normal,
    password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS},
};

/// A person or a service account to add.
#[derive(Debug, Clone)]
pub struct NewPrincipal {
    /// Person or service account.
    pub kind: PrincipalKind,
    /// What it logs in with, or is called; case does not count, it is stored in lower case.
    pub login: String,
    /// What is shown of it; may be empty.
    pub name: String,
    /// Of a person; without one nobody logs in with a password.
    pub password: Option<SecretString>,
}

/// Somebody, as the audit log names them.
pub(crate) fn target_of(record: &PrincipalRecord) -> String {
    match record.kind {
        PrincipalKind::Person => format!("person:{}", record.id),
        PrincipalKind::Service => format!("service:{}", record.id),
    }
}

impl Identity {
    /// Whoever it is about.
    pub(crate) async fn standing_of(
        &self,
        by: &Principal,
        of: PrincipalId,
    ) -> Result<Standing, IdentityError> {
        let key = PrincipalKey::Id(of);
        let standing = self.ports.identities.standing(&by.tenant, key).await?;
        standing.ok_or_else(|| IdentityError::Unknown(format!("principal `{of}`")))
    }

    /// Nobody touches whoever is above them: or they would become them.
    pub(crate) async fn require_above(
        &self,
        by: &Principal,
        of: &Standing,
        what: (&str, &str, &str),
    ) -> Result<(), IdentityError> {
        let above = of
            .memberships
            .iter()
            .find(|it| !reaches(by, it.project.as_ref(), it.role));
        match above {
            None => Ok(()),
            Some(Membership { role, .. }) => {
                let why = Why::Above(*role);
                self.deny(by, Permission::UsersWrite, why, what).await
            }
        }
    }

    pub(crate) async fn hashed(
        &self,
        password: &SecretString,
    ) -> Result<PasswordHash, IdentityError> {
        let text = password.expose_secret();
        let (chars, bytes) = (text.chars().count(), text.len());
        if chars < MIN_PASSWORD_CHARS || bytes > MAX_PASSWORD_BYTES {
            return Err(IdentityError::Invalid(format!(
                "a password has {MIN_PASSWORD_CHARS} characters at least, and {MAX_PASSWORD_BYTES} bytes at most"
            )));
        }
        Ok(self.passwords.hash(password).await?)
    }

    /// Adds a person or a service account, which may do nothing yet.
    ///
    /// # Errors
    /// `Denied`: needs `users:write`. `Taken`: somebody has this login. `Invalid`: the login is empty, or
    /// the password too short. `Busy`. Those of the ports.
    pub async fn add_principal(
        &self,
        by: &Principal,
        new: NewPrincipal,
        from: &str,
    ) -> Result<PrincipalId, IdentityError> {
        let login = normal(&new.login);
        let id = PrincipalId::from(self.ports.entropy.uuid());
        let what = ("users.add", &*format!("login:{login}"), from);
        self.require(by, Permission::UsersWrite, None, what).await?;
        if login.is_empty() {
            return Err(IdentityError::Invalid(
                "a login has one character at least".to_owned(),
            ));
        }
        if new.kind == PrincipalKind::Service && new.password.is_some() {
            let message = "a service account has API keys and no password";
            return Err(IdentityError::Invalid(message.to_owned()));
        }
        let password = match &new.password {
            Some(password) => Some(self.hashed(password).await?),
            None => None,
        };
        let record = PrincipalRecord {
            id,
            version: 1,
            kind: new.kind,
            login,
            name: new.name,
            password,
            subject: None,
            disabled: false,
        };
        let change = json!({ "login": record.login, "name": record.name });
        let what = What::allowed("users.add", target_of(&record), from, change);
        self.record(by, what).await?;
        self.put(by, record).await?;
        Ok(id)
    }

    pub(crate) async fn put(
        &self,
        by: &Principal,
        record: PrincipalRecord,
    ) -> Result<(), IdentityError> {
        let login = format!("the login `{}`", record.login);
        match self
            .ports
            .identities
            .put_principal(&by.tenant, record)
            .await?
        {
            RecordPut::Stored | RecordPut::Same => Ok(()),
            RecordPut::Taken => Err(IdentityError::Taken(login)),
            RecordPut::Conflict { .. } => Err(IdentityError::Changed(login)),
            RecordPut::LastOwner => Err(IdentityError::LastOwner),
        }
    }

    pub(crate) async fn put_password(
        &self,
        by: &Principal,
        record: &PrincipalRecord,
        password: &SecretString,
        from: &str,
    ) -> Result<(), IdentityError> {
        let next = PrincipalRecord {
            version: record.version + 1,
            password: Some(self.hashed(password).await?),
            ..record.clone()
        };
        let what = What::allowed("passwords.change", target_of(record), from, Value::Null);
        self.record(by, what).await?;
        self.put(by, next).await
    }

    /// Everybody, by login: at most `limit`, those after `after`.
    ///
    /// # Errors
    /// `Denied`: needs `users:read`. Those of the port.
    pub async fn principals(
        &self,
        by: &Principal,
        after: Option<&str>,
        limit: usize,
        from: &str,
    ) -> Result<Vec<Standing>, IdentityError> {
        let what = ("users.list", "", from);
        self.require(by, Permission::UsersRead, None, what).await?;
        let listed = self
            .ports
            .identities
            .principals(&by.tenant, after, limit)
            .await?;
        Ok(listed)
    }

    /// Somebody, with what they are where.
    ///
    /// # Errors
    /// `Denied`: needs `users:read`. `Unknown`. Those of the ports.
    pub async fn somebody(
        &self,
        by: &Principal,
        of: PrincipalId,
        from: &str,
    ) -> Result<Standing, IdentityError> {
        let what = ("users.show", &*format!("principal:{of}"), from);
        self.require(by, Permission::UsersRead, None, what).await?;
        self.standing_of(by, of).await
    }

    /// Sets somebody's password, and closes all their sessions.
    ///
    /// # Errors
    /// `Denied`: needs `users:write`, no lower role than theirs, and no API key. `Invalid`: it is too
    /// short, or theirs is a service account. `Changed`, `Busy`. Those of the ports.
    pub async fn set_password(
        &self,
        by: &Principal,
        of: PrincipalId,
        password: &SecretString,
        from: &str,
    ) -> Result<(), IdentityError> {
        let standing = self.managed(by, of, "passwords.change", from).await?;
        if matches!(by.via, crate::Via::Key(_)) {
            let target = target_of(&standing.principal);
            let what = ("passwords.change", &*target, from);
            return self
                .deny(by, Permission::UsersWrite, Why::NotWithKey, what)
                .await;
        }
        if standing.principal.kind == PrincipalKind::Service {
            let message = "a service account has API keys and no password";
            return Err(IdentityError::Invalid(message.to_owned()));
        }
        self.put_password(by, &standing.principal, password, from)
            .await?;
        self.close_all(by, of).await
    }

    /// Shuts somebody out, or lets them in again; whoever is shut out loses all sessions.
    ///
    /// # Errors
    /// `Denied`: needs `users:write` and no lower role than theirs. `LastOwner`. `Changed`. Those of the
    /// ports.
    pub async fn set_disabled(
        &self,
        by: &Principal,
        of: PrincipalId,
        disabled: bool,
        from: &str,
    ) -> Result<(), IdentityError> {
        let record = self.managed(by, of, "users.disable", from).await?.principal;
        let change = json!({ "disabled": [record.disabled, disabled] });
        let what = What::allowed("users.disable", target_of(&record), from, change);
        self.record(by, what).await?;
        let next = PrincipalRecord {
            version: record.version + 1,
            disabled,
            ..record
        };
        self.put(by, next).await?;
        match disabled {
            true => self.close_all(by, of).await,
            false => Ok(()),
        }
    }

    /// Deletes somebody with their memberships, API keys and sessions.
    ///
    /// # Errors
    /// `Denied`: needs `users:write` and no lower role than theirs. `LastOwner`. Those of the ports.
    pub async fn delete_principal(
        &self,
        by: &Principal,
        of: PrincipalId,
        from: &str,
    ) -> Result<(), IdentityError> {
        let record = self.managed(by, of, "users.delete", from).await?.principal;
        let change = json!({ "login": record.login });
        let what = What::allowed("users.delete", target_of(&record), from, change);
        self.record(by, what).await?;
        match self
            .ports
            .identities
            .delete_principal(&by.tenant, of)
            .await?
        {
            RecordDeleted::Deleted | RecordDeleted::Unknown => self.close_all(by, of).await,
            RecordDeleted::LastOwner => Err(IdentityError::LastOwner),
        }
    }

    /// Whoever is to be changed, if the caller may.
    pub(crate) async fn managed(
        &self,
        by: &Principal,
        of: PrincipalId,
        verb: &str,
        from: &str,
    ) -> Result<Standing, IdentityError> {
        let what = (verb, &*format!("principal:{of}"), from);
        self.require(by, Permission::UsersWrite, None, what).await?;
        let standing = self.standing_of(by, of).await?;
        self.require_above(by, &standing, what).await?;
        Ok(standing)
    }

    async fn close_all(&self, by: &Principal, of: PrincipalId) -> Result<(), IdentityError> {
        let all = Closing::All {
            principal: of,
            but: None,
        };
        self.ports.sessions.close_sessions(&by.tenant, all).await?;
        Ok(())
    }

    /// Changes what somebody is in a project, or in all of them: from the role that the caller saw.
    ///
    /// # Errors
    /// `Denied`: needs `members:write` there, and no lower role than the one before and the one after.
    /// `Changed`: the role there is another one. `Unknown`, `LastOwner`. Those of the ports.
    pub async fn change_membership(
        &self,
        by: &Principal,
        of: PrincipalId,
        project: Option<&ProjectId>,
        (from_role, to_role): (Option<Role>, Option<Role>),
        from: &str,
    ) -> Result<(), IdentityError> {
        let permission = Permission::MembersWrite;
        let place = project.map_or("*", ProjectId::as_str);
        let target = format!("principal:{of} in {place}");
        let what = ("members.change", &*target, from);
        self.require(by, permission, project, what).await?;
        let roles = [from_role, to_role].into_iter().flatten();
        if let Some(above) = roles.max().filter(|role| !reaches(by, project, *role)) {
            return self.deny(by, permission, Why::Above(above), what).await;
        }
        let text = |role: Option<Role>| role.map(Role::as_str);
        let change = json!({ "role": [text(from_role), text(to_role)] });
        self.record(by, What::allowed(what.0, what.1, from, change))
            .await?;
        let identities = &self.ports.identities;
        let changed = identities
            .change_membership(&by.tenant, of, project, from_role, to_role)
            .await?;
        match changed {
            MembershipChanged::Changed | MembershipChanged::Same => Ok(()),
            MembershipChanged::Conflict { .. } => Err(IdentityError::Changed(target)),
            MembershipChanged::Unknown => Err(IdentityError::Unknown(format!(
                "principal `{of}`, or project `{place}`"
            ))),
            MembershipChanged::LastOwner => Err(IdentityError::LastOwner),
        }
    }

    /// Who has a role in exactly this project, or in all of them; by id.
    ///
    /// # Errors
    /// `Denied`: needs `members:read` there. Those of the port.
    pub async fn members(
        &self,
        by: &Principal,
        project: Option<&ProjectId>,
        after: Option<PrincipalId>,
        limit: usize,
        from: &str,
    ) -> Result<Vec<(PrincipalId, Role)>, IdentityError> {
        let place = project.map_or("*", ProjectId::as_str);
        let what = ("members.list", &*format!("project:{place}"), from);
        self.require(by, Permission::MembersRead, project, what)
            .await?;
        let identities = &self.ports.identities;
        Ok(identities
            .members(&by.tenant, project, after, limit)
            .await?)
    }

    /// Puts the next version of a project: 1 adds it.
    ///
    /// # Errors
    /// `Denied`: needs `projects:write`. `Changed`: it is not the next version. Those of the ports.
    pub async fn put_project(
        &self,
        by: &Principal,
        new: ProjectRecord,
        from: &str,
    ) -> Result<(), IdentityError> {
        let target = format!("project:{}", new.id);
        let what = ("projects.put", &*target, from);
        self.require(by, Permission::ProjectsWrite, None, what)
            .await?;
        let change = json!({ "version": new.version, "name": new.name });
        self.record(by, What::allowed(what.0, what.1, from, change))
            .await?;
        match self.ports.identities.put_project(&by.tenant, new).await? {
            RecordPut::Stored | RecordPut::Same => Ok(()),
            _ => Err(IdentityError::Changed(target)),
        }
    }

    /// Deletes a project, with the memberships in it and the API keys for it alone.
    ///
    /// # Errors
    /// `Denied`: needs `projects:write`. `Unknown`. Those of the ports.
    pub async fn delete_project(
        &self,
        by: &Principal,
        id: &ProjectId,
        from: &str,
    ) -> Result<(), IdentityError> {
        let target = format!("project:{id}");
        let what = ("projects.delete", &*target, from);
        self.require(by, Permission::ProjectsWrite, None, what)
            .await?;
        self.record(by, What::allowed(what.0, what.1, from, Value::Null))
            .await?;
        match self.ports.identities.delete_project(&by.tenant, id).await? {
            RecordDeleted::Deleted => Ok(()),
            _ => Err(IdentityError::Unknown(format!("project `{id}`"))),
        }
    }

    /// A project, whether the caller may see it or not.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn project(
        &self,
        by: &Principal,
        id: &ProjectId,
    ) -> Result<Option<ProjectRecord>, IdentityError> {
        let all = self
            .ports
            .identities
            .projects(&by.tenant, None, MAX_PROJECTS);
        let found = all.await?.into_iter().find(|it| it.id == *id);
        Ok(found)
    }

    /// Projects that the caller may see, by id; a page may be shorter than `limit` and not the last: the
    /// second part is after which id to go on.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn projects(
        &self,
        by: &Principal,
        after: Option<&ProjectId>,
        limit: usize,
    ) -> Result<(Vec<ProjectRecord>, Option<ProjectId>), IdentityError> {
        let page = self
            .ports
            .identities
            .projects(&by.tenant, after, limit)
            .await?;
        let next = (page.len() == limit).then(|| page.last().map(|it| it.id.clone()));
        let mut seen = page;
        seen.retain(|it| by.is_allowed(Permission::ProjectsRead, Some(&it.id)));
        Ok((seen, next.flatten()))
    }
}

/// Whether the caller's role in this place is no lower than this one.
pub(crate) fn reaches(by: &Principal, project: Option<&ProjectId>, role: Role) -> bool {
    by.role_in(project).is_some_and(|own| own >= role)
}
