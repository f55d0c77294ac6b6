//! The only file that names drivers: from settings to an engine that can run.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use nebula::{Nebula, engine::QueueKind};
use nebula_access::{Access, AccessPorts};
use nebula_action::Protected;
use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_core::{Clock, KeyId, Offload, TenantId};
use nebula_execution::ResumeKey;
use nebula_http_reqwest::{HttpConfig, Reqwest};
use nebula_identity::IdentityPorts;
use nebula_memory::{
    Collector, CountedBlobs, DEFAULT_CACHE, DEFAULT_INLINE, Grace, SpillingRepo, Values,
};
use nebula_ports::{
    BlobStore, CredentialRepo, ExecutionRepo, HttpClient, IncidentRepo, LeaderElector,
    ProgramRunner, QueueSource, SandboxRunner, Scratch, ScratchStores, SecretsStore, TaskQueue,
    TriggerRepo, WorkflowRepo,
};
use nebula_program::{
    closed::Closed,
    lazy_secrets::LazySecrets,
    limits::within_memory,
    observed::Observed,
    settings::{KeyFrom, SecretsSettings},
};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_runtime::PacedHttp;
use nebula_sandbox_inprocess::InProcess;
use nebula_sandbox_process::{ProcessConfig, Programs};
use nebula_secrets_local::{KeyCommand, KeySource, KeyringItem, LocalSecrets, SecretsConfig};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{
    Host, HostPressure, SystemClock, SystemEntropy, SystemSpawn, ThreadPoolOffload,
};
use nebula_telemetry::{Reading, Source, metric};
use nebula_trigger_mqtt::Mqtt;
use nebula_vault::{KeyFound, KeyState, Vault, VaultError, key_secret};

use crate::{
    commands::serve,
    failure::Failure,
    focus::Focus,
    resume_key,
    server::{self, Server, ServerUrl},
    settings::{Loaded, Place, Settings},
};

/// How many threads touch files for actions and blobs, at most.
const FILE_THREADS: usize = 4;

/// What the name of the folder of blobs adds to that of the database.
const BLOBS_SUFFIX: &str = "-blobs";

/// An engine, with what commands need beside it.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) nebula: Nebula,
    pub(crate) executions: Arc<dyn ExecutionRepo>,
    pub(crate) focus: Arc<Focus>,
    pub(crate) clock: Arc<dyn Clock>,
    /// A pool for what would hold up the async threads.
    pub(crate) offload: Arc<dyn Offload>,
    /// Who there is, who is let in, and who did what.
    pub(crate) identity: IdentityPorts,
    /// The way out.
    pub(crate) http: Arc<dyn HttpClient>,
    /// Credentials, over the secrets of this user, which are opened once somebody asks for one.
    pub(crate) vault: Arc<Vault>,
    /// Deletes what no execution names; none where everything is in memory.
    pub(crate) collector: Option<Arc<Collector>>,
    /// Says which of the processes that share the database does what one of them does.
    pub(crate) elector: Arc<dyn LeaderElector>,
    /// What is wrong with services.
    pub(crate) incidents: Arc<dyn IncidentRepo>,
}

/// An engine over the database of the command.
pub(crate) async fn compose(loaded: &Loaded) -> Result<Composed, Failure> {
    let config = storage(&loaded.settings, &loaded.place);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let sqlite = Arc::new(Sqlite::open(config, Arc::clone(&clock)).await?);
    let resume = resume_key::of(resume_file(&loaded.place).as_deref())?;
    let offload = file_threads()?;
    let blobs: Option<Arc<dyn BlobStore>> = match blob_folder(&loaded.place) {
        Some(path) => {
            let config = BlobFsConfig {
                path,
                create_folder: true,
            };
            let blobs = BlobFs::open(config, Arc::clone(&clock), Arc::clone(&offload)).await?;
            Some(Arc::new(blobs))
        }
        None => None,
    };
    assemble(loaded, sqlite, (clock, offload), blobs, resume)
}

/// An engine that checks definitions and inputs; it leaves nothing on disk.
pub(crate) async fn offline(loaded: &Loaded) -> Result<Composed, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let sqlite = Arc::new(Sqlite::open(SqliteConfig::ephemeral(), Arc::clone(&clock)).await?);
    let resume = resume_key::of(None)?;
    assemble(loaded, sqlite, (clock, file_threads()?), None, resume)
}

