//! `JSON.stringify`, and objects inside text.

use super::{Args, Function, Outcome};
use crate::{
    Purity,
    code::Callback,
    error::Fault,
    machine::{Machine, TextBuilder},
    value::{Text, Val, is_too_nested, json_entries, json_entries_bytes, number_text, too_nested},
};

pub(super) const STRINGIFY: Function = Function {
    name: "JSON.stringify",
    callbacks: 0b10,
    purity: Purity::Pure,
    run: stringify,
};

fn stringify<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mut writer = Writer {
        indent: indent(m, args.get(2))?,
        keys: None,
        replacer: None,
    };
    match args.get(1) {
        Val::Callback(callback) => writer.replacer = Some(callback),
        list => {
            if let Some(items) = list.items() {
                let mut keys = Vec::new();
                m.walk(items.len())?;
                for item in items.iter() {
                    if matches!(item.kind(), "string" | "number") {
                        let key = m.text_of(item)?;
                        if !keys.contains(&key) {
                            m.charge(keys.len() as u64)?;
                            keys.push(key);
                        }
                    }
                }
                writer.keys = Some(keys);
            }
        }
    }
    let value = writer.replaced(m, Text::Utf8(""), args.get(0))?;
    if matches!(value, Val::Undefined | Val::Callback(_)) {
        return Ok(Val::Undefined);
    }
    let mut out = m.text_builder(64)?;
    writer.write(m, &mut out, value, 0)?;
    out.finish(m)
}

/// Ten blanks or ten UTF-16 units at most.
fn indent<'a>(m: &mut Machine<'a>, space: Val<'a>) -> Result<Text<'a>, Fault> {
    const LONGEST: usize = 10;
    const BLANKS: &str = "          ";
    if let Val::Num(n) = space {
        return Ok(Text::Utf8(&BLANKS[..n.clamp(0.0, LONGEST as f64) as usize]));
    }
    let Some(text) = space.text() else {
        return Ok(Text::Utf8(""));
    };
    m.scan(text.size())?;
    let part = m.part(text, 0, text.len().min(LONGEST))?;
    Ok(part.text().unwrap_or(Text::Utf8("")))
}

/// Appends a value as compact JSON; undefined as `null`.
fn write_json<'a>(
    m: &mut Machine<'a>,
    out: &mut TextBuilder<'a>,
    value: Val<'a>,
) -> Result<(), Fault> {
    Writer {
        indent: Text::Utf8(""),
        keys: None,
        replacer: None,
    }
    .write(m, out, value, 0)
}

struct Writer<'a> {
    indent: Text<'a>,
    keys: Option<Vec<Text<'a>>>,
    replacer: Option<&'a Callback>,
}

