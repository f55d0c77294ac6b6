//! The proleptic Gregorian calendar, by hand: years go from -271821 to 275760, as in JavaScript.

use crate::guard::{Guard, holds};

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

/// The latest time value, and without its sign the earliest: 100 million days around 1970.
pub(crate) const MAX_TIME: f64 = 8.64e15;

/// A date and a time of day, without a zone. `month` and `day` count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) milli: i64,
}

impl Civil {
    /// What a clock shows so many milliseconds after 1970-01-01T00:00.
    pub(crate) fn of(millis: i64) -> Self {
        let (days, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
        let (year, month, day) = date_of(days);
        Self {
            year,
            month,
            day,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1_000 % 60,
            milli: rest % 1_000,
        }
    }

    /// The way back; every field may be out of its range and carries over.
    pub(crate) fn millis(self) -> i64 {
        let days = days_of_any(self.year, self.month, self.day);
        days * DAY + self.hour * 3_600_000 + self.minute * 60_000 + self.second * 1_000 + self.milli
    }

    pub(crate) fn days(self) -> i64 {
        days_of(self.year, self.month, self.day)
    }

    /// Monday is 1, Sunday 7.
    pub(crate) fn weekday(self) -> i64 {
        weekday(self.days())
    }

    /// The day of the year, from 1.
    pub(crate) fn ordinal(self) -> i64 {
        self.days() - days_of(self.year, 1, 1) + 1
    }

    pub(crate) fn quarter(self) -> i64 {
        (self.month + 2) / 3
    }

    /// Week year and week, when weeks start on `first` and the first has at least `least` days of
    /// the year; ISO 8601: 1 and 4.
    pub(crate) fn week(self, first: i64, least: i64) -> (i64, i64) {
        let days = self.days();
        let start = |year| week_start(year, first, least);
        let year = if days < start(self.year) {
            self.year - 1
        } else if days >= start(self.year + 1) {
            self.year + 1
        } else {
            self.year
        };
        (year, (days - start(year)) / 7 + 1)
    }
}

/// The day on which the first week of a week year starts.
pub(crate) fn week_start(year: i64, first: i64, least: i64) -> i64 {
    // The week of this day is the first one.
    let inside = days_of(year, 1, least);
    inside - (weekday(inside) - first).rem_euclid(7)
}

pub(crate) fn weeks_in(year: i64, first: i64, least: i64) -> i64 {
    (week_start(year + 1, first, least) - week_start(year, first, least)) / 7
}

/// Days from 1970-01-01 to a date. The year is turned so that it starts in March: then the leap
/// day is its last, and the lengths of the months repeat every five.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The same with any month.
fn days_of_any(year: i64, month: i64, day: i64) -> i64 {
    let month = month - 1;
    days_of(year + month.div_euclid(12), month.rem_euclid(12) + 1, 1) + day - 1
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Monday is 1, Sunday 7.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

/// `month` may be out of 1 to 12 and carries over.
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    days_of_any(year, month + 1, 1) - days_of_any(year, month, 1)
}

/// ECMA-262's `MakeDay` and `MakeTime` and `MakeDate` in one; NaN if a part is not finite or the
/// whole is far out of range. `month` counts from 0.
pub(crate) fn make_time(parts: [f64; 7]) -> f64 {
    if parts.iter().any(|part| !part.is_finite()) {
        return f64::NAN;
    }
    let [year, month, day, hour, minute, second, milli] = parts.map(f64::trunc);
    let year_month = year + (month / 12.0).floor();
    if year_month.abs() > 400_000.0 {
        return f64::NAN;
    }
    // The remainder is exact and the casts are of small whole numbers.
    let month = month - (month / 12.0).floor() * 12.0;
    let days = days_of(year_month as i64, month as i64 + 1, 1) as f64 + day - 1.0;
    let time = hour * 3_600_000.0 + minute * 60_000.0 + second * 1_000.0 + milli;
    let whole = days * DAY as f64 + time;
    if whole.is_finite() { whole } else { f64::NAN }
}

/// ECMA-262's `TimeClip`: NaN beyond what a date can hold.
pub(crate) fn clip(time: f64) -> f64 {
    if time.is_finite() && (time.abs() <= MAX_TIME || !holds(Guard::DateRange)) {
        // No negative zero.
        time.trunc() + 0.0
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_its_date_and_back() {
        let mut last = date_of(-100_000_001);
        assert_eq!(date_of(-100_000_000), (-271_821, 4, 20));
        assert_eq!(date_of(100_000_000), (275_760, 9, 13));
        assert_eq!(date_of(0), (1970, 1, 1));
        for days in (-100_000_000..=100_000_000).step_by(997) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
            assert!(last < (year, month, day));
            assert!(day <= days_in_month(year, month));
            last = (year, month, day);
        }
    }

    #[test]
    fn weeks_follow_iso_8601() {
        let week = |y, m, d| Civil::of(days_of(y, m, d) * DAY).week(1, 4);
        assert_eq!(week(2026, 1, 1), (2026, 1));
        assert_eq!(week(2027, 1, 1), (2026, 53));
        assert_eq!(week(2024, 12, 30), (2025, 1));
        assert_eq!((weeks_in(2026, 1, 4), weeks_in(2025, 1, 4)), (53, 52));
    }

    #[test]
    fn parts_out_of_range_carry_over() {
        let of = |parts: [f64; 7]| Civil::of(make_time(parts) as i64);
        let carried = of([2026.0, 13.0, -1.0, 25.0, 61.0, 61.0, 1_001.0]);
        assert_eq!(carried, of([2027.0, 0.0, 31.0, 2.0, 2.0, 2.0, 1.0]));
        assert!(make_time([f64::MAX, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).is_nan());
    }
}
