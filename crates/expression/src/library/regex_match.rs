//! `match`, `matchAll` and `search`, and the array that a match is.

use super::{Args, Outcome, regex::pattern};
use crate::{
    error::Fault,
    machine::{Machine, Searched},
    regex::Regex,
    value::{Entries, Instance, Match, Text, Val},
};

/// The pattern that an argument is, or that its text makes.
fn pattern_of<'a>(m: &mut Machine<'a>, value: Val<'a>, flags: &str) -> Result<Regex<'a>, Fault> {
    if let Some(pattern) = pattern(value) {
        return Ok(pattern.regex());
    }
    let text = match value {
        Val::Undefined => Text::Utf8(""),
        value => m.text_of(value)?,
    };
    Ok(m.make_regex(text, flags)?.regex())
}

pub(super) fn match_<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let regex = pattern_of(m, args.get(0), "")?;
    let mut searched = m.searched(regex, this)?;
    if !regex.flags.global {
        return first(m, &mut searched);
    }
    let mut list = m.list(0)?;
    let mut from = 0;
    while searched.find(m, from, regex.flags.sticky, 1)? {
        m.walk(1)?;
        let (start, end) = searched.whole(m);
        let found = searched.part(m, start, end)?;
        list.push(m, found)?;
        from = next(&searched, start, end);
    }
    if list.len() == 0 {
        return Ok(Val::Null);
    }
    m.array(list)
}

pub(super) fn match_all<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let regex = pattern_of(m, args.get(0), "g")?;
    needs_global(regex, "matchAll")?;
    let mut searched = m.searched(regex, this)?;
    let mut list = m.list(0)?;
    let mut from = 0;
    while searched.find(m, from, regex.flags.sticky, u32::MAX)? {
        m.walk(1)?;
        let (start, end) = searched.whole(m);
        let found = found(m, &mut searched)?;
        list.push(m, found)?;
        from = next(&searched, start, end);
    }
    m.array(list)
}

pub(super) fn search<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let regex = pattern_of(m, args.get(0), "")?;
    let mut searched = m.searched(regex, this)?;
    if !searched.find(m, 0, regex.flags.sticky, 1)? {
        return Ok(Val::Num(-1.0));
    }
    let (start, _) = searched.whole(m);
    Ok(Val::Num(searched.index(m, start)?))
}

/// Where to go on after a match: behind it, and behind a character if it took nothing.
pub(super) fn next(searched: &Searched<'_>, start: usize, end: usize) -> usize {
    if start == end {
        searched.subject.after(end)
    } else {
        end
    }
}

pub(super) fn needs_global(regex: Regex<'_>, name: &str) -> Result<(), Fault> {
    if regex.flags.global {
        return Ok(());
    }
    let message = format!("`{name}` needs a regular expression with the flag `g`");
    Err(Fault::new("TYPE_ARGUMENT", message).hint("write `g` behind the pattern: `/…/g`"))
}

/// What `exec` gives: the first match or null.
pub(super) fn first<'a>(m: &mut Machine<'a>, searched: &mut Searched<'a>) -> Outcome<'a> {
    if searched.find(m, 0, searched.regex.flags.sticky, u32::MAX)? {
        found(m, searched)
    } else {
        Ok(Val::Null)
    }
}

/// The last match as an array with its names.
fn found<'a>(m: &mut Machine<'a>, searched: &mut Searched<'a>) -> Outcome<'a> {
    let groups = searched.regex.groups;
    m.charge(u64::from(groups))?;
    let mut items = m.list(groups as usize)?;
    for group in 0..groups {
        let value = searched.group_value(m, group)?;
        items.push(m, value)?;
    }
    let items: &'a [Val<'a>] = items.into_slice();
    let (start, _) = searched.whole(m);
    let index = Val::Num(searched.index(m, start)?);
    let named = groups_object(m, searched.regex, items)?;
    let mut properties = vec![
        ("index", index),
        ("input", searched.value),
        ("groups", named),
    ];
    if searched.regex.flags.indices {
        properties.push(("indices", indices(m, searched)?));
    }
    made(m, items, &properties)
}

fn made<'a>(
    m: &mut Machine<'a>,
    items: &'a [Val<'a>],
    properties: &[(&'static str, Val<'a>)],
) -> Outcome<'a> {
    let properties = m.copy_properties(properties)?;
    m.instance(Instance::Match(Match { items, properties }))
}

/// The named groups as an object; undefined if there are none.
pub(super) fn groups_object<'a>(
    m: &mut Machine<'a>,
    regex: Regex<'a>,
    items: &[Val<'a>],
) -> Outcome<'a> {
    if regex.names().len() == 0 {
        return Ok(Val::Undefined);
    }
    let mut entries = Entries::default();
    for (name, group) in regex.names() {
        m.reserve_entry(&entries)?;
        let value = items.get(group as usize);
        entries.push(Text::Utf8(name), value.copied().unwrap_or(Val::Undefined));
    }
    m.object(entries)
}

/// Start and end of each group.
fn indices<'a>(m: &mut Machine<'a>, searched: &mut Searched<'a>) -> Outcome<'a> {
    let groups = searched.regex.groups;
    let mut items = m.list(groups as usize)?;
    for group in 0..groups {
        let pair = match searched.group(m, group) {
            Some((start, end)) => {
                let start = Val::Num(searched.index(m, start)?);
                let end = Val::Num(searched.index(m, end)?);
                m.pair(start, end)?
            }
            None => Val::Undefined,
        };
        items.push(m, pair)?;
    }
    let items: &'a [Val<'a>] = items.into_slice();
    let named = groups_object(m, searched.regex, items)?;
    made(m, items, &[("groups", named)])
}
