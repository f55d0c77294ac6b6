//! Making strings, arrays and objects in the arena, charged before they take memory.

use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use serde_json::Number;

use super::Machine;
use crate::{
    error::Fault,
    value::{Entries, Object, Text, Val, is_too_nested, number_text},
};

const VAL_BYTES: usize = size_of::<Val<'_>>();
pub(super) const ENTRY_BYTES: usize = size_of::<(Text<'_>, Val<'_>)>();

/// All ASCII characters, in order.
const ASCII_TEXT: &str = {
    const BYTES: [u8; 128] = {
        let mut bytes = [0; 128];
        let mut i = 0;
        while i < 128 {
            bytes[i] = i as u8;
            i += 1;
        }
        bytes
    };
    match str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

/// Each ASCII character as a text, so that taking one from a text needs no memory.
static ASCII: [&str; 128] = {
    let mut table = [""; 128];
    let mut i = 0;
    while i < 128 {
        table[i] = ASCII_TEXT.split_at(i).1.split_at(1).0;
        i += 1;
    }
    table
};

/// The string of one ASCII character.
pub(super) fn ascii(code: u32) -> Option<Val<'static>> {
    ASCII.get(code as usize).map(Val::Temp)
}

impl<'a> Machine<'a> {
    /// A string of one UTF-16 unit.
    pub(crate) fn unit_value(&mut self, unit: u16) -> Result<Val<'a>, Fault> {
        if let Some(value) = ascii(u32::from(unit)) {
            return Ok(value);
        }
        match char::from_u32(u32::from(unit)) {
            Some(c) => self.copy_text(c.encode_utf8(&mut [0; 4])),
            None => {
                self.reserve(size_of::<u16>())?;
                let units: &'a [u16] = self.arena.alloc_slice_copy(&[unit]);
                self.text_value(Text::Wide(units))
            }
        }
    }

    /// A string value for text that lives long enough already: a part of another, a constant.
    pub(crate) fn text_value(&mut self, text: Text<'a>) -> Result<Val<'a>, Fault> {
        self.reserve(VAL_BYTES)?;
        Ok(match text {
            Text::Utf8(s) => Val::Temp(self.arena.alloc(s)),
            Text::Wide(units) => Val::Wide(self.arena.alloc(units)),
        })
    }

    /// A string value for a copy of `text`.
    pub(crate) fn copy_text(&mut self, text: &str) -> Result<Val<'a>, Fault> {
        let text = self.copy_str(text)?;
        self.text_value(Text::Utf8(text))
    }

    /// A string value for a copy of ASCII text, changed in its bytes.
    pub(crate) fn copy_ascii(
        &mut self,
        text: &str,
        change: fn(&mut str),
    ) -> Result<Val<'a>, Fault> {
        self.check_string(text.len())?;
        self.reserve(text.len())?;
        let copy = self.arena.alloc_str(text);
        change(copy);
        self.text_value(Text::Utf8(copy))
    }

    pub(crate) fn copy_str(&mut self, text: &str) -> Result<&'a str, Fault> {
        self.check_string(text.len())?;
        self.reserve(text.len())?;
        Ok(self.arena.alloc_str(text))
    }

    /// A number value; an integer beyond 2^53 stays exact.
    pub(crate) fn number(&mut self, number: Number) -> Result<Val<'a>, Fault> {
        if let Val::Num(n) = Val::from_number(&number) {
            return Ok(Val::Num(n));
        }
        self.reserve(size_of::<Number>())?;
        Ok(Val::Exact(self.arena.alloc(number)))
    }

    /// The string of UTF-16 units; lone surrogates are kept.
    pub(crate) fn units_value(&mut self, units: &[u16]) -> Result<Val<'a>, Fault> {
        let text = self.units_text(units)?;
        self.text_value(text)
    }

    pub(crate) fn units_text(&mut self, units: &[u16]) -> Result<Text<'a>, Fault> {
        let mut text = self.text_builder(units.len())?;
        for c in char::decode_utf16(units.iter().copied()) {
            match c {
                Ok(c) => text.push(self, Text::Utf8(c.encode_utf8(&mut [0; 4])))?,
                Err(_) => {
                    self.check_string(units.len() * 2)?;
                    self.reserve(units.len() * 2)?;
                    return Ok(Text::Wide(self.arena.alloc_slice_copy(units)));
                }
            }
        }
        text.finish_text(self)
    }

    pub(crate) fn text_builder(&mut self, capacity: usize) -> Result<TextBuilder<'a>, Fault> {
        self.check_string(capacity)?;
        self.reserve(capacity)?;
        let text = ArenaString::with_capacity_in(capacity, self.arena);
        Ok(TextBuilder { text, wide: None })
    }

    /// A list with room for `capacity`.
    pub(crate) fn list(&mut self, capacity: usize) -> Result<List<'a>, Fault> {
        self.check_array(capacity)?;
        self.reserve(capacity * VAL_BYTES)?;
        Ok(List {
            items: ArenaVec::with_capacity_in(capacity, self.arena),
        })
    }

    pub(crate) fn array(&mut self, list: List<'a>) -> Result<Val<'a>, Fault> {
        self.slice_value(list.items.into_bump_slice())
    }

    pub(crate) fn slice_value(&mut self, items: &'a [Val<'a>]) -> Result<Val<'a>, Fault> {
        self.reserve(VAL_BYTES)?;
        Ok(Val::Array(self.arena.alloc(items)))
    }

    /// Pays for one more entry of an object under construction.
    pub(crate) fn reserve_entry(&mut self, so_far: &Entries<'a>) -> Result<(), Fault> {
        self.check_array(so_far.len() + 1)?;
        self.reserve(ENTRY_BYTES)
    }

    pub(crate) fn object(&mut self, entries: Entries<'a>) -> Result<Val<'a>, Fault> {
        let (entries, sorted) = entries.finish();
        self.reserve(sorted.len() * 4 + size_of::<Object<'_>>())?;
        let entries = self.arena.alloc_slice_copy(&entries);
        let sorted = self.arena.alloc_slice_copy(&sorted);
        Ok(Val::Object(self.arena.alloc(Object::new(entries, sorted))))
    }
}

/// An array under construction.
pub(crate) struct List<'a> {
    items: ArenaVec<'a, Val<'a>>,
}

