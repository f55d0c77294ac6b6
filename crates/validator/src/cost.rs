//! What a schema may cost before anything is compiled.

use std::{collections::HashMap, ptr, sync::Arc};

use jsonschema::{Registry, Uri, uri};
use serde_json::Value;

use crate::{pointer, schema::SchemaError};

/// The largest schema, in bytes of its texts and one byte for every value; documents counted.
pub const MAX_SCHEMA_SIZE: usize = 1 << 20;

/// The deepest nesting of a schema.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// How many schemas may apply to one value, those that references bring counted as often as they
/// bring them.
pub const MAX_APPLIED: u64 = 10_000;

/// How many references and combinations may follow each other at one value.
pub const MAX_CHAIN: usize = 256;

/// Keywords whose schemas apply to the same value.
const HERE: &[&str] = &[
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
];

/// Keywords that hold values, not schemas.
const VALUES: &[&str] = &["const", "enum", "default", "examples"];

/// Counts before anything is compiled, so that a hostile schema costs no more than reading it.
/// Gives whether it refers to anything.
pub(crate) fn bounded(schema: &Value, left: &mut usize) -> Result<bool, SchemaError> {
    let mut refers = false;
    count(schema, 0, left, &mut refers)?;
    Ok(refers)
}

fn count(
    schema: &Value,
    depth: usize,
    left: &mut usize,
    refers: &mut bool,
) -> Result<(), SchemaError> {
    if depth > MAX_SCHEMA_DEPTH {
        let message = format!("it is nested deeper than {MAX_SCHEMA_DEPTH} levels");
        return Err(SchemaError::whole(message));
    }
    let size = 1 + match schema {
        Value::String(text) => text.len(),
        Value::Object(map) => map.keys().map(String::len).sum(),
        _ => 0,
    };
    *left = left
        .checked_sub(size)
        .ok_or_else(|| SchemaError::whole(format!("it is larger than {MAX_SCHEMA_SIZE} bytes")))?;
    match schema {
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| count(item, depth + 1, left, refers)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| {
            *refers |= is_reference(key);
            count(item, depth + 1, left, refers)
        }),
        _ => Ok(()),
    }
}

pub(crate) fn is_reference(key: &str) -> bool {
    matches!(key, "$ref" | "$dynamicRef" | "$recursiveRef")
}

/// Refuses schemas that apply too many schemas to one value, or one of them within itself.
///
/// The meter of a check counts looks at the value; a schema can keep the evaluator busy without a
/// single look (`true`, doubled by a reference, doubled by a reference, …), which only this prevents.
///
/// `roots` are the schema and the documents, each with the place at which `registry` has it.
pub(crate) fn applied<'r>(
    registry: &'r Registry<'r>,
    roots: &[(&str, &'r Value)],
) -> Result<(), SchemaError> {
    let mut walk = Walk {
        registry,
        weights: HashMap::new(),
        open: Vec::new(),
    };
    for (base, root) in roots {
        if let Ok(base) = uri::from_str(base) {
            walk.everywhere(root, &Arc::new(base), &mut String::new())?;
        }
    }
    Ok(())
}

/// A place from which relative references lead.
type Base = Arc<Uri<String>>;

struct Walk<'r> {
    registry: &'r Registry<'r>,
    /// The weight of each schema that was weighed, by its address.
    weights: HashMap<usize, u64>,
    /// The schemas that are being weighed.
    open: Vec<usize>,
}

impl<'r> Walk<'r> {
    /// Weighs every object of a document as if it were a schema; what is none has no weight.
    fn everywhere(
        &mut self,
        here: &'r Value,
        base: &Base,
        at: &mut String,
    ) -> Result<(), SchemaError> {
        match here {
            Value::Object(map) => {
                let base = within(base, here);
                self.weigh(here, &base).map_err(|fault| fault.at(at))?;
                map.iter()
                    .filter(|(key, _)| !VALUES.contains(&key.as_str()))
                    .try_for_each(|(key, value)| {
                        pointer::below(at, key, |at| self.everywhere(value, &base, at))
                    })
            }
            Value::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| {
                pointer::below(at, &i.to_string(), |at| self.everywhere(item, base, at))
            }),
            _ => Ok(()),
        }
    }

    /// How many schemas `schema` applies to one value, itself counted. `base` is already its own.
    fn weigh(&mut self, schema: &'r Value, base: &Base) -> Result<u64, Fault> {
        let Some(map) = schema.as_object() else {
            return Ok(1);
        };
        let address = ptr::from_ref(schema).addr();
        if let Some(weight) = self.weights.get(&address) {
            return Ok(*weight);
        }
        if self.open.contains(&address) {
            return Err(Fault::Within);
        }
        if self.open.len() >= MAX_CHAIN {
            return Err(Fault::Chain);
        }
        self.open.push(address);
        let mut weight = 1_u64;
        for (key, value) in map {
            let key = key.as_str();
            if is_reference(key) {
                if let Some((target, base)) = value.as_str().and_then(|to| self.target(base, to)) {
                    weight += self.weigh(target, &base)?;
                }
            } else if HERE.contains(&key) {
                // A name in `dependentSchemas` is no schema, but what stands under it is.
                let parts: Vec<&Value> = match value {
                    Value::Array(items) => items.iter().collect(),
                    Value::Object(map) if key.starts_with("depend") => map.values().collect(),
                    value => vec![value],
                };
                for part in parts {
                    weight += self.weigh(part, &within(base, part))?;
                }
            }
            if weight > MAX_APPLIED {
                return Err(Fault::Weight);
            }
        }
        self.open.pop();
        self.weights.insert(address, weight);
        Ok(weight)
    }

    /// Where a reference leads; nowhere is for the compiler to say.
    fn target(&self, base: &Base, to: &str) -> Option<(&'r Value, Base)> {
        let resolver = self.registry.resolver((**base).clone());
        let found = resolver.lookup(to).ok()?;
        let base = found.resolver().base_uri();
        Some((found.contents(), within(&base, found.contents())))
    }
}

/// The base of a schema that may have an `$id` of its own.
fn within(base: &Base, schema: &Value) -> Base {
    let id = schema.get("$id").and_then(Value::as_str);
    let own = id.and_then(|id| uri::resolve_against(&base.borrow(), id).ok());
    own.map_or_else(|| Arc::clone(base), Arc::new)
}

/// Why a schema would cost too much.
enum Fault {
    Within,
    Chain,
    Weight,
}

impl Fault {
    fn at(self, pointer: &str) -> SchemaError {
        let message = match self {
            Self::Within => "it refers to itself without looking at a part of the value; \
                 put the reference under `properties`, `items` or the like"
                .to_owned(),
            Self::Chain => format!("more than {MAX_CHAIN} references follow each other"),
            Self::Weight => format!(
                "more than {MAX_APPLIED} schemas apply to one value; \
                 references that are used twice count twice"
            ),
        };
        SchemaError {
            pointer: pointer.to_owned(),
            message,
        }
    }
}
