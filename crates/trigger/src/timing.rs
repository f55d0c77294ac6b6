//! Triggers that go by time, as a definition has them.

use std::time::Duration;

use nebula_core::{Timestamp, parse_duration};
use serde_json::{Map, Value};

use crate::{FieldError, Schedule, reader::Reader};

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
        let mut reader = Reader::new(fields);
        reader.refuse_others(own.iter().chain(&COMMON).copied());
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
        Some(match (schedule, reader.errors()) {
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

impl Reader<'_> {
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
}
