//! Executions: which there are, where each stands, what it did.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_core::{ExecutionId, Labels, TenantId, Timestamp, WorkflowId};
use nebula_engine::Until;
use nebula_execution::{Again, InstanceId, Signal, Status};
use nebula_identity::Permission;
use nebula_ports::{ExecutionFilter, ExecutionSummary, PageToken, Signalled};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Caller, OfExecution},
    api::{Inner, Shared},
    config::ApiConfig,
    extract::{Asked, Body, Time},
    problem::{Problem, unknown_execution},
    start::{ExecutionBody, Wait},
    workflows::bad_cursor,
};

/// What a listing says of an execution.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionSummary)]
pub(crate) struct SummaryBody {
    /// Its id; it begins with the time of its start.
    execution: String,
    /// Of which workflow.
    workflow: String,
    /// Of which version; 0 is a trial of a definition that is not saved.
    version: u32,
    /// How urgent it is: `lowest`, `low`, `normal`, `high` or `highest`.
    priority: &'static str,
    /// Where it stands.
    status: &'static str,
    /// When it was created (RFC 3339).
    created_at: String,
    /// When something was last written of it (RFC 3339).
    updated_at: String,
    /// When the rate of its workflow lets it begin, if that is still to come (RFC 3339).
    begins_at: Option<String>,
    /// When it is due again (RFC 3339).
    wake_at: Option<String>,
    /// The number of entries in its journal.
    entries: u64,
    /// Whether a worker drives it.
    leased: bool,
    /// What it is found by, as it was given at its start.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
}

impl From<ExecutionSummary> for SummaryBody {
    fn from(summary: ExecutionSummary) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            execution: summary.id.to_string(),
            workflow: summary.workflow.to_string(),
            version: summary.version,
            priority: summary.priority.name(),
            status: summary.status.as_str(),
            created_at: summary.created_at.to_string(),
            updated_at: summary.updated_at.to_string(),
            begins_at: text(summary.begins_at),
            wake_at: text(summary.wake_at),
            entries: summary.entries,
            leased: summary.leased,
            labels: summary.labels,
        }
    }
}

