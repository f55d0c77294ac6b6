//! Text by UTF-16 units, as JavaScript counts it.
//!
//! Nearly all text is ASCII, where a unit is a byte; other text is counted as it is walked. Text
//! with a lone surrogate cannot be UTF-8 and is kept as units.

use std::cmp::Ordering;

use crate::guard::{Guard, holds};

/// A string. `Wide` holds a lone surrogate somewhere; whatever does not is `Utf8`, so equal
/// strings are equal in form.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    Utf8(&'a str),
    Wide(&'a [u16]),
}

impl<'a> Text<'a> {
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Text::Utf8(s) => s.is_empty(),
            Text::Wide(units) => units.is_empty(),
        }
    }

    /// Length in UTF-16 units.
    pub(crate) fn len(self) -> usize {
        match self {
            Text::Utf8(s) if s.is_ascii() => s.len(),
            Text::Utf8(s) => s.chars().map(char::len_utf16).sum(),
            Text::Wide(units) => units.len(),
        }
    }

    /// Length in bytes of memory: what a copy costs.
    pub(crate) fn size(self) -> usize {
        match self {
            Text::Utf8(s) => s.len(),
            Text::Wide(units) => units.len() * 2,
        }
    }

    pub(crate) fn unit_at(self, index: usize) -> Option<u16> {
        match self {
            Text::Utf8(s) if s.is_ascii() => s.as_bytes().get(index).map(|b| u16::from(*b)),
            Text::Utf8(s) => s.encode_utf16().nth(index),
            Text::Wide(units) => units.get(index).copied(),
        }
    }

    pub(crate) fn units(self) -> Units<'a> {
        match self {
            Text::Utf8(s) => Units::Utf8(s.encode_utf16()),
            Text::Wide(units) => Units::Wide(units.iter().copied()),
        }
    }

    /// The text as UTF-8 if it has no lone surrogate.
    pub(crate) fn utf8(self) -> Option<&'a str> {
        match self {
            Text::Utf8(s) => Some(s),
            Text::Wide(_) => None,
        }
    }

    /// Lone surrogates become U+FFFD.
    pub(crate) fn well_formed(self) -> String {
        match self {
            Text::Utf8(s) => s.to_owned(),
            Text::Wide(units) if holds(Guard::WellFormedResult) => String::from_utf16_lossy(units),
            Text::Wide(units) => format!("{units:x?}"),
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Text::Utf8(a), Text::Utf8(b)) => a == b,
            (Text::Wide(a), Text::Wide(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of UTF-16 units, which is not that of code points beyond the first plane.
impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Text::Utf8(a), Text::Utf8(b)) = (self, other) {
            // Lead bytes from 0xEE on are where surrogates and the end of the first plane swap.
            let differ = a.bytes().zip(b.bytes()).find(|(a, b)| a != b);
            return match differ {
                None => a.len().cmp(&b.len()),
                Some((a, b)) if a < 0xee && b < 0xee => a.cmp(&b),
                Some(_) => a.encode_utf16().cmp(b.encode_utf16()),
            };
        }
        self.units().cmp(other.units())
    }
}

/// The UTF-16 units of a text.
pub(crate) enum Units<'a> {
    Utf8(std::str::EncodeUtf16<'a>),
    Wide(std::iter::Copied<std::slice::Iter<'a, u16>>),
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        match self {
            Units::Utf8(units) => units.next(),
            Units::Wide(units) => units.next(),
        }
    }
}
