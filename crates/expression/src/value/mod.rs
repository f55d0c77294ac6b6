//! Values while an expression is evaluated.
//!
//! A [`Val`] is 16 bytes and copied freely: it borrows from the data, from the program, or from
//! the arena of the evaluation. There is no prototype and no way to change what it points to.

mod border;
mod coerce;
mod instance;
mod keyed;
mod matched;
mod notation;
mod number;
mod number_parse;
mod object;
mod text;
mod url;

use serde_json::{Map, Number, Value};

pub(crate) use border::{condition, is_too_nested, owned, too_nested};
pub(crate) use coerce::{compare, loosely_equal, strictly_equal, to_int32, to_integer};
pub(crate) use instance::{Instance, Shown};
pub(crate) use keyed::{Keyed, Place, Slot, copy_index, find, hashed, occupy};
pub(crate) use matched::Match;
pub(crate) use notation::notation;
pub(crate) use number::{exponential_text, fixed, number_text, precise, radix_text};
pub(crate) use number_parse::{parse_float, parse_int, parse_number};
pub(crate) use object::{
    Entries, Object, SMALL, array_index, json_entries, json_entries_bytes, lookup,
};
pub(crate) use text::Text;
pub(crate) use url::{Params, Url};

use crate::{LongList, code::Callback};

/// Deepest nesting of arrays and objects that is turned into text or a result; one beyond is
/// `LIMIT_NESTING`. It is what `serde_json` reads back.
pub(crate) const MAX_NESTING: usize = 127;

