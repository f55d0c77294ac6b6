//! Equality of values by what they hold, as lists are compared.

use std::fmt::Write as _;

use crate::{
    error::Fault,
    machine::Machine,
    value::{Entries, MAX_NESTING, Text, Val, number_text, too_nested},
};

impl<'a> Machine<'a> {
    /// A text that is the same for values that hold the same: types and values are told apart, the
    /// order of keys is not.
    pub(super) fn content(&mut self, value: Val<'a>) -> Result<String, Fault> {
        let mut out = String::new();
        self.write_content(value, &mut out, 0)?;
        Ok(out)
    }

    fn write_content(
        &mut self,
        value: Val<'a>,
        out: &mut String,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth > MAX_NESTING {
            return Err(too_nested());
        }
        self.charge(1)?;
        // What the marks and a number take at most.
        self.reserve(32)?;
        match value {
            Val::Undefined => out.push('u'),
            Val::Null => out.push('n'),
            Val::Bool(b) => out.push(if b { 't' } else { 'f' }),
            Val::Num(n) => {
                out.push('#');
                out.push_str(number_text(n).as_str());
                out.push(';');
            }
            Val::JsonObject(_) | Val::Object(_) => {
                let mut entries = Entries::default();
                self.spread_entries(value, &mut entries)?;
                let mut entries = entries.finish().0;
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                out.push('{');
                for (key, value) in entries {
                    self.write_text(key, out)?;
                    self.write_content(value, out, depth + 1)?;
                }
                out.push('}');
            }
            _ => match (value.text(), value.items()) {
                (Some(text), _) => self.write_text(text, out)?,
                (_, Some(items)) => {
                    self.walk(items.len())?;
                    out.push('[');
                    for item in items.iter() {
                        self.write_content(item, out, depth + 1)?;
                    }
                    out.push(']');
                }
                _ => {
                    out.push_str(value.kind());
                    let text = self.text_of(value)?;
                    self.write_text(text, out)?;
                }
            },
        }
        Ok(())
    }

    /// The length first, so that no text looks like the end of one and the start of another.
    fn write_text(&mut self, text: Text<'a>, out: &mut String) -> Result<(), Fault> {
        self.scan(text.size())?;
        self.reserve(text.size() * 3 + 16)?;
        // A text to a `String` cannot fail.
        match text {
            Text::Utf8(s) => {
                let _ = write!(out, "'{}:{s}", s.len());
            }
            Text::Wide(units) => {
                let _ = write!(out, "w{}:", units.len());
                for unit in units {
                    let _ = write!(out, "{unit:x},");
                }
            }
        }
        Ok(())
    }
}
