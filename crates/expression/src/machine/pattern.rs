//! Patterns while an expression is evaluated: making them, and searching with them.

use super::Machine;
use crate::{
    error::Fault,
    library::Outcome,
    regex::{
        self, Compiled, Flags, Fuel, Pattern, Question, Regex, Scratch, Subject, Units, Wrong,
    },
    value::{Instance, Text, Val},
};

/// Patterns that are kept to be found again; a loop that makes the same few needs no more.
const KEPT: usize = 16;

/// Bytes of source that cost one operation to compile, beside the states.
const BYTES_PER_OPERATION: usize = 8;

/// States that cost one operation to make.
const STATES_PER_OPERATION: usize = 32;

/// Bytes of memory that compiling takes for each byte of source, for a moment.
const BYTES_PER_BYTE: usize = 32;

/// What an evaluation keeps between searches.
#[derive(Default)]
pub(super) struct Patterns<'a> {
    scratch: Scratch,
    /// Made while evaluating, the latest last: the text and flags as they were given.
    made: Vec<(&'a str, &'a Regex<'a>)>,
}

impl Fuel for Machine<'_> {
    fn spend(&mut self, operations: u64) -> Result<(), Fault> {
        self.charge(operations)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.reserve(bytes)
    }
}

impl<'a> Machine<'a> {
    pub(crate) fn regex_value(&mut self, pattern: Pattern<'a>) -> Outcome<'a> {
        self.instance(Instance::Regex(pattern))
    }

    /// A pattern from its text and flags.
    pub(crate) fn make_regex(&mut self, text: Text<'a>, flags: &str) -> Result<Pattern<'a>, Fault> {
        self.scan(text.size())?;
        let text = match text {
            Text::Utf8(text) => text,
            Text::Wide(units) => {
                let escaped = with_escapes(units);
                self.copy_str(&escaped)?
            }
        };
        let flags = Flags::parse(flags).map_err(wrong)?;
        self.charge(1)?;
        let kept = self.patterns.get_or_insert_default().made.iter();
        let known = kept
            .rev()
            .find(|(known, regex)| *known == text && regex.flags == flags);
        if let Some((_, regex)) = known {
            return Ok(Pattern::Made(regex));
        }
        self.charge((text.len() / BYTES_PER_OPERATION) as u64)?;
        self.reserve(text.len().saturating_mul(BYTES_PER_BYTE))?;
        let compiled = regex::compile(&regex::source_of(text), flags).map_err(wrong)?;
        self.keep(text, &compiled)
    }

    fn keep(&mut self, text: &'a str, compiled: &Compiled) -> Result<Pattern<'a>, Fault> {
        self.charge((compiled.states() / STATES_PER_OPERATION) as u64)?;
        self.reserve(compiled.size() + size_of::<Regex<'_>>())?;
        let regex: &'a Regex<'a> = self.arena.alloc(compiled.copy(self.arena));
        let made = &mut self.patterns.get_or_insert_default().made;
        if made.len() == KEPT {
            made.remove(0);
        }
        made.push((text, regex));
        Ok(Pattern::Made(regex))
    }

    /// Begins to search a text with a pattern.
    pub(crate) fn searched(
        &mut self,
        regex: Regex<'a>,
        text: Val<'a>,
    ) -> Result<Searched<'a>, Fault> {
        let of = self.text_of(text)?;
        self.allow_search(of.size(), regex.states());
        self.scan(of.size())?;
        let pairs = regex.flags.unicode;
        // Only code points beyond the first plane begin with such a byte.
        let astral = |text: &str| text.bytes().any(|b| b >= 0xf0);
        let (subject, ascii) = match of {
            Text::Utf8(text) if text.is_ascii() => (Subject::Utf8(text), true),
            Text::Utf8(text) if pairs || !astral(text) => (Subject::Utf8(text), false),
            Text::Utf8(text) => {
                self.reserve(of.len() * size_of::<u16>())?;
                let units = self
                    .arena
                    .alloc_slice_fill_iter(text.encode_utf16().collect::<Vec<_>>());
                (Subject::Units(Units { units, pairs }), true)
            }
            Text::Wide(units) => (Subject::Units(Units { units, pairs }), true),
        };
        let value = match text.text() {
            Some(_) => text,
            None => self.text_value(of)?,
        };
        Ok(Searched {
            regex,
            subject,
            value,
            units_are_positions: ascii,
            counted: (0, 0),
        })
    }
}

/// A pattern and the text that it looks at.
pub(crate) struct Searched<'a> {
    pub(crate) regex: Regex<'a>,
    pub(crate) subject: Subject<'a>,
    /// The text as a value.
    pub(crate) value: Val<'a>,
    units_are_positions: bool,
    /// A position and the units before it.
    counted: (usize, usize),
}

impl<'a> Searched<'a> {
    /// Looks for a match from a position on. Its groups are there until the next search.
    pub(crate) fn find(
        &self,
        m: &mut Machine<'a>,
        from: usize,
        only_there: bool,
        groups: u32,
    ) -> Result<bool, Fault> {
        if from > self.subject.len() {
            return Ok(false);
        }
        let question = Question {
            from,
            only_there,
            groups,
        };
        let mut patterns = m.patterns.take().unwrap_or_default();
        let found = regex::search(self.regex, self.subject, question, &mut patterns.scratch, m);
        m.patterns = Some(patterns);
        found
    }

    /// Where the whole match of the last search stands.
    pub(crate) fn whole(&self, m: &Machine<'a>) -> (usize, usize) {
        self.group(m, 0).unwrap_or((0, 0))
    }

    /// Where a group of the last match stands.
    pub(crate) fn group(&self, m: &Machine<'a>, number: u32) -> Option<(usize, usize)> {
        m.patterns.as_ref()?.scratch.group(number)
    }

    /// A group of the last match as a value.
    pub(crate) fn group_value(&self, m: &mut Machine<'a>, number: u32) -> Outcome<'a> {
        match self.group(m, number) {
            Some((from, to)) => self.part(m, from, to),
            None => Ok(Val::Undefined),
        }
    }

    /// The text between two positions.
    pub(crate) fn part(&self, m: &mut Machine<'a>, from: usize, to: usize) -> Outcome<'a> {
        if from >= to {
            return Ok(Val::EMPTY);
        }
        match self.subject {
            Subject::Utf8(text) => m.text_value(Text::Utf8(&text[from..to])),
            Subject::Units(all) => m.units_value(&all.units[from..to]),
        }
    }

    /// The text between two positions, to be put into another; halves of pairs may be at its ends.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Text<'a> {
        match self.subject {
            Subject::Utf8(text) => Text::Utf8(&text[from..to]),
            Subject::Units(all) => Text::Wide(&all.units[from..to]),
        }
    }

    /// The UTF-16 index of a position; positions that grow are counted only once.
    pub(crate) fn index(&mut self, m: &mut Machine<'a>, pos: usize) -> Result<f64, Fault> {
        let Subject::Utf8(text) = self.subject else {
            return Ok(pos as f64);
        };
        if self.units_are_positions {
            return Ok(pos as f64);
        }
        if pos < self.counted.0 {
            self.counted = (0, 0);
        }
        let (from, units) = self.counted;
        m.scan(pos - from)?;
        let units = units + Text::Utf8(&text[from..pos]).len();
        self.counted = (pos, units);
        Ok(units as f64)
    }
}

fn wrong(wrong: Wrong) -> Fault {
    let fault = Fault::new(wrong.code, wrong.message);
    match wrong.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Halves of pairs as escapes, since a pattern is well-formed text.
fn with_escapes(units: &[u16]) -> String {
    let mut text = String::new();
    for c in char::decode_utf16(units.iter().copied()) {
        match c {
            Ok(c) => text.push(c),
            Err(lone) => text.push_str(&format!("\\u{:04x}", lone.unpaired_surrogate())),
        }
    }
    text
}

impl<'a> Machine<'a> {
    /// The names of a match, beside its elements.
    pub(crate) fn copy_properties(
        &mut self,
        properties: &[(&'static str, Val<'a>)],
    ) -> Result<&'a [(&'static str, Val<'a>)], Fault> {
        self.reserve(size_of_val(properties))?;
        Ok(self.arena.alloc_slice_copy(properties))
    }
}
