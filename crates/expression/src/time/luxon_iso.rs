//! The ISO 8601 texts that a `DateTime` writes.

use super::{
    date_time::DateTime,
    js::iso_year,
    tokens::offset_minutes,
    zone::{OffsetForm, offset_text},
};

/// What is written of a time, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsoOptions {
    /// With dashes and colons.
    pub(crate) extended: bool,
    /// Leaves out seconds that are zero, with the milliseconds.
    pub(crate) suppress_seconds: bool,
    /// Leaves out milliseconds that are zero.
    pub(crate) suppress_milliseconds: bool,
    pub(crate) offset: bool,
    /// Adds the zone's name in brackets.
    pub(crate) zone: bool,
    /// A `T` before a time that stands alone.
    pub(crate) prefix: bool,
    /// The last field: 0 the year, 1 the month, 2 the day, then hour, minute, second, millisecond.
    pub(crate) precision: usize,
}

impl IsoOptions {
    pub(crate) const DEFAULT: IsoOptions = IsoOptions {
        extended: true,
        suppress_seconds: false,
        suppress_milliseconds: false,
        offset: true,
        zone: false,
        prefix: false,
        precision: 6,
    };
}

/// Date and time.
pub(crate) fn both(time: &DateTime<'_>, options: &IsoOptions) -> String {
    let mut text = date(time, options);
    if options.precision >= 3 {
        text.push('T');
    }
    let rest = clock(time, options);
    text + &rest
}

pub(crate) fn date(time: &DateTime<'_>, options: &IsoOptions) -> String {
    let civil = time.civil();
    let dash = if options.extended { "-" } else { "" };
    let mut text = iso_year(civil.year);
    for (at, field) in [(1, civil.month), (2, civil.day)] {
        if options.precision >= at {
            text += &format!("{dash}{field:02}");
        }
    }
    text
}

/// The time alone.
pub(crate) fn time_only(time: &DateTime<'_>, options: &IsoOptions) -> String {
    let prefix = if options.prefix && options.precision >= 3 {
        "T"
    } else {
        ""
    };
    prefix.to_owned() + &clock(time, options)
}

fn clock(time: &DateTime<'_>, options: &IsoOptions) -> String {
    let civil = time.civil();
    let colon = if options.extended { ":" } else { "" };
    let quiet = options.suppress_seconds && civil.second == 0 && civil.milli == 0;
    let mut text = String::new();
    if options.precision >= 3 {
        text += &format!("{:02}", civil.hour);
    }
    if options.precision >= 4 {
        text += &format!("{colon}{:02}", civil.minute);
    }
    if options.precision >= 5 && !quiet {
        text += &format!("{colon}{:02}", civil.second);
    }
    let silent = options.suppress_milliseconds && civil.milli == 0;
    if options.precision >= 6 && !quiet && !silent {
        text += &format!(".{:03}", civil.milli);
    }
    if options.offset {
        let minutes = offset_minutes(time);
        if time.zone.is_fixed() && minutes == 0 && !options.zone {
            text.push('Z');
        } else {
            text += &offset_text(minutes, OffsetForm::Short);
        }
    }
    if options.zone {
        text += &format!("[{}]", time.zone.name());
    }
    text
}
