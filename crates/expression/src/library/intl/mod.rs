//! `Intl`: numbers and dates in the words of a language.

mod date_options;
mod dates;
mod number_options;
mod numbers;
mod options;

use super::Function;

pub(super) use date_options::date_fields;
pub(super) use dates::{METHODS as DATE_METHODS, parts_value};
pub(super) use numbers::{METHODS as NUMBER_METHODS, to_locale_string};
pub(super) use options::{choice, locale_of, no_locale, option};
pub(crate) use {dates::DateFormat, numbers::NumberFormat};

pub(super) const FUNCTIONS: [Function; 4] = {
    let [date, new_date] = dates::DATE_TIME_FORMAT;
    let [number, new_number] = numbers::NUMBER_FORMAT;
    [date, number, new_date, new_number]
};
