//! The whole of a runbook.

use nebula_core::WorkflowId;
use nebula_workflow::{Diagnostic, Origin, Source, Translation};
use serde_json::{Map, Value, json};

use crate::{
    codes,
    expression::{Names, OF_ALERT},
    outcome,
    reader::{Fields, Problems, choice, shown, text, wrong_type},
    step::{self, SERVICE_NAME, Step, channel_of},
};

/// The most steps of a runbook.
pub const MAX_STEPS: usize = 100;

/// The event that a runbook listens to where `trigger.event` says nothing.
pub const DEFAULT_EVENT: &str = "alert";

/// The most failures one after the other that `after_failures` may wait for.
const MAX_FAILURES: u64 = 1_000;

/// The longest name of a service: with the id of a workflow before it, it is the key of an incident.
const MAX_SERVICE: usize = 120;

/// What of a runbook its steps need to know.
pub(crate) struct Runbook<'v> {
    /// The id of the workflow.
    pub(crate) id: String,
    /// The id of each step.
    pub(crate) ids: Vec<String>,
    /// The step that opens the incident.
    pub(crate) first_log: Option<usize>,
    pub(crate) escalation: Option<Escalation<'v>>,
}

/// Who is told when.
pub(crate) struct Escalation<'v> {
    pub(crate) after: u64,
    pub(crate) notify: Vec<&'v str>,
}

impl Runbook<'_> {
    /// The correlation key of the service's incident, and the name of its counter.
    pub(crate) fn key(&self) -> String {
        format!("{}/{SERVICE_NAME}", self.id)
    }

    /// What `flow.emit` tells a channel.
    pub(crate) fn told(&self, channel: &str, message: &Value) -> Value {
        json!({
            "event": format!("notify.{channel}"),
            "payload": {
                "runbook": self.id,
                "service": "{{ $input.service }}",
                "channel": channel,
                "message": message,
            },
        })
    }
}

/// Makes a runbook into a definition, unless something is wrong with it.
pub(crate) fn translate(fields: &Map<String, Value>, source: &Source) -> Translation {
    let (mut problems, mut origins) = (Problems::default(), Vec::new());
    let definition = definition(fields, source, &mut origins, &mut problems);
    let is_good = !problems.0.iter().any(Diagnostic::is_error);
    Translation {
        definition: definition.filter(|_| is_good),
        origins,
        diagnostics: problems.0,
    }
}

fn definition(
    fields: &Map<String, Value>,
    source: &Source,
    origins: &mut Vec<Origin>,
    problems: &mut Problems,
) -> Option<Value> {
    let known = &["name", "trigger", "steps", "escalation"];
    let fields = Fields::of(fields, String::new(), "a runbook", known, problems);
    let name = fields.text("name", "name: restart-shop", problems);
    let named = name.as_ref();
    let id = named.and_then(|(name, pointer)| id(name, pointer, problems));
    origins.push(Origin::new("/id", "/name"));
    let trigger = fields
        .get("trigger")
        .map(|(value, pointer)| trigger(value, pointer, origins, problems));
    let escalation = fields
        .get("escalation")
        .map(|(value, pointer)| escalation(value, pointer, problems));

    let steps = fields.needed("steps", "steps: with one entry at least", problems);
    let (steps, _) = steps?;
    let Value::Array(list) = steps else {
        wrong_type("a list", steps, "/steps", problems);
        return None;
    };
    if list.is_empty() || list.len() > MAX_STEPS {
        let message = format!(
            "a runbook has 1 to {MAX_STEPS} steps, this one has {}",
            list.len()
        );
        let hint = "write a workflow for what is larger, and call it with `flow.call`";
        problems.error(codes::VALUE, "/steps", message, hint);
        return None;
    }
    let ids: Vec<_> = list
        .iter()
        .enumerate()
        .map(|(index, step)| step::id(step, index, problems))
        .collect();
    twice(&ids, problems);
    let logs = |step: &Value| step.get("action").and_then(Value::as_str) == Some("log");
    let runbook = Runbook {
        // Whatever is missing was reported; reading goes on for what else is wrong.
        id: id.clone().unwrap_or_else(|| source.slug()),
        ids: ids
            .iter()
            .map(|id| id.clone().unwrap_or_default())
            .collect(),
        first_log: list.iter().position(logs),
        escalation: escalation.flatten(),
    };
    let mut done: Vec<Step> = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let step = step::read(value, index, (&runbook, &done), origins, problems);
        // One that could not be read can be asked about all the same.
        done.push(step.unwrap_or_else(|| Step {
            id: runbook.ids[index].clone(),
            looks: false,
            tells: false,
            conditional: false,
            node: Value::Null,
        }));
    }
    let id = id?;
    let written = name.map_or("", |(name, _)| name);
    let mut definition = Map::new();
    definition.insert("id".into(), id.as_str().into());
    if written != id {
        definition.insert("name".into(), written.into());
    }
    definition.insert("input".into(), input());
    if let Some(trigger) = trigger {
        definition.insert("triggers".into(), json!([trigger?]));
    }
    outcome::complete(&mut definition, &runbook, done);
    Some(definition.into())
}

