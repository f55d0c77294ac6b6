//! JavaScript's `Date`: a time in milliseconds, in the workflow's zone where it is local.

mod get;
mod locale;
mod set;
mod text;
use super::{Args, Function, Method, Outcome, pure};
use crate::{
    Purity,
    error::Fault,
    machine::Machine,
    time::{
        civil::{clip, make_time},
        js,
        zone::Zone,
    },
    value::{Instance, Val},
};

pub(crate) use text::date_json;

/// All rows of the methods, sorted.
pub(super) const METHODS: &[Method] = &concat();

const COUNT: usize = get::METHODS.len() + set::METHODS.len() + text::METHODS.len();

/// The groups of rows follow each other in the alphabet, but for `valueOf`, which is last of all.
const fn concat() -> [Method; COUNT] {
    let mut rows = [get::METHODS[0]; COUNT];
    let groups = [get::METHODS, set::METHODS, text::METHODS];
    let (mut at, mut group) = (0, 0);
    while group < groups.len() {
        let mut row = 0;
        while row < groups[group].len() {
            rows[at] = groups[group][row];
            at += 1;
            row += 1;
        }
        group += 1;
    }
    rows
}

pub(super) const FUNCTIONS: [Function; 6] = [
    Function {
        name: "Date",
        callbacks: 0,
        purity: Purity::Time,
        run: |m, _| {
            let zone = m.zone()?;
            let now = m.context.now_ms;
            let text = format!("{} {}", js::date(now, zone), js::time(now, zone));
            m.copy_text(&text)
        },
    },
    pure("Date.UTC", |m, args| Ok(Val::Num(clip(parts_of(m, args)?)))),
    Function {
        name: "Date.now",
        callbacks: 0,
        purity: Purity::Time,
        run: |m, _| Ok(Val::Num(m.context.now_ms as f64)),
    },
    pure("Date.parse", |m, args| {
        let text = m.text_of(args.get(0))?;
        m.scan(text.size())?;
        let zone = m.zone()?;
        let time = text.utf8().map_or(f64::NAN, |text| js::parse(text, zone));
        Ok(Val::Num(clip(time)))
    }),
    Function {
        name: "new Date",
        callbacks: 0,
        purity: Purity::Time,
        run: new,
    },
    // What the resolver takes if there are arguments: the clock has no part in it.
    pure("new Date(…)", new),
];

fn new<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let time = match args.0 {
        [] => m.context.now_ms as f64,
        [Val::Instance(Instance::Date(time))] => *time,
        [value] => {
            let value = m.primitive(*value)?;
            match value.text() {
                Some(text) => {
                    m.scan(text.size())?;
                    let zone = m.zone()?;
                    text.utf8().map_or(f64::NAN, |text| js::parse(text, zone))
                }
                None => m.number_of(value)?,
            }
        }
        _ => {
            let local = parts_of(m, args)?;
            utc_of(local, m.zone()?)
        }
    };
    m.date(time)
}

/// The time value of year, month from 0, day, hour, minute, second, millisecond.
fn parts_of<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Result<f64, Fault> {
    let mut parts = [f64::NAN, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    for (part, arg) in parts.iter_mut().zip(args.0) {
        *part = m.number_of(*arg)?;
    }
    let year = parts[0].trunc();
    if (0.0..=99.0).contains(&year) {
        parts[0] = 1_900.0 + year;
    }
    Ok(make_time(parts))
}

/// The time at which clocks of the zone show `local`; not clipped yet.
fn utc_of(local: f64, zone: Zone<'_>) -> f64 {
    // A zone's offset is less than a day.
    if local.is_finite() && local.abs() <= 8.65e15 {
        js::at_local(local as i64, zone)
    } else {
        f64::NAN
    }
}

/// The time value of the receiver, if it is one; the table is only asked for dates.
fn millis(this: Val<'_>) -> Option<i64> {
    match this {
        Val::Instance(Instance::Date(time)) if !time.is_nan() => Some(*time as i64),
        _ => None,
    }
}

impl<'a> Machine<'a> {
    /// The workflow's zone.
    pub(crate) fn zone(&self) -> Result<Zone<'a>, Fault> {
        let context = self.context;
        Zone::find(&context.timezone).ok_or_else(|| {
            Fault::new("TYPE_ZONE", "the workflow's time zone is not known")
                .hint("use an IANA name such as `Europe/Berlin`")
        })
    }

    /// A `Date` of that time value, or an invalid one if it is beyond what a date can hold.
    pub(crate) fn date(&mut self, time: f64) -> Outcome<'a> {
        self.instance(Instance::Date(clip(time)))
    }
}
