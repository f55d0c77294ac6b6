//! How a `DateTime` comes about.

use super::arguments::{field_values, one_calendar, place, time_like};
use crate::{
    Purity,
    error::Fault,
    library::{Args, Function, Outcome, pure},
    machine::Machine,
    time::{
        date_time::{DateTime, Invalid},
        fields::{FIELDS, Field},
        js,
        luxon_parse::{self, Named, Parsed},
        parse_format::{self, BadFormat, MAX_TOKENS},
        zone::Zone,
    },
    value::{Instance, Val},
};

/// What is not named in full is taken from the clock, and so is the choice between two times that
/// clocks show alike.
const fn timed(name: &'static str, run: crate::library::Run) -> Function {
    Function {
        name,
        callbacks: 0,
        purity: Purity::Time,
        run,
    }
}

pub(in crate::library) const FUNCTIONS: [Function; 17] = [
    timed("DateTime.fromFormat", from_format),
    timed("DateTime.fromHTTP", |m, args| {
        read(m, args, luxon_parse::http)
    }),
    timed("DateTime.fromISO", |m, args| {
        read(m, args, luxon_parse::iso)
    }),
    pure("DateTime.fromJSDate", from_js_date),
    pure("DateTime.fromMillis", |m, args| from_number(m, args, 1.0)),
    timed("DateTime.fromObject", from_object),
    timed("DateTime.fromRFC2822", |m, args| {
        read(m, args, luxon_parse::rfc2822)
    }),
    timed("DateTime.fromSQL", |m, args| {
        read(m, args, luxon_parse::sql)
    }),
    pure("DateTime.fromSeconds", |m, args| {
        from_number(m, args, 1_000.0)
    }),
    timed("DateTime.fromString", from_format),
    pure("DateTime.invalid", |m, _| {
        m.date_time(DateTime::invalid(Invalid::Input))
    }),
    pure("DateTime.isDateTime", |_, args| {
        let is = matches!(args.get(0), Val::Instance(Instance::DateTime(_)));
        Ok(Val::Bool(is))
    }),
    timed("DateTime.local", |m, args| from_parts(m, args, None)),
    pure("DateTime.max", |m, args| best(m, args, |a, b| a > b)),
    pure("DateTime.min", |m, args| best(m, args, |a, b| a < b)),
    timed("DateTime.now", |m, _| {
        let now = m.now()?;
        m.date_time(now)
    }),
    timed("DateTime.utc", |m, args| {
        from_parts(m, args, Some(Zone::UTC))
    }),
];

fn from_number<'a>(m: &mut Machine<'a>, args: Args<'a, '_>, factor: f64) -> Outcome<'a> {
    if !matches!(args.get(0), Val::Num(_) | Val::Exact(_)) {
        let message = format!("a number is needed, not {}", args.get(0).kind());
        return Err(Fault::new("TYPE_ARGUMENT", message).hint("write `Number(…)`"));
    }
    let number = m.number_of(args.get(0))? * factor;
    let place = place(m, args.get(1))?;
    m.date_time(match place.zone {
        Some(zone) => DateTime::new(number, zone, place.locale),
        None => DateTime::invalid(Invalid::Zone),
    })
}

fn from_js_date<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let place = place(m, args.get(1))?;
    m.date_time(match (args.get(0), place.zone) {
        (Val::Instance(Instance::Date(time)), Some(zone)) => {
            DateTime::new(*time, zone, place.locale)
        }
        (_, None) => DateTime::invalid(Invalid::Zone),
        _ => DateTime::invalid(Invalid::Input),
    })
}

fn from_object<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let place = place(m, args.get(1))?;
    let values = if args.get(0).is_nullish() {
        [None; FIELDS]
    } else {
        field_values(m, args.get(0))?
    };
    let Some(zone) = place.zone else {
        return m.date_time(DateTime::invalid(Invalid::Zone));
    };
    let now = DateTime::new(m.context.now_ms as f64, zone, place.locale);
    m.date_time(DateTime::from_values(now, &values, None))
}

