//! Values and types for people: bounded, and without characters that steer a terminal.

use nebula_expression::Outline;
use serde_json::Value;

use super::complete;

/// The most lines of a value that are shown.
const MAX_LINES: usize = 40;
/// The most bytes of a value that are shown.
const MAX_BYTES: usize = 8 << 10;
/// The most members of a type that are listed.
const MAX_MEMBERS: usize = 200;

/// The longest line that is filled with elements or names; a long text alone is longer.
const WIDTH: usize = 78;

/// A value as indented JSON, and what of it is not shown. What fits on a line stands on one.
pub(super) fn value(value: &Value) -> (String, Option<String>) {
    let mut head = Head::default();
    head.value(value, 0);
    head.finish()
}

/// The first lines and bytes of a text, and how long all of it is.
#[derive(Default)]
struct Head {
    kept: String,
    /// Line ends in what is kept, and in all.
    kept_lines: usize,
    lines: usize,
    bytes: usize,
    full: bool,
}

impl Head {
    fn push(&mut self, text: &str) {
        self.bytes += text.len();
        for c in text.chars() {
            self.lines += usize::from(c == '\n');
            self.full |= self.lines >= MAX_LINES || self.kept.len() + c.len_utf8() > MAX_BYTES;
            if !self.full {
                self.kept.push(c);
                self.kept_lines = self.lines;
            }
        }
    }

    fn value(&mut self, value: &Value, depth: usize) {
        let mut line = String::new();
        if on_a_line(value, WIDTH.saturating_sub(2 * depth), &mut line) {
            return self.push(&line);
        }
        match value {
            Value::Array(items) => {
                self.push("[");
                for (at, item) in items.iter().enumerate() {
                    self.next_line(at, depth + 1);
                    self.value(item, depth + 1);
                }
                self.last_line("]", depth);
            }
            Value::Object(fields) => {
                self.push("{");
                for (at, (key, field)) in fields.iter().enumerate() {
                    self.next_line(at, depth + 1);
                    self.push(&Value::from(key.as_str()).to_string());
                    self.push(": ");
                    self.value(field, depth + 1);
                }
                self.last_line("}", depth);
            }
            other => self.push(&other.to_string()),
        }
    }

    /// Begins the line of an element, behind the comma of the one before.
    fn next_line(&mut self, at: usize, depth: usize) {
        let comma = if at == 0 { "" } else { "," };
        self.push(&format!("{comma}\n{:1$}", "", 2 * depth));
    }

    fn last_line(&mut self, close: &str, depth: usize) {
        self.push(&format!("\n{:1$}{close}", "", 2 * depth));
    }
    fn finish(self) -> (String, Option<String>) {
        let cut = self.full.then(|| {
            let lines = self.lines - self.kept_lines;
            let bytes = self.bytes - self.kept.len();
            let what = match lines {
                0 => format!("{bytes} more bytes"),
                1 => "1 more line".to_owned(),
                _ => format!("{lines} more lines"),
            };
            format!(
                "… {what}; take a part of it, or give the expression to `nebula expr` to see all"
            )
        });
        (harmless(&self.kept), cut)
    }
}

/// Writes a value without line ends; false if it takes more than `width` bytes.
fn on_a_line(value: &Value, width: usize, out: &mut String) -> bool {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                if !on_a_line(item, width, out) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Object(fields) if fields.is_empty() => out.push_str("{}"),
        Value::Object(fields) => {
            out.push_str("{ ");
            for (at, (key, field)) in fields.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                if key.len() > width {
                    return false;
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                if !on_a_line(field, width, out) {
                    return false;
                }
            }
            out.push_str(" }");
        }
        Value::String(text) if text.len() > width => return false,
        other => out.push_str(&other.to_string()),
    }
    out.len() <= width
}

