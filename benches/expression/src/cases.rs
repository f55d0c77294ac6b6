//! What is evaluated: twelve expressions over one document of 2 KB, and our way to do it.

use nebula_expression::{CompileOptions, ListOf, LongList, NodeView, Program, Root, Scope};
use serde_json::Value;

use crate::floor;

/// The document that every expression sees as `$json`.
///
/// # Panics
/// Never: the document is part of this package.
#[must_use]
pub fn document() -> Value {
    serde_json::from_str(include_str!("../data/document.json")).expect("the document is JSON")
}

/// One expression.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its place in the lists of all sides.
    pub index: usize,
    /// Its text in our language.
    pub source: String,
    /// The same by hand.
    pub floor: fn(&Value) -> Value,
}

/// Every expression, in the order of the tables.
///
/// # Panics
/// Never: the expressions are part of this package.
#[must_use]
pub fn all() -> Vec<Case> {
    let sources: Vec<String> =
        serde_json::from_str(include_str!("../data/expressions.json")).expect("a list of texts");
    assert_eq!(
        sources.len(),
        floor::ALL.len(),
        "every expression has its floor"
    );
    let cases = sources.into_iter().zip(floor::ALL).enumerate();
    cases
        .map(|(index, (source, floor))| Case {
            index,
            source,
            floor,
        })
        .collect()
}

impl Case {
    /// Whether it is nothing but a path, so that it can give the document's own value.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.source
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '$' | '.' | '[' | ']'))
    }

    /// The start of its text.
    #[must_use]
    pub fn short(&self) -> String {
        const SHOWN: usize = 60;
        match self.source.char_indices().nth(SHOWN) {
            Some((at, _)) => format!("{}…", &self.source[..at]),
            None => self.source.clone(),
        }
    }
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

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }
}

#[cfg(test)]
mod tests {
    use nebula_expression::Context;

    use super::*;

    #[test]
    fn every_expression_gives_what_its_floor_gives() {
        let (document, context) = (document(), Context::default());
        for case in all() {
            let ours = compile(&case.source).evaluate(&Json(&document), &context);
            assert_eq!(
                ours.unwrap(),
                Some((case.floor)(&document)),
                "{}",
                case.source
            );
        }
    }

    #[test]
    fn two_of_the_expressions_are_paths() {
        assert_eq!(all().iter().filter(|case| case.is_path()).count(), 2);
    }
}
