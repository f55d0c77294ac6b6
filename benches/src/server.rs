//! The server of the program `nebula`, with the actions of the workflows that are measured: its router, its
//! access with an audit log, its store, and blobs beside it.
//!
//! It runs in a process of its own (`nebula-bench-server`), so that what it costs is not mixed with what
//! the load costs. It is put together as `bins/desktop/src/compose.rs` puts together that of
//! `nebula serve`, but for what no measured workflow uses: a way out over HTTP, credentials, and files.

use std::{io::Write, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula::Nebula;
use nebula_api::{Api, ApiConfig, ApiParts, Server};
use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_core::{Clock, ExposeSecret as _, TenantId};
use nebula_identity::{Identity, IdentityConfig, IdentityPorts, LocalToken};
use nebula_memory::{DEFAULT_CACHE, DEFAULT_INLINE, SpillingRepo, Values};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_resilience::CallRate;
use nebula_sandbox_inprocess::InProcess;
use nebula_secrets_local::{KeySource, LocalSecrets, SecretsConfig};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{SystemClock, SystemEntropy, SystemSpawn, ThreadPoolOffload};
use nebula_telemetry::{Reading, Source, metric};
use nebula_vault::Vault;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::Failed,
    work::{self, Stays},
};

/// The name of the database in its folder.
pub const DATABASE: &str = "engine.db";

/// How many threads touch files, as in the program.
const FILE_THREADS: usize = 4;

/// What the server says once it listens: one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listens {
    /// Its port on the loopback.
    pub port: u16,
    /// What lets in whoever sits at the machine.
    pub token: String,
}

/// Serves over the database in `folder`, new if there is none, until `stop`.
///
/// # Errors
/// There is no port or no database.
pub async fn serve(folder: &Path, stop: CancellationToken) -> Result<(), Failed> {
    let token = LocalToken::random(&SystemEntropy);
    let (nebula, api) = composed(folder, &token).await?;
    let server = Server::bind(([127, 0, 0, 1], 0).into()).await?;
    let listens = Listens {
        port: server.address().port(),
        token: token.text.expose_secret().to_owned(),
    };
    let (no_work, mut engine) = (CancellationToken::new(), JoinSet::new());
    let stopped = no_work.clone();
    engine.spawn(async move { nebula.run(stopped).await });
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(&listens)?)?;
    out.flush()?;
    server.run(&api, stop, Duration::from_secs(30)).await;
    no_work.cancel();
    while let Some(ended) = engine.join_next().await {
        ended??;
    }
    Ok(())
}

async fn composed(folder: &Path, token: &LocalToken) -> Result<(Nebula, Api), Failed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let entropy = Arc::new(SystemEntropy);
    let config = SqliteConfig::file(folder.join(DATABASE));
    let sqlite = Arc::new(Sqlite::open(config, clock.clone()).await?);
    let threads = NonZeroUsize::new(FILE_THREADS).ok_or("no threads")?;
    let offload = Arc::new(ThreadPoolOffload::new(threads)?);
    let blobs = BlobFsConfig {
        path: folder.join(format!("{DATABASE}-blobs")),
        create_folder: true,
    };
    let blobs = Arc::new(BlobFs::open(blobs, clock.clone(), offload.clone()).await?);
    let values = Values::new(blobs.clone(), DEFAULT_INLINE, DEFAULT_CACHE);
    let executions = SpillingRepo::new(sqlite.clone(), blobs, clock.clone(), DEFAULT_INLINE);
    let queue = MemoryQueue::new(MemoryQueueConfig::default(), clock.clone());
    let sandbox = Arc::new(InProcess::new(clock.clone()));
    let secrets = Arc::new(
        LocalSecrets::open(
            SecretsConfig::file(folder.join("secrets.nebula")),
            KeySource::File(folder.join("secrets.key")),
            clock.clone(),
            entropy.clone(),
            offload.clone(),
        )
        .await?,
    );
    let nebula = Nebula::builder(
        Arc::new(executions),
        sqlite.clone(),
        Arc::new(queue),
        sandbox,
    )
    .triggers(sqlite.clone())
    .values(values)
    .clock(clock.clone())
    .spawn(Arc::new(SystemSpawn))
    .actions(work::actions(Stays::NoTime))
    .metrics_source(Arc::new(Commits(sqlite.clone())))
    .build()?;
    let identity = IdentityPorts {
        identities: sqlite.clone(),
        sessions: sqlite.clone(),
        audit: sqlite.clone(),
        secrets: secrets.clone(),
        offload: offload.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let identity = Identity::new(identity, IdentityConfig::default())
        .with_local_token(TenantId::local(), token.hash);
    let vault =
        Vault::new(sqlite.clone(), secrets.clone(), entropy.clone()).audited(sqlite.clone());
    let api = Api::new(ApiParts {
        nebula: nebula.clone(),
        identity: Arc::new(identity),
        vault: Arc::new(vault),
        secrets,
        elector: sqlite.clone(),
        incidents: sqlite,
        tenant: TenantId::local(),
        clock,
        entropy,
        offload,
        vars: serde_json::Value::Null,
        folder: folder.to_owned(),
        settings: serde_json::json!({}),
        provider: None,
        config: ApiConfig {
            // All of the load is one caller, and it is to find out what the server can do.
            max_requests: CallRate::MAX_LIMIT,
            ..ApiConfig::default()
        },
    })?;
    Ok((nebula, api))
}

/// How often the database committed, among the server's metrics.
#[derive(Debug)]
struct Commits(Arc<Sqlite>);

#[async_trait]
impl Source for Commits {
    async fn read(&self, reading: &mut Reading) {
        reading.count(metric::COMMITS, self.0.stats().commits);
    }
}
