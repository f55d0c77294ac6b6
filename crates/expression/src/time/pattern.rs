//! Which pattern of a language's tables writes the fields that are asked for.

use super::format::{Cycle, Fields, Style, Width};
use crate::locale::Locale;

/// The pattern of the fields, in CLDR's letters.
pub(crate) fn pattern(locale: Locale, fields: &Fields) -> String {
    let line = |key: String| locale.line(&key).unwrap_or_default().to_owned();
    if fields.has_style() {
        let date = fields
            .date_style
            .map(|of| line(format!("date-{}", of.word())));
        let time = fields
            .time_style
            .map(|of| line(format!("time-{}", of.word())));
        let usual = Cycle::of(locale, locale.twelve_hours());
        if time.is_some() && fields.cycle.is_some_and(|cycle| cycle != usual) {
            // Another clock makes it a pattern of the same fields.
            let both = [date, time].into_iter().flatten().collect::<String>();
            return pattern(locale, &fields_of(&both, fields.cycle));
        }
        let glue = fields.date_style.map_or("short", Style::word);
        return glued(locale, date, time, &format!("glue-{glue}"));
    }
    if let Some(key) = weekday_key(locale, fields) {
        let plain = |width: Option<Width>| width.map(|_| Width::Numeric);
        let plain = Fields {
            minute: plain(fields.minute),
            second: plain(fields.second),
            ..*fields
        };
        let weekday = letters("E", fields.weekday);
        return glued(
            locale,
            Some(weekday),
            Some(time_pattern(locale, &plain)),
            &key,
        );
    }
    let date = fields.has_date().then(|| date_pattern(locale, fields));
    let time = if fields.has_time() {
        Some(time_pattern(locale, fields))
    } else {
        fields.zone.map(|width| zone_letters(width).to_owned())
    };
    glued(locale, date, time, &glue_key(fields))
}

/// The key of what stands between a weekday and a time, which languages have patterns for.
fn weekday_key(locale: Locale, fields: &Fields) -> Option<String> {
    let others = [fields.day, fields.month, fields.year, fields.zone];
    if fields.weekday.is_none() || others.iter().any(Option::is_some) {
        return None;
    }
    let twelve = fields.cycle.map_or(locale.twelve_hours(), Cycle::twelve);
    let time = match (twelve, fields.hour, fields.minute, fields.second) {
        (true, Some(_), None, None) => "h",
        (true, Some(_), Some(_), None) => "hm",
        (true, Some(_), Some(_), Some(_)) => "hms",
        (false, Some(_), Some(_), None) => "Hm",
        (false, Some(_), Some(_), Some(_)) => "Hms",
        _ => return None,
    };
    let key = format!("glue-E{time}");
    Some(locale.line(&key).map_or("glue-short".to_owned(), |_| key))
}

/// The key of what stands between date and time.
fn glue_key(fields: &Fields) -> String {
    let glue = match (fields.month, fields.weekday) {
        (Some(Width::Long), Some(_)) => "full",
        (Some(Width::Long), None) => "long",
        (Some(Width::Short), _) => "medium",
        _ => "short",
    };
    format!("glue-{glue}")
}

