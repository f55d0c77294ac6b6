//! Who may do what with whose things: every route, every kind of caller, however the path is spelled.
//!
//! What each cell must be is derived here from the table of roles alone; what it was is `matrix.txt`, for
//! people to read: for each kind of caller what came of a thing of the project `shop`, of another project
//! and of another tenant, or once if it is the same for all. A route that has no probe fails the test, and
//! so does one whose check is missing.

use std::{collections::BTreeSet, fmt::Write as _};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use nebula_api::{Needs, Route};
use nebula_core::{
    CredentialId, ExecutionId, ExposeSecret as _, PrincipalId, ProjectId, SecretId, TenantId,
    WorkflowId,
};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_execution::StartOptions;
use nebula_identity::{
    Evidence, Issued, Login, NewKey, NewPrincipal,
    Permission::{self, ExecutionsRead, ProjectsRead, UsersRead, UsersWrite, WorkflowsRead},
    Principal, Reach,
};
use nebula_ports::{
    AuditEntry, AuditLog as _, AuditOutcome, PrincipalKind, ProjectRecord, Role, SecretsStore as _,
    SessionKind,
};
use nebula_workflow::{Source, parse};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};

use crate::support::World;

const HERE: &str = "127.0.0.1";
const PASSWORD: &str = "correct horse";

/// Whose a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Of the project `shop`.
    Own,
    /// Of another project of the tenant.
    OtherProject,
    /// Of another tenant.
    OtherTenant,
}

const PLACES: [Place; 3] = [Place::Own, Place::OtherProject, Place::OtherTenant];

impl Place {
    fn tenant(self) -> TenantId {
        match self {
            Self::Own | Self::OtherProject => TenantId::local(),
            Self::OtherTenant => TenantId::new("beta").unwrap(),
        }
    }

    fn project(self) -> ProjectId {
        let name = match self {
            Self::Own => "shop",
            Self::OtherProject => "other",
            Self::OtherTenant => "gamma",
        };
        ProjectId::new(name).unwrap()
    }
}

/// One kind of caller.
struct Actor {
    name: &'static str,
    tenant: TenantId,
    /// Its roles; an empty name is all projects.
    roles: &'static [(&'static str, Role)],
    /// To what its key narrows it: one project, one permission.
    only: Option<(&'static str, Permission)>,
    login: &'static str,
    bearer: Option<String>,
}

/// Name, login, roles.
type Called = (&'static str, &'static str, &'static [(&'static str, Role)]);

