//! Parts of strings, by UTF-16 index.

use super::{Args, Outcome, string::receiver};
use crate::{
    error::Fault,
    machine::Machine,
    syntax::is_js_space,
    value::{Text, Val, to_integer},
};

impl<'a> Machine<'a> {
    /// `ToIntegerOrInfinity`.
    pub(crate) fn integer(&mut self, value: Val<'a>) -> Result<f64, Fault> {
        Ok(to_integer(self.number_of(value)?))
    }

    /// An index that counts from the end if it is negative, cut to `0..=len`.
    pub(crate) fn relative(
        &mut self,
        value: Val<'a>,
        len: usize,
        default: usize,
    ) -> Result<usize, Fault> {
        if matches!(value, Val::Undefined) {
            return Ok(default);
        }
        let index = self.integer(value)?;
        let index = if index < 0.0 {
            index + len as f64
        } else {
            index
        };
        Ok(index.clamp(0.0, len as f64) as usize)
    }

    /// A unit's index that counts from the end if it is negative. One beyond the end stands for the
    /// end; only one that counts from it needs the text's length.
    fn unit_index(
        &mut self,
        text: Text<'a>,
        value: Val<'a>,
        default: usize,
    ) -> Result<usize, Fault> {
        if matches!(value, Val::Undefined) {
            return Ok(default);
        }
        let index = self.integer(value)?;
        if index < 0.0 {
            let len = self.units(text)? as f64;
            return Ok((index + len).max(0.0) as usize);
        }
        Ok(index.min(text.size() as f64) as usize)
    }

    /// The units from `from` to `to`; what is beyond the end stands for the end.
    pub(crate) fn part(&mut self, text: Text<'a>, from: usize, to: usize) -> Outcome<'a> {
        if from >= to {
            return Ok(Val::EMPTY);
        }
        let s = match text {
            Text::Utf8(s) => s,
            Text::Wide(units) => {
                let to = to.min(units.len());
                return self.units_value(&units[from.min(to)..to]);
            }
        };
        let (start, end) = (self.byte_of(s, from)?, self.byte_of(s, to)?);
        if let (Some(start), Some(end)) = (start, end) {
            return match start < end {
                true => self.text_value(Text::Utf8(&s[start..end])),
                false => Ok(Val::EMPTY),
            };
        }
        // A cut through the middle of a pair leaves half of it.
        let first = match start {
            Some(start) => Some(start),
            None => self.byte_of(s, from - 1)?,
        };
        let last = match end {
            Some(end) => Some(end),
            None => self.byte_of(s, to + 1)?,
        };
        let whole = &s[first.unwrap_or(0)..last.unwrap_or(s.len())];
        let (before, after) = (usize::from(start.is_none()), usize::from(end.is_none()));
        self.reserve((Text::Utf8(whole).len() - before - after) * 2)?;
        let units: Vec<u16> = whole.encode_utf16().collect();
        self.units_value(&units[before..units.len() - after])
    }
}

/// The byte where the unit of that index begins; `None` inside a pair.
pub(crate) fn byte_at(s: &str, unit: usize) -> Option<usize> {
    if s.len() <= unit || s.as_bytes()[..unit].is_ascii() {
        return Some(unit.min(s.len()));
    }
    let mut units = 0;
    for (byte, c) in s.char_indices() {
        if units >= unit {
            return (units == unit).then_some(byte);
        }
        units += c.len_utf16();
    }
    (units == unit).then_some(s.len())
}

pub(super) fn slice<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = receiver(this);
    let from = m.unit_index(text, args.get(0), 0)?;
    let to = m.unit_index(text, args.get(1), text.size())?;
    m.part(text, from, to)
}

pub(super) fn substring<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = receiver(this);
    let end = text.size();
    let from = m.integer(args.get(0))?.clamp(0.0, end as f64) as usize;
    let to = match args.get(1) {
        Val::Undefined => end,
        to => m.integer(to)?.clamp(0.0, end as f64) as usize,
    };
    m.part(text, from.min(to), from.max(to))
}

