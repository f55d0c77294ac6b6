//! Makes a runbook into the workflow that does what it says.
//!
//! A runbook says what to do when something is wrong with a service: which alerts it answers, steps
//! one after the other, and who is told once it has failed too often. [`parse`] reads workflows and
//! runbooks alike, so that a runbook is a workflow wherever one is taken. Start reading at [`parse`];
//! then `runbook` reads, `step` knows the actions, `expression` gives names their meaning, and
//! `outcome` says what follows from how the steps ended.
//!
//! Does not know: which actions exist beside those it names, how anything runs, whether what it made
//! can run. The planner does, and its problems are drawn in the runbook's text.
//!
//! # Invariants
//! - The same text gives the same workflow.
//! - Nothing of a runbook is ignored: a field or a name that is not known is an error.
//! - One mistake is one diagnostic with its place, and there is a workflow exactly if none is an error.
//!
//! ```
//! use nebula_runbook::parse;
//! use nebula_workflow::Source;
//!
//! let text = r#"
//! name: restart-shop
//! trigger: { type: alert, condition: "service.health == 'unhealthy'" }
//! steps:
//!   - name: Look
//!     action: health_check
//!     params: { url: "http://127.0.0.1:8080/health", expected_status: 200 }
//!   - name: Tell
//!     action: notify
//!     condition: "{{ steps.look.failed }}"
//!     params: { channel: ops, message: "{{ service.name }} is down" }
//! "#;
//! let workflow = parse(&Source::new("shop.yaml", text)).definition.unwrap();
//! assert_eq!(workflow.id.as_str(), "restart-shop");
//! assert_eq!(workflow.nodes[1].parameters["event"].to_json(), "notify.ops");
//!
//! let wrong = parse(&Source::new("shop.yaml", text.replace("steps.look", "steps.lok")));
//! assert_eq!(wrong.diagnostics[0].code, "RUNBOOK_UNKNOWN_STEP");
//! assert_eq!(wrong.diagnostics[0].hint.as_deref(), Some("did you mean `look`?"));
//! ```

mod codes;
mod expression;
mod outcome;
mod reader;
mod runbook;
mod step;

use nebula_workflow::{Document, Parsed, Source};
use serde_json::Value;

pub use codes::codes;
pub use runbook::{DEFAULT_EVENT, MAX_STEPS};
pub use step::DEFAULT_DOCKER;

/// Reads a workflow or a runbook and reports every problem at once.
///
/// A runbook is an object that has `steps` and no `nodes`; everything else is read as a workflow.
#[must_use]
pub fn parse(source: &Source) -> Parsed {
    let document = Document::read(source);
    match document.value() {
        Some(Value::Object(fields)) if is_runbook(&fields) => {
            let translation = runbook::translate(&fields, source);
            document.translated(source, translation)
        }
        _ => document.decode(source),
    }
}

fn is_runbook(fields: &serde_json::Map<String, Value>) -> bool {
    fields.contains_key("steps") && !fields.contains_key("nodes")
}
