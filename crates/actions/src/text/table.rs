//! Tables as text: CSV both ways, and Markdown.

use std::{borrow::Cow, collections::HashSet};

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use nebula_action::{ActionContext, ActionError};
use serde_json::{Map, Value};

use super::parse;
use crate::item;

/// How the columns of a CSV text get their names.
pub(super) struct Columns {
    pub(super) header: bool,
    pub(super) names: Option<Vec<String>>,
}

/// The character between two cells.
pub(super) fn delimiter(given: Option<&str>) -> Result<u8, ActionError> {
    match given.unwrap_or(",").as_bytes() {
        [one] if !matches!(one, b'"' | b'\r' | b'\n') => Ok(*one),
        _ => {
            let message =
                "`delimiter` must be one ASCII character, and neither a quote nor a line end";
            Err(ActionError::invalid_input(
                "TEXT_DELIMITER",
                "/delimiter",
                message,
            ))
        }
    }
}

/// Reads CSV; every row must have as many cells as the first one.
pub(super) fn read(
    ctx: &ActionContext,
    text: &str,
    columns: Columns,
    delimiter: u8,
) -> Result<Value, ActionError> {
    let mut reader = ReaderBuilder::new()
        .has_headers(columns.header)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let names = match (columns.names, columns.header) {
        (Some(names), _) => Some(names),
        (None, true) => {
            let header = reader.headers().map_err(|error| wrong_row(&error))?;
            Some(header.iter().map(str::to_owned).collect())
        }
        (None, false) => None,
    };
    let mut seen = HashSet::new();
    if let Some(i) = names.iter().flatten().position(|name| !seen.insert(name)) {
        let message = format!(
            "column {} has the name of an earlier one; give other names with `columns`",
            i + 1
        );
        return Err(ActionError::fatal("TEXT_CSV_HEADER", message));
    }
    let rows = reader.records().map(|record| {
        let record = record.map_err(|error| wrong_row(&error))?;
        match &names {
            None => Ok(record.iter().map(Value::from).collect()),
            Some(names) => object(names, &record),
        }
    });
    parse::collect(ctx, rows)
}

fn object(names: &[String], record: &StringRecord) -> Result<Value, ActionError> {
    if names.len() != record.len() {
        let line = record.position().map_or(0, csv::Position::line);
        return Err(cells(line, record.len() as u64, names.len() as u64));
    }
    let cells = names.iter().zip(record);
    let object: Map<_, _> = cells
        .map(|(name, cell)| (name.clone(), Value::from(cell)))
        .collect();
    Ok(Value::Object(object))
}

fn wrong_row(error: &csv::Error) -> ActionError {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => cells(
            pos.as_ref().map_or(0, csv::Position::line),
            *len,
            *expected_len,
        ),
        _ => ActionError::fatal("TEXT_CSV_ROW", "`text` cannot be read as CSV"),
    }
}

fn cells(line: u64, found: u64, expected: u64) -> ActionError {
    let message = format!(
        "the row at line {line} has {found} cells instead of {expected}; check `delimiter` and the quotes"
    );
    ActionError::fatal("TEXT_CSV_ROW", message)
}

/// The columns that were asked for, or every name of every row in the order of first appearance.
pub(super) fn columns(items: &[Value], given: Option<Vec<String>>) -> Vec<String> {
    if let Some(given) = given {
        return given;
    }
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    for name in items
        .iter()
        .filter_map(Value::as_object)
        .flat_map(Map::keys)
    {
        if seen.insert(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The cells of one row as texts; a row is an object, or a list in the order of the columns.
pub(super) fn row<'v>(
    item: &'v Value,
    index: usize,
    columns: &[String],
) -> Result<Vec<Cow<'v, str>>, ActionError> {
    match item {
        Value::Array(cells) if columns.is_empty() || cells.len() == columns.len() => {
            Ok(cells.iter().map(|cell| text(Some(cell))).collect())
        }
        Value::Object(_) => {
            let cells = columns.iter().map(|name| text(item::field(item, name)));
            Ok(cells.collect())
        }
        Value::Array(cells) => {
            let message = format!(
                "element {index} of `items` has {} cells, and there are {} columns",
                cells.len(),
                columns.len()
            );
            Err(ActionError::invalid_input(
                "TEXT_ROW",
                format!("/items/{index}"),
                message,
            ))
        }
        other => {
            let message = format!(
                "element {index} of `items` is {}; a row is an object or a list of cells",
                item::type_name(other)
            );
            Err(ActionError::invalid_input(
                "TEXT_ROW",
                format!("/items/{index}"),
                message,
            ))
        }
    }
}

/// A value as the text of a cell: nothing for null, compact JSON for what has parts.
pub(super) fn text(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

/// Writes rows as CSV with `\n` at the end of each.
pub(super) fn write(rows: &[Vec<Cow<'_, str>>], delimiter: u8) -> Result<String, ActionError> {
    let mut writer = WriterBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_writer(Vec::new());
    let fault = || ActionError::fatal("TEXT_CSV", "the table cannot be written as CSV");
    for row in rows {
        writer
            .write_record(row.iter().map(|cell| cell.as_bytes()))
            .map_err(|_| fault())?;
    }
    let bytes = writer.into_inner().map_err(|_| fault())?;
    String::from_utf8(bytes).map_err(|_| fault())
}

/// Marks a text that a spreadsheet would take for a formula as text.
///
/// OWASP, "CSV Injection": cells that begin with `=`, `+`, `-`, `@`, tab or carriage return are run.
pub(super) fn escape_formula(cell: &mut Cow<'_, str>) {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err() {
        cell.to_mut().insert(0, '\'');
    }
}

/// Writes a Markdown table (GitHub's flavour): `|` is escaped, line ends become `<br>`, columns of
/// numbers stand to the right.
pub(super) fn markdown(columns: &[String], rows: &[Vec<Cow<'_, str>>], numbers: &[bool]) -> String {
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = Cow<'_, str>>| {
        for cell in cells {
            out.push_str("| ");
            out.push_str(&cell);
            out.push(' ');
        }
        out.push_str("|\n");
    };
    line(&mut columns.iter().map(|name| markdown_cell(name)));
    line(
        &mut numbers
            .iter()
            .map(|right| Cow::Borrowed(if *right { "---:" } else { "---" })),
    );
    for row in rows {
        line(&mut row.iter().map(|cell| markdown_cell(cell)));
    }
    out
}

fn markdown_cell(text: &str) -> Cow<'_, str> {
    if !text.contains(['|', '\\', '\n', '\r']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('\\', "\\\\").replace('|', "\\|");
    Cow::Owned(text.replace("\r\n", "<br>").replace(['\n', '\r'], "<br>"))
}
