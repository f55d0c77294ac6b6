//! Credentials that nodes name: opened for their attempts, and in nothing that comes out of them.

mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use nebula::{
    Nebula,
    access::{Access, AccessPorts},
    action::{
        Action, ActionContext, ActionError, ActionMetadata, ActionResult, BlobBody, Capability,
        CredentialSlot, Effect, EffectClass, Grants, Progress, Reconciled,
    },
    core::{ByteSize, Clock, CredentialId, ExposeSecret, SecretString, TenantId},
    engine::Report,
    execution::{StartOptions, Status},
    ports::{
        AuditEntry, AuditHead, AuditLog, AuditOutcome, BlobListing, BlobStore, CredentialUser,
        ErrorKind, ExecutionRepo, NewAudit, PortError, Result as PortResult, SecretsStore,
    },
};
use nebula_credential::{AllowedHosts, Credential, CredentialType, MARKER};
use nebula_memory::Values;
use nebula_testkit::{
    InlineOffload, MemoryAuditLog, MemoryBlobStore, MemoryCredentialRepo, MemorySandbox,
    MemorySecretsStore, MemoryTaskQueue, SeededEntropy,
};
use nebula_vault::{Vault, key_secret};
use serde_json::{Value, json};
use world::{World, in_world};

static TENANT: LazyLock<TenantId> = LazyLock::new(TenantId::local);

const SECRET: &str = "hunter2/0123+456789";

/// Each process has ids of its own.
static LIVES: AtomicU64 = AtomicU64::new(1_000);

/// How often an attempt has seen the secret.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// Gives away its credential, in the way that its parameter says.
#[derive(Debug)]
struct Leaky(ActionMetadata);

fn leaky(id: &str, class: EffectClass) -> Arc<dyn Action> {
    let slot = CredentialSlot {
        name: "auth".to_owned(),
        types: vec!["bearer".to_owned()],
        required: true,
    };
    Arc::new(Leaky(ActionMetadata {
        credentials: vec![slot],
        reconciles: class == EffectClass::AtMostOnce,
        ..ActionMetadata::new(id, (1, 0), Effect::Fixed(class))
    }))
}

#[async_trait]
impl Action for Leaky {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let held = ctx.credentials.get("auth").expect("the slot is filled");
        let secret = held.field("token").unwrap().expose_secret();
        if secret == SECRET {
            SEEN.fetch_add(1, SeqCst);
        }
        assert!(!format!("{ctx:?}").contains(secret));
        match input["how"].as_str().unwrap_or_default() {
            "error" => {
                let message = format!("no entry with {secret}");
                let pointer = format!("/{secret}");
                Err(ActionError::invalid_input("WRONG", pointer, message))
            }
            "again" if ctx.attempt < 3 => Err(ActionError::retryable("BUSY", secret)),
            "cut" => Err(ActionError::fatal(
                "CUT",
                format!("it said: {}", &secret[..9]),
            )),
            "progress" => {
                ctx.heartbeat(Progress::of(1, 2).note(format!("with {secret}")));
                Ok(ActionResult::output(json!(1)))
            }
            "blob" => {
                // As an answer that says what it was sent.
                let content = STANDARD.encode(format!("Bearer {secret}"));
                put(ctx, content).await
            }
            "plain blob" => put(ctx, "nothing of it".to_owned()).await,
            "open" => open(ctx, &input).await,
            "panic" => panic!("it is {secret}"),
            "quiet" => Ok(ActionResult::output(json!(secret.len()))),
            _ => Ok(ActionResult::output(
                json!({ "said": secret, "sum": [secret, 1] }),
            )),
        }
    }

    async fn reconcile(&self, ctx: &ActionContext, _: &Value) -> Result<Reconciled, ActionError> {
        let held = ctx.credentials.get("auth").expect("the slot is filled");
        let secret = held.field("token").unwrap().expose_secret();
        Ok(Reconciled::Happened(json!({ "reconciled": secret })))
    }
}

/// Content that is in memory.
#[derive(Debug)]
struct Whole(Option<Bytes>);

#[async_trait]
impl BlobBody for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError> {
        Ok(self.0.take())
    }
}

