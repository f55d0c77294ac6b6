//! Every execution of a tenant as it changes, told from where a watcher stopped.
//!
//! What is told comes from the store and not from what this process has heard: a watcher that goes away
//! and comes back, or that reads slowly, costs nobody anything and misses nothing. It reads at its own
//! pace; what changed several times meanwhile is told once, as it stands. Who is too far behind is told
//! so, and goes on from now.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use http::HeaderMap;
use nebula_core::{BoxFuture, WorkflowId};
use nebula_identity::Permission;
use nebula_ports::{ChangeCursor, Changes, ExecutionSummary};
use nebula_telemetry::{Received, Watcher};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use crate::{
    access::Caller,
    api::{Inner, Shared},
    events::{LAST_EVENT_ID, Rights, failed, room},
    executions::{self, SummaryBody},
    extract::Asked,
    problem::Problem,
    room::Place,
};

/// How many executions are read at a time.
const PAGE: usize = 200;
/// How often one watcher looks at most, while something happens.
const LOOKS_EVERY: Duration = Duration::from_millis(250);
/// How often it looks although this process has heard of nothing: another one may drive.
const LOOKS_ANYWAY: Duration = Duration::from_secs(2);
/// After how many looks that found changes, and none that its watcher may see, it is told where it is.
const SILENT_LOOKS: u32 = 40;
/// The most bytes of a cursor.
const MAX_CURSOR: usize = 100;

/// Which changes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchChanges {
    /// Only of this workflow.
    #[param(value_type = Option<String>)]
    workflow: Option<WorkflowId>,
    /// A ticket of POST /api/v1/tickets, for whoever can send no header.
    #[expect(dead_code, reason = "it was spent before")]
    ticket: Option<String>,
}

/// Streams every execution that changed (`changed`: started, ended, parked, …), as it stands then, of all
/// that the caller may look at. It begins now, with `cursor`, or after `Last-Event-ID`, also after a restart
/// of the server. Whoever lists executions after `cursor` and takes over what is told misses nothing. `lost`
/// means that too much has happened since: list again. What is deleted is not told.
#[utoipa::path(
    get, path = "/api/v1/changes", tag = "live",
    params(
        WatchChanges,
        ("Last-Event-ID" = Option<String>, Header, description = "The last id that was seen.")
    ),
    responses((status = 200, description = "Server-sent events.", content_type = "text/event-stream"))
)]
pub(crate) async fn watch(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<WatchChanges>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let room = room(&shared)?;
    let seen = last_seen(&headers)?;
    // It listens before it looks, so that nothing falls between.
    let watcher = shared.nebula.bus().subscribe();
    let mut ready = VecDeque::new();
    let cursor = match seen {
        Some(cursor) => cursor,
        None => {
            let now = shared.nebula.engine().changes(by.tenant(), None, 1).await?;
            let (Changes::Changed { next, .. } | Changes::Lost { next }) = now;
            ready.push_back(told("cursor", json!({}), Some(&next)));
            next
        }
    };
    let following = Following {
        watcher,
        rights: Rights::new(&shared, by),
        workflow: asked.workflow,
        cursor,
        ready,
        behind: true,
        again: Box::pin(std::future::ready(())),
        silent: 0,
        over: false,
        _room: room,
        shared: shared.clone(),
    };
    let events = stream::unfold(following, async |mut it| {
        let event = it.next().await?;
        Some((Ok(event), it))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(shared.config().keep_alive)))
}

/// After which change to go on.
fn last_seen(headers: &HeaderMap) -> Result<Option<ChangeCursor>, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let id = id.to_str().ok().filter(|id| id.len() <= MAX_CURSOR);
    let id = id.ok_or_else(|| {
        Problem::bad("BAD_EVENT_ID", "Last-Event-ID is no id of this stream")
            .hint("send the `id` of the last event that you saw, or leave it out")
    })?;
    Ok(Some(ChangeCursor(id.to_owned())))
}

/// An event; with an id, a watcher can go on behind it.
fn told(kind: &str, mut data: serde_json::Value, id: Option<&ChangeCursor>) -> Event {
    data["type"] = kind.into();
    let event = Event::default().event(kind).data(data.to_string());
    match id {
        Some(ChangeCursor(id)) => event.id(id),
        None => event,
    }
}