impl<'a> List<'a> {
    #[inline]
    pub(crate) fn push(&mut self, m: &mut Machine<'a>, value: Val<'a>) -> Result<(), Fault> {
        if self.items.len() == self.items.capacity() {
            self.grow(m)?;
        }
        self.items.push(value);
        Ok(())
    }

    fn grow(&mut self, m: &mut Machine<'a>) -> Result<(), Fault> {
        let len = self.items.len();
        m.check_array(len + 1)?;
        // Room never goes beyond the limit, so what fits needs no look at it.
        let limit = m.context.limits.array_len;
        let more = len.max(4).min(limit.saturating_sub(len)).max(1);
        // The old room is not given back before the evaluation ends.
        m.reserve((len + more) * VAL_BYTES)?;
        self.items.reserve_exact(more);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn items(&self) -> &[Val<'a>] {
        &self.items
    }

    pub(crate) fn items_mut(&mut self) -> &mut [Val<'a>] {
        &mut self.items
    }

    pub(crate) fn into_slice(self) -> &'a mut [Val<'a>] {
        self.items.into_bump_slice_mut()
    }
}

/// A string under construction; turns to UTF-16 at the first lone surrogate.
pub(crate) struct TextBuilder<'a> {
    text: ArenaString<'a>,
    wide: Option<ArenaVec<'a, u16>>,
}

impl<'a> TextBuilder<'a> {
    #[inline]
    pub(crate) fn push_str(&mut self, m: &mut Machine<'a>, s: &str) -> Result<(), Fault> {
        self.push(m, Text::Utf8(s))
    }

