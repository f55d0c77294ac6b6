//! The canonical form: short forms written out, defaults left out.

use indexmap::IndexMap;
use nebula_core::{ParamValue, Priority, duration_text};
use serde_json::{Map, Value, json};

use crate::{
    Admission, ArtifactDefinition, CachePolicy, Compensation, Connection, DEFAULT_TIMEZONE,
    JoinRule, MAIN, NodeDefinition, OnError, OnIndeterminate, RateFull, RateLimit, RetryPolicy,
    TriggerDefinition, WhenFull, WorkflowDefinition, WorkflowLimits,
};

/// Writes a definition in its canonical form: reading it again gives an equal definition.
///
/// Connections are objects, also where the order of the nodes implied them; fields with their
/// default are left out.
#[must_use]
pub fn to_json(definition: &WorkflowDefinition) -> Value {
    let mut out = Fields::default();
    out.put("id", definition.id.as_str());
    out.text("name", definition.name.as_deref());
    out.some("input", definition.input.clone());
    out.some("output_schema", definition.output_schema.clone());
    if definition.timezone != DEFAULT_TIMEZONE {
        out.put("timezone", definition.timezone.as_str());
    }
    out.list("triggers", definition.triggers.iter().map(trigger));
    out.put("nodes", nodes(&definition.nodes));
    out.put("connections", connections(&definition.connections));
    out.some(
        "output",
        definition.output.as_ref().map(ParamValue::to_json),
    );
    if definition.limits != WorkflowLimits::default() {
        let mut limits = Fields::default();
        limits.some("concurrency", definition.limits.concurrency);
        limits.duration("timeout", definition.limits.timeout);
        out.put("limits", limits.0);
    }
    out.some("admission", definition.admission.as_ref().map(admission));
    out.some("rate_limit", definition.rate_limit.as_ref().map(rate_limit));
    if definition.priority != Priority::default() {
        out.put("priority", definition.priority.name());
    }
    out.some("layout", definition.layout.clone());
    Value::Object(out.0)
}

/// The fields of an object on their way out.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        self.some(name, value);
    }

    fn flag(&mut self, name: &str, value: bool) {
        if value {
            self.put(name, true);
        }
    }

    fn duration(&mut self, name: &str, value: Option<std::time::Duration>) {
        self.some(name, value.map(duration_text));
    }

    fn list(&mut self, name: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() > 0 {
            self.put(name, values.collect::<Value>());
        }
    }

    fn params(&mut self, params: &IndexMap<String, ParamValue>) {
        if !params.is_empty() {
            let params = params
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()));
            self.put("parameters", params.collect::<Value>());
        }
    }

    fn credentials(&mut self, credentials: &IndexMap<String, String>) {
        if !credentials.is_empty() {
            let slots = credentials
                .iter()
                .map(|(slot, id)| (slot.clone(), Value::from(id.as_str())));
            self.put("credentials", slots.collect::<Value>());
        }
    }
}

fn admission(admission: &Admission) -> Value {
    let mut out = Fields::default();
    out.put("concurrency", admission.concurrency);
    out.some("key", admission.key.as_ref().map(|key| key.source.clone()));
    if admission.when_full != WhenFull::default() {
        out.put("when_full", json!(admission.when_full));
    }
    out.some("queue", admission.queue);
    Value::Object(out.0)
}

fn rate_limit(rate: &RateLimit) -> Value {
    let mut out = Fields::default();
    out.put("limit", rate.limit);
    out.put("per", duration_text(rate.per));
    out.some("burst", rate.burst);
    out.some("key", rate.key.as_ref().map(|key| key.source.clone()));
    if rate.when_full != RateFull::default() {
        out.put("when_full", json!(rate.when_full));
    }
    out.some("queue", rate.queue);
    Value::Object(out.0)
}

fn trigger(trigger: &TriggerDefinition) -> Value {
    let mut out = Fields::default();
    out.put("id", trigger.id.as_str());
    out.put("type", trigger.kind.as_str());
    out.some("input", trigger.input.as_ref().map(ParamValue::to_json));
    for (name, value) in &trigger.rest {
        out.put(name, value.clone());
    }
    Value::Object(out.0)
}

fn nodes(nodes: &[NodeDefinition]) -> Value {
    nodes.iter().map(node).collect()
}

fn connections(connections: &[Connection]) -> Value {
    connections.iter().map(connection).collect()
}

