//! Log lines that say where they belong.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::{LogFormat, place};

/// Lines of another format, with the execution, node, attempt, trace and span of whoever logs them.
pub(crate) struct WithPlace<F> {
    pub(crate) line: F,
    pub(crate) format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for WithPlace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(place) = place::now() else {
            return self.line.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.line
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        // What the line says by itself is not said twice.
        let says = |name: &str| event.metadata().fields().field(name).is_some();
        let (instance, attempt) = match &place.attempt {
            Some((instance, attempt)) => (Some(instance.to_string()), Some(attempt.to_string())),
            None => (None, None),
        };
        let fields = [
            ("execution", Some(place.execution.to_string())),
            ("node", instance),
            ("attempt", attempt),
            ("trace", Some(place.trace.to_string())),
            ("span", Some(place.span().to_string())),
        ];
        let fields = fields.into_iter().filter(|(name, _)| !says(name));
        let fields = fields.filter_map(|(name, value)| Some((name, value?)));
        match self.format {
            LogFormat::Text => {
                writer.write_str(line)?;
                for (name, value) in fields {
                    write!(writer, " {name}={value}")?;
                }
            }
            LogFormat::Json => {
                let Some(open) = line.strip_suffix('}') else {
                    return writeln!(writer, "{line}");
                };
                writer.write_str(open)?;
                for (name, value) in fields {
                    // An attempt is a number.
                    let value = match name {
                        "attempt" => value,
                        _ => serde_json::Value::String(value).to_string(),
                    };
                    write!(writer, ",\"{name}\":{value}")?;
                }
                writer.write_char('}')?;
            }
        }
        writer.write_char('\n')
    }
}
