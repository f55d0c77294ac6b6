//! A program of any text, and where its errors lie.

use nebula_expression::{CompileOptions, ExpressionError, Mode, Program};

pub(crate) const MODES: [Mode; 2] = [Mode::Strict, Mode::Lenient];

pub(crate) fn compile(source: &str, mode: Mode) -> Result<Program, Vec<ExpressionError>> {
    let options = CompileOptions {
        mode,
        ..CompileOptions::default()
    };
    Program::compile(source, &options)
}

/// An error has a code, a message and a place in the text.
pub(crate) fn placed(source: &str, error: &ExpressionError) {
    assert!(
        source.get(error.start..error.end).is_some(),
        "{source}: {error:?}"
    );
    assert!(
        !error.message.is_empty() && error.code.contains('_'),
        "{error:?}"
    );
    assert_ne!(error.code, "TYPE_INTERNAL", "{source}");
}
