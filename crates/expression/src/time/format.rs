//! Dates in the words of a language: what `Intl.DateTimeFormat` writes.

use super::{civil::Civil, zone::Zone};
use crate::locale::{Locale, zone_long, zone_short};

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Numeric,
    TwoDigits,
    Short,
    Long,
    Narrow,
}

/// A ready-made form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Full,
    Long,
    Medium,
    Short,
}

/// Which fields are written, and how; with a style no field is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) weekday: Option<Width>,
    pub(crate) year: Option<Width>,
    pub(crate) month: Option<Width>,
    pub(crate) day: Option<Width>,
    pub(crate) hour: Option<Width>,
    pub(crate) minute: Option<Width>,
    pub(crate) second: Option<Width>,
    pub(crate) zone: Option<Width>,
    pub(crate) twelve: Option<bool>,
    pub(crate) date_style: Option<Style>,
    pub(crate) time_style: Option<Style>,
}

const N: Option<Width> = Some(Width::Numeric);

impl Fields {
    pub(crate) const NONE: Fields = Fields {
        weekday: None,
        year: None,
        month: None,
        day: None,
        hour: None,
        minute: None,
        second: None,
        zone: None,
        twelve: None,
        date_style: None,
        time_style: None,
    };
    pub(crate) const DATE: Fields = Fields {
        year: N,
        month: N,
        day: N,
        ..Fields::NONE
    };

    pub(crate) fn has_date(&self) -> bool {
        let fields = [self.weekday, self.year, self.month, self.day];
        fields.iter().any(Option::is_some)
    }

    pub(crate) fn has_time(&self) -> bool {
        let fields = [self.hour, self.minute, self.second];
        fields.iter().any(Option::is_some)
    }

    pub(crate) fn has_style(&self) -> bool {
        self.date_style.is_some() || self.time_style.is_some()
    }

    /// With year, month and day as numbers.
    pub(crate) fn with_date(self) -> Fields {
        Fields {
            year: N,
            month: N,
            day: N,
            ..self
        }
    }

    /// With hour, minute and second as numbers.
    pub(crate) fn with_time(self) -> Fields {
        Fields {
            hour: N,
            minute: N,
            second: N,
            ..self
        }
    }
}

/// A piece of a date that is written, and the name of what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// The whole text. The narrow no-break space before AM and PM is a plain one here, though not in
/// [`parts`]: engines write it so, because programs read such texts.
pub(crate) fn text(millis: i64, zone: Zone<'_>, locale: Locale, fields: &Fields) -> String {
    let parts = parts(millis, zone, locale, fields);
    let pieces = parts.iter().map(|part| part.text.replace('\u{202f}', " "));
    pieces.collect()
}

