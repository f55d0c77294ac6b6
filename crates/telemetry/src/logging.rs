//! Log lines on standard error.

use std::io;

use tracing::{Subscriber, dispatcher::SetGlobalDefaultError, subscriber::set_global_default};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::ParseError,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
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
}

/// Sends log lines of the whole process to standard error. A binary calls it once, at its start;
/// an embedder sets up its own subscriber instead.
///
/// # Errors
/// [`LogError`]: the filter cannot be read, or it was called before.
pub fn init_logging(options: &LogOptions) -> Result<(), LogError> {
    Ok(set_global_default(subscriber(options, io::stderr)?)?)
}

fn subscriber<W>(
    options: &LogOptions,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&options.filter);
    let filter = filter.map_err(|source| LogError::Filter {
        filter: options.filter.chars().take(80).collect(),
        source,
    })?;
    let lines = fmt::layer().with_writer(writer);
    let registry = Registry::default().with(filter);
    Ok(match options.format {
        LogFormat::Text => Box::new(registry.with(lines.with_ansi(options.colour))),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

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

    fn logged(filter: &str, format: LogFormat) -> String {
        let (page, filter) = (Page::default(), filter.to_owned());
        let options = LogOptions {
            filter,
            format,
            colour: false,
        };
        let writer = page.clone();
        let subscriber = subscriber(&options, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(execution = 7, "driven");
            tracing::warn!("slow");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        let lines = |filter| logged(filter, LogFormat::Text).lines().count();
        assert_eq!((lines("info"), lines("warn"), lines("off")), (2, 1, 0));
        assert_eq!(lines("off,nebula_telemetry=info"), 2);
        assert_eq!(lines("info,nebula_telemetry=error"), 0);
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
        let error = subscriber(&options, io::stderr).err().unwrap().to_string();
        assert!(
            error.starts_with("`nebula=loud` is no log filter"),
            "{error}"
        );
    }
}
