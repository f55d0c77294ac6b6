//! Getters of `Date`, in the workflow's zone and in UTC.

use super::millis;
use crate::{
    library::{Args, Method, Outcome, method, object::has_own_property},
    machine::Machine,
    time::civil::Civil,
    value::{Instance, Val},
};

pub(in crate::library) const METHODS: &[Method] = &[
    method("getDate", |m, this, _| local(m, this, |t| t.day)),
    method("getDay", |m, this, _| local(m, this, |t| t.weekday() % 7)),
    method("getFullYear", |m, this, _| local(m, this, |t| t.year)),
    method("getHours", |m, this, _| local(m, this, |t| t.hour)),
    method("getMilliseconds", |m, this, _| local(m, this, |t| t.milli)),
    method("getMinutes", |m, this, _| local(m, this, |t| t.minute)),
    method("getMonth", |m, this, _| local(m, this, |t| t.month - 1)),
    method("getSeconds", |m, this, _| local(m, this, |t| t.second)),
    method("getTime", time),
    method("getTimezoneOffset", |m, this, _| {
        let zone = m.zone()?;
        Ok(Val::Num(millis(this).map_or(f64::NAN, |at| {
            // A zone's offset was not always of whole minutes; no negative zero.
            -((zone.offset(at) / 60_000) as f64) + 0.0
        })))
    }),
    method("getUTCDate", |_, this, _| utc(this, |t| t.day)),
    method("getUTCDay", |_, this, _| utc(this, |t| t.weekday() % 7)),
    method("getUTCFullYear", |_, this, _| utc(this, |t| t.year)),
    method("getUTCHours", |_, this, _| utc(this, |t| t.hour)),
    method("getUTCMilliseconds", |_, this, _| utc(this, |t| t.milli)),
    method("getUTCMinutes", |_, this, _| utc(this, |t| t.minute)),
    method("getUTCMonth", |_, this, _| utc(this, |t| t.month - 1)),
    method("getUTCSeconds", |_, this, _| utc(this, |t| t.second)),
    // It has no keys.
    method("hasOwnProperty", has_own_property),
];

fn local<'a>(m: &mut Machine<'a>, this: Val<'a>, get: fn(&Civil) -> i64) -> Outcome<'a> {
    let zone = m.zone()?;
    let shown = millis(this).map(|at| Civil::of(at + zone.offset(at)));
    Ok(Val::Num(shown.map_or(f64::NAN, |t| get(&t) as f64)))
}

fn utc<'a>(this: Val<'a>, get: fn(&Civil) -> i64) -> Outcome<'a> {
    let shown = millis(this).map(Civil::of);
    Ok(Val::Num(shown.map_or(f64::NAN, |t| get(&t) as f64)))
}

/// The time value.
pub(super) fn time<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(match this {
        Val::Instance(Instance::Date(time)) => Val::Num(*time),
        _ => Val::Num(f64::NAN),
    })
}
