//! What is wrong with services: which incidents there are, and what people do with them.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use http::StatusCode;
use nebula_identity::Permission;
use nebula_ports::{
    ByAt, Incident, IncidentChange, IncidentChanged, IncidentFilter, IncidentRef, IncidentStatus,
    MAX_INCIDENT_TEXT, Operation, PageToken, Severity, TimelineEntry,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    access::{Caller, unauthenticated},
    api::{Inner, Shared},
    executions::page_size,
    extract::{Asked, At, Body},
    problem::Problem,
    workflows::bad_cursor,
};

/// What is wrong with a service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub(crate) struct IncidentBody {
    /// Its id.
    incident: String,
    /// What it is about: there is one with this key that is not resolved.
    key: String,
    /// Which service.
    service: String,
    /// In a few words.
    title: String,
    /// In more words.
    description: String,
    /// How bad it is: `info`, `warning`, `critical`.
    severity: &'static str,
    /// How it stands: `open`, `acknowledged`, `resolved`.
    status: &'static str,
    /// The workflow that opened it, in whose project it is.
    workflow: String,
    /// The execution that opened it.
    execution: String,
    /// How often it was said.
    occurrences: u64,
    /// When it was opened (RFC 3339).
    opened_at: String,
    /// When something was written to it last (RFC 3339).
    updated_at: String,
    /// Who took it, and when.
    acknowledged: Option<DoneBody>,
    /// Who resolved it, and when.
    resolved: Option<DoneBody>,
    /// What helped.
    resolution: Option<String>,
}

/// Who did something, and when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoneBody {
    /// `person:…`, `service:…`, `local` or `execution:ID/node`.
    by: String,
    /// When (RFC 3339).
    at: String,
}

impl From<&ByAt> for DoneBody {
    fn from(done: &ByAt) -> Self {
        Self {
            by: done.by.clone(),
            at: done.at.to_string(),
        }
    }
}

impl From<&Incident> for IncidentBody {
    fn from(it: &Incident) -> Self {
        Self {
            incident: it.id.to_string(),
            key: it.key.clone(),
            service: it.service.clone(),
            title: it.title.clone(),
            description: it.description.clone(),
            severity: it.severity.as_str(),
            status: it.status.as_str(),
            workflow: it.workflow.to_string(),
            execution: it.execution.to_string(),
            occurrences: it.occurrences,
            opened_at: it.opened_at.to_string(),
            updated_at: it.updated_at.to_string(),
            acknowledged: it.acknowledged.as_ref().map(Into::into),
            resolved: it.resolved.as_ref().map(Into::into),
            resolution: it.resolution.clone(),
        }
    }
}

/// A part of the incidents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentPage {
    /// Incidents, the newest first.
    incidents: Vec<IncidentBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Which incidents to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListIncidents {
    /// Only those with one of these statuses, with commas between them.
    status: Option<String>,
    /// Only those that are at least so bad.
    severity: Option<String>,
    /// Only those of this service.
    service: Option<String>,
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists incidents of projects that the caller may look at, newest first. A page may have fewer than
/// `limit` and a next one.
#[utoipa::path(
    get, path = "/api/v1/incidents", tag = "incidents",
    params(ListIncidents), responses((status = 200, body = IncidentPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<ListIncidents>,
) -> Result<Json<IncidentPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let bad = |error: String| Problem::bad("BAD_QUERY", error);
    let statuses = asked.status.as_deref().unwrap_or_default();
    let statuses = statuses.split(',').filter(|it| !it.is_empty());
    let statuses = statuses.map(|it| it.trim().parse::<IncidentStatus>());
    let statuses = statuses.collect::<Result<_, _>>();
    let severity = asked.severity.as_deref().map(str::parse::<Severity>);
    let filter = IncidentFilter {
        statuses: statuses.map_err(|error| bad(format!("status: {error}")))?,
        severity: severity
            .transpose()
            .map_err(|error| bad(format!("severity: {error}")))?,
        service: asked.service,
    };
    let after = asked.cursor.map(PageToken);
    let page = shared
        .incidents
        .list(by.tenant(), &filter, after.as_ref(), limit);
    let page = page.await.map_err(bad_cursor)?;
    let mut incidents = Vec::new();
    for incident in &page.items {
        let permission = Permission::IncidentsRead;
        if by.reaches(&shared, &incident.workflow, permission).await? {
            incidents.push(incident.into());
        }
    }
    Ok(Json(IncidentPage {
        incidents,
        next: page.next.map(|next| next.0),
    }))
}

/// The incident in the path, of which the caller may do what the route is for.
#[derive(Debug)]
pub(crate) struct OfIncident {
    by: Caller,
    incident: Incident,
}

#[derive(Deserialize)]
struct IncidentPath {
    incident: Uuid,
}

impl FromRequestParts<Shared> for OfIncident {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let by = Caller::from_request_parts(parts, shared).await?;
        let At(IncidentPath { incident: id }) = At::from_request_parts(parts, shared).await?;
        let found = shared
            .incidents
            .get(by.tenant(), &IncidentRef::Id(id))
            .await;
        let incident = found?.ok_or_else(|| unknown(id))?;
        let permission = by.permission().ok_or_else(unauthenticated)?;
        let project = by.place(shared, &incident.workflow).await?;
        let sees = (Permission::IncidentsRead, || unknown(id));
        let target = format!("incident:{id}");
        by.may(shared, permission, project.as_ref(), &target, sees)
            .await?;
        Ok(Self { by, incident })
    }
}