/// Puts a text into a blob, and reads it again.
async fn put(ctx: &ActionContext, text: String) -> Result<ActionResult, ActionError> {
    let blobs = ctx.blobs()?;
    let mut content = Whole(Some(text.into()));
    let put = blobs.put(&mut content, ByteSize::mib(1));
    let id = put.await?.expect("it is small");
    let read = blobs.read(id).await?.expect("it is there");
    let read = String::from_utf8(read.to_vec()).unwrap();
    Ok(ActionResult::output(json!({ "blob": id, "read": read })))
}

/// Opens the blob that `blob` is: its name, or its digest in two halves and its length.
async fn open(ctx: &ActionContext, input: &Value) -> Result<ActionResult, ActionError> {
    let name = match &input["blob"] {
        Value::Array(parts) => {
            let half = |at: usize| parts[at].as_str().unwrap_or_default();
            let digest = [half(0), half(1)].concat();
            json!({ "digest": digest, "length": parts[2] })
        }
        name => name.clone(),
    };
    let read = ctx.blobs()?.read(serde_json::from_value(name).unwrap());
    let read = read.await?.map(|read| read.len());
    Ok(ActionResult::output(json!(read)))
}

fn id(text: &str) -> CredentialId {
    CredentialId::new(text).unwrap()
}

struct Place {
    world: World,
    repo: Arc<MemoryCredentialRepo>,
    secrets: Arc<MemorySecretsStore>,
    vault: Arc<Vault>,
    blobs: Arc<MemoryBlobStore>,
    audit: Arc<MemoryAuditLog>,
    log_is_full: AtomicBool,
}

/// A log that takes nothing any more.
#[derive(Debug)]
struct Full;

#[async_trait]
impl AuditLog for Full {
    async fn append(&self, _: &TenantId, _: NewAudit) -> PortResult<AuditEntry> {
        let full = PortError::new(ErrorKind::Full, "test", "append", "no room");
        Err(full)
    }

    async fn entries(&self, _: &TenantId, _: u64, _: usize) -> PortResult<Vec<AuditEntry>> {
        Ok(Vec::new())
    }

    async fn head(&self, _: &TenantId) -> PortResult<Option<AuditHead>> {
        Ok(None)
    }
}

/// Runs a test in a world whose vault has the bearer credential `shop` and the basic one `basic`.
fn in_place(test: impl AsyncFnOnce(Place)) {
    in_world(async |world| {
        let repo = Arc::new(MemoryCredentialRepo::new(Arc::new(world.clock.clone())));
        let secrets = Arc::new(MemorySecretsStore::default());
        let blobs = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let audit = Arc::new(MemoryAuditLog::new(Arc::new(world.clock.clone())));
        let entropy = Arc::new(SeededEntropy::new(77));
        let vault = Arc::new(Vault::new(repo.clone(), secrets.clone(), entropy));
        let basic = [("username", "ada"), ("password", SECRET)];
        for (name, kind, fields) in [
            ("shop", CredentialType::Bearer, &[("token", SECRET)][..]),
            ("basic", CredentialType::Basic, &basic[..]),
        ] {
            let fields = fields.iter();
            let fields: BTreeMap<_, _> = fields
                .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)))
                .collect();
            let hosts = AllowedHosts::parse(["api.example"]).unwrap();
            let credential = Credential::new(kind, fields, hosts).unwrap();
            let _ = vault
                .put(&TENANT, &id(name), None, &credential)
                .await
                .unwrap();
        }
        test(Place {
            world,
            repo,
            secrets,
            vault,
            blobs,
            audit,
            log_is_full: AtomicBool::new(false),
        })
        .await;
    });
}

