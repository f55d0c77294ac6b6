//! The values of number and string literals.

use std::borrow::Cow;

use bumpalo::{
    Bump,
    collections::{String as ArenaString, Vec as ArenaVec},
};

use super::ast::Cooked;

/// What is wrong with a literal: message and place within the literal's text.
pub(super) struct Wrong {
    pub(super) message: &'static str,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The value of a number literal as ECMA-262 (strict mode) has it.
pub(super) fn number(text: &str) -> Result<f64, &'static str> {
    let bytes = text.as_bytes();
    let separated = bytes.contains(&b'_');
    if separated
        && (text.ends_with('_')
            || text.contains("__")
            || text.contains("_.")
            || text.contains("._"))
    {
        return Err("a digit separator must stand between two digits");
    }
    if bytes.len() > 2 && bytes[0] == b'0' {
        let radix = match bytes[1] | 0x20 {
            b'x' => 16,
            b'o' => 8,
            b'b' => 2,
            _ => 0,
        };
        if radix > 0 {
            if bytes[2] == b'_' {
                return Err("a digit separator must stand between two digits");
            }
            return radix_digits(&text[2..], radix).ok_or("this is not a number");
        }
    }
    if bytes.len() > 1 && bytes[0] == b'0' && (bytes[1].is_ascii_digit() || bytes[1] == b'_') {
        return Err("a number may not start with 0; write `0o` for octal");
    }
    let plain = if separated {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    };
    let mut digits_before_exponent = false;
    for (i, b) in plain.bytes().enumerate() {
        match b {
            b'0'..=b'9' => digits_before_exponent = true,
            b'.' => {}
            b'e' | b'E' if digits_before_exponent => {
                let exponent = plain[i + 1..].trim_start_matches(['+', '-']);
                if plain.len() - i - 1 > exponent.len() + 1
                    || exponent.is_empty()
                    || !exponent.bytes().all(|b| b.is_ascii_digit())
                    || text.contains("e_")
                    || text.contains("_e")
                {
                    return Err("this is not a number");
                }
                break;
            }
            _ => return Err("this is not a number"),
        }
    }
    plain.parse().map_err(|_| "this is not a number")
}

/// Digits in base 2, 8 or 16 to the nearest number; separators are allowed.
pub(crate) fn radix_digits(text: &str, radix: u32) -> Option<f64> {
    let digits = text.chars().filter(|c| *c != '_');
    if digits.clone().next().is_none() || !digits.clone().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(digits_value(
        digits.filter_map(|c| c.to_digit(radix)),
        radix,
    ))
}

/// The value of digits in a base that is a power of two is rounded once, to even; in another
/// base as ECMA-262 allows for `parseInt`.
pub(crate) fn digits_value(digits: impl Iterator<Item = u32>, radix: u32) -> f64 {
    if !radix.is_power_of_two() {
        return digits.fold(0.0, |value, digit| {
            value * f64::from(radix) + f64::from(digit)
        });
    }
    let bits_per_digit = radix.trailing_zeros();
    let (mut mantissa, mut dropped, mut sticky, mut round) = (0_u64, 0_i32, false, false);
    for digit in digits {
        for bit in (0..bits_per_digit)
            .rev()
            .map(|shift| digit >> shift & 1 == 1)
        {
            if mantissa >> 52 == 0 {
                mantissa = mantissa << 1 | u64::from(bit);
            } else {
                sticky |= round;
                round = bit;
                dropped = dropped.saturating_add(1);
            }
        }
    }
    if round && (sticky || mantissa & 1 == 1) {
        mantissa += 1;
    }
    mantissa as f64 * 2_f64.powi(dropped)
}

/// The value of the text between the quotes of a string or of a template chunk.
pub(super) fn text<'a>(raw: &'a str, template: bool, arena: &'a Bump) -> Result<Cooked<'a>, Wrong> {
    if !raw.contains(['\\', '\r']) {
        return Ok(Cooked::Text(raw));
    }
    let mut out = Out {
        text: ArenaString::new_in(arena),
        units: None,
    };
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\r' && template {
            // Line ends inside a template are normalised.
            chars.next_if(|(_, next)| *next == '\n');
            out.push('\n');
            continue;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((_, kind)) = chars.next() else { break };
        match kind {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '\r' => {
                chars.next_if(|(_, next)| *next == '\n');
            }
            '\n' | '\u{2028}' | '\u{2029}' => {}
            '0' if !chars.peek().is_some_and(|(_, next)| next.is_ascii_digit()) => out.push('\0'),
            '0'..='9' => return Err(wrong("octal escapes are not allowed; write `\\x..`", at, 2)),
            'x' => {
                let value = raw.get(at + 2..at + 4).and_then(hex);
                let value = value.ok_or_else(|| wrong("`\\x` needs two hex digits", at, 2))?;
                out.unit(value as u16);
                chars.nth(1);
            }
            'u' => {
                let (value, len) = unicode(&raw[at + 2..])
                    .ok_or_else(|| wrong("`\\u` needs four hex digits or `{…}`", at, 2))?;
                match u16::try_from(value) {
                    Ok(unit) => out.unit(unit),
                    Err(_) => match char::from_u32(value) {
                        Some(c) => out.push(c),
                        None => return Err(wrong("`\\u{…}` is beyond 10FFFF", at, len + 2)),
                    },
                }
                chars.nth(len - 1);
            }
            other => out.push(other),
        }
    }
    Ok(out.finish())
}

fn wrong(message: &'static str, start: usize, len: usize) -> Wrong {
    Wrong {
        message,
        start,
        end: start + len,
    }
}

fn hex(text: &str) -> Option<u32> {
    text.bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u32::from_str_radix(text, 16).ok())?
}

/// The code point after `\u`, and how many bytes it takes.
pub(super) fn unicode(rest: &str) -> Option<(u32, usize)> {
    if let Some(braced) = rest.strip_prefix('{') {
        let end = braced.find('}')?;
        let digits = braced[..end].trim_start_matches('0');
        if end == 0 || digits.len() > 6 {
            return None;
        }
        let value = if digits.is_empty() { 0 } else { hex(digits)? };
        return Some((value, end + 2));
    }
    Some((hex(rest.get(..4)?)?, 4))
}

/// A string under construction; turns to UTF-16 at the first surrogate escape.
struct Out<'a> {
    text: ArenaString<'a>,
    units: Option<ArenaVec<'a, u16>>,
}

impl<'a> Out<'a> {
    fn push(&mut self, c: char) {
        match &mut self.units {
            Some(units) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            None => self.text.push(c),
        }
    }

    fn unit(&mut self, unit: u16) {
        match (&mut self.units, char::from_u32(u32::from(unit))) {
            (Some(units), _) => units.push(unit),
            (None, Some(c)) => self.text.push(c),
            (None, None) => {
                let mut units = ArenaVec::new_in(self.text.bump());
                units.extend(self.text.encode_utf16());
                units.push(unit);
                self.units = Some(units);
            }
        }
    }

    fn finish(self) -> Cooked<'a> {
        match self.units {
            None => Cooked::Text(self.text.into_bump_str()),
            // Two escapes may have made a whole pair.
            Some(units) => match ArenaString::from_utf16_in(&units, self.text.bump()) {
                Ok(text) => Cooked::Text(text.into_bump_str()),
                Err(_) => Cooked::Units(units.into_bump_slice()),
            },
        }
    }
}
