//! `data.sort`.

use std::cmp::Ordering;

use nebula_action::{ActionContext, ActionError};
use nebula_derive::action;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    item::{self, Names},
    order,
};

/// The parameters of `data.sort`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SortIn {
    /// The list; `$json` if nothing is said.
    items: Vec<Value>,
    /// An expression over `$item` and `$index` that gives the key, or a list of names of fields (dots
    /// lead further in), the first one first. The element itself if nothing is said.
    by: Option<Names>,
    /// The direction, or one for each key.
    #[serde(default)]
    order: Orders,
}

/// One direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// Smallest first.
    #[default]
    Asc,
    /// Greatest first.
    Desc,
}

/// One direction for all keys, or one for each.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Orders {
    /// For all keys.
    All(Direction),
    /// For each key.
    Each(Vec<Direction>),
}

impl Default for Orders {
    fn default() -> Self {
        Self::All(Direction::Asc)
    }
}

impl<'de> Deserialize<'de> for Orders {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through a value, so that an error names the shape at hand rather than all of them.
        let value = Value::deserialize(deserializer)?;
        let read = match value {
            Value::Array(_) => serde_json::from_value(value).map(Self::Each),
            one => serde_json::from_value(one).map(Self::All),
        };
        read.map_err(serde::de::Error::custom)
    }
}

/// Sorts a list. Elements with equal keys keep their order.
///
/// Keys of all types have one order: `false`, `true`, numbers, strings by their code points (so
/// `B` comes before `a`), lists element by element, objects (all equal). `null` and missing keys
/// come last in both directions. Expressions help with other orders: `$item.name.toLowerCase()`.
#[action(
    id = "data.sort",
    version = "1.0",
    title = "Sort list",
    effect = "pure",
    deferred = ["by"],
    defaults = { "items": "{{ $json }}" },
    lineage,
    examples = [
        {
            "title": "the dearest first",
            "parameters": { "by": "$item.price", "order": "desc" },
            "json": [{ "price": 2 }, { "price": 10 }, { "name": "free" }],
            "output": [{ "price": 10 }, { "price": 2 }, { "name": "free" }],
        },
        {
            "title": "by day, and within a day the greatest first",
            "parameters": { "by": ["day", "n"], "order": ["asc", "desc"] },
            "json": [{ "day": 2, "n": 1 }, { "day": 1, "n": 5 }, { "day": 1, "n": 7 }],
            "output": [{ "day": 1, "n": 7 }, { "day": 1, "n": 5 }, { "day": 2, "n": 1 }],
        },
        {
            "title": "plain values",
            "parameters": { "items": "{{ $json }}" },
            "json": ["b", 2, "a", 10],
            "output": [2, 10, "a", "b"],
        },
    ],
)]
pub(crate) async fn sort(
    ctx: &ActionContext,
    input: SortIn,
) -> Result<(Vec<Value>, Vec<u32>), ActionError> {
    item::bounded(&input.items)?;
    let keys = keys(ctx, &input)?;
    let mut indices: Vec<usize> = (0..input.items.len()).collect();
    indices.sort_by(|a, b| compare(&keys[*a], &keys[*b], &input.order));
    let lineage = indices.iter().map(|index| item::origin(*index)).collect();
    let mut items: Vec<_> = input.items.into_iter().map(Some).collect();
    // Every index stands there once, so nothing is taken twice.
    let sorted = indices.into_iter().filter_map(|index| items[index].take());
    Ok((sorted.collect(), lineage))
}

/// The keys of every element, in order of importance.
fn keys(ctx: &ActionContext, input: &SortIn) -> Result<Vec<Vec<Value>>, ActionError> {
    let names = input.by.as_ref().map(|Names(names)| names);
    for (i, name) in names.into_iter().flatten().enumerate() {
        let instead = "for an expression, write `by` as one text, such as `[$item.day, $item.n]`";
        item::field_name(name, &format!("/by/{i}"), instead)?;
    }
    let several = match &input.order {
        Orders::Each(orders) => Some(orders.len()),
        Orders::All(_) => None,
    };
    let program = ctx.deferred.get("by");
    let mut all = Vec::with_capacity(input.items.len());
    for (index, element) in input.items.iter().enumerate() {
        item::go_on(ctx, index)?;
        let keys = match (names, program) {
            (Some(names), _) => {
                let values = names.iter().map(|name| item::field(element, name).cloned());
                values.map(Option::unwrap_or_default).collect()
            }
            (None, None) => vec![element.clone()],
            (None, Some(program)) => {
                let value = program.value(element, index);
                let value = value.map_err(|error| item::failed("by", index, &error))?;
                match value.unwrap_or_default() {
                    Value::Array(values) if several.is_some() => values,
                    value => vec![value],
                }
            }
        };
        if several.is_some_and(|several| several != keys.len()) {
            let message = format!(
                "`order` has {} directions, and element {index} has {} keys; give one for each key",
                several.unwrap_or_default(),
                keys.len()
            );
            return Err(ActionError::invalid_input("SORT_ORDER", "/order", message));
        }
        all.push(keys);
    }
    Ok(all)
}

fn compare(a: &[Value], b: &[Value], orders: &Orders) -> Ordering {
    let keys = a.iter().zip(b).enumerate();
    let different = keys.map(|(i, (a, b))| {
        let direction = match orders {
            Orders::All(direction) => *direction,
            Orders::Each(each) => each.get(i).copied().unwrap_or_default(),
        };
        let order = order::compare(a, b);
        // What is missing comes last either way.
        if direction == Direction::Desc && !a.is_null() && !b.is_null() {
            order.reverse()
        } else {
            order
        }
    });
    different
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
