//! What a workflow may touch: what it asks for, and who granted it.

use std::path::{Path, PathBuf};

use nebula_action::{Access, Capability, Grants, Protected};
use nebula_core::WorkflowId;
use nebula_execution::{ExecutionPlan, Request};
use nebula_workflow::{Diagnostic, LocatedDiagnostic};

use crate::{
    console::{Console, Paint},
    failure::Failure,
    remembered, shell,
};

/// How the user granted on the command line.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// `--grant`, as written.
    pub(crate) listed: &'a [String],
    /// `--grant-requested`.
    pub(crate) requested: bool,
}

/// Problems with their places, for programs, and drawn, for people.
type Placed = (Vec<LocatedDiagnostic>, String);

/// Which workflow asks.
pub(crate) struct Asker<'a> {
    pub(crate) workflow: &'a WorkflowId,
    pub(crate) plan: &'a ExecutionPlan,
    pub(crate) requests: &'a [Request],
    /// The file that it came from, absolute; `None` for an installed workflow, whose grants are
    /// not remembered.
    pub(crate) file: Option<&'a Path>,
    /// The user's config folder.
    pub(crate) config: &'a Path,
    /// What no grant opens.
    pub(crate) protected: &'a Protected,
    /// Draws a problem on the source, where there is one.
    pub(crate) place: &'a dyn Fn(&[Diagnostic]) -> Placed,
}

/// The grants of a start; asks on a terminal for what is missing, and refuses otherwise.
pub(crate) fn settle(
    asker: &Asker<'_>,
    given: &Given<'_>,
    console: &Console,
) -> Result<Grants, Failure> {
    closed(asker)?;
    let mut held = listed(given.listed)?;
    if given.requested {
        held.extend(
            asker
                .requests
                .iter()
                .map(|request| request.capability.clone()),
        );
    }
    if let Some(file) = asker.file {
        let known = remembered::load(asker.config, file, asker.workflow)?;
        held.extend(known.iter().cloned());
    }
    let missing = missing(asker.requests, &Grants::new(held.iter().cloned()));
    if missing.is_empty() {
        return Ok(Grants::new(held));
    }
    if !console.asks {
        return Err(refused(asker, &missing));
    }
    let answer = console
        .ask(&question(asker, &missing, console))
        .to_lowercase();
    match answer.as_str() {
        "y" | "yes" => {}
        "a" | "always" => {
            if let Some(file) = asker.file {
                let path = remembered::add(asker.config, file, asker.workflow, &missing)?;
                console.note(&format!("remembered in {}", path.display()));
            }
        }
        _ => return Err(refused(asker, &missing)),
    }
    held.extend(missing);
    Ok(Grants::new(held))
}

/// Reads `--grant`; relative paths begin at the current folder.
fn listed(texts: &[String]) -> Result<Vec<Capability>, Failure> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let here = std::env::current_dir()
        .map_err(|error| Failure::file(&PathBuf::from("."), "find", &error))?;
    let read = |text: &String| {
        Capability::parse(text, &here)
            .map_err(|error| Failure::invalid("GRANT", format!("--grant: {error}")))
    };
    texts.iter().map(read).collect()
}

/// What is asked for and not held, each once.
fn missing(requests: &[Request], held: &Grants) -> Vec<Capability> {
    let asked = requests.iter().map(|request| &request.capability);
    let missing = Grants::new(asked.filter(|wanted| !held.allow(wanted)).cloned());
    missing.iter().cloned().collect()
}

/// Refuses what no grant would open, before anybody is asked to grant it.
fn closed(asker: &Asker<'_>) -> Result<(), Failure> {
    let found = asker
        .requests
        .iter()
        .find_map(|request| match &request.capability {
            Capability::File(_, path) if asker.protected.closes(path) => Some((request.node, path)),
            _ => None,
        });
    let Some((node, path)) = found else {
        return Ok(());
    };
    let node = &asker.plan.node(node).id;
    let message = format!(
        "node `{node}` asks for {}, which belongs to the engine or to version control; no grant opens it",
        path.display()
    );
    Err(Failure::invalid("PATH_PROTECTED", message).advice("let it use another path"))
}

/// The nodes that ask for what `capability` covers.
fn nodes(asker: &Asker<'_>, capability: &Capability) -> String {
    let mut ids: Vec<String> = asker
        .requests
        .iter()
        .filter(|request| request.capability == *capability)
        .map(|request| format!("`{}`", asker.plan.node(request.node).id))
        .collect();
    ids.dedup();
    let more = ids.len().saturating_sub(3);
    ids.truncate(3);
    let mut text = ids.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn refused(asker: &Asker<'_>, missing: &[Capability]) -> Failure {
    let problems: Vec<Diagnostic> = missing
        .iter()
        .map(|capability| problem(asker, capability))
        .collect();
    let (located, drawn) = (asker.place)(&problems);
    let message = format!(
        "workflow `{}` asks for {} that nobody granted; nothing was run",
        asker.workflow,
        match missing {
            [_] => "a capability".to_owned(),
            more => format!("{} capabilities", more.len()),
        },
    );
    let flags: String = missing
        .iter()
        .map(|capability| format!(" --grant {}", shell::quoted(&capability.to_string())))
        .collect();
    let advice = format!(
        "if you agree, run: {}; or grant everything that it asks for with --grant-requested",
        shell::again(&flags)
    );
    Failure::invalid("GRANTS_MISSING", message)
        .advice(advice)
        .diagnostics(located, drawn)
}

fn problem(asker: &Asker<'_>, capability: &Capability) -> Diagnostic {
    let node = asker
        .requests
        .iter()
        .find(|request| request.capability == *capability);
    let pointer = node.map_or_else(String::new, |request| format!("/nodes/{}", request.node));
    let message = format!(
        "{} may not {}: the capability `{capability}` is not granted",
        nodes(asker, capability),
        verb(capability),
    );
    Diagnostic::error("CAPABILITY_NOT_GRANTED", format!("{pointer}/id"), message).hint(format!(
        "--grant {}",
        shell::quoted(&capability.to_string())
    ))
}

fn verb(capability: &Capability) -> &'static str {
    match capability {
        Capability::File(Access::Read, _) => "read there",
        Capability::File(Access::Write, _) => "write there",
        Capability::Net { .. } => "connect there",
        Capability::Secret(_) => "use this secret",
        Capability::Process(_) => "start this program",
        Capability::Env(_) => "read this variable",
        Capability::Workflow(_) => "start this workflow",
        Capability::Llm(_) => "use this model",
        Capability::Blob => "keep blobs",
    }
}

fn question(asker: &Asker<'_>, missing: &[Capability], console: &Console) -> String {
    let mut text = format!(
        "{} asks for what it has not been granted:\n",
        console.err.paint(Paint::Bold, asker.workflow.as_str())
    );
    for capability in missing {
        let shown = console.err.paint(Paint::Yellow, capability.to_string());
        text.push_str(&format!("  {shown}  ({})\n", nodes(asker, capability)));
    }
    let choice = if asker.file.is_some() {
        "Grant it for this run? [y/N/always] "
    } else {
        "Grant it for this run? [y/N] "
    };
    text + choice
}
