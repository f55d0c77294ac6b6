//! The values of parameters and conditions.

use nebula_core::ParamValue;
use nebula_expression::{CompileOptions, Context, JsonScope, Program};
use nebula_workflow::NodeDefinition;
use serde_json::{Map, Value};

use super::{Around, Failure, Naive};

/// What an activation sees, as one object.
pub(super) fn seen(
    naive: &Naive<'_>,
    around: &Around,
    json: &Value,
    inputs: &[(String, Value)],
) -> Value {
    let mut seen = around.roots.clone();
    seen.insert("input".to_owned(), naive.input.clone());
    seen.insert("json".to_owned(), json.clone());
    seen.insert("nodes".to_owned(), Value::Object(around.nodes.clone()));
    let mut lists = Map::new();
    for (input, value) in inputs {
        let list = lists
            .entry(input.clone())
            .or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut()
            .expect("only lists are put in")
            .push(value.clone());
    }
    seen.insert("inputs".to_owned(), Value::Object(lists));
    Value::Object(seen)
}

/// The value of an expression; `None` is undefined.
pub(super) fn evaluate(source: &str, seen: &Value) -> Result<Option<Value>, Failure> {
    let program = Program::compile(source, &CompileOptions::default());
    let program = program.unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let value = program.evaluate(&JsonScope(seen), &Context::default());
    value.map_err(|error| Failure {
        code: error.code.to_owned(),
        message: error.message,
        class: "fatal",
        node: String::new(),
    })
}

/// Whether a condition holds.
pub(super) fn holds(source: &str, seen: &Value) -> Result<bool, Failure> {
    Ok(evaluate(source, seen)? == Some(Value::Bool(true)))
}

/// What the condition says by which a list is complete, of its progress.
pub(super) fn of_progress(
    node: &NodeDefinition,
    seen: &Value,
    progress: &Value,
) -> Result<Option<Value>, Failure> {
    let mut seen = seen.clone();
    seen["json"] = progress.clone();
    let condition = node.complete_when.as_ref();
    evaluate(&condition.expect("the caller has looked").source, &seen)
}

/// The value of a parameter.
pub(super) fn parameter(value: &ParamValue, seen: &Value) -> Result<Option<Value>, Failure> {
    Ok(Some(match value {
        ParamValue::Literal(value) => value.clone(),
        ParamValue::Expression(segment) => return evaluate(&segment.source, seen),
        ParamValue::Template(template) => {
            let mut text = template.texts[0].clone();
            for (segment, after) in template.expressions.iter().zip(&template.texts[1..]) {
                match evaluate(&segment.source, seen)? {
                    Some(Value::String(part)) => text.push_str(&part),
                    part => text.push_str(&part.unwrap_or_default().to_string()),
                }
                text.push_str(after);
            }
            Value::String(text)
        }
        ParamValue::Object(fields) => {
            let mut object = Map::new();
            for (key, value) in fields {
                if let Some(value) = parameter(value, seen)? {
                    object.insert(key.clone(), value);
                }
            }
            Value::Object(object)
        }
        ParamValue::Array(elements) => {
            let mut list = Vec::new();
            for value in elements {
                list.push(parameter(value, seen)?.unwrap_or_default());
            }
            Value::Array(list)
        }
    }))
}
