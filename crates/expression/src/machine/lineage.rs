//! The items of another node's result.

use serde_json::Value;

use super::Machine;
use crate::{Root, code::Lineage, error::Fault, library::Outcome, value::Val};

impl<'a> Machine<'a> {
    /// Items of the result of the node in `slot`: a list is its items, and any other result is one.
    #[inline(never)]
    pub(super) fn node_items(&mut self, slot: u16, which: Lineage, optional: bool) -> Outcome<'a> {
        let id = &self.code.node_ids[usize::from(slot)];
        let Some(view) = self.scope.node(usize::from(slot), id) else {
            return self.node_absent(optional);
        };
        let items: &'a [Value] = match view.result {
            None => &[],
            Some(result @ Value::Array(items)) => match which {
                Lineage::All => return Ok(Val::from_json(result)),
                _ => items,
            },
            Some(result) => std::slice::from_ref(result),
        };
        let found = match which {
            Lineage::All => {
                let mut list = self.list(items.len())?;
                for item in items {
                    list.push(self, Val::from_json(item))?;
                }
                return self.array(list);
            }
            Lineage::First => items.first(),
            Lineage::Last => items.last(),
            Lineage::Item => match (self.current_item(items), view.result) {
                (None, Some(_)) if !self.lenient => return Err(no_item(items.len())),
                (found, _) => found,
            },
        };
        Ok(found.map_or(Val::Undefined, Val::from_json))
    }

    /// The item at the place of the current one, or the only one.
    fn current_item(&self, items: &'a [Value]) -> Option<&'a Value> {
        let index = self.scope.root(Root::Index).and_then(Value::as_u64);
        let at = index.and_then(|index| items.get(usize::try_from(index).ok()?));
        match (at, items) {
            (None, [only]) => Some(only),
            (at, _) => at,
        }
    }
}

#[cold]
fn no_item(len: usize) -> Fault {
    let message = format!("none of the {len} items of the node's result belongs to this place");
    Fault::new("PATH_NO_ITEM", message)
        .hint("use `.first()`, `.last()` or `.all()` to say which you mean")
}
