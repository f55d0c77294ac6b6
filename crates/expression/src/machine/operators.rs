//! Binary operators.

use std::cmp::Ordering;

use super::Machine;
use crate::{
    error::Fault,
    library::Outcome,
    syntax::ast::BinaryOp,
    value::{Text, Val, compare, loosely_equal, strictly_equal, to_int32},
};

impl<'a> Machine<'a> {
    /// A binary operator whose operands are of any types.
    pub(super) fn binary(&mut self, op: BinaryOp, a: Val<'a>, b: Val<'a>) -> Outcome<'a> {
        use BinaryOp as B;
        Ok(match op {
            B::StrictEqual => Val::Bool(self.same(a, b)?),
            B::StrictNotEqual => Val::Bool(!self.same(a, b)?),
            B::Equal => Val::Bool(loosely_equal(self, a, b)?),
            B::NotEqual => Val::Bool(!loosely_equal(self, a, b)?),
            B::Less => Val::Bool(compare(self, a, b)? == Some(Ordering::Less)),
            B::Greater => Val::Bool(compare(self, a, b)? == Some(Ordering::Greater)),
            B::LessEqual => Val::Bool(compare(self, a, b)?.is_some_and(Ordering::is_le)),
            B::GreaterEqual => Val::Bool(compare(self, a, b)?.is_some_and(Ordering::is_ge)),
            B::In => return self.has_key(a, b),
            B::InstanceOf(class) => Val::Bool(class.holds(a)),
            B::Add => return self.add(a, b),
            B::Subtract => Val::Num(self.number_of(a)? - self.number_of(b)?),
            B::Multiply => Val::Num(self.number_of(a)? * self.number_of(b)?),
            B::Divide => Val::Num(self.number_of(a)? / self.number_of(b)?),
            // Rust's `%` on doubles is C's `fmod`, as ECMA-262 asks.
            B::Remainder => Val::Num(self.number_of(a)? % self.number_of(b)?),
            B::Power => Val::Num(power(self.number_of(a)?, self.number_of(b)?)),
            B::BitOr | B::BitXor | B::BitAnd | B::ShiftLeft | B::ShiftRight | B::ShiftRightZero => {
                let (a, b) = (to_int32(self.number_of(a)?), to_int32(self.number_of(b)?));
                let by = b.cast_unsigned() & 31;
                Val::Num(match op {
                    B::BitOr => f64::from(a | b),
                    B::BitXor => f64::from(a ^ b),
                    B::BitAnd => f64::from(a & b),
                    B::ShiftLeft => f64::from(a << by),
                    B::ShiftRight => f64::from(a >> by),
                    _ => f64::from(a.cast_unsigned() >> by),
                })
            }
        })
    }

    /// `===`, with long texts paid for.
    pub(crate) fn same(&mut self, a: Val<'a>, b: Val<'a>) -> Result<bool, Fault> {
        if let (Some(a), Some(b)) = (a.text(), b.text()) {
            self.equate(a.size(), b.size())?;
        }
        Ok(strictly_equal(a, b))
    }

    fn add(&mut self, a: Val<'a>, b: Val<'a>) -> Outcome<'a> {
        let (a, b) = (self.primitive(a)?, self.primitive(b)?);
        if a.text().is_none() && b.text().is_none() {
            return Ok(Val::Num(self.number_of(a)? + self.number_of(b)?));
        }
        let size = |v: Val<'_>| v.text().map_or(24, Text::size);
        let mut text =
            self.text_builder((size(a) + size(b)).min(self.context.limits.string_bytes))?;
        text.push_value(self, a)?;
        text.push_value(self, b)?;
        text.finish(self)
    }

    fn has_key(&mut self, key: Val<'a>, object: Val<'a>) -> Outcome<'a> {
        if !object.is_object() {
            let message = format!(
                "`in` needs an object or array, but this is {}",
                object.kind()
            );
            return Err(
                Fault::new("TYPE_ARGUMENT", message).hint("use `includes` to look into a text")
            );
        }
        let key = self.text_of(key)?;
        Ok(Val::Bool(self.own(object, key)?.is_some()))
    }
}

/// `**` and `Math.pow`: unlike IEEE 754's, one to an infinite or unknown power is not a number.
pub(crate) fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || base.abs() == 1.0 && exponent.is_infinite() {
        return f64::NAN;
    }
    libm::pow(base, exponent)
}
