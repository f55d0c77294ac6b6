//! `nebula plan`: what would run, in which order, what it may touch, what can repeat.

use std::path::{Path, PathBuf};

use nebula_action::{ActionKind, Capability, ControlKind, EffectClass};
use nebula_core::{ParamValue, duration_text};
use nebula_execution::{ExecutionPlan, PlanNode, PlanOutput};
use nebula_expression::Program;
use nebula_parameter::ParamProgram;
use nebula_ports::StoredWorkflow;
use nebula_workflow::{JoinRule, OnIndeterminate, Severity, WorkflowDefinition, render};
use serde_json::{Value, json};

use crate::{
    arguments::{Plan, PlanFormat},
    commands::{mermaid, plan_text, svg},
    compose,
    console::Console,
    definition,
    definition_there::check_there,
    failure::{Exit, Failure},
    named_credentials::{self, Asker},
    server::{self, Server},
    settings::{Loaded, Place},
    version::{self, VersionWanted},
    waves::Waves,
};

/// What is shown.
struct Shown {
    definition: WorkflowDefinition,
    plan: ExecutionPlan,
    /// Where relative paths in parameters begin.
    folder: PathBuf,
}

/// Runs `nebula plan`.
pub(crate) async fn run(
    arguments: &Plan,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let path = Path::new(&arguments.which);
    let saved = match VersionWanted::parse(&arguments.which) {
        Ok(wanted) if !definition::names_a_file(path) => {
            let absent = |failure| version::neither(failure, &wanted.id);
            let session = version::open(loaded, &wanted.id).await.map_err(absent)?;
            let found = wanted.find(&session, |workflow| workflow.latest).await;
            Some(found.map_err(absent)?.1)
        }
        _ => None,
    };
    let shown = match &loaded.place {
        Place::Server(url) => {
            let server = compose::server(loaded, url)?;
            there(path, saved.as_ref(), &server, console).await?
        }
        _ => here(path, saved.as_ref(), loaded, console).await?,
    };
    let format = arguments.format.unwrap_or(if console.json {
        PlanFormat::Json
    } else {
        PlanFormat::Text
    });
    let waves = Waves::of(&shown.plan);
    let (plan, definition) = (&shown.plan, &shown.definition);
    match format {
        PlanFormat::Json => {
            console.document(&document(plan, definition, &waves, &shown.folder))?;
        }
        PlanFormat::Mermaid => console.line(&mermaid::flowchart(plan))?,
        PlanFormat::Svg => console.line(&svg::drawing(plan))?,
        PlanFormat::Text => {
            let text = plan_text::text(plan, definition, &waves, &shown.folder, console.out);
            console.line(&text)?;
        }
    }
    Ok(Exit::Completed)
}

/// What this process would run.
async fn here(
    path: &Path,
    saved: Option<&StoredWorkflow>,
    loaded: &Loaded,
    console: &Console,
) -> Result<Shown, Failure> {
    let offline = compose::offline(loaded).await?;
    let engine = (offline.nebula.engine(), loaded);
    let checked = match saved {
        Some(stored) => definition::check_saved(stored, engine, console).await?,
        None => definition::check(path, engine, console).await?,
    };
    if !checked.drawn.is_empty() {
        console.note(&checked.drawn);
    }
    let asker = Asker {
        plan: &checked.plan,
        definition: Some(&checked.definition),
        registry: offline.nebula.registry(),
        requests: None,
        folder: &checked.folder,
    };
    match named_credentials::problems(&asker, Severity::Warning, loaded).await {
        Ok(unfit) if unfit.is_empty() => {}
        Ok(unfit) => {
            let drawn = render(&unfit, &checked.source, &checked.map, console.err.0);
            console.note(&drawn);
        }
        // A plan needs no store, so one that is damaged keeps nobody from it.
        Err(failure) => console.note(&format!(
            "the credentials were not looked at: {}",
            failure.message
        )),
    }
    Ok(Shown {
        definition: checked.definition,
        plan: checked.plan,
        folder: checked.folder,
    })
}