/// `DateTime.local(2026, 3, 14, 9, 26)`, with options at the end.
fn from_parts<'a>(m: &mut Machine<'a>, args: Args<'a, '_>, zone: Option<Zone<'a>>) -> Outcome<'a> {
    let (numbers, options) = match args.0.split_last() {
        Some((last, numbers)) if last.is_object() => (numbers, *last),
        _ => (args.0, Val::Undefined),
    };
    let place = place(m, options)?;
    let Some(zone) = zone.or(place.zone) else {
        return m.date_time(DateTime::invalid(Invalid::Zone));
    };
    let fields = [
        Field::Year,
        Field::Month,
        Field::Day,
        Field::Hour,
        Field::Minute,
        Field::Second,
        Field::Millisecond,
    ];
    let mut values = [None; FIELDS];
    for (field, value) in fields.into_iter().zip(numbers) {
        if !matches!(value, Val::Undefined) {
            values[field as usize] = Some(m.number_of(*value)?);
        }
    }
    let now = DateTime::new(m.context.now_ms as f64, zone, place.locale);
    m.date_time(if values[Field::Year as usize].is_some() {
        DateTime::from_values(now, &values, None)
    } else {
        now
    })
}

fn best<'a>(m: &mut Machine<'a>, args: Args<'a, '_>, better: fn(f64, f64) -> bool) -> Outcome<'a> {
    m.walk(args.len())?;
    let mut found: Option<(f64, Val<'a>)> = None;
    for arg in args.0 {
        let Val::Instance(Instance::DateTime(time)) = arg else {
            let message = format!("every argument must be a DateTime, not {}", arg.kind());
            return Err(Fault::new("TYPE_ARGUMENT", message));
        };
        if found.is_none_or(|(best, _)| better(time.number(), best)) {
            found = Some((time.number(), *arg));
        }
    }
    Ok(found.map_or(Val::Undefined, |(_, time)| time))
}

/// Reads one of the well-known forms.
fn read<'a>(
    m: &mut Machine<'a>,
    args: Args<'a, '_>,
    form: fn(&'a str) -> Option<Parsed<'a>>,
) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    m.scan(text.size())?;
    // Some forms are read from a copy.
    m.reserve(text.size())?;
    let parsed = text.utf8().and_then(form).map(|parsed| (parsed, None));
    let time = interpret(m, parsed, args.get(1))?;
    m.date_time(time)
}

/// The time of what was read, in the zone of the text or of the options.
fn interpret<'a>(
    m: &mut Machine<'a>,
    parsed: Option<(Parsed<'a>, Option<i32>)>,
    options: Val<'a>,
) -> Result<DateTime<'a>, Fault> {
    let place = place(m, options)?;
    let Some((parsed, offset)) = parsed else {
        return Ok(DateTime::invalid(Invalid::Unparsable));
    };
    let named = parsed.zone.map_or(place.zone, Named::zone);
    let (Some(named), Some(zone)) = (named, place.zone) else {
        return Ok(DateTime::invalid(Invalid::Zone));
    };
    let now = DateTime::new(m.context.now_ms as f64, named, place.locale);
    let guess = offset.map(|minutes| i64::from(minutes) * 60_000);
    let time = DateTime::from_values(now, &parsed.values, guess);
    Ok(if place.keep_zone || !time.is_valid() {
        time
    } else {
        time.with_zone(zone, false)
    })
}

fn from_format<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let time = by_format(m, args.get(0), args.get(1), args.get(2))?;
    m.date_time(time)
}

fn by_format<'a>(
    m: &mut Machine<'a>,
    text: Val<'a>,
    format: Val<'a>,
    options: Val<'a>,
) -> Result<DateTime<'a>, Fault> {
    if matches!(text, Val::Undefined) || matches!(format, Val::Undefined) {
        return Err(
            Fault::new("TYPE_ARGUMENT", "a text and its format are needed")
                .hint("write `DateTime.fromFormat(text, 'dd.MM.yyyy')`"),
        );
    }
    let (text, format) = (m.text_of(text)?, m.text_of(format)?);
    // Every token may be tried at every place.
    m.charge((text.size().min(1_000) * format.size().min(MAX_TOKENS) / 16) as u64)?;
    m.scan(text.size() + format.size())?;
    let locale = place(m, options)?.locale;
    let read = match (text.utf8(), format.utf8()) {
        (Some(text), Some(format)) => parse_format::read(text, format, locale),
        _ => Ok(None),
    };
    match read {
        Ok(parsed) => {
            if let Some((parsed, _)) = &parsed {
                one_calendar(&parsed.values)?;
            }
            interpret(m, parsed, options)
        }
        Err(BadFormat::TooLong) => Err(Fault::new(
            "TYPE_ARGUMENT",
            format!("the format has more than {MAX_TOKENS} parts"),
        )),
        Err(BadFormat::Conflict) => Err(Fault::new(
            "TYPE_ARGUMENT",
            "the format has both hours of a whole day and AM or PM",
        )
        .hint("write `hh` with `a`, or `HH` alone")),
    }
}

