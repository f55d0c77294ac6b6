//! What is asked of each route, and what must come of it.

use nebula_api::Route;
use nebula_core::Digest;
use nebula_identity::Permission::{
    self, ExecutionsRead, MembersRead, ProjectsRead, UsersRead, UsersWrite, WorkflowsRead,
};
use serde_json::{Value, json};

use super::{PASSWORD, actors::Place, stage::Stage};

/// What is asked of a route.
pub(super) struct Probe {
    pub(super) path: String,
    pub(super) kind: &'static str,
    pub(super) body: String,
    pub(super) wanted: Wanted,
}

/// What must come of it.
pub(super) enum Wanted {
    /// The same for everybody.
    Always(u16),
    /// For everybody who is somebody.
    Somebody,
    /// What the table of roles says of the route's permission in the place of the thing.
    InPlace { sees: Permission },
    /// What it says of this permission in the whole tenant, also where the route asks for less.
    Tenant(Permission),
    /// The same, of what concerns every tenant: for those of the server's own.
    Server(Permission),
    /// What it says of the route's permission, of no thing in particular.
    Anywhere,
}

impl Stage {
    /// What to ask of a route; a route without a probe is one that nobody looks at.
    #[expect(clippy::too_many_lines, reason = "one line for each kind of route")]
    pub(super) async fn probe(&mut self, route: &Route, place: Place) -> Probe {
        let things = self.things(route, place).await;
        let project = place.project();
        let path = route
            .path
            .replace("{execution}", &things.execution.to_string())
            .replace("{workflow}", things.workflow.as_str())
            .replace("{version}", "1")
            .replace("{trigger}", "t")
            .replace("{incident}", &things.incident.to_string())
            .replace("{action}", "data.set")
            .replace("{user}", &things.user.to_string())
            .replace("{session}", &uuid::Uuid::from_u128(9).to_string())
            .replace("{project}", project.as_str())
            .replace("{key}", &things.key)
            .replace("{seq}", "1")
            .replace("{token}", &self.link)
            .replace("{hook}", "nowhere")
            .replace("{digest}", &Digest::of(b"x").to_string())
            .replace("{credential}", &things.credential)
            .replace("{secret}", &things.credential)
            .replace("{tenant}", &things.credential);
        let workflow = Wanted::InPlace {
            sees: WorkflowsRead,
        };
        let execution = Wanted::InPlace {
            sees: ExecutionsRead,
        };
        let (body, wanted) = match (route.method.as_str(), &*route.path) {
            (
                "GET",
                "/health/live" | "/health/ready" | "/api/v1/openapi.json" | "/resume/{token}",
            ) => (Value::Null, Wanted::Always(200)),
            // There is no provider of identities.
            ("GET", "/api/v1/oidc/login" | "/api/v1/oidc/callback") => {
                (Value::Null, Wanted::Always(409))
            }
            // Who knows no address calls nobody, whoever they are.
            (_, "/hooks/{hook}") => (Value::Null, Wanted::Always(404)),
            // Its body says nothing that it takes.
            ("POST", "/resume/{token}") => (json!({ "by": "x" }), Wanted::Always(400)),
            ("POST", "/api/v1/setup") => {
                let body = json!({ "token": "nbo_local_x", "login": "x", "password": PASSWORD });
                (body, Wanted::Always(401))
            }
            ("POST", "/api/v1/login") => (
                json!({ "login": "vera", "password": PASSWORD }),
                Wanted::Always(200),
            ),
            ("POST", "/api/v1/refresh") => {
                (json!({ "refresh": "nbr_local_x" }), Wanted::Always(401))
            }
            ("POST", "/api/v1/logout" | "/api/v1/tickets") | ("GET", "/api/v1/me") => {
                (Value::Null, Wanted::Somebody)
            }
            ("PUT", "/api/v1/me/password") => (
                json!({ "old": PASSWORD, "new": PASSWORD }),
                Wanted::Anywhere,
            ),
            ("GET", "/api/v1/users/{user}/sessions" | "/api/v1/users/{user}/keys") => {
                (Value::Null, Wanted::Tenant(UsersRead))
            }
            (
                "DELETE",
                "/api/v1/users/{user}/sessions" | "/api/v1/users/{user}/sessions/{session}",
            )
            | ("DELETE", "/api/v1/keys/{key}") => (Value::Null, Wanted::Tenant(UsersWrite)),
            // A person makes their own keys.
            ("POST", "/api/v1/users/{user}/keys") => (
                json!({ "name": "x", "lasts": "1h" }),
                Wanted::Tenant(UsersWrite),
            ),
            ("GET" | "DELETE", "/api/v1/users/{user}") => {
                let permission = if route.changes { UsersWrite } else { UsersRead };
                (Value::Null, Wanted::Tenant(permission))
            }
            ("PUT", "/api/v1/users/{user}/disabled") => {
                (json!({ "disabled": true }), Wanted::Tenant(UsersWrite))
            }
            ("PUT", "/api/v1/users/{user}/password") => (
                json!({ "password": "another horse" }),
                Wanted::Tenant(UsersWrite),
            ),
            ("POST", "/api/v1/users") => {
                let body = json!({ "kind": "service", "login": self.next("robot") });
                (body, Wanted::Anywhere)
            }
            ("PUT", "/api/v1/members/{user}") => {
                let body = json!({ "from": "viewer", "to": "operator" });
                (body, Wanted::Tenant(Permission::MembersWrite))
            }
            ("POST", "/api/v1/invitations") => {
                let email = format!("{}@example.org", self.next("guest"));
                let body = json!({ "email": email, "role": "viewer", "project": project });
                (body, Wanted::InPlace { sees: ProjectsRead })
            }
            ("DELETE", "/api/v1/invitations/{user}") => {
                (Value::Null, Wanted::InPlace { sees: MembersRead })
            }
            ("POST", "/api/v1/invitations/accept") => {
                let body = json!({ "token": "nbo_local_x", "password": PASSWORD });
                (body, Wanted::Always(401))
            }
            ("GET", "/api/v1/members") => (Value::Null, Wanted::Tenant(MembersRead)),
            ("GET", "/api/v1/projects/{project}/members") => {
                (Value::Null, Wanted::InPlace { sees: ProjectsRead })
            }
            ("PUT", "/api/v1/projects/{project}/members/{user}") => (
                json!({ "to": "viewer" }),
                Wanted::InPlace { sees: ProjectsRead },
            ),
            // The name is taken, and not the next version.
            ("PUT", "/api/v1/projects/{project}") => (
                json!({ "name": "x", "version": 7 }),
                Wanted::Tenant(Permission::ProjectsWrite),
            ),
            // It has workflows.
            ("DELETE", "/api/v1/projects/{project}") => {
                (Value::Null, Wanted::Tenant(Permission::ProjectsWrite))
            }
            (
                "GET",
                "/api/v1/users"
                | "/api/v1/invitations"
                | "/api/v1/projects"
                | "/api/v1/audit"
                | "/api/v1/audit/export"
                | "/api/v1/workflows"
                | "/api/v1/executions"
                | "/api/v1/approvals"
                | "/api/v1/actions"
                | "/api/v1/credential-types"
                | "/api/v1/actions/{action}"
                | "/api/v1/dead-letters"
                | "/api/v1/incidents"
                | "/api/v1/credentials"
                | "/api/v1/approvals/events"
                | "/api/v1/changes"
                | "/api/v1/events",
            ) => (Value::Null, Wanted::Anywhere),
            ("GET", "/api/v1/settings" | "/api/v1/state") => {
                (Value::Null, Wanted::Server(Permission::SettingsRead))
            }
            ("GET", "/api/v1/tenants" | "/api/v1/tenants/{tenant}") => {
                (Value::Null, Wanted::Server(Permission::TenantsRead))
            }
            ("PUT", "/api/v1/tenants/{tenant}") => {
                let body = json!({ "name": "x", "version": 1 });
                (body, Wanted::Server(Permission::TenantsWrite))
            }
            ("POST", "/api/v1/tenants/{tenant}/setup") => {
                (Value::Null, Wanted::Server(Permission::TenantsWrite))
            }
            ("GET", "/metrics") => (Value::Null, Wanted::Server(Permission::MetricsRead)),
            ("POST", "/api/v1/dead-letters/redrive") => {
                (json!({}), Wanted::Server(Permission::DeadLettersRedrive))
            }
            ("PUT", "/api/v1/credentials/{credential}") => {
                let fields = json!({ "token": "x" });
                let body = json!({ "type": "bearer", "fields": fields, "project": project });
                (body, Wanted::InPlace { sees: ProjectsRead })
            }
            // It may be sent nowhere.
            ("POST", "/api/v1/credentials/{credential}/test") => {
                let sees = Permission::CredentialsRead;
                let body = json!({ "url": "http://127.0.0.1:1/" });
                (body, Wanted::InPlace { sees })
            }
            (_, path) if path.starts_with("/api/v1/credentials/{credential}") => {
                let sees = Permission::CredentialsRead;
                (Value::Null, Wanted::InPlace { sees })
            }
            // These belong to no project.
            ("GET", "/api/v1/secrets") => (Value::Null, Wanted::Tenant(Permission::SecretsRead)),
            ("PUT", "/api/v1/secrets/{secret}") => (
                json!({ "value": "x" }),
                Wanted::Tenant(Permission::SecretsWrite),
            ),
            ("DELETE", "/api/v1/secrets/{secret}") => {
                (Value::Null, Wanted::Tenant(Permission::SecretsWrite))
            }
            (_, path) if path.starts_with("/api/v1/incidents/{incident}") => {
                let sees = Permission::IncidentsRead;
                let body = match route.changes {
                    true => json!({}),
                    false => Value::Null,
                };
                (body, Wanted::InPlace { sees })
            }
            ("POST", "/api/v1/audit/verify") => (json!({}), Wanted::Anywhere),
            ("POST", "/api/v1/workflows/{workflow}/triggers/{trigger}/rotate") => {
                (json!({ "grace": "1h" }), workflow)
            }
            ("POST", "/api/v1/workflows/{workflow}/triggers/{trigger}/backfill") => {
                let at = "2026-01-01T00:00:00Z";
                (json!({ "from": at, "to": at }), workflow)
            }
            ("POST", "/api/v1/executions/bulk") => {
                let only = things.workflow.as_str();
                let body = json!({ "action": "pause", "dry_run": false, "workflow": only });
                (body, Wanted::Anywhere)
            }
            ("POST", "/api/v1/expressions/evaluate") => {
                (json!({ "expression": "1 + 1" }), Wanted::Anywhere)
            }
            ("POST", "/api/v1/definitions/check") => (json!({ "nodes": [] }), Wanted::Anywhere),
            ("POST", "/api/v1/executions") => (json!({ "workflow": things.workflow }), workflow),
            ("PUT", "/api/v1/workflows/{workflow}") => {
                let text = format!(
                    "{{\"id\":\"{}\",\"nodes\":[{{\"id\":\"a\",\"action\":\"data.set\"}}]}}",
                    things.workflow
                );
                (serde_json::from_str(&text).unwrap(), workflow)
            }
            ("POST", "/api/v1/workflows/{workflow}/publish") => (json!({ "version": 1 }), workflow),
            ("POST", "/api/v1/workflows/{workflow}/move") => {
                (json!({ "project": project }), workflow)
            }
            (_, path) if path.starts_with("/api/v1/workflows/{workflow}") => {
                (Value::Null, workflow)
            }
            ("GET", "/api/v1/executions/{execution}/blobs/{digest}") => (Value::Null, execution),
            ("POST", "/api/v1/executions/{execution}/signals") => {
                (json!({ "name": "paid" }), execution)
            }
            ("POST", "/api/v1/executions/{execution}/votes") => {
                (json!({ "choice": "approve" }), execution)
            }
            ("POST", "/api/v1/executions/{execution}/migrate") => {
                (json!({ "version": 1 }), execution)
            }
            ("POST", "/api/v1/executions/{execution}/unpark") => {
                (json!({ "decision": "retry" }), execution)
            }
            (_, path) if path.starts_with("/api/v1/executions/{execution}") => {
                (json!({}), execution)
            }
            (method, path) => panic!("{method} {path} has no probe: say here what to ask of it"),
        };
        let path = match &*route.path {
            "/api/v1/workflows/{workflow}/diff" => format!("{path}?from=1"),
            _ => path,
        };
        let body = match &body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        Probe {
            path,
            kind: "application/json",
            body,
            wanted,
        }
    }
}
