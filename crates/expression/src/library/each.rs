//! Methods of arrays that call back for each element.

use super::{
    Args, Outcome,
    array::{extend, receiver},
};
use crate::{
    code::Callback,
    error::Fault,
    machine::Machine,
    value::{Items, Val},
};

/// A callback over the elements of an array.
struct Each<'a> {
    array: Val<'a>,
    items: Items<'a>,
    callback: &'a Callback,
}

impl<'a> Each<'a> {
    /// Pays for the walk; the receiver's length bounds the number of calls.
    fn new(m: &mut Machine<'a>, array: Val<'a>, args: Args<'a, '_>) -> Result<Self, Fault> {
        let items = receiver(array);
        m.walk(items.len())?;
        Ok(Each {
            array,
            items,
            callback: function(args.get(0))?,
        })
    }

    /// The element and what the callback gives for it.
    fn call(&self, m: &mut Machine<'a>, index: usize) -> Result<(Val<'a>, Val<'a>), Fault> {
        let item = self.items.get(index).unwrap_or(Val::Undefined);
        let result = m.call(self.callback, &[item, Val::Num(index as f64), self.array])?;
        Ok((item, result))
    }
}

/// The callback that an argument is.
pub(super) fn function(value: Val<'_>) -> Result<&Callback, Fault> {
    match value {
        Val::Callback(callback) => Ok(callback),
        other => {
            let message = format!("a function is needed here, but this is {}", other.kind());
            Err(Fault::new("TYPE_ARGUMENT", message).hint("write an arrow: `x => …`"))
        }
    }
}

pub(super) fn map<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    let mut list = m.list(each.items.len())?;
    for i in 0..each.items.len() {
        let (_, value) = each.call(m, i)?;
        list.push(m, value)?;
    }
    m.array(list)
}

pub(super) fn flat_map<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    let mut list = m.list(0)?;
    for i in 0..each.items.len() {
        let (_, value) = each.call(m, i)?;
        match value.items() {
            Some(items) => extend(m, &mut list, items)?,
            None => list.push(m, value)?,
        }
    }
    m.array(list)
}

pub(super) fn filter<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    let mut list = m.list(0)?;
    for i in 0..each.items.len() {
        let (item, keep) = each.call(m, i)?;
        if keep.truthy() {
            list.push(m, item)?;
        }
    }
    m.array(list)
}

/// The first element, in this order of indices, for which the callback's result is as wanted.
fn search<'a>(
    m: &mut Machine<'a>,
    each: &Each<'a>,
    mut order: impl Iterator<Item = usize>,
    wanted: bool,
) -> Result<Option<(usize, Val<'a>)>, Fault> {
    order
        .find_map(|i| match each.call(m, i) {
            Ok((item, found)) => (found.truthy() == wanted).then_some(Ok((i, item))),
            Err(fault) => Some(Err(fault)),
        })
        .transpose()
}

fn value_of(found: Option<(usize, Val<'_>)>) -> Val<'_> {
    found.map_or(Val::Undefined, |(_, item)| item)
}

fn index_of(found: Option<(usize, Val<'_>)>) -> Val<'_> {
    Val::Num(found.map_or(-1.0, |(index, _)| index as f64))
}

pub(super) fn find<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(value_of(search(m, &each, 0..each.items.len(), true)?))
}

pub(super) fn find_index<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(index_of(search(m, &each, 0..each.items.len(), true)?))
}

pub(super) fn find_last<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(value_of(search(
        m,
        &each,
        (0..each.items.len()).rev(),
        true,
    )?))
}

pub(super) fn find_last_index<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(index_of(search(
        m,
        &each,
        (0..each.items.len()).rev(),
        true,
    )?))
}

pub(super) fn some<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(Val::Bool(
        search(m, &each, 0..each.items.len(), true)?.is_some(),
    ))
}

pub(super) fn every<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(Val::Bool(
        search(m, &each, 0..each.items.len(), false)?.is_none(),
    ))
}

pub(super) fn reduce<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let len = receiver(this).len();
    fold(m, this, args, 0..len)
}

pub(super) fn reduce_right<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let len = receiver(this).len();
    fold(m, this, args, (0..len).rev())
}

fn fold<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    mut order: impl Iterator<Item = usize>,
) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    let item = |i: usize| each.items.get(i).unwrap_or(Val::Undefined);
    let mut value = if args.len() > 1 {
        args.get(1)
    } else {
        let first = order.next().ok_or_else(|| {
            Fault::new("TYPE_EMPTY", "an empty list has nothing to start from")
                .hint("give the start: `reduce((sum, x) => sum + x, 0)`")
        })?;
        item(first)
    };
    for i in order {
        value = m.call(each.callback, &[value, item(i), Val::Num(i as f64), this])?;
    }
    Ok(value)
}
