//! `Math`.
//!
//! What IEEE 754 does not fix to the last bit comes from `libm`, which is the same everywhere.

use std::f64::consts;

use super::{Args, Function, Outcome, pure};
use crate::{
    Purity,
    machine::{Machine, power},
    value::{Val, to_int32},
};

/// The constants of `Math` and `Number`, and those without a namespace.
pub(super) const CONSTANTS: &[(&str, f64)] = &[
    ("Infinity", f64::INFINITY),
    ("Math.E", consts::E),
    ("Math.LN10", consts::LN_10),
    ("Math.LN2", consts::LN_2),
    ("Math.LOG10E", consts::LOG10_E),
    ("Math.LOG2E", consts::LOG2_E),
    ("Math.PI", consts::PI),
    ("Math.SQRT1_2", consts::FRAC_1_SQRT_2),
    ("Math.SQRT2", consts::SQRT_2),
    ("NaN", f64::NAN),
    ("Number.EPSILON", f64::EPSILON),
    ("Number.MAX_SAFE_INTEGER", 9_007_199_254_740_991.0),
    ("Number.MAX_VALUE", f64::MAX),
    ("Number.MIN_SAFE_INTEGER", -9_007_199_254_740_991.0),
    ("Number.MIN_VALUE", f64::from_bits(1)),
    ("Number.NEGATIVE_INFINITY", f64::NEG_INFINITY),
    ("Number.NaN", f64::NAN),
    ("Number.POSITIVE_INFINITY", f64::INFINITY),
];

/// The names of these constants.
pub(crate) fn numbers() -> impl Iterator<Item = &'static str> {
    CONSTANTS.iter().map(|(name, _)| *name)
}

/// A function of one number, as a row.
macro_rules! of_number {
    ($name:literal, $run:expr) => {
        pure($name, |m, args| {
            let run: fn(f64) -> f64 = $run;
            m.number_of(args.get(0)).map(|n| Val::Num(run(n)))
        })
    };
}

pub(super) const FUNCTIONS: [Function; 35] = [
    of_number!("Math.abs", f64::abs),
    of_number!("Math.acos", libm::acos),
    of_number!("Math.acosh", libm::acosh),
    of_number!("Math.asin", libm::asin),
    of_number!("Math.asinh", libm::asinh),
    of_number!("Math.atan", libm::atan),
    pure("Math.atan2", |m, args| {
        Ok(Val::Num(
            m.number_of(args.get(0))?.atan2(m.number_of(args.get(1))?),
        ))
    }),
    of_number!("Math.atanh", libm::atanh),
    of_number!("Math.cbrt", libm::cbrt),
    of_number!("Math.ceil", f64::ceil),
    of_number!("Math.clz32", |n| f64::from(to_int32(n).leading_zeros())),
    of_number!("Math.cos", libm::cos),
    of_number!("Math.cosh", libm::cosh),
    // The nearest number to e, which the general way misses by one unit in the last place.
    of_number!("Math.exp", |n| if n == 1.0 {
        consts::E
    } else {
        libm::exp(n)
    }),
    of_number!("Math.expm1", libm::expm1),
    of_number!("Math.floor", f64::floor),
    of_number!("Math.fround", |n| f64::from(n as f32)),
    pure("Math.hypot", hypot),
    pure("Math.imul", |m, args| {
        let (a, b) = (
            to_int32(m.number_of(args.get(0))?),
            to_int32(m.number_of(args.get(1))?),
        );
        Ok(Val::Num(f64::from(a.wrapping_mul(b))))
    }),
    of_number!("Math.log", libm::log),
    of_number!("Math.log10", libm::log10),
    of_number!("Math.log1p", libm::log1p),
    of_number!("Math.log2", libm::log2),
    pure("Math.max", |m, args| {
        extreme(m, args, f64::NEG_INFINITY, |a, b| a > b)
    }),
    pure("Math.min", |m, args| {
        extreme(m, args, f64::INFINITY, |a, b| a < b)
    }),
    pure("Math.pow", |m, args| {
        Ok(Val::Num(power(
            m.number_of(args.get(0))?,
            m.number_of(args.get(1))?,
        )))
    }),
    Function {
        name: "Math.random",
        callbacks: 0,
        purity: Purity::Random,
        run: |m, _| Ok(Val::Num(m.next_random())),
    },
    of_number!("Math.round", round),
    of_number!("Math.sign", |n| if n == 0.0 || n.is_nan() {
        n
    } else {
        n.signum()
    }),
    of_number!("Math.sin", libm::sin),
    of_number!("Math.sinh", libm::sinh),
    of_number!("Math.sqrt", f64::sqrt),
    of_number!("Math.tan", libm::tan),
    of_number!("Math.tanh", libm::tanh),
    of_number!("Math.trunc", f64::trunc),
];

/// Halves go up, also below zero; a result of zero keeps the sign.
fn round(n: f64) -> f64 {
    let floor = n.floor();
    let rounded = if n - floor >= 0.5 { floor + 1.0 } else { floor };
    rounded.copysign(n)
}

/// The greatest or least; NaN if one is, and +0 counts above -0.
fn extreme<'a>(
    m: &mut Machine<'a>,
    args: Args<'a, '_>,
    start: f64,
    beats: fn(f64, f64) -> bool,
) -> Outcome<'a> {
    let mut best = start;
    for arg in args.0 {
        let n = m.number_of(*arg)?;
        let zeros = n == 0.0 && best == 0.0;
        let signed = |n: f64| if n.is_sign_negative() { -1.0 } else { 1.0 };
        if best.is_nan() {
            continue;
        }
        if n.is_nan() || beats(n, best) || zeros && beats(signed(n), signed(best)) {
            best = n;
        }
    }
    Ok(Val::Num(best))
}

fn hypot<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (mut largest, mut unknown) = (0.0_f64, false);
    let mut numbers: Vec<f64> = Vec::new();
    m.reserve(args.len() * 8)?;
    for arg in args.0 {
        let n = m.number_of(*arg)?.abs();
        unknown |= n.is_nan();
        largest = largest.max(n);
        numbers.push(n);
    }
    if largest.is_infinite() {
        return Ok(Val::Num(f64::INFINITY));
    }
    if unknown {
        return Ok(Val::Num(f64::NAN));
    }
    if largest == 0.0 {
        return Ok(Val::Num(0.0));
    }
    // Scaled against overflow, and summed with the lost low parts (Kahan).
    let (mut sum, mut lost) = (0.0, 0.0);
    for n in numbers {
        let scaled = n / largest;
        let part = scaled * scaled - lost;
        let next = sum + part;
        lost = (next - sum) - part;
        sum = next;
    }
    Ok(Val::Num(sum.sqrt() * largest))
}

/// The constant that is written so.
pub(crate) fn constant(name: &str) -> Option<f64> {
    CONSTANTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}
