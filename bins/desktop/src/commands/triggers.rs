//! `nebula triggers`: what starts workflows by itself.

use std::time::Duration;

use nebula::engine::{FireConfig, FireError, MAX_HOOK_GRACE};
use nebula_core::{Timestamp, TriggerId, WorkflowId, duration_text};
use nebula_ports::TriggerRecord;
use serde_json::{Value, json};

use crate::{
    arguments::Triggers,
    console::Console,
    failure::{Exit, Failure},
    session::Session,
    settings::Loaded,
    table::table,
    version,
};

/// Runs `nebula triggers`.
pub(crate) async fn run(
    command: &Triggers,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Triggers::List {
            workflow, limit, ..
        } => list(loaded, workflow.as_ref(), usize::from(*limit), console).await,
        Triggers::Pause {
            workflow, trigger, ..
        } => paused(loaded, (workflow, trigger), true, console).await,
        Triggers::Unpause {
            workflow, trigger, ..
        } => paused(loaded, (workflow, trigger), false, console).await,
        Triggers::Rotate {
            workflow,
            trigger,
            grace,
            ..
        } => rotate(loaded, (workflow, trigger), *grace, console).await,
        Triggers::Fire {
            workflow, trigger, ..
        } => fire(loaded, (workflow, trigger), console).await,
        Triggers::Backfill {
            workflow,
            trigger,
            from,
            to,
            ..
        } => backfill(loaded, (workflow, trigger), (*from, *to), console).await,
    }
}

/// The address of a webhook, at the server that the settings describe.
fn url(record: &TriggerRecord, loaded: &Loaded) -> Option<String> {
    let hook = record.state.hook.as_ref()?;
    let serve = &loaded.settings.serve;
    let scheme = if serve.tls_cert.is_some() {
        "https"
    } else {
        "http"
    };
    let path = record.definition["path"].as_str().unwrap_or_default();
    Some(format!(
        "{scheme}://{}/hooks/{}{path}",
        serve.listen, hook.0
    ))
}

fn json_of(record: &TriggerRecord, loaded: &Loaded) -> Value {
    let before = record.state.previous.as_ref();
    let left_out = record.state.left_out.as_ref();
    json!({
        "workflow": record.workflow,
        "trigger": record.trigger,
        "type": record.kind,
        "version": record.version,
        "schedule": record.definition["schedule"],
        "paused": record.state.paused,
        "settled_through": record.state.through.to_string(),
        "due": due(record),
        "last": record.state.last.map(|last| last.to_string()),
        "left_out": left_out.map(|it| {
            json!({ "occurrence": it.occurrence.to_string(), "at": it.at.to_string(), "why": it.why })
        }),
        "url": url(record, loaded),
        "previous_url_until": before.map(|it| it.until.to_string()),
    })
}

fn due(record: &TriggerRecord) -> Option<String> {
    let due = record.state.due.filter(|_| !record.state.paused);
    due.map(|due| due.to_string())
}

