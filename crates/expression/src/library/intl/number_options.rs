//! The options of `Intl.NumberFormat`.

use super::options::{choice, fixed, only, option, tagged_locale};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    library::Args,
    machine::Machine,
    numeral::{
        self, Currency, Format, Grouping, Mode, Notation, Precision, Rounding, Shown, Sign, Style,
        UnitWidth,
    },
    value::{Text, Val},
};

/// Most digits that may be asked for after the mark.
const MAX_FRACTION: f64 = 100.0;
/// Most digits that may be asked for before the mark, or in all.
const MAX_DIGITS: f64 = 21.0;

/// The options that are known.
const KNOWN: [&str; 21] = [
    "compactDisplay",
    "currency",
    "currencyDisplay",
    "currencySign",
    "localeMatcher",
    "maximumFractionDigits",
    "maximumSignificantDigits",
    "minimumFractionDigits",
    "minimumIntegerDigits",
    "minimumSignificantDigits",
    "notation",
    "numberingSystem",
    "roundingIncrement",
    "roundingMode",
    "roundingPriority",
    "signDisplay",
    "style",
    "trailingZeroDisplay",
    "unit",
    "unitDisplay",
    "useGrouping",
];

pub(super) const MODES: [(&str, Mode); 9] = [
    ("ceil", Mode::Ceil),
    ("floor", Mode::Floor),
    ("expand", Mode::Expand),
    ("trunc", Mode::Trunc),
    ("halfCeil", Mode::HalfCeil),
    ("halfFloor", Mode::HalfFloor),
    ("halfExpand", Mode::HalfExpand),
    ("halfTrunc", Mode::HalfTrunc),
    ("halfEven", Mode::HalfEven),
];

pub(super) const SIGNS: [(&str, Sign); 5] = [
    ("auto", Sign::Auto),
    ("never", Sign::Never),
    ("always", Sign::Always),
    ("exceptZero", Sign::ExceptZero),
    ("negative", Sign::Negative),
];

pub(super) const SHOWN: [(&str, Shown); 4] = [
    ("code", Shown::Code),
    ("symbol", Shown::Symbol),
    ("narrowSymbol", Shown::Narrow),
    ("name", Shown::Name),
];

pub(super) const WIDTHS: [(&str, UnitWidth); 3] = [
    ("short", UnitWidth::Short),
    ("narrow", UnitWidth::Narrow),
    ("long", UnitWidth::Long),
];

const INCREMENTS: [u32; 15] = [
    1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1_000, 2_000, 2_500, 5_000,
];

/// Arguments: locales, options. Gives the tag of the locale, too.
pub(super) fn read<'a>(
    m: &mut Machine<'a>,
    args: Args<'a, '_>,
) -> Result<(Format, &'static str), Fault> {
    let (locale, tag) = tagged_locale(args.get(0))?;
    let options = args.get(1);
    only(m, options, &KNOWN)?;
    choice(m, options, "localeMatcher", &["lookup", "best fit"])?;
    fixed(m, options, "numberingSystem", "latn")?;
    let style = style(m, options)?;
    let notation = notation(m, options)?;
    let rounding = rounding(m, options, &style, notation)?;
    let integer_digits = digits(m, options, "minimumIntegerDigits", 1.0, MAX_DIGITS)?;
    let format = Format {
        locale,
        style,
        notation,
        sign: one_of(m, options, "signDisplay", &SIGNS)?.unwrap_or(Sign::Auto),
        grouping: grouping(m, options, notation)?,
        integer_digits: integer_digits.unwrap_or(1),
        rounding,
    };
    Ok((format, tag))
}

fn one_of<'a, T: Copy, const N: usize>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
    choices: &[(&str, T); N],
) -> Result<Option<T>, Fault> {
    let words = choices.map(|(word, _)| word);
    let found = choice(m, options, name, &words)?;
    Ok(found.map(|at| choices[at].1))
}

