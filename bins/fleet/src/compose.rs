//! The only file of this package that names drivers: from settings to what is behind each port.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use nebula_access::{Access, AccessPorts};
use nebula_action::{Action, Protected};
use nebula_blob_fs::{BlobFs, BlobFsConfig};
#[cfg(any(feature = "postgres", feature = "redis"))]
use nebula_cluster::{OpenQueue, QueueByGroup};
#[cfg(any(feature = "postgres", feature = "redis"))]
use nebula_core::{BoxFuture, Group};
use nebula_core::{Clock, Offload};
use nebula_execution::ResumeKey;
use nebula_http_reqwest::{HttpConfig, Reqwest};
use nebula_memory::{
    Collector, CountedBlobs, DEFAULT_CACHE, DEFAULT_INLINE, Grace, SpillingRepo, Values,
};
use nebula_ports::{
    AuditLog, BlobStore, CredentialRepo, ExecutionRepo, HttpClient, IdentityRepo, IncidentRepo,
    LeaderElector, ProgramCall, ProgramEnded, ProgramError, ProgramRunner, Relay, SecretsStore,
    SessionRepo, TaskQueue, TenantRepo, TriggerRepo, WorkflowRepo,
};
use nebula_program::{
    closed::Closed,
    failure::Failure,
    observed::Observed,
    private::make_private,
    resume_key,
    settings::{KeyFrom, SecretsSettings},
};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_secrets_local::{KeyCommand, KeySource, KeyringItem, LocalSecrets, SecretsConfig};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{Folders, HostPressure, SystemClock, SystemEntropy, ThreadPoolOffload};
use nebula_telemetry::{Reading, Source, metric};
use nebula_vault::Vault;

use crate::{
    address::{self, Address},
    settings::{Groups, Loaded, Settings},
};

/// How many threads touch files for actions and blobs, at most.
const FILE_THREADS: usize = 4;

/// What the name of the folder of blobs adds to that of what it lies beside.
const BLOBS_SUFFIX: &str = "-blobs";
/// What the name of the file with the token of a server adds to that of what it lies beside.
pub const TOKEN_SUFFIX: &str = "-token";
/// What that of the file with the token of the first person adds.
pub const SETUP_SUFFIX: &str = "-setup";

/// What a store is to the ports.
#[derive(Debug, Clone)]
pub struct Store {
    /// Executions.
    pub executions: Arc<dyn ExecutionRepo>,
    /// Workflows and plans.
    pub workflows: Arc<dyn WorkflowRepo>,
    /// What is settled about tenants.
    pub tenants: Arc<dyn TenantRepo>,
    /// Where triggers stand.
    pub triggers: Arc<dyn TriggerRepo>,
    /// Credentials, encrypted.
    pub credentials: Arc<dyn CredentialRepo>,
    /// Who there is.
    pub identities: Arc<dyn IdentityRepo>,
    /// Who is logged in.
    pub sessions: Arc<dyn SessionRepo>,
    /// Who did what.
    pub audit: Arc<dyn AuditLog>,
    /// What is wrong with services.
    pub incidents: Arc<dyn IncidentRepo>,
    /// Who does what one process at a time does.
    pub elector: Arc<dyn LeaderElector>,
    /// What its driver counts.
    pub counts: Arc<dyn Source>,
    /// The file it is in, if it is in one.
    pub file: Option<PathBuf>,
}

/// Everything that the programs of a fleet stand on.
#[derive(Debug)]
pub struct Opened {
    /// The store. Its executions keep large values apart.
    pub store: Store,
    /// The doorbell.
    pub queue: Arc<dyn TaskQueue>,
    /// Whether other processes hear it.
    pub queue_is_shared: bool,
    /// How processes tell each other what they do, where they share a queue.
    pub relay: Option<Arc<dyn Relay>>,
    /// Large values.
    pub values: Values,
    /// Deletes those that nothing names.
    pub collector: Arc<Collector>,
    /// Secrets.
    pub secrets: Arc<dyn SecretsStore>,
    /// Credentials by id.
    pub vault: Arc<Vault>,
    /// Credentials, ready for use.
    pub access: Access,
    /// The way out.
    pub http: Arc<dyn HttpClient>,
    /// From which the tokens of approvals follow.
    pub resume: ResumeKey,
    /// What no grant opens.
    pub protected: Protected,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where files are touched and long pure work is done.
    pub offload: Arc<dyn Offload>,
    /// What the metrics say beside what is counted on the way.
    pub sources: Vec<Arc<dyn Source>>,
    /// Files of this program lie beside this path: its name and more.
    pub base: PathBuf,
}

