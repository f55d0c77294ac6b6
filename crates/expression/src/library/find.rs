//! Searching strings: by plain text, by UTF-16 index.

use super::{Args, Outcome, cut::byte_at, string::receiver};
use crate::{
    code::Callback,
    error::Fault,
    machine::{Machine, TextBuilder},
    value::{Text, Val},
};

/// A text and what is looked for, in one form.
enum Search<'a> {
    Utf8(&'a str, &'a str),
    /// Lone surrogates somewhere: both as units.
    Units(Vec<u16>, Vec<u16>),
}

impl<'a> Search<'a> {
    fn new(m: &mut Machine<'a>, text: Text<'a>, needle: Text<'a>) -> Result<Search<'a>, Fault> {
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
    fn first(&self, from: usize) -> Option<usize> {
        match self {
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
    let needle = m.to_text(needle)?;
    Search::new(m, receiver(this), needle)
}

pub(super) fn includes<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
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
    let to = m.to_number(args.get(1))?;
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
    let search = searched(m, this, args.get(0))?;
    let at = position(m, args.get(1), receiver(this).len(), 0)?;
    Ok(Val::Bool(search.stands_at(at)))
}

pub(super) fn ends_with<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let needle = m.to_text(args.get(0))?;
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
        limit => crate::value::to_int32(m.to_number(limit)?).cast_unsigned(),
    } as usize;
    let text = receiver(this);
    let mut list = m.list(0)?;
    if limit == 0 {
        return m.array(list);
    }
    if matches!(args.get(0), Val::Undefined) {
        list.push(m, this)?;
        return m.array(list);
    }
    let separator = m.to_text(args.get(0))?;
    if separator.is_empty() {
        let units = m.units_of(text)?;
        return m.copy_items(units.slice(0, units.len().min(limit)));
    }
    match Search::new(m, text, separator)? {
        Search::Utf8(text, separator) => {
            for part in text.split(separator).take(limit) {
                m.charge(1)?;
                let part = m.text_value(Text::Utf8(part))?;
                list.push(m, part)?;
            }
        }
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

pub(super) fn replace<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    replaced(m, this, args, 1)
}

pub(super) fn replace_all<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    replaced(m, this, args, usize::MAX)
}

/// What takes the place of a match.
enum Replacement<'a> {
    /// Text without `$`.
    Plain(Text<'a>),
    /// Text in which `$&` and its like mean something.
    Pattern(Text<'a>),
    Callback(&'a Callback),
}

fn replaced<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    most: usize,
) -> Outcome<'a> {
    let text = receiver(this);
    let needle = m.to_text(args.get(0))?;
    let replacement = match args.get(1) {
        Val::Callback(callback) => Replacement::Callback(callback),
        value => {
            let text = m.to_text(value)?;
            if text.units().any(|unit| unit == u16::from(b'$')) {
                Replacement::Pattern(text)
            } else {
                Replacement::Plain(text)
            }
        }
    };
    let search = Search::new(m, text, needle)?;
    let (len, step) = (text.len(), needle.len());
    let mut out: Option<TextBuilder<'a>> = None;
    // Behind the last match, and where the next may begin.
    let (mut done, mut from, mut count) = (0, 0, 0);
    while count < most && from <= len {
        m.scan(text.size())?;
        let Some(at) = search.first(from) else { break };
        m.charge(1)?;
        let mut built = match out.take() {
            Some(built) => built,
            None => m.text_builder(text.size())?,
        };
        let between = m.part(text, done, at)?;
        built.push_value(m, between)?;
        match &replacement {
            Replacement::Plain(text) => built.push(m, *text)?,
            Replacement::Pattern(pattern) => {
                push_pattern(m, &mut built, *pattern, text, at, at + step)?;
            }
            Replacement::Callback(callback) => {
                let matched = m.part(text, at, at + step)?;
                let value = m.call(callback, &[matched, Val::Num(at as f64), this])?;
                built.push_value(m, value)?;
            }
        }
        out = Some(built);
        done = at + step;
        from = if step == 0 { at + 1 } else { done };
        count += 1;
    }
    let Some(mut out) = out else { return Ok(this) };
    let rest = m.part(text, done, len)?;
    out.push_value(m, rest)?;
    out.finish(m)
}

/// `GetSubstitution` for a match without groups: `$$`, `$&`, `` $` ``, `$'`.
fn push_pattern<'a>(
    m: &mut Machine<'a>,
    out: &mut TextBuilder<'a>,
    pattern: Text<'a>,
    text: Text<'a>,
    start: usize,
    end: usize,
) -> Result<(), Fault> {
    let mut units = pattern.units().peekable();
    let mut run: Vec<u16> = Vec::new();
    while let Some(unit) = units.next() {
        m.charge(1)?;
        let next = if unit == u16::from(b'$') {
            units.peek().copied()
        } else {
            None
        };
        let range = match next.and_then(|next| u8::try_from(next).ok()) {
            Some(b'$') => {
                run.push(unit);
                units.next();
                continue;
            }
            Some(b'&') => (start, end),
            Some(b'`') => (0, start),
            Some(b'\'') => (end, text.len()),
            _ => {
                run.push(unit);
                continue;
            }
        };
        units.next();
        let before = m.units_text(&run)?;
        out.push(m, before)?;
        run.clear();
        let part = m.part(text, range.0, range.1)?;
        out.push_value(m, part)?;
    }
    let rest = m.units_text(&run)?;
    out.push(m, rest)
}