impl<'a> Writer<'a> {
    fn replaced(&self, m: &mut Machine<'a>, key: Text<'a>, value: Val<'a>) -> Outcome<'a> {
        let Some(replacer) = self.replacer else {
            return Ok(value);
        };
        let key = m.text_value(key)?;
        m.call(replacer, &[key, value])
    }

    fn write(
        &self,
        m: &mut Machine<'a>,
        out: &mut TextBuilder<'a>,
        value: Val<'a>,
        depth: usize,
    ) -> Result<(), Fault> {
        if is_too_nested(depth) {
            return Err(too_nested());
        }
        match value {
            Val::Undefined | Val::Null | Val::Callback(_) => out.push_str(m, "null"),
            Val::Bool(b) => out.push_str(m, if b { "true" } else { "false" }),
            Val::Num(n) if !n.is_finite() => out.push_str(m, "null"),
            Val::Num(n) => out.push_str(m, number_text(n).as_str()),
            Val::Exact(n) => out.push_str(m, &n.to_string()),
            Val::Instance(instance) => match instance.json(m)? {
                Some(value) => self.write(m, out, value, depth),
                None => out.push_str(m, "{}"),
            },
            Val::JsonArray(_) | Val::Long(_) | Val::Array(_) => self.array(m, out, value, depth),
            Val::JsonObject(_) | Val::Object(_) => self.object(m, out, value, depth),
            Val::Str(_) | Val::Temp(_) | Val::Wide(_) => match value.text() {
                Some(text) => quote(m, out, text),
                None => Ok(()),
            },
        }
    }

    fn line(
        &self,
        m: &mut Machine<'a>,
        out: &mut TextBuilder<'a>,
        depth: usize,
    ) -> Result<(), Fault> {
        if self.indent.is_empty() {
            return Ok(());
        }
        out.push_str(m, "\n")?;
        (0..depth).try_for_each(|_| out.push(m, self.indent))
    }

    fn array(
        &self,
        m: &mut Machine<'a>,
        out: &mut TextBuilder<'a>,
        value: Val<'a>,
        depth: usize,
    ) -> Result<(), Fault> {
        let Some(items) = value.items() else {
            return Ok(());
        };
        m.walk(items.len())?;
        if items.len() == 0 {
            return out.push_str(m, "[]");
        }
        out.push_str(m, "[")?;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(m, ",")?;
            }
            self.line(m, out, depth + 1)?;
            let item = match self.replacer {
                Some(_) => {
                    let key = m.copy_str(&i.to_string())?;
                    self.replaced(m, Text::Utf8(key), item)?
                }
                None => item,
            };
            self.write(m, out, item, depth + 1)?;
        }
        self.line(m, out, depth)?;
        out.push_str(m, "]")
    }

    fn object(
        &self,
        m: &mut Machine<'a>,
        out: &mut TextBuilder<'a>,
        value: Val<'a>,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut first = true;
        out.push_str(m, "{")?;
        let mut entry = |m: &mut Machine<'a>, out: &mut TextBuilder<'a>, key, value| {
            let value = self.replaced(m, key, value)?;
            if matches!(value, Val::Undefined | Val::Callback(_)) {
                return Ok(());
            }
            if !first {
                out.push_str(m, ",")?;
            }
            first = false;
            self.line(m, out, depth + 1)?;
            quote(m, out, key)?;
            out.push_str(m, if self.indent.is_empty() { ":" } else { ": " })?;
            self.write(m, out, value, depth + 1)
        };
        match (value, &self.keys) {
            (_, Some(keys)) => {
                for key in keys {
                    m.charge(1)?;
                    if let Some(value) = m.own(value, *key)? {
                        entry(m, out, *key, value)?;
                    }
                }
            }
            (Val::JsonObject(map), None) => {
                m.walk(map.len())?;
                m.reserve(json_entries_bytes(map))?;
                for (key, value) in json_entries(map) {
                    entry(m, out, Text::Utf8(key), Val::from_json(value))?;
                }
            }
            (Val::Object(object), None) => {
                m.walk(object.entries().len())?;
                for (key, value) in object.entries() {
                    entry(m, out, *key, *value)?;
                }
            }
            _ => {}
        }
        if !first {
            self.line(m, out, depth)?;
        }
        out.push_str(m, "}")
    }
}

fn quote<'a>(m: &mut Machine<'a>, out: &mut TextBuilder<'a>, text: Text<'_>) -> Result<(), Fault> {
    m.scan(text.size())?;
    out.push_str(m, "\"")?;
    match text {
        Text::Utf8(s) => quote_str(m, out, s)?,
        Text::Wide(units) => {
            for c in char::decode_utf16(units.iter().copied()) {
                match c {
                    Ok(c) => quote_str(m, out, c.encode_utf8(&mut [0; 4]))?,
                    Err(lone) => {
                        let escape = format!("\\u{:04x}", lone.unpaired_surrogate());
                        out.push_str(m, &escape)?;
                    }
                }
            }
        }
    }
    out.push_str(m, "\"")
}

fn quote_str<'a>(m: &mut Machine<'a>, out: &mut TextBuilder<'a>, text: &str) -> Result<(), Fault> {
    let mut plain = 0;
    for (at, b) in text.bytes().enumerate() {
        let hex;
        let escape = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0x00..=0x1f => {
                hex = format!("\\u{b:04x}");
                &hex
            }
            _ => continue,
        };
        out.push_str(m, &text[plain..at])?;
        out.push_str(m, escape)?;
        plain = at + 1;
    }
    out.push_str(m, &text[plain..])
}

impl<'a> Machine<'a> {
    /// A value as one part of a template: the rules of the border.
    pub(crate) fn border_text(&mut self, value: Val<'a>) -> Result<String, Fault> {
        let empty = match value {
            Val::Undefined | Val::Null => true,
            Val::Num(n) => n.is_nan(),
            _ => false,
        };
        if self.lenient && empty {
            return Ok(String::new());
        }
        match value {
            Val::Undefined => Err(Fault::new(
                "TYPE_UNDEFINED_TEXT",
                "undefined cannot stand in text",
            )
            .hint("give it a value: `… ?? \"\"`")),
            Val::Num(n) if !n.is_finite() => Ok("null".to_owned()),
            Val::JsonArray(_)
            | Val::Long(_)
            | Val::Array(_)
            | Val::JsonObject(_)
            | Val::Object(_) => {
                let mut out = self.text_builder(64)?;
                write_json(self, &mut out, value)?;
                Ok(out.finish_text(self)?.well_formed())
            }
            Val::Instance(instance) => Ok(match instance.border()? {
                serde_json::Value::String(text) => text,
                value => value.to_string(),
            }),
            value => Ok(self.text_of(value)?.well_formed()),
        }
    }
}