fn style<'a>(m: &mut Machine<'a>, options: Val<'a>) -> Result<Style, Fault> {
    let words = ["decimal", "percent", "currency", "unit"];
    let style = choice(m, options, "style", &words)?.unwrap_or(0);
    let code = option(m, options, "currency")?;
    let shown = one_of(m, options, "currencyDisplay", &SHOWN)?.unwrap_or(Shown::Symbol);
    let accounting = choice(m, options, "currencySign", &["standard", "accounting"])? == Some(1);
    let currency = match code.map(|code| Currency::find(code, shown, accounting)) {
        Some(None) => {
            let fault = Fault::new("TYPE_RANGE", "`currency` must be a code of three letters");
            return Err(fault.hint("write one such as `EUR`"));
        }
        found => found.flatten(),
    };
    let unit = match option(m, options, "unit")? {
        Some(name) => Some(numeral::units().find(|unit| *unit == name).ok_or_else(|| {
            Fault::new("TYPE_OPTION", "this unit is not offered")
                .hint("write one such as `day`, `kilometer`, `gigabyte`, `kilometer-per-hour`")
        })?),
        None => None,
    };
    let width = one_of(m, options, "unitDisplay", &WIDTHS)?.unwrap_or(UnitWidth::Short);
    let needs = |name: &str| {
        Fault::new(
            "TYPE_ARGUMENT",
            format!("this style needs the option `{name}`"),
        )
    };
    Ok(match style {
        0 => Style::Decimal,
        1 => Style::Percent,
        2 => Style::Currency(currency.ok_or_else(|| needs("currency"))?),
        _ => Style::Unit {
            unit: unit.ok_or_else(|| needs("unit"))?,
            width,
        },
    })
}

fn notation<'a>(m: &mut Machine<'a>, options: Val<'a>) -> Result<Notation, Fault> {
    let words = ["standard", "scientific", "engineering", "compact"];
    let notation = choice(m, options, "notation", &words)?.unwrap_or(0);
    let long = choice(m, options, "compactDisplay", &["short", "long"])? == Some(1);
    Ok(match notation {
        0 => Notation::Standard,
        1 => Notation::Scientific,
        2 => Notation::Engineering,
        _ if long => Notation::CompactLong,
        _ => Notation::CompactShort,
    })
}

fn is_compact(notation: Notation) -> bool {
    matches!(notation, Notation::CompactShort | Notation::CompactLong)
}

fn grouping<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    notation: Notation,
) -> Result<Grouping, Fault> {
    let usual = if is_compact(notation) {
        Grouping::Two
    } else {
        Grouping::Auto
    };
    if options.is_nullish() {
        return Ok(usual);
    }
    let given = m.own(options, Text::Utf8("useGrouping"))?;
    match given {
        None | Some(Val::Undefined) => return Ok(usual),
        Some(Val::Bool(true)) => return Ok(Grouping::Always),
        Some(value) if !value.truthy() => return Ok(Grouping::Never),
        Some(_) => {}
    }
    let words = ["auto", "always", "min2", "true", "false"];
    let found = choice(m, options, "useGrouping", &words)?;
    Ok(match found {
        Some(0) => Grouping::Auto,
        Some(1) => Grouping::Always,
        Some(2) => Grouping::Two,
        _ => usual,
    })
}

/// A whole number of an option, within its bounds.
fn digits<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
    least: f64,
    most: f64,
) -> Result<Option<usize>, Fault> {
    if options.is_nullish() {
        return Ok(None);
    }
    let value = match m.own(options, Text::Utf8(name))? {
        None | Some(Val::Undefined) => return Ok(None),
        Some(value) => m.number_of(value)?,
    };
    if !(least..=most).contains(&value) && holds(Guard::ArgumentRange) {
        let message = format!("`{name}` must be {least} to {most}");
        return Err(Fault::new("TYPE_RANGE", message));
    }
    Ok(Some(value as usize))
}

