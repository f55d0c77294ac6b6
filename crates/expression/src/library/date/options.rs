//! Reading the locales and options of `Intl`.

use crate::{
    error::Fault,
    locale::Locale,
    machine::Machine,
    time::{
        format::{Fields, Style, Width},
        zone::Zone,
    },
    value::{Text, Val},
};

/// The first language of a tag, or of a list of tags; English without one.
pub(in crate::library) fn locale_of(value: Val<'_>) -> Result<Locale, Fault> {
    let tag = match value.items() {
        Some(items) => items.get(0).unwrap_or(Val::Undefined),
        None => value,
    };
    if matches!(tag, Val::Undefined) {
        return Ok(Locale::En);
    }
    let tag = match tag.text() {
        Some(text) => text.utf8(),
        None => return Err(Fault::new("TYPE_ARGUMENT", "a locale must be a text")),
    };
    tag.and_then(Locale::find).ok_or_else(|| {
        Fault::new("TYPE_RANGE", "this is no locale").hint("write a tag such as `en-GB` or `de`")
    })
}

/// The text of an option, if it is given.
pub(in crate::library) fn option<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
) -> Result<Option<&'a str>, Fault> {
    match m.own(options, Text::Utf8(name))? {
        None | Some(Val::Undefined) => Ok(None),
        Some(value) => match m.text_of(value)?.utf8() {
            Some(text) => Ok(Some(text)),
            None => Err(wrong(name, &[])),
        },
    }
}

/// The position of an option's text among those that it may be.
pub(in crate::library) fn choice<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
    choices: &[&str],
) -> Result<Option<usize>, Fault> {
    let Some(text) = option(m, options, name)? else {
        return Ok(None);
    };
    match choices.iter().position(|choice| *choice == text) {
        Some(at) => Ok(Some(at)),
        None => Err(wrong(name, choices)),
    }
}

#[cold]
fn wrong(name: &str, choices: &[&str]) -> Fault {
    let fault = Fault::new(
        "TYPE_RANGE",
        format!("the option `{name}` has no such value"),
    );
    if choices.is_empty() {
        return fault;
    }
    let all: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    fault.hint(format!("write one of {}", all.join(", ")))
}

/// Options that would change the text and are not offered; to leave them out silently would be
/// wrong.
const NOT_OFFERED: [&str; 5] = [
    "calendar",
    "dayPeriod",
    "era",
    "fractionalSecondDigits",
    "numberingSystem",
];

/// Which fields the options name, and the zone: the workflow's if they name none.
pub(in crate::library) fn date_fields<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
) -> Result<(Fields, Zone<'a>), Fault> {
    let mut zone = m.zone()?;
    let mut fields = Fields::NONE;
    if matches!(options, Val::Undefined) {
        return Ok((fields, zone));
    }
    if options.is_nullish() {
        return Err(Fault::new("TYPE_ARGUMENT", "the options must be an object"));
    }
    for name in NOT_OFFERED {
        if option(m, options, name)?.is_some() {
            let message = format!("the option `{name}` is not part of the language");
            return Err(Fault::new("TYPE_OPTION", message).hint("leave it out"));
        }
    }
    let widths = [
        Width::Numeric,
        Width::TwoDigits,
        Width::Short,
        Width::Long,
        Width::Narrow,
    ];
    let words = ["numeric", "2-digit", "short", "long", "narrow"];
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
    fields.zone = width(m, "timeZoneName", 2, 4)?;
    let cycle = choice(m, options, "hourCycle", &["h23", "h12"])?;
    fields.twelve = match m.own(options, Text::Utf8("hour12"))? {
        None | Some(Val::Undefined) => cycle.map(|at| at == 1),
        Some(value) => Some(value.truthy()),
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
        zone = Zone::find(name).ok_or_else(|| {
            Fault::new(
                "TYPE_RANGE",
                "the option `timeZone` names no zone that is known",
            )
            .hint("use an IANA name such as `Europe/Berlin`")
        })?;
    }
    Ok((fields, zone))
}
