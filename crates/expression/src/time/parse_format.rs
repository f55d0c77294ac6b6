//! Reading a text by a format of luxon's letters.
//!
//! A field may take more or fewer characters, so a choice that leads nowhere is taken back; what
//! has failed once at a place is not tried there again, so the work is bounded by tokens × places.

use std::collections::HashSet;

use super::{
    fields::Field,
    luxon_parse::{Named, Parsed, full_year},
    pattern::{Letters, each_letter, pattern},
    scan::milliseconds,
    tokens::{Token, macro_fields, split},
};
use crate::{
    guard::{Guard, holds},
    locale::Locale,
};

/// A format of more pieces is refused.
pub(crate) const MAX_TOKENS: usize = 128;
/// A longer text is no date.
const MAX_TEXT: usize = 1_000;

/// Why a format cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadFormat {
    TooLong,
    /// It has hours of a whole day and AM or PM.
    Conflict,
}

/// What was read, and the offset in minutes that decides about a time that comes twice.
pub(crate) type Read<'t> = (Parsed<'t>, Option<i32>);

/// A field with its text, by the first letter of its token.
type Found<'t> = (char, Value<'t>);

#[derive(Debug, Clone, Copy)]
enum Value<'t> {
    Number(i64),
    Text(&'t str),
    None,
}

/// Reads the whole of `text`; `None` if it does not fit.
pub(crate) fn read<'t>(
    text: &'t str,
    format: &str,
    locale: Locale,
) -> Result<Option<Read<'t>>, BadFormat> {
    let mut tokens = Vec::new();
    for token in split(format) {
        match &token {
            Token::Letters(letters) => match macro_fields(letters) {
                Some(fields) => expand(&pattern(locale, &fields), &mut tokens),
                None => tokens.push(token),
            },
            Token::Literal(_) => tokens.push(token),
        }
    }
    if tokens.len() > MAX_TOKENS && holds(Guard::FormatSize) {
        return Err(BadFormat::TooLong);
    }
    let has = |letter| {
        let starts = |token: &Token| matches!(token, Token::Letters(l) if l.starts_with(letter));
        tokens.iter().any(starts)
    };
    if text.len() > MAX_TEXT {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut failed = HashSet::new();
    if !fits(&tokens, 0, text, 0, locale, &mut found, &mut failed) {
        return Ok(None);
    }
    if has('a') && has('H') {
        return Err(BadFormat::Conflict);
    }
    Ok(Some(fields(&found)))
}

/// The tokens of a language's pattern.
fn expand(pattern: &str, tokens: &mut Vec<Token>) {
    each_letter(pattern, |piece| {
        let token = match piece {
            Letters::Literal(c) if c.is_whitespace() => Token::Letters(" ".to_owned()),
            Letters::Literal(c) => Token::Literal(c.to_string()),
            Letters::Field("y") => Token::Letters("yyyyy".to_owned()),
            Letters::Field("mm") => Token::Letters("m".to_owned()),
            Letters::Field("ss") => Token::Letters("s".to_owned()),
            Letters::Field("hh") => Token::Letters("h".to_owned()),
            Letters::Field("HH") => Token::Letters("H".to_owned()),
            Letters::Field("z") => Token::Letters("ZZZ".to_owned()),
            Letters::Field(letters) => Token::Letters(letters.to_owned()),
        };
        tokens.push(token);
    });
}

fn fits<'t>(
    tokens: &[Token],
    at: usize,
    text: &'t str,
    place: usize,
    locale: Locale,
    found: &mut Vec<Found<'t>>,
    failed: &mut HashSet<(usize, usize)>,
) -> bool {
    let Some(token) = tokens.get(at) else {
        return place == text.len();
    };
    if failed.contains(&(at, place)) {
        return false;
    }
    let (letter, choices) = choices(token, &text[place..], locale);
    for (len, value) in choices {
        found.push((letter, value));
        if fits(tokens, at + 1, text, place + len, locale, found, failed) {
            return true;
        }
        found.pop();
    }
    failed.insert((at, place));
    false
}

