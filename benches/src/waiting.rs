//! Executions that wait: what they cost while nothing happens, and how long it takes until many of
//! them that are due at the same moment have ended.

use std::{path::Path, time::Duration};

use nebula::{
    engine::Installed,
    execution::{StartOptions, Status},
    ports::ExecutionFilter,
    telemetry::{Bus, EventKind},
};
use nebula_core::{Clock, TenantId, Timestamp};
use nebula_storage_sqlite::SqliteStats;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Samples,
    engine::{Failed, Running, Setup, next},
    work,
};

/// How many callers start executions at the same time.
const CLIENTS: u64 = 64;

/// Room for every event of one wave: a watcher that is behind must lose none.
const BUS: usize = 1 << 18;

/// How often one looks whether everything waits.
const LOOK: Duration = Duration::from_millis(50);

/// An engine over a new database, with its worker and its sweep running.
#[derive(Debug)]
pub struct Sleepers {
    running: Running,
    installed: Installed,
}

/// What waking many at once gave.
#[derive(Debug)]
pub struct Woken {
    /// From the moment at which all were due to the end of the last.
    pub took: Duration,
    /// From that moment to the end of each.
    pub latency: Samples,
    /// What the driver had done at the end, and at that moment.
    pub stats: (SqliteStats, SqliteStats),
}

impl Sleepers {
    /// An engine with the settings that it has where nobody gives any.
    ///
    /// # Errors
    /// The database cannot be opened.
    ///
    /// # Panics
    /// When the definition is wrong.
    pub async fn open(folder: &Path) -> Result<Self, Failed> {
        let setup = Setup {
            bus: Bus::new(BUS),
            ..Setup::default()
        };
        let running = Running::open_with(folder, setup).await?;
        let definition = json!({ "nodes": [
            { "id": "wait", "action": "flow.wait", "parameters": { "until": "{{ $input.until }}" } },
            { "id": "done", "action": "data.set", "parameters": { "customer": "{{ $input.customer }}" } },
        ] });
        let installed = running.install(&work::parsed(&definition)).await?;
        Ok(Self { running, installed })
    }

    /// Starts `count` executions that wait until `until`, and comes back when all of them wait and
    /// nobody holds them; says how long that took.
    ///
    /// # Errors
    /// The store failed.
    ///
    /// # Panics
    /// When an execution is refused.
    pub async fn start(&self, count: u64, until: Timestamp) -> Result<Duration, Failed> {
        let begin = self.running.clock.monotonic();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS.min(count) {
            let (nebula, installed) = (self.running.nebula.clone(), self.installed.clone());
            let mine = count / CLIENTS + u64::from(client < count % CLIENTS);
            clients.spawn(async move {
                let tenant = TenantId::local();
                for _ in 0..mine {
                    let input = json!({ "customer": "c-1024", "until": until.to_string() });
                    let options = StartOptions::default();
                    let started = nebula.start(&tenant, &installed, input, options);
                    started.await.expect("it starts");
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client?;
        }
        while self.any(&[Status::Queued, Status::Running]).await? {
            self.running.clock.sleep(LOOK).await;
        }
        Ok(self.running.clock.monotonic().saturating_sub(begin))
    }

    async fn any(&self, statuses: &[Status]) -> Result<bool, Failed> {
        let filter = ExecutionFilter {
            statuses: statuses.to_vec(),
            ..ExecutionFilter::default()
        };
        let engine = self.running.nebula.engine();
        let page = engine.list(&TenantId::local(), &filter, None, 1).await?;
        Ok(!page.items.is_empty())
    }

    /// Starts `count` executions that are all due at one moment, `ahead` from now, and waits for
    /// the end of all. `None` if not all of them were asleep at that moment.
    ///
    /// # Errors
    /// The store failed, or events were lost.
    pub async fn wake(&self, count: u64, ahead: Duration) -> Result<Option<Woken>, Failed> {
        let due = self.running.clock.now().plus(ahead);
        let mut watcher = self.running.nebula.bus().subscribe();
        self.start(count, due).await?;
        let now = self.running.clock.now();
        if now >= due {
            return Ok(None);
        }
        self.running.clock.sleep(due.since(now)).await;
        let before = self.running.store.stats();
        let (begin, mut latency, mut last) = (
            self.running.clock.monotonic(),
            Samples::default(),
            Duration::ZERO,
        );
        for _ in 0..count {
            next(&mut watcher, |it| {
                matches!(it.kind, EventKind::Ended { .. })
            })
            .await?;
            last = self.running.clock.monotonic().saturating_sub(begin);
            latency.add(last);
        }
        Ok(Some(Woken {
            took: last,
            latency,
            stats: (before, self.running.store.stats()),
        }))
    }

    /// The bytes of the database's pages, whether they stand in its file or still in its log.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn bytes(&self) -> rusqlite::Result<u64> {
        let db = rusqlite::Connection::open(&self.running.path)?;
        let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        Ok(u64::try_from(pages * pragma("page_size")?).unwrap_or(0))
    }

    /// Stops the worker.
    ///
    /// # Errors
    /// The worker failed.
    pub async fn stop(self) -> Result<(), Failed> {
        self.running.stop().await
    }
}
