//! Searching strings: by plain text, by UTF-16 index.

use super::{
    Args, Outcome,
    regex::{no_pattern, pattern},
    regex_split,
    string::receiver,
};
use crate::{
    error::Fault,
    machine::{List, Machine},
    value::{Text, Val},
};

/// A text and what is looked for, in one form.
pub(super) enum Search<'a> {
    Utf8(&'a str, &'a str),
    /// Lone surrogates somewhere: both as units.
    Units(Vec<u16>, Vec<u16>),
}

impl<'a> Search<'a> {
    pub(super) fn new(
        m: &mut Machine<'a>,
        text: Text<'a>,
        needle: Text<'a>,
    ) -> Result<Search<'a>, Fault> {
        if let (Text::Utf8(text), Text::Utf8(needle)) = (text, needle) {
            return Ok(Search::Utf8(text, needle));
        }
        m.scan(text.size())?;
        m.reserve((text.size() + needle.size()) * 2)?;
        m.charge((text.size() as u64 / 64 + 1).saturating_mul(needle.size() as u64))?;
        Ok(Search::Units(
            text.units().collect(),
            needle.units().collect(),
        ))
    }

    /// The first occurrence at or after the unit `from`, by unit.
    pub(super) fn first(&self, m: &mut Machine<'a>, from: usize) -> Result<Option<usize>, Fault> {
        match *self {
            // Nothing stands everywhere, also inside a pair.
            Search::Utf8(text, "") => Ok(Some(from.min(m.units(Text::Utf8(text))?))),
            Search::Utf8(text, needle) => {
                let found = find_after(m, text, needle, from)?;
                match found {
                    Some(found) => Ok(Some(from.max(m.units_before(text, found)?))),
                    None => Ok(None),
                }
            }
            Search::Units(ref text, ref needle) => {
                let last = text.len().checked_sub(needle.len());
                Ok(last.and_then(|last| {
                    (from.min(text.len())..=last).find(|at| text[*at..].starts_with(needle))
                }))
            }
        }
    }

    /// Whether it stands at or after the unit `from`.
    fn stands_after(&self, m: &mut Machine<'a>, from: usize) -> Result<bool, Fault> {
        match *self {
            Search::Utf8(_, "") => Ok(true),
            Search::Utf8(text, needle) => Ok(find_after(m, text, needle, from)?.is_some()),
            Search::Units(..) => Ok(self.first(m, from)?.is_some()),
        }
    }

    /// The last occurrence at or before the unit `to`, by unit.
    fn last(&self, m: &mut Machine<'a>, to: usize) -> Result<Option<usize>, Fault> {
        match *self {
            Search::Utf8(text, "") => Ok(Some(to.min(m.units(Text::Utf8(text))?))),
            Search::Utf8(text, needle) => {
                let start = match m.byte_of(text, to)? {
                    Some(start) => start,
                    None => m.byte_of(text, to.saturating_sub(1))?.unwrap_or(0),
                };
                let end = start.saturating_add(needle.len()).min(text.len());
                // The end may fall into a character; then the match lies before it.
                let end = (0..=end).rev().find(|end| text.is_char_boundary(*end));
                let end = end.unwrap_or(0);
                m.look_for(end, needle.len())?;
                match text[..end].rfind(needle) {
                    Some(found) => m.units_before(text, found).map(Some),
                    None => Ok(None),
                }
            }
            Search::Units(ref text, ref needle) => {
                let last = text.len().checked_sub(needle.len());
                Ok(last.and_then(|last| {
                    let mut places = (0..=last.min(to)).rev();
                    places.find(|at| text[*at..].starts_with(needle))
                }))
            }
        }
    }

    /// Whether it stands at the unit `at`.
    fn stands_at(&self, m: &mut Machine<'a>, at: usize) -> Result<bool, Fault> {
        match *self {
            Search::Utf8(text, needle) => {
                m.scan(needle.len().min(text.len()))?;
                let rest = m.byte_of(text, at)?.and_then(|byte| text.get(byte..));
                Ok(rest.map_or(needle.is_empty(), |rest| rest.starts_with(needle)))
            }
            Search::Units(ref text, ref needle) => {
                Ok(text[at.min(text.len())..].starts_with(needle))
            }
        }
    }
}

/// The byte of the first occurrence at or after the unit `from`.
fn find_after<'a>(
    m: &mut Machine<'a>,
    text: &'a str,
    needle: &str,
    from: usize,
) -> Result<Option<usize>, Fault> {
    let start = match m.byte_of(text, from)? {
        Some(start) => start,
        // Inside a pair no text begins; the next place is behind it.
        None => m.byte_of(text, from + 1)?.unwrap_or(text.len()),
    };
    m.look_for(text.len() - start, needle.len())?;
    Ok(text[start..].find(needle).map(|found| start + found))
}

