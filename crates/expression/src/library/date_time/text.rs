//! What a `DateTime` writes.

use super::{
    arguments::{flag, locale_option},
    receiver,
};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    library::{
        Args, Outcome,
        intl::{choice, date_fields},
    },
    locale::Locale,
    machine::Machine,
    time::{
        date_time::DateTime,
        format::{self, Fields},
        js,
        luxon_iso::{self, IsoOptions},
        tokens,
        zone::Zone,
    },
    value::{Entries, Text, Val},
};

const INVALID: &str = "Invalid DateTime";

/// ISO 8601 in full; `None` for an invalid one.
pub(super) fn whole(time: &DateTime<'_>) -> Option<String> {
    time.is_valid()
        .then(|| luxon_iso::both(time, &IsoOptions::DEFAULT))
}

/// A text, or null for an invalid time.
fn written<'a>(
    m: &mut Machine<'a>,
    time: &DateTime<'a>,
    write: impl FnOnce(&DateTime<'a>) -> String,
) -> Outcome<'a> {
    if time.is_valid() {
        m.copy_text(&write(time))
    } else {
        Ok(Val::Null)
    }
}

fn iso_options<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    precision: usize,
) -> Result<IsoOptions, Fault> {
    if options.is_nullish() {
        return Ok(IsoOptions {
            precision,
            ..IsoOptions::DEFAULT
        });
    }
    const PRECISIONS: [&str; 14] = [
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "years",
        "months",
        "days",
        "hours",
        "minutes",
        "seconds",
        "milliseconds",
    ];
    let asked = choice(m, options, "precision", &PRECISIONS)?.map(|at| at % 7);
    let basic = choice(m, options, "format", &["extended", "basic"])? == Some(1);
    Ok(IsoOptions {
        extended: !basic,
        suppress_seconds: flag(m, options, "suppressSeconds", false)?,
        suppress_milliseconds: flag(m, options, "suppressMilliseconds", false)?,
        offset: flag(m, options, "includeOffset", true)?,
        zone: flag(m, options, "extendedZone", false)?,
        prefix: flag(m, options, "includePrefix", false)?,
        precision: asked.unwrap_or(precision),
    })
}

pub(super) fn to_iso<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let options = iso_options(m, args.get(0), 6)?;
    written(m, &receiver(this), |time| luxon_iso::both(time, &options))
}

/// As `Date` writes it.
pub(super) fn to_iso_utc<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    written(m, &receiver(this), |time| js::iso(time.millis))
}

pub(super) fn to_iso_date<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let options = iso_options(m, args.get(0), 2)?;
    written(m, &receiver(this), |time| luxon_iso::date(time, &options))
}

pub(super) fn to_iso_time<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let options = iso_options(m, args.get(0), 6)?;
    written(m, &receiver(this), |time| {
        luxon_iso::time_only(time, &options)
    })
}

/// A format in English, whatever the language of the time.
fn technical<'a>(m: &mut Machine<'a>, time: &DateTime<'a>, format: &str) -> Outcome<'a> {
    written(m, time, |time| tokens::write(time, format, Locale::En))
}

pub(super) fn to_iso_week_date<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    technical(m, &receiver(this), "kkkk-'W'WW-c")
}

pub(super) fn to_rfc2822<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    technical(m, &receiver(this), "EEE, dd LLL yyyy HH:mm:ss ZZZ")
}

pub(super) fn to_http<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let time = receiver(this).with_zone(Zone::UTC, false);
    technical(m, &time, "EEE, dd LLL yyyy HH:mm:ss 'GMT'")
}

pub(super) fn to_sql_date<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    written(m, &receiver(this), |time| {
        luxon_iso::date(time, &IsoOptions::DEFAULT)
    })
}

fn sql_time<'a>(
    m: &mut Machine<'a>,
    time: &DateTime<'a>,
    options: Val<'a>,
) -> Result<String, Fault> {
    let zone = flag(m, options, "includeZone", false)?;
    let offset = flag(m, options, "includeOffset", true)?;
    let space = flag(m, options, "includeOffsetSpace", true)?;
    let mut text = tokens::write(time, "HH:mm:ss.SSS", Locale::En);
    if zone || offset {
        if space {
            text.push(' ');
        }
        let utc = time.zone == Zone::UTC;
        text += &match (zone, utc) {
            (true, _) => time.zone.name(),
            (false, true) => "Z".to_owned(),
            (false, false) => tokens::write(time, "ZZ", Locale::En),
        };
    }
    Ok(text)
}

