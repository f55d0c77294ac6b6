//! `nebula workflows`: versions, and which of them is published.

mod changes;
mod diff;
mod folder;

use std::path::Path;

use http::Method;
use nebula_core::{ProjectId, WorkflowId};
use nebula_ports::{Published, Saved, WorkflowFilter, WorkflowSummary, WorkflowVersions};
use nebula_workflow::{Source, WorkflowDefinition};
use serde_json::{Value, json};

use crate::{
    arguments::Workflows,
    compose,
    console::Console,
    definition,
    failure::{Exit, Failure},
    reach::Listed,
    server::Ask,
    session::Session,
    settings::{Loaded, Place},
    table::table,
    version::{self, VersionWanted, Which},
};

/// How many hex digits of a digest people get.
const DIGEST_SHOWN: usize = 12;

/// Runs `nebula workflows`.
pub(crate) async fn run(
    command: &Workflows,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Workflows::List {
            search,
            archived,
            limit,
            ..
        } => {
            let filter = WorkflowFilter {
                search: search.clone(),
                archived: *archived,
                projects: None,
            };
            list(loaded, &filter, usize::from(*limit), console).await
        }
        Workflows::Versions { id, limit, .. } => {
            let id = whole(id, "versions")?;
            versions(loaded, &id, usize::from(*limit), console).await
        }
        Workflows::Archive { id, .. } => {
            archive(loaded, &whole(id, "archive")?, true, console).await
        }
        Workflows::Unarchive { id, .. } => {
            archive(loaded, &whole(id, "unarchive")?, false, console).await
        }
        Workflows::Move { id, project, .. } => {
            relocate(loaded, id, project.as_ref(), console).await
        }
        Workflows::Push {
            file, publish, yes, ..
        } if file.is_dir() => {
            let how = folder::How {
                publish: *publish,
                yes: *yes,
            };
            folder::push(file, how, loaded, console).await
        }
        Workflows::Push {
            file,
            expect,
            publish,
            ..
        } => push(file, *expect, *publish, loaded, console).await,
        Workflows::Pull {
            which,
            published,
            yes,
            ..
        } if folder::is_meant(which) => {
            let how = folder::How {
                publish: *published,
                yes: *yes,
            };
            folder::pull(Path::new(which), how, loaded, console).await
        }
        Workflows::Pull { which, .. } => {
            let wanted = VersionWanted::parse(which)?;
            let session = version::open(loaded, &wanted.id).await?;
            let (_, stored) = wanted.find(&session, |workflow| workflow.latest).await?;
            console.line(&format!("{:#}", stored.definition))?;
            Ok(Exit::Completed)
        }
        Workflows::Publish { which, expect, .. } => {
            publish(&VersionWanted::parse(which)?, *expect, loaded, console).await
        }
        Workflows::Diff { old, new, .. } => diff::run([old, new], loaded, console).await,
    }
}

/// A workflow, where one version of it has no meaning.
fn whole(id: &str, command: &str) -> Result<WorkflowId, Failure> {
    let wanted = VersionWanted::parse(id)?;
    if wanted.which == Which::Any {
        return Ok(wanted.id);
    }
    let message = format!("`{id}` names a version, and `{command}` is about a workflow");
    Err(Failure::invalid("USAGE", message)
        .advice(format!("write: nebula workflows {command} {}", wanted.id)))
}

/// JSON: `{ "workflow", "archived" }`.
async fn archive(
    loaded: &Loaded,
    id: &WorkflowId,
    archived: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let session = version::open(loaded, id).await?;
    if !session.reach.archive(id, archived).await? {
        return Err(version::unknown(id, &session.place));
    }
    if console.json {
        console.document(&json!({ "workflow": id, "archived": archived }))?;
    } else if archived {
        console.line(&format!(
            "{id} is archived: executions of it go on, and none is started"
        ))?;
    } else {
        console.line(&format!("{id} is in use again"))?;
    }
    Ok(Exit::Completed)
}

