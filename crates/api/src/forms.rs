//! Forms: the page that asks people for the input of a workflow, and what they send.

use std::net::IpAddr;

use axum::{
    extract::Request,
    response::{Html, IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use nebula_core::Digest;
use nebula_engine::{DeliverError, Delivered, Delivery, FireError, StartError};
use nebula_trigger::{BodyKind, FORM_ONCE, FormProblem, Page, Proof, filled_in};
use serde_json::{Map, Value};

use crate::{
    api::Shared,
    extract::whole_within,
    hooks::{Found, not_delivered},
    problem::Problem,
    trace,
    triggers::config,
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Found {
    /// Shows a form, or takes what was filled in: one execution for each page that was shown, however
    /// often it is sent.
    pub(crate) async fn form(
        &self,
        shared: &Shared,
        request: Request,
        (params, remote, proof): (Map<String, Value>, Option<IpAddr>, &Proof),
    ) -> Result<Response, Problem> {
        let Some((form, name, schema)) = self.hook.form() else {
            return Err(Problem::bad("NO_FORM", "this webhook is no form"));
        };
        let once = || shared.entropy.uuid().simple().to_string();
        if request.method() == Method::GET {
            let page = form.page((name, schema), &Map::new(), &[], &once());
            return Ok(shown(StatusCode::OK, page));
        }
        own_page(request.headers())?;
        let webhook = self.hook.webhook();
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let body = whole_within(request, shared, webhook.max_body).await?;
        let sent = self.sent(&parts, &body)?;
        let value = filled_in(schema, &sent);
        let now = shared.clock.now();
        let page_id = sent.get(FORM_ONCE).and_then(Value::as_str);
        let delivery = Delivery {
            told: self.told(&parts, (params, value), (remote, proof), now),
            proof: proof.clone(),
            at: now,
            trace: trace::told(&parts.headers),
            once: page_id.map(|it| Digest::of(it.as_bytes())),
            blobs: Vec::new(),
        };
        let (whose, config) = ((&self.tenant, &self.record), config(shared));
        let engine = shared.nebula.engine();
        match engine.deliver(whose, &self.hook, delivery, &config).await {
            // Whoever fills it in learns nothing of what is started, nor whether.
            Ok(Delivered::Started(_) | Delivered::FilteredOut) => {
                Ok(shown(StatusCode::OK, form.sent(name)))
            }
            Err(DeliverError::Fire(FireError::Start(StartError::Input(problems)))) => {
                let problems = problems.into_iter().map(|it| problem_of(schema, it));
                let problems: Vec<FormProblem> = problems.collect();
                let page = form.page((name, schema), &sent, &problems, &once());
                Ok(shown(StatusCode::UNPROCESSABLE_ENTITY, page))
            }
            Err(error) => Err(not_delivered(error)),
        }
    }

    fn sent(&self, parts: &Parts, body: &[u8]) -> Result<Map<String, Value>, Problem> {
        let media = crate::extract::media_type(&parts.headers);
        let read = self.hook.webhook().body("POST", media.as_deref(), body);
        match read {
            Ok(Value::Object(sent)) => Ok(sent),
            Ok(_) => Ok(Map::new()),
            Err(error @ nebula_trigger::BodyError::Type { .. }) => {
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                Err(
                    Problem::new(status, "UNSUPPORTED_MEDIA_TYPE", error.to_string()).hint(
                        format!("send {}, as the page does", BodyKind::Form.wanted()),
                    ),
                )
            }
            Err(error) => Err(Problem::bad("BAD_BODY", error.to_string())),
        }
    }
}

/// What is wrong, at the property that it is about: the one that the pointer leads into, or that is missing.
fn problem_of(schema: &Value, problem: nebula_validator::Problem) -> FormProblem {
    let first = problem.pointer.strip_prefix('/');
    if let Some(first) = first.and_then(|it| it.split('/').next()) {
        let field = first.replace("~1", "/").replace("~0", "~");
        return (Some(field), problem.message);
    }
    let mut needed = schema["required"].as_array().into_iter().flatten();
    let missing = needed.find_map(|name| {
        let name = name.as_str()?;
        (problem.message == format!("`{name}` is missing")).then(|| name.to_owned())
    });
    match missing {
        Some(name) => (Some(name), "is missing".to_owned()),
        None => (None, problem.message),
    }
}

/// A page elsewhere may not send in the name of whoever looks at it: their browser knows their password.
fn own_page(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let site = text(FETCH_SITE).is_none_or(|it| it == "same-origin" || it == "none");
    let host = text(header::HOST).unwrap_or_default();
    let origin = text(header::ORIGIN).is_none_or(|origin| {
        let of = origin.split_once("://").map(|(_, host)| host);
        of.is_some_and(|of| of.eq_ignore_ascii_case(host))
    });
    match site && origin {
        true => Ok(()),
        false => {
            let message = "this form takes nothing from pages of another origin";
            Err(Problem::new(StatusCode::FORBIDDEN, "FORM_ORIGIN", message)
                .hint("open the form at its own address and send it from there"))
        }
    }
}

fn shown(status: StatusCode, Page { html, policy }: Page) -> Response {
    const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
    const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    // The address opens the form: it is told to nobody else. With no referrer at all, a browser would say
    // `Origin: null` when the form is sent.
    headers.insert(header::REFERRER_POLICY, REFERRER);
    response
}