/// What a token may take of the text, the likeliest first: bytes and value.
fn choices<'t>(token: &Token, rest: &'t str, locale: Locale) -> (char, Vec<(usize, Value<'t>)>) {
    let letters = match token {
        Token::Literal(literal) => return (' ', literal_choice(literal, rest)),
        Token::Letters(letters) => letters.as_str(),
    };
    let first = letters.chars().next().unwrap_or(' ');
    let digits = |least: usize, most: usize| -> Vec<(usize, Value<'t>)> {
        let count = rest.bytes().take(most).take_while(u8::is_ascii_digit);
        let count = count.count();
        (least..=count)
            .rev()
            .filter_map(|len| Some((len, Value::Number(rest[..len].parse().ok()?))))
            .collect()
    };
    let names = |letters: &str, from: i64| -> Vec<(usize, Value<'t>)> {
        (from..)
            .zip(locale.names(letters))
            .flat_map(|(value, name)| {
                let plain = name.replace('.', "");
                [name.to_owned(), plain].map(|name| (value, name))
            })
            .filter_map(|(value, name)| Some((same_start(rest, &name)?, Value::Number(value))))
            .collect()
    };
    let choices = match letters {
        "y" => digits(1, 6),
        "yy" | "kk" => digits(2, 4)
            .into_iter()
            .map(|(len, value)| match value {
                Value::Number(year) => (len, Value::Number(full_year(year))),
                other => (len, other),
            })
            .collect(),
        "yyyy" | "kkkk" => digits(4, 4),
        "yyyyy" => digits(4, 6),
        "yyyyyy" => digits(6, 6),
        "MM" | "LL" | "dd" | "HH" | "hh" | "mm" | "ss" | "qq" | "WW" => digits(2, 2),
        "M" | "L" | "d" | "H" | "h" | "m" | "s" | "q" | "W" => digits(1, 2),
        "o" | "S" => digits(1, 3),
        "ooo" | "SSS" => digits(3, 3),
        "E" | "c" => digits(1, 1),
        "u" | "uu" | "uuu" => {
            let most = [9, 2, 1][letters.len() - 1];
            digits(1, most)
                .into_iter()
                .map(|(len, _)| (len, Value::Text(&rest[..len])))
                .collect()
        }
        // What stands alone in a format is read as what stands among others, and the other way.
        "MMM" | "MMMM" | "LLL" | "LLLL" | "EEE" | "EEEE" | "ccc" | "cccc" => names(letters, 1),
        "a" => names("a", 0),
        "G" | "GG" => eras(rest, letters.len()),
        "Z" | "ZZ" => offsets(rest, true),
        "ZZZ" => offsets(rest, false),
        "z" => {
            let most = rest
                .bytes()
                .take(256)
                .take_while(|b| b.is_ascii_alphanumeric() || b"_+-/".contains(b));
            (1..=most.count())
                .map(|len| (len, Value::Text(&rest[..len])))
                .collect()
        }
        " " => rest
            .chars()
            .next()
            .filter(|c| c.is_whitespace() && !"\n\r".contains(*c))
            .map(|c| (c.len_utf8(), Value::None))
            .into_iter()
            .collect(),
        other => return (' ', literal_choice(other, rest)),
    };
    (first, choices)
}

fn literal_choice<'t>(literal: &str, rest: &'t str) -> Vec<(usize, Value<'t>)> {
    let len = same_start(rest, literal);
    len.map(|len| (len, Value::None)).into_iter().collect()
}

/// The bytes at the start of the text that are the same but for case, and for kinds of spaces.
fn same_start(text: &str, start: &str) -> Option<usize> {
    let plain = |c: char| {
        if c == '\u{a0}' || c == '\u{202f}' {
            ' '
        } else {
            c
        }
    };
    let mut chars = text.chars();
    let mut len = 0;
    for wanted in start.chars() {
        let c = chars.next()?;
        let same = plain(c) == plain(wanted) || c.to_lowercase().eq(wanted.to_lowercase());
        if !same {
            return None;
        }
        len += c.len_utf8();
    }
    (len > 0).then_some(len)
}

fn eras(rest: &str, len: usize) -> Vec<(usize, Value<'_>)> {
    let eras = if len == 1 {
        ["BC", "AD"]
    } else {
        ["Before Christ", "Anno Domini"]
    };
    (0..)
        .zip(eras)
        .filter_map(|(value, name)| Some((same_start(rest, name)?, Value::Number(value))))
        .collect()
}

/// `+1`, `+01:30` or `+0130`, as minutes.
fn offsets(rest: &str, colon: bool) -> Vec<(usize, Value<'_>)> {
    let sign = match rest.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Vec::new(),
    };
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = rest
            .get(range)
            .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse().ok()
    };
    let mut found = Vec::new();
    for hours in [2, 1] {
        let Some(hour) = number(1..1 + hours) else {
            continue;
        };
        let (end, gap) = (1 + hours, usize::from(colon));
        let separated = !colon || rest[end..].starts_with(':');
        if let Some(minute) = number(end + gap..end + gap + 2).filter(|_| separated) {
            found.push((end + gap + 2, Value::Number(sign * (hour * 60 + minute))));
        }
        found.push((end, Value::Number(sign * hour * 60)));
    }
    found
}

fn fields<'t>(found: &[Found<'t>]) -> Read<'t> {
    // Of a letter that comes twice the last counts.
    let get = |letter| {
        found
            .iter()
            .rev()
            .find(|(known, _)| *known == letter)
            .map(|f| f.1)
    };
    let number = |letter| match get(letter) {
        Some(Value::Number(n)) => Some(n),
        _ => None,
    };
    let mut parsed = Parsed::default();
    for (letters, field) in [
        ("S", Field::Millisecond),
        ("s", Field::Second),
        ("m", Field::Minute),
        ("H", Field::Hour),
        ("d", Field::Day),
        ("o", Field::Ordinal),
        ("LM", Field::Month),
        ("y", Field::Year),
        ("Ec", Field::Weekday),
        ("W", Field::WeekNumber),
        ("k", Field::WeekYear),
    ] {
        if let Some(value) = letters.chars().find_map(number) {
            parsed.put(field, value);
        }
    }
    if let Some(quarter) = number('q') {
        parsed.put(Field::Month, (quarter - 1) * 3 + 1);
    }
    if let Some(hour) = number('h') {
        let hour = match number('a') {
            Some(1) if hour < 12 => hour + 12,
            Some(0) if hour == 12 => 0,
            _ => hour,
        };
        parsed.put(Field::Hour, hour);
    }
    if let (Some(0), Some(year)) = (number('G'), number('y')) {
        parsed.put(Field::Year, -year);
    }
    if let Some(Value::Text(digits)) = get('u') {
        parsed.put(Field::Millisecond, milliseconds(digits));
    }
    let offset = number('Z').and_then(|minutes| i32::try_from(minutes).ok());
    parsed.zone = match get('z') {
        Some(Value::Text(name)) => Some(Named::Name(name)),
        _ => offset.map(Named::Minutes),
    };
    (parsed, offset)
}
