//! A plan as a Mermaid flowchart.

use std::ops::Range;

use nebula_action::{EffectClass, PORT_MAIN};
use nebula_execution::ExecutionPlan;

use crate::commands::plan::called;

/// The longest condition in a label, in characters.
const MAX_LABEL: usize = 80;

/// The chart's text. Nodes are named `n0`, `n1`, …, so that no id can be a keyword of Mermaid.
pub(super) fn flowchart(plan: &ExecutionPlan) -> String {
    let mut lines = vec!["flowchart TD".to_owned()];
    part(plan, 0..plan.top_level().len() as u32, 1, &mut lines);
    for connection in &plan.connections {
        let mut parts = Vec::new();
        if connection.port != PORT_MAIN {
            parts.push(connection.port.to_string());
        }
        if let Some(condition) = &connection.condition {
            parts.push(condition.source().to_owned());
        }
        if connection.input != PORT_MAIN {
            parts.push(format!("→ {}", connection.input));
        }
        let label = if parts.is_empty() {
            String::new()
        } else {
            format!("|\"{}\"|", escaped(&parts.join(": ")))
        };
        // What goes back is dotted.
        let arrow = if connection.closes_loop {
            "-.->"
        } else {
            "-->"
        };
        lines.push(format!(
            "    n{} {arrow}{label} n{}",
            connection.from, connection.to
        ));
    }
    for index in 0..plan.nodes.len() as u32 {
        let cancels = plan.gives_up(index).into_iter();
        let milestone = plan.node(index).milestone.into_iter();
        let asks = milestone.flat_map(|it| [("reached", it.reached), ("until", it.until)]);
        let asks = asks.filter_map(|(what, node)| Some((what, node?)));
        lines.extend(asks.map(|(what, node)| format!("    n{index} -. {what} .-> n{node}")));
        lines.extend(cancels.map(|node| format!("    n{index} -. cancels .-> n{node}")));
    }
    lines.push("    classDef writes stroke-width:2px".to_owned());
    lines.push("    classDef once stroke-width:3px,stroke-dasharray:6 3".to_owned());
    for (class, chosen) in [("once", true), ("writes", false)] {
        let members = (0..).zip(&plan.nodes).filter(|(_, node)| {
            node.effect.writes() && (node.effect == EffectClass::AtMostOnce) == chosen
        });
        let names: Vec<String> = members
            .map(|(index, _): (usize, _)| format!("n{index}"))
            .collect();
        if !names.is_empty() {
            lines.push(format!("    class {} {class}", names.join(",")));
        }
    }
    lines.join("\n")
}

/// The nodes of a part of the plan; those of a body stand in a box behind their node.
fn part(plan: &ExecutionPlan, nodes: Range<u32>, depth: usize, lines: &mut Vec<String>) {
    let indent = "    ".repeat(depth);
    for index in nodes {
        let node = plan.node(index);
        let each = if node.for_each.is_some() || node.each_item {
            " for each"
        } else {
            ""
        };
        let label = format!(
            "{}<br/>{}{each}",
            escaped(node.id.as_str()),
            escaped(&format!("{}@{}", node.action, node.version)),
        );
        // What is called stands in a box with two walls.
        match called(plan, index) {
            Some(called) => {
                let called = escaped(&called);
                lines.push(format!(
                    "{indent}n{index}[[\"{label}<br/>calls {called}\"]]"
                ));
            }
            None => lines.push(format!("{indent}n{index}[\"{label}\"]")),
        }
        if let Some(undoing) = &node.compensation {
            // Round, and on a thick line: it runs only if the execution does not complete.
            let label = escaped(&format!("{}@{}", undoing.action, undoing.version));
            lines.push(format!("{indent}u{index}([\"undone by<br/>{label}\"])"));
            lines.push(format!("{indent}n{index} === u{index}"));
        }
        if let Some((_, body)) = plan.body_of(index) {
            let title = escaped(node.id.as_str());
            lines.push(format!("{indent}subgraph b{index}[\"body of {title}\"]"));
            let nodes = body.first..body.first + body.count;
            part(plan, nodes, depth + 1, lines);
            lines.push(format!("{indent}end"));
            lines.push(format!("{indent}n{index} -.- b{index}"));
        }
    }
}

/// Text inside a quoted label: everything that Mermaid or HTML would read is an entity.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(MAX_LABEL) {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '|' | '\\' | ';' => {
                out.push_str(&format!("#{};", u32::from(c)));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    if text.chars().nth(MAX_LABEL).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_label_is_read_by_mermaid() {
        assert_eq!(escaped("$a == \"x\" || b"), "$a == #34;x#34; #124;#124; b");
        assert_eq!(escaped("a\n<b>"), "a #60;b#62;");
        assert_eq!(escaped(&"x".repeat(100)).chars().count(), MAX_LABEL + 1);
    }
}
