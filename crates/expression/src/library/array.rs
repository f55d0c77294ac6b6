//! Methods of arrays: the table, and those without a callback.

use super::{
    Args, Method, Outcome, each, method, object::has_own_property, order, string::itself,
    with_callback,
};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    machine::{List, Machine},
    value::{Items, Text, Val, is_too_nested, strictly_equal, too_nested},
};

pub(super) const METHODS: &[Method] = &[
    method("at", at),
    method("concat", concat),
    method("entries", entries),
    with_callback("every", each::every),
    Method {
        name: "fill",
        callbacks: 0,
        mutates: true,
        run: fill,
    },
    with_callback("filter", each::filter),
    with_callback("find", each::find),
    with_callback("findIndex", each::find_index),
    with_callback("findLast", each::find_last),
    with_callback("findLastIndex", each::find_last_index),
    method("flat", flat),
    with_callback("flatMap", each::flat_map),
    method("hasOwnProperty", has_own_property),
    method("includes", includes),
    method("indexOf", index_of),
    method("join", join),
    method("keys", keys),
    method("lastIndexOf", last_index_of),
    with_callback("map", each::map),
    Method {
        name: "pop",
        callbacks: 0,
        mutates: true,
        run: last,
    },
    with_callback("reduce", each::reduce),
    with_callback("reduceRight", each::reduce_right),
    Method {
        name: "reverse",
        callbacks: 0,
        mutates: true,
        run: to_reversed,
    },
    Method {
        name: "shift",
        callbacks: 0,
        mutates: true,
        run: first,
    },
    method("slice", slice),
    with_callback("some", each::some),
    Method {
        name: "sort",
        callbacks: 1,
        mutates: true,
        run: order::to_sorted,
    },
    method("toReversed", to_reversed),
    with_callback("toSorted", order::to_sorted),
    method("toSpliced", to_spliced),
    method("toString", to_string),
    method("valueOf", itself),
    method("values", itself),
    method("with", with),
];

/// The receiver's elements; the table is only asked for arrays.
pub(super) fn receiver(this: Val<'_>) -> Items<'_> {
    this.items().unwrap_or(Items::Made(&[]))
}

fn at<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let index = m.integer(args.get(0))?;
    let index = if index < 0.0 {
        index + items.len() as f64
    } else {
        index
    };
    let found = if index < 0.0 {
        None
    } else {
        items.get(index as usize)
    };
    Ok(found.unwrap_or(Val::Undefined))
}

fn first<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(receiver(this).get(0).unwrap_or(Val::Undefined))
}

fn last<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(receiver(this).iter().next_back().unwrap_or(Val::Undefined))
}

fn concat<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut list = m.list(0)?;
    for part in std::iter::once(&this).chain(args.0) {
        match part.items() {
            Some(items) => extend(m, &mut list, items)?,
            None => list.push(m, *part)?,
        }
    }
    m.array(list)
}

pub(super) fn extend<'a>(
    m: &mut Machine<'a>,
    list: &mut List<'a>,
    items: Items<'a>,
) -> Result<(), Fault> {
    m.walk(items.len())?;
    items.iter().try_for_each(|item| list.push(m, item))
}

fn keys<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let len = receiver(this).len();
    let mut list = m.list(len)?;
    m.walk(len)?;
    (0..len).try_for_each(|i| list.push(m, Val::Num(i as f64)))?;
    m.array(list)
}

fn entries<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let mut list = m.list(items.len())?;
    m.walk(items.len())?;
    for (i, item) in items.iter().enumerate() {
        let pair = m.pair(Val::Num(i as f64), item)?;
        list.push(m, pair)?;
    }
    m.array(list)
}

fn fill<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let from = m.relative(args.get(1), items.len(), 0)?;
    let to = m.relative(args.get(2), items.len(), items.len())?;
    let mut list = m.list(items.len())?;
    m.walk(items.len())?;
    for (i, item) in items.iter().enumerate() {
        list.push(
            m,
            if (from..to).contains(&i) {
                args.get(0)
            } else {
                item
            },
        )?;
    }
    m.array(list)
}

fn flat<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let depth = match args.get(0) {
        Val::Undefined => 1.0,
        depth => m.integer(depth)?,
    };
    let mut list = m.list(0)?;
    flatten(m, &mut list, receiver(this), depth, 0)?;
    m.array(list)
}

