//! Methods of arrays.

use std::collections::BTreeSet;

use super::{super::array::receiver, Args, Outcome, plain, wrong_argument};
use crate::{
    error::Fault,
    machine::{List, Machine},
    value::{Entries, Items, Text, Val, parse_number},
};

pub(super) fn first<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(receiver(this).get(0).unwrap_or(Val::Undefined))
}

pub(super) fn last<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let last = items.len().checked_sub(1).and_then(|at| items.get(at));
    Ok(last.unwrap_or(Val::Undefined))
}

/// An element by the instance's seed; undefined of an empty list.
pub(super) fn random_item<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let at = (m.next_random() * items.len() as f64) as usize;
    Ok(items.get(at).unwrap_or(Val::Undefined))
}

/// The elements as numbers; texts that are numbers count.
fn numbers<'a>(m: &mut Machine<'a>, items: Items<'a>) -> Result<Vec<f64>, Fault> {
    m.walk(items.len())?;
    m.reserve(items.len() * size_of::<f64>())?;
    let mut numbers = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let number = match item {
            Val::Num(n) => n,
            Val::Exact(_) => m.number_of(item)?,
            _ => match item.text() {
                Some(text) if !text.is_empty() => {
                    let text = plain(m, item)?;
                    parse_number(&text)
                }
                _ => f64::NAN,
            },
        };
        if number.is_nan() {
            let message = format!("element {i} of the list is no number, but {}", item.kind());
            return Err(
                wrong_argument(message).hint("take the numbers first, with `pluck` or `map`")
            );
        }
        numbers.push(number);
    }
    Ok(numbers)
}

pub(super) fn sum<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let numbers = numbers(m, receiver(this))?;
    Ok(Val::Num(numbers.into_iter().fold(0.0, |sum, n| sum + n)))
}

/// The arithmetic mean; 0 of an empty list.
pub(super) fn average<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let numbers = numbers(m, receiver(this))?;
    let len = numbers.len();
    let sum = numbers.into_iter().fold(0.0, |sum, n| sum + n);
    Ok(Val::Num(if len == 0 { 0.0 } else { sum / len as f64 }))
}

/// The smallest number; undefined of an empty list.
pub(super) fn min<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let least = numbers(m, receiver(this))?.into_iter().reduce(f64::min);
    Ok(least.map_or(Val::Undefined, Val::Num))
}

/// The greatest number; undefined of an empty list.
pub(super) fn max<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let most = numbers(m, receiver(this))?.into_iter().reduce(f64::max);
    Ok(most.map_or(Val::Undefined, Val::Num))
}

/// Lists of so many elements each; the last one has what is left.
pub(super) fn chunk<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let size = m.integer(args.get(0))?;
    if size < 1.0 {
        return Err(Fault::new("TYPE_RANGE", "`chunk` needs a length from 1 up"));
    }
    let items = receiver(this);
    // Saturates, and is at least 1.
    let size = (size as usize).min(items.len().max(1));
    let mut list = m.list(items.len().div_ceil(size))?;
    let mut from = 0;
    while from < items.len() {
        let to = (from + size).min(items.len());
        m.charge(1)?;
        let part = m.copy_items(items.slice(from, to))?;
        list.push(m, part)?;
        from = to;
    }
    m.array(list)
}

/// Without null, undefined and empty texts.
pub(super) fn compact<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    m.walk(items.len())?;
    let mut list = m.list(0)?;
    for item in items.iter() {
        if !item.is_nullish() && !item.text().is_some_and(Text::is_empty) {
            list.push(m, item)?;
        }
    }
    m.array(list)
}

/// The elements whose content was not seen before and is, or is not, among `others`.
fn push_distinct<'a>(
    m: &mut Machine<'a>,
    list: &mut List<'a>,
    seen: &mut BTreeSet<String>,
    items: Items<'a>,
    keys: &[Val<'a>],
    wanted: impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    m.walk(items.len())?;
    for item in items.iter() {
        let content = content_of(m, item, keys)?;
        if wanted(&content) && seen.insert(content) {
            list.push(m, item)?;
        }
    }
    Ok(())
}

/// What an element holds, or only some fields of an object.
fn content_of<'a>(m: &mut Machine<'a>, item: Val<'a>, keys: &[Val<'a>]) -> Result<String, Fault> {
    if keys.is_empty() || !item.is_object() {
        return m.content(item);
    }
    let mut content = String::from("fields");
    for key in keys {
        let key = m.text_of(*key)?;
        let field = m.own(item, key)?.unwrap_or(Val::Undefined);
        content.push_str(&m.content(field)?);
    }
    Ok(content)
}

fn contents<'a>(m: &mut Machine<'a>, items: Items<'a>) -> Result<BTreeSet<String>, Fault> {
    m.walk(items.len())?;
    items.iter().map(|item| m.content(item)).collect()
}

/// The list that an argument is.
fn other<'a>(args: Args<'a, '_>, name: &str) -> Result<Items<'a>, Fault> {
    args.get(0).items().ok_or_else(|| {
        let kind = args.get(0).kind();
        wrong_argument(format!("`{name}` needs a list, but this is {kind}"))
    })
}

