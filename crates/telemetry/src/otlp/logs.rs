//! Copies of log lines, as records.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Weak},
};

use nebula_core::Clock;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    logs::v1::{LogRecord, SeverityNumber},
};
use parking_lot::Mutex;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::wire::{nanos, number, plain, text};
use crate::{place, redacting::redacted};

/// How many records wait to be sent; of more, the newest are lost.
const MAX_RECORDS: usize = 4_096;

/// How many records one request has at most.
const BATCH: usize = 1_000;

/// The longest text of a record, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// Parts of the program that an export moves, so that their lines would move it again and again.
const OWN: &[&str] = &[
    "nebula_telemetry::otlp",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "h2",
];

/// Copies of the log lines of this process, on their way to an export. Clones are one.
#[derive(Clone)]
pub struct LogCopies {
    clock: Arc<dyn Clock>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<LogRecord>,
    lost: u64,
}

impl fmt::Debug for LogCopies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCopies").finish_non_exhaustive()
    }
}

impl LogCopies {
    /// Copies of lines that are logged from now on, once they are given to
    /// [`init_logging`](crate::init_logging).
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            waiting: Arc::default(),
        }
    }

    /// The next records, and how many were lost since the last call.
    pub(super) fn take(&self) -> (Vec<LogRecord>, u64) {
        let mut waiting = self.waiting.lock();
        let number = waiting.records.len().min(BATCH);
        let records = waiting.records.drain(..number).collect();
        (records, std::mem::take(&mut waiting.lost))
    }

    /// What copies lines, for as long as somebody takes the copies.
    pub(crate) fn layer(&self) -> Copying {
        Copying {
            clock: Arc::clone(&self.clock),
            waiting: Arc::downgrade(&self.waiting),
        }
    }
}

/// Copies each line that passes the filters before it.
pub(crate) struct Copying {
    clock: Arc<dyn Clock>,
    waiting: Weak<Mutex<Waiting>>,
}

impl<S: Subscriber> Layer<S> for Copying {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        let own = |part: &&str| {
            let rest = target.strip_prefix(*part);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let Some(waiting) = self.waiting.upgrade() else {
            return;
        };
        if OWN.iter().any(own) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let record = self.record(event, said);
        let mut waiting = waiting.lock();
        match waiting.records.len() < MAX_RECORDS {
            true => waiting.records.push_back(record),
            false => waiting.lost += 1,
        }
    }
}

impl Copying {
    fn record(&self, event: &Event<'_>, said: Said) -> LogRecord {
        let now = nanos(self.clock.now());
        let mut record = LogRecord {
            time_unix_nano: now,
            observed_time_unix_nano: now,
            severity_number: severity(*event.metadata().level()).into(),
            severity_text: event.metadata().level().to_string(),
            body: Some(plain(said.message)),
            attributes: said.fields,
            ..LogRecord::default()
        };
        let with = &mut record.attributes;
        with.push(text("nebula.target", event.metadata().target()));
        if let Some(place) = place::now() {
            with.push(text("nebula.execution", place.execution.to_string()));
            if let Some((instance, attempt)) = &place.attempt {
                with.push(text("nebula.instance", instance.to_string()));
                with.push(number("nebula.attempt", *attempt));
            }
            record.trace_id = place.trace.bytes().to_vec();
            record.span_id = place.span().bytes().to_vec();
        }
        record
    }
}

fn severity(level: Level) -> SeverityNumber {
    match level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        Level::TRACE => SeverityNumber::Trace,
    }
}

/// What a line says, without the secrets of whoever logs it.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<KeyValue>,
}

