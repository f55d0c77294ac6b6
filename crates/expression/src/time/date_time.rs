//! A time in a zone and a language, as luxon's `DateTime` has it: arithmetic.

use super::{
    civil::{Civil, MAX_TIME, days_in_month},
    duration::{Duration, Unit},
    zone::Zone,
};
use crate::locale::Locale;

/// Why a `DateTime` is invalid, as luxon calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    Input,
    Unparsable,
    Unit,
    Zone,
    Weekday,
}

impl Invalid {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Invalid::Input => "invalid input",
            Invalid::Unparsable => "unparsable",
            Invalid::Unit => "unit out of range",
            Invalid::Zone => "unsupported zone",
            Invalid::Weekday => "mismatched weekday",
        }
    }
}

/// A time, where it is told, and in which language; or why there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DateTime<'a> {
    pub(crate) millis: i64,
    pub(crate) zone: Zone<'a>,
    pub(crate) locale: Locale,
    pub(crate) invalid: Option<Invalid>,
}

impl<'a> DateTime<'a> {
    pub(crate) fn new(millis: f64, zone: Zone<'a>, locale: Locale) -> Self {
        let valid = millis.is_finite() && millis.abs() <= MAX_TIME;
        Self {
            millis: if valid { millis as i64 } else { 0 },
            zone,
            locale,
            invalid: (!valid).then_some(Invalid::Input),
        }
    }

