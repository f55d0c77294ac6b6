//! Incidents as commands see them: the same from a database as from a server.

use async_trait::async_trait;
use http::Method;
use nebula_core::Entropy as _;
use nebula_ports::{
    Incident, IncidentChange, IncidentChanged, IncidentFilter, IncidentRef, MAX_TIMELINE,
    Operation, TimelineEntry,
};
use nebula_system::SystemEntropy;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Here, Listed, There};
use crate::{failure::Failure, server::Ask};

/// Who changes an incident in a database of their own.
const LOCAL: &str = "local";

/// The most of a page; a server gives fewer if it wants to.
const PAGE: usize = 500;

/// An incident, as the API has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IncidentLine {
    pub(crate) incident: Uuid,
    pub(crate) key: String,
    pub(crate) service: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) severity: String,
    pub(crate) status: String,
    pub(crate) workflow: String,
    pub(crate) execution: String,
    pub(crate) occurrences: u64,
    pub(crate) opened_at: String,
    pub(crate) updated_at: String,
    pub(crate) acknowledged: Option<DoneLine>,
    pub(crate) resolved: Option<DoneLine>,
    pub(crate) resolution: Option<String>,
}

/// Who did something, and when.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DoneLine {
    pub(crate) by: String,
    pub(crate) at: String,
}

/// One entry of a timeline.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EntryLine {
    pub(crate) seq: u64,
    pub(crate) at: String,
    pub(crate) by: String,
    pub(crate) what: String,
    pub(crate) text: String,
    pub(crate) severity: String,
}

/// An incident with its timeline.
#[derive(Debug, Serialize)]
pub(crate) struct WholeIncident {
    pub(crate) incident: IncidentLine,
    pub(crate) timeline: Vec<EntryLine>,
}

impl From<Incident> for IncidentLine {
    fn from(it: Incident) -> Self {
        let done = |done: nebula_ports::ByAt| DoneLine {
            by: done.by,
            at: done.at.to_string(),
        };
        Self {
            incident: it.id,
            key: it.key,
            service: it.service,
            title: it.title,
            description: it.description,
            severity: it.severity.to_string(),
            status: it.status.to_string(),
            workflow: it.workflow.to_string(),
            execution: it.execution.to_string(),
            occurrences: it.occurrences,
            opened_at: it.opened_at.to_string(),
            updated_at: it.updated_at.to_string(),
            acknowledged: it.acknowledged.map(done),
            resolved: it.resolved.map(done),
            resolution: it.resolution,
        }
    }
}

impl From<TimelineEntry> for EntryLine {
    fn from(it: TimelineEntry) -> Self {
        Self {
            seq: it.seq,
            at: it.at.to_string(),
            by: it.by,
            what: it.what.as_str().to_owned(),
            text: it.text,
            severity: it.severity.to_string(),
        }
    }
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// It is as it was asked for.
    Done(Box<IncidentLine>),
    /// It is resolved, and does not change any more.
    Over,
    /// There is none.
    Unknown,
}

/// What commands ask about incidents, whoever answers.
#[async_trait]
pub(crate) trait ReachIncidents {
    /// Incidents, newest first.
    async fn incidents(
        &self,
        filter: &IncidentFilter,
        limit: usize,
    ) -> Result<Listed<IncidentLine>, Failure>;

    /// One with its timeline.
    async fn incident(&self, id: Uuid) -> Result<Option<WholeIncident>, Failure>;

    /// Takes it, or resolves it.
    async fn change_incident(&self, id: Uuid, change: IncidentChange) -> Result<Changed, Failure>;
}

#[async_trait]
impl ReachIncidents for Here {
    async fn incidents(
        &self,
        filter: &IncidentFilter,
        limit: usize,
    ) -> Result<Listed<IncidentLine>, Failure> {
        let incidents = &self.composed.incidents;
        let page = incidents.list(&self.tenant, filter, None, limit).await?;
        Ok(Listed {
            items: page.items.into_iter().map(Into::into).collect(),
            more: page.next.is_some(),
        })
    }

