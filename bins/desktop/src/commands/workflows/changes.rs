//! Differences as text.

use nebula_workflow::{FieldChange, Part, Parts, WorkflowDiff};
use serde_json::Value;

use crate::console::{Colours, Paint};

/// The longest pair of values that stands on one line, in characters.
const MAX_ON_A_LINE: usize = 70;

/// All differences, a group for each kind of thing.
pub(super) fn text(diff: &WorkflowDiff, [old, new]: [&str; 2], colours: Colours) -> String {
    let mut out = Out {
        lines: vec![colours.paint(Paint::Bold, format!("{old} → {new}"))],
        colours,
    };
    if !diff.fields.is_empty() {
        out.group("workflow");
        out.fields("  ", &diff.fields);
    }
    out.parts("triggers", &diff.triggers, &[], |part| field(part, "type"));
    let renamed: Vec<_> = diff
        .renamed
        .iter()
        .map(|renamed| format!("{} is now {}", renamed.from, renamed.to))
        .collect();
    out.parts("nodes", &diff.nodes, &renamed, |part| field(part, "action"));
    out.parts("connections", &diff.connections, &[], |part| {
        let condition = field(part, "condition");
        if condition.is_empty() {
            condition
        } else {
            format!("if {condition}")
        }
    });
    out.lines.join("\n")
}

/// A text of what was added or removed.
fn field(part: &Part, name: &str) -> String {
    let value = part.content.get(name).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

struct Out {
    lines: Vec<String>,
    colours: Colours,
}

impl Out {
    fn group(&mut self, name: &str) {
        self.lines.push(name.to_owned());
    }

    fn mark(&mut self, paint: Paint, mark: &str, text: &str) {
        let text = self.colours.paint(paint, format!("{mark} {text}"));
        self.lines.push(format!("  {text}"));
    }

    fn parts(
        &mut self,
        name: &str,
        parts: &Parts,
        renamed: &[String],
        detail: impl Fn(&Part) -> String,
    ) {
        if *parts == Parts::default() && renamed.is_empty() {
            return;
        }
        self.group(name);
        for text in renamed {
            self.mark(Paint::Cyan, "→", text);
        }
        for (paint, mark, list) in [
            (Paint::Red, "-", &parts.removed),
            (Paint::Green, "+", &parts.added),
        ] {
            for part in list {
                let text = format!("{}  {}", part.name, detail(part));
                self.mark(paint, mark, text.trim_end());
            }
        }
        for changed in &parts.changed {
            self.mark(Paint::Yellow, "~", &changed.name);
            self.fields("      ", &changed.fields);
        }
        if parts.reordered {
            self.mark(Paint::Yellow, "~", "in another order");
        }
    }

    fn fields(&mut self, indent: &str, fields: &[FieldChange]) {
        let shown = |value: &Option<Value>| {
            let text = value.as_ref().map(ToString::to_string);
            text.unwrap_or_else(|| "none".to_owned())
        };
        for change in fields {
            let (path, old, new) = (dotted(&change.path), shown(&change.old), shown(&change.new));
            let old_length = old.chars().count();
            let (old, new, length) = (
                self.colours.paint(Paint::Red, &old),
                self.colours.paint(Paint::Green, &new),
                old_length + new.chars().count(),
            );
            if length <= MAX_ON_A_LINE {
                self.lines.push(format!("{indent}{path}: {old} → {new}"));
            } else {
                self.lines.push(format!("{indent}{path}:"));
                self.lines.push(format!("{indent}  {old}"));
                self.lines.push(format!("{indent}→ {new}"));
            }
        }
    }
}

/// `/parameters/cases/0/a~1b` as people write it: `parameters.cases[0].a/b`.
fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push_str(&format!("[{name}]"));
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&name);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_people_do() {
        assert_eq!(
            dotted("/parameters/cases/0/a~1b"),
            "parameters.cases[0].a/b"
        );
        assert_eq!(dotted("/limits"), "limits");
    }
}
