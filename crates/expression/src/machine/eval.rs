//! One node of the program.

use super::{Machine, TextBuilder};
use crate::{
    ListOf, LongList,
    code::{Node, NodeField, NodeId, Property, Run},
    error::Fault,
    library::{Args, Function, Outcome},
    regex::Pattern,
    syntax::ast::{BinaryOp, UnaryOp},
    time::duration::Unit,
    value::{
        Entries, Instance, Text, Val, array_index, json_entries, json_entries_bytes, to_int32,
    },
};

impl<'a> Machine<'a> {
    // The rarer nodes have frames of their own: the compiler would otherwise make every level of
    // recursion as large as the largest of them.
    #[inline(never)]
    pub(super) fn compound(&mut self, node: Node) -> Outcome<'a> {
        let code = self.code;
        match node {
            Node::Unary(op, operand) => {
                let operand = self.eval(operand)?;
                self.unary(op, operand)
            }
            Node::Template(parts) => self.template(parts),
            Node::Array(elements) => self.array_literal(elements),
            Node::Object(properties) => self.object_literal(properties),
            Node::Record(shape, properties) => self.record(shape, properties),
            Node::Call(function, args) => self.call_function(function, args),
            Node::Inline(callback, args) => self.call_inline(callback, args),
            Node::StepField(slot, field, optional) => self.node_field(slot, field, optional),
            Node::StepWhole(slot, optional) => self.node_whole(slot, optional),
            Node::StepItems(slot, which, optional) => self.node_items(slot, which, optional),
            Node::Regex(at) => self.regex_value(Pattern::Literal(&code.regexes[at as usize])),
            Node::Wide(at) => {
                let units: &'a [u16] = &code.wides[at as usize];
                self.text_value(Text::Wide(units))
            }
            Node::Now | Node::Today => self.time(matches!(node, Node::Today)),
            Node::Random => Ok(Val::Num(self.next_random())),
            leaf => Err(Fault::new(
                "TYPE_INTERNAL",
                format!("{leaf:?} is no compound node"),
            )),
        }
    }

    #[inline(never)]
    fn call_function(&mut self, function: &'static Function, args: Run) -> Outcome<'a> {
        let args = self.arguments(args)?;
        (function.run)(self, Args(&args))
    }

    #[inline(never)]
    fn call_inline(&mut self, callback: u32, args: Run) -> Outcome<'a> {
        let args = self.arguments(args)?;
        let code = self.code;
        self.call(&code.callbacks[callback as usize], &args)
    }

    #[inline(never)]
    fn time(&mut self, today: bool) -> Outcome<'a> {
        let now = self.now()?;
        let time = if today {
            now.start_of(Unit::Days, false)
        } else {
            now
        };
        self.date_time(time)
    }

    /// Operators of one rank, left to right, from one on whose operands are not both numbers; a
    /// text that grows is built in one place.
    #[inline(never)]
    pub(super) fn fold_of_any(
        &mut self,
        first: Val<'a>,
        op: BinaryOp,
        right: Val<'a>,
        rest: &[(BinaryOp, NodeId)],
    ) -> Outcome<'a> {
        let mut value = first;
        let mut growing: Option<TextBuilder<'a>> = None;
        let mut next = Some((op, right));
        let mut rest = rest.iter();
        while let Some((op, right)) = next {
            if op == BinaryOp::Add
                && let Some(text) = &mut growing
            {
                let right = self.primitive(right)?;
                text.push_value(self, right)?;
            } else if op == BinaryOp::Add && (value.text().is_some() || right.text().is_some()) {
                let (left, right) = (self.primitive(value)?, self.primitive(right)?);
                let mut text = self.text_builder(0)?;
                text.push_value(self, left)?;
                text.push_value(self, right)?;
                growing = Some(text);
            } else {
                if let Some(text) = growing.take() {
                    value = text.finish(self)?;
                }
                value = self.binary(op, value, right)?;
            }
            next = match rest.next() {
                Some((op, right)) => Some((*op, self.eval(*right)?)),
                None => None,
            };
        }
        match growing {
            Some(text) => text.finish(self),
            None => Ok(value),
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: Val<'a>) -> Outcome<'a> {
        Ok(match op {
            UnaryOp::Not => Val::Bool(!operand.truthy()),
            UnaryOp::Negate => Val::Num(-self.number_of(operand)?),
            UnaryOp::Plus => Val::Num(self.number_of(operand)?),
            UnaryOp::BitNot => Val::Num(f64::from(!to_int32(self.number_of(operand)?))),
            UnaryOp::Typeof => Val::Temp(operand.type_of()),
            UnaryOp::Void => Val::Undefined,
        })
    }

    #[inline(never)]
    fn template(&mut self, parts: Run) -> Outcome<'a> {
        let mut text = self.text_builder(64)?;
        for part in parts.of(&self.code.lists) {
            let value = self.eval(*part)?;
            text.push_value(self, value)?;
        }
        text.finish(self)
    }

    #[inline(never)]
    fn array_literal(&mut self, elements: Run) -> Outcome<'a> {
        let elements = elements.of(&self.code.elements);
        let mut list = self.list(elements.len())?;
        for element in elements {
            let value = self.eval(element.node)?;
            if element.spread {
                let items = self.iterate(value)?;
                self.walk(items.len())?;
                for item in items.iter() {
                    list.push(self, item)?;
                }
            } else {
                list.push(self, value)?;
            }
        }
        self.array(list)
    }

    #[inline(never)]
    fn object_literal(&mut self, properties: Run) -> Outcome<'a> {
        let code = self.code;
        let mut entries = Entries::default();
        for property in properties.of(&code.properties) {
            match *property {
                Property::Pair(key, value) => {
                    let value = self.eval(value)?;
                    self.reserve_entry(&entries)?;
                    entries.push(Text::Utf8(&code.strings[key as usize]), value);
                }
                Property::Computed(key, value) => {
                    let key = self.eval(key)?;
                    let key = self.text_of(key)?;
                    let value = self.eval(value)?;
                    self.reserve_entry(&entries)?;
                    entries.push(key, value);
                }
                Property::Spread(source) => {
                    let source = self.eval(source)?;
                    self.spread_entries(source, &mut entries)?;
                }
            }
        }
        self.object(entries)
    }

    /// Adds the own entries of a value, as `{ ...value }` does.
    pub(crate) fn spread_entries(
        &mut self,
        source: Val<'a>,
        entries: &mut Entries<'a>,
    ) -> Result<(), Fault> {
        match source {
            Val::JsonObject(map) => {
                self.walk(map.len())?;
                self.reserve(json_entries_bytes(map))?;
                for (key, value) in json_entries(map) {
                    self.reserve_entry(entries)?;
                    entries.push(Text::Utf8(key), Val::from_json(value));
                }
            }
            Val::Object(object) => {
                self.walk(object.entries().len())?;
                for (key, value) in object.entries() {
                    self.reserve_entry(entries)?;
                    entries.push(*key, *value);
                }
            }
            Val::JsonArray(_)
            | Val::Long(_)
            | Val::Array(_)
            | Val::Str(_)
            | Val::Temp(_)
            | Val::Wide(_) => {
                let items = match source.text() {
                    Some(text) => self.units_of(text)?,
                    None => self.iterate(source)?,
                };
                self.walk(items.len())?;
                for (i, item) in items.iter().enumerate() {
                    let key = self.copy_str(&i.to_string())?;
                    debug_assert!(array_index(key).is_some());
                    self.reserve_entry(entries)?;
                    entries.push(Text::Utf8(key), item);
                }
            }
            Val::Instance(Instance::Match(found)) => {
                self.spread_entries(found.array(), entries)?;
                for (name, value) in found.properties() {
                    self.reserve_entry(entries)?;
                    entries.push(Text::Utf8(name), value);
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[inline(never)]
    fn node_field(&mut self, slot: u16, field: NodeField, optional: bool) -> Outcome<'a> {
        let id = &self.code.node_ids[usize::from(slot)];
        let view = match field {
            NodeField::Result => self.scope.node(usize::from(slot), id),
            _ => self.scope.node_without_result(usize::from(slot), id),
        };
        let Some(view) = view else {
            return self.node_absent(optional);
        };
        Ok(match field {
            NodeField::Result => match view.result {
                Some(value) => Val::from_json(value),
                None => self.long_result(slot)?.map_or(Val::Undefined, Val::Long),
            },
            NodeField::Success => view.success.map_or(Val::Undefined, Val::Bool),
            NodeField::Error => view.error.map_or(Val::Undefined, Val::from_json),
            NodeField::Status => self.text_value(Text::Utf8(view.status))?,
            NodeField::Port => match view.port {
                Some(port) => self.text_value(Text::Utf8(port))?,
                None => Val::Undefined,
            },
            NodeField::Attempts => Val::Num(f64::from(view.attempts)),
        })
    }

    /// The result of a node that is no value: a long list, or nothing.
    pub(super) fn long_result(&self, slot: u16) -> Result<Option<&'a LongList>, Fault> {
        let (slot, id) = (usize::from(slot), &self.code.node_ids[usize::from(slot)]);
        let of = ListOf::Result { slot, id };
        let list = self.scope.list(of);
        match self.scope.away(of) {
            Some(away) if list.is_none() => Err(Fault::away(away)),
            _ => Ok(list),
        }
    }

    pub(super) fn node_absent(&self, optional: bool) -> Outcome<'a> {
        if optional || self.lenient {
            return Ok(Val::Undefined);
        }
        Err(Fault::new("PATH_NODE_ABSENT", "the node has not run")
            .hint("write `?.` after the node's id if it need not have run"))
    }

    #[inline(never)]
    fn node_whole(&mut self, slot: u16, optional: bool) -> Outcome<'a> {
        let id = &self.code.node_ids[usize::from(slot)];
        let view = self.scope.node_without_result(usize::from(slot), id);
        if view.is_none() {
            return self.node_absent(optional);
        }
        let mut entries = Entries::default();
        for (name, field) in NodeField::ALL {
            let value = self.node_field(slot, field, optional)?;
            if !matches!(value, Val::Undefined) {
                self.reserve_entry(&entries)?;
                entries.push(Text::Utf8(name), value);
            }
        }
        self.object(entries)
    }
}
