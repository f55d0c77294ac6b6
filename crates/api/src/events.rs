//! What becomes true, told as it happens: server-sent events.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderName, StatusCode};
use nebula_core::{BoxFuture, ExecutionId, WorkflowId};
use nebula_execution::InstanceId;
use nebula_identity::Permission;
use nebula_telemetry::{EventKind, ExecutionEvent, Received, Watcher};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use crate::{
    access::{Caller, OfExecution},
    api::{Inner, Shared},
    executions,
    extract::Asked,
    problem::Problem,
    room::Place,
};

pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How many entries of a journal are read at a time.
const PAGE: usize = 200;
/// How often the journal is looked at where nothing is told: whoever drives the execution may be another process,
/// and what it says may be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Room for one more watcher.
pub(crate) fn room(shared: &Inner) -> Result<Place, Problem> {
    let most = shared.config().max_watchers;
    shared.watchers.take(most).ok_or_else(|| {
        let message = format!("{most} watch already, and max_watchers allows no more");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_WATCHERS", message)
            .hint("close a stream, or ask for pages instead")
            .try_after(Duration::from_secs(5))
    })
}

/// After which entry to go on, from `Last-Event-ID`.
fn last_seen(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID) else {
        return Ok(0);
    };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    id.ok_or_else(|| {
        Problem::bad("BAD_EVENT_ID", "Last-Event-ID is no number of an entry")
            .hint("send the `id` of the last event that you saw, or leave it out")
    })
}

/// Streams what becomes true of one execution, from its beginning or after `Last-Event-ID`, until its
/// end. The id of an event is the number of its entry in the journal; progress has none.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/events", tag = "live",
    params(
        ("execution" = String, Path, format = "uuid"), Ticket,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen.")
    ),
    responses((status = 200, description = "Server-sent events.", content_type = "text/event-stream"))
)]
pub(crate) async fn of_execution(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    Asked(Ticket { .. }): Asked<Ticket>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let room = room(&shared)?;
    let seen = last_seen(&headers)?;
    // It listens before it reads, so that nothing falls between.
    let watcher = shared.nebula.bus().subscribe();
    let id = summary.id;
    let entries = executions::summary(&shared, by.tenant(), id).await?.entries;
    if seen > entries {
        let message = format!("Last-Event-ID is {seen}, and {id} has {entries} entries");
        return Err(Problem::bad("BAD_EVENT_ID", message)
            .hint("send the `id` of the last event of this execution that you saw"));
    }
    let following = Following {
        watcher,
        id,
        rights: Rights::new(&shared, by),
        workflow: summary.workflow,
        seen,
        behind: true,
        look_again: shared.clock.sleep(LOOK_AGAIN),
        ready: VecDeque::new(),
        ended: false,
        _room: room,
        shared: shared.clone(),
    };
    let events = stream::unfold(following, async |mut it| {
        let event = it.next().await?;
        Some((Ok(event), it))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(shared.config().keep_alive)))
}

/// What opens a stream where no header can be sent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ticket {
    /// A ticket of POST /api/v1/tickets, for whoever can send no header.
    #[serde(rename = "ticket")]
    #[expect(dead_code, reason = "it was spent before")]
    ticket: Option<String>,
}

/// The rights of one who watches: asked for again and again, since a stream outlives them.
pub(crate) struct Rights {
    pub(crate) by: Caller,
    pub(crate) again: BoxFuture<'static, ()>,
}

impl Rights {
    pub(crate) fn new(shared: &Shared, by: Caller) -> Self {
        let now = shared.clock.now();
        let left = by.principal().check_again_at().since(now);
        Self {
            again: shared.clock.sleep(left),
            by,
        }
    }

    /// Asks for them again; says why the stream ends, if it does.
    pub(crate) async fn renewed(&mut self, shared: &Shared) -> Option<Event> {
        match shared.identity.check_again(self.by.principal()).await {
            Ok(principal) => {
                *self = Self::new(shared, self.by.renewed(principal));
                None
            }
            Err(_) => Some(over()),
        }
    }
}

/// That the stream ends for want of rights.
fn over() -> Event {
    failed(
        "DENIED",
        "the rights with which the stream was opened are over",
    )
}

/// Why a stream ends before its end.
pub(crate) fn failed(code: &str, detail: &str) -> Event {
    let told = json!({ "code": code, "detail": detail });
    Event::default().event("error").data(told.to_string())
}

