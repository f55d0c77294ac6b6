//! The letters of luxon's formats, and what a `DateTime` writes for them.

use super::{
    date_time::DateTime,
    format::{self, Cycle, Fields, Width},
    zone::{OffsetForm, Zone, offset_text},
};
use crate::locale::{Locale, zone_long, zone_short};

/// A piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// Text that stands for itself: quoted, or white space.
    Literal(String),
    /// A run of one character.
    Letters(String),
}

/// Splits a format. Quotes make what is between them literal; two of them are one quote.
pub(crate) fn split(format: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut run = String::new();
    let mut quoted = false;
    let end = |run: &mut String, quoted: bool, tokens: &mut Vec<Token>| {
        if !run.is_empty() {
            let text = std::mem::take(run);
            let space = text.chars().all(char::is_whitespace);
            tokens.push(if quoted || space {
                Token::Literal(text)
            } else {
                Token::Letters(text)
            });
        }
    };
    for c in format.chars() {
        if c == '\'' {
            if quoted && run.is_empty() {
                tokens.push(Token::Literal("'".to_owned()));
            }
            end(&mut run, quoted, &mut tokens);
            quoted = !quoted;
            continue;
        }
        if !quoted && !run.is_empty() && !run.ends_with(c) {
            end(&mut run, quoted, &mut tokens);
        }
        run.push(c);
    }
    end(&mut run, quoted, &mut tokens);
    tokens
}

const N: Option<Width> = Some(Width::Numeric);
const S: Option<Width> = Some(Width::Short);
const L: Option<Width> = Some(Width::Long);

/// The fields of a macro token such as `DDD` or `fff`.
pub(crate) fn macro_fields(letters: &str) -> Option<Fields> {
    let date = |month, weekday| Fields {
        year: N,
        month,
        day: N,
        weekday,
        ..Fields::NONE
    };
    let time = |base: Fields, second, zone| Fields {
        hour: N,
        minute: N,
        second,
        zone,
        ..base
    };
    let full = |second, width: usize| {
        let (month, weekday, zone) = match width {
            1 => (N, None, None),
            2 => (S, None, None),
            3 => (L, None, S),
            _ => (L, L, L),
        };
        time(date(month, weekday), second, zone)
    };
    let (first, width) = (letters.chars().next()?, letters.len());
    if width > 4 || letters.chars().any(|c| c != first) {
        return None;
    }
    let seconds = if width > 1 { N } else { None };
    let zone = [None, None, S, L][width - 1];
    let twenty_four = Fields {
        cycle: Some(Cycle::H23),
        ..Fields::NONE
    };
    Some(match first {
        'D' => date([N, S, L, L][width - 1], [None, None, None, L][width - 1]),
        't' => time(Fields::NONE, seconds, zone),
        'T' => time(twenty_four, seconds, zone),
        'f' => full(None, width),
        'F' => full(N, width),
        _ => return None,
    })
}

/// What a format writes for a time, which must be valid.
pub(crate) fn write(time: &DateTime<'_>, format: &str, locale: Locale) -> String {
    let mut text = String::with_capacity(format.len() + 16);
    for token in split(format) {
        match token {
            Token::Literal(literal) => text.push_str(&literal),
            Token::Letters(letters) => text.push_str(&written(time, &letters, locale)),
        }
    }
    text
}

/// A number with at least so many digits.
pub(crate) fn padded(n: i64, digits: usize) -> String {
    let sign = if n < 0 { "-" } else { "" };
    format!("{sign}{:0digits$}", n.abs())
}

fn written(time: &DateTime<'_>, letters: &str, locale: Locale) -> String {
    let civil = time.civil();
    let twelve = if civil.hour % 12 == 0 {
        12
    } else {
        civil.hour % 12
    };
    let (week_year, week) = civil.week(1, 4);
    let (first, least) = locale.week();
    let (local_year, local_week) = civil.week(first, least);
    let last_two = |n: i64| padded(n.abs() % 100, 2);
    match letters {
        "S" => civil.milli.to_string(),
        "u" | "SSS" => padded(civil.milli, 3),
        "uu" => padded(civil.milli / 10, 2),
        "uuu" => (civil.milli / 100).to_string(),
        "s" | "ss" => padded(civil.second, letters.len()),
        "m" | "mm" => padded(civil.minute, letters.len()),
        "h" | "hh" => padded(twelve, letters.len()),
        "H" | "HH" => padded(civil.hour, letters.len()),
        "Z" => offset(time, OffsetForm::Narrow),
        "ZZ" => offset(time, OffsetForm::Short),
        "ZZZ" => offset(time, OffsetForm::Joined),
        "ZZZZ" => zone_name(time, locale, false),
        "ZZZZZ" => zone_name(time, locale, true),
        "z" => time.zone.name(),
        "a" => locale.name("a", i64::from(civil.hour >= 12)).to_owned(),
        "d" | "dd" => padded(civil.day, letters.len()),
        "c" | "E" => civil.weekday().to_string(),
        "ccc" | "cccc" | "ccccc" | "EEE" | "EEEE" | "EEEEE" => {
            locale.name(letters, civil.weekday() - 1).to_owned()
        }
        "L" | "LL" | "M" | "MM" => padded(civil.month, letters.len()),
        "LLL" | "LLLL" | "LLLLL" | "MMM" | "MMMM" | "MMMMM" => {
            locale.name(letters, civil.month - 1).to_owned()
        }
        "y" | "yyyy" | "yyyyyy" => padded(civil.year, letters.len()),
        "yy" => last_two(civil.year),
        "G" => if civil.year < 0 { "BC" } else { "AD" }.to_owned(),
        "GG" => if civil.year < 0 {
            "Before Christ"
        } else {
            "Anno Domini"
        }
        .to_owned(),
        "GGGGG" => if civil.year < 0 { "B" } else { "A" }.to_owned(),
        "kk" => last_two(week_year),
        "kkkk" => padded(week_year, 4),
        "W" | "WW" => padded(week, letters.len()),
        "n" | "nn" => padded(local_week, letters.len()),
        "ii" => last_two(local_year),
        "iiii" => padded(local_year, 4),
        "o" | "ooo" => padded(civil.ordinal(), letters.len()),
        "q" | "qq" => padded(civil.quarter(), letters.len()),
        "X" => time.millis.div_euclid(1_000).to_string(),
        "x" => time.millis.to_string(),
        other => match macro_fields(other) {
            Some(fields) => format::text(time.millis, time.zone, locale, &fields),
            None => other.to_owned(),
        },
    }
}

/// The offset in whole minutes.
pub(crate) fn offset_minutes(time: &DateTime<'_>) -> i32 {
    i32::try_from(time.offset() / 60_000).unwrap_or_default()
}

fn offset(time: &DateTime<'_>, form: OffsetForm) -> String {
    offset_text(offset_minutes(time), form)
}

/// The name of the zone at that time; of a fixed offset its own.
pub(crate) fn zone_name(time: &DateTime<'_>, locale: Locale, long: bool) -> String {
    match time.zone {
        Zone::Fixed(_) => time.zone.name(),
        Zone::Named(_) if long => zone_long(time.zone, locale, time.millis),
        Zone::Named(_) => zone_short(time.zone, locale, time.millis),
    }
}