fn rounding<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    style: &Style,
    notation: Notation,
) -> Result<Rounding, Fault> {
    let least = digits(m, options, "minimumSignificantDigits", 1.0, MAX_DIGITS)?;
    let from = least.unwrap_or(1) as f64;
    let most = digits(m, options, "maximumSignificantDigits", from, MAX_DIGITS)?;
    let increment = increment(m, options)?;
    let mode = one_of(m, options, "roundingMode", &MODES)?.unwrap_or(Mode::HalfExpand);
    let words = ["auto", "morePrecision", "lessPrecision"];
    let priority = choice(m, options, "roundingPriority", &words)?.unwrap_or(0);
    let strip = choice(
        m,
        options,
        "trailingZeroDisplay",
        &["auto", "stripIfInteger"],
    )?;
    let has_significant = least.is_some() || most.is_some();
    let significant = (least.unwrap_or(1), most.unwrap_or(MAX_DIGITS as usize));
    // Those that have no say may be anything.
    let fraction = if priority == 0 && has_significant {
        (None, None)
    } else {
        let least = digits(m, options, "minimumFractionDigits", 0.0, MAX_FRACTION)?;
        let most = digits(m, options, "maximumFractionDigits", 0.0, MAX_FRACTION)?;
        (least, most)
    };
    let has_fraction = fraction.0.is_some() || fraction.1.is_some();
    let fraction = fraction_digits(fraction, style, increment)?;
    let both = |fraction, significant, more| Precision::Both {
        fraction,
        significant,
        more,
    };
    let precision = match priority {
        0 if has_significant => Precision::Significant(significant),
        0 if !has_fraction && is_compact(notation) => both((0, 0), (1, 2), true),
        0 => Precision::Fraction(fraction),
        more => both(fraction, significant, more == 1),
    };
    if increment != 1 {
        let Precision::Fraction((least, most)) = precision else {
            let message = "`roundingIncrement` goes with digits after the mark only";
            return Err(Fault::new("TYPE_ARGUMENT", message));
        };
        if least != most {
            let message = "with `roundingIncrement` both numbers of decimals must be the same";
            return Err(Fault::new("TYPE_RANGE", message));
        }
    }
    Ok(Rounding {
        precision,
        increment,
        mode,
        strip: strip == Some(1),
    })
}

fn increment<'a>(m: &mut Machine<'a>, options: Val<'a>) -> Result<u32, Fault> {
    let given = digits(m, options, "roundingIncrement", 1.0, 5_000.0)?.unwrap_or(1);
    let found = INCREMENTS
        .into_iter()
        .find(|known| *known as usize == given);
    found.ok_or_else(|| {
        let all = INCREMENTS.map(|known| known.to_string()).join(", ");
        Fault::new("TYPE_RANGE", "`roundingIncrement` has no such value")
            .hint(format!("write one of {all}"))
    })
}

/// The digits after the mark: those that are asked for, or else those of the style.
fn fraction_digits(
    (least, most): (Option<usize>, Option<usize>),
    style: &Style,
    increment: u32,
) -> Result<(usize, usize), Fault> {
    let (usual_least, usual_most) = match style {
        Style::Currency(currency) => (currency.digits(), currency.digits()),
        Style::Percent => (0, 0),
        Style::Decimal | Style::Unit { .. } => (0, 3),
    };
    let usual_most = if increment == 1 {
        usual_most
    } else {
        usual_least
    };
    match (least, most) {
        (None, None) => Ok((usual_least, usual_most)),
        (Some(least), None) => Ok((least, usual_most.max(least))),
        (None, Some(most)) => Ok((usual_least.min(most), most)),
        (Some(least), Some(most)) if least <= most => Ok((least, most)),
        _ => {
            let message = "the least number of decimals is above the greatest";
            Err(Fault::new("TYPE_RANGE", message))
        }
    }
}