    pub(crate) fn push(&mut self, m: &mut Machine<'a>, text: Text<'_>) -> Result<(), Fault> {
        match (&mut self.wide, text) {
            (None, Text::Utf8(s)) => {
                let len = self.text.len() + s.len();
                if len > self.text.capacity() {
                    m.check_string(len)?;
                    // Room never goes beyond the limit, so what fits needs no look at it.
                    let limit = m.context.limits.string_bytes;
                    let twice = self.text.capacity().saturating_mul(2).max(32);
                    let room = twice.min(limit).max(len);
                    m.reserve(room)?;
                    self.text.reserve_exact(room - self.text.len());
                }
                self.text.push_str(s);
            }
            (wide, text) => {
                // Rare: room for all units is taken anew, and paid for.
                let so_far = wide.as_ref().map_or(self.text.len(), ArenaVec::len);
                let len = so_far + text.size();
                m.check_string(len)?;
                if wide.as_ref().is_none_or(|units| units.capacity() < len) {
                    m.reserve(len * 4)?;
                }
                let text_so_far = &self.text;
                let units = wide.get_or_insert_with(|| {
                    ArenaVec::from_iter_in(text_so_far.encode_utf16(), m.arena)
                });
                if units.capacity() < len {
                    units.reserve_exact(len * 2 - units.len());
                }
                units.extend(text.units());
            }
        }
        Ok(())
    }

    /// Appends `ToString` of a value.
    pub(crate) fn push_value(&mut self, m: &mut Machine<'a>, value: Val<'a>) -> Result<(), Fault> {
        self.push_nested(m, value, 0)
    }

    fn push_nested(
        &mut self,
        m: &mut Machine<'a>,
        value: Val<'a>,
        depth: usize,
    ) -> Result<(), Fault> {
        match value {
            Val::Undefined => self.push_str(m, "undefined"),
            Val::Null => self.push_str(m, "null"),
            Val::Bool(b) => self.push_str(m, if b { "true" } else { "false" }),
            Val::Num(n) => self.push_str(m, number_text(n).as_str()),
            Val::Exact(n) => self.push_str(m, &n.to_string()),
            Val::Str(s) => self.push_str(m, s),
            Val::Temp(s) => self.push_str(m, s),
            Val::Wide(units) => self.push(m, Text::Wide(units)),
            Val::JsonArray(_) | Val::Long(_) | Val::Array(_) => {
                self.push_joined(m, value, Text::Utf8(","), depth)
            }
            Val::JsonObject(_) | Val::Object(_) => self.push_str(m, "[object Object]"),
            Val::Instance(instance) => instance.push_text(m, self),
            Val::Callback(_) => Err(Fault::new("TYPE_FUNCTION", "a function has no text")),
        }
    }

    /// Appends the elements of an array with `separator` between; null and undefined are empty.
    pub(crate) fn push_joined(
        &mut self,
        m: &mut Machine<'a>,
        array: Val<'a>,
        separator: Text<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        let Some(items) = array.items() else {
            return Ok(());
        };
        if is_too_nested(depth) {
            return Err(crate::value::too_nested());
        }
        m.walk(items.len())?;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(m, separator)?;
            }
            if !item.is_nullish() {
                self.push_nested(m, item, depth + 1)?;
            }
        }
        Ok(())
    }

    pub(crate) fn finish_text(self, m: &mut Machine<'a>) -> Result<Text<'a>, Fault> {
        match self.wide {
            None => Ok(Text::Utf8(self.text.into_bump_str())),
            // Halves that met have become whole.
            Some(units) => match String::from_utf16(&units) {
                Ok(whole) => Ok(Text::Utf8(m.copy_str(&whole)?)),
                Err(_) => Ok(Text::Wide(units.into_bump_slice())),
            },
        }
    }

    pub(crate) fn finish(self, m: &mut Machine<'a>) -> Result<Val<'a>, Fault> {
        let text = self.finish_text(m)?;
        m.text_value(text)
    }
}
