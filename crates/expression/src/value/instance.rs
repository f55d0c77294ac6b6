//! Values that are neither JSON nor functions: what each of them is to the rest of the language.
//!
//! Each question is answered here, by the type's own module where there is more to say. Nothing in
//! the arena is dropped, so an instance holds no heap memory of its own.

use serde_json::Value;

use super::{Items, Keyed, Match, Params, Url, Val, number_text};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    library::{
        DateFormat, Interval, NumberFormat, Outcome, Receiver, date_json, date_time_get,
        date_time_json, date_time_text, duration_get, duration_json, interval_get, interval_text,
    },
    machine::{Machine, TextBuilder},
    regex::{Pattern, Regex},
    syntax::ast::Class,
    time::{date_time::DateTime, duration::Duration},
};

pub(crate) enum Instance<'a> {
    Set(Keyed<'a>),
    Map(Keyed<'a>),
    /// Milliseconds since 1970; NaN is an invalid date.
    Date(f64),
    Url(Url<'a>),
    Params(Params<'a>),
    Regex(Pattern<'a>),
    Match(Match<'a>),
    DateTime(DateTime<'a>),
    Duration(Duration),
    Interval(Interval<'a>),
    NumberFormat(NumberFormat),
    DateFormat(DateFormat<'a>),
}

/// How [`notation`](super::notation) writes an instance: a name and what stands in it.
pub(crate) enum Shown<'a> {
    List(&'a [Val<'a>]),
    Pairs(&'a [Val<'a>], &'a [Val<'a>]),
    /// What stands between parentheses.
    Text(String),
    /// A text in quotes between parentheses.
    Quoted(&'a str),
    Pattern(Regex<'a>),
}

impl<'a> Instance<'a> {
    /// The table of its methods.
    pub(crate) fn receiver(&self) -> Receiver {
        match self {
            Instance::Set(_) => Receiver::Set,
            Instance::Map(_) => Receiver::Map,
            Instance::Date(_) => Receiver::Date,
            Instance::Url(_) => Receiver::Url,
            Instance::Params(_) => Receiver::Params,
            Instance::Regex(_) => Receiver::Regex,
            Instance::Match(_) => Receiver::Array,
            Instance::DateTime(_) => Receiver::DateTime,
            Instance::Duration(_) => Receiver::Duration,
            Instance::Interval(_) => Receiver::Interval,
            Instance::NumberFormat(_) => Receiver::NumberFormat,
            Instance::DateFormat(_) => Receiver::DateTimeFormat,
        }
    }

    /// The word that messages use: the name of its class.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Instance::Set(_) => "Set",
            Instance::Map(_) => "Map",
            Instance::Date(_) => "Date",
            Instance::Url(_) => "URL",
            Instance::Params(_) => "URLSearchParams",
            Instance::Regex(_) => "RegExp",
            Instance::Match(_) => "array",
            Instance::DateTime(_) => "DateTime",
            Instance::Duration(_) => "Duration",
            Instance::Interval(_) => "Interval",
            Instance::NumberFormat(_) => "NumberFormat",
            Instance::DateFormat(_) => "DateTimeFormat",
        }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Instance::Set(_) => Class::Set,
            Instance::Map(_) => Class::Map,
            Instance::Date(_) => Class::Date,
            Instance::Url(_) => Class::Url,
            Instance::Params(_) => Class::UrlSearchParams,
            Instance::Regex(_) => Class::RegExp,
            Instance::Match(_) => Class::Array,
            Instance::DateTime(_) => Class::DateTime,
            Instance::Duration(_) => Class::Duration,
            Instance::Interval(_) => Class::Interval,
            Instance::NumberFormat(_) | Instance::DateFormat(_) => Class::Object,
        }
    }

    /// Appends `ToString`.
    pub(crate) fn push_text(
        &'a self,
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
            Instance::Url(url) => out.push_str(m, url.href),
            Instance::Params(params) => params.push_text(m, out),
            Instance::Regex(pattern) => {
                let regex = pattern.regex();
                for part in ["/", regex.source, "/", regex.letters] {
                    out.push_str(m, part)?;
                }
                Ok(())
            }
            Instance::Match(found) => out.push_value(m, found.array()),
            Instance::DateTime(time) => out.push_str(m, &date_time_text(time)),
            Instance::Duration(duration) => {
                let text = duration_json(duration);
                out.push_str(m, text.as_deref().unwrap_or("null"))
            }
            Instance::Interval(interval) => out.push_str(m, &interval_text(interval)),
            Instance::NumberFormat(_) => out.push_str(m, "[object Intl.NumberFormat]"),
            Instance::DateFormat(_) => out.push_str(m, "[object Intl.DateTimeFormat]"),
        }
    }

    /// `ToPrimitive` without a preferred type.
    pub(crate) fn primitive(&'a self, m: &mut Machine<'a>) -> Outcome<'a> {
        match self {
            Instance::DateTime(_) | Instance::Duration(_) => Ok(Val::Num(self.number())),
            Instance::Set(_)
            | Instance::Map(_)
            | Instance::Date(_)
            | Instance::Url(_)
            | Instance::Params(_)
            | Instance::Regex(_)
            | Instance::Match(_)
            | Instance::Interval(_)
            | Instance::NumberFormat(_)
            | Instance::DateFormat(_) => {
                let text = m.text_of(Val::Instance(self))?;
                m.text_value(text)
            }
        }
    }

    /// Whether it is compared by its number.
    pub(crate) fn is_time(&self) -> bool {
        matches!(self, Instance::Date(_))
    }

    /// `ToNumber`. A match is not asked: it is an array.
    pub(crate) fn number(&self) -> f64 {
        match self {
            Instance::Date(time) => *time,
            Instance::DateTime(time) => time.number(),
            Instance::Duration(duration) => duration.millis(),
            // None of their texts is a number, but no parameters are nothing.
            Instance::Params(params) if params.names.is_empty() => 0.0,
            _ => f64::NAN,
        }
    }

    /// What `JSON.stringify` writes in its place; `None` for an object without keys.
    pub(crate) fn json(&'a self, m: &mut Machine<'a>) -> Result<Option<Val<'a>>, Fault> {
        match self {
            Instance::Set(_)
            | Instance::Map(_)
            | Instance::Params(_)
            | Instance::Regex(_)
            | Instance::NumberFormat(_)
            | Instance::DateFormat(_) => Ok(None),
            Instance::Url(url) => Ok(Some(Val::Temp(&url.href))),
            Instance::Match(found) => Ok(Some(found.array())),
            _ => match self.time_text() {
                Some(text) => m.copy_text(&text).map(Some),
                None => Ok(Some(Val::Null)),
            },
        }
    }

    /// ISO 8601 of what is a time or made of times; `None` if it is invalid.
    fn time_text(&self) -> Option<String> {
        match self {
            Instance::Date(_) => date_json(self),
            Instance::DateTime(time) => date_time_json(time),
            Instance::Duration(duration) => duration_json(duration),
            Instance::Interval(interval) => interval.iso(),
            _ => None,
        }
    }

    /// What it is as a result, which is a text or null. A match is not asked: it is an array.
    pub(crate) fn border(&self) -> Result<Value, Fault> {
        let (what, hint) = match self {
            Instance::Set(_) => ("Set", "make it a list: `[...set]`"),
            Instance::Map(_) => (
                "Map",
                "make it an object or a list: `Object.fromEntries(map)`, `[...map]`",
            ),
            Instance::Date(_) => return Ok(date_json(self).map_or(Value::Null, Value::String)),
            Instance::Params(_) => (
                "URLSearchParams",
                "make it text or an object: `params.toString()`, `Object.fromEntries(params)`",
            ),
            Instance::Url(url) => return Ok(Value::String(url.href.to_owned())),
            Instance::Regex(_) => ("RegExp", "make it a text: `String(pattern)`"),
            Instance::Match(_) => ("match", "make it a list: `[...match]`"),
            Instance::NumberFormat(_) => ("NumberFormat", "call it: `format.format(number)`"),
            Instance::DateFormat(_) => ("DateTimeFormat", "call it: `format.format(date)`"),
            Instance::DateTime(_) | Instance::Duration(_) | Instance::Interval(_) => {
                return match self.time_text() {
                    Some(text) => Ok(Value::String(text)),
                    None if holds(Guard::ValidDates) => Err(self.is_invalid()),
                    None => Ok(Value::Null),
                };
            }
        };
        Err(Fault::new("TYPE_RESULT", format!("a {what} is no result")).hint(hint))
    }

    #[cold]
    fn is_invalid(&self) -> Fault {
        let message = format!("this {} is invalid, so it is no result", self.kind());
        Fault::new("TYPE_INVALID_DATE", message)
            .hint("look at `.isValid` and `.invalidReason`; a text needs its format")
    }

    /// A member that is no method.
    pub(crate) fn get(&'a self, m: &mut Machine<'a>, key: &str) -> Result<Option<Val<'a>>, Fault> {
        let size = |len: usize| (key == "size").then_some(Val::Num(len as f64));
        match self {
            Instance::Set(keyed) | Instance::Map(keyed) => Ok(size(keyed.keys.len())),
            Instance::Params(params) => Ok(size(params.names.len())),
            Instance::Url(url) => url.get(m, key),
            Instance::Date(_) | Instance::NumberFormat(_) | Instance::DateFormat(_) => Ok(None),
            Instance::Regex(pattern) => Ok(pattern.get(key)),
            Instance::Match(found) => Ok(found.get(key)),
            Instance::DateTime(time) => date_time_get(m, time, key),
            Instance::Duration(duration) => Ok(duration_get(duration, key)),
            Instance::Interval(interval) => interval_get(m, interval, key),
        }
    }

    /// The elements that spread, `Array.from` and patterns see, if it has any.
    pub(crate) fn iterate(&self, m: &mut Machine<'a>) -> Result<Option<Items<'a>>, Fault> {
        match self {
            Instance::Set(keyed) => Ok(Some(Items::Made(keyed.keys))),
            Instance::Map(keyed) => m.pairs(keyed.keys, keyed.values).map(Some),
            Instance::Params(params) => m.pairs(params.names, params.values).map(Some),
            Instance::Match(found) => Ok(Some(Items::Made(found.items))),
            _ => Ok(None),
        }
    }

    pub(crate) fn shown(&self) -> Shown<'a> {
        match self {
            Instance::Set(keyed) => Shown::List(keyed.keys),
            Instance::Map(keyed) => Shown::Pairs(keyed.keys, keyed.values),
            Instance::Date(time) => Shown::Text(number_text(*time).as_str().to_owned()),
            Instance::Params(params) => Shown::Pairs(params.names, params.values),
            Instance::Url(url) => Shown::Quoted(url.href),
            Instance::Regex(pattern) => Shown::Pattern(pattern.regex()),
            Instance::Match(found) => Shown::List(found.items),
            Instance::DateTime(_) | Instance::Duration(_) => {
                Shown::Text(number_text(self.number()).as_str().to_owned())
            }
            Instance::Interval(interval) => Shown::Text(interval.iso().unwrap_or_default()),
            Instance::NumberFormat(_) | Instance::DateFormat(_) => Shown::Text(String::new()),
        }
    }
}

impl Class {
    /// `instanceof`. Primitives are instances of nothing, and functions are no values.
    pub(crate) fn holds(self, value: Val<'_>) -> bool {
        match self {
            Class::Object => value.is_object(),
            Class::Array => value.is_array(),
            Class::Function => matches!(value, Val::Callback(_)),
            Class::Error => matches!(value, Val::Object(object) if object.is_error()),
            _ => self.is_of(value),
        }
    }

    fn is_of(self, value: Val<'_>) -> bool {
        matches!(value, Val::Instance(instance) if instance.class() == self)
    }
}
