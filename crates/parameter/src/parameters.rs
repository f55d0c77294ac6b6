//! All parameters of a node.

use std::sync::Arc;

use indexmap::IndexMap;
use nebula_action::ExpressionMark;
use nebula_core::ParamValue;
use nebula_expression::{Context, Evaluated, ExpressionError, Phase, Program, Scope, Segmented};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    CompileScope, ExpressionProblem, ParamProgram, ResolveError, Use,
    compile::{child, compile, compile_expression},
    pointer::Pointer,
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
            let (whole, each) = marks_of(marks, name);
            if let Some(mark) = whole {
                let found = bare(value, &pointer, (mark, scope), &mut problems);
                parameters.keep(name.clone(), found);
            } else if let Some((mark, entries)) = each.zip(entries(value)) {
                let mut object = IndexMap::new();
                for (key, value) in entries {
                    let at = child(&pointer, key);
                    match bare(&value, &at, (mark, scope), &mut problems) {
                        Some(Bare::Resolved(program)) => {
                            object.insert(key.to_owned(), program);
                        }
                        deferred => parameters.keep(format!("{name}/{key}"), deferred),
                    }
                }
                if !object.is_empty() {
                    parameters
                        .resolved
                        .insert(name.clone(), ParamProgram::Object(object));
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

    fn keep(&mut self, path: String, found: Option<Bare>) {
        match found {
            Some(Bare::Deferred(program)) => {
                self.deferred.insert(path, program);
            }
            Some(Bare::Resolved(program)) => {
                self.resolved.insert(path, program);
            }
            None => {}
        }
    }

    /// The expression that gives the parameter `name` as a whole, if one does.
    #[must_use]
    pub fn expression(&self, name: &str) -> Option<&Program> {
        match self.resolved.get(name)? {
            ParamProgram::Expression(whole) => Some(whole),
            _ => None,
        }
    }

    /// The input of one attempt: an object in the author's order, without what is deferred.
    ///
    /// # Errors
    /// The first expression that has no value; in strict mode also a whole parameter that is undefined.
    pub fn resolve(&self, scope: &dyn Scope, context: &Context) -> Result<Value, ResolveError> {
        let (input, _) = self.resolve_but(None, scope, context)?;
        Ok(input)
    }

    /// The input of one attempt, without the parameter `name` if its expression gives a long list as
    /// a whole; and that list, of which no copy is made.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_beside(
        &self,
        name: &str,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<(Value, Option<Arc<dyn Segmented>>), ResolveError> {
        self.resolve_but(Some(name), scope, context)
    }

    fn resolve_but(
        &self,
        beside: Option<&str>,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<(Value, Option<Arc<dyn Segmented>>), ResolveError> {
        let mut input = Map::with_capacity(self.resolved.len());
        let mut list = None;
        for (name, program) in &self.resolved {
            let pointer = Pointer::Key(&Pointer::Whole, name);
            let value = match program {
                ParamProgram::Expression(whole) if beside == Some(name) => {
                    let found = whole.evaluate_ref(scope, context);
                    match found.map_err(|error| ResolveError::new(pointer, error))? {
                        Evaluated::List(found) => {
                            list = Some(found);
                            continue;
                        }
                        found => found.into_owned(),
                    }
                }
                program => program.resolve_at(pointer, scope, context)?,
            };
            match value {
                Some(value) => {
                    input.insert(name.clone(), value);
                }
                None if program.is_strict() => return Err(undefined(pointer, program)),
                None => {}
            }
        }
        Ok((Value::Object(input), list))
    }

    /// Calls `found` for every expression, also the deferred ones.
    pub fn each_use<'a>(&'a self, mut found: impl FnMut(Use<'a>)) {
        for (name, program) in &self.resolved {
            program.each_use(&child("", name), &mut found);
        }
        for (path, program) in &self.deferred {
            let pointer = deferred_pointer(path);
            found(Use { pointer, program });
        }
    }
}

/// The mark of a parameter as a whole, and the one of each of its entries.
pub(crate) fn marks_of<'m>(
    marks: &'m [ExpressionMark],
    name: &str,
) -> (Option<&'m ExpressionMark>, Option<&'m ExpressionMark>) {
    let whole = marks.iter().find(|mark| mark.path == name);
    let each = marks
        .iter()
        .find(|mark| mark.path.strip_suffix("/*") == Some(name));
    (whole, each)
}

/// The JSON pointer of a deferred parameter: `cases/x` is the key `x` of the parameter `cases`.
#[must_use]
pub fn deferred_pointer(path: &str) -> String {
    match path.split_once('/') {
        Some((name, key)) => child(&child("", name), key),
        None => child("", path),
    }
}

/// A parameter whose text is an expression without braces.
enum Bare {
    Deferred(Program),
    Resolved(ParamProgram),
}

/// Compiles a parameter whose text is an expression, with or without braces around it. What is no
/// text keeps its value: `condition: true` is as good as `condition: "true"`.
fn bare(
    value: &ParamValue,
    pointer: &str,
    (mark, scope): (&ExpressionMark, &CompileScope<'_>),
    problems: &mut Vec<ExpressionProblem>,
) -> Option<Bare> {
    let (source, offset) = match value {
        ParamValue::Literal(Value::String(text)) => {
            (text.trim().to_owned(), text.len() - text.trim_start().len())
        }
        ParamValue::Expression(segment) => (segment.source.clone(), segment.offset),
        ParamValue::Literal(other @ (Value::Bool(_) | Value::Number(_) | Value::Null)) => {
            (other.to_string(), 0)
        }
        _ => return Some(Bare::Resolved(compile(value, pointer, scope, problems))),
    };
    match compile_expression(&source, offset, pointer, scope) {
        Ok(program) if mark.deferred => Some(Bare::Deferred(program)),
        Ok(program) => Some(Bare::Resolved(ParamProgram::Expression(program))),
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

/// The entries of an object; `None` of everything else.
fn entries(value: &ParamValue) -> Option<Vec<(&str, ParamValue)>> {
    match value {
        ParamValue::Literal(Value::Object(map)) => Some(
            map.iter()
                .map(|(key, value)| (key.as_str(), ParamValue::Literal(value.clone())))
                .collect(),
        ),
        ParamValue::Object(map) => {
            let entries = map.iter();
            Some(
                entries
                    .map(|(key, value)| (key.as_str(), value.clone()))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn undefined(pointer: Pointer<'_>, program: &ParamProgram) -> ResolveError {
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
    ResolveError::new(pointer, error)
}
