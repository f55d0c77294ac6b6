//! `Duration` as luxon has it.

use super::{
    Args, Function, Method, Outcome,
    date_time::{duration_like, duration_object, unit, units},
    method, pure,
};
use crate::{
    error::Fault,
    machine::Machine,
    time::{
        duration::{Duration, Unit},
        tokens::{Token, padded, split},
    },
    value::{Entries, Instance, Text, Val, fixed, strictly_equal},
};

pub(super) const FUNCTIONS: [Function; 4] = [
    pure("Duration.fromISO", |m, args| {
        let text = m.text_of(args.get(0))?;
        m.scan(text.size())?;
        let parsed = text.utf8().and_then(Duration::parse_iso);
        made(m, parsed.unwrap_or(Duration::INVALID))
    }),
    pure("Duration.fromMillis", |m, args| {
        let millis = m.number_of(args.get(0))?;
        made(m, Duration::of(Unit::Milliseconds, millis))
    }),
    pure("Duration.fromObject", |m, args| {
        let mut duration = duration_object(m, args.get(0))?;
        if !args.get(1).is_nullish() {
            let accuracy = m.own(args.get(1), Text::Utf8("conversionAccuracy"))?;
            let longterm = Val::Temp(&"longterm");
            duration.longterm = accuracy.is_some_and(|value| strictly_equal(value, longterm));
        }
        made(m, duration)
    }),
    pure("Duration.isDuration", |_, args| {
        let is = matches!(args.get(0), Val::Instance(Instance::Duration(_)));
        Ok(Val::Bool(is))
    }),
];

pub(super) const METHODS: &[Method] = &[
    method("as", |m, this, args| {
        let unit = unit(m, args.get(0))?;
        Ok(Val::Num(receiver(this).amount(unit)))
    }),
    method("equals", |_, this, args| {
        let Val::Instance(Instance::Duration(other)) = args.get(0) else {
            return Ok(Val::Bool(false));
        };
        let this = receiver(this);
        let same = Unit::ALL
            .iter()
            .all(|unit| this.get(*unit) == other.get(*unit));
        Ok(Val::Bool(same))
    }),
    method("get", |m, this, args| {
        let unit = unit(m, args.get(0))?;
        Ok(Val::Num(receiver(this).get(unit)))
    }),
    method("minus", |m, this, args| {
        let other = duration_like(m, args)?.negate();
        made(m, receiver(this).plus(&other))
    }),
    method("negate", |m, this, _| made(m, receiver(this).negate())),
    method("normalize", |m, this, _| {
        made(m, receiver(this).normalize())
    }),
    method("plus", |m, this, args| {
        let other = duration_like(m, args)?;
        made(m, receiver(this).plus(&other))
    }),
    method("removeZeros", |m, this, _| {
        made(m, receiver(this).without_zeros())
    }),
    method("rescale", |m, this, _| {
        made(
            m,
            receiver(this).normalize().shift_to(&LARGE).without_zeros(),
        )
    }),
    method("set", |m, this, args| {
        let mut duration = receiver(this);
        let other = duration_object(m, args.get(0))?;
        for (value, new) in duration.values.iter_mut().zip(other.values) {
            *value = new.or(*value);
        }
        made(m, duration)
    }),
    method("shiftTo", |m, this, args| {
        m.walk(args.len())?;
        let mut wanted = Vec::new();
        for arg in args.0 {
            wanted.extend(units(m, *arg, Unit::Days)?);
        }
        made(m, receiver(this).shift_to(&wanted))
    }),
    method("shiftToAll", |m, this, _| {
        made(m, receiver(this).shift_to(&LARGE))
    }),
    method("toFormat", to_format),
    method("toHuman", to_human),
    method("toISO", to_iso),
    method("toJSON", to_iso),
    method("toMillis", |_, this, _| {
        Ok(Val::Num(receiver(this).millis()))
    }),
    method("toObject", |m, this, _| object(m, &receiver(this))),
    method("toString", to_iso),
    method("valueOf", |_, this, _| {
        Ok(Val::Num(receiver(this).millis()))
    }),
];

/// What `shiftToAll` shifts to: quarters have no place in it.
const LARGE: [Unit; 8] = [
    Unit::Years,
    Unit::Months,
    Unit::Weeks,
    Unit::Days,
    Unit::Hours,
    Unit::Minutes,
    Unit::Seconds,
    Unit::Milliseconds,
];

