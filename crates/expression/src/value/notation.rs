//! The notation that people and comparisons read: it keeps what JSON cannot hold.

use std::fmt::Write as _;

use super::{Instance, Shown, Text, Val, is_too_nested, json_entries, number_text, too_nested};
use crate::{Limits, error::Fault};

/// Writes a value so that different values have different texts.
///
/// As JSON, and beside it `undefined`, `NaN`, `Infinity`, `-0`, and lone surrogates as `\ud83d`;
/// a moment is `Date(…)` of its milliseconds, and the others are their class with what they hold.
pub(crate) fn notation(value: Val<'_>, limits: &Limits) -> Result<String, Fault> {
    let mut writer = Writer {
        text: String::new(),
        limit: limits.result_bytes,
    };
    writer.value(value, 0)?;
    Ok(writer.text)
}

struct Writer {
    text: String,
    limit: usize,
}

impl Writer {
    fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.text.len() + text.len() > self.limit {
            let message = format!("the text of the value has more than {} bytes", self.limit);
            return Err(Fault::new("LIMIT_RESULT", message));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: Val<'_>, depth: usize) -> Result<(), Fault> {
        if is_too_nested(depth) {
            return Err(too_nested());
        }
        if let Some(text) = value.text() {
            return self.string(text);
        }
        if let Some(items) = value.items() {
            return self.listed('[', ']', items.iter(), |writer, item| {
                writer.value(item, depth + 1)
            });
        }
        match value {
            Val::Undefined => self.push("undefined"),
            Val::Null => self.push("null"),
            Val::Bool(b) => self.push(if b { "true" } else { "false" }),
            Val::Num(n) if n == 0.0 && n.is_sign_negative() => self.push("-0"),
            Val::Num(n) => self.push(number_text(n).as_str()),
            Val::Exact(n) => self.push(&n.to_string()),
            Val::JsonObject(map) => {
                self.listed('{', '}', json_entries(map), |writer, (key, value)| {
                    writer.entry(Text::Utf8(key), Val::from_json(value), depth + 1)
                })
            }
            Val::Object(object) => {
                self.listed('{', '}', object.entries().iter(), |writer, (key, value)| {
                    writer.entry(*key, *value, depth + 1)
                })
            }
            Val::Instance(instance) => self.instance(instance, depth),
            other => self.push(&format!("[{}]", other.kind())),
        }
    }

    fn instance(&mut self, instance: &Instance<'_>, depth: usize) -> Result<(), Fault> {
        self.push(instance.kind())?;
        match instance.shown() {
            Shown::Text(text) => self.push(&format!("({text})")),
            Shown::List(items) => self.listed('[', ']', items.iter(), |writer, item| {
                writer.value(*item, depth + 1)
            }),
            Shown::Quoted(text) => {
                self.push("(")?;
                self.string(Text::Utf8(text))?;
                self.push(")")
            }
            Shown::Pattern(regex) => {
                let parts = [regex.source, regex.letters].map(Text::Utf8);
                self.listed('(', ')', parts.into_iter(), Self::string)
            }
            Shown::Pairs(keys, values) => {
                self.listed('[', ']', keys.iter().zip(values), |writer, (key, value)| {
                    let pair = [*key, *value];
                    writer.listed('[', ']', pair.into_iter(), |writer, item| {
                        writer.value(item, depth + 1)
                    })
                })
            }
        }
    }

    fn entry(&mut self, key: Text<'_>, value: Val<'_>, depth: usize) -> Result<(), Fault> {
        self.string(key)?;
        self.push(":")?;
        self.value(value, depth)
    }

    fn listed<T>(
        &mut self,
        open: char,
        close: char,
        items: impl Iterator<Item = T>,
        mut each: impl FnMut(&mut Self, T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.text.push(open);
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.push(",")?;
            }
            each(self, item)?;
        }
        self.text.push(close);
        Ok(())
    }

    fn string(&mut self, text: Text<'_>) -> Result<(), Fault> {
        // Room is asked for once; escapes may take six bytes for one.
        if self.text.len() + text.size() > self.limit {
            return self.push(&text.well_formed());
        }
        self.text.push('"');
        for c in char::decode_utf16(text.units()) {
            // Writing to a string cannot fail.
            let _ = match c {
                Ok('"') => write!(self.text, "\\\""),
                Ok('\\') => write!(self.text, "\\\\"),
                Ok('\n') => write!(self.text, "\\n"),
                Ok('\r') => write!(self.text, "\\r"),
                Ok('\t') => write!(self.text, "\\t"),
                Ok('\u{8}') => write!(self.text, "\\b"),
                Ok('\u{c}') => write!(self.text, "\\f"),
                Ok(c) if c < ' ' => write!(self.text, "\\u{:04x}", u32::from(c)),
                Ok(c) => self.text.write_char(c),
                Err(lone) => write!(self.text, "\\u{:04x}", lone.unpaired_surrogate()),
            };
        }
        self.text.push('"');
        Ok(())
    }
}
