//! Log lines on standard error, of which no flood holds up or fills the process.

use std::{io, sync::Arc};

use nebula_core::Clock;
use tracing::{
    Dispatch,
    dispatcher::{SetGlobalDefaultError, set_global_default},
};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{Directive, LevelFilter, ParseError},
    fmt,
    layer::SubscriberExt as _,
    reload,
};

use crate::{
    budget::Budgets,
    flood::{Floods, LEFT_OUT},
    left_out::LinesLeftOut,
    lines::{LAST_LINES, Limits, Lines},
    placed::WithPlace,
    redacting::redact_panics,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or levels for parts of the
    /// program: `warn,nebula_runtime=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
    /// Colours, for a terminal; only in text.
    pub colour: bool,
}

impl Default for LogOptions {
    /// Warnings and errors, for people, without colours.
    fn default() -> Self {
        Self {
            filter: "warn".to_owned(),
            format: LogFormat::default(),
            colour: false,
        }
    }
}

/// Why there will be no log lines.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "`{filter}` is no log filter; write a level such as `info`, or `warn,nebula_runtime=debug`"
    )]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Somebody set up logging before.
    #[error("log lines go elsewhere already")]
    Taken(#[from] SetGlobalDefaultError),
    /// There is no thread that could write them.
    #[error("no thread for log lines: {0}")]
    Thread(#[from] io::Error),
}

/// Log lines that are being written. What is left is written when it is dropped, unless standard
/// error takes nothing for a second.
#[must_use = "the last lines are written when it is dropped"]
pub struct Logging(LinesLeftOut, LogFilter);

impl Logging {
    /// What decides what is logged, to change it meanwhile.
    #[must_use]
    pub fn filter(&self) -> LogFilter {
        self.1.clone()
    }

    /// What counts the lines that are left out, for whoever reads the metrics.
    #[must_use]
    pub fn left_out(&self) -> LinesLeftOut {
        self.0.clone()
    }
}

/// The filter of log lines that are being written.
#[derive(Debug, Clone)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

/// A filter that was read, and holds for nothing yet.
#[derive(Debug)]
pub struct NewFilter(EnvFilter);

impl NewFilter {
    /// Reads a filter as [`LogOptions::filter`] has it.
    ///
    /// # Errors
    /// [`LogError::Filter`]: it cannot be read.
    pub fn read(filter: &str) -> Result<Self, LogError> {
        let read = EnvFilter::builder().parse(filter);
        let read = read.map_err(|source| LogError::Filter {
            filter: filter.chars().take(80).collect(),
            source,
        })?;
        Ok(Self(read.add_directive(reports())))
    }
}

impl LogFilter {
    /// Logs by another filter from now on. Nothing happens once logging has ended.
    pub fn set(&self, filter: NewFilter) {
        let _ = self.0.reload(filter.0);
    }
}

impl std::fmt::Debug for Logging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logging").finish_non_exhaustive()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.lines.end(LAST_LINES);
    }
}

/// Sends log lines of the whole process to standard error. A binary calls it once, at its start;
/// an embedder sets up its own subscriber instead.
///
/// Whoever logs never waits for standard error: up to 1 MiB of lines waits for it, the last quarter
/// of which is for errors. One place of the code logs 100 lines at once and 20 a second, or 1,000 and
/// 200 a second of level `error`, by `clock`; one execution logs 1,000 lines in all. What is more is left out, and within a second a line
/// of the target `nebula_telemetry::left_out` says how many were, whatever the filter is. Lines, and the
/// messages of panics from then on, show no secret of the attempt that they come from ([`redacting`](crate::redacting)).
///
/// # Errors
/// [`LogError`]: the filter cannot be read, it was called before, or there is no thread.
pub fn init_logging(options: &LogOptions, clock: Arc<dyn Clock>) -> Result<Logging, LogError> {
    init(options, clock, None)
}

