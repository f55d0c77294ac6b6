//! Methods of objects.

use super::{Args, Outcome, plain, value::named, wrong_argument};
use crate::{
    error::Fault,
    machine::Machine,
    value::{Entries, Text, Val},
};

pub(super) fn keys<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    named(m, "Object.keys", Args(&[this]))
}

pub(super) fn values<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    named(m, "Object.values", Args(&[this]))
}

pub(super) fn has_field<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let key = m.text_of(args.get(0))?;
    Ok(Val::Bool(m.own(this, key)?.is_some()))
}

/// A copy with the entries that are wanted.
fn kept<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    mut wanted: impl FnMut(&mut Machine<'a>, Text<'a>, Val<'a>) -> Result<bool, Fault>,
) -> Outcome<'a> {
    let mut all = Entries::default();
    m.spread_entries(this, &mut all)?;
    let mut entries = Entries::default();
    for (key, value) in all.finish().0 {
        if wanted(m, key, value)? {
            m.reserve_entry(&entries)?;
            entries.push(key, value);
        }
    }
    m.object(entries)
}

/// Without the fields that the arguments name.
pub(super) fn remove_field<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let mut names = Vec::with_capacity(args.len());
    for name in args.0 {
        names.push(m.text_of(*name)?);
    }
    kept(m, this, |m, key, _| {
        m.charge(names.len() as u64)?;
        Ok(!names.contains(&key))
    })
}

/// Without fields that are null, undefined or an empty text.
pub(super) fn compact<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    kept(m, this, |_, _, value| {
        Ok(!value.is_nullish() && !value.text().is_some_and(Text::is_empty))
    })
}

/// Whether a field is a text with `part` in it; `None` for what is no text.
fn contains<'a>(m: &mut Machine<'a>, value: Val<'a>, part: &str) -> Result<Option<bool>, Fault> {
    if value.text().is_none() {
        return Ok(None);
    }
    let text = plain(m, value)?;
    Ok(Some(text.contains(part)))
}

fn wanted_part<'a>(
    m: &mut Machine<'a>,
    args: Args<'a, '_>,
) -> Result<std::borrow::Cow<'a, str>, Fault> {
    let part = plain(m, args.get(0))?;
    if part.is_empty() || matches!(args.get(0), Val::Undefined) {
        return Err(wrong_argument("a text to look for is needed here"));
    }
    Ok(part)
}

/// Without the fields whose text contains the argument; what is no text stays.
pub(super) fn remove_fields_containing<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let part = wanted_part(m, args)?;
    kept(m, this, |m, _, value| {
        Ok(contains(m, value, &part)? != Some(true))
    })
}

/// Only the fields whose text contains the argument.
pub(super) fn keep_fields_containing<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let part = wanted_part(m, args)?;
    kept(m, this, |m, _, value| {
        Ok(contains(m, value, &part)? == Some(true))
    })
}

/// With the fields of the argument that this object does not have.
pub(super) fn merge<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = args.get(0);
    if !matches!(other, Val::JsonObject(_) | Val::Object(_)) {
        let message = format!("`merge` needs an object, but this is {}", other.kind());
        return Err(wrong_argument(message));
    }
    let mut entries = Entries::default();
    // Keys keep the place of their first mention, and the value of the last.
    for source in [this, other, this] {
        m.spread_entries(source, &mut entries)?;
    }
    m.object(entries)
}