/// The text with every control character but line ends as JSON would escape it.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Marks of direction would show a text in another order than it has.
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\n') || turns {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// A type with its size: `array of 3`, `string, 12 characters`.
pub(super) fn kind(outline: &Outline) -> String {
    let kind = outline.kind;
    let counted = |size: usize, one: &str| match size {
        1 => format!("1 {one}"),
        _ => format!("{size} {one}s"),
    };
    match (kind, outline.size) {
        (_, None) => kind.to_owned(),
        (_, Some(0)) => format!("empty {kind}"),
        ("string", Some(size)) => format!("{kind}, {}", counted(size, "character")),
        ("object", Some(size)) => format!("{kind} with {}", counted(size, "field")),
        (_, Some(size)) => format!("{kind} of {size}"),
    }
}

/// A type with the names of what its values have.
pub(super) fn members(outline: &Outline) -> String {
    let mut out = kind(outline);
    let keys: Vec<String> = outline.keys.iter().map(|key| harmless(key)).collect();
    let rows = [
        ("keys", listed(keys.iter().map(String::as_str))),
        ("fields", listed(outline.fields.iter().copied())),
        ("methods", listed(outline.methods.iter().copied())),
    ];
    for (name, list) in rows {
        if !list.is_empty() {
            out.push_str(&format!("\n  {name:<8} {}", folded(&list, 11)));
        }
    }
    out
}

/// A list on as many lines as it needs, each of which begins so many columns from the left.
fn folded(list: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut width = 0;
    for item in list.split_inclusive(", ") {
        let len = item.chars().count();
        if width > 0 && width + len > WIDTH - indent {
            out.truncate(out.trim_end().len());
            out.push_str(&format!("\n{:indent$}", ""));
            width = 0;
        }
        out.push_str(item);
        width += len;
    }
    out
}

fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let all = names.len();
    let mut list = names.take(MAX_MEMBERS).collect::<Vec<_>>().join(", ");
    if all > MAX_MEMBERS {
        list.push_str(&format!(", … {} more", all - MAX_MEMBERS));
    }
    list
}