/// What an execution of a runbook is about.
fn input() -> Value {
    json!({
        "type": "object",
        "required": ["service"],
        "properties": {
            "service": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": { "type": "string", "minLength": 1, "maxLength": MAX_SERVICE },
                },
            },
        },
    })
}

/// The id of the workflow: the runbook's name, where it is one.
fn id(name: &str, pointer: &str, problems: &mut Problems) -> Option<String> {
    let id = match WorkflowId::new(name) {
        Ok(_) => name.to_owned(),
        Err(_) => Source::new(name, "").slug(),
    };
    if id.is_empty() {
        let message = format!(
            "`{}` has no letter or digit that an id could have",
            shown(name)
        );
        let hint = "the workflow is called by it: name: restart-shop";
        problems.error(codes::VALUE, pointer, message, hint);
        return None;
    }
    Some(id)
}

/// Two steps of one name.
fn twice(ids: &[Option<String>], problems: &mut Problems) {
    for (index, id) in ids.iter().enumerate() {
        let first = ids.iter().position(|other| other == id).unwrap_or(index);
        if let (Some(id), true) = (id, first < index) {
            let message = format!(
                "the steps {} and {} both have the id `{id}`",
                first + 1,
                index + 1
            );
            let hint = "give one of them another name, or an `id`";
            problems.error(
                codes::DUPLICATE_STEP,
                &format!("/steps/{index}"),
                message,
                hint,
            );
        }
    }
}

fn trigger(
    value: &Value,
    pointer: String,
    origins: &mut Vec<Origin>,
    problems: &mut Problems,
) -> Option<Value> {
    let known = &["type", "condition", "event", "workflows"];
    let fields = Fields::object(value, pointer, ("a trigger", known), problems)?;
    let (kind, at) = fields.needed("type", "type: alert", problems)?;
    choice(kind, &at, &["alert"], problems)?;
    origins.push(Origin::new("/triggers/0", fields.pointer.as_str()));
    let mut trigger = Map::new();
    trigger.insert("id".into(), "alert".into());
    trigger.insert("type".into(), "event".into());
    let event = match fields.get("event") {
        Some((value, at)) => text(value, &at, problems)?,
        None => DEFAULT_EVENT,
    };
    trigger.insert("event".into(), event.into());
    if let Some((value, _)) = fields.get("workflows") {
        trigger.insert("workflows".into(), value.clone());
    }
    if let Some((value, written)) = fields.get("condition") {
        let names = Names {
            service: OF_ALERT,
            before: &[],
            later: &[],
        };
        let filter = "/triggers/0/filter";
        origins.push(Origin::new(filter, written.as_str()));
        let filter = names.condition((value, &written, filter), origins, problems)?;
        trigger.insert("filter".into(), filter.into());
    }
    // Of one service, one after the other.
    trigger.insert("key".into(), format!("{OF_ALERT}.name").into());
    trigger.insert(
        "input".into(),
        json!({ "service": format!("{{{{ {OF_ALERT} }}}}") }),
    );
    Some(trigger.into())
}

fn escalation<'v>(
    value: &'v Value,
    pointer: String,
    problems: &mut Problems,
) -> Option<Escalation<'v>> {
    let known = &["after_failures", "notify"];
    let fields = Fields::object(value, pointer, ("an escalation", known), problems)?;
    let after = fields.needed("after_failures", "after_failures: 3", problems);
    let after = after.and_then(|(value, at)| {
        let count = value
            .as_u64()
            .filter(|count| (1..=MAX_FAILURES).contains(count));
        if count.is_none() {
            let message = format!("`after_failures` is a whole number from 1 to {MAX_FAILURES}");
            problems.error(
                codes::VALUE,
                &at,
                message,
                "write such as `after_failures: 3`",
            );
        }
        count
    });
    let notify = fields.needed("notify", "notify: [ops]", problems);
    let notify = notify.and_then(|(value, at)| match value {
        Value::String(_) => Some(vec![channel(value, &at, problems)?]),
        Value::Array(list) if !list.is_empty() => {
            let each = |(index, value)| channel(value, &format!("{at}/{index}"), problems);
            let all: Vec<_> = list.iter().enumerate().map(each).collect();
            all.into_iter().collect()
        }
        _ => {
            wrong_type("a channel or a list of channels", value, &at, problems);
            None
        }
    });
    let mut notify = notify?;
    notify.sort_unstable();
    notify.dedup();
    Some(Escalation {
        after: after?,
        notify,
    })
}

fn channel<'v>(value: &'v Value, pointer: &str, problems: &mut Problems) -> Option<&'v str> {
    channel_of(text(value, pointer, problems)?, pointer, problems)
}