impl Place {
    fn process(&self, executions: Arc<dyn ExecutionRepo>) -> Nebula {
        let clock: Arc<dyn Clock> = Arc::new(self.world.clock.clone());
        let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 1_000, 100));
        let sandbox = Arc::new(MemorySandbox::new(clock.clone()));
        // A vault of its own, which remembers no key.
        let entropy = Arc::new(SeededEntropy::new(LIVES.fetch_add(1, SeqCst)));
        let vault = Vault::new(self.repo.clone(), self.secrets.clone(), entropy);
        let log: Arc<dyn AuditLog> = match self.log_is_full.load(SeqCst) {
            true => Arc::new(Full),
            false => self.audit.clone(),
        };
        let vault = vault.audited(log);
        let ports = AccessPorts {
            vault: Arc::new(vault),
            http: None,
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(78)),
        };
        Nebula::builder(executions, self.world.workflows.clone(), queue, sandbox)
            .clock(clock)
            .entropy(Arc::new(SeededEntropy::new(LIVES.fetch_add(1, SeqCst))))
            .offload(Arc::new(InlineOffload))
            .actions([
                leaky("test.peek", EffectClass::Read),
                leaky("test.pay", EffectClass::Keyed),
                leaky("test.once", EffectClass::AtMostOnce),
                leaky("test.think", EffectClass::Pure),
            ])
            .credentials(Access::new(ports))
            .values(Values::new(
                self.blobs.clone(),
                ByteSize::mib(1),
                ByteSize::mib(1),
            ))
            .build()
            .unwrap()
    }

    async fn run(&self, node: &str, grants: &[&str]) -> Report {
        let nebula = self.process(self.world.executions.clone());
        let yaml = format!("nodes: [{node}]\n");
        let installed = self.world.install(&nebula, &yaml).await;
        let started = nebula.start(&TENANT, &installed, Value::Null, granted(grants));
        let id = started.await.unwrap();
        self.world.finish(&nebula, id).await
    }

    async fn users(&self, of: &str) -> Vec<CredentialUser> {
        let uses = self.vault.uses(&TENANT, &id(of), None, 100).await.unwrap();
        uses.into_iter().rev().map(|used| used.user).collect()
    }

    /// Everything that the stores hold of an execution, as texts.
    async fn stored(&self, report: &Report) -> String {
        let id = report.execution;
        let executions = &self.world.executions;
        let page = executions.journal(&TENANT, id, 1, 1_000).await.unwrap();
        format!("{page:?} {report:?}")
    }
}

fn granted(grants: &[&str]) -> StartOptions {
    let grants = grants.iter();
    let grants = grants.map(|it| Capability::parse(it, std::path::Path::new("/")).unwrap());
    StartOptions {
        grants: Grants::new(grants),
        ..StartOptions::default()
    }
}

const GRANT: &[&str] = &["secret:shop", "secret:basic", "secret:nobody"];

fn error(report: &Report) -> (String, String) {
    let error = report.error.as_ref().expect("it failed");
    (error.code.clone(), error.message.clone())
}

#[test]
fn an_attempt_gets_its_credential_and_gives_no_secret_away() {
    in_place(async |place| {
        let ways = [
            ("say", "peek", Status::Completed),
            ("say", "pay", Status::Completed),
            ("say", "once", Status::Completed),
            ("say", "think", Status::Completed),
            ("error", "peek", Status::Failed),
            ("error", "pay", Status::Failed),
            ("again", "pay", Status::Completed),
            ("cut", "peek", Status::Failed),
            ("panic", "peek", Status::Failed),
            ("quiet", "peek", Status::Completed),
        ];
        for (how, action, status) in ways {
            let seen = SEEN.load(SeqCst);
            let node = format!(
                "{{ id: a, action: test.{action}, parameters: {{ how: {how} }}, credentials: {{ auth: shop }}, retry: {{ max_attempts: 3 }} }}"
            );
            let report = place.run(&node, GRANT).await;
            assert_eq!(report.status, status, "{how} {action} {report:?}");
            assert!(SEEN.load(SeqCst) > seen);
            let stored = place.stored(&report).await;
            for part in [SECRET, &SECRET[..9], "aHVudGVyMi8wMTIz", "68756e746572"] {
                assert!(!stored.contains(part), "{how} {action}: {stored}");
            }
            match how {
                "say" => assert_eq!(report.output, json!({ "said": MARKER, "sum": [MARKER, 1] })),
                "error" => {
                    let (code, message) = error(&report);
                    assert_eq!((&*code, &*message), ("WRONG", "no entry with [secret]"));
                }
                "quiet" => assert_eq!(report.output, json!(SECRET.len())),
                _ => {}
            }
        }
    });
}