/// One who watches an execution.
struct Following {
    watcher: Watcher,
    rights: Rights,
    workflow: WorkflowId,
    id: ExecutionId,
    /// The last entry that was told.
    seen: u64,
    /// Whether the journal knows more than was told.
    behind: bool,
    /// When to look whether it does.
    look_again: BoxFuture<'static, ()>,
    ready: VecDeque<Event>,
    ended: bool,
    _room: Place,
    shared: Shared,
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if self.behind {
                self.read().await;
                continue;
            }
            let received = tokio::select! {
                biased;
                () = self.shared.stopping.cancelled() => return None,
                () = &mut self.rights.again => {
                    if let Some(event) = self.still().await {
                        self.ended = true;
                        return Some(event);
                    }
                    continue;
                }
                received = self.watcher.next() => received?,
                () = &mut self.look_again => {
                    self.behind = true;
                    continue;
                }
            };
            match received {
                Received::Event(event) if event.execution != self.id => {}
                Received::Event(event) if event.seq == 0 => self.tell(&event),
                Received::Event(event) if event.seq <= self.seen => {}
                Received::Event(event) if event.seq == self.seen + 1 => self.tell(&event),
                // The journal has what was missed.
                Received::Event(_) | Received::Lost(_) => self.behind = true,
            }
        }
    }

    /// Why the stream ends, if its watcher may see it no longer.
    async fn still(&mut self) -> Option<Event> {
        if let Some(event) = self.rights.renewed(&self.shared).await {
            return Some(event);
        }
        let (by, permission) = (&self.rights.by, Permission::ExecutionsRead);
        match by.reaches(&self.shared, &self.workflow, permission).await {
            Ok(true) => None,
            Ok(false) | Err(_) => Some(over()),
        }
    }

    /// Goes on in the journal.
    async fn read(&mut self) {
        self.look_again = self.shared.clock.sleep(LOOK_AGAIN);
        let engine = self.shared.nebula.engine();
        let tenant = self.rights.by.tenant();
        let page = engine.journal(tenant, self.id, self.seen + 1, PAGE).await;
        match page {
            Ok(page) => {
                self.behind = page.next.is_some();
                let tenant = tenant.clone();
                for stored in &page.entries {
                    let event =
                        ExecutionEvent::project(&tenant, self.id, stored.seq, &stored.entry);
                    self.tell(&event);
                }
            }
            Err(error) => {
                self.ready
                    .push_back(failed("STORE_UNAVAILABLE", &error.to_string()));
                self.ended = true;
            }
        }
    }

    fn tell(&mut self, event: &ExecutionEvent) {
        if event.seq > 0 {
            self.seen = event.seq;
        }
        self.ended |= matches!(event.kind, EventKind::Ended { .. });
        self.ready.push_back(sse(event));
    }
}

/// An event as it is sent: its kind is the name, and what it says is JSON.
fn sse(event: &ExecutionEvent) -> Event {
    let data = event.document();
    let name = data["type"].as_str().unwrap_or_default().to_owned();
    let told = Event::default().event(name).data(data.to_string());
    match event.seq {
        0 => told,
        seq => told.id(seq.to_string()),
    }
}

/// Of which executions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchAll {
    /// Only of this workflow.
    #[param(value_type = Option<String>)]
    workflow: Option<WorkflowId>,
    /// A ticket of POST /api/v1/tickets, for whoever can send no header.
    #[expect(dead_code, reason = "it was spent before")]
    ticket: Option<String>,
}

/// Streams what becomes true of all executions that the caller may look at, from now on. A watcher who is too slow is told how many
/// events it lost (`lost`): the journals have them.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "live", params(WatchAll),
    responses((status = 200, description = "Server-sent events.", content_type = "text/event-stream"))
)]
pub(crate) async fn all(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<WatchAll>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    watched(&shared, by, asked, (Permission::ExecutionsRead, None))
}

/// Streams what is asked of people and what they say, of all executions whose approvals the caller may see, from
/// now on: `node_asking`, `voted`, `vote_refused`, and how an asking that it told of ended. Whoever lists what is
/// open once the stream is there misses nothing. A watcher who is too slow is told so (`lost`), and lists again.
#[utoipa::path(
    get, path = "/api/v1/approvals/events", tag = "live", params(WatchAll),
    responses((status = 200, description = "Server-sent events.", content_type = "text/event-stream"))
)]
pub(crate) async fn of_approvals(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<WatchAll>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let asking = Some(Asking::default());
    watched(&shared, by, asked, (Permission::ApprovalsRead, asking))
}

