//! `toLocaleString` and its like.

use super::{millis, text::INVALID};
use crate::{
    error::Fault,
    library::{
        Args, Outcome,
        intl::{date_fields, locale_of},
    },
    machine::Machine,
    time::format,
    value::Val,
};

pub(super) fn date<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    written(m, this, args, true, false)
}

pub(super) fn time<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    written(m, this, args, false, true)
}

pub(super) fn both<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    written(m, this, args, true, true)
}

/// Arguments: locales, options. The date, the time or both are written where the options name no
/// field of these.
fn written<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    date: bool,
    time: bool,
) -> Outcome<'a> {
    // An invalid date is not asked how it should be written.
    let Some(at) = millis(this) else {
        return m.copy_text(INVALID);
    };
    let locale = locale_of(args.get(0))?;
    let (mut fields, zone) = date_fields(m, args.get(1), locale)?;
    let wrong_style = match (date, time) {
        (true, false) => fields.time_style.is_some(),
        (false, true) => fields.date_style.is_some(),
        _ => false,
    };
    if wrong_style {
        let message = "this method takes no style of the other kind";
        return Err(Fault::new("TYPE_OPTION", message).hint("call `toLocaleString`"));
    }
    let named = date && fields.has_date() || time && fields.has_time();
    if !named && !fields.has_style() {
        if date {
            fields = fields.with_date();
        }
        if time {
            fields = fields.with_time();
        }
    }
    m.copy_text(&format::text(at, zone, locale, &fields))
}
