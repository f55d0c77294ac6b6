//! Literal parameters against the action's schema.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use nebula_action::{
    ActionKind, ActionMetadata, ControlKind, ErrorClass, ExpressionMark, InterfaceVersion, Literal,
};
use nebula_core::{ActionId, ParamValue, Timestamp};
use nebula_execution::control::question;
use nebula_validator::Schema;
use nebula_workflow::{Diagnostic, is_node_field, nearest, pointer_join};
use serde_json::{Map, Value};

use crate::codes;

/// The compiled schemas of actions: many nodes run the same one.
#[derive(Debug, Default)]
pub(crate) struct Schemas(BTreeMap<(ActionId, InterfaceVersion), Option<Schema>>);

impl Schemas {
    /// The schema of an action's parameters. One that is no schema is reported at its first node,
    /// and takes everything.
    fn of(
        &mut self,
        metadata: &ActionMetadata,
        pointer: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<&Schema> {
        let key = (metadata.id.clone(), metadata.version);
        let schema = self.0.entry(key).or_insert_with(|| {
            Schema::compile(&metadata.parameters)
                .map_err(|error| {
                    let message = format!(
                        "the schema of action `{}` is no schema: {error}",
                        metadata.id
                    );
                    diagnostics.push(Diagnostic::error(codes::SCHEMA, pointer, message));
                })
                .ok()
        });
        schema.as_ref()
    }
}

/// Reports what no choice of the dynamic parts could mend.
pub(crate) fn check(
    parameters: &IndexMap<String, ParamValue>,
    metadata: &ActionMetadata,
    pointer: &str,
    schemas: &mut Schemas,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if metadata.kind == ActionKind::Code && metadata.takes_any_parameters() {
        return;
    }
    let Some(schema) = schemas.of(metadata, pointer, diagnostics) else {
        return;
    };
    let (mut known, mut unknown) = (Map::new(), Vec::new());
    for (name, value) in parameters {
        let at = pointer_join("", name);
        let marked = metadata.expressions.iter().any(|mark| marks(mark, name));
        known.insert(name.clone(), outline(value, &at, marked, &mut unknown));
    }
    let known = Value::Object(known);
    let problems = schema.check_known(&known, &unknown);
    if problems.is_empty() && metadata.kind == ActionKind::Control(ControlKind::Approval) {
        people(&known, &unknown, pointer, diagnostics);
    }
    for problem in problems {
        let at = format!("{pointer}{}", problem.pointer);
        let (id, name) = (&metadata.id, problem.pointer.trim_start_matches('/'));
        let strange = matches!(
            problem.keyword.as_str(),
            "additionalProperties" | "unevaluatedProperties"
        );
        diagnostics.push(if strange && !name.contains('/') {
            let message = format!("action `{id}` has no parameter `{name}`");
            let diagnostic = Diagnostic::error(codes::PARAMETER, at, message).at_key();
            match nearest(name, properties(&metadata.parameters)) {
                None if is_node_field(name) => diagnostic.hint(format!(
                    "`{name}` belongs to the node: write it beside `parameters`"
                )),
                near => diagnostic.did_you_mean(near),
            }
        } else {
            let message = format!("action `{id}`: {}", problem.message);
            Diagnostic::error(codes::PARAMETER, at, message)
        });
    }
}

/// Whether an approval can be decided at all, where that does not depend on values of the run.
fn people(known: &Value, unknown: &[String], pointer: &str, diagnostics: &mut Vec<Diagnostic>) {
    let (mut known, shown) = (known.clone(), ["/title", "/artifact"]);
    let of = |place: &str, at: &String| *at == place || at.starts_with(&format!("{place}/"));
    let about_people = |at: &&String| !shown.iter().any(|place| of(place, at));
    if unknown.iter().any(|at| about_people(&at)) {
        return;
    }
    if let Some(known) = known.as_object_mut() {
        // Their limits are checked where their values are known.
        known.retain(|name, _| !unknown.iter().any(|at| of(&format!("/{name}"), at)));
    }
    if let Err(error) = question(&known, Timestamp::default()) {
        let at = match &error.class {
            ErrorClass::InvalidInput { pointer } => pointer.as_str(),
            _ => "",
        };
        let message = format!("action `flow.approval`: {}", error.message);
        diagnostics.push(Diagnostic::error(
            codes::PARAMETER,
            format!("{pointer}{at}"),
            message,
        ));
    }
}

/// What is known of a parameter before the run.
pub(crate) fn known(parameters: &IndexMap<String, ParamValue>, name: &str) -> Literal {
    match parameters.get(name) {
        None => Literal::Absent,
        Some(ParamValue::Literal(value)) => Literal::Known(value.clone()),
        Some(_) => Literal::Dynamic,
    }
}

fn marks(mark: &ExpressionMark, name: &str) -> bool {
    mark.path == name || mark.path.strip_suffix("/*") == Some(name)
}

fn properties(schema: &Value) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// The value with null where it is dynamic; those places go to `unknown`. Of a parameter that is
/// an expression by itself nothing is known.
pub(crate) fn outline(
    value: &ParamValue,
    at: &str,
    marked: bool,
    unknown: &mut Vec<String>,
) -> Value {
    match value {
        ParamValue::Literal(Value::Object(map)) if marked => {
            unknown.extend(map.keys().map(|key| pointer_join(at, key)));
            Value::Object(map.clone())
        }
        ParamValue::Literal(value) if !marked => value.clone(),
        ParamValue::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                (
                    key.clone(),
                    outline(value, &pointer_join(at, key), marked, unknown),
                )
            });
            Value::Object(entries.collect())
        }
        ParamValue::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(i, item)| outline(item, &pointer_join(at, &i.to_string()), marked, unknown))
                .collect()
        }
        ParamValue::Literal(_) | ParamValue::Expression(_) | ParamValue::Template(_) => {
            unknown.push(at.to_owned());
            Value::Null
        }
    }
}
