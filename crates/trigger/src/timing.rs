//! Triggers that go by time, as a definition has them.

use std::{collections::BTreeSet, time::Duration};

use nebula_core::{Timestamp, parse_duration};
use serde_json::{Map, Value};

use crate::Schedule;

/// For how long what was missed may be caught up on at most: 31 days.
pub const MAX_WINDOW: Duration = Duration::from_secs(31 * 86_400);
/// By how much starts may be spread at most: one hour.
pub const MAX_JITTER: Duration = Duration::from_secs(3_600);
/// For how long what was missed is caught up on, where nothing is said: one day.
const WINDOW: Duration = Duration::from_secs(86_400);

/// The kinds of triggers that go by time, each with its own fields.
const KINDS: [(&str, &[&str]); 3] = [
    ("cron", &["schedule", "timezone"]),
    ("interval", &["every", "from"]),
    ("once", &["at"]),
];
/// The fields that all of them have.
const COMMON: [&str; 4] = ["misfire", "window", "overlap", "jitter"];

/// When a trigger starts executions, and what becomes of what it could not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// When.
    pub schedule: Schedule,
    /// Which of the occurrences that passed while nothing ran are caught up on.
    pub misfire: Misfire,
    /// Older ones are not, at most [`MAX_WINDOW`]; default one day.
    pub window: Duration,
    /// What a start does while an earlier one of the same trigger is under way.
    pub overlap: Overlap,
    /// By how much each start may be late at random, so that not all come at once; at most
    /// [`MAX_JITTER`], default not at all.
    pub jitter: Duration,
}

/// Which missed occurrences are caught up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Misfire {
    /// None.
    Skip,
    /// The last one, for all of them.
    #[default]
    Once,
    /// Each, in order.
    All,
}

/// What a start does while an earlier one is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// It begins beside it.
    #[default]
    Allow,
    /// It is left out.
    Skip,
    /// It waits for it.
    Queue,
    /// It cancels it.
    CancelPrevious,
}

/// What is wrong with a field of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The name of the field, which may be missing.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// The fields that there are, where this one is none of them.
    pub known: Vec<&'static str>,
}

impl Timing {
    /// Reads the fields of a trigger; `None` if triggers of this kind do not go by time. `zone` is that of
    /// the workflow, for those that say none.
    ///
    /// | kind | fields |
    /// |---|---|
    /// | `cron` | `schedule`: a cron expression; `timezone` |
    /// | `interval` | `every`: a span of time; `from`: the first occurrence, default 1970-01-01T00:00Z |
    /// | `once` | `at`: a point in time |
    /// | all | `misfire`: `skip`, `once` or `all`; `window`; `overlap`: `allow`, `skip`, `queue` or `cancel_previous`; `jitter` |
    ///
    /// # Errors
    /// Inside, every [`FieldError`].
    #[must_use]
    pub fn read(
        kind: &str,
        fields: &Map<String, Value>,
        zone: &str,
    ) -> Option<Result<Self, Vec<FieldError>>> {
        let (_, own) = KINDS.iter().find(|(name, _)| *name == kind)?;
        let mut reader = Reader {
            fields,
            errors: Vec::new(),
        };
        reader.refuse_others(own);
        let schedule = match kind {
            "cron" => reader.cron(zone),
            "interval" => reader.interval(),
            _ => reader.once(),
        };
        let misfires = [
            ("skip", Misfire::Skip),
            ("once", Misfire::Once),
            ("all", Misfire::All),
        ];
        let overlaps = [
            ("allow", Overlap::Allow),
            ("skip", Overlap::Skip),
            ("queue", Overlap::Queue),
            ("cancel_previous", Overlap::CancelPrevious),
        ];
        let misfire = reader.choice("misfire", &misfires);
        let overlap = reader.choice("overlap", &overlaps);
        let window = reader.span("window", MAX_WINDOW).unwrap_or(WINDOW);
        let jitter = reader.span("jitter", MAX_JITTER).unwrap_or_default();
        Some(match (schedule, reader.errors) {
            (Some(schedule), errors) if errors.is_empty() => Ok(Self {
                schedule,
                misfire,
                window,
                overlap,
                jitter,
            }),
            (_, errors) => Err(errors),
        })
    }
}

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
            known: Vec::new(),
        });
    }

    fn refuse_others(&mut self, own: &[&'static str]) {
        let known: BTreeSet<_> = own.iter().chain(&COMMON).copied().collect();
        for field in self.fields.keys() {
            if !known.contains(field.as_str()) {
                self.errors.push(FieldError {
                    field: field.clone(),
                    message: "a trigger of this kind has no such field".to_owned(),
                    known: known.iter().copied().collect(),
                });
            }
        }
    }

    /// A text, if the field is there.
    fn text(&mut self, field: &str) -> Option<&'a str> {
        match self.fields.get(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.wrong(field, "expected a string");
                None
            }
        }
    }

    /// A text that must be there; `such` is an example.
    fn needed(&mut self, field: &'static str, such: &str) -> Option<&'a str> {
        if !self.fields.contains_key(field) {
            self.wrong(field, format!("it is missing; write it like `{such}`"));
        }
        self.text(field)
    }

    fn cron(&mut self, zone: &str) -> Option<Schedule> {
        let zone = self.text("timezone").unwrap_or(zone);
        let expression = self.needed("schedule", "schedule: \"30 2 * * *\"")?;
        let schedule = Schedule::cron(expression, zone);
        let error = match schedule {
            Ok(schedule) => return Some(schedule),
            Err(error) => error,
        };
        let field = match error {
            crate::ScheduleError::Zone { .. } => "timezone",
            _ => "schedule",
        };
        self.wrong(field, error.to_string());
        None
    }

    fn interval(&mut self) -> Option<Schedule> {
        let from = match self.text("from").map(str::parse) {
            None => Timestamp::default(),
            Some(Ok(from)) => from,
            Some(Err(error)) => {
                let error: nebula_core::TimestampError = error;
                self.wrong("from", error.to_string());
                return None;
            }
        };
        let every = self.needed("every", "every: 15m")?;
        let schedule = match parse_duration(every) {
            Ok(period) => Schedule::every(period, from).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        schedule.map_err(|error| self.wrong("every", error)).ok()
    }

    fn once(&mut self) -> Option<Schedule> {
        let at = self.needed("at", "at: \"2026-03-14T09:26:53Z\"")?;
        let at: Result<Timestamp, _> = at.parse();
        let at = at.map_err(|error| self.wrong("at", error.to_string()));
        Some(Schedule::once(at.ok()?))
    }

    fn span(&mut self, field: &str, most: Duration) -> Option<Duration> {
        let text = self.text(field)?;
        match parse_duration(text) {
            Ok(span) if span <= most => Some(span),
            Ok(_) => {
                let most = nebula_core::duration_text(most);
                self.wrong(field, format!("`{text}` is too long; at most {most}"));
                None
            }
            Err(error) => {
                self.wrong(field, error.to_string());
                None
            }
        }
    }

    fn choice<T: Copy + Default>(&mut self, field: &str, words: &[(&str, T)]) -> T {
        let Some(text) = self.text(field) else {
            return T::default();
        };
        if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
            return *found;
        }
        let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let text: String = text.chars().take(40).collect();
        self.wrong(field, format!("`{text}` is none of {}", words.join(", ")));
        T::default()
    }
}
