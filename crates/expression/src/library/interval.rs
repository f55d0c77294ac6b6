//! `Interval` as luxon has it: from a time up to another, which is not in it.

use super::{
    Args, Function, Method, Outcome,
    date_time::{duration_like, time_like, unit, units},
    duration::no_step,
    method, pure,
};
use crate::{
    Purity,
    error::Fault,
    guard::{self, Guard},
    machine::Machine,
    time::{
        date_time::{DateTime, Invalid},
        duration::{Duration, Unit},
        luxon_iso::{self, IsoOptions},
    },
    value::{Instance, Val},
};

/// Start and end; valid if both are and stand in this order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval<'a> {
    pub(crate) start: DateTime<'a>,
    pub(crate) end: DateTime<'a>,
}

impl Interval<'_> {
    pub(crate) fn is_valid(&self) -> bool {
        self.start.is_valid() && self.end.is_valid() && self.start.millis <= self.end.millis
    }

    /// `start/end`, or nothing if it is invalid.
    pub(crate) fn iso(&self) -> Option<String> {
        let text = |time| luxon_iso::both(time, &IsoOptions::DEFAULT);
        self.is_valid()
            .then(|| format!("{}/{}", text(&self.start), text(&self.end)))
    }

    fn length(&self) -> i64 {
        self.end.millis - self.start.millis
    }
}

const INVALID: &str = "Invalid Interval";

pub(super) const FUNCTIONS: [Function; 5] = [
    pure("Interval.after", |m, args| {
        let start = time_like(m, args.get(0))?;
        let duration = duration_like(m, Args(args.0.get(1..).unwrap_or_default()))?;
        between(m, start, start.plus(&duration))
    }),
    pure("Interval.before", |m, args| {
        let end = time_like(m, args.get(0))?;
        let duration = duration_like(m, Args(args.0.get(1..).unwrap_or_default()))?;
        between(m, end.plus(&duration.negate()), end)
    }),
    // An object of fields is completed from the clock.
    Function {
        name: "Interval.fromDateTimes",
        callbacks: 0,
        purity: Purity::Time,
        run: |m, args| {
            let (start, end) = (time_like(m, args.get(0))?, time_like(m, args.get(1))?);
            between(m, start, end)
        },
    },
    Function {
        name: "Interval.fromISO",
        callbacks: 0,
        purity: Purity::Time,
        run: from_iso,
    },
    pure("Interval.isInterval", |_, args| {
        let is = matches!(args.get(0), Val::Instance(Instance::Interval(_)));
        Ok(Val::Bool(is))
    }),
];

