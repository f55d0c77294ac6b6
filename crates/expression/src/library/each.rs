//! Methods of arrays that call back for each element.

use super::{
    Args, Outcome,
    array::{extend, receiver},
};
use crate::{
    code::Callback,
    error::Fault,
    machine::{Machine, Reg},
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
    #[inline]
    fn new(m: &mut Machine<'a>, array: Val<'a>, args: Args<'a, '_>) -> Result<Self, Fault> {
        let items = receiver(array);
        m.walk(items.len())?;
        Ok(Each {
            array,
            items,
            callback: function(args.get(0))?,
        })
    }

    /// Calls back for each element and hands the index, the element and the result on to `take`,
    /// as long as that says true.
    ///
    /// Elements of the data and made ones have a loop each: were they one kind before the call,
    /// every element would go through memory.
    #[inline(always)]
    fn run(
        &self,
        m: &mut Machine<'a>,
        mut take: impl FnMut(&mut Machine<'a>, usize, Reg<'a>, Reg<'a>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        match self.items {
            Items::Json(items) => {
                let keys = m.projection(self.callback);
                for (i, item) in items.iter().enumerate() {
                    let result = match keys {
                        Some(keys) => m.project(self.callback, keys, item, i, self.array),
                        None => m.call_each(self.callback, Reg::Data(item), i, self.array),
                    };
                    let item = Reg::Data(item);
                    match result {
                        Ok(result) if take(m, i, item, result)? => {}
                        Ok(_) => break,
                        Err(stopped) => return Err(m.reason(stopped)),
                    }
                }
            }
            Items::Long(..) => self.run_long(m, take)?,
            Items::Made(items) => {
                for (i, item) in items.iter().enumerate() {
                    let item = Reg::of(item);
                    match m.call_each(self.callback, item, i, self.array) {
                        Ok(result) if take(m, i, item, result)? => {}
                        Ok(_) => break,
                        Err(stopped) => return Err(m.reason(stopped)),
                    }
                }
            }
        }
        Ok(())
    }

    /// As `run`, over a long list.
    #[inline(never)]
    fn run_long(
        &self,
        m: &mut Machine<'a>,
        mut take: impl FnMut(&mut Machine<'a>, usize, Reg<'a>, Reg<'a>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        for (i, item) in self.items.iter().enumerate() {
            let item = Reg::of(&item);
            match m.call_each(self.callback, item, i, self.array) {
                Ok(result) if take(m, i, item, result)? => {}
                Ok(_) => break,
                Err(stopped) => return Err(m.reason(stopped)),
            }
        }
        Ok(())
    }

    /// As `run`, from the last element to the first.
    fn run_back(
        &self,
        m: &mut Machine<'a>,
        mut take: impl FnMut(&mut Machine<'a>, usize, Reg<'a>, Reg<'a>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        for (i, item) in self.items.iter().enumerate().rev() {
            let item = Reg::of(&item);
            match m.call_each(self.callback, item, i, self.array) {
                Ok(result) if take(m, i, item, result)? => {}
                Ok(_) => break,
                Err(stopped) => return Err(m.reason(stopped)),
            }
        }
        Ok(())
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
    each.run(m, |m, _, _, value| {
        list.push(m, value.val())?;
        Ok(true)
    })?;
    m.array(list)
}

pub(super) fn flat_map<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    let mut list = m.list(0)?;
    each.run(m, |m, _, _, value| {
        let value = value.val();
        match value.items() {
            Some(items) => extend(m, &mut list, items)?,
            None => list.push(m, value)?,
        }
        Ok(true)
    })?;
    m.array(list)
}

pub(super) fn filter<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    // Room for a few from the start; more would cost a long list that keeps little.
    const FEW: usize = 16;
    let each = Each::new(m, this, args)?;
    let mut list = m.list(each.items.len().min(FEW))?;
    each.run(m, |m, _, item, keep| {
        if keep.truthy() {
            list.push(m, item.val())?;
        }
        Ok(true)
    })?;
    m.array(list)
}

