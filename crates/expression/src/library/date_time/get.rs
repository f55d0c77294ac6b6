//! The getters of `DateTime`.

use super::receiver;
use crate::{
    error::Fault,
    library::{Args, Outcome},
    machine::Machine,
    time::{
        civil::{days_in_month, days_in_year, is_leap, weeks_in},
        date_time::DateTime,
        tokens::{offset_minutes, zone_name},
        zone::Zone,
    },
    value::Val,
};

/// A number of what clocks show, by its name.
fn number(time: &DateTime<'_>, key: &str) -> Option<f64> {
    let civil = time.civil();
    let (first, least) = time.locale.week();
    let value = match key {
        "year" => civil.year,
        "quarter" => civil.quarter(),
        "month" => civil.month,
        "day" => civil.day,
        "hour" => civil.hour,
        "minute" => civil.minute,
        "second" => civil.second,
        "millisecond" => civil.milli,
        "weekday" => civil.weekday(),
        "weekNumber" => civil.week(1, 4).1,
        "weekYear" => civil.week(1, 4).0,
        "localWeekday" => (civil.weekday() - first).rem_euclid(7) + 1,
        "localWeekNumber" => civil.week(first, least).1,
        "localWeekYear" => civil.week(first, least).0,
        "ordinal" => civil.ordinal(),
        "offset" => i64::from(offset_minutes(time)),
        "daysInMonth" => days_in_month(civil.year, civil.month),
        "daysInYear" => days_in_year(civil.year),
        "weeksInWeekYear" => weeks_in(civil.week(1, 4).0, 1, 4),
        "ts" => time.millis,
        _ => return None,
    };
    Some(if time.is_valid() {
        value as f64
    } else {
        f64::NAN
    })
}

pub(super) fn getter<'a>(
    m: &mut Machine<'a>,
    time: &DateTime<'a>,
    key: &str,
) -> Result<Option<Val<'a>>, Fault> {
    if let Some(number) = number(time, key) {
        return Ok(Some(Val::Num(number)));
    }
    let valid = time.is_valid();
    let civil = time.civil();
    let flag = match key {
        "isValid" => Some(valid),
        "isWeekend" => Some(valid && civil.weekday() > 5),
        "isInLeapYear" => Some(valid && is_leap(civil.year)),
        "isInDST" => Some(valid && time.zone.is_summer(time.millis)),
        "isOffsetFixed" => Some(time.zone.is_fixed()),
        "isLuxonDateTime" => Some(true),
        _ => None,
    };
    if let Some(flag) = flag {
        return Ok(Some(Val::Bool(flag)));
    }
    let text = match key {
        "monthLong" => time.locale.name("LLLL", civil.month - 1).to_owned(),
        "monthShort" => time.locale.name("LLL", civil.month - 1).to_owned(),
        "weekdayLong" => time.locale.name("cccc", civil.weekday() - 1).to_owned(),
        "weekdayShort" => time.locale.name("ccc", civil.weekday() - 1).to_owned(),
        "zoneName" => time.zone.name(),
        "offsetNameShort" => zone_name(time, time.locale, false),
        "offsetNameLong" => zone_name(time, time.locale, true),
        "locale" => time.locale.tag().to_owned(),
        "invalidReason" | "invalidExplanation" => {
            return match time.invalid {
                Some(why) => m.copy_text(why.reason()).map(Some),
                None => Ok(Some(Val::Null)),
            };
        }
        // The zone stands for itself where a zone is asked for.
        "zone" => match time.zone {
            Zone::Named(name) => name.to_owned(),
            fixed @ Zone::Fixed(_) => fixed.name(),
        },
        _ => return Ok(None),
    };
    if valid {
        m.copy_text(&text).map(Some)
    } else {
        Ok(Some(Val::Null))
    }
}

/// `get('year')`.
pub(super) fn by_name<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let name = m.text_of(args.get(0))?.utf8().unwrap_or_default();
    let found = getter(m, &receiver(this), name)?;
    Ok(found.unwrap_or(Val::Undefined))
}

/// `extract('month')`: a field by the name of its unit; the week without one.
pub(in crate::library) fn extract<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let time = super::arguments::time_like(m, this)?;
    let name = match args.get(0) {
        Val::Undefined => "week",
        name => m.text_of(name)?.utf8().unwrap_or_default(),
    };
    let key = match name.strip_suffix('s').unwrap_or(name) {
        "week" => "weekNumber",
        "yearDayNumber" => "ordinal",
        key => key,
    };
    match number(&time, key) {
        Some(number) => Ok(Val::Num(number)),
        None => Err(Fault::new("TYPE_ARGUMENT", "a date has no such part")
            .hint("write `year`, `month`, `week`, `day`, `hour`, `minute` or `second`")),
    }
}
