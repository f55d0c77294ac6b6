//! `nebula triggers` at a server.

use http::Method;
use nebula_core::{Timestamp, TriggerId, WorkflowId};
use nebula_ports::WorkflowFilter;
use serde::Deserialize;
use serde_json::{Value, json};

use super::triggers::{LeftOutLine, Line, MadeUp};
use crate::{
    compose,
    failure::Failure,
    server::{Ask, Server},
    session::Session,
    settings::{Loaded, Place},
};

/// The most workflows that are looked through for triggers.
const MAX_WORKFLOWS: usize = 10_000;
/// The most that one page is asked for.
const PAGE: usize = 500;

/// A trigger as a server tells of it.
#[derive(Debug, Deserialize)]
struct Wire {
    workflow: String,
    trigger: String,
    #[serde(rename = "type")]
    kind: String,
    version: u32,
    schedule: Option<String>,
    paused: bool,
    settled_through: String,
    due: Option<String>,
    last: Option<String>,
    left_out: Option<LeftOutLine>,
    /// The path of its address; null also where the caller is not told.
    hook: Option<String>,
    previous_hook_until: Option<String>,
}

impl Wire {
    fn line(self, server: &Server) -> Line {
        Line {
            workflow: self.workflow,
            trigger: self.trigger,
            kind: self.kind,
            version: self.version,
            schedule: self.schedule,
            paused: self.paused,
            settled_through: self.settled_through,
            due: self.due,
            last: self.last,
            left_out: self.left_out,
            url: self
                .hook
                .map(|path| format!("{}{path}", server.url().text())),
            previous_url_until: self.previous_hook_until,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    triggers: Vec<Wire>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Fired {
    execution: String,
}

#[derive(Debug, Deserialize)]
struct MadeUpPage {
    occurrences: Vec<MadeUp>,
}

fn server(loaded: &Loaded) -> Result<Server, Failure> {
    match &loaded.place {
        Place::Server(url) => compose::server(loaded, url),
        _ => Err(Failure::invalid("USAGE", "no server is named")),
    }
}

fn ask(workflow: &WorkflowId) -> Ask<'static> {
    let ask = Ask::new(Method::GET).at(["workflows"]);
    ask.at([workflow.to_string()]).at(["triggers"])
}

/// The triggers of a workflow, or of all that are published; and whether there are more.
pub(super) async fn list(
    session: &Session,
    loaded: &Loaded,
    workflow: Option<&WorkflowId>,
    limit: usize,
) -> Result<(Vec<Line>, bool), Failure> {
    let server = server(loaded)?;
    let (workflows, mut more) = match workflow {
        Some(workflow) => (vec![workflow.clone()], false),
        None => {
            let filter = WorkflowFilter::default();
            let listed = session.reach.workflows(&filter, MAX_WORKFLOWS).await?;
            let published = listed.items.into_iter().filter(|it| it.published.is_some());
            (published.map(|it| it.id).collect(), listed.more)
        }
    };
    let mut lines = Vec::new();
    for workflow in &workflows {
        let mut cursor = None::<String>;
        loop {
            if lines.len() > limit {
                break;
            }
            let wanted = (limit + 1 - lines.len()).min(PAGE);
            let mut ask = ask(workflow).with("limit", wanted.to_string());
            if let Some(cursor) = cursor {
                ask = ask.with("cursor", cursor);
            }
            // A workflow that went meanwhile, or never was, has none.
            let Some(page): Option<Page> = server.find(ask).await? else {
                break;
            };
            lines.extend(page.triggers.into_iter().map(|it| it.line(&server)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    more |= lines.len() > limit;
    lines.truncate(limit);
    Ok((lines, more))
}

/// Changes a trigger, as the end of its path says.
pub(super) async fn change(
    loaded: &Loaded,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    end: &'static str,
    body: Option<&Value>,
) -> Result<Line, Failure> {
    let server = server(loaded)?;
    let ask = ask(workflow).at([trigger.to_string()]).at([end]);
    let mut ask = ask.method(Method::POST);
    if let Some(body) = body {
        ask = ask.json(body);
    }
    let changed: Wire = server.get(ask).await?;
    Ok(changed.line(&server))
}

/// The execution that a trigger started.
pub(super) async fn fire(
    loaded: &Loaded,
    (workflow, trigger): (&WorkflowId, &TriggerId),
) -> Result<String, Failure> {
    let ask = ask(workflow).at([trigger.to_string()]).at(["fire"]);
    let fired: Fired = server(loaded)?.get(ask.method(Method::POST)).await?;
    Ok(fired.execution)
}

/// What was made up for.
pub(super) async fn backfill(
    loaded: &Loaded,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<MadeUp>, Failure> {
    let ask = ask(workflow).at([trigger.to_string()]).at(["backfill"]);
    let body = json!({ "from": from.to_string(), "to": to.to_string() });
    let page: MadeUpPage = server(loaded)?
        .get(ask.method(Method::POST).json(&body))
        .await?;
    Ok(page.occurrences)
}
