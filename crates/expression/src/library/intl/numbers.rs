//! `Intl.NumberFormat`, and `toLocaleString` of numbers.

use super::{
    dates::parts_value,
    number_options::{MODES, SHOWN, SIGNS, WIDTHS, read},
    options::Told,
};
use crate::{
    error::Fault,
    library::{Args, Function, Method, Outcome, method, pure},
    machine::Machine,
    numeral::{self, Decimal, Format, Grouping, Notation, Precision, Style},
    value::{Instance, Val},
};

/// What `new Intl.NumberFormat(…)` makes.
pub(crate) struct NumberFormat {
    format: Format,
    tag: &'static str,
}

pub(in crate::library) const METHODS: &[Method] = &[
    method("format", |m, this, args| {
        let (n, exact) = number(m, args.get(0))?;
        let text = numeral::text(n, exact, &receiver(this)?.format);
        m.copy_text(&text)
    }),
    method("formatToParts", |m, this, args| {
        let (n, exact) = number(m, args.get(0))?;
        let parts = numeral::parts(n, exact, &receiver(this)?.format);
        parts_value(m, &parts)
    }),
    method("resolvedOptions", |m, this, _| resolved(m, receiver(this)?)),
];

pub(super) const NUMBER_FORMAT: [Function; 2] = [
    pure("Intl.NumberFormat", new),
    pure("new Intl.NumberFormat", new),
];

fn new<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (format, tag) = read(m, args)?;
    m.instance(Instance::NumberFormat(NumberFormat { format, tag }))
}

/// Arguments: locales, options.
pub(in crate::library) fn to_locale_string<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let (format, _) = read(m, args)?;
    let n = m.number_of(this)?;
    m.copy_text(&numeral::text(n, None, &format))
}

/// The receiver; the table is only asked for it.
fn receiver<'a>(this: Val<'a>) -> Result<&'a NumberFormat, Fault> {
    match this {
        Val::Instance(Instance::NumberFormat(made)) => Ok(made),
        _ => Err(Fault::new("TYPE_INTERNAL", "this is no format of numbers")),
    }
}

/// The number that is to be written. Texts keep all of their digits.
fn number<'a>(m: &mut Machine<'a>, value: Val<'a>) -> Result<(f64, Option<Decimal>), Fault> {
    let value = match value {
        // Dates are asked for their number.
        Val::Instance(_) => value,
        value => m.primitive(value)?,
    };
    let n = m.number_of(value)?;
    let exact = match value.text() {
        Some(text) if n.is_finite() && n != 0.0 => {
            m.scan(text.size())?;
            m.lent(text.size(), || {
                text.utf8().map(str::trim).and_then(Decimal::read)
            })?
        }
        _ => None,
    };
    Ok((n, exact))
}

/// The options as they were understood.
fn resolved<'a>(m: &mut Machine<'a>, made: &NumberFormat) -> Outcome<'a> {
    let format = &made.format;
    let mut told = Told::default();
    told.word(m, "locale", made.tag)?;
    told.word(m, "numberingSystem", "latn")?;
    tell_style(m, &mut told, &format.style)?;
    told.number(m, "minimumIntegerDigits", format.integer_digits)?;
    let priority = tell_digits(m, &mut told, format.rounding.precision)?;
    match format.grouping {
        Grouping::Never => told.put(m, "useGrouping", Val::Bool(false))?,
        Grouping::Auto => told.word(m, "useGrouping", "auto")?,
        Grouping::Always => told.word(m, "useGrouping", "always")?,
        Grouping::Two => told.word(m, "useGrouping", "min2")?,
    }
    let (notation, compact) = match format.notation {
        Notation::Standard => ("standard", None),
        Notation::Scientific => ("scientific", None),
        Notation::Engineering => ("engineering", None),
        Notation::CompactShort => ("compact", Some("short")),
        Notation::CompactLong => ("compact", Some("long")),
    };
    told.word(m, "notation", notation)?;
    if let Some(compact) = compact {
        told.word(m, "compactDisplay", compact)?;
    }
    told.word(m, "signDisplay", word(&SIGNS, format.sign))?;
    told.word(m, "roundingMode", word(&MODES, format.rounding.mode))?;
    told.number(m, "roundingIncrement", format.rounding.increment as usize)?;
    let zeros = if format.rounding.strip {
        "stripIfInteger"
    } else {
        "auto"
    };
    told.word(m, "trailingZeroDisplay", zeros)?;
    told.word(m, "roundingPriority", priority)?;
    m.object(told.entries)
}

fn tell_style<'a>(m: &mut Machine<'a>, told: &mut Told<'a>, style: &Style) -> Result<(), Fault> {
    match style {
        Style::Decimal => told.word(m, "style", "decimal"),
        Style::Percent => told.word(m, "style", "percent"),
        Style::Currency(currency) => {
            told.word(m, "style", "currency")?;
            told.word(m, "currency", currency.code())?;
            told.word(m, "currencyDisplay", word(&SHOWN, currency.shown))?;
            let sign = if currency.accounting {
                "accounting"
            } else {
                "standard"
            };
            told.word(m, "currencySign", sign)
        }
        Style::Unit { unit, width } => {
            told.word(m, "style", "unit")?;
            told.word(m, "unit", unit)?;
            told.word(m, "unitDisplay", word(&WIDTHS, *width))
        }
    }
}

/// Gives the priority of rounding.
fn tell_digits<'a>(
    m: &mut Machine<'a>,
    told: &mut Told<'a>,
    precision: Precision,
) -> Result<&'static str, Fault> {
    let (fraction, significant, priority) = match precision {
        Precision::Fraction(fraction) => (Some(fraction), None, "auto"),
        Precision::Significant(significant) => (None, Some(significant), "auto"),
        Precision::Both {
            fraction,
            significant,
            more,
        } => {
            let priority = if more {
                "morePrecision"
            } else {
                "lessPrecision"
            };
            (Some(fraction), Some(significant), priority)
        }
    };
    if let Some((least, most)) = significant {
        told.number(m, "minimumSignificantDigits", least)?;
        told.number(m, "maximumSignificantDigits", most)?;
    }
    if let Some((least, most)) = fraction {
        told.number(m, "minimumFractionDigits", least)?;
        told.number(m, "maximumFractionDigits", most)?;
    }
    Ok(priority)
}

fn word<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map_or("", |(word, _)| word)
}
