//! Methods of moments.

use super::{Args, Method, Outcome, method};
use crate::{
    machine::Machine,
    value::{Moment, Val},
};

pub(super) const METHODS: &[Method] = &[
    method("getTime", millis),
    method("toISO", iso),
    method("toISODate", iso_date),
    method("toISOString", |m, this, _| {
        m.copy_text(&moment(this).iso_utc())
    }),
    method("toJSON", iso),
    method("toMillis", millis),
    method("toString", iso),
    method("valueOf", millis),
];

/// The receiver; the table is only asked for moments.
fn moment(this: Val<'_>) -> Moment {
    match this {
        Val::Moment(moment) => *moment,
        _ => Moment {
            millis: 0,
            offset_seconds: 0,
        },
    }
}

fn millis<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Num(moment(this).millis as f64))
}

fn iso<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    m.copy_text(&moment(this).iso())
}

fn iso_date<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let text = moment(this).iso();
    m.copy_text(text.split('T').next().unwrap_or_default())
}
