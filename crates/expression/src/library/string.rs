//! Methods of strings: the table, and those that are neither cutting nor searching.

use super::{
    Args, Method, Outcome, cut, find, method, object::has_own_property, regex_match, replace,
    unicode,
};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    machine::Machine,
    value::{Text, Val},
};

pub(super) const METHODS: &[Method] = &[
    method("at", cut::at),
    method("charAt", cut::char_at),
    method("charCodeAt", cut::char_code_at),
    method("codePointAt", cut::code_point_at),
    method("concat", concat),
    method("endsWith", find::ends_with),
    method("hasOwnProperty", has_own_property),
    method("includes", find::includes),
    method("indexOf", find::index_of),
    method("isWellFormed", is_well_formed),
    method("lastIndexOf", find::last_index_of),
    method("localeCompare", unicode::locale_compare),
    method("match", regex_match::match_),
    method("matchAll", regex_match::match_all),
    method("normalize", unicode::normalize),
    method("padEnd", pad_end),
    method("padStart", pad_start),
    method("repeat", repeat),
    Method {
        name: "replace",
        callbacks: 0b10,
        mutates: false,
        run: replace::replace,
    },
    Method {
        name: "replaceAll",
        callbacks: 0b10,
        mutates: false,
        run: replace::replace_all,
    },
    method("search", regex_match::search),
    method("slice", cut::slice),
    method("split", find::split),
    method("startsWith", find::starts_with),
    method("substr", cut::substr),
    method("substring", cut::substring),
    method("toLocaleLowerCase", to_lower_case),
    method("toLocaleUpperCase", to_upper_case),
    method("toLowerCase", to_lower_case),
    method("toString", itself),
    method("toUpperCase", to_upper_case),
    method("toWellFormed", to_well_formed),
    method("trim", cut::trim_both),
    method("trimEnd", cut::trim_end),
    method("trimLeft", cut::trim_start),
    method("trimRight", cut::trim_end),
    method("trimStart", cut::trim_start),
    method("valueOf", itself),
];

/// The receiver's text; the table is only asked for strings.
pub(super) fn receiver(this: Val<'_>) -> Text<'_> {
    this.text().unwrap_or(Text::Utf8(""))
}

pub(super) fn itself<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(this)
}

fn concat<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut out = m.text_builder(0)?;
    out.push(m, receiver(this))?;
    for arg in args.0 {
        out.push_value(m, *arg)?;
    }
    out.finish(m)
}

fn is_well_formed<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(Val::Bool(!matches!(this, Val::Wide(_))))
}

fn to_well_formed<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    match receiver(this) {
        Text::Utf8(_) => Ok(this),
        wide @ Text::Wide(_) => {
            m.scan(wide.size())?;
            m.reserve(wide.size() * 2)?;
            m.copy_text(&wide.well_formed())
        }
    }
}

fn pad_start<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    pad(m, this, args, true)
}

fn pad_end<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    pad(m, this, args, false)
}

fn pad<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>, start: bool) -> Outcome<'a> {
    let text = receiver(this);
    let wanted = m.integer(args.get(0))?;
    let len = m.units(text)?;
    if wanted <= len as f64 {
        return Ok(this);
    }
    let filler = match args.get(1) {
        Val::Undefined => Text::Utf8(" "),
        filler => m.text_of(filler)?,
    };
    if filler.is_empty() {
        return Ok(this);
    }
    // Saturates; a text of that many units has at least as many bytes.
    m.check_string(wanted as usize)?;
    let missing = wanted as usize - len;
    let filler_len = filler.len();
    let mut out = m.text_builder(text.size() + missing)?;
    if !start {
        out.push(m, text)?;
    }
    for _ in 0..missing / filler_len {
        out.push(m, filler)?;
    }
    let part = m.part(filler, 0, missing % filler_len)?;
    out.push_value(m, part)?;
    if start {
        out.push(m, text)?;
    }
    out.finish(m)
}

fn repeat<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = receiver(this);
    let count = m.integer(args.get(0))?;
    if (count < 0.0 || count.is_infinite()) && holds(Guard::ArgumentRange) {
        return Err(Fault::new("TYPE_RANGE", "`repeat` needs a count from 0 up"));
    }
    if text.is_empty() {
        return Ok(Val::EMPTY);
    }
    let bytes = (count as usize).saturating_mul(text.size());
    let mut out = m.text_builder(bytes)?;
    for _ in 0..count as usize {
        out.push(m, text)?;
    }
    out.finish(m)
}

fn to_lower_case<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    match receiver(this) {
        Text::Utf8(s) if s.is_ascii() => {
            m.scan(s.len())?;
            m.copy_ascii(s, str::make_ascii_lowercase)
        }
        text => change_case(m, text, str::to_lowercase),
    }
}

fn to_upper_case<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    match receiver(this) {
        Text::Utf8(s) if s.is_ascii() => {
            m.scan(s.len())?;
            m.copy_ascii(s, str::make_ascii_uppercase)
        }
        text => change_case(m, text, str::to_uppercase),
    }
}

fn change_case<'a>(m: &mut Machine<'a>, text: Text<'a>, change: fn(&str) -> String) -> Outcome<'a> {
    // A changed character has at most three times the bytes; that is on the heap for a moment.
    m.check_string(text.size())?;
    m.reserve(text.size())?;
    m.scan(text.size())?;
    match text {
        Text::Utf8(s) => m.copy_text(&change(s)),
        Text::Wide(units) => {
            let mut out = m.text_builder(text.size())?;
            for c in char::decode_utf16(units.iter().copied()) {
                match c {
                    Ok(c) => out.push_str(m, &change(c.encode_utf8(&mut [0; 4])))?,
                    Err(lone) => out.push(m, Text::Wide(&[lone.unpaired_surrogate()]))?,
                }
            }
            out.finish(m)
        }
    }
}
