//! Who calls, and what they may.

use nebula_core::{PrincipalId, ProjectId, TenantId, Timestamp};
use nebula_ports::{Membership, Role};
use uuid::Uuid;

use crate::{Permission, Reach};

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A person.
    Person(PrincipalId),
    /// A service account.
    Service(PrincipalId),
    /// Whoever sits at this machine and has its token.
    Local,
}

/// With what they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The token of this machine.
    Local,
    /// A browser's session, or a program's, whose id this is.
    Session(Uuid),
    /// The API key with this prefix.
    Key(String),
}

/// To what a key narrows the rights of its principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowed {
    /// The only project; `None` is all of them.
    pub project: Option<ProjectId>,
    /// The only permissions; `None` is all of them.
    pub permissions: Option<Vec<Permission>>,
}

/// Who calls: rights as they were in one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub(crate) tenant: TenantId,
    pub(crate) who: Who,
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) via: Via,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) narrowed: Option<Narrowed>,
    pub(crate) check_again_at: Timestamp,
}

/// Whether something may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It may.
    Allowed,
    /// It may not.
    Denied {
        /// What is missing.
        why: Why,
    },
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// No role in this place.
    #[error("there is no role in {}", place(.project.as_ref()))]
    NoRole {
        /// Where; `None` is the whole tenant.
        project: Option<ProjectId>,
    },
    /// The role does not have it.
    #[error("the role {role} in {} does not have {permission}; {} has", place(.project.as_ref()), .permission.least_role())]
    Role {
        /// The highest role in this place.
        role: Role,
        /// Where; `None` is the whole tenant.
        project: Option<ProjectId>,
        /// What it does not have.
        permission: Permission,
    },
    /// The key is not for this permission.
    #[error("the API key is not for {0}")]
    Scope(Permission),
    /// The key is for another project.
    #[error("the API key is for the project `{0}` alone")]
    OtherProject(ProjectId),
    /// Somebody with a higher role, or a role that one does not have.
    #[error("this concerns the role {0}, which is above one's own")]
    Above(Role),
    /// What a key may never do.
    #[error("an API key makes no keys and changes no passwords; log in for that")]
    NotWithKey,
}

fn place(project: Option<&ProjectId>) -> String {
    project.map_or_else(
        || "the whole tenant".to_owned(),
        |it| format!("the project `{it}`"),
    )
}

impl Principal {
    /// Whoever sits at this machine: owns the tenant.
    #[must_use]
    pub fn local(tenant: TenantId) -> Self {
        Self {
            tenant,
            who: Who::Local,
            login: "local".to_owned(),
            name: "local".to_owned(),
            via: Via::Local,
            memberships: vec![Membership {
                project: None,
                role: Role::Owner,
            }],
            narrowed: None,
            check_again_at: Timestamp::MAX,
        }
    }

    /// Whose data they see.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What they are.
    #[must_use]
    pub fn who(&self) -> Who {
        self.who
    }

    /// What they log in with, or a service's name: one of a tenant has it, so it says who votes.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// What they are where, whatever a key narrows it to.
    #[must_use]
    pub fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    /// To what the key with which they came narrows their rights.
    #[must_use]
    pub fn narrowed(&self) -> Option<&Narrowed> {
        self.narrowed.as_ref()
    }

    /// What is shown of them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// With what they came.
    #[must_use]
    pub fn via(&self) -> &Via {
        &self.via
    }

    /// Their id, unless they are whoever sits at this machine.
    #[must_use]
    pub fn id(&self) -> Option<PrincipalId> {
        match self.who {
            Who::Person(id) | Who::Service(id) => Some(id),
            Who::Local => None,
        }
    }

    /// From when on these rights may be others: whoever serves for longer asks
    /// [`Identity::check_again`](crate::Identity::check_again).
    #[must_use]
    pub fn check_again_at(&self) -> Timestamp {
        self.check_again_at
    }

    /// Who they are, as the audit log has it: `person:<id>`, `service:<id>`, `local`.
    #[must_use]
    pub fn audit_name(&self) -> String {
        match self.who {
            Who::Person(id) => format!("person:{id}"),
            Who::Service(id) => format!("service:{id}"),
            Who::Local => "local".to_owned(),
        }
    }

    /// With what they came, as the audit log has it: `session:<id>`, `key:<prefix>`, or nothing.
    #[must_use]
    pub fn audit_via(&self) -> String {
        match &self.via {
            Via::Local => String::new(),
            Via::Session(id) => format!("session:{id}"),
            Via::Key(prefix) => format!("key:{prefix}"),
        }
    }

    /// The highest role in a project, or in all of them: what counts there.
    #[must_use]
    pub fn role_in(&self, project: Option<&ProjectId>) -> Option<Role> {
        let counts = |it: &&Membership| it.project.is_none() || it.project.as_ref() == project;
        let roles = self.memberships.iter().filter(counts).map(|it| it.role);
        roles.max()
    }

    /// Whether they may do this in `project`; `None` is what belongs to no project. What counts in the
    /// whole tenant alone ([`Reach::Tenant`]) is asked of the role in all projects, whatever `project` is.
    pub fn may(&self, permission: Permission, project: Option<&ProjectId>) -> Decision {
        let project = match permission.reach() {
            Reach::Project => project,
            Reach::Tenant | Reach::Own => None,
        };
        let denied = |why| Decision::Denied { why };
        if let Some(narrowed) = &self.narrowed {
            let only = narrowed.permissions.as_ref();
            if only.is_some_and(|only| !only.contains(&permission)) {
                return denied(Why::Scope(permission));
            }
            let other = narrowed
                .project
                .as_ref()
                .filter(|only| project != Some(*only));
            if let Some(only) = other.filter(|_| permission.reach() != Reach::Own) {
                return denied(Why::OtherProject(only.clone()));
            }
        }
        if permission.reach() == Reach::Own {
            return Decision::Allowed;
        }
        match self.role_in(project) {
            Some(role) if permission.of_role(role) => Decision::Allowed,
            role => {
                let project = project.cloned();
                denied(match role {
                    None => Why::NoRole { project },
                    Some(role) => Why::Role {
                        role,
                        project,
                        permission,
                    },
                })
            }
        }
    }

