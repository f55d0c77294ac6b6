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
}

/// A string and how it was written.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// The byte of the source at which the string stands character for character as it reads; `None`
    /// if it has escapes or is folded, so that no place inside it can be told.
    pub(crate) verbatim: Option<usize>,
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
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::from(text.value.as_str()),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Object(entries) => Value::Object(object_value(entries)),
        }
    }

    /// Gives a value places that do not exist, for definitions that come from no file.
    pub(crate) fn from_value(value: &Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(*value),
            Value::Number(number) => Kind::Number(number.clone()),
            Value::String(text) => Kind::Text(Text {
                value: text.clone(),
                verbatim: None,
            }),
            Value::Array(items) => Kind::List(items.iter().map(Self::from_value).collect()),
            Value::Object(map) => Kind::Object(
                map.iter()
                    .map(|(key, value)| {
                        let entry = Entry {
                            key: 0..0,
                            value: Self::from_value(value),
                        };
                        (key.clone(), entry)
                    })
                    .collect(),
            ),
        };
        Self { kind, span: 0..0 }
    }

    /// What it is, in words for a message.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing (null)".to_owned(),
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
