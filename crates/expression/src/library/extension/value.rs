//! Conversions, emptiness, and the functions that begin with `$`.

use super::{super as library, Args, Function, Outcome, plain};
use crate::{
    Purity,
    error::Fault,
    machine::Machine,
    value::{Text, Val, parse_float, parse_int, parse_number},
};
use library::{function, json, json_parse, pure};

/// `$if` stands here for the name; a call of it with three arguments is compiled as `a ? b : c`.
pub(in super::super) const FUNCTIONS: [Function; 5] = [
    pure("$if", |_, args| {
        Ok(args.get(if args.get(0).truthy() { 1 } else { 2 }))
    }),
    pure("$ifEmpty", |m, args| {
        let value = args.get(0);
        let empty = empty(m, value)?;
        Ok(if empty { args.get(1) } else { value })
    }),
    Function {
        name: "$max",
        callbacks: 0,
        purity: Purity::Pure,
        run: |m, args| named(m, "Math.max", args),
    },
    Function {
        name: "$min",
        callbacks: 0,
        purity: Purity::Pure,
        run: |m, args| named(m, "Math.min", args),
    },
    pure("$not", |_, args| Ok(Val::Bool(!args.get(0).truthy()))),
];

/// Runs a function of the tables.
pub(super) fn named<'a>(m: &mut Machine<'a>, name: &str, args: Args<'a, '_>) -> Outcome<'a> {
    let function = function(name)
        .ok_or_else(|| Fault::new("TYPE_INTERNAL", format!("there is no function `{name}`")))?;
    (function.run)(m, args)
}

/// Whether a value is null, undefined, or a text, list or object without anything in it.
fn empty<'a>(m: &mut Machine<'a>, value: Val<'a>) -> Result<bool, Fault> {
    Ok(match value {
        Val::Undefined | Val::Null => true,
        Val::JsonObject(map) => map.is_empty(),
        Val::Object(object) => object.entries().is_empty(),
        _ => match (value.text(), value.items()) {
            (Some(text), _) => text.is_empty(),
            (_, Some(items)) => items.len() == 0,
            _ => {
                m.charge(1)?;
                false
            }
        },
    })
}

pub(super) fn is_empty<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Bool(empty(m, this)?))
}

pub(super) fn is_not_empty<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Bool(!empty(m, this)?))
}

pub(super) fn to_json_string<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    (json::STRINGIFY.run)(m, Args(&[this]))
}

pub(super) fn parse_json<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    (json_parse::PARSE.run)(m, Args(&[this]))
}

/// A number that a text means, without spaces and one sign of a currency around it.
fn amount(text: &str) -> &str {
    let currency = |c: char| matches!(c, '$' | '€' | '£' | '¥' | '₹' | '₽' | '₩' | '₿');
    let text = text.trim();
    let text = text.strip_prefix(currency).unwrap_or(text);
    text.strip_suffix(currency).unwrap_or(text).trim()
}

#[cold]
fn no_number() -> Fault {
    Fault::new("TYPE_NUMBER", "the text is not a number")
        .hint("test it first: `text.isNumeric() ? text.toNumber() : 0`")
}

fn checked<'a>(n: f64) -> Outcome<'a> {
    if n.is_nan() {
        return Err(no_number());
    }
    Ok(Val::Num(n))
}

pub(super) fn to_number<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    if this.text().is_none() {
        return match this {
            Val::Num(_) | Val::Exact(_) => Ok(this),
            other => m.number_of(other).map(Val::Num),
        };
    }
    let text = plain(m, this)?;
    match amount(&text) {
        "" => Err(no_number()),
        text => checked(parse_number(text)),
    }
}

pub(super) fn to_int<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    if this.text().is_none() {
        return Ok(Val::Num(m.number_of(this)?.trunc() + 0.0));
    }
    let radix = crate::value::to_int32(m.number_of(args.get(0))?);
    let text = plain(m, this)?;
    checked(parse_int(amount(&text), radix))
}

pub(super) fn to_float<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let text = plain(m, this)?;
    checked(parse_float(amount(&text)))
}

/// Of a text: false if it is empty, `false`, `no` or `0`; of a number: false if it is 0 or NaN.
pub(super) fn to_boolean<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let truth = match this.text() {
        Some(Text::Utf8(text)) => !["", "0", "no", "false"]
            .iter()
            .any(|no| text.eq_ignore_ascii_case(no)),
        _ => this.truthy(),
    };
    Ok(Val::Bool(truth))
}

/// Whether a text without spaces is a number as JavaScript writes one.
pub(super) fn is_numeric<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let text = plain(m, this)?;
    let plain = !text.is_empty() && !text.contains(char::is_whitespace);
    Ok(Val::Bool(plain && !parse_number(&text).is_nan()))
}
