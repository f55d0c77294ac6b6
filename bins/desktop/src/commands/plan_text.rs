//! A plan for reading.

use std::path::Path;

use nebula_action::{ActionKind, ControlKind, EffectClass, PORT_MAIN};
use nebula_core::{Priority, duration_text};
use nebula_execution::{ExecutionPlan, PlanMilestone, PlanNode};
use nebula_parameter::ParamProgram;
use nebula_workflow::{ItemsRest, JoinRule, OnError, OnItemError, WorkflowDefinition};
use serde_json::Value;

use crate::{
    commands::plan::{
        called, cancels, capabilities, handler, join, output, repeats, requires, resolved, written,
    },
    console::{Colours, Paint},
    definition::counted,
    table::table,
    waves::Waves,
};

/// Order, width, effects, capabilities.
pub(super) fn text(
    plan: &ExecutionPlan,
    definition: &WorkflowDefinition,
    waves: &Waves,
    folder: &Path,
    colours: Colours,
) -> String {
    let bold = |text: &str| colours.paint(Paint::Bold, text);
    let mut lines = vec![format!(
        "{}  {}, {}",
        bold(plan.workflow.as_str()),
        counted(plan.nodes.len(), "node"),
        counted(plan.connections.len(), "connection"),
    )];
    if plan.name != plan.workflow.as_str() {
        lines.push(format!("{}       {}", bold("name"), plan.name));
    }
    lines.push(format!(
        "{}      {}",
        bold("input"),
        input(&plan.input_schema)
    ));
    lines.push(format!(
        "{}     {}",
        bold("output"),
        output(plan, definition)
    ));
    let side = match waves.width {
        0 | 1 => "one node after the other".to_owned(),
        width => format!("up to {width} nodes side by side"),
    };
    let timeout = match plan.timeout {
        Some(timeout) => format!(", ends after {} at the latest", duration_text(timeout)),
        None => String::new(),
    };
    lines.push(format!(
        "{}      {side}, at most {} at a time{timeout}",
        bold("width"),
        counted(plan.concurrency as usize, "attempt"),
    ));
    if let Some(starts) = starts(plan) {
        lines.push(format!("{}     {starts}", bold("starts")));
    }
    lines.push(String::new());
    let rows: Vec<Vec<String>> = waves
        .order
        .iter()
        .map(|node| row(plan, *node, waves))
        .collect();
    let head = [
        "WAVE", "NODE", "ACTION", "AFTER", "EFFECT", "TRIES", "TIMEOUT", "NOTES",
    ];
    let drawn = table(&head, &rows);
    let (head, body) = drawn.split_once('\n').unwrap_or((&drawn, ""));
    lines.push(colours.paint(Paint::Dim, head));
    lines.push(body.to_owned());
    lines.push(String::new());
    lines.extend(touches(plan, folder, colours));
    lines.extend(repetition(plan, colours));
    lines.join("\n")
}

/// `at most 5 beside each other per $input.customer; 100 in 1m, up to 10 at once`.
fn starts(plan: &ExecutionPlan) -> Option<String> {
    let per = |key: &Option<ParamProgram>| match key {
        Some(ParamProgram::Expression(key)) => format!(" per {}", key.source()),
        Some(_) => " per key".to_owned(),
        None => String::new(),
    };
    let beside = plan.admission.as_ref().map(|admission| {
        let key = per(&admission.key);
        format!("at most {} beside each other{key}", admission.concurrency)
    });
    let often = plan.rate_limit.as_ref().map(|rate| {
        let (span, key) = (duration_text(rate.per), per(&rate.key));
        format!(
            "{} in {span}{key}, up to {} at once",
            rate.limit, rate.burst
        )
    });
    let urgent = (plan.priority != Priority::Normal).then(|| format!("priority {}", plan.priority));
    let starts: Vec<_> = beside.into_iter().chain(often).chain(urgent).collect();
    (!starts.is_empty()).then(|| starts.join("; "))
}

