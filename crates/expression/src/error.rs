//! What is wrong with an expression, and where.
//!
//! A message names types and sizes, never a value: errors end up in logs that more people read
//! than the data. The span is in bytes of the field's text, so a caller can draw it on the source.

use serde::Serialize;

use crate::Away;

/// The part of the work in which an error was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Reading the text: tokens and grammar.
    Syntax,
    /// Giving names, methods and functions their meaning.
    Resolve,
    /// Computing a value.
    Evaluate,
    /// Turning the value into JSON, text or a condition.
    Border,
}

/// One problem of one expression.
///
/// JSON: `{ "code", "phase", "message", "start", "end", "hint" }`; `hint` may be null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Stable code: `SYNTAX_…`, `UNSUPPORTED_…`, `NAME_…`, `PATH_…`, `TYPE_…`, `VALUE_…` or `LIMIT_…`.
    pub code: &'static str,
    /// Where in the work it was found.
    pub phase: Phase,
    /// What is wrong, in one lower-case sentence without a value.
    pub message: String,
    /// First byte of the place in the field's text.
    pub start: usize,
    /// The byte after the place.
    pub end: usize,
    /// What to write instead.
    pub hint: Option<String>,
}

/// An error of the evaluator on its way up; the first node that it passes gives it its place.
#[derive(Debug)]
pub(crate) struct Fault(Box<ExpressionError>);

/// The start of an error that has no place yet.
const NO_PLACE: usize = usize::MAX;

impl Fault {
    #[cold]
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(ExpressionError {
            code,
            phase: Phase::Evaluate,
            message: message.into(),
            start: NO_PLACE,
            end: NO_PLACE,
            hint: None,
        }))
    }

    #[cold]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Gives the error a place, unless a deeper node has done so.
    #[cold]
    pub(crate) fn at(mut self, (start, end): (u32, u32)) -> Self {
        if self.0.start == NO_PLACE {
            self.0.start = start as usize;
            self.0.end = end as usize;
        }
        self
    }

    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// A value is not at hand.
    #[cold]
    pub(crate) fn away(Away { code, message }: Away) -> Self {
        Self::new(code, message)
    }

    /// Whether `catch` sees it: a limit ends the evaluation, and so do a value that is away and a
    /// mistake of our own.
    pub(crate) fn can_be_caught(&self) -> bool {
        let code = self.0.code;
        !code.starts_with("LIMIT_") && !code.starts_with("VALUE_") && code != "TYPE_INTERNAL"
    }

    #[cold]
    pub(crate) fn at_border(mut self) -> Self {
        self.0.phase = Phase::Border;
        self
    }

    /// The public error; what still has no place is about the whole text.
    #[cold]
    pub(crate) fn finish(self, source_len: usize) -> ExpressionError {
        let mut error = *self.0;
        if error.start == NO_PLACE {
            error.start = 0;
            error.end = source_len;
        }
        error
    }
}
