//! `nebula triggers`: what starts workflows by itself.

use std::time::Duration;

use nebula::engine::{FireConfig, FireError, MAX_HOOK_GRACE};
use nebula_core::{Timestamp, TriggerId, WorkflowId, duration_text};
use nebula_ports::TriggerRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    arguments::Triggers,
    commands::triggers_server,
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

/// A trigger, as it is shown.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) workflow: String,
    pub(super) trigger: String,
    pub(super) kind: String,
    pub(super) version: u32,
    pub(super) schedule: Option<String>,
    pub(super) paused: bool,
    pub(super) settled_through: String,
    pub(super) due: Option<String>,
    pub(super) last: Option<String>,
    pub(super) left_out: Option<LeftOutLine>,
    pub(super) url: Option<String>,
    pub(super) previous_url_until: Option<String>,
}

/// An occurrence that started nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LeftOutLine {
    pub(super) occurrence: String,
    pub(super) at: String,
    pub(super) why: String,
}

impl Line {
    fn of(record: &TriggerRecord, loaded: &Loaded) -> Self {
        let state = &record.state;
        let due = state.due.filter(|_| !state.paused);
        Self {
            workflow: record.workflow.to_string(),
            trigger: record.trigger.to_string(),
            kind: record.kind.clone(),
            version: record.version,
            schedule: record.definition["schedule"].as_str().map(str::to_owned),
            paused: state.paused,
            settled_through: state.through.to_string(),
            due: due.map(|due| due.to_string()),
            last: state.last.map(|last| last.to_string()),
            left_out: state.left_out.as_ref().map(|it| LeftOutLine {
                occurrence: it.occurrence.to_string(),
                at: it.at.to_string(),
                why: it.why.clone(),
            }),
            url: url(record, loaded),
            previous_url_until: state.previous.as_ref().map(|it| it.until.to_string()),
        }
    }

    fn json(&self) -> Value {
        json!({
            "workflow": self.workflow,
            "trigger": self.trigger,
            "type": self.kind,
            "version": self.version,
            "schedule": self.schedule,
            "paused": self.paused,
            "settled_through": self.settled_through,
            "due": self.due,
            "last": self.last,
            "left_out": self.left_out,
            "url": self.url,
            "previous_url_until": self.previous_url_until,
        })
    }
}

/// An occurrence that was made up for.
#[derive(Debug, Deserialize)]
pub(super) struct MadeUp {
    pub(super) occurrence: String,
    pub(super) execution: String,
    pub(super) existed: bool,
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
        Some(session) if session.is_there() => {
            triggers_server::list(&session, loaded, workflow, limit).await?
        }
        Some(session) => {
            let engine = session.here()?.nebula.engine();
            let page = engine.triggers(&session.tenant, workflow, None, limit);
            let page = page.await?;
            let lines = page.items.iter().map(|it| Line::of(it, loaded)).collect();
            (lines, page.next.is_some())
        }
    };
    if console.json {
        let all: Vec<_> = found.iter().map(Line::json).collect();
        console.document(&json!({ "triggers": all, "more": more }))?;
        return Ok(Exit::Completed);
    }
    if found.is_empty() {
        console.note("no published version has a trigger that is fired");
        return Ok(Exit::Completed);
    }
    let row = |it: &Line| {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            it.workflow.clone(),
            it.trigger.clone(),
            shown(it.url.as_ref().map_or(&it.schedule, |_| &it.url)),
            match it.paused {
                true => "paused".to_owned(),
                false => shown(&it.due),
            },
            shown(&it.last),
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
        if let Some(left_out) = &it.left_out {
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
    let it = if session.is_there() {
        let end = if paused { "pause" } else { "unpause" };
        triggers_server::change(loaded, (workflow, trigger), end, None).await?
    } else {
        let engine = session.here()?.nebula.engine();
        let done = engine.pause_trigger(&session.tenant, workflow, trigger, paused);
        let record = done.await?.ok_or_else(|| unknown(workflow, trigger))?;
        Line::of(&record, loaded)
    };
    if console.json {
        console.document(&it.json())?;
    } else if paused {
        console.line(&format!(
            "{workflow}/{trigger} starts nothing until it is unpaused"
        ))?;
    } else {
        let due = it.due.unwrap_or_else(|| "never".to_owned());
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
    let it = if session.is_there() {
        let body = json!({ "grace": duration_text(grace) });
        triggers_server::change(loaded, (workflow, trigger), "rotate", Some(&body)).await?
    } else {
        let engine = session.here()?.nebula.engine();
        let done = engine.rotate_hook(&session.tenant, workflow, trigger, grace);
        let record = done.await?.ok_or_else(|| {
            unknown(workflow, trigger).advice("only a trigger of the type `webhook` has an address")
        })?;
        Line::of(&record, loaded)
    };
    if console.json {
        console.document(&it.json())?;
        return Ok(Exit::Completed);
    }
    console.line(&it.url.unwrap_or_default())?;
    if let Some(until) = it.previous_url_until {
        console.note(&format!("the address before leads there until {until}"));
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
        FireError::Watches => Failure::invalid("TRIGGER_WATCHES", message)
            .advice("or start the workflow itself, with `nebula run`"),
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
    let execution = if session.is_there() {
        triggers_server::fire(loaded, (workflow, trigger)).await?
    } else {
        let (engine, config) = (session.here()?.nebula.engine(), config(loaded)?);
        let fired = engine.fire_trigger(&session.tenant, workflow, trigger, &config);
        let started = fired
            .await
            .map_err(|error| not_fired(workflow, trigger, error))?;
        started.id.to_string()
    };
    if console.json {
        let it = json!({ "workflow": workflow, "trigger": trigger, "execution": execution });
        console.document(&it)?;
    } else {
        console.line(&format!("started {execution}"))?;
        if !session.is_there() {
            console.note("a running `nebula serve` takes it up, or `nebula resume` does");
        }
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
    let done = if session.is_there() {
        triggers_server::backfill(loaded, (workflow, trigger), range).await?
    } else {
        let (engine, config) = (session.here()?.nebula.engine(), config(loaded)?);
        let done = engine.backfill(&session.tenant, (workflow, trigger), range, &config);
        let done = done
            .await
            .map_err(|error| not_fired(workflow, trigger, error))?;
        let made_up = done.into_iter().map(|it| MadeUp {
            occurrence: it.occurrence.to_string(),
            execution: it.execution.to_string(),
            existed: it.existed,
        });
        made_up.collect()
    };
    if console.json {
        let all = done.iter().map(|it| {
            json!({
                "occurrence": it.occurrence,
                "execution": it.execution,
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