    pub(crate) fn invalid(why: Invalid) -> Self {
        Self {
            millis: 0,
            zone: Zone::UTC,
            locale: Locale::En,
            invalid: Some(why),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.invalid.is_none()
    }

    /// Milliseconds ahead of UTC.
    pub(crate) fn offset(&self) -> i64 {
        self.zone.offset(self.millis)
    }

    /// What clocks show.
    pub(crate) fn civil(&self) -> Civil {
        Civil::of(self.millis + self.offset())
    }

    /// Milliseconds, or NaN.
    pub(crate) fn number(&self) -> f64 {
        if self.is_valid() {
            self.millis as f64
        } else {
            f64::NAN
        }
    }

    /// The same place and language at another time.
    pub(crate) fn at(self, millis: i64) -> Self {
        Self::new(millis as f64, self.zone, self.locale)
    }

    /// At which clocks show `local`; of a time that comes twice the one that is nearer in offset.
    pub(super) fn at_local(self, local: i64) -> Self {
        self.at(self.zone.resolve(local, self.offset()).0)
    }

    pub(crate) fn with_zone(self, zone: Zone<'a>, keep_local: bool) -> Self {
        let moved = Self { zone, ..self };
        if keep_local && self.is_valid() {
            let local = self.civil().millis();
            return moved.at(zone.resolve(local, zone.offset(self.millis)).0);
        }
        moved
    }

    /// Larger units move the calendar, then smaller ones the time.
    pub(crate) fn plus(self, duration: &Duration) -> Self {
        if !self.is_valid() {
            return self;
        }
        if !duration.valid {
            return Self::invalid(Invalid::Input);
        }
        let whole = |unit| duration.get(unit).trunc();
        // Beyond these the result is no date, and the arithmetic must not overflow.
        let large = duration.values.iter().flatten();
        if !large.clone().all(|value| value.abs() <= 1e17) {
            return Self::invalid(Invalid::Input);
        }
        let time = self.civil();
        let months = whole(Unit::Months) + whole(Unit::Quarters) * 3.0;
        let (years, days) = (
            whole(Unit::Years),
            whole(Unit::Days) + whole(Unit::Weeks) * 7.0,
        );
        if years.abs() > 1e6 || months.abs() > 1e7 || days.abs() > 1e9 {
            return Self::invalid(Invalid::Input);
        }
        let (year, month) = (time.year + years as i64, time.month + months as i64);
        let moved = Civil {
            year,
            month,
            day: time.day.min(days_in_month(year, month)) + days as i64,
            ..time
        };
        let mut fractions = *duration;
        for unit in [
            Unit::Years,
            Unit::Quarters,
            Unit::Months,
            Unit::Weeks,
            Unit::Days,
        ] {
            let value = duration.get(unit);
            fractions.values[unit as usize] = Some(value - value.trunc());
        }
        let more = fractions.millis();
        let (millis, _) = self.zone.resolve(moved.millis(), self.offset());
        Self::new(millis as f64 + more, self.zone, self.locale)
    }

    pub(crate) fn start_of(self, unit: Unit, local_weeks: bool) -> Self {
        if !self.is_valid() {
            return self;
        }
        let mut time = self.civil();
        if unit <= Unit::Months {
            time.day = 1;
        }
        match unit {
            Unit::Years => time.month = 1,
            Unit::Quarters => time.month = (time.quarter() - 1) * 3 + 1,
            Unit::Weeks => {
                let first = if local_weeks { self.locale.week().0 } else { 1 };
                time.day -= (time.weekday() - first).rem_euclid(7);
            }
            _ => {}
        }
        if unit <= Unit::Days {
            time.hour = 0;
        }
        if unit <= Unit::Hours {
            time.minute = 0;
        }
        if unit <= Unit::Minutes {
            time.second = 0;
        }
        if unit <= Unit::Seconds {
            time.milli = 0;
        }
        self.at_local(time.millis())
    }

    pub(crate) fn end_of(self, unit: Unit, local_weeks: bool) -> Self {
        let next = self.plus(&Duration::of(unit, 1.0));
        next.start_of(unit, local_weeks)
            .plus(&Duration::of(Unit::Milliseconds, -1.0))
    }

    /// The difference in these units; larger ones by the calendar of `earlier`.
    fn difference(earlier: Self, later: Self, units: &[Unit]) -> Duration {
        let mut results = Duration::EMPTY;
        let mut cursor = earlier;
        let mut high = None;
        let mut lowest = None;
        for unit in &Unit::ALL[..=Unit::Days as usize] {
            if !units.contains(unit) {
                continue;
            }
            lowest = Some(*unit);
            let (a, b) = (cursor.civil(), later.civil());
            let count = match unit {
                Unit::Years => b.year - a.year,
                Unit::Quarters => b.quarter() - a.quarter() + (b.year - a.year) * 4,
                Unit::Months => b.month - a.month + (b.year - a.year) * 12,
                Unit::Weeks => (b.days() - a.days()) / 7,
                _ => b.days() - a.days(),
            };
            let at = *unit as usize;
            results.values[at] = Some(count as f64);
            let mut reached = earlier.plus(&results);
            high = Some(reached);
            // Zones may have let it count one or two too many.
            for _ in 0..2 {
                if reached.millis > later.millis {
                    high = Some(reached);
                    results.values[at] = results.values[at].map(|count| count - 1.0);
                    reached = earlier.plus(&results);
                }
            }
            cursor = reached;
        }
        let rest = (later.millis - cursor.millis) as f64;
        let small: Vec<Unit> = units
            .iter()
            .copied()
            .filter(|unit| *unit > Unit::Days)
            .collect();
        if !small.is_empty() {
            return Duration::of(Unit::Milliseconds, rest)
                .shift_to(&small)
                .plus(&results);
        }
        if let (Some(lowest), Some(mut high)) = (lowest, high) {
            if high.millis < later.millis {
                high = cursor.plus(&Duration::of(lowest, 1.0));
            }
            if high.millis != cursor.millis {
                let at = lowest as usize;
                let share = rest / (high.millis - cursor.millis) as f64;
                results.values[at] = results.values[at].map(|count| count + share);
            }
        }
        results
    }

    /// This minus the other.
    pub(crate) fn diff(self, other: Self, units: &[Unit]) -> Duration {
        if !self.is_valid() || !other.is_valid() {
            return Duration::INVALID;
        }
        if other.millis > self.millis {
            Self::difference(self, other, units).negate()
        } else {
            Self::difference(other, self, units)
        }
    }

    pub(crate) fn has_same(self, other: Self, unit: Unit) -> bool {
        if !self.is_valid() || !other.is_valid() {
            return false;
        }
        let here = self.with_zone(other.zone, true);
        let (start, end) = (here.start_of(unit, false), here.end_of(unit, false));
        (start.millis..=end.millis).contains(&other.millis)
    }
}
