//! Calls: arguments, callbacks, parameters, iteration.

use serde_json::Value;
use smallvec::SmallVec;

use super::{Machine, Quick, Reg, build::ascii};
use crate::{
    code::{Arrow, Callback, Element, Node, NodeId, Param, Pattern, PatternKey, Run},
    error::Fault,
    library::{Args, Outcome},
    path::{End, Key, PathRoot, walk},
    value::{Entries, Items, Text, Val},
};

/// Arguments of one call; nearly all calls have at most four.
type Arguments<'a> = SmallVec<[Val<'a>; 4]>;

impl<'a> Machine<'a> {
    pub(super) fn arguments(&mut self, args: Run) -> Result<Arguments<'a>, Fault> {
        let mut values = Arguments::new();
        for Element { spread, node } in args.of(&self.code.elements) {
            let value = self.eval(*node)?;
            if !*spread {
                values.push(value);
                continue;
            }
            let items = self.iterate(value)?;
            self.check_array(values.len() + items.len())?;
            self.walk(items.len())?;
            self.reserve(items.len() * size_of::<Val<'_>>())?;
            values.extend(items.iter());
        }
        Ok(values)
    }

    /// Calls back an arrow or function of the library.
    #[inline]
    pub(crate) fn call(&mut self, callback: &'a Callback, args: &[Val<'a>]) -> Outcome<'a> {
        match callback {
            Callback::Arrow(arrow) => {
                self.bind(arrow, args)?;
                self.eval(arrow.body)
            }
            Callback::Function(function) => {
                self.charge(1)?;
                (function.run)(self, Args(args))
            }
        }
    }

    /// Calls back with an element of an array, its index and the array.
    #[inline(always)]
    pub(crate) fn call_each(
        &mut self,
        callback: &'a Callback,
        item: Reg<'a>,
        index: usize,
        array: Val<'a>,
    ) -> Quick<'a> {
        match callback {
            // What an arrow does not take need not be passed.
            Callback::Arrow(arrow) if arrow.plain.is_some() && arrow.params.len() <= 1 => {
                if let (Some(slot), [_]) = (arrow.plain, &arrow.params[..]) {
                    self.slots[usize::from(slot)] = item;
                }
                self.node(arrow.body)
            }
            _ => {
                let args = [item.val(), Val::Num(index as f64), array];
                let outcome = self.call(callback, &args);
                self.quick(outcome)
            }
        }
    }

    /// The keys of an arrow that only takes something out of its parameter: `x => x.a.b`.
    #[inline]
    pub(crate) fn projection(&self, callback: &'a Callback) -> Option<&'a [Key]> {
        let Callback::Arrow(arrow) = callback else {
            return None;
        };
        let [_] = arrow.params[..] else {
            return None;
        };
        match &self.code.nodes[arrow.body as usize] {
            Node::Path { path, .. } if Some(path.from) == arrow.plain.map(PathRoot::Local) => {
                Some(path.keys.of(&self.code.keys))
            }
            _ => None,
        }
    }

    /// Calls back an arrow with this projection, without giving its parameter a value.
    #[inline(always)]
    pub(crate) fn project(
        &mut self,
        callback: &'a Callback,
        keys: &'a [Key],
        item: &'a Value,
        index: usize,
        array: Val<'a>,
    ) -> Quick<'a> {
        let found = match walk(keys, item) {
            End::At(value) => Reg::Data(value),
            End::Nowhere => Reg::Undefined,
            End::Unclear => return self.call_each(callback, Reg::Data(item), index, array),
        };
        // The body, its start, and each step; the body itself says that this is too much.
        match self.spend(2 + keys.len() as u64) {
            Ok(()) => Ok(found),
            Err(_) => self.call_each(callback, Reg::Data(item), index, array),
        }
    }

    /// Calls back with what has been gathered so far, an element, its index and its array.
    #[inline(always)]
    pub(crate) fn call_fold(
        &mut self,
        callback: &'a Callback,
        so_far: Reg<'a>,
        item: Reg<'a>,
        index: usize,
        array: Val<'a>,
    ) -> Quick<'a> {
        match callback {
            Callback::Arrow(arrow) if arrow.plain.is_some() && arrow.params.len() == 2 => {
                let first = usize::from(arrow.plain.unwrap_or_default());
                if let [a, b] = &mut self.slots[first..][..2] {
                    (*a, *b) = (so_far, item);
                }
                self.node(arrow.body)
            }
            _ => {
                let args = [so_far.val(), item.val(), Val::Num(index as f64), array];
                let outcome = self.call(callback, &args);
                self.quick(outcome)
            }
        }
    }

    #[inline]
    fn bind(&mut self, arrow: &'a Arrow, args: &[Val<'a>]) -> Result<(), Fault> {
        if let Some(first) = arrow.plain {
            let slots = &mut self.slots[usize::from(first)..][..arrow.params.len()];
            for (i, slot) in slots.iter_mut().enumerate() {
                *slot = args.get(i).map_or(Reg::Undefined, Reg::of);
            }
            return Ok(());
        }
        self.bind_patterns(arrow, args)
            .map_err(|fault| fault.at(arrow.span))
    }

    fn bind_patterns(&mut self, arrow: &'a Arrow, args: &[Val<'a>]) -> Result<(), Fault> {
        for (i, param) in arrow.params.iter().enumerate() {
            self.bind_param(param, args.get(i).copied().unwrap_or(Val::Undefined))?;
        }
        if let Some(rest) = &arrow.rest {
            let mut list = self.list(args.len().saturating_sub(arrow.params.len()))?;
            for value in args.iter().skip(arrow.params.len()) {
                list.push(self, *value)?;
            }
            let rest_value = self.array(list)?;
            self.bind_pattern(rest, rest_value)?;
        }
        Ok(())
    }

    fn bind_param(&mut self, param: &'a Param, value: Val<'a>) -> Result<(), Fault> {
        let value = match (value, param.default) {
            (Val::Undefined, Some(default)) => self.eval(default)?,
            (value, _) => value,
        };
        self.bind_pattern(&param.pattern, value)
    }

    pub(super) fn bind_pattern(
        &mut self,
        pattern: &'a Pattern,
        value: Val<'a>,
    ) -> Result<(), Fault> {
        match pattern {
            Pattern::Slot(slot) => {
                self.slots[usize::from(*slot)] = Reg::of(&value);
                Ok(())
            }
            Pattern::Object { fields, rest, span } => self
                .bind_object(fields, *rest, value)
                .map_err(|fault| fault.at(*span)),
            Pattern::Array { items, rest, span } => self
                .bind_array(items, rest.as_deref(), value)
                .map_err(|fault| fault.at(*span)),
        }
    }

    fn bind_object(
        &mut self,
        fields: &'a [(PatternKey, Param)],
        rest: Option<u16>,
        value: Val<'a>,
    ) -> Result<(), Fault> {
        if value.is_nullish() && !self.lenient {
            let message = format!("cannot take {} apart", value.kind());
            return Err(Fault::new("PATH_OF_NULLISH", message)
                .hint("write `?? {}` after the value, or give the parameter a default: `({ key } = {}) => …`"));
        }
        let mut taken: Vec<Text<'a>> = Vec::new();
        for (key, param) in fields {
            let key = match key {
                PatternKey::Fixed(at) => Text::Utf8(&self.code.strings[*at as usize]),
                PatternKey::Computed(node) => self.computed_key(*node)?,
            };
            let field = self.own(value, key)?.unwrap_or(Val::Undefined);
            self.bind_param(param, field)?;
            taken.push(key);
        }
        if let Some(slot) = rest {
            let mut all = Entries::default();
            self.spread_entries(value, &mut all)?;
            all.retain(|key| !taken.contains(&key));
            self.slots[usize::from(slot)] = Reg::of(&self.object(all)?);
        }
        Ok(())
    }

    fn computed_key(&mut self, node: NodeId) -> Result<Text<'a>, Fault> {
        let key = self.eval(node)?;
        self.text_of(key)
    }

    fn bind_array(
        &mut self,
        items: &'a [Option<Param>],
        rest: Option<&'a Pattern>,
        value: Val<'a>,
    ) -> Result<(), Fault> {
        let values = if self.lenient && value.is_nullish() {
            Items::Made(&[])
        } else {
            self.iterate(value)?
        };
        for (i, item) in items.iter().enumerate() {
            if let Some(param) = item {
                self.bind_param(param, values.get(i).unwrap_or(Val::Undefined))?;
            }
        }
        if let Some(rest) = rest {
            let left = values.slice(items.len().min(values.len()), values.len());
            let left = self.copy_items(left)?;
            self.bind_pattern(rest, left)?;
        }
        Ok(())
    }

    /// A new array of these elements.
    pub(crate) fn copy_items(&mut self, items: Items<'a>) -> Outcome<'a> {
        if let Items::Made(items) = items {
            // A value never changes, so a part of an array can stand for a copy.
            return self.slice_value(items);
        }
        let mut list = self.list(items.len())?;
        self.walk(items.len())?;
        for item in items.iter() {
            list.push(self, item)?;
        }
        self.array(list)
    }

    /// The elements that spread, `Array.from` and patterns see.
    pub(crate) fn iterate(&mut self, value: Val<'a>) -> Result<Items<'a>, Fault> {
        if let Some(items) = value.items() {
            return Ok(items);
        }
        if let Some(text) = value.text() {
            return self.code_points(text);
        }
        if let Val::Instance(instance) = value
            && let Some(items) = instance.iterate(self)?
        {
            return Ok(items);
        }
        let message = format!("{} cannot be walked like a list", value.kind());
        let fault = Fault::new("TYPE_NOT_ITERABLE", message);
        Err(match value {
            Val::Undefined | Val::Null => fault.hint("write `?? []` if it may be missing"),
            Val::JsonObject(_) | Val::Object(_) => fault.hint("use `Object.entries(…)`"),
            _ => fault,
        })
    }

    /// A text's code points; a lone surrogate counts as one.
    fn code_points(&mut self, text: Text<'a>) -> Result<Items<'a>, Fault> {
        let mut list = self.list(0)?;
        match text {
            Text::Utf8(s) => {
                for (at, c) in s.char_indices() {
                    let value = match ascii(u32::from(c)) {
                        Some(value) => value,
                        None => self.text_value(Text::Utf8(&s[at..at + c.len_utf8()]))?,
                    };
                    list.push(self, value)?;
                }
            }
            Text::Wide(units) => {
                for c in char::decode_utf16(units.iter().copied()) {
                    let value = match c {
                        Ok(c) => self.copy_text(c.encode_utf8(&mut [0; 4]))?,
                        Err(lone) => self.unit_value(lone.unpaired_surrogate())?,
                    };
                    list.push(self, value)?;
                }
            }
        }
        Ok(Items::Made(list.into_slice()))
    }

    /// A text's UTF-16 units, each as a string.
    pub(crate) fn units_of(&mut self, text: Text<'a>) -> Result<Items<'a>, Fault> {
        if matches!(text, Text::Utf8(s) if s.is_ascii()) {
            return self.code_points(text);
        }
        let mut list = self.list(text.len())?;
        self.walk(text.len())?;
        for unit in text.units() {
            let value = self.unit_value(unit)?;
            list.push(self, value)?;
        }
        Ok(Items::Made(list.into_slice()))
    }
}
