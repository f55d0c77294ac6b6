//! Numbers as people of a language write them.

use super::{super::date::locale_of, Args, Outcome};
use crate::{
    error::Fault,
    locale::Locale,
    machine::Machine,
    value::{Text, Val, number_text},
};

/// Most digits that may be asked for after the mark.
const MAX_DIGITS: f64 = 100.0;

/// The options that are known; `style` may be `decimal` or `percent`.
const OPTIONS: [&str; 4] = [
    "maximumFractionDigits",
    "minimumFractionDigits",
    "style",
    "useGrouping",
];

struct Format {
    locale: Locale,
    least: usize,
    most: usize,
    percent: bool,
    grouped: bool,
}

/// Arguments: locales, options. Groups of three digits and at most three decimals, as
/// `Intl.NumberFormat` has them.
pub(in super::super) fn format<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let format = read(m, args)?;
    let n = m.number_of(this)?;
    m.copy_text(&written(n, &format))
}

fn read<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Result<Format, Fault> {
    let mut format = Format {
        locale: locale_of(args.get(0))?,
        least: 0,
        most: 3,
        percent: false,
        grouped: true,
    };
    let options = args.get(1);
    if matches!(options, Val::Undefined) {
        return Ok(format);
    }
    for (key, value) in m.own_entries(options)? {
        let known = key.utf8().is_some_and(|key| OPTIONS.contains(&key));
        if !known && !matches!(value, Val::Undefined) {
            let hint = format!("there are {}", OPTIONS.join(", "));
            return Err(
                Fault::new("TYPE_OPTION", "this option of a number is not known").hint(hint),
            );
        }
    }
    format.percent = match option(m, options, "style")? {
        Val::Undefined => false,
        style => match m.text_of(style)?.utf8() {
            Some("decimal") => false,
            Some("percent") => true,
            _ => {
                let message = "a number's style is `decimal` or `percent`";
                return Err(Fault::new("TYPE_OPTION", message));
            }
        },
    };
    if format.percent {
        format.most = 0;
    }
    format.grouped = match option(m, options, "useGrouping")? {
        Val::Undefined => true,
        grouped => grouped.truthy(),
    };
    let least = digits(m, options, "minimumFractionDigits")?;
    let most = digits(m, options, "maximumFractionDigits")?;
    format.least = least.unwrap_or(0).min(most.unwrap_or(usize::MAX));
    format.most = most.unwrap_or(format.most.max(format.least));
    if least.is_some_and(|least| least > format.most) {
        let message = "the least number of decimals is above the greatest";
        return Err(Fault::new("TYPE_RANGE", message));
    }
    Ok(format)
}

fn option<'a>(m: &mut Machine<'a>, options: Val<'a>, name: &'static str) -> Outcome<'a> {
    Ok(m.own(options, Text::Utf8(name))?.unwrap_or(Val::Undefined))
}

fn digits<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &'static str,
) -> Result<Option<usize>, Fault> {
    let value = option(m, options, name)?;
    if matches!(value, Val::Undefined) {
        return Ok(None);
    }
    let digits = m.number_of(value)?;
    if !(0.0..=MAX_DIGITS).contains(&digits) {
        let message = format!("`{name}` must be 0 to {MAX_DIGITS}");
        return Err(Fault::new("TYPE_RANGE", message));
    }
    Ok(Some(digits as usize))
}

fn written(n: f64, format: &Format) -> String {
    let (group, mark, least_grouped) = match format.locale {
        Locale::En | Locale::EnGb | Locale::Ja | Locale::Zh => (",", ".", 4),
        Locale::De => (".", ",", 4),
        Locale::Fr => ("\u{202f}", ",", 4),
        // There a group of one digit stands without a mark.
        Locale::Es => (".", ",", 5),
    };
    let mut out = String::new();
    if n.is_sign_negative() && !n.is_nan() {
        out.push('-');
    }
    if n.is_finite() {
        let shift = if format.percent { 2 } else { 0 };
        let (whole, decimals) = rounded(n.abs(), shift, format.most);
        for (i, digit) in whole.char_indices() {
            let left = whole.len() - i;
            if format.grouped && i > 0 && left % 3 == 0 && whole.len() >= least_grouped {
                out.push_str(group);
            }
            out.push(digit);
        }
        let needed = decimals.trim_end_matches('0').len().max(format.least);
        if needed > 0 {
            out.push_str(mark);
            out.push_str(&format!("{decimals:0<needed$}")[..needed]);
        }
    } else {
        out.push_str(if n.is_nan() { "NaN" } else { "∞" });
    }
    if format.percent {
        out.push_str(match format.locale {
            Locale::De | Locale::Es | Locale::Fr => "\u{a0}%",
            _ => "%",
        });
    }
    out
}

/// The digits before and after the mark of a number times ten to the power of `shift`, rounded half
/// up to `most` decimals from the shortest digits that mean the number.
fn rounded(n: f64, shift: i32, most: usize) -> (String, String) {
    let text = number_text(n);
    let (digits, exponent) = text
        .as_str()
        .split_once('e')
        .unwrap_or((text.as_str(), "0"));
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    // A double's exponent always fits.
    let exponent = exponent.trim_start_matches('+').parse::<i32>().unwrap_or(0) + shift;
    let mut digits: Vec<u8> = [before, after].concat().bytes().map(|b| b - b'0').collect();
    let mut point = i32::try_from(before.len()).unwrap_or(0) + exponent;
    if point < 1 {
        let zeros = usize::try_from(1 - point).unwrap_or(0);
        digits.splice(0..0, std::iter::repeat_n(0, zeros));
        point = 1;
    }
    let point = usize::try_from(point).unwrap_or(1);
    if digits.len() < point {
        digits.resize(point, 0);
    }
    let keep = point + most;
    let up = digits.get(keep).is_some_and(|digit| *digit >= 5);
    digits.truncate(keep);
    let mut point = point;
    if up {
        let mut carries = true;
        for digit in digits.iter_mut().rev() {
            *digit = (*digit + 1) % 10;
            carries = *digit == 0;
            if !carries {
                break;
            }
        }
        if carries {
            digits.insert(0, 1);
            point += 1;
        }
    }
    let text = |part: &[u8]| {
        part.iter()
            .map(|digit| char::from(b'0' + digit))
            .collect::<String>()
    };
    let whole = text(&digits[..point]);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    (whole.to_owned(), text(&digits[point..]))
}
