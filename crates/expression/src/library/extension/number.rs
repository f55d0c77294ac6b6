//! Methods of numbers.

use super::{Args, Outcome, value::named, wrong_argument};
use crate::{
    error::Fault,
    machine::Machine,
    value::{Val, number_text, parse_number},
};

/// Decimals beyond this change no double.
const MAX_DECIMALS: f64 = 100.0;

pub(super) fn abs<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Num(m.number_of(this)?.abs()))
}

pub(super) fn floor<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    to_decimals(m, "Math.floor", this, args)
}

pub(super) fn ceil<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    to_decimals(m, "Math.ceil", this, args)
}

pub(super) fn round<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    to_decimals(m, "Math.round", this, args)
}

/// Rounds to a number of decimals, which is 0 if it is not given.
///
/// The dot is moved in the number's text, so that 1.005 to two decimals is 1.01 as people expect.
fn to_decimals<'a>(
    m: &mut Machine<'a>,
    how: &str,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let decimals = m.integer(args.get(0))?;
    if !(0.0..=MAX_DECIMALS).contains(&decimals) {
        let message = format!("the decimals must be 0 to {MAX_DECIMALS}");
        return Err(Fault::new("TYPE_RANGE", message));
    }
    if decimals == 0.0 {
        return named(m, how, Args(&[this]));
    }
    let n = m.number_of(this)?;
    let moved = moved(n, decimals);
    if !moved.is_finite() {
        return Ok(Val::Num(n));
    }
    match named(m, how, Args(&[Val::Num(moved)]))? {
        Val::Num(rounded) => Ok(Val::Num(self::moved(rounded, -decimals))),
        other => Ok(other),
    }
}

/// A number times a power of ten, by the decimal digits that it is written with.
fn moved(n: f64, places: f64) -> f64 {
    let text = number_text(n);
    let (digits, exponent) = text
        .as_str()
        .split_once('e')
        .unwrap_or((text.as_str(), "0"));
    let exponent = parse_number(exponent.trim_start_matches('+')) + places;
    parse_number(&format!("{digits}e{exponent}"))
}

fn whole<'a>(m: &mut Machine<'a>, this: Val<'a>) -> Result<f64, Fault> {
    let n = m.number_of(this)?;
    if n.is_finite() && n.trunc() == n {
        return Ok(n);
    }
    Err(wrong_argument("only a whole number is even or odd"))
}

pub(super) fn is_even<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Bool(whole(m, this)? % 2.0 == 0.0))
}

pub(super) fn is_odd<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Bool(whole(m, this)? % 2.0 != 0.0))
}

pub(super) fn is_integer<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Bool(whole(m, this).is_ok()))
}