fn glued(locale: Locale, date: Option<String>, time: Option<String>, key: &str) -> String {
    match (date, time) {
        (Some(date), Some(time)) => {
            let glue = locale.line(key).unwrap_or("{1} {0}");
            // The letters of what is between are literal.
            let glue = quote_words(glue);
            glue.replace("{1}", &date).replace("{0}", &time)
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    }
}

/// The fields that a pattern writes.
fn fields_of(pattern: &str, cycle: Option<Cycle>) -> Fields {
    let mut fields = Fields {
        cycle,
        ..Fields::NONE
    };
    each_letter(pattern, |piece| {
        let Letters::Field(letters) = piece else {
            return;
        };
        let width = Some(match (&letters[..1], letters.len()) {
            ("z", 1) => Width::Short,
            ("z", _) => Width::Long,
            ("E", 1..=3) => Width::Short,
            (_, 1) => Width::Numeric,
            (_, 2) => Width::TwoDigits,
            (_, 3) => Width::Short,
            (_, 4) => Width::Long,
            _ => Width::Narrow,
        });
        match &letters[..1] {
            "E" | "c" => fields.weekday = width,
            "y" => fields.year = width,
            "M" | "L" => fields.month = width,
            "d" => fields.day = width,
            "h" | "H" => fields.hour = width,
            "m" => fields.minute = width,
            "s" => fields.second = width,
            "z" => fields.zone = width,
            _ => {}
        }
    });
    fields
}

fn quote_words(glue: &str) -> String {
    let mut quoted = String::with_capacity(glue.len() + 4);
    let mut inside = false;
    for c in glue.chars() {
        if c.is_alphabetic() != inside {
            quoted.push('\'');
            inside = !inside;
        }
        quoted.push(c);
    }
    if inside {
        quoted.push('\'');
    }
    quoted
}

fn letters(letter: &str, width: Option<Width>) -> String {
    let count = match width {
        None => 0,
        Some(Width::Numeric) => 1,
        Some(Width::TwoDigits) => 2,
        Some(Width::Short) => 3,
        Some(Width::Long) => 4,
        Some(Width::Narrow) => 5,
        // Only zones have these.
        Some(Width::ShortOffset | Width::LongOffset) => 0,
    };
    letter.repeat(count)
}

fn date_pattern(locale: Locale, fields: &Fields) -> String {
    let key = |weekday, year, month, day| {
        let letters = [
            letters("E", weekday),
            letters("y", year),
            letters("M", month),
            letters("d", day),
        ];
        letters.concat()
    };
    let (weekday, year, month, day) = (fields.weekday, fields.year, fields.month, fields.day);
    if let Some(exact) = locale.line(&key(weekday, year, month, day)) {
        return exact.to_owned();
    }
    let plain = |width: Option<Width>| width.map(|_| Width::Numeric);
    let plain_month = match month {
        Some(Width::TwoDigits) => Some(Width::Numeric),
        other => other,
    };
    let base = key(
        weekday.map(|_| Width::Short),
        plain(year),
        plain_month,
        plain(day),
    );
    let mut widened = String::new();
    each_letter(
        locale.line(&base).unwrap_or_default(),
        |piece| match piece {
            Letters::Literal(c) if c.is_ascii_alphabetic() => {
                widened.extend(['\'', c, '\'']);
            }
            Letters::Literal(c) => widened.push(c),
            Letters::Field(found) => {
                let letter = &found[..1];
                let asked = match letter {
                    "E" | "c" if weekday != Some(Width::Short) => letters(letter, weekday),
                    "y" if year == Some(Width::TwoDigits) => "yy".to_owned(),
                    "M" if month == Some(Width::TwoDigits) => "MM".to_owned(),
                    "d" if day == Some(Width::TwoDigits) => "dd".to_owned(),
                    _ => found.to_owned(),
                };
                widened.push_str(&asked);
            }
        },
    );
    widened
}

fn time_pattern(locale: Locale, fields: &Fields) -> String {
    let twelve = fields.cycle.map_or(locale.twelve_hours(), Cycle::twelve);
    let two = |letter, width: Option<Width>| match width {
        None => String::new(),
        Some(Width::TwoDigits) => letters(letter, width),
        Some(_) => letter.to_owned(),
    };
    let hour = two(if twelve { "h" } else { "H" }, fields.hour);
    let key = [hour, two("m", fields.minute), two("s", fields.second)].concat();
    let Some(width) = fields.zone else {
        return locale.line(&key).unwrap_or_default().to_owned();
    };
    let zone = zone_letters(width);
    match locale.line(&format!("{key}{zone}")) {
        Some(own) => own.to_owned(),
        None => {
            let short = locale.line(&format!("{key}z")).unwrap_or_default();
            short.replace('z', zone)
        }
    }
}

fn zone_letters(width: Width) -> &'static str {
    match width {
        Width::Long => "zzzz",
        Width::ShortOffset => "O",
        Width::LongOffset => "OOOO",
        _ => "z",
    }
}

/// A piece of a pattern.
pub(crate) enum Letters<'p> {
    Literal(char),
    Field(&'p str),
}

/// Walks a pattern: letters of one kind are a field, what stands in quotes is itself.
pub(crate) fn each_letter(pattern: &str, mut see: impl FnMut(Letters<'_>)) {
    let mut quoted = false;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        if c == '\'' {
            quoted = !quoted;
        } else if c.is_ascii_alphabetic() && !quoted {
            taken = rest.len() - rest.trim_start_matches(c).len();
            see(Letters::Field(&rest[..taken]));
        } else {
            see(Letters::Literal(c));
        }
        rest = &rest[taken..];
    }
}