impl Opened {
    /// A file beside the store, or, where that is a server, in the data folder.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.base, suffix)
    }
}

/// Which driver keeps executions. A new one is one more kind.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StorageKind {
    /// One file.
    Sqlite(PathBuf),
    /// A database of PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres,
}

/// Which driver rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueKind {
    /// In the memory of this process.
    Memory,
    /// A server of Redis.
    #[cfg(feature = "redis")]
    Redis,
    /// A database of PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres,
}

/// The parts of a fleet by their addresses.
#[derive(Debug)]
pub struct Addresses {
    /// Where executions are kept.
    pub storage: Address,
    /// Where tasks are rung for.
    pub queue: Address,
}

impl Addresses {
    /// What the settings say; nothing is opened.
    ///
    /// # Errors
    /// An address cannot be used: there is no driver for it, or it is none.
    pub fn of(groups: &Groups<'_>, folders: &Folders) -> Result<Self, Failure> {
        let (storage, queue) = (groups.storage, groups.queue);
        let usual = || format!("sqlite:{}", folders.data.join("nebula.db").display());
        let addresses = Self {
            storage: address::read(
                "storage.address",
                storage.address.as_deref(),
                storage.address_file.as_deref(),
                usual,
            )?,
            queue: address::read(
                "queue.address",
                queue.address.as_deref(),
                queue.address_file.as_deref(),
                || "memory:".to_owned(),
            )?,
        };
        addresses.storage_kind()?;
        addresses.queue_kind()?;
        Ok(addresses)
    }

    /// The file that the store is in, if it is in one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match self.storage_kind().ok()? {
            StorageKind::Sqlite(path) => Some(path),
            #[cfg(feature = "postgres")]
            StorageKind::Postgres => None,
        }
    }

    fn storage_kind(&self) -> Result<StorageKind, Failure> {
        let (key, address) = ("storage.address", &self.storage);
        match address.scheme() {
            "sqlite" => address.path(key).map(StorageKind::Sqlite),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => Ok(StorageKind::Postgres),
            _ => Err(unknown(key, address, "sqlite:/var/lib/nebula/nebula.db")),
        }
    }

    fn queue_kind(&self) -> Result<QueueKind, Failure> {
        let (key, address) = ("queue.address", &self.queue);
        match (address.scheme(), address.rest()) {
            ("memory", "") => Ok(QueueKind::Memory),
            #[cfg(feature = "redis")]
            ("redis" | "rediss" | "unix", _) => Ok(QueueKind::Redis),
            #[cfg(feature = "postgres")]
            ("postgres" | "postgresql", _) => Ok(QueueKind::Postgres),
            _ => Err(unknown(
                key,
                address,
                "memory: or redis://redis.internal:6379/0",
            )),
        }
    }
}

/// Opens everything, and makes what is missing.
///
/// # Errors
/// Something cannot be used: which, why, and what to do.
pub async fn open<S: Settings>(
    loaded: &Loaded<S>,
    version: &'static str,
) -> Result<Opened, Failure> {
    let (groups, folders) = (loaded.settings.groups(), &loaded.folders);
    let addresses = Addresses::of(&groups, folders)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let offload = file_threads()?;
    let store = store(&groups, &addresses, &clock).await?;
    let hears = loaded.settings.pool().takes()?;
    let Doorbell { queue, relay } = queue(&groups, &addresses, (&clock, &hears)).await?;
    let base = base(&store, folders);
    let of = |given: &Option<PathBuf>, suffix| given.clone().unwrap_or(beside(&base, suffix));
    let resume_file = of(&groups.shared.resume_key, resume_key::SUFFIX);
    // A store in a file has made the folder that it lies in.
    if store.file.is_none() {
        let unusable = |error| Failure::file(&folders.data, "make", &error);
        make_private(&folders.data).map_err(unusable)?;
    }
    let resume = resume_key::of(Some(&resume_file))?;
    let config = BlobFsConfig {
        path: of(&groups.shared.blobs, BLOBS_SUFFIX),
        create_folder: true,
    };
    let blobs = BlobFs::open(config, Arc::clone(&clock), Arc::clone(&offload)).await?;
    let blobs = Arc::new(CountedBlobs::new(Arc::new(blobs)));
    let as_store: Arc<dyn BlobStore> = blobs.clone();
    let collector = Collector::new(
        store.executions.clone(),
        as_store.clone(),
        clock.clone(),
        Grace::default(),
    );
    let values = Values::new(as_store.clone(), DEFAULT_INLINE, DEFAULT_CACHE);
    let spilling = SpillingRepo::new(
        store.executions.clone(),
        as_store,
        clock.clone(),
        DEFAULT_INLINE,
    );
    let store = Store {
        executions: Arc::new(spilling),
        ..store
    };
    let http: Arc<dyn HttpClient> = Arc::new(http(&groups, &clock)?);
    let secrets = secrets(&groups, folders).await?;
    let entropy = Arc::new(SystemEntropy);
    let vault = Vault::new(store.credentials.clone(), secrets.clone(), entropy.clone());
    let vault = Arc::new(vault.audited(store.audit.clone()));
    let access = Access::new(AccessPorts {
        vault: Arc::clone(&vault),
        http: Some(Arc::clone(&http)),
        clock: Arc::clone(&clock),
        entropy,
    });
    let observed = Observed {
        blobs: Some(blobs),
        values: Some(values.clone()),
        left_out: loaded.left_out.clone(),
        version,
    };
    let protected = protected(&groups, folders, &base, &resume_file);
    Ok(Opened {
        sources: vec![store.counts.clone(), Arc::new(observed)],
        store,
        queue,
        queue_is_shared: relay.is_some(),
        relay,
        values,
        collector: Arc::new(collector),
        secrets,
        vault,
        access,
        http,
        resume,
        protected,
        clock,
        offload,
        base,
    })
}

