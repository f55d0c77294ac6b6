//! All parameters of a node.

use indexmap::IndexMap;
use nebula_action::ExpressionMark;
use nebula_core::ParamValue;
use nebula_expression::{Context, ExpressionError, Phase, Program, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    CompileScope, ExpressionProblem, ParamProgram, ResolveError, Use,
    compile::{child, compile, compile_expression},
};

/// All parameters of a node, compiled: those that are resolved for each attempt, and those that
/// the action evaluates itself, once per element.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Resolved for each attempt, in the author's order.
    pub resolved: IndexMap<String, ParamProgram>,
    /// Handed to the action as programs, by path: `condition`, `cases/high`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub deferred: IndexMap<String, Program>,
}

impl Parameters {
    /// Compiles `written` as the action's marks say; pointers in problems begin at the parameters.
    ///
    /// # Errors
    /// Every problem of every expression, in reading order.
    pub fn compile(
        written: &IndexMap<String, ParamValue>,
        marks: &[ExpressionMark],
        scope: &CompileScope<'_>,
    ) -> Result<Self, Vec<ExpressionProblem>> {
        let (mut parameters, mut problems) = (Self::default(), Vec::new());
        for (name, value) in written {
            let pointer = child("", name);
            let whole = marks.iter().find(|mark| mark.path == *name);
            let each = marks
                .iter()
                .find(|mark| mark.path.strip_suffix("/*") == Some(name));
            if let Some(mark) = whole {
                parameters.bare(name, value, &pointer, (mark, scope), &mut problems);
            } else if let Some(mark) = each {
                for (key, value) in entries(value) {
                    let path = format!("{name}/{key}");
                    let pointer = child(&pointer, &key);
                    parameters.bare(&path, &value, &pointer, (mark, scope), &mut problems);
                }
            } else {
                let program = compile(value, &pointer, scope, &mut problems);
                parameters.resolved.insert(name.clone(), program);
            }
        }
        if problems.is_empty() {
            Ok(parameters)
        } else {
            Err(problems)
        }
    }

    /// Takes a parameter whose text is an expression, with or without braces around it. What is no
    /// text keeps its value: `condition: true` is as good as `condition: "true"`.
    fn bare(
        &mut self,
        path: &str,
        value: &ParamValue,
        pointer: &str,
        (mark, scope): (&ExpressionMark, &CompileScope<'_>),
        problems: &mut Vec<ExpressionProblem>,
    ) {
        let (source, offset) = match value {
            ParamValue::Literal(Value::String(text)) => {
                (text.trim().to_owned(), text.len() - text.trim_start().len())
            }
            ParamValue::Expression(segment) => (segment.source.clone(), segment.offset),
            ParamValue::Literal(other @ (Value::Bool(_) | Value::Number(_) | Value::Null)) => {
                (other.to_string(), 0)
            }
            _ => {
                self.resolved
                    .insert(path.to_owned(), compile(value, pointer, scope, problems));
                return;
            }
        };
        match compile_expression(&source, offset, pointer, scope) {
            Ok(program) if mark.deferred => {
                self.deferred.insert(path.to_owned(), program);
            }
            Ok(program) => {
                self.resolved
                    .insert(path.to_owned(), ParamProgram::Expression(program));
            }
            Err(found) => problems.extend(found),
        }
    }

    /// The input of one attempt: an object in the author's order, without what is deferred.
    ///
    /// # Errors
    /// The first expression that has no value; in strict mode also a whole parameter that is undefined.
    pub fn resolve(&self, scope: &dyn Scope, context: &Context) -> Result<Value, ResolveError> {
        let mut input = Map::with_capacity(self.resolved.len());
        for (name, program) in &self.resolved {
            let pointer = child("", name);
            match program.resolve_at(&pointer, scope, context)? {
                Some(value) => {
                    input.insert(name.clone(), value);
                }
                None if program.is_strict() => return Err(undefined(pointer, program)),
                None => {}
            }
        }
        Ok(Value::Object(input))
    }

    /// Calls `found` for every expression, also the deferred ones.
    pub fn each_use<'a>(&'a self, mut found: impl FnMut(Use<'a>)) {
        for (name, program) in &self.resolved {
            program.each_use(&child("", name), &mut found);
        }
        for (path, program) in &self.deferred {
            found(Use {
                pointer: format!("/{path}"),
                program,
            });
        }
    }
}

fn entries(value: &ParamValue) -> Vec<(String, ParamValue)> {
    match value {
        ParamValue::Literal(Value::Object(map)) => map
            .iter()
            .map(|(key, value)| (key.clone(), ParamValue::Literal(value.clone())))
            .collect(),
        ParamValue::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        _ => Vec::new(),
    }
}

fn undefined(pointer: String, program: &ParamProgram) -> ResolveError {
    let end = match program {
        ParamProgram::Expression(program) => program.source().len(),
        _ => 0,
    };
    let error = ExpressionError {
        code: "TYPE_UNDEFINED",
        phase: Phase::Border,
        message: "the value is undefined".to_owned(),
        start: 0,
        end,
        hint: Some("write `?? null` or another value for when it is missing".to_owned()),
    };
    ResolveError { pointer, error }
}

#[cfg(test)]
mod tests {
    use nebula_expression::JsonScope;
    use serde_json::json;