/// A part of the executions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionPage {
    /// Executions, newest first.
    executions: Vec<SummaryBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Which executions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListExecutions {
    /// Only of this workflow.
    #[param(value_type = Option<String>)]
    workflow: Option<WorkflowId>,
    /// Only in one of these statuses, with commas between them.
    status: Option<String>,
    /// Only those that were started at this time or later (RFC 3339).
    #[param(value_type = Option<String>)]
    since: Option<Time>,
    /// Only those that were started before this time (RFC 3339).
    #[param(value_type = Option<String>)]
    until: Option<Time>,
    /// Only those whose id begins so, in lower case.
    id: Option<String>,
    /// Only those with all of these labels: `key=value`, with commas between them.
    labels: Option<String>,
    /// Only those with this text in the id of their workflow or in the value of a label, 1 to 200
    /// characters; ASCII letters are alike in both cases.
    #[param(min_length = 1, max_length = 200)]
    text: Option<String>,
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// How many entries a page has.
pub(crate) fn page_size(shared: &Inner, asked: Option<u64>) -> Result<usize, Problem> {
    let most = u64::from(shared.config().max_page);
    match asked.unwrap_or(u64::from(ApiConfig::USUAL_PAGE).min(most)) {
        0 => Err(Problem::bad(
            "BAD_QUERY",
            "limit: a page has at least one entry",
        )),
        limit => Ok(limit.min(most) as usize),
    }
}

fn statuses(text: &str) -> Result<Vec<Status>, Problem> {
    let read = text.split(',').map(|status| {
        status.trim().parse().map_err(|error| {
            let all: Vec<_> = Status::all().map(Status::as_str).collect();
            Problem::bad("BAD_QUERY", format!("status: {error}"))
                .hint(format!("give some of {}", all.join(", ")))
        })
    });
    read.collect()
}

/// Labels of a query.
fn labels(text: &str) -> Result<Labels, Problem> {
    text.parse()
        .map_err(|error| Problem::bad("BAD_QUERY", format!("labels: {error}")))
}

/// The longest text to look for, in characters.
const MAX_TEXT: usize = 200;

fn text(text: String) -> Result<String, Problem> {
    match text.chars().count() {
        1..=MAX_TEXT => Ok(text),
        _ => {
            let message = format!("text: give 1 to {MAX_TEXT} characters");
            Err(Problem::bad("BAD_QUERY", message))
        }
    }
}

/// Lists executions, newest first: those of projects that the caller may look at. A page may have fewer
/// than were asked for, also none, and a next one.
#[utoipa::path(
    get, path = "/api/v1/executions", tag = "executions",
    params(ListExecutions), responses((status = 200, body = ExecutionPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<ListExecutions>,
) -> Result<Json<ExecutionPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let begin = asked.id.as_deref().map(|prefix| {
        ExecutionId::that_begin(prefix).ok_or_else(|| {
            Problem::bad("BAD_QUERY", "id: no execution's id begins so")
                .hint("give the first characters of an id, with its dashes")
        })
    });
    let filter = ExecutionFilter {
        workflow: asked.workflow,
        statuses: asked.status.as_deref().map_or(Ok(Vec::new()), statuses)?,
        ids: begin.transpose()?,
        since: asked.since.map(|since| since.0),
        until: asked.until.map(|until| until.0),
        labels: asked
            .labels
            .as_deref()
            .map(labels)
            .transpose()?
            .unwrap_or_default(),
        text: asked.text.map(text).transpose()?,
    };
    let after = asked.cursor.map(PageToken);
    let engine = shared.nebula.engine();
    let page = engine
        .list(by.tenant(), &filter, after.as_ref(), limit)
        .await
        .map_err(bad_cursor)?;
    let read = [Permission::ExecutionsRead];
    let items = reached(&shared, &by, page.items, &read).await?;
    Ok(Json(ExecutionPage {
        executions: items.into_iter().map(Into::into).collect(),
        next: page.next.map(|next| next.0),
    }))
}

/// Those in whose projects the caller may do all of this.
pub(crate) async fn reached(
    shared: &Inner,
    by: &Caller,
    found: Vec<ExecutionSummary>,
    permissions: &[Permission],
) -> Result<Vec<ExecutionSummary>, Problem> {
    reached_of(shared, by, (found, |it| &it.workflow), permissions).await
}

/// The same of anything that is of a workflow.
pub(crate) async fn reached_of<T>(
    shared: &Inner,
    by: &Caller,
    (mut found, workflow): (Vec<T>, fn(&T) -> &WorkflowId),
    permissions: &[Permission],
) -> Result<Vec<T>, Problem> {
    let mut known: BTreeMap<WorkflowId, bool> = BTreeMap::new();
    for one in &found {
        let of = workflow(one);
        if !known.contains_key(of) {
            let mut may = true;
            for permission in permissions {
                may = may && by.reaches(shared, of, *permission).await?;
            }
            known.insert(of.clone(), may);
        }
    }
    found.retain(|it| known.get(workflow(it)) == Some(&true));
    Ok(found)
}

/// What a listing says of one execution.
pub(crate) async fn summary(
    shared: &Inner,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<ExecutionSummary, Problem> {
    let engine = shared.nebula.engine();
    let found = engine.summary(tenant, id).await?;
    found.ok_or_else(|| unknown_execution(id))
}

/// Shows where an execution stands.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), responses((status = 200, body = SummaryBody))
)]
pub(crate) async fn show(OfExecution { summary, .. }: OfExecution) -> Json<SummaryBody> {
    Json(summary.into())
}

/// Shows what an execution did: its output, and what each node did and gave; as `nebula run --json`
/// prints it. With `wait`, the answer comes once it has ended or needs somebody, or as it stands then.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/report", tag = "executions",
    params(("execution" = String, Path, format = "uuid"), Wait),
    responses(
        (status = 200, body = Object),
        (status = 202, body = Object, description = "It was waited for in vain: it goes on.")
    )
)]
pub(crate) async fn report(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    Asked(wait): Asked<Wait>,
) -> Result<(StatusCode, Json<nebula_engine::Report>), Problem> {
    let engine = shared.nebula.engine();
    let id = summary.id;
    let mut status = StatusCode::OK;
    if let Some(wait) = wait.span(&shared)? {
        let until = shared.clock.monotonic() + wait;
        let settled = engine.wait(by.tenant(), id, Until::EndedOrParked, Some(wait));
        let late = settled.await?.is_some_and(|it| !it.is_terminal());
        if late && shared.clock.monotonic() >= until {
            status = StatusCode::ACCEPTED;
        }
    }
    let report = engine.report(by.tenant(), id).await?;
    let report = report.ok_or_else(|| unknown_execution(id))?;
    Ok((status, Json(report)))
}

/// Shows what an execution gave, and why it failed if it did.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/output", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), responses((status = 200, body = ExecutionBody))
)]
pub(crate) async fn output(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
) -> Result<Json<ExecutionBody>, Problem> {
    let engine = shared.nebula.engine();
    let id = summary.id;
    let halts = shared.nebula.bus().wait_for(id);
    let awaited = engine.end(by.tenant(), id, halts, Some(Duration::ZERO));
    Ok(Json(ExecutionBody::of(id, awaited.await?)?))
}

