//! Makes a disagreement small: parts of the expression are replaced as long as it stays.

use super::{
    oracle::{Answer, Node, ours},
    tree::Tree,
};
use serde_json::Value;

/// What a part may become.
const SIMPLE: &[&str] = &["undefined", "0", "''", "[]", "{}", "1", "'a'", "[0]"];

/// Attempts at most, so that a failing run ends soon.
const ATTEMPTS: usize = 3_000;

/// How the sides disagree; a smaller expression must do it in the same way.
fn kind(ours: &Answer, theirs: &Answer) -> (Option<String>, bool) {
    let code = match ours {
        Answer::Error(code) => Some(code.clone()),
        Answer::Value(_) => None,
    };
    (code, matches!(theirs, Answer::Value(_)))
}

/// The smallest expression that was found to disagree as `tree` does.
pub(crate) fn shrink(tree: Tree, node: &mut Node, document: &Value) -> Tree {
    let wanted = {
        let source = tree.text();
        kind(&ours(&source, document), &node.judge(&source))
    };
    let mut smallest = tree;
    let mut attempts = 0;
    let mut still = |tree: &Tree| {
        attempts += 1;
        let source = tree.text();
        let (ours, theirs) = (ours(&source, document), node.judge(&source));
        attempts <= ATTEMPTS && !ours.agrees_with(&theirs) && kind(&ours, &theirs) == wanted
    };
    'again: loop {
        let length = smallest.text().len();
        for number in 0..smallest.size() {
            let Some(part) = smallest.at(number) else {
                break;
            };
            let inner = part.children().cloned();
            let simple = SIMPLE.iter().map(|text| Tree::leaf(text));
            for new in simple.chain(inner).collect::<Vec<_>>() {
                let candidate = smallest.with(number, &new);
                if candidate.text().len() < length && still(&candidate) {
                    smallest = candidate;
                    continue 'again;
                }
            }
        }
        return smallest;
    }
}
