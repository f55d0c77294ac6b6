//! Numbers to text, as ECMA-262 has them.

use std::fmt::{self, Write};

/// A number's text, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct NumberText {
    bytes: [u8; 32],
    len: u8,
}

impl NumberText {
    const EMPTY: Self = Self {
        bytes: [0; 32],
        len: 0,
    };

    /// Writes `digits / 10^places`, which takes at most 18 bytes.
    fn write_decimal(&mut self, negative: bool, digits: u64, places: usize) {
        let mut backwards = [0_u8; 24];
        let (mut rest, mut len, mut written) = (digits, 0, 0);
        // At least one digit before the point.
        while rest > 0 || written <= places {
            if written == places && places > 0 {
                backwards[len] = b'.';
                len += 1;
            }
            backwards[len] = b'0' + (rest % 10) as u8;
            rest /= 10;
            len += 1;
            written += 1;
        }
        if negative {
            backwards[len] = b'-';
            len += 1;
        }
        for (byte, from) in self.bytes.iter_mut().zip(backwards[..len].iter().rev()) {
            *byte = *from;
        }
        self.len = len as u8;
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is ever written.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl Write for NumberText {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let start = usize::from(self.len);
        let end = start + s.len();
        self.bytes
            .get_mut(start..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(s.as_bytes());
        // `end` is at most 32.
        self.len = end as u8;
        Ok(())
    }
}

/// `Number::toString` in base 10.
pub(crate) fn number_text(n: f64) -> NumberText {
    let mut out = NumberText::EMPTY;
    // The longest text (`-0.0000012345678901234567`) has 25 bytes, so writing cannot fail.
    let _ = write_number(&mut out, n);
    out
}

fn write_number(out: &mut NumberText, n: f64) -> fmt::Result {
    if n.is_nan() {
        return out.write_str("NaN");
    }
    if n.is_infinite() {
        return out.write_str(if n > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let size = n.abs();
    if write_short(out, n) {
        return Ok(());
    }
    if (1e-6..1e21).contains(&size) {
        write!(out, "{n}")?;
        return ties_to_even(out, n);
    }
    write_exponential(out, n)
}

/// Writes a number of at most 15 digits, at most six of them behind the point, as most are.
///
/// A decimal of so few digits is the only one of them that is read as its number, and dividing two
/// exact doubles is how it is read: if `digits / 10^places` is `n`, then these are its digits, and
/// the first that fit are the shortest.
fn write_short(out: &mut NumberText, n: f64) -> bool {
    const POWERS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
    let size = n.abs();
    for (places, power) in POWERS.into_iter().enumerate() {
        let scaled = size * power;
        if scaled.is_nan() || scaled >= 1e15 {
            return false;
        }
        // The product is less than a quarter off, so this is the nearest whole number.
        let digits = (scaled + 0.5) as u64;
        if digits as f64 / power == size {
            // -0 has no sign.
            out.write_decimal(n < 0.0, digits, places);
            return true;
        }
    }
    false
}

/// `toExponential` with as many digits as tell the number from its neighbours.
pub(crate) fn exponential_text(n: f64) -> NumberText {
    let mut out = NumberText::EMPTY;
    // As above; `-1.2345678901234567e-308` has 24 bytes.
    let _ = write_exponential(&mut out, if n == 0.0 { 0.0 } else { n });
    out
}

fn write_exponential(out: &mut NumberText, n: f64) -> fmt::Result {
    let mut digits = NumberText::EMPTY;
    write!(digits, "{n:e}")?;
    ties_to_even(&mut digits, n)?;
    match digits.as_str().split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => {
            write!(out, "{mantissa}e+{exponent}")
        }
        _ => out.write_str(digits.as_str()),
    }
}

/// Where two shortest texts are equally near to `n`, Rust takes the greater; JavaScript wants the
/// one whose last digit is even.
fn ties_to_even(text: &mut NumberText, n: f64) -> fmt::Result {
    /// With fewer digits no other text of that length is read as the same number.
    const TIES_FROM: usize = 16;
    let written = text.as_str();
    let mantissa = &written[..written.find('e').unwrap_or(written.len())];
    let significant = mantissa.trim_start_matches(['-', '0', '.']);
    let digits = significant.bytes().filter(u8::is_ascii_digit).count();
    // A whole number may end in zeros that are no digits of its shortest text.
    let zeros = if mantissa.contains('.') {
        0
    } else {
        mantissa.len() - mantissa.trim_end_matches('0').len()
    };
    if digits < TIES_FROM + zeros {
        return Ok(());
    }
    let (digits, last) = (digits - zeros, mantissa.len() - zeros - 1);
    if written.as_bytes()[last].is_multiple_of(2) {
        return Ok(());
    }
    // Exact, and half goes to even.
    let mut nearest = NumberText::EMPTY;
    write!(nearest, "{n:.0$e}", digits - 1)?;
    let exact = nearest.as_str();
    let even = exact.as_bytes()[..exact.find('e').unwrap_or(exact.len())]
        .last()
        .copied();
    if even == Some(written.as_bytes()[last] - 1) && exact.parse() == Ok(n) {
        text.bytes[last] -= 1;
    }
    Ok(())
}

/// `toFixed`: ties go away from zero, which Rust's formatting does not do.
pub(crate) fn fixed(n: f64, digits: usize) -> String {
    let text = if is_tie(n, digits) {
        round_up_last(&format!("{n:.*}", digits + 1))
    } else {
        format!("{n:.digits$}")
    };
    // A negative number that rounds to zero keeps its sign, but -0 itself has none.
    if n == 0.0 {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

/// Whether the exact decimal expansion ends in a 5 just behind the digits that are kept.
fn is_tie(n: f64, digits: usize) -> bool {
    let bits = n.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let mantissa = bits & ((1 << 52) - 1) | if exponent > 0 { 1 << 52 } else { 0 };
    if mantissa == 0 {
        return false;
    }
    // n = odd × 2^power; a fraction in base 2 has as many decimal digits as binary ones.
    let power = exponent.max(1) - 1075 + mantissa.trailing_zeros() as i32;
    power < 0 && usize::try_from(-power) == Ok(digits + 1)
}

/// Drops the last digit (a 5) and adds one to the digit before it.
fn round_up_last(text: &str) -> String {
    let mut bytes: Vec<u8> = text.bytes().take(text.len() - 1).collect();
    if bytes.last() == Some(&b'.') {
        bytes.pop();
    }
    for i in (0..bytes.len()).rev() {
        match bytes[i] {
            b'9' => bytes[i] = b'0',
            b'0'..=b'8' => {
                bytes[i] += 1;
                return String::from_utf8(bytes).unwrap_or_default();
            }
            _ => {}
        }
    }
    let first_digit = bytes.iter().position(u8::is_ascii_digit).unwrap_or(0);
    bytes.insert(first_digit, b'1');
    String::from_utf8(bytes).unwrap_or_default()
}

/// `toPrecision` (`exponential: false`) and `toExponential` with `digits` significant digits.
pub(crate) fn precise(n: f64, digits: usize, exponential: bool) -> String {
    let (mut mantissa, mut exponent) = split(n.abs(), digits);
    if let Some(up) = tie_up(n.abs(), digits) {
        (mantissa, exponent) = up;
    }
    let sign = if n < 0.0 { "-" } else { "" };
    if exponential || exponent < -6 || exponent >= digits as i32 {
        let point = if digits > 1 { "." } else { "" };
        let mark = if exponent < 0 { '-' } else { '+' };
        let size = exponent.abs();
        return format!(
            "{sign}{}{point}{}e{mark}{size}",
            &mantissa[..1],
            &mantissa[1..]
        );
    }
    if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1) as usize);
        return format!("{sign}0.{zeros}{mantissa}");
    }
    let whole = exponent as usize + 1;
    if whole == digits {
        return format!("{sign}{mantissa}");
    }
    format!("{sign}{}.{}", &mantissa[..whole], &mantissa[whole..])
}

/// Digits without a point, and the exponent of the first.
fn split(n: f64, digits: usize) -> (String, i32) {
    let text = format!("{n:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// The digits rounded up, if what is cut off is exactly a half.
fn tie_up(n: f64, digits: usize) -> Option<(String, i32)> {
    // 1,100 digits hold every double exactly; only a 5 with nothing behind it is a tie.
    let (one_more, exponent) = split(n, digits + 1);
    let half = one_more.ends_with('5');
    if !half || split(n, 1_100).0[digits + 1..].bytes().any(|b| b != b'0') {
        return None;
    }
    let up = round_up_last(&one_more);
    if up.len() > digits {
        return Some((up[..digits].to_owned(), exponent + 1));
    }
    Some((up, exponent))
}

/// `toString(radix)` for a finite number and a base that is not 10.
///
/// Digits of the fraction are produced until they tell the number from its neighbours.
pub(crate) fn radix_text(n: f64, radix: u32) -> String {
    let base = f64::from(radix);
    let (mut whole, mut fraction) = (n.abs().trunc(), n.abs().fract());
    let mut delta = (0.5 * (n.abs().next_up() - n.abs())).max(f64::from_bits(1));
    let mut places: Vec<u32> = Vec::new();
    if fraction >= delta {
        loop {
            fraction *= base;
            delta *= base;
            let digit = fraction.trunc();
            fraction -= digit;
            places.push(digit as u32);
            let half_up = fraction > 0.5 || fraction == 0.5 && digit as u32 & 1 == 1;
            if half_up && fraction + delta > 1.0 {
                // Round up, carrying through the highest digits.
                while let Some(last) = places.pop() {
                    if last + 1 < radix {
                        places.push(last + 1);
                        break;
                    }
                }
                if places.is_empty() {
                    whole += 1.0;
                }
                break;
            }
            if fraction < delta {
                break;
            }
        }
    }
    let digit = |d: u32| char::from_digit(d, radix).unwrap_or('0');
    let mut reversed = String::new();
    // The low digits of so large a number are not known and are zero. The bound is V8's.
    while whole >= 72_057_594_037_927_936.0 {
        whole /= base;
        reversed.push('0');
    }
    loop {
        let rest = whole % base;
        reversed.push(digit(rest as u32));
        whole = (whole - rest) / base;
        if whole <= 0.0 {
            break;
        }
    }
    let mut out = String::with_capacity(reversed.len() + places.len() + 2);
    if n < 0.0 {
        out.push('-');
    }
    out.extend(reversed.chars().rev());
    if !places.is_empty() {
        out.push('.');
        out.extend(places.into_iter().map(digit));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_digits_are_written_as_all_would_be() {
        let check = |n: f64, short: bool| {
            let mut out = NumberText::EMPTY;
            let written = write_short(&mut out, n);
            assert!(written || !short, "{n:e}");
            if written {
                assert_eq!(out.as_str(), n.to_string(), "{n:e}");
            }
        };
        // Steps that are no round numbers meet every length, before and behind the point.
        let mut digits = 1_u64;
        while digits < 20_000_000_000_000_000 {
            for places in 0..=8 {
                let n = digits as f64 / 10_f64.powi(places);
                let short = digits < 1_000_000_000_000_000 && places <= 6;
                check(n, short);
                check(-n, short);
                check(n.next_up(), false);
                check(n.next_down(), false);
            }
            digits += digits / 97 + 1;
        }
        for n in [
            0.1 + 0.2,
            1.0 / 3.0,
            1e15,
            1e15 - 0.125,
            0.000_000_1,
            1e300,
            5e-324,
        ] {
            check(n, false);
        }
    }

    #[test]
    fn numbers_have_the_text_that_javascript_gives_them() {
        for (n, text) in [
            (-0.0, "0"),
            (100.0, "100"),
            (249.9, "249.9"),
            (-0.001, "-0.001"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(number_text(n).as_str(), text);
        }
    }
}