/// The same, and `copies` gets a copy of each line that is logged, to be exported.
///
/// # Errors
/// Those of [`init_logging`].
#[cfg(feature = "otlp")]
pub fn init_logging_with(
    options: &LogOptions,
    clock: Arc<dyn Clock>,
    copies: &crate::LogCopies,
) -> Result<Logging, LogError> {
    init(options, clock, Some(copies.layer()))
}

/// What copies lines on their way.
#[cfg(feature = "otlp")]
type Copying = crate::otlp::Copying;
#[cfg(not(feature = "otlp"))]
type Copying = tracing_subscriber::layer::Identity;

fn init(
    options: &LogOptions,
    clock: Arc<dyn Clock>,
    copying: Option<Copying>,
) -> Result<Logging, LogError> {
    let limits = Limits {
        floods: Floods::new(move || clock.monotonic()),
        budgets: Budgets::default(),
    };
    let lines = Lines::default();
    let (dispatch, filter) = dispatch(options, &limits, &lines, copying)?;
    set_global_default(dispatch.clone())?;
    let left_out = LinesLeftOut::of(&limits, &lines);
    lines.write_to(io::stderr(), limits, dispatch)?;
    redact_panics();
    Ok(Logging(left_out, filter))
}

fn dispatch(
    options: &LogOptions,
    limits: &Limits,
    lines: &Lines,
    copying: Option<Copying>,
) -> Result<(Dispatch, LogFilter), LogError> {
    let (filter, handle) = reload::Layer::new(NewFilter::read(&options.filter)?.0);
    let registry = Registry::default()
        .with(filter)
        // The last is asked first: what a place may not log costs its execution nothing.
        .with(limits.budgets.clone())
        .with(limits.floods.clone())
        .with(copying);
    let lines = fmt::layer().with_writer(lines.clone());
    let (format, line) = (options.format, fmt::format());
    let dispatch = match options.format {
        LogFormat::Text => {
            let line = line.with_ansi(options.colour);
            let lines = lines.with_ansi(options.colour);
            Dispatch::new(registry.with(lines.event_format(WithPlace { line, format })))
        }
        LogFormat::Json => {
            let line = line.json().flatten_event(true);
            let lines = lines.json().event_format(WithPlace { line, format });
            Dispatch::new(registry.with(lines))
        }
    };
    Ok((dispatch, LogFilter(handle)))
}