/// What the data has: a line per root, and one for what is none.
pub(super) fn summary(data: &Value, outline: impl Fn(&str) -> Option<Outline>) -> String {
    let (roots, others) = complete::roots(data);
    let mut lines: Vec<String> = Vec::new();
    for root in roots {
        if root == "nodes" {
            let nodes = data[root].as_object();
            let ids: Vec<String> = nodes
                .into_iter()
                .flat_map(|n| n.keys())
                .map(|id| harmless(id))
                .collect();
            let ids = listed(ids.iter().map(String::as_str));
            lines.push(format!("{:<11} {ids}", "$nodes"));
        } else if let Some(outline) = outline(&format!("${root}")) {
            let keys: Vec<String> = outline.keys.iter().map(|key| harmless(key)).collect();
            let keys = match listed(keys.iter().map(String::as_str)) {
                keys if keys.is_empty() => keys,
                keys => format!(": {keys}"),
            };
            lines.push(format!(
                "{:<11} {}{keys}",
                format!("${root}"),
                kind(&outline)
            ));
        }
    }
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(|key| harmless(key)).collect();
        let others = listed(others.iter().map(String::as_str));
        lines.push(format!(
            "no expression can reach {others}: a root is called json, input, nodes, …"
        ));
    }
    if lines.is_empty() {
        let nothing = match data {
            Value::Null => "no data",
            Value::Object(_) => "the data is an empty object",
            _ => "the data is no object of roots, so no expression can reach it",
        };
        lines.push(format!(
            "{nothing}; `:data FILE` reads {{ \"json\": …, \"nodes\": … }}"
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use nebula_expression::{CompileOptions, Context, JsonScope, Outline, Program};
    use serde_json::{Value, json};

    use super::{MAX_BYTES, MAX_LINES, kind, members, summary, value};

    fn outlined(source: &str, data: &Value) -> Option<Outline> {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        program.outline(&JsonScope(data), &Context::default()).ok()
    }

    fn outline(source: &str) -> Outline {
        outlined(source, &Value::Null).unwrap()
    }

    #[test]
    fn a_type_is_told_with_its_size() {
        let check =
            |source: &str, wanted: &str| assert_eq!(kind(&outline(source)), wanted, "{source}");
        check("[1, 2, 3]", "array of 3");
        check("[]", "empty array");
        check("'abc'", "string, 3 characters");
        check("'a'", "string, 1 character");
        check("''", "empty string");
        check("({ a: 1 })", "object with 1 field");
        check("({ a: 1, b: 2 })", "object with 2 fields");
        check("1.5", "number");
        check("null", "null");
        check("undefined", "undefined");
        check("$now", "DateTime");
        check("new Map([[1, 2]])", "Map of 1");
    }

    #[test]
    fn a_short_value_is_shown_whole() {
        let check = |shown: Value, wanted: &str| {
            assert_eq!(value(&shown), (wanted.to_owned(), None));
            assert_eq!(serde_json::from_str::<Value>(wanted).unwrap(), shown);
        };
        check(
            json!({ "a": [1, "é"], "b": {} }),
            "{ \"a\": [1, \"é\"], \"b\": {} }",
        );
        check(json!([]), "[]");
        let long = "x".repeat(70);
        check(
            json!({ "a": [long, long], "b": { "c": null } }),
            &format!(
                "{{\n  \"a\": [\n    \"{long}\",\n    \"{long}\"\n  ],\n  \"b\": {{ \"c\": null }}\n}}"
            ),
        );
        // So many lines fit, with those of the brackets.
        let lines = vec![long; MAX_LINES - 2];
        assert_eq!(value(&json!(lines)).1, None);
    }

    #[test]
    fn of_a_long_value_the_beginning_is_shown_and_what_is_missing_told() {
        let (text, cut) = value(&json!((0..1000).collect::<Vec<_>>()));
        assert_eq!(text.lines().count(), MAX_LINES);
        let missing = 1002 - MAX_LINES;
        assert!(
            cut.unwrap()
                .starts_with(&format!("… {missing} more lines;"))
        );
        let (text, cut) = value(&json!("é".repeat(MAX_BYTES)));
        assert!(
            text.len() <= MAX_BYTES && text.ends_with('é'),
            "{}",
            text.len()
        );
        let missing = 2 * MAX_BYTES + 2 - text.len();
        assert!(
            cut.unwrap()
                .starts_with(&format!("… {missing} more bytes;"))
        );
    }

    #[test]
    fn nothing_that_is_shown_steers_the_terminal() {
        let (text, _) = value(&json!("\u{1b}[2J\u{9b}2J\u{7f}\u{202e}x"));
        assert_eq!(text, "\"\\u001b[2J\\u009b2J\\u007f\\u202ex\"");
        let data = json!({ "json": { "\u{9b}2J": 1 }, "\u{9b}": 1 });
        let shown = summary(&data, |source| outlined(source, &data));
        assert!(!shown.contains('\u{9b}'), "{shown:?}");
    }

    #[test]
    fn a_type_lists_what_it_has() {
        let shown = members(&outline("({ a: 1, 'b c': 2 })"));
        assert!(
            shown.starts_with(
                "object with 2 fields\n  keys     a, b c\n  methods  compact, hasField,"
            ),
            "{shown}"
        );
        let shown = members(&outline("'x'"));
        assert!(
            shown.starts_with(
                "string, 1 character\n  fields   length\n  methods  at, base64Decode,"
            ),
            "{shown}"
        );
    }

    #[test]
    fn the_data_is_summed_up() {
        let check = |data: Value, wanted: &str| {
            assert_eq!(summary(&data, |source| outlined(source, &data)), wanted);
        };
        check(
            json!({ "json": { "a": 1, "b": [] }, "item": "x", "nodes": { "f": {}, "g-h": {} }, "rows": 1 }),
            "$json       object with 2 fields: a, b\n$item       string, 1 character\n$nodes      f, g-h\n\
             no expression can reach rows: a root is called json, input, nodes, …",
        );
        check(
            Value::Null,
            "no data; `:data FILE` reads { \"json\": …, \"nodes\": … }",
        );
        check(
            json!([1]),
            "the data is no object of roots, so no expression can reach it; `:data FILE` reads { \"json\": …, \"nodes\": … }",
        );
    }
}
