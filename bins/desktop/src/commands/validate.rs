//! `nebula validate`: every problem of every file; nothing runs.

use std::{borrow::Cow, path::Path};

use nebula_workflow::LocatedDiagnostic;
use serde::Serialize;

use crate::{
    arguments::Validate,
    compose::{self, Composed},
    console::{Console, Paint},
    definition,
    definition_there::check_there,
    failure::{Exit, Failure},
    server::{self, Server},
    settings::{Loaded, Place},
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

/// Who checks.
enum By {
    Here(Box<Composed>),
    Server(Server),
}

/// A file that can run.
struct Valid {
    workflow: String,
    nodes: usize,
    /// Warnings and lints, with their places.
    remarks: Vec<LocatedDiagnostic>,
    /// The same, drawn.
    drawn: String,
}

impl By {
    fn is_there(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    async fn check(
        &self,
        path: &Path,
        loaded: &Loaded,
        console: &Console,
    ) -> Result<Valid, Failure> {
        let (plan, remarks, drawn) = match self {
            Self::Here(offline) => {
                let engine = offline.nebula.engine();
                let checked = definition::check(path, (engine, loaded), console).await?;
                (checked.plan, checked.remarks, checked.drawn)
            }
            Self::Server(server) => {
                let source = definition::read(path, console)?;
                let checked = check_there(&source, path, server).await?;
                let drawn = server::drawn(&checked.remarks);
                (checked.plan, checked.remarks, drawn)
            }
        };
        Ok(Valid {
            workflow: plan.workflow.to_string(),
            nodes: plan.nodes.len(),
            remarks,
            drawn,
        })
    }
}

/// Runs `nebula validate`. The exit code is the highest of all files.
pub(crate) async fn run(
    arguments: &Validate,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let by = match &loaded.place {
        Place::Server(url) => By::Server(compose::server(loaded, url)?),
        _ => By::Here(Box::new(compose::offline(loaded).await?)),
    };
    let mut exit = Exit::Completed;
    let mut files = Vec::new();
    for path in &arguments.files {
        let file = path.display().to_string();
        match by.check(path, loaded, console).await {
            Ok(checked) => {
                if !checked.drawn.is_empty() {
                    console.note(&checked.drawn);
                }
                if !console.json {
                    let mark = console.out.paint(Paint::Green, "✓");
                    let nodes = definition::counted(checked.nodes, "node");
                    console.line(&format!("{mark} {file}  {} ({nodes})", checked.workflow))?;
                }
                files.push(FileDocument {
                    file,
                    valid: true,
                    workflow: Some(checked.workflow),
                    error: None,
                    diagnostics: checked.remarks,
                });
            }
            // It is not about this file, and the next would fare no better.
            Err(failure) if by.is_there() && failure.exit == Exit::Environment => {
                return Err(failure);
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
