//! What `Date` writes.

use super::{get::time, locale, millis};
use crate::{
    error::Fault,
    library::{Method, Outcome, method},
    machine::Machine,
    time::{js, zone::Zone},
    value::{Instance, Val},
};

pub(super) const METHODS: &[Method] = &[
    method("toDateString", |m, this, _| written(m, this, js::date)),
    method("toGMTString", |m, this, _| {
        written(m, this, |at, _| js::utc(at))
    }),
    method("toISOString", |m, this, _| match millis(this) {
        Some(at) => m.copy_text(&js::iso(at)),
        None => Err(Fault::new("TYPE_RANGE", "an invalid date has no ISO text")
            .hint("check it first: `Number.isNaN(date.getTime())`")),
    }),
    method("toJSON", |m, this, _| match millis(this) {
        Some(at) => m.copy_text(&js::iso(at)),
        None => Ok(Val::Null),
    }),
    method("toLocaleDateString", locale::date),
    method("toLocaleString", locale::both),
    method("toLocaleTimeString", locale::time),
    method("toString", |m, this, _| written(m, this, whole)),
    method("toTimeString", |m, this, _| written(m, this, js::time)),
    method("toUTCString", |m, this, _| {
        written(m, this, |at, _| js::utc(at))
    }),
    method("valueOf", time),
];

pub(super) const INVALID: &str = "Invalid Date";

fn written<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    write: fn(i64, Zone<'_>) -> String,
) -> Outcome<'a> {
    let zone = m.zone()?;
    match millis(this) {
        Some(at) => m.copy_text(&write(at, zone)),
        None => m.copy_text(INVALID),
    }
}

fn whole(at: i64, zone: Zone<'_>) -> String {
    format!("{} {}", js::date(at, zone), js::time(at, zone))
}

impl<'a> Machine<'a> {
    /// `ToString` of a date.
    pub(crate) fn date_text(&self, time: f64) -> Result<String, Fault> {
        Ok(if time.is_nan() {
            INVALID.to_owned()
        } else {
            whole(time as i64, self.zone()?)
        })
    }
}

/// What `JSON.stringify` and the border write; null for an invalid date.
pub(crate) fn date_json(instance: &Instance<'_>) -> Option<String> {
    match instance {
        Instance::Date(time) if !time.is_nan() => Some(js::iso(*time as i64)),
        _ => None,
    }
}