    async fn incident(&self, id: Uuid) -> Result<Option<WholeIncident>, Failure> {
        let (incidents, which) = (&self.composed.incidents, IncidentRef::Id(id));
        let Some(incident) = incidents.get(&self.tenant, &which).await? else {
            return Ok(None);
        };
        let timeline = incidents.timeline(&self.tenant, id, 0, MAX_TIMELINE);
        let timeline = timeline.await?.into_iter().map(Into::into).collect();
        Ok(Some(WholeIncident {
            incident: incident.into(),
            timeline,
        }))
    }

    async fn change_incident(&self, id: Uuid, change: IncidentChange) -> Result<Changed, Failure> {
        let operation = Operation {
            key: SystemEntropy.uuid().to_string(),
            by: LOCAL.to_owned(),
        };
        let which = IncidentRef::Id(id);
        let changed = self
            .composed
            .incidents
            .change(&self.tenant, &which, &operation, change);
        Ok(match changed.await? {
            IncidentChanged::Changed(it) | IncidentChanged::Same(it) => {
                Changed::Done(Box::new(it.into()))
            }
            IncidentChanged::Over(_) => Changed::Over,
            IncidentChanged::Unknown => Changed::Unknown,
        })
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    incidents: Vec<IncidentLine>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Shown {
    incident: IncidentLine,
    timeline: Vec<EntryLine>,
    next: Option<u64>,
}

fn ask(id: Uuid) -> Ask<'static> {
    Ask::new(Method::GET).at(["incidents"]).at([id.to_string()])
}

#[async_trait]
impl ReachIncidents for There {
    async fn incidents(
        &self,
        filter: &IncidentFilter,
        limit: usize,
    ) -> Result<Listed<IncidentLine>, Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let left = limit - items.len();
            let mut ask = Ask::new(Method::GET).at(["incidents"]);
            ask = ask.with("limit", left.clamp(1, PAGE).to_string());
            if !filter.statuses.is_empty() {
                let statuses: Vec<_> = filter.statuses.iter().map(|it| it.as_str()).collect();
                ask = ask.with("status", statuses.join(","));
            }
            if let Some(severity) = filter.severity {
                ask = ask.with("severity", severity.as_str());
            }
            if let Some(service) = &filter.service {
                ask = ask.with("service", service.clone());
            }
            if let Some(cursor) = &cursor {
                ask = ask.with("cursor", cursor.clone());
            }
            let page: Page = self.server.get(ask).await?;
            items.extend(page.incidents);
            cursor = page.next;
            if cursor.is_none() || items.len() >= limit {
                let more = cursor.is_some();
                return Ok(Listed { items, more });
            }
        }
    }

    async fn incident(&self, id: Uuid) -> Result<Option<WholeIncident>, Failure> {
        let (mut timeline, mut after) = (Vec::new(), 0);
        loop {
            let ask = ask(id)
                .with("limit", PAGE.to_string())
                .with("after", u64::to_string(&after));
            let Some(part) = self.server.find::<Shown>(ask).await? else {
                return Ok(None);
            };
            timeline.extend(part.timeline);
            match part.next {
                Some(next) => after = next,
                None => {
                    let incident = part.incident;
                    return Ok(Some(WholeIncident { incident, timeline }));
                }
            }
        }
    }

    async fn change_incident(&self, id: Uuid, change: IncidentChange) -> Result<Changed, Failure> {
        let (way, body) = match change {
            IncidentChange::Resolve(resolution) => ("resolve", json!({ "resolution": resolution })),
            IncidentChange::Acknowledge | IncidentChange::Note(_) => ("acknowledge", json!({})),
        };
        let ask = ask(id).at([way]).method(Method::POST).json(&body);
        let answer = self.server.send(ask).await?;
        if answer.code() == Some("UNKNOWN_INCIDENT") {
            return Ok(Changed::Unknown);
        }
        if answer.code() == Some("INCIDENT_RESOLVED") {
            return Ok(Changed::Over);
        }
        Ok(Changed::Done(Box::new(answer.good()?.json()?)))
    }
}