fn flatten<'a>(
    m: &mut Machine<'a>,
    list: &mut List<'a>,
    items: Items<'a>,
    depth: f64,
    nesting: usize,
) -> Result<(), Fault> {
    if is_too_nested(nesting) {
        return Err(too_nested());
    }
    m.walk(items.len())?;
    for item in items.iter() {
        match item.items() {
            Some(inner) if depth >= 1.0 => flatten(m, list, inner, depth - 1.0, nesting + 1)?,
            _ => list.push(m, item)?,
        }
    }
    Ok(())
}

fn includes<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (items, wanted) = (receiver(this), args.get(0));
    let from = m.relative(args.get(1), items.len(), 0)?;
    let items = items.slice(from, items.len());
    m.walk(items.len())?;
    let nan = matches!(wanted, Val::Num(n) if n.is_nan());
    for item in items.iter() {
        if m.same(item, wanted)? || nan && matches!(item, Val::Num(n) if n.is_nan()) {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn index_of<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (items, wanted) = (receiver(this), args.get(0));
    let from = m.relative(args.get(1), items.len(), 0)?;
    m.walk(items.len())?;
    let found = items
        .iter()
        .skip(from)
        .position(|item| strictly_equal(item, wanted));
    Ok(Val::Num(found.map_or(-1.0, |at| (from + at) as f64)))
}

fn last_index_of<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (items, wanted) = (receiver(this), args.get(0));
    m.walk(items.len())?;
    let len = items.len() as f64;
    let last = if args.len() > 1 {
        m.integer(args.get(1))?
    } else {
        len - 1.0
    };
    let last = if last < 0.0 {
        last + len
    } else {
        last.min(len - 1.0)
    };
    // A negative number saturates to 0 in the cast, so it is looked at first.
    let end = if last < 0.0 { 0 } else { last as usize + 1 };
    let found = items
        .slice(0, end)
        .iter()
        .rposition(|item| strictly_equal(item, wanted));
    Ok(Val::Num(found.map_or(-1.0, |at| at as f64)))
}

fn join<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let separator = match args.get(0) {
        Val::Undefined => Text::Utf8(","),
        separator => m.text_of(separator)?,
    };
    let room = room(receiver(this), separator.size());
    let mut out = m.text_builder(room.min(m.context.limits.string_bytes))?;
    out.push_joined(m, this, separator, 0)?;
    out.finish(m)
}

/// The bytes that a few texts take between separators, so that they need not move as they grow; of
/// many elements nothing is known before the walk is paid for.
fn room(items: Items<'_>, separator: usize) -> usize {
    const FEW: usize = 64;
    if items.len() > FEW {
        return 0;
    }
    let size = |item: Val<'_>| item.text().map_or(0, Text::size) + separator;
    items.iter().map(size).sum()
}

fn to_string<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(this)?;
    m.text_value(text)
}

fn slice<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let from = m.relative(args.get(0), items.len(), 0)?;
    let to = m.relative(args.get(1), items.len(), items.len())?;
    m.copy_items(items.slice(from, to.max(from)))
}

fn to_reversed<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let mut list = m.list(items.len())?;
    m.walk(items.len())?;
    items.iter().rev().try_for_each(|item| list.push(m, item))?;
    m.array(list)
}

fn with<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let index = m.integer(args.get(0))?;
    let index = if index < 0.0 {
        index + items.len() as f64
    } else {
        index
    };
    if (index < 0.0 || index >= items.len() as f64) && holds(Guard::ArgumentRange) {
        let message = format!("the index is outside the list of {}", items.len());
        return Err(Fault::new("TYPE_RANGE", message));
    }
    let mut list = m.list(items.len())?;
    m.walk(items.len())?;
    for (i, item) in items.iter().enumerate() {
        list.push(
            m,
            if i == index as usize {
                args.get(1)
            } else {
                item
            },
        )?;
    }
    m.array(list)
}

fn to_spliced<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let from = m.relative(args.get(0), items.len(), 0)?;
    let rest = items.len() - from;
    let removed = match args.len() {
        0 => 0,
        1 => rest,
        // The cast saturates.
        _ => rest.min(m.integer(args.get(1))?.max(0.0) as usize),
    };
    let mut list = m.list(items.len() - removed)?;
    extend(m, &mut list, items.slice(0, from))?;
    args.0
        .iter()
        .skip(2)
        .try_for_each(|item| list.push(m, *item))?;
    extend(m, &mut list, items.slice(from + removed, items.len()))?;
    m.array(list)
}

impl<'a> Machine<'a> {
    /// An array of two.
    pub(crate) fn pair(&mut self, first: Val<'a>, second: Val<'a>) -> Outcome<'a> {
        let mut list = self.list(2)?;
        list.push(self, first)?;
        list.push(self, second)?;
        self.array(list)
    }
}
