//! Points in time that follow from a rule.

use std::{fmt, iter::FusedIterator, time::Duration};

use croner::Cron;
use jiff::{
    Zoned,
    civil::date,
    tz::{TimeZone, TimeZoneDatabase},
};
use nebula_core::Timestamp;

use crate::{ScheduleError, cron};

/// The longest cron expression, in characters.
pub const MAX_CRON_CHARS: usize = 256;
/// The shortest period of [`Schedule::every`].
pub const MIN_PERIOD: Duration = Duration::from_secs(1);
/// The longest period of [`Schedule::every`], about ten years.
pub const MAX_PERIOD: Duration = Duration::from_secs(3_653 * 86_400);

/// Points in time, its occurrences, in whole milliseconds.
#[derive(Clone, PartialEq, Eq)]
pub struct Schedule(Rule);

#[derive(Clone, PartialEq, Eq)]
enum Rule {
    Cron {
        cron: Box<Cron>,
        written: String,
        zone: TimeZone,
    },
    Every {
        period: Duration,
        from: Timestamp,
    },
    Once(Timestamp),
}

impl Schedule {
    /// The occurrences of a cron expression, by the clocks of a time zone, up to the year 5000.
    ///
    /// Five fields, or six with the second first; names of months and weekdays, `L`, `W`, `#`, `?`, and
    /// `@hourly` to `@yearly`. If both the day of the month and that of the week are given, one of
    /// them is enough; a `+` before the second one asks for both. `zone` is an IANA name of the
    /// zones that are built in, so that a schedule means the same on every machine.
    ///
    /// Where clocks go forward, a fixed time within the missing hour comes once, right after it; where
    /// they go back, a fixed time comes once, the first time, and what comes in steps goes on.
    ///
    /// # Errors
    /// [`ScheduleError`], which says what is wrong, and also where nothing ever comes of it.
    pub fn cron(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let cron = Box::new(cron::parse(expression)?);
        let known = TimeZoneDatabase::bundled().get(zone);
        let zone = known.map_err(|_| ScheduleError::Zone {
            zone: zone.chars().take(40).collect(),
        })?;
        let written = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        // Which days there are does not depend on the zone.
        let first = date(2000, 1, 1).at(0, 0, 0, 0);
        if cron.find_next_occurrence(&first, true).is_err() {
            return Err(ScheduleError::Never {
                expression: written,
            });
        }
        Ok(Self(Rule::Cron {
            cron,
            written,
            zone,
        }))
    }

    /// An occurrence at `from`, and one every `period` after it: so a restart moves none of them.
    ///
    /// # Errors
    /// [`ScheduleError::Period`] outside [`MIN_PERIOD`] and [`MAX_PERIOD`].
    pub fn every(period: Duration, from: Timestamp) -> Result<Self, ScheduleError> {
        match (MIN_PERIOD..=MAX_PERIOD).contains(&period) {
            true => Ok(Self(Rule::Every { period, from })),
            false => Err(ScheduleError::Period { found: period }),
        }
    }

    /// One occurrence.
    #[must_use]
    pub const fn once(at: Timestamp) -> Self {
        Self(Rule::Once(at))
    }

    /// The first occurrence after `after`; `None` if there is none any more.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Cron { cron, zone, .. } => {
                // Whole seconds, rounded down also before 1970: what they cut off is before the next.
                let seconds = after.as_millis().div_euclid(1_000);
                let after = jiff::Timestamp::from_second(seconds).ok()?;
                let next = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false);
                let next = next.ok()?.timestamp().as_millisecond();
                Some(Timestamp::from_millis(next))
            }
            Rule::Every { period, from } if after >= *from => {
                let period = i64::try_from(period.as_millis()).ok()?;
                let passed = after.as_millis().checked_sub(from.as_millis())? / period;
                let next = from
                    .as_millis()
                    .checked_add((passed + 1).checked_mul(period)?)?;
                Some(Timestamp::from_millis(next)).filter(|next| *next <= Timestamp::MAX)
            }
            Rule::Every { from, .. } => Some(*from),
            Rule::Once(at) => Some(*at).filter(|at| *at > after),
        }
    }

    /// The last occurrence after `after` and not after `until`; found by halving, so that a long time
    /// costs as little as a short one.
    #[must_use]
    pub fn last_between(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let next = |from: i64| {
            let next = self.next_after(Timestamp::from_millis(from));
            next.filter(|next| *next <= until)
        };
        let (mut low, mut high) = (after.as_millis(), until.as_millis());
        let mut last = next(low)?;
        // After `low` there is one, after `high` there is none.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match next(middle) {
                Some(found) => (low, last) = (found.as_millis() - 1, found),
                None => high = middle,
            }
        }
        Some(last)
    }

    /// The occurrences after `after`, in order; those of a cron expression and of a period are many.
    #[must_use]
    pub const fn occurrences(&self, after: Timestamp) -> Occurrences<'_> {
        Occurrences {
            schedule: self,
            after: Some(after),
        }
    }

    /// A point in time as the clocks show it that it goes by; in UTC where it goes by none.
    #[must_use]
    pub fn local(&self, time: Timestamp) -> Zoned {
        let zone = match &self.0 {
            Rule::Cron { zone, .. } => zone.clone(),
            Rule::Every { .. } | Rule::Once(_) => TimeZone::UTC,
        };
        let time = jiff::Timestamp::from_millisecond(time.as_millis());
        time.unwrap_or(jiff::Timestamp::MAX).to_zoned(zone)
    }
}

/// As it was written: `30 2 * * * (Europe/Berlin)`, `every 5m from …`, `once at …`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Cron { written, zone, .. } => {
                write!(f, "{written} ({})", zone.iana_name().unwrap_or("UTC"))
            }
            Rule::Every { period, from } => write!(f, "every {period:?} from {from}"),
            Rule::Once(at) => write!(f, "once at {at}"),
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The occurrences of a schedule, in order.
#[derive(Debug, Clone)]
pub struct Occurrences<'a> {
    schedule: &'a Schedule,
    after: Option<Timestamp>,
}

impl Iterator for Occurrences<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        self.after = self.schedule.next_after(self.after?);
        self.after
    }
}

impl FusedIterator for Occurrences<'_> {}