/// Keeps the warnings of a thread.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut said = String::new();
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                said.push_str(&format!("{field}={value:?} "));
            },
        );
        self.0.lock().unwrap().push(said);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn who_gives_a_secret_back_is_named_in_the_log() {
    let warnings = Warnings::default();
    // As long as there is but one, a thread that comes by the line first asks its own: and the other
    // tests have none, so that nobody would be told any more.
    let _another = tracing::Dispatch::new(Warnings::default());
    tracing::subscriber::with_default(warnings.clone(), || {
        in_place(async |place| {
            for how in ["quiet", "say"] {
                let node = format!(
                    "{{ id: a, action: test.peek, parameters: {{ how: {how} }}, credentials: {{ auth: shop }} }}"
                );
                let report = place.run(&node, GRANT).await;
                assert_eq!(report.status, Status::Completed);
                let said = warnings.0.lock().unwrap().clone();
                match how {
                    "quiet" => assert!(said.is_empty(), "{said:?}"),
                    _ => {
                        let [said] = &said[..] else {
                            panic!("{said:?}")
                        };
                        assert!(said.contains("credentials=\"shop\""), "{said}");
                        assert!(said.contains("places=2"), "{said}");
                        assert!(!said.contains(SECRET), "{said}");
                    }
                }
            }
        });
    });
}

#[test]
fn each_use_is_recorded_with_its_attempt() {
    in_place(async |place| {
        let node = "{ id: a, action: test.pay, parameters: { how: again }, credentials: { auth: shop }, retry: { max_attempts: 3 } }";
        let report = place.run(node, GRANT).await;
        let expected = (1..=3).map(|attempt| CredentialUser::Attempt {
            execution: report.execution,
            node: "a".to_owned(),
            attempt,
        });
        assert_eq!(place.users("shop").await, expected.collect::<Vec<_>>());
        assert!(place.users("basic").await.is_empty());
    });
}

/// Guards: what an attempt is given, and what it is not given, stands in the chain that nobody changes; and
/// nothing is given out where that cannot be written.
#[test]
fn the_audit_log_has_each_use_and_each_denial() {
    in_place(async |place| {
        let node =
            "{ id: a, action: test.peek, parameters: { how: quiet }, credentials: { auth: shop } }";
        let allowed = place.run(node, GRANT).await;
        assert_eq!(allowed.status, Status::Completed);
        let denied = place.run(node, &[]).await;
        assert_eq!(denied.status, Status::Failed);
        let entries = place.audit.entries(&TENANT, 0, 10).await.unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|it| (it.new.who.clone(), it.new.outcome))
            .collect();
        let who = |report: &Report| format!("execution:{}", report.execution);
        assert_eq!(
            told,
            [
                (who(&allowed), AuditOutcome::Allowed),
                (who(&denied), AuditOutcome::Denied)
            ]
        );
        let change: Vec<Value> = entries
            .iter()
            .map(|it| serde_json::from_str(&it.new.change).unwrap())
            .collect();
        assert_eq!(
            change[0],
            json!({ "version": 1, "node": "a", "attempt": 1 })
        );
        assert!(change[1]["why"].as_str().unwrap().contains("`shop`"));
        for entry in entries {
            assert_eq!(
                (&*entry.new.what, &*entry.new.target),
                ("credentials.use", "credential:shop")
            );
        }
        place.log_is_full.store(true, SeqCst);
        let unwritten = place.run(node, GRANT).await;
        assert_eq!(error(&unwritten).0, "CREDENTIAL_UNAVAILABLE");
    });
}

