//! `nebula workflows diff`: what differs between two definitions.

use std::path::Path;

use nebula_workflow::WorkflowDefinition;
use serde_json::{Value, json};

use super::changes;
use crate::{
    compose,
    console::Console,
    definition,
    failure::{Exit, Failure},
    settings::Loaded,
    version::{self, VersionWanted},
};

/// One of the two, with what it goes by.
struct Side {
    definition: WorkflowDefinition,
    name: String,
    document: Value,
}

/// JSON: `{ "same", "old": { "file" } or { "workflow", "version" }, "new", "diff" }`, where `diff` is
/// that of [`nebula_workflow::WorkflowDiff`].
pub(super) async fn run(
    sides: [&String; 2],
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let offline = compose::offline(loaded).await?;
    let [old, new] = sides;
    let old = side(old, loaded, console).await?;
    let new = side(new, loaded, console).await?;
    let engine = offline.nebula.engine();
    let diff = engine.differences(&old.definition, &new.definition);
    if console.json {
        console.document(&json!({
            "same": diff.is_empty(),
            "old": old.document,
            "new": new.document,
            "diff": diff,
        }))?;
    } else if diff.is_empty() {
        console.line(&format!("{} and {} say the same", old.name, new.name))?;
    } else {
        console.line(&changes::text(&diff, [&old.name, &new.name], console.out))?;
    }
    Ok(Exit::Completed)
}

/// Reads a file, or a version from the database, which is opened only for one.
async fn side(text: &str, loaded: &Loaded, console: &Console) -> Result<Side, Failure> {
    let path = Path::new(text);
    if definition::names_a_file(path) {
        return Ok(Side {
            definition: definition::parsed(path, console)?.1,
            name: text.to_owned(),
            document: json!({ "file": text }),
        });
    }
    let wanted = VersionWanted::parse(text)?;
    let session = version::open(loaded, &wanted.id).await?;
    let (_, stored) = wanted.find(&session, |workflow| workflow.latest).await?;
    let (id, version) = (&stored.id, stored.version);
    let definition = WorkflowDefinition::from_json(&stored.definition).map_err(|problems| {
        let first = problems
            .first()
            .map_or("", |problem| problem.message.as_str());
        let message = format!("{id}@{version} cannot be read by this build: {first}");
        Failure::environment("STORE_FORMAT", message)
    })?;
    Ok(Side {
        definition,
        name: format!("{id}@{version}"),
        document: json!({ "workflow": id, "version": version }),
    })
}