/// One who follows what changes.
struct Following {
    watcher: Watcher,
    rights: Rights,
    workflow: Option<WorkflowId>,
    /// Up to where the store was read.
    cursor: ChangeCursor,
    ready: VecDeque<Event>,
    /// Whether there may be more already.
    behind: bool,
    /// When it may look again.
    again: BoxFuture<'static, ()>,
    /// Looks in a row that found nothing to tell.
    silent: u32,
    over: bool,
    _room: Place,
    shared: Shared,
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                biased;
                () = self.shared.stopping.cancelled() => return None,
                () = &mut self.rights.again => {
                    if let Some(event) = self.rights.renewed(&self.shared).await {
                        self.over = true;
                        return Some(event);
                    }
                }
                () = &mut self.again, if self.behind => self.look().await,
                () = heard(&mut self.watcher, &self.shared), if !self.behind => self.behind = true,
            }
        }
    }

    /// Reads on, and says what was found.
    async fn look(&mut self) {
        // What is told from here on is heard; what was told before is read now.
        self.watcher = self.shared.nebula.bus().subscribe();
        let tenant = self.rights.by.tenant();
        let engine = self.shared.nebula.engine();
        let page = engine.changes(tenant, Some(&self.cursor), PAGE).await;
        match page {
            Ok(Changes::Changed {
                executions,
                next,
                more,
            }) => {
                let moved = next != self.cursor;
                self.cursor = next;
                self.behind = more;
                let wanted = wanted(
                    (&self.shared, &self.rights.by),
                    self.workflow.as_ref(),
                    executions,
                );
                match wanted.await {
                    Ok(executions) => self.tell(executions, moved),
                    Err(problem) => self.fail(problem.code(), problem.detail()),
                }
            }
            Ok(Changes::Lost { next }) => {
                self.ready.push_back(told("lost", json!({}), Some(&next)));
                self.cursor = next;
                self.behind = false;
            }
            Err(error) => self.fail("STORE_UNAVAILABLE", &error.to_string()),
        }
        let pause = if self.behind {
            Duration::ZERO
        } else {
            LOOKS_EVERY
        };
        self.again = self.shared.clock.sleep(pause);
    }

    fn tell(&mut self, executions: Vec<ExecutionSummary>, moved: bool) {
        let Some(last) = executions.len().checked_sub(1) else {
            self.silent += u32::from(moved);
            if self.silent == SILENT_LOOKS {
                self.silent = 0;
                let event = told("cursor", json!({}), Some(&self.cursor));
                self.ready.push_back(event);
            }
            return;
        };
        self.silent = 0;
        for (index, execution) in executions.into_iter().enumerate() {
            // Whoever goes on before the last of a page has the page again.
            let id = (index == last).then_some(&self.cursor);
            let data = json!({ "execution": SummaryBody::from(execution) });
            self.ready.push_back(told("changed", data, id));
        }
    }

    fn fail(&mut self, code: &str, detail: &str) {
        self.ready.push_back(failed(code, detail));
        self.over = true;
    }
}

/// Those that a watcher asks for and may see.
async fn wanted(
    (shared, by): (&Inner, &Caller),
    workflow: Option<&WorkflowId>,
    mut found: Vec<ExecutionSummary>,
) -> Result<Vec<ExecutionSummary>, Problem> {
    if let Some(wanted) = workflow {
        found.retain(|it| it.workflow == *wanted);
    }
    executions::reached(shared, by, found, &[Permission::ExecutionsRead]).await
}

/// Waits until something may have changed.
async fn heard(watcher: &mut Watcher, shared: &Inner) {
    tokio::select! {
        biased;
        received = watcher.next() => match received {
            Some(Received::Event(_) | Received::Lost(_)) => {}
            // Nothing is published any more; others may write.
            None => shared.clock.sleep(LOOKS_ANYWAY).await,
        },
        () = shared.clock.sleep(LOOKS_ANYWAY) => {}
    }
}
