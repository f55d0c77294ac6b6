//! Methods of numbers and booleans, `Number`, `Boolean` and their like.

use super::{
    Args, Function, Method, Outcome, intl, method, object::has_own_property, pure, string::itself,
};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    machine::Machine,
    value::{
        MAX_SAFE, Text, Val, exponential_text, fixed, number_text, parse_float, parse_int, precise,
        radix_text, to_int32,
    },
};

pub(super) const METHODS: &[Method] = &[
    method("hasOwnProperty", has_own_property),
    method("toExponential", to_exponential),
    method("toFixed", to_fixed),
    method("toLocaleString", intl::to_locale_string),
    method("toPrecision", to_precision),
    method("toString", to_string),
    method("valueOf", itself),
];

pub(super) const BOOLEAN_METHODS: &[Method] = &[
    method("hasOwnProperty", has_own_property),
    method("toString", boolean_to_string),
    method("valueOf", itself),
];

fn boolean_to_string<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(this)?;
    m.text_value(text)
}

/// How many digits are asked for; refused outside `low..=100`.
fn digits<'a>(m: &mut Machine<'a>, value: Val<'a>, low: f64) -> Result<usize, Fault> {
    let digits = m.integer(value)?;
    if !(low..=100.0).contains(&digits) && holds(Guard::ArgumentRange) {
        return Err(Fault::new(
            "TYPE_RANGE",
            format!("the digits must be {low} to 100"),
        ));
    }
    Ok(digits as usize)
}

fn to_fixed<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let n = m.number_of(this)?;
    let digits = digits(m, args.get(0), 0.0)?;
    if n.is_nan() || n.abs() >= 1e21 {
        return m.copy_text(number_text(n).as_str());
    }
    m.copy_text(&fixed(n, digits))
}

fn to_precision<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let n = m.number_of(this)?;
    if matches!(args.get(0), Val::Undefined) || !n.is_finite() {
        return m.copy_text(number_text(n).as_str());
    }
    let digits = digits(m, args.get(0), 1.0)?;
    m.copy_text(&precise(n, digits, false))
}

fn to_exponential<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let n = m.number_of(this)?;
    if !n.is_finite() {
        return m.copy_text(number_text(n).as_str());
    }
    match args.get(0) {
        Val::Undefined => m.copy_text(exponential_text(n).as_str()),
        value => {
            let digits = digits(m, value, 0.0)? + 1;
            m.copy_text(&precise(n, digits, true))
        }
    }
}

fn to_string<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let radix = match args.get(0) {
        Val::Undefined => 10.0,
        radix => m.integer(radix)?,
    };
    if !(2.0..=36.0).contains(&radix) && holds(Guard::ArgumentRange) {
        return Err(Fault::new("TYPE_RANGE", "the base must be 2 to 36"));
    }
    let n = m.number_of(this)?;
    if radix == 10.0 || !n.is_finite() {
        let text = m.text_of(this)?;
        return m.text_value(text);
    }
    m.copy_text(&radix_text(n, radix as u32))
}

pub(super) const FUNCTIONS: [Function; 13] = [
    pure("Boolean", |_, args| Ok(Val::Bool(args.get(0).truthy()))),
    pure("Number", |m, args| {
        if args.len() == 0 {
            Ok(Val::Num(0.0))
        } else {
            m.number_of(args.get(0)).map(Val::Num)
        }
    }),
    pure("Number.isFinite", |_, args| {
        Ok(Val::Bool(own_number(args.get(0)).is_finite()))
    }),
    pure("Number.isInteger", |_, args| {
        let n = own_number(args.get(0));
        Ok(Val::Bool(n.is_finite() && n.trunc() == n))
    }),
    pure("Number.isNaN", |_, args| {
        Ok(Val::Bool(matches!(args.get(0), Val::Num(n) if n.is_nan())))
    }),
    pure("Number.isSafeInteger", |_, args| {
        let n = own_number(args.get(0));
        Ok(Val::Bool(n.trunc() == n && n.abs() <= MAX_SAFE as f64))
    }),
    pure("Number.parseFloat", float_of),
    pure("Number.parseInt", int_of),
    pure("String", string_of),
    pure("isFinite", |m, args| {
        Ok(Val::Bool(m.number_of(args.get(0))?.is_finite()))
    }),
    pure("isNaN", |m, args| {
        Ok(Val::Bool(m.number_of(args.get(0))?.is_nan()))
    }),
    pure("parseFloat", float_of),
    pure("parseInt", int_of),
];

/// A number without conversion; NaN for all else.
fn own_number(value: Val<'_>) -> f64 {
    match value {
        Val::Num(n) => n,
        Val::Exact(n) => n.as_f64().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

fn string_of<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    if args.len() == 0 {
        return Ok(Val::EMPTY);
    }
    if args.get(0).text().is_some() {
        return Ok(args.get(0));
    }
    let text = m.text_of(args.get(0))?;
    m.text_value(text)
}

fn float_of<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    m.scan(text.size())?;
    Ok(Val::Num(match text {
        Text::Utf8(s) => parse_float(s),
        Text::Wide(_) => parse_float(&text.well_formed()),
    }))
}

fn int_of<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    m.scan(text.size())?;
    m.reserve(text.size())?;
    let radix = to_int32(m.number_of(args.get(1))?);
    Ok(Val::Num(match text {
        Text::Utf8(s) => parse_int(s, radix),
        Text::Wide(_) => parse_int(&text.well_formed(), radix),
    }))
}
