//! Reading the well-known texts of a time as luxon does: ISO 8601, SQL, RFC 2822, HTTP.

use super::{
    fields::{Field, Values},
    scan::{Scan, milliseconds},
    zone::Zone,
};
use crate::locale::Locale;

/// The fields of a text, and the zone that it names.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parsed<'t> {
    pub(crate) values: Values,
    pub(crate) zone: Option<Named<'t>>,
}

/// A zone as a text names it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named<'t> {
    Minutes(i32),
    Name(&'t str),
}

impl<'t> Named<'t> {
    pub(crate) fn zone(self) -> Option<Zone<'t>> {
        match self {
            Named::Minutes(minutes) => Some(Zone::Fixed(minutes)),
            Named::Name(name) => Zone::named(name),
        }
    }
}

impl Parsed<'_> {
    pub(crate) fn put(&mut self, field: Field, value: i64) {
        self.values[field as usize] = Some(value as f64);
    }
}

/// Dates by month, week or ordinal, alone or with a time; a time alone.
pub(crate) fn iso(text: &str) -> Option<Parsed<'_>> {
    let dates: [fn(&mut Scan<'_>, &mut Parsed<'_>) -> Option<()>; 3] = [ymd, week, ordinal];
    for date in dates {
        let mut parsed = Parsed::default();
        let mut scan = Scan(text);
        if date(&mut scan, &mut parsed).is_some()
            && (scan.is_done()
                || scan.one_of("Tt").is_some() && time(&mut scan, &mut parsed, false).is_some())
            && scan.is_done()
        {
            return Some(parsed);
        }
    }
    let mut parsed = Parsed::default();
    let mut scan = Scan(text);
    time(&mut scan, &mut parsed, false)?;
    scan.is_done().then_some(parsed)
}

/// `2026-03-14 09:26:53.589 +01:00`, or the time alone.
pub(crate) fn sql(text: &str) -> Option<Parsed<'_>> {
    let mut parsed = Parsed::default();
    let mut scan = Scan(text);
    if scan.attempt(|scan| sql_date(scan, &mut parsed)).is_some() {
        if scan.take(" ") {
            time(&mut scan, &mut parsed, true)?;
        }
        return scan.is_done().then_some(parsed);
    }
    parsed = Parsed::default();
    time(&mut scan, &mut parsed, true)?;
    scan.is_done().then_some(parsed)
}

fn sql_date(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>) -> Option<()> {
    parsed.put(Field::Year, scan.digits(4, 4)?);
    parsed.put(Field::Month, dashed(scan)?);
    parsed.put(Field::Day, dashed(scan)?);
    Some(())
}

fn dashed(scan: &mut Scan<'_>) -> Option<i64> {
    if scan.take("-") {
        scan.digits(2, 2)
    } else {
        None
    }
}

fn ymd(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>) -> Option<()> {
    let year = match scan.one_of("+-") {
        Some(sign) => {
            let year = scan.digits(6, 6)?;
            if sign == '-' { -year } else { year }
        }
        None => scan.digits(4, 4)?,
    };
    parsed.put(Field::Year, year);
    for field in [Field::Month, Field::Day] {
        let value = scan.attempt(|scan| {
            scan.take("-");
            scan.digits(2, 2)
        });
        parsed.put(field, value.unwrap_or(1));
        if value.is_none() {
            parsed.put(Field::Day, 1);
            break;
        }
    }
    Some(())
}

fn week(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>) -> Option<()> {
    parsed.put(Field::WeekYear, scan.digits(4, 4)?);
    scan.take("-");
    if !scan.take("W") {
        return None;
    }
    parsed.put(Field::WeekNumber, scan.digits(2, 2)?);
    let day = scan.attempt(|scan| {
        scan.take("-");
        scan.digits(1, 1)
    });
    if let Some(day) = day {
        parsed.put(Field::Weekday, day);
    }
    Some(())
}

fn ordinal(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>) -> Option<()> {
    parsed.put(Field::Year, scan.digits(4, 4)?);
    scan.take("-");
    parsed.put(Field::Ordinal, scan.digits(3, 3)?);
    Some(())
}

