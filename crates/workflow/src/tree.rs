//! A definition as values with places: what the readers make and the decoder reads.

use std::ops::Range;

use indexmap::IndexMap;
use serde_json::{Map, Value};

/// A value and where it stands in the source.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Text),
    List(Vec<Tree>),
    Object(IndexMap<String, Entry>),
    /// What it is cannot be said; that is reported, and nothing more is said about it.
    Broken,
}

/// A string and where its characters stand.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// Parts of the string with their places in the source, in order. Empty where the places are
    /// not known.
    pub(crate) pieces: Vec<Piece>,
    /// Whether it stands without quotes, so that it could be read as null, true, false or a number.
    pub(crate) plain: bool,
}

/// A part of a string and where it is written. As many bytes here as there read character for
/// character; any other number is an escape or a folded line end, and only meant as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The byte of the string at which it begins.
    pub(crate) at: usize,
    pub(crate) len: usize,
    /// The byte of the source at which it begins.
    pub(crate) source: usize,
    /// How many bytes of the source it takes.
    pub(crate) written: usize,
}

impl Piece {
    /// A part that reads as it is written.
    pub(crate) fn same(at: usize, source: usize, len: usize) -> Self {
        Self {
            at,
            len,
            source,
            written: len,
        }
    }

    /// The byte of the source for a byte of the string in or at the end of this piece; inside of an
    /// escape it is `inner`.
    fn place(&self, byte: usize, inner: usize) -> Option<usize> {
        let inside = byte - self.at;
        match inside {
            0 => Some(self.source),
            _ if inside == self.len => Some(self.source + self.written),
            _ if inside > self.len => None,
            _ if self.len == self.written => Some(self.source + inside),
            _ => Some(self.source + inner),
        }
    }
}

impl Text {
    /// The bytes of the source where a range of the string stands; escapes are covered whole.
    pub(crate) fn place(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let start = self.start(range.start)?;
        if range.is_empty() {
            return Some(start..start);
        }
        let next = self.pieces.partition_point(|piece| piece.at < range.end);
        let before = next
            .checked_sub(1)
            .map(|index| self.pieces[index])
            .and_then(|piece| piece.place(range.end, piece.written));
        let end = before.or_else(|| {
            let piece = self.pieces.get(next)?;
            (piece.at == range.end).then_some(piece.source)
        })?;
        (start <= end).then_some(start..end)
    }

    fn start(&self, byte: usize) -> Option<usize> {
        let next = self.pieces.partition_point(|piece| piece.at <= byte);
        self.pieces.get(next.checked_sub(1)?)?.place(byte, 0)
    }
}

/// A field of an object.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Range<usize>,
    pub(crate) value: Tree,
}

impl Tree {
    /// The same without places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null | Kind::Broken => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::from(text.value.as_str()),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Object(entries) => Value::Object(object_value(entries)),
        }
    }

    /// Gives a value places that do not exist, for definitions that come from no file; `None` if
    /// the value is nested deeper than `depth`.
    pub(crate) fn from_value(value: &Value, depth: usize) -> Option<Self> {
        let inner = |value| Self::from_value(value, depth.checked_sub(1)?);
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(*value),
            Value::Number(number) => Kind::Number(number.clone()),
            Value::String(text) => Kind::Text(Text {
                value: text.clone(),
                pieces: Vec::new(),
                plain: false,
            }),
            Value::Array(items) => Kind::List(items.iter().map(inner).collect::<Option<_>>()?),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| {
                    let value = inner(value)?;
                    Some((key.clone(), Entry { key: 0..0, value }))
                });
                Kind::Object(entries.collect::<Option<_>>()?)
            }
        };
        Some(Self { kind, span: 0..0 })
    }

    /// What it is, in words for a message.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null | Kind::Broken => "nothing (null)".to_owned(),
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Number(number) => format!("the number {number}"),
            Kind::Text(_) => "a string".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Object(_) => "an object".to_owned(),
        }
    }
}

/// The fields of an object without their places.
pub(crate) fn object_value(entries: &IndexMap<String, Entry>) -> Map<String, Value> {
    entries
        .iter()
        .map(|(key, entry)| (key.clone(), entry.value.to_value()))
        .collect()
}
