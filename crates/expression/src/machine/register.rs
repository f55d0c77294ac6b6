//! Values in two registers, for the nodes that most evaluations consist of.
//!
//! A [`Val`] in a result is handed over in memory, because its payload is a float or a pointer: two
//! words are written and read back at once, and where they are read as one the processor waits.
//! A [`Reg`] holds only words and pointers, so the compiler returns it in registers, also as a
//! result whose error has no content ([`Stopped`]). Data stays a pointer until somebody asks what
//! it is. Methods and functions see [`Val`]s.

use serde_json::{Map, Number, Value};

use super::Machine;
use crate::{
    LongList,
    code::Callback,
    error::Fault,
    library::Outcome,
    value::{Instance, Object, Val},
};

/// A value in two registers: every variant of [`Val`], and data that nobody has looked at.
#[derive(Clone, Copy)]
pub(crate) enum Reg<'a> {
    Undefined,
    Null,
    /// Zero is false. A whole word, as all the others.
    Bool(u64),
    /// The bits of a double.
    Num(u64),
    Data(&'a Value),
    Exact(&'a Number),
    Str(&'a String),
    Temp(&'a &'a str),
    Wide(&'a &'a [u16]),
    JsonArray(&'a Vec<Value>),
    Long(&'a LongList),
    JsonObject(&'a Map<String, Value>),
    Array(&'a &'a [Val<'a>]),
    Object(&'a Object<'a>),
    Instance(&'a Instance<'a>),
    Callback(&'a Callback),
}

/// The evaluation cannot go on; [`Machine`] holds the reason.
pub(crate) struct Stopped;

/// What a node gives, in registers.
pub(crate) type Quick<'a> = Result<Reg<'a>, Stopped>;

const _: () = assert!(size_of::<Quick<'_>>() == 16);

impl<'a> Reg<'a> {
    #[inline(always)]
    pub(crate) fn of(value: &Val<'a>) -> Self {
        match *value {
            Val::Undefined => Reg::Undefined,
            Val::Null => Reg::Null,
            Val::Bool(b) => Reg::bool(b),
            Val::Num(n) => Reg::num(n),
            Val::Exact(n) => Reg::Exact(n),
            Val::Str(s) => Reg::Str(s),
            Val::Temp(s) => Reg::Temp(s),
            Val::Wide(units) => Reg::Wide(units),
            Val::JsonArray(items) => Reg::JsonArray(items),
            Val::Long(list) => Reg::Long(list),
            Val::JsonObject(map) => Reg::JsonObject(map),
            Val::Array(items) => Reg::Array(items),
            Val::Object(object) => Reg::Object(object),
            Val::Instance(instance) => Reg::Instance(instance),
            Val::Callback(callback) => Reg::Callback(callback),
        }
    }

    #[inline(always)]
    pub(crate) fn val(self) -> Val<'a> {
        match self {
            Reg::Undefined => Val::Undefined,
            Reg::Null => Val::Null,
            Reg::Bool(b) => Val::Bool(b != 0),
            Reg::Num(bits) => Val::Num(f64::from_bits(bits)),
            Reg::Data(value) => Val::from_json(value),
            Reg::Exact(n) => Val::Exact(n),
            Reg::Str(s) => Val::Str(s),
            Reg::Temp(s) => Val::Temp(s),
            Reg::Wide(units) => Val::Wide(units),
            Reg::JsonArray(items) => Val::JsonArray(items),
            Reg::Long(list) => Val::Long(list),
            Reg::JsonObject(map) => Val::JsonObject(map),
            Reg::Array(items) => Val::Array(items),
            Reg::Object(object) => Val::Object(object),
            Reg::Instance(instance) => Val::Instance(instance),
            Reg::Callback(callback) => Val::Callback(callback),
        }
    }

    #[inline(always)]
    pub(crate) fn num(n: f64) -> Self {
        Reg::Num(n.to_bits())
    }

    #[inline(always)]
    pub(crate) fn bool(b: bool) -> Self {
        Reg::Bool(u64::from(b))
    }

    /// The number that it is; `None` of other types and of integers beyond doubles.
    #[inline(always)]
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Reg::Num(bits) => Some(f64::from_bits(bits)),
            Reg::Data(Value::Number(n)) => match Val::from_number(n) {
                Val::Num(n) => Some(n),
                _ => None,
            },
            _ => None,
        }
    }

    /// The text that it is, without lone surrogates.
    #[inline(always)]
    pub(crate) fn utf8(self) -> Option<&'a str> {
        match self {
            Reg::Data(Value::String(s)) | Reg::Str(s) => Some(s),
            Reg::Temp(s) => Some(s),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn is_nullish(self) -> bool {
        matches!(self, Reg::Undefined | Reg::Null | Reg::Data(Value::Null))
    }

    #[inline(always)]
    pub(crate) fn truthy(self) -> bool {
        match self {
            Reg::Bool(b) => b != 0,
            Reg::Data(Value::Bool(b)) => *b,
            Reg::Undefined | Reg::Null | Reg::Data(Value::Null) => false,
            other => other.val().truthy(),
        }
    }
}

impl<'a> Machine<'a> {
    /// Spends `n` operations.
    #[inline(always)]
    pub(super) fn spend(&mut self, n: u64) -> Result<(), Stopped> {
        // Few at a time, from `budget::FULL` at most: this cannot overflow.
        self.operations += n;
        if self.operations > self.look_at {
            return self.look().map_err(|fault| self.stop(fault));
        }
        Ok(())
    }

    /// Keeps the reason why the evaluation cannot go on.
    #[cold]
    pub(crate) fn stop(&mut self, fault: Fault) -> Stopped {
        self.fault = Some(fault);
        Stopped
    }

    /// The reason, for callers that hand it on as an error.
    #[cold]
    pub(crate) fn reason(&mut self, _: Stopped) -> Fault {
        self.fault
            .take()
            .unwrap_or_else(|| Fault::new("TYPE_INTERNAL", "the evaluation stopped"))
    }

    /// A result in registers.
    #[inline(always)]
    pub(crate) fn quick(&mut self, outcome: Outcome<'a>) -> Quick<'a> {
        match outcome {
            Ok(ref value) => Ok(Reg::of(value)),
            Err(fault) => Err(self.stop(fault)),
        }
    }

    /// A result in memory.
    #[inline(always)]
    pub(crate) fn outcome(&mut self, quick: Quick<'a>) -> Outcome<'a> {
        match quick {
            Ok(value) => Ok(value.val()),
            Err(stopped) => Err(self.reason(stopped)),
        }
    }
}
