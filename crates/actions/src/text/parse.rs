//! `text.parse`.

use nebula_action::{ActionContext, ActionError};
use nebula_derive::action;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    item::{self, MAX_ITEMS},
    text::{MAX_TEXT, table},
};

/// The largest compiled pattern, in bytes of memory.
pub const MAX_PATTERN_SIZE: usize = 1 << 20;

/// The parameters of `text.parse`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// A parameter of another format is a mistake of the author, and no reason to guess.
#[schemars(extend("x-rules" = [
    { "when": { "at": "/format", "is": ["csv"], "otherwise": { "absent": ["/header", "/columns", "/delimiter"] } } },
    { "when": { "at": "/format", "is": ["lines"], "otherwise": { "absent": ["/skip_empty"] } } },
    {
        "when": {
            "at": "/format",
            "is": ["regex"],
            "then": { "all": [
                { "given": ["/pattern"] },
                { "when": { "at": "/per", "is": ["line"], "otherwise": { "absent": ["/unmatched"] } } },
            ] },
            "otherwise": { "absent": ["/pattern", "/per", "/unmatched"] },
        },
    },
]))]
pub(crate) struct ParseIn {
    /// The text; at most 64 MiB.
    text: String,
    /// What is in it.
    format: ParseFormat,
    /// csv: whether the first row names the columns; default true.
    header: Option<bool>,
    /// csv: the names of the columns where no row names them.
    #[schemars(length(min = 1))]
    columns: Option<Vec<String>>,
    /// csv: the character between two cells; default `,`.
    #[schemars(length(min = 1, max = 1))]
    delimiter: Option<String>,
    /// regex: the pattern, with named groups such as `(?<day>\d+)`. It runs in linear time: look-around
    /// and back-references are not there.
    pattern: Option<String>,
    /// regex: where the pattern is looked for.
    per: Option<Per>,
    /// regex, per line: what becomes of a line that does not match; default `skip`.
    unmatched: Option<Unmatched>,
    /// lines: leave empty lines out; default false.
    skip_empty: Option<bool>,
}

/// What is in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ParseFormat {
    /// One JSON value.
    Json,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Lines.
    Lines,
    /// Whatever a pattern finds.
    Regex,
}

/// Where a pattern is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Per {
    /// Everywhere: one element for each match.
    Match,
    /// Once in each line: one element for each line that matches.
    Line,
}

/// What becomes of a line that does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unmatched {
    /// It is left out.
    Skip,
    /// It is an error.
    Fail,
}

/// Turns a text into values.
///
/// `json` gives the value. `csv` gives a list with an object for each row, or a list of cells where no
/// row names the columns (`header: false`); cells are texts. `lines` gives a list of texts without
/// their line ends. `regex` gives a list: for each match an object with the named groups (a group
/// that took no part is null), or the matched text if the pattern has no named groups. A byte order
/// mark at the start is passed over. At most 1,000,000 rows.
#[action(
    id = "text.parse",
    version = "1.0",
    title = "Parse text",
    effect = "pure",
    examples = [
        {
            "title": "a JSON document",
            "parameters": { "text": "{{ $json.body }}", "format": "json" },
            "json": { "body": "{\"b\": [1, null], \"a\": true}" },
            "output": { "b": [1, null], "a": true },
        },
        {
            "title": "a table with a header",
            "parameters": { "text": "{{ $json }}", "format": "csv", "delimiter": ";" },
            "json": "name;n\nnut;1\n\"a \"\"b\"\"; c\";2\n",
            "output": [{ "name": "nut", "n": "1" }, { "name": "a \"b\"; c", "n": "2" }],
        },
        {
            "title": "a table without a header",
            "parameters": { "text": "a,1\r\nb,2", "format": "csv", "columns": ["name", "n"] },
            "output": [{ "name": "a", "n": "1" }, { "name": "b", "n": "2" }],
        },
        {
            "title": "lines",
            "parameters": { "text": "one\n\ntwo\r\n", "format": "lines", "skip_empty": true },
            "output": ["one", "two"],
        },
        {
            "title": "a log",
            "parameters": {
                "text": "{{ $json }}",
                "format": "regex",
                "per": "line",
                "pattern": "^(?<day>\\S+) (?<what>install|remove) (?<name>[^: ]+)(?::(?<arch>\\S+))?",
            },
            "json": "2026-03-14 install nut:amd64\n2026-03-14 startup\n2026-03-15 remove bolt\n",
            "output": [
                { "day": "2026-03-14", "what": "install", "name": "nut", "arch": "amd64" },
                { "day": "2026-03-15", "what": "remove", "name": "bolt", "arch": null },
            ],
        },
        {
            "title": "all numbers of a text",
            "parameters": { "text": "3 nuts, 14 bolts", "format": "regex", "pattern": "\\d+" },
            "output": ["3", "14"],
        },
    ],
)]
pub(crate) async fn parse(ctx: &ActionContext, input: ParseIn) -> Result<Value, ActionError> {
    if input.text.len() > MAX_TEXT.as_usize() {
        let message = format!("`text` is larger than {MAX_TEXT}, the most that is parsed at once");
        return Err(ActionError::limit("TEXT_TOO_LARGE", message));
    }
    let text = input.text.strip_prefix('\u{feff}').unwrap_or(&input.text);
    match input.format {
        ParseFormat::Json => json(text),
        ParseFormat::Csv => {
            let columns = table::Columns {
                header: input.header.unwrap_or(input.columns.is_none()),
                names: input.columns,
            };
            table::read(
                ctx,
                text,
                columns,
                table::delimiter(input.delimiter.as_deref())?,
            )
        }
        ParseFormat::Lines => {
            let skip = input.skip_empty.unwrap_or_default();
            collect(
                ctx,
                text.lines()
                    .filter(|line| !skip || !line.is_empty())
                    .map(|line| Ok(Value::from(line))),
            )
        }
        ParseFormat::Regex => {
            let pattern = pattern(input.pattern.as_deref())?;
            match input.per.unwrap_or(Per::Match) {
                Per::Match => {
                    let found = pattern
                        .captures_iter(text)
                        .map(|found| Ok(groups(&pattern, &found)));
                    collect(ctx, found)
                }
                Per::Line => {
                    let fail = input.unmatched == Some(Unmatched::Fail);
                    let lines = text.lines().enumerate().filter_map(|(i, line)| {
                        match pattern.captures(line) {
                            Some(found) => Some(Ok(groups(&pattern, &found))),
                            None => fail.then(|| Err(unmatched(i))),
                        }
                    });
                    collect(ctx, lines)
                }
            }
        }
    }
}