pub(crate) fn parts(millis: i64, zone: Zone<'_>, locale: Locale, fields: &Fields) -> Vec<Part> {
    let time = Civil::of(millis + zone.offset(millis));
    let mut parts: Vec<Part> = Vec::new();
    let pattern = pattern(locale, fields);
    each_letter(&pattern, |letters| {
        let (kind, text) = match letters {
            Letters::Literal(c) => ("literal", c.to_string()),
            Letters::Field(letters) => field(letters, &time, locale, millis, zone),
        };
        match parts.last_mut() {
            Some(last) if kind == "literal" && last.kind == kind => last.text.push_str(&text),
            _ => parts.push(Part { kind, text }),
        }
    });
    parts
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

fn field(
    letters: &str,
    time: &Civil,
    locale: Locale,
    millis: i64,
    zone: Zone<'_>,
) -> (&'static str, String) {
    let number = |n: i64| match letters.len() {
        1 => n.to_string(),
        _ => format!("{n:02}"),
    };
    let twelve = || match time.hour % 12 {
        0 if locale != Locale::Ja => 12,
        hour => hour,
    };
    // Before the year 1 years are counted back.
    let year = if time.year > 0 {
        time.year
    } else {
        1 - time.year
    };
    match &letters[..1] {
        "y" if letters.len() == 2 => ("year", format!("{:02}", year % 100)),
        "y" => ("year", year.to_string()),
        "M" | "L" if letters.len() > 2 => {
            ("month", locale.name(letters, time.month - 1).to_owned())
        }
        "M" | "L" => ("month", number(time.month)),
        "d" => ("day", number(time.day)),
        "E" | "c" => (
            "weekday",
            locale.name(letters, time.weekday() - 1).to_owned(),
        ),
        "h" => ("hour", number(twelve())),
        "H" => ("hour", number(time.hour)),
        "m" => ("minute", number(time.minute)),
        "s" => ("second", number(time.second)),
        "a" => (
            "dayPeriod",
            locale.name("a", i64::from(time.hour >= 12)).to_owned(),
        ),
        "z" if letters.len() > 1 => ("timeZoneName", zone_long(zone, locale, millis)),
        _ => ("timeZoneName", zone_short(zone, locale, millis)),
    }
}

/// The pattern of the fields, in CLDR's letters.
pub(crate) fn pattern(locale: Locale, fields: &Fields) -> String {
    let line = |key: String| locale.line(&key).unwrap_or_default().to_owned();
    let style = |style: Style| match style {
        Style::Full => "full",
        Style::Long => "long",
        Style::Medium => "medium",
        Style::Short => "short",
    };
    let (date, time, glue) = if fields.has_style() {
        let date = fields
            .date_style
            .map(|of| line(format!("date-{}", style(of))));
        let time = fields.time_style.map(|of| {
            let time = line(format!("time-{}", style(of)));
            let asked = fields.twelve.unwrap_or(locale.twelve_hours());
            if asked == locale.twelve_hours() {
                return time;
            }
            let hour = if asked { "h" } else { "H" };
            let seconds = if of == Style::Short { "" } else { "s" };
            let zone = if matches!(of, Style::Full | Style::Long) {
                "z"
            } else {
                ""
            };
            let other = line(format!("{hour}m{seconds}{zone}"));
            if of == Style::Full {
                other.replace('z', "zzzz")
            } else {
                other
            }
        });
        let glue = fields.date_style.map_or("short", style);
        (date, time, glue)
    } else {
        let glue = match (fields.month, fields.weekday) {
            (None, Some(_)) if fields.day.is_none() && fields.year.is_none() => "weekday",
            (Some(Width::Long), Some(_)) => "full",
            (Some(Width::Long), None) => "long",
            (Some(Width::Short), _) => "medium",
            _ => "short",
        };
        let date = fields.has_date().then(|| date_pattern(locale, fields));
        let time = fields.has_time().then(|| time_pattern(locale, fields));
        (date, time, glue)
    };
    let both = match (date, time) {
        (Some(date), Some(time)) => {
            let glue = locale.line(&format!("glue-{glue}")).unwrap_or("{1} {0}");
            // The letters of what is between are literal.
            let glue = quote_words(glue);
            return glue.replace("{1}", &date).replace("{0}", &time);
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    };
    // A zone without a time is written after the date.
    match (fields.zone, fields.has_time() || fields.has_style()) {
        (Some(width), false) => {
            let comma = if locale.is_english() || locale == Locale::De {
                ", "
            } else {
                " "
            };
            let zone = if width == Width::Long { "zzzz" } else { "z" };
            format!("{both}{comma}{zone}")
        }
        _ => both,
    }
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
    let twelve = fields.twelve.unwrap_or(locale.twelve_hours());
    let two = |letter, width: Option<Width>| match width {
        None => String::new(),
        Some(Width::TwoDigits) => letters(letter, width),
        Some(_) => letter.to_owned(),
    };
    let hour = two(if twelve { "h" } else { "H" }, fields.hour);
    let zone = if fields.zone.is_some() { "z" } else { "" };
    let key = [hour, two("m", fields.minute), two("s", fields.second)].concat() + zone;
    let pattern = locale.line(&key).unwrap_or_default();
    match fields.zone {
        Some(Width::Long) => pattern.replace('z', "zzzz"),
        _ => pattern.to_owned(),
    }
}
