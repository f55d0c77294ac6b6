//! Compiling and evaluating for the command line, and drawing what went wrong.

use std::sync::Arc;

use nebula_core::{Clock, Entropy as _};
use nebula_expression::{
    CompileOptions, Context, ExpressionError, JsonScope, Limits, Mode, Program,
};
use nebula_system::{SystemClock, SystemEntropy};
use nebula_workflow::{Diagnostic, Source, SourceMap, render};
use serde_json::Value;

/// What an expression is called where files have a name.
const NAME: &str = "expression";

/// The host's time and chance: an expression on the command line has no instance to take them from.
#[derive(Debug)]
pub(super) struct Host {
    clock: Arc<SystemClock>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
        }
    }
}

impl Host {
    /// The context of one evaluation that begins now.
    pub(super) fn context(&self) -> Context {
        let limits = Limits::default();
        let (clock, end) = (
            Arc::clone(&self.clock),
            self.clock.monotonic() + limits.wall,
        );
        Context {
            now_ms: self.clock.now().as_millis(),
            seed: SystemEntropy.next_u64(),
            limits,
            backstop: Some(Arc::new(move || clock.monotonic() >= end)),
            ..Context::default()
        }
    }
}

/// The value of an expression; `None` is undefined.
pub(super) fn evaluate(
    expression: &str,
    data: &Value,
    mode: Mode,
    host: &Host,
) -> Result<Option<Value>, Vec<ExpressionError>> {
    let program = compile(expression, mode)?;
    let evaluated = program.evaluate(&JsonScope(data), &host.context());
    evaluated.map_err(|error| vec![error])
}

/// The program of an expression, or all its mistakes.
pub(super) fn compile(expression: &str, mode: Mode) -> Result<Program, Vec<ExpressionError>> {
    let options = CompileOptions {
        mode,
        ..CompileOptions::default()
    };
    Program::compile(expression, &options)
}

/// The first of several mistakes.
pub(super) fn first(errors: Vec<ExpressionError>) -> ExpressionError {
    let mut errors = errors.into_iter();
    errors.next().expect("what has no value has an error")
}

/// The errors on the lines of the expression that they are about, as those of a definition.
pub(crate) fn drawn(expression: &str, errors: &[ExpressionError], colour: bool) -> String {
    let problem = |error: &ExpressionError| {
        let range = error.start..error.end;
        let problem = Diagnostic::error(error.code, "", error.message.clone()).range(range);
        match &error.hint {
            Some(hint) => problem.hint(hint.clone()),
            None => problem,
        }
    };
    let problems: Vec<Diagnostic> = errors.iter().map(problem).collect();
    let map = SourceMap::of_text(expression);
    render(&problems, &Source::new(NAME, expression), &map, colour)
}
