//! `nebula workflows push DIR` and `pull DIR`: a folder of definitions, compared before anything changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use nebula_core::WorkflowId;
use nebula_planner::{calls, pin_calls_to};
use nebula_ports::{StoredWorkflow, WorkflowFilter, WorkflowSummary};
use nebula_workflow::{Source, WorkflowDefinition};
use serde_json::{Value, json};

use super::{changes, save};
use crate::{
    compose::{self, Composed},
    console::{Console, Paint},
    definition::{self, counted},
    failure::{Exit, Failure},
    replace::replace,
    session::Session,
    settings::Loaded,
};

/// The most definitions of a folder.
const MAX_FILES: usize = 1_000;
/// How many folders deep definitions are looked for.
const MAX_DEPTH: usize = 8;

/// How a folder is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Publish what is pushed, or pull what is published.
    pub(super) publish: bool,
    /// Ask nothing.
    pub(super) yes: bool,
}

/// Whether a word means a folder, and no workflow.
pub(super) fn is_meant(text: &str) -> bool {
    let path = Path::new(text);
    path.is_dir() || path.components().count() > 1 || text.ends_with('/') || text == "."
}

/// A definition of the folder.
struct Local {
    file: PathBuf,
    source: Source,
    definition: WorkflowDefinition,
}

/// Every definition below a folder, by id.
fn read(folder: &Path, console: &Console) -> Result<BTreeMap<WorkflowId, Local>, Failure> {
    let mut files = Vec::new();
    collect(folder, 0, &mut files)?;
    let mut all = BTreeMap::<WorkflowId, Local>::new();
    for file in files {
        let (source, definition) = definition::parsed(&file, console)?;
        let id = definition.id.clone();
        if let Some(other) = all.get(&id) {
            let (one, two) = (other.file.display(), file.display());
            let message = format!("{one} and {two} are both of the workflow `{id}`");
            return Err(Failure::invalid("SAME_WORKFLOW", message)
                .advice("give one of them another `id`, or take it out of the folder"));
        }
        let local = Local {
            file,
            source,
            definition,
        };
        all.insert(id, local);
    }
    Ok(all)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::file(folder, "read", &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() && depth < MAX_DEPTH {
            collect(&path, depth + 1, files)?;
        } else if kind.is_file() && is_definition(&path) {
            if files.len() == MAX_FILES {
                let message = format!("there are more than {MAX_FILES} definitions in the folder");
                return Err(Failure::invalid("TOO_MANY_FILES", message)
                    .advice("take its folders one by one"));
            }
            files.push(path);
        }
    }
    Ok(())
}

fn is_definition(path: &Path) -> bool {
    let extension = path.extension().and_then(|it| it.to_str());
    extension.is_some_and(|it| ["yaml", "yml", "json"].contains(&it.to_ascii_lowercase().as_str()))
}

/// What is to be done about one workflow.
struct Change {
    id: WorkflowId,
    file: PathBuf,
    /// What there was: of a push the saved version, of a pull the file.
    before: Option<String>,
    /// What differs, for people; empty where there was nothing.
    text: String,
}

impl Change {
    fn document(&self) -> Value {
        json!({
            "workflow": self.id,
            "file": self.file,
            "change": if self.before.is_some() { "change" } else { "new" },
        })
    }
}

/// Shows what would change, and asks whether it shall; false if not.
fn agreed(
    changes: &[Change],
    same: usize,
    what: &str,
    how: How,
    console: &Console,
) -> Result<bool, Failure> {
    for change in changes {
        let (id, file) = (&change.id, change.file.display());
        let line = match &change.before {
            None => console
                .err
                .paint(Paint::Green, format!("+ {id}  new  {file}")),
            Some(before) => {
                let line = format!("~ {id}  {before}  {file}");
                console.err.paint(Paint::Yellow, line)
            }
        };
        console.note(&line);
        for line in change.text.lines() {
            console.note(&format!("    {line}"));
        }
    }
    if same > 0 {
        console.note(&format!("= {} as before", counted(same, "workflow")));
    }
    if changes.is_empty() {
        console.note("nothing is to be done");
        return Ok(true);
    }
    if how.yes {
        return Ok(true);
    }
    let count = counted(changes.len(), "workflow");
    if console.asks {
        let answer = console.ask(&format!("{what} {count}? [y/N] "));
        return Ok(matches!(answer.as_str(), "y" | "Y" | "yes"));
    }
    let message = format!("this would {what} {count}, and there is nobody to ask");
    Err(Failure::invalid("NOT_CONFIRMED", message).advice("look at what is above, then give --yes"))
}

