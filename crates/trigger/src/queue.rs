//! Triggers that listen to queues elsewhere, as a definition has them.

use std::collections::BTreeSet;

use nebula_core::Digest;
use serde_json::{Map, Value, json};

use crate::{FieldError, Intake, intake::INTAKE, reader::Reader};

/// The longest topic filter, in bytes.
pub const MAX_TOPIC_FILTER: usize = 1_000;
/// The most characters of who listens: what every broker takes.
const CONSUMER: usize = 23;

/// To how many streams one trigger listens.
pub const MAX_STREAMS: usize = 16;
/// The longest name of a stream or a group, in bytes.
pub const MAX_STREAM_NAME: usize = 1_000;

const MQTT: [&str; 8] = [
    "broker", "topics", "qos", "user", "secret", "payload", "dedupe", "requires",
];
const REDIS: [&str; 9] = [
    "server", "streams", "group", "from", "user", "secret", "payload", "dedupe", "requires",
];
/// By what an entry of a stream is known: not by its id alone, since a stream that was emptied may give it again.
const SAME_ENTRY: &str = "[$trigger.stream, $trigger.entry, $trigger.payload]";

/// Of which kind a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueKind {
    /// A broker of MQTT: triggers of the type `mqtt`.
    Mqtt,
    /// Streams of a Redis: triggers of the type `redis`.
    Redis,
}

impl QueueKind {
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "mqtt" => Some(Self::Mqtt),
            "redis" => Some(Self::Redis),
            _ => None,
        }
    }

    /// The type of triggers that listen to it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Redis => "redis",
        }
    }
}

/// To what a trigger listens, and what it takes of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Of which kind it is.
    pub kind: QueueKind,
    /// Where the broker or server is: `host:port`.
    pub address: String,
    /// Whether over TLS.
    pub tls: bool,
    /// Topic filters, or streams.
    pub topics: Vec<String>,
    /// The group of consumers that shares what comes; without it, it is the trigger's own.
    pub group: Option<String>,
    /// Whether what the queue has had before is wanted, too.
    pub from_start: bool,
    /// Whether the broker keeps what comes while nobody listens, and brings again what was not taken.
    pub keeps: bool,
    /// As whom it is connected, and the id of the secret that proves it.
    pub login: Option<(String, String)>,
    /// What payloads are.
    pub payload: PayloadKind,
    /// An expression over `$trigger`: what has a value that was there in the last days starts nothing.
    pub dedupe: Option<String>,
    /// What is to be granted beside the broker's own address: `net:` of the range in which it is.
    pub requires: Vec<String>,
    /// What it takes of what comes.
    pub intake: Intake,
}

/// What the payload of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadKind {
    /// JSON.
    Json,
    /// Text in UTF-8.
    #[default]
    Text,
    /// Bytes, which are shown in base64.
    Base64,
}

impl Queue {
    /// Reads the fields of a trigger of the type `mqtt` or `redis`; `None` for another type.
    ///
    /// | field | |
    /// |---|---|
    /// | `broker` | `mqtt://host[:1883]` or `mqtts://host[:8883]`, and needed |
    /// | `topics` | topic filters, and needed |
    /// | `qos` | 1 or 0 |
    /// | `server` | of `redis`: `redis://host[:6379]` or `rediss://host[:6379]`, and needed |
    /// | `streams` | the names of streams, and needed |
    /// | `group` | of whoever shares what comes |
    /// | `from` | `new` or `start` |
    /// | `user`, `secret` | as whom; the secret is named by its id |
    /// | `payload` | `text`, `json` or `base64` |
    /// | `dedupe` | an expression over `$trigger` |
    /// | `requires` | `net:` capabilities |
    /// | `filter`, `key`, `debounce`, `batch` | as those of [`Intake`] |
    ///
    /// # Errors
    /// Inside, every [`FieldError`].
    #[must_use]
    pub fn read(kind: &str, fields: &Map<String, Value>) -> Option<Result<Self, Vec<FieldError>>> {
        let kind = QueueKind::of(kind)?;
        let mut reader = Reader::new(fields);
        let own = match kind {
            QueueKind::Mqtt => &MQTT[..],
            QueueKind::Redis => &REDIS,
        };
        reader.refuse_others(own.iter().copied().chain(INTAKE));
        let ((address, tls), topics) = match kind {
            QueueKind::Mqtt => (reader.broker(), reader.topics()),
            QueueKind::Redis => (reader.server(), reader.streams()),
        };
        let kinds = [
            ("text", PayloadKind::Text),
            ("json", PayloadKind::Json),
            ("base64", PayloadKind::Base64),
        ];
        let mut queue = Self {
            kind,
            address,
            tls,
            topics,
            group: reader.group(),
            from_start: reader.choice("from", &[("new", false), ("start", true)]),
            keeps: reader.qos(),
            login: match kind {
                QueueKind::Mqtt => reader.login(),
                QueueKind::Redis => reader.login_or_default(),
            },
            payload: reader.choice("payload", &kinds),
            dedupe: reader.text("dedupe").map(str::to_owned),
            requires: reader.requires(),
            intake: Intake::read(&mut reader),
        };
        if queue.dedupe.is_some() && queue.intake.gather.is_some() {
            let message = "`dedupe` starts one execution for a value, and `debounce` and `batch` one for several";
            reader.wrong("dedupe", message);
        }
        if kind == QueueKind::Redis && queue.intake.gather.is_none() {
            queue.dedupe.get_or_insert_with(|| SAME_ENTRY.to_owned());
        }
        let errors = reader.errors();
        Some(match errors.is_empty() {
            true => Ok(queue),
            false => Err(errors),
        })
    }