fn watched(
    shared: &Shared,
    by: Caller,
    asked: WatchAll,
    (permission, asking): (Permission, Option<Asking>),
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Problem> {
    let room = room(shared)?;
    let watching = Watching {
        watcher: shared.nebula.bus().subscribe(),
        rights: Rights::new(shared, by),
        permission,
        asking,
        workflow: asked.workflow,
        ours: HashMap::new(),
        over: false,
        _room: room,
        shared: shared.clone(),
    };
    let events = stream::unfold(watching, async |mut it| {
        let event = it.next().await?;
        Some((Ok(event), it))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(shared.config().keep_alive)))
}

/// Which instances ask people, as far as a stream of approvals has told of them.
#[derive(Default)]
struct Asking(BTreeSet<(ExecutionId, InstanceId)>);

impl Asking {
    /// Whether an event is about what is asked of people.
    fn concerns(&mut self, event: &ExecutionEvent) -> bool {
        let id = event.execution;
        match &event.kind {
            EventKind::NodeAsking { instance, .. } | EventKind::Voted { instance, .. } => {
                if self.0.len() == MAX_KNOWN {
                    self.0.clear();
                }
                self.0.insert((id, instance.clone()));
                true
            }
            EventKind::VoteRefused { .. } => true,
            EventKind::NodeSucceeded { instance }
            | EventKind::NodeFailed { instance, .. }
            | EventKind::NodeCancelled { instance } => self.0.remove(&(id, instance.clone())),
            EventKind::Ended { .. } => {
                let before = self.0.len();
                self.0.retain(|(of, _)| *of != id);
                self.0.len() < before
            }
            _ => false,
        }
    }
}

/// How many executions a watcher remembers the workflow of.
const MAX_KNOWN: usize = 10_000;

/// One who watches all executions, or those of a workflow.
struct Watching {
    watcher: Watcher,
    rights: Rights,
    /// What it takes to be told.
    permission: Permission,
    /// Of a stream of approvals.
    asking: Option<Asking>,
    workflow: Option<WorkflowId>,
    /// Executions that were asked about, and whether they are to be told of: for as long as the rights
    /// hold.
    ours: HashMap<ExecutionId, bool>,
    over: bool,
    _room: Place,
    shared: Shared,
}

impl Watching {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            let received = tokio::select! {
                biased;
                () = self.shared.stopping.cancelled() => return None,
                () = &mut self.rights.again => {
                    if let Some(event) = self.rights.renewed(&self.shared).await {
                        self.over = true;
                        return Some(event);
                    }
                    self.ours.clear();
                    continue;
                }
                received = self.watcher.next() => received?,
            };
            match received {
                Received::Event(event) if self.wants(&event).await => return Some(sse(&event)),
                Received::Event(_) => {}
                Received::Lost(count) => {
                    let told = json!({ "type": "lost", "count": count });
                    return Some(Event::default().event("lost").data(told.to_string()));
                }
            }
        }
    }

    async fn wants(&mut self, event: &Arc<ExecutionEvent>) -> bool {
        let (shared, by) = (&self.shared, &self.rights.by);
        if event.tenant != *by.tenant() {
            return false;
        }
        if !self.asking.as_mut().is_none_or(|it| it.concerns(event)) {
            return false;
        }
        let everything = by.projects().is_none();
        if everything && self.workflow.is_none() {
            return true;
        }
        let id = event.execution;
        if let Some(ours) = self.ours.get(&id) {
            return *ours;
        }
        let workflow = match &event.kind {
            EventKind::Started { workflow, .. } => Some(workflow.clone()),
            _ => {
                let found = shared.nebula.engine().summary(by.tenant(), id).await;
                found.ok().flatten().map(|it| it.workflow)
            }
        };
        let Some(workflow) = workflow else {
            return false;
        };
        let wanted = self.workflow.as_ref().is_none_or(|it| *it == workflow);
        let permission = self.permission;
        let seen = wanted
            && (everything
                || by
                    .reaches(shared, &workflow, permission)
                    .await
                    .unwrap_or(false));
        if self.ours.len() == MAX_KNOWN {
            self.ours.clear();
        }
        self.ours.insert(id, seen);
        seen
    }
}