/// A definition with the versions of what it calls, as a save writes them.
async fn pinned(
    definition: &WorkflowDefinition,
    session: &Session,
) -> Result<WorkflowDefinition, Failure> {
    let mut versions = BTreeMap::new();
    for target in calls(definition) {
        if target.version.is_some() {
            continue;
        }
        if let Some(called) = session.reach.versions(&target.workflow, 0).await? {
            let WorkflowSummary {
                published, latest, ..
            } = called.workflow;
            versions.insert(target, published.unwrap_or(latest));
        }
    }
    let mut definition = definition.clone();
    pin_calls_to(&mut definition, |target| versions.get(target).copied());
    Ok(definition)
}

/// What differs, for people; empty if nothing does. What this build cannot read differs.
fn differences(
    (old, new): (Option<WorkflowDefinition>, &WorkflowDefinition),
    names: &[String; 2],
    offline: &Composed,
    console: &Console,
) -> String {
    let Some(old) = old else {
        return format!("{} cannot be read by this build", names[0]);
    };
    let diff = offline.nebula.engine().differences(&old, new);
    match diff.is_empty() {
        true => String::new(),
        false => changes::text(&diff, [&names[0], &names[1]], console.err),
    }
}

fn read_stored(stored: &StoredWorkflow) -> Option<WorkflowDefinition> {
    WorkflowDefinition::from_json(&stored.definition).ok()
}

/// Those that are called come before those that call them; in a circle, by id.
fn in_order(all: &BTreeMap<WorkflowId, Local>) -> Vec<&WorkflowId> {
    fn visit<'a>(
        id: &'a WorkflowId,
        all: &'a BTreeMap<WorkflowId, Local>,
        seen: &mut BTreeSet<&'a WorkflowId>,
        order: &mut Vec<&'a WorkflowId>,
    ) {
        let Some((id, local)) = all.get_key_value(id) else {
            return;
        };
        if !seen.insert(id) {
            return;
        }
        for target in calls(&local.definition) {
            if let Some((called, _)) = all.get_key_value(&target.workflow) {
                visit(called, all, seen, order);
            }
        }
        order.push(id);
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for id in all.keys() {
        visit(id, all, &mut seen, &mut order);
    }
    order
}

/// JSON: `{ "saved": [{ "workflow", "file", "version", "new" }], "unchanged" }`.
pub(super) async fn push(
    folder: &Path,
    how: How,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let all = read(folder, console)?;
    let offline = compose::offline(loaded).await?;
    let there = Session::open_existing(loaded).await?;
    let (mut changes, mut expected, mut same) = (Vec::new(), BTreeMap::new(), 0);
    for id in in_order(&all) {
        let local = &all[id];
        let versions = match &there {
            Some(session) => session.reach.versions(id, 0).await?,
            None => None,
        };
        let (mut before, mut text) = (None, String::new());
        let mut revision = 0;
        if let (Some(session), Some(versions)) = (&there, versions) {
            let workflow = versions.workflow;
            revision = workflow.revision;
            let latest = workflow.latest;
            if let Some(stored) = session.reach.stored(id, latest).await? {
                let new = pinned(&local.definition, session).await?;
                let names = [format!("{id}@{latest}"), local.file.display().to_string()];
                let sides = (read_stored(&stored), &new);
                text = differences(sides, &names, &offline, console);
                if text.is_empty() {
                    if !how.publish || workflow.published == Some(latest) {
                        same += 1;
                        continue;
                    }
                    "it says the same, and is to be published".clone_into(&mut text);
                }
            }
            before = Some(format!("version {latest}"));
        }
        expected.insert(id.clone(), revision);
        changes.push(Change {
            id: id.clone(),
            file: local.file.clone(),
            before,
            text,
        });
    }
    drop((offline, there));
    let what = if how.publish {
        "save and publish"
    } else {
        "save"
    };
    let mut saved = Vec::new();
    if agreed(&changes, same, what, how, console)? && !changes.is_empty() {
        for change in &changes {
            let done = saved.len();
            let told = |failure| so_far(failure, done);
            let local = &all[&change.id];
            // Those that it calls are there by now.
            let checked = definition::to_save(&local.file, loaded, console).await;
            checked.map_err(told)?;
            let session = Session::open(loaded).await?;
            let pushed = (&local.source, &local.definition);
            let expected = expected.get(&change.id).copied();
            let pushed = save(&session, pushed, expected, how.publish).await;
            let pushed = pushed.map_err(told)?;
            let mut document = change.document();
            document["version"] = pushed.version.into();
            document["new"] = pushed.new.into();
            if !console.json {
                console.line(&format!(
                    "{} saved as version {}",
                    change.id, pushed.version
                ))?;
            }
            saved.push(document);
        }
    }
    if console.json {
        console.document(&json!({ "saved": saved, "unchanged": same }))?;
    }
    Ok(Exit::Completed)
}

