//! Paths by fixed keys, which are followed without interpretation.
//!
//! Most expressions are nothing else, and nearly every other one begins with one. A path gives what
//! the evaluator would give, or leaves the case to it.

use std::sync::atomic::{AtomicU32, Ordering};

use compact_str::CompactString;
use serde_json::{Map, Value};

use crate::{
    Root, Scope,
    code::{Code, Run},
    guard::inherits,
    machine::Reg,
    value::array_index,
};

/// A path from a root, a node's result or a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) from: PathRoot,
    /// A run of [`Code::keys`].
    pub(crate) keys: Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathRoot {
    Root(Root),
    /// The result of the node in that slot.
    Result(u16),
    /// The parameter in that slot.
    Local(u16),
}

/// Where a path ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End<'v> {
    /// At a value of the data.
    At(&'v Value),
    /// The last key or index is not there.
    Nowhere,
    /// Something on the way is out of the ordinary; the evaluator knows what to do.
    Unclear,
}

impl Path {
    /// The value at the end of the path from a root or a node, if there is one.
    #[inline]
    pub(crate) fn find<'v>(&self, scope: &'v dyn Scope, code: &Code) -> Option<&'v Value> {
        match walk(self.keys.of(&code.keys), self.start(scope, &code.node_ids)?) {
            End::At(value) => Some(value),
            End::Nowhere | End::Unclear => None,
        }
    }

    /// What a path starts from that does not start from a parameter.
    #[inline(always)]
    pub(crate) fn start<'v>(&self, scope: &'v dyn Scope, node_ids: &[String]) -> Option<&'v Value> {
        match self.from {
            PathRoot::Root(root) => scope.root(root),
            PathRoot::Result(slot) => {
                scope
                    .node(usize::from(slot), &node_ids[usize::from(slot)])?
                    .result
            }
            PathRoot::Local(_) => None,
        }
    }
}

/// Follows the steps from a value of the data.
#[inline(always)]
pub(crate) fn walk<'v>(keys: &[Key], start: &'v Value) -> End<'v> {
    let mut value = start;
    for (i, key) in keys.iter().enumerate() {
        let next = match value {
            Value::Object(map) if key.index == NO_INDEX => key.of(map),
            Value::Array(items) if key.index != NO_INDEX => items.get(key.index as usize),
            _ => return End::Unclear,
        };
        value = match next {
            Some(next) => next,
            None if i + 1 == keys.len() && !inherits(key.as_str()) => return End::Nowhere,
            None => return End::Unclear,
        };
    }
    End::At(value)
}

/// Follows the steps from a value of the evaluation.
#[inline(always)]
pub(crate) fn walk_from<'v>(keys: &[Key], start: Reg<'v>) -> End<'v> {
    match start {
        Reg::Data(value) => walk(keys, value),
        Reg::JsonObject(map) => walk_from_object(keys, map),
        _ => End::Unclear,
    }
}

/// Follows the steps from an object of the data, as a list that was made holds it.
#[inline(never)]
fn walk_from_object<'v>(keys: &[Key], map: &'v Map<String, Value>) -> End<'v> {
    match keys.split_first() {
        Some((key, rest)) if key.index == NO_INDEX => match key.of(map) {
            Some(value) => walk(rest, value),
            None if rest.is_empty() && !inherits(key.as_str()) => End::Nowhere,
            None => End::Unclear,
        },
        _ => End::Unclear,
    }
}

/// The key of arrays and texts that no path follows: it is a number, not a value of the data.
pub(crate) const LENGTH: &str = "length";

/// A key that one place of a program asks objects for.
///
/// It remembers where it last stood: the objects of a list are mostly alike, and so are the objects
/// that one place sees over time. The memory is a hint only, so threads may share it.
#[derive(Debug)]
pub(crate) struct Key {
    text: CompactString,
    mark: Mark,
    /// Bytes of the text, at hand.
    len: usize,
    /// The index that it means, if it means one.
    index: u32,
    place: AtomicU32,
}

/// No array is so long that it has this index.
const NO_INDEX: u32 = u32::MAX;