/// The first element for which the callback's result is as wanted.
fn search<'a>(
    m: &mut Machine<'a>,
    each: &Each<'a>,
    wanted: bool,
) -> Result<Option<(usize, Val<'a>)>, Fault> {
    let mut found = None;
    each.run(m, |_, i, item, result| {
        let here = result.truthy() == wanted;
        if here {
            found = Some((i, item.val()));
        }
        Ok(!here)
    })?;
    Ok(found)
}

/// The last element for which the callback's result counts as true.
fn search_back<'a>(
    m: &mut Machine<'a>,
    each: &Each<'a>,
) -> Result<Option<(usize, Val<'a>)>, Fault> {
    let mut found = None;
    each.run_back(m, |_, i, item, result| {
        if result.truthy() {
            found = Some((i, item.val()));
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

fn value_of(found: Option<(usize, Val<'_>)>) -> Val<'_> {
    found.map_or(Val::Undefined, |(_, item)| item)
}

fn index_of(found: Option<(usize, Val<'_>)>) -> Val<'_> {
    Val::Num(found.map_or(-1.0, |(index, _)| index as f64))
}

pub(super) fn find<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(value_of(search(m, &each, true)?))
}

pub(super) fn find_index<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(index_of(search(m, &each, true)?))
}

pub(super) fn find_last<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(value_of(search_back(m, &each)?))
}

pub(super) fn find_last_index<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(index_of(search_back(m, &each)?))
}

pub(super) fn some<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(Val::Bool(search(m, &each, true)?.is_some()))
}

pub(super) fn every<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    Ok(Val::Bool(search(m, &each, false)?.is_none()))
}

pub(super) fn reduce<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    let (first, skip) = each.start(args, each.items.get(0))?;
    let mut value = Reg::of(&first);
    match each.items {
        Items::Json(items) => {
            for (i, item) in items.iter().enumerate().skip(skip) {
                match m.call_fold(each.callback, value, Reg::Data(item), i, this) {
                    Ok(next) => value = next,
                    Err(stopped) => return Err(m.reason(stopped)),
                }
            }
        }
        Items::Long(..) => {
            for (i, item) in each.items.iter().enumerate().skip(skip) {
                match m.call_fold(each.callback, value, Reg::of(&item), i, this) {
                    Ok(next) => value = next,
                    Err(stopped) => return Err(m.reason(stopped)),
                }
            }
        }
        Items::Made(items) => {
            for (i, item) in items.iter().enumerate().skip(skip) {
                match m.call_fold(each.callback, value, Reg::of(item), i, this) {
                    Ok(next) => value = next,
                    Err(stopped) => return Err(m.reason(stopped)),
                }
            }
        }
    }
    Ok(value.val())
}

pub(super) fn reduce_right<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let each = Each::new(m, this, args)?;
    let (first, skip) = each.start(args, each.items.iter().next_back())?;
    let mut value = Reg::of(&first);
    for (i, item) in each.items.iter().enumerate().rev().skip(skip) {
        match m.call_fold(each.callback, value, Reg::of(&item), i, this) {
            Ok(next) => value = next,
            Err(stopped) => return Err(m.reason(stopped)),
        }
    }
    Ok(value.val())
}

impl<'a> Each<'a> {
    /// What a fold starts from, and how many elements that takes.
    fn start(&self, args: Args<'a, '_>, first: Option<Val<'a>>) -> Result<(Val<'a>, usize), Fault> {
        if args.len() > 1 {
            return Ok((args.get(1), 0));
        }
        let first = first.ok_or_else(|| {
            Fault::new("TYPE_EMPTY", "an empty list has nothing to start from")
                .hint("give the start: `reduce((sum, x) => sum + x, 0)`")
        })?;
        Ok((first, 1))
    }
}
