//! What may be allowed, and which role allows it.

use std::{fmt, str::FromStr};

use nebula_ports::Role;

/// Declares the permissions: name in code, name as text, where it counts, from which role on.
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $reach:ident, $role:ident;)+) => {
        /// One thing that may be allowed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Permission {
            $($(#[$doc])* $name,)+
        }

        impl Permission {
            /// Every permission, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// How it is written, in scopes of keys as well: `workflows:read`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// Where it counts.
            #[must_use]
            pub const fn reach(self) -> Reach {
                match self {
                    $(Self::$name => Reach::$reach,)+
                }
            }

            /// The least role that has it; every higher one has it, too.
            #[must_use]
            pub const fn least_role(self) -> Role {
                match self {
                    $(Self::$name => Role::$role,)+
                }
            }
        }
    };
}

/// Where a permission counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In one project: a role there is enough.
    Project,
    /// In the tenant: only a role in all projects counts.
    Tenant,
    /// For what is one's own: everybody has it who is somebody.
    Own,
}

permissions! {
    /// Look at workflows and their versions.
    WorkflowsRead = "workflows:read", Project, Viewer;
    /// Look at executions, their journals and their events.
    ExecutionsRead = "executions:read", Project, Viewer;
    /// See what is asked of people.
    ApprovalsRead = "approvals:read", Project, Viewer;
    /// See which credentials there are, never their values.
    CredentialsRead = "credentials:read", Project, Viewer;
    /// See which actions there are.
    CatalogRead = "catalog:read", Project, Viewer;
    /// Evaluate expressions.
    ExpressionsEvaluate = "expressions:evaluate", Project, Viewer;
    /// Read outputs that lie in blobs.
    BlobsRead = "blobs:read", Project, Viewer;
    /// See what was delivered too often.
    DeadLettersRead = "dead-letters:read", Project, Viewer;
    /// Look at incidents and their timelines.
    IncidentsRead = "incidents:read", Project, Viewer;
    /// See which projects there are.
    ProjectsRead = "projects:read", Project, Viewer;
    /// Start executions, also again.
    ExecutionsStart = "executions:start", Project, Operator;
    /// Cancel, pause, unpause, decide about what is parked.
    ExecutionsControl = "executions:control", Project, Operator;
    /// Send signals.
    SignalsSend = "signals:send", Project, Operator;
    /// Approve, reject, defer.
    ApprovalsDecide = "approvals:decide", Project, Operator;
    /// Acknowledge and resolve incidents.
    IncidentsHandle = "incidents:handle", Project, Operator;
    /// Try what was delivered too often again.
    DeadLettersRedrive = "dead-letters:redrive", Project, Operator;
    /// Save versions of workflows, archive them.
    WorkflowsWrite = "workflows:write", Project, Editor;
    /// Publish a version, which grants what it asks for.
    WorkflowsPublish = "workflows:publish", Project, Editor;
    /// Add, change and remove credentials.
    CredentialsWrite = "credentials:write", Project, Editor;
    /// Publish what names a credential, which grants it to its nodes.
    CredentialsUse = "credentials:use", Project, Editor;
    /// Try credentials.
    CredentialsTest = "credentials:test", Project, Editor;
    /// See which secrets there are, never their values.
    SecretsRead = "secrets:read", Project, Editor;
    /// Set and delete secrets.
    SecretsWrite = "secrets:write", Project, Admin;
    /// See who belongs to a project.
    MembersRead = "members:read", Project, Admin;
    /// Change who belongs to a project.
    MembersWrite = "members:write", Project, Admin;
    /// Read the metrics of the server, which tell how much its tenants do.
    MetricsRead = "metrics:read", Tenant, Operator;
    /// See settings.
    SettingsRead = "settings:read", Tenant, Admin;
    /// See who there is.
    UsersRead = "users:read", Tenant, Admin;
    /// Add, change and remove people and service accounts, and the keys of these.
    UsersWrite = "users:write", Tenant, Admin;
    /// Add, change and remove projects.
    ProjectsWrite = "projects:write", Tenant, Admin;
    /// Read, verify and export the audit log.
    AuditRead = "audit:read", Tenant, Admin;
    /// See which tenants the installation has, and how much they use; of the installation's own tenant alone.
    TenantsRead = "tenants:read", Tenant, Admin;
    /// Add tenants, change their quotas, disable them; of the installation's own tenant alone.
    TenantsWrite = "tenants:write", Tenant, Owner;
    /// Change settings.
    SettingsWrite = "settings:write", Tenant, Owner;
    /// Manage one's own API keys.
    KeysOwn = "keys:own", Own, Viewer;
    /// Manage one's own sessions and password.
    SessionsOwn = "sessions:own", Own, Viewer;
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no permission")]
pub struct PermissionError(String);

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let found = Self::ALL.iter().copied().find(|it| it.as_str() == text);
        found.ok_or_else(|| PermissionError(text.chars().take(40).collect()))
    }
}

impl Permission {
    /// Whether this role has it.
    #[must_use]
    pub fn of_role(self, role: Role) -> bool {
        role >= self.least_role()
    }
}

/// The table of roles and permissions, for people.
#[must_use]
pub fn table() -> String {
    let mut out = format!("{:<22}{:<9}", "", "reach");
    for role in Role::ALL {
        out.push_str(&format!("{role:<9}", role = role.as_str()));
    }
    for permission in Permission::ALL {
        let reach = match permission.reach() {
            Reach::Project => "project",
            Reach::Tenant => "tenant",
            Reach::Own => "own",
        };
        out.truncate(out.trim_end().len());
        out.push_str(&format!("\n{:<22}{reach:<9}", permission.as_str()));
        for role in Role::ALL {
            let has = if permission.of_role(role) { "yes" } else { "-" };
            out.push_str(&format!("{has:<9}"));
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_roles_is_this_one() {
        let expected = include_str!("../roles.txt");
        assert_eq!(table(), expected, "\n{}", table());
    }

    #[test]
    fn a_name_reads_back_and_is_short_enough_for_a_scope() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
            assert!(permission.as_str().len() <= nebula_ports::MAX_SCOPES);
        }
        assert!("workflows:Read".parse::<Permission>().is_err());
        // A key may name every one of them.
        assert!(Permission::ALL.len() <= nebula_ports::MAX_SCOPES);
    }
}