/// Up to this many entries are searched one by one; that is faster than hashing the key.
const SMALL: usize = 16;

/// Places from here on are not remembered: to get there takes as long as hashing.
const FAR: usize = 32;

impl Key {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            mark: Mark::of(text.as_bytes()),
            len: text.len(),
            index: array_index(text).unwrap_or(NO_INDEX),
            place: AtomicU32::new(0),
        }
    }

    /// The index that it means, if it means one.
    pub(crate) fn index(&self) -> Option<u32> {
        (self.index != NO_INDEX).then_some(self.index)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What an object of the data has under this key.
    #[inline(always)]
    pub(crate) fn of<'v>(&self, map: &'v Map<String, Value>) -> Option<&'v Value> {
        let place = self.place.load(Ordering::Relaxed) as usize;
        if place < FAR
            && let Some((known, value)) = map.iter().nth(place)
            && self.is(known)
        {
            return Some(value);
        }
        self.search(map, place)
    }

    #[inline(never)]
    fn search<'v>(&self, map: &'v Map<String, Value>, place: usize) -> Option<&'v Value> {
        // In a large object one search is tried, in the hope that the next ones are alike.
        if map.len() > SMALL && place != 0 {
            return map.get(&*self.text);
        }
        let mut entries = map.iter().enumerate().take(FAR);
        let found = entries.find(|(_, (known, _))| self.is(known));
        let place = match found {
            Some((place, _)) => place,
            None if map.len() > SMALL => FAR,
            None => return None,
        };
        // At most `FAR`.
        self.place.store(place as u32, Ordering::Relaxed);
        match found {
            Some((_, (_, value))) => Some(value),
            None => map.get(&*self.text),
        }
    }

    #[inline(always)]
    fn is(&self, known: &str) -> bool {
        known.len() == self.len
            && Mark::of(known.as_bytes()) == self.mark
            && (known.len() <= Mark::WHOLE || *known == *self.text)
    }
}

/// The first and the last bytes of a text in two words; of a short text that is all of it, so that
/// comparing needs no loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark(u64, u64);

impl Mark {
    /// Texts of one length up to this one are equal if their marks are.
    const WHOLE: usize = 16;

    #[inline(always)]
    fn of(bytes: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            return Self(u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        }
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let word = |chunk: &[u8; 4]| u64::from(u32::from_le_bytes(*chunk));
            return Self(word(first), word(last));
        }
        match *bytes {
            [] => Self(0, 0),
            [a] => Self(a.into(), 0),
            [a, b] => Self(a.into(), b.into()),
            [a, b, c, ..] => Self(a.into(), u64::from(b) << 8 | u64::from(c)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_stands_and_whatever_stood_there_before() {
        let names = [
            "",
            "a",
            "b",
            "ab",
            "ba",
            "abc",
            "abd",
            "abcd",
            "abce",
            "abcdefg",
            "abcdefgh",
            "abcdefghi",
            "xbcdefghi",
            "sixteen_letters_",
            "sixteen_letterz_",
            "more than sixteen letters",
            "more than sixteen lettarz",
            "more then sixteen letters",
        ];
        let object = |from: usize, len: usize| {
            let keys = names.iter().cycle().skip(from).take(len);
            let map: Map<String, Value> = keys.map(|key| ((*key).to_owned(), json!(key))).collect();
            map
        };
        for name in names {
            let key = Key::new(name);
            for from in 0..names.len() {
                for len in 0..=names.len() {
                    let map = object(from, len);
                    assert_eq!(key.of(&map), map.get(name), "{name} of {from}..+{len}");
                }
            }
        }
    }

    #[test]
    fn a_key_far_behind_in_a_large_object_is_found() {
        let map: Map<String, Value> = (0..500).map(|n| (format!("key_{n}"), json!(n))).collect();
        for n in [0, 15, 16, 31, 32, 33, 499] {
            let key = Key::new(&format!("key_{n}"));
            for _ in 0..3 {
                assert_eq!(key.of(&map), Some(&json!(n)));
            }
        }
        let absent = Key::new("key_500");
        assert_eq!((absent.of(&map), absent.of(&map)), (None, None));
    }
}
