//! What processes of a fleet tell each other, by notifications of a database.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::Clock;
use nebula_ports::{ErrorKind, Listening, PortError, Relay, RelayTopic, Result};
use nebula_postgres::{Address, Client, params, typed};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    PostgresQueueConfig,
    error::{DRIVER, ends_the_connection, no_connection, port_error},
};

/// How many bytes a message may have: what a notification may, without the name of its topic.
pub const MAX_RELAYED_BYTES: usize = 7_900;
/// How many messages wait for one who listens; then it is told that it missed some.
const KEPT: usize = 1_024;
/// How long it may take to connect, and an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often the server is asked for a sign of life where somebody only listens: a connection that is cut
/// without a word says nothing of it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A [`Relay`] over `LISTEN` and `NOTIFY`. Those of one database and one queue hear each other. Behind a pooler
/// that gives each transaction another session nobody hears anything.
#[derive(Clone)]
pub struct PostgresRelay {
    address: Address,
    channels: [String; RelayTopic::ALL.len()],
    clock: Arc<dyn Clock>,
    sends: Arc<Mutex<Option<Live>>>,
}

/// A connection, and what reads and writes on it; that ends with it.
struct Live {
    client: Client,
    _carrier: JoinSet<()>,
}

impl fmt::Debug for PostgresRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRelay")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl PostgresRelay {
    /// A relay for those who share the queue of this name. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// `Invalid`: the name of the queue is none.
    pub fn new(
        address: Address,
        config: &PostgresQueueConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        config.check()?;
        // What a database cuts off a longer name would be missing where it is compared.
        let channels = RelayTopic::ALL.map(|it| format!("nebula_{}_{}", it.as_str(), config.name));
        if let Some(long) = channels.iter().find(|it| it.len() > 63) {
            let said = format!("`{long}` is too long for a channel: shorten the name of the queue");
            return Err(PortError::new(
                ErrorKind::Invalid,
                DRIVER,
                "open the relay",
                said,
            ));
        }
        Ok(Self {
            address: address.named("nebula-relay"),
            channels,
            clock,
            sends: Arc::default(),
        })
    }

    fn channel(&self, topic: RelayTopic) -> &str {
        &self.channels[topic as usize]
    }

    fn error(&self, operation: &'static str, error: nebula_postgres::Error) -> PortError {
        port_error(operation, &self.address.to_string(), error)
    }

    /// What `work` gives, if the server answers in time.
    async fn within<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(ANSWER_WITHIN) => {
                let said = format!("{} does not answer in time", self.address);
                Err(PortError::new(ErrorKind::Unavailable, DRIVER, operation, said))
            }
        }
    }

    /// A connection that hands what it is notified of to `heard`, and says when it ends.
    async fn connect(
        &self,
        heard: impl FnMut(&str, &str) + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Live> {
        let connecting = async {
            let connected = self.address.connect_hearing(heard).await;
            let (client, connection) = connected.map_err(no_connection)?;
            let mut carrier = JoinSet::new();
            carrier.spawn(async move {
                let _ = connection.await;
                ended();
            });
            Ok(Live {
                client,
                _carrier: carrier,
            })
        };
        self.within("connect", connecting).await
    }
}

#[async_trait]
impl Relay for PostgresRelay {
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
        let live = match sends.take() {
            Some(live) => live,
            None => self.connect(|_, _| {}, || {}).await?,
        };
        let channel = self.channel(topic);
        let parameters = params![channel, message];
        let parameters = typed(parameters);
        let mut is_over = false;
        let asked = async {
            let asked = live
                .client
                .query_typed("SELECT pg_notify($1, $2)", &parameters);
            asked.await.map_err(|error| {
                is_over = ends_the_connection(&error);
                self.error("send", error)
            })
        };
        let sent = self.within("send", asked).await;
        if sent.is_ok() || !is_over && !live.client.is_closed() {
            *sends = Some(live);
        }
        sent.map(|_| ())
    }

    async fn listen(&self, topics: &[RelayTopic]) -> Result<Box<dyn Listening>> {
        let (messages, heard) = mpsc::channel(KEPT);
        // What ends it lets go of the sender, which wakes whoever waits for the next message.
        let messages = Arc::new(parking_lot::Mutex::new(Some(messages)));
        let (channels, ends) = (self.channels.clone(), Arc::clone(&messages));
        let live = self
            .connect(
                move |channel, text| {
                    let Some(at) = channels.iter().position(|it| it == channel) else {
                        return;
                    };
                    let mut messages = messages.lock();
                    let message = (RelayTopic::ALL[at], text.to_owned());
                    let sent = messages.as_ref().map(|it| it.try_send(message));
                    if sent.is_none_or(|sent| sent.is_err()) {
                        *messages = None;
                    }
                },
                move || *ends.lock() = None,
            )
            .await?;
        let listens = topics
            .iter()
            .map(|it| format!("LISTEN \"{}\"", self.channel(*it)));
        let listens = listens.collect::<Vec<_>>().join("; ");
        let listening = async {
            let done = live.client.batch_execute(&listens).await;
            done.map_err(|error| self.error("listen", error))
        };
        self.within("listen", listening).await?;
        Ok(Box::new(Ear {
            heard,
            live,
            relay: self.clone(),
        }))
    }
}

struct Ear {
    heard: mpsc::Receiver<(RelayTopic, String)>,
    live: Live,
    relay: PostgresRelay,
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear")
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Listening for Ear {
    async fn next(&mut self) -> Option<(RelayTopic, String)> {
        loop {
            tokio::select! {
                biased;
                heard = self.heard.recv() => return heard,
                () = self.relay.clock.sleep(SIGN_OF_LIFE) => {
                    let alive = async {
                        let asked = self.live.client.batch_execute("SELECT 1").await;
                        asked.map_err(|error| self.relay.error("listen", error))
                    };
                    if self.relay.within("listen", alive).await.is_err() {
                        return None;
                    }
                }
            }
        }
    }
}
