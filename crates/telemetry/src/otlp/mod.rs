//! Export over OTLP: spans, metrics and log records, to a receiver of OpenTelemetry.
//!
//! The protocol is OTLP 1.x over HTTP with protobuf bodies
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). Spans are read from the journals of executions
//! that have ended, so that they say the same wherever and however often an execution was driven; metrics
//! are what [`Source`] says; log records are copies of log lines. What cannot be sent is counted and
//! given up: nothing waits for a receiver.

mod logs;
mod metrics;
mod send;
mod spans;
mod wire;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use nebula_action::HttpClient;
use nebula_core::{
    Clock, ExecutionId, SecretId, SecretString, TenantId, Timestamp, serde_duration,
};
use nebula_execution::EventKind;
use nebula_ports::{ExecutionRepo, Received};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::warn;

pub(crate) use logs::Copying;
pub use logs::LogCopies;

use crate::{Bus, Reading, Source, Watcher, metrics::Signal};
use send::{Sender, Undelivered};
use spans::Spans;
use wire::Resource;

/// How many executions that have ended wait for their spans to be sent; of more, there are none.
pub const MAX_PENDING: usize = 10_000;

/// How many spans one request has at most, and about how many are in memory at a time.
pub const MAX_SPANS: usize = 2_000;

/// How many entries of one journal are read for its spans; what comes later has none.
pub const MAX_ENTRIES: u64 = 100_000;

/// How often spans and log records are sent.
const EVERY: Duration = Duration::from_secs(5);

/// How many entries of a journal are read at a time.
const PAGE: usize = 500;

/// What is exported, and to where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// The receiver, without the path of a signal: `http://127.0.0.1:4318`. Nothing is exported without.
    pub endpoint: Option<String>,
    /// Whether executions are exported as traces.
    pub traces: bool,
    /// Whether metrics are exported.
    pub metrics: bool,
    /// Whether log lines are exported as records.
    pub logs: bool,
    /// Which part of the traces that begin here is exported, from 0 to 1. Of an execution that somebody
    /// started within a trace of theirs, theirs says whether it is.
    pub sample: f64,
    /// How often metrics are exported; at least a second.
    #[serde(with = "serde_duration")]
    pub metrics_every: Duration,
    /// How long one request may take.
    #[serde(with = "serde_duration")]
    pub timeout: Duration,
    /// What the receiver knows this service as: `service.name`.
    pub service: String,
    /// The secret whose value is sent as `Authorization`, such as `Bearer …`; opened by the caller.
    pub authorization: Option<SecretId>,
}

impl Default for OtlpConfig {
    /// No receiver; all signals, all traces, metrics every 30 s, 10 s a request, as `nebula`.
    fn default() -> Self {
        Self {
            endpoint: None,
            traces: true,
            metrics: true,
            logs: true,
            sample: 1.0,
            metrics_every: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            service: "nebula".to_owned(),
            authorization: None,
        }
    }
}

/// Why nothing can be exported by these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// The address of the receiver.
    #[error("otlp.endpoint: {0}; write the receiver's address, such as http://127.0.0.1:4318")]
    Endpoint(String),
    /// A number out of its range.
    #[error("otlp.{0}")]
    Range(&'static str),
    /// A header that cannot be one.
    #[error("the value of `Authorization` has characters that no header may have")]
    Authorization,
}

/// What an export is made of.
pub struct OtlpParts {
    /// The way out.
    pub client: Arc<dyn HttpClient>,
    /// The journals.
    pub executions: Arc<dyn ExecutionRepo>,
    /// Where ends are shown.
    pub bus: Bus,
    /// What the metrics are.
    pub metrics: Arc<dyn Source>,
    /// Copies of log lines, where logging makes any.
    pub logs: Option<LogCopies>,
    /// Paces the export and dates metrics.
    pub clock: Arc<dyn Clock>,
    /// The value of the secret that the settings name.
    pub authorization: Option<SecretString>,
    /// The version of the program: `service.version`.
    pub version: String,
    /// The name of this process's life: `service.instance.id`.
    pub instance: String,
}

impl fmt::Debug for OtlpParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpParts").finish_non_exhaustive()
    }
}

/// Sends what a process does to a receiver of OTLP; see [`Otlp::run`].
pub struct Otlp {
    config: OtlpConfig,
    parts: OtlpParts,
    sender: Sender,
    resource: Resource,
    /// Since when counters count.
    began: Timestamp,
    ended: Mutex<VecDeque<(TenantId, ExecutionId)>>,
    many: Notify,
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Otlp {
    /// An export to the receiver that `config` names; none where it names none.
    ///
    /// # Errors
    /// [`OtlpError`]: a setting is out of its range.
    pub fn new(config: OtlpConfig, parts: OtlpParts) -> Result<Option<Self>, OtlpError> {
        let Some(endpoint) = &config.endpoint else {
            return Ok(None);
        };
        if !(0.0..=1.0).contains(&config.sample) {
            return Err(OtlpError::Range("sample: from 0 to 1"));
        }
        if config.metrics_every < Duration::from_secs(1) {
            return Err(OtlpError::Range("metrics_every: at least 1s"));
        }
        if config.timeout.is_zero() {
            return Err(OtlpError::Range("timeout: more than 0s"));
        }
        let clock = Arc::clone(&parts.clock);
        let client = Arc::clone(&parts.client);
        let authorization = parts.authorization.as_ref();
        let sender = Sender::new(endpoint, authorization, config.timeout, (client, clock))?;
        let resource = wire::resource(&config.service, &parts.version, &parts.instance);
        Ok(Some(Self {
            began: parts.clock.now(),
            sender,
            resource,
            config,
            parts,
            ended: Mutex::default(),
            many: Notify::new(),
        }))
    }

    /// Exports until `stop` ends, and then what is left, once, for as long as one request may take.
    ///
    /// # Cancel safety
    /// Dropped, it loses what was not sent yet, and nothing else.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let watcher = self.config.traces.then(|| self.parts.bus.subscribe());
        let exports = async {
            tokio::join!(self.batches(), self.readings());
        };
        tokio::select! {
            biased;
            () = stop => {}
            () = self.listen(watcher) => {}
            () = exports => {}
        }
        let last = async {
            self.send_spans().await;
            self.send_records().await;
            self.send_points().await;
        };
        tokio::select! {
            biased;
            () = last => {}
            () = self.parts.clock.sleep(self.config.timeout) => {}
        }
    }

