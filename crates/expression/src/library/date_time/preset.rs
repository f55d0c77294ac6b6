//! The ready-made options of `toLocaleString`: `DateTime.DATE_FULL` and its like.

use crate::{
    library::{Args, Function, Outcome, pure},
    machine::Machine,
    time::{
        format::{Fields, Width},
        tokens::macro_fields,
    },
    value::{Entries, Text, Val},
};

/// The name that the resolver takes for a constant is its row with `get` before it.
pub(in crate::library) const PRESETS: [Function; 22] = [
    pure("get DateTime.DATETIME_FULL", preset::<0>),
    pure("get DateTime.DATETIME_FULL_WITH_SECONDS", preset::<1>),
    pure("get DateTime.DATETIME_HUGE", preset::<2>),
    pure("get DateTime.DATETIME_HUGE_WITH_SECONDS", preset::<3>),
    pure("get DateTime.DATETIME_MED", preset::<4>),
    pure("get DateTime.DATETIME_MED_WITH_SECONDS", preset::<5>),
    pure("get DateTime.DATETIME_MED_WITH_WEEKDAY", preset::<6>),
    pure("get DateTime.DATETIME_SHORT", preset::<7>),
    pure("get DateTime.DATETIME_SHORT_WITH_SECONDS", preset::<8>),
    pure("get DateTime.DATE_FULL", preset::<9>),
    pure("get DateTime.DATE_HUGE", preset::<10>),
    pure("get DateTime.DATE_MED", preset::<11>),
    pure("get DateTime.DATE_MED_WITH_WEEKDAY", preset::<12>),
    pure("get DateTime.DATE_SHORT", preset::<13>),
    pure("get DateTime.TIME_24_SIMPLE", preset::<14>),
    pure("get DateTime.TIME_24_WITH_LONG_OFFSET", preset::<15>),
    pure("get DateTime.TIME_24_WITH_SECONDS", preset::<16>),
    pure("get DateTime.TIME_24_WITH_SHORT_OFFSET", preset::<17>),
    pure("get DateTime.TIME_SIMPLE", preset::<18>),
    pure("get DateTime.TIME_WITH_LONG_OFFSET", preset::<19>),
    pure("get DateTime.TIME_WITH_SECONDS", preset::<20>),
    pure("get DateTime.TIME_WITH_SHORT_OFFSET", preset::<21>),
];

/// The macro tokens that write the same, in the order of the rows.
const TOKENS: [&str; 22] = [
    "fff", "FFF", "ffff", "FFFF", "ff", "FF", "ff", "f", "F", "DDD", "DDDD", "DD", "DD", "D", "T",
    "TTTT", "TT", "TTT", "t", "tttt", "tt", "ttt",
];

fn preset<'a, const ROW: usize>(m: &mut Machine<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let mut fields = macro_fields(TOKENS[ROW]).unwrap_or(Fields::DATE);
    if PRESETS[ROW].name.ends_with("MED_WITH_WEEKDAY") {
        fields.weekday = Some(Width::Short);
    }
    let word = |width: Width| match width {
        Width::Numeric => Val::Temp(&"numeric"),
        Width::TwoDigits => Val::Temp(&"2-digit"),
        Width::Short => Val::Temp(&"short"),
        Width::Long => Val::Temp(&"long"),
        Width::Narrow | Width::ShortOffset | Width::LongOffset => Val::Temp(&"narrow"),
    };
    let mut entries = Entries::default();
    for (key, width) in [
        ("year", fields.year),
        ("month", fields.month),
        ("day", fields.day),
        ("weekday", fields.weekday),
        ("hour", fields.hour),
        ("minute", fields.minute),
        ("second", fields.second),
        ("timeZoneName", fields.zone),
    ] {
        if let Some(width) = width {
            m.reserve_entry(&entries)?;
            entries.push(Text::Utf8(key), word(width));
        }
    }
    if fields.cycle.is_some() {
        m.reserve_entry(&entries)?;
        entries.push(Text::Utf8("hourCycle"), Val::Temp(&"h23"));
    }
    m.object(entries)
}