/// Guards: an attempt puts and reads blobs with the capability alone; and none that has a secret in it
/// that the attempt uses, in whatever encoding.
#[test]
fn what_an_attempt_puts_is_searched_for_its_secrets() {
    in_place(async |place| {
        let node = |how: &str, requires: &str| {
            format!(
                "{{ id: a, action: test.peek, parameters: {{ how: {how} }}, credentials: {{ auth: shop }}, retry: {{ max_attempts: 1 }}, requires: [{requires}] }}"
            )
        };
        let grants = [GRANT, &["blob"]].concat();
        let code = |report: &Report| report.error.as_ref().map(|it| it.code.clone());
        let there = async || {
            let page = place.blobs.list(&TENANT, &BlobListing::default()).await;
            page.unwrap().blobs.len()
        };
        let report = place.run(&node("plain blob", "blob"), &grants).await;
        assert_eq!(report.status, Status::Completed, "{report:?}");
        assert_eq!(report.nodes["a"][0]["output"]["read"], "nothing of it");
        assert_eq!(there().await, 1);
        let report = place.run(&node("blob", "blob"), &grants).await;
        assert_eq!(
            code(&report).as_deref(),
            Some("BLOB_HAS_SECRET"),
            "{report:?}"
        );
        // Neither who does not ask for it, nor who was not granted it.
        let mut refused = Vec::new();
        for (requires, grants) in [("", &grants[..]), ("blob", GRANT)] {
            let report = place.run(&node("plain blob", requires), grants).await;
            let denied = code(&report);
            assert_eq!(denied.as_deref(), Some("CAPABILITY_DENIED"), "{report:?}");
            refused.push(format!("execution:{}", report.execution));
        }
        // Guard: who was refused a capability stands in the audit log, with the capability.
        let entries = place.audit.entries(&TENANT, 0, 100).await.unwrap();
        let told = entries.into_iter().map(|it| it.new);
        let told: Vec<_> = told.filter(|it| it.what == "capabilities.use").collect();
        let who: Vec<_> = told.iter().map(|it| it.who.clone()).collect();
        assert_eq!(who, refused);
        for told in told {
            assert_eq!(
                (&*told.target, told.outcome),
                ("capability:blob", AuditOutcome::Denied)
            );
            let change: Value = serde_json::from_str(&told.change).unwrap();
            assert_eq!(
                (&change["node"], &change["attempt"]),
                (&json!("a"), &json!(1))
            );
        }
        assert_eq!(there().await, 1);
    });
}

/// Guards: an attempt opens blobs that its parameters name, and of no other it learns whether it is there.
#[test]
fn an_attempt_opens_what_its_parameters_name_and_nothing_else() {
    in_place(async |place| {
        let grants = [GRANT, &["blob"]].concat();
        let node = |parameters: Value| {
            format!(
                "{{ id: a, action: test.peek, parameters: {parameters}, credentials: {{ auth: shop }}, requires: [blob] }}"
            )
        };
        let put = place
            .run(&node(json!({ "how": "plain blob" })), &grants)
            .await;
        let blob = put.nodes["a"][0]["output"]["blob"].clone();
        let halves = |digest: &str| {
            let parts = json!([&digest[..32], &digest[32..], blob["length"]]);
            json!({ "how": "open", "blob": parts })
        };
        let digest = blob["digest"].as_str().unwrap();
        // Another execution, which was told the name.
        let named = node(json!({ "how": "open", "blob": blob }));
        let report = place.run(&named, &grants).await;
        assert_eq!(report.nodes["a"][0]["output"], 13, "{report:?}");
        let nobodys = "0".repeat(64);
        for guessed in [digest, &nobodys] {
            let report = place.run(&node(halves(guessed)), &grants).await;
            let (code, message) = error(&report);
            assert_eq!(code, "BLOB_NOT_NAMED", "{message}");
        }
    });
}