/// Lets through what says that lines were left out.
fn reports() -> Directive {
    let directive = format!("{LEFT_OUT}={}", LevelFilter::WARN);
    directive.parse().expect("a target and a level")
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicU64, Ordering::Relaxed},
        },
        task::{Context, Waker},
        time::Duration,
    };

    use nebula_core::{ExecutionId, SpanId, TraceContext};
    use nebula_execution::InstanceId;
    use tracing::dispatcher::with_default;

    use super::*;
    use crate::{
        Place, Reading, Source as _, Value, at,
        budget::EXECUTION_BUDGET,
        flood::{ERRORS, USUAL},
        metric,
    };

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `log` goes on; it may say which second it is.
    fn written(filter: &str, format: LogFormat, log: impl FnOnce(&AtomicU64)) -> String {
        let (page, lines, second) = (Page::default(), Lines::default(), Arc::default());
        let options = LogOptions {
            filter: filter.to_owned(),
            format,
            colour: false,
        };
        let hands: Arc<AtomicU64> = Arc::clone(&second);
        let limits = Limits {
            floods: Floods::new(move || Duration::from_secs(hands.load(Relaxed))),
            budgets: Budgets::default(),
        };
        let (dispatch, filter) = dispatch(&options, &limits, &lines, None).unwrap();
        let logging = Logging(LinesLeftOut::of(&limits, &lines), filter);
        with_default(&dispatch, || log(&second));
        lines.write_to(page.clone(), limits, dispatch).unwrap();
        drop(logging);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Limits at a moment that does not pass.
    fn quiet() -> Limits {
        Limits {
            floods: Floods::new(|| Duration::ZERO),
            budgets: Budgets::default(),
        }
    }

    fn logged(filter: &str, format: LogFormat) -> String {
        written(filter, format, |_| {
            tracing::info!(execution = 7, "driven");
            tracing::warn!("slow");
        })
    }

    /// Logs from within the second attempt of a node.
    fn logged_at_work(format: LogFormat, lines: u32) -> String {
        let execution = ExecutionId::from_bytes([7; 16]);
        let place = Place {
            execution,
            trace: TraceContext::of_execution(execution).trace,
            attempt: Some((InstanceId::new("pay".parse().unwrap(), 1), 2)),
        };
        written("info", format, |second| {
            let work = async {
                for n in 0..lines {
                    second.store(n.into(), Relaxed);
                    tracing::info!(n, "at work");
                }
            };
            let mut work = std::pin::pin!(at(Arc::new(place), Box::pin(work)));
            let context = &mut Context::from_waker(Waker::noop());
            assert!(work.as_mut().poll(context).is_ready());
            tracing::info!("calm");
        })
    }

    #[test]
    fn a_line_says_where_it_belongs() {
        let text = logged_at_work(LogFormat::Json, 1);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let id = ExecutionId::from_bytes([7; 16]);
        assert_eq!(first["message"], "at work");
        assert_eq!(first["execution"], id.to_string());
        assert_eq!(
            (&first["node"], &first["attempt"]),
            (&"pay".into(), &2.into())
        );
        assert_eq!(first["trace"], "07".repeat(16));
        assert_eq!(first["span"], SpanId::of(id, "pay/2").to_string());
        let second: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert!(second.get("execution").is_none(), "{text}");
        let text = logged_at_work(LogFormat::Text, 1);
        let place = format!("at work n=0 execution={id} node=pay attempt=2 trace=");
        assert_eq!(count(&text, &place), 1, "{text}");
    }

    #[test]
    fn an_execution_has_a_budget_of_lines() {
        let text = logged_at_work(LogFormat::Json, EXECUTION_BUDGET + 20);
        assert_eq!(count(&text, "at work"), EXECUTION_BUDGET);
        let said = text
            .lines()
            .find(|line| line.contains("used up its budget"))
            .unwrap();
        let said: serde_json::Value = serde_json::from_str(said).unwrap();
        assert_eq!(
            (&said["lines"], &said["level"]),
            (&20.into(), &"WARN".into())
        );
        assert_eq!(
            said["execution"],
            ExecutionId::from_bytes([7; 16]).to_string()
        );
        assert_eq!(count(&text, "calm"), 1);
    }

    fn count(text: &str, what: &str) -> u32 {
        let lines = text.lines().filter(|line| line.contains(what));
        u32::try_from(lines.count()).unwrap()
    }

    #[test]
    fn a_flood_is_bounded_and_its_rest_is_counted() {
        let text = written("info", LogFormat::Json, |second| {
            for at in 0..10 {
                second.store(at, Relaxed);
                for _ in 0..1_000 {
                    tracing::info!("again");
                }
            }
            tracing::info!("calm");
        });
        let through = USUAL.burst + 9 * USUAL.per_second;
        assert_eq!((count(&text, "again"), count(&text, "calm")), (through, 1));
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["lines"], 10_000 - through);
        assert_eq!(last["level"], "WARN");
        let place = last["place"].as_str().unwrap();
        assert!(
            place.starts_with("nebula_telemetry::logging::tests:"),
            "{place}"
        );
    }

    #[test]
    fn errors_have_a_larger_allowance() {
        let text = written("info", LogFormat::Text, |_| {
            for _ in 0..3_000 {
                tracing::error!("broken");
            }
        });
        assert_eq!(count(&text, "broken"), ERRORS.burst);
        assert_eq!(count(&text, &format!("lines={}", 3_000 - ERRORS.burst)), 1);
    }

    #[test]
    fn that_lines_were_left_out_is_said_under_any_filter() {
        for filter in ["error", "off,nebula_telemetry=error"] {
            let text = written(filter, LogFormat::Text, |_| {
                for _ in 0..1_001 {
                    tracing::error!("broken");
                }
            });
            assert_eq!(
                count(&text, "left_out: log lines were left out"),
                1,
                "{filter}"
            );
        }
    }

    /// What the metric says, in the order of its reasons: place, execution, reader.
    fn left_out(left_out: &LinesLeftOut) -> Vec<(String, Value)> {
        let mut reading = Reading::default();
        let mut read = left_out.read(&mut reading);
        let mut context = Context::from_waker(Waker::noop());
        assert!(read.as_mut().poll(&mut context).is_ready());
        drop(read);
        let samples = reading.of(metric::LOG_LEFT_OUT).iter();
        samples
            .map(|it| (it.labels[0].clone(), it.value.clone()))
            .collect()
    }

    #[test]
    fn what_is_left_out_is_a_metric_by_why_and_stays_one_once_it_was_said() {
        let (page, lines, limits) = (Page::default(), Lines::default(), quiet());
        let counts = LinesLeftOut::of(&limits, &lines);
        let options = LogOptions {
            filter: "info".to_owned(),
            format: LogFormat::Text,
            colour: false,
        };
        let (dispatch, filter) = dispatch(&options, &limits, &lines, None).unwrap();
        let logging = Logging(counts.clone(), filter);
        let long = "x".repeat(200_000);
        with_default(&dispatch, || {
            for _ in 0..USUAL.burst + 7 {
                tracing::info!("from one place");
            }
            for _ in 0..8 {
                // Three find room, of the part that is not for errors.
                tracing::info!("{long}");
            }
        });
        let of = |all: [u64; 3]| {
            let names = ["place", "execution", "reader"].map(str::to_owned);
            let counts = all.map(Value::Count);
            names.into_iter().zip(counts).collect::<Vec<_>>()
        };
        assert_eq!(left_out(&logging.left_out()), of([7, 0, 5]));
        lines.write_to(page, limits, dispatch).unwrap();
        drop(logging);
        assert_eq!(left_out(&counts), of([7, 0, 5]));
    }

    #[test]
    fn what_found_no_room_is_counted_too() {
        let long = "x".repeat(100_000);
        let text = written("info", LogFormat::Text, |_| {
            for _ in 0..20 {
                tracing::info!("{long}");
            }
        });
        assert_eq!(count(&text, &long), 7);
        assert_eq!(count(&text, "took them too slowly lines=13"), 1);
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        let lines = |filter| logged(filter, LogFormat::Text).lines().count();
        assert_eq!((lines("info"), lines("warn"), lines("off")), (2, 1, 0));
        assert_eq!(lines("off,nebula_telemetry=info"), 2);
        assert_eq!(lines("info,nebula_telemetry=error"), 0);
    }

    #[test]
    fn another_filter_holds_from_then_on() {
        let (lines, limits) = (Lines::default(), quiet());
        let (page, options) = (Page::default(), LogOptions::default());
        let (dispatch, filter) = dispatch(&options, &limits, &lines, None).unwrap();
        let logging = Logging(LinesLeftOut::of(&limits, &lines), filter);
        with_default(&dispatch, || {
            for (round, filter) in ["info", "off", "off"].into_iter().enumerate() {
                tracing::info!(round, "told");
                logging.filter().set(NewFilter::read(filter).unwrap());
            }
        });
        lines.write_to(page.clone(), limits, dispatch).unwrap();
        drop(logging);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            (count(&text, "told"), count(&text, "round=1")),
            (1, 1),
            "{text}"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged("info", LogFormat::Json);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["message"], &first["execution"]),
            (&"driven".into(), &7.into())
        );
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let filter = "nebula=loud".to_owned();
        let options = LogOptions {
            filter,
            ..LogOptions::default()
        };
        let limits = quiet();
        let error = dispatch(&options, &limits, &Lines::default(), None);
        let error = error.err().unwrap().to_string();
        assert!(
            error.starts_with("`nebula=loud` is no log filter"),
            "{error}"
        );
    }
}
