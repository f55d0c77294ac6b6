//! What is too large for a journal, and what attempts put: content beside an execution, to be downloaded.
//!
//! Whoever may read an execution may read what the engine says that it put: the values of its facts that lie
//! in blobs, what its attempts have put ([`Fact::BlobsPut`]), and the files that came with its start. A digest that stands in an input, a result
//! or a message proves nothing, since anybody can write one.

use std::ops::Range;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nebula_core::{BlobId, Digest, ExecutionId, TenantId};
use nebula_execution::Fact;
use nebula_ports::{BlobStore, ErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::OfExecution,
    api::Inner,
    api::Shared,
    executions::{ReadJournal, page_size},
    extract::{Asked, At},
    problem::Problem,
};

/// How many entries of a journal are read at a time.
const PAGE: usize = 500;

/// What a browser may do with content that somebody else made: keep it, and nothing else.
const HARMLESS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    // Whoever may read it today may not tomorrow.
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    ),
];

/// How an execution comes by a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BlobKind {
    /// A value of its journal, as JSON: an input, a result.
    Value,
    /// An attempt put it, or it came with what started the execution: any bytes.
    Put,
}

impl BlobKind {
    /// As what it is served; never as what its bytes look like.
    fn media_type(self) -> &'static str {
        match self {
            Self::Value => "application/json",
            Self::Put => "application/octet-stream",
        }
    }

    /// The name under which it is kept, of which nothing is chosen by whoever made it.
    fn file_name(self, digest: Digest) -> String {
        let end = match self {
            Self::Value => "json",
            Self::Put => "bin",
        };
        format!("{digest}.{end}")
    }
}

/// A blob that an execution may show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    blob: BlobId,
    kind: BlobKind,
}

/// Calls `found` for what a fact says that the engine or an attempt put.
fn each(fact: &Fact, found: &mut impl FnMut(Named)) {
    fact.each_stored(&mut |blob| {
        found(Named {
            blob,
            kind: BlobKind::Value,
        });
    });
    let put = match fact {
        Fact::BlobsPut { blobs, .. } => blobs,
        Fact::ExecutionStarted(started) => &started.blobs,
        _ => return,
    };
    for blob in put {
        found(Named {
            blob: *blob,
            kind: BlobKind::Put,
        });
    }
}

/// A blob of an execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlobBody {
    /// Its SHA-256, in hex: what it is asked for by.
    digest: String,
    /// How many bytes it has.
    length: u64,
    /// How the execution comes by it.
    kind: BlobKind,
    /// As what it is served.
    media_type: &'static str,
    /// The number of the entry that names it.
    seq: u64,
    /// The instance that the entry is about, by its path of ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

/// A part of the blobs of an execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlobPage {
    /// Blobs, in the order of the entries that name them; one that two entries name stands twice.
    blobs: Vec<BlobBody>,
    /// What `from` of the next page is; null at the end.
    next: Option<u64>,
}