/// What a server would run, with its actions and the workflows that it has.
async fn there(
    path: &Path,
    saved: Option<&StoredWorkflow>,
    server: &Server,
    console: &Console,
) -> Result<Shown, Failure> {
    let source = match saved {
        Some(stored) => definition::saved_source(stored),
        None => definition::read(path, console)?,
    };
    let checked = check_there(&source, path, server).await?;
    if !checked.remarks.is_empty() {
        console.note(&server::drawn(&checked.remarks));
    }
    let folder = match (saved, path.canonicalize()) {
        (None, Ok(file)) => file.parent().map(Path::to_owned),
        _ => std::env::current_dir().ok(),
    };
    Ok(Shown {
        definition: checked.definition,
        plan: checked.plan,
        folder: folder.unwrap_or_default(),
    })
}

/// The plan as JSON; `bins/desktop/README.md` describes it.
fn document(
    plan: &ExecutionPlan,
    definition: &WorkflowDefinition,
    waves: &Waves,
    folder: &Path,
) -> Value {
    let nodes: Vec<Value> = waves
        .order
        .iter()
        .map(|index| node_json(plan, *index, waves, folder))
        .collect();
    let connections: Vec<Value> = plan
        .connections
        .iter()
        .map(|connection| {
            json!({
                "from": plan.node(connection.from).id,
                "port": connection.port,
                "to": plan.node(connection.to).id,
                "input": connection.input,
                "condition": connection.condition.as_ref().map(Program::source),
                "loop": connection.closes_loop,
            })
        })
        .collect();
    json!({
        "workflow": plan.workflow,
        "name": plan.name,
        "digest": plan.definition,
        "timezone": plan.timezone,
        "input": plan.input_schema,
        "concurrency": plan.concurrency,
        "width": waves.width,
        "timeout": plan.timeout.map(duration_text),
        "admission": definition.admission.as_ref().map(|admission| json!({
            "concurrency": admission.concurrency,
            "key": admission.key.as_ref().map(|key| &key.source),
            "when_full": admission.when_full,
            "queue": plan.admission.as_ref().map(|admission| admission.queue),
        })),
        "priority": plan.priority,
        "rate_limit": definition.rate_limit.as_ref().map(|rate| json!({
            "limit": rate.limit,
            "per": duration_text(rate.per),
            "burst": plan.rate_limit.as_ref().map(|rate| rate.burst),
            "key": rate.key.as_ref().map(|key| &key.source),
            "when_full": rate.when_full,
            "queue": plan.rate_limit.as_ref().map(|rate| rate.queue),
        })),
        "nodes": nodes,
        "connections": connections,
        "output": output(plan, definition),
    })
}

fn node_json(plan: &ExecutionPlan, index: u32, waves: &Waves, folder: &Path) -> Value {
    let node = plan.node(index);
    let mut shown = json!({
        "id": node.id,
        "action": format!("{}@{}", node.action, node.version),
        "wave": waves.depth[index as usize] + 1,
        "within": waves.owner[index as usize].map(|owner| &plan.node(owner).id),
        "handler": handler(plan, index, waves),
        "after": after(plan, index),
        "calls": called(plan, index),
        "effect": node.effect,
        "repeats": repeats(node),
        "capabilities": capabilities(node, folder),
        "requires": requires(node),
        "when": node.when.as_ref().map(Program::source),
        "for_each": node.for_each.as_ref().map(Program::source),
        "concurrency": node.concurrency,
        "join": join(node.join),
        "cancels": cancels(plan, index),
        "tokens": node.tokens,
        "activations": node.rate,
        "attempts": node.retry.max_attempts,
        "timeout": duration_text(node.timeout),
        "heartbeat_timeout": node.heartbeat_timeout.map(duration_text),
        "on_error": node.on_error,
        "on_indeterminate": node.on_indeterminate,
        "compensate": node.compensation.as_deref().map(|it| json!({
            "action": format!("{}@{}", it.action, it.version),
            "effect": it.effect,
            "capabilities": resolved(&it.capabilities, folder),
            "requires": written(&it.requires),
            "attempts": it.retry.max_attempts,
            "timeout": duration_text(it.timeout),
        })),
        "disabled": node.disabled,
        "pinned": node.pin.is_some(),
    });
    if let Some(complete) = &node.complete_when {
        shown["complete_when"] = json!(complete.source());
        shown["rest"] = json!(node.rest);
    }
    if let Some(milestone) = node.milestone {
        let id = |node: Option<u32>| node.map(|node| plan.node(node).id.as_str());
        shown["milestone"] =
            json!({ "reached": id(milestone.reached), "until": id(milestone.until) });
    }
    if node.distribute {
        shown["distribute"] = json!(true);
    }
    if let Some(mode) = node.on_item_error {
        shown["on_item_error"] = json!(mode);
    }
    shown
}

