//! The engine behind a server, over its API.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use nebula_core::{Entropy as _, ExecutionId, WorkflowId, duration_text};
use nebula_engine::{CalledBy, Report, Started};
use nebula_execution::{Again, Fact, Signal, Status, UnparkDecision};
use nebula_ports::{
    ExecutionFilter, ExecutionSummary, JournalPage, Published, Saved, Signalled, StoredWorkflow,
    WorkflowFilter, WorkflowSummary, WorkflowVersions,
};
use nebula_system::SystemEntropy;
use nebula_workflow::{Source, WorkflowDefinition};
use serde_json::{Value, json};

use super::{Asked, Listed, Moved, NewStart, Reach, ReplayLine, wire};
use crate::{
    failure::Failure,
    server::{Answer, Ask, Server, kind_of},
};

/// The most that one page of a list is asked for; a server gives fewer if it wants to.
const PAGE: usize = 500;
/// How long one question for an end waits; a server may answer earlier.
const WAIT: Duration = Duration::from_secs(20);

/// A server that is asked.
#[derive(Debug)]
pub(crate) struct There {
    pub(crate) server: Arc<Server>,
}

impl There {
    fn execution<'a>(&self, id: ExecutionId, rest: &'a str) -> Ask<'a> {
        let mut ask = Ask::new(Method::GET)
            .at(["executions"])
            .at([id.to_string()]);
        if !rest.is_empty() {
            ask = ask.at([rest]);
        }
        ask
    }

    fn workflow(&self, id: &WorkflowId) -> Ask<'static> {
        Ask::new(Method::GET).at(["workflows"]).at([id.to_string()])
    }

    /// A page as large as it may be.
    fn page(left: usize) -> String {
        left.clamp(1, PAGE).to_string()
    }

    async fn begun(&self, ask: Ask<'_>) -> Result<Started, Failure> {
        let begun: wire::Begun = self.server.get(ask).await?;
        Ok(Started {
            id: begun.execution,
            lease: None,
            entries: Vec::new(),
            existed: None,
            waits_behind: begun.waits_behind,
            begins_at: begun.begins_at.map(|at| at.0),
            cancelled: Vec::new(),
        })
    }

    /// The revision that somebody else's change has left.
    async fn revision(&self, id: &WorkflowId) -> Result<u64, Failure> {
        let there: Option<wire::Workflow> = self.server.find(self.workflow(id)).await?;
        Ok(there.map_or(0, |it| it.revision))
    }
}

/// What a signal is over the API: the end of the path, and the body if there is one.
fn said(signal: &Signal) -> Option<(&'static str, Option<Value>)> {
    Some(match signal {
        Signal::Cancel { reason } => ("cancel", Some(json!({ "reason": reason }))),
        Signal::Pause { reason } => ("pause", Some(json!({ "reason": reason }))),
        Signal::Unpause => ("unpause", None),
        Signal::Named(named) => {
            let body = json!({
                "name": named.name,
                "id": named.id,
                "payload": named.payload,
                "keep": named.keep,
            });
            ("signals", Some(body))
        }
        Signal::Vote(ballot) => {
            let mut body = json!({
                "instance": ballot.instance.to_string(),
                "choice": ballot.choice,
                "comment": ballot.comment,
                "id": ballot.id,
            });
            // Who votes is whoever is logged in, unless somebody else is named.
            if !ballot.by.is_empty() {
                body["by"] = ballot.by.clone().into();
            }
            ("votes", Some(body))
        }
        Signal::Unpark { instance, decision } => {
            let (decision, output) = match decision {
                UnparkDecision::Succeeded(output) => ("succeeded", Some(&**output)),
                UnparkDecision::Failed => ("failed", None),
                UnparkDecision::Retry => ("retry", None),
            };
            let mut body = json!({ "decision": decision });
            if let Some(instance) = instance {
                body["instance"] = instance.to_string().into();
            }
            if let Some(output) = output {
                body["output"] = output.clone();
            }
            ("unpark", Some(body))
        }
        // Only engines say this, to each other.
        Signal::ChildEnded(_) => return None,
    })
}

