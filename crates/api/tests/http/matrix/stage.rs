//! The world of the matrix: its people, and the things that are made for each cell.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use nebula_action::{Capability, Grants};
use nebula_api::Route;
use nebula_core::{
    CredentialId, ExecutionId, ExposeSecret as _, PrincipalId, ProjectId, SecretId, TenantId,
    WorkflowId,
};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_execution::StartOptions;
use nebula_identity::{
    Evidence, Issued, Login, NewInvitation, NewKey, NewPrincipal, Permission::ExecutionsRead,
    Principal,
};
use nebula_ports::{
    AuditEntry, AuditLog as _, IncidentRepo as _, PrincipalKind, ProjectRecord, Role,
    SecretsStore as _, SessionKind,
};
use nebula_workflow::{Source, parse};
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet};

use super::{
    HERE, PASSWORD,
    actors::{Actor, Called, PLACES, Place},
};
use crate::support::World;

/// The things of one cell, made anew.
pub(super) struct Things {
    pub(super) workflow: WorkflowId,
    pub(super) execution: ExecutionId,
    pub(super) user: PrincipalId,
    pub(super) key: String,
    /// The name of a credential and of a secret.
    pub(super) credential: String,
    pub(super) incident: uuid::Uuid,
}

/// Everything that there is, and a connection.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) link: String,
    pub(super) send: SendRequest<Full<Bytes>>,
    pub(super) count: u32,
    pub(super) _open: JoinSet<()>,
}

const WAITS: &str = "nodes: [{ id: paid, action: flow.wait, parameters: { signal: paid } }]";
const OFTEN: &str =
    "nodes: [{ id: a, action: data.set }]\ntriggers: [{ id: t, type: interval, every: 1h }]";
const CALLED: &str =
    "nodes: [{ id: a, action: data.set }]\ntriggers: [{ id: t, type: webhook, auth: none }]";
const PUTS: &str =
    "nodes: [{ id: put, action: test.put, requires: [blob], parameters: { text: x } }]";
const ASKS: &str = "nodes: [{ id: release, action: flow.approval, parameters: { title: Go } }]";

impl Stage {
    pub(super) async fn new() -> Self {
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

    pub(super) async fn actor(&self, (name, login, roles): Called) -> Actor {
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

    pub(super) async fn person(
        &self,
        tenant: &TenantId,
        login: &str,
        roles: &[(&str, Role)],
    ) -> PrincipalId {
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

    /// Somebody who waits for a role in a place.
    async fn invited(&mut self, place: Place) -> PrincipalId {
        let new = NewInvitation {
            email: format!("{}@example.org", self.next("guest")),
            name: String::new(),
            project: Some(place.project()),
            role: Role::Viewer,
        };
        let local = Principal::local(place.tenant());
        let invited = self.world.identity.invite(&local, new, HERE).await;
        invited.unwrap().id
    }

    pub(super) async fn let_in(&self, tenant: &TenantId, login: &str) -> String {
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
    pub(super) async fn recorded(&self, tenant: &TenantId) -> u64 {
        let head = self.world.audit.head(tenant).await.unwrap();
        head.map_or(0, |it| it.seq)
    }

    pub(super) async fn since(&self, tenant: &TenantId, after: u64) -> Vec<AuditEntry> {
        self.world
            .audit
            .entries(tenant, after, 1_000)
            .await
            .unwrap()
    }

    pub(super) fn next(&mut self, word: &str) -> String {
        self.count += 1;
        format!("{word}{}", self.count)
    }

    pub(super) async fn workflow(&mut self, place: Place, nodes: &str) -> WorkflowId {
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

    pub(super) async fn execution(
        &mut self,
        place: Place,
        nodes: &str,
    ) -> (WorkflowId, ExecutionId) {
        let (id, tenant) = (self.workflow(place, nodes).await, place.tenant());
        let engine = self.world.nebula.engine();
        let installed = engine.installed(&tenant, &id, Some(1)).await;
        let installed = installed.unwrap().unwrap();
        let options = StartOptions {
            grants: Grants::new([Capability::Blob]),
            ..StartOptions::default()
        };
        let nebula = &self.world.nebula;
        let started = nebula.admit_once(&tenant, &installed, Value::Null, options, None);
        (id, started.await.unwrap().id)
    }

    pub(super) async fn things(&mut self, route: &Route, place: Place) -> Things {
        let nodes = match route.what {
            "triggers.rotate" => CALLED,
            what if what.starts_with("triggers.") => OFTEN,
            "approvals.vote" => ASKS,
            "blobs.read" => PUTS,
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
            || route.path.contains("{incident}")
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
        if route.what == "blobs.read" {
            let engine = self.world.nebula.engine();
            let tenant = place.tenant();
            let halts = self.world.nebula.bus().wait_for(execution);
            engine.end(&tenant, execution, halts, None).await.unwrap();
        }
        let incident = uuid::Uuid::from_u128(u128::from(self.count));
        if route.path.contains("{incident}") {
            let named = self.next("i");
            let new = crate::support::incident(&named, workflow.clone());
            let operation = nebula_ports::Operation {
                key: named.clone(),
                by: named,
            };
            let tenant = place.tenant();
            let incidents = &self.world.incidents;
            let opened = incidents.open(&tenant, incident, &operation, new).await;
            let _ = opened.unwrap();
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
        if route.path.contains("{tenant}") && route.what != "tenants.put" {
            let new = crate::support::tenant(&credential);
            let put = self.world.nebula.engine().put_tenant(new).await;
            assert_eq!(put.unwrap(), Some(nebula_ports::TenantPut::Stored));
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
            true if route.what == "invitations.revoke" => self.invited(place).await,
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
            incident,
        }
    }

    /// Asks, and gives the status; a stream is not read.
    pub(super) async fn ask(
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
