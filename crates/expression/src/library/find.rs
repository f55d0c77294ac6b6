//! Searching strings: by plain text, by UTF-16 index.

use super::{
    Args, Outcome,
    cut::byte_at,
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
        m.scan(text.size())?;
        if let (Text::Utf8(text), Text::Utf8(needle)) = (text, needle) {
            return Ok(Search::Utf8(text, needle));
        }
        m.reserve((text.size() + needle.size()) * 2)?;
        m.charge((text.size() as u64 / 64 + 1).saturating_mul(needle.size() as u64))?;
        Ok(Search::Units(
            text.units().collect(),
            needle.units().collect(),
        ))
    }

    /// The first occurrence at or after the unit `from`, by unit.
    pub(super) fn first(&self, from: usize) -> Option<usize> {
        match self {
            // Nothing stands everywhere, also inside a pair.
            Search::Utf8(text, "") => Some(from.min(Text::Utf8(text).len())),
            Search::Utf8(text, needle) => {
                // Inside a pair no text begins; the next place is behind it.
                let start = byte_at(text, from).or_else(|| byte_at(text, from + 1))?;
                let found = start + text.get(start..)?.find(needle)?;
                Some(from.max(units_before(text, found)))
            }
            Search::Units(text, needle) => (from..=text.len().checked_sub(needle.len())?)
                .find(|at| text[*at..].starts_with(needle)),
        }
    }

    /// The last occurrence at or before the unit `to`, by unit.
    fn last(&self, to: usize) -> Option<usize> {
        match self {
            Search::Utf8(text, "") => Some(to.min(Text::Utf8(text).len())),
            Search::Utf8(text, needle) => {
                let start = byte_at(text, to).or_else(|| byte_at(text, to.saturating_sub(1)))?;
                let end = start.saturating_add(needle.len()).min(text.len());
                // The end may fall into a character; then the match lies before it.
                let end = (0..=end).rev().find(|end| text.is_char_boundary(*end))?;
                text[..end]
                    .rfind(needle)
                    .map(|found| units_before(text, found))
            }
            Search::Units(text, needle) => (0..=text.len().checked_sub(needle.len())?.min(to))
                .rev()
                .find(|at| text[*at..].starts_with(needle)),
        }
    }

    /// Whether it stands at the unit `at`.
    fn stands_at(&self, at: usize) -> bool {
        match self {
            Search::Utf8(text, needle) => byte_at(text, at)
                .and_then(|byte| text.get(byte..))
                .map_or(needle.is_empty(), |rest| rest.starts_with(needle)),
            Search::Units(text, needle) => {
                text.get(at..).is_some_and(|rest| rest.starts_with(needle))
            }
        }
    }
}

fn units_before(text: &str, byte: usize) -> usize {
    Text::Utf8(&text[..byte]).len()
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
    let from = position(m, args.get(1), receiver(this).len(), 0)?;
    Ok(Val::Bool(search.first(from).is_some()))
}

pub(super) fn index_of<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let search = searched(m, this, args.get(0))?;
    let from = position(m, args.get(1), receiver(this).len(), 0)?;
    Ok(Val::Num(search.first(from).map_or(-1.0, |at| at as f64)))
}

pub(super) fn last_index_of<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let search = searched(m, this, args.get(0))?;
    let len = receiver(this).len();
    let to = m.number_of(args.get(1))?;
    let to = if to.is_nan() {
        len
    } else {
        to.clamp(0.0, len as f64) as usize
    };
    Ok(Val::Num(search.last(to).map_or(-1.0, |at| at as f64)))
}

pub(super) fn starts_with<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    no_pattern(args.get(0), "startsWith")?;
    let search = searched(m, this, args.get(0))?;
    let at = position(m, args.get(1), receiver(this).len(), 0)?;
    Ok(Val::Bool(search.stands_at(at)))
}

pub(super) fn ends_with<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    no_pattern(args.get(0), "endsWith")?;
    let needle = m.text_of(args.get(0))?;
    let text = receiver(this);
    let search = Search::new(m, text, needle)?;
    let len = text.len();
    let end = position(m, args.get(1), len, len)?;
    Ok(Val::Bool(
        end.checked_sub(needle.len())
            .is_some_and(|at| search.stands_at(at)),
    ))
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
        Search::Utf8(text, separator) => match *separator.as_bytes() {
            [byte] => push_parts(m, &mut list, text.split(char::from(byte)).take(limit))?,
            _ => push_parts(m, &mut list, text.split(separator).take(limit))?,
        },
        search @ Search::Units(..) => {
            let (len, mut from) = (text.len(), 0);
            while list.len() < limit {
                let at = search.first(from);
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