fn json(text: &str) -> Result<Value, ActionError> {
    serde_json::from_str(text).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            // Depth is the only limit of the parser.
            _ if error.to_string().starts_with("recursion limit") => {
                "it is nested deeper than 128 levels"
            }
            _ => "it is no JSON",
        };
        let message = format!(
            "`text` cannot be read as JSON: {what} at line {}, column {}",
            error.line(),
            error.column()
        );
        ActionError::fatal("TEXT_NOT_JSON", message)
    })
}

fn pattern(pattern: Option<&str>) -> Result<Regex, ActionError> {
    let pattern = pattern.ok_or_else(|| {
        let message = "the format `regex` needs `pattern`, such as `(?<day>\\S+) (?<what>\\S+)`";
        ActionError::invalid_input("PARAMETER_MISSING", "/pattern", message)
    })?;
    let compiled = RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN_SIZE)
        .build();
    compiled.map_err(|error| {
        let message = match error {
            regex::Error::CompiledTooBig(_) => {
                format!(
                    "`pattern` needs more than {MAX_PATTERN_SIZE} bytes of memory; make it simpler"
                )
            }
            // The last line says what is wrong; those before it draw the pattern.
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                format!(
                    "`pattern` is no regular expression: {}",
                    last.trim_start_matches("error: ")
                )
            }
        };
        ActionError::invalid_input("TEXT_PATTERN", "/pattern", message)
    })
}

fn groups(pattern: &Regex, found: &regex::Captures<'_>) -> Value {
    let named = pattern.capture_names().flatten().map(|name| {
        let text = found.name(name).map(|group| Value::from(group.as_str()));
        (name.to_owned(), text.unwrap_or_default())
    });
    let object: Map<_, _> = named.collect();
    if object.is_empty() {
        return found
            .get(0)
            .map_or(Value::Null, |whole| Value::from(whole.as_str()));
    }
    Value::Object(object)
}

fn unmatched(line: usize) -> ActionError {
    let message = format!(
        "line {} of `text` does not match `pattern`; write `unmatched: skip` to leave such lines out",
        line + 1
    );
    ActionError::fatal("TEXT_LINE_UNMATCHED", message)
}

/// Collects rows up to the limit, stopping when told to.
pub(super) fn collect(
    ctx: &ActionContext,
    rows: impl Iterator<Item = Result<Value, ActionError>>,
) -> Result<Value, ActionError> {
    let mut list = Vec::new();
    for (index, row) in rows.enumerate() {
        item::go_on(ctx, index)?;
        if index >= MAX_ITEMS {
            let message = format!("`text` has more than {MAX_ITEMS} rows; parse it in parts");
            return Err(ActionError::limit("TEXT_TOO_MANY_ROWS", message));
        }
        list.push(row?);
    }
    Ok(Value::Array(list))
}
