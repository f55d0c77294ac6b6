//! `text.format`.

use nebula_action::{ActionContext, ActionError};
use nebula_derive::action;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    item::{self, Formula},
    text::{MAX_TEXT, table},
};

/// The parameters of `text.format`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormatIn {
    /// What to write: a list of rows; for `json` any value. `$json` if nothing is said.
    items: Value,
    /// What to make of it.
    format: TextFormat,
    /// json: over several lines, indented; default false.
    pretty: Option<bool>,
    /// csv, markdown: the columns and their order (dots lead further in); default: every name of every
    /// row, in the order of first appearance.
    #[schemars(length(min = 1))]
    columns: Option<Vec<String>>,
    /// csv: the character between two cells; default `,`.
    #[schemars(length(min = 1, max = 1))]
    delimiter: Option<String>,
    /// csv: put `'` before texts that a spreadsheet would run as a formula (`=`, `+`, `-`, `@`); default
    /// false. Set it where people open the file and others filled it.
    escape_formulas: Option<bool>,
    /// template: required: an expression over `$item` and `$index` that gives one line, such as
    /// `` `${$item.name}: ${$item.n}` ``.
    line: Option<Formula>,
    /// csv: whether the first row names the columns; default true.
    header: Option<bool>,
    /// template: a text before the lines.
    before: Option<String>,
    /// template: a text after the lines.
    after: Option<String>,
}

/// What to make of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TextFormat {
    /// JSON.
    Json,
    /// Comma-separated values (RFC 4180, with `\n` at line ends).
    Csv,
    /// A Markdown table.
    Markdown,
    /// A line for each element.
    Template,
}

/// Turns values into a text.
///
/// `json` writes any value. `csv` and `markdown` write a table of a list of objects, or of lists of
/// cells; null is an empty cell, what has parts stands as JSON. `template` writes one line for each
/// element of a list, with a text before and after. Every format but `json` ends each line, also the
/// last one, with `\n`. At most 64 MiB.
#[action(
    id = "text.format",
    version = "1.0",
    title = "Format text",
    effect = "pure",
    deferred = ["line"],
    defaults = { "items": "{{ $json }}" },
    examples = [
        {
            "title": "JSON for people",
            "parameters": { "format": "json", "pretty": true },
            "json": { "a": [1] },
            "output": "{\n  \"a\": [\n    1\n  ]\n}",
        },
        {
            "title": "a CSV file for a spreadsheet",
            "parameters": { "format": "csv", "columns": ["name", "n"], "escape_formulas": true },
            "json": [{ "n": -1, "name": "nut, small" }, { "name": "=1+1", "more": true }],
            "output": "name,n\n\"nut, small\",-1\n'=1+1,\n",
        },
        {
            "title": "a Markdown table",
            "parameters": { "format": "markdown" },
            "json": [{ "name": "a|b", "n": 1 }, { "name": "c\nd", "n": 20 }],
            "output": "| name | n |\n| --- | ---: |\n| a\\|b | 1 |\n| c<br>d | 20 |\n",
        },
        {
            "title": "a line for each element",
            "parameters": {
                "format": "template",
                "line": "`${$index + 1}. ${$item.name}`",
                "before": "Goods of {{ $json.day }}:",
                "items": "{{ $json.goods }}",
            },
            "json": { "day": "Monday", "goods": [{ "name": "nut" }, { "name": "bolt" }] },
            "output": "Goods of Monday:\n1. nut\n2. bolt\n",
        },
    ],
)]
pub(crate) async fn format(ctx: &ActionContext, input: FormatIn) -> Result<String, ActionError> {
    input.only_what_fits(ctx)?;
    let text = match input.format {
        TextFormat::Json => {
            let written = match input.pretty {
                Some(true) => serde_json::to_string_pretty(&input.items),
                _ => serde_json::to_string(&input.items),
            };
            let fault = |_| ActionError::fatal("TEXT_JSON", "the value cannot be written as JSON");
            written.map_err(fault)?
        }
        TextFormat::Csv => csv(input)?,
        TextFormat::Markdown => {
            let items = rows(&input.items)?;
            let mut columns = table::columns(items, input.columns);
            // A row of cells brings no names, and a Markdown table has a header in any case.
            if columns.is_empty()
                && let Some(Value::Array(first)) = items.first()
            {
                columns = (1..=first.len()).map(|i| i.to_string()).collect();
            }
            if columns.is_empty() {
                return Ok(String::new());
            }
            let numbers: Vec<_> = (0..columns.len())
                .map(|i| !items.is_empty() && items.iter().all(|item| is_number(item, &columns, i)))
                .collect();
            let rows = items
                .iter()
                .enumerate()
                .map(|(i, item)| table::row(item, i, &columns));
            table::markdown(&columns, &rows.collect::<Result<Vec<_>, _>>()?, &numbers)
        }
        TextFormat::Template => template(ctx, &input)?,
    };
    if text.len() > MAX_TEXT.as_usize() {
        let message = format!("the text is larger than {MAX_TEXT}, the most that is made at once");
        return Err(ActionError::limit("TEXT_TOO_LARGE", message));
    }
    Ok(text)
}

