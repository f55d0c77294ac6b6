//! JavaScript's conversions and comparisons of values.

use std::cmp::Ordering;

use super::{Instance, Text, Val, parse_number};
use crate::{error::Fault, machine::Machine, syntax::is_js_space};

/// Without JavaScript's white space at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_js_space)
}

/// `ToInt32` of a number.
pub(crate) fn to_int32(n: f64) -> i32 {
    if n.abs() < 2_147_483_648.0 {
        return n as i32;
    }
    if !n.is_finite() {
        return 0;
    }
    // The remainder has a smaller size than 2^32, so the cast to i64 is exact.
    (n.trunc() % 4_294_967_296.0) as i64 as i32
}

/// `ToIntegerOrInfinity` of a number.
pub(crate) fn to_integer(n: f64) -> f64 {
    if n.is_nan() { 0.0 } else { n.trunc() + 0.0 }
}

/// `===`.
pub(crate) fn strictly_equal(a: Val<'_>, b: Val<'_>) -> bool {
    match (a, b) {
        (Val::Num(a), Val::Num(b)) => a == b,
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::Str(a), Val::Temp(b)) | (Val::Temp(b), Val::Str(a)) => a.as_str() == *b,
        (Val::Temp(a), Val::Temp(b)) => a == b,
        (Val::Wide(a), Val::Wide(b)) => a == b,
        (Val::Undefined, Val::Undefined) | (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        // Integers of the data are compared exactly, so that two long ids never pass for one.
        (Val::Exact(a), Val::Exact(b)) => a == b,
        (Val::Exact(a), Val::Num(b)) | (Val::Num(b), Val::Exact(a)) => a.as_f64() == Some(b),
        (Val::JsonArray(a), Val::JsonArray(b)) => std::ptr::eq(a, b),
        (Val::Long(a), Val::Long(b)) => std::ptr::eq(a, b),
        (Val::JsonObject(a), Val::JsonObject(b)) => std::ptr::eq(a, b),
        (Val::Array(a), Val::Array(b)) => std::ptr::eq(a, b),
        (Val::Object(a), Val::Object(b)) => std::ptr::eq(a, b),
        (Val::Instance(a), Val::Instance(b)) => std::ptr::eq(a, b),
        _ => false,
    }
}

/// `==`.
pub(crate) fn loosely_equal<'a>(
    m: &mut Machine<'a>,
    a: Val<'a>,
    b: Val<'a>,
) -> Result<bool, Fault> {
    if a.is_nullish() || b.is_nullish() {
        return Ok(a.is_nullish() && b.is_nullish());
    }
    if a.is_object() == b.is_object() && (a.is_object() || a.kind() == b.kind()) {
        return Ok(strictly_equal(a, b));
    }
    let (a, b) = (m.primitive(a)?, m.primitive(b)?);
    if a.kind() == b.kind() {
        return Ok(strictly_equal(a, b));
    }
    Ok(m.number_of(a)? == m.number_of(b)?)
}

/// The order of two values as `<` has it; `None` if one is not a number.
pub(crate) fn compare<'a>(
    m: &mut Machine<'a>,
    a: Val<'a>,
    b: Val<'a>,
) -> Result<Option<Ordering>, Fault> {
    if let (Val::Num(a), Val::Num(b)) = (a, b) {
        return Ok(a.partial_cmp(&b));
    }
    if let (Val::Exact(a), Val::Exact(b)) = (a, b) {
        if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
            return Ok(Some(a.cmp(&b)));
        }
        if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
            return Ok(Some(a.cmp(&b)));
        }
    }
    let (a, b) = (m.ordered(a)?, m.ordered(b)?);
    if let (Some(a), Some(b)) = (a.text(), b.text()) {
        m.scan(a.size().min(b.size()))?;
        return Ok(Some(a.cmp(&b)));
    }
    Ok(m.number_of(a)?.partial_cmp(&m.number_of(b)?))
}

impl<'a> Machine<'a> {
    /// `ToNumber`.
    pub(crate) fn number_of(&mut self, value: Val<'a>) -> Result<f64, Fault> {
        Ok(match value {
            Val::Num(n) => n,
            Val::Undefined | Val::Callback(_) => f64::NAN,
            Val::Null => 0.0,
            Val::Bool(b) => f64::from(u8::from(b)),
            Val::Exact(n) => n.as_f64().unwrap_or(f64::NAN),
            Val::Instance(Instance::Match(found)) => return self.number_of(found.array()),
            Val::Instance(instance) => instance.number(),
            _ => match value.text() {
                Some(Text::Utf8(s)) => {
                    self.scan(s.len())?;
                    parse_number(s)
                }
                Some(Text::Wide(_)) => f64::NAN,
                None => {
                    let text = self.text_of(value)?;
                    text.utf8().map_or(f64::NAN, parse_number)
                }
            },
        })
    }

    /// `ToPrimitive` without a preferred type.
    pub(crate) fn primitive(&mut self, value: Val<'a>) -> Result<Val<'a>, Fault> {
        match value {
            Val::Instance(instance) => instance.primitive(self),
            Val::JsonArray(_)
            | Val::Long(_)
            | Val::Array(_)
            | Val::JsonObject(_)
            | Val::Object(_)
            | Val::Callback(_) => {
                let text = self.text_of(value)?;
                self.text_value(text)
            }
            primitive => Ok(primitive),
        }
    }

    /// `ToPrimitive` with numbers preferred: a date is its time.
    fn ordered(&mut self, value: Val<'a>) -> Result<Val<'a>, Fault> {
        match value {
            Val::Instance(instance) if instance.is_time() => Ok(Val::Num(instance.number())),
            other => self.primitive(other),
        }
    }

    /// `ToString`.
    pub(crate) fn text_of(&mut self, value: Val<'a>) -> Result<Text<'a>, Fault> {
        if let Some(text) = value.text() {
            return Ok(text);
        }
        let mut builder = self.text_builder(0)?;
        builder.push_value(self, value)?;
        builder.finish_text(self)
    }
}
