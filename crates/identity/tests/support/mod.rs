//! What the tests begin with: identities over models, and people in them.
#![allow(dead_code, reason = "each test uses its part")]

use std::{sync::Arc, time::Duration};

use nebula_core::{ExposeSecret, PrincipalId, ProjectId, SecretString, TenantId};
use nebula_identity::{
    Evidence, FirstAdmin, FirstRun, Identity, IdentityConfig, IdentityPorts, Issued, LoggedIn,
    Login, NewPrincipal, NotAuthenticated, PasswordCost, Principal,
};
use nebula_ports::{
    AuditEntry, AuditLog as _, AuditOutcome, PrincipalKind, ProjectRecord, Role, SessionKind,
};
use nebula_testkit::{
    InlineOffload, ManualClock, MemoryAuditLog, MemoryIdentityRepo, MemorySecretsStore,
    MemorySessionRepo, SeededEntropy,
};

/// The address that everybody comes from.
pub(crate) const HERE: &str = "192.0.2.7";

pub(crate) const PASSWORD: &str = "correct horse";

/// Identities over models.
pub(crate) struct World {
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) audit: Arc<MemoryAuditLog>,
    pub(crate) ports: IdentityPorts,
}

pub(crate) fn config() -> IdentityConfig {
    IdentityConfig {
        password_cost: PasswordCost {
            memory_kib: 8,
            passes: 1,
        },
        ..IdentityConfig::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let audit = Arc::new(MemoryAuditLog::new(clock.clone()));
        let ports = IdentityPorts {
            identities: Arc::new(MemoryIdentityRepo::new(clock.clone())),
            sessions: Arc::new(MemorySessionRepo::new(clock.clone())),
            audit: audit.clone(),
            secrets: Arc::new(MemorySecretsStore::default()),
            offload: Arc::new(InlineOffload),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        Self {
            identity: Identity::new(ports.clone(), config()),
            clock,
            audit,
            ports,
        }
    }

    pub(crate) fn local(&self) -> Principal {
        Principal::local(tenant())
    }

    /// A person or service account with these roles: `* viewer, shop admin`.
    pub(crate) async fn add(&self, kind: PrincipalKind, login: &str, roles: &str) -> PrincipalId {
        let new = NewPrincipal {
            kind,
            login: login.to_owned(),
            name: String::new(),
            password: (kind == PrincipalKind::Person).then(|| PASSWORD.into()),
        };
        let local = self.local();
        let id = self
            .identity
            .add_principal(&local, new, HERE)
            .await
            .unwrap();
        for it in roles.split(", ").filter(|it| !it.is_empty()) {
            let (place, role) = it.split_once(' ').unwrap();
            let project = (place != "*").then(|| project(place));
            if let Some(project) = &project {
                self.ensure(project).await;
            }
            let role: Role = role.parse().unwrap();
            let change = (None, Some(role));
            let changed =
                self.identity
                    .change_membership(&local, id, project.as_ref(), change, HERE);
            changed.await.unwrap();
        }
        id
    }

    async fn ensure(&self, project: &ProjectId) {
        let new = ProjectRecord {
            id: project.clone(),
            version: 1,
            name: project.to_string(),
        };
        // A version 1 that is there already stays.
        let _ = self.identity.put_project(&self.local(), new, HERE).await;
    }

    /// A person with these roles, logged in with a program.
    pub(crate) async fn person(&self, login: &str, roles: &str) -> Principal {
        self.add(PrincipalKind::Person, login, roles).await;
        let let_in = self.login(login, PASSWORD, SessionKind::Program).await;
        let_in.unwrap().principal
    }

    pub(crate) async fn login(
        &self,
        login: &str,
        password: &str,
        kind: SessionKind,
    ) -> Result<LoggedIn, NotAuthenticated> {
        let login = Login {
            login: login.to_owned(),
            password: password.into(),
            kind,
            agent: "a program".to_owned(),
        };
        self.identity.login(&tenant(), login, HERE).await
    }

    pub(crate) async fn bearer(&self, text: &SecretString) -> Result<Principal, NotAuthenticated> {
        let shown = Evidence::Bearer(text.expose_secret());
        self.identity.authenticate(shown, HERE).await
    }

    /// The whole audit log, as `who what target outcome`.
    pub(crate) async fn recorded(&self) -> Vec<String> {
        let all = self.entries().await;
        let shown = all.iter().map(|it| {
            let denied = match it.new.outcome {
                AuditOutcome::Allowed => "",
                AuditOutcome::Denied => " denied",
            };
            format!("{} {} {}{denied}", it.new.who, it.new.what, it.new.target)
        });
        shown.collect()
    }

    pub(crate) async fn entries(&self) -> Vec<AuditEntry> {
        self.audit.entries(&tenant(), 0, 1_000).await.unwrap()
    }

    /// Spends the first token on `ada`, who owns the tenant from then on.
    pub(crate) async fn first(&self, kind: SessionKind) -> LoggedIn {
        let FirstRun::Waits(token) = self.identity.first_run(&tenant()).await.unwrap() else {
            panic!("somebody owns it")
        };
        let made = self
            .identity
            .first_admin(token.expose_secret(), ada(kind), HERE);
        made.await.unwrap().unwrap()
    }
}

pub(crate) fn ada(kind: SessionKind) -> FirstAdmin {
    FirstAdmin {
        login: "Ada ".to_owned(),
        name: "Ada L.".to_owned(),
        password: PASSWORD.into(),
        kind,
        agent: "a program".to_owned(),
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::local()
}

pub(crate) fn project(name: &str) -> ProjectId {
    ProjectId::new(name).unwrap()
}

/// What a program was given: access and refresh.
pub(crate) fn program(issued: Issued) -> (SecretString, SecretString) {
    let Issued::Program {
        access, refresh, ..
    } = issued
    else {
        panic!("a browser's: {issued:?}")
    };
    (access, refresh)
}

/// What a browser was given: cookie and CSRF token.
pub(crate) fn browser(issued: Issued) -> (SecretString, SecretString) {
    let Issued::Browser { cookie, csrf, .. } = issued else {
        panic!("a program's: {issued:?}")
    };
    (cookie, csrf)
}

pub(crate) fn refused<T>(result: &Result<T, NotAuthenticated>) -> bool {
    matches!(result, Err(NotAuthenticated::Refused))
}

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
