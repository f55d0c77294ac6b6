//! `DateTime` as luxon has it: a time in a zone and a language.
//!
//! What cannot be a time gives an invalid `DateTime`, as luxon does: `isValid` is false, numbers
//! are NaN, texts null. It is an error where it would leave the language, because a missing date is
//! found late there.

mod arguments;
mod change;
mod compare;
mod get;
mod make;
mod preset;
mod relative;
mod text;

use super::{Method, Outcome, method};
use crate::{
    error::Fault,
    machine::Machine,
    time::date_time::DateTime,
    value::{Instance, Val},
};

pub(super) use arguments::{duration_like, duration_object, time_like, unit, units};
pub(super) use change::{end_of_month, minus, plus, start_of};
pub(super) use compare::is_between;
pub(super) use get::extract;
pub(super) use make::{
    FUNCTIONS, date_to_date_time, iso_time, number_to_date_time, string_to_date_time,
};
pub(super) use preset::PRESETS;
pub(super) use text::to_format;

pub(super) const METHODS: &[Method] = &[
    method("beginningOf", start_of),
    method("diff", compare::diff),
    method("diffNow", compare::diff_now),
    method("diffTo", compare::diff_to),
    method("diffToNow", compare::diff_to_now),
    method("endOf", change::end_of),
    method("endOfMonth", end_of_month),
    method("equals", compare::equals),
    method("extract", extract),
    method("format", to_format),
    method("get", get::by_name),
    method("hasSame", compare::has_same),
    method("inBetween", is_between),
    method("isBetween", is_between),
    method("isWeekend", |_, this, _| {
        let time = receiver(this);
        Ok(Val::Bool(time.is_valid() && time.civil().weekday() > 5))
    }),
    method("minus", minus),
    method("plus", plus),
    method("reconfigure", change::reconfigure),
    method("set", change::set),
    method("setLocale", change::set_locale),
    method("setZone", change::set_zone),
    method("startOf", start_of),
    method("toBSON", text::to_js_date),
    method("toDateTime", |_, this, _| Ok(this)),
    method("toFormat", to_format),
    method("toHTTP", text::to_http),
    method("toISO", text::to_iso),
    method("toISODate", text::to_iso_date),
    method("toISOString", text::to_iso_utc),
    method("toISOTime", text::to_iso_time),
    method("toISOWeekDate", text::to_iso_week_date),
    method("toInt", text::to_millis),
    method("toJSDate", text::to_js_date),
    method("toJSON", text::to_iso),
    method("toLocal", change::to_local),
    method("toLocaleParts", text::to_locale_parts),
    method("toLocaleString", text::to_locale_string),
    method("toMillis", text::to_millis),
    method("toObject", text::to_object),
    method("toRFC2822", text::to_rfc2822),
    method("toRelative", relative::to_relative),
    method("toRelativeCalendar", relative::to_relative_calendar),
    method("toSQL", text::to_sql),
    method("toSQLDate", text::to_sql_date),
    method("toSQLTime", text::to_sql_time),
    method("toSeconds", text::to_seconds),
    method("toString", text::to_text),
    method("toUTC", change::to_utc),
    method("toUnixInteger", text::to_unix_integer),
    method("until", compare::until),
    method("valueOf", text::to_millis),
];

/// Methods that read the clock, so that an expression with one depends on the time.
pub(super) const READ_CLOCK: [&str; 4] =
    ["diffNow", "diffToNow", "toRelative", "toRelativeCalendar"];

/// The receiver; the table is only asked for these.
fn receiver(this: Val<'_>) -> DateTime<'_> {
    match this {
        Val::Instance(Instance::DateTime(time)) => *time,
        _ => DateTime::invalid(crate::time::date_time::Invalid::Input),
    }
}

impl<'a> Machine<'a> {
    pub(crate) fn date_time(&mut self, time: DateTime<'a>) -> Outcome<'a> {
        self.instance(Instance::DateTime(time))
    }

    /// The instance's time in the workflow's zone.
    pub(crate) fn now(&self) -> Result<DateTime<'a>, Fault> {
        let zone = self.zone()?;
        let millis = self.context.now_ms as f64;
        Ok(DateTime::new(millis, zone, crate::locale::Locale::En))
    }
}

/// A member that is no method.
pub(crate) fn get<'a>(
    m: &mut Machine<'a>,
    time: &DateTime<'a>,
    key: &str,
) -> Result<Option<Val<'a>>, Fault> {
    get::getter(m, time, key)
}

/// What `ToString` writes.
pub(crate) fn date_time_text(time: &DateTime<'_>) -> String {
    text::whole(time).unwrap_or_else(|| "Invalid DateTime".to_owned())
}

/// What `JSON.stringify` writes; null for an invalid one.
pub(crate) fn date_time_json(time: &DateTime<'_>) -> Option<String> {
    text::whole(time)
}
