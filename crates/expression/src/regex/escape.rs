//! What stands behind a backslash, and the names of groups.

use super::{
    Wrong,
    parse::{Parser, Part},
    property::property,
    set::CharSet,
};

/// What an escape means.
pub(super) enum Escape {
    Char(u32),
    Set(CharSet),
}

impl Parser<'_> {
    /// An escape that stands for itself, outside a class; the position is at its backslash.
    pub(super) fn atom_escape(&mut self) -> Result<Part, Wrong> {
        let start = self.pos;
        let next = self.peek(1);
        if next.is_ascii_digit() && next != '0' {
            let digits = (1..).take_while(|i| self.peek(*i).is_ascii_digit());
            let len = digits.clone().count();
            let number = digits.fold(0_u32, |n, i| {
                n.saturating_mul(10)
                    .saturating_add(self.peek(i).to_digit(10).unwrap_or(0))
            });
            if self.flags.unicode || number < self.all_groups {
                self.pos += 1 + len;
                if number >= self.all_groups {
                    return Err(self.wrong("there is no group of that number", start, self.pos));
                }
                return Err(self.backreference(start));
            }
        }
        if next == 'k' && (self.flags.unicode || self.has_names) {
            self.pos += 2;
            if !self.eat("<") {
                return Err(self.wrong("`\\k` needs the name of a group", start, self.pos));
            }
            self.group_name()?;
            return Err(self.backreference(start));
        }
        Ok(match self.escape(false)? {
            Escape::Char(c) => self.character(c),
            Escape::Set(set) => self.set(set),
        })
    }

    /// Any other escape; the position is at its backslash.
    pub(super) fn escape(&mut self, in_class: bool) -> Result<Escape, Wrong> {
        let start = self.pos;
        let strict = self.flags.unicode;
        self.pos += 1;
        if self.at_end() {
            return Err(self.wrong("a backslash ends the pattern", start, self.pos));
        }
        let letter = self.peek(0);
        self.pos += 1;
        let folded = strict && self.flags.ignore_case;
        let set = |set: CharSet, inverted: bool| {
            Ok(Escape::Set(if inverted { set.complement() } else { set }))
        };
        let c = match letter {
            'd' | 'D' => return set(CharSet::digits(), letter == 'D'),
            's' | 'S' => return set(CharSet::spaces(), letter == 'S'),
            'w' | 'W' => return set(CharSet::words(folded), letter == 'W'),
            'p' | 'P' if strict => return set(self.property(start)?, letter == 'P'),
            'b' if in_class => 0x08,
            '-' if in_class => 0x2d,
            't' => 0x09,
            'n' => 0x0a,
            'v' => 0x0b,
            'f' => 0x0c,
            'r' => 0x0d,
            'c' => return self.control(start, in_class),
            '0' if !self.peek(0).is_ascii_digit() => 0,
            '0'..='7' if !strict => self.octal(letter),
            'x' => match self.hex(2) {
                Some(c) => c,
                None if strict => return Err(self.bad_escape(start)),
                None => u32::from('x'),
            },
            'u' => match self.code_point() {
                Some(c) => c,
                None if strict => return Err(self.bad_escape(start)),
                None => u32::from('u'),
            },
            'k' if self.has_names => return Err(self.bad_escape(start)),
            '^' | '$' | '\\' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|'
            | '/' => u32::from(letter),
            _ if strict => return Err(self.bad_escape(start)),
            _ => self.chars[self.pos - 1],
        };
        Ok(Escape::Char(c))
    }

    fn bad_escape(&self, start: usize) -> Wrong {
        self.wrong("there is no such escape", start, self.pos)
    }

    /// `\cJ`; behind what is none the backslash stands for itself.
    fn control(&mut self, start: usize, in_class: bool) -> Result<Escape, Wrong> {
        let letter = self.peek(0);
        let lenient = in_class && !self.flags.unicode;
        let known =
            letter.is_ascii_alphabetic() || lenient && (letter.is_ascii_digit() || letter == '_');
        if known {
            self.pos += 1;
            return Ok(Escape::Char(u32::from(letter) % 32));
        }
        if self.flags.unicode {
            return Err(self.bad_escape(start));
        }
        self.pos -= 1;
        Ok(Escape::Char(u32::from('\\')))
    }

    /// Up to three octal digits, at most `\377`; the first is read.
    fn octal(&mut self, first: char) -> u32 {
        let mut value = first.to_digit(8).unwrap_or(0);
        let more = if first <= '3' { 2 } else { 1 };
        for _ in 0..more {
            match self.peek(0).to_digit(8) {
                Some(digit) => {
                    value = value * 8 + digit;
                    self.pos += 1;
                }
                None => break,
            }
        }
        value
    }

    fn hex(&mut self, len: usize) -> Option<u32> {
        let mut value = 0;
        for i in 0..len {
            value = value * 16 + self.peek(i).to_digit(16)?;
        }
        self.pos += len;
        Some(value)
    }

    /// Behind `\u`: four digits, with `u` also a pair of them, or any number of digits in braces.
    fn code_point(&mut self) -> Option<u32> {
        if !self.flags.unicode {
            return self.hex(4);
        }
        if self.peek(0) != '{' {
            let lead = self.hex(4)?;
            let pos = self.pos;
            if (0xd800..0xdc00).contains(&lead)
                && self.eat("\\u")
                && let Some(trail @ 0xdc00..=0xdfff) = self.hex(4)
            {
                return Some(0x10000 + ((lead - 0xd800) << 10) + (trail - 0xdc00));
            }
            self.pos = pos;
            return Some(lead);
        }
        let mut at = 1;
        let mut value = 0_u32;
        while let Some(digit) = self.peek(at).to_digit(16) {
            value = value.saturating_mul(16).saturating_add(digit);
            at += 1;
        }
        if at == 1 || self.peek(at) != '}' || value > super::set::LAST {
            return None;
        }
        self.pos += at + 1;
        Some(value)
    }

    fn property(&mut self, start: usize) -> Result<CharSet, Wrong> {
        let mut name = String::new();
        if self.eat("{") {
            while self.peek(0).is_ascii_alphanumeric() || matches!(self.peek(0), '_' | '=') {
                name.push(self.peek(0));
                self.pos += 1;
            }
            if self.eat("}")
                && let Some(set) = property(&name)
            {
                return Ok(set);
            }
        }
        let mut wrong = self.wrong("there is no such property of characters", start, self.pos);
        wrong.hint = Some("such as `\\p{L}`, `\\p{Lu}`, `\\p{Script=Greek}`, `\\p{Emoji}`");
        Err(wrong)
    }

    /// Behind `<`: the name of a group with its `>`.
    pub(super) fn group_name(&mut self) -> Result<String, Wrong> {
        let start = self.pos;
        let mut name = String::new();
        loop {
            if self.at_end() {
                return Err(self.wrong("the name of the group has no end", start, self.pos));
            }
            if self.eat(">") {
                break;
            }
            let Some(c) = self.name_character() else {
                return Err(self.wrong("this is no name of a group", start, self.pos + 1));
            };
            let fits = match c {
                '$' | '_' => true,
                c if name.is_empty() => c.is_alphabetic(),
                c => c.is_alphanumeric() || matches!(c, '\u{200c}' | '\u{200d}'),
            };
            if !fits {
                return Err(self.wrong("this is no name of a group", start, self.pos));
            }
            name.push(c);
        }
        if name.is_empty() {
            return Err(self.wrong("the group has no name", start, self.pos));
        }
        Ok(name)
    }

    /// One character of a name: names are read as code points also without `u`.
    fn name_character(&mut self) -> Option<char> {
        let unit = if self.eat("\\u") {
            let unicode = std::mem::replace(&mut self.flags.unicode, true);
            let c = self.code_point();
            self.flags.unicode = unicode;
            c?
        } else {
            let unit = *self.chars.get(self.pos)?;
            self.pos += 1;
            match (unit, self.chars.get(self.pos)) {
                (0xd800..0xdc00, Some(trail @ 0xdc00..=0xdfff)) => {
                    self.pos += 1;
                    0x10000 + ((unit - 0xd800) << 10) + (trail - 0xdc00)
                }
                _ => unit,
            }
        };
        char::from_u32(unit)
    }
}
