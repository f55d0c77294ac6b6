//! A server in this process, and a client that speaks as little HTTP as it can.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nebula::{Nebula, execution::ResumeKey};
use nebula_access::{Access, AccessPorts};
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, BlobBody, Effect, EffectClass,
};
use nebula_api::{Api, ApiConfig, ApiParts, Server};
use nebula_core::{BlobId, ByteSize, Clock, ExposeSecret as _, TenantId};
use nebula_identity::{Identity, IdentityConfig, IdentityPorts, LocalToken, PasswordCost};
use nebula_memory::{
    Collected, Collector, DEFAULT_CACHE, DEFAULT_INLINE, Grace, SpillingRepo, Values,
};
use nebula_oidc::{OidcConfig, Provider, ProviderPorts};
use nebula_system::{SystemClock, SystemEntropy};
use nebula_testkit::{
    AskedHttp, InlineOffload, MemoryAuditLog, MemoryBlobStore, MemoryCredentialRepo, MemoryElector,
    MemoryExecutionRepo, MemoryIdentityRepo, MemoryIncidentRepo, MemorySandbox, MemorySecretsStore,
    MemorySessionRepo, MemoryTaskQueue, MemoryTenantRepo, MemoryTriggerRepo, MemoryWorkflowRepo,
    ScriptedAnswer, ScriptedHttp, SeededEntropy,
};
use nebula_vault::Vault;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Puts its text into a blob, and names it.
#[derive(Debug)]
struct PutText(ActionMetadata);

/// Content that is in memory.
#[derive(Debug)]
struct Whole(Option<Bytes>);

#[async_trait]
impl BlobBody for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError> {
        Ok(self.0.take())
    }
}

#[async_trait]
impl Action for PutText {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        if let Ok(blob) = serde_json::from_value::<BlobId>(input["reads"].clone()) {
            let bytes = ctx.blobs()?.read(blob).await?.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            return Ok(ActionResult::output(serde_json::json!({ "text": text })));
        }
        let text = input["text"].as_str().unwrap_or_default().to_owned();
        let mut content = Whole(Some(text.into()));
        let put = ctx.blobs()?.put(&mut content, ByteSize::mib(1)).await?;
        Ok(ActionResult::output(serde_json::json!({ "blob": put })))
    }
}

/// What answers on the way out: `/private` lets in who has the right token, `/open` everybody, and `/away`
/// leads elsewhere.
fn service(asked: &AskedHttp) -> ScriptedAnswer {
    let shown = asked.headers.get("authorization");
    let right = shown.is_some_and(|it| it == "Bearer right");
    match (asked.path.split('?').next().unwrap_or_default(), right) {
        ("/away", _) => Ok((302, "location: http://10.0.0.7/", String::new())),
        ("/token", _) => Ok((
            200,
            "",
            r#"{"access_token":"t","expires_in":60}"#.to_owned(),
        )),
        ("/open", _) | ("/private", true) => Ok((200, "", "{}".to_owned())),
        _ => Ok((401, "", String::new())),
    }
}

/// The token of the machine, which the server lets in.
pub(crate) fn token() -> &'static str {
    static TOKEN: LazyLock<LocalToken> =
        LazyLock::new(|| LocalToken::random(&SeededEntropy::new(7)));
    TOKEN.text.expose_secret()
}

/// Identities over models, with passwords that are cheap to hash.
pub(crate) fn identity(clock: &Arc<dyn Clock>, audit: Arc<MemoryAuditLog>) -> Identity {
    let ports = IdentityPorts {
        identities: Arc::new(MemoryIdentityRepo::new(clock.clone())),
        sessions: Arc::new(MemorySessionRepo::new(clock.clone())),
        audit,
        secrets: Arc::new(MemorySecretsStore::default()),
        offload: Arc::new(InlineOffload),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
    };
    let config = IdentityConfig {
        password_cost: PasswordCost {
            memory_kib: 8,
            passes: 1,
        },
        ..IdentityConfig::default()
    };
    let local = LocalToken::read(&token().into()).unwrap();
    Identity::new(ports, config).with_local_token(TenantId::local(), local.hash)
}

/// The usual limits, but for how often a test may ask.
pub(crate) fn roomy() -> ApiConfig {
    ApiConfig {
        max_requests: 1_000_000,
        public_url: Some("https://nebula.example/".to_owned()),
        ..ApiConfig::default()
    }
}