/// There is no such incident.
fn unknown(id: Uuid) -> Problem {
    let message = format!("there is no incident {id}");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_INCIDENT", message)
        .hint("GET /api/v1/incidents lists those that there are")
}

/// One entry of a timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryBody {
    /// Its number, from 1.
    seq: u64,
    /// When (RFC 3339).
    at: String,
    /// Who.
    by: String,
    /// `opened`, `again`, `noted`, `acknowledged` or `resolved`.
    what: &'static str,
    /// In words.
    text: String,
    /// How bad it was from then on.
    severity: &'static str,
}

impl From<&TimelineEntry> for EntryBody {
    fn from(it: &TimelineEntry) -> Self {
        Self {
            seq: it.seq,
            at: it.at.to_string(),
            by: it.by.clone(),
            what: it.what.as_str(),
            text: it.text.clone(),
            severity: it.severity.as_str(),
        }
    }
}

/// An incident with a part of its timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentShown {
    /// The incident.
    incident: IncidentBody,
    /// The entries after `after`, in their order; the newest 1,000 are kept.
    timeline: Vec<EntryBody>,
    /// What `after` of the next part is; null at the end.
    next: Option<u64>,
}

/// Which part of the timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowIncident {
    /// How many entries, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// Only entries with higher numbers.
    after: Option<u64>,
}

/// Shows an incident with its timeline.
#[utoipa::path(
    get, path = "/api/v1/incidents/{incident}", tag = "incidents",
    params(("incident" = String, Path, format = "uuid"), ShowIncident),
    responses((status = 200, body = IncidentShown))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    it: OfIncident,
    Asked(asked): Asked<ShowIncident>,
) -> Result<Json<IncidentShown>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let (tenant, id, after) = (it.by.tenant(), it.incident.id, asked.after.unwrap_or(0));
    let entries = shared.incidents.timeline(tenant, id, after, limit + 1);
    let entries = entries.await?;
    let more = entries.len() > limit;
    let shown = &entries[..entries.len().min(limit)];
    Ok(Json(IncidentShown {
        incident: (&it.incident).into(),
        next: shown.last().filter(|_| more).map(|last| last.seq),
        timeline: shown.iter().map(Into::into).collect(),
    }))
}

/// Taking an incident: there is nothing to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgeIncident {}

/// Takes an incident, as somebody who looks after it.
#[utoipa::path(
    post, path = "/api/v1/incidents/{incident}/acknowledge", tag = "incidents",
    params(("incident" = String, Path, format = "uuid")), request_body = AcknowledgeIncident,
    responses((status = 200, body = IncidentBody))
)]
pub(crate) async fn acknowledge(
    State(shared): State<Shared>,
    it: OfIncident,
    Body(AcknowledgeIncident {}): Body<AcknowledgeIncident>,
) -> Result<Json<IncidentBody>, Problem> {
    change(&shared, it, IncidentChange::Acknowledge, Value::Null).await
}

/// What helped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveIncident {
    /// In words, at most 8 KiB.
    #[serde(default)]
    resolution: String,
}

/// Resolves an incident: it is over, and does not change any more.
#[utoipa::path(
    post, path = "/api/v1/incidents/{incident}/resolve", tag = "incidents",
    params(("incident" = String, Path, format = "uuid")), request_body = ResolveIncident,
    responses((status = 200, body = IncidentBody))
)]
pub(crate) async fn resolve(
    State(shared): State<Shared>,
    it: OfIncident,
    Body(ResolveIncident { resolution }): Body<ResolveIncident>,
) -> Result<Json<IncidentBody>, Problem> {
    if resolution.len() > MAX_INCIDENT_TEXT {
        let message = format!("resolution: it has at most {MAX_INCIDENT_TEXT} bytes");
        return Err(Problem::bad("BAD_BODY", message));
    }
    let change_of = json!({ "key": it.incident.key });
    change(&shared, it, IncidentChange::Resolve(resolution), change_of).await
}

async fn change(
    shared: &Inner,
    it: OfIncident,
    what: IncidentChange,
    recorded: Value,
) -> Result<Json<IncidentBody>, Problem> {
    let id = it.incident.id;
    it.by
        .record(shared, format!("incident:{id}"), recorded)
        .await?;
    let operation = Operation {
        // Each request is one of its own; what it would do twice is the same the second time.
        key: shared.entropy.uuid().to_string(),
        by: it.by.principal().audit_name(),
    };
    let which = IncidentRef::Id(id);
    let resolves = matches!(what, IncidentChange::Resolve(_));
    let changed = shared
        .incidents
        .change(it.by.tenant(), &which, &operation, what);
    match changed.await? {
        IncidentChanged::Changed(it) | IncidentChanged::Same(it) => Ok(Json((&it).into())),
        IncidentChanged::Over(it) if resolves => Ok(Json((&it).into())),
        IncidentChanged::Over(_) => {
            let message = format!("the incident {id} is resolved, and does not change any more");
            Err(Problem::conflict("INCIDENT_RESOLVED", message))
        }
        IncidentChanged::Unknown => Err(unknown(id)),
    }
}