fn file_threads() -> Result<Arc<dyn Offload>, Failure> {
    let threads = NonZeroUsize::new(FILE_THREADS).expect("the number is not zero");
    let pool = ThreadPoolOffload::new(threads).map_err(|error| {
        Failure::environment("THREADS", format!("no threads for file work: {error}"))
    })?;
    Ok(Arc::new(pool))
}

/// Where the key of the tokens lies: beside the database.
fn resume_file(place: &Place) -> Option<PathBuf> {
    place.path().map(|path| resume_key::beside(path))
}

/// Where large values lie: beside the database; nowhere for one in memory, which holds them itself.
fn blob_folder(place: &Place) -> Option<PathBuf> {
    let mut path = place.path()?.clone().into_os_string();
    path.push(BLOBS_SUFFIX);
    Some(path.into())
}

fn storage(settings: &Settings, place: &Place) -> SqliteConfig {
    SqliteConfig {
        path: place.path().cloned(),
        create_folder: matches!(place, Place::Usual(_)),
        busy_timeout: settings.database.busy_timeout,
        max_size: settings.database.max_size,
        ..SqliteConfig::default()
    }
}

fn assemble(
    loaded: &Loaded,
    sqlite: Arc<Sqlite>,
    (clock, offload): (Arc<dyn Clock>, Arc<dyn Offload>),
    blobs: Option<Arc<dyn BlobStore>>,
    resume: ResumeKey,
) -> Result<Composed, Failure> {
    let blobs = blobs.map(|blobs| Arc::new(CountedBlobs::new(blobs)));
    let counted = blobs.clone();
    let blobs = blobs.map(|blobs| blobs as Arc<dyn BlobStore>);
    let stored: Arc<dyn ExecutionRepo> = sqlite.clone();
    let elector: Arc<dyn LeaderElector> = sqlite.clone();
    let incidents: Arc<dyn IncidentRepo> = sqlite.clone();
    let collector = blobs.clone().map(|blobs| {
        let (clock, grace) = (Arc::clone(&clock), Grace::default());
        Arc::new(Collector::new(stored.clone(), blobs, clock, grace))
    });
    let values = blobs
        .clone()
        .map(|blobs| Values::new(blobs, DEFAULT_INLINE, DEFAULT_CACHE));
    let executions: Arc<dyn ExecutionRepo> = match blobs {
        Some(blobs) => Arc::new(SpillingRepo::new(
            stored,
            blobs,
            Arc::clone(&clock),
            DEFAULT_INLINE,
        )),
        None => stored,
    };
    let credentials: Arc<dyn CredentialRepo> = sqlite.clone();
    let workflows: Arc<dyn WorkflowRepo> = sqlite.clone();
    let triggers: Arc<dyn TriggerRepo> = sqlite.clone();
    let bell = MemoryQueue::new(MemoryQueueConfig::default(), Arc::clone(&clock));
    let focus = Arc::new(Focus::new(Arc::new(bell), executions.clone()));
    let queue: Arc<dyn TaskQueue> = focus.clone();
    let sandbox: Arc<dyn SandboxRunner> = Arc::new(InProcess::new(Arc::clone(&clock)));
    let http: Arc<dyn HttpClient> = Arc::new(http(loaded, &clock)?);
    let secrets = Arc::new(lazy_secrets(loaded));
    let queues = queues(loaded, &clock)?;
    let entropy = Arc::new(SystemEntropy);
    let identity = IdentityPorts {
        identities: sqlite.clone(),
        sessions: sqlite.clone(),
        audit: sqlite.clone(),
        secrets: secrets.clone(),
        offload: Arc::clone(&offload),
        clock: Arc::clone(&clock),
        entropy: entropy.clone(),
    };
    let vault = Vault::new(credentials, secrets.clone(), entropy.clone()).audited(sqlite.clone());
    let vault = Arc::new(vault);
    let access = Access::new(AccessPorts {
        vault: Arc::clone(&vault),
        http: Some(Arc::clone(&http)),
        clock: Arc::clone(&clock),
        entropy,
    });
    let allow = loaded.settings.process.allow.clone();
    let programs = Programs::new(ProcessConfig { allow }, Arc::clone(&clock));
    let programs: Arc<dyn ProgramRunner> = Arc::new(programs);
    let mut nebula =
        Nebula::builder(executions.clone(), workflows, queue, sandbox).triggers(triggers);
    if let Some(values) = values.clone() {
        nebula = nebula.values(values);
    }
    let path = loaded.place.path().cloned();
    let observed = Observed {
        blobs: counted,
        values,
        left_out: loaded.left_out.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let nebula = nebula
        .clock(Arc::clone(&clock))
        .spawn(Arc::new(SystemSpawn))
        .memory_pressure(Arc::new(HostPressure::new(Arc::clone(&clock))))
        .http(Arc::clone(&http))
        .credentials(access)
        .http_policy(loaded.settings.http.clone())
        .actions(nebula_action_file::all(Arc::clone(&offload)))
        .folders(Arc::new(nebula_action_file::Folders::new(
            Arc::clone(&offload),
            protected(loaded),
        )))
        .queues(queues, secrets)
        .looks_in(Arc::new(InMemory(Arc::clone(&clock))))
        .actions(nebula_action_http::all())
        .actions(nebula_sandbox_process::actions(Arc::clone(&programs)))
        .actions(nebula_action_health::all(
            Arc::clone(&clock),
            programs,
            loaded.settings.connections.ca_files.clone(),
        ))
        .actions(nebula_action_incident::all(Arc::clone(&incidents)))
        .engine(loaded.settings.engine.clone())
        .worker(within_memory(loaded.settings.worker.clone(), &Host::read()))
        .protected(protected(loaded))
        .resume_key(resume)
        .metrics_source(Arc::new(Database { sqlite, path }))
        .metrics_source(Arc::new(observed))
        .build()
        .map_err(|error| Failure::invalid("SETTINGS", error.to_string()))?;
    Ok(Composed {
        nebula,
        executions,
        focus,
        clock,
        offload,
        identity,
        http,
        vault,
        collector,
        elector,
        incidents,
    })
}

/// The queues to which triggers listen, by their type.
type Queues = [(QueueKind, Arc<dyn QueueSource>); 1];

/// They are trusted as servers are.
fn queues(loaded: &Loaded, clock: &Arc<dyn Clock>) -> Result<Queues, Failure> {
    let trusting = nebula_http_reqwest::trusting(&loaded.settings.connections.ca_files);
    let trusting = trusting
        .map_err(|error| Failure::environment("HTTP", format!("no way out over TLS: {error}")))?;
    let mqtt = Mqtt::new(Arc::clone(clock), Arc::new(trusting));
    Ok([(QueueKind::Mqtt, Arc::new(mqtt))])
}

/// Stores in memory, for what triggers look with.
#[derive(Debug)]
struct InMemory(Arc<dyn Clock>);

#[async_trait]
impl Scratch for InMemory {
    async fn open(&self) -> nebula_ports::Result<ScratchStores> {
        let clock = || Arc::clone(&self.0);
        let sqlite = Arc::new(Sqlite::open(SqliteConfig::ephemeral(), clock()).await?);
        Ok(ScratchStores {
            executions: sqlite.clone(),
            workflows: sqlite,
            queue: Arc::new(MemoryQueue::new(MemoryQueueConfig::default(), clock())),
        })
    }
}

/// What is read of the store when somebody asks for the metrics.
#[derive(Debug)]
struct Database {
    sqlite: Arc<Sqlite>,
    path: Option<PathBuf>,
}

#[async_trait]
impl Source for Database {
    async fn read(&self, reading: &mut Reading) {
        let batches = self.sqlite.batches();
        reading.count(metric::COMMITS, self.sqlite.stats().commits);
        reading.spread(metric::COMMIT_DURATION, batches.commit_micros);
        reading.spread(metric::COMMIT_BATCH, batches.writes);
        if let Some(path) = &self.path {
            let size = |path: &Path| std::fs::metadata(path).map_or(0, |it| it.len());
            let mut log = path.clone().into_os_string();
            log.push("-wal");
            reading.level(metric::WAL_BYTES, size(Path::new(&log)));
            reading.level(metric::DATABASE_BYTES, size(path));
        }
    }
}

/// The credentials of a database, to change and to try them.
#[derive(Debug)]
pub(crate) struct ComposedVault {
    pub(crate) vault: Arc<Vault>,
    pub(crate) secrets: ComposedSecrets,
    /// The vault, with a way out that has the gates of the settings before it.
    pub(crate) access: Access,
}

impl ComposedVault {
    /// Whether what is put can be read again.
    pub(crate) async fn check_keys(&self) -> Result<(), Failure> {
        let keys = self.vault.keys(&TenantId::local()).await?;
        match keys.iter().find(|it| it.primary) {
            Some(primary) => key_failure(primary).map_or(Ok(()), Err),
            None => Ok(()),
        }
    }
}

/// What is wrong with a master key, as an error.
pub(crate) fn key_failure(state: &KeyState) -> Option<Failure> {
    let (key, secret) = (state.key.clone(), key_secret(&state.key));
    match state.found {
        KeyFound::Right => None,
        KeyFound::Missing => Some(VaultError::MissingKey { key, secret }.into()),
        KeyFound::Wrong => Some(VaultError::WrongKey { key, secret }.into()),
    }
}

/// The credentials of the command's database, to look at them; none where there is no database yet. The
/// secrets are opened when one is asked for.
pub(crate) async fn credentials(loaded: &Loaded) -> Result<Option<Vault>, Failure> {
    if !loaded.place.path().is_some_and(|path| path.exists()) {
        return Ok(None);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let sqlite = Sqlite::open(storage(&loaded.settings, &loaded.place), clock).await?;
    let secrets = Arc::new(lazy_secrets(loaded));
    let entropy = Arc::new(SystemEntropy);
    Ok(Some(Vault::new(Arc::new(sqlite), secrets, entropy)))
}

/// The credentials of the command's database, over the secrets of this user.
pub(crate) async fn vault(loaded: &Loaded) -> Result<ComposedVault, Failure> {
    let secrets = secrets(loaded).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let config = storage(&loaded.settings, &loaded.place);
    let sqlite = Sqlite::open(config, Arc::clone(&clock)).await?;
    let store = secrets.store.clone();
    let entropy = Arc::new(SystemEntropy);
    let vault = Arc::new(Vault::new(Arc::new(sqlite), store, entropy.clone()));
    let client = Arc::new(http(loaded, &clock)?);
    let paced = PacedHttp::new(client, Arc::clone(&clock), loaded.settings.http.clone());
    let paced = paced.map_err(|error| Failure::invalid("SETTINGS", error.to_string()))?;
    let http: Arc<dyn HttpClient> = Arc::new(paced);
    let access = Access::new(AccessPorts {
        vault: Arc::clone(&vault),
        http: Some(http),
        clock,
        entropy,
    });
    Ok(ComposedVault {
        vault,
        secrets,
        access,
    })
}

/// The way to a server, as the user who is logged in there.
pub(crate) fn server(loaded: &Loaded, url: &ServerUrl) -> Result<Server, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let token = server::token(&loaded.folders.config, url)?;
    let client = Arc::new(http(loaded, &clock)?);
    Ok(Server::new(client, url.clone(), token))
}

/// The way out of what `nebula serve` exports.
#[cfg(feature = "otlp")]
pub(crate) fn exporting(loaded: &Loaded) -> Result<Arc<dyn HttpClient>, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Ok(Arc::new(http(loaded, &clock)?))
}

