//! Methods of `Set` and `Map`, and `Map.groupBy`.
//!
//! Nothing changes a value: `add` and `set` give a changed copy, and may only be called on what
//! has no name. What JavaScript gives bit by bit is a list here.

use super::{Args, Method, Outcome, each::function, method, mutator, object::has_own_property};
use crate::{
    error::Fault,
    machine::{KeyedBuilder, List, Machine},
    value::{Instance, Items, Keyed, Val},
};

pub(super) const SET_METHODS: &[Method] = &[
    mutator("add", add),
    mutator("clear", |_, _, _| Ok(Val::Undefined)),
    mutator("delete", has),
    method("difference", difference),
    method("entries", |m, this, _| {
        let keys = receiver(this).keys;
        pair_list(m, keys, keys)
    }),
    method("has", has),
    method("hasOwnProperty", has_own_property),
    method("intersection", intersection),
    method("isDisjointFrom", is_disjoint_from),
    method("isSubsetOf", is_subset_of),
    method("isSupersetOf", is_superset_of),
    method("keys", keys),
    method("symmetricDifference", symmetric_difference),
    method("toString", to_string),
    method("union", union),
    method("valueOf", |_, this, _| Ok(this)),
    method("values", keys),
];

pub(super) const MAP_METHODS: &[Method] = &[
    mutator("clear", |_, _, _| Ok(Val::Undefined)),
    mutator("delete", has),
    method("entries", |m, this, _| {
        let Keyed { keys, values, .. } = receiver(this);
        pair_list(m, keys, values)
    }),
    method("get", get),
    method("has", has),
    method("hasOwnProperty", has_own_property),
    method("keys", keys),
    mutator("set", set),
    method("toString", to_string),
    method("valueOf", |_, this, _| Ok(this)),
    method("values", |m, this, _| m.slice_value(receiver(this).values)),
];

/// The receiver; the tables are only asked for sets and maps.
fn receiver(this: Val<'_>) -> Keyed<'_> {
    keyed(this).unwrap_or(Keyed {
        keys: &[],
        values: &[],
        index: [&[], &[]],
    })
}

fn keyed(value: Val<'_>) -> Option<Keyed<'_>> {
    match value {
        Val::Instance(Instance::Set(keyed) | Instance::Map(keyed)) => Some(*keyed),
        _ => None,
    }
}

fn to_string<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(this)?;
    m.text_value(text)
}

fn keys<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    m.slice_value(receiver(this).keys)
}

fn pair_list<'a>(m: &mut Machine<'a>, keys: &[Val<'a>], values: &[Val<'a>]) -> Outcome<'a> {
    let pairs = m.pairs(keys, values)?;
    m.copy_items(pairs)
}

impl<'a> Machine<'a> {
    /// Lists of a key and its value.
    pub(crate) fn pairs(
        &mut self,
        keys: &[Val<'a>],
        values: &[Val<'a>],
    ) -> Result<Items<'a>, Fault> {
        let mut list = self.list(keys.len())?;
        self.walk(keys.len())?;
        for (key, value) in keys.iter().zip(values) {
            let pair = self.pair(*key, *value)?;
            list.push(self, pair)?;
        }
        Ok(Items::Made(list.into_slice()))
    }
}

fn has<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let found = receiver(this).position(m, args.get(0))?;
    Ok(Val::Bool(found.is_some()))
}

fn get<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let map = receiver(this);
    let found = map.position(m, args.get(0))?;
    Ok(found.map_or(Val::Undefined, |at| map.values[at]))
}

fn add<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut changed = KeyedBuilder::new(m)?;
    changed.keys(m, Items::Made(receiver(this).keys))?;
    changed.key(m, args.get(0))?;
    changed.into_set(m)
}

fn set<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let map = receiver(this);
    let mut changed = KeyedBuilder::new(m)?;
    m.walk(map.keys.len())?;
    for (key, value) in map.keys.iter().zip(map.values) {
        changed.entry(m, *key, *value)?;
    }
    changed.entry(m, args.get(0), args.get(1))?;
    changed.into_map(m)
}

/// The other set of an operation on two; a map stands for its keys.
fn other<'a>(args: Args<'a, '_>) -> Result<Keyed<'a>, Fault> {
    let value = args.get(0);
    keyed(value).ok_or_else(|| {
        let message = format!("a Set is needed here, but this is {}", value.kind());
        Fault::new("TYPE_ARGUMENT", message).hint("write `new Set(…)` around a list")
    })
}

/// Those keys of one set that the other has, or has not.
fn sift<'a>(
    m: &mut Machine<'a>,
    out: &mut KeyedBuilder<'a>,
    keys: &[Val<'a>],
    other: &Keyed<'a>,
    wanted: bool,
) -> Result<(), Fault> {
    m.walk(keys.len())?;
    for key in keys {
        if other.position(m, *key)?.is_some() == wanted {
            out.key(m, *key)?;
        }
    }
    Ok(())
}

fn union<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = other(args)?;
    let mut out = KeyedBuilder::new(m)?;
    out.keys(m, Items::Made(receiver(this).keys))?;
    out.keys(m, Items::Made(other.keys))?;
    out.into_set(m)
}

fn intersection<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (this, other) = (receiver(this), other(args)?);
    let mut out = KeyedBuilder::new(m)?;
    // The smaller one is walked, and gives the order.
    let (walked, asked) = if this.keys.len() <= other.keys.len() {
        (this, other)
    } else {
        (other, this)
    };
    sift(m, &mut out, walked.keys, &asked, true)?;
    out.into_set(m)
}

fn difference<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = other(args)?;
    let mut out = KeyedBuilder::new(m)?;
    sift(m, &mut out, receiver(this).keys, &other, false)?;
    out.into_set(m)
}

fn symmetric_difference<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (this, other) = (receiver(this), other(args)?);
    let mut out = KeyedBuilder::new(m)?;
    sift(m, &mut out, this.keys, &other, false)?;
    sift(m, &mut out, other.keys, &this, false)?;
    out.into_set(m)
}

/// Whether the one has all keys of the other (`wanted`), or none of them.
fn all<'a>(m: &mut Machine<'a>, keys: &[Val<'a>], other: &Keyed<'a>, wanted: bool) -> Outcome<'a> {
    m.walk(keys.len())?;
    for key in keys {
        if other.position(m, *key)?.is_some() != wanted {
            return Ok(Val::Bool(false));
        }
    }
    Ok(Val::Bool(true))
}

fn is_subset_of<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = other(args)?;
    all(m, receiver(this).keys, &other, true)
}

fn is_superset_of<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = other(args)?;
    all(m, other.keys, &receiver(this), true)
}

fn is_disjoint_from<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = other(args)?;
    all(m, receiver(this).keys, &other, false)
}

pub(super) fn map_group_by<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = m.iterate(args.get(0))?;
    let callback = function(args.get(1))?;
    m.walk(items.len())?;
    let mut keys = KeyedBuilder::new(m)?;
    let mut groups: Vec<List<'a>> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let key = m.call(callback, &[item, Val::Num(i as f64)])?;
        let (at, new) = keys.key(m, key)?;
        if new {
            m.reserve(2 * size_of::<List<'_>>())?;
            groups.push(m.list(0)?);
        }
        groups[at].push(m, item)?;
    }
    let mut values = m.list(groups.len())?;
    for group in groups {
        let group = m.array(group)?;
        values.push(m, group)?;
    }
    keys.into_map_of(m, values)
}
