//! `data.aggregate`.

use std::{borrow::Cow, collections::BTreeMap};

use indexmap::IndexMap;
use nebula_action::{ActionContext, ActionError};
use nebula_core::canonical_json;
use nebula_derive::action;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    data::tally::{Op, Tally},
    item::{self, Formula, Names},
};

/// The most groups that one list is divided into.
pub const MAX_GROUPS: usize = 100_000;

/// The name of the group's key where `by` is one expression.
const KEY: &str = "key";

/// The parameters of `data.aggregate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AggregateIn {
    /// The list; `$json` if nothing is said.
    items: Vec<Value>,
    /// How to group: a list of names (of `values` or of fields; dots lead further in), or one
    /// expression over `$item` and `$index`, whose value then is the field `key`. One group if nothing
    /// is said.
    by: Option<Names>,
    /// Values computed for each element, which `by` and `of` may name: each an expression over `$item`
    /// and `$index`.
    values: Option<BTreeMap<String, Formula>>,
    /// The fields of the result: what to compute over each group.
    #[schemars(with = "BTreeMap<String, Field>")]
    fields: IndexMap<String, Field>,
}

/// One field of the result.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    /// What to compute.
    op: Op,
    /// Over what: a name of `values`, or of a field of the elements (dots lead further in). Only `count`
    /// and `list` do without: they take the elements themselves.
    of: Option<String>,
}

/// Groups a list and computes something over each group.
///
/// Gives one object for each group, in the order in which the groups first appear: the fields that
/// it was grouped by, and those of `fields`. Without `by`, gives one object for the whole list, also
/// if it is empty. Null and missing values are passed over, save by `first` and `last`; `sum` and
/// `avg` take numbers only; `min` and `max` use the order of `data.sort`. Of no values at all, `count`
/// and `sum` are 0, `list` and `unique` are empty, the others are null.
#[action(
    id = "data.aggregate",
    version = "1.0",
    title = "Aggregate list",
    effect = "pure",
    deferred = ["by", "values/*"],
    defaults = { "items": "{{ $json }}" },
    examples = [
        {
            "title": "how often each thing was done on each day",
            "parameters": {
                "values": { "day": "$item.at.slice(0, 10)" },
                "by": ["day", "what"],
                "fields": { "times": { "op": "count" } },
            },
            "json": [
                { "at": "2026-03-14T09:26", "what": "install" },
                { "at": "2026-03-14T10:00", "what": "remove" },
                { "at": "2026-03-14T11:00", "what": "install" },
            ],
            "output": [
                { "day": "2026-03-14", "what": "install", "times": 2 },
                { "day": "2026-03-14", "what": "remove", "times": 1 },
            ],
        },
        {
            "title": "totals of a whole list",
            "parameters": {
                "values": { "total": "$item.qty * $item.price" },
                "fields": {
                    "sum": { "op": "sum", "of": "total" },
                    "dearest": { "op": "max", "of": "price" },
                    "goods": { "op": "unique", "of": "name" },
                },
            },
            "json": [
                { "name": "nut", "qty": 10, "price": 0.5 },
                { "name": "bolt", "qty": 2, "price": 1.5 },
                { "name": "nut", "qty": 1, "price": 0.5 },
            ],
            "output": { "sum": 8.5, "dearest": 1.5, "goods": ["nut", "bolt"] },
        },
        {
            "title": "one expression as the key",
            "parameters": { "by": "$item % 2 == 0", "fields": { "n": { "op": "list" } } },
            "json": [1, 2, 3],
            "output": [{ "key": false, "n": [1, 3] }, { "key": true, "n": [2] }],
        },
    ],
)]
pub(crate) async fn aggregate(
    ctx: &ActionContext,
    input: AggregateIn,
) -> Result<Value, ActionError> {
    item::bounded(&input.items)?;
    let names = checked(ctx, &input)?;
    let mut groups: IndexMap<String, Group> = IndexMap::new();
    for (index, element) in input.items.iter().enumerate() {
        item::go_on(ctx, index)?;
        let look = Look {
            ctx,
            element,
            index,
        };
        let mut keys = Map::new();
        match (&names, ctx.deferred.get("by")) {
            (Some(names), _) => {
                for name in names {
                    let value = look.named(name)?.map(Cow::into_owned);
                    keys.insert(name.clone(), value.unwrap_or_default());
                }
            }
            (None, Some(program)) => {
                let value = program.value(element, index);
                let value = value.map_err(|error| item::failed("by", index, &error))?;
                keys.insert(KEY.to_owned(), value.unwrap_or_default());
            }
            (None, None) => {}
        }
        let id = canonical_json(&Value::Object(keys.clone()));
        if !groups.contains_key(&id) && groups.len() >= MAX_GROUPS {
            let message =
                format!("the list falls into more than {MAX_GROUPS} groups; group by fewer things");
            return Err(ActionError::limit("AGGREGATE_TOO_MANY_GROUPS", message));
        }
        let group = groups
            .entry(id)
            .or_insert_with(|| Group::new(keys, &input.fields));
        for (tally, (name, field)) in group.tallies.iter_mut().zip(&input.fields) {
            let value = match &field.of {
                None => Some(Cow::Borrowed(element)),
                Some(of) => look.named(of)?,
            };
            tally.add(value.as_deref()).map_err(|found| {
                let message = format!(
                    "the field `{name}` takes numbers only, and element {index} has {found} there; \
                     turn it into a number under `values`, such as `Number($item.x)`"
                );
                ActionError::invalid_input("AGGREGATE_NOT_A_NUMBER", "/items", message)
            })?;
        }
    }
    if names.is_none() && !ctx.deferred.contains_key("by") {
        let whole = groups.pop().map(|(_, group)| group);
        let whole = whole.unwrap_or_else(|| Group::new(Map::new(), &input.fields));
        return Ok(whole.finish(&input.fields));
    }
    let finished = groups
        .into_values()
        .map(|group| group.finish(&input.fields));
    Ok(finished.collect())
}