pub(super) fn to_sql_time<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let time = receiver(this);
    let text = sql_time(m, &time, args.get(0))?;
    written(m, &time, |_| text)
}

pub(super) fn to_sql<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let time = receiver(this);
    let clock = sql_time(m, &time, args.get(0))?;
    written(m, &time, |time| {
        format!("{} {clock}", luxon_iso::date(time, &IsoOptions::DEFAULT))
    })
}

/// `toFormat(format, options)`; a `Date` has it too.
pub(in crate::library) fn to_format<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let time = super::arguments::time_like(m, this)?;
    let format = m.text_of(args.get(0))?;
    m.scan(format.size())?;
    // The longest that one letter may stand for.
    const LONGEST: usize = 64;
    m.check_string(format.size())?;
    m.charge((format.size() / 8) as u64)?;
    let locale = locale_option(m, args.get(1))?.unwrap_or(time.locale);
    if !time.is_valid() {
        return m.copy_text(INVALID);
    }
    let format = format.well_formed();
    if format.len() * LONGEST > m.context.limits.string_bytes && holds(Guard::FormatSize) {
        return Err(Fault::new("TYPE_ARGUMENT", "the format is too long"));
    }
    m.copy_text(&tokens::write(&time, &format, locale))
}

/// The fields that the options name; the date as numbers without any.
fn locale_fields<'a>(
    m: &mut Machine<'a>,
    time: &DateTime<'a>,
    args: Args<'a, '_>,
) -> Result<(Fields, Zone<'a>, Locale), Fault> {
    let options = args.get(0);
    let locale = locale_option(m, args.get(1))?.or(locale_option(m, options)?);
    let locale = locale.unwrap_or(time.locale);
    let (mut fields, zone) = date_fields(m, options, locale)?;
    let own_zone = !options.is_nullish() && m.own(options, Text::Utf8("timeZone"))?.is_some();
    if !fields.has_date() && !fields.has_time() && !fields.has_style() {
        fields = fields.with_date();
    }
    let zone = if own_zone { zone } else { time.zone };
    Ok((fields, zone, locale))
}

pub(super) fn to_locale_string<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let time = receiver(this);
    if !time.is_valid() {
        return m.copy_text(INVALID);
    }
    let (fields, zone, locale) = locale_fields(m, &time, args)?;
    m.copy_text(&format::text(time.millis, zone, locale, &fields))
}

pub(super) fn to_locale_parts<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let time = receiver(this);
    let parts = if time.is_valid() {
        let (fields, zone, locale) = locale_fields(m, &time, args)?;
        format::parts(time.millis, zone, locale, &fields)
    } else {
        Vec::new()
    };
    crate::library::intl::parts_value(m, &parts)
}

pub(super) fn to_text<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    m.copy_text(&super::date_time_text(&receiver(this)))
}

pub(super) fn to_millis<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Num(receiver(this).number()))
}

pub(super) fn to_seconds<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Num(receiver(this).number() / 1_000.0))
}

pub(super) fn to_unix_integer<'a>(
    _: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    Ok(Val::Num((receiver(this).number() / 1_000.0).floor()))
}

pub(super) fn to_js_date<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    m.date(receiver(this).number())
}

pub(super) fn to_object<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let time = receiver(this);
    let civil = time.civil();
    let mut entries = Entries::default();
    if time.is_valid() {
        for (key, value) in [
            ("year", civil.year),
            ("month", civil.month),
            ("day", civil.day),
            ("hour", civil.hour),
            ("minute", civil.minute),
            ("second", civil.second),
            ("millisecond", civil.milli),
        ] {
            m.reserve_entry(&entries)?;
            entries.push(Text::Utf8(key), Val::Num(value as f64));
        }
    }
    m.object(entries)
}
