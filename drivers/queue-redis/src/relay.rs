//! What processes of a fleet tell each other, over the channels of a server.

use std::{fmt, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::Clock;
use nebula_ports::{ErrorKind, Listening, PortError, Relay, RelayTopic, Result};
use redis::{
    AsyncConnectionConfig, FromRedisValue as _, PushInfo, PushKind, aio::MultiplexedConnection,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    RedisQueueConfig, RedisServer,
    error::{DRIVER, ends_the_connection, port_error},
};

/// How many bytes a message may have.
pub const MAX_RELAYED_BYTES: usize = 256 * 1024;
/// How many messages wait for one who listens; then it is told that it missed some.
const KEPT: usize = 1_024;
/// How long it may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may take; then the connection is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often the server is asked for a sign of life where somebody only listens: a connection that is cut
/// without a word says nothing of it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A [`Relay`] over publish and subscribe. Those of one server and one queue hear each other, whatever the
/// database in their addresses.
#[derive(Clone)]
pub struct RedisRelay {
    server: RedisServer,
    channels: [String; RelayTopic::ALL.len()],
    clock: Arc<dyn Clock>,
    sends: Arc<Mutex<Option<Live>>>,
}

/// A connection, and what reads and writes on it; that ends with it.
struct Live {
    connection: MultiplexedConnection,
    _carrier: JoinSet<()>,
}

impl fmt::Debug for RedisRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRelay")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl RedisRelay {
    /// A relay for those who share the queue of this name. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// `Invalid`: the name of the queue is none.
    pub fn new(
        server: RedisServer,
        config: &RedisQueueConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        config.check()?;
        let channels = RelayTopic::ALL.map(|it| format!("nebula:{}:{}", config.name, it.as_str()));
        Ok(Self {
            server,
            channels,
            clock,
            sends: Arc::default(),
        })
    }

    fn channel(&self, topic: RelayTopic) -> &str {
        &self.channels[topic as usize]
    }

    fn error(&self, operation: &'static str, error: redis::RedisError) -> PortError {
        port_error(operation, self.server.shown(), error)
    }

    /// A connection that hands what the server pushes to `heard`.
    async fn connect(&self, heard: impl Fn(PushInfo) + Send + Sync + 'static) -> Result<Live> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_push_sender(move |push| {
                heard(push);
                Ok::<_, redis::aio::SendError>(())
            });
        let connecting = async {
            let stream = self.server.reach().await?;
            let made =
                MultiplexedConnection::new_with_config(self.server.settings(), stream, config);
            let (connection, carries) = made.await.map_err(|error| self.error("connect", error))?;
            let mut carrier = JoinSet::new();
            carrier.spawn(carries);
            Ok(Live {
                connection,
                _carrier: carrier,
            })
        };
        tokio::select! {
            biased;
            live = connecting => live,
            () = self.clock.sleep(CONNECT_WITHIN) => {
                Err(self.error("connect", io::Error::from(io::ErrorKind::TimedOut).into()))
            }
        }
    }
}

#[async_trait]
impl Relay for RedisRelay {
    fn longest(&self) -> usize {
        MAX_RELAYED_BYTES
    }

    async fn send(&self, topic: RelayTopic, message: &str) -> Result<()> {
        if message.len() > MAX_RELAYED_BYTES {
            let length = message.len();
            let said = format!("a message has {length} bytes, and may have {MAX_RELAYED_BYTES}");
            return Err(PortError::new(ErrorKind::Invalid, DRIVER, "send", said));
        }
        // One after the other, so that they stay in order.
        let mut sends = self.sends.lock().await;
        let mut live = match sends.take() {
            Some(live) => live,
            None => self.connect(|_| {}).await?,
        };
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(self.channel(topic)).arg(message);
        let sent: Result<u64, _> = publish.query_async(&mut live.connection).await;
        match sent {
            Ok(_) => {
                *sends = Some(live);
                Ok(())
            }
            Err(error) => {
                if !ends_the_connection(&error) {
                    *sends = Some(live);
                }
                Err(self.error("send", error))
            }
        }
    }

    async fn listen(&self, topics: &[RelayTopic]) -> Result<Box<dyn Listening>> {
        let (messages, heard) = mpsc::channel(KEPT);
        let channels = self.channels.clone();
        // What ends it lets go of the sender, which wakes whoever waits for the next message.
        let messages = parking_lot::Mutex::new(Some(messages));
        let mut live = self
            .connect(move |push| {
                let mut messages = messages.lock();
                let is_taken = match push.kind {
                    PushKind::Message => message(push, &channels).is_none_or(|message| {
                        let sent = messages.as_ref().map(|it| it.try_send(message));
                        sent.is_some_and(|sent| sent.is_ok())
                    }),
                    PushKind::Disconnection => false,
                    _ => true,
                };
                if !is_taken {
                    *messages = None;
                }
            })
            .await?;
        for topic in topics {
            let subscribed = live.connection.subscribe(self.channel(*topic)).await;
            subscribed.map_err(|error| self.error("listen", error))?;
        }
        Ok(Box::new(Ear {
            heard,
            live,
            clock: Arc::clone(&self.clock),
        }))
    }
}

/// What was said, and about what; nothing if it is no message of these channels.
fn message(
    push: PushInfo,
    channels: &[String; RelayTopic::ALL.len()],
) -> Option<(RelayTopic, String)> {
    let mut data = push.data.into_iter();
    let channel = String::from_redis_value(data.next()?).ok()?;
    let message = String::from_redis_value(data.next()?).ok()?;
    let at = channels.iter().position(|it| *it == channel)?;
    Some((RelayTopic::ALL[at], message))
}

struct Ear {
    heard: mpsc::Receiver<(RelayTopic, String)>,
    live: Live,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").finish_non_exhaustive()
    }
}

#[async_trait]
impl Listening for Ear {
    async fn next(&mut self) -> Option<(RelayTopic, String)> {
        loop {
            tokio::select! {
                biased;
                heard = self.heard.recv() => return heard,
                () = self.clock.sleep(SIGN_OF_LIFE) => {
                    let ping = redis::cmd("PING");
                    let alive: redis::RedisResult<redis::Value> =
                        ping.query_async(&mut self.live.connection).await;
                    if alive.is_err() {
                        return None;
                    }
                }
            }
        }
    }
}
