//! Object literals whose keys are fixed, distinct and in their final order: most of them.

use std::sync::OnceLock;

use bumpalo::collections::Vec as ArenaVec;
use serde_json::{Map, Value};

use super::{Machine, build::ENTRY_BYTES};
use crate::{
    code::{Code, Property, Run},
    library::Outcome,
    value::{Object, SMALL, Text, Val, array_index},
};

/// What all objects of one literal, or all caught errors, have in common.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// The JSON object with these keys and null for every value. A copy of it needs no hashing.
    template: OnceLock<Map<String, Value>>,
}

/// The shape of what `catch` sees, by which `instanceof Error` knows it.
pub(super) static CAUGHT: Shape = Shape {
    template: OnceLock::new(),
};

impl Shape {
    /// Whether its objects are errors that were caught.
    pub(crate) fn is_of_errors(&self) -> bool {
        std::ptr::eq(self, &CAUGHT)
    }

    /// The shape of a literal with these properties, if it has one.
    pub(crate) fn of(properties: &[Property], code: &Code) -> Option<Self> {
        let key = |property: &Property| match property {
            Property::Pair(key, _) => Some(code.strings[*key as usize].as_str()),
            Property::Computed(..) | Property::Spread(_) => None,
        };
        let fixed = properties.len() <= SMALL
            && properties.iter().enumerate().all(|(i, property)| {
                let Some(text) = key(property) else {
                    return false;
                };
                let distinct = || !properties[..i].iter().any(|one| key(one) == Some(text));
                array_index(text).is_none() && distinct()
            });
        fixed.then(Self::default)
    }

    /// An object with these keys, which are the literal's, and null for every value.
    pub(crate) fn template<'k>(&self, keys: impl Iterator<Item = &'k str>) -> &Map<String, Value> {
        self.template
            .get_or_init(|| keys.map(|key| (key.to_owned(), Value::Null)).collect())
    }
}

impl<'a> Machine<'a> {
    /// An object literal with a shape.
    #[inline(never)]
    pub(super) fn record(&mut self, shape: u32, properties: Run) -> Outcome<'a> {
        let code = self.code;
        let properties = properties.of(&code.properties);
        self.reserve(properties.len() * ENTRY_BYTES + size_of::<Object<'_>>())?;
        let mut entries: ArenaVec<'a, (Text<'a>, Val<'a>)> =
            ArenaVec::with_capacity_in(properties.len(), self.arena);
        for property in properties {
            if let Property::Pair(key, value) = *property {
                let value = self.operand(value);
                let value = self.outcome(value)?;
                entries.push((Text::Utf8(&code.strings[key as usize]), value));
            }
        }
        let shape = &code.shapes[shape as usize];
        let object = Object::shaped(entries.into_bump_slice(), shape);
        Ok(Val::Object(self.arena.alloc(object)))
    }
}