/// Lists the blobs of an execution: what of its journal is too large for it, and what its attempts put. A
/// page looks at as many entries as `limit` says, so it may have fewer blobs, also none.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/blobs", tag = "executions",
    params(("execution" = String, Path, format = "uuid"), ReadJournal), responses((status = 200, body = BlobPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    Asked(asked): Asked<ReadJournal>,
) -> Result<Json<BlobPage>, Problem> {
    let limit = page_size(&shared, asked.limit())?;
    let from = asked.first()?;
    let mut blobs = Vec::new();
    if from > summary.entries {
        return Ok(Json(BlobPage { blobs, next: None }));
    }
    let engine = shared.nebula.engine();
    let page = engine.journal(by.tenant(), summary.id, from, limit).await?;
    for stored in &page.entries {
        let fact = &stored.entry.fact;
        each(fact, &mut |Named { blob, kind }| {
            blobs.push(BlobBody {
                digest: blob.digest.to_string(),
                length: blob.length,
                kind,
                media_type: kind.media_type(),
                seq: stored.seq,
                node: fact.instance().map(ToString::to_string),
            });
        });
    }
    let next = page.next;
    Ok(Json(BlobPage { blobs, next }))
}

impl Inner {
    /// The blob of this digest, if the journal of the execution names it as one that the engine or an attempt
    /// put. What was found once stays so, since entries never change.
    async fn named(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        digest: Digest,
    ) -> Result<Named, Problem> {
        let look = async || {
            let (engine, mut from) = (self.nebula.engine(), Some(1));
            while let Some(first) = from {
                let page = engine.journal(tenant, id, first, PAGE).await?;
                let mut named = None;
                for stored in &page.entries {
                    each(&stored.entry.fact, &mut |it| {
                        if it.blob.digest == digest {
                            named.get_or_insert(it);
                        }
                    });
                }
                if let Some(named) = named {
                    return Ok(named);
                }
                from = page.next;
            }
            Err(unknown(id, digest))
        };
        let key = (tenant.clone(), id, digest);
        self.blobs.get(&key, look).await.map(|named| *named)
    }
}

fn unknown(id: ExecutionId, digest: Digest) -> Problem {
    let message = format!("{id} has put no blob {digest}");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_BLOB", message).hint(format!(
        "GET /api/v1/executions/{id}/blobs lists those of it; one that it was given belongs to another execution"
    ))
}

/// Which blob of which execution.
#[derive(Debug, Deserialize)]
pub(crate) struct BlobPath {
    digest: String,
}

/// Gives the bytes of a blob of an execution, or a part of them. They are to be kept, never shown: a
/// browser runs nothing of them. What is damaged breaks off before its end.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/blobs/{digest}", tag = "executions",
    params(
        ("execution" = String, Path, format = "uuid"),
        ("digest" = String, Path, description = "Its SHA-256, in hex.", pattern = "^[0-9a-f]{64}$"),
        ("Range" = Option<String>, Header, description = "One range of bytes, `bytes=0-99`. What is no such range, or several, gives all."),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of before; of another, all is given."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of before; 304 if it is the same.")
    ),
    responses(
        (status = 200, description = "All of it.", content_type = "application/octet-stream"),
        (status = 206, description = "The part that was asked for.", content_type = "application/octet-stream"),
        (status = 304, description = "It is what it was.")
    )
)]
pub(crate) async fn read(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    At(BlobPath { digest }): At<BlobPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let digest: Digest = digest.parse().map_err(|error| {
        Problem::bad("BAD_PATH", format!("the digest is none: {error}"))
            .hint("a digest has 64 hex digits in lower case")
    })?;
    let Named { blob, kind } = shared.named(by.tenant(), summary.id, digest).await?;
    let tag = format!("\"{digest}\"");
    let mut response = match matches(&headers, &header::IF_NONE_MATCH, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let same = !headers.contains_key(header::IF_RANGE)
                || one(&headers, &header::IF_RANGE) == Some(&tag);
            let asked = one(&headers, &header::RANGE).filter(|_| same);
            let part = match asked.map_or(Part::All, |text| part(text, blob.length)) {
                Part::All => None,
                Part::Of(range) => Some(range),
                Part::Outside => return Ok(outside(blob.length)),
            };
            let store = shared.nebula.engine().blobs();
            let store = store.ok_or_else(|| unknown(summary.id, digest))?;
            content(&**store, by.tenant(), Named { blob, kind }, part).await?
        }
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.extend(HARMLESS);
    Ok(response)
}