fn condition(expected: Option<u64>) -> (HeaderName, HeaderValue) {
    match expected {
        None => (header::IF_MATCH, HeaderValue::from_static("*")),
        Some(0) => (header::IF_NONE_MATCH, HeaderValue::from_static("*")),
        Some(revision) => {
            let tag = HeaderValue::from_str(&format!("\"{revision}\""));
            (
                header::IF_MATCH,
                tag.expect("digits and quotes are visible"),
            )
        }
    }
}

#[async_trait]
impl Reach for There {
    async fn list(
        &self,
        filter: &ExecutionFilter,
        begin: Option<&str>,
        limit: usize,
    ) -> Result<Listed<ExecutionSummary>, Failure> {
        let statuses: Vec<_> = filter.statuses.iter().map(|it| it.as_str()).collect();
        let (mut items, mut cursor) = (Vec::<ExecutionSummary>::new(), None::<String>);
        loop {
            let mut ask = Ask::new(Method::GET).at(["executions"]);
            ask = ask.with("limit", Self::page(limit - items.len()));
            if let Some(workflow) = &filter.workflow {
                ask = ask.with("workflow", workflow.to_string());
            }
            if !statuses.is_empty() {
                ask = ask.with("status", statuses.join(","));
            }
            if let Some(begin) = begin {
                ask = ask.with("id", begin);
            }
            for (name, at) in [("since", filter.since), ("until", filter.until)] {
                if let Some(at) = at {
                    ask = ask.with(name, at.to_string());
                }
            }
            if !filter.labels.is_empty() {
                ask = ask.with("labels", filter.labels.to_string());
            }
            if let Some(text) = &filter.text {
                ask = ask.with("text", text.as_str());
            }
            if let Some(cursor) = cursor {
                ask = ask.with("cursor", cursor);
            }
            let page: wire::ExecutionPage = self.server.get(ask).await?;
            items.extend(page.executions.into_iter().map(ExecutionSummary::from));
            cursor = page.next;
            if cursor.is_none() || items.len() >= limit {
                let more = cursor.is_some() || items.len() > limit;
                items.truncate(limit);
                return Ok(Listed { items, more });
            }
        }
    }

    async fn summary(&self, id: ExecutionId) -> Result<Option<ExecutionSummary>, Failure> {
        let found: Option<wire::Summary> = self.server.find(self.execution(id, "")).await?;
        Ok(found.map(Into::into))
    }

    async fn called_by(&self, id: ExecutionId) -> Result<Option<CalledBy>, Failure> {
        let page = self.journal(id, 1, 1).await?;
        let first = page.entries.first().map(|first| &first.entry.fact);
        Ok(match first {
            Some(Fact::ExecutionStarted(started)) => started.parent.as_deref().map(CalledBy::new),
            _ => None,
        })
    }

    async fn report(&self, id: ExecutionId) -> Result<Option<Report>, Failure> {
        let report = self.server.find(self.execution(id, "report")).await?;
        let Some(mut report): Option<Report> = report else {
            return Ok(None);
        };
        // What a report has beside its JSON.
        if let Some(summary) = self.summary(id).await? {
            report.wake_at = summary.wake_at;
            report.leased = summary.leased;
        }
        Ok(Some(report))
    }

    async fn settled(
        &self,
        id: ExecutionId,
        bound: Option<Duration>,
    ) -> Result<Option<Report>, Failure> {
        let mut left = bound;
        loop {
            let wait = left.map_or(WAIT, |left| left.min(WAIT));
            let ask = self.execution(id, "report");
            let ask = ask.with("wait", duration_text(wait));
            let answer = self.server.send(ask).await?;
            let answer = match answer.status() {
                StatusCode::NOT_FOUND if answer.is_unknown() => return Ok(None),
                _ => answer.good()?,
            };
            left = left.map(|left| left.saturating_sub(wait));
            let late = answer.status() == StatusCode::ACCEPTED;
            if !late || left == Some(Duration::ZERO) {
                return answer.json().map(Some);
            }
        }
    }