/// A time with the offset and the zone that may follow; SQL has a space before these.
fn time<'t>(scan: &mut Scan<'t>, parsed: &mut Parsed<'t>, sql: bool) -> Option<()> {
    parsed.put(Field::Hour, scan.digits(2, 2)?);
    for field in [Field::Minute, Field::Second, Field::Millisecond] {
        parsed.put(field, 0);
    }
    let two = |scan: &mut Scan<'t>| {
        scan.attempt(|scan| {
            scan.take(":");
            scan.digits(2, 2)
        })
    };
    if let Some(minute) = two(scan) {
        parsed.put(Field::Minute, minute);
        if let Some(second) = two(scan) {
            parsed.put(Field::Second, second);
            let fraction = scan.attempt(|scan| {
                scan.one_of(".,")?;
                let digits = scan.while_fits(|c| c.is_ascii_digit());
                (1..=30).contains(&digits.len()).then_some(digits)
            });
            if let Some(digits) = fraction {
                parsed.put(Field::Millisecond, milliseconds(digits));
            }
        }
    }
    if sql {
        scan.take(" ");
    }
    let shift = scan.attempt(offset);
    parsed.zone = shift.map(Named::Minutes);
    let name =
        |scan: &mut Scan<'t>| scan.while_fits(|c| c.is_ascii_alphanumeric() || "_+-/:".contains(c));
    if sql && shift.is_none() && !scan.is_done() {
        parsed.zone = Some(Named::Name(name(scan)));
    } else if !sql && scan.take("[") {
        // The name counts, even if an offset stands there too.
        parsed.zone = Some(Named::Name(name(scan)));
        if !scan.take("]") {
            return None;
        }
    }
    Some(())
}

/// `Z`, `+01`, `+0100` or `+01:00`, in minutes.
fn offset(scan: &mut Scan<'_>) -> Option<i32> {
    if scan.one_of("Zz").is_some() {
        return Some(0);
    }
    let sign = if scan.one_of("+-")? == '-' { -1 } else { 1 };
    let hours = scan.digits(2, 2)?;
    let minutes = scan.attempt(|scan| {
        scan.take(":");
        scan.digits(2, 2)
    });
    i32::try_from(sign * (hours * 60 + minutes.unwrap_or(0))).ok()
}

const OFFSETS: [(&str, i32); 10] = [
    ("UT", 0),
    ("GMT", 0),
    ("EDT", -240),
    ("EST", -300),
    ("CDT", -300),
    ("CST", -360),
    ("MDT", -360),
    ("MST", -420),
    ("PDT", -420),
    ("PST", -480),
];

/// A name as it is written, by its position from 1.
fn named(scan: &mut Scan<'_>, letters: &str) -> Option<i64> {
    let (at, name) = Locale::En
        .names(letters)
        .enumerate()
        .find(|(_, name)| scan.0.starts_with(name))?;
    scan.take(name);
    i64::try_from(at + 1).ok()
}

fn expect(scan: &mut Scan<'_>, text: &str) -> Option<()> {
    scan.take(text).then_some(())
}

/// `hh:mm:ss`, of which the seconds may be missing where that is allowed.
fn hms(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>, optional: bool) -> Option<()> {
    parsed.put(Field::Hour, scan.digits(2, 2)?);
    expect(scan, ":")?;
    parsed.put(Field::Minute, scan.digits(2, 2)?);
    if scan.take(":") {
        parsed.put(Field::Second, scan.digits(2, 2)?);
        Some(())
    } else {
        optional.then_some(())
    }
}

/// Years of two digits are those from 1961 to 2060.
pub(crate) fn full_year(year: i64) -> i64 {
    match year {
        0..=60 => 2_000 + year,
        61..=99 => 1_900 + year,
        _ => year,
    }
}

