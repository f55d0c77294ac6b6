//! The connection: one for all calls of a process, made again when it is lost.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use nebula_core::Clock;
use nebula_link::Waiters;
use nebula_ports::{ErrorKind, PortError, Result};
use redis::{
    AsyncConnectionConfig, FromRedisValue, PushInfo, PushKind, RedisError, ScriptInvocation, Value,
    aio::MultiplexedConnection,
};
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    RedisServer,
    error::{DRIVER, ends_the_connection, port_error},
    server,
};

/// How long it may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may take; then the connection is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The way to a server. What it pushes is for those who wait: a number for one of them, or else for all, as
/// that it is gone.
pub(crate) struct Link {
    server: RedisServer,
    channels: [String; 2],
    clock: Arc<dyn Clock>,
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
    connection: MultiplexedConnection,
    is_alive: Arc<AtomicBool>,
    /// Reads and writes; ends with the last who has the connection.
    _carrier: Arc<JoinSet<()>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Connects to the server, and listens to these channels.
    pub(crate) async fn open(
        server: RedisServer,
        channels: [String; 2],
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let link = Self {
            server,
            channels,
            clock,
            waiters: Arc::default(),
            tries: AtomicU64::new(0),
            current: Mutex::default(),
        };
        link.live().await?;
        Ok(link)
    }

    /// Runs a script once. It is not repeated when its answer is lost: it may have run.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T> {
        let mut live = self.live().await?;
        let answer = script.invoke_async(&mut live.connection).await;
        answer.map_err(|error| self.failed(operation, &live, error))
    }

    fn failed(&self, operation: &'static str, live: &Live, error: RedisError) -> PortError {
        if ends_the_connection(&error) {
            live.is_alive.store(false, SeqCst);
        }
        port_error(operation, self.server.shown(), error)
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
        let made = tokio::select! {
            biased;
            made = self.connect() => made,
            () = self.clock.sleep(CONNECT_WITHIN) => Err(self.error(io::Error::from(io::ErrorKind::TimedOut).into())),
        };
        self.tries.fetch_add(1, SeqCst);
        match &made {
            Ok(live) => current.live = Some(live.clone()),
            Err(error) => current.failed = Some((error.kind, error.message.clone())),
        }
        made
    }

    async fn connect(&self) -> Result<Live> {
        let is_alive = Arc::new(AtomicBool::new(true));
        let (waiters, alive) = (Arc::clone(&self.waiters), Arc::clone(&is_alive));
        let heard = move |push: PushInfo| {
            match push.kind {
                PushKind::Disconnection => {
                    alive.store(false, SeqCst);
                    waiters.tell_all();
                }
                PushKind::Message => match told(&push) {
                    Some(number) => waiters.tell(number),
                    None => waiters.tell_all(),
                },
                _ => {}
            }
            Ok::<_, redis::aio::SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_push_sender(heard);
        let stream = self.server.reach().await?;
        let made = MultiplexedConnection::new_with_config(self.server.settings(), stream, config);
        let (mut connection, carries) = made.await.map_err(|error| self.error(error))?;
        let mut carrier = JoinSet::new();
        carrier.spawn(carries);
        // One after the other server may stand behind an address: each is looked at.
        let info = redis::cmd("INFO");
        let info: Result<String, _> = info.query_async(&mut connection).await;
        let info = info.map_err(|error| self.error(error))?;
        server::check(self.server.shown(), &info)?;
        // Whoever looks into the queue over this connection already hears what comes behind that.
        let subscribed = connection.subscribe(&self.channels).await;
        subscribed.map_err(|error| self.error(error))?;
        Ok(Live {
            connection,
            is_alive,
            _carrier: Arc::new(carrier),
        })
    }

    fn error(&self, error: RedisError) -> PortError {
        port_error("connect", self.server.shown(), error)
    }
}

/// Who is meant by a message; all who wait, where it is nobody.
fn told(push: &PushInfo) -> Option<u64> {
    // The channel, and what was said.
    let Value::BulkString(said) = push.data.get(1)? else {
        return None;
    };
    std::str::from_utf8(said).ok()?.parse().ok()
}
