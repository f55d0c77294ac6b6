//! What a pattern has found: an array with names beside its elements.

use super::Val;

/// The array that `exec`, `match` and `matchAll` give. Its first element is the whole match.
pub(crate) struct Match<'a> {
    pub(crate) items: &'a [Val<'a>],
    /// `index`, `input`, `groups` and `indices`, as far as there are any.
    pub(crate) properties: &'a [(&'static str, Val<'a>)],
}

impl<'a> Match<'a> {
    /// The elements without the names.
    pub(crate) fn array(&'a self) -> Val<'a> {
        Val::Array(&self.items)
    }

    pub(crate) fn properties(&self) -> impl Iterator<Item = (&'static str, Val<'a>)> {
        self.properties.iter().copied()
    }

    pub(crate) fn get(&self, key: &str) -> Option<Val<'a>> {
        if key == "length" {
            return Some(Val::Num(self.items.len() as f64));
        }
        if let Some(at) = super::array_index(key) {
            return self.items.get(at as usize).copied();
        }
        let found = self.properties.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| *value)
    }
}
