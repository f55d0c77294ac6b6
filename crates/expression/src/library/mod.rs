//! What can be called: tables of methods per type, and of functions.
//!
//! A table is sorted by name. A row says which arguments may be callbacks and what runs; adding a
//! method is adding a row. A method that allocates charges the machine before it does.

mod array;
mod collection;
mod construct;
mod cut;
mod date;
mod date_time;
mod duration;
mod each;
pub(crate) mod extension;
mod find;
mod functions;
mod interval;
mod intl;
mod json;
mod json_parse;
mod json_revive;
mod math;
mod number;
mod object;
mod order;
#[cfg(test)]
mod page;
mod regex;
mod regex_match;
mod regex_replace;
mod regex_split;
mod replace;
mod string;
mod unicode;
mod uri;
mod url;

use std::{collections::HashMap, fmt, sync::LazyLock};

use crate::{Purity, error::Fault, machine::Machine, value::Val};

pub(crate) use cut::byte_at;
pub(crate) use date::date_json;
pub(crate) use date_time::{date_time_json, date_time_text, get as date_time_get};
pub(crate) use duration::{duration_get, duration_json};
pub(crate) use functions::{function, function_names, is_namespace};
pub(crate) use interval::{Interval, interval_get, interval_text};
pub(crate) use intl::{DateFormat, NumberFormat};
pub(crate) use math::{constant, numbers};

/// What a call gives.
pub(crate) type Outcome<'a> = Result<Val<'a>, Fault>;

/// The code of a method: machine, receiver, arguments.
pub(crate) type Native = for<'a, 'b> fn(&mut Machine<'a>, Val<'a>, Args<'a, 'b>) -> Outcome<'a>;

/// Arguments; what is not there reads as undefined.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a, 'b>(pub(crate) &'b [Val<'a>]);

impl<'a> Args<'a, '_> {
    pub(crate) fn get(self, index: usize) -> Val<'a> {
        self.0.get(index).copied().unwrap_or(Val::Undefined)
    }

    pub(crate) fn len(self) -> usize {
        self.0.len()
    }
}

/// A row of a table of methods.
#[derive(Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// Which arguments may be an arrow: bit 0 is the first.
    pub(crate) callbacks: u8,
    /// Changes its receiver in JavaScript; here it gives a changed copy, so it may not be called
    /// on a name that is read again.
    pub(crate) mutates: bool,
    pub(crate) run: Native,
}

/// A row of the table of functions.
pub(crate) struct Function {
    /// As it is written: `Math.floor`, `parseInt`.
    pub(crate) name: &'static str,
    pub(crate) callbacks: u8,
    pub(crate) purity: Purity,
    pub(crate) run: Run,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn method(name: &'static str, run: Native) -> Method {
    Method {
        name,
        callbacks: 0,
        mutates: false,
        run,
    }
}

const fn mutator(name: &'static str, run: Native) -> Method {
    Method {
        name,
        callbacks: 0,
        mutates: true,
        run,
    }
}

const fn with_callback(name: &'static str, run: Native) -> Method {
    Method {
        name,
        callbacks: 1,
        mutates: false,
        run,
    }
}

type Run = for<'a, 'b> fn(&mut Machine<'a>, Args<'a, 'b>) -> Outcome<'a>;

const fn pure(name: &'static str, run: Run) -> Function {
    pure_with_callback(name, 0, run)
}

const fn pure_with_callback(name: &'static str, callbacks: u8, run: Run) -> Function {
    Function {
        name,
        callbacks,
        purity: Purity::Pure,
        run,
    }
}

/// The types that have methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    String,
    Array,
    Number,
    Boolean,
    Object,
    DateTime,
    Set,
    Map,
    Date,
    Url,
    Params,
    Regex,
    Duration,
    Interval,
    NumberFormat,
    DateTimeFormat,
}

/// In the order of [`Receiver`].
const RECEIVERS: &[(Receiver, &[Method])] = &[
    (Receiver::String, string::METHODS),
    (Receiver::Array, array::METHODS),
    (Receiver::Number, number::METHODS),
    (Receiver::Boolean, number::BOOLEAN_METHODS),
    (Receiver::Object, object::METHODS),
    (Receiver::DateTime, date_time::METHODS),
    (Receiver::Set, collection::SET_METHODS),
    (Receiver::Map, collection::MAP_METHODS),
    (Receiver::Date, date::METHODS),
    (Receiver::Url, url::METHODS),
    (Receiver::Params, url::PARAMS_METHODS),
    (Receiver::Regex, regex::METHODS),
    (Receiver::Duration, duration::METHODS),
    (Receiver::Interval, interval::METHODS),
    (Receiver::NumberFormat, intl::NUMBER_METHODS),
    (Receiver::DateTimeFormat, intl::DATE_METHODS),
];

/// Methods of JavaScript that change their receiver and are not offered, with what to write.
const MUTATORS: &[(&str, &str)] = &[
    ("push", "write `[...list, item]`"),
    ("unshift", "write `[item, ...list]`"),
    ("splice", "write `[...list.slice(0, i), ...list.slice(j)]`"),
    ("copyWithin", "build the list with `slice` and spread"),
];

/// What to write instead of a mutator that is not offered.
pub(crate) fn mutator_hint(name: &str) -> Option<&'static str> {
    MUTATORS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, hint)| *hint)
}

