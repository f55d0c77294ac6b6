//! Values that are neither JSON nor functions: what each of them is to the rest of the language.
//!
//! Each question is answered here, by the type's own module where there is more to say. Nothing in
//! the arena is dropped, so an instance holds no heap memory of its own.

use serde_json::Value;

use super::{Items, Keyed, Val, number_text};
use crate::{
    error::Fault,
    library::{Outcome, Receiver, date_json},
    machine::{Machine, TextBuilder},
    syntax::ast::Class,
};

pub(crate) enum Instance<'a> {
    Set(Keyed<'a>),
    Map(Keyed<'a>),
    /// Milliseconds since 1970; NaN is an invalid date.
    Date(f64),
}

/// How [`notation`](super::notation) writes an instance: a name and what stands in it.
pub(crate) enum Shown<'a> {
    List(&'a [Val<'a>]),
    Pairs(&'a [Val<'a>], &'a [Val<'a>]),
    /// What stands between parentheses.
    Text(String),
}

impl<'a> Instance<'a> {
    /// The table of its methods.
    pub(crate) fn receiver(&self) -> Receiver {
        match self {
            Instance::Set(_) => Receiver::Set,
            Instance::Map(_) => Receiver::Map,
            Instance::Date(_) => Receiver::Date,
        }
    }

    /// The word that messages use: the name of its class.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Instance::Set(_) => "Set",
            Instance::Map(_) => "Map",
            Instance::Date(_) => "Date",
        }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Instance::Set(_) => Class::Set,
            Instance::Map(_) => Class::Map,
            Instance::Date(_) => Class::Date,
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
            Instance::Date(time) => {
                let text = m.date_text(*time)?;
                out.push_str(m, &text)
            }
        }
    }

    /// `ToPrimitive` without a preferred type.
    pub(crate) fn primitive(&'a self, m: &mut Machine<'a>) -> Outcome<'a> {
        match self {
            Instance::Set(_) | Instance::Map(_) | Instance::Date(_) => {
                let text = m.text_of(Val::Instance(self))?;
                m.text_value(text)
            }
        }
    }

    /// Whether it is compared by its number.
    pub(crate) fn is_time(&self) -> bool {
        matches!(self, Instance::Date(_))
    }

    /// `ToNumber`.
    pub(crate) fn number(&self) -> f64 {
        match self {
            Instance::Set(_) | Instance::Map(_) => f64::NAN,
            Instance::Date(time) => *time,
        }
    }

    /// What `JSON.stringify` writes in its place; `None` for an object without keys.
    pub(crate) fn json(&self, m: &mut Machine<'a>) -> Result<Option<Val<'a>>, Fault> {
        match self {
            Instance::Set(_) | Instance::Map(_) => Ok(None),
            Instance::Date(_) => match date_json(self) {
                Some(text) => m.copy_text(&text).map(Some),
                None => Ok(Some(Val::Null)),
            },
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
            Instance::Date(_) => return Ok(date_json(self).map_or(Value::Null, Value::String)),
        };
        Err(Fault::new("TYPE_RESULT", format!("a {what} is no result")).hint(hint))
    }

    /// A member that is no method.
    pub(crate) fn get(&self, _: &mut Machine<'a>, key: &str) -> Result<Option<Val<'a>>, Fault> {
        match self {
            Instance::Set(keyed) | Instance::Map(keyed) => {
                Ok((key == "size").then_some(Val::Num(keyed.keys.len() as f64)))
            }
            Instance::Date(_) => Ok(None),
        }
    }

    /// The elements that spread, `Array.from` and patterns see, if it has any.
    pub(crate) fn iterate(&self, m: &mut Machine<'a>) -> Result<Option<Items<'a>>, Fault> {
        match self {
            Instance::Set(keyed) => Ok(Some(Items::Made(keyed.keys))),
            Instance::Map(keyed) => m.pairs(keyed.keys, keyed.values).map(Some),
            Instance::Date(_) => Ok(None),
        }
    }

    pub(crate) fn shown(&self) -> Shown<'a> {
        match self {
            Instance::Set(keyed) => Shown::List(keyed.keys),
            Instance::Map(keyed) => Shown::Pairs(keyed.keys, keyed.values),
            Instance::Date(time) => Shown::Text(number_text(*time).as_str().to_owned()),
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
