//! Turns merged layers into the settings' own types.
//!
//! A deserializer of our own, because its errors know the key, the place and the nearest name, and
//! because text from the environment takes the type that the setting wants.

use std::fmt;

use nebula_workflow::nearest;
use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use crate::{
    Problem, Source, file, scalar,
    tree::{Entry, Node, Tree},
};

/// Why a value cannot be taken. The path and source are filled in on the way up.
#[derive(Debug)]
pub(crate) struct ReadError {
    /// From the inside out.
    path: Vec<String>,
    source: Option<Source>,
    what: What,
}

#[derive(Debug)]
enum What {
    UnknownKey { meant: Option<String> },
    Value(String),
}

impl ReadError {
    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            source: None,
            what: What::Value(message.into()),
        }
    }

    /// The keys that lead to the value, from the outside in.
    pub(crate) fn path(&self) -> Vec<String> {
        self.path.iter().rev().cloned().collect()
    }

    fn within(mut self, key: &str, source: &Source) -> Self {
        self.path.push(key.to_owned());
        self.source.get_or_insert_with(|| source.clone());
        self
    }

    pub(crate) fn into_problem(self) -> Problem {
        let path = self.path();
        let key = path.join(".");
        let origin = self.source.unwrap_or(Source::Default);
        match self.what {
            What::UnknownKey { meant } => {
                let parent = path
                    .split_last()
                    .map_or("".into(), |(_, parent)| parent.join("."));
                let dot = if parent.is_empty() { "" } else { "." };
                let meant = meant.map(|name| format!("{parent}{dot}{name}"));
                Problem::UnknownKey { key, origin, meant }
            }
            What::Value(message) => Problem::Value {
                key,
                origin,
                message,
            },
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::UnknownKey { .. } => f.write_str("unknown key"),
            What::Value(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::value(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(format!("expected {expected}, found {}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(match found {
            // Numbers are no secrets, and the one who wrote it wants to see it.
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => {
                format!("expected {expected}, found {found}")
            }
            found => format!("expected {expected}, found {}", kind(found)),
        })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let meant = nearest(field, expected.iter().copied()).map(str::to_owned);
        Self {
            path: Vec::new(),
            source: None,
            what: What::UnknownKey { meant },
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = nearest(variant, expected.iter().copied());
        let hint = hint.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
        Self::value(format!("expected one of {}{hint}", expected.join(", ")))
    }
}

/// What kind of value was found, without the value.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a point",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a group of settings",
        Unexpected::Unit | Unexpected::Option => "nothing",
        _ => "another kind of value",
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'t>(pub(crate) &'t Tree);

/// Methods for the kinds that text may stand for.
macro_rules! from_text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match &self.0.node {
                Node::Untyped(text) => scalar::$method(text, visitor),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(flag) => visitor.visit_bool(*flag),
            Node::Int(int) => scalar::visit_int(*int, visitor),
            Node::Float(float) => visitor.visit_f64(*float),
            Node::Text(text) | Node::Untyped(text) => visitor.visit_str(text),
            Node::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Node::Table(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                current: None,
            }),
        }
    }

    from_text! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Node::Untyped(text) = &self.0.node else {
            return self.deserialize_any(visitor);
        };
        let items = file::inline_list(text, &self.0.source);
        let items = items.ok_or_else(|| {
            ReadError::value(r#"expected a list; write it with brackets, like ["a", "b"]"#)
        })?;
        visitor.visit_seq(Items {
            items: &items,
            next: 0,
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.0.node {
            Node::Text(text) | Node::Untyped(text) => {
                let text = StrDeserializer::<ReadError>::new(text);
                text.deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

struct Items<'t> {
    items: &'t [Tree],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(item) = self.items.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        let value = seed.deserialize(Reader(item));
        let value = value.map_err(|error| error.within(&index.to_string(), &item.source));
        value.map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

struct Entries<'t> {
    rest: std::collections::btree_map::Iter<'t, String, Entry>,
    current: Option<(&'t String, &'t Entry)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        self.current = self.rest.next();
        let Some((key, entry)) = self.current else {
            return Ok(None);
        };
        let key_text = StrDeserializer::<ReadError>::new(key);
        let key_read = seed.deserialize(key_text);
        key_read
            .map(Some)
            .map_err(|error| error.within(key, &entry.key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let (key, entry) = self.current.take().expect("serde asks for a key first");
        let value = seed.deserialize(Reader(&entry.value));
        value.map_err(|error| error.within(key, &entry.value.source))
    }
}