/// The method of one name, per receiver.
#[derive(Clone, Copy)]
pub(crate) struct MethodSet([Option<&'static Method>; RECEIVERS.len()]);

impl fmt::Debug for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|m| m.map(|m| m.name)))
            .finish()
    }
}

impl MethodSet {
    /// The name as the tables have it and the methods of that name; `None` if no type has one.
    pub(crate) fn find(name: &str) -> Option<(&'static str, &'static MethodSet)> {
        // One look-up rather than one per table.
        static INDEX: LazyLock<HashMap<&str, MethodSet>> = LazyLock::new(|| {
            let set = |name| {
                MethodSet(std::array::from_fn(|at| {
                    let (receiver, table) = RECEIVERS[at];
                    find(table, name).or_else(|| find(extension::table(receiver), name))
                }))
            };
            all_methods().map(|name| (name, set(name))).collect()
        });
        INDEX.get_key_value(name).map(|(name, set)| (*name, set))
    }

    /// Which arguments may be an arrow, for any receiver.
    pub(crate) fn callbacks(&self) -> u8 {
        self.0
            .iter()
            .flatten()
            .fold(0, |all, method| all | method.callbacks)
    }

    /// Whether it changes every receiver that has it.
    pub(crate) fn mutates(&self) -> bool {
        self.0.iter().flatten().all(|method| method.mutates)
    }

    /// Whether it changes some receiver that has it.
    pub(crate) fn may_mutate(&self) -> bool {
        self.0.iter().flatten().any(|method| method.mutates)
    }

    #[inline]
    pub(crate) fn of(&self, receiver: Val<'_>) -> Option<&'static Method> {
        self.0[receiver_of(receiver)? as usize]
    }
}

fn find(table: &'static [Method], name: &str) -> Option<&'static Method> {
    table
        .binary_search_by(|row| row.name.cmp(name))
        .ok()
        .map(|at| &table[at])
}

fn receiver_of(value: Val<'_>) -> Option<Receiver> {
    Some(match value {
        Val::Str(_) | Val::Temp(_) | Val::Wide(_) => Receiver::String,
        Val::JsonArray(_) | Val::Long(_) | Val::Array(_) => Receiver::Array,
        Val::Num(_) | Val::Exact(_) => Receiver::Number,
        Val::Bool(_) => Receiver::Boolean,
        Val::JsonObject(_) | Val::Object(_) => Receiver::Object,
        Val::Instance(instance) => instance.receiver(),
        Val::Undefined | Val::Null | Val::Callback(_) => return None,
    })
}

/// Whether a method of that name reads the clock.
pub(crate) fn reads_clock(method: &str) -> bool {
    date_time::READ_CLOCK.contains(&method)
}

/// The names of the methods of a value's type.
pub(crate) fn methods_of(value: Val<'_>) -> impl Iterator<Item = &'static str> {
    let receiver = receiver_of(value);
    method_names().filter_map(move |(known, name)| (Some(known) == receiver).then_some(name))
}

/// The names of all methods of each type.
pub(crate) fn method_names() -> impl Iterator<Item = (Receiver, &'static str)> {
    RECEIVERS.iter().flat_map(|(receiver, table)| {
        let rows = table.iter().chain(extension::table(*receiver));
        rows.map(|row| (*receiver, row.name))
    })
}

/// The names of all methods; one that several types have comes several times.
pub(crate) fn all_methods() -> impl Iterator<Item = &'static str> {
    method_names().map(|(_, name)| name)
}

/// The names of the methods and functions that take a callback.
#[cfg(test)]
pub(crate) fn names_with_callback() -> impl Iterator<Item = &'static str> {
    let methods = RECEIVERS.iter().flat_map(|(_, table)| table.iter());
    let methods = methods.filter(|row| row.callbacks != 0).map(|row| row.name);
    let functions = functions::GROUPS.iter().copied().flatten();
    methods.chain(
        functions
            .filter(|row| row.callbacks != 0)
            .map(|row| row.name),
    )
}

/// Whether a value of this type has a method of that name.
pub(crate) fn has_method(value: Val<'_>, name: &str) -> bool {
    MethodSet::find(name).is_some_and(|(_, set)| set.of(value).is_some())
}

#[cfg(test)]
mod tests {
    use super::{RECEIVERS, extension, functions};

    #[test]
    fn every_table_is_sorted_by_name_and_in_its_place() {
        for (at, (receiver, table)) in RECEIVERS.iter().enumerate() {
            assert_eq!(at, *receiver as usize);
            let names: Vec<_> = table.iter().map(|row| row.name).collect();
            assert!(names.is_sorted(), "{receiver:?}: {names:?}");
            let more: Vec<_> = extension::table(*receiver)
                .iter()
                .map(|row| row.name)
                .collect();
            assert!(more.is_sorted(), "{receiver:?}: {more:?}");
            let twice = more.iter().find(|name| names.contains(name));
            assert_eq!(twice, None, "{receiver:?}: JavaScript has it");
        }
        for group in functions::GROUPS {
            let names: Vec<_> = group.iter().map(|row| row.name).collect();
            assert!(names.is_sorted(), "{names:?}");
        }
    }
}