/// The store at its address.
pub(crate) async fn store(
    groups: &Groups<'_>,
    addresses: &Addresses,
    clock: &Arc<dyn Clock>,
) -> Result<Store, Failure> {
    match addresses.storage_kind()? {
        StorageKind::Sqlite(path) => {
            let config = SqliteConfig {
                path: Some(path.clone()),
                create_folder: true,
                busy_timeout: groups.storage.busy_timeout,
                max_size: groups.storage.max_size,
                ..SqliteConfig::default()
            };
            let sqlite = Arc::new(Sqlite::open(config, Arc::clone(clock)).await?);
            Ok(Store {
                executions: sqlite.clone(),
                workflows: sqlite.clone(),
                tenants: sqlite.clone(),
                triggers: sqlite.clone(),
                credentials: sqlite.clone(),
                identities: sqlite.clone(),
                sessions: sqlite.clone(),
                audit: sqlite.clone(),
                incidents: sqlite.clone(),
                elector: sqlite.clone(),
                counts: Arc::new(Database {
                    sqlite,
                    path: path.clone(),
                }),
                file: Some(path),
            })
        }
        #[cfg(feature = "postgres")]
        StorageKind::Postgres => {
            use nebula_core::ExposeSecret as _;
            use nebula_storage_postgres::{Postgres, PostgresConfig};

            let mut config = PostgresConfig::at(addresses.storage.secret().expose_secret());
            config.roots.clone_from(&groups.connections.ca_files);
            let postgres = Arc::new(Postgres::open(config).await?);
            Ok(Store {
                executions: postgres.clone(),
                workflows: postgres.clone(),
                tenants: postgres.clone(),
                triggers: postgres.clone(),
                credentials: postgres.clone(),
                identities: postgres.clone(),
                sessions: postgres.clone(),
                audit: postgres.clone(),
                incidents: postgres.clone(),
                elector: postgres.clone(),
                counts: Arc::new(Server(postgres)),
                file: None,
            })
        }
    }
}

/// The queue, and, where other processes hear it, how they tell each other what they do.
pub(crate) struct Doorbell {
    pub(crate) queue: Arc<dyn TaskQueue>,
    pub(crate) relay: Option<Arc<dyn Relay>>,
}

