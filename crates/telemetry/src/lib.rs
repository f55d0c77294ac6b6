//! Shows what executions do: events for those who watch, log lines for those who operate.
//!
//! [`ExecutionEvent::project`] turns a journal entry into what a watcher may see of it. A [`Bus`] shows
//! what was committed to an [`EventSink`], which carries it to those who watch: [`Broadcast`] within
//! the process. [`Bus::relay`] tells those of other processes of a fleet. Each bus has [`Metrics`], which count what happens on the way. [`init_logging`] sends log
//! lines to standard error. With the feature `otlp`, all three go to a receiver of OpenTelemetry as well
//! (`Otlp`). With the feature `listen`, a program without an API tells its health and metrics over HTTP
//! (`Listener`). Start reading at [`Bus`].
//!
//! Does not know: how entries come about, where they are stored, who watches and why.
//!
//! # Invariants
//! - Events are projections: losing one loses no work, and the journal can give it again.
//! - An event holds no input, no output and no parameter of any node.
//! - Publishing and counting never wait. A watcher that is too slow is told how many events it lost.
//! - Logging never waits. Lines beyond what one place of the code or one execution may log, or standard
//!   error takes, are counted.
//!
//! ```
//! use nebula_core::{ExecutionId, TenantId, Timestamp};
//! use nebula_execution::{Entry, Fact, Status};
//! use nebula_telemetry::{Bus, EventKind, ExecutionEvent, Received};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let bus = Bus::new(Bus::DEFAULT_CAPACITY);
//! let mut watcher = bus.subscribe();
//!
//! let entry = Entry { at: Timestamp::from_millis(1), fact: Fact::ExecutionTimedOut };
//! let id = ExecutionId::from_bytes([7; 16]);
//! let event = ExecutionEvent::project(&TenantId::local(), id, 2, &entry);
//! bus.publish(event);
//!
//! let Some(Received::Event(event)) = watcher.next().await else { panic!("it is there") };
//! assert_eq!(event.kind, EventKind::Ended { status: Status::TimedOut, error: None });
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

mod broadcasting;
mod budget;
mod bus;
mod flood;
mod left_out;
mod lines;
#[cfg(feature = "listen")]
mod listener;
mod logging;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod place;
mod placed;
mod redacting;
mod relaying;

pub use broadcasting::Broadcast;
pub use bus::{Bus, Halt, Halts, Watcher};
pub use left_out::LinesLeftOut;
#[cfg(feature = "listen")]
pub use listener::{ListenError, Listener, MAX_LISTENED, NotReady, Ready, Told};
#[cfg(feature = "otlp")]
pub use logging::init_logging_with;
pub use logging::{LogError, LogFilter, LogFormat, LogOptions, Logging, NewFilter, init_logging};
pub use metrics::{
    CONTENT_TYPE as METRICS_CONTENT_TYPE, MAX_ANSWERS, MAX_WORKFLOWS, Metrics, Reading, Sample,
    Source, Value, WEBHOOK_OUTCOMES, catalog as metric,
};
pub use nebula_execution::{Decided, EventKind, ExecutionEvent, Parking};
pub use nebula_ports::{EventSink, EventWatch, Received};
#[cfg(feature = "otlp")]
pub use otlp::{
    LogCopies, MAX_ENTRIES as MAX_SPAN_ENTRIES, MAX_PENDING as MAX_PENDING_SPANS, MAX_SPANS, Otlp,
    OtlpConfig, OtlpError, OtlpParts,
};
pub use place::{Place, Placed, at};
pub use redacting::{Redact, redacting};
pub use relaying::{MAX_RELAYED, Relayed};
