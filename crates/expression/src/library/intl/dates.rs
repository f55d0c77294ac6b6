//! `Intl.DateTimeFormat`.

use super::{
    date_options::date_fields,
    options::{Told, tagged_locale},
};
use crate::{
    error::Fault,
    library::{Args, Function, Method, Outcome, method, pure},
    locale::{Locale, Part},
    machine::Machine,
    time::{
        format::{self, Cycle, Fields},
        pattern::{Letters, each_letter, pattern},
        zone::Zone,
    },
    value::{Entries, Instance, Text, Val},
};

/// What `new Intl.DateTimeFormat(…)` makes.
pub(crate) struct DateFormat<'a> {
    locale: Locale,
    tag: &'static str,
    fields: Fields,
    zone: Zone<'a>,
}

pub(in crate::library) const METHODS: &[Method] = &[
    method("format", |m, this, args| {
        let (at, made) = moment(m, this, args)?;
        m.copy_text(&format::text(at, made.zone, made.locale, &made.fields))
    }),
    method("formatToParts", |m, this, args| {
        let (at, made) = moment(m, this, args)?;
        parts_value(m, &format::parts(at, made.zone, made.locale, &made.fields))
    }),
    method("resolvedOptions", |m, this, _| resolved(m, receiver(this)?)),
];

pub(super) const DATE_TIME_FORMAT: [Function; 2] = [
    pure("Intl.DateTimeFormat", new),
    pure("new Intl.DateTimeFormat", new),
];

fn new<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (locale, tag) = tagged_locale(args.get(0))?;
    let (mut fields, zone) = date_fields(m, args.get(1), locale)?;
    if !fields.has_date() && !fields.has_time() && !fields.has_style() {
        fields = fields.with_date();
    }
    m.instance(Instance::DateFormat(DateFormat {
        locale,
        tag,
        fields,
        zone,
    }))
}

/// The receiver; the table is only asked for it.
fn receiver<'a>(this: Val<'a>) -> Result<&'a DateFormat<'a>, Fault> {
    match this {
        Val::Instance(Instance::DateFormat(made)) => Ok(made),
        _ => Err(Fault::new("TYPE_INTERNAL", "this is no format of dates")),
    }
}

/// The time that is to be written. Without one JavaScript takes the clock, which would not be seen
/// by who looks at what an expression depends on.
fn moment<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Result<(i64, &'a DateFormat<'a>), Fault> {
    let date = args.get(0);
    if matches!(date, Val::Undefined) {
        let fault = Fault::new("TYPE_ARGUMENT", "a date is needed");
        return Err(fault.hint("write `.format($now)` for the time that it is"));
    }
    let time = crate::time::civil::clip(m.number_of(date)?);
    if time.is_nan() {
        return Err(Fault::new(
            "TYPE_RANGE",
            "an invalid date cannot be written",
        ));
    }
    Ok((time as i64, receiver(this)?))
}

fn resolved<'a>(m: &mut Machine<'a>, made: &DateFormat<'a>) -> Outcome<'a> {
    let mut told = Told::default();
    told.word(m, "locale", made.tag)?;
    told.word(m, "calendar", "gregory")?;
    told.word(m, "numberingSystem", "latn")?;
    told.word(m, "timeZone", &made.zone.name())?;
    let pattern = pattern(made.locale, &made.fields);
    let mut found = Vec::new();
    each_letter(&pattern, |letters| {
        if let Letters::Field(letters) = letters {
            found.push(letters.to_owned());
        }
    });
    let of = |kinds: &str| {
        found
            .iter()
            .find(|found| found.starts_with(|c| kinds.contains(c)))
    };
    if let Some(hour) = of("hH") {
        let twelve = hour.starts_with('h');
        let cycle = made.fields.cycle.unwrap_or(Cycle::of(made.locale, twelve));
        told.word(m, "hourCycle", cycle.word())?;
        told.put(m, "hour12", Val::Bool(twelve))?;
    }
    let styles = [
        ("dateStyle", made.fields.date_style),
        ("timeStyle", made.fields.time_style),
    ];
    for (key, style) in styles {
        if let Some(style) = style {
            told.word(m, key, style.word())?;
        }
    }
    // A style stands for its fields.
    for (key, kinds) in [
        ("weekday", "Ec"),
        ("year", "y"),
        ("month", "ML"),
        ("day", "d"),
        ("hour", "hH"),
        ("minute", "m"),
        ("second", "s"),
        ("timeZoneName", "zO"),
    ] {
        if let Some(letters) = of(kinds).filter(|_| !made.fields.has_style()) {
            told.word(m, key, resolved_width(letters))?;
        }
    }
    m.object(told.entries)
}

/// The word for how a field of a pattern is written.
fn resolved_width(letters: &str) -> &'static str {
    match (&letters[..1], letters.len()) {
        ("z", 1) | ("E" | "c" | "M" | "L", 3) => "short",
        ("z", _) | ("E" | "c" | "M" | "L", 4) => "long",
        ("O", 1) => "shortOffset",
        ("O", _) => "longOffset",
        ("E" | "c" | "M" | "L", 5) => "narrow",
        (_, 2) => "2-digit",
        _ => "numeric",
    }
}

/// A list of `{ type, value }`.
pub(in crate::library) fn parts_value<'a>(m: &mut Machine<'a>, parts: &[Part]) -> Outcome<'a> {
    let mut list = m.list(parts.len())?;
    for part in parts {
        let mut entries = Entries::default();
        m.reserve_entry(&entries)?;
        let kind = m.copy_text(part.kind)?;
        entries.push(Text::Utf8("type"), kind);
        m.reserve_entry(&entries)?;
        let text = m.copy_text(&part.text)?;
        entries.push(Text::Utf8("value"), text);
        let object = m.object(entries)?;
        list.push(m, object)?;
    }
    m.array(list)
}
