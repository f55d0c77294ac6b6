//! The router over an engine.

use std::{
    fmt,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, middleware, response::IntoResponse as _};
use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version, header};
use nebula::Nebula;
use nebula_core::{
    Clock, Digest, Entropy, ExecutionId, Offload, PrincipalId, TenantId, TriggerId, WorkflowId,
};
use nebula_engine::{Hook, InstallError, Installed};
use nebula_identity::Identity;
use nebula_oidc::Provider;
use nebula_ports::{IncidentRepo, LeaderElector, SecretsStore, TriggerRecord};
use nebula_resilience::{CallRate, Quotas};
use nebula_resource::{Limits, Shared as Kept};
use nebula_vault::Vault;
use parking_lot::RwLock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, Predicate},
    },
};
use utoipa::openapi::OpenApi;

use crate::{
    blobs::Named,
    changes::Readings,
    config::ApiConfig,
    hosts, log,
    problem::{Problem, unknown_version},
    room::Room,
    routes::{self, Route},
};

/// What an API is made of.
#[derive(Debug)]
pub struct ApiParts {
    /// The engine.
    pub nebula: Nebula,
    /// Who there is, and what they may.
    pub identity: Arc<Identity>,
    /// Credentials, encrypted.
    pub vault: Arc<Vault>,
    /// Secrets.
    pub secrets: Arc<dyn SecretsStore>,
    /// Who does what one process at a time does, to be looked at.
    pub elector: Arc<dyn LeaderElector>,
    /// What is wrong with services.
    pub incidents: Arc<dyn IncidentRepo>,
    /// Whose people log in with a password, and whose resume links count. Whoever shows a key or a token
    /// sees what their own tenant has.
    pub tenant: TenantId,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where expressions are evaluated.
    pub offload: Arc<dyn Offload>,
    /// `$vars` of what is started here.
    pub vars: Value,
    /// Where relative paths in the parameters of what is started here begin.
    pub folder: PathBuf,
    /// What is told of the settings of the server: `{ key: { "value", "source" } }`, without secrets.
    pub settings: Value,
    /// By whom people log in beside their passwords, if anybody.
    pub provider: Option<Provider>,
    /// Its limits.
    pub config: ApiConfig,
}

/// Why there is no API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// A limit is zero.
    #[error("`{0}` is zero; it must be more")]
    Zero(&'static str),
    /// The OpenAPI document cannot be written.
    #[error("the OpenAPI document cannot be written: {0}")]
    Document(#[from] serde_json::Error),
}

/// The router over an engine, with its OpenAPI document.
#[derive(Clone)]
pub struct Api {
    pub(crate) router: Router,
    pub(crate) shared: Shared,
    routes: Arc<[Route]>,
    document: Arc<OpenApi>,
}

/// What all handlers see.
pub(crate) type Shared = Arc<Inner>;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) nebula: Nebula,
    pub(crate) tenant: TenantId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) offload: Arc<dyn Offload>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) secrets: Arc<dyn SecretsStore>,
    pub(crate) elector: Arc<dyn LeaderElector>,
    pub(crate) incidents: Arc<dyn IncidentRepo>,
    pub(crate) vars: Value,
    pub(crate) folder: PathBuf,
    pub(crate) settings: RwLock<Value>,
    config: RwLock<Arc<ApiConfig>>,
    pub(crate) provider: Option<Provider>,
    /// Room for starts.
    pub(crate) starts: Room,
    /// Room for watchers.
    pub(crate) watchers: Room,
    /// Who reads what changes, for all who watch a tenant.
    pub(crate) readings: Readings,
    /// How many requests each caller may make.
    pub(crate) quotas: Quotas<(TenantId, Option<PrincipalId>)>,
    /// Over once the server is asked to stop.
    pub(crate) stopping: CancellationToken,
    /// Cancelled once somebody was made with the token of the first start.
    pub(crate) first: CancellationToken,
    pub(crate) document: OnceLock<Bytes>,
    ready: Kept<(TenantId, WorkflowId, u32), Installed>,
    hooks: Kept<(TenantId, WorkflowId, u32, TriggerId), Option<Hook>>,
    /// Which blobs executions have put, of those that were asked for lately.
    pub(crate) blobs: Kept<(TenantId, ExecutionId, Digest), Named>,
}

impl Inner {
    /// A version, ready to start. It is planned once, since versions do not change.
    pub(crate) async fn installed(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: u32,
    ) -> Result<Arc<Installed>, Problem> {
        let engine = self.nebula.engine();
        let make = async || {
            let installed = engine.installed(tenant, id, Some(version)).await;
            match installed.map_err(not_ready)? {
                Some(installed) => Ok(installed),
                None => Err(unknown_version(id, version)),
            }
        };
        let key = (tenant.clone(), id.clone(), version);
        self.ready.get(&key, make).await
    }
}

impl Inner {
    /// A webhook, ready to take deliveries; the versions of workflows do not change. `None` if this build
    /// reads no webhook in its version.
    pub(crate) async fn hook(
        &self,
        tenant: &TenantId,
        record: &TriggerRecord,
    ) -> Result<Arc<Option<Hook>>, Problem> {
        let engine = self.nebula.engine();
        let make = async || engine.hook(tenant, record).await.map_err(not_ready);
        let (workflow, trigger) = (record.workflow.clone(), record.trigger.clone());
        let key = (tenant.clone(), workflow, record.version, trigger);
        self.hooks.get(&key, make).await
    }
}

