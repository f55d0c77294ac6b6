//! Setters of `Date`: each gives the new time value, as in JavaScript; the date stays as it is.

use super::{millis, utc_of};
use crate::{
    library::{Args, Method, Outcome, mutator},
    machine::Machine,
    time::civil::{Civil, clip, make_time},
    value::Val,
};

/// Positions in what [`make_time`] takes.
const YEAR: usize = 0;
const MONTH: usize = 1;
const DAY: usize = 2;
const HOUR: usize = 3;
const MINUTE: usize = 4;
const SECOND: usize = 5;
const MILLI: usize = 6;

pub(super) const METHODS: &[Method] = &[
    mutator("setDate", |m, this, args| set(m, this, args, DAY, 1, true)),
    mutator("setFullYear", |m, this, args| {
        set(m, this, args, YEAR, 3, true)
    }),
    mutator("setHours", |m, this, args| {
        set(m, this, args, HOUR, 4, true)
    }),
    mutator("setMilliseconds", |m, this, args| {
        set(m, this, args, MILLI, 1, true)
    }),
    mutator("setMinutes", |m, this, args| {
        set(m, this, args, MINUTE, 3, true)
    }),
    mutator("setMonth", |m, this, args| {
        set(m, this, args, MONTH, 2, true)
    }),
    mutator("setSeconds", |m, this, args| {
        set(m, this, args, SECOND, 2, true)
    }),
    mutator("setTime", |m, _, args| {
        Ok(Val::Num(clip(m.number_of(args.get(0))?)))
    }),
    mutator("setUTCDate", |m, this, args| {
        set(m, this, args, DAY, 1, false)
    }),
    mutator("setUTCFullYear", |m, this, args| {
        set(m, this, args, YEAR, 3, false)
    }),
    mutator("setUTCHours", |m, this, args| {
        set(m, this, args, HOUR, 4, false)
    }),
    mutator("setUTCMilliseconds", |m, this, args| {
        set(m, this, args, MILLI, 1, false)
    }),
    mutator("setUTCMinutes", |m, this, args| {
        set(m, this, args, MINUTE, 3, false)
    }),
    mutator("setUTCMonth", |m, this, args| {
        set(m, this, args, MONTH, 2, false)
    }),
    mutator("setUTCSeconds", |m, this, args| {
        set(m, this, args, SECOND, 2, false)
    }),
];

/// Puts up to `most` arguments in the place of the fields from `first` on.
fn set<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    first: usize,
    most: usize,
    local: bool,
) -> Outcome<'a> {
    let zone = m.zone()?;
    // Without a first argument the field is not a number.
    let mut values = [f64::NAN; 4];
    let count = args.len().clamp(1, most);
    for (at, value) in values.iter_mut().enumerate().take(count) {
        *value = m.number_of(args.get(at))?;
    }
    let shown = match millis(this) {
        Some(at) => at + if local { zone.offset(at) } else { 0 },
        // Only a year makes an invalid date valid.
        None if first == YEAR => 0,
        None => return Ok(Val::Num(f64::NAN)),
    };
    let time = Civil::of(shown);
    let fields = [
        time.year,
        time.month - 1,
        time.day,
        time.hour,
        time.minute,
        time.second,
        time.milli,
    ];
    let mut parts = fields.map(|field| field as f64);
    parts[first..first + count].copy_from_slice(&values[..count]);
    let made = make_time(parts);
    let time = if local { utc_of(made, zone) } else { made };
    Ok(Val::Num(clip(time)))
}
