//! Sorting: stable, and safe against a comparison that contradicts itself.

use super::{Args, Outcome, array::receiver, each::function};
use crate::{
    error::Fault,
    machine::Machine,
    value::{Text, Val},
};

/// Up to this length elements are inserted one by one.
const SHORT: usize = 8;

pub(super) fn to_sorted<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let items = receiver(this);
    let callback = match args.get(0) {
        Val::Undefined => None,
        value => Some(function(value)?),
    };
    m.walk(items.len())?;
    // The list itself, and room to merge in.
    let mut list = m.list(items.len())?;
    m.reserve(items.len() * 40)?;
    let known = |item: &Val<'_>| !matches!(item, Val::Undefined);
    match callback {
        Some(callback) => {
            let mut values: Vec<Val<'a>> = items.iter().filter(known).collect();
            merge_sort(m, &mut values, &mut |m, a, b| {
                let order = m.call(callback, &[a, b])?;
                Ok(m.number_of(order)? > 0.0)
            })?;
            values
                .into_iter()
                .try_for_each(|value| list.push(m, value))?;
        }
        None => {
            let mut keyed: Vec<(Text<'a>, Val<'a>)> = Vec::with_capacity(items.len());
            for item in items.iter().filter(known) {
                keyed.push((m.text_of(item)?, item));
            }
            merge_sort(m, &mut keyed, &mut |m, a, b| {
                m.charge(1 + (a.0.size().min(b.0.size()) / 64) as u64)?;
                Ok(a.0 > b.0)
            })?;
            keyed
                .into_iter()
                .try_for_each(|(_, value)| list.push(m, value))?;
        }
    }
    // Undefined sorts behind everything and is never compared.
    for _ in list.len()..items.len() {
        list.push(m, Val::Undefined)?;
    }
    m.array(list)
}

/// Whether the first must stand behind the second.
type Greater<'f, 'a, T> = &'f mut dyn FnMut(&mut Machine<'a>, T, T) -> Result<bool, Fault>;

fn merge_sort<'a, T: Copy>(
    m: &mut Machine<'a>,
    items: &mut [T],
    greater: Greater<'_, 'a, T>,
) -> Result<(), Fault> {
    if items.len() <= SHORT {
        for i in 1..items.len() {
            let mut at = i;
            while at > 0 && greater(m, items[at - 1], items[at])? {
                items.swap(at - 1, at);
                at -= 1;
            }
        }
        return Ok(());
    }
    let middle = items.len() / 2;
    merge_sort(m, &mut items[..middle], greater)?;
    merge_sort(m, &mut items[middle..], greater)?;
    if !greater(m, items[middle - 1], items[middle])? {
        return Ok(());
    }
    let left = items[..middle].to_vec();
    let (mut from_left, mut from_right, mut to) = (0, middle, 0);
    while from_left < left.len() {
        let take_right =
            from_right < items.len() && greater(m, left[from_left], items[from_right])?;
        items[to] = if take_right {
            items[from_right]
        } else {
            left[from_left]
        };
        from_right += usize::from(take_right);
        from_left += usize::from(!take_right);
        to += 1;
    }
    Ok(())
}