/// JSON: `{ "triggers": [{ "workflow", "trigger", "type", "version", "schedule", "paused",
/// "settled_through", "due", "last", "left_out", "url", "previous_url_until" }], "more" }`; `left_out` is null or
/// `{ "occurrence", "at", "why" }`.
async fn list(
    loaded: &Loaded,
    workflow: Option<&WorkflowId>,
    limit: usize,
    console: &Console,
) -> Result<Exit, Failure> {
    let (found, more) = match Session::open_existing(loaded).await? {
        None => (Vec::new(), false),
        Some(session) => {
            let engine = session.here()?.nebula.engine();
            let page = engine.triggers(&session.tenant, workflow, None, limit);
            let page = page.await?;
            (page.items, page.next.is_some())
        }
    };
    if console.json {
        let all: Vec<_> = found.iter().map(|it| json_of(it, loaded)).collect();
        console.document(&json!({ "triggers": all, "more": more }))?;
        return Ok(Exit::Completed);
    }
    if found.is_empty() {
        console.note("no published version has a trigger that is fired");
        return Ok(Exit::Completed);
    }
    let row = |it: &TriggerRecord| {
        vec![
            it.workflow.to_string(),
            it.trigger.to_string(),
            match url(it, loaded) {
                Some(url) => url,
                None => it.definition["schedule"].as_str().unwrap_or("-").to_owned(),
            },
            match it.state.paused {
                true => "paused".to_owned(),
                false => due(it).unwrap_or_else(|| "-".to_owned()),
            },
            it.state
                .last
                .map_or_else(|| "-".to_owned(), |last| last.to_string()),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let head = [
        "WORKFLOW",
        "TRIGGER",
        "SCHEDULE OR URL",
        "DUE",
        "LAST EXECUTION",
    ];
    console.line(&table(&head, &rows))?;
    for it in &found {
        if let Some(left_out) = &it.state.left_out {
            let (workflow, trigger) = (&it.workflow, &it.trigger);
            console.note(&format!(
                "{workflow}/{trigger} left out {}: {}",
                left_out.occurrence, left_out.why
            ));
        }
    }
    if more {
        console.note("there are more: raise --limit, or name a workflow");
    }
    Ok(Exit::Completed)
}

fn unknown(workflow: &WorkflowId, trigger: &TriggerId) -> Failure {
    let message = format!("no published version of `{workflow}` has a trigger `{trigger}`");
    Failure::invalid("UNKNOWN_TRIGGER", message).advice(format!(
        "`nebula triggers list {workflow}` lists them, `nebula workflows publish {workflow}@draft` publishes a version"
    ))
}

/// JSON: that of the trigger, as in a list.
async fn paused(
    loaded: &Loaded,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    paused: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let session = version::open(loaded, workflow).await?;
    let engine = session.here()?.nebula.engine();
    let done = engine.pause_trigger(&session.tenant, workflow, trigger, paused);
    let record = done.await?.ok_or_else(|| unknown(workflow, trigger))?;
    if console.json {
        console.document(&json_of(&record, loaded))?;
    } else if paused {
        console.line(&format!(
            "{workflow}/{trigger} starts nothing until it is unpaused"
        ))?;
    } else {
        let due = due(&record).unwrap_or_else(|| "never".to_owned());
        console.line(&format!("{workflow}/{trigger} starts again; next: {due}"))?;
    }
    Ok(Exit::Completed)
}

/// JSON: that of the trigger, as in a list.
async fn rotate(
    loaded: &Loaded,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    grace: Duration,
    console: &Console,
) -> Result<Exit, Failure> {
    if grace > MAX_HOOK_GRACE {
        let most = duration_text(MAX_HOOK_GRACE);
        return Err(Failure::invalid(
            "USAGE",
            format!("--grace: at most {most}"),
        ));
    }
    let session = version::open(loaded, workflow).await?;
    let engine = session.here()?.nebula.engine();
    let done = engine.rotate_hook(&session.tenant, workflow, trigger, grace);
    let record = done.await?.ok_or_else(|| {
        unknown(workflow, trigger).advice("only a trigger of the type `webhook` has an address")
    })?;
    if console.json {
        console.document(&json_of(&record, loaded))?;
        return Ok(Exit::Completed);
    }
    console.line(&url(&record, loaded).unwrap_or_default())?;
    if let Some(before) = &record.state.previous {
        console.note(&format!(
            "the address before leads there until {}",
            before.until
        ));
    }
    Ok(Exit::Completed)
}

pub(crate) fn config(loaded: &Loaded) -> Result<FireConfig, Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::file(std::path::Path::new("."), "find", &error))?;
    let vars = loaded.settings.vars.clone();
    Ok(FireConfig {
        folder,
        vars: Value::Object(vars.into_iter().collect()),
    })
}

fn not_fired(workflow: &WorkflowId, trigger: &TriggerId, error: FireError) -> Failure {
    let message = error.to_string();
    match error {
        FireError::Unknown => unknown(workflow, trigger),
        FireError::Called => Failure::invalid("TRIGGER_CALLED", message)
            .advice("`nebula triggers list` shows its address"),
        FireError::Listens => Failure::invalid("TRIGGER_LISTENS", message)
            .advice("start the workflow itself, with `nebula run`"),
        FireError::TooMany { .. } => Failure::invalid("BACKFILL_TOO_LONG", message)
            .advice("choose --from and --to nearer to each other"),
        FireError::Store(error) => error.into(),
        _ => Failure::invalid("TRIGGER_NOT_FIRED", message)
            .advice("correct the workflow, and publish it again"),
    }
}

/// JSON: `{ "workflow", "trigger", "execution" }`.
async fn fire(
    loaded: &Loaded,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    console: &Console,
) -> Result<Exit, Failure> {
    let session = version::open(loaded, workflow).await?;
    let (engine, config) = (session.here()?.nebula.engine(), config(loaded)?);
    let fired = engine.fire_trigger(&session.tenant, workflow, trigger, &config);
    let started = fired
        .await
        .map_err(|error| not_fired(workflow, trigger, error))?;
    let execution = started.id.to_string();
    if console.json {
        let it = json!({ "workflow": workflow, "trigger": trigger, "execution": execution });
        console.document(&it)?;
    } else {
        console.line(&format!("started {execution}"))?;
        console.note("a running `nebula serve` takes it up, or `nebula resume` does");
    }
    Ok(Exit::Completed)
}

/// JSON: `{ "workflow", "trigger", "occurrences": [{ "occurrence", "execution", "existed" }] }`.
async fn backfill(
    loaded: &Loaded,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    range: (Timestamp, Timestamp),
    console: &Console,
) -> Result<Exit, Failure> {
    let session = version::open(loaded, workflow).await?;
    let (engine, config) = (session.here()?.nebula.engine(), config(loaded)?);
    let done = engine.backfill(&session.tenant, (workflow, trigger), range, &config);
    let done = done
        .await
        .map_err(|error| not_fired(workflow, trigger, error))?;
    if console.json {
        let all = done.iter().map(|it| {
            json!({
                "occurrence": it.occurrence.to_string(),
                "execution": it.execution.to_string(),
                "existed": it.existed,
            })
        });
        let all: Vec<_> = all.collect();
        let it = json!({ "workflow": workflow, "trigger": trigger, "occurrences": all });
        console.document(&it)?;
        return Ok(Exit::Completed);
    }
    for it in &done {
        let what = if it.existed { "was there" } else { "started" };
        console.line(&format!("{}  {}  {what}", it.occurrence, it.execution))?;
    }
    if done.is_empty() {
        console.note("it has no occurrence in that range");
    }
    Ok(Exit::Completed)
}
