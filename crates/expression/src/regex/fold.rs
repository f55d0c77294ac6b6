//! What the `i` flag makes equal.
//!
//! ECMA-262 compares canonical forms: without `u` the upper case of a unit, unless that takes
//! several units or leads from beyond ASCII into it; with `u` the simple case folding of Unicode.
//! A set is closed under it once, so that matching compares nothing.

use std::{collections::BTreeMap, sync::LazyLock};

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::set::CharSet;

/// The set with everything that equals one of its characters.
pub(super) fn closed(set: CharSet, unicode: bool) -> CharSet {
    if unicode {
        by_folding(&set)
    } else {
        by_upper_case(set)
    }
}

/// Which characters have the same upper case.
struct Alike {
    groups: Vec<Vec<u32>>,
    /// The characters in order, each with its group.
    members: Vec<(u32, u32)>,
}

static ALIKE: LazyLock<Alike> = LazyLock::new(|| {
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for unit in 0..=0xffff {
        groups.entry(upper(unit)).or_default().push(unit);
    }
    let groups: Vec<_> = groups.into_values().filter(|all| all.len() > 1).collect();
    let numbered = groups.iter().zip(0_u32..);
    let mut members: Vec<_> = numbered
        .flat_map(|(all, group)| all.iter().map(move |c| (*c, group)))
        .collect();
    members.sort_unstable();
    Alike { groups, members }
});

/// `Canonicalize` without `u`.
fn upper(unit: u32) -> u32 {
    let Some(c) = char::from_u32(unit) else {
        return unit;
    };
    let mut all = c.to_uppercase();
    match (all.next().map(u32::from), all.next()) {
        (Some(upper), None) if upper <= 0xffff && (unit < 0x80 || upper >= 0x80) => upper,
        _ => unit,
    }
}

fn by_upper_case(mut set: CharSet) -> CharSet {
    // Nothing beyond ASCII equals an ASCII letter, so ASCII sets need no table.
    if set.ranges().iter().all(|(_, end)| *end < 0x80) {
        let letters = |from: u32, to: u32| (from..=to).filter(|c| set.contains(*c));
        let lower = letters(0x41, 0x5a).map(|c| c + 0x20);
        let upper = letters(0x61, 0x7a).map(|c| c - 0x20);
        let more: Vec<_> = lower.chain(upper).map(|c| (c, c)).collect();
        set.add(more);
        return set;
    }
    let mut more = Vec::new();
    for (start, end) in set.ranges() {
        let from = ALIKE.members.partition_point(|(c, _)| c < start);
        let within = ALIKE.members[from..].iter().take_while(|(c, _)| c <= end);
        for (_, group) in within {
            more.extend(ALIKE.groups[*group as usize].iter().map(|c| (*c, *c)));
        }
    }
    set.add(more);
    set
}

fn by_folding(set: &CharSet) -> CharSet {
    // Surrogates have no case; the others are without them.
    const SURROGATES: (u32, u32) = (0xd800, 0xdfff);
    let (mut class, mut kept) = (ClassUnicode::empty(), Vec::new());
    for (start, end) in set.ranges() {
        let parts = [
            (*start, (*end).min(SURROGATES.0 - 1)),
            ((*start).max(SURROGATES.1 + 1), *end),
        ];
        for (start, end) in parts {
            if let (true, Some(start), Some(end)) =
                (start <= end, char::from_u32(start), char::from_u32(end))
            {
                class.push(ClassUnicodeRange::new(start, end));
            }
        }
        let (start, end) = ((*start).max(SURROGATES.0), (*end).min(SURROGATES.1));
        if start <= end {
            kept.push((start, end));
        }
    }
    // Fails only where the tables were left out of the build.
    let _ = class.try_case_fold_simple();
    kept.extend(
        class
            .ranges()
            .iter()
            .map(|range| (range.start().into(), range.end().into())),
    );
    CharSet::new(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(c: char, unicode: bool) -> Vec<u32> {
        let set = closed(CharSet::of(c.into()), unicode);
        let all = set.ranges().iter().flat_map(|(a, b)| *a..=*b);
        all.collect()
    }

    #[test]
    fn letters_equal_their_other_case_as_each_flag_says() {
        assert_eq!(of('k', false), [0x4b, 0x6b]);
        assert_eq!(of('k', true), [0x4b, 0x6b, 0x212a]);
        assert_eq!(of('\u{17f}', false), [0x17f]);
        assert_eq!(of('ß', false), [0xdf]);
        assert_eq!(of('ß', true), [0xdf, 0x1e9e]);
        assert_eq!(of('σ', false), [0x3a3, 0x3c2, 0x3c3]);
        assert_eq!(of('µ', false), [0xb5, 0x39c, 0x3bc]);
        assert_eq!(of('\u{10400}', true), [0x10400, 0x10428]);
        assert_eq!(of('\u{130}', false), [0x130]);
    }

    #[test]
    fn surrogates_stay_in_a_folded_set() {
        let all = CharSet::new([(0, super::super::set::LAST)]);
        assert_eq!(closed(all.clone(), true), all);
    }
}
