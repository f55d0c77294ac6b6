//! Dates in the words of a language: what `Intl.DateTimeFormat` writes.

use super::{
    civil::Civil,
    pattern::{Letters, each_letter, pattern},
    zone::Zone,
};
use crate::locale::{Locale, Part, zone_long, zone_offset, zone_short};

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Numeric,
    TwoDigits,
    Short,
    Long,
    Narrow,
    /// Of a zone: `GMT+1`.
    ShortOffset,
    /// Of a zone: `GMT+01:00`.
    LongOffset,
}

/// A ready-made form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Full,
    Long,
    Medium,
    Short,
}

impl Style {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Style::Full => "full",
            Style::Long => "long",
            Style::Medium => "medium",
            Style::Short => "short",
        }
    }
}

/// From which hour to which a clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cycle {
    H11,
    H12,
    H23,
    H24,
}

impl Cycle {
    pub(crate) fn twelve(self) -> bool {
        matches!(self, Cycle::H11 | Cycle::H12)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Cycle::H11 => "h11",
            Cycle::H12 => "h12",
            Cycle::H23 => "h23",
            Cycle::H24 => "h24",
        }
    }

    /// The usual one of a language, or its other one.
    pub(crate) fn of(locale: Locale, twelve: bool) -> Self {
        match (twelve, locale) {
            (true, Locale::Ja) => Cycle::H11,
            (true, _) => Cycle::H12,
            (false, _) => Cycle::H23,
        }
    }
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
    pub(crate) cycle: Option<Cycle>,
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
        cycle: None,
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
    let cycle = fields.cycle;
    each_letter(&pattern, |letters| {
        let (kind, text) = match letters {
            Letters::Literal(c) => ("literal", c.to_string()),
            Letters::Field(letters) => field(letters, &time, locale, millis, zone, cycle),
        };
        match parts.last_mut() {
            Some(last) if kind == "literal" && last.kind == kind => last.text.push_str(&text),
            _ => parts.push(Part { kind, text }),
        }
    });
    parts
}

fn field(
    letters: &str,
    time: &Civil,
    locale: Locale,
    millis: i64,
    zone: Zone<'_>,
    cycle: Option<Cycle>,
) -> (&'static str, String) {
    let number = |n: i64| match letters.len() {
        1 => n.to_string(),
        _ => format!("{n:02}"),
    };
    let twelve = || match time.hour % 12 {
        0 if cycle.unwrap_or(Cycle::of(locale, true)) == Cycle::H12 => 12,
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
        "H" if time.hour == 0 && cycle == Some(Cycle::H24) => ("hour", number(24)),
        "H" => ("hour", number(time.hour)),
        "m" => ("minute", number(time.minute)),
        "s" => ("second", number(time.second)),
        "a" => (
            "dayPeriod",
            locale.name("a", i64::from(time.hour >= 12)).to_owned(),
        ),
        "O" => {
            let offset = zone_offset(zone.offset(millis), locale, letters.len() > 1);
            ("timeZoneName", offset)
        }
        "z" if letters.len() > 1 => ("timeZoneName", zone_long(zone, locale, millis)),
        _ => ("timeZoneName", zone_short(zone, locale, millis)),
    }
}