/// An index argument, cut to the text.
fn position<'a>(
    m: &mut Machine<'a>,
    value: Val<'a>,
    len: usize,
    default: usize,
) -> Result<usize, Fault> {
    match value {
        Val::Undefined => Ok(default),
        value => Ok(m.integer(value)?.clamp(0.0, len as f64) as usize),
    }
}

fn searched<'a>(m: &mut Machine<'a>, this: Val<'a>, needle: Val<'a>) -> Result<Search<'a>, Fault> {
    let needle = m.text_of(needle)?;
    Search::new(m, receiver(this), needle)
}

pub(super) fn includes<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    no_pattern(args.get(0), "includes")?;
    let search = searched(m, this, args.get(0))?;
    let from = position(m, args.get(1), receiver(this).size(), 0)?;
    Ok(Val::Bool(search.stands_after(m, from)?))
}

pub(super) fn index_of<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let search = searched(m, this, args.get(0))?;
    let from = position(m, args.get(1), receiver(this).size(), 0)?;
    Ok(Val::Num(
        search.first(m, from)?.map_or(-1.0, |at| at as f64),
    ))
}

pub(super) fn last_index_of<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let search = searched(m, this, args.get(0))?;
    let len = receiver(this).size();
    let to = m.number_of(args.get(1))?;
    let to = if to.is_nan() {
        len
    } else {
        to.clamp(0.0, len as f64) as usize
    };
    Ok(Val::Num(search.last(m, to)?.map_or(-1.0, |at| at as f64)))
}

pub(super) fn starts_with<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    no_pattern(args.get(0), "startsWith")?;
    let search = searched(m, this, args.get(0))?;
    let at = position(m, args.get(1), receiver(this).size(), 0)?;
    Ok(Val::Bool(search.stands_at(m, at)?))
}

pub(super) fn ends_with<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    no_pattern(args.get(0), "endsWith")?;
    let needle = m.text_of(args.get(0))?;
    let text = receiver(this);
    let end = match args.get(1) {
        Val::Undefined => None,
        end => Some(position(m, end, text.size(), 0)?),
    };
    Ok(Val::Bool(match (Search::new(m, text, needle)?, end) {
        (Search::Utf8(text, needle), end) => {
            m.scan(needle.len().min(text.len()))?;
            let end = match end {
                Some(end) => m.byte_of(text, end)?,
                None => Some(text.len()),
            };
            // Nothing but nothing ends inside a pair.
            end.map_or(needle.is_empty(), |end| text[..end].ends_with(needle))
        }
        (Search::Units(text, needle), end) => {
            let end = end.unwrap_or(text.len()).min(text.len());
            text[..end].ends_with(&needle)
        }
    }))
}

pub(super) fn split<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let limit = match args.get(1) {
        Val::Undefined => u32::MAX,
        limit => crate::value::to_int32(m.number_of(limit)?).cast_unsigned(),
    } as usize;
    if let Some(pattern) = pattern(args.get(0)) {
        return regex_split::split(m, this, pattern.regex(), limit);
    }
    let text = receiver(this);
    let mut list = m.list(0)?;
    if limit == 0 {
        return m.array(list);
    }
    if matches!(args.get(0), Val::Undefined) {
        list.push(m, this)?;
        return m.array(list);
    }
    let separator = m.text_of(args.get(0))?;
    if separator.is_empty() {
        let units = m.units_of(text)?;
        return m.copy_items(units.slice(0, units.len().min(limit)));
    }
    match Search::new(m, text, separator)? {
        // For one byte there is no need to prepare a search.
        Search::Utf8(text, separator) => {
            m.scan(text.len())?;
            match *separator.as_bytes() {
                [byte] => push_parts(m, &mut list, text.split(char::from(byte)).take(limit))?,
                _ => push_parts(m, &mut list, text.split(separator).take(limit))?,
            }
        }
        search @ Search::Units(..) => {
            let (len, mut from) = (text.len(), 0);
            while list.len() < limit {
                let at = search.first(m, from)?;
                let part = m.part(text, from, at.unwrap_or(len))?;
                list.push(m, part)?;
                match at {
                    Some(at) => from = at + separator.len(),
                    None => break,
                }
            }
        }
    }
    m.array(list)
}

fn push_parts<'a>(
    m: &mut Machine<'a>,
    list: &mut List<'a>,
    mut parts: impl Iterator<Item = &'a str>,
) -> Result<(), Fault> {
    parts.try_for_each(|part| {
        let part = m.text_value(Text::Utf8(part))?;
        list.push(m, part)
    })
}