fn http(loaded: &Loaded, clock: &Arc<dyn Clock>) -> Result<Reqwest, Failure> {
    let settings = &loaded.settings.connections;
    let config = HttpConfig {
        ca_files: settings.ca_files.clone(),
        connect_timeout: settings.connect_timeout,
        keep_idle: settings.keep_idle,
        ..HttpConfig::default()
    };
    let pressure = Arc::new(HostPressure::new(Arc::clone(clock)));
    Reqwest::under(config, Arc::clone(clock), pressure)
        .map_err(|error| Failure::environment("HTTP", format!("no way out over HTTP: {error}")))
}

/// The secrets of this user, and what to tell of their key.
#[derive(Debug)]
pub(crate) struct ComposedSecrets {
    pub(crate) store: Arc<dyn SecretsStore>,
    local: Arc<LocalSecrets>,
    /// The file.
    pub(crate) path: PathBuf,
    /// The file with the key, if that is where it comes from.
    pub(crate) key_file: Option<PathBuf>,
}

impl ComposedSecrets {
    /// The key that they are encrypted with, and how many there are; nothing where there is no file.
    pub(crate) async fn state(&self) -> Result<Option<(KeyId, usize)>, Failure> {
        Ok(self.local.state().await?)
    }

    /// What to tell once something is written, where the key's file is not there yet.
    pub(crate) fn new_key(&self) -> Option<String> {
        let file = self.key_file.as_ref().filter(|file| !file.exists())?;
        let (file, path) = (file.display(), self.path.display());
        Some(format!(
            "a key was made: {file}; keep a copy of it, apart from copies of {path}, which only it opens"
        ))
    }
}

