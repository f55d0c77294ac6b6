//! Methods and functions beyond JavaScript's, by the names that imported workflows use.
//!
//! Each type has a table of its own, which is asked after the type's table of JavaScript's methods.

mod case;
mod coding;
mod equal;
mod find;
mod list;
mod markup;
mod number;
mod object;
mod value;

use std::borrow::Cow;

use super::{Args, Function, Method, Outcome, Receiver, date_time, intl::to_locale_string, method};
use crate::{
    error::Fault,
    machine::Machine,
    value::{Text, Val},
};

pub(super) use value::FUNCTIONS;

/// The table of a type.
pub(super) fn table(receiver: Receiver) -> &'static [Method] {
    match receiver {
        Receiver::String => STRING,
        Receiver::Array => ARRAY,
        Receiver::Object => OBJECT,
        Receiver::Number => NUMBER,
        Receiver::Boolean => BOOLEAN,
        Receiver::Date => DATE,
        _ => &[],
    }
}

/// Whether a method of that name depends on the instance's seed.
pub(crate) fn is_random(method: &str) -> bool {
    method == "randomItem"
}

/// What a method says of null and undefined, if it may be asked of them.
pub(crate) fn of_nothing(method: &str) -> Option<bool> {
    match method {
        "isEmpty" => Some(true),
        "isNotEmpty" => Some(false),
        _ => None,
    }
}

const STRING: &[Method] = &[
    method("base64Decode", coding::base64_decode),
    method("base64Encode", coding::base64_encode),
    method("extractDomain", find::extract_domain),
    method("extractEmail", find::extract_email),
    method("extractUrl", find::extract_url),
    method("extractUrlPath", find::extract_url_path),
    method("hash", coding::hash),
    method("isDomain", find::is_domain_text),
    method("isEmail", find::is_email_text),
    method("isEmpty", value::is_empty),
    method("isNotEmpty", value::is_not_empty),
    method("isNumeric", value::is_numeric),
    method("isUrl", find::is_url_text),
    method("parseJson", value::parse_json),
    method("quote", case::quote),
    method("removeMarkdown", markup::remove_markdown),
    method("removeTags", markup::remove_tags),
    method("replaceSpecialChars", case::replace_special_chars),
    method("toBoolean", value::to_boolean),
    method("toCamelCase", case::to_camel_case),
    method("toDateTime", date_time::string_to_date_time),
    method("toFloat", value::to_float),
    method("toInt", value::to_int),
    method("toJsonString", value::to_json_string),
    method("toKebabCase", |m, this, _| case::joined(m, this, '-')),
    method("toNumber", value::to_number),
    method("toSentenceCase", case::to_sentence_case),
    method("toSnakeCase", |m, this, _| case::joined(m, this, '_')),
    method("toTitleCase", case::to_title_case),
    method("urlDecode", coding::url_decode),
    method("urlEncode", coding::url_encode),
];

const ARRAY: &[Method] = &[
    method("average", list::average),
    method("chunk", list::chunk),
    method("compact", list::compact),
    method("difference", |m, this, args| {
        list::compared(m, this, args, ("difference", false))
    }),
    method("first", list::first),
    method("intersection", |m, this, args| {
        list::compared(m, this, args, ("intersection", true))
    }),
    method("isEmpty", value::is_empty),
    method("isNotEmpty", value::is_not_empty),
    method("last", list::last),
    method("max", list::max),
    method("merge", list::merge),
    method("min", list::min),
    method("pluck", list::pluck),
    method("randomItem", list::random_item),
    method("removeDuplicates", list::unique),
    method("renameKeys", list::rename_keys),
    method("smartJoin", list::smart_join),
    method("sum", list::sum),
    method("toJsonString", value::to_json_string),
    method("union", list::union),
    method("unique", list::unique),
];

