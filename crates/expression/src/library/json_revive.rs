//! The second argument of `JSON.parse`: a function that may replace each value, innermost first.

use super::Outcome;
use crate::{
    code::Callback,
    machine::Machine,
    value::{Entries, Val},
};

/// Gives each part of a parsed value to the function, with its key; what comes back as undefined
/// is left out of objects.
///
/// A parsed value is nested at most as deep as `JSON.parse` reads, which bounds the recursion.
pub(super) fn revive<'a>(
    m: &mut Machine<'a>,
    reviver: &'a Callback,
    key: Val<'a>,
    value: Val<'a>,
) -> Outcome<'a> {
    let value = match value {
        Val::Array(items) => {
            m.walk(items.len())?;
            let mut list = m.list(items.len())?;
            for (i, item) in items.iter().enumerate() {
                let key = m.copy_text(&i.to_string())?;
                let item = revive(m, reviver, key, *item)?;
                list.push(m, item)?;
            }
            m.array(list)?
        }
        Val::Object(object) => {
            m.walk(object.entries().len())?;
            let mut entries = Entries::default();
            for (name, item) in object.entries() {
                let key = m.text_value(*name)?;
                let item = revive(m, reviver, key, *item)?;
                if !matches!(item, Val::Undefined) {
                    m.reserve_entry(&entries)?;
                    entries.push(*name, item);
                }
            }
            m.object(entries)?
        }
        plain => plain,
    };
    m.call(reviver, &[key, value])
}
