//! Who did what: the audit log, listed, exported, verified.

use std::collections::VecDeque;

use axum::{
    Json,
    body::Body as Sent,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header;
use nebula_core::Digest;
use nebula_ports::{AuditEntry, AuditHead, AuditOutcome, MAX_AUDIT_PAGE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    api::{Inner, Shared},
    executions::page_size,
    extract::{Asked, Body, Time},
    problem::Problem,
    sessions::failed,
};

/// How many entries one list looks at, at most: a filter that few fit has many pages.
const MAX_LOOKED_AT: usize = 10 * MAX_AUDIT_PAGE;

/// One entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct EntryBody {
    /// Its number, from 1, without gaps.
    seq: u64,
    /// When (RFC 3339).
    at: String,
    /// Names it.
    id: String,
    /// Who: `person:<id>`, `service:<id>`, `local` or `anonymous`.
    who: String,
    /// With what: `session:<id>`, `key:<prefix>`, or nothing.
    via: String,
    /// From which address.
    from: String,
    /// What: a verb after a noun.
    what: String,
    /// To what.
    target: String,
    /// `allowed` or `denied`.
    outcome: &'static str,
    /// What changes, if something does.
    #[schema(value_type = Option<Object>)]
    change: Value,
    /// The hash over the entry before and this one, in hex.
    hash: String,
}

impl From<AuditEntry> for EntryBody {
    fn from(it: AuditEntry) -> Self {
        Self {
            seq: it.seq,
            at: it.at.to_string(),
            id: it.new.id.to_string(),
            who: it.new.who,
            via: it.new.via,
            from: it.new.from,
            what: it.new.what,
            target: it.new.target,
            outcome: it.new.outcome.as_str(),
            change: serde_json::from_str(&it.new.change).unwrap_or_default(),
            hash: it.hash.to_string(),
        }
    }
}

/// A part of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// Entries by number.
    entries: Vec<EntryBody>,
    /// What `after` of the next page is; null at the end.
    next: Option<u64>,
}

/// Which entries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAudit {
    /// Only those after this number: `next` of the page before.
    after: Option<u64>,
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// Only of this one: `person:<id>`, `service:<id>`, `local` or `anonymous`.
    who: Option<String>,
    /// Only of this: `workflows.publish`, or `workflows.` for all of a kind.
    what: Option<String>,
    /// Only to this: `workflow:orders`.
    target: Option<String>,
    /// Only `allowed` or `denied`.
    outcome: Option<String>,
    /// Only at this time or later (RFC 3339).
    #[param(value_type = Option<String>)]
    since: Option<Time>,
    /// Only before this time (RFC 3339).
    #[param(value_type = Option<String>)]
    until: Option<Time>,
}

impl ListAudit {
    fn fits(&self, entry: &AuditEntry) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|it| it == found);
        let what = self.what.as_ref().is_none_or(|it| match it.ends_with('.') {
            true => entry.new.what.starts_with(it),
            false => entry.new.what == *it,
        });
        what && is(&self.who, &entry.new.who)
            && is(&self.target, &entry.new.target)
            && is(&self.outcome, entry.new.outcome.as_str())
            && self.since.is_none_or(|it| entry.at >= it.0)
            && self.until.is_none_or(|it| entry.at < it.0)
    }
}

/// Lists entries of the audit log, the oldest first. A page may have fewer than were asked for, also none,
/// and a next one.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(ListAudit),
    responses((status = 200, body = AuditPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<ListAudit>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let outcomes = [AuditOutcome::Allowed, AuditOutcome::Denied].map(AuditOutcome::as_str);
    if let Some(other) = asked.outcome.as_deref().filter(|it| !outcomes.contains(it)) {
        let message = format!("outcome: `{other}` is none of {}", outcomes.join(", "));
        return Err(Problem::bad("BAD_QUERY", message));
    }
    let (mut entries, mut after, mut looked_at) = (Vec::new(), asked.after.unwrap_or(0), 0);
    loop {
        let page = read(&shared, &by, after).await?;
        let end = page.len() < MAX_AUDIT_PAGE;
        looked_at += page.len();
        for entry in page {
            if entries.len() == limit {
                let next = Some(after);
                return Ok(Json(AuditPage { entries, next }));
            }
            after = entry.seq;
            if asked.fits(&entry) {
                entries.push(entry.into());
            }
        }
        if end || looked_at >= MAX_LOOKED_AT {
            let next = (!end).then_some(after);
            return Ok(Json(AuditPage { entries, next }));
        }
    }
}

async fn read(shared: &Inner, by: &Caller, after: u64) -> Result<Vec<AuditEntry>, Problem> {
    let identity = &shared.identity;
    let page = identity.audit_entries(by.principal(), after, MAX_AUDIT_PAGE, by.from());
    page.await.map_err(|error| failed(shared, error))
}

/// From where to export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// Only entries after this number.
    after: Option<u64>,
}