#[test]
fn progress_is_shown_without_secrets() {
    in_place(async |place| {
        let nebula = place.process(place.world.executions.clone());
        let mut watcher = nebula.bus().subscribe();
        let yaml = "nodes: [{ id: a, action: test.peek, parameters: { how: progress }, credentials: { auth: shop } }]";
        let installed = place.world.install(&nebula, yaml).await;
        let started = nebula.start(&TENANT, &installed, Value::Null, granted(GRANT));
        let id = started.await.unwrap();
        place.world.finish(&nebula, id).await;
        drop(nebula);
        let mut shown = String::new();
        while let Some(event) = watcher.next().await {
            shown.push_str(&format!("{event:?}"));
        }
        assert!(shown.contains("with [secret]"), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
    });
}

#[test]
fn what_cannot_be_opened_fails_its_node_before_it_begins() {
    in_place(async |place| {
        let node = |credential: &str| {
            format!("{{ id: a, action: test.pay, credentials: {{ auth: {credential} }} }}")
        };
        let failed = place.run(&node("nobody"), GRANT).await;
        let (code, message) = error(&failed);
        assert_eq!(code, "CREDENTIAL_UNKNOWN");
        assert!(
            message.starts_with("there is no credential `nobody`; "),
            "{message}"
        );
        let failed = place.run(&node("basic"), GRANT).await;
        assert_eq!(
            error(&failed).1,
            "the credential `basic` is of type basic; the slot `auth` of node `a` takes bearer"
        );
        let failed = place.run(&node("shop"), &["secret:other"]).await;
        let (code, message) = error(&failed);
        assert_eq!(code, "CAPABILITY_DENIED");
        assert!(message.contains("requires: [\"secret:shop\"]"), "{message}");
        // The keys do not belong to the credentials.
        for state in place.vault.keys(&TENANT).await.unwrap() {
            let _ = place
                .secrets
                .delete(&TENANT, &key_secret(&state.key))
                .await
                .unwrap();
        }
        let failed = place.run(&node("shop"), GRANT).await;
        assert_eq!(error(&failed).0, "CREDENTIAL_UNREADABLE");
    });
}

#[test]
fn a_credential_is_not_opened_before_the_start_of_its_attempt_is_journalled() {
    let yaml = "nodes: [{ id: a, action: test.pay, parameters: { how: quiet }, credentials: { auth: shop } }]";
    let (mut opened, mut not_yet) = (0, 0);
    for call in 1..12 {
        for after in [false, true] {
            in_place(async |place| {
                let mortal = place.world.mortal(Some((call, after)));
                let nebula = place.process(mortal.clone());
                let work = async {
                    let installed = place.world.install(&nebula, yaml).await;
                    let options = granted(GRANT);
                    let started = nebula.start(&TENANT, &installed, Value::Null, options);
                    let id = started.await.unwrap();
                    place.world.finish(&nebula, id).await;
                };
                tokio::select! {
                    biased;
                    () = work => {}
                    () = mortal.death() => {}
                }
                let is_used = !place.users("shop").await.is_empty();
                let filter = Default::default();
                let executions = place.world.executions.clone();
                let page = executions.list(&TENANT, &filter, None, 10).await.unwrap();
                let mut started = false;
                for summary in page.items {
                    let journal = executions.journal(&TENANT, summary.id, 1, 100);
                    started |= format!("{:?}", journal.await.unwrap()).contains("AttemptStarted");
                }
                assert!(started || !is_used, "call {call}, after {after}");
                opened += usize::from(is_used);
                not_yet += usize::from(!is_used);
            });
        }
    }
    assert!(opened > 0 && not_yet > 0, "{opened} {not_yet}");
}

#[test]
fn what_a_lost_attempt_is_found_to_have_done_names_no_secret() {
    in_place(async |place| {
        // The process dies before it can say how the attempt ended.
        let yaml = "nodes: [{ id: a, action: test.once, parameters: { how: quiet }, credentials: { auth: shop } }]";
        for call in 2..12 {
            let mortal = place.world.mortal(Some((call, false)));
            let nebula = place.process(mortal.clone());
            let mut started_id = None;
            let work = async {
                let installed = place.world.install(&nebula, yaml).await;
                let options = granted(GRANT);
                let started = nebula.start(&TENANT, &installed, Value::Null, options);
                let id = started.await.unwrap();
                started_id = Some(id);
                place.world.finish(&nebula, id).await;
            };
            tokio::select! {
                biased;
                () = work => {}
                () = mortal.death() => {}
            }
            drop(nebula);
            let Some(id) = started_id else { continue };
            let nebula = place.process(place.world.executions.clone());
            let report = place.world.finish(&nebula, id).await;
            if report.output != json!(SECRET.len()) {
                assert_eq!(report.output, json!({ "reconciled": MARKER }), "{report:?}");
                return;
            }
        }
        panic!("no attempt was lost");
    });
}
