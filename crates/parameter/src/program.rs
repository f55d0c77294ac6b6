//! A compiled parameter, and what becomes of it in an attempt.

use indexmap::IndexMap;
use nebula_expression::{Context, ExpressionError, Mode, Program, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{compile::child, pointer::Pointer};

/// A compiled parameter. JSON shape: `{ "literal": … }`, `{ "expression": { source, mode } }`,
/// `{ "text": { texts, programs } }`, `{ "object": { … } }`, `{ "array": [ … ] }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamProgram {
    /// A value without expressions.
    Literal(Value),
    /// A value that keeps its type.
    Expression(Program),
    /// A string with expressions inside.
    Text(TextProgram),
    /// An object of which some value is dynamic.
    Object(IndexMap<String, ParamProgram>),
    /// An array of which some element is dynamic.
    Array(Vec<ParamProgram>),
}

/// A string with expressions inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextProgram {
    /// Literal texts around the expressions; one more than there are expressions.
    pub texts: Vec<String>,
    /// The expressions, in order.
    pub programs: Vec<Program>,
}

/// One expression of a parameter, with its place.
#[derive(Debug, Clone)]
pub struct Use<'a> {
    /// JSON pointer within the parameter.
    pub pointer: String,
    /// The expression.
    pub program: &'a Program,
}

/// Why a parameter has no value in this attempt.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{}{}", place(pointer), error.message, hint(error))]
pub struct ResolveError {
    /// JSON pointer within the parameters.
    pub pointer: String,
    /// What is wrong.
    pub error: ExpressionError,
}

impl ResolveError {
    pub(crate) fn new(pointer: Pointer<'_>, error: ExpressionError) -> Self {
        Self {
            pointer: pointer.to_string(),
            error,
        }
    }
}

fn place(pointer: &str) -> String {
    match pointer {
        "" => String::new(),
        pointer => format!("`{pointer}`: "),
    }
}

fn hint(error: &ExpressionError) -> String {
    error
        .hint
        .as_ref()
        .map(|hint| format!(" ({hint})"))
        .unwrap_or_default()
}

impl ParamProgram {
    /// The parameter's value; `None` where the whole of it is undefined.
    ///
    /// # Errors
    /// The first expression that has no value.
    pub fn resolve(
        &self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<Option<Value>, ResolveError> {
        self.resolve_at(Pointer::Whole, scope, context)
    }

    pub(crate) fn resolve_at(
        &self,
        pointer: Pointer<'_>,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<Option<Value>, ResolveError> {
        let placed = |error| ResolveError::new(pointer, error);
        match self {
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Expression(program) => program.evaluate(scope, context).map_err(placed),
            Self::Text(text) => {
                let mut whole = text.texts[0].clone();
                for (program, after) in text.programs.iter().zip(&text.texts[1..]) {
                    whole.push_str(&program.evaluate_text(scope, context).map_err(placed)?);
                    whole.push_str(after);
                }
                Ok(Some(Value::String(whole)))
            }
            Self::Object(entries) => {
                let mut object = Map::with_capacity(entries.len());
                for (key, program) in entries {
                    let at = Pointer::Key(&pointer, key);
                    if let Some(value) = program.resolve_at(at, scope, context)? {
                        object.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(object)))
            }
            Self::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for (i, program) in items.iter().enumerate() {
                    let value = program.resolve_at(Pointer::Index(&pointer, i), scope, context)?;
                    array.push(value.unwrap_or(Value::Null));
                }
                Ok(Some(Value::Array(array)))
            }
        }
    }

    /// The value, if no expression is in it.
    #[must_use]
    pub fn as_literal(&self) -> Option<&Value> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// Whether undefined is an error here: in strict mode, a parameter that is one expression.
    pub(crate) fn is_strict(&self) -> bool {
        matches!(self, Self::Expression(program) if program.mode() == Mode::Strict)
    }

    /// Calls `found` for every expression inside.
    pub fn each_use<'a>(&'a self, pointer: &str, found: &mut impl FnMut(Use<'a>)) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(program) => found(Use {
                pointer: pointer.to_owned(),
                program,
            }),
            Self::Text(text) => {
                for program in &text.programs {
                    found(Use {
                        pointer: pointer.to_owned(),
                        program,
                    });
                }
            }
            Self::Object(entries) => {
                for (key, program) in entries {
                    program.each_use(&child(pointer, key), found);
                }
            }
            Self::Array(items) => {
                for (i, program) in items.iter().enumerate() {
                    program.each_use(&child(pointer, &i.to_string()), found);
                }
            }
        }
    }
}