/// The first of equal elements each; of objects, only the fields that the arguments name count.
pub(super) fn unique<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut list = m.list(0)?;
    let mut seen = BTreeSet::new();
    push_distinct(m, &mut list, &mut seen, receiver(this), args.0, |_| true)?;
    m.array(list)
}

/// The distinct elements of both lists.
pub(super) fn union<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = other(args, "union")?;
    let mut list = m.list(0)?;
    let mut seen = BTreeSet::new();
    push_distinct(m, &mut list, &mut seen, receiver(this), &[], |_| true)?;
    push_distinct(m, &mut list, &mut seen, other, &[], |_| true)?;
    m.array(list)
}

/// The distinct elements that the other list has, too, or those that it does not have. `name` is
/// that of the method.
pub(super) fn compared<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    (name, has): (&str, bool),
) -> Outcome<'a> {
    let others = contents(m, other(args, name)?)?;
    let mut list = m.list(0)?;
    let mut seen = BTreeSet::new();
    let wanted = |content: &str| others.contains(content) == has;
    push_distinct(m, &mut list, &mut seen, receiver(this), &[], wanted)?;
    m.array(list)
}

/// The values of a field, of those objects that have it; of several fields, a list for each object.
pub(super) fn pluck<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    if args.len() == 0 {
        return Ok(this);
    }
    let items = receiver(this);
    m.walk(items.len())?;
    let mut list = m.list(0)?;
    for item in items.iter().filter(|item| item.is_object()) {
        let mut fields = m.list(0)?;
        for key in args.0 {
            m.charge(1)?;
            let key = m.text_of(*key)?;
            if let Some(value) = m.own(item, key)? {
                fields.push(m, value)?;
            }
        }
        match (fields.len(), fields.into_slice()) {
            (0, _) => {}
            (1, [one]) => list.push(m, *one)?,
            (_, several) => {
                let several = m.slice_value(several)?;
                list.push(m, several)?;
            }
        }
    }
    m.array(list)
}

/// Objects with other names of some keys: `renameKeys(from, to, from, to, …)`.
pub(super) fn rename_keys<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let (pairs, rest) = args.0.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        let message = "`renameKeys` needs pairs of names: the present one and the new one";
        return Err(wrong_argument(message));
    }
    let mut names = Vec::with_capacity(pairs.len());
    for [from, to] in pairs {
        names.push((m.text_of(*from)?, m.text_of(*to)?));
    }
    let items = receiver(this);
    m.walk(items.len())?;
    let mut list = m.list(items.len())?;
    for item in items.iter() {
        let renamed = match item {
            Val::JsonObject(_) | Val::Object(_) => renamed(m, item, &names)?,
            other => other,
        };
        list.push(m, renamed)?;
    }
    m.array(list)
}

fn renamed<'a>(
    m: &mut Machine<'a>,
    object: Val<'a>,
    names: &[(Text<'a>, Text<'a>)],
) -> Outcome<'a> {
    let mut before = Entries::default();
    m.spread_entries(object, &mut before)?;
    let mut entries = Entries::default();
    for (key, value) in before.finish().0 {
        m.charge(names.len() as u64)?;
        let new = names.iter().find(|(from, _)| *from == key);
        m.reserve_entry(&entries)?;
        entries.push(new.map_or(key, |(_, to)| *to), value);
    }
    m.object(entries)
}

/// One object from a list of pairs: `smartJoin("key", "value")` of `[{ key: "a", value: 1 }]` is
/// `{ a: 1 }`. Elements without one of the fields are left out.
pub(super) fn smart_join<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    if args.len() < 2 {
        let message =
            "`smartJoin` needs the names of the field with the key and of that with the value";
        return Err(wrong_argument(message));
    }
    let (key_field, value_field) = (m.text_of(args.get(0))?, m.text_of(args.get(1))?);
    let items = receiver(this);
    m.walk(items.len())?;
    let mut entries = Entries::default();
    for item in items.iter().filter(|item| item.is_object()) {
        if let (Some(key), Some(value)) = (m.own(item, key_field)?, m.own(item, value_field)?) {
            let key = m.text_of(key)?;
            m.reserve_entry(&entries)?;
            entries.push(key, value);
        }
    }
    m.object(entries)
}

/// One object with the fields of all objects of this list and of those in the argument; the first
/// value of a key stays.
pub(super) fn merge<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = match args.get(0) {
        Val::Undefined => Items::Made(&[]),
        _ => other(args, "merge")?,
    };
    let mut entries = Entries::default();
    // The last of equal keys wins there, so the first one comes last.
    let mut objects: Vec<Val<'a>> = Vec::new();
    for items in [receiver(this), other] {
        m.walk(items.len())?;
        m.reserve(items.len() * size_of::<Val<'_>>())?;
        objects.extend(
            items
                .iter()
                .filter(|item| matches!(item, Val::JsonObject(_) | Val::Object(_))),
        );
    }
    for object in objects.iter().chain(objects.iter().rev()) {
        m.spread_entries(*object, &mut entries)?;
    }
    m.object(entries)
}
