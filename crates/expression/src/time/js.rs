//! The texts of JavaScript's `Date`: what it writes, and what it reads.

use super::{
    civil::{Civil, DAY, days_of},
    scan::{Scan, milliseconds},
    zone::{OffsetForm, Zone, offset_text},
};
use crate::locale::{Locale, zone_long};

/// `-271821-04-20T00:00:00.000Z`; the year has four digits, or six with a sign.
pub(crate) fn iso(millis: i64) -> String {
    let time = Civil::of(millis);
    let Civil {
        month,
        day,
        hour,
        minute,
        second,
        milli,
        ..
    } = time;
    let year = iso_year(time.year);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Four digits, or six with a sign.
pub(crate) fn iso_year(year: i64) -> String {
    match year {
        0..=9999 => format!("{year:04}"),
        year if year < 0 => format!("-{:06}", -year),
        year => format!("+{year:06}"),
    }
}

/// Four digits at least, with a minus if it must be.
fn plain_year(year: i64) -> String {
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}", year.abs())
}

/// `Sat Mar 14 2026`.
pub(crate) fn date(millis: i64, zone: Zone<'_>) -> String {
    let time = Civil::of(millis + zone.offset(millis));
    let weekday = Locale::En.name("EEE", time.weekday() - 1);
    let month = Locale::En.name("MMM", time.month - 1);
    let year = plain_year(time.year);
    format!("{weekday} {month} {:02} {year}", time.day)
}

/// `10:26:53 GMT+0100 (Central European Standard Time)`.
pub(crate) fn time(millis: i64, zone: Zone<'_>) -> String {
    let offset = zone.offset(millis);
    let time = Civil::of(millis + offset);
    let minutes = i32::try_from(offset / 60_000).unwrap_or_default();
    let offset = offset_text(minutes, OffsetForm::Joined);
    let name = zone_long(zone, Locale::En, millis);
    let (hour, minute, second) = (time.hour, time.minute, time.second);
    format!("{hour:02}:{minute:02}:{second:02} GMT{offset} ({name})")
}

