//! Sets of characters, as sorted ranges.
//!
//! A character is a code point, surrogates included; without the `u` flag it is a UTF-16 unit.

/// The last code point.
pub(super) const LAST: u32 = 0x10_ffff;

/// White space and line ends.
const SPACES: [(u32, u32); 10] = [
    (0x09, 0x0d),
    (0x20, 0x20),
    (0xa0, 0xa0),
    (0x1680, 0x1680),
    (0x2000, 0x200a),
    (0x2028, 0x2029),
    (0x202f, 0x202f),
    (0x205f, 0x205f),
    (0x3000, 0x3000),
    (0xfeff, 0xfeff),
];

/// Ranges with both ends, sorted and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CharSet {
    ranges: Vec<(u32, u32)>,
}

impl CharSet {
    pub(super) fn new(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut set = Self {
            ranges: ranges.into_iter().collect(),
        };
        set.tidy();
        set
    }

    pub(super) fn of(c: u32) -> Self {
        Self {
            ranges: vec![(c, c)],
        }
    }

    pub(super) fn digits() -> Self {
        Self::new([(0x30, 0x39)])
    }

    /// `\w`; with `i` and `u` also the two letters that fold into ASCII.
    pub(super) fn words(folded: bool) -> Self {
        let mut set = Self::new([(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)]);
        if folded {
            set.add([(0x17f, 0x17f), (0x212a, 0x212a)]);
        }
        set
    }

    pub(super) fn spaces() -> Self {
        Self {
            ranges: SPACES.to_vec(),
        }
    }

    pub(super) fn line_ends() -> Self {
        Self::new([(0x0a, 0x0a), (0x0d, 0x0d), (0x2028, 0x2029)])
    }

    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    pub(super) fn contains(&self, c: u32) -> bool {
        in_ranges(&self.ranges, c)
    }

    pub(super) fn add(&mut self, ranges: impl IntoIterator<Item = (u32, u32)>) {
        self.ranges.extend(ranges);
        self.tidy();
    }

    /// Adds without putting in order; [`tidy`](CharSet::tidy) must follow.
    pub(super) fn add_loose(&mut self, ranges: &[(u32, u32)]) {
        self.ranges.extend_from_slice(ranges);
    }

    pub(super) fn tidy(&mut self) {
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, before| {
            let touches = next.0 <= before.1.saturating_add(1);
            if touches {
                before.1 = before.1.max(next.1);
            }
            touches
        });
    }

    pub(super) fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut from = 0;
        for (start, end) in &self.ranges {
            if *start > from {
                ranges.push((from, start - 1));
            }
            from = end + 1;
        }
        if from <= LAST {
            ranges.push((from, LAST));
        }
        Self { ranges }
    }

    /// The only character of the set.
    pub(super) fn single(&self) -> Option<u32> {
        match self.ranges[..] {
            [(a, b)] if a == b => Some(a),
            _ => None,
        }
    }
}

/// Whether one of the sorted ranges has the character.
pub(super) fn in_ranges(ranges: &[(u32, u32)], c: u32) -> bool {
    let at = ranges.partition_point(|(_, end)| *end < c);
    ranges.get(at).is_some_and(|(start, _)| *start <= c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_kept_in_order_and_its_complement_is_the_rest() {
        let set = CharSet::new([(5, 9), (0, 2), (3, 3), (8, 12)]);
        assert_eq!(set.ranges(), [(0, 3), (5, 12)]);
        assert_eq!(set.complement().ranges(), [(4, 4), (13, LAST)]);
        assert_eq!(set.complement().complement(), set);
        assert!(set.contains(3) && !set.contains(4) && set.contains(12) && !set.contains(13));
    }

    #[test]
    fn white_space_is_what_ecma_262_lists() {
        let space = |c: &u32| char::from_u32(*c).is_some_and(crate::syntax::is_js_space);
        let all = (0..=LAST).filter(space).map(|c| (c, c));
        assert_eq!(CharSet::spaces(), CharSet::new(all));
    }
}
