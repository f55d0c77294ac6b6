//! The items of another node's result.

use serde_json::Value;

use super::Machine;
use crate::{
    Root,
    code::Lineage,
    error::Fault,
    library::Outcome,
    value::{Items, Val},
};

impl<'a> Machine<'a> {
    /// Items of the result of the node in `slot`: a list is its items, and any other result is one.
    #[inline(never)]
    pub(super) fn node_items(&mut self, slot: u16, which: Lineage, optional: bool) -> Outcome<'a> {
        let id = &self.code.node_ids[usize::from(slot)];
        let Some(view) = self.scope.node(usize::from(slot), id) else {
            return self.node_absent(optional);
        };
        let long = match view.result {
            None => self.long_result(slot)?,
            Some(_) => None,
        };
        let items = match (view.result, long) {
            (_, Some(list)) => Items::Long(list, 0, list.len()),
            (None, None) => Items::Json(&[]),
            (Some(Value::Array(items)), _) => Items::Json(items),
            (Some(result), _) => Items::Json(std::slice::from_ref(result)),
        };
        let found = match which {
            Lineage::All => {
                if let Some(list) = long {
                    return Ok(Val::Long(list));
                }
                if let Some(result @ Value::Array(_)) = view.result {
                    return Ok(Val::from_json(result));
                }
                let mut list = self.list(items.len())?;
                for item in items.iter() {
                    list.push(self, item)?;
                }
                return self.array(list);
            }
            Lineage::First => items.get(0),
            Lineage::Last => items.iter().next_back(),
            Lineage::Item => match self.current_item(items) {
                None if (view.result.is_some() || long.is_some()) && !self.lenient => {
                    return Err(no_item(items.len()));
                }
                found => found,
            },
        };
        Ok(found.unwrap_or(Val::Undefined))
    }

    /// The item at the place of the current one, or the only one.
    fn current_item(&self, items: Items<'a>) -> Option<Val<'a>> {
        let index = self.scope.root(Root::Index).and_then(Value::as_u64);
        let at = index.and_then(|index| items.get(usize::try_from(index).ok()?));
        match at {
            None if items.len() == 1 => items.get(0),
            at => at,
        }
    }
}

#[cold]
fn no_item(len: usize) -> Fault {
    let message = format!("none of the {len} items of the node's result belongs to this place");
    Fault::new("PATH_NO_ITEM", message)
        .hint("use `.first()`, `.last()` or `.all()` to say which you mean")
}
