//! A program that is evaluated again and again.

use bumpalo::Bump;
use serde_json::Value;

use crate::{Context, ExpressionError, Program, Scope};

/// Evaluates one program many times; the arena's memory is kept between evaluations.
///
/// A list action uses this for a program over `$item`.
#[derive(Debug)]
pub struct Evaluator<'p> {
    program: &'p Program,
    arena: Bump,
}

impl<'p> Evaluator<'p> {
    /// An evaluator of `program`.
    #[must_use]
    pub fn new(program: &'p Program) -> Self {
        Self {
            program,
            arena: Bump::new(),
        }
    }

    /// As [`Program::evaluate`].
    ///
    /// # Errors
    /// As [`Program::evaluate`].
    pub fn evaluate(
        &mut self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<Option<Value>, ExpressionError> {
        if let Some(value) = self.program.follow(scope) {
            return Ok(Some(value.clone()));
        }
        self.arena.reset();
        self.program.evaluate_in(&self.arena, scope, context)
    }

    /// As [`Program::evaluate_condition`].
    ///
    /// # Errors
    /// As [`Program::evaluate_condition`].
    pub fn evaluate_condition(
        &mut self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<bool, ExpressionError> {
        self.arena.reset();
        self.program.condition_in(&self.arena, scope, context)
    }
}