/// Reads ISO 8601, in the zone of `now`.
pub(in crate::library) fn iso_time<'a>(now: DateTime<'a>, text: &'a str) -> Option<DateTime<'a>> {
    let parsed = luxon_parse::iso(text)?;
    let zone = parsed.zone.map_or(Some(now.zone), Named::zone)?;
    let time = DateTime::from_values(DateTime { zone, ..now }, &parsed.values, None);
    let time = time.is_valid().then_some(time)?;
    Some(time.with_zone(now.zone, false))
}

/// Reads any of the well-known forms; the zone of the text is kept.
pub(super) fn any_form<'a>(
    m: &mut Machine<'a>,
    text: &'a str,
) -> Result<Option<DateTime<'a>>, Fault> {
    m.scan(text.len())?;
    m.reserve(text.len())?;
    let text = text.trim();
    let forms: [fn(&str) -> Option<Parsed<'_>>; 4] = [
        luxon_parse::iso,
        |text| luxon_parse::http(text),
        |text| luxon_parse::rfc2822(text),
        luxon_parse::sql,
    ];
    let now = m.now()?;
    for form in forms {
        let Some(parsed) = form(text) else { continue };
        let zone = parsed.zone.map_or(Some(now.zone), Named::zone);
        let read =
            zone.map(|zone| DateTime::from_values(DateTime { zone, ..now }, &parsed.values, None));
        if let Some(time) = read.filter(DateTime::is_valid) {
            return Ok(Some(time));
        }
    }
    let time = DateTime::new(js::parse(text, now.zone), now.zone, now.locale);
    Ok(time.is_valid().then_some(time))
}

#[cold]
fn no_date() -> Fault {
    Fault::new("TYPE_DATE", "this text is no date that is known")
        .hint("write its format: `.toDateTime('dd.MM.yyyy')`")
}

/// `text.toDateTime()`, `text.toDateTime('dd.MM.yyyy')`.
pub(in crate::library) fn string_to_date_time<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let text = m.text_of(this)?.utf8().ok_or_else(no_date)?;
    let time = match args.get(0) {
        Val::Undefined => any_form(m, text)?.ok_or_else(no_date)?,
        format => {
            let name = m.text_of(format)?.utf8();
            if let Some("ms" | "s" | "us" | "excel") = name {
                let number = m.number_of(this)?;
                return number_to_date_time(m, Val::Num(number), args);
            }
            by_format(m, this, format, Val::Undefined)?
        }
    };
    m.date_time(time)
}

/// `number.toDateTime()` of milliseconds; or of `'s'`, `'us'`, or `'excel'`, days since 1900.
pub(in crate::library) fn number_to_date_time<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let number = m.number_of(this)?;
    let unit = match args.get(0) {
        Val::Undefined => "ms",
        name => m.text_of(name)?.utf8().unwrap_or_default(),
    };
    let millis = match unit {
        "ms" => number,
        "s" => number * 1_000.0,
        "us" => number / 1_000.0,
        // Day 25,569 is 1970-01-01.
        "excel" => (number - 25_569.0) * 86_400_000.0,
        _ => {
            return Err(
                Fault::new("TYPE_ARGUMENT", "there is no such unit of a date")
                    .hint("write `ms`, `s`, `us` or `excel`"),
            );
        }
    };
    let now = m.now()?;
    m.date_time(DateTime::new(millis, now.zone, now.locale))
}

/// `date.toDateTime()`.
pub(in crate::library) fn date_to_date_time<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    let time = time_like(m, this)?;
    m.date_time(time)
}
