//! Cron expressions: `croner` reads and answers them, this says what is wrong with one.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::{MAX_CRON_CHARS, ScheduleError};

/// The fields, with what each takes and where it stands among six.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59, `*`, ranges, lists and steps"),
    ("minute", "0 to 59, `*`, ranges, lists and steps"),
    ("hour", "0 to 23, `*`, ranges, lists and steps"),
    (
        "day of the month",
        "1 to 31, `*`, `?`, ranges, lists, steps, `L` (the last one) and `15W` (the weekday nearest to the 15th)",
    ),
    (
        "month",
        "1 to 12 or JAN to DEC, `*`, ranges, lists and steps",
    ),
    (
        "day of the week",
        "0 to 7 (0 and 7 are Sunday) or SUN to SAT, `*`, `?`, ranges, lists, steps, `5#2` (the second Friday), `5L` (the last one), and `+` before it to ask for the day of the month as well",
    ),
];

/// Names for whole expressions.
const NAMES: [&str; 6] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@hourly",
];

fn read(expression: &str) -> Option<Cron> {
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build();
    parser.parse(expression).ok()
}

/// Reads five or six fields, or one of the names.
pub(crate) fn parse(expression: &str) -> Result<Cron, ScheduleError> {
    let found = expression.chars().count();
    if found > MAX_CRON_CHARS {
        return Err(ScheduleError::Long { found });
    }
    let written = expression.trim();
    let named = NAMES.iter().any(|name| name.eq_ignore_ascii_case(written));
    let fields: Vec<&str> = written.split_whitespace().collect();
    if !named && !(5..=6).contains(&fields.len()) {
        return Err(ScheduleError::Fields {
            expression: written.chars().take(40).collect(),
            found: fields.len(),
        });
    }
    read(written).ok_or_else(|| wrong(written, &fields))
}

/// Which field is wrong: the first one that is no field among stars either.
fn wrong(written: &str, fields: &[&str]) -> ScheduleError {
    let first = FIELDS.len() - fields.len().min(FIELDS.len());
    let alone = |at: usize| {
        let mut all = ["*"; FIELDS.len()];
        all[first + at] = fields[at];
        read(&all.join(" ")).is_none()
    };
    match (0..fields.len()).find(|at| alone(*at)) {
        Some(at) => {
            let (field, takes) = FIELDS[first + at];
            let text = fields[at].to_owned();
            ScheduleError::Field { field, text, takes }
        }
        None => ScheduleError::Fields {
            expression: written.to_owned(),
            found: fields.len(),
        },
    }
}
