//! Pages for people: plain HTML that does nothing but show, and send its own form.

use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use nebula_trigger::escaped;

use crate::problem::Problem;

/// A page that does nothing but show and send its form.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
const CONTENT_SECURITY_POLICY: HeaderName = header::CONTENT_SECURITY_POLICY;

/// A page; its title is a text, its body is HTML.
pub(crate) fn page(title: &str, body: &str) -> Response {
    let title = escaped(title);
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}pre{{overflow:auto;padding:1rem;border:1px solid #8886}}\
         textarea,input{{font:inherit;width:100%;box-sizing:border-box}}label{{display:block;margin:1rem 0}}button{{font:inherit;margin-right:.5rem;padding:.4rem 1rem}}\
         :root{{color-scheme:light dark}}</style><main><h1>{title}</h1>{body}</main></html>"
    );
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(text)).into_response()
}

/// A page for what went wrong, with the status and the headers of the problem; `more` is HTML.
pub(crate) fn problem_page(title: &str, problem: Problem, more: &str) -> Response {
    let (detail, code) = (escaped(problem.detail()), problem.code());
    let hint = problem
        .said_hint()
        .map_or_else(String::new, |hint| format!("<p>{}.</p>", escaped(hint)));
    let body = format!("<p>{detail} (<code>{code}</code>).</p>{hint}{more}");
    let (mut shown, told) = (page(title, &body), problem.into_response());
    *shown.status_mut() = told.status();
    if let Some(after) = told.headers().get(header::RETRY_AFTER) {
        shown
            .headers_mut()
            .insert(header::RETRY_AFTER, after.clone());
    }
    shown
}

/// Whether it is a browser that shows what it gets.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT);
    accepted.is_some_and(|it| it.to_str().is_ok_and(|it| it.contains("text/html")))
}