    use super::*;

    fn written(value: &Value) -> IndexMap<String, ParamValue> {
        let entries = value.as_object().unwrap().iter();
        entries
            .map(|(key, value)| (key.clone(), ParamValue::parse(value).unwrap()))
            .collect()
    }

    fn check(parameters: &Value, data: &Value, expected: &str) {
        let marks = [
            ExpressionMark {
                path: "condition".to_owned(),
                deferred: false,
            },
            ExpressionMark {
                path: "cases/*".to_owned(),
                deferred: true,
            },
        ];
        let shown =
            match Parameters::compile(&written(parameters), &marks, &CompileScope::default()) {
                Err(problems) => {
                    let places = problems
                        .iter()
                        .map(|p| format!("{} {:?} {}", p.pointer, p.range, p.error.code));
                    places.collect::<Vec<_>>().join(", ")
                }
                Ok(compiled) => {
                    let stored = serde_json::to_string(&compiled).unwrap();
                    assert_eq!(
                        serde_json::from_str::<Parameters>(&stored).unwrap(),
                        compiled
                    );
                    let deferred: Vec<_> = compiled.deferred.keys().cloned().collect();
                    match compiled.resolve(&JsonScope(data), &Context::default()) {
                        Ok(value) if deferred.is_empty() => value.to_string(),
                        Ok(value) => format!("{value} + {}", deferred.join(" ")),
                        Err(error) => format!("{} {}", error.pointer, error.error.code),
                    }
                }
            };
        assert_eq!(shown, expected, "{parameters}");
    }

    #[test]
    fn parameters_resolve_at_any_depth_and_keep_their_types() {
        let data = json!({ "json": { "n": 2, "list": [1], "name": "Ada" } });
        check(
            &json!({ "a": "{{ $json.n }}", "b": ["x {{ $json.name }}", { "c": "{{ $json.list }}" }], "d": 1 }),
            &data,
            r#"{"a":2,"b":["x Ada",{"c":[1]}],"d":1}"#,
        );
    }

    #[test]
    fn undefined_is_omitted_inside_and_an_error_as_a_whole() {
        let data = json!({ "json": {} });
        check(
            &json!({ "o": { "x": "{{ $json.no }}", "y": 1 } }),
            &data,
            r#"{"o":{"y":1}}"#,
        );
        check(
            &json!({ "l": ["{{ $json.no }}"] }),
            &data,
            r#"{"l":[null]}"#,
        );
        check(
            &json!({ "x": "{{ $json.no }}" }),
            &data,
            "/x TYPE_UNDEFINED",
        );
    }

    #[test]
    fn marked_parameters_are_expressions_without_braces() {
        let data = json!({ "json": { "n": 2 } });
        check(
            &json!({ "condition": "$json.n > 1" }),
            &data,
            r#"{"condition":true}"#,
        );
        check(
            &json!({ "condition": "{{ $json.n > 1 }}" }),
            &data,
            r#"{"condition":true}"#,
        );
        check(
            &json!({ "condition": true }),
            &data,
            r#"{"condition":true}"#,
        );
        check(
            &json!({ "cases": { "a": "$item > 1", "b": "true" } }),
            &data,
            "{} + cases/a cases/b",
        );
    }

    #[test]
    fn every_problem_has_its_place() {
        check(
            &json!({ "a": "x {{ 1 + }}", "condition": " 1 +", "l": ["{{ $oops }}"] }),
            &json!({}),
            "/a 8..8 SYNTAX_END, /condition 4..4 SYNTAX_END, /l/0 3..8 NAME_UNKNOWN_ROOT",
        );
    }
}
