//! Text to numbers, as ECMA-262 has them.

use super::coerce::trim;
use crate::syntax::{digits_value, radix_digits};

/// `Number(text)`: the whole text or NaN.
pub(crate) fn parse_number(text: &str) -> f64 {
    let text = trim(text);
    if text.is_empty() {
        return 0.0;
    }
    if let [b'0', kind, ..] = text.as_bytes() {
        let radix = match kind | 0x20 {
            b'x' => 16,
            b'o' => 8,
            b'b' => 2,
            _ => 0,
        };
        if radix > 0 {
            let digits = &text[2..];
            return if digits.contains('_') {
                None
            } else {
                radix_digits(digits, radix)
            }
            .unwrap_or(f64::NAN);
        }
    }
    match decimal_prefix(text) {
        Some((n, len)) if len == text.len() => n,
        _ => f64::NAN,
    }
}

/// `parseFloat(text)`: the longest start that is a number.
pub(crate) fn parse_float(text: &str) -> f64 {
    decimal_prefix(trim(text)).map_or(f64::NAN, |(n, _)| n)
}

/// The longest decimal number or `Infinity` at the start, and its length.
fn decimal_prefix(text: &str) -> Option<(f64, usize)> {
    let bytes = text.as_bytes();
    let digits = |mut i: usize| {
        while bytes.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        i
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    if text[sign..].starts_with("Infinity") {
        let infinity = if bytes[0] == b'-' {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
        return Some((infinity, sign + "Infinity".len()));
    }
    let mut end = digits(sign);
    let mut count = end - sign;
    if bytes.get(end) == Some(&b'.') {
        let after = digits(end + 1);
        count += after - end - 1;
        end = after;
    }
    if count == 0 {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let start = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let after = digits(start);
        if after > start {
            end = after;
        }
    }
    text[..end].parse().ok().map(|n| (n, end))
}

/// `parseInt(text, radix)`.
pub(crate) fn parse_int(text: &str, radix: i32) -> f64 {
    let text = trim(text);
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut base = radix;
    let prefixed = rest.starts_with("0x") || rest.starts_with("0X");
    if prefixed && (base == 0 || base == 16) {
        rest = &rest[2..];
        base = 16;
    }
    if base == 0 {
        base = 10;
    }
    if !(2..=36).contains(&base) {
        return f64::NAN;
    }
    let base = base.unsigned_abs();
    // Only ASCII has digits.
    let len = rest
        .bytes()
        .take_while(|b| char::from(*b).is_digit(base))
        .count();
    let digits = &rest[..len];
    if digits.is_empty() {
        return f64::NAN;
    }
    let value = if base == 10 {
        digits.parse().unwrap_or(f64::NAN)
    } else {
        digits_value(digits.chars().filter_map(|c| c.to_digit(base)), base)
    };
    if negative { -value } else { value }
}
