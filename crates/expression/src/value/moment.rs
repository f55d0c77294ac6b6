//! A moment in time: the instance's, in the workflow's zone.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};

use crate::error::Fault;

/// Milliseconds since 1970 and the offset of the zone at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) millis: i64,
    pub(crate) offset_seconds: i32,
}

impl Moment {
    /// The instance's time.
    pub(crate) fn now(millis: i64, zone: &str) -> Result<Moment, Fault> {
        if zone == "UTC" {
            return Ok(Moment {
                millis,
                offset_seconds: 0,
            });
        }
        let zoned = timestamp(millis)?.to_zoned(find(zone)?);
        Ok(Moment {
            millis,
            offset_seconds: zoned.offset().seconds(),
        })
    }

    /// The start of the day of the instance's time.
    pub(crate) fn today(millis: i64, zone: &str) -> Result<Moment, Fault> {
        let tz = if zone == "UTC" {
            TimeZone::UTC
        } else {
            find(zone)?
        };
        let day = timestamp(millis)?
            .to_zoned(tz)
            .start_of_day()
            .map_err(|_| out_of_range())?;
        Ok(Moment {
            millis: day.timestamp().as_millisecond(),
            offset_seconds: day.offset().seconds(),
        })
    }

    /// ISO 8601 in the zone: `2026-03-14T09:26:53.589+01:00`, with `Z` for UTC.
    pub(crate) fn iso(self) -> String {
        let mut text = date_time(self.millis + i64::from(self.offset_seconds) * 1_000);
        if self.offset_seconds == 0 {
            text.push('Z');
            return text;
        }
        let sign = if self.offset_seconds < 0 { '-' } else { '+' };
        let minutes = self.offset_seconds.abs() / 60;
        // Writing to a string cannot fail.
        let _ = write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        text
    }

    /// ISO 8601 in UTC, as `Date.toISOString()` has it.
    pub(crate) fn iso_utc(self) -> String {
        let mut text = date_time(self.millis);
        text.push('Z');
        text
    }
}

fn date_time(millis: i64) -> String {
    let Ok(stamp) = Timestamp::from_millisecond(millis) else {
        return String::new();
    };
    let time = stamp.to_zoned(TimeZone::UTC).datetime();
    let year = match time.year() {
        year @ 0..=9999 => format!("{year:04}"),
        year if year < 0 => format!("-{:06}", -i32::from(year)),
        year => format!("+{year:06}"),
    };
    let milli = time.subsec_nanosecond() / 1_000_000;
    format!(
        "{year}-{:02}-{:02}T{:02}:{:02}:{:02}.{milli:03}",
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
    )
}

fn timestamp(millis: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(millis).map_err(|_| out_of_range())
}

fn out_of_range() -> Fault {
    Fault::new(
        "TYPE_RANGE",
        "the instance's time is beyond what a date can hold",
    )
}

/// A zone of the bundled database, so that every machine has the same rules.
fn find(zone: &str) -> Result<TimeZone, Fault> {
    jiff::tz::TimeZoneDatabase::bundled()
        .get(zone)
        .map_err(|_| {
            Fault::new("TYPE_ZONE", "the workflow's time zone is not known")
                .hint("use an IANA name such as `Europe/Berlin`")
        })
}
