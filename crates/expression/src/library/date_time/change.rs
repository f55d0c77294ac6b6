//! Other times from a time: `plus`, `startOf`, `set`, `setZone` and their like.

use super::{
    arguments::{duration_like, field_values, flag, locale_option, time_like, unit, zone_of},
    receiver,
};
use crate::{
    error::Fault,
    library::{Args, Outcome},
    locale::Locale,
    machine::Machine,
    time::{
        date_time::{DateTime, Invalid},
        duration::Unit,
    },
    value::Val,
};

pub(in crate::library) fn plus<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let duration = duration_like(m, args)?;
    let time = time_like(m, this)?.plus(&duration);
    m.date_time(time)
}

pub(in crate::library) fn minus<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let duration = duration_like(m, args)?.negate();
    let time = time_like(m, this)?.plus(&duration);
    m.date_time(time)
}

/// The unit is a week where none is given, as the extension has it.
fn asked_unit<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Result<(Unit, bool), Fault> {
    let unit = match args.get(0) {
        Val::Undefined => Unit::Weeks,
        name => unit(m, name)?,
    };
    Ok((unit, flag(m, args.get(1), "useLocaleWeeks", false)?))
}

pub(in crate::library) fn start_of<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let (unit, local) = asked_unit(m, args)?;
    let time = time_like(m, this)?.start_of(unit, local);
    m.date_time(time)
}

pub(super) fn end_of<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (unit, local) = asked_unit(m, args)?;
    m.date_time(receiver(this).end_of(unit, local))
}

pub(in crate::library) fn end_of_month<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    let time = time_like(m, this)?.end_of(Unit::Months, false);
    m.date_time(time)
}

pub(super) fn set<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let time = receiver(this);
    if !time.is_valid() {
        return Ok(this);
    }
    let values = field_values(m, args.get(0))?;
    m.date_time(time.set(&values))
}

pub(super) fn set_zone<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let zone = zone_of(m, args.get(0))?;
    let keep = flag(m, args.get(1), "keepLocalTime", false)?;
    let time = receiver(this);
    m.date_time(match zone {
        Some(zone) => time.with_zone(zone, keep),
        None => DateTime::invalid(Invalid::Zone),
    })
}

pub(super) fn to_utc<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let offset = match args.get(0) {
        Val::Undefined => Val::Num(0.0),
        offset => offset,
    };
    let zone = zone_of(m, offset)?;
    let keep = flag(m, args.get(1), "keepLocalTime", false)?;
    m.date_time(match zone {
        Some(zone) => receiver(this).with_zone(zone, keep),
        None => DateTime::invalid(Invalid::Zone),
    })
}

pub(super) fn to_local<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let zone = m.zone()?;
    m.date_time(receiver(this).with_zone(zone, false))
}

fn in_locale<'a>(m: &mut Machine<'a>, this: Val<'a>, locale: Option<Locale>) -> Outcome<'a> {
    let time = receiver(this);
    let locale = locale.unwrap_or(time.locale);
    m.date_time(DateTime { locale, ..time })
}

pub(super) fn set_locale<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let locale = crate::library::intl::locale_of(args.get(0))?;
    in_locale(m, this, Some(locale))
}

pub(super) fn reconfigure<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let locale = locale_option(m, args.get(0))?;
    in_locale(m, this, locale)
}
