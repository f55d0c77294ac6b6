//! `Object` and `Array`, and the few methods that every object has.

use super::{
    Args, Function, Method, Outcome, each::function, method, pure, pure_with_callback,
    string::itself,
};
use crate::{
    error::Fault,
    machine::Machine,
    value::{Entries, Text, Val, array_index, strictly_equal},
};

pub(super) const METHODS: &[Method] = &[
    method("hasOwnProperty", has_own_property),
    method("toString", |m, this, _| {
        let text = m.text_of(this)?;
        m.text_value(text)
    }),
    method("valueOf", itself),
];

pub(super) const FUNCTIONS: [Function; 13] = [
    pure_with_callback("Array.from", 0b10, array_from),
    pure("Array.isArray", |_, args| {
        Ok(Val::Bool(args.get(0).is_array()))
    }),
    pure("Array.of", |m, args| {
        let mut list = m.list(args.len())?;
        args.0.iter().try_for_each(|arg| list.push(m, *arg))?;
        m.array(list)
    }),
    pure("Object.assign", assign),
    pure("Object.entries", |m, args| {
        listed(m, args.get(0), |m, key, value| {
            let key = m.text_value(key)?;
            m.pair(key, value)
        })
    }),
    pure("Object.freeze", |_, args| Ok(args.get(0))),
    pure("Object.fromEntries", from_entries),
    pure("Object.getOwnPropertyNames", own_property_names),
    pure_with_callback("Object.groupBy", 0b10, group_by),
    pure("Object.hasOwn", |m, args| {
        not_nullish(args.get(0))?;
        let key = m.text_of(args.get(1))?;
        Ok(Val::Bool(m.own(args.get(0), key)?.is_some()))
    }),
    pure("Object.is", |_, args| {
        let same = match (args.get(0), args.get(1)) {
            (Val::Num(a), Val::Num(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
            (a, b) => strictly_equal(a, b),
        };
        Ok(Val::Bool(same))
    }),
    pure("Object.keys", |m, args| {
        listed(m, args.get(0), |m, key, _| m.text_value(key))
    }),
    pure("Object.values", |m, args| {
        listed(m, args.get(0), |_, _, value| Ok(value))
    }),
];

pub(super) fn has_own_property<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let key = m.text_of(args.get(0))?;
    Ok(Val::Bool(m.own(this, key)?.is_some()))
}

fn not_nullish(value: Val<'_>) -> Result<(), Fault> {
    if value.is_nullish() {
        let message = format!("an object is needed here, but this is {}", value.kind());
        return Err(Fault::new("TYPE_ARGUMENT", message).hint("write `?? {}` if it may be missing"));
    }
    Ok(())
}

/// A list with one element per entry of an object.
fn listed<'a>(
    m: &mut Machine<'a>,
    object: Val<'a>,
    element: fn(&mut Machine<'a>, Text<'a>, Val<'a>) -> Outcome<'a>,
) -> Outcome<'a> {
    not_nullish(object)?;
    let entries = m.own_entries(object)?;
    let mut list = m.list(entries.len())?;
    for (key, value) in entries {
        let element = element(m, key, value)?;
        list.push(m, element)?;
    }
    m.array(list)
}

impl<'a> Machine<'a> {
    /// Keys and values in JavaScript's order.
    pub(super) fn own_entries(
        &mut self,
        object: Val<'a>,
    ) -> Result<Vec<(Text<'a>, Val<'a>)>, Fault> {
        let mut entries = Entries::default();
        self.spread_entries(object, &mut entries)?;
        Ok(entries.finish().0)
    }
}

/// As `Object.keys`, and `length` of what has one.
fn own_property_names<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let object = args.get(0);
    not_nullish(object)?;
    let entries = m.own_entries(object)?;
    let mut list = m.list(entries.len() + 1)?;
    for (key, _) in entries {
        let key = m.text_value(key)?;
        list.push(m, key)?;
    }
    if object.is_array() || object.text().is_some() {
        list.push(m, Val::Temp(&"length"))?;
    }
    m.array(list)
}

fn assign<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    not_nullish(args.get(0))?;
    let mut entries = Entries::default();
    for source in args.0 {
        m.spread_entries(*source, &mut entries)?;
    }
    m.object(entries)
}

fn from_entries<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let pairs = m.iterate(args.get(0))?;
    m.walk(pairs.len())?;
    let mut entries = Entries::default();
    for pair in pairs.iter() {
        let (key, value) = m.entry_of(pair)?;
        let key = m.text_of(key)?;
        m.reserve_entry(&entries)?;
        entries.push(key, value);
    }
    m.object(entries)
}

fn group_by<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = m.iterate(args.get(0))?;
    let callback = function(args.get(1))?;
    m.walk(items.len())?;
    // (key, position, item), sorted by key: groups are runs, ordered by their first position.
    let mut keyed: Vec<(Text<'a>, usize, Val<'a>)> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        m.reserve(size_of::<(Text<'a>, usize, Val<'a>)>())?;
        let key = m.call(callback, &[item, Val::Num(i as f64)])?;
        keyed.push((m.text_of(key)?, i, item));
    }
    keyed.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut groups: Vec<(usize, Text<'a>, Val<'a>)> = Vec::new();
    for run in keyed.chunk_by(|a, b| a.0 == b.0) {
        let mut list = m.list(run.len())?;
        run.iter()
            .try_for_each(|(_, _, item)| list.push(m, *item))?;
        groups.push((run[0].1, run[0].0, m.array(list)?));
    }
    groups.sort_by_key(|(first, ..)| *first);
    let mut entries = Entries::default();
    for (_, key, list) in groups {
        m.reserve_entry(&entries)?;
        entries.push(key, list);
    }
    m.object(entries)
}

fn array_from<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let source = args.get(0);
    let callback = match args.get(1) {
        Val::Undefined => None,
        value => Some(function(value)?),
    };
    let (items, len) = match source {
        Val::Undefined | Val::Null => return Err(m.iterate(source).err().unwrap_or_else(nothing)),
        Val::JsonObject(_) | Val::Object(_) => {
            let length = m
                .own(source, Text::Utf8("length"))?
                .unwrap_or(Val::Undefined);
            let length = m.integer(length)?.max(0.0);
            // Saturates; refused below if it is too long.
            (None, length as usize)
        }
        Val::Instance(instance) => match instance.iterate(m)? {
            Some(items) => (Some(items), items.len()),
            None => (None, 0),
        },
        _ if source.text().is_some() || source.is_array() => {
            let items = m.iterate(source)?;
            (Some(items), items.len())
        }
        _ => (None, 0),
    };
    m.check_array(len)?;
    m.walk(len)?;
    let mut list = m.list(len)?;
    for i in 0..len {
        let item = match items {
            Some(items) => items.get(i).unwrap_or(Val::Undefined),
            None => element(m, source, i)?,
        };
        let value = match callback {
            Some(callback) => m.call(callback, &[item, Val::Num(i as f64)])?,
            None => item,
        };
        list.push(m, value)?;
    }
    m.array(list)
}

/// The element of an object that is like an array.
fn element<'a>(m: &mut Machine<'a>, source: Val<'a>, index: usize) -> Outcome<'a> {
    let key = index.to_string();
    debug_assert!(array_index(&key).is_some());
    Ok(m.own(source, Text::Utf8(&key))?.unwrap_or(Val::Undefined))
}

fn nothing() -> Fault {
    Fault::new("TYPE_NOT_ITERABLE", "this cannot be walked like a list")
}