/// JSON: `{ "workflows": [{ "workflow", "name", "draft", "published", "revision", "archived" }], "more" }`, by id.
async fn list(
    loaded: &Loaded,
    filter: &WorkflowFilter,
    limit: usize,
    console: &Console,
) -> Result<Exit, Failure> {
    let Listed { items: found, more } = match Session::open_existing(loaded).await? {
        None => Listed::default(),
        Some(session) => session.reach.workflows(filter, limit).await?,
    };
    if console.json {
        let list: Vec<_> = found.iter().map(summary_json).collect();
        console.document(&json!({ "workflows": list, "more": more }))?;
        return Ok(Exit::Completed);
    }
    if found.is_empty() {
        console.note("no workflows");
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = found
        .iter()
        .map(|workflow| {
            vec![
                workflow.id.to_string(),
                workflow.latest.to_string(),
                published(workflow),
                workflow.revision.to_string(),
                match workflow.archived {
                    true => format!("{} (archived)", workflow.name),
                    false => workflow.name.clone(),
                },
            ]
        })
        .collect();
    let head = ["WORKFLOW", "DRAFT", "PUBLISHED", "REVISION", "NAME"];
    console.line(&table(&head, &rows))?;
    if more {
        console.note("there are more: raise --limit, or filter with --search");
    }
    Ok(Exit::Completed)
}

fn summary_json(workflow: &WorkflowSummary) -> Value {
    json!({
        "workflow": workflow.id,
        "name": workflow.name,
        "draft": workflow.latest,
        "published": workflow.published,
        "revision": workflow.revision,
        "archived": workflow.archived,
    })
}

fn published(workflow: &WorkflowSummary) -> String {
    let published = workflow.published;
    published.map_or_else(|| "-".to_owned(), |version| version.to_string())
}

/// JSON: that of the workflow, with `"versions": [{ "version", "digest", "saved_at" }], "more"`.
async fn versions(
    loaded: &Loaded,
    id: &WorkflowId,
    limit: usize,
    console: &Console,
) -> Result<Exit, Failure> {
    let session = version::open(loaded, id).await?;
    let WorkflowVersions {
        workflow,
        versions,
        next,
    } = version::versions(&session, id, limit).await?;
    if console.json {
        let list: Vec<_> = versions
            .iter()
            .map(|version| {
                json!({
                    "version": version.version,
                    "digest": version.digest,
                    "saved_at": version.saved_at.to_string(),
                })
            })
            .collect();
        let mut document = summary_json(&workflow);
        document["versions"] = Value::from(list);
        document["more"] = next.is_some().into();
        console.document(&document)?;
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = versions
        .iter()
        .map(|version| {
            let number = version.version;
            let mut marks = Vec::new();
            if number == workflow.latest {
                marks.push("draft");
            }
            if Some(number) == workflow.published {
                marks.push("published");
            }
            let digest = version.digest.to_string();
            vec![
                number.to_string(),
                version.saved_at.to_string(),
                digest.chars().take(DIGEST_SHOWN).collect(),
                marks.join(", "),
            ]
        })
        .collect();
    console.line(&table(&["VERSION", "SAVED", "DIGEST", "STANDS FOR"], &rows))?;
    console.note(&format!("{id} has revision {}", workflow.revision));
    Ok(Exit::Completed)
}

/// JSON: `{ "workflow", "version", "revision", "new" }`; `new` is false where the version was there.
async fn push(
    file: &Path,
    expect: Option<u64>,
    publish: bool,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let (source, definition) = definition::to_save(file, loaded, console).await?;
    let session = Session::open(loaded).await?;
    let pushed = save(&session, (&source, &definition), expect, publish).await?;
    let (id, version, new) = (&definition.id, pushed.version, pushed.new);
    if console.json {
        let document =
            json!({ "workflow": id, "version": version, "revision": pushed.revision, "new": new });
        console.document(&document)?;
    } else {
        let what = if new { "saved as" } else { "is there already:" };
        let published = if publish { ", published" } else { "" };
        console.line(&format!(
            "{} {what} {id}@{version}{published}",
            file.display()
        ))?;
    }
    Ok(Exit::Completed)
}

/// What became of a definition that was saved.
struct Pushed {
    version: u32,
    revision: u64,
    /// Whether no version said the same before.
    new: bool,
}

/// Saves a definition, and publishes it if that is wanted.
async fn save(
    session: &Session,
    (source, definition): (&Source, &WorkflowDefinition),
    expect: Option<u64>,
    publish: bool,
) -> Result<Pushed, Failure> {
    let (reach, id) = (&session.reach, &definition.id);
    let (version, mut revision, new) = match reach.save(source, definition, expect).await? {
        Saved::New { version, revision } => (version, revision, true),
        Saved::Unchanged { version, revision } => (version, revision, false),
        Saved::Conflict { revision } => return Err(conflict(id, expect, revision)),
    };
    if publish {
        revision = match reach.publish(id, version, revision).await? {
            Published::Published { revision } => revision,
            Published::Conflict { revision: now } => {
                return Err(conflict(id, Some(revision), now));
            }
            Published::Unknown => return Err(version::unknown_version(id, version)),
        };
    }
    Ok(Pushed {
        version,
        revision,
        new,
    })
}

/// JSON: as `GET /api/v1/workflows/{workflow}` has it.
async fn relocate(
    loaded: &Loaded,
    id: &WorkflowId,
    project: Option<&ProjectId>,
    console: &Console,
) -> Result<Exit, Failure> {
    let Place::Server(url) = &loaded.place else {
        let message = "projects are those of a server, and none is named";
        return Err(Failure::invalid("NEEDS_SERVER", message).advice("name one: --server URL"));
    };
    let server = compose::server(loaded, url)?;
    let ask = Ask::new(Method::POST).at(["workflows", id.as_str(), "move"]);
    let moved: Value = server.get(ask.json(&json!({ "project": project }))).await?;
    match (console.json, project) {
        (true, _) => console.document(&moved)?,
        (false, Some(project)) => console.line(&format!("{id} belongs to {project}"))?,
        (false, None) => console.line(&format!("{id} belongs to no project"))?,
    }
    Ok(Exit::Completed)
}

/// JSON: `{ "workflow", "version", "revision" }`.
async fn publish(
    wanted: &VersionWanted,
    expect: Option<u64>,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let id = &wanted.id;
    if wanted.which == Which::Any {
        return Err(
            Failure::invalid("USAGE", format!("which version of `{id}`?"))
                .advice(format!("write {id}@3, or {id}@draft for the latest")),
        );
    }
    let session = version::open(loaded, id).await?;
    let (workflow, stored) = wanted.find(&session, |workflow| workflow.latest).await?;
    let expected = expect.unwrap_or(workflow.revision);
    let published = session.reach.publish(id, stored.version, expected);
    let revision = match published.await? {
        Published::Published { revision } => revision,
        Published::Conflict { revision } => return Err(conflict(id, Some(expected), revision)),
        Published::Unknown => return Err(version::unknown_version(id, stored.version)),
    };
    let version = stored.version;
    if console.json {
        let document = json!({ "workflow": id, "version": version, "revision": revision });
        console.document(&document)?;
    } else {
        console.line(&format!("{id}@{version} is published"))?;
    }
    Ok(Exit::Completed)
}

/// Somebody was faster.
fn conflict(id: &WorkflowId, expected: Option<u64>, revision: u64) -> Failure {
    let expected = expected.map_or_else(|| "another".to_owned(), |revision| revision.to_string());
    let message =
        format!("`{id}` has revision {revision}, not {expected}: it was saved or published since");
    Failure::invalid("WORKFLOW_CONFLICT", message).advice(format!(
        "look at it with `nebula workflows versions {id}` and `nebula workflows diff`, then use --expect {revision}"
    ))
}