const ACTORS: [Called; 10] = [
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
    fn may(&self, permission: Permission, tenant: &TenantId, project: Option<&str>) -> bool {
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

    fn may_somewhere(&self, permission: Permission) -> bool {
        let places = [None, Some("shop"), Some("other"), Some("gamma")];
        places
            .into_iter()
            .any(|it| self.may(permission, &self.tenant, it))
    }
}

/// What is asked of a route.
struct Probe {
    path: String,
    kind: &'static str,
    body: String,
    wanted: Wanted,
}

/// What must come of it.
enum Wanted {
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

/// The things of one cell, made anew.
struct Things {
    workflow: WorkflowId,
    execution: ExecutionId,
    user: PrincipalId,
    key: String,
    /// The name of a credential and of a secret.
    credential: String,
}

/// Everything that there is, and a connection.
struct Stage {
    world: World,
    link: String,
    send: SendRequest<Full<Bytes>>,
    count: u32,
    _open: JoinSet<()>,
}

const WAITS: &str = "nodes: [{ id: paid, action: flow.wait, parameters: { signal: paid } }]";
const OFTEN: &str =
    "nodes: [{ id: a, action: data.set }]\ntriggers: [{ id: t, type: interval, every: 1h }]";
const CALLED: &str =
    "nodes: [{ id: a, action: data.set }]\ntriggers: [{ id: t, type: webhook, auth: none }]";
const ASKS: &str = "nodes: [{ id: release, action: flow.approval, parameters: { title: Go } }]";

impl Stage {
    async fn new() -> Self {
        let world = World::new().await;
        for place in PLACES {
            let local = Principal::local(place.tenant());
            let new = ProjectRecord {
                id: place.project(),
                version: 1,
                name: "a project".to_owned(),
            };
            world.identity.put_project(&local, new, HERE).await.unwrap();
        }
        let (send, open) = connected(&world).await;
        let mut stage = Self {
            world,
            link: String::new(),
            send,
            count: 0,
            _open: open,
        };
        let (_, execution) = stage.execution(Place::Own, ASKS).await;
        let tenant = TenantId::local();
        while stage.link.is_empty() {
            let engine = stage.world.nebula.engine();
            let tokens = engine.resume_tokens(&tenant, execution).await;
            if let Some(first) = tokens.ok().and_then(|it| it.into_iter().next()) {
                stage.link = first.token.reveal();
            }
            tokio::task::yield_now().await;
        }
        stage
    }

    async fn actor(&self, (name, login, roles): Called) -> Actor {
        let beta = name.starts_with("other tenant");
        let tenant = if beta { Place::OtherTenant } else { Place::Own }.tenant();
        let mut actor = Actor {
            name,
            tenant: tenant.clone(),
            roles,
            only: None,
            login,
            bearer: None,
        };
        match name {
            "anonymous" => return actor,
            "resume link" => {
                actor.bearer = Some(self.link.clone());
                return actor;
            }
            _ => {}
        }
        let id = self.person(&tenant, login, roles).await;
        let bearer = self.let_in(&tenant, login).await;
        actor.bearer = Some(match name {
            "key to read" => {
                actor.only = Some(("shop", ExecutionsRead));
                let shown = Evidence::Bearer(&bearer);
                let by = self.world.identity.authenticate(shown, HERE).await.unwrap();
                let new = NewKey {
                    principal: id,
                    name: "to read".to_owned(),
                    project: Some(Place::Own.project()),
                    permissions: Some(vec![ExecutionsRead]),
                    lasts: std::time::Duration::from_hours(1),
                };
                let made = self.world.identity.make_key(&by, new, HERE).await.unwrap();
                made.text.expose_secret().to_owned()
            }
            _ => bearer,
        });
        actor
    }

    async fn person(&self, tenant: &TenantId, login: &str, roles: &[(&str, Role)]) -> PrincipalId {
        let (identity, local) = (&self.world.identity, Principal::local(tenant.clone()));
        let new = NewPrincipal {
            kind: PrincipalKind::Person,
            login: login.to_owned(),
            name: String::new(),
            password: Some(PASSWORD.into()),
        };
        let id = identity.add_principal(&local, new, HERE).await.unwrap();
        for (place, role) in roles {
            let project = (!place.is_empty()).then(|| ProjectId::new(*place).unwrap());
            let change = (None, Some(*role));
            let changed = identity.change_membership(&local, id, project.as_ref(), change, HERE);
            changed.await.unwrap();
        }
        id
    }

    async fn let_in(&self, tenant: &TenantId, login: &str) -> String {
        let login = Login {
            login: login.to_owned(),
            password: PASSWORD.into(),
            kind: SessionKind::Program,
            agent: String::new(),
        };
        // From an address of its own: others shall not wait for these.
        let from = format!("192.0.2.1 for {}", login.login);
        let found = self
            .world
            .identity
            .login(tenant, login, &from)
            .await
            .unwrap();
        match found.issued {
            Issued::Program { access, .. } => access.expose_secret().to_owned(),
            Issued::Browser { .. } => panic!("it is a program"),
        }
    }

    /// The number of the last entry of the audit log.
    async fn recorded(&self, tenant: &TenantId) -> u64 {
        let head = self.world.audit.head(tenant).await.unwrap();
        head.map_or(0, |it| it.seq)
    }

    async fn since(&self, tenant: &TenantId, after: u64) -> Vec<AuditEntry> {
        self.world
            .audit
            .entries(tenant, after, 1_000)
            .await
            .unwrap()
    }

    fn next(&mut self, word: &str) -> String {
        self.count += 1;
        format!("{word}{}", self.count)
    }

    async fn workflow(&mut self, place: Place, nodes: &str) -> WorkflowId {
        let id = self.next("w");
        let text = format!("id: {id}\n{nodes}\n");
        let parsed = parse(&Source::new("w.yaml", text));
        let (engine, tenant) = (self.world.nebula.engine(), place.tenant());
        let definition = parsed.definition.unwrap();
        let project = Some(place.project());
        let saved = engine.save_in(&tenant, &definition, None, project).await;
        let _ = saved.unwrap();
        let id = WorkflowId::new(id).unwrap();
        let _ = engine.publish(&tenant, &id, 1, 1).await.unwrap();
        id
    }

    async fn execution(&mut self, place: Place, nodes: &str) -> (WorkflowId, ExecutionId) {
        let (id, tenant) = (self.workflow(place, nodes).await, place.tenant());
        let engine = self.world.nebula.engine();
        let installed = engine.installed(&tenant, &id, Some(1)).await;
        let installed = installed.unwrap().unwrap();
        let (options, nebula) = (StartOptions::default(), &self.world.nebula);
        let started = nebula.admit_once(&tenant, &installed, Value::Null, options, None);
        (id, started.await.unwrap().id)
    }

    async fn things(&mut self, route: &Route, place: Place) -> Things {
        let nodes = match route.what {
            "triggers.rotate" => CALLED,
            what if what.starts_with("triggers.") => OFTEN,
            "approvals.vote" => ASKS,
            _ => WAITS,
        };
        let mut workflow = WorkflowId::new("none").unwrap();
        let mut execution = ExecutionId::from_bytes([1; 16]);
        let projects = route.path == "/api/v1/projects/{project}";
        if route.path.contains("{execution}") {
            (workflow, execution) = self.execution(place, nodes).await;
        } else if projects
            || route.path.contains("{workflow}")
            || route.what.starts_with("executions.")
        {
            workflow = self.workflow(place, nodes).await;
        }
        if route.what == "approvals.vote" {
            let engine = self.world.nebula.engine();
            while engine
                .approvals(&place.tenant(), execution)
                .await
                .unwrap()
                .unwrap()
                .is_empty()
            {
                tokio::task::yield_now().await;
            }
        }
        let credential = self.next("c");
        if route.path.contains("{credential}") && route.what != "credentials.put" {
            let id = CredentialId::new(&*credential).unwrap();
            let fields = [("token".to_owned(), "x".into())].into();
            let kind = CredentialType::Bearer;
            let new = Credential::new(kind, fields, AllowedHosts::default()).unwrap();
            let new = new.in_project(Some(place.project()));
            let put = self.world.vault.put(&place.tenant(), &id, None, &new).await;
            let _ = put.unwrap();
        }
        if route.what == "secrets.delete" {
            let id = SecretId::new(&*credential).unwrap();
            let set = self
                .world
                .secrets
                .set(&place.tenant(), &id, "x".into())
                .await;
            let _ = set.unwrap();
        }
        let (tenant, roles) = (place.tenant(), [("", Role::Viewer)]);
        let (login, mut key) = (self.next("victim"), String::new());
        let user = match route.path.contains("{user}") || route.path.contains("{key}") {
            true => self.person(&tenant, &login, &roles).await,
            false => PrincipalId::from(uuid::Uuid::from_u128(1)),
        };
        if route.path.contains("{key}") {
            let bearer = self.let_in(&tenant, &login).await;
            let shown = Evidence::Bearer(&bearer);
            let by = self.world.identity.authenticate(shown, HERE).await.unwrap();
            let new = NewKey {
                principal: user,
                name: "x".to_owned(),
                project: None,
                permissions: None,
                lasts: std::time::Duration::from_hours(1),
            };
            key = self
                .world
                .identity
                .make_key(&by, new, HERE)
                .await
                .unwrap()
                .prefix;
        }
        Things {
            workflow,
            execution,
            user,
            key,
            credential,
        }
    }

    /// What to ask of a route; a route without a probe is one that nobody looks at.
    #[expect(clippy::too_many_lines, reason = "one line for each kind of route")]
    async fn probe(&mut self, route: &Route, place: Place) -> Probe {
        let things = self.things(route, place).await;
        let project = place.project();
        let path = route
            .path
            .replace("{execution}", &things.execution.to_string())
            .replace("{workflow}", things.workflow.as_str())
            .replace("{version}", "1")
            .replace("{trigger}", "t")
            .replace("{action}", "data.set")
            .replace("{user}", &things.user.to_string())
            .replace("{session}", &uuid::Uuid::from_u128(9).to_string())
            .replace("{project}", project.as_str())
            .replace("{key}", &things.key)
            .replace("{token}", &self.link)
            .replace("{hook}", "nowhere")
            .replace("{credential}", &things.credential)
            .replace("{secret}", &things.credential);
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
            ("GET", "/api/v1/members") => (Value::Null, Wanted::Tenant(Permission::MembersRead)),
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
                | "/api/v1/credentials"
                | "/api/v1/events",
            ) => (Value::Null, Wanted::Anywhere),
            ("GET", "/api/v1/settings") => (Value::Null, Wanted::Server(Permission::SettingsRead)),
            ("GET", "/metrics") => (Value::Null, Wanted::Server(Permission::MetricsRead)),
            ("POST", "/api/v1/dead-letters/redrive") => {
                (json!({}), Wanted::Server(Permission::DeadLettersRedrive))
            }
            ("PUT", "/api/v1/credentials/{credential}") => {
                let fields = json!({ "token": "x" });
                let body = json!({ "type": "bearer", "fields": fields, "project": project });
                (body, Wanted::InPlace { sees: ProjectsRead })
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

    /// Asks, and gives the status; a stream is not read.
    async fn ask(
        &mut self,
        actor: &Actor,
        method: &Method,
        path: &str,
        (kind, body): (&str, &str),
        more: &[(&str, &str)],
    ) -> StatusCode {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", self.world.address.to_string());
        if let Some(bearer) = &actor.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if !body.is_empty() {
            request = request.header("content-type", kind);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let request = request.header("if-match", "*");
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
        if self.send.ready().await.is_err() {
            (self.send, self._open) = connected(&self.world).await;
        }
        let response = self.send.send_request(request.unwrap()).await.unwrap();
        let status = response.status();
        if streams(response.headers()) {
            // It would not end.
            (self.send, self._open) = connected(&self.world).await;
        } else {
            let _ = response.into_body().collect().await.unwrap();
        }
        status
    }
}

fn streams(headers: &HeaderMap) -> bool {
    headers
        .get("content-type")
        .is_some_and(|it| it == "text/event-stream")
}

async fn connected(world: &World) -> (SendRequest<Full<Bytes>>, JoinSet<()>) {
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut open = JoinSet::new();
    open.spawn(async move {
        let _ = connection.await;
    });
    (send, open)
}

/// What the table of roles says.
fn expected(actor: &Actor, route: &Route, probe: &Probe, place: Place) -> &'static str {
    let somebody = actor.bearer.is_some() && !actor.login.is_empty();
    let permission = match (&probe.wanted, route.needs) {
        (Wanted::Always(_), Needs::Nothing) => return "open",
        (_, Needs::Nothing) => panic!("{} is open, and its probe says otherwise", route.path),
        _ if !somebody => return "401",
        (Wanted::Somebody, Needs::Somebody) => return "ok",
        (_, Needs::Permission(permission)) => permission,
        _ => panic!("{}: the probe fits no route of this kind", route.path),
    };
    if !actor.may_somewhere(permission) {
        return "403";
    }
    let (tenant, project) = (place.tenant(), place.project());
    let project = Some(project.as_str());
    match probe.wanted {
        Wanted::Anywhere => match (&*route.path, actor.only) {
            // With a key, nobody changes a password.
            ("/api/v1/me/password", Some(_)) => "403",
            _ => "ok",
        },
        Wanted::Tenant(permission) => match actor.may(permission, &actor.tenant, None) {
            false => "403",
            true if tenant == actor.tenant || is_list(route) => "ok",
            true => "404",
        },
        Wanted::Server(permission) => {
            let own = actor.tenant == TenantId::local();
            match own && actor.may(permission, &actor.tenant, None) {
                true => "ok",
                false => "403",
            }
        }
        // In one's own tenant nothing has that name, so it would be new, and of no project.
        Wanted::InPlace { .. } if route.what == "workflows.save" && tenant != actor.tenant => {
            match actor.may(permission, &actor.tenant, None) {
                true => "ok",
                false => "403",
            }
        }
        Wanted::InPlace { sees } => {
            match (
                actor.may(permission, &tenant, project),
                actor.may(sees, &tenant, project),
            ) {
                (true, _) => "ok",
                (false, true) => "403",
                (false, false) => "404",
            }
        }
        Wanted::Always(_) | Wanted::Somebody => panic!("settled above"),
    }
}

/// Lists of another tenant's are of one's own, which has nothing of that name; and what has the name of
/// another tenant's project is one's own.
fn is_list(route: &Route) -> bool {
    matches!(
        (route.method.as_str(), &*route.path),
        (
            "GET",
            "/api/v1/users/{user}/sessions" | "/api/v1/users/{user}/keys" | "/api/v1/members"
        ) | ("GET", "/api/v1/secrets")
            | (
                "PUT",
                "/api/v1/projects/{project}" | "/api/v1/secrets/{secret}"
            )
    )
}

fn seen(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "401",
        403 => "403",
        404 => "404",
        // What is done, and what cannot be done for another reason than who asks.
        200..=299 | 409 | 422 => "ok",
        _ => "wrong",
    }
}

/// Headers with which proxies and frameworks are talked into something else.
const HEADERS: [&[(&str, &str)]; 3] = [
    &[("x-http-method-override", "GET"), ("x-http-method", "GET")],
    &[
        ("x-original-url", "/health/live"),
        ("x-rewrite-url", "/health/live"),
    ],
    &[
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-user", "local"),
        ("x-real-ip", "::1"),
    ],
];

/// Other spellings of a path: none of them may open what the path does not.
fn spellings(path: &str) -> Vec<String> {
    let (path, query) = path
        .split_once('?')
        .map_or((path, ""), |(path, query)| (path, query));
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let spelled = [
        format!("{path}/"),
        format!("/{path}"),
        path.replacen('/', "//", 3),
        format!("/%2e{path}"),
        format!("/x/%2e%2e{path}"),
        format!("/./{}", &path[1..]),
        format!("/health/live/..{path}"),
        format!("{path}%2f"),
        format!("{path};x=1"),
        format!("/{first};x/{rest}"),
        format!("{path}/x"),
        format!("{path}%00"),
        format!("/{}/{rest}", first.to_uppercase()),
    ];
    let mut all: Vec<_> = spelled.into_iter().map(|it| it + &query).collect();
    let and = if query.is_empty() { '?' } else { '&' };
    all.push(format!("{path}{query}{and}x=1&x=2"));
    all.push(format!(
        "{path}{query}{and}ticket=x&access_token=x&tenant=local"
    ));
    all
}

#[tokio::test]
async fn everybody_may_what_the_table_says_and_nothing_else() {
    let mut stage = Stage::new().await;
    let mut actors = Vec::new();
    for actor in ACTORS {
        actors.push(stage.actor(actor).await);
    }
    let routes = stage.world.api.routes().to_vec();
    let (mut table, mut wrong) = (String::new(), Vec::new());
    let (mut cells, mut spelled, mut recorded) = (0, 0, BTreeSet::new());
    let _ = write!(
        table,
        "{:<6} {:<50} {:<21} {:<8}",
        "", "", "needs", "recorded"
    );
    for actor in &actors {
        let _ = write!(table, " {:<21}", actor.name);
    }
    for route in &routes {
        table.truncate(table.trim_end().len());
        let changes = if route.changes { "yes" } else { "-" };
        let needs = route.needs.to_string();
        let _ = write!(
            table,
            "\n{:<6} {:<50} {needs:<21} {changes:<8}",
            route.method.as_str(),
            route.path
        );
        for actor in &mut actors {
            let mut told: Vec<&str> = Vec::new();
            for place in PLACES {
                let probe = stage.probe(route, place).await;
                let (method, sent) = (&route.method, (probe.kind, &*probe.body));
                let expected = expected(actor, route, &probe, place);
                let mut before = stage.recorded(&actor.tenant).await;
                if expected != "ok" && expected != "open" {
                    // However it is asked, it is not opened.
                    let plain: &[(&str, &str)] = &[];
                    let others = spellings(&probe.path);
                    let mut asked: Vec<_> = others.iter().map(|it| (it, plain)).collect();
                    asked.extend(HEADERS.iter().map(|it| (&probe.path, *it)));
                    for (path, more) in asked {
                        let status = stage.ask(actor, method, path, sent, more).await;
                        spelled += 1;
                        if status.is_success() || status.is_server_error() {
                            wrong.push(format!("{} {method} {path}: {status}", actor.name));
                        }
                    }
                    let other = ("text/plain", &*probe.body);
                    let status = stage.ask(actor, method, &probe.path, other, &[]).await;
                    if status.is_success() || status.is_server_error() {
                        wrong.push(format!(
                            "{} {method} {} as text: {status}",
                            actor.name, probe.path
                        ));
                    }
                    let head = stage
                        .ask(actor, &Method::HEAD, &probe.path, ("", ""), &[])
                        .await;
                    if head.is_success() && *method == Method::GET {
                        wrong.push(format!("{} HEAD {}: {head}", actor.name, probe.path));
                    }
                    // They may; what it concerns is not there.
                    let may = expected == "404" && matches!(probe.wanted, Wanted::Tenant(_));
                    let new = stage.since(&actor.tenant, before).await;
                    let done = new.iter().filter(|it| {
                        it.new.outcome == AuditOutcome::Allowed && it.new.what == route.what
                    });
                    // What cannot be said of who asks is not said to be done.
                    if route.changes && done.count() > 0 && !may {
                        wrong.push(format!(
                            "{} {method} {}: recorded as done",
                            actor.name, probe.path
                        ));
                    }
                    before += new.len() as u64;
                }
                let status = stage.ask(actor, method, &probe.path, sent, &[]).await;
                let found = match (&probe.wanted, expected) {
                    (Wanted::Always(wanted), "open") if status == *wanted => "open",
                    (Wanted::Always(_), "open") => "wrong",
                    _ => seen(status),
                };
                cells += 1;
                if found != expected {
                    let (name, path) = (actor.name, &probe.path);
                    wrong.push(format!(
                        "{name} {method} {path} ({place:?}): {status}, not {expected}"
                    ));
                }
                if route.changes && status.is_success() {
                    let tenant = match expected {
                        "open" => TenantId::local(),
                        _ => actor.tenant.clone(),
                    };
                    let from = if tenant == actor.tenant { before } else { 0 };
                    let is_told = stage.since(&tenant, from).await.iter().any(|it| {
                        it.new.what == route.what && it.new.outcome == AuditOutcome::Allowed
                    });
                    if is_told {
                        recorded.insert(format!("{method} {}", route.path));
                    } else {
                        wrong.push(format!("{method} {}: not recorded", route.path));
                    }
                }
                if route.path == "/api/v1/logout" && !actor.login.is_empty() && actor.only.is_none()
                {
                    actor.bearer = Some(stage.let_in(&actor.tenant, actor.login).await);
                }
                told.push(found);
            }
            if told.iter().all(|it| *it == told[0]) {
                told.truncate(1);
            }
            let _ = write!(table, " {:<21}", told.join(" "));
        }
    }
    table.truncate(table.trim_end().len());
    table.push('\n');
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(cells, routes.len() * ACTORS.len() * PLACES.len());
    assert!(spelled > 10 * cells, "{spelled}");
    // What nothing in this world can be done to has tests of its own.
    let elsewhere = [
        "POST /api/v1/setup",
        "POST /api/v1/executions/{execution}/unpark",
        "POST /api/v1/executions/{execution}/retry",
        "POST /api/v1/executions/{execution}/restart",
        "POST /api/v1/executions/{execution}/migrate",
        "POST /api/v1/users/{user}/keys",
        "PUT /api/v1/projects/{project}",
        "DELETE /api/v1/projects/{project}",
        "POST /resume/{token}",
    ];
    for route in routes.iter().filter(|it| it.changes) {
        let name = format!("{} {}", route.method, route.path);
        assert!(
            recorded.contains(&name) || elsewhere.contains(&&*name),
            "{name} was never done"
        );
    }
    let written = include_str!("matrix.txt");
    assert_eq!(
        table, written,
        "matrix.txt says otherwise; this is the table:\n{table}"
    );
    stage.world.stopped().await;
}
