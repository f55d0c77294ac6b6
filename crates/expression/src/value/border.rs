//! Where values leave the language: JSON, conditions, text.

use serde_json::{Map, Number, Value};

use super::{Instance, MAX_NESTING, Object, Val};
use crate::{
    Limits,
    error::Fault,
    guard::{Guard, holds},
    machine::Reg,
};

/// What a JSON value costs beside its text.
const VALUE_BYTES: usize = size_of::<Value>();

/// The JSON value of a result; `None` is undefined.
///
/// Within arrays undefined becomes null, within objects it is left out; NaN and infinities are
/// null; a moment is ISO text; lone surrogates become U+FFFD.
///
/// `fail` gives an error its last form. It is called here because a result that is handed from
/// form to form is copied each time.
#[inline]
pub(crate) fn owned<E>(
    value: Reg<'_>,
    limits: &Limits,
    fail: impl FnOnce(Fault) -> E,
) -> Result<Option<Value>, E> {
    let fits = |bytes| VALUE_BYTES + bytes <= limits.result_bytes;
    match value {
        Reg::Undefined => Ok(None),
        Reg::Bool(b) if fits(0) => Ok(Some(Value::Bool(b != 0))),
        Reg::Num(bits) if fits(0) => Ok(Some(json_number(f64::from_bits(bits)))),
        Reg::Temp(s) if fits(s.len()) => Ok(Some(Value::String((**s).to_owned()))),
        Reg::Data(value) if !value.is_number() => Ok(Some(value.clone())),
        // Wholly what was read, so as large as what the caller holds already.
        Reg::JsonArray(items) => Ok(Some(Value::Array(items.clone()))),
        Reg::Long(list) => list.copy(|_| Ok(())).map(|all| Some(Value::Array(all))),
        Reg::JsonObject(map) => Ok(Some(Value::Object(map.clone()))),
        Reg::Str(s) => Ok(Some(Value::String(s.clone()))),
        made => {
            let mut border = Border {
                left: limits.result_bytes,
                limit: limits.result_bytes,
            };
            match border.json(made.val(), 0) {
                Ok(value) => Ok(Some(value)),
                Err(fault) => Err(fail(fault)),
            }
        }
    }
}

/// Whether a condition holds.
pub(crate) fn condition(value: Val<'_>, lenient: bool) -> Result<bool, Fault> {
    match value {
        Val::Bool(b) => Ok(b),
        value if lenient => Ok(value.truthy()),
        value => Err(Fault::new(
            "TYPE_NOT_BOOLEAN",
            format!(
                "a condition must be true or false, but this is {}",
                value.kind()
            ),
        )
        .hint("compare it (`… === …`, `… > 0`), or write `Boolean(…)` for what counts as true")),
    }
}

/// Counts the bytes of a result: parts that are shared inside stand there once each time.
struct Border {
    left: usize,
    limit: usize,
}