    /// Notes which executions have ended.
    async fn listen(&self, watcher: Option<Watcher>) {
        let Some(mut watcher) = watcher else {
            return std::future::pending().await;
        };
        while let Some(received) = watcher.next().await {
            match received {
                Received::Event(event) if matches!(event.kind, EventKind::Ended { .. }) => {
                    let mut ended = self.ended.lock();
                    if ended.len() < MAX_PENDING {
                        ended.push_back((event.tenant.clone(), event.execution));
                    } else {
                        // How many spans it would have had is not known.
                        self.lost(Signal::Traces, 1);
                    }
                    if ended.len() == MAX_PENDING / 2 {
                        self.many.notify_one();
                    }
                }
                Received::Event(_) => {}
                Received::Lost(events) => {
                    // Which of them were ends is not known either.
                    self.lost(Signal::Traces, events);
                }
            }
        }
        // Nothing more can end, but metrics go on.
        std::future::pending::<()>().await;
    }

    async fn batches(&self) {
        loop {
            tokio::select! {
                biased;
                () = self.many.notified() => {}
                () = self.parts.clock.sleep(EVERY) => {}
            }
            self.send_spans().await;
            self.send_records().await;
        }
    }

    async fn readings(&self) {
        if !self.config.metrics {
            return std::future::pending().await;
        }
        loop {
            self.parts.clock.sleep(self.config.metrics_every).await;
            self.send_points().await;
        }
    }

    async fn send_spans(&self) {
        let mut batch = Vec::new();
        loop {
            let next = self.ended.lock().pop_front();
            let over = next.is_none();
            if let Some((tenant, execution)) = next
                && let Some(spans) = self.read(&tenant, execution).await
            {
                batch.extend(spans);
            }
            while batch.len() >= MAX_SPANS || (over && !batch.is_empty()) {
                let rest = batch.split_off(batch.len().min(MAX_SPANS));
                let spans = std::mem::replace(&mut batch, rest);
                let number = spans.len() as u64;
                let request = wire::traces(&self.resource, spans);
                let sent = self.sender.send(Signal::Traces, &request).await;
                self.count(Signal::Traces, number, sent);
            }
            if over {
                return;
            }
        }
    }

    /// The spans of an execution that has ended; `None` where its trace is not recorded, or its journal
    /// cannot be read.
    async fn read(&self, tenant: &TenantId, execution: ExecutionId) -> Option<Vec<wire::Span>> {
        let mut spans = Spans::new(tenant.clone(), execution, self.config.sample);
        let mut from = 1;
        loop {
            let journal = &self.parts.executions;
            let page = match journal.journal(tenant, execution, from, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    self.lost(Signal::Traces, 1);
                    warn!(%execution, %error, "its journal cannot be read, so it has no spans");
                    return None;
                }
            };
            for entry in &page.entries {
                spans.take(entry);
            }
            if spans.is_unwanted() {
                return None;
            }
            let next = page.next.filter(|&next| next <= MAX_ENTRIES);
            match next {
                Some(next) => from = next,
                None => return Some(spans.finish()),
            }
        }
    }

    async fn send_records(&self) {
        let Some(logs) = self.parts.logs.as_ref().filter(|_| self.config.logs) else {
            return;
        };
        loop {
            let (records, lost) = logs.take();
            self.lost(Signal::Logs, lost);
            let number = records.len() as u64;
            if number == 0 {
                return;
            }
            let request = wire::logs(&self.resource, records);
            let sent = self.sender.send(Signal::Logs, &request).await;
            let failed = sent.is_err();
            self.count(Signal::Logs, number, sent);
            if failed {
                return;
            }
        }
    }

    async fn send_points(&self) {
        if !self.config.metrics {
            return;
        }
        let mut reading = Reading::default();
        self.parts.metrics.read(&mut reading).await;
        let (metrics, number) = metrics::of(&reading, self.began, self.parts.clock.now());
        let request = wire::metrics(&self.resource, metrics);
        let sent = self.sender.send(Signal::Metrics, &request).await;
        self.count(Signal::Metrics, number, sent);
    }

    fn lost(&self, signal: Signal, number: u64) {
        self.parts.bus.metrics().exported(signal, 0, number);
    }

    fn count(&self, signal: Signal, number: u64, sent: Result<u64, Undelivered>) {
        let lost = match sent {
            Ok(refused) => refused.min(number),
            Err(Undelivered { why }) => {
                let signal = signal.as_str();
                warn!(signal, number, "what was to be exported is lost: {why}");
                number
            }
        };
        let metrics = self.parts.bus.metrics();
        metrics.exported(signal, number - lost, lost);
    }
}
