//! The connection: one for all calls of a process, made again when it is lost.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use nebula_link::Waiters;
use nebula_ports::{ErrorKind, PortError, Result};
use nebula_postgres::{Address, Client, Meaning, Param, Row, meaning, typed};
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    error::{DRIVER, ends_the_connection, no_connection, port_error},
    schema,
};

/// How long it may take to connect, and to make what the queue asks.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may take; then the connection is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a call is tried again that was in the way of another: where the database is told to isolate
/// transactions more than they need.
const MAX_TRIES: u32 = 100;

/// What is listened to.
#[derive(Debug, Clone)]
pub(crate) struct Listens {
    /// What is for all who wait for this queue.
    pub(crate) to_all_of: String,
    /// The channel on which one of those who wait here is told by its number.
    pub(crate) to_mine: String,
}

/// The way to a database. What is told, and the end of the connection, wakes those who wait.
pub(crate) struct Link {
    address: Address,
    /// To nothing where that does not work.
    listens: Option<Listens>,
    pub(crate) waiters: Arc<Waiters>,
    /// Grows with each try to connect.
    tries: AtomicU64,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    live: Option<Live>,
    /// What the last try to connect came to, if it failed.
    failed: Option<(ErrorKind, String)>,
}

#[derive(Clone)]
struct Live {
    client: Arc<Client>,
    is_alive: Arc<AtomicBool>,
    /// Reads and writes; ends with the last who has the connection.
    _carrier: Arc<JoinSet<()>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) async fn open(address: Address, listens: Option<Listens>) -> Result<Self> {
        let link = Self {
            address: address.named("nebula-queue"),
            listens,
            waiters: Arc::default(),
            tries: AtomicU64::new(0),
            current: Mutex::default(),
        };
        link.live().await?;
        Ok(link)
    }

    /// Asks one statement. It is not repeated when its answer is lost: it may have run.
    pub(crate) async fn ask(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&dyn Param],
    ) -> Result<Row> {
        let live = self.live().await?;
        let parameters = typed(parameters);
        for _ in 0..MAX_TRIES {
            let asked = live.client.query_typed(sql, &parameters);
            let Some(answer) = within(ANSWER_WITHIN, asked).await else {
                live.is_alive.store(false, SeqCst);
                return Err(self.late(operation));
            };
            match answer {
                Ok(mut rows) if rows.len() == 1 => return Ok(rows.remove(0)),
                Ok(_) => break,
                Err(error) if meaning(&error) == Meaning::Again => {}
                Err(error) => {
                    if ends_the_connection(&error) {
                        live.is_alive.store(false, SeqCst);
                    }
                    return Err(port_error(operation, &self.address.to_string(), error));
                }
            }
        }
        let said = format!("{}: others were in the way too often", self.address);
        Err(PortError::new(
            ErrorKind::Unavailable,
            DRIVER,
            operation,
            said,
        ))
    }

    fn late(&self, operation: &'static str) -> PortError {
        let said = format!(
            "{} does not answer in time: check that it is reachable and not overloaded",
            self.address
        );
        PortError::new(ErrorKind::Unavailable, DRIVER, operation, said)
    }

    /// The connection there is, or a new one. Those who come while one is made wait for that try, and
    /// share what it comes to.
    async fn live(&self) -> Result<Live> {
        let tries = self.tries.load(SeqCst);
        let mut current = self.current.lock().await;
        if let Some(live) = &current.live
            && live.is_alive.load(SeqCst)
        {
            return Ok(live.clone());
        }
        current.live = None;
        if let Some((kind, message)) = &current.failed
            && self.tries.load(SeqCst) != tries
        {
            return Err(PortError::new(*kind, DRIVER, "connect", message.clone()));
        }
        current.failed = None;
        let made = within(CONNECT_WITHIN, self.connect()).await;
        let made = made.unwrap_or_else(|| Err(self.late("connect")));
        self.tries.fetch_add(1, SeqCst);
        match &made {
            Ok(live) => current.live = Some(live.clone()),
            Err(error) => current.failed = Some((error.kind, error.message.clone())),
        }
        made
    }

    async fn connect(&self) -> Result<Live> {
        let (waiters, listens) = (Arc::clone(&self.waiters), self.listens.clone());
        let heard = move |channel: &str, said: &str| {
            let Some(listens) = &listens else { return };
            match said.parse() {
                Ok(number) if channel == listens.to_mine => waiters.tell(number),
                _ if said == listens.to_all_of => waiters.tell_all(),
                _ => {}
            }
        };
        let connected = self.address.connect_hearing(heard).await;
        let (client, connection) = connected.map_err(no_connection)?;
        let is_alive = Arc::new(AtomicBool::new(true));
        let (waiters, alive) = (Arc::clone(&self.waiters), Arc::clone(&is_alive));
        let mut carrier = JoinSet::new();
        carrier.spawn(async move {
            let _ = connection.await;
            alive.store(false, SeqCst);
            waiters.tell_all();
        });
        let address = self.address.to_string();
        schema::prepare(&client, &address).await?;
        if let Some(Listens { to_mine, .. }) = &self.listens {
            let listens = format!("LISTEN nebula_queue; LISTEN {to_mine}");
            let listens = client.batch_execute(&listens).await;
            listens.map_err(|error| port_error("connect", &address, error))?;
        }
        Ok(Live {
            client: Arc::new(client),
            is_alive,
            _carrier: Arc::new(carrier),
        })
    }
}

/// What `work` gives, if it does so within this time.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a server may be silent is a matter of this computer, also where a test keeps the time of tasks"
)]
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}