/// All of it, or a part.
async fn content(
    store: &dyn BlobStore,
    tenant: &TenantId,
    Named { blob, kind }: Named,
    part: Option<Range<u64>>,
) -> Result<Response, Problem> {
    let read = store.get(tenant, blob, part.clone()).await;
    let read = read.map_err(|error| match error.kind {
        ErrorKind::Corrupt => damaged(blob, &error.to_string()),
        _ => error.into(),
    })?;
    let read = read.ok_or_else(|| damaged(blob, "it is not there"))?;
    let length = part.as_ref().map_or(blob.length, |it| it.end - it.start);
    let mut response = Body::from_stream(read.content).into_response();
    let headers = response.headers_mut();
    let name = kind.file_name(blob.digest);
    let texts = [
        (header::CONTENT_LENGTH, length.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    for (name, text) in texts {
        if let Ok(text) = HeaderValue::from_str(&text) {
            headers.insert(name, text);
        }
    }
    let media_type = HeaderValue::from_static(kind.media_type());
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(part) = part {
        let (first, last, all) = (part.start, part.end - 1, blob.length);
        if let Ok(text) = HeaderValue::from_str(&format!("bytes {first}-{last}/{all}")) {
            headers.insert(header::CONTENT_RANGE, text);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// A journal names it, and its bytes are not what they were.
fn damaged(blob: BlobId, why: &str) -> Problem {
    let message = format!("blob {blob} is damaged: {why}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "STORE_CORRUPT", message)
        .hint("restore the folder of blobs from a backup")
}

/// The part that was asked for lies outside.
fn outside(length: u64) -> Response {
    let message = format!("the blob has {length} bytes, and none in this range");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_OUTSIDE", message)
        .hint("ask for a range within it, or for all");
    let mut response = problem.into_response();
    if let Ok(text) = HeaderValue::from_str(&format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, text);
    }
    response
}

/// The one header of this name.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let text = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(text)
}

/// Whether a list of tags has this one, or any (RFC 9110, section 13.1.2: compared weakly).
fn matches(headers: &HeaderMap, name: &HeaderName, tag: &str) -> bool {
    let values = headers.get_all(name).iter();
    values.filter_map(|it| it.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|it| {
            let it = it.strip_prefix("W/").unwrap_or(it);
            it == "*" || it == tag
        })
    })
}

/// Which part is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    All,
    Of(Range<u64>),
    Outside,
}

/// One range of bytes (RFC 9110, section 14.1.2). What is none, and several, count as all, as the RFC allows:
/// a server that gives several parts can be had to give each byte many times.
fn part(text: &str, length: u64) -> Part {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .filter(|it| !it.contains(','))
        .and_then(|it| it.trim().split_once('-'))
    else {
        return Part::All;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    // What has more digits than fit lies outside of everything.
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (digits(first), digits(last)) {
        (true, _) if !last.is_empty() && !digits(last) => Part::All,
        (true, said) => {
            let first = number(first);
            let last = if said { number(last) } else { u64::MAX };
            if last < first {
                return Part::All;
            }
            match first < length {
                true => Part::Of(first..last.saturating_add(1).min(length)),
                false => Part::Outside,
            }
        }
        (false, true) if first.is_empty() => match number(last).min(length) {
            0 => Part::Outside,
            count => Part::Of(length - count..length),
        },
        _ => Part::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_and_what_is_none_is_all() {
        for (text, expected) in [
            ("bytes=0-0", Part::Of(0..1)),
            ("bytes=2-4", Part::Of(2..5)),
            ("bytes=2-", Part::Of(2..10)),
            ("bytes=9-99999999999999999999999", Part::Of(9..10)),
            ("bytes=-3", Part::Of(7..10)),
            ("bytes=-99", Part::Of(0..10)),
            ("bytes=-0", Part::Outside),
            ("bytes=10-", Part::Outside),
            ("bytes=99999999999999999999-", Part::Outside),
            ("bytes=4-2", Part::All),
            ("bytes=0-0,2-3", Part::All),
            ("bytes=-", Part::All),
            ("bytes=a-b", Part::All),
            ("bytes=1-b", Part::All),
            ("bytes=+1-2", Part::All),
            ("bytes= 1 - 2", Part::All),
            ("items=0-1", Part::All),
            ("", Part::All),
        ] {
            assert_eq!(part(text, 10), expected, "{text:?}");
        }
        assert_eq!(part("bytes=0-0", 0), Part::Outside);
        assert_eq!(part("bytes=-1", 0), Part::Outside);
    }

    #[test]
    fn a_tag_is_found_in_a_list_and_alone() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            headers
        };
        for (value, found) in [
            ("\"a\"", true),
            ("\"b\", \"a\"", true),
            ("W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let found_here = matches(&headers(value), &header::IF_NONE_MATCH, "\"a\"");
            assert_eq!(found_here, found, "{value}");
        }
    }
}