impl Said {
    fn takes(&mut self, field: &Field, said: &str) {
        let clean = redacted(said);
        let mut said = clean.unwrap_or_else(|| said.to_owned());
        if said.len() > MAX_TEXT {
            let end = said.floor_char_boundary(MAX_TEXT);
            said.truncate(end);
        }
        match field.name() {
            "message" => self.message = said,
            name => self.fields.push(text(name, said)),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.takes(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.takes(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{self, Waker},
    };

    use nebula_core::{ExecutionId, SpanId, TraceContext};
    use nebula_execution::InstanceId;
    use nebula_testkit::ManualClock;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    use tracing::{Dispatch, dispatcher::with_default};
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;
    use crate::{Place, Redact, at, redacting};

    /// What is copied while `log` goes on.
    fn copied(log: impl FnOnce()) -> LogCopies {
        let copies = LogCopies::new(Arc::new(ManualClock::default()));
        let dispatch = Dispatch::new(Registry::default().with(copies.layer()));
        with_default(&dispatch, log);
        copies
    }

    fn said(value: Option<&AnyValue>) -> String {
        match value.and_then(|it| it.value.clone()) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn field(record: &LogRecord, key: &str) -> Option<String> {
        let found = record.attributes.iter().find(|it| it.key == key);
        found.map(|it| said(it.value.as_ref()))
    }

    #[test]
    fn a_record_says_where_it_belongs_and_hides_the_secrets_of_who_logs() {
        let execution = ExecutionId::from_bytes([7; 16]);
        let place = Arc::new(Place {
            execution,
            trace: TraceContext::of_execution(execution).trace,
            attempt: Some((InstanceId::new("pay".parse().unwrap(), 1), 2)),
        });
        let hides = Redact::new(|text| Some(text.replace("hunter2", "[secret]")));
        let copies = copied(|| {
            let work = Box::pin(redacting(hides, async {
                tracing::warn!(target: "test", answer = "got hunter2", "sent hunter2");
            }));
            let mut work = pin!(at(place, work));
            let context = &mut task::Context::from_waker(Waker::noop());
            assert!(work.as_mut().poll(context).is_ready());
        });
        let (records, lost) = copies.take();
        let [record] = &records[..] else {
            panic!("{records:?}")
        };
        assert_eq!(lost, 0);
        assert_eq!(said(record.body.as_ref()), "sent [secret]");
        assert_eq!(field(record, "answer").as_deref(), Some("got [secret]"));
        assert_eq!(record.severity_number, i32::from(SeverityNumber::Warn));
        assert_eq!(
            field(record, "nebula.execution"),
            Some(execution.to_string())
        );
        assert_eq!(field(record, "nebula.instance").as_deref(), Some("pay"));
        assert_eq!(field(record, "nebula.attempt").as_deref(), Some("2"));
        assert_eq!(record.trace_id, [7; 16]);
        assert_eq!(record.span_id, SpanId::of(execution, "pay/2").bytes());
    }

    #[test]
    fn an_export_does_not_copy_its_own_lines() {
        let copies = copied(|| {
            tracing::warn!(target: "nebula_telemetry::otlp::send", "own");
            tracing::debug!(target: "hyper::proto", "own");
            tracing::debug!(target: "hyper", "own");
            tracing::info!(target: "hyperbole", "of somebody else");
        });
        let (records, _) = copies.take();
        let bodies: Vec<_> = records.iter().map(|it| said(it.body.as_ref())).collect();
        assert_eq!(bodies, ["of somebody else"]);
    }

    #[test]
    fn records_are_bounded_and_those_that_find_no_room_are_counted() {
        let copies = copied(|| {
            for n in 0..MAX_RECORDS + 9 {
                tracing::info!(target: "test", n, "again");
            }
        });
        let (mut all, mut lost) = (0, 0);
        loop {
            let (records, more) = copies.take();
            (all, lost) = (all + records.len(), lost + more);
            assert!(records.len() <= BATCH);
            if records.is_empty() {
                break;
            }
        }
        assert_eq!((all, lost), (MAX_RECORDS, 9));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ä".repeat(MAX_TEXT);
        let copies = copied(|| tracing::info!(target: "test", "x{long}"));
        let (records, _) = copies.take();
        assert_eq!(said(records[0].body.as_ref()).len(), MAX_TEXT - 1);
    }
}
