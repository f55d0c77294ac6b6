//! Objects: looking up a key, the order of keys, and objects that an expression makes.

use serde_json::{Map, Value};

use super::{Text, Val};
use crate::machine::Shape;

/// Up to this many entries are searched one by one; that is faster than hashing the key.
pub(crate) const SMALL: usize = 16;

/// The value of `key` in an object of the data.
#[inline]
pub(crate) fn lookup<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    if map.len() <= SMALL {
        return map
            .iter()
            .find(|(known, _)| known.as_str() == key)
            .map(|(_, value)| value);
    }
    map.get(key)
}

/// An object that the expression made: entries in JavaScript's order, each key once.
pub(crate) struct Object<'a> {
    entries: &'a [(Text<'a>, Val<'a>)],
    /// Positions in the order of the keys, where there are more than a search likes.
    sorted: &'a [u32],
    /// If a literal with a shape made it, or `catch`.
    shape: Option<&'a Shape>,
}

impl<'a> Object<'a> {
    /// `entries` have distinct keys in their final order; `sorted` is empty for a small object.
    pub(crate) fn new(entries: &'a [(Text<'a>, Val<'a>)], sorted: &'a [u32]) -> Self {
        Self {
            entries,
            sorted,
            shape: None,
        }
    }

    /// An object of a literal or an error; `entries` have the keys of that shape in their order.
    pub(crate) fn shaped(entries: &'a [(Text<'a>, Val<'a>)], shape: &'a Shape) -> Self {
        Self {
            entries,
            sorted: &[],
            shape: Some(shape),
        }
    }

    /// Whether it is what `catch` gave a name; a copy of it is not.
    pub(crate) fn is_error(&self) -> bool {
        self.shape.is_some_and(Shape::is_of_errors)
    }

    /// The JSON object with its keys and null for every value, if there is a cheap one.
    pub(crate) fn template(&self) -> Option<&'a Map<String, Value>> {
        // The keys of a literal are UTF-8.
        let keys = self
            .entries
            .iter()
            .map(|(key, _)| key.utf8().unwrap_or_default());
        self.shape.map(|shape| shape.template(keys))
    }

    pub(crate) fn get(&self, key: Text<'_>) -> Option<Val<'a>> {
        if self.sorted.is_empty() {
            return self
                .entries
                .iter()
                .find(|(known, _)| *known == key)
                .map(|(_, value)| *value);
        }
        let found = self
            .sorted
            .binary_search_by(|at| self.entries[*at as usize].0.cmp(&key));
        found
            .ok()
            .map(|at| self.entries[self.sorted[at] as usize].1)
    }

    pub(crate) fn entries(&self) -> &'a [(Text<'a>, Val<'a>)] {
        self.entries
    }
}

/// The index that a key means, if it is written as JavaScript writes one.
pub(crate) fn array_index(key: &str) -> Option<u32> {
    let bytes = key.as_bytes();
    let plain = match bytes {
        [b'0'] => true,
        [b'1'..=b'9', ..] => bytes.len() <= 10,
        _ => false,
    };
    if !plain {
        return None;
    }
    key.parse().ok().filter(|index| *index < u32::MAX)
}

/// Entries while an object is being built; the last of equal keys wins, at the first's place.
#[derive(Default)]
pub(crate) struct Entries<'a> {
    entries: Vec<(Text<'a>, Val<'a>)>,
    has_index: bool,
}

impl<'a> Entries<'a> {
    pub(crate) fn push(&mut self, key: Text<'a>, value: Val<'a>) {
        let index = |s: &str| s.as_bytes().first().is_some_and(u8::is_ascii_digit);
        self.has_index |= matches!(key, Text::Utf8(s) if index(s) && array_index(s).is_some());
        self.entries.push((key, value));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps the entries whose key is wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(Text<'a>) -> bool) {
        self.entries.retain(|(key, _)| wanted(*key));
    }

    /// The distinct entries in order, and the sorted positions if there are many.
    pub(crate) fn finish(self) -> (Vec<(Text<'a>, Val<'a>)>, Vec<u32>) {
        let mut entries = self.entries;
        if entries.len() <= SMALL {
            let mut i = 0;
            while i < entries.len() {
                let (key, value) = entries[i];
                match entries[..i].iter().position(|(known, _)| *known == key) {
                    Some(first) => {
                        entries[first].1 = value;
                        entries.remove(i);
                    }
                    None => i += 1,
                }
            }
        } else {
            entries = distinct(&entries);
        }
        if self.has_index {
            let rank = |(key, _): &(Text<'_>, Val<'_>)| match key {
                Text::Utf8(s) => array_index(s).unwrap_or(u32::MAX),
                Text::Wide(_) => u32::MAX,
            };
            entries.sort_by_key(rank);
        }
        let sorted = if entries.len() > SMALL {
            positions(&entries)
        } else {
            Vec::new()
        };
        (entries, sorted)
    }
}

fn positions(entries: &[(Text<'_>, Val<'_>)]) -> Vec<u32> {
    // At most `Limits::array_len` entries, far below 2^32.
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    order.sort_by(|a, b| entries[*a as usize].0.cmp(&entries[*b as usize].0));
    order
}

fn distinct<'a>(entries: &[(Text<'a>, Val<'a>)]) -> Vec<(Text<'a>, Val<'a>)> {
    let order = positions(entries);
    // For each run of equal keys: the first place, the last value.
    let mut kept: Vec<(u32, Val<'a>)> = Vec::with_capacity(entries.len());
    let mut run: Option<Text<'a>> = None;
    for at in order {
        let (key, value) = entries[at as usize];
        match (run == Some(key), kept.last_mut()) {
            (true, Some(last)) => last.1 = value,
            _ => kept.push((at, value)),
        }
        run = Some(key);
    }
    kept.sort_by_key(|(at, _)| *at);
    kept.into_iter()
        .map(|(at, value)| (entries[at as usize].0, value))
        .collect()
}

/// The keys and values of an object of the data, in JavaScript's order.
///
/// Keys that are indices come first, which takes a list of [`json_entries_bytes`].
pub(crate) fn json_entries<'a>(
    map: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let (mut sorted, mut plain) = (Vec::new(), None);
    if has_indices(map) {
        sorted = map.iter().collect();
        sorted.sort_by_key(|(key, _)| array_index(key).unwrap_or(u32::MAX));
    } else {
        plain = Some(map.iter());
    }
    sorted.into_iter().chain(plain.into_iter().flatten())
}

/// Bytes that [`json_entries`] holds while it runs.
pub(crate) fn json_entries_bytes(map: &Map<String, Value>) -> usize {
    if has_indices(map) {
        // The sort takes as much again.
        2 * map.len() * size_of::<(&String, &Value)>()
    } else {
        0
    }
}

fn has_indices(map: &Map<String, Value>) -> bool {
    map.keys().any(|key| array_index(key).is_some())
}