/// Says what was done before it failed.
fn so_far(failure: Failure, done: usize) -> Failure {
    let what = match done {
        0 => "; nothing was saved".to_owned(),
        done => format!("; {} saved before it", counted(done, "workflow")),
    };
    Failure {
        message: failure.message + &what,
        ..failure
    }
}

/// JSON: `{ "written": [{ "workflow", "file", "change" }], "unchanged" }`.
pub(super) async fn pull(
    folder: &Path,
    how: How,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let local = match folder.exists() {
        true => read(folder, console)?,
        false => BTreeMap::new(),
    };
    let offline = compose::offline(loaded).await?;
    let (mut changes, mut contents, mut same) = (Vec::new(), Vec::new(), 0);
    if let Some(session) = Session::open_existing(loaded).await? {
        let filter = WorkflowFilter::default();
        let listed = session.reach.workflows(&filter, MAX_FILES).await?;
        if listed.more {
            let message = format!("there are more than {MAX_FILES} workflows");
            return Err(Failure::invalid("TOO_MANY_FILES", message)
                .advice("pull them one by one: nebula workflows pull ID"));
        }
        for workflow in listed.items {
            let version = match how.publish {
                false => workflow.latest,
                true => match workflow.published {
                    Some(version) => version,
                    None => continue,
                },
            };
            let id = &workflow.id;
            let Some(stored) = session.reach.stored(id, version).await? else {
                continue;
            };
            let found = local.get(id);
            let mut text = String::new();
            if let (Some(found), Some(new)) = (found, read_stored(&stored)) {
                let names = [found.file.display().to_string(), format!("{id}@{version}")];
                let old = pinned(&found.definition, &session).await?;
                text = differences((Some(old), &new), &names, &offline, console);
                if text.is_empty() {
                    same += 1;
                    continue;
                }
            }
            let file = match found {
                Some(found) => found.file.clone(),
                None => new_file(folder, id)?,
            };
            contents.push(format!("{:#}\n", stored.definition));
            changes.push(Change {
                id: id.clone(),
                file,
                before: found.map(|_| format!("version {version}, as JSON,")),
                text,
            });
        }
    }
    let mut written = Vec::new();
    if agreed(&changes, same, "write", how, console)? && !changes.is_empty() {
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, "make", &error))?;
        for (change, content) in changes.iter().zip(&contents) {
            let failed = |error| Failure::file(&change.file, "write", &error);
            match change.file.metadata() {
                Ok(like) => replace(&change.file, content.as_bytes(), Some(&like)),
                Err(_) => fs::write(&change.file, content),
            }
            .map_err(failed)?;
            if !console.json {
                console.line(&format!("{} written", change.file.display()))?;
            }
            written.push(change.document());
        }
    }
    if console.json {
        console.document(&json!({ "written": written, "unchanged": same }))?;
    }
    Ok(Exit::Completed)
}

/// The file of a workflow that has none yet. Its name is what a server says, so it stays in the folder.
fn new_file(folder: &Path, id: &WorkflowId) -> Result<PathBuf, Failure> {
    let file = folder.join(format!("{id}.json"));
    let inside = file.parent() == Some(folder) && !id.as_str().starts_with('.');
    if !inside || file.exists() {
        let message = format!("the workflow `{id}` gets no file {}", file.display());
        return Err(Failure::invalid("FILE_UNUSABLE", message)
            .advice("another one has that name; pull the workflow by its id"));
    }
    Ok(file)
}