/// The secrets of this user; with a wrong key, none.
pub(crate) async fn secrets(loaded: &Loaded) -> Result<ComposedSecrets, Failure> {
    let settings = &loaded.settings.secrets;
    let (path, key_file) = secret_files(loaded);
    let source = key_source(settings, (&path, &key_file))?;
    let config = SecretsConfig {
        create_folders: true,
        lock_timeout: settings.lock_timeout,
        max_secrets: settings.max_secrets,
        ..SecretsConfig::file(path.clone())
    };
    let key_file = matches!(source, KeySource::File(_)).then_some(key_file);
    let offload = ThreadPoolOffload::new(NonZeroUsize::MIN).map_err(|error| {
        Failure::environment("THREADS", format!("no thread for secrets: {error}"))
    })?;
    let clock = Arc::new(SystemClock::default());
    let opened = LocalSecrets::open(
        config,
        source,
        clock,
        Arc::new(SystemEntropy),
        Arc::new(offload),
    );
    let local = Arc::new(opened.await?);
    Ok(ComposedSecrets {
        store: local.clone(),
        local,
        path,
        key_file,
    })
}

/// The same, opened once somebody asks for one.
fn lazy_secrets(loaded: &Loaded) -> LazySecrets {
    let loaded = loaded.clone();
    LazySecrets::new(move || {
        let loaded = loaded.clone();
        Box::pin(async move { Ok(secrets(&loaded).await?.store) })
    })
}