/// The receiver; the table is only asked for these.
fn receiver(this: Val<'_>) -> Duration {
    match this {
        Val::Instance(Instance::Duration(duration)) => *duration,
        _ => Duration::INVALID,
    }
}

fn made<'a>(m: &mut Machine<'a>, duration: Duration) -> Outcome<'a> {
    m.instance(Instance::Duration(duration))
}

fn to_iso<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    match duration_json(&receiver(this)) {
        Some(text) => m.copy_text(&text),
        None => Ok(Val::Null),
    }
}

/// What `JSON.stringify` writes; null for an invalid one.
pub(crate) fn duration_json(duration: &Duration) -> Option<String> {
    duration.valid.then(|| duration.iso())
}

/// An object of the units that are named.
pub(super) fn object<'a>(m: &mut Machine<'a>, duration: &Duration) -> Outcome<'a> {
    let mut entries = Entries::default();
    for unit in Unit::ALL {
        if let (Some(value), true) = (duration.values[unit as usize], duration.valid) {
            m.reserve_entry(&entries)?;
            entries.push(Text::Utf8(unit.name()), Val::Num(value));
        }
    }
    m.object(entries)
}

/// A member that is no method.
pub(crate) fn duration_get<'a>(duration: &Duration, key: &str) -> Option<Val<'a>> {
    match key {
        "isValid" => Some(Val::Bool(duration.valid)),
        "isLuxonDuration" => Some(Val::Bool(true)),
        "invalidReason" | "invalidExplanation" if duration.valid => Some(Val::Null),
        "invalidReason" | "invalidExplanation" => Some(Val::Temp(&"unparsable")),
        key => Unit::ALL
            .into_iter()
            .find(|unit| unit.name() == key)
            .map(|unit| Val::Num(duration.get(unit))),
    }
}

/// `hh:mm:ss`: each letter is a unit, as many as it has are its least digits.
fn to_format<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let format = m.text_of(args.get(0))?;
    m.scan(format.size())?;
    m.check_string(format.size())?;
    m.charge((format.size() / 8) as u64)?;
    let duration = receiver(this);
    if !duration.valid {
        return m.copy_text("Invalid Duration");
    }
    let unit_of = |letters: &str| {
        Some(match letters.chars().next()? {
            'S' => Unit::Milliseconds,
            's' => Unit::Seconds,
            'm' => Unit::Minutes,
            'h' => Unit::Hours,
            'd' => Unit::Days,
            'w' => Unit::Weeks,
            'M' => Unit::Months,
            'y' => Unit::Years,
            _ => return None,
        })
    };
    let tokens = split(&format.well_formed());
    let used = |token: &Token| match token {
        Token::Letters(letters) => unit_of(letters),
        Token::Literal(_) => None,
    };
    let wanted: Vec<Unit> = tokens.iter().filter_map(used).collect();
    let shifted = duration.shift_to(&wanted);
    let mut text = String::new();
    for token in &tokens {
        match (token, used(token)) {
            (Token::Letters(letters), Some(unit)) => {
                let whole = shifted.get(unit).floor();
                text += &padded(whole as i64, letters.len());
            }
            (Token::Letters(text_part) | Token::Literal(text_part), _) => text += text_part,
        }
        m.check_string(text.len())?;
    }
    m.copy_text(&text)
}

/// `1 hour, 30 minutes`, in English.
fn to_human<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let duration = receiver(this);
    if !duration.valid {
        return m.copy_text("Invalid Duration");
    }
    let mut parts = Vec::new();
    for unit in Unit::ALL {
        if let Some(value) = duration.values[unit as usize] {
            let name = if value.abs() == 1.0 {
                unit.singular()
            } else {
                unit.name()
            };
            parts.push(format!("{} {name}", plain(value)));
        }
    }
    m.copy_text(&parts.join(", "))
}

/// Up to three decimal places.
fn plain(n: f64) -> String {
    let text = fixed(n, 3);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A unit of time must be positive where a list is made by it.
#[cold]
pub(super) fn no_step() -> Fault {
    Fault::new("TYPE_ARGUMENT", "the step must be longer than nothing").hint("write `{ days: 1 }`")
}
