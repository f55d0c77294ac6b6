//! From what an author wrote to programs.

use std::{borrow::Cow, ops::Range};

use indexmap::IndexMap;
use nebula_core::{ParamValue, Segment};
use nebula_expression::{CompileOptions, ExpressionError, Limits, Mode, Program};
use serde_json::Value;

use crate::{ParamProgram, TextProgram};

/// What expressions are compiled against.
#[derive(Debug, Clone, Default)]
pub struct CompileScope<'a> {
    /// Strict or lenient.
    pub mode: Mode,
    /// Ids of all nodes, for "did you mean"; `None` accepts any.
    pub nodes: Option<&'a [&'a str]>,
    /// What an evaluation may cost.
    pub limits: Limits,
}

/// A problem of one expression, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpressionProblem {
    /// JSON pointer within the parameters.
    pub pointer: String,
    /// Bytes in the string at `pointer`.
    pub range: Range<usize>,
    /// What is wrong.
    pub error: ExpressionError,
}

/// Compiles one expression that stands at `offset` in the string at `pointer`.
///
/// # Errors
/// Every problem of it.
pub fn compile_expression(
    source: &str,
    offset: usize,
    pointer: &str,
    scope: &CompileScope<'_>,
) -> Result<Program, Vec<ExpressionProblem>> {
    let options = CompileOptions {
        mode: scope.mode,
        nodes: scope.nodes,
        limits: scope.limits.clone(),
    };
    Program::compile(source, &options).map_err(|errors| {
        let placed = errors.into_iter().map(|error| ExpressionProblem {
            pointer: pointer.to_owned(),
            range: offset + error.start..offset + error.end,
            error,
        });
        placed.collect()
    })
}

impl ParamProgram {
    /// Compiles a parameter; pointers in problems begin at it.
    ///
    /// # Errors
    /// Every problem of every expression, in reading order.
    pub fn compile(
        value: &ParamValue,
        scope: &CompileScope<'_>,
    ) -> Result<Self, Vec<ExpressionProblem>> {
        let mut problems = Vec::new();
        let program = compile(value, "", scope, &mut problems);
        if problems.is_empty() {
            Ok(program)
        } else {
            Err(problems)
        }
    }
}

/// Compiles `value`; a part with problems becomes null, and the problems say that it must not be used.
pub(crate) fn compile(
    value: &ParamValue,
    pointer: &str,
    scope: &CompileScope<'_>,
    problems: &mut Vec<ExpressionProblem>,
) -> ParamProgram {
    let mut one = |segment: &Segment, pointer: &str| match compile_expression(
        &segment.source,
        segment.offset,
        pointer,
        scope,
    ) {
        Ok(program) => Some(program),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    match value {
        ParamValue::Literal(value) => ParamProgram::Literal(value.clone()),
        ParamValue::Expression(segment) => one(segment, pointer)
            .map_or(ParamProgram::Literal(Value::Null), ParamProgram::Expression),
        ParamValue::Template(template) => {
            let programs = template
                .expressions
                .iter()
                .filter_map(|segment| one(segment, pointer))
                .collect();
            ParamProgram::Text(TextProgram {
                texts: template.texts.clone(),
                programs,
            })
        }
        ParamValue::Object(entries) => {
            let mut compiled = IndexMap::with_capacity(entries.len());
            for (key, value) in entries {
                let at = child(pointer, key);
                compiled.insert(key.clone(), compile(value, &at, scope, problems));
            }
            ParamProgram::Object(compiled)
        }
        ParamValue::Array(items) => {
            let items = items.iter().enumerate();
            let items = items
                .map(|(i, item)| compile(item, &child(pointer, &i.to_string()), scope, problems));
            ParamProgram::Array(items.collect())
        }
    }
}

/// `pointer` with one more key (RFC 6901).
pub(crate) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", escaped(key))
}

/// A key as a pointer has it.
pub(crate) fn escaped(key: &str) -> Cow<'_, str> {
    match key.contains(['~', '/']) {
        true => key.replace('~', "~0").replace('/', "~1").into(),
        false => key.into(),
    }
}