    /// The same for whoever needs no reason.
    #[must_use]
    pub fn is_allowed(&self, permission: Permission, project: Option<&ProjectId>) -> bool {
        self.may(permission, project) == Decision::Allowed
    }

    /// Whether they may do this in some place, whichever.
    #[must_use]
    pub fn is_allowed_somewhere(&self, permission: Permission) -> bool {
        self.projects_with(permission)
            .is_none_or(|places| !places.is_empty())
    }

    /// The projects in which they may do this: `None` is all of the tenant, and what belongs to none.
    #[must_use]
    pub fn projects_with(&self, permission: Permission) -> Option<Vec<ProjectId>> {
        if self.is_allowed(permission, None) {
            return None;
        }
        let of = |it: &Membership| it.project.clone();
        let mut named: Vec<_> = self.memberships.iter().filter_map(of).collect();
        named.extend(self.narrowed.as_ref().and_then(|it| it.project.clone()));
        named.sort();
        named.dedup();
        named.retain(|project| self.is_allowed(permission, Some(project)));
        Some(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> ProjectId {
        ProjectId::new(name).unwrap()
    }

    /// Reads `* viewer, shop admin`.
    fn with(roles: &str) -> Principal {
        let memberships = roles.split(", ").filter(|it| !it.is_empty()).map(|it| {
            let (place, role) = it.split_once(' ').unwrap();
            Membership {
                project: (place != "*").then(|| project(place)),
                role: role.parse().unwrap(),
            }
        });
        Principal {
            memberships: memberships.collect(),
            who: Who::Person(Uuid::from_u128(1).into()),
            ..Principal::local(TenantId::local())
        }
    }

    /// Asks for a permission in `shop` (or `*`).
    fn check(roles: &str, permission: Permission, place: &str, allowed: bool) {
        let project = (place != "*").then(|| project(place));
        let decision = with(roles).may(permission, project.as_ref());
        assert_eq!(
            decision == Decision::Allowed,
            allowed,
            "{roles}: {decision:?}"
        );
    }

    #[test]
    fn a_role_counts_where_it_was_given() {
        use Permission::{ExecutionsStart, WorkflowsRead, WorkflowsWrite};
        check("", WorkflowsRead, "shop", false);
        check("shop viewer", WorkflowsRead, "shop", true);
        check("shop viewer", WorkflowsRead, "other", false);
        check("shop viewer", WorkflowsRead, "*", false);
        check("* viewer", WorkflowsRead, "shop", true);
        check("* viewer", WorkflowsWrite, "shop", false);
        check("* viewer, shop editor", WorkflowsWrite, "shop", true);
        check("* viewer, shop editor", WorkflowsWrite, "other", false);
        check("* editor, shop viewer", ExecutionsStart, "shop", true);
    }

    #[test]
    fn an_owner_of_one_project_has_nothing_of_the_tenant() {
        for permission in Permission::ALL
            .iter()
            .filter(|it| it.reach() == Reach::Tenant)
        {
            for place in ["shop", "*"] {
                check("shop owner", *permission, place, false);
                check("* owner", *permission, place, true);
            }
        }
    }

    #[test]
    fn a_key_only_narrows() {
        let narrowed = |project_of: Option<&str>, permissions: Option<&[Permission]>| Principal {
            narrowed: Some(Narrowed {
                project: project_of.map(project),
                permissions: permissions.map(<[_]>::to_vec),
            }),
            ..with("* editor")
        };
        let (read, write) = (Permission::WorkflowsRead, Permission::WorkflowsWrite);
        let secret = Permission::SecretsWrite;
        let (shop, other) = (project("shop"), project("other"));
        for permission in Permission::ALL {
            for place in [None, Some(&shop)] {
                // What a role does not have, no scope gives.
                let key = narrowed(None, Some(Permission::ALL));
                assert_eq!(
                    key.may(*permission, place),
                    with("* editor").may(*permission, place)
                );
            }
        }
        let key = narrowed(Some("shop"), Some(&[read, secret]));
        assert!(key.is_allowed(read, Some(&shop)));
        assert!(!key.is_allowed(read, Some(&other)) && !key.is_allowed(read, None));
        assert!(!key.is_allowed(write, Some(&shop)) && !key.is_allowed(secret, Some(&shop)));
        assert_eq!(key.projects_with(read), Some(vec![shop]));
        let nothing = narrowed(None, Some(&[]));
        assert!(
            Permission::ALL
                .iter()
                .all(|it| !nothing.is_allowed(*it, None))
        );
    }

    #[test]
    fn projects_are_those_in_which_it_may() {
        let read = Permission::WorkflowsRead;
        assert_eq!(with("* viewer").projects_with(read), None);
        let both = with("b viewer, a admin").projects_with(read);
        assert_eq!(both, Some(vec![project("a"), project("b")]));
        let one = with("b viewer, a admin").projects_with(Permission::SecretsWrite);
        assert_eq!(one, Some(vec![project("a")]));
        assert_eq!(with("").projects_with(read), Some(Vec::new()));
    }
}