const OBJECT: &[Method] = &[
    method("compact", object::compact),
    method("hasField", object::has_field),
    method("isEmpty", value::is_empty),
    method("isNotEmpty", value::is_not_empty),
    method("keepFieldsContaining", object::keep_fields_containing),
    method("keys", object::keys),
    method("merge", object::merge),
    method("removeField", object::remove_field),
    method("removeFieldsContaining", object::remove_fields_containing),
    method("toJsonString", value::to_json_string),
    method("urlEncode", coding::form_encode),
    method("values", object::values),
];

const NUMBER: &[Method] = &[
    method("abs", number::abs),
    method("ceil", number::ceil),
    method("floor", number::floor),
    method("format", to_locale_string),
    method("isEmpty", value::is_empty),
    method("isEven", number::is_even),
    method("isInteger", number::is_integer),
    method("isNotEmpty", value::is_not_empty),
    method("isOdd", number::is_odd),
    method("round", number::round),
    method("toBoolean", value::to_boolean),
    method("toDateTime", date_time::number_to_date_time),
    method("toFloat", value::to_number),
    method("toInt", value::to_int),
    method("toJsonString", value::to_json_string),
    method("toNumber", value::to_number),
];

const BOOLEAN: &[Method] = &[
    method("isEmpty", value::is_empty),
    method("isNotEmpty", value::is_not_empty),
    method("toBoolean", value::to_boolean),
    method("toInt", value::to_number),
    method("toJsonString", value::to_json_string),
    method("toNumber", value::to_number),
];

/// These make a `DateTime` of it first.
const DATE: &[Method] = &[
    method("beginningOf", date_time::start_of),
    method("endOfMonth", date_time::end_of_month),
    method("extract", date_time::extract),
    method("format", date_time::to_format),
    method("inBetween", date_time::is_between),
    method("isBetween", date_time::is_between),
    method("minus", date_time::minus),
    method("plus", date_time::plus),
    method("toDateTime", date_time::date_to_date_time),
];

/// Bytes of text that cost one operation to change.
const BYTES_PER_OPERATION: usize = 128;

/// A value as text, where half characters become U+FFFD; paid for as something that is changed.
fn plain<'a>(m: &mut Machine<'a>, value: Val<'a>) -> Result<Cow<'a, str>, Fault> {
    let text = m.text_of(value)?;
    m.charge((text.size() / BYTES_PER_OPERATION) as u64)?;
    Ok(match text {
        Text::Utf8(s) => Cow::Borrowed(s),
        wide @ Text::Wide(_) => {
            m.reserve(wide.size() * 2)?;
            Cow::Owned(wide.well_formed())
        }
    })
}

/// The text that `change` makes of a text: at most `times` as many bytes.
fn changed<'a>(
    m: &mut Machine<'a>,
    value: Val<'a>,
    times: usize,
    change: impl FnOnce(&str) -> String,
) -> Outcome<'a> {
    let text = plain(m, value)?;
    m.check_string(text.len())?;
    m.reserve(text.len().saturating_mul(times))?;
    m.copy_text(&change(&text))
}

/// A part of a text that was found, or undefined.
fn found<'a>(
    m: &mut Machine<'a>,
    value: Val<'a>,
    search: impl FnOnce(&str) -> Option<&str>,
) -> Outcome<'a> {
    let text = plain(m, value)?;
    match search(&text) {
        Some(part) => m.copy_text(part),
        None => Ok(Val::Undefined),
    }
}

/// The error for an argument of the wrong kind.
#[cold]
fn wrong_argument(message: impl Into<String>) -> Fault {
    Fault::new("TYPE_ARGUMENT", message)
}

#[cfg(test)]
mod tests {
    use super::{ARRAY, BOOLEAN, FUNCTIONS, NUMBER, OBJECT, STRING};

    #[test]
    fn every_row_has_a_case() {
        let cases = include_str!("../../../tests/cases/extensions.txt");
        for row in [STRING, ARRAY, OBJECT, NUMBER, BOOLEAN]
            .into_iter()
            .flatten()
        {
            let call = format!(".{}(", row.name);
            assert!(cases.contains(&call), "{call}");
        }
        for row in &FUNCTIONS {
            assert!(cases.contains(&format!("{}(", row.name)), "{}", row.name);
        }
    }
}
