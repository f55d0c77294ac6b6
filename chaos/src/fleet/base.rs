//! Looking into the database of the fleet past its programs, and past the proxy.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{Fact, InstanceId, Status, StoredEntry};
use nebula_ports::{ErrorKind, ExecutionFilter, ExecutionRepo, PortError};
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_testkit::simulation::Audit;
use tokio::runtime::Runtime;

use crate::{Failed, oracle::All, process::LOOK, store};

/// How many executions are counted at most.
const MANY: usize = 500;

/// How long a look waits for a database that is away.
const PATIENCE: Duration = Duration::from_secs(25);

/// The database.
#[derive(Debug)]
pub(crate) struct Base {
    runtime: Runtime,
    address: String,
    store: Postgres,
}

impl Base {
    pub(crate) fn open(address: String) -> Result<Self, Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let store = runtime.block_on(Postgres::open(PostgresConfig::at(address.clone())))?;
        Ok(Self {
            runtime,
            address,
            store,
        })
    }

    /// How many executions have not ended; none while nobody can say.
    pub(crate) fn open_executions(&self) -> Option<u64> {
        let statuses = Status::all();
        let filter = ExecutionFilter {
            statuses: statuses.filter(|status| !status.is_terminal()).collect(),
            ..ExecutionFilter::default()
        };
        let tenant = TenantId::local();
        let listed = ExecutionRepo::list(&self.store, &tenant, &filter, None, MANY);
        let page = self.runtime.block_on(listed).ok()?;
        Some(page.items.len() as u64)
    }

    /// The attempts under this key whose starts are committed.
    ///
    /// Waits for a database that is away: who asks is an attempt that has begun, and it waits, too.
    pub(crate) fn started(&self, id: ExecutionId, key: &str) -> Result<Vec<u32>, String> {
        let begun = Instant::now();
        loop {
            match self.entries(id) {
                Ok(entries) => {
                    let attempts = entries
                        .iter()
                        .filter_map(|stored| match &stored.entry.fact {
                            Fact::AttemptStarted {
                                key: it, attempt, ..
                            }
                            | Fact::CompensationStarted {
                                key: it, attempt, ..
                            } => (it == key).then_some(*attempt),
                            _ => None,
                        });
                    return Ok(attempts.collect());
                }
                Err(error) if is_away(&error) && begun.elapsed() < PATIENCE => {
                    thread::sleep(LOOK * 10);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn entries(&self, id: ExecutionId) -> Result<Vec<StoredEntry>, Failed> {
        self.runtime.block_on(store::journal(&self.store, id))
    }

    /// Under which key an instance acts, or is undone.
    pub(crate) fn key(
        &self,
        id: ExecutionId,
        of: &InstanceId,
        undoing: bool,
    ) -> Result<Option<String>, Failed> {
        Ok(store::key(&self.entries(id)?, of, undoing))
    }

    /// The number that the input of an execution has; that of a child is its text.
    pub(crate) fn number(&self, id: ExecutionId) -> Result<String, Failed> {
        let entries = self.entries(id)?;
        let Some(Fact::ExecutionStarted(started)) = entries.first().map(|it| &it.entry.fact) else {
            return Err(format!("{id} has no beginning").into());
        };
        let number = &started.input["n"];
        Ok(number.as_str().map_or(number.to_string(), str::to_owned))
    }

    /// Everything, held against the invariants.
    pub(crate) fn read(&self, audit: &mut Audit) -> Result<All, Failed> {
        self.runtime.block_on(store::read_all(&self.store, audit))
    }

    /// How many there are of things that must be gone when all is over, by what they are.
    pub(crate) fn left(&self) -> Result<BTreeMap<&'static str, i64>, Failed> {
        let asked = [
            (
                "executions with a holder",
                "SELECT count(*) FROM executions WHERE holder IS NOT NULL OR lease_until IS NOT NULL",
            ),
            ("slots of locks", "SELECT count(*) FROM slots"),
            (
                "executions that would be rung for",
                "SELECT count(*) FROM executions WHERE ring_key IS NOT NULL",
            ),
            (
                "executions whose place behind their journal is not behind it",
                "SELECT count(*) FROM executions e JOIN (SELECT execution, max(first_seq) AS last FROM journal GROUP BY 1) j
                 ON j.execution = e.n WHERE e.next_seq <= j.last",
            ),
        ];
        self.runtime.block_on(async {
            let address = nebula_postgres::Address::parse(&self.address, &[])?;
            let (client, connection) = address.connect().await?;
            let ask = async {
                let mut left = BTreeMap::new();
                for (what, sql) in asked {
                    left.insert(what, client.query_one(sql, &[]).await?.try_get(0)?);
                }
                Ok::<_, Failed>(left)
            };
            tokio::select! {
                left = ask => left,
                ended = connection => Err(format!("the connection ended: {ended:?}").into()),
            }
        })
    }
}

/// Whether the database does not answer now.
fn is_away(error: &Failed) -> bool {
    let error = error.downcast_ref::<PortError>();
    error.is_some_and(|error| error.kind == ErrorKind::Unavailable)
}
