//! Looking at a service over HTTP.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use nebula_action::{
    ActionContext, ActionError, Egress, HttpLimits, HttpRequest, HttpResponse, RequestBody, Sender,
};
use serde_json::{Value, json};

use crate::{
    check::MAX_BODY,
    parameters::CheckIn,
    verdict::{Found, Verdict, of_http},
};

/// The slot of the credential.
const AUTH: &str = "auth";

/// Asks `url`, and judges what it answers.
pub(crate) async fn look(
    ctx: &ActionContext,
    input: &CheckIn,
    url: &str,
    timeout: Duration,
) -> Found {
    let url = Egress::url(url)
        .map_err(|error| ActionError::invalid_input("HEALTH_URL", "/url", error.to_string()))?;
    let request = HttpRequest {
        method: Method::GET,
        url: url.clone(),
        headers: HeaderMap::new(),
        body: RequestBody::Empty,
        limits: HttpLimits {
            total: timeout,
            head: timeout,
            idle: timeout,
            max_body: MAX_BODY,
            // Where a service sends others is its answer.
            redirects: None,
            ..HttpLimits::default()
        },
        sender: Sender::default(),
    };
    let answer = ctx.http(&url)?.send(request, ctx.credentials.get(AUTH));
    match answer.await {
        Ok(answer) => judge(ctx, input, answer).await,
        Err(error) => of_http(&error, &error.origin, "/url"),
    }
}

async fn judge(ctx: &ActionContext, input: &CheckIn, answer: HttpResponse) -> Found {
    let status = answer.status;
    if !expected(&input.expected_status, status) {
        return Verdict::unwell(format!("it answered {}", status.as_u16()));
    }
    let query = ctx.deferred.get("query");
    if input.contains.is_none() && query.is_none() {
        return Ok(Verdict::Well);
    }
    let body = match answer.bytes().await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return of_http(&error, &error.origin, "/url"),
    };
    if let Some(text) = &input.contains
        && !body.contains(text.as_str())
    {
        return Verdict::unwell("the text of `contains` does not stand in its answer");
    }
    let Some(query) = query else {
        return Ok(Verdict::Well);
    };
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    let item = json!({ "status": status.as_u16(), "body": body });
    match query.holds(&item, 0) {
        Ok(true) => Ok(Verdict::Well),
        Ok(false) => Verdict::unwell("`query` does not hold of its answer"),
        // An answer of another shape than a service that is well gives is no fault of the workflow.
        Err(error) => Verdict::unwell(format!("`query` cannot be asked of its answer: {error}")),
    }
}

fn expected(statuses: &[u16], status: StatusCode) -> bool {
    match statuses {
        [] => status.is_success(),
        statuses => statuses.contains(&status.as_u16()),
    }
}
