//! `JSON.parse`: from text straight into the arena, every value paid for before it is made.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::{Args, Function, Outcome};
use crate::{
    Purity,
    error::Fault,
    machine::Machine,
    value::{Entries, Text, Val},
};

pub(super) const PARSE: Function = Function {
    name: "JSON.parse",
    callbacks: 0,
    purity: Purity::Pure,
    run: parse,
};

fn parse<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = m.text_of(args.get(0))?;
    let Some(text) = text.utf8() else {
        return Err(Fault::new("TYPE_JSON", "the text is not JSON"));
    };
    m.scan(text.len())?;
    let mut fault = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let parsed = Seed {
        m,
        fault: &mut fault,
    }
    .deserialize(&mut reader)
    .and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| {
        fault.unwrap_or_else(|| {
            let message = format!(
                "the text is not JSON: line {}, column {} of {} bytes",
                error.line(),
                error.column(),
                text.len()
            );
            Fault::new("TYPE_JSON", message)
                .hint("check that it is text, and not an object or undefined already")
        })
    })
}

/// Reads one value; an error of the machine waits in `fault` while serde's own unwinds.
struct Seed<'m, 'a> {
    m: &'m mut Machine<'a>,
    fault: &'m mut Option<Fault>,
}

impl<'a> Seed<'_, 'a> {
    fn again(&mut self) -> Seed<'_, 'a> {
        Seed {
            m: self.m,
            fault: self.fault,
        }
    }

    fn keep<T, E: Error>(&mut self, result: Result<T, Fault>) -> Result<T, E> {
        result.map_err(|fault| {
            *self.fault = Some(fault);
            E::custom("stopped")
        })
    }
}

impl<'de, 'a> DeserializeSeed<'de> for Seed<'_, 'a> {
    type Value = Val<'a>;

    fn deserialize<D: Deserializer<'de>>(mut self, from: D) -> Result<Val<'a>, D::Error> {
        let paid = self.m.charge(1);
        self.keep(paid)?;
        from.deserialize_any(self)
    }
}

impl<'de, 'a> Visitor<'de> for Seed<'_, 'a> {
    type Value = Val<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<Val<'a>, E> {
        Ok(Val::Bool(b))
    }

    fn visit_unit<E: Error>(self) -> Result<Val<'a>, E> {
        Ok(Val::Null)
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Val<'a>, E> {
        Ok(Val::Num(n))
    }

    fn visit_i64<E: Error>(mut self, n: i64) -> Result<Val<'a>, E> {
        let value = self.m.number(Number::from(n));
        self.keep(value)
    }

    fn visit_u64<E: Error>(mut self, n: u64) -> Result<Val<'a>, E> {
        let value = self.m.number(Number::from(n));
        self.keep(value)
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<Val<'a>, E> {
        let value = self.m.copy_text(text);
        self.keep(value)
    }

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut items: S) -> Result<Val<'a>, S::Error> {
        let list = self.m.list(0);
        let mut list = self.keep(list)?;
        while let Some(item) = items.next_element_seed(self.again())? {
            let paid = self.m.walk(1).and_then(|()| list.push(self.m, item));
            self.keep(paid)?;
        }
        let array = self.m.array(list);
        self.keep(array)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Val<'a>, A::Error> {
        let mut entries = Entries::default();
        while let Some(key) = map.next_key_seed(Key(self.again()))? {
            let value = map.next_value_seed(self.again())?;
            let paid = self.m.walk(1).and_then(|()| self.m.reserve_entry(&entries));
            self.keep(paid)?;
            entries.push(Text::Utf8(key), value);
        }
        let object = self.m.object(entries);
        self.keep(object)
    }
}

/// Reads a key.
struct Key<'m, 'a>(Seed<'m, 'a>);

impl<'de, 'a> DeserializeSeed<'de> for Key<'_, 'a> {
    type Value = &'a str;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<&'a str, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'_, 'a> {
    type Value = &'a str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<&'a str, E> {
        let key = self.0.m.copy_str(text);
        self.0.keep(key)
    }
}
