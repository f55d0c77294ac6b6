//! What the rules share.

use std::{path::Path, time::Duration};

use http::Method;
use nebula_action::{Capability, Egress, Grants};
use nebula_ports::{
    HttpClient, HttpError, HttpErrorKind, HttpLimits, HttpRequest, HttpResponse, RequestBody,
    Sender,
};

/// What the rules are asked of.
pub(super) type Client = std::sync::Arc<dyn HttpClient>;

/// Long enough to tell that nothing comes; what a limit ends never comes.
pub(super) const SHORT: Duration = Duration::from_millis(150);

pub(super) fn egress(grants: &str) -> Egress {
    let grants = grants.split_whitespace();
    let parsed = grants.map(|text| Capability::parse(text, Path::new("/")).unwrap());
    Egress::new(&Grants::new(parsed))
}

pub(super) fn request(method: Method, url: &str) -> HttpRequest {
    HttpRequest {
        method,
        url: Egress::url(url).unwrap_or_else(|error| panic!("{url}: {error}")),
        headers: http::HeaderMap::new(),
        body: RequestBody::Empty,
        limits: HttpLimits::default(),
        sender: Sender::default(),
    }
}

pub(super) fn get(url: &str) -> HttpRequest {
    request(Method::GET, url)
}

pub(super) fn limited(url: &str, limits: HttpLimits) -> HttpRequest {
    HttpRequest { limits, ..get(url) }
}

/// The whole answer: status and body.
pub(super) async fn whole(
    client: &Client,
    grants: &str,
    request: HttpRequest,
) -> Result<(u16, String), HttpError> {
    let answer = client.send(&egress(grants), request).await?;
    text(answer).await
}

pub(super) async fn text(answer: HttpResponse) -> Result<(u16, String), HttpError> {
    let status = answer.status.as_u16();
    let body = answer.bytes().await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The whole answer to a GET that must succeed.
pub(super) async fn fetched(client: &Client, grants: &str, url: &str) -> String {
    let (status, body) = whole(client, grants, get(url)).await.unwrap();
    assert_eq!(status, 200, "{url}");
    body
}

/// The error of a GET that must fail.
pub(super) async fn failed(client: &Client, grants: &str, request: HttpRequest) -> HttpError {
    let url = request.url.clone();
    match whole(client, grants, request).await {
        Err(error) => error,
        Ok((status, body)) => panic!("{url} answered {status}: {body}"),
    }
}

/// The capability that a refusal names; empty if none would help.
pub(super) fn missing(error: &HttpError) -> String {
    match &error.kind {
        HttpErrorKind::Denied(refusal) => {
            let capability = refusal.capability.as_ref();
            capability.map(ToString::to_string).unwrap_or_default()
        }
        _ => panic!("not denied, but {error}"),
    }
}

/// The kind of an error in one word, as the rules name it.
pub(super) fn kind(error: &HttpError) -> String {
    match &error.kind {
        HttpErrorKind::Denied(_) => "denied".to_owned(),
        HttpErrorKind::Url(_) => "url".to_owned(),
        HttpErrorKind::Request(_) => "request".to_owned(),
        HttpErrorKind::Resolve(_) => "resolve".to_owned(),
        HttpErrorKind::Connect(_) => "connect".to_owned(),
        HttpErrorKind::Tls(_) => "tls".to_owned(),
        HttpErrorKind::Timeout { phase, .. } => format!("timeout {phase:?}"),
        HttpErrorKind::HeadTooLarge(_) => "head too large".to_owned(),
        HttpErrorKind::BodyTooLarge(_) => "body too large".to_owned(),
        HttpErrorKind::TooManyRedirects(_) => "too many redirects".to_owned(),
        HttpErrorKind::Redirect { .. } => "redirect".to_owned(),
        HttpErrorKind::Protocol(_) => "protocol".to_owned(),
        _ => error.to_string(),
    }
}
