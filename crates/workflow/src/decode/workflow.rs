//! The top level of a definition.

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;
use nebula_core::{Priority, WorkflowId};

use super::{
    Seen,
    admission::{admission, check_both, rate_limit},
    connections::graph,
    id_range,
    place::Place,
};
use crate::{
    DEFAULT_TIMEZONE, TriggerDefinition, WorkflowDefinition, WorkflowLimits, codes, fields,
    problems::{Problems, shown},
};

pub(super) fn workflow(
    root: &Place<'_>,
    default_id: Option<WorkflowId>,
    problems: &mut Problems,
) -> Option<WorkflowDefinition> {
    let fields = root.fields(&fields::WORKFLOW, problems)?;
    let id = match fields.get("id") {
        Some(place) => workflow_id(&place, problems),
        None => {
            if default_id.is_none() {
                let message = "the file's name gives no id";
                problems.push(
                    root.error(codes::MISSING_FIELD, message)
                        .hint("add the field `id`, such as `id: order-intake`"),
                );
            }
            default_id
        }
    };
    let name = fields.text("name", problems).map(str::to_owned);
    let input = fields.get("input").and_then(|place| place.schema(problems));
    let output_schema = fields
        .get("output_schema")
        .and_then(|place| place.schema(problems));
    let timezone = fields
        .get("timezone")
        .and_then(|place| timezone(&place, problems));
    let triggers = fields
        .get("triggers")
        .map(|place| triggers(&place, problems));
    let (nodes, connections) = graph(&fields, &mut Seen::default(), problems);
    let output = fields.get("output").and_then(|place| place.param(problems));
    let limits = fields
        .get("limits")
        .and_then(|place| limits(&place, problems));
    let admission = fields
        .get("admission")
        .and_then(|place| admission(&place, problems));
    let rate_limit = fields
        .get("rate_limit")
        .and_then(|place| rate_limit(&place, problems));
    let priorities = Priority::ALL.map(|priority| (priority.name(), priority));
    let priority = fields
        .get("priority")
        .and_then(|place| place.choice(&priorities, problems));
    let place = fields.get("rate_limit");
    check_both(admission.as_ref(), rate_limit.as_ref().zip(place), problems);
    let layout = fields
        .get("layout")
        .and_then(|place| place.object(problems));
    Some(WorkflowDefinition {
        id: id?,
        name,
        input,
        output_schema,
        timezone: timezone.unwrap_or_else(|| DEFAULT_TIMEZONE.to_owned()),
        triggers: triggers.unwrap_or_default(),
        nodes,
        connections,
        output,
        limits: limits.unwrap_or_default(),
        admission,
        rate_limit,
        priority: priority.unwrap_or_default(),
        layout,
    })
}

fn workflow_id(place: &Place<'_>, problems: &mut Problems) -> Option<WorkflowId> {
    let text = place.text("a string", problems)?;
    WorkflowId::new(text)
        .map_err(|error| {
            let problem = place.error(codes::ID, error.to_string());
            problems.push(match id_range(&error) {
                Some(range) => problem.range(range),
                None => problem,
            });
        })
        .ok()
}

/// The name of a zone, checked against the zones that are built in, so that a definition means the
/// same on every machine.
fn timezone(place: &Place<'_>, problems: &mut Problems) -> Option<String> {
    let text = place.text("a string", problems)?;
    let zones = TimeZoneDatabase::bundled();
    if zones.get(text).is_ok() {
        return Some(text.to_owned());
    }
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let near = problems.nearest(text, names.iter().map(String::as_str));
    let message = format!("there is no time zone `{}`", shown(text));
    let problem = place.error(codes::VALUE, message);
    problems.push(match near {
        Some(_) => problem.did_you_mean(near),
        None => problem.hint("write an IANA name, such as `Europe/Berlin`"),
    });
    None
}

fn limits(place: &Place<'_>, problems: &mut Problems) -> Option<WorkflowLimits> {
    let fields = place.fields(&fields::WORKFLOW_LIMITS, problems)?;
    Some(WorkflowLimits {
        concurrency: fields.count("concurrency", problems),
        timeout: fields.duration("timeout", problems),
    })
}

fn triggers(place: &Place<'_>, problems: &mut Problems) -> Vec<TriggerDefinition> {
    let mut triggers = Vec::new();
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for item in place
        .items("a list of triggers", problems)
        .unwrap_or_default()
    {
        let Some(fields) = item.fields(&fields::TRIGGER, problems) else {
            continue;
        };
        let id = fields.get("id").and_then(|place| {
            let id = place.text("a string", problems)?;
            // Trigger ids stand in addresses and file names, like workflow ids.
            if WorkflowId::new(id).is_err() {
                let message = format!("`{}` is not a trigger id", shown(id));
                let hint = "a trigger id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit";
                problems.push(place.error(codes::ID, message).hint(hint));
                return None;
            }
            if let Some(first) = seen.get(id) {
                let message = format!("two triggers have the id `{id}`");
                let problem = place.error(codes::DUPLICATE_ID, message);
                problems.push(problem.related(first.as_str(), "first here"));
            }
            seen.entry(id).or_insert(place.pointer);
            Some(id.to_owned())
        });
        let kind = fields.text("type", problems).map(str::to_owned);
        let input = fields.get("input").and_then(|place| place.param(problems));
        if let (Some(id), Some(kind)) = (id, kind) {
            triggers.push(TriggerDefinition {
                id,
                kind,
                input,
                rest: fields.rest(),
            });
        }
    }
    triggers
}