    /// To what it listens, in words: another one begins anew.
    #[must_use]
    pub fn pace(&self) -> String {
        let how = match self.kind {
            QueueKind::Mqtt => json!([self.address, self.tls, self.topics, self.keeps]),
            QueueKind::Redis => {
                json!([
                    "redis",
                    self.address,
                    self.tls,
                    self.topics,
                    self.group,
                    self.from_start
                ])
            }
        };
        format!("messages of {how}")
    }

    /// Who listens, for the broker: the same for one trigger as long as it listens to the same.
    #[must_use]
    pub fn consumer(&self, tenant: &str, workflow: &str, trigger: &str) -> String {
        let pace = self.pace();
        let parts = [tenant, workflow, trigger, &pace].map(str::as_bytes);
        let mut name = format!("nebula{}", Digest::of_parts(&parts));
        name.truncate(CONSUMER);
        name
    }

    /// What a message is told as.
    ///
    /// # Errors
    /// Why its payload is not what it should be; the text is for people.
    pub fn told(
        &self,
        topic: &str,
        payload: &[u8],
        again: bool,
        kept: bool,
    ) -> Result<Value, String> {
        let payload = self.value(&format!("a message of `{topic}`"), payload)?;
        Ok(json!({ "topic": topic, "payload": payload, "redelivered": again, "retained": kept }))
    }

    /// What an entry of a stream is told as: an object with its fields, where one that comes several times is a
    /// list.
    ///
    /// # Errors
    /// Why a field is not what it should be; the text is for people.
    pub fn told_entry<'a>(
        &self,
        (stream, entry): (&str, &str),
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        again: bool,
    ) -> Result<Value, String> {
        let mut payload: Map<String, Value> = Map::new();
        let mut several = BTreeSet::new();
        for (name, value) in fields {
            let name = std::str::from_utf8(name).map_err(|_| {
                format!(
                    "the entry {entry} of `{stream}` has a field whose name is no text in UTF-8"
                )
            })?;
            let of = format!("the field `{name}` of the entry {entry} of `{stream}`");
            let value = self.value(&of, value)?;
            match payload.get_mut(name) {
                None => {
                    payload.insert(name.to_owned(), value);
                }
                Some(Value::Array(all)) if several.contains(name) => all.push(value),
                Some(first) => {
                    several.insert(name);
                    *first = Value::Array(vec![first.take(), value]);
                }
            }
        }
        Ok(json!({ "stream": stream, "entry": entry, "payload": payload, "redelivered": again }))
    }

    fn value(&self, of: &str, bytes: &[u8]) -> Result<Value, String> {
        Ok(match self.payload {
            PayloadKind::Json => serde_json::from_slice(bytes)
                .map_err(|error| format!("{of} is no JSON: {error}"))?,
            PayloadKind::Text => std::str::from_utf8(bytes)
                .map_err(|_| format!("{of} is no text in UTF-8; `payload: base64` takes it"))?
                .into(),
            PayloadKind::Base64 => {
                use base64::Engine as _;
                let engine = base64::engine::general_purpose::STANDARD;
                engine.encode(bytes).into()
            }
        })
    }
}