impl Inner {
    /// The address under which browsers reach this path.
    pub(crate) fn public(&self, path: &str) -> Result<String, Problem> {
        let config = self.config();
        let base = config.public_url.as_deref().ok_or_else(|| {
            let message = "this server does not know under which address browsers reach it";
            Problem::conflict("NO_PUBLIC_URL", message).hint(
                "have the operator set `serve.limits.public_url`, such as https://nebula.example",
            )
        })?;
        Ok(format!("{}{path}", base.trim_end_matches('/')))
    }
}

impl Inner {
    /// The limits that hold now.
    pub(crate) fn config(&self) -> Arc<ApiConfig> {
        self.config.read().clone()
    }
}

/// How many requests each caller may make.
fn rate(config: &ApiConfig) -> CallRate {
    CallRate {
        limit: config.max_requests,
        per: Duration::from_secs(1),
        burst: config.max_requests,
    }
}

/// A version that was saved cannot be planned any more.
fn not_ready(error: InstallError) -> Problem {
    match error {
        InstallError::Diagnostics(problems) => {
            let first = problems.first().map_or("", |first| first.message.as_str());
            let message = format!("this version cannot run any more: {first}");
            Problem::conflict("DEFINITION_INVALID", message)
                .hint("correct its definition and save that")
        }
        error => error.into(),
    }
}

impl Api {
    /// Waits until somebody was made with the token of the first start: its file opens nothing any more.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn first_person(&self) {
        self.shared.first.cancelled().await;
    }

    /// Goes on with the limits of `wanted` that may change while the server runs, those of
    /// [`ApiConfig::LIVE`], and tells `settings` from now on. What is under way stays, also where it is
    /// more than a limit allows now.
    ///
    /// # Errors
    /// [`ApiError::Zero`]: a limit lets nothing through; nothing has changed then.
    pub fn reload(&self, wanted: &ApiConfig, settings: Value) -> Result<(), ApiError> {
        if let Some(name) = wanted.zero() {
            return Err(ApiError::Zero(name));
        }
        let mut config = self.shared.config.write();
        *config = Arc::new(wanted.live_over(&config));
        self.shared.quotas.set_rate(rate(&config));
        *self.shared.settings.write() = settings;
        Ok(())
    }

    /// Puts the router together. A route that does not say what it asks of its caller cannot be in it.
    ///
    /// # Errors
    /// [`ApiError`]: a limit lets nothing through.
    pub fn new(parts: ApiParts) -> Result<Self, ApiError> {
        let config = parts.config;
        if let Some(name) = config.zero() {
            return Err(ApiError::Zero(name));
        }
        let limits = Limits {
            most: NonZeroUsize::new(config.max_ready).ok_or(ApiError::Zero("max_ready"))?,
            idle: Duration::from_hours(1),
            age: Duration::from_hours(24),
        };
        let shared: Shared = Arc::new(Inner {
            ready: Kept::new(limits, Arc::clone(&parts.clock)),
            hooks: Kept::new(limits, Arc::clone(&parts.clock)),
            blobs: Kept::new(limits, Arc::clone(&parts.clock)),
            nebula: parts.nebula,
            tenant: parts.tenant,
            clock: parts.clock,
            entropy: parts.entropy,
            offload: parts.offload,
            identity: parts.identity,
            vault: parts.vault,
            secrets: parts.secrets,
            elector: parts.elector,
            incidents: parts.incidents,
            vars: parts.vars,
            folder: parts.folder,
            settings: RwLock::new(parts.settings),
            provider: parts.provider,
            starts: Room::default(),
            watchers: Room::default(),
            readings: Readings::default(),
            quotas: Quotas::new(rate(&config)),
            stopping: CancellationToken::new(),
            first: CancellationToken::new(),
            document: OnceLock::new(),
            config: RwLock::new(Arc::new(config)),
        });
        let (router, document, routes) = routes::build(&shared);
        let bytes = serde_json::to_vec(&document)?;
        shared.document.get_or_init(|| bytes.into());
        let state = |()| shared.clone();
        let router = router
            .fallback(not_found)
            .method_not_allowed_fallback(not_allowed)
            .layer(CompressionLayer::new().compress_when(whole()))
            .layer(middleware::from_fn_with_state(state(()), hosts::known))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(state(()), log::each))
            .with_state(shared.clone());
        Ok(Self {
            router,
            shared,
            routes: routes.into(),
            document: Arc::new(document),
        })
    }

    /// Every route with what it asks of its caller.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The OpenAPI 3.1 document.
    #[must_use]
    pub fn document(&self) -> &OpenApi {
        &self.document
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.routes.len();
        f.debug_struct("Api")
            .field("routes", &routes)
            .finish_non_exhaustive()
    }
}

/// What can be asked for in parts is sent as it is: its tag stands for its bytes, not for a compression.
fn whole() -> impl Predicate {
    let in_parts = |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
        !headers.contains_key(header::ACCEPT_RANGES)
    };
    DefaultPredicate::new().and(in_parts)
}

async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!("there is nothing at {path}");
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
        .hint("/api/v1/openapi.json lists what there is")
}

async fn not_allowed(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!("{path} takes no {method}");
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        message,
    )
    .hint("/api/v1/openapi.json lists the methods of each path")
}

/// A handler broke down; what it said is for the log alone.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands it over like this"
)]
fn panicked(said: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let said = said
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| said.downcast_ref::<&str>().copied());
    tracing::error!(said, "a handler broke down");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "DEFECT",
        "the server broke down over this request",
    )
    .hint("please report it, with the X-Request-Id of this answer")
    .into_response()
}
