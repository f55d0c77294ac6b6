//! The options of `Intl.DateTimeFormat`, which the methods of dates share.

use super::options::{choice, fixed, only, option};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    locale::Locale,
    machine::Machine,
    time::{
        format::{Cycle, Fields, Style, Width},
        zone::Zone,
    },
    value::{Text, Val},
};

/// The options that are known; `locale` is luxon's.
const KNOWN: [&str; 18] = [
    "calendar",
    "dateStyle",
    "day",
    "formatMatcher",
    "hour",
    "hour12",
    "hourCycle",
    "locale",
    "localeMatcher",
    "minute",
    "month",
    "numberingSystem",
    "second",
    "timeStyle",
    "timeZone",
    "timeZoneName",
    "weekday",
    "year",
];

/// Which fields the options name, and the zone: the workflow's if they name none.
pub(in crate::library) fn date_fields<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    locale: Locale,
) -> Result<(Fields, Zone<'a>), Fault> {
    let mut zone = m.zone()?;
    let mut fields = Fields::NONE;
    if matches!(options, Val::Undefined) {
        return Ok((fields, zone));
    }
    only(m, options, &KNOWN)?;
    fixed(m, options, "calendar", "gregory")?;
    fixed(m, options, "numberingSystem", "latn")?;
    choice(m, options, "localeMatcher", &["lookup", "best fit"])?;
    choice(m, options, "formatMatcher", &["basic", "best fit"])?;
    let widths = [
        Width::Numeric,
        Width::TwoDigits,
        Width::Short,
        Width::Long,
        Width::Narrow,
        Width::ShortOffset,
        Width::LongOffset,
    ];
    let words = [
        "numeric",
        "2-digit",
        "short",
        "long",
        "narrow",
        "shortOffset",
        "longOffset",
    ];
    let width = |m: &mut Machine<'a>, name, from: usize, to: usize| {
        let found = choice(m, options, name, &words[from..to])?;
        Ok::<_, Fault>(found.map(|at| widths[from + at]))
    };
    fields.weekday = width(m, "weekday", 2, 5)?;
    fields.year = width(m, "year", 0, 2)?;
    fields.month = width(m, "month", 0, 5)?;
    fields.day = width(m, "day", 0, 2)?;
    fields.hour = width(m, "hour", 0, 2)?;
    fields.minute = width(m, "minute", 0, 2)?;
    fields.second = width(m, "second", 0, 2)?;
    fields.zone = match choice(
        m,
        options,
        "timeZoneName",
        &["short", "long", "shortOffset", "longOffset"],
    )? {
        Some(at) => Some([2, 3, 5, 6][at]).map(|at: usize| widths[at]),
        None => None,
    };
    let cycles = [Cycle::H11, Cycle::H12, Cycle::H23, Cycle::H24];
    let cycle = choice(m, options, "hourCycle", &["h11", "h12", "h23", "h24"])?;
    fields.cycle = match m.own(options, Text::Utf8("hour12"))? {
        None | Some(Val::Undefined) => cycle.map(|at| cycles[at]),
        Some(value) => Some(Cycle::of(locale, value.truthy())),
    };
    let styles = [Style::Full, Style::Long, Style::Medium, Style::Short];
    let words = ["full", "long", "medium", "short"];
    fields.date_style = choice(m, options, "dateStyle", &words)?.map(|at| styles[at]);
    fields.time_style = choice(m, options, "timeStyle", &words)?.map(|at| styles[at]);
    if fields.has_style() && (fields.has_date() || fields.has_time() || fields.zone.is_some()) {
        let message = "a style and single fields cannot be asked for together";
        return Err(
            Fault::new("TYPE_OPTION", message).hint("leave out `dateStyle` and `timeStyle`")
        );
    }
    if let Some(name) = option(m, options, "timeZone")? {
        zone = match Zone::find(name) {
            Some(zone) => zone,
            None if holds(Guard::KnownZones) => return Err(no_zone()),
            None => Zone::UTC,
        };
    }
    Ok((fields, zone))
}

#[cold]
fn no_zone() -> Fault {
    let message = "the option `timeZone` names no zone that is known";
    Fault::new("TYPE_RANGE", message).hint("use an IANA name such as `Europe/Berlin`")
}
