//! `data.map`.

use std::collections::BTreeMap;

use nebula_action::{ActionContext, ActionError};
use nebula_derive::action;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map as Object, Value};

use crate::item::{self, Formula};

/// The parameters of `data.map`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MapIn {
    /// The list; `$json` if nothing is said.
    items: Vec<Value>,
    /// An expression over `$item` and `$index`: the new element.
    value: Option<Formula>,
    /// Instead of `value`: the fields of the new element, each an expression over `$item` and `$index`.
    fields: Option<BTreeMap<String, Formula>>,
}

/// Makes a new element of each element of a list.
///
/// The new element is either one expression (`value`) or an object of expressions (`fields`). An
/// undefined `value` gives null; an undefined field is left out.
#[action(
    id = "data.map",
    version = "1.0",
    title = "Map list",
    effect = "pure",
    deferred = ["value", "fields/*"],
    defaults = { "items": "{{ $json }}" },
    lineage,
    examples = [
        {
            "title": "one expression for the whole element",
            "parameters": { "value": "{ id: $item.id, nr: $index + 1 }" },
            "json": [{ "id": "a", "x": 1 }, { "id": "b", "x": 2 }],
            "output": [{ "id": "a", "nr": 1 }, { "id": "b", "nr": 2 }],
        },
        {
            "title": "one expression for each field",
            "parameters": { "fields": { "id": "$item.id", "total": "$item.qty * $item.price" } },
            "json": [{ "id": "a", "qty": 2, "price": 5 }],
            "output": [{ "id": "a", "total": 10 }],
        },
    ],
)]
pub(crate) async fn map(
    ctx: &ActionContext,
    input: MapIn,
) -> Result<(Vec<Value>, Vec<u32>), ActionError> {
    item::bounded(&input.items)?;
    let fields: Vec<_> = item::programs(ctx, "fields").collect();
    let one = ctx.deferred.contains_key("value");
    if one && !fields.is_empty() {
        let message = "`value` and `fields` are two ways to say the same; write one of them";
        return Err(ActionError::invalid_input(
            "PARAMETER_CONFLICT",
            "/fields",
            message,
        ));
    }
    if let Some((name, formula)) = input.fields.iter().flatten().next() {
        item::program(ctx, &format!("fields/{name}"), Some(formula))?;
    }
    let value = match fields.is_empty() {
        true => Some(item::program(ctx, "value", input.value.as_ref())?),
        false => None,
    };
    let mut mapped = Vec::with_capacity(input.items.len());
    for (index, element) in input.items.iter().enumerate() {
        item::go_on(ctx, index)?;
        mapped.push(match value {
            Some(program) => program
                .value(element, index)
                .map_err(|error| item::failed("value", index, &error))?
                .unwrap_or(Value::Null),
            None => {
                let mut object = Object::with_capacity(fields.len());
                for (name, program) in &fields {
                    let computed = program.value(element, index);
                    let computed = computed
                        .map_err(|error| item::failed(&format!("fields/{name}"), index, &error))?;
                    if let Some(computed) = computed {
                        object.insert((*name).to_owned(), computed);
                    }
                }
                Value::Object(object)
            }
        });
    }
    let lineage = (0..mapped.len()).map(item::origin).collect();
    Ok((mapped, lineage))
}
