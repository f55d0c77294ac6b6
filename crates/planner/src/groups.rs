//! Which workers executions are for.

use nebula_core::Group;
use nebula_workflow::{Diagnostic, pointer_join};

use crate::{build::Builder, codes};

impl Builder<'_> {
    /// The group that nodes name in `runs_on`. An execution is in one pair of hands at a time, and does
    /// not change them for a node: all that is said must be the same.
    pub(crate) fn runs_on(&mut self) -> Group {
        let mut found: Option<(Group, String)> = None;
        for (node, pointer) in self.flat.nodes.iter().zip(&self.flat.pointers) {
            for (index, text) in (0_usize..).zip(&node.runs_on) {
                let field = pointer_join(pointer, "runs_on");
                let at = match node.runs_on.len() {
                    1 => field,
                    _ => pointer_join(&field, &index.to_string()),
                };
                let problem = |message: String, hint: &str| {
                    Diagnostic::error(codes::RUNS_ON, at, message).hint(hint)
                };
                let group = match Group::new(text) {
                    Ok(group) => group,
                    Err(error) => {
                        let hint = "write a name that workers have as `pool.group`, such as gpu";
                        self.diagnostics.push(problem(error.to_string(), hint));
                        continue;
                    }
                };
                match &found {
                    None => found = Some((group, node.id.to_string())),
                    Some((first, of)) if *first != group => {
                        let message = format!(
                            "`{group}` of node `{}` is another group of workers than `{first}` of `{of}`, and an execution runs on those of one",
                            node.id
                        );
                        let hint = "name one group, and put what is for another one into a workflow that flow.call runs";
                        self.diagnostics.push(problem(message, hint));
                    }
                    Some(_) => {}
                }
            }
        }
        found.map(|(group, _)| group).unwrap_or_default()
    }
}
