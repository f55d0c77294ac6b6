//! `in 3 days`, `2 hours ago`, `tomorrow`. These texts are English.

use super::{
    arguments::{number_option, time_like, units},
    receiver,
};
use crate::{
    error::Fault,
    library::{Args, Outcome, intl::choice},
    machine::Machine,
    time::{
        date_time::DateTime,
        duration::{Duration, Unit},
    },
    value::{Text, Val, number_text},
};

struct Asked<'a> {
    base: DateTime<'a>,
    units: Vec<Unit>,
    one: bool,
    padding: f64,
    round: bool,
    rounding: usize,
}

fn asked<'a>(
    m: &mut Machine<'a>,
    time: &DateTime<'a>,
    options: Val<'a>,
    usual: &[Unit],
) -> Result<Asked<'a>, Fault> {
    let now = DateTime {
        zone: time.zone,
        ..m.now()?
    };
    let mut asked = Asked {
        base: now,
        units: usual.to_vec(),
        one: false,
        padding: 0.0,
        round: true,
        rounding: 0,
    };
    if options.is_nullish() {
        return Ok(asked);
    }
    if let Some(base) = m
        .own(options, Text::Utf8("base"))?
        .filter(|base| !base.is_nullish())
    {
        asked.base = time_like(m, base)?;
    }
    if let Some(unit) = m
        .own(options, Text::Utf8("unit"))?
        .filter(|unit| !unit.is_nullish())
    {
        asked.one = unit.items().is_none();
        asked.units = units(m, unit, Unit::Days)?;
    }
    if asked.units.is_empty() {
        return Err(Fault::new("TYPE_ARGUMENT", "at least one unit is needed"));
    }
    asked.padding = number_option(m, options, "padding")?.unwrap_or(0.0);
    let round = m.own(options, Text::Utf8("round"))?;
    asked.round = !matches!(round, Some(Val::Bool(false)));
    let roundings = ["trunc", "round", "floor", "ceil", "expand"];
    asked.rounding = choice(m, options, "rounding", &roundings)?.unwrap_or(0);
    Ok(asked)
}

pub(super) fn to_relative<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    const USUAL: [Unit; 6] = [
        Unit::Years,
        Unit::Months,
        Unit::Days,
        Unit::Hours,
        Unit::Minutes,
        Unit::Seconds,
    ];
    let time = receiver(this);
    let asked = asked(m, &time, args.get(0), &USUAL)?;
    if !time.is_valid() || !asked.base.is_valid() {
        return Ok(Val::Null);
    }
    let away = if time.millis < asked.base.millis {
        -1.0
    } else {
        1.0
    };
    let time = time.plus(&Duration::of(Unit::Milliseconds, asked.padding * away));
    let factor = if asked.round { 1.0 } else { 100.0 };
    let rounded = |n: f64| {
        let n = n * factor;
        let whole = match asked.rounding {
            0 => n.trunc(),
            1 => (n + 0.5).floor(),
            2 => n.floor(),
            3 => n.ceil(),
            _ if n > 0.0 => n.ceil(),
            _ => n.floor(),
        };
        whole / factor
    };
    let mut last = asked.units[asked.units.len() - 1];
    let mut count = if asked.base.millis > time.millis {
        -0.0
    } else {
        0.0
    };
    for unit in &asked.units {
        let found = time.diff(asked.base, &[*unit]).get(*unit);
        if found.abs() >= 1.0 || asked.one {
            (last, count) = (*unit, rounded(found));
            break;
        }
    }
    m.copy_text(&counted(last, count))
}

fn counted(unit: Unit, count: f64) -> String {
    let size = count.abs();
    let name = if size == 1.0 {
        unit.singular()
    } else {
        unit.name()
    };
    let text = number_text(size);
    if count.is_sign_negative() {
        format!("{} {name} ago", text.as_str())
    } else {
        format!("in {} {name}", text.as_str())
    }
}

pub(super) fn to_relative_calendar<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let time = receiver(this);
    let usual = [Unit::Years, Unit::Months, Unit::Days];
    let asked = asked(m, &time, args.get(0), &usual)?;
    if !time.is_valid() || !asked.base.is_valid() {
        return Ok(Val::Null);
    }
    let mut last = asked.units[asked.units.len() - 1];
    let mut count = 0.0;
    for unit in &asked.units {
        let found = if time.has_same(asked.base, *unit) {
            0.0
        } else {
            let (a, b) = (
                time.start_of(*unit, false),
                asked.base.start_of(*unit, false),
            );
            a.diff(b, &[*unit]).get(*unit)
        };
        if found.abs() >= 1.0 || asked.one {
            (last, count) = (*unit, (found + 0.5).floor());
            break;
        }
    }
    let dated = last <= Unit::Days;
    let text = match (last, count) {
        (Unit::Days, 0.0) => "today".to_owned(),
        (Unit::Days, 1.0) => "tomorrow".to_owned(),
        (Unit::Days, -1.0) => "yesterday".to_owned(),
        (unit, 0.0) if dated => format!("this {}", unit.singular()),
        (unit, 1.0) if dated => format!("next {}", unit.singular()),
        (unit, -1.0) if dated => format!("last {}", unit.singular()),
        (unit, count) => counted(unit, count),
    };
    m.copy_text(&text)
}
