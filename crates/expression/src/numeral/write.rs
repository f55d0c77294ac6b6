//! Digits, and what stands around them.

use super::{Decimal, Format, Grouping, Notation, Shown, Sign, Style, UnitWidth};
use crate::locale::{Locale, Part};

/// The whole text of a number; `None` is one that is not finite.
pub(crate) fn text(n: f64, exact: Option<Decimal>, format: &Format) -> String {
    parts(n, exact, format)
        .into_iter()
        .map(|part| part.text)
        .collect()
}

/// The pieces of a number's text: those of `exact`, or of `n` where there is none.
pub(crate) fn parts(n: f64, exact: Option<Decimal>, format: &Format) -> Vec<Part> {
    let Some(mut decimal) = exact.or_else(|| Decimal::of(n)) else {
        let inner = if n.is_nan() {
            Part::of("nan", "NaN")
        } else {
            Part::of("infinity", "∞")
        };
        let negative = n < 0.0;
        let sign = sign_of(negative, n.is_nan(), format.sign);
        return around(vec![inner], sign, false, None, format);
    };
    if matches!(format.style, Style::Percent) {
        decimal.shift(2);
    }
    let (least, exponent, compact) = scaled(&mut decimal, format);
    let mut inner = digits(&decimal, least, format);
    if let (Notation::Scientific | Notation::Engineering, power) = (format.notation, exponent) {
        inner.push(Part::of("exponentSeparator", "E"));
        if power < 0 {
            inner.push(Part::of("exponentMinusSign", "-"));
        }
        inner.push(Part::of("exponentInteger", &power.abs().to_string()));
    }
    let pattern = compact.map(|line| {
        let one = is_one(format.locale, &decimal, least);
        let exact = decimal
            .is_digit(1)
            .then(|| line.split('|').nth(2))
            .flatten();
        exact.unwrap_or_else(|| form(line, one))
    });
    let sign = sign_of(decimal.negative, decimal.is_zero(), format.sign);
    // A unit follows the whole number, the word of its power of ten what stands before it.
    decimal.shift(exponent);
    let least = usize::try_from(exponent).map_or(least, |power| least.saturating_sub(power));
    // French has a form of its own for powers beyond, which looks as that for more.
    let beyond = format.locale == Locale::Fr && !(0..=5).contains(&exponent);
    let one = !beyond && is_one(format.locale, &decimal, least);
    around(inner, sign, one, pattern, format)
}

/// Rounds a number to what stands before its power of ten. Gives how many decimals are written at
/// least, that power, and the language's line for it.
fn scaled(n: &mut Decimal, format: &Format) -> (usize, i32, Option<&'static str>) {
    let power_of = |magnitude: i32| match format.notation {
        Notation::Standard => (0, None),
        Notation::Scientific => (magnitude, None),
        Notation::Engineering => (magnitude.div_euclid(3) * 3, None),
        Notation::CompactShort | Notation::CompactLong => compact(magnitude, format),
    };
    let before = n.magnitude();
    if n.is_zero() {
        return (format.rounding.apply(n), 0, None);
    }
    let (power, line) = power_of(before);
    n.shift(-power);
    let least = format.rounding.apply(n);
    if n.is_zero() || n.magnitude() == before - power {
        return (least, power, line);
    }
    // It was rounded up to a digit more, which may have another power.
    let (next, line) = power_of(before + 1);
    if next == power {
        return (least, power, line);
    }
    n.shift(power - next);
    (format.rounding.apply(n), next, line)
}

/// The power of ten that a language has a word for, and the forms with that word.
fn compact(magnitude: i32, format: &Format) -> (i32, Option<&'static str>) {
    let symbol = matches!(format.style, Style::Currency(currency) if currency.shown != Shown::Name);
    let kind = match format.notation {
        _ if symbol => "currency",
        Notation::CompactLong => "long",
        _ => "short",
    };
    // No language has a line of its own beyond.
    let found = (3..=magnitude.min(20))
        .rev()
        .find_map(|power| format.locale.line(&format!("compact-{kind}-{power}")));
    match found.and_then(|line| line.split_once(' ')) {
        Some((power, forms)) => (power.parse().unwrap_or(0), Some(forms)),
        None => (0, None),
    }
}

/// Whether a language takes the form for one. Others than these have no such form.
fn is_one(locale: Locale, n: &Decimal, least: usize) -> bool {
    match locale {
        Locale::En | Locale::EnGb | Locale::De => n.is_digit(1) && least == 0,
        Locale::Fr => n.is_zero() || n.magnitude() < 0 || n.magnitude() == 0 && n.digit(0) == 1,
        Locale::Es => n.is_digit(1),
        Locale::Ja | Locale::Zh => false,
    }
}

