//! Every execution of a tenant as it changes, told from where a watcher stopped.
//!
//! What is told comes from the store and not from what this process has heard: a watcher that goes away
//! and comes back, or that reads slowly, costs nobody anything and misses nothing. What changed several
//! times meanwhile is told once, as it stands. Who is too far behind is told so, and goes on from now.
//!
//! The store is read once for all who watch a tenant ([`Readings`]). A watcher that cannot go on with what
//! was read for all, since it comes from behind or reads too slowly, reads by itself, at its own pace, until
//! it can.

mod readings;

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use http::HeaderMap;
use nebula_core::{BoxFuture, TenantId, WorkflowId};
use nebula_identity::Permission;
use nebula_ports::{ChangeCursor, Changes, ExecutionSummary, PortError};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
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

pub(crate) use readings::Readings;
use readings::Told;

/// How many executions are read at a time.
const PAGE: usize = 200;
/// How often the store is read at most, while something happens: for all, and for one alone.
const LOOKS_EVERY: Duration = Duration::from_millis(250);
/// How often it is read although this process has heard of nothing: another one may drive.
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
    let told = Readings::join(&shared, by.tenant());
    let behind = seen.is_some();
    let mut ready = VecDeque::new();
    let cursor = match seen {
        Some(cursor) => cursor,
        None => {
            let now = shared.nebula.engine().changes(by.tenant(), None, 1).await?;
            let (Changes::Changed { next, .. } | Changes::Lost { next }) = now;
            ready.push_back(event("cursor", json!({}), Some(&next)));
            next
        }
    };
    let following = Following {
        told,
        looked: shared.readings.moment(),
        rights: Rights::new(&shared, by),
        workflow: asked.workflow,
        cursor,
        ready,
        behind,
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

/// What an event says, in JSON.
fn said(kind: &str, mut data: serde_json::Value) -> String {
    data["type"] = kind.into();
    data.to_string()
}

/// An event; with an id, a watcher can go on behind it.
fn event(kind: &str, data: serde_json::Value, id: Option<&ChangeCursor>) -> Event {
    with_id(Event::default().event(kind).data(said(kind, data)), id)
}

fn with_id(event: Event, id: Option<&ChangeCursor>) -> Event {
    match id {
        Some(ChangeCursor(id)) => event.id(id),
        None => event,
    }
}

/// What a read of the store found.
enum Found {
    Page(Page),
    /// Too much has happened since.
    Lost(ChangeCursor),
}

/// Executions that changed.
struct Page {
    changed: Vec<Changed>,
    next: ChangeCursor,
    /// Whether there is more already.
    more: bool,
}

/// One execution as it stands, written once for all who are told.
struct Changed {
    workflow: WorkflowId,
    said: String,
}

impl From<ExecutionSummary> for Changed {
    fn from(execution: ExecutionSummary) -> Self {
        let workflow = execution.workflow.clone();
        let said = said(
            "changed",
            json!({ "execution": SummaryBody::from(execution) }),
        );
        Self { workflow, said }
    }
}

/// Reads on after a cursor.
async fn read(
    shared: &Inner,
    tenant: &TenantId,
    after: Option<&ChangeCursor>,
) -> Result<Found, PortError> {
    let engine = shared.nebula.engine();
    Ok(match engine.changes(tenant, after, PAGE).await? {
        Changes::Changed {
            executions,
            next,
            more,
        } => Found::Page(Page {
            changed: executions.into_iter().map(Changed::from).collect(),
            next,
            more,
        }),
        Changes::Lost { next } => Found::Lost(next),
    })
}

/// One who follows what changes.
struct Following {
    /// What is read for all.
    told: Receiver<Told>,
    /// When this one has read the store last.
    looked: u64,
    rights: Rights,
    workflow: Option<WorkflowId>,
    /// Up to where the store was read.
    cursor: ChangeCursor,
    ready: VecDeque<Event>,
    /// Whether it reads by itself: what was read for all may not go on where it stands.
    behind: bool,
    /// When it may read again.
    again: BoxFuture<'static, ()>,
    /// Pages in a row that had nothing to tell.
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
                told = self.told.recv(), if !self.behind => self.hear(told).await,
            }
        }
    }

    /// Goes on with what was read for all, if that is where it stands.
    async fn hear(&mut self, told: Result<Told, RecvError>) {
        match told {
            // Read after what this one has read, so it goes on there or overlaps, and is as new.
            Ok(Told::Page { page, began }) if began > self.looked => self.tell(&page).await,
            Ok(_) | Err(RecvError::Lagged(_)) => self.behind = true,
            Err(RecvError::Closed) => {
                self.told = Readings::join(&self.shared, self.rights.by.tenant());
                self.behind = true;
            }
        }
    }

    /// Reads on by itself, and says what was found.
    async fn look(&mut self) {
        // What is read for all from here on is heard; what was read before is behind what is read now.
        self.told = self.told.resubscribe();
        let found = read(&self.shared, self.rights.by.tenant(), Some(&self.cursor)).await;
        self.looked = self.shared.readings.moment();
        match found {
            Ok(Found::Page(page)) => {
                self.behind = page.more;
                self.tell(&page).await;
            }
            Ok(Found::Lost(next)) => {
                self.ready.push_back(event("lost", json!({}), Some(&next)));
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

    /// Tells of a page what it is asked for and its caller may see.
    async fn tell(&mut self, page: &Page) {
        let moved = page.next != self.cursor;
        self.cursor = page.next.clone();
        let asked = self.workflow.as_ref();
        let mut wanted: Vec<&Changed> = page.changed.iter().collect();
        wanted.retain(|it| asked.is_none_or(|asked| it.workflow == *asked));
        let read = [Permission::ExecutionsRead];
        let (shared, by) = (&self.shared, &self.rights.by);
        let wanted = executions::reached_of(shared, by, (wanted, |it| &it.workflow), &read).await;
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(problem) => return self.fail(problem.code(), problem.detail()),
        };
        let Some(last) = wanted.len().checked_sub(1) else {
            self.silent += u32::from(moved);
            if self.silent == SILENT_LOOKS {
                self.silent = 0;
                let event = event("cursor", json!({}), Some(&self.cursor));
                self.ready.push_back(event);
            }
            return;
        };
        self.silent = 0;
        for (index, Changed { said, .. }) in wanted.into_iter().enumerate() {
            // Whoever goes on before the last of a page has the page again.
            let id = (index == last).then_some(&self.cursor);
            let told = Event::default().event("changed").data(said);
            self.ready.push_back(with_id(told, id));
        }
    }

    fn fail(&mut self, code: &str, detail: &str) {
        self.ready.push_back(failed(code, detail));
        self.over = true;
    }
}
