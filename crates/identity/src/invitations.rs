//! Invitations: somebody is asked to become a person here, and shows by a token that it was them.
//!
//! Whoever is invited is a person without a password and without an identity elsewhere, who waits for one of
//! the two; so what they may stands where it stands of everybody, and revoking is deleting them. The token
//! names them and the version of their record in which it was made: whatever changes them voids it.

use nebula_core::{PrincipalId, ProjectId, SecretString, TenantId, Timestamp};
use nebula_ports::{
    MembershipChanged, PrincipalKey, PrincipalKind, PrincipalRecord, RecordDeleted, Role,
    SessionKind, Standing,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Identity, IdentityError, LoggedIn, NotAuthenticated, Permission, Principal, What, Why,
    login::normal,
    people::{reaches, target_of},
    provided::{INVITATION, waits},
};

const PURPOSE: &str = "invitation";

/// Somebody to invite.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Their address, which is their login from then on; case does not count.
    pub email: String,
    /// What is shown of them; may be empty.
    pub name: String,
    /// Where they are to have a role; `None` is every project.
    pub project: Option<ProjectId>,
    /// As what.
    pub role: Role,
}

/// Somebody who was invited.
#[derive(Debug)]
pub struct Invited {
    /// Who they are.
    pub id: PrincipalId,
    /// What they show, once: it is told here alone, and its hash is stored.
    pub token: SecretString,
    /// Until when.
    pub until: Timestamp,
}

/// What somebody who was invited says.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// Their password from now on.
    pub password: SecretString,
    /// What is shown of them; `None` leaves what whoever invited them said.
    pub name: Option<String>,
    /// For what they are let in.
    pub kind: SessionKind,
    /// With what program.
    pub agent: String,
}

/// What the token of an invitation stands for.
#[derive(Serialize, Deserialize)]
struct Asked {
    id: PrincipalId,
    version: u32,
}

/// Whether a text may be the address of a mailbox: one `@` with something around it, and nothing that hides.
fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    let whole = |it: &str| !it.is_empty() && !it.contains('@');
    let shown = text
        .chars()
        .all(|it| !it.is_whitespace() && !it.is_control());
    shown && parts.is_some_and(|(name, domain)| whole(name) && whole(domain))
}

impl Identity {
    /// Invites somebody to be something in a project, or in all of them: they can accept within
    /// [`INVITATION`], once. Who waits already is invited anew, and what they were given before counts no more.
    ///
    /// # Errors
    /// `Denied`: needs `members:write` there, and no lower role than they get. `Taken`: somebody has this
    /// login who does not wait. `Unknown`: there is no such project. `Invalid`: it is no address. Those of
    /// the ports.
    pub async fn invite(
        &self,
        by: &Principal,
        new: NewInvitation,
        from: &str,
    ) -> Result<Invited, IdentityError> {
        let (project, role) = (new.project.as_ref(), new.role);
        let login = normal(&new.email);
        let place = project.map_or("*", ProjectId::as_str);
        let what = ("users.invite", &*format!("login:{login} in {place}"), from);
        let permission = Permission::MembersWrite;
        self.require(by, permission, project, what).await?;
        if !reaches(by, project, role) {
            return self.deny(by, permission, Why::Above(role), what).await;
        }
        if !is_address(&login) {
            let message = "an invitation is for an address such as ann@example.org";
            return Err(IdentityError::Invalid(message.to_owned()));
        }
        if role == Role::Owner {
            // Who waits would be the last owner as soon as the others left.
            let message = "nobody is invited as an owner: invite an admin, and make them one when they are here";
            return Err(IdentityError::Invalid(message.to_owned()));
        }
        if let Some(id) = project
            && self.project(by, id).await?.is_none()
        {
            return Err(IdentityError::Unknown(format!("project `{id}`")));
        }
        let identities = &self.ports.identities;
        let known = identities
            .standing(&by.tenant, PrincipalKey::Login(&login))
            .await?;
        let (record, before) = match known {
            None => {
                let record = PrincipalRecord {
                    id: PrincipalId::from(self.ports.entropy.uuid()),
                    version: 1,
                    kind: PrincipalKind::Person,
                    login,
                    name: new.name,
                    password: None,
                    subject: None,
                    disabled: false,
                };
                (record, None)
            }
            Some(it) if waits(&it.principal) => {
                self.require_above(by, &it, what).await?;
                let here = it.memberships.iter().find(|it| it.project == new.project);
                let before = here.map(|it| it.role);
                let record = PrincipalRecord {
                    version: it.principal.version + 1,
                    ..it.principal
                };
                (record, before)
            }
            Some(_) => return Err(IdentityError::Taken(format!("the login `{login}`"))),
        };
        let (id, version) = (record.id, record.version);
        let text = before.map(Role::as_str);
        let change =
            json!({ "login": record.login, "project": project, "role": [text, role.as_str()] });
        let target = target_of(&record);
        self.record(by, What::allowed(what.0, target, from, change))
            .await?;
        self.put(by, record).await?;
        let changed = identities
            .change_membership(&by.tenant, id, project, before, Some(role))
            .await?;
        match changed {
            MembershipChanged::Changed | MembershipChanged::Same => {}
            MembershipChanged::Unknown => {
                return Err(IdentityError::Unknown(format!("project `{place}`")));
            }
            MembershipChanged::Conflict { .. } => {
                return Err(IdentityError::Changed("their role".to_owned()));
            }
            MembershipChanged::LastOwner => return Err(IdentityError::LastOwner),
        }
        let until = self.now().plus(INVITATION);
        let content = serde_json::to_string(&Asked { id, version }).expect("texts and numbers");
        let token = self
            .put_once(&by.tenant, PURPOSE, content, INVITATION, false)
            .await?;
        Ok(Invited { id, token, until })
    }

