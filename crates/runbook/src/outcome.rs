//! What follows from how the steps ended: counting, escalation, the end of the incident.

use serde_json::{Map, Value, json};

use crate::{
    runbook::{Escalation, Runbook},
    step::{OWN, SERVICE_NAME, Step, slug},
};

/// A node with whether it may be left out.
struct Link {
    id: String,
    conditional: bool,
}

/// Adds nodes, connections and output to the definition.
pub(crate) fn complete(
    definition: &mut Map<String, Value>,
    runbook: &Runbook<'_>,
    steps: Vec<Step>,
) {
    let own = own(runbook, &steps);
    let links: Vec<Link> = steps
        .iter()
        .map(|step| Link {
            id: step.id.clone(),
            conditional: step.conditional,
        })
        .chain(own.iter().map(|node| Link {
            id: node["id"].as_str().unwrap_or_default().to_owned(),
            conditional: node.get("when").is_some(),
        }))
        .collect();
    let mut nodes: Vec<Value> = steps.into_iter().map(|step| step.node).collect();
    nodes.extend(own);
    let mut connections = Vec::new();
    // Where a node is left out, what follows it begins from the last one that never is.
    let mut certain: Option<String> = None;
    if links[0].conditional {
        let begin = format!("{OWN}begin");
        nodes.push(json!({
            "id": begin,
            "action": "data.set",
            "parameters": { "service": SERVICE_NAME },
        }));
        connections.push(json!({ "from": begin, "to": links[0].id }));
        certain = Some(begin);
    }
    for pair in links.windows(2) {
        let [from, to] = pair else { continue };
        if !from.conditional {
            certain = Some(from.id.clone());
        } else if let Some(certain) = &certain {
            connections.push(json!({ "from": certain, "to": to.id }));
        }
        connections.push(json!({ "from": from.id, "to": to.id }));
    }
    definition.insert("nodes".into(), nodes.into());
    definition.insert("connections".into(), connections.into());
    definition.insert("output".into(), output(runbook));
}

fn output(runbook: &Runbook<'_>) -> Value {
    let mut output = json!({
        "recovered": format!("{{{{ !$nodes.{OWN}outcome.result.failed }}}}"),
        "failures": format!("{{{{ $nodes.{OWN}failures?.result?.count ?? 0 }}}}"),
    });
    if runbook.escalation.is_some() {
        output["escalated"] = format!("{{{{ $nodes.{OWN}escalated?.result != null }}}}").into();
    }
    output
}

/// The nodes that no step wrote, in their order.
fn own(runbook: &Runbook<'_>, steps: &[Step]) -> Vec<Value> {
    let key = runbook.key();
    let failed = format!("$nodes.{OWN}outcome.result.failed");
    let mut nodes = vec![
        json!({
            "id": format!("{OWN}outcome"),
            "action": "data.set",
            "parameters": { "failed": format!("{{{{ {} }}}}", has_failed(steps)) },
        }),
        json!({
            "id": format!("{OWN}failures"),
            "action": "incident.count",
            "when": failed,
            "parameters": { "counter": key },
        }),
        json!({
            "id": format!("{OWN}reset"),
            "action": "incident.count",
            "when": format!("!{failed}"),
            "parameters": { "counter": key, "reset": true },
        }),
    ];
    if let Some(escalation) = &runbook.escalation {
        escalate(runbook, escalation, &mut nodes);
    }
    nodes.push(json!({
        "id": format!("{OWN}told"),
        "action": "incident.note",
        "parameters": { "key": key, "text": told(runbook, steps) },
    }));
    nodes.push(json!({
        "id": format!("{OWN}resolved"),
        "action": "incident.resolve",
        "when": format!("!{failed}"),
        "parameters": { "key": key, "resolution": format!("the runbook {} healed it", runbook.id) },
    }));
    nodes
}

/// Once, when so many have failed one after the other.
fn escalate(runbook: &Runbook<'_>, escalation: &Escalation<'_>, nodes: &mut Vec<Value>) {
    let after = escalation.after;
    let message = format!(
        "{} did not heal {SERVICE_NAME}: {after} failures one after the other",
        runbook.id
    );
    let now = format!("$nodes.{OWN}failures?.result?.count === {after}");
    nodes.push(json!({
        "id": format!("{OWN}escalated"),
        "action": "incident.open",
        "when": now,
        "parameters": {
            "key": runbook.key(),
            "service": SERVICE_NAME,
            "title": message,
            "severity": "critical",
        },
    }));
    for (index, channel) in escalation.notify.iter().enumerate() {
        nodes.push(json!({
            "id": format!("{OWN}notify_{index}_{}", slug(channel)),
            "action": "flow.emit",
            "when": now,
            "parameters": runbook.told(channel, &message.as_str().into()),
        }));
    }
}

/// Whether a run has failed: what the last look said that was taken, or where there was none, whether
/// a step failed that was to change something.
fn has_failed(steps: &[Step]) -> String {
    let acting = steps.iter().filter(|step| !step.looks && !step.tells);
    let acting: Vec<String> = acting.map(Step::failed).collect();
    let mut failed = match acting.is_empty() {
        true => "false".to_owned(),
        false => acting.join(" || "),
    };
    for step in steps.iter().filter(|step| step.looks) {
        failed = match step.conditional {
            true => format!("{} || (!{} && ({failed}))", step.failed(), step.succeeded()),
            false => step.failed(),
        };
    }
    failed
}

/// What the incident's timeline says of the run.
fn told(runbook: &Runbook<'_>, steps: &[Step]) -> String {
    let mut text = runbook.id.clone();
    for (index, step) in steps.iter().enumerate() {
        let mark = if index == 0 { ": " } else { ", " };
        text.push_str(mark);
        text.push_str(&step.id);
        text.push_str(&format!(
            " {{{{ {} ? 'failed' : ($nodes.{}?.status ?? 'skipped') }}}}",
            step.failed(),
            step.id
        ));
    }
    text.push_str(&format!(
        "; {{{{ $nodes.{OWN}outcome.result.failed ? 'failures one after the other: ' + $nodes.{OWN}failures?.result?.count : 'healed' }}}}"
    ));
    text
}
