//! The text that is searched, character by character.
//!
//! A position is a byte of UTF-8 or an index of a UTF-16 unit, whichever the text is in; it always
//! lies between two characters as the pattern counts them.

/// Text as one pattern sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// Each code point is a character: with the flag `u`, or of the first plane only.
    Utf8(&'a str),
    Units(Units<'a>),
}

/// UTF-16, where each unit is a character, or with the flag `u` each pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Units<'a> {
    pub(crate) units: &'a [u16],
    pub(crate) pairs: bool,
}

impl Subject<'_> {
    /// The position of the end.
    pub(crate) fn len(self) -> usize {
        match self {
            Subject::Utf8(text) => text.len(),
            Subject::Units(units) => units.units.len(),
        }
    }

    /// The position behind the character at `pos`; at the end one further.
    pub(crate) fn after(self, pos: usize) -> usize {
        let next = match self {
            Subject::Utf8(text) => Input::at(text.as_bytes(), pos),
            Subject::Units(units) => units.at(pos),
        };
        next.map_or(pos + 1, |(_, next)| next)
    }
}

/// What the engines read.
pub(super) trait Input: Copy {
    fn len(self) -> usize;

    /// The character at a position, and the position behind it.
    fn at(self, pos: usize) -> Option<(u32, usize)>;

    /// The character before a position.
    fn before(self, pos: usize) -> Option<u32>;
}

/// The bytes of UTF-8.
impl Input for &[u8] {
    #[inline(always)]
    fn len(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn at(self, pos: usize) -> Option<(u32, usize)> {
        let first = u32::from(*self.get(pos)?);
        if first < 0x80 {
            return Some((first, pos + 1));
        }
        let more = |i: usize| u32::from(self.get(pos + i).copied().unwrap_or(0) & 0x3f);
        Some(match first {
            0..0xe0 => ((first & 0x1f) << 6 | more(1), pos + 2),
            0xe0..0xf0 => ((first & 0x0f) << 12 | more(1) << 6 | more(2), pos + 3),
            _ => (
                (first & 0x07) << 18 | more(1) << 12 | more(2) << 6 | more(3),
                pos + 4,
            ),
        })
    }

    #[inline(always)]
    fn before(self, pos: usize) -> Option<u32> {
        let mut start = pos.checked_sub(1)?;
        while start > 0 && self[start] & 0xc0 == 0x80 {
            start -= 1;
        }
        self.at(start).map(|(c, _)| c)
    }
}

impl Input for Units<'_> {
    #[inline(always)]
    fn len(self) -> usize {
        self.units.len()
    }

    #[inline(always)]
    fn at(self, pos: usize) -> Option<(u32, usize)> {
        let unit = u32::from(*self.units.get(pos)?);
        if self.pairs
            && (0xd800..0xdc00).contains(&unit)
            && let Some(trail @ 0xdc00..=0xdfff) = self.units.get(pos + 1)
        {
            let c = 0x10000 + ((unit - 0xd800) << 10) + (u32::from(*trail) - 0xdc00);
            return Some((c, pos + 2));
        }
        Some((unit, pos + 1))
    }

    #[inline(always)]
    fn before(self, pos: usize) -> Option<u32> {
        let last = pos.checked_sub(1)?;
        if self.pairs
            && let Some(start) = last.checked_sub(1)
            && let Some((c, next)) = self.at(start)
            && next == pos
        {
            return Some(c);
        }
        Some(u32::from(self.units[last]))
    }
}

/// Whether the assertion holds at a position.
#[inline]
pub(super) fn holds<I: Input>(input: I, assert: super::parse::Assert, pos: usize) -> bool {
    use super::parse::Assert as A;
    let line_end = |c: Option<u32>| matches!(c, Some(0x0a | 0x0d | 0x2028 | 0x2029));
    let next = || input.at(pos).map(|(c, _)| c);
    let word = |c: Option<u32>, folded: bool| match c {
        Some(c @ 0..0x80) => {
            matches!(c as u8, b'0'..=b'9' | b'A'..=b'Z' | b'_' | b'a'..=b'z')
        }
        Some(0x17f | 0x212a) => folded,
        _ => false,
    };
    let boundary = |folded| word(input.before(pos), folded) != word(next(), folded);
    match assert {
        A::TextStart => pos == 0,
        A::TextEnd => pos == input.len(),
        A::LineStart => pos == 0 || line_end(input.before(pos)),
        A::LineEnd => pos == input.len() || line_end(next()),
        A::Boundary => boundary(false),
        A::NotBoundary => !boundary(false),
        A::BoundaryFolded => boundary(true),
        A::NotBoundaryFolded => !boundary(true),
    }
}