/// A value; see the module.
///
/// The tag fills a word, so that a copy is two whole words: with a tag of one byte the compiler
/// moves the seven bytes beside it apart, and reading them back together stalls (measured: a
/// filter over eight elements takes half as long this way).
#[derive(Clone, Copy)]
#[repr(u64)]
pub(crate) enum Val<'a> {
    Undefined,
    Null,
    Bool(bool),
    Num(f64),
    /// An integer of the data beyond 2^53, kept exact as long as nobody calculates with it.
    Exact(&'a Number),
    /// Text of the data or of the program.
    Str(&'a String),
    /// Text in the arena.
    Temp(&'a &'a str),
    /// Text with a lone surrogate, as UTF-16.
    Wide(&'a &'a [u16]),
    /// An array of the data.
    JsonArray(&'a Vec<Value>),
    /// A long list of the data.
    Long(&'a LongList),
    /// An object of the data.
    JsonObject(&'a Map<String, Value>),
    /// An array that the expression made.
    Array(&'a &'a [Val<'a>]),
    /// An object that the expression made.
    Object(&'a Object<'a>),
    /// A value of a class: a `Set`, a `Map` and the like.
    Instance(&'a Instance<'a>),
    /// A callback on its way to the method that calls it; never seen by an expression.
    Callback(&'a Callback),
}

const _: () = assert!(size_of::<Val<'_>>() == 16);
const _: () = assert!(size_of::<Result<Val<'_>, crate::error::Fault>>() == 16);

/// Integers up to here are exact in a double.
pub(crate) const MAX_SAFE: i64 = 9_007_199_254_740_991;

impl<'a> Val<'a> {
    pub(crate) const EMPTY: Val<'static> = Val::Temp(&"");

    #[inline]
    pub(crate) fn from_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(b) => Val::Bool(*b),
            Value::Number(n) => Val::from_number(n),
            Value::String(s) => Val::Str(s),
            Value::Array(items) => Val::JsonArray(items),
            Value::Object(map) => Val::JsonObject(map),
        }
    }

    #[inline]
    pub(crate) fn from_number(number: &'a Number) -> Self {
        match number.as_f64() {
            Some(float) if float.abs() <= MAX_SAFE as f64 || number.is_f64() => Val::Num(float),
            _ => Val::Exact(number),
        }
    }

    pub(crate) fn text(self) -> Option<Text<'a>> {
        match self {
            Val::Str(s) => Some(Text::Utf8(s)),
            Val::Temp(s) => Some(Text::Utf8(s)),
            Val::Wide(units) => Some(Text::Wide(units)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn is_nullish(self) -> bool {
        matches!(self, Val::Undefined | Val::Null)
    }

    #[inline]
    pub(crate) fn truthy(self) -> bool {
        match self {
            Val::Undefined | Val::Null => false,
            Val::Bool(b) => b,
            Val::Num(n) => n != 0.0 && !n.is_nan(),
            Val::Str(s) => !s.is_empty(),
            Val::Temp(s) => !s.is_empty(),
            _ => true,
        }
    }

    pub(crate) fn is_array(self) -> bool {
        matches!(
            self,
            Val::JsonArray(_) | Val::Long(_) | Val::Array(_) | Val::Instance(Instance::Match(_))
        )
    }

    /// Neither null nor a primitive.
    pub(crate) fn is_object(self) -> bool {
        matches!(
            self,
            Val::JsonArray(_)
                | Val::Long(_)
                | Val::JsonObject(_)
                | Val::Array(_)
                | Val::Object(_)
                | Val::Instance(_)
                | Val::Callback(_)
        )
    }

    pub(crate) fn items(self) -> Option<Items<'a>> {
        match self {
            Val::JsonArray(items) => Some(Items::Json(items)),
            Val::Long(list) => Some(Items::Long(list, 0, list.len())),
            Val::Array(items) => Some(Items::Made(items)),
            Val::Instance(Instance::Match(found)) => Some(Items::Made(found.items)),
            _ => None,
        }
    }

    /// The word that messages use.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Val::Undefined => "undefined",
            Val::Null => "null",
            Val::Bool(_) => "boolean",
            Val::Num(_) | Val::Exact(_) => "number",
            Val::Str(_) | Val::Temp(_) | Val::Wide(_) => "string",
            Val::JsonArray(_) | Val::Long(_) | Val::Array(_) => "array",
            Val::JsonObject(_) | Val::Object(_) => "object",
            Val::Instance(instance) => instance.kind(),
            Val::Callback(_) => "function",
        }
    }

    /// What `typeof` says.
    pub(crate) fn type_of(self) -> &'static &'static str {
        match self {
            Val::Undefined => &"undefined",
            Val::Bool(_) => &"boolean",
            Val::Num(_) | Val::Exact(_) => &"number",
            Val::Str(_) | Val::Temp(_) | Val::Wide(_) => &"string",
            Val::Callback(_) => &"function",
            _ => &"object",
        }
    }
}

/// The elements of an array, wherever they live.
#[derive(Clone, Copy)]
pub(crate) enum Items<'a> {
    Json(&'a [Value]),
    /// From and to which element.
    Long(&'a LongList, u32, u32),
    Made(&'a [Val<'a>]),
}

impl<'a> Items<'a> {
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Items::Json(items) => items.len(),
            Items::Long(_, from, to) => (to - from) as usize,
            Items::Made(items) => items.len(),
        }
    }

    #[inline]
    pub(crate) fn get(self, index: usize) -> Option<Val<'a>> {
        match self {
            Items::Json(items) => items.get(index).map(Val::from_json),
            Items::Long(list, from, to) if index < (to - from) as usize => {
                list.get(from as usize + index).map(Val::from_json)
            }
            Items::Long(..) => None,
            Items::Made(items) => items.get(index).copied(),
        }
    }

    pub(crate) fn slice(self, from: usize, to: usize) -> Items<'a> {
        match self {
            Items::Json(items) => Items::Json(&items[from..to]),
            // Both are at most its length.
            Items::Long(list, start, _) => {
                Items::Long(list, start + from as u32, start + to as u32)
            }
            Items::Made(items) => Items::Made(&items[from..to]),
        }
    }

    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = Val<'a>> + ExactSizeIterator {
        (0..self.len()).map(move |i| self.get(i).unwrap_or(Val::Undefined))
    }
}
