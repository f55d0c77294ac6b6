//! Values that are neither JSON nor functions: what each of them is to the rest of the language.
//!
//! Each question is answered here, by the type's own module where there is more to say. Nothing in
//! the arena is dropped, so an instance holds no heap memory of its own.

use serde_json::Value;

use super::{Items, Keyed, Val};
use crate::{
    error::Fault,
    library::{Outcome, Receiver},
    machine::{Machine, TextBuilder},
    syntax::ast::Class,
};

pub(crate) enum Instance<'a> {
    Set(Keyed<'a>),
    Map(Keyed<'a>),
}

/// How [`notation`](super::notation) writes an instance: a name and what stands in it.
pub(crate) enum Shown<'a> {
    List(&'a [Val<'a>]),
    Pairs(&'a [Val<'a>], &'a [Val<'a>]),
}

impl<'a> Instance<'a> {
    /// The table of its methods.
    pub(crate) fn receiver(&self) -> Receiver {
        match self {
            Instance::Set(_) => Receiver::Set,
            Instance::Map(_) => Receiver::Map,
        }
    }

    /// The word that messages use: the name of its class.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Instance::Set(_) => "Set",
            Instance::Map(_) => "Map",
        }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Instance::Set(_) => Class::Set,
            Instance::Map(_) => Class::Map,
        }
    }

    /// Appends `ToString`.
    pub(crate) fn push_text(
        &self,
        m: &mut Machine<'a>,
        out: &mut TextBuilder<'a>,
    ) -> Result<(), Fault> {
        match self {
            Instance::Set(_) => out.push_str(m, "[object Set]"),
            Instance::Map(_) => out.push_str(m, "[object Map]"),
        }
    }

    /// `ToPrimitive` without a preferred type.
    pub(crate) fn primitive(&'a self, m: &mut Machine<'a>) -> Outcome<'a> {
        match self {
            Instance::Set(_) | Instance::Map(_) => {
                let text = m.text_of(Val::Instance(self))?;
                m.text_value(text)
            }
        }
    }

    /// `ToNumber`.
    pub(crate) fn number(&self) -> f64 {
        match self {
            Instance::Set(_) | Instance::Map(_) => f64::NAN,
        }
    }

    /// What `JSON.stringify` writes in its place; `None` for an object without keys.
    pub(crate) fn json(&self) -> Option<Val<'a>> {
        match self {
            Instance::Set(_) | Instance::Map(_) => None,
        }
    }

    /// What it is as a result, which is a text or null.
    pub(crate) fn border(&self) -> Result<Value, Fault> {
        let (what, hint) = match self {
            Instance::Set(_) => ("Set", "make it a list: `[...set]`"),
            Instance::Map(_) => (
                "Map",
                "make it an object or a list: `Object.fromEntries(map)`, `[...map]`",
            ),
        };
        Err(Fault::new("TYPE_RESULT", format!("a {what} is no result")).hint(hint))
    }

    /// A member that is no method.
    pub(crate) fn get(&self, key: &str) -> Option<Val<'a>> {
        match self {
            Instance::Set(keyed) | Instance::Map(keyed) => {
                (key == "size").then_some(Val::Num(keyed.keys.len() as f64))
            }
        }
    }

    /// The elements that spread, `Array.from` and patterns see, if it has any.
    pub(crate) fn iterate(&self, m: &mut Machine<'a>) -> Result<Option<Items<'a>>, Fault> {
        match self {
            Instance::Set(keyed) => Ok(Some(Items::Made(keyed.keys))),
            Instance::Map(keyed) => m.pairs(keyed.keys, keyed.values).map(Some),
        }
    }

    pub(crate) fn shown(&self) -> Shown<'a> {
        match self {
            Instance::Set(keyed) => Shown::List(keyed.keys),
            Instance::Map(keyed) => Shown::Pairs(keyed.keys, keyed.values),
        }
    }
}

impl Class {
    /// `instanceof`. Primitives are instances of nothing, and functions are no values.
    pub(crate) fn holds(self, value: Val<'_>) -> bool {
        match self {
            Class::Object => value.is_object(),
            Class::Array => value.is_array(),
            Class::DateTime => matches!(value, Val::Moment(_)) || self.is_of(value),
            Class::Function => matches!(value, Val::Callback(_)),
            _ => self.is_of(value),
        }
    }

    fn is_of(self, value: Val<'_>) -> bool {
        matches!(value, Val::Instance(instance) if instance.class() == self)
    }
}