/// `customer (string, required), limit (integer)`.
fn input(schema: &Value) -> String {
    if schema.is_null() {
        return "anything".to_owned();
    }
    let required = schema.get("required").and_then(Value::as_array);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return schema
            .get("type")
            .map_or_else(|| "as its schema says".to_owned(), Value::to_string);
    };
    let shown = properties.iter().map(|(name, property)| {
        let mut notes = Vec::new();
        match property.get("type") {
            Some(Value::String(kind)) => notes.push(kind.clone()),
            Some(other) => notes.push(other.to_string()),
            None => {}
        }
        if required.is_some_and(|required| required.iter().any(|wanted| wanted == name)) {
            notes.push("required".to_owned());
        }
        if let Some(default) = property.get("default") {
            notes.push(format!("default {default}"));
        }
        if notes.is_empty() {
            name.clone()
        } else {
            format!("{name} ({})", notes.join(", "))
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn row(plan: &ExecutionPlan, index: u32, waves: &Waves) -> Vec<String> {
    let node = plan.node(index);
    let before = after_ports(plan, index);
    vec![
        waves.wave(index),
        node.id.to_string(),
        format!("{}@{}", node.action, node.version),
        match (handler(plan, index, waves), before.is_empty()) {
            (Some("finally"), _) => "all else".to_owned(),
            (Some(_), _) => "a failure".to_owned(),
            (None, true) => "start".to_owned(),
            (None, false) => shortened(&before),
        },
        node.effect.as_str().to_owned(),
        node.retry.max_attempts.to_string(),
        duration_text(node.timeout),
        notes(plan, node, index),
    ]
}

/// What it comes after, with the port where that is not the usual one.
fn after_ports(plan: &ExecutionPlan, index: u32) -> Vec<String> {
    let mut names = Vec::new();
    for edge in plan.incoming(index) {
        let connection = &plan.connections[*edge as usize];
        let id = &plan.node(connection.from).id;
        let name = if connection.port == PORT_MAIN {
            id.to_string()
        } else {
            format!("{id}.{}", connection.port)
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The first few of many names.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

fn notes(plan: &ExecutionPlan, node: &PlanNode, index: u32) -> String {
    let mut notes = Vec::new();
    if node.disabled {
        notes.push("disabled".to_owned());
    }
    if node.pin.is_some() {
        notes.push("pinned".to_owned());
    }
    if let Some(called) = called(plan, index) {
        notes.push(format!("calls {called}"));
    }
    if let Some(when) = &node.when {
        notes.push(format!("when {}", when.source()));
    }
    if let Some(list) = &node.for_each {
        notes.push(format!(
            "for each of {}, {} at a time",
            list.source(),
            node.concurrency
        ));
    }
    if let Some(longest) = node.heartbeat_timeout {
        notes.push(format!("silent for {} at most", duration_text(longest)));
    }
    if node.kind == ActionKind::Control(ControlKind::ForEach) {
        notes.push(format!("{} at a time", node.concurrency));
    }
    if node.each_item {
        notes.push(format!("for each item, {} at a time", node.concurrency));
    }
    if node.distribute {
        notes.push("in parts, which any worker takes".to_owned());
    }
    notes.extend(of_items(node));
    if plan.incoming(index).len() > 1 && node.join != JoinRule::All {
        notes.push(match join(node.join) {
            Value::String(rule) => format!("join {rule}"),
            other => format!("join {other}"),
        });
    }
    if let Some(tokens) = node.tokens {
        notes.push(match node.kind {
            ActionKind::Control(ControlKind::MergeTokens) => format!("{tokens} tokens into one"),
            _ => format!("one token into {tokens}"),
        });
    }
    notes.extend(node.milestone.map(|milestone| between(plan, milestone)));
    let cancels = cancels(plan, index);
    if !cancels.is_empty() {
        let cancels: Vec<_> = cancels.into_iter().map(str::to_owned).collect();
        notes.push(format!("cancels {}", shortened(&cancels)));
    }
    for edge in plan.incoming(index) {
        if let Some(condition) = &plan.connections[*edge as usize].condition {
            notes.push(format!("if {}", condition.source()));
        }
    }
    if let Some(undoing) = &node.compensation {
        notes.push(format!("undone by {}@{}", undoing.action, undoing.version));
    }
    match node.on_error {
        OnError::Fail => {}
        OnError::Continue => notes.push("an error does not stop it".to_owned()),
        OnError::Route => notes.push("errors go to the port error".to_owned()),
    }
    notes.join("; ").replace(char::is_control, " ")
}

/// What is said about a milestone.
fn between(plan: &ExecutionPlan, milestone: PlanMilestone) -> String {
    let id = |node: u32| &plan.node(node).id;
    match (milestone.reached, milestone.until) {
        (Some(reached), Some(until)) => {
            format!("between the ends of {} and {}", id(reached), id(until))
        }
        (Some(reached), None) => format!("once {} has succeeded", id(reached)),
        (None, Some(until)) => format!("until {} has ended", id(until)),
        (None, None) => "always".to_owned(),
    }
}

/// What is said about the items of a list.
fn of_items(node: &PlanNode) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(complete) = &node.complete_when {
        let rest = match node.rest {
            ItemsRest::Cancel => "the rest is cancelled",
            ItemsRest::Absorb => "the rest runs on",
        };
        notes.push(format!("complete when {}, {rest}", complete.source()));
    }
    match node.on_item_error {
        None => {}
        Some(OnItemError::Stop) => notes.push("an item's error stops the others".to_owned()),
        Some(OnItemError::Continue) => notes.push("an item's error stands in the list".to_owned()),
        Some(OnItemError::Collect) => notes.push("items' errors are collected".to_owned()),
    }
    notes
}

fn touches(plan: &ExecutionPlan, folder: &Path, colours: Colours) -> Vec<String> {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let mut touches = |capability: String, who: String| match rows
        .iter_mut()
        .find(|(known, _)| *known == capability)
    {
        Some((_, nodes)) => nodes.push(who),
        None => rows.push((capability, vec![who])),
    };
    for node in &plan.nodes {
        for capability in capabilities(node, folder).into_iter().chain(requires(node)) {
            touches(capability, node.id.to_string());
        }
        let Some(undoing) = &node.compensation else {
            continue;
        };
        let own = resolved(&undoing.capabilities, folder);
        for capability in own.into_iter().chain(written(&undoing.requires)) {
            touches(capability, undo(node));
        }
    }
    let head = colours.paint(Paint::Bold, "may touch");
    if rows.is_empty() {
        return vec![format!("{head}  nothing outside")];
    }
    let width = rows
        .iter()
        .map(|(capability, _)| capability.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = vec![format!("{head}  only what is granted of")];
    lines.extend(rows.into_iter().map(|(capability, mut nodes)| {
        nodes.dedup();
        let fill = " ".repeat(width - capability.chars().count());
        format!("  {capability}{fill}  {}", shortened(&nodes))
    }));
    lines
}

/// How undoing the effect of a node is named.
fn undo(node: &PlanNode) -> String {
    format!("{} (undo)", node.id)
}

/// What happens to each kind of node when the process dies in the middle of it.
fn repetition(plan: &ExecutionPlan, colours: Colours) -> Vec<String> {
    let mut groups: Vec<(&'static str, EffectClass, Vec<String>)> = Vec::new();
    for node in plan.nodes.iter().filter(|node| node.effect.writes()) {
        let how = repeats(node);
        match groups
            .iter_mut()
            .find(|(known, class, _)| (*known, *class) == (how, node.effect))
        {
            Some((_, _, nodes)) => nodes.push(node.id.to_string()),
            None => groups.push((how, node.effect, vec![node.id.to_string()])),
        }
    }
    for node in &plan.nodes {
        let Some(undoing) = node.compensation.as_deref().filter(|it| it.effect.writes()) else {
            continue;
        };
        let how = match undoing.effect {
            EffectClass::AtMostOnce => "never: a person decides",
            EffectClass::Keyed => "with the same key",
            _ => "safely",
        };
        let of_group = |(known, class, _): &&mut (&str, EffectClass, Vec<String>)| {
            (*known, *class) == (how, undoing.effect)
        };
        match groups.iter_mut().find(of_group) {
            Some((_, _, nodes)) => nodes.push(undo(node)),
            None => groups.push((how, undoing.effect, vec![undo(node)])),
        }
    }
    let head = colours.paint(Paint::Bold, "repeats");
    if groups.is_empty() {
        return vec![format!(
            "{head}    every node, freely, after a crash in the middle of it"
        )];
    }
    groups.sort_by_key(|(_, class, _)| *class);
    let mut lines = vec![format!("{head}    after a crash in the middle of it")];
    for (how, class, nodes) in groups {
        lines.push(format!(
            "  {}  {how}  ({})",
            shortened(&nodes),
            class.as_str()
        ));
    }
    lines.push("  all others  freely".to_owned());
    lines
}
