//! What the compiler found out about an expression.

use serde::{Deserialize, Serialize};

/// A value that an expression can start from; written with `$` in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    /// `$input`: the input of the execution.
    Input,
    /// `$inputs`: the live values on the node's inputs, by name.
    Inputs,
    /// `$json`: the node's only value, or the execution's input at a start node.
    Json,
    /// `$item`: the element of a `for_each` or of a list action.
    Item,
    /// `$index`: the position of `$item`, from 0.
    Index,
    /// `$loop`: index and last flag of the innermost loop.
    Loop,
    /// `$trigger`: what started the execution.
    Trigger,
    /// `$execution`: id and start time.
    Execution,
    /// `$workflow`: id, name and version.
    Workflow,
    /// `$vars`: what the operator declared visible.
    Vars,
}

impl Root {
    /// Every root, in the order of [`Ord`].
    pub const ALL: [Root; 10] = [
        Root::Input,
        Root::Inputs,
        Root::Json,
        Root::Item,
        Root::Index,
        Root::Loop,
        Root::Trigger,
        Root::Execution,
        Root::Workflow,
        Root::Vars,
    ];

    /// The name without `$`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Root::Input => "input",
            Root::Inputs => "inputs",
            Root::Json => "json",
            Root::Item => "item",
            Root::Index => "index",
            Root::Loop => "loop",
            Root::Trigger => "trigger",
            Root::Execution => "execution",
            Root::Workflow => "workflow",
            Root::Vars => "vars",
        }
    }

    /// The root of that name, without `$`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Root> {
        Root::ALL.into_iter().find(|root| root.name() == name)
    }
}

/// Whether the same data always gives the same result.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Purity {
    /// Depends on the data alone.
    #[default]
    Pure,
    /// Depends on the instance's time as well.
    Time,
    /// Depends on the instance's seed as well (and perhaps on its time).
    Random,
}

/// One place in the source that names a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeSpan {
    /// First byte of the node id.
    pub start: usize,
    /// The byte after the node id.
    pub end: usize,
    /// Written `$nodes.x?.`, so the node need not have run.
    pub optional: bool,
}

/// One node that an expression reads; its index in [`Report::nodes`] is the slot that
/// [`Scope::node`](crate::Scope::node) is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReference {
    /// The node's id.
    pub node: String,
    /// First byte of the id where it is first written.
    pub start: usize,
    /// The byte after the id where it is first written.
    pub end: usize,
    /// Every mention is written `$nodes.x?.`.
    pub optional: bool,
    /// Every mention, in the order of the source; renaming a node rewrites these.
    pub spans: Vec<NodeSpan>,
}

/// What an expression reads and what its result depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The roots, sorted and distinct. `$nodes`, `$now`, `$today` and `$random` are not roots:
    /// see [`nodes`](Report::nodes) and [`purity`](Report::purity).
    pub roots: Vec<Root>,
    /// The nodes, one entry per id, in the order of first mention.
    pub nodes: Vec<NodeReference>,
    /// The static part of every path from a root or node, sorted and distinct
    /// (`$json.items`, `$nodes.fetch.result.body`).
    pub paths: Vec<String>,
    /// What the result depends on beside the data.
    pub purity: Purity,
}

impl Report {
    /// Whether the result of a node that it names is read, rather than only how the node stands.
    ///
    /// ```
    /// # use nebula_expression::{CompileOptions, Program};
    /// # let report = |source| Program::compile(source, &CompileOptions::default()).unwrap().report().clone();
    /// assert!(report("$nodes.fetch.result.name").reads_result("fetch"));
    /// assert!(!report("$nodes.fetch.success").reads_result("fetch"));
    /// ```
    #[must_use]
    pub fn reads_result(&self, node: &str) -> bool {
        let mut known = false;
        for path in &self.paths {
            let field = path
                .strip_prefix("$nodes.")
                .and_then(|path| path.strip_prefix(node));
            let Some(field) = field else { continue };
            let ends = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
            if !ends(field) {
                // Another node, whose id begins with this one's.
                continue;
            }
            known = true;
            if field.is_empty() || field.strip_prefix(".result").is_some_and(ends) {
                return true;
            }
        }
        // What is said of no path may read anything.
        !known && self.nodes.iter().any(|it| it.node == node)
    }
}
