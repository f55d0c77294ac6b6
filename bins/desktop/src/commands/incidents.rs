//! `nebula incidents`: what is wrong with services, and who looks after it.

use nebula_ports::{IncidentChange, IncidentFilter, MAX_INCIDENT_TEXT};
use serde_json::json;
use uuid::Uuid;

use crate::{
    arguments::Incidents,
    console::Console,
    failure::{Exit, Failure},
    reach::{Changed, IncidentLine, Listed},
    session::Session,
    settings::Loaded,
    table::table,
};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &Incidents,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    // Where there is no database, nobody has opened any.
    let session = Session::open_existing(loaded).await?;
    let unknown = |id: &Uuid| {
        let message = format!("there is no incident {id} {}", loaded.place.words());
        let advice = format!("check the id, and {}", loaded.place.check());
        Failure::invalid("UNKNOWN_INCIDENT", message).advice(advice)
    };
    match command {
        Incidents::List {
            status,
            severity,
            service,
            limit,
            ..
        } => {
            let filter = IncidentFilter {
                statuses: status.clone(),
                severity: *severity,
                service: service.clone(),
            };
            let limit = usize::from(*limit);
            let found = match &session {
                Some(session) => session.reach.incidents(&filter, limit).await?,
                None => Listed::default(),
            };
            list(&found, console)
        }
        Incidents::Show { id, .. } => {
            let session = session.ok_or_else(|| unknown(id))?;
            let found = session.reach.incident(*id).await?;
            show(&found.ok_or_else(|| unknown(id))?, console)
        }
        Incidents::Acknowledge { id, .. } => {
            let session = session.ok_or_else(|| unknown(id))?;
            let take = IncidentChange::Acknowledge;
            let changed = session.reach.change_incident(*id, take).await?;
            told(changed, || unknown(id), console)
        }
        Incidents::Resolve { id, resolution, .. } => {
            if resolution.len() > MAX_INCIDENT_TEXT {
                let message = format!("--resolution has at most {MAX_INCIDENT_TEXT} bytes");
                return Err(Failure::invalid("USAGE", message));
            }
            let session = session.ok_or_else(|| unknown(id))?;
            let resolve = IncidentChange::Resolve(resolution.clone());
            let changed = session.reach.change_incident(*id, resolve).await?;
            told(changed, || unknown(id), console)
        }
    }
}

/// JSON: `{ "incidents": [...], "more": false }`, each as the API has it.
fn list(found: &Listed<IncidentLine>, console: &Console) -> Result<Exit, Failure> {
    if console.json {
        console.document(&json!({ "incidents": found.items, "more": found.more }))?;
        return Ok(Exit::Completed);
    }
    if found.items.is_empty() {
        console.note("there are no incidents");
    } else {
        let row = |it: &IncidentLine| {
            vec![
                it.incident.to_string(),
                it.severity.clone(),
                it.status.clone(),
                it.service.clone(),
                it.occurrences.to_string(),
                it.opened_at.clone(),
                it.title.clone(),
            ]
        };
        let rows: Vec<_> = found.items.iter().map(row).collect();
        let head = [
            "INCIDENT", "SEVERITY", "STATUS", "SERVICE", "TIMES", "SINCE", "WHAT",
        ];
        console.line(&table(&head, &rows))?;
    }
    if found.more {
        console.note("there are more incidents: raise --limit");
    }
    Ok(Exit::Completed)
}

/// JSON: `{ "incident": {…}, "timeline": [{ "seq", "at", "by", "what", "text", "severity" }] }`.
fn show(found: &crate::reach::WholeIncident, console: &Console) -> Result<Exit, Failure> {
    if console.json {
        console.document(found)?;
        return Ok(Exit::Completed);
    }
    let it = &found.incident;
    let head = format!("{} {} {}: {}", it.severity, it.status, it.service, it.title);
    console.line(&head)?;
    if !it.description.is_empty() {
        console.line(&it.description)?;
    }
    let said = match it.occurrences {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    console.line(&format!(
        "opened by {} in execution {}; said {said} as `{}`",
        it.workflow, it.execution, it.key
    ))?;
    let row = |entry: &crate::reach::EntryLine| {
        vec![
            entry.seq.to_string(),
            entry.at.clone(),
            entry.what.clone(),
            entry.by.clone(),
            entry.text.clone(),
        ]
    };
    let rows: Vec<_> = found.timeline.iter().map(row).collect();
    console.line(&table(&["#", "AT", "WHAT", "BY", "SAYING"], &rows))?;
    Ok(Exit::Completed)
}

/// JSON: the incident as it is now.
fn told(
    changed: Changed,
    unknown: impl FnOnce() -> Failure,
    console: &Console,
) -> Result<Exit, Failure> {
    match changed {
        Changed::Done(it) if console.json => console.document(&it)?,
        Changed::Done(it) => {
            console.line(&format!("{} {}", it.incident, it.status))?;
        }
        Changed::Over => {
            let message = "the incident is resolved, and does not change any more";
            return Err(Failure::invalid("INCIDENT_RESOLVED", message));
        }
        Changed::Unknown => return Err(unknown()),
    }
    Ok(Exit::Completed)
}
