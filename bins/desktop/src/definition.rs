//! From a file to a definition with its plan, or to every problem of it.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use nebula_engine::{Callees, Engine};
use nebula_execution::ExecutionPlan;
use nebula_ports::StoredWorkflow;
use nebula_runbook::parse;
use nebula_workflow::{
    Diagnostic, LocatedDiagnostic, MAX_DEFINITION_BYTES, Severity, Source, SourceMap,
    WorkflowDefinition, check_size, render,
};

use crate::{
    compose,
    console::Console,
    failure::Failure,
    session::Session,
    settings::{Loaded, Place},
};

/// A definition that can run.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) source: Source,
    pub(crate) map: SourceMap,
    pub(crate) definition: WorkflowDefinition,
    pub(crate) plan: ExecutionPlan,
    /// What is known of the workflows that it calls.
    pub(crate) callees: Callees,
    /// Warnings and lints, with their places.
    pub(crate) remarks: Vec<LocatedDiagnostic>,
    /// The same, drawn; empty if there are none.
    pub(crate) drawn: String,
    /// The file, absolute and without links.
    pub(crate) file: PathBuf,
    /// Where relative paths in parameters begin.
    pub(crate) folder: PathBuf,
}

/// Reads and parses a file; whether it can run is not asked.
pub(crate) fn parsed(
    path: &Path,
    console: &Console,
) -> Result<(Source, WorkflowDefinition), Failure> {
    let source = read(path, console)?;
    let parsed = parse(&source);
    match parsed.definition {
        Some(definition) => Ok((source, definition)),
        None => {
            let located = parsed.map.locate_all(&parsed.diagnostics, &source);
            let drawn = render(&parsed.diagnostics, &source, &parsed.map, console.err.0);
            Err(invalid(path, &parsed.diagnostics).diagnostics(located, drawn))
        }
    }
}

/// Reads a file that is to be saved. Whether it can run is asked here, or of the server that gets it.
pub(crate) async fn to_save(
    path: &Path,
    loaded: &Loaded,
    console: &Console,
) -> Result<(Source, WorkflowDefinition), Failure> {
    if matches!(loaded.place, Place::Server(_)) {
        return parsed(path, console);
    }
    let offline = compose::offline(loaded).await?;
    let checked = check(path, (offline.nebula.engine(), loaded), console).await?;
    if !checked.drawn.is_empty() {
        console.note(&checked.drawn);
    }
    Ok((checked.source, checked.definition))
}

/// Reads, parses and plans a file; nothing is stored. What it calls is looked up in the command's
/// database, if there is one.
pub(crate) async fn check(
    path: &Path,
    (engine, loaded): (&Engine, &Loaded),
    console: &Console,
) -> Result<Checked, Failure> {
    let source = read(path, console)?;
    let checked = check_source(source, path, (engine, loaded), console).await?;
    let file = path
        .canonicalize()
        .map_err(|error| Failure::file(path, "find", &error))?;
    Ok(Checked {
        folder: file.parent().unwrap_or(Path::new("/")).to_owned(),
        file,
        ..checked
    })
}

/// The same of a version that was saved; relative paths in it begin at the current folder.
pub(crate) async fn check_saved(
    stored: &StoredWorkflow,
    (engine, loaded): (&Engine, &Loaded),
    console: &Console,
) -> Result<Checked, Failure> {
    let name = format!("{}@{}", stored.id, stored.version);
    check_source(
        saved_source(stored),
        Path::new(&name),
        (engine, loaded),
        console,
    )
    .await
}

/// A version that was saved, as a file of it would be.
pub(crate) fn saved_source(stored: &StoredWorkflow) -> Source {
    Source::new(
        format!("{}.json", stored.id),
        format!("{:#}", stored.definition),
    )
}

