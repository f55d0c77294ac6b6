//! The guards that keep hostile source and data harmless, each of which a test can take away.
//!
//! In a program for use every guard holds, which the compiler knows: nothing is asked at run time.
//! In this crate's own tests one guard at a time can be removed on a thread, so that the corpus of
//! attacks shows of each attack that its guard is what stops it.

/// What stops an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(
    not(test),
    allow(
        dead_code,
        reason = "some guards are asked about by their errors' codes"
    )
)]
pub(crate) enum Guard {
    /// A value has its own keys and no others: there is no prototype to walk.
    OwnKeys,
    /// Only methods of the tables can be called.
    MethodTable,
    /// A method belongs to a type.
    TypedReceiver,
    /// Only functions of the tables can be called.
    FunctionTable,
    /// What is called is written in the source, never computed.
    StaticCalls,
    /// Functions are not values.
    NoFunctionValues,
    /// Only parameters and the fixed roots have a meaning.
    KnownNames,
    /// Neither secrets nor the process are a root.
    NoSecrets,
    /// Nothing is assigned, and values never change.
    NoMutation,
    /// Statements, classes, asynchronous and generated code are not in the language.
    NoStatements,
    /// `new` makes values of a fixed list of types.
    NoConstructors,
    /// A source consists of known characters.
    Characters,
    /// A source is one expression.
    Grammar,
    /// Patterns are searched in linear time, and are of a bounded size.
    LinearRegex,
    /// A member of null or undefined is an error.
    StrictMembers,
    /// Counts, digits and positions are within their ranges.
    ArgumentRange,
    /// `LIMIT_SOURCE`.
    SourceLimit,
    /// `LIMIT_DEPTH`.
    DepthLimit,
    /// `LIMIT_OPERATIONS`.
    OperationsLimit,
    /// `LIMIT_STRING`.
    StringLimit,
    /// `LIMIT_ARRAY`.
    ArrayLimit,
    /// `LIMIT_ARENA`.
    ArenaLimit,
    /// `LIMIT_RESULT`.
    ResultLimit,
    /// `LIMIT_NESTING`.
    NestingLimit,
    /// What JSON has no number for becomes null.
    FiniteResult,
    /// Halves of characters become U+FFFD.
    WellFormedResult,
    /// What an expression gives is data, and is not read as source again.
    OnePass,
    /// A date is within 275,760 years, or invalid.
    DateRange,
    /// An invalid `DateTime`, `Duration` or `Interval` is no result.
    ValidDates,
    /// A local time is one time by the rules of its zone, also if clocks skip it or show it twice.
    OneTime,
    /// A zone is one of the database.
    KnownZones,
    /// Options are those that are known.
    KnownOptions,
    /// Formats are of a bounded size.
    FormatSize,
}

/// Whether a guard is in its place.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn holds(_: Guard) -> bool {
    true
}

/// Whether an error of compiling is let pass because its guard was removed.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn lets_pass(_: &str) -> bool {
    false
}

/// Whether a key is found although the value has none of its own.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn inherits(_: &str) -> bool {
    false
}

/// A result as it leaves the language.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn reread(value: Option<serde_json::Value>) -> Option<serde_json::Value> {
    value
}

#[cfg(test)]
pub(crate) use removable::{Removed, holds, inherits, lets_pass, reread};

#[cfg(test)]
mod removable {
    use std::cell::Cell;

    use serde_json::Value;

    use super::Guard;
    use crate::{CompileOptions, Context, JsonScope, Program};

    thread_local! {
        static REMOVED: Cell<Option<Guard>> = const { Cell::new(None) };
    }

    pub(crate) fn holds(guard: Guard) -> bool {
        REMOVED.get() != Some(guard)
    }

    pub(crate) fn lets_pass(code: &str) -> bool {
        let guard = match code {
            "NAME_UNKNOWN_METHOD" => Guard::MethodTable,
            "NAME_UNKNOWN_FUNCTION" => Guard::FunctionTable,
            "UNSUPPORTED_CALL" | "UNSUPPORTED_DYNAMIC_CALL" => Guard::StaticCalls,
            "UNSUPPORTED_FUNCTION_VALUE" => Guard::NoFunctionValues,
            "NAME_UNKNOWN" | "NAME_UNKNOWN_ROOT" | "NAME_NODES" => Guard::KnownNames,
            "NAME_SECRET" => Guard::NoSecrets,
            "UNSUPPORTED_MUTATOR" | "UNSUPPORTED_ASSIGNMENT" | "UNSUPPORTED_DELETE" => {
                Guard::NoMutation
            }
            "LIMIT_REGEX" => Guard::LinearRegex,
            code if code.starts_with("UNSUPPORTED_REGEX_") => Guard::LinearRegex,
            "UNSUPPORTED_NEW" => Guard::NoConstructors,
            "SYNTAX_CHARACTER" => Guard::Characters,
            code if code.starts_with("SYNTAX_") => Guard::Grammar,
            code if code.starts_with("UNSUPPORTED_") => Guard::NoStatements,
            _ => return false,
        };
        !holds(guard)
    }

    /// The keys by which values of JavaScript reach their prototypes and from there the host.
    pub(crate) fn inherits(key: &str) -> bool {
        !holds(Guard::OwnKeys)
            && matches!(
                key,
                "constructor"
                    | "__proto__"
                    | "prototype"
                    | "__defineGetter__"
                    | "__defineSetter__"
                    | "__lookupGetter__"
                    | "__lookupSetter__"
                    | "isPrototypeOf"
                    | "propertyIsEnumerable"
                    | "caller"
                    | "callee"
                    | "arguments"
            )
    }

    /// Without its guard, `{{ }}` in a result is evaluated like a source.
    pub(crate) fn reread(value: Option<Value>) -> Option<Value> {
        if holds(Guard::OnePass) {
            return value;
        }
        let source = value.as_ref().and_then(Value::as_str).and_then(|text| {
            let (_, rest) = text.split_once("{{")?;
            rest.rsplit_once("}}").map(|(source, _)| source)
        });
        let Some(source) = source else { return value };
        let program = Program::compile(source, &CompileOptions::default());
        let scope = JsonScope(&Value::Null);
        let again = |program: Program| program.inspect(&scope, &Context::default()).ok();
        let text = program.ok().and_then(again);
        Some(Value::String(text.unwrap_or_else(|| "evaluated".into())))
    }

    /// A guard that is away until this is dropped.
    pub(crate) struct Removed;

    impl Removed {
        pub(crate) fn new(guard: Guard) -> Self {
            assert!(REMOVED.replace(Some(guard)).is_none(), "one at a time");
            Self
        }
    }

    impl Drop for Removed {
        fn drop(&mut self) {
            REMOVED.set(None);
        }
    }
}