/// The queue at its address. One that is shared has a queue for each group of workers, of which this process
/// hears some.
pub(crate) async fn queue(
    groups: &Groups<'_>,
    addresses: &Addresses,
    (clock, hears): (&Arc<dyn Clock>, &nebula_core::Groups),
) -> Result<Doorbell, Failure> {
    let clock = Arc::clone(clock);
    match addresses.queue_kind()? {
        QueueKind::Memory => {
            let queue = MemoryQueue::new(MemoryQueueConfig::default(), clock);
            Ok(Doorbell {
                queue: Arc::new(queue),
                relay: None,
            })
        }
        #[cfg(feature = "redis")]
        QueueKind::Redis => {
            use nebula_queue_redis::{RedisQueue, RedisQueueConfig, RedisRelay, RedisServer};

            let trusting = nebula_http_reqwest::trusting(&groups.connections.ca_files);
            let trusting = trusting.map_err(|error| {
                Failure::environment("HTTP", format!("no way out over TLS: {error}"))
            })?;
            let server = RedisServer::at(addresses.queue.secret())?.trusting(Arc::new(trusting));
            let (config, usual) = (RedisQueueConfig::default(), RedisQueueConfig::default());
            let relay = RedisRelay::new(server.clone(), &config, clock.clone())?;
            let open = move |name| {
                let name = RedisQueueConfig {
                    name,
                    ..config.clone()
                };
                let (server, clock) = (server.clone(), Arc::clone(&clock));
                Box::pin(async move {
                    let queue = RedisQueue::open(server, name, clock, &SystemEntropy).await?;
                    Ok(Arc::new(queue) as Arc<dyn TaskQueue>)
                }) as Opening
            };
            let opener = Named {
                name: usual.name,
                open,
            };
            let queue = QueueByGroup::open(Arc::new(opener), hears).await?;
            Ok(Doorbell {
                queue: Arc::new(queue),
                relay: Some(Arc::new(relay)),
            })
        }
        #[cfg(feature = "postgres")]
        QueueKind::Postgres => {
            use nebula_core::ExposeSecret as _;
            use nebula_postgres::Address;
            use nebula_queue_postgres::{PostgresQueue, PostgresQueueConfig, PostgresRelay};

            let text = addresses.queue.secret().expose_secret();
            let address = Address::parse(text, &groups.connections.ca_files);
            let address = address.map_err(|error| {
                Failure::invalid("SETTINGS", format!("`queue.address`: {error}"))
                    .advice("correct it in the settings")
            })?;
            let (config, usual) = (
                PostgresQueueConfig::default(),
                PostgresQueueConfig::default(),
            );
            let relay = PostgresRelay::new(address.clone(), &config, clock.clone())?;
            let open = move |name| {
                let name = PostgresQueueConfig {
                    name,
                    ..config.clone()
                };
                let (address, clock) = (address.clone(), Arc::clone(&clock));
                Box::pin(async move {
                    let queue = PostgresQueue::open(address, name, clock, &SystemEntropy).await?;
                    Ok(Arc::new(queue) as Arc<dyn TaskQueue>)
                }) as Opening
            };
            let opener = Named {
                name: usual.name,
                open,
            };
            let queue = QueueByGroup::open(Arc::new(opener), hears).await?;
            Ok(Doorbell {
                queue: Arc::new(queue),
                relay: Some(Arc::new(relay)),
            })
        }
    }
}

#[cfg(any(feature = "postgres", feature = "redis"))]
type Opening = BoxFuture<'static, nebula_ports::Result<Arc<dyn TaskQueue>>>;

/// Opens queues by their names: that of a group is the usual one, and the group behind it, unless it is the
/// default one.
#[cfg(any(feature = "postgres", feature = "redis"))]
struct Named<F> {
    name: String,
    open: F,
}

#[cfg(any(feature = "postgres", feature = "redis"))]
impl<F> std::fmt::Debug for Named<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

#[cfg(any(feature = "postgres", feature = "redis"))]
#[async_trait]
impl<F: Fn(String) -> Opening + Send + Sync + 'static> OpenQueue for Named<F> {
    async fn open(&self, group: &Group) -> nebula_ports::Result<Arc<dyn TaskQueue>> {
        let name = match group.is_default() {
            true => self.name.clone(),
            false => format!("{}.{group}", self.name),
        };
        (self.open)(name).await
    }
}

fn unknown(key: &str, address: &Address, known: &str) -> Failure {
    let message = match address.scheme() {
        "" => format!("`{key}` says no driver: it has no colon"),
        scheme => format!("`{key}`: this program has no driver for `{scheme}:`"),
    };
    Failure::invalid("SETTINGS", message).advice(format!("write an address such as {known}"))
}

/// Each action that a fleet has, over what runs programs of the host.
#[must_use]
pub fn actions(
    opened: &Opened,
    groups: &Groups<'_>,
    programs: Arc<dyn ProgramRunner>,
) -> Vec<Arc<dyn Action>> {
    let mut all = nebula_action_file::all(Arc::clone(&opened.offload));
    all.extend(nebula_action_http::all());
    all.extend(nebula_action_health::all(
        opened.clock.clone(),
        programs,
        groups.connections.ca_files.clone(),
    ));
    all.extend(nebula_action_incident::all(opened.store.incidents.clone()));
    all
}

/// Runs no program of the host.
#[derive(Debug)]
pub struct NoPrograms;

