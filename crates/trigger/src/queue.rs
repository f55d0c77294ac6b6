//! Triggers that listen to queues elsewhere, as a definition has them.

use nebula_core::Digest;
use serde_json::{Map, Value, json};

use crate::{FieldError, Intake, intake::INTAKE, reader::Reader};

/// The longest topic filter, in bytes.
pub const MAX_TOPIC_FILTER: usize = 1_000;
/// The most characters of who listens: what every broker takes.
const CONSUMER: usize = 23;

const FIELDS: [&str; 8] = [
    "broker", "topics", "qos", "user", "secret", "payload", "dedupe", "requires",
];

/// To what a trigger listens, and what it takes of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Where the broker is: `host:port`.
    pub address: String,
    /// Whether over TLS.
    pub tls: bool,
    /// Topic filters.
    pub topics: Vec<String>,
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
    /// Reads the fields of a trigger of the type `mqtt`; `None` for another type.
    ///
    /// | field | |
    /// |---|---|
    /// | `broker` | `mqtt://host[:1883]` or `mqtts://host[:8883]`, and needed |
    /// | `topics` | topic filters, and needed |
    /// | `qos` | 1 or 0 |
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
        if kind != "mqtt" {
            return None;
        }
        let mut reader = Reader::new(fields);
        reader.refuse_others(FIELDS.into_iter().chain(INTAKE));
        let (address, tls) = reader.broker();
        let kinds = [
            ("text", PayloadKind::Text),
            ("json", PayloadKind::Json),
            ("base64", PayloadKind::Base64),
        ];
        let queue = Self {
            address,
            tls,
            topics: reader.topics(),
            keeps: reader.qos(),
            login: reader.login(),
            payload: reader.choice("payload", &kinds),
            dedupe: reader.text("dedupe").map(str::to_owned),
            requires: reader.requires(),
            intake: Intake::read(&mut reader),
        };
        if queue.dedupe.is_some() && queue.intake.gather.is_some() {
            let message = "`dedupe` starts one execution for a value, and `debounce` and `batch` one for several";
            reader.wrong("dedupe", message);
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
        let how = json!([self.address, self.tls, self.topics, self.keeps]);
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
        let payload: Value = match self.payload {
            PayloadKind::Json => serde_json::from_slice(payload)
                .map_err(|error| format!("a message of `{topic}` is no JSON: {error}"))?,
            PayloadKind::Text => std::str::from_utf8(payload)
                .map_err(|_| {
                    format!(
                        "a message of `{topic}` is no text in UTF-8; `payload: base64` takes it"
                    )
                })?
                .into(),
            PayloadKind::Base64 => {
                use base64::Engine as _;
                base64::engine::general_purpose::STANDARD
                    .encode(payload)
                    .into()
            }
        };
        Ok(json!({ "topic": topic, "payload": payload, "redelivered": again, "retained": kept }))
    }
}

impl Reader<'_> {
    fn broker(&mut self) -> (String, bool) {
        let Some(text) = self.needed("broker", "broker: mqtts://mqtt.example") else {
            return Default::default();
        };
        let (rest, tls) = match (text.strip_prefix("mqtt://"), text.strip_prefix("mqtts://")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            (None, None) => {
                self.wrong(
                    "broker",
                    "it begins with `mqtt://`, or with `mqtts://` for TLS",
                );
                return Default::default();
            }
        };
        let port = if tls { 8883 } else { 1883 };
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
            let message = "expected a host and perhaps a port, and nothing else, like `mqtts://mqtt.example:8883`; user and password have fields of their own";
            self.wrong("broker", message);
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