/// A part of a journal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JournalBody {
    /// Entries in order, each with `seq`, `epoch`, `at` and its fact.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Value>,
    /// What `from` of the next page is; null at the end.
    next: Option<u64>,
}

/// Which part of a journal.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadJournal {
    /// The number of the first entry, from 1.
    #[param(minimum = 1)]
    from: Option<u64>,
    /// How many, at most `max_page`; 50 where nothing is said. A page ends with a batch that was
    /// written together, so it may have more.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

impl ReadJournal {
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The number of the first entry.
    pub(crate) fn first(&self) -> Result<u64, Problem> {
        match self.from {
            Some(0) => {
                let message = "from: the first entry has number 1";
                Err(Problem::bad("BAD_QUERY", message))
            }
            from => Ok(from.unwrap_or(1)),
        }
    }
}

/// Shows a part of the journal: every fact, in order.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/journal", tag = "executions",
    params(("execution" = String, Path, format = "uuid"), ReadJournal), responses((status = 200, body = JournalBody))
)]
pub(crate) async fn journal(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    Asked(asked): Asked<ReadJournal>,
) -> Result<Json<JournalBody>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let from = asked.first()?;
    if from > summary.entries {
        return Ok(Json(JournalBody {
            entries: Vec::new(),
            next: None,
        }));
    }
    let engine = shared.nebula.engine();
    let page = engine.journal(by.tenant(), summary.id, from, limit).await?;
    let entries = page.entries.iter().map(|stored| {
        serde_json::json!({
            "seq": stored.seq,
            "epoch": stored.epoch,
            "at": stored.entry.at.to_string(),
            "fact": serde_json::to_value(&stored.entry.fact).unwrap_or_default(),
        })
    });
    Ok(Json(JournalBody {
        entries: entries.collect(),
        next: page.next,
    }))
}

/// What is done to many executions.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BulkAction {
    /// End them early.
    Cancel,
    /// Start nothing new in them.
    Pause,
    /// Go on after a pause.
    Unpause,
    /// Start each that failed, was cancelled or timed out again, keeping what succeeded.
    Retry,
}

/// Many executions, and what to do with them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulk {
    /// What to do.
    action: BulkAction,
    /// Only of this workflow.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    workflow: Option<WorkflowId>,
    /// Only in one of these statuses; where nothing is said, all to which the action applies.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    statuses: Vec<Status>,
    /// Only those that were started at this time or later (RFC 3339).
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    since: Option<Time>,
    /// Only those that were started before this time (RFC 3339).
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    until: Option<Time>,
    /// Only those with all of these labels.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    /// Whether to count them only. It is true unless it is said to be false.
    #[serde(default = "yes")]
    #[schema(default = true)]
    dry_run: bool,
    /// `next` of the answer before.
    #[serde(default)]
    cursor: Option<String>,
}

fn yes() -> bool {
    true
}

/// What became of many.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct BulkDone {
    /// Whether they were counted only.
    dry_run: bool,
    /// How many executions are meant, of those that were looked at.
    matched: u64,
    /// How many were told.
    done: u64,
    /// What could not be told, each with the reason.
    failed: Vec<BulkFailed>,
    /// What `cursor` of the next call is, if there are more to look at; null at the end.
    next: Option<String>,
}

/// One that could not be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkFailed {
    /// Which execution.
    execution: String,
    /// Why.
    detail: String,
}

/// The most executions that one call looks at.
const MAX_BULK: usize = 1_000;

/// The most of them that the audit log names.
const MAX_TOLD: usize = 500;

impl BulkAction {
    /// What it takes to do it to one.
    fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Cancel | Self::Pause | Self::Unpause => &[Permission::ExecutionsControl],
            Self::Retry => &[Permission::ExecutionsControl, Permission::ExecutionsStart],
        }
    }

    fn applies(self, status: Status) -> bool {
        match self {
            Self::Cancel => !status.is_terminal(),
            Self::Pause => !status.is_terminal() && status != Status::Paused,
            Self::Unpause => status == Status::Paused,
            Self::Retry => status.is_terminal() && status != Status::Completed,
        }
    }
}