/// When a node of a body begins that does not begin with it.
pub(super) fn handler(plan: &ExecutionPlan, index: u32, waves: &Waves) -> Option<&'static str> {
    let (_, body) = plan.body_of(waves.owner[index as usize]?)?;
    let handler = body.handler(index)?;
    Some(if handler.always { "finally" } else { "catch" })
}

/// The ids of the nodes from which connections lead here, each once.
fn after(plan: &ExecutionPlan, index: u32) -> Vec<String> {
    let mut ids = Vec::new();
    for edge in plan.incoming(index) {
        let id = plan
            .node(plan.connections[*edge as usize].from)
            .id
            .to_string();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The ids of the nodes that this one gives up: a `flow.cancel`, or a join that cancels the rest.
pub(super) fn cancels(plan: &ExecutionPlan, index: u32) -> Vec<&str> {
    let nodes = plan.gives_up(index).into_iter();
    nodes.map(|node| plan.node(node).id.as_str()).collect()
}

/// The version of the workflow that a node calls; `NAME (itself)` for its own.
pub(super) fn called(plan: &ExecutionPlan, index: u32) -> Option<String> {
    let call = plan.call_of(index)?;
    Some(match &call.callee {
        Some(callee) => format!("{}@{}", call.workflow, callee.version),
        None => format!("{} (itself)", call.workflow),
    })
}

/// What a crash in the middle of the node means.
pub(super) fn repeats(node: &PlanNode) -> &'static str {
    if node.kind == ActionKind::Control(ControlKind::Call) {
        return "never: the call goes on, as its own plan says";
    }
    match node.effect {
        EffectClass::Pure | EffectClass::Read => "freely",
        EffectClass::Idempotent => "safely",
        EffectClass::Keyed => "with the same key",
        EffectClass::AtMostOnce => match node.on_indeterminate {
            OnIndeterminate::Park => "never: a person decides",
            OnIndeterminate::Fail => "never: it counts as failed",
            OnIndeterminate::Retry => "yes: the author accepts that it acts twice",
        },
    }
}

/// What the node's literal parameters and `requires` ask for, with relative paths resolved.
pub(super) fn capabilities(node: &PlanNode, folder: &Path) -> Vec<String> {
    resolved(&node.capabilities, folder)
}

/// Capabilities as text, with relative paths resolved.
pub(super) fn resolved(capabilities: &[String], folder: &Path) -> Vec<String> {
    capabilities
        .iter()
        .map(|text| match Capability::parse(text, folder) {
            Ok(capability) => capability.to_string(),
            Err(_) => text.clone(),
        })
        .collect()
}

/// What `requires` asks for as it was written; an input makes capabilities of it.
pub(super) fn requires(node: &PlanNode) -> Vec<String> {
    written(&node.requires)
}

pub(super) fn written(requires: &[ParamProgram]) -> Vec<String> {
    let written = |program: &ParamProgram| match program {
        ParamProgram::Text(text) => {
            let mut whole = text.texts[0].clone();
            for (program, after) in text.programs.iter().zip(&text.texts[1..]) {
                whole.push_str(&format!("{{{{ {} }}}}{after}", program.source()));
            }
            whole
        }
        ParamProgram::Expression(program) => format!("{{{{ {} }}}}", program.source()),
        other => other
            .as_literal()
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    requires.iter().map(written).collect()
}

pub(super) fn join(join: JoinRule) -> Value {
    serde_json::to_value(join).unwrap_or_default()
}

/// What the execution gives, as text.
pub(super) fn output(plan: &ExecutionPlan, definition: &WorkflowDefinition) -> String {
    match (&plan.output, &definition.output) {
        (PlanOutput::Program(_), Some(ParamValue::Expression(segment))) => segment.source.clone(),
        (PlanOutput::Program(_), Some(ParamValue::Template(template))) => template.raw.clone(),
        (PlanOutput::Program(_), _) => "as written under `output`".to_owned(),
        (PlanOutput::Node(node), _) => format!("$nodes.{}.result", plan.node(*node).id),
        (PlanOutput::Nodes(nodes), _) => {
            let ids: Vec<_> = nodes
                .iter()
                .map(|node| plan.node(*node).id.as_str())
                .collect();
            format!("the results of {}", ids.join(", "))
        }
    }
}
