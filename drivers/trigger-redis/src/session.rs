//! One consumer of one group.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{BoxFuture, Clock, Timestamp};
use nebula_ports::{Handing, Message, Messages, Payload, PortError, Result, Subscribing};
use redis::{Cmd, RedisError, Value, aio::MultiplexedConnection, cmd};
use tokio::task::JoinSet;

use crate::{
    connection::Connected,
    error::{no_group, over, refused, said},
    limited::Allowance,
    wire::{self, Entry, EntryId},
};

/// The most bytes of one answer: an entry that is larger is never taken, nor is what stands behind it.
pub const MAX_REPLY: usize = 64 << 20;
/// How many entries of a stream are read ahead.
pub const READ_AHEAD: usize = 16;
/// How long somebody of the same group has an entry before it is taken from them.
pub const CLAIM_AFTER: Duration = Duration::from_secs(60);
/// How often is looked whether somebody left entries.
pub const CLAIM_EVERY: Duration = Duration::from_secs(15);
/// How long Redis waits for something new before it says that there is nothing.
const WAIT: Duration = Duration::from_secs(5);
/// How long an answer may take beyond that.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing is asked before it is asked whether Redis is there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A connection that listens.
pub(crate) struct Session {
    connection: MultiplexedConnection,
    allowance: Allowance,
    _carrier: JoinSet<()>,
    clock: Arc<dyn Clock>,
    wanted: Subscribing,
    /// What was read and not handed over yet, each with the number of its stream.
    ready: VecDeque<(usize, Entry, bool)>,
    /// What was handed over and not acknowledged yet, by receipt.
    open: BTreeMap<u64, (usize, EntryId)>,
    receipts: u64,
    /// The last entry of each stream that was new.
    last: Vec<Option<EntryId>>,
    next: Next,
    /// When is looked again for what others left.
    claims_at: Duration,
    /// What is to be acknowledged since it is in no stream any more.
    removed: Vec<(usize, EntryId)>,
    /// Under way, also while nobody waits for it: what it takes would be lost otherwise.
    asking: Option<(Asked, BoxFuture<'static, Result<Answer>>)>,
    told: Duration,
}

type Answer = std::result::Result<Value, RedisError>;

/// What is asked next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// What this consumer was given before: of which stream, behind which entry.
    Own(usize, EntryId),
    /// What others were given and have left.
    Others(usize, EntryId),
    /// What nobody was given.
    New,
}

/// What was asked.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Removed,
    Own(usize),
    Others(usize),
    New,
}