/// Checks the names; gives those to group by.
fn checked(ctx: &ActionContext, input: &AggregateIn) -> Result<Option<Vec<String>>, ActionError> {
    if let Some((name, formula)) = input.values.iter().flatten().next() {
        item::program(ctx, &format!("values/{name}"), Some(formula))?;
    }
    let instead = "put the expression under `values` and name it here";
    for (name, field) in &input.fields {
        let pointer = format!("/fields/{name}/of");
        match &field.of {
            Some(of) => item::field_name(of, &pointer, instead)?,
            None if field.op.takes_elements() => {}
            None => {
                let message = format!("the field `{name}` lacks `of`: what to compute over");
                return Err(ActionError::invalid_input(
                    "PARAMETER_MISSING",
                    pointer,
                    message,
                ));
            }
        }
    }
    let names = input.by.as_ref().map(|Names(names)| names.clone());
    for (i, name) in names.iter().flatten().enumerate() {
        item::field_name(name, &format!("/by/{i}"), instead)?;
    }
    let key = ctx.deferred.contains_key("by").then(|| KEY.to_owned());
    let taken = names
        .iter()
        .flatten()
        .chain(&key)
        .find(|name| input.fields.contains_key(*name));
    if let Some(taken) = taken {
        let message = format!(
            "`{taken}` is both what the groups are named by and one of `fields`; rename one"
        );
        return Err(ActionError::invalid_input(
            "PARAMETER_CONFLICT",
            "/fields",
            message,
        ));
    }
    Ok(names)
}

/// One element and what can be named in it.
struct Look<'a> {
    ctx: &'a ActionContext,
    element: &'a Value,
    index: usize,
}

impl<'a> Look<'a> {
    /// A computed value of that name, else the field; `None` if there is neither.
    fn named(&self, name: &str) -> Result<Option<Cow<'a, Value>>, ActionError> {
        let path = format!("values/{name}");
        match self.ctx.deferred.get(&path) {
            None => Ok(item::field(self.element, name).map(Cow::Borrowed)),
            Some(program) => {
                let value = program.value(self.element, self.index);
                let value = value.map_err(|error| item::failed(&path, self.index, &error))?;
                Ok(value.map(Cow::Owned))
            }
        }
    }
}

struct Group {
    keys: Map<String, Value>,
    tallies: Vec<Tally>,
}

impl Group {
    fn new(keys: Map<String, Value>, fields: &IndexMap<String, Field>) -> Self {
        let tallies = fields.values().map(|field| Tally::new(field.op)).collect();
        Self { keys, tallies }
    }

    fn finish(self, fields: &IndexMap<String, Field>) -> Value {
        let mut object = self.keys;
        for (tally, name) in self.tallies.into_iter().zip(fields.keys()) {
            object.insert(name.clone(), tally.finish());
        }
        Value::Object(object)
    }
}
