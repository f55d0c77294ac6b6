//! Time zones: a fixed offset, or a name of the bundled database.

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::civil::DAY;
use crate::guard::{Guard, holds};

/// Days of 400 years, after which the calendar and the rules of a zone repeat.
const CYCLE: i64 = 146_097 * DAY;
/// `jiff` knows the time up to here: near the end of 9999.
const LATEST: i64 = 253_370_764_800_000;
/// Before any zone's first transition.
const EARLIEST: i64 = -62_135_596_800_000;

/// A time zone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Zone<'a> {
    /// Minutes east of UTC.
    Fixed(i32),
    /// A name that the database knows, as it was written.
    Named(&'a str),
}

impl PartialEq for Zone<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Zone::Fixed(a), Zone::Fixed(b)) => a == b,
            (Zone::Named(a), Zone::Named(b)) => a == b,
            _ => false,
        }
    }
}

impl<'a> Zone<'a> {
    pub(crate) const UTC: Zone<'static> = Zone::Fixed(0);

    /// The zone of that name: `utc`, `UTC+5:30` or one of the database, in any case of letters.
    pub(crate) fn find(name: &'a str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("gmt") {
            return Some(Zone::UTC);
        }
        if let Some(minutes) = specified(name) {
            return Some(Zone::Fixed(minutes));
        }
        database(name).map(|_| Zone::Named(name))
    }

    /// The zone that a name of the database means; nothing else.
    pub(crate) fn named(name: &'a str) -> Option<Self> {
        database(name).map(|_| Zone::Named(name))
    }

    /// Milliseconds that local time is ahead of UTC at that time.
    pub(crate) fn offset(self, millis: i64) -> i64 {
        match self {
            Zone::Fixed(minutes) => i64::from(minutes) * 60_000,
            Zone::Named(name) => database(name).map_or(0, |zone| offset_of(&zone, millis)),
        }
    }

    /// Whether summer time is in force.
    pub(crate) fn is_summer(self, millis: i64) -> bool {
        let Zone::Named(name) = self else {
            return false;
        };
        // By law Ireland's winter time is the exception; nobody calls it so.
        if name.eq_ignore_ascii_case("Europe/Dublin") || name.eq_ignore_ascii_case("Eire") {
            return self.offset(millis) > 0;
        }
        let at = Timestamp::from_millisecond(known(millis));
        database(name)
            .zip(at.ok())
            .is_some_and(|(zone, at)| zone.to_offset_info(at).dst().is_dst())
    }

    /// The time at which clocks show `local`, which is in milliseconds too. A time that is skipped
    /// is read with the offset before, one that comes twice is the first.
    pub(crate) fn first(self, local: i64) -> i64 {
        let Zone::Named(name) = self else {
            return local - self.offset(local);
        };
        let Some(zone) = database(name) else {
            return local;
        };
        let (before, after) = (offset_of(&zone, local - DAY), offset_of(&zone, local + DAY));
        if offset_of(&zone, local - before) == before || before == after {
            return local - before;
        }
        let late = local - after;
        if offset_of(&zone, late) == after {
            late
        } else {
            local - before
        }
    }

    /// The time at which clocks show `local`, found from the guess that `offset` holds, and the
    /// offset then. Of a time that comes twice the guess decides; a skipped one moves on.
    pub(crate) fn resolve(self, local: i64, offset: i64) -> (i64, i64) {
        if !holds(Guard::OneTime) {
            return (local, 0);
        }
        let guess = local - offset;
        let second = self.offset(guess);
        if second == offset {
            return (guess, offset);
        }
        let third = self.offset(guess - (second - offset));
        if third == second {
            return (local - second, second);
        }
        (local - second.min(third), second.max(third))
    }

    /// Whether the offset never changes, as far as the form says.
    pub(crate) fn is_fixed(self) -> bool {
        matches!(self, Zone::Fixed(_))
    }

    /// As luxon names it: `UTC`, `UTC+5:30`, `Europe/Berlin`.
    pub(crate) fn name(self) -> String {
        match self {
            Zone::Fixed(0) => "UTC".to_owned(),
            Zone::Fixed(minutes) => format!("UTC{}", offset_text(minutes, OffsetForm::Narrow)),
            Zone::Named(name) => name.to_owned(),
        }
    }
}