/// Does something to many executions, at most 1,000 in a call; counts them first, where nothing else is
/// said.
#[utoipa::path(
    post, path = "/api/v1/executions/bulk", tag = "executions",
    request_body = Bulk, responses((status = 200, body = BulkDone))
)]
pub(crate) async fn bulk(
    State(shared): State<Shared>,
    by: Caller,
    Body(wanted): Body<Bulk>,
) -> Result<Json<BulkDone>, Problem> {
    let asked = wanted.statuses.iter().copied();
    let mut statuses: Vec<_> = asked.filter(|it| wanted.action.applies(*it)).collect();
    if wanted.statuses.is_empty() {
        statuses = Status::all()
            .filter(|it| wanted.action.applies(*it))
            .collect();
    }
    if statuses.is_empty() {
        return Err(Problem::bad(
            "NOTHING_APPLIES",
            "this action applies to none of these statuses",
        )
        .hint("leave `statuses` out, and all to which it applies are meant"));
    }
    let filter = ExecutionFilter {
        workflow: wanted.workflow.clone(),
        statuses,
        since: wanted.since.map(|since| since.0),
        until: wanted.until.map(|until| until.0),
        labels: wanted.labels.clone(),
        ..ExecutionFilter::default()
    };
    let after = wanted.cursor.clone().map(PageToken);
    let engine = shared.nebula.engine();
    let page = engine
        .list(by.tenant(), &filter, after.as_ref(), MAX_BULK)
        .await
        .map_err(bad_cursor)?;
    let items = reached(&shared, &by, page.items, wanted.action.permissions()).await?;
    let mut done = BulkDone {
        dry_run: wanted.dry_run,
        matched: items.len() as u64,
        next: page.next.map(|next| next.0),
        ..BulkDone::default()
    };
    if wanted.dry_run {
        return Ok(Json(done));
    }
    let ids: Vec<_> = items.iter().map(|it| it.id.to_string()).collect();
    let change = serde_json::json!({
        "action": wanted.action, "count": ids.len(), "executions": ids.get(..MAX_TOLD).unwrap_or(&ids),
    });
    by.record(&shared, "", change).await?;
    for execution in items {
        match one_of_many(&shared, by.tenant(), wanted.action, execution.id).await {
            Ok(()) => done.done += 1,
            Err(detail) => done.failed.push(BulkFailed {
                execution: execution.id.to_string(),
                detail,
            }),
        }
    }
    Ok(Json(done))
}

async fn one_of_many(
    shared: &Inner,
    tenant: &TenantId,
    action: BulkAction,
    id: ExecutionId,
) -> Result<(), String> {
    let signal = match action {
        BulkAction::Cancel => Signal::Cancel {
            reason: "cancelled with others".to_owned(),
        },
        BulkAction::Pause => Signal::Pause {
            reason: "paused with others".to_owned(),
        },
        BulkAction::Unpause => Signal::Unpause,
        BulkAction::Retry => {
            let again = shared.nebula.admit_again(tenant, id, Again::Retry);
            return again.await.map(|_| ()).map_err(|error| error.to_string());
        }
    };
    let engine = shared.nebula.engine();
    match engine.signal(tenant, id, &signal, None).await {
        Ok(Signalled::Delivered { .. } | Signalled::Duplicate { .. }) => Ok(()),
        Ok(Signalled::Terminal(status)) => Err(format!("it has ended: {status}")),
        Ok(Signalled::Unknown) => Err("it is there no longer".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Which version to move to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Migrate {
    /// Its number.
    #[schema(minimum = 1)]
    version: u32,
    /// Whether to check only, and move nothing.
    #[serde(default)]
    check: bool,
}

/// What became of a migration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MigratedBody {
    /// The version before.
    from: u32,
    /// The version now, or the one that was checked.
    to: u32,
    /// The instances that begin with it.
    begins: Vec<String>,
    /// The instances that are not there any more.
    drops: Vec<String>,
}

/// Moves an execution that waits to another version of its workflow, if its journal is a possible history
/// of that one.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/migrate", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), request_body = Migrate,
    responses((status = 200, body = MigratedBody))
)]
pub(crate) async fn migrate(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    Body(wanted): Body<Migrate>,
) -> Result<Json<MigratedBody>, Problem> {
    let engine = shared.nebula.engine();
    if !wanted.check {
        let change = serde_json::json!({ "version": [summary.version, wanted.version] });
        by.record(&shared, format!("execution:{}", summary.id), change)
            .await?;
    }
    let moved = engine.migrate(by.tenant(), summary.id, wanted.version, wanted.check);
    let moved = moved.await?;
    let names = |all: &[InstanceId]| all.iter().map(ToString::to_string).collect();
    Ok(Json(MigratedBody {
        from: moved.from,
        to: moved.to,
        begins: names(&moved.changes.begins),
        drops: names(&moved.changes.drops),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_on_many_applies_to_what_it_can_change() {
        for status in Status::all() {
            let ended = status.is_terminal();
            assert_eq!(BulkAction::Cancel.applies(status), !ended, "{status}");
            let again = ended && status != Status::Completed;
            assert_eq!(BulkAction::Retry.applies(status), again, "{status}");
        }
        assert!(!BulkAction::Pause.applies(Status::Paused));
        assert!(BulkAction::Unpause.applies(Status::Paused));
    }
}
