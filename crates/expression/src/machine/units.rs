//! The UTF-16 units of long texts, looked for once.
//!
//! A text is UTF-8, and JavaScript counts units. As far as a text is ASCII, a unit is a byte; beyond,
//! units are counted block by block, and each block is paid for. What was found out of the long text
//! that was asked about last is kept, so that who walks through it does not count from the start
//! again and again.

use super::Machine;
use crate::{error::Fault, library::byte_at, value::Text};

/// A text of no more bytes is counted each time, and costs nothing beside its operation.
const SHORT: usize = 512;

/// Bytes whose units are counted at once, which costs one operation and takes some two microseconds.
const BLOCK: usize = 8 * 1024;

/// What is known of a long text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// Where it lies, and its bytes: no other text of an evaluation lies there.
    place: (usize, usize),
    /// So many bytes from the start are ASCII.
    ascii: usize,
    /// A byte, and the units whose characters begin before it.
    mark: (usize, usize),
    /// All of its units, once they were counted.
    units: Option<usize>,
}

impl<'a> Machine<'a> {
    /// The length of a text in units.
    pub(crate) fn units(&mut self, text: Text<'a>) -> Result<usize, Fault> {
        let Text::Utf8(s) = text else {
            return Ok(text.len());
        };
        if s.len() <= SHORT {
            return Ok(text.len());
        }
        let known = self.known(s);
        match known.units {
            Some(units) => Ok(units),
            None => self.count(s, known, None).map(|(_, units)| units),
        }
    }

    /// The unit at an index.
    pub(crate) fn unit_at(&mut self, text: Text<'a>, index: usize) -> Result<Option<u16>, Fault> {
        let s = match text {
            Text::Utf8(s) if s.len() > SHORT => s,
            _ => return Ok(text.unit_at(index)),
        };
        let mut pair = [0; 2];
        Ok(match self.byte_of(s, index)? {
            Some(byte) => {
                let first = s[byte..].chars().next();
                first.map(|c| c.encode_utf16(&mut pair)[0])
            }
            None => {
                let byte = self.byte_of(s, index.saturating_sub(1))?.unwrap_or(0);
                let both = s[byte..].chars().next();
                both.map(|c| c.encode_utf16(&mut pair)[1])
            }
        })
    }

    /// The byte where the unit of that index begins; `None` inside a pair. Beyond the end, it is the
    /// end.
    pub(crate) fn byte_of(&mut self, s: &'a str, unit: usize) -> Result<Option<usize>, Fault> {
        if unit >= s.len() {
            return Ok(Some(s.len()));
        }
        if s.len() <= SHORT {
            return Ok(byte_at(s, unit.min(Text::Utf8(s).len())));
        }
        let known = self.known(s);
        if unit <= known.ascii {
            return Ok(Some(unit));
        }
        if known.units.is_some_and(|units| unit >= units) {
            return Ok(Some(s.len()));
        }
        let (block, before) = self.count(s, known, Some(unit))?;
        Ok(within(s, block, before, unit))
    }

    /// The units before a byte where a character begins.
    pub(crate) fn units_before(&mut self, s: &'a str, byte: usize) -> Result<usize, Fault> {
        if s.len() <= SHORT {
            return Ok(Text::Utf8(&s[..byte]).len());
        }
        let known = self.known(s);
        if byte <= known.ascii {
            return Ok(byte);
        }
        let (from, units) = match known.mark {
            mark if mark.0 <= byte => mark,
            _ => (known.ascii, known.ascii),
        };
        self.charge(((byte - from) / BLOCK) as u64 + 1)?;
        Ok(units + units_in(&s.as_bytes()[from..byte]))
    }

    /// What is known of a long text; nothing, if another one was asked about last.
    fn known(&self, s: &str) -> Known {
        let place = (s.as_ptr().addr(), s.len());
        match self.texts.as_deref() {
            Some(known) if known.place == place => *known,
            _ => Known {
                place,
                ..Known::default()
            },
        }
    }

    /// Counts up to the block in which that unit is, or to the end: gives where the block begins, and
    /// the units before it.
    fn count(
        &mut self,
        s: &'a str,
        mut known: Known,
        to: Option<usize>,
    ) -> Result<(usize, usize), Fault> {
        let (mut block, mut before) = match known.mark {
            mark if to.is_none_or(|to| mark.1 <= to) => mark,
            _ => (known.ascii, known.ascii),
        };
        let mut stopped = Ok(());
        let found = loop {
            if block >= s.len() {
                known.units = Some(before);
                break (s.len(), before);
            }
            stopped = self.charge(1);
            if stopped.is_err() {
                break (block, before);
            }
            let bytes = &s.as_bytes()[block..s.len().min(block + BLOCK)];
            let ascii = bytes.is_ascii();
            let units = if ascii { bytes.len() } else { units_in(bytes) };
            if ascii && known.ascii == block {
                known.ascii += units;
            }
            if to.is_some_and(|to| before + units > to) {
                break (block, before);
            }
            block += bytes.len();
            before += units;
            known.mark = (block, before);
        };
        match &mut self.texts {
            Some(texts) => **texts = known,
            none => *none = Some(Box::new(known)),
        }
        stopped.map(|()| found)
    }
}

/// How many units the characters have that begin in these bytes.
fn units_in(bytes: &[u8]) -> usize {
    // A character of four bytes is a pair. No byte counts more than two, so a part's sum fits.
    const PART: usize = 127;
    let of = |byte: &u8| u8::from(*byte & 0xc0 != 0x80) + u8::from(*byte >= 0xf0);
    let parts = bytes.chunks(PART);
    let sums = parts.map(|part| part.iter().map(of).sum::<u8>());
    sums.map(usize::from).sum()
}

/// The byte of a unit that is not before this block.
fn within(s: &str, block: usize, before: usize, unit: usize) -> Option<usize> {
    let start = (block..s.len()).find(|at| s.is_char_boundary(*at));
    let (start, mut units) = (start.unwrap_or(s.len()), before);
    for (at, c) in s[start..].char_indices() {
        if units >= unit {
            return (units == unit).then_some(start + at);
        }
        units += c.len_utf16();
    }
    (units <= unit).then_some(s.len())
}