pub(super) fn substr<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = receiver(this);
    let end = text.size();
    let from = m.unit_index(text, args.get(0), 0)?;
    let count = match args.get(1) {
        Val::Undefined => end,
        count => m.integer(count)?.clamp(0.0, end as f64) as usize,
    };
    m.part(text, from, from + count)
}

/// The unit at an index that is taken as it is.
fn unit<'a>(m: &mut Machine<'a>, this: Val<'a>, index: Val<'a>) -> Result<Option<u16>, Fault> {
    let index = m.integer(index)?;
    if index < 0.0 {
        return Ok(None);
    }
    m.unit_at(receiver(this), index as usize)
}

pub(super) fn at<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = receiver(this);
    let mut index = m.integer(args.get(0))?;
    if index < 0.0 {
        index += m.units(text)? as f64;
    }
    if index < 0.0 {
        return Ok(Val::Undefined);
    }
    match m.unit_at(text, index as usize)? {
        Some(unit) => m.unit_value(unit),
        None => Ok(Val::Undefined),
    }
}

pub(super) fn char_at<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    match unit(m, this, args.get(0))? {
        Some(unit) => m.unit_value(unit),
        None => Ok(Val::EMPTY),
    }
}

pub(super) fn char_code_at<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    Ok(Val::Num(
        unit(m, this, args.get(0))?.map_or(f64::NAN, f64::from),
    ))
}

pub(super) fn code_point_at<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let Some(first) = unit(m, this, args.get(0))? else {
        return Ok(Val::Undefined);
    };
    let next = m.integer(args.get(0))? + 1.0;
    let second = unit(m, this, Val::Num(next))?;
    let pair = [first, second.unwrap_or(0)];
    let point = match char::decode_utf16(pair).next() {
        Some(Ok(c)) => u32::from(c),
        _ => u32::from(first),
    };
    Ok(Val::Num(f64::from(point)))
}

pub(super) fn trim_both<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    trimmed(m, this, true, true)
}

pub(super) fn trim_start<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    trimmed(m, this, true, false)
}

pub(super) fn trim_end<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    trimmed(m, this, false, true)
}

/// Without white space at the start; nearly all of it is single bytes.
fn trim_start_of(mut s: &str) -> &str {
    while let Some(b' ' | b'\t'..=b'\r') = s.as_bytes().first() {
        s = &s[1..];
    }
    match s.as_bytes().first() {
        Some(byte) if !byte.is_ascii() => s.trim_start_matches(is_js_space),
        _ => s,
    }
}

fn trim_end_of(mut s: &str) -> &str {
    while let Some(b' ' | b'\t'..=b'\r') = s.as_bytes().last() {
        s = &s[..s.len() - 1];
    }
    match s.as_bytes().last() {
        Some(byte) if !byte.is_ascii() => s.trim_end_matches(is_js_space),
        _ => s,
    }
}

fn trimmed<'a>(m: &mut Machine<'a>, this: Val<'a>, start: bool, end: bool) -> Outcome<'a> {
    match receiver(this) {
        Text::Utf8(whole) => {
            let mut s = whole;
            if start {
                s = trim_start_of(s);
            }
            if end {
                s = trim_end_of(s);
            }
            // What was walked is what is cut off.
            m.scan(whole.len() - s.len())?;
            if s.len() == whole.len() {
                Ok(this)
            } else {
                m.text_value(Text::Utf8(s))
            }
        }
        Text::Wide(units) => {
            m.scan(units.len() * 2)?;
            let space = |unit: &u16| char::from_u32(u32::from(*unit)).is_some_and(is_js_space);
            let len = units.len();
            let from = if start {
                units.iter().take_while(|u| space(u)).count()
            } else {
                0
            };
            let cut = if end {
                units.iter().rev().take_while(|u| space(u)).count()
            } else {
                0
            };
            m.units_value(&units[from.min(len - cut)..len - cut])
        }
    }
}
