//! The kinds of callers, and the places of things.

use nebula_core::{ProjectId, TenantId};
use nebula_identity::{Permission, Reach};
use nebula_ports::Role;

/// Whose a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Of the project `shop`.
    Own,
    /// Of another project of the tenant.
    OtherProject,
    /// Of another tenant.
    OtherTenant,
}

pub(super) const PLACES: [Place; 3] = [Place::Own, Place::OtherProject, Place::OtherTenant];

impl Place {
    pub(super) fn tenant(self) -> TenantId {
        match self {
            Self::Own | Self::OtherProject => TenantId::local(),
            Self::OtherTenant => TenantId::new("beta").unwrap(),
        }
    }

    pub(super) fn project(self) -> ProjectId {
        let name = match self {
            Self::Own => "shop",
            Self::OtherProject => "other",
            Self::OtherTenant => "gamma",
        };
        ProjectId::new(name).unwrap()
    }
}

/// One kind of caller.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) tenant: TenantId,
    /// Its roles; an empty name is all projects.
    pub(super) roles: &'static [(&'static str, Role)],
    /// To what its key narrows it: one project, one permission.
    pub(super) only: Option<(&'static str, Permission)>,
    pub(super) login: &'static str,
    pub(super) bearer: Option<String>,
}

/// Name, login, roles.
pub(super) type Called = (&'static str, &'static str, &'static [(&'static str, Role)]);

pub(super) const ACTORS: [Called; 10] = [
    ("anonymous", "", &[]),
    ("resume link", "", &[]),
    ("viewer", "vera", &[("shop", Role::Viewer)]),
    ("operator", "otto", &[("shop", Role::Operator)]),
    ("editor", "edda", &[("shop", Role::Editor)]),
    ("admin", "adam", &[("shop", Role::Admin)]),
    ("owner of all", "olga", &[("", Role::Owner)]),
    ("key to read", "kim", &[("", Role::Owner)]),
    ("other project's admin", "paul", &[("other", Role::Admin)]),
    ("other tenant's owner", "tina", &[("", Role::Owner)]),
];

impl Actor {
    /// As the table of roles has it.
    pub(super) fn may(
        &self,
        permission: Permission,
        tenant: &TenantId,
        project: Option<&str>,
    ) -> bool {
        if self.bearer.is_none() || self.login.is_empty() || *tenant != self.tenant {
            return false;
        }
        let project = match permission.reach() {
            Reach::Project => project,
            Reach::Tenant | Reach::Own => None,
        };
        if let Some((only, scope)) = self.only
            && (scope != permission || project != Some(only))
        {
            return false;
        }
        let role = |(place, role): &(&str, Role)| {
            (place.is_empty() || Some(*place) == project).then_some(*role)
        };
        permission.reach() == Reach::Own
            || self.roles.iter().filter_map(role).max() >= Some(permission.least_role())
    }

    pub(super) fn may_somewhere(&self, permission: Permission) -> bool {
        let places = [None, Some("shop"), Some("other"), Some("gamma")];
        places
            .into_iter()
            .any(|it| self.may(permission, &self.tenant, it))
    }
}
