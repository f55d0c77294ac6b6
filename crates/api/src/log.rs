//! Names each request, and writes down what became of it.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, header};

use crate::api::Shared;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// The methods that metrics tell apart; anybody can make up others.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Gives the request an id of its own, and logs one line at its end: no query and no ids of the path,
/// which may tell what nobody else should know, but the route.
pub(crate) async fn each(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let id = shared.entropy.uuid().to_string();
    let begun = shared.clock.monotonic();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let took = shared.clock.monotonic().saturating_sub(begun);
    tracing::info!(
        target: "nebula::access",
        request = id,
        %method,
        route = route.as_ref().map_or("", MatchedPath::as_str),
        status = response.status().as_u16(),
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "answered"
    );
    let known = method.as_str();
    let known = if METHODS.contains(&known) {
        known
    } else {
        "OTHER"
    };
    let path = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let metrics = shared.nebula.bus().metrics();
    metrics.answered(known, path, response.status().as_u16(), took);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(NO_REFERRER);
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    response
}