    /// Those who wait, of at most `limit` people by login after `after` whom the caller may see: needs
    /// `members:read` wherever they have a role. The second part is after which login to go on.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn invitations(
        &self,
        by: &Principal,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Standing>, Option<String>), IdentityError> {
        let identities = &self.ports.identities;
        let page = identities.principals(&by.tenant, after, limit).await?;
        let next = (page.len() == limit).then(|| page.last().map(|it| it.principal.login.clone()));
        let mut seen = page;
        seen.retain(|it| waits(&it.principal) && sees(by, it, Permission::MembersRead));
        Ok((seen, next.flatten()))
    }

    /// Takes an invitation back: whoever was invited is nobody here any more.
    ///
    /// # Errors
    /// `Denied`: needs `members:write` wherever they have a role, and no lower role than theirs. `Unknown`:
    /// nobody of this id waits. Those of the ports.
    pub async fn revoke_invitation(
        &self,
        by: &Principal,
        of: PrincipalId,
        from: &str,
    ) -> Result<(), IdentityError> {
        let unknown = || IdentityError::Unknown(format!("invitation of `{of}`"));
        let what = ("invitations.revoke", &*format!("person:{of}"), from);
        if !by.is_allowed_somewhere(Permission::MembersWrite) {
            self.require(by, Permission::MembersWrite, None, what)
                .await?;
        }
        let key = PrincipalKey::Id(of);
        let standing = self.ports.identities.standing(&by.tenant, key).await?;
        let standing = standing
            .filter(|it| waits(&it.principal))
            .ok_or_else(unknown)?;
        if !sees(by, &standing, Permission::MembersWrite) {
            self.record(by, What::denied(what.0, what.1, from)).await?;
            return Err(unknown());
        }
        self.require_above(by, &standing, what).await?;
        let change = json!({ "login": standing.principal.login });
        self.record(by, What::allowed(what.0, what.1, from, change))
            .await?;
        // Whoever accepted meanwhile has another version, and is no invitation any more.
        let void = PrincipalRecord {
            version: standing.principal.version + 1,
            disabled: true,
            ..standing.principal
        };
        self.put(by, void).await?;
        match self
            .ports
            .identities
            .delete_principal(&by.tenant, of)
            .await?
        {
            RecordDeleted::Deleted | RecordDeleted::Unknown => Ok(()),
            RecordDeleted::LastOwner => Err(IdentityError::LastOwner),
        }
    }

    /// Sets the password of whoever was invited, and lets them in. The token is spent.
    ///
    /// # Errors
    /// `Refused`: it is none, was spent or taken back, or is too old. Inside: what is said of a password.
    pub async fn accept_invitation(
        &self,
        token: &str,
        said: Acceptance,
        from: &str,
    ) -> Result<Result<LoggedIn, IdentityError>, NotAuthenticated> {
        let shown = crate::token::parse(crate::token::TokenKind::Once, token);
        let tenant = shown.ok_or(NotAuthenticated::Refused)?.tenant;
        self.count_from(&tenant, from).await?;
        // Before the token is spent: a password that is too short shall not cost an invitation.
        let password = match self.hashed(&said.password).await {
            Ok(password) => password,
            Err(error) => return Ok(Err(error)),
        };
        let Some((tenant, record)) = self.invited(token).await? else {
            let what = What::denied("invitations.accept", "unknown", from);
            self.record_denial(&tenant, None, what).await?;
            return Err(NotAuthenticated::Refused);
        };
        let what = What::allowed(
            "invitations.accept",
            target_of(&record),
            from,
            json!({ "password": true }),
        );
        self.append(&tenant, None, what).await?;
        let next = PrincipalRecord {
            version: record.version + 1,
            password: Some(password),
            name: said.name.unwrap_or_else(|| record.name.clone()),
            ..record
        };
        match self.stored(&tenant, next).await? {
            Some(standing) => {
                let opened = self.open(&tenant, standing, said.kind, &said.agent, from);
                opened.await.map(Ok)
            }
            None => Err(NotAuthenticated::Refused),
        }
    }

    /// Spends the token of an invitation: whoever was invited, as they wait.
    pub(crate) async fn invited(
        &self,
        token: &str,
    ) -> Result<Option<(TenantId, PrincipalRecord)>, NotAuthenticated> {
        let (tenant, content) = match self.take_once(PURPOSE, token).await {
            Ok(taken) => taken,
            Err(NotAuthenticated::Refused) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(asked) = serde_json::from_str::<Asked>(&content) else {
            return Ok(None);
        };
        let key = PrincipalKey::Id(asked.id);
        let standing = self.ports.identities.standing(&tenant, key).await?;
        // How long it counts, the store knows of its token.
        let same = |it: &Standing| it.principal.version == asked.version && waits(&it.principal);
        let standing = standing.filter(same);
        Ok(standing.map(|it| (tenant, it.principal)))
    }
}

/// Whether the caller may do this wherever somebody has a role, or in all of the tenant if they have none.
fn sees(by: &Principal, of: &Standing, permission: Permission) -> bool {
    let mut places = of.memberships.iter();
    match of.memberships.is_empty() {
        true => by.is_allowed(permission, None),
        false => places.all(|it| by.is_allowed(permission, it.project.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_at_and_nothing_that_hides() {
        for good in ["ann@example.org", "a+b@x", "ä@ö"] {
            assert!(is_address(good), "{good}");
        }
        for wrong in [
            "",
            "ann",
            "@x",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b\n",
            "a\u{7f}@b",
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