async fn check_source(
    source: Source,
    path: &Path,
    (engine, loaded): (&Engine, &Loaded),
    console: &Console,
) -> Result<Checked, Failure> {
    let parsed = parse(&source);
    let mut diagnostics = parsed.diagnostics;
    let read = parsed.definition.as_ref().or(parsed.rest.as_ref());
    let callees = match read {
        Some(definition) => callees(definition, loaded).await?,
        None => Callees::default(),
    };
    if let Some(rest) = &parsed.rest {
        let more = engine.more_problems(rest, &callees, &diagnostics);
        diagnostics.extend(more);
    }
    let plan = parsed.definition.as_ref().and_then(|definition| {
        let planned = engine.check(definition, &callees);
        diagnostics.extend(planned.diagnostics);
        planned.plan
    });
    let located = parsed.map.locate_all(&diagnostics, &source);
    let drawn = if diagnostics.is_empty() {
        String::new()
    } else {
        render(&diagnostics, &source, &parsed.map, console.err.0)
    };
    let (Some(definition), Some(plan)) = (parsed.definition, plan) else {
        return Err(invalid(path, &diagnostics).diagnostics(located, drawn));
    };
    let folder = std::env::current_dir();
    let folder = folder.map_err(|error| Failure::file(Path::new("."), "find", &error))?;
    Ok(Checked {
        source,
        map: parsed.map,
        definition,
        plan,
        callees,
        remarks: located,
        drawn,
        file: path.to_owned(),
        folder,
    })
}

/// Looks up what a definition calls. A database that is not there yet knows nothing.
async fn callees(definition: &WorkflowDefinition, loaded: &Loaded) -> Result<Callees, Failure> {
    let there = loaded.place.path().is_some_and(|path| path.exists());
    if !there || nebula_planner::calls(definition).is_empty() {
        return Ok(Callees::default());
    }
    let session = Session::open(loaded).await?;
    let callees = session
        .here()?
        .nebula
        .engine()
        .callees(&session.tenant, definition);
    Ok(callees.await?)
}

/// The failure for a definition with these problems.
fn invalid(path: &Path, diagnostics: &[Diagnostic]) -> Failure {
    invalid_by(path, diagnostics.iter().map(|it| it.severity))
}

/// The failure for a definition with problems of these weights.
pub(crate) fn invalid_by(path: &Path, weights: impl Iterator<Item = Severity>) -> Failure {
    let (mut errors, mut rest) = (0, 0);
    for weight in weights {
        match weight {
            Severity::Error => errors += 1,
            Severity::Warning => rest += 1,
            Severity::Lint => {}
        }
    }
    let mut counts = counted(errors, "error");
    if rest > 0 {
        counts.push_str(" and ");
        counts.push_str(&counted(rest, "warning"));
    }
    let message = format!("{} has {counts}; nothing was run", path.display());
    Failure::invalid("DEFINITION_INVALID", message)
}

/// `1 error`, `3 errors`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Whether the user means a file, be it there or not.
pub(crate) fn names_a_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.components().count() > 1
        || extension
            .is_some_and(|e| ["yaml", "yml", "json"].contains(&e.to_ascii_lowercase().as_str()))
        || path.exists()
}

/// Reads a definition; one that is too large is refused by its length and never read.
pub(crate) fn read(path: &Path, console: &Console) -> Result<Source, Failure> {
    let unreadable = |error| Failure::file(path, "read", &error);
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let name = path.to_string_lossy();
    if metadata.is_dir() {
        let message = format!("cannot read {name}: it is a folder");
        return Err(Failure::environment("FILE_UNUSABLE", message)
            .advice("name the definition in it, such as workflow.yaml"));
    }
    let refuse = |problem: Diagnostic| {
        let source = Source::new(name.as_ref(), "");
        let map = parse(&source).map;
        let problems = [problem];
        let located = map.locate_all(&problems, &source);
        let drawn = render(&problems, &source, &map, console.err.0);
        invalid(path, &problems).diagnostics(located, drawn)
    };
    if let Some(problem) = check_size(metadata.len()) {
        return Err(refuse(problem));
    }
    // A pipe has no length beforehand, and a file may grow.
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_DEFINITION_BYTES as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    if let Some(problem) = check_size(bytes.len() as u64) {
        return Err(refuse(problem));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            let message =
                format!("{name} is not UTF-8: line {line} has a byte that is no character");
            Err(Failure::invalid("DEFINITION_NOT_UTF8", message)
                .advice("save the file as UTF-8 text"))
        }
    }
}
