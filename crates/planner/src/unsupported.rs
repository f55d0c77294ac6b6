//! Fields of the format that this version keeps and cannot run.

use nebula_workflow::Diagnostic;

use crate::{codes, flat::Flat};

/// Reports every use of them: a field that is silently ignored would be worse.
pub(crate) fn check(flat: &Flat<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let refuse = |pointer: String, what: &str, hint: &str| {
        let message = format!("{what} cannot be run by this version");
        Diagnostic::error(codes::UNSUPPORTED, pointer, message).hint(hint)
    };
    for (node, pointer) in flat.nodes.iter().zip(&flat.pointers) {
        let at = |field: &str| format!("{pointer}/{field}");
        let fields = [
            (
                node.cache.is_some(),
                "cache",
                "leave it out: the node then runs each time",
            ),
            (
                node.artifact.is_some(),
                "artifact",
                "leave it out: the result stays in the journal",
            ),
            (
                node.limits.is_some(),
                "limits",
                "use `timeout` and `concurrency`",
            ),
        ];
        for (used, field, hint) in fields {
            if used {
                diagnostics.push(refuse(at(field), &format!("`{field}`"), hint));
            }
        }
        if node.each_item && node.for_each.is_some() {
            diagnostics.push(refuse(
                at("each_item"),
                "`each_item` beside `for_each`",
                "keep one of them",
            ));
        }
    }
}