/// A server with its engine; both end with it.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) address: SocketAddr,
    pub(crate) nebula: Nebula,
    /// The store, below what spills.
    pub(crate) executions: Arc<MemoryExecutionRepo>,
    pub(crate) queue: Arc<MemoryTaskQueue>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) audit: Arc<MemoryAuditLog>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) secrets: Arc<MemorySecretsStore>,
    pub(crate) incidents: Arc<MemoryIncidentRepo>,
    pub(crate) blobs: Arc<MemoryBlobStore>,
    collector: Collector,
    /// The way out.
    pub(crate) http: Arc<ScriptedHttp>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The answer's problem; it is one, with this status and code.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:nebula:problem:{code}"));
        assert!(!body["detail"].as_str().unwrap().is_empty());
        body
    }

    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(roomy()).await
    }

    pub(crate) async fn with(config: ApiConfig) -> Self {
        Self::timed(config, Arc::new(SystemClock::default())).await
    }

    /// Nobody drives what is there.
    pub(crate) async fn idle() -> Self {
        let clock = Arc::new(SystemClock::default());
        Self::made(roomy(), clock, false, (service, None)).await
    }

    pub(crate) async fn timed(config: ApiConfig, clock: Arc<dyn Clock>) -> Self {
        Self::made(config, clock, true, (service, None)).await
    }

    /// People log in by the provider of this description, for which the script answers.
    pub(crate) async fn provided(
        clock: Arc<dyn Clock>,
        script: impl Fn(&AskedHttp) -> ScriptedAnswer + Send + Sync + 'static,
        oidc: OidcConfig,
    ) -> Self {
        Self::made(roomy(), clock, false, (script, Some(oidc))).await
    }

    async fn made(
        config: ApiConfig,
        clock: Arc<dyn Clock>,
        drives: bool,
        (script, oidc): (
            impl Fn(&AskedHttp) -> ScriptedAnswer + Send + Sync + 'static,
            Option<OidcConfig>,
        ),
    ) -> Self {
        let triggers = Arc::new(MemoryTriggerRepo::new(clock.clone()));
        let executions = MemoryExecutionRepo::new(clock.clone()).sharing(&triggers);
        let workflows = MemoryWorkflowRepo::new(clock.clone()).sharing(&triggers);
        let blobs = Arc::new(MemoryBlobStore::new(clock.clone()));
        let values = Values::new(blobs.clone(), DEFAULT_INLINE, DEFAULT_CACHE);
        let executions = Arc::new(executions);
        let store = executions.clone();
        // What is older than a moment is old here.
        let grace = Grace {
            lease: Duration::ZERO,
            attempt: Duration::ZERO,
            skew: Duration::ZERO,
        };
        let collector = Collector::new(executions.clone(), blobs.clone(), clock.clone(), grace);
        let executions =
            SpillingRepo::new(executions, blobs.clone(), clock.clone(), DEFAULT_INLINE);
        let (executions, workflows) = (Arc::new(executions), Arc::new(workflows));
        let fixed = Effect::Fixed(EffectClass::Keyed);
        let puts: Arc<dyn Action> =
            Arc::new(PutText(ActionMetadata::new("test.put", (1, 0), fixed)));
        let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 10_000, 100));
        let sandbox = Arc::new(MemorySandbox::new(clock.clone()));
        let secrets = Arc::new(MemorySecretsStore::default());
        let credentials = Arc::new(MemoryCredentialRepo::new(clock.clone()));
        let vault = Arc::new(Vault::new(
            credentials,
            secrets.clone(),
            Arc::new(SystemEntropy),
        ));
        let http = Arc::new(ScriptedHttp::new(script));
        let access = Access::new(AccessPorts {
            vault: vault.clone(),
            http: Some(http.clone()),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
        });
        let nebula = Nebula::builder(executions, workflows, queue.clone(), sandbox)
            .triggers(triggers)
            .tenants(Arc::new(MemoryTenantRepo::default()))
            .values(values)
            .actions([puts])
            .http(http.clone())
            .credentials(access)
            .resume_key(ResumeKey::new([7; ResumeKey::BYTES]))
            .build()
            .unwrap();
        let audit = Arc::new(MemoryAuditLog::new(clock.clone()));
        let identity = Arc::new(identity(&clock, audit.clone()));
        let settings = oidc.and_then(|it| it.settings().unwrap());
        let provider = settings.map(|settings| {
            let ports = ProviderPorts {
                http: http.clone(),
                secrets: secrets.clone(),
                clock: clock.clone(),
                tenant: TenantId::local(),
            };
            Provider::new(settings, ports)
        });
        let incidents = Arc::new(MemoryIncidentRepo::new(clock.clone()));
        let api = Api::new(ApiParts {
            nebula: nebula.clone(),
            tenant: TenantId::local(),
            elector: Arc::new(MemoryElector::new(clock.clone())),
            incidents: incidents.clone(),
            clock,
            entropy: Arc::new(SystemEntropy),
            offload: Arc::new(InlineOffload),
            identity: identity.clone(),
            vault: vault.clone(),
            secrets: secrets.clone(),
            vars: Value::Null,
            settings: serde_json::json!({ "serve.listen": { "value": "127.0.0.1:7400", "source": "default" } }),
            folder: std::env::temp_dir(),
            provider,
            config,
        })
        .unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let (engine, token) = (nebula.clone(), stop.clone());
        if drives {
            tasks.spawn(async move { engine.run(token).await.unwrap() });
        }
        let (served, token) = (api.clone(), stop.clone());
        tasks.spawn(async move { server.run(&served, token, Duration::from_secs(30)).await });
        Self {
            api,
            address,
            nebula,
            executions: store,
            queue,
            identity,
            audit,
            vault,
            secrets,
            incidents,
            blobs,
            collector,
            http,
            stop,
            tasks,
        }
    }

    /// Deletes the blobs that nothing names.
    pub(crate) async fn collect(&self) -> Collected {
        self.collector.collect(&TenantId::local()).await.unwrap()
    }

    /// Sends a request with the token, and more headers.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let bearer = format!("Bearer {}", token());
        let host = self.address.to_string();
        let mut all = vec![("authorization", bearer.as_str()), ("host", host.as_str())];
        all.extend(headers);
        self.raw(method, path, &all, body).await
    }

    /// Sends a request with nothing but what is given.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut open = JoinSet::new();
        open.spawn(connection);
        let response = send.send_request(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, body.to_string()).await
    }

    /// Saves a definition in YAML over whatever is there, and publishes it.
    pub(crate) async fn publish(&self, id: &str, definition: &str) -> u32 {
        let path = format!("/api/v1/workflows/{id}");
        let headers = [("content-type", "application/yaml"), ("if-match", "*")];
        let definition = definition.to_owned();
        let saved = self.send(Method::PUT, &path, &headers, definition).await;
        assert!(saved.status.is_success(), "{}", saved.text());
        let version = saved.json()["version"].as_u64().unwrap() as u32;
        let headers = [("content-type", "application/json"), ("if-match", "*")];
        let body = format!("{{\"version\":{version}}}");
        let path = format!("{path}/publish");
        self.send(Method::POST, &path, &headers, body).await.ok(200);
        version
    }

    /// Starts a workflow, and says its id.
    pub(crate) async fn start(&self, body: Value) -> String {
        let started = self.post("/api/v1/executions", body).await.ok(201);
        started["execution"].as_str().unwrap().to_owned()
    }

    /// Asks again and again until the execution has this status.
    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        let path = format!("/api/v1/executions/{id}");
        loop {
            let shown = self.get(&path).await.ok(200);
            if shown["status"] == status {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Stops the server as a signal does, and waits for its end.
    pub(crate) async fn stopped(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// A workflow that greets.
pub(crate) const GREET: &str = "
id: greet
input: { type: object, required: [name], properties: { name: { type: string } } }
nodes:
  - { id: hello, action: data.set, parameters: { text: 'Hi {{ $input.name }}' } }
output: '{{ $nodes.hello.result }}'
";

/// A workflow that waits for a signal.
pub(crate) const WAITS: &str = "
id: waits
nodes:
  - { id: paid, action: flow.wait, parameters: { signal: paid } }
output: '{{ $nodes.paid.result }}'
";

/// A workflow that asks somebody.
pub(crate) const ASKS: &str = "
id: asks
nodes:
  - { id: release, action: flow.approval, parameters: { title: 'Release <b>7</b>?', approvers: [ann, bob] } }
output: '{{ $nodes.release.result }}'
";

/// Something that is wrong, as a workflow would say it.
pub(crate) fn incident(key: &str, workflow: nebula_core::WorkflowId) -> nebula_ports::NewIncident {
    nebula_ports::NewIncident {
        key: key.to_owned(),
        service: "shop".to_owned(),
        title: format!("{key} does not answer"),
        description: String::new(),
        severity: nebula_ports::Severity::Warning,
        may_lower: false,
        workflow,
        execution: nebula_core::ExecutionId::from_bytes([7; 16]),
    }
}

/// A tenant that may use what there is.
pub(crate) fn tenant(id: &str) -> nebula_ports::Tenant {
    nebula_ports::Tenant {
        id: TenantId::new(id).unwrap(),
        version: 1,
        name: id.to_owned(),
        disabled: false,
        quotas: nebula_ports::Quotas::default(),
        weight: nebula_ports::Weight::default(),
    }
}