/// An export under way.
struct Exporting {
    shared: Shared,
    by: Caller,
    after: u64,
    ready: VecDeque<AuditEntry>,
    over: bool,
}

impl Exporting {
    /// The next lines, one entry each.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.ready.is_empty() && !self.over {
            let page = read(&self.shared, &self.by, self.after).await?;
            // What is appended meanwhile is not waited for.
            self.over = page.len() < MAX_AUDIT_PAGE;
            self.ready = page.into();
        }
        let mut lines = String::new();
        for entry in self.ready.drain(..) {
            self.after = entry.seq;
            let line = serde_json::to_string(&EntryBody::from(entry)).unwrap_or_default();
            lines.push_str(&line);
            lines.push('\n');
        }
        Ok((!lines.is_empty()).then(|| lines.into()))
    }
}

/// Exports the audit log, one entry in JSON to a line. Whoever keeps the number and the hash of its last
/// line can verify later that nothing up to it was changed.
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "audit", params(Export),
    responses((status = 200, description = "One entry to a line.", content_type = "application/x-ndjson"))
)]
pub(crate) async fn export(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Export>,
) -> Result<Response, Problem> {
    let after = asked.after.unwrap_or(0);
    by.record(&shared, "", json!({ "after": after })).await?;
    let mut exporting = Exporting {
        shared,
        by,
        after,
        ready: VecDeque::new(),
        over: false,
    };
    // What fails at once is told as a problem; what fails later breaks the answer off.
    let first = exporting.next().await?;
    // What compresses it asks once more after its end.
    let rest = stream::unfold((first, exporting), async |(ready, mut it)| {
        let lines = match ready {
            Some(lines) => Ok(lines),
            None => match it.next().await {
                Ok(lines) => Ok(lines?),
                Err(_) if it.over => return None,
                Err(_) => {
                    it.over = true;
                    it.ready.clear();
                    Err(std::io::Error::other("the audit log cannot be read"))
                }
            },
        };
        Some((lines, (None, it)))
    })
    .fuse();
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Sent::from_stream(rest)).into_response())
}

/// The last entry of a log.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// Its number.
    seq: u64,
    /// Its hash, in hex.
    hash: String,
}

/// What is known of the log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    /// Number and hash of an entry that were kept elsewhere.
    #[serde(default)]
    known: Option<Head>,
}

/// Whether the log holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    /// Whether nothing was changed or cut off.
    holds: bool,
    /// The last entry, if it holds.
    head: Option<Head>,
    /// Where it does not hold, and how.
    broken: Option<String>,
}

/// Follows the whole audit log, hash by hash.
#[utoipa::path(
    post, path = "/api/v1/audit/verify", tag = "audit", request_body = Verify,
    responses((status = 200, body = Verified))
)]
pub(crate) async fn verify(
    State(shared): State<Shared>,
    by: Caller,
    Body(wanted): Body<Verify>,
) -> Result<Json<Verified>, Problem> {
    let known = wanted.known.map(|it| {
        let hash: Result<Digest, _> = it.hash.parse();
        let hash = hash.map_err(|_| Problem::bad("BAD_BODY", "known.hash: 64 hex digits"))?;
        Ok::<_, Problem>(AuditHead { seq: it.seq, hash })
    });
    let known = known.transpose()?;
    let identity = &shared.identity;
    let found = identity
        .audit_verify(by.principal(), known, by.from())
        .await;
    let found = found.map_err(|error| failed(&shared, error))?;
    Ok(Json(match found {
        Ok(head) => Verified {
            holds: true,
            head: Some(Head {
                seq: head.seq,
                hash: head.hash.to_string(),
            }),
            broken: None,
        },
        Err(broken) => Verified {
            holds: false,
            head: None,
            broken: Some(broken.to_string()),
        },
    }))
}