/// How an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetForm {
    /// `+5:30`, `+1`.
    Narrow,
    /// `+05:30`.
    Short,
    /// `+0530`.
    Joined,
}

/// Whole minutes, as text.
pub(crate) fn offset_text(minutes: i32, form: OffsetForm) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    match form {
        OffsetForm::Narrow if rest == 0 => format!("{sign}{hours}"),
        OffsetForm::Narrow => format!("{sign}{hours}:{rest}"),
        OffsetForm::Short => format!("{sign}{hours:02}:{rest:02}"),
        OffsetForm::Joined => format!("{sign}{hours:02}{rest:02}"),
    }
}

/// `UTC+5`, `utc-03:30`: minutes east.
fn specified(name: &str) -> Option<i32> {
    let (prefix, rest) = name.split_at_checked(3)?;
    if !prefix.eq_ignore_ascii_case("utc") {
        return None;
    }
    let sign = match rest.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = |text: &str, least: usize| -> Option<i32> {
        let fits = (least..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = match rest[1..].split_once(':') {
        Some((hours, minutes)) => (digits(hours, 1)?, digits(minutes, 2)?),
        None => (digits(&rest[1..], 1)?, 0),
    };
    Some(sign * (hours * 60 + minutes))
}

/// A zone of the bundled database, so that every machine has the same rules; it keeps what it has
/// read.
fn database(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// A time within what `jiff` knows at which the same rule is in force.
fn known(millis: i64) -> i64 {
    if millis > LATEST {
        millis - ((millis - LATEST) / CYCLE + 1) * CYCLE
    } else {
        millis.max(EARLIEST)
    }
}

fn offset_of(zone: &TimeZone, millis: i64) -> i64 {
    Timestamp::from_millisecond(known(millis))
        .map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::civil::days_of;

    fn at(y: i64, m: i64, d: i64, hour: i64, minute: i64) -> i64 {
        days_of(y, m, d) * DAY + hour * 3_600_000 + minute * 60_000
    }

    #[test]
    fn a_skipped_time_moves_on_and_a_double_one_is_the_first() {
        let berlin = Zone::find("Europe/Berlin").unwrap();
        assert_eq!(berlin.first(at(2026, 3, 29, 2, 30)), at(2026, 3, 29, 1, 30));
        assert_eq!(
            berlin.first(at(2026, 10, 25, 2, 30)),
            at(2026, 10, 25, 0, 30)
        );
        assert_eq!(berlin.first(at(2026, 7, 1, 12, 0)), at(2026, 7, 1, 10, 0));
        let hour = 3_600_000;
        let fold = at(2026, 10, 25, 2, 30);
        assert_eq!(berlin.resolve(fold, hour), (at(2026, 10, 25, 1, 30), hour));
        assert_eq!(
            berlin.resolve(fold, 2 * hour),
            (at(2026, 10, 25, 0, 30), 2 * hour)
        );
        let gap = at(2026, 3, 29, 2, 30);
        assert_eq!(
            berlin.resolve(gap, hour),
            (at(2026, 3, 29, 1, 30), 2 * hour)
        );
    }

    #[test]
    fn rules_go_on_beyond_the_year_9999() {
        let berlin = Zone::Named("Europe/Berlin");
        assert_eq!(berlin.offset(at(275_000, 7, 1, 0, 0)), 7_200_000);
        assert_eq!(berlin.offset(at(275_000, 1, 1, 0, 0)), 3_600_000);
        assert_eq!(berlin.offset(at(-200_000, 1, 1, 0, 0)), 3_208_000);
    }

    #[test]
    fn offsets_are_zones_too() {
        assert_eq!(Zone::find("utc+5:30"), Some(Zone::Fixed(330)));
        assert_eq!(Zone::find("UTC-3"), Some(Zone::Fixed(-180)));
        assert_eq!(Zone::find("GMT"), Some(Zone::UTC));
        assert_eq!(Zone::find("Mars/Olympus"), None);
        assert_eq!(Zone::Fixed(330).name(), "UTC+5:30");
    }
}