impl Asked {
    const fn command(self) -> &'static str {
        match self {
            Self::Removed => "XACK",
            Self::Own(_) | Self::New => "XREADGROUP",
            Self::Others(_) => "XAUTOCLAIM",
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("streams", &self.wanted.names)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Makes the group of each stream where it is not there. One that knows this consumer takes up where it was.
    pub(crate) async fn begin(
        connected: Connected,
        wanted: Subscribing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut session = Self {
            connection: connected.connection,
            allowance: connected.allowance,
            _carrier: connected.carrier,
            ready: VecDeque::new(),
            open: BTreeMap::new(),
            receipts: 0,
            last: vec![None; wanted.names.len()],
            next: match wanted.handing {
                Handing::UntilAcknowledged => Next::Own(0, EntryId::FIRST),
                Handing::Once => Next::New,
            },
            claims_at: Duration::ZERO,
            removed: Vec::new(),
            asking: None,
            told: clock.monotonic(),
            wanted,
            clock,
        };
        for stream in 0..session.wanted.names.len() {
            session.make_group(stream).await?;
        }
        Ok(session)
    }

    fn group(&self) -> &str {
        let own = &self.wanted.consumer;
        self.wanted.group.as_ref().unwrap_or(own)
    }

    fn failed(&self, command: &str, error: RedisError) -> PortError {
        if self.allowance.is_used_up() {
            return refused(format!(
                "an entry of the Redis at {} has more than {MAX_REPLY} bytes: remove it with XDEL, and nothing waits behind it",
                self.wanted.address
            ));
        }
        said(&self.wanted.address, command, error)
    }

    fn strange(&self, command: &str) -> PortError {
        refused(format!(
            "the Redis at {} answers to {command} what no Redis answers",
            self.wanted.address
        ))
    }

    /// Asks, and gives up what takes longer than Redis was told to wait.
    fn ask(&mut self, command: Cmd, wait: Duration) -> BoxFuture<'static, Result<Answer>> {
        self.told = self.clock.monotonic();
        self.allowance.renew();
        let (mut connection, clock) = (self.connection.clone(), Arc::clone(&self.clock));
        let silent = over(format!("the Redis at {} is silent", self.wanted.address));
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = command.query_async(&mut connection) => Ok(answer),
                () = clock.sleep(wait + ANSWER_WITHIN) => Err(silent),
            }
        })
    }

    /// A group for this stream, unless it has it: behind what was read last, or what was there when the trigger
    /// came about, or before all.
    async fn make_group(&mut self, stream: usize) -> Result<()> {
        let name = self.wanted.names[stream].clone();
        let asks = |what: &str| {
            let mut asks = cmd("XINFO");
            asks.arg(what).arg(&name);
            asks
        };
        match self.ask(asks("GROUPS"), Duration::ZERO).await? {
            Ok(answer) => {
                let groups = wire::names(answer).ok_or_else(|| self.strange("XINFO"))?;
                if groups.iter().any(|it| it == self.group().as_bytes()) {
                    return Ok(());
                }
            }
            Err(error) if is_no_stream(&error) => {}
            Err(error) => return Err(self.failed("XINFO", error)),
        }
        let newest = match self.ask(asks("STREAM"), Duration::ZERO).await? {
            Ok(answer) => {
                let newest = wire::field(answer, "last-generated-id").and_then(wire::id);
                newest.ok_or_else(|| self.strange("XINFO"))?
            }
            Err(error) if is_no_stream(&error) => EntryId::FIRST,
            Err(error) => return Err(self.failed("XINFO", error)),
        };
        let since = self.wanted.since.map_or(0, Timestamp::as_millis);
        let since = EntryId(u64::try_from(since).unwrap_or_default(), 0);
        let behind = match self.last[stream] {
            // It is another stream of that name, which is all new.
            Some(last) if newest < last => EntryId::FIRST,
            Some(last) => last,
            // Where ids are no times, what is there now was there before.
            None => newest.min(since),
        };
        let mut makes = cmd("XGROUP");
        makes.arg("CREATE").arg(&name).arg(self.group());
        makes.arg(behind.to_string()).arg("MKSTREAM");
        match self.ask(makes, Duration::ZERO).await? {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            Err(error) => Err(self.failed("XGROUP", error)),
        }
    }

    /// What is to be asked now.
    fn question(&mut self) -> (Asked, Cmd, Duration) {
        let (group, consumer) = (self.group().to_owned(), self.wanted.consumer.clone());
        let names = &self.wanted.names;
        if let Some(&(stream, _)) = self.removed.first() {
            let mut acks = cmd("XACK");
            acks.arg(&names[stream]).arg(group);
            let of = |it: &(usize, EntryId)| it.0 == stream;
            for (_, id) in self.removed.extract_if(.., |it| of(it)) {
                acks.arg(id.to_string());
            }
            return (Asked::Removed, acks, Duration::ZERO);
        }
        let keeps = self.wanted.handing == Handing::UntilAcknowledged;
        if matches!(self.next, Next::New) && keeps && self.clock.monotonic() >= self.claims_at {
            self.next = Next::Others(0, EntryId::FIRST);
        }
        // What was given to somebody before is read one by one, so that one that is too large is alone with it.
        match self.next {
            Next::Own(stream, behind) => {
                let mut reads = cmd("XREADGROUP");
                reads
                    .arg("GROUP")
                    .arg(group)
                    .arg(consumer)
                    .arg("COUNT")
                    .arg(1);
                reads
                    .arg("STREAMS")
                    .arg(&names[stream])
                    .arg(behind.to_string());
                (Asked::Own(stream), reads, Duration::ZERO)
            }
            Next::Others(stream, from) => {
                let mut claims = cmd("XAUTOCLAIM");
                claims.arg(&names[stream]).arg(group).arg(consumer);
                claims.arg(u64::try_from(CLAIM_AFTER.as_millis()).unwrap_or(u64::MAX));
                claims.arg(from.to_string()).arg("COUNT").arg(1);
                (Asked::Others(stream), claims, Duration::ZERO)
            }
            Next::New => {
                let mut reads = cmd("XREADGROUP");
                reads
                    .arg("GROUP")
                    .arg(group)
                    .arg(consumer)
                    .arg("COUNT")
                    .arg(READ_AHEAD);
                reads
                    .arg("BLOCK")
                    .arg(u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX));
                if !keeps {
                    reads.arg("NOACK");
                }
                reads.arg("STREAMS").arg(names).arg(vec![">"; names.len()]);
                (Asked::New, reads, WAIT)
            }
        }
    }

    /// Takes in what was answered.
    fn take(&mut self, asked: Asked, answer: Value) -> Option<()> {
        match asked {
            Asked::Removed => {}
            Asked::Own(stream) => {
                let read = wire::streams(answer)?.into_iter().flat_map(|it| it.1);
                let read: Vec<_> = read.collect();
                self.next = match read.last() {
                    Some(last) => Next::Own(stream, last.id),
                    None if stream + 1 < self.wanted.names.len() => {
                        Next::Own(stream + 1, EntryId::FIRST)
                    }
                    None => Next::Others(0, EntryId::FIRST),
                };
                self.keep(stream, read, true);
            }
            Asked::Others(stream) => {
                let (from, claimed) = wire::claimed(answer)?;
                self.next = match from {
                    EntryId::FIRST if stream + 1 < self.wanted.names.len() => {
                        Next::Others(stream + 1, EntryId::FIRST)
                    }
                    EntryId::FIRST => {
                        self.claims_at = self.clock.monotonic() + CLAIM_EVERY;
                        Next::New
                    }
                    from => Next::Others(stream, from),
                };
                self.keep(stream, claimed, true);
            }
            Asked::New => {
                for (name, read) in wire::streams(answer)? {
                    let mut names = self.wanted.names.iter();
                    let stream = names.position(|it| it.as_bytes() == name)?;
                    self.last[stream] = read.last().map(|it| it.id).or(self.last[stream]);
                    self.keep(stream, read, false);
                }
            }
        }
        Some(())
    }

    fn keep(&mut self, stream: usize, entries: Vec<Entry>, again: bool) {
        for entry in entries {
            let id = entry.id;
            let ready = self.ready.iter().any(|it| (it.0, it.1.id) == (stream, id));
            if ready || self.open.values().any(|it| *it == (stream, id)) {
                // It is ours: only that it is still here was to be said.
                continue;
            }
            match entry.fields {
                Some(_) => self.ready.push_back((stream, entry, again)),
                None => self.removed.push((stream, id)),
            }
        }
    }

    fn hand_over(&mut self, (stream, entry, again): (usize, Entry, bool)) -> Message {
        let receipt = (self.wanted.handing == Handing::UntilAcknowledged).then(|| {
            self.receipts += 1;
            self.open.insert(self.receipts, (stream, entry.id));
            self.receipts
        });
        Message {
            name: self.wanted.names[stream].clone(),
            id: Some(entry.id.to_string()),
            payload: Payload::Fields(entry.fields.unwrap_or_default()),
            again,
            kept: false,
            receipt,
        }
    }
}