/// The form for one or for more of a line.
fn form(line: &'static str, one: bool) -> &'static str {
    let mut forms = line.split('|');
    let single = forms.next().unwrap_or_default();
    match forms.next() {
        Some(more) if !one => more,
        _ => single,
    }
}

/// The digits of a rounded number, with their marks.
fn digits(n: &Decimal, least: usize, format: &Format) -> Vec<Part> {
    let line = |key| format.locale.line(key).unwrap_or_default();
    let whole = usize::try_from(n.magnitude() + 1)
        .unwrap_or(0)
        .max(format.integer_digits)
        .max(1);
    let grouped = match format.grouping {
        Grouping::Never => usize::MAX,
        Grouping::Always => 4,
        Grouping::Two => 5,
        Grouping::Auto if is_compact(format.notation) => 5,
        Grouping::Auto => line("least-grouped").parse().unwrap_or(4),
    };
    let digit = |power: usize, after: bool| {
        let power = i32::try_from(power).unwrap_or(i32::MAX);
        char::from(b'0' + n.digit(if after { -power } else { power }))
    };
    let mut parts = Vec::new();
    let mut run = String::new();
    for power in (0..whole).rev() {
        run.push(digit(power, false));
        if power > 0 && power % 3 == 0 && whole >= grouped {
            parts.push(Part::of("integer", &run));
            parts.push(Part::of("group", line("group")));
            run.clear();
        }
    }
    parts.push(Part::of("integer", &run));
    let decimals = n.decimals().max(least);
    if decimals > 0 {
        let fraction: String = (1..=decimals).map(|power| digit(power, true)).collect();
        parts.push(Part::of("decimal", line("decimal")));
        parts.push(Part::of("fraction", &fraction));
    }
    parts
}

/// The sign that is written.
fn sign_of(negative: bool, zero: bool, sign: Sign) -> Option<Part> {
    let (minus, plus) = match sign {
        Sign::Never => (false, false),
        Sign::Auto => (negative, false),
        Sign::Always => (negative, !negative),
        Sign::ExceptZero => (negative && !zero, !negative && !zero),
        Sign::Negative => (negative && !zero, false),
    };
    match (minus, plus) {
        (true, _) => Some(Part::of("minusSign", "-")),
        (_, true) => Some(Part::of("plusSign", "+")),
        _ => None,
    }
}

/// What stands around the digits: the word of a power of ten, a sign, a unit or a currency.
fn around(
    inner: Vec<Part>,
    sign: Option<Part>,
    one: bool,
    compact: Option<&'static str>,
    format: &Format,
) -> Vec<Part> {
    let line = |key| format.locale.line(key).unwrap_or_default();
    if let Style::Currency(currency) = format.style
        && currency.shown != Shown::Name
    {
        let pattern = compact.unwrap_or_else(|| line("currency"));
        let parts = filled(pattern, inner, "compact", currency.name(format.locale, one));
        // The forms with a word of a power of ten have none for accounts.
        let accounting = currency.accounting && compact.is_none();
        return signed_amount(parts, sign, accounting, format.locale);
    }
    let inner = match compact {
        Some(pattern) => filled(pattern, inner, "compact", ""),
        None => inner,
    };
    let mut signed: Vec<Part> = sign.into_iter().collect();
    signed.extend(inner);
    match format.style {
        Style::Decimal => signed,
        Style::Percent if is_compact(format.notation) => {
            filled(line("percent-compact-short"), signed, "unit", "")
        }
        Style::Percent => filled(line("percent"), signed, "percentSign", ""),
        Style::Currency(currency) => {
            let name = currency.name(format.locale, one);
            filled(line("currency-name"), signed, "compact", name)
        }
        Style::Unit { unit, width } => {
            let unit = match (unit, width) {
                // As a unit, the sign may stand otherwise than as a sign.
                ("percent", UnitWidth::Short | UnitWidth::Narrow)
                    if is_compact(format.notation) =>
                {
                    "percent-compact"
                }
                _ => unit,
            };
            let unit = unit_line(format.locale, unit, width);
            filled(form(unit, one), signed, "unit", "")
        }
    }
}

fn is_compact(notation: Notation) -> bool {
    matches!(notation, Notation::CompactShort | Notation::CompactLong)
}

/// A line that is missing is as that of the wider form.
fn unit_line(locale: Locale, unit: &str, width: UnitWidth) -> &'static str {
    let widths: &[&str] = match width {
        UnitWidth::Long => &["long"],
        UnitWidth::Short => &["short", "long"],
        UnitWidth::Narrow => &["narrow", "short", "long"],
    };
    let mut lines = widths
        .iter()
        .filter_map(|width| locale.line(&format!("{unit}-{width}")));
    lines.next().unwrap_or("{0}")
}

/// A pattern with its number: what stands in brackets is of `kind`, and empty ones are the
/// currency.
fn filled(pattern: &str, inner: Vec<Part>, kind: &'static str, currency: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut inner = Some(inner);
    let mut rest = pattern;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("{0}") {
            parts.extend(inner.take().into_iter().flatten());
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('[')
            .and_then(|after| after.split_once(']'))
        {
            parts.push(if name.is_empty() {
                Part::of("currency", currency)
            } else {
                Part::of(kind, name)
            });
            rest = after;
        } else {
            let end = rest.find(['{', '[']).unwrap_or(rest.len());
            parts.push(Part::of("literal", &rest[..end]));
            rest = &rest[end..];
        }
    }
    parts
}

/// An amount with its sign. A currency of letters stands apart from digits after it.
fn signed_amount(
    mut parts: Vec<Part>,
    sign: Option<Part>,
    accounting: bool,
    locale: Locale,
) -> Vec<Part> {
    if let [first, second, ..] = &parts[..]
        && first.kind == "currency"
        && second.kind == "integer"
        && first.text.chars().last().is_some_and(stands_apart)
    {
        parts.insert(1, Part::of("literal", "\u{a0}"));
    }
    let Some(sign) = sign else {
        return parts;
    };
    let parentheses = locale
        .line("accounting")
        .is_some_and(|line| line.starts_with('('));
    if accounting && parentheses && sign.kind == "minusSign" {
        parts.insert(0, Part::of("literal", "("));
        parts.push(Part::of("literal", ")"));
    } else {
        parts.insert(0, sign);
    }
    parts
}

/// Whether a currency that ends so is no symbol; all symbols of the tables are among these.
fn stands_apart(last: char) -> bool {
    last.is_alphanumeric() || matches!(last, '.' | '/' | '\u{200f}')
}