impl Reader<'_> {
    fn broker(&mut self) -> (String, bool) {
        self.place("broker", ["mqtt", "mqtts"], [1883, 8883])
    }

    fn server(&mut self) -> (String, bool) {
        self.place("server", ["redis", "rediss"], [6379, 6379])
    }

    /// A host and a port, and whether it is asked over TLS, with the second of the schemes and ports.
    fn place(
        &mut self,
        field: &'static str,
        [plain, secure]: [&str; 2],
        ports: [u16; 2],
    ) -> (String, bool) {
        let such = format!("{field}: {secure}://{plain}.example");
        let Some(text) = self.needed(field, &such) else {
            return Default::default();
        };
        let of = |scheme: &str| text.strip_prefix(&format!("{scheme}://"));
        let (rest, tls) = match (of(plain), of(secure)) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            (None, None) => {
                let message = format!("it begins with `{plain}://`, or with `{secure}://` for TLS");
                self.wrong(field, message);
                return Default::default();
            }
        };
        let port = ports[usize::from(tls)];
        // An address of version 6 stands in brackets.
        let has_port = rest
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        let address = match has_port {
            true => rest.to_owned(),
            false => format!("{rest}:{port}"),
        };
        let number = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        let strange = |it: char| it.is_whitespace() || "/@?#\\".contains(it);
        if rest.is_empty() || number.is_none_or(|port| port == 0) || rest.contains(strange) {
            let message = format!(
                "expected a host and perhaps a port, and nothing else, like `{secure}://{plain}.example:{port}`; user and password have fields of their own"
            );
            self.wrong(field, message);
        }
        (address, tls)
    }

    fn topics(&mut self) -> Vec<String> {
        if self.get("topics").is_none() {
            self.wrong(
                "topics",
                "it is missing; write it like `topics: [sensors/+/temperature]`",
            );
        }
        let topics = self.list("topics");
        for topic in &topics {
            if !is_filter(topic) {
                let topic: String = topic.chars().take(60).collect();
                let message = format!(
                    "`{topic}` is no topic filter: 1 to {MAX_TOPIC_FILTER} bytes, `+` stands for a whole level, and `#` for the rest, at the end"
                );
                self.wrong("topics", message);
            }
        }
        topics.into_iter().map(str::to_owned).collect()
    }

    fn streams(&mut self) -> Vec<String> {
        if self.get("streams").is_none() {
            self.wrong(
                "streams",
                "it is missing; write it like `streams: [orders]`",
            );
        }
        let streams = self.list("streams");
        if streams.len() > MAX_STREAMS {
            let message = format!("a trigger listens to at most {MAX_STREAMS} streams");
            self.wrong("streams", message);
        }
        let each: BTreeSet<_> = streams.iter().collect();
        if each.len() < streams.len() {
            self.wrong("streams", "each stream is named once");
        }
        if streams.iter().any(|it| !is_name(it)) {
            let message = format!("the name of a stream has 1 to {MAX_STREAM_NAME} bytes");
            self.wrong("streams", message);
        }
        streams.into_iter().map(str::to_owned).collect()
    }

    fn group(&mut self) -> Option<String> {
        let group = self.text("group")?;
        if !is_name(group) {
            let message = format!("the name of a group has 1 to {MAX_STREAM_NAME} bytes");
            self.wrong("group", message);
        }
        Some(group.to_owned())
    }

    /// As whom, where there is a user for those who name none.
    fn login_or_default(&mut self) -> Option<(String, String)> {
        match (self.text("user"), self.text("secret")) {
            (user, Some(secret)) => Some((user.unwrap_or("default").to_owned(), secret.to_owned())),
            (Some(_), None) => {
                let message = "it needs `secret`, the id of the secret with the password";
                self.wrong("user", message);
                None
            }
            (None, None) => None,
        }
    }

    fn qos(&mut self) -> bool {
        match self.get("qos").map(Value::as_u64) {
            None | Some(Some(1)) => true,
            Some(Some(0)) => false,
            Some(_) => {
                let message = "expected 1 (each is taken until it is kept here) or 0 (what comes while nobody listens is gone)";
                self.wrong("qos", message);
                true
            }
        }
    }

    fn login(&mut self) -> Option<(String, String)> {
        match (self.text("user"), self.text("secret")) {
            (Some(user), Some(secret)) => Some((user.to_owned(), secret.to_owned())),
            (None, None) => None,
            _ => {
                self.wrong(
                    "user",
                    "`user` and `secret`, the id of the secret with the password, go together",
                );
                None
            }
        }
    }

    fn requires(&mut self) -> Vec<String> {
        let requires = self.list("requires");
        if requires.iter().any(|it| !it.starts_with("net:")) {
            self.wrong(
                "requires",
                "expected `net:` capabilities, like `net:10.0.0.0/8`",
            );
        }
        requires.into_iter().map(str::to_owned).collect()
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_STREAM_NAME).contains(&name.len())
}

/// Whether a text is a topic filter (MQTT 3.1.1, 4.7). What brokers keep for themselves is as they say.
fn is_filter(filter: &str) -> bool {
    let levels = filter.split('/').count();
    let fits = |(place, level): (usize, &str)| match level {
        "#" => place + 1 == levels,
        "+" => true,
        level => !level.contains(['#', '+']),
    };
    (1..=MAX_TOPIC_FILTER).contains(&filter.len())
        && !filter.contains('\0')
        && filter.split('/').enumerate().all(fits)
}
