//! What Redis answers about streams.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use redis::Value;

/// The id of an entry: milliseconds, and a number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId(pub(crate) u64, pub(crate) u64);

impl EntryId {
    /// Before every entry.
    pub(crate) const FIRST: Self = Self(0, 0);
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (millis, number) = text.split_once('-').ok_or(())?;
        let part = |text: &str| text.parse().map_err(drop);
        Ok(Self(part(millis)?, part(number)?))
    }
}

/// An entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    /// As they were added; `None` if it was removed from the stream since.
    pub(crate) fields: Option<Vec<(Bytes, Bytes)>>,
}

/// What was read, by stream.
pub(crate) fn streams(answer: Value) -> Option<Vec<(Vec<u8>, Vec<Entry>)>> {
    let of = |(name, read)| Some((bytes(name)?, entries(read)?));
    match answer {
        Value::Nil => Some(Vec::new()),
        Value::Map(streams) => streams.into_iter().map(of).collect(),
        Value::Array(streams) => {
            let pair = |stream| {
                let [name, read] = array(stream)?.try_into().ok()?;
                of((name, read))
            };
            streams.into_iter().map(pair).collect()
        }
        _ => None,
    }
}

/// Where a search for what others left goes on, and what it has claimed.
pub(crate) fn claimed(answer: Value) -> Option<(EntryId, Vec<Entry>)> {
    let mut parts = array(answer)?.into_iter();
    let next = id(parts.next()?)?;
    Some((next, entries(parts.next()?)?))
}

/// The value of a field of an answer.
pub(crate) fn field(answer: Value, name: &str) -> Option<Value> {
    let pairs: Vec<(Value, Value)> = match answer {
        Value::Map(pairs) => pairs,
        Value::Array(parts) => pairs(parts)?,
        _ => return None,
    };
    let mut pairs = pairs.into_iter();
    pairs.find_map(|(key, value)| (bytes(key)? == name.as_bytes()).then_some(value))
}

/// What the things of a list are called.
pub(crate) fn names(answer: Value) -> Option<Vec<Vec<u8>>> {
    let name = |one| bytes(field(one, "name")?);
    array(answer)?.into_iter().map(name).collect()
}

pub(crate) fn id(value: Value) -> Option<EntryId> {
    std::str::from_utf8(&bytes(value)?).ok()?.parse().ok()
}

fn entries(value: Value) -> Option<Vec<Entry>> {
    let entry = |value| {
        let [number, fields] = array(value)?.try_into().ok()?;
        let fields = match fields {
            Value::Nil => None,
            fields => {
                let of = |(name, value)| Some((bytes(name)?.into(), bytes(value)?.into()));
                Some(
                    pairs(array(fields)?)?
                        .into_iter()
                        .map(of)
                        .collect::<Option<_>>()?,
                )
            }
        };
        let id = id(number)?;
        Some(Entry { id, fields })
    };
    array(value)?.into_iter().map(entry).collect()
}

fn pairs(parts: Vec<Value>) -> Option<Vec<(Value, Value)>> {
    let mut parts = parts.into_iter();
    let mut pairs = Vec::with_capacity(parts.len() / 2);
    while let Some(name) = parts.next() {
        pairs.push((name, parts.next()?));
    }
    Some(pairs)
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}
