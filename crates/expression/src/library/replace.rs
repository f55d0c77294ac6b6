//! `replace` and `replaceAll` of plain text.

use super::{Args, Outcome, find::Search, regex::pattern, regex_replace, string::receiver};
use crate::{
    code::Callback,
    error::Fault,
    machine::{Machine, TextBuilder},
    value::{Text, Val},
};

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

/// One match, with what stands around it and its index in units.
struct Match<'a> {
    before: Text<'a>,
    found: Text<'a>,
    after: Text<'a>,
    at: usize,
}

fn replaced<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    most: usize,
) -> Outcome<'a> {
    if let Some(pattern) = pattern(args.get(0)) {
        return regex_replace::replace(m, this, pattern.regex(), args, most > 1);
    }
    let text = receiver(this);
    let needle = m.text_of(args.get(0))?;
    let replacement = match args.get(1) {
        Val::Callback(callback) => Replacement::Callback(callback),
        value => {
            let text = m.text_of(value)?;
            if text.units().any(|unit| unit == u16::from(b'$')) {
                Replacement::Pattern(text)
            } else {
                Replacement::Plain(text)
            }
        }
    };
    match (text, needle) {
        (Text::Utf8(text), Text::Utf8(needle)) if !needle.is_empty() => {
            by_bytes(m, this, text, needle, &replacement, most)
        }
        _ => by_units(m, this, needle, &replacement, most),
    }
}

/// The common case: matches begin and end between characters.
fn by_bytes<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    text: &'a str,
    needle: &'a str,
    replacement: &Replacement<'a>,
    most: usize,
) -> Outcome<'a> {
    m.scan(text.len())?;
    let mut matches = text.match_indices(needle).take(most).peekable();
    if matches.peek().is_none() {
        return Ok(this);
    }
    let mut out = m.text_builder(text.len().min(m.context.limits.string_bytes))?;
    let (mut done, mut units) = (0, 0);
    for (at, found) in matches {
        units += Text::Utf8(&text[done..at]).len();
        out.push_str(m, &text[done..at])?;
        done = at + found.len();
        let one = Match {
            before: Text::Utf8(&text[..at]),
            found: Text::Utf8(found),
            after: Text::Utf8(&text[done..]),
            at: units,
        };
        push_replacement(m, &mut out, replacement, &one, this)?;
        units += Text::Utf8(found).len();
    }
    out.push_str(m, &text[done..])?;
    out.finish(m)
}

/// Matches that may begin inside a pair: of nothing, or with lone surrogates.
fn by_units<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    needle: Text<'a>,
    replacement: &Replacement<'a>,
    most: usize,
) -> Outcome<'a> {
    let text = receiver(this);
    let search = Search::new(m, text, needle)?;
    let (len, step) = (text.len(), needle.len());
    let part = |m: &mut Machine<'a>, from, to| {
        let part = m.part(text, from, to)?;
        m.text_of(part)
    };
    let mut out = m.text_builder(0)?;
    // Behind the last match, and where the next may begin.
    let (mut done, mut from, mut count) = (0, 0, 0);
    while count < most && from <= len {
        m.scan(text.size())?;
        let Some(at) = search.first(m, from)? else {
            break;
        };
        let between = part(m, done, at)?;
        out.push(m, between)?;
        let one = Match {
            before: part(m, 0, at)?,
            found: part(m, at, at + step)?,
            after: part(m, at + step, len)?,
            at,
        };
        push_replacement(m, &mut out, replacement, &one, this)?;
        done = at + step;
        from = done.max(at + 1);
        count += 1;
    }
    let rest = part(m, done, len)?;
    out.push(m, rest)?;
    out.finish(m)
}

fn push_replacement<'a>(
    m: &mut Machine<'a>,
    out: &mut TextBuilder<'a>,
    replacement: &Replacement<'a>,
    one: &Match<'a>,
    this: Val<'a>,
) -> Result<(), Fault> {
    match replacement {
        Replacement::Plain(text) => out.push(m, *text),
        Replacement::Pattern(pattern) => {
            m.walk(1)?;
            push_pattern(m, out, *pattern, one)
        }
        Replacement::Callback(callback) => {
            m.walk(1)?;
            let found = m.text_value(one.found)?;
            let value = m.call(callback, &[found, Val::Num(one.at as f64), this])?;
            out.push_value(m, value)
        }
    }
}

/// `GetSubstitution` for a match without groups: `$$`, `$&`, `` $` ``, `$'`.
fn push_pattern<'a>(
    m: &mut Machine<'a>,
    out: &mut TextBuilder<'a>,
    pattern: Text<'a>,
    one: &Match<'a>,
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
        let part = match next.and_then(|next| u8::try_from(next).ok()) {
            Some(b'$') => {
                run.push(unit);
                units.next();
                continue;
            }
            Some(b'&') => one.found,
            Some(b'`') => one.before,
            Some(b'\'') => one.after,
            _ => {
                run.push(unit);
                continue;
            }
        };
        units.next();
        let before = m.units_text(&run)?;
        out.push(m, before)?;
        run.clear();
        out.push(m, part)?;
    }
    let rest = m.units_text(&run)?;
    out.push(m, rest)
}
