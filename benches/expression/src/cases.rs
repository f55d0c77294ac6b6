//! What is evaluated: twelve expressions over one document of 2 KB, and our way to do it.

use nebula_expression::{CompileOptions, NodeView, Program, Root, Scope};
use serde_json::Value;

/// The document that every expression sees as `$json`.
///
/// # Panics
/// Never: the document is part of this package.
#[must_use]
pub fn document() -> Value {
    serde_json::from_str(include_str!("../data/document.json")).expect("the document is JSON")
}

/// The expressions, in the order of the tables.
///
/// # Panics
/// Never: the expressions are part of this package.
#[must_use]
pub fn sources() -> Vec<String> {
    serde_json::from_str(include_str!("../data/expressions.json")).expect("a list of texts")
}

/// Whether an expression is nothing but a path, so that it can give the document's own value.
#[must_use]
pub fn is_path(source: &str) -> bool {
    source
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '$' | '.' | '[' | ']'))
}

/// Compiles an expression as a plan does.
///
/// # Panics
/// When the expression is wrong.
#[must_use]
pub fn compile(source: &str) -> Program {
    Program::compile(source, &CompileOptions::default()).expect("the expressions compile")
}

/// A scope that knows `$json`, which it holds as the engine does: by reference.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a>(pub &'a Value);

impl Scope for Json<'_> {
    fn root(&self, root: Root) -> Option<&Value> {
        matches!(root, Root::Json).then_some(self.0)
    }

    fn node(&self, _slot: usize, _id: &str) -> Option<NodeView<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use nebula_expression::Context;

    use super::*;
    use crate::floor;

    #[test]
    fn every_expression_gives_what_its_floor_gives() {
        let (document, context) = (document(), Context::default());
        assert_eq!(sources().len(), floor::ALL.len());
        for (source, floor) in sources().iter().zip(floor::ALL) {
            let ours = compile(source).evaluate(&Json(&document), &context);
            assert_eq!(ours.unwrap(), Some(floor(&document)), "{source}");
        }
    }

    #[test]
    fn two_of_the_expressions_are_paths() {
        let paths = sources().iter().filter(|source| is_path(source)).count();
        assert_eq!(paths, 2);
    }
}