pub(super) const METHODS: &[Method] = &[
    method("abutsEnd", |_, this, args| {
        compare(this, args, |a, b| b.end.millis == a.start.millis)
    }),
    method("abutsStart", |_, this, args| {
        compare(this, args, |a, b| a.end.millis == b.start.millis)
    }),
    method("contains", |m, this, args| {
        point(m, this, args, |i, at| {
            i.start.number() <= at && i.end.number() > at
        })
    }),
    method("count", |m, this, args| {
        let Interval { start, end } = receiver(this);
        let unit = units(m, args.get(0), Unit::Milliseconds)?;
        let [unit, ..] = unit[..] else {
            return Err(no_step());
        };
        if !receiver(this).is_valid() {
            return Ok(Val::Num(f64::NAN));
        }
        let last = end.start_of(unit, false);
        let whole = last
            .diff(start.start_of(unit, false), &[unit])
            .get(unit)
            .floor();
        let more = if last.millis == end.millis { 0.0 } else { 1.0 };
        Ok(Val::Num(whole + more))
    }),
    method("divideEqually", |m, this, args| {
        let parts = m.integer(args.get(0))?;
        let interval = receiver(this);
        if !interval.is_valid() {
            return split(m, interval, &Duration::INVALID, usize::MAX);
        }
        if !(1.0..=m.context.limits.array_len as f64).contains(&parts) {
            return Err(no_step());
        }
        let step = Duration::of(Unit::Milliseconds, interval.length() as f64 / parts);
        split(m, interval, &step, parts as usize)
    }),
    method("engulfs", |_, this, args| {
        compare(this, args, |a, b| {
            a.start.millis <= b.start.millis && a.end.millis >= b.end.millis
        })
    }),
    method("equals", |_, this, args| {
        compare(this, args, |a, b| {
            a.start.millis == b.start.millis && a.end.millis == b.end.millis
        })
    }),
    method("hasSame", |m, this, args| {
        let (interval, unit) = (receiver(this), unit(m, args.get(0))?);
        let last = interval.end.plus(&Duration::of(Unit::Milliseconds, -1.0));
        let same = interval.length() == 0 || last.has_same(interval.start, unit);
        Ok(Val::Bool(interval.is_valid() && same))
    }),
    method("intersection", |m, this, args| {
        let other = argument(args)?;
        let Interval { start, end } = receiver(this);
        let start = if start.millis > other.start.millis {
            start
        } else {
            other.start
        };
        let end = if end.millis < other.end.millis {
            end
        } else {
            other.end
        };
        if start.millis >= end.millis {
            return Ok(Val::Null);
        }
        between(m, start, end)
    }),
    method("isAfter", |m, this, args| {
        point(m, this, args, |i, at| i.start.number() > at)
    }),
    method("isBefore", |m, this, args| {
        point(m, this, args, |i, at| i.end.number() <= at)
    }),
    method("isEmpty", |_, this, _| {
        Ok(Val::Bool(receiver(this).length() == 0))
    }),
    method("length", |m, this, args| {
        let units = units(m, args.get(0), Unit::Milliseconds)?;
        let [unit, ..] = units[..] else {
            return Err(no_step());
        };
        let Interval { start, end } = receiver(this);
        let length = end.diff(start, &units).get(unit);
        Ok(Val::Num(if receiver(this).is_valid() {
            length
        } else {
            f64::NAN
        }))
    }),
    method("overlaps", |_, this, args| {
        compare(this, args, |a, b| {
            a.end.millis > b.start.millis && a.start.millis < b.end.millis
        })
    }),
    method("splitBy", |m, this, args| {
        let step = duration_like(m, args)?;
        split(m, receiver(this), &step, usize::MAX)
    }),
    method("toDuration", |m, this, args| {
        let units = units(m, args.get(0), Unit::Milliseconds)?;
        let interval = receiver(this);
        let duration = if interval.is_valid() {
            interval.end.diff(interval.start, &units)
        } else {
            Duration::INVALID
        };
        m.instance(Instance::Duration(duration))
    }),
    method("toISO", written),
    method("toISODate", |m, this, _| {
        let Interval { start, end } = receiver(this);
        let text = |time| luxon_iso::date(time, &IsoOptions::DEFAULT);
        if receiver(this).is_valid() {
            m.copy_text(&format!("{}/{}", text(&start), text(&end)))
        } else {
            m.copy_text(INVALID)
        }
    }),
    method("toJSON", written),
    method("toString", |m, this, _| {
        m.copy_text(&interval_text(&receiver(this)))
    }),
    method("union", |m, this, args| {
        let other = argument(args)?;
        let Interval { start, end } = receiver(this);
        let start = if start.millis < other.start.millis {
            start
        } else {
            other.start
        };
        let end = if end.millis > other.end.millis {
            end
        } else {
            other.end
        };
        between(m, start, end)
    }),
];

/// What `ToString` writes.
pub(crate) fn interval_text(interval: &Interval<'_>) -> String {
    match interval
        .iso()
        .as_deref()
        .and_then(|text| text.split_once('/'))
    {
        Some((start, end)) => format!("[{start} – {end})"),
        None => INVALID.to_owned(),
    }
}

