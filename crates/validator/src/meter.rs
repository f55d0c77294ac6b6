//! A value that counts how often it is looked at, so that a check ends.
//!
//! Two references to one definition inside a definition that holds itself look at a part of the
//! value twice as often with every level of the value. No limit on the schema's size prevents this,
//! and the evaluator has no limit of its own: it reads the value through [`MeteredJson`] instead.
//! When the meter has run out, every value looks like null, so nothing is followed any further and
//! the check ends; its result means nothing, and [`Meter::spent`] says so.

use std::{borrow::Cow, cell::Cell, ptr};

use jsonschema::{
    JsonType,
    json::{Array, Json, Node, NodeIdentity, Object, cmp, unique},
};
use serde_json::{Map, Number, Value};

/// How many looks a check may take whatever the size of the value.
const MIN_STEPS: u64 = 100_000;

/// How many looks a check may take for each value within the value.
///
/// A schema looks at a value a few times for each keyword that describes it; a hundred such
/// keywords are many.
pub const MAX_STEPS_PER_VALUE: u64 = 1_000;

/// How much stack a check may take, in bytes. The smallest thread that checks has 2 MiB.
const MAX_STACK: usize = 1 << 20;

/// What one check may cost.
pub(crate) struct Meter<'a> {
    whole: &'a Value,
    left: Cell<u64>,
    /// Whether the size of the value was added; small checks never need to know it.
    sized: Cell<bool>,
    spent: Cell<bool>,
    /// Where the stack was when the check began.
    stack: usize,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(whole: &'a Value) -> Self {
        Self {
            whole,
            left: Cell::new(MIN_STEPS),
            sized: Cell::new(false),
            spent: Cell::new(false),
            stack: stack(),
        }
    }

    /// The value, counted from here on.
    pub(crate) fn node(&'a self) -> Metered<'a> {
        Metered {
            value: self.whole,
            meter: Some(self),
        }
    }

    /// Whether the check cost more than it may, so that its result means nothing.
    pub(crate) fn spent(&self) -> bool {
        self.spent.get()
    }

    fn step(&self) -> bool {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                !self.spent.get()
            }
            None => self.at_end(),
        }
    }

    #[cold]
    fn at_end(&self) -> bool {
        if self.sized.replace(true) {
            self.spent.set(true);
            return false;
        }
        self.left.set(MAX_STEPS_PER_VALUE * values(self.whole));
        !self.spent.get()
    }

    /// A step into the parts of a value.
    fn descend(&self) -> bool {
        if self.stack.abs_diff(stack()) > MAX_STACK {
            self.spent.set(true);
        }
        self.step()
    }
}

/// About where the stack is.
#[inline(never)]
fn stack() -> usize {
    let here = 0_u8;
    ptr::from_ref(&here).addr()
}

/// How many values there are in a value, itself counted.
fn values(value: &Value) -> u64 {
    let (mut count, mut open) = (0, vec![value]);
    while let Some(value) = open.pop() {
        count += 1;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    count
}

/// JSON values as `serde_json` has them, counted.
pub(crate) struct MeteredJson;

impl Json for MeteredJson {
    type Node<'a> = Metered<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    // The name of a property has no parts, so what is done with it is bounded by the schema alone.
    fn with_string_node<T>(
        buffer: &mut Value,
        string: &str,
        f: impl FnOnce(Metered<'_>) -> T,
    ) -> T {
        *buffer = Value::from(string);
        f(Metered {
            value: buffer,
            meter: None,
        })
    }
}

/// A value and what counts it.
#[derive(Clone, Copy)]
pub(crate) struct Metered<'a> {
    value: &'a Value,
    meter: Option<&'a Meter<'a>>,
}

impl<'a> Metered<'a> {
    fn seen(&self) -> Option<&'a Value> {
        self.meter.is_none_or(Meter::step).then_some(self.value)
    }

    fn entered(&self) -> Option<&'a Value> {
        self.meter.is_none_or(Meter::descend).then_some(self.value)
    }
}

impl<'a> Node<'a, MeteredJson> for Metered<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        let meter = self.meter;
        let map = self.entered()?.as_object()?;
        Some(Members { map, meter })
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        let meter = self.meter;
        let items = self.entered()?.as_array()?;
        Some(Elements { items, meter })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.seen()?.as_str().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.seen()?.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.seen()?.as_bool()
    }

    fn is_null(&self) -> bool {
        self.seen().is_none_or(Value::is_null)
    }

    fn json_type(&self) -> JsonType {
        match self.seen() {
            None | Some(Value::Null) => JsonType::Null,
            Some(Value::Bool(_)) => JsonType::Boolean,
            Some(Value::Number(_)) => JsonType::Number,
            Some(Value::String(_)) => JsonType::String,
            Some(Value::Array(_)) => JsonType::Array,
            Some(Value::Object(_)) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.seen().is_some_and(|value| cmp::equal(value, expected))
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Borrowed(self.value)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(ptr::from_ref(self.value).addr()))
    }
}

/// The properties of an object.
pub(crate) struct Members<'a> {
    map: &'a Map<String, Value>,
    meter: Option<&'a Meter<'a>>,
}

impl<'a> Object<'a, MeteredJson> for Members<'a> {
    type Node = Metered<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.map.len()
    }

    fn get(&self, key: &String) -> Option<Metered<'a>> {
        let meter = self.meter;
        let value = self.map.get(key)?;
        Some(Metered { value, meter })
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter {
            members: self.map.iter(),
            meter: self.meter,
        }
    }
}

pub(crate) struct MembersIter<'a> {
    members: serde_json::map::Iter<'a>,
    meter: Option<&'a Meter<'a>>,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Metered<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.members.next()?;
        let meter = self.meter;
        Some((name, Metered { value, meter }))
    }
}

/// The elements of an array.
pub(crate) struct Elements<'a> {
    items: &'a [Value],
    meter: Option<&'a Meter<'a>>,
}

impl<'a> Array<'a, MeteredJson> for Elements<'a> {
    type Node = Metered<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter {
            items: self.items.iter(),
            meter: self.meter,
        }
    }

    fn is_unique(&self) -> bool {
        unique::is_unique(self.items)
    }
}

pub(crate) struct ElementsIter<'a> {
    items: std::slice::Iter<'a, Value>,
    meter: Option<&'a Meter<'a>>,
}

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Metered<'a>;

    fn next(&mut self) -> Option<Metered<'a>> {
        let value = self.items.next()?;
        let meter = self.meter;
        Some(Metered { value, meter })
    }
}
