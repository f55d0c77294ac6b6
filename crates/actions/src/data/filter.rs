//! `data.filter`.

use nebula_action::{ActionContext, ActionError};
use nebula_derive::action;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::item::{self, Formula};

/// The parameters of `data.filter`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterIn {
    /// The list; `$json` if nothing is said.
    items: Vec<Value>,
    /// An expression over `$item` and `$index` that is true for the elements to keep.
    #[schemars(required)]
    condition: Option<Formula>,
}

/// Keeps the elements of a list for which a condition is true, in their order.
#[action(
    id = "data.filter",
    version = "1.0",
    title = "Filter list",
    effect = "pure",
    deferred = ["condition"],
    defaults = { "items": "{{ $json }}" },
    lineage,
    examples = [
        {
            "title": "what costs more than 3",
            "parameters": { "condition": "$item.price > 3" },
            "json": [{ "id": 1, "price": 5 }, { "id": 2, "price": 2 }, { "id": 3, "price": 4 }],
            "output": [{ "id": 1, "price": 5 }, { "id": 3, "price": 4 }],
        },
        {
            "title": "all but the first of another list",
            "parameters": { "items": "{{ $json.rows }}", "condition": "$index > 0" },
            "json": { "rows": ["header", "a", "b"] },
            "output": ["a", "b"],
        },
    ],
)]
pub(crate) async fn filter(
    ctx: &ActionContext,
    input: FilterIn,
) -> Result<(Vec<Value>, Vec<u32>), ActionError> {
    item::bounded(&input.items)?;
    let condition = item::program(ctx, "condition", input.condition.as_ref())?;
    let (mut kept, mut lineage) = (Vec::new(), Vec::new());
    for (index, element) in input.items.into_iter().enumerate() {
        item::go_on(ctx, index)?;
        let holds = condition.holds(&element, index);
        if holds.map_err(|error| item::failed("condition", index, &error))? {
            kept.push(element);
            lineage.push(item::origin(index));
        }
    }
    Ok((kept, lineage))
}
