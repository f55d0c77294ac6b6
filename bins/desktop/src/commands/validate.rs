//! `nebula validate`: every problem of every file; nothing runs.

use std::borrow::Cow;

use nebula_workflow::LocatedDiagnostic;
use serde::Serialize;

use crate::{
    arguments::Validate,
    compose,
    console::{Console, Paint},
    definition,
    failure::{Exit, Failure},
    settings::Loaded,
};

/// What programs read: `{ "valid": false, "files": [{ "file", "valid", "workflow", "error", "diagnostics" }] }`.
#[derive(Debug, Serialize)]
struct Document {
    valid: bool,
    files: Vec<FileDocument>,
}

#[derive(Debug, Serialize)]
struct FileDocument {
    file: String,
    valid: bool,
    workflow: Option<String>,
    /// Why it could not be used; null if it can.
    error: Option<FileError>,
    diagnostics: Vec<LocatedDiagnostic>,
}

#[derive(Debug, Serialize)]
struct FileError {
    code: Cow<'static, str>,
    message: String,
}

/// Runs `nebula validate`. The exit code is the highest of all files.
pub(crate) async fn run(
    arguments: &Validate,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let offline = compose::offline(loaded).await?;
    let mut exit = Exit::Completed;
    let mut files = Vec::new();
    for path in &arguments.files {
        let file = path.display().to_string();
        match definition::check(path, (offline.nebula.engine(), loaded), console).await {
            Ok(checked) => {
                if !checked.drawn.is_empty() {
                    console.note(&checked.drawn);
                }
                if !console.json {
                    let mark = console.out.paint(Paint::Green, "✓");
                    let nodes = definition::counted(checked.plan.nodes.len(), "node");
                    console.line(&format!(
                        "{mark} {file}  {} ({nodes})",
                        checked.plan.workflow
                    ))?;
                }
                files.push(FileDocument {
                    file,
                    valid: true,
                    workflow: Some(checked.plan.workflow.to_string()),
                    error: None,
                    diagnostics: checked.remarks,
                });
            }
            Err(failure) => {
                exit = exit.max(failure.exit);
                if !failure.drawn.is_empty() {
                    console.error_text(&failure.drawn);
                }
                if !console.json {
                    let mark = console.out.paint(Paint::Red, "✗");
                    console.line(&format!("{mark} {}", failure.message))?;
                } else if failure.drawn.is_empty() {
                    console.error_text(&failure.message);
                }
                files.push(FileDocument {
                    file,
                    valid: false,
                    workflow: None,
                    error: Some(FileError {
                        code: failure.code,
                        message: failure.message,
                    }),
                    diagnostics: failure.diagnostics.into_vec(),
                });
            }
        }
    }
    if console.json {
        let valid = exit == Exit::Completed;
        console.document(&Document { valid, files })?;
    }
    Ok(exit)
}
