//! `encodeURIComponent` and its relatives; `String.fromCharCode` and `fromCodePoint`.

use super::{Args, Function, Outcome, pure};
use crate::{
    error::Fault,
    guard::{Guard, holds},
    machine::{Machine, TextBuilder},
    value::{Text, to_int32},
};

/// Beside letters and digits, what stays in a component.
const COMPONENT: &str = "-_.!~*'()";
/// What also stays in a whole address.
const WHOLE: &str = "-_.!~*'();/?:@&=+$,#";

pub(super) const FUNCTIONS: [Function; 6] = [
    pure("String.fromCharCode", |m, args| {
        let mut units = Vec::with_capacity(args.len());
        for arg in args.0 {
            units.push(to_int32(m.number_of(*arg)?) as u16);
        }
        m.units_value(&units)
    }),
    pure("String.fromCodePoint", from_code_point),
    pure("decodeURI", |m, args| decode(m, args, ";/?:@&=+$,#")),
    pure("decodeURIComponent", |m, args| decode(m, args, "")),
    pure("encodeURI", |m, args| encode(m, args, WHOLE)),
    pure("encodeURIComponent", |m, args| encode(m, args, COMPONENT)),
];

fn from_code_point<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut out = m.text_builder(args.len())?;
    for arg in args.0 {
        let n = m.number_of(*arg)?;
        let whole = n.trunc() == n && (0.0..=1_114_111.0).contains(&n);
        if !whole && holds(Guard::ArgumentRange) {
            return Err(Fault::new(
                "TYPE_RANGE",
                "a code point is a whole number up to 0x10FFFF",
            ));
        }
        match char::from_u32(n as u32) {
            Some(c) => out.push_str(m, c.encode_utf8(&mut [0; 4]))?,
            None => out.push(m, Text::Wide(&[n as u16]))?,
        }
    }
    out.finish(m)
}

fn encode<'a>(m: &mut Machine<'a>, args: Args<'a, '_>, kept: &str) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    m.scan(text.size())?;
    let Some(text) = text.utf8() else {
        return Err(Fault::new("TYPE_URI", "half a character cannot be encoded")
            .hint("call `.toWellFormed()` first"));
    };
    let mut out = m.text_builder(text.len())?;
    let stays = |c: char| c.is_ascii_alphanumeric() || kept.contains(c);
    let mut rest = text;
    while let Some(at) = rest.find(|c| !stays(c)) {
        out.push_str(m, &rest[..at])?;
        let len = rest[at..].chars().next().map_or(1, char::len_utf8);
        for b in &rest.as_bytes()[at..at + len] {
            let hex = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap_or('0');
            let code: String = [
                '%',
                hex(b >> 4).to_ascii_uppercase(),
                hex(b & 15).to_ascii_uppercase(),
            ]
            .into_iter()
            .collect();
            out.push_str(m, &code)?;
        }
        rest = &rest[at + len..];
    }
    out.push_str(m, rest)?;
    out.finish(m)
}

/// Decodes; what stands for a character of `kept` stays encoded.
fn decode<'a>(m: &mut Machine<'a>, args: Args<'a, '_>, kept: &str) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    m.scan(text.size())?;
    let mut out = m.text_builder(text.len())?;
    match text {
        Text::Utf8(text) => decode_part(m, &mut out, text, kept)?,
        // Half characters stay as they are.
        Text::Wide(units) => {
            m.reserve(text.size())?;
            let mut part = String::new();
            for c in char::decode_utf16(units.iter().copied()) {
                match c {
                    Ok(c) => part.push(c),
                    Err(lone) => {
                        decode_part(m, &mut out, &part, kept)?;
                        part.clear();
                        out.push(m, Text::Wide(&[lone.unpaired_surrogate()]))?;
                    }
                }
            }
            decode_part(m, &mut out, &part, kept)?;
        }
    }
    out.finish(m)
}

fn decode_part<'a>(
    m: &mut Machine<'a>,
    out: &mut TextBuilder<'a>,
    text: &str,
    kept: &str,
) -> Result<(), Fault> {
    let malformed = || Fault::new("TYPE_URI", "the text holds a `%` that encodes nothing");
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(m, &rest[..at])?;
        rest = &rest[at..];
        let byte = |i: usize| -> Option<u8> {
            let code = rest.get(i * 3..i * 3 + 3)?.strip_prefix('%')?;
            let plain = code.bytes().all(|b| b.is_ascii_hexdigit());
            plain.then(|| u8::from_str_radix(code, 16).ok())?
        };
        let first = byte(0).ok_or_else(malformed)?;
        let len = match first {
            0..0x80 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf8 => 4,
            _ => return Err(malformed()),
        };
        let bytes: Option<Vec<u8>> = (0..len).map(byte).collect();
        let decoded = bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(malformed)?;
        if kept.contains(&decoded) {
            out.push_str(m, &rest[..len * 3])?;
        } else {
            out.push_str(m, &decoded)?;
        }
        rest = &rest[len * 3..];
    }
    out.push_str(m, rest)
}