/// `Sat, 14 Mar 2026 09:26:53 +0100`; comments in parentheses are skipped.
pub(crate) fn rfc2822(text: &str) -> Option<Parsed<'static>> {
    let mut plain = String::with_capacity(text.len());
    let mut depth = false;
    for c in text.chars() {
        match c {
            '(' => depth = true,
            ')' => depth = false,
            _ if depth => {}
            c if c.is_whitespace() => {
                if !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            c => plain.push(c),
        }
    }
    let mut scan = Scan(plain.trim());
    let mut parsed = Parsed::default();
    if let Some(weekday) = named(&mut scan, "EEE") {
        parsed.put(Field::Weekday, weekday);
        expect(&mut scan, ", ")?;
    }
    parsed.put(Field::Day, scan.digits(1, 2)?);
    expect(&mut scan, " ")?;
    parsed.put(Field::Month, named(&mut scan, "MMM")?);
    expect(&mut scan, " ")?;
    let digits = scan.0.bytes().take_while(u8::is_ascii_digit).count();
    let year = scan.digits(2, 4)?;
    parsed.put(
        Field::Year,
        if digits == 2 { full_year(year) } else { year },
    );
    expect(&mut scan, " ")?;
    hms(&mut scan, &mut parsed, true)?;
    expect(&mut scan, " ")?;
    let word = OFFSETS.iter().find(|(name, _)| *name == scan.0);
    let minutes = match word {
        Some((_, minutes)) => *minutes,
        None => {
            let minutes = offset(&mut scan)?;
            expect(&mut scan, "").filter(|()| scan.is_done())?;
            minutes
        }
    };
    parsed.zone = Some(Named::Minutes(minutes));
    Some(parsed)
}

/// The three forms of HTTP: `Sat, 14 Mar 2026 09:26:53 GMT`, `Saturday, 14-Mar-26 09:26:53 GMT`,
/// `Sat Mar 14 09:26:53 2026`.
pub(crate) fn http(text: &str) -> Option<Parsed<'static>> {
    let forms: [fn(&mut Scan<'_>, &mut Parsed<'_>) -> Option<()>; 3] = [rfc1123, rfc850, asctime];
    forms.into_iter().find_map(|form| {
        let mut scan = Scan(text);
        let mut parsed = Parsed::default();
        form(&mut scan, &mut parsed)?;
        parsed.zone = Some(Named::Minutes(0));
        scan.is_done().then_some(parsed)
    })
}

fn rfc1123(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>) -> Option<()> {
    parsed.put(Field::Weekday, named(scan, "EEE")?);
    expect(scan, ", ")?;
    parsed.put(Field::Day, scan.digits(2, 2)?);
    expect(scan, " ")?;
    parsed.put(Field::Month, named(scan, "MMM")?);
    expect(scan, " ")?;
    parsed.put(Field::Year, scan.digits(4, 4)?);
    expect(scan, " ")?;
    hms(scan, parsed, false)?;
    expect(scan, " GMT")
}

fn rfc850(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>) -> Option<()> {
    parsed.put(Field::Weekday, named(scan, "EEEE")?);
    expect(scan, ", ")?;
    parsed.put(Field::Day, scan.digits(2, 2)?);
    expect(scan, "-")?;
    parsed.put(Field::Month, named(scan, "MMM")?);
    expect(scan, "-")?;
    parsed.put(Field::Year, full_year(scan.digits(2, 2)?));
    expect(scan, " ")?;
    hms(scan, parsed, false)?;
    expect(scan, " GMT")
}

fn asctime(scan: &mut Scan<'_>, parsed: &mut Parsed<'_>) -> Option<()> {
    parsed.put(Field::Weekday, named(scan, "EEE")?);
    expect(scan, " ")?;
    parsed.put(Field::Month, named(scan, "MMM")?);
    expect(scan, " ")?;
    let padded = scan.take(" ");
    parsed.put(Field::Day, scan.digits(if padded { 1 } else { 2 }, 2)?);
    expect(scan, " ")?;
    hms(scan, parsed, false)?;
    expect(scan, " ")?;
    parsed.put(Field::Year, scan.digits(4, 4)?);
    Some(())
}