    async fn journal(
        &self,
        id: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage, Failure> {
        let ask = self.execution(id, "journal");
        let ask = ask.with("from", from.to_string());
        let ask = ask.with("limit", Self::page(limit));
        let page: wire::Journal = self.server.get(ask).await?;
        Ok(JournalPage {
            entries: page.entries.into_iter().map(Into::into).collect(),
            next: page.next,
        })
    }

    async fn replay(
        &self,
        id: ExecutionId,
        node: Option<&str>,
        each: &mut (dyn FnMut(ReplayLine) -> Result<(), Failure> + Send),
    ) -> Result<(), Failure> {
        let mut ask = self.execution(id, "replay");
        if let Some(node) = node {
            ask = ask.with("node", node);
        }
        let answer = self.server.send(ask).await?.good()?;
        answer.lines().try_for_each(|line| each(line?))
    }

    async fn moment(&self, id: ExecutionId, at: u64, node: Option<&str>) -> Result<Value, Failure> {
        let mut ask = self.execution(id, "replay").at([at.to_string()]);
        if let Some(node) = node {
            ask = ask.with("node", node);
        }
        self.server.get(ask).await
    }

    async fn signal(&self, id: ExecutionId, signal: &Signal) -> Result<Signalled, Failure> {
        let Some((path, body)) = said(signal) else {
            let message = "only engines tell each other of the end of a child";
            return Err(Failure::invalid("USAGE", message));
        };
        let mut ask = self.execution(id, path).method(Method::POST);
        if let Some(body) = body {
            ask = ask.json(&body);
        }
        let answer = self.server.send(ask).await?;
        if answer.status() == StatusCode::NOT_FOUND && answer.is_unknown() {
            return Ok(Signalled::Unknown);
        }
        if answer.code() == Some("EXECUTION_ENDED") {
            let status = self.summary(id).await?.map(|it| it.status);
            return Ok(Signalled::Terminal(status.unwrap_or(Status::Cancelled)));
        }
        let wire::Said { seq, duplicate } = answer.good()?.json()?;
        Ok(match duplicate {
            false => Signalled::Delivered { seq },
            true => Signalled::Duplicate { seq },
        })
    }

    async fn asked(&self, id: ExecutionId) -> Result<Option<Vec<Asked>>, Failure> {
        let ask = Ask::new(Method::GET).at(["approvals"]);
        let ask = ask.with("execution", id.to_string());
        let page: Option<wire::Approvals> = self.server.find(ask).await?;
        Ok(page.map(|page| page.approvals.into_iter().map(Into::into).collect()))
    }

    async fn start(&self, new: NewStart<'_>) -> Result<Started, Failure> {
        let mut body = json!({ "workflow": new.workflow, "input": new.input });
        if let Some(version) = new.version {
            body["version"] = version.into();
        }
        if let Some(priority) = new.priority {
            body["priority"] = priority.name().into();
        }
        if !new.labels.is_empty() {
            body["labels"] = json!(new.labels);
        }
        let ask = Ask::new(Method::POST).at(["executions"]).json(&body);
        // A repetition on the way starts nothing twice.
        let key = HeaderValue::from_str(&SystemEntropy.uuid().to_string());
        let key = key.expect("a UUID is visible");
        self.begun(ask.header(HeaderName::from_static("idempotency-key"), key))
            .await
    }

    async fn again(&self, id: ExecutionId, how: Again) -> Result<Started, Failure> {
        let ask = match how {
            Again::Retry => self.execution(id, "retry").method(Method::POST),
            Again::Restart { from } => {
                let ask = self.execution(id, "restart").method(Method::POST);
                ask.json(&json!({ "from": from }))
            }
        };
        self.begun(ask).await
    }

    async fn migrate(&self, id: ExecutionId, to: u32, check: bool) -> Result<Moved, Failure> {
        let ask = self.execution(id, "migrate").method(Method::POST);
        let ask = ask.json(&json!({ "version": to, "check": check }));
        let moved: wire::Migrated = self.server.get(ask).await?;
        Ok(Moved {
            from: moved.from,
            to: moved.to,
            begins: moved.begins,
            drops: moved.drops,
        })
    }

    async fn workflows(
        &self,
        filter: &WorkflowFilter,
        limit: usize,
    ) -> Result<Listed<WorkflowSummary>, Failure> {
        let (mut items, mut cursor) = (Vec::<WorkflowSummary>::new(), None::<String>);
        loop {
            let mut ask = Ask::new(Method::GET).at(["workflows"]);
            ask = ask.with("limit", Self::page(limit - items.len()));
            ask = ask.with("archived", filter.archived.to_string());
            if let Some(search) = &filter.search {
                ask = ask.with("search", search.as_str());
            }
            if let Some(cursor) = cursor {
                ask = ask.with("cursor", cursor);
            }
            let page: wire::WorkflowPage = self.server.get(ask).await?;
            items.extend(page.workflows.into_iter().map(WorkflowSummary::from));
            cursor = page.next;
            if cursor.is_none() || items.len() >= limit {
                let more = cursor.is_some() || items.len() > limit;
                items.truncate(limit);
                return Ok(Listed { items, more });
            }
        }
    }

    async fn versions(
        &self,
        id: &WorkflowId,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>, Failure> {
        let mut all: Option<WorkflowVersions> = None;
        loop {
            let found = all.as_ref().map_or(0, |all| all.versions.len());
            let ask = self.workflow(id).at(["versions"]);
            let mut ask = ask.with("limit", Self::page(limit - found));
            if let Some(before) = all.as_ref().and_then(|all| all.next) {
                ask = ask.with("before", before.to_string());
            }
            let page: Option<wire::VersionPage> = self.server.find(ask).await?;
            let Some(page) = page.map(WorkflowVersions::from) else {
                return Ok(None);
            };
            let mut now = match all {
                None => page,
                Some(mut all) => {
                    all.versions.extend(page.versions);
                    all.next = page.next;
                    all
                }
            };
            if now.next.is_none() || now.versions.len() >= limit {
                now.versions.truncate(limit);
                return Ok(Some(now));
            }
            all = Some(now);
        }
    }

    async fn stored(
        &self,
        id: &WorkflowId,
        version: u32,
    ) -> Result<Option<StoredWorkflow>, Failure> {
        let ask = self.workflow(id).at(["versions"]);
        let ask = ask.at([version.to_string()]);
        let stored: Option<wire::Stored> = self.server.find(ask).await?;
        Ok(stored.map(Into::into))
    }

    async fn save(
        &self,
        source: &Source,
        definition: &WorkflowDefinition,
        expected: Option<u64>,
    ) -> Result<Saved, Failure> {
        let (name, value) = condition(expected);
        let ask = self.workflow(&definition.id).method(Method::PUT);
        let ask = ask.body(kind_of(source.format), source.text.as_bytes().to_vec());
        let answer = self.server.send(ask.header(name, value)).await?;
        if answer.status() == StatusCode::PRECONDITION_FAILED {
            let revision = self.revision(&definition.id).await?;
            return Ok(Saved::Conflict { revision });
        }
        let saved: wire::SavedVersion = answer.good()?.json()?;
        let (version, revision) = (saved.version, saved.revision);
        Ok(match saved.unchanged {
            false => Saved::New { version, revision },
            true => Saved::Unchanged { version, revision },
        })
    }

    async fn publish(
        &self,
        id: &WorkflowId,
        version: u32,
        expected: u64,
    ) -> Result<Published, Failure> {
        let (name, value) = condition(Some(expected));
        let ask = self.workflow(id).at(["publish"]).method(Method::POST);
        let ask = ask.json(&json!({ "version": version })).header(name, value);
        let answer = self.server.send(ask).await?;
        match answer.status() {
            StatusCode::PRECONDITION_FAILED => {
                let revision = self.revision(id).await?;
                Ok(Published::Conflict { revision })
            }
            StatusCode::NOT_FOUND if answer.is_unknown() => Ok(Published::Unknown),
            _ => {
                let workflow: wire::Workflow = answer.good()?.json()?;
                let revision = workflow.revision;
                Ok(Published::Published { revision })
            }
        }
    }

    async fn archive(&self, id: &WorkflowId, archived: bool) -> Result<bool, Failure> {
        let end = if archived { "archive" } else { "unarchive" };
        let ask = self.workflow(id).at([end]).method(Method::POST);
        let answer: Answer = self.server.send(ask).await?;
        if answer.status() == StatusCode::NOT_FOUND && answer.is_unknown() {
            return Ok(false);
        }
        answer.good().map(|_| true)
    }
}