/// The file of secrets, and the file of their key, which need not be used.
fn secret_files(loaded: &Loaded) -> (PathBuf, PathBuf) {
    let (settings, folders) = (&loaded.settings.secrets, &loaded.folders);
    let usual = || folders.data.join("secrets.nebula");
    let path = settings.path.clone().unwrap_or_else(usual);
    let usual = || folders.config.join("secrets.key");
    (path, settings.key_file.clone().unwrap_or_else(usual))
}

fn key_source(
    settings: &SecretsSettings,
    (path, key_file): (&Path, &Path),
) -> Result<KeySource, Failure> {
    Ok(match settings.key()? {
        KeyFrom::File => KeySource::File(key_file.to_owned()),
        KeyFrom::Keyring => KeySource::Keyring(KeyringItem {
            name: path.display().to_string(),
            timeout: settings.keyring_timeout,
        }),
        KeyFrom::Given { from, text } => KeySource::Given { from, text },
        KeyFrom::Command { program, arguments } => KeySource::Command(KeyCommand {
            program,
            arguments,
            timeout: settings.key_command_timeout,
        }),
    })
}

/// What no grant opens: the engine's data and settings, the database and the secrets with their
/// companions, each also by the path to which links lead.
pub(crate) fn protected(loaded: &Loaded) -> Protected {
    let mut closed = Closed::default();
    closed.add(&loaded.folders.data, &[""]);
    closed.add(&loaded.folders.config, &[""]);
    if let Some(path) = loaded.place.path() {
        closed.add(
            path,
            &[
                "",
                "-wal",
                "-shm",
                "-holders",
                BLOBS_SUFFIX,
                resume_key::SUFFIX,
                serve::TOKEN_SUFFIX,
                serve::SETUP_SUFFIX,
            ],
        );
    }
    let (secrets, key) = secret_files(loaded);
    for path in [secrets, key] {
        closed.add(&path, &["", ".new", ".lock"]);
    }
    closed.protected()
}
