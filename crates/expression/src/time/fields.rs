//! Times by their fields: `set` and `fromObject`.

use super::{
    civil::{Civil, DAY, days_in_month, days_in_year, days_of, week_start, weeks_in},
    date_time::{DateTime, Invalid},
};

/// A field of a date, as `set` and `fromObject` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Year,
    Quarter,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Weekday,
    WeekNumber,
    WeekYear,
    Ordinal,
}

/// How many fields there are.
pub(crate) const FIELDS: usize = 12;

impl Field {
    const NAMES: [(&'static str, Field); FIELDS] = [
        ("year", Field::Year),
        ("quarter", Field::Quarter),
        ("month", Field::Month),
        ("day", Field::Day),
        ("hour", Field::Hour),
        ("minute", Field::Minute),
        ("second", Field::Second),
        ("millisecond", Field::Millisecond),
        ("weekday", Field::Weekday),
        ("weekNumber", Field::WeekNumber),
        ("weekYear", Field::WeekYear),
        ("ordinal", Field::Ordinal),
    ];

    /// By its name in the singular or the plural, in any case of letters.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let is = |known: &str| {
            known.eq_ignore_ascii_case(name)
                || name
                    .strip_suffix(['s', 'S'])
                    .is_some_and(|name| known.eq_ignore_ascii_case(name))
        };
        let found = Self::NAMES.iter().find(|(known, _)| is(known));
        found.map(|(_, field)| *field)
    }
}

/// Values of fields; what was not named is `None`.
pub(crate) type Values = [Option<f64>; FIELDS];

impl DateTime<'_> {
    /// With some fields replaced. Weeks and ordinals follow ISO 8601.
    pub(crate) fn set(self, values: &Values) -> Self {
        let get = |field: Field| values[field as usize];
        let mut time = self.civil();
        let whole = |value: f64| {
            if value.abs() <= 1e8 {
                Some(value.trunc() as i64)
            } else {
                None
            }
        };
        let Some(fields) = all_whole(values, whole) else {
            return Self::invalid(Invalid::Input);
        };
        let given = |field: Field| fields[field as usize];
        for (field, slot) in [
            (Field::Hour, &mut time.hour),
            (Field::Minute, &mut time.minute),
            (Field::Second, &mut time.second),
            (Field::Millisecond, &mut time.milli),
        ] {
            *slot = given(field).unwrap_or(*slot);
        }
        let week_fields = [Field::WeekYear, Field::WeekNumber, Field::Weekday];
        if week_fields.iter().any(|field| get(*field).is_some()) {
            let (week_year, week) = time.week(1, 4);
            let weekday = given(Field::Weekday).unwrap_or(time.weekday());
            let year = given(Field::WeekYear).unwrap_or(week_year);
            let week = given(Field::WeekNumber).unwrap_or(week);
            let days = week_start(year, 1, 4) + (week - 1) * 7 + weekday - 1;
            return self.at_local(days * DAY + time_of_day(&time));
        }
        let year = given(Field::Year).unwrap_or(time.year);
        if let Some(ordinal) = given(Field::Ordinal) {
            time = Civil {
                year,
                month: 1,
                day: ordinal,
                ..time
            };
            return self.at_local(time.millis());
        }
        let month = given(Field::Month).unwrap_or(time.month);
        let day = given(Field::Day).unwrap_or_else(|| time.day.min(days_in_month(year, month)));
        time = Civil {
            year,
            month,
            day,
            ..time
        };
        self.at_local(time.millis())
    }

    /// The time that the fields name; larger ones that are missing are those of `now`, smaller
    /// ones the first.
    pub(crate) fn from_values(now: Self, values: &Values, guess: Option<i64>) -> Self {
        let offset = guess.unwrap_or_else(|| now.offset());
        let current = Civil::of(now.millis + offset);
        let get = |field: Field| values[field as usize];
        let by_week = get(Field::WeekYear).is_some_and(|v| v != 0.0)
            || get(Field::WeekNumber).is_some_and(|v| v != 0.0)
            || get(Field::Weekday).is_some_and(|v| v != 0.0)
                && [Field::Year, Field::Month, Field::Day]
                    .iter()
                    .all(|f| get(*f).is_none());
        let by_ordinal = !by_week && get(Field::Ordinal).is_some();
        let (week_year, week) = current.week(1, 4);
        let date: &[(Field, i64, i64)] = if by_week {
            &[
                (Field::WeekYear, week_year, 0),
                (Field::WeekNumber, week, 1),
                (Field::Weekday, current.weekday(), 1),
            ]
        } else if by_ordinal {
            &[
                (Field::Year, current.year, 0),
                (Field::Ordinal, current.ordinal(), 1),
            ]
        } else {
            &[
                (Field::Year, current.year, 0),
                (Field::Month, current.month, 1),
                (Field::Day, current.day, 1),
            ]
        };
        let time = [
            (Field::Hour, current.hour, 0),
            (Field::Minute, current.minute, 0),
            (Field::Second, current.second, 0),
            (Field::Millisecond, current.milli, 0),
        ];
        let mut found = false;
        let mut parts = [0_i64; 7];
        for (part, (field, now, first)) in parts.iter_mut().zip(date.iter().chain(&time)) {
            *part = match get(*field) {
                Some(value) if value.fract() != 0.0 || value.abs() > 1e9 => {
                    return Self::invalid(Invalid::Unit);
                }
                Some(value) => {
                    found = true;
                    value as i64
                }
                None if found => *first,
                None => *now,
            };
        }
        let (date_parts, time) = parts.split_at(date.len());
        let days = match *date_parts {
            [year, week, weekday] if by_week => {
                let fits = (1..=weeks_in(year, 1, 4)).contains(&week) && (1..=7).contains(&weekday);
                fits.then(|| week_start(year, 1, 4) + (week - 1) * 7 + weekday - 1)
            }
            [year, ordinal] => (1..=days_in_year(year))
                .contains(&ordinal)
                .then(|| days_of(year, 1, 1) + ordinal - 1),
            [year, month, day] => ((1..=12).contains(&month)
                && (1..=days_in_month(year, month)).contains(&day))
            .then(|| days_of(year, month, day)),
            _ => None,
        };
        let [hour, minute, second, milli, ..] = *time else {
            return Self::invalid(Invalid::Unit);
        };
        let midnight = hour == 24 && minute == 0 && second == 0 && milli == 0;
        let fits = ((0..24).contains(&hour) || midnight)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..1_000).contains(&milli);
        let Some(days) = days.filter(|_| fits) else {
            return Self::invalid(Invalid::Unit);
        };
        // Twice of what a date can be; further away milliseconds have no room.
        if days.abs() > 200_000_000 {
            return Self::invalid(Invalid::Input);
        }
        let local = days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000 + milli;
        let made = now.at(now.zone.resolve(local, offset).0);
        let weekday = get(Field::Weekday).filter(|_| !by_week);
        if weekday.is_some_and(|weekday| weekday != made.civil().weekday() as f64) {
            return Self::invalid(Invalid::Weekday);
        }
        made
    }
}

fn time_of_day(time: &Civil) -> i64 {
    ((time.hour * 60 + time.minute) * 60 + time.second) * 1_000 + time.milli
}

fn all_whole(values: &Values, whole: impl Fn(f64) -> Option<i64>) -> Option<[Option<i64>; FIELDS]> {
    let mut fields = [None; FIELDS];
    for (field, value) in fields.iter_mut().zip(values) {
        if let Some(value) = value {
            *field = Some(whole(*value)?);
        }
    }
    Some(fields)
}