/// `Sat, 14 Mar 2026 09:26:53 GMT`.
pub(crate) fn utc(millis: i64) -> String {
    let time = Civil::of(millis);
    let weekday = Locale::En.name("EEE", time.weekday() - 1);
    let month = Locale::En.name("MMM", time.month - 1);
    let (day, year) = (time.day, plain_year(time.year));
    let (hour, minute, second) = (time.hour, time.minute, time.second);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The time value of a text, not clipped yet; NaN if it is none of the known forms: those of ISO
/// 8601 that ECMA-262 has, the same with a space before the time, those of RFC 2822, and what
/// [`date`], [`time`] and [`utc`] write.
pub(crate) fn parse(text: &str, zone: Zone<'_>) -> f64 {
    let text = text.trim();
    let parsed = iso_form(text, zone).or_else(|| worded(text, zone));
    parsed.unwrap_or(f64::NAN)
}

/// What a clock shows, in milliseconds; a day may be one that the month does not have.
fn local(date: [i64; 3], time: [i64; 4]) -> Option<i64> {
    let ([year, month, day], [hour, minute, second, milli]) = (date, time);
    let midnight = hour == 24 && (minute, second, milli) == (0, 0, 0);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 && !midnight || minute > 59 || second > 59 {
        return None;
    }
    let time = ((hour * 60 + minute) * 60 + second) * 1_000 + milli;
    Some(days_of(year, month, 1) * DAY + (day - 1) * DAY + time)
}

fn iso_form(text: &str, zone: Zone<'_>) -> Option<f64> {
    let mut scan = Scan(text);
    let year = match scan.one_of("+-") {
        None => scan.digits(4, 4)?,
        Some(sign) => {
            let year = scan.digits(6, 6)?;
            match (sign, year) {
                ('-', 0) => return None,
                ('-', year) => -year,
                _ => year,
            }
        }
    };
    let mut date = [year, 1, 1];
    for field in &mut date[1..] {
        if scan.take("-") {
            *field = scan.digits(2, 2)?;
        } else {
            break;
        }
    }
    if scan.is_done() || scan.take("Z") && scan.is_done() {
        return local(date, [0; 4]).map(|time| time as f64);
    }
    // The space is not in ECMA-262, but every engine reads it, and databases write it.
    scan.one_of("Tt ")?;
    let mut time = [0; 4];
    time[0] = scan.digits(2, 2)?;
    if !scan.take(":") {
        return None;
    }
    time[1] = scan.digits(2, 2)?;
    if scan.take(":") {
        time[2] = scan.digits(2, 2)?;
        if scan.take(".") {
            let fraction = scan.while_fits(|c| c.is_ascii_digit());
            if fraction.is_empty() {
                return None;
            }
            time[3] = milliseconds(fraction);
        }
    }
    let local = local(date, time)?;
    if scan.is_done() {
        return Some(at_local(local, zone));
    }
    let offset = if scan.one_of("Zz").is_some() {
        0
    } else {
        offset(&mut scan)?
    };
    scan.is_done().then(|| (local - offset * 60_000) as f64)
}

/// The time value at which clocks of the zone show that.
pub(crate) fn at_local(local: i64, zone: Zone<'_>) -> f64 {
    zone.first(local) as f64
}

/// `+01:00` or `+0100`, in minutes.
fn offset(scan: &mut Scan<'_>) -> Option<i64> {
    let sign = if scan.one_of("+-")? == '-' { -1 } else { 1 };
    let hours = scan.digits(2, 2)?;
    scan.take(":");
    let minutes = scan.digits(2, 2)?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Minutes of the zones that RFC 2822 names.
const NAMED_OFFSETS: [(&str, i64); 12] = [
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("z", 0),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
];

/// `Sat, 14 Mar 2026 09:26:53 +0100`, with the month and the day in any order, in full or short.
fn worded(text: &str, zone: Zone<'_>) -> Option<f64> {
    let mut scan = Scan(text);
    let (mut month, mut day, mut year, mut time) = (None, None, None, None);
    let mut afternoon = None;
    let mut shift = None;
    loop {
        scan.while_fits(|c| c == ' ' || c == ',');
        let Some(c) = scan.peek() else { break };
        if c.is_ascii_alphabetic() {
            let word = scan.while_fits(|c| c.is_ascii_alphabetic() || c == '.');
            let word = word.trim_end_matches('.').to_ascii_lowercase();
            let named = NAMED_OFFSETS.iter().find(|(name, _)| *name == word);
            if let Some((_, minutes)) = named {
                shift = Some(*minutes);
            } else if let (true, "am" | "pm") = (time.is_some(), word.as_str()) {
                afternoon = Some(word == "pm");
            } else if let Some(found) = short_name("MMM", "MMMM", &word) {
                if month.replace(found + 1).is_some() {
                    return None;
                }
            } else {
                short_name("EEE", "EEEE", &word)?;
            }
        } else if c.is_ascii_digit() {
            let digits = scan.while_fits(|c| c.is_ascii_digit());
            let number: i64 = digits.parse().ok()?;
            if scan.take(":") {
                if time.is_some() || digits.len() > 2 {
                    return None;
                }
                time = Some(clock(number, &mut scan)?);
            } else if day.is_none() && digits.len() <= 2 {
                day = Some(number);
            } else if year.is_none() {
                year = Some(match (digits.len(), number) {
                    (..=2, ..50) => 2_000 + number,
                    (..=2, _) => 1_900 + number,
                    _ => number,
                });
            } else {
                return None;
            }
        } else if c == '(' {
            // A comment, as in what `time` writes.
            let end = scan.0.find(')')?;
            scan.0 = &scan.0[end + 1..];
        } else if time.is_some() {
            shift = Some(offset(&mut scan)?);
        } else {
            return None;
        }
    }
    let mut time = time.unwrap_or_default();
    if let Some(afternoon) = afternoon {
        if !(1..=12).contains(&time[0]) {
            return None;
        }
        time[0] = time[0] % 12 + if afternoon { 12 } else { 0 };
    }
    let local = local([year?, month?, day?], time)?;
    Some(match shift {
        Some(minutes) => (local - minutes * 60_000) as f64,
        None => at_local(local, zone),
    })
}

/// The rest of `hh:mm[:ss[.sss]]`.
fn clock(hour: i64, scan: &mut Scan<'_>) -> Option<[i64; 4]> {
    let minute = scan.digits(1, 2)?;
    let mut time = [hour, minute, 0, 0];
    if scan.take(":") {
        time[2] = scan.digits(1, 2)?;
        if scan.take(".") {
            time[3] = milliseconds(scan.while_fits(|c| c.is_ascii_digit()));
        }
    }
    Some(time)
}

/// The position of a name, in full or short, in lower case.
fn short_name(short: &str, long: &str, word: &str) -> Option<i64> {
    let at = |letters| {
        Locale::En
            .names(letters)
            .position(|name| name.eq_ignore_ascii_case(word))
    };
    at(short)
        .or_else(|| at(long))
        .and_then(|at| i64::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: Zone<'static> = Zone::Named("Europe/Berlin");

    fn read(text: &str) -> String {
        let time = parse(text, BERLIN);
        if time.is_nan() {
            "none".to_owned()
        } else {
            iso(time as i64)
        }
    }

    #[test]
    fn iso_forms_are_read_as_node_reads_them() {
        for (text, expected) in [
            ("2026", "2026-01-01T00:00:00.000Z"),
            ("2026-02-30", "2026-03-02T00:00:00.000Z"),
            ("+002026-03-14", "2026-03-14T00:00:00.000Z"),
            ("2026-03-14T24:00:00", "2026-03-14T23:00:00.000Z"),
            ("2026-03-14 09:26:53", "2026-03-14T08:26:53.000Z"),
            ("2026-03-14T09:26:53.123456789Z", "2026-03-14T09:26:53.123Z"),
            ("2026-03-14T09:26:53+0100", "2026-03-14T08:26:53.000Z"),
            ("2026-03-29T02:30", "2026-03-29T01:30:00.000Z"),
            ("2026-03-14T09:26:53-00:00", "2026-03-14T09:26:53.000Z"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in [
            "-000000-01-01",
            "2026-02-32",
            "2026-13-01",
            "2026-03-14T24:00:01",
            "2026-03-14T09",
            "2026-03-14T23:59:60Z",
            "2026-03-14T09:26:53.",
            "20260314",
            "2026-W11",
            "",
            "foo",
            "Sat",
            "2026-03-14T09:26:53+24:00",
            "é",
        ] {
            assert_eq!(read(text), "none", "{text}");
        }
    }

    #[test]
    fn what_is_written_in_words_is_read_again() {
        for (text, expected) in [
            (
                "Sat, 14 Mar 2026 09:26:53 +0100",
                "2026-03-14T08:26:53.000Z",
            ),
            ("14 Mar 26 09:26:53 EST", "2026-03-14T14:26:53.000Z"),
            ("March 14, 2026 10:00 PM", "2026-03-14T21:00:00.000Z"),
            ("Sat Mar 14 2026", "2026-03-13T23:00:00.000Z"),
            ("1 Jan 99999 00:00 GMT", "+099999-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let millis = 1_773_480_413_000;
        let whole = format!("{} {}", date(millis, BERLIN), time(millis, BERLIN));
        assert_eq!(
            whole,
            "Sat Mar 14 2026 10:26:53 GMT+0100 (Central European Standard Time)"
        );
        assert_eq!(parse(&whole, Zone::UTC), millis as f64);
        assert_eq!(parse(&utc(millis), BERLIN), millis as f64);
        assert_eq!(read("32 Jan 2026"), "none");
    }
}
