//! `replace` and `replaceAll` of what a pattern matches.

use super::{
    Args, Outcome,
    regex_match::{groups_object, needs_global, next},
};
use crate::{
    code::Callback,
    error::Fault,
    machine::{Machine, Searched, TextBuilder},
    regex::Regex,
    value::{Text, Val},
};

/// A part of the text that takes a match's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// As it stands there, from one place to another.
    Plain(usize, usize),
    Group(u32),
    Before,
    After,
}

pub(super) fn replace<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    regex: Regex<'a>,
    args: Args<'a, '_>,
    all: bool,
) -> Outcome<'a> {
    if all {
        needs_global(regex, "replaceAll")?;
    }
    let mut searched = m.searched(regex, this)?;
    let replacement = match args.get(1) {
        Val::Callback(callback) => Replacement::Callback(callback),
        value => {
            let text = m.text_of(value)?;
            m.scan(text.size() * 8)?;
            Replacement::Pieces(text, pieces(text, regex))
        }
    };
    let groups = replacement.groups();
    let mut out: Option<TextBuilder<'a>> = None;
    let (mut done, mut from) = (0, 0);
    while searched.find(m, from, regex.flags.sticky, groups)? {
        m.walk(1)?;
        let (start, end) = searched.whole(m);
        let mut text = match out.take() {
            Some(text) => text,
            None => m.text_builder(0)?,
        };
        text.push(m, searched.slice(done, start))?;
        push(m, &mut text, &mut searched, &replacement)?;
        out = Some(text);
        done = end;
        from = next(&searched, start, end);
        if !regex.flags.global {
            break;
        }
    }
    match out {
        Some(mut out) => {
            out.push(m, searched.slice(done, searched.subject.len()))?;
            out.finish(m)
        }
        None => Ok(searched.value),
    }
}

enum Replacement<'a> {
    Pieces(Text<'a>, Vec<Piece>),
    Callback(&'a Callback),
}

impl Replacement<'_> {
    /// How many groups of a match it needs to know.
    fn groups(&self) -> u32 {
        let Replacement::Pieces(_, pieces) = self else {
            return u32::MAX;
        };
        let numbers = pieces.iter().map(|piece| match piece {
            Piece::Group(number) => number + 1,
            _ => 1,
        });
        numbers.max().unwrap_or(1)
    }
}

fn push<'a>(
    m: &mut Machine<'a>,
    out: &mut TextBuilder<'a>,
    searched: &mut Searched<'a>,
    replacement: &Replacement<'a>,
) -> Result<(), Fault> {
    let (start, end) = searched.whole(m);
    let (text, pieces) = match replacement {
        Replacement::Callback(callback) => {
            let value = called(m, searched, callback, start)?;
            return out.push_value(m, value);
        }
        Replacement::Pieces(text, pieces) => (*text, pieces),
    };
    m.charge(pieces.len() as u64)?;
    for piece in pieces {
        let part = match *piece {
            Piece::Plain(from, to) => match text {
                Text::Utf8(text) => Text::Utf8(&text[from..to]),
                Text::Wide(units) => Text::Wide(&units[from..to]),
            },
            Piece::Group(number) => match searched.group(m, number) {
                Some((from, to)) => searched.slice(from, to),
                None => continue,
            },
            Piece::Before => searched.slice(0, start),
            Piece::After => searched.slice(end, searched.subject.len()),
        };
        m.scan(part.size())?;
        out.push(m, part)?;
    }
    Ok(())
}

/// The match, its groups, its index, the whole text, and the named groups if there are any.
fn called<'a>(
    m: &mut Machine<'a>,
    searched: &mut Searched<'a>,
    callback: &'a Callback,
    start: usize,
) -> Outcome<'a> {
    let regex = searched.regex;
    let mut args = Vec::with_capacity(regex.groups as usize + 3);
    for group in 0..regex.groups {
        args.push(searched.group_value(m, group)?);
    }
    let named = groups_object(m, regex, &args)?;
    args.push(Val::Num(searched.index(m, start)?));
    args.push(searched.value);
    if regex.names().len() > 0 {
        args.push(named);
    }
    m.charge(args.len() as u64)?;
    m.call(callback, &args)
}

/// `GetSubstitution`, read once: `$$`, `$&`, `` $` ``, `$'`, `$1`, `$12`, `$<name>`.
fn pieces(text: Text<'_>, regex: Regex<'_>) -> Vec<Piece> {
    match text {
        Text::Utf8(text) => pieces_of(text.as_bytes(), regex, |from, to| text[from..to].to_owned()),
        Text::Wide(units) => pieces_of(units, regex, |from, to| {
            String::from_utf16_lossy(&units[from..to])
        }),
    }
}

fn pieces_of<U: Copy + Into<u32>>(
    units: &[U],
    regex: Regex<'_>,
    name: impl Fn(usize, usize) -> String,
) -> Vec<Piece> {
    let at = |i: usize| units.get(i).map_or(0, |unit| (*unit).into());
    let is = |i: usize, c: char| at(i) == u32::from(c);
    let digit = |i: usize| char::from_u32(at(i)).and_then(|c| c.to_digit(10));
    let has = |number: u32| (1..regex.groups).contains(&number);
    let last_close = (0..units.len()).rfind(|i| is(*i, '>')).unwrap_or(0);
    let mut pieces = Vec::new();
    // The run of plain text begins here.
    let (mut plain, mut i) = (0, 0);
    while i < units.len() {
        if !is(i, '$') {
            i += 1;
            continue;
        }
        let (piece, len) = match (digit(i + 1), digit(i + 2)) {
            (Some(a), Some(b)) if has(a * 10 + b) => (Some(Piece::Group(a * 10 + b)), 3),
            (Some(a), _) if has(a) => (Some(Piece::Group(a)), 2),
            _ if is(i + 1, '&') => (Some(Piece::Group(0)), 2),
            _ if is(i + 1, '`') => (Some(Piece::Before), 2),
            _ if is(i + 1, '\'') => (Some(Piece::After), 2),
            // The first of the two stands for itself.
            _ if is(i + 1, '$') => (Some(Piece::Plain(i, i + 1)), 2),
            _ if is(i + 1, '<') && regex.names().len() > 0 => {
                // Looked for only where there is one, so that no text is walked twice.
                match (i + 2..=last_close).find(|end| is(*end, '>')) {
                    Some(end) => {
                        let name = name(i + 2, end);
                        let known = regex.names().find(|(known, _)| *known == name);
                        // An unknown name stands for nothing.
                        let piece =
                            known.map_or(Piece::Plain(i, i), |(_, group)| Piece::Group(group));
                        (Some(piece), end + 1 - i)
                    }
                    None => (None, 1),
                }
            }
            _ => (None, 1),
        };
        if let Some(piece) = piece {
            if plain < i {
                pieces.push(Piece::Plain(plain, i));
            }
            if !matches!(piece, Piece::Plain(from, to) if from == to) {
                pieces.push(piece);
            }
            plain = i + len;
        }
        i += len;
    }
    if plain < units.len() {
        pieces.push(Piece::Plain(plain, units.len()));
    }
    pieces
}
