//! `JSON.parse`: from text straight into the arena, every value paid for before it is made.
//!
//! JavaScript's JSON has more than most readers of it allow: lone surrogates, escaped or not, and
//! numbers that are too large and become infinite.

use serde_json::Number;

use super::{Args, Function, Outcome, json_revive::revive};
use crate::{
    Purity,
    error::Fault,
    machine::{Machine, TextBuilder},
    value::{Entries, Text, Val, is_too_nested, too_nested},
};

pub(super) const PARSE: Function = Function {
    name: "JSON.parse",
    callbacks: 0b10,
    purity: Purity::Pure,
    run: parse,
};

fn parse<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    m.scan(text.size())?;
    let escaped;
    let text = match text {
        Text::Utf8(text) => text,
        // Outside of strings an escape is as wrong as a lone surrogate is.
        Text::Wide(units) => {
            m.reserve(units.len() * 6)?;
            escaped = escape_lone(units);
            &escaped
        }
    };
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(m, 0)?;
    reader.blank();
    if reader.at < text.len() {
        return Err(reader.wrong());
    }
    match args.get(1) {
        Val::Callback(reviver) => revive(m, reviver, Val::EMPTY, value),
        _ => Ok(value),
    }
}

/// The text with its lone surrogates as `\ud83d`.
fn escape_lone(units: &[u16]) -> String {
    let mut text = String::with_capacity(units.len());
    for c in char::decode_utf16(units.iter().copied()) {
        match c {
            Ok(c) => text.push(c),
            Err(lone) => text.push_str(&format!("\\u{:04x}", lone.unpaired_surrogate())),
        }
    }
    text
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn blank(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// The text is not JSON at the current place.
    #[cold]
    fn wrong(&self) -> Fault {
        let read = &self.text.as_bytes()[..self.at.min(self.text.len())];
        let lines = read.iter().filter(|b| **b == b'\n').count();
        let line_start = read
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let message = format!(
            "the text is not JSON: line {}, column {} of {} bytes",
            lines + 1,
            self.at - line_start + 1,
            self.text.len()
        );
        Fault::new("TYPE_JSON", message)
            .hint("check that it is text, and not an object or undefined already")
    }

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.byte() != byte {
            return Err(self.wrong());
        }
        self.at += 1;
        Ok(())
    }

    fn word<'a>(&mut self, word: &str, value: Val<'a>) -> Outcome<'a> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong());
        }
        self.at += word.len();
        Ok(value)
    }

    /// A value inside of `depth` lists and objects.
    fn value<'a>(&mut self, m: &mut Machine<'a>, depth: usize) -> Outcome<'a> {
        m.charge(1)?;
        self.blank();
        match self.byte() {
            b'{' | b'[' if is_too_nested(depth + 1) => Err(too_nested()),
            b'{' => self.object(m, depth + 1),
            b'[' => self.array(m, depth + 1),
            b'"' => {
                let text = self.string(m)?;
                m.text_value(text)
            }
            b't' => self.word("true", Val::Bool(true)),
            b'f' => self.word("false", Val::Bool(false)),
            b'n' => self.word("null", Val::Null),
            _ => self.number(m),
        }
    }

    fn array<'a>(&mut self, m: &mut Machine<'a>, depth: usize) -> Outcome<'a> {
        self.at += 1;
        let mut list = m.list(0)?;
        self.blank();
        if self.byte() == b']' {
            self.at += 1;
            return m.array(list);
        }
        loop {
            let item = self.value(m, depth)?;
            m.walk(1)?;
            list.push(m, item)?;
            self.blank();
            if self.byte() == b',' {
                self.at += 1;
                continue;
            }
            self.take(b']')?;
            return m.array(list);
        }
    }

    fn object<'a>(&mut self, m: &mut Machine<'a>, depth: usize) -> Outcome<'a> {
        self.at += 1;
        let mut entries = Entries::default();
        self.blank();
        if self.byte() == b'}' {
            self.at += 1;
            return m.object(entries);
        }
        loop {
            self.blank();
            if self.byte() != b'"' {
                return Err(self.wrong());
            }
            let key = self.string(m)?;
            self.blank();
            self.take(b':')?;
            let value = self.value(m, depth)?;
            m.walk(1)?;
            m.reserve_entry(&entries)?;
            entries.push(key, value);
            self.blank();
            if self.byte() == b',' {
                self.at += 1;
                continue;
            }
            self.take(b'}')?;
            return m.object(entries);
        }
    }

    /// The plain text up to a quote or an escape.
    fn run(&mut self) -> Result<&'t str, Fault> {
        let rest = &self.text[self.at..];
        let ends = |b: &u8| matches!(b, b'"' | b'\\') || *b < b' ';
        let len = rest.bytes().position(|b| ends(&b)).unwrap_or(rest.len());
        self.at += len;
        match self.byte() {
            b'"' | b'\\' => Ok(&rest[..len]),
            // A control character, or the end.
            _ => Err(self.wrong()),
        }
    }

    fn string<'a>(&mut self, m: &mut Machine<'a>) -> Result<Text<'a>, Fault> {
        self.at += 1;
        let first = self.run()?;
        if self.byte() == b'"' {
            self.at += 1;
            return m.copy_str(first).map(Text::Utf8);
        }
        let mut out = m.text_builder(first.len() + 16)?;
        out.push_str(m, first)?;
        loop {
            if self.byte() == b'"' {
                self.at += 1;
                return out.finish_text(m);
            }
            self.at += 1;
            let plain = match self.byte() {
                b'"' => "\"",
                b'\\' => "\\",
                b'/' => "/",
                b'b' => "\u{8}",
                b'f' => "\u{c}",
                b'n' => "\n",
                b'r' => "\r",
                b't' => "\t",
                b'u' => "",
                _ => return Err(self.wrong()),
            };
            self.at += 1;
            if plain.is_empty() {
                let unit = self.unit()?;
                self.push_unit(m, &mut out, unit)?;
            } else {
                out.push_str(m, plain)?;
            }
            let more = self.run()?;
            out.push_str(m, more)?;
        }
    }

    /// Four hex digits.
    fn unit(&mut self) -> Result<u16, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let unit = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u16::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.wrong())?;
        self.at += 4;
        Ok(unit)
    }

    fn push_unit<'a>(
        &mut self,
        m: &mut Machine<'a>,
        out: &mut TextBuilder<'a>,
        unit: u16,
    ) -> Result<(), Fault> {
        let mut pair = [unit, 0];
        let mut len = 1;
        let high = (0xd800..0xdc00).contains(&unit);
        if high && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            pair[1] = self.unit()?;
            len = 2;
            if !(0xdc00..0xe000).contains(&pair[1]) {
                // Not its other half; it is read again by itself.
                self.at = before;
                len = 1;
            }
        }
        match char::decode_utf16(pair[..len].iter().copied()).next() {
            Some(Ok(c)) => out.push_str(m, c.encode_utf8(&mut [0; 4])),
            _ => out.push(m, Text::Wide(&pair[..1])),
        }
    }

    fn number<'a>(&mut self, m: &mut Machine<'a>) -> Outcome<'a> {
        let start = self.at;
        if self.byte() == b'-' {
            self.at += 1;
        }
        match self.byte() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.wrong()),
        }
        let mut whole = true;
        if self.byte() == b'.' {
            whole = false;
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            whole = false;
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.some_digits()?;
        }
        let text = &self.text[start..self.at];
        if whole {
            // Beyond 2^53 it stays exact, as in the data.
            let exact = match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(n), _) if n != 0 => Some(Number::from(n)),
                (_, Ok(n)) if n != 0 => Some(Number::from(n)),
                _ => None,
            };
            if let Some(number) = exact {
                return m.number(number);
            }
        }
        // Also -0. What is too large is infinite.
        text.parse().map(Val::Num).map_err(|_| self.wrong())
    }

    fn digits(&mut self) {
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        if !self.byte().is_ascii_digit() {
            return Err(self.wrong());
        }
        self.digits();
        Ok(())
    }
}