fn is_no_stream(error: &RedisError) -> bool {
    error.detail() == Some("no such key")
}

#[async_trait]
impl Messages for Session {
    async fn next(&mut self) -> Result<Message> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(self.hand_over(ready));
            }
            if self.asking.is_none() {
                let (asked, command, wait) = self.question();
                let asking = self.ask(command, wait);
                self.asking = Some((asked, asking));
            }
            let Some((asked, asking)) = &mut self.asking else {
                continue;
            };
            let (asked, answer) = (*asked, asking.await);
            self.asking = None;
            match answer? {
                Ok(answer) => {
                    let taken = self.take(asked, answer);
                    taken.ok_or_else(|| self.strange(asked.command()))?;
                }
                // Redis was emptied, or somebody has removed the stream or the group. Dropped in the middle of
                // this, it is found again.
                Err(error) if no_group(&error) => {
                    for stream in 0..self.wanted.names.len() {
                        self.make_group(stream).await?;
                    }
                }
                Err(error) => return Err(self.failed(asked.command(), error)),
            }
        }
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<()> {
        let Some(&(stream, id)) = self.open.get(&receipt) else {
            return Err(refused("no message has this receipt"));
        };
        let mut acks = cmd("XACK");
        acks.arg(&self.wanted.names[stream])
            .arg(self.group())
            .arg(id.to_string());
        let answer = self.ask(acks, WAIT).await?;
        answer.map_err(|error| self.failed("XACK", error))?;
        self.open.remove(&receipt);
        Ok(())
    }

    async fn keep_alive(&mut self) -> Result<()> {
        if self.clock.monotonic().saturating_sub(self.told) < KEEP_ALIVE {
            return Ok(());
        }
        let answer = self.ask(cmd("PING"), WAIT).await?;
        answer.map_err(|error| self.failed("PING", error))?;
        Ok(())
    }

    async fn leave(&mut self) -> Result<()> {
        // In a group of others, they take over what is left.
        if self.wanted.group.is_some() {
            return Ok(());
        }
        for name in self.wanted.names.clone() {
            let mut ends = cmd("XGROUP");
            ends.arg("DESTROY").arg(name).arg(&self.wanted.consumer);
            match self.ask(ends, WAIT).await? {
                Ok(_) => {}
                // The stream is gone, and the group with it.
                Err(error) if error.code() == Some("ERR") => {}
                Err(error) => return Err(self.failed("XGROUP", error)),
            }
        }
        Ok(())
    }
}