/// The receiver; the table is only asked for these.
fn receiver(this: Val<'_>) -> Interval<'_> {
    let invalid = DateTime::invalid(Invalid::Input);
    match this {
        Val::Instance(Instance::Interval(interval)) => *interval,
        _ => Interval {
            start: invalid,
            end: invalid,
        },
    }
}

fn argument<'a>(args: Args<'a, '_>) -> Result<Interval<'a>, Fault> {
    match args.get(0) {
        Val::Instance(Instance::Interval(interval)) => Ok(*interval),
        other => Err(Fault::new(
            "TYPE_ARGUMENT",
            format!("an Interval is needed, not {}", other.kind()),
        )
        .hint("write `Interval.fromDateTimes(start, end)`")),
    }
}

fn compare<'a>(
    this: Val<'a>,
    args: Args<'a, '_>,
    holds: fn(&Interval<'_>, &Interval<'_>) -> bool,
) -> Outcome<'a> {
    let (interval, other) = (receiver(this), argument(args)?);
    let valid = interval.is_valid() && other.is_valid();
    Ok(Val::Bool(valid && holds(&interval, &other)))
}

fn point<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    holds: fn(&Interval<'_>, f64) -> bool,
) -> Outcome<'a> {
    let at = time_like(m, args.get(0))?.number();
    let interval = receiver(this);
    Ok(Val::Bool(interval.is_valid() && holds(&interval, at)))
}

pub(super) fn between<'a>(
    m: &mut Machine<'a>,
    start: DateTime<'a>,
    end: DateTime<'a>,
) -> Outcome<'a> {
    m.instance(Instance::Interval(Interval { start, end }))
}

/// A member that is no method.
pub(crate) fn interval_get<'a>(
    m: &mut Machine<'a>,
    interval: &Interval<'a>,
    key: &str,
) -> Result<Option<Val<'a>>, Fault> {
    let valid = interval.is_valid();
    match key {
        "isValid" => Ok(Some(Val::Bool(valid))),
        "start" | "end" if !valid => Ok(Some(Val::Null)),
        "start" => m.date_time(interval.start).map(Some),
        "end" => m.date_time(interval.end).map(Some),
        "invalidReason" if valid => Ok(Some(Val::Null)),
        "invalidReason" => Ok(Some(Val::Temp(&"invalid start or end"))),
        _ => Ok(None),
    }
}

fn written<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let text = receiver(this).iso();
    m.copy_text(text.as_deref().unwrap_or(INVALID))
}

/// `start/end`, of which one may be a duration.
fn from_iso<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    m.scan(text.size())?;
    let now = m.now()?;
    let invalid = DateTime::invalid(Invalid::Unparsable);
    let time = |text: &'a str| super::date_time::iso_time(now, text);
    let halves = text.utf8().and_then(|text| text.split_once('/'));
    let (start, end) = match halves {
        None => (invalid, invalid),
        Some((start, end)) => match (time(start), time(end)) {
            (Some(start), Some(end)) => (start, end),
            (Some(start), None) => {
                let length = Duration::parse_iso(end);
                (start, length.map_or(invalid, |length| start.plus(&length)))
            }
            (None, Some(end)) => {
                let length = Duration::parse_iso(start);
                (
                    length.map_or(invalid, |length| end.plus(&length.negate())),
                    end,
                )
            }
            (None, None) => (invalid, invalid),
        },
    };
    between(m, start, end)
}

/// Intervals of one step each, the last one shorter.
fn split<'a>(
    m: &mut Machine<'a>,
    interval: Interval<'a>,
    step: &Duration,
    most: usize,
) -> Outcome<'a> {
    let mut list = m.list(0)?;
    let millis = step.millis();
    if !interval.is_valid() || !step.valid || millis == 0.0 {
        return m.array(list);
    }
    if (millis.is_nan() || millis < 0.0) && guard::holds(Guard::ArgumentRange) {
        return Err(no_step());
    }
    let mut start = interval.start;
    while start.millis < interval.end.millis && list.len() < most {
        m.walk(1)?;
        m.check_array(list.len() + 1)?;
        let count = (list.len() + 1) as f64;
        let next = interval.start.plus(&step.map(|value| value * count));
        let next = if !next.is_valid() || next.millis > interval.end.millis {
            interval.end
        } else {
            next
        };
        if next.millis <= start.millis && step.millis() < 1.0 {
            // Steps of less than a millisecond may not move.
            m.charge(1)?;
        }
        let part = between(m, start, next)?;
        list.push(m, part)?;
        start = next;
    }
    m.array(list)
}
