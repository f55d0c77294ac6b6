//! Whether an example fits the metadata that it belongs to.

use nebula_action::{ActionMetadata, Example, Ports};
use nebula_core::ParamValue;
use nebula_validator::{Problem, Schema};
use serde_json::Value;

use crate::RegistryError;

/// Checks the shape of every example: running them is the business of tests.
pub(crate) fn check(
    metadata: &ActionMetadata,
    parameters: &Schema,
    output: &Schema,
) -> Result<(), RegistryError> {
    for example in &metadata.examples {
        let error = |part, problem| RegistryError::Example {
            id: metadata.id.clone(),
            title: example.title.clone(),
            part,
            problem: Box::new(problem),
        };
        if let Some(problem) = parameter_problem(metadata, parameters, &example.parameters) {
            return Err(error("parameters", problem));
        }
        if let Some(problem) = output.check(&example.output).into_iter().next() {
            return Err(error("output", problem));
        }
        if !has_port(metadata, example) {
            let message = format!("the action has no port `{}` there", example.port);
            return Err(error("port", problem(message)));
        }
    }
    Ok(())
}

fn parameter_problem(
    metadata: &ActionMetadata,
    schema: &Schema,
    written: &Value,
) -> Option<Problem> {
    let Value::Object(own) = written else {
        return Some(problem("parameters are an object".to_owned()));
    };
    let defaults = metadata.defaults.as_object().into_iter().flatten();
    let all = defaults
        .chain(own)
        .map(|(name, value)| (name.clone(), value.clone()));
    let written = &all.collect::<Value>();
    let mut unknown = Vec::new();
    match ParamValue::parse(written) {
        Ok(parsed) => dynamic_places(&parsed, &mut String::new(), &mut unknown),
        Err(errors) => return errors.first().map(|error| problem(error.to_string())),
    }
    for mark in &metadata.expressions {
        match mark.path.strip_suffix("/*") {
            None => unknown.push(format!("/{}", mark.path)),
            Some(name) => {
                let entries = written.get(name).and_then(Value::as_object);
                let keys = entries.into_iter().flat_map(|entries| entries.keys());
                unknown.extend(keys.map(|key| format!("/{name}/{}", escape(key))));
            }
        }
    }
    schema.check_known(written, &unknown).into_iter().next()
}

/// The JSON pointers of everything that is known only at run time.
fn dynamic_places(value: &ParamValue, pointer: &mut String, places: &mut Vec<String>) {
    let mut below = |key: &str, value: &ParamValue| {
        let len = pointer.len();
        pointer.push('/');
        pointer.push_str(&escape(key));
        dynamic_places(value, pointer, places);
        pointer.truncate(len);
    };
    match value {
        ParamValue::Literal(_) => {}
        ParamValue::Expression(_) | ParamValue::Template(_) => places.push(pointer.clone()),
        ParamValue::Object(entries) => entries.iter().for_each(|(key, value)| below(key, value)),
        ParamValue::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, value)| below(&i.to_string(), value)),
    }
}

fn has_port(metadata: &ActionMetadata, example: &Example) -> bool {
    match &metadata.ports {
        Ports::Fixed(ports) => ports.contains(&example.port),
        Ports::KeysOf {
            parameter,
            otherwise,
        } => {
            let cases = example.parameters.get(parameter).and_then(Value::as_object);
            example.port == *otherwise
                || cases.is_some_and(|cases| cases.contains_key(&example.port))
        }
    }
}

fn problem(message: String) -> Problem {
    Problem {
        pointer: String::new(),
        message,
        keyword: String::new(),
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