impl Border {
    fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        if !holds(Guard::ResultLimit) {
            return Ok(());
        }
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            Fault::new(
                "LIMIT_RESULT",
                format!("the result is larger than {} bytes", self.limit),
            )
            .hint("return only the parts that the next node needs")
        })?;
        Ok(())
    }

    /// Refuses what cannot be charged, before it takes memory.
    fn check(&self, bytes: usize) -> Result<(), Fault> {
        let mut trial = Border { ..*self };
        trial.charge(bytes)
    }

    fn json(&mut self, value: Val<'_>, depth: usize) -> Result<Value, Fault> {
        let mut out = Value::Null;
        self.write(&mut out, value, depth)?;
        Ok(out)
    }

    /// Puts the JSON of a value where it belongs, rather than handing it from place to place.
    fn write(&mut self, out: &mut Value, value: Val<'_>, depth: usize) -> Result<(), Fault> {
        if is_too_nested(depth) {
            return Err(too_nested());
        }
        self.charge(VALUE_BYTES)?;
        match value {
            Val::Undefined | Val::Null => *out = Value::Null,
            Val::Bool(b) => *out = Value::Bool(b),
            Val::Num(n) => *out = json_number(n),
            Val::Exact(n) => *out = Value::Number(n.clone()),
            Val::Str(s) => {
                self.charge(s.len())?;
                *out = Value::String(s.clone());
            }
            Val::Temp(_) | Val::Wide(_) => {
                if let Some(text) = value.text() {
                    self.charge(text.size())?;
                    *out = Value::String(text.well_formed());
                }
            }
            Val::JsonArray(items) => {
                items.iter().try_for_each(|item| self.measure(item))?;
                *out = Value::Array(items.clone());
            }
            Val::Long(list) => *out = Value::Array(list.copy(|item| self.measure(item))?),
            Val::JsonObject(map) => {
                self.measure_map(map)?;
                *out = Value::Object(map.clone());
            }
            Val::Array(items) => {
                self.check(items.len() * VALUE_BYTES)?;
                let mut array = vec![Value::Null; items.len()];
                for (out, item) in array.iter_mut().zip(*items) {
                    self.write(out, *item, depth + 1)?;
                }
                *out = Value::Array(array);
            }
            Val::Object(object) => {
                *out = Value::Object(Map::new());
                if let Value::Object(map) = out {
                    self.write_map(map, object, depth)?;
                }
            }
            Val::Instance(Instance::Match(found)) => {
                return self.write(out, found.array(), depth);
            }
            Val::Instance(instance) => {
                let value = instance.border()?;
                self.charge(value.as_str().map_or(0, str::len))?;
                *out = value;
            }
            Val::Callback(_) => return Err(Fault::new("TYPE_FUNCTION", "a function is no result")),
        }
        Ok(())
    }

    /// Puts the entries of an object into an empty map.
    fn write_map(
        &mut self,
        out: &mut Map<String, Value>,
        object: &Object<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        let entries = object.entries();
        let whole = !entries
            .iter()
            .any(|(_, value)| matches!(value, Val::Undefined));
        let keys: usize = entries.iter().map(|(key, _)| key.size()).sum();
        if whole {
            self.charge(keys + entries.len() * VALUE_BYTES)?;
            if let Some(template) = object.template() {
                out.clone_from(template);
                for (out, (_, value)) in out.values_mut().zip(entries) {
                    self.write(out, *value, depth + 1)?;
                }
                return Ok(());
            }
        }
        *out = Map::with_capacity(entries.len());
        for (key, value) in entries {
            if !matches!(value, Val::Undefined) {
                if !whole {
                    self.charge(key.size() + VALUE_BYTES)?;
                }
                out.insert(key.well_formed(), self.json(*value, depth + 1)?);
            }
        }
        Ok(())
    }

    /// Charges what a copy of data will take.
    fn measure(&mut self, value: &Value) -> Result<(), Fault> {
        self.charge(VALUE_BYTES)?;
        match value {
            Value::String(s) => self.charge(s.len()),
            Value::Array(items) => items.iter().try_for_each(|item| self.measure(item)),
            Value::Object(map) => self.measure_map(map),
            _ => Ok(()),
        }
    }

    fn measure_map(&mut self, map: &Map<String, Value>) -> Result<(), Fault> {
        map.iter().try_for_each(|(key, value)| {
            self.charge(key.len() + VALUE_BYTES)?;
            self.measure(value)
        })
    }
}

/// Whole numbers are JSON integers where they fit one; NaN and infinities are null.
#[inline]
fn json_number(n: f64) -> Value {
    // The cast saturates: what is no whole number does not compare equal, and both ends stand for
    // what is beyond them too.
    let whole = n as i64;
    if whole as f64 == n && whole != i64::MAX && whole != i64::MIN {
        return Value::from(whole);
    }
    large_or_broken(n)
}

fn large_or_broken(n: f64) -> Value {
    // 2^63 and 2^64; every whole double between them casts exactly.
    const I64_END: f64 = 9_223_372_036_854_775_808.0;
    const U64_END: f64 = 18_446_744_073_709_551_616.0;
    if (I64_END..U64_END).contains(&n) {
        return Value::from(n as u64);
    }
    let number = Number::from_f64(n).map(Value::Number);
    number.unwrap_or_else(|| {
        if holds(Guard::FiniteResult) {
            Value::Null
        } else {
            Value::String(n.to_string())
        }
    })
}

/// Whether a value inside of `depth` lists and objects is nested too deep.
pub(crate) fn is_too_nested(depth: usize) -> bool {
    depth > MAX_NESTING && holds(Guard::NestingLimit)
}

pub(crate) fn too_nested() -> Fault {
    Fault::new(
        "LIMIT_NESTING",
        format!("the value is nested deeper than {MAX_NESTING}"),
    )
}