#[async_trait]
impl ProgramRunner for NoPrograms {
    async fn run(&self, call: ProgramCall) -> Result<ProgramEnded, ProgramError> {
        let program = call.program.path().display().to_string();
        Err(ProgramError::NotAllowed { program })
    }
}

fn file_threads() -> Result<Arc<dyn Offload>, Failure> {
    let threads = NonZeroUsize::new(FILE_THREADS).expect("the number is not zero");
    let pool = ThreadPoolOffload::new(threads).map_err(|error| {
        Failure::environment("THREADS", format!("no threads for file work: {error}"))
    })?;
    Ok(Arc::new(pool))
}

fn base(store: &Store, folders: &Folders) -> PathBuf {
    store
        .file
        .clone()
        .unwrap_or_else(|| folders.data.join("nebula"))
}

fn beside(base: &Path, suffix: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn http(groups: &Groups<'_>, clock: &Arc<dyn Clock>) -> Result<Reqwest, Failure> {
    let settings = groups.connections;
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

/// The file of secrets, and the file of their key, which need not be used.
fn secret_files(settings: &SecretsSettings, folders: &Folders) -> (PathBuf, PathBuf) {
    let usual = || folders.data.join("secrets.nebula");
    let path = settings.path.clone().unwrap_or_else(usual);
    let usual = || folders.config.join("secrets.key");
    (path, settings.key_file.clone().unwrap_or_else(usual))
}

/// The secrets; with a wrong key, none.
pub(crate) async fn secrets(
    groups: &Groups<'_>,
    folders: &Folders,
) -> Result<Arc<dyn SecretsStore>, Failure> {
    let settings = groups.secrets;
    let (path, key_file) = secret_files(settings, folders);
    let source = match settings.key()? {
        KeyFrom::File => KeySource::File(key_file),
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
    };
    let config = SecretsConfig {
        create_folders: true,
        lock_timeout: settings.lock_timeout,
        max_secrets: settings.max_secrets,
        ..SecretsConfig::file(path)
    };
    let offload = ThreadPoolOffload::new(NonZeroUsize::MIN).map_err(|error| {
        Failure::environment("THREADS", format!("no thread for secrets: {error}"))
    })?;
    let (clock, entropy) = (Arc::new(SystemClock::default()), Arc::new(SystemEntropy));
    let opened = LocalSecrets::open(config, source, clock, entropy, Arc::new(offload));
    Ok(Arc::new(opened.await?))
}

/// What no grant opens: data and settings, what lies beside the store, and the secrets.
fn protected(groups: &Groups<'_>, folders: &Folders, base: &Path, resume_file: &Path) -> Protected {
    let mut closed = Closed::default();
    closed.add(&folders.data, &[""]);
    closed.add(&folders.config, &[""]);
    closed.add(resume_file, &[""]);
    let beside = [
        "",
        "-wal",
        "-shm",
        "-holders",
        BLOBS_SUFFIX,
        TOKEN_SUFFIX,
        SETUP_SUFFIX,
    ];
    closed.add(base, &beside);
    let (secrets, key) = secret_files(groups.secrets, folders);
    for path in [secrets, key] {
        closed.add(&path, &["", ".new", ".lock"]);
    }
    let shared = [&groups.shared.blobs];
    let addresses = [&groups.storage.address_file, &groups.queue.address_file];
    for path in shared.into_iter().chain(addresses).flatten() {
        closed.add(path, &[""]);
    }
    closed.protected()
}

/// What is read of a store in a file when somebody asks for the metrics.
#[derive(Debug)]
struct Database {
    sqlite: Arc<Sqlite>,
    path: PathBuf,
}

#[async_trait]
impl Source for Database {
    async fn read(&self, reading: &mut Reading) {
        let batches = self.sqlite.batches();
        reading.count(metric::COMMITS, self.sqlite.stats().commits);
        reading.spread(metric::COMMIT_DURATION, batches.commit_micros);
        reading.spread(metric::COMMIT_BATCH, batches.writes);
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |it| it.len());
        reading.level(metric::WAL_BYTES, size(&beside(&self.path, "-wal")));
        reading.level(metric::DATABASE_BYTES, size(&self.path));
    }
}

/// What is read of a store behind a server.
#[cfg(feature = "postgres")]
#[derive(Debug)]
struct Server(Arc<nebula_storage_postgres::Postgres>);

#[cfg(feature = "postgres")]
#[async_trait]
impl Source for Server {
    async fn read(&self, reading: &mut Reading) {
        reading.count(metric::COMMITS, self.0.stats().commits);
    }
}