fn node(node: &NodeDefinition) -> Value {
    let expression =
        |bare: &Option<crate::BareExpression>| bare.as_ref().map(|bare| bare.source.clone());
    let mut out = Fields::default();
    out.put("id", node.id.as_str());
    out.text("name", node.name.as_deref());
    out.put("action", node.action.to_string());
    out.params(&node.parameters);
    out.list("requires", node.requires.iter().map(ParamValue::to_json));
    out.credentials(&node.credentials);
    out.some("for_each", expression(&node.for_each));
    out.flag("each_item", node.each_item);
    out.some("concurrency", node.concurrency);
    out.some("when", expression(&node.when));
    match node.join {
        JoinRule::All => {}
        JoinRule::Any => out.put("join", "any"),
        JoinRule::Each => out.put("join", "each"),
        JoinRule::Count { count, rest } => out.put("join", json!({ "count": count, "rest": rest })),
    }
    out.some("retry", node.retry.as_ref().map(retry));
    out.duration("timeout", node.timeout);
    out.duration("heartbeat_timeout", node.heartbeat_timeout);
    if node.on_error != OnError::default() {
        out.put("on_error", json!(node.on_error));
    }
    if node.on_indeterminate != OnIndeterminate::default() {
        out.put("on_indeterminate", json!(node.on_indeterminate));
    }
    out.some("compensate", node.compensate.as_ref().map(compensation));
    out.some(
        "idempotency_key",
        node.idempotency_key.as_ref().map(ParamValue::to_json),
    );
    out.flag("disabled", node.disabled);
    out.some("pin", node.pin.clone());
    out.some("cache", node.cache.as_ref().map(cache));
    out.some("limits", node.limits.clone());
    out.some("artifact", node.artifact.as_ref().map(artifact));
    out.flag("distribute", node.distribute);
    out.list(
        "runs_on",
        node.runs_on.iter().map(|label| Value::from(label.as_str())),
    );
    out.some("complete_when", expression(&node.complete_when));
    out.some("rest", node.rest.map(|rest| json!(rest)));
    out.some("on_item_error", node.on_item_error.map(|it| json!(it)));
    if let Some(body) = &node.body {
        let fields =
            json!({ "nodes": nodes(&body.nodes), "connections": connections(&body.connections) });
        out.put("body", fields);
    }
    out.text("notes", node.notes.as_deref());
    Value::Object(out.0)
}

/// All fields, so that a later change of the defaults changes no stored definition.
fn retry(retry: &RetryPolicy) -> Value {
    json!({
        "max_attempts": retry.max_attempts,
        "backoff": retry.backoff,
        "initial": duration_text(retry.initial),
        "max": duration_text(retry.max),
        "jitter": retry.jitter,
    })
}

fn compensation(compensation: &Compensation) -> Value {
    let mut out = Fields::default();
    out.put("action", compensation.action.to_string());
    out.params(&compensation.parameters);
    out.list(
        "requires",
        compensation.requires.iter().map(ParamValue::to_json),
    );
    out.credentials(&compensation.credentials);
    out.some("retry", compensation.retry.as_ref().map(retry));
    out.duration("timeout", compensation.timeout);
    Value::Object(out.0)
}

fn cache(cache: &CachePolicy) -> Value {
    if *cache == CachePolicy::default() {
        return Value::Bool(true);
    }
    let mut out = Fields::default();
    out.some("key", cache.key.as_ref().map(|key| key.source.clone()));
    out.duration("ttl", cache.ttl);
    Value::Object(out.0)
}

fn artifact(artifact: &ArtifactDefinition) -> Value {
    let mut out = Fields::default();
    out.put("name", artifact.name.to_json());
    out.some(
        "version",
        artifact.version.as_ref().map(ParamValue::to_json),
    );
    Value::Object(out.0)
}

fn connection(connection: &Connection) -> Value {
    let mut out = Fields::default();
    out.put("from", connection.from.as_str());
    if connection.port != MAIN {
        out.put("port", connection.port.as_str());
    }
    out.put("to", connection.to.as_str());
    if connection.input != MAIN {
        out.put("input", connection.input.as_str());
    }
    out.some(
        "condition",
        connection
            .condition
            .as_ref()
            .map(|bare| bare.source.clone()),
    );
    out.flag("loop", connection.closes_loop);
    out.some("max_rounds", connection.max_rounds);
    Value::Object(out.0)
}
