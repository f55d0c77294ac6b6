//! Two times: how far apart, which is between, whether they are the same.

use super::{
    arguments::{time_like, unit, units},
    receiver,
};
use crate::{
    error::Fault,
    library::{Args, Outcome},
    machine::Machine,
    time::{date_time::DateTime, duration::Unit},
    value::{Instance, Val},
};

pub(super) fn diff<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = time_like(m, args.get(0))?;
    let units = units(m, args.get(1), Unit::Milliseconds)?;
    m.instance(Instance::Duration(receiver(this).diff(other, &units)))
}

pub(super) fn diff_now<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let units = units(m, args.get(0), Unit::Milliseconds)?;
    let now = m.now()?;
    m.instance(Instance::Duration(receiver(this).diff(now, &units)))
}

/// The extension's form: how far the other is ahead, as a number of one unit, days without one; or
/// as an object of several.
fn ahead<'a>(
    m: &mut Machine<'a>,
    this: DateTime<'a>,
    other: DateTime<'a>,
    wanted: Val<'a>,
) -> Outcome<'a> {
    let units = units(m, wanted, Unit::Days)?;
    let duration = other.diff(this, &units);
    match units[..] {
        [unit] => Ok(Val::Num(duration.get(unit))),
        _ => crate::library::duration::object(m, &duration),
    }
}

pub(super) fn diff_to<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = time_like(m, args.get(0))?;
    ahead(m, receiver(this), other, args.get(1))
}

pub(super) fn diff_to_now<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let now = m.now()?;
    ahead(m, receiver(this), now, args.get(0))
}

pub(super) fn has_same<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let other = time_like(m, args.get(0))?;
    let unit = unit(m, args.get(1))?;
    Ok(Val::Bool(receiver(this).has_same(other, unit)))
}

pub(super) fn equals<'a>(_: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let (a, b) = (receiver(this), args.get(0));
    let Val::Instance(Instance::DateTime(b)) = b else {
        return Ok(Val::Bool(false));
    };
    let same = a.is_valid() && b.is_valid() && a.millis == b.millis;
    Ok(Val::Bool(same && a.zone == b.zone && a.locale == b.locale))
}

/// Strictly between the two, whichever is the earlier.
pub(in crate::library) fn is_between<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    if args.len() < 2 {
        return Err(Fault::new(
            "TYPE_ARGUMENT",
            "two dates are needed to be between",
        ));
    }
    let at = time_like(m, this)?.number();
    let a = time_like(m, args.get(0))?.number();
    let b = time_like(m, args.get(1))?.number();
    Ok(Val::Bool(a.min(b) < at && at < a.max(b)))
}

pub(super) fn until<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let end = time_like(m, args.get(0))?;
    crate::library::interval::between(m, receiver(this), end)
}