impl FormatIn {
    fn only_what_fits(&self, ctx: &ActionContext) -> Result<(), ActionError> {
        use TextFormat::{Csv, Json, Markdown, Template};
        let line = self.line.is_some() || ctx.deferred.contains_key("line");
        let table = matches!(self.format, Csv | Markdown);
        super::only_what_fits(&[
            ("pretty", self.pretty.is_some(), self.format == Json),
            ("columns", self.columns.is_some(), table),
            ("delimiter", self.delimiter.is_some(), self.format == Csv),
            (
                "escape_formulas",
                self.escape_formulas.is_some(),
                self.format == Csv,
            ),
            ("header", self.header.is_some(), self.format == Csv),
            ("line", line, self.format == Template),
            ("before", self.before.is_some(), self.format == Template),
            ("after", self.after.is_some(), self.format == Template),
        ])
    }
}

fn rows(items: &Value) -> Result<&[Value], ActionError> {
    let list = items.as_array().ok_or_else(|| {
        let message = format!(
            "`items` must be a list of rows, not {}",
            item::type_name(items)
        );
        ActionError::invalid_input("PARAMETER_INVALID", "/items", message)
    })?;
    item::bounded(list)?;
    Ok(list)
}

fn csv(input: FormatIn) -> Result<String, ActionError> {
    let delimiter = table::delimiter(input.delimiter.as_deref())?;
    let items = rows(&input.items)?;
    let columns = table::columns(items, input.columns);
    let mut table = Vec::with_capacity(items.len() + 1);
    if input.header.unwrap_or(true) && !columns.is_empty() {
        table.push(columns.iter().map(|name| name.as_str().into()).collect());
    }
    for (i, item) in items.iter().enumerate() {
        table.push(table::row(item, i, &columns)?);
    }
    if input.escape_formulas == Some(true) {
        table.iter_mut().flatten().for_each(table::escape_formula);
    }
    table::write(&table, delimiter)
}

fn is_number(item: &Value, columns: &[String], i: usize) -> bool {
    let cell = match item {
        Value::Array(cells) => cells.get(i),
        item => item::field(item, &columns[i]),
    };
    cell.is_some_and(Value::is_number)
}

fn template(ctx: &ActionContext, input: &FormatIn) -> Result<String, ActionError> {
    let line = item::program(ctx, "line", input.line.as_ref())?;
    let mut text = String::new();
    let mut add = |part: &str| {
        text.push_str(part);
        text.push('\n');
    };
    input.before.iter().for_each(|before| add(before));
    for (index, element) in rows(&input.items)?.iter().enumerate() {
        item::go_on(ctx, index)?;
        let value = line.value(element, index);
        let value = value.map_err(|error| item::failed("line", index, &error))?;
        add(&table::text(value.as_ref()));
    }
    input.after.iter().for_each(|after| add(after));
    Ok(text)
}
