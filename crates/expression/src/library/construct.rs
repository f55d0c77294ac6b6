//! What `new` makes. A row is named as it is written, so `new Set` is the function's name.

use super::{Args, Function, Outcome, collection::map_group_by, pure, pure_with_callback};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    machine::{KeyedBuilder, Machine},
    value::{Text, Val},
};

pub(super) const FUNCTIONS: [Function; 5] = [
    pure("Array", array),
    pure_with_callback("Map.groupBy", 0b10, map_group_by),
    pure("new Array", array),
    pure("new Map", map),
    pure("new Set", set),
];

/// `Array(3)` has three elements, `Array(3, 4)` has these two. What JavaScript leaves out is
/// undefined here.
fn array<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let len = match args.0 {
        [Val::Num(n)] => Some(*n),
        [Val::Exact(n)] => Some(n.as_f64().unwrap_or(f64::NAN)),
        _ => None,
    };
    let Some(len) = len else {
        let mut list = m.list(args.len())?;
        args.0.iter().try_for_each(|arg| list.push(m, *arg))?;
        return m.array(list);
    };
    let whole = (0.0..=f64::from(u32::MAX)).contains(&len) && len.fract() == 0.0;
    if !whole && holds(Guard::ArgumentRange) {
        let message = "the length of a list must be a whole number from 0 on";
        return Err(Fault::new("TYPE_RANGE", message));
    }
    let len = len as usize;
    let mut list = m.list(len)?;
    m.walk(len)?;
    (0..len).try_for_each(|_| list.push(m, Val::Undefined))?;
    m.array(list)
}

fn set<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut set = KeyedBuilder::new(m)?;
    if !args.get(0).is_nullish() {
        let keys = m.iterate(args.get(0))?;
        set.keys(m, keys)?;
    }
    set.into_set(m)
}

fn map<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut map = KeyedBuilder::new(m)?;
    if !args.get(0).is_nullish() {
        let pairs = m.iterate(args.get(0))?;
        m.walk(pairs.len())?;
        for pair in pairs.iter() {
            let (key, value) = m.entry_of(pair)?;
            map.entry(m, key, value)?;
        }
    }
    map.into_map(m)
}

impl<'a> Machine<'a> {
    /// The key and the value that a list of two stands for.
    pub(super) fn entry_of(&mut self, pair: Val<'a>) -> Result<(Val<'a>, Val<'a>), Fault> {
        if !pair.is_object() {
            let message = format!(
                "every entry must be a list of key and value, not {}",
                pair.kind()
            );
            return Err(Fault::new("TYPE_ARGUMENT", message).hint("write `[key, value]`"));
        }
        let key = self.own(pair, Text::Utf8("0"))?.unwrap_or(Val::Undefined);
        let value = self.own(pair, Text::Utf8("1"))?.unwrap_or(Val::Undefined);
        Ok((key, value))
    }
}
