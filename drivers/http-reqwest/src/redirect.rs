//! What follows from an answer that leads elsewhere.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use nebula_action::{CARRIED_OVER, Egress, HttpErrorKind, RequestBody, UrlError};
use url::Url;

/// What is sent in one hop.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// What can be sent once more, if there is one.
    pub(crate) again: Again,
}

/// What is left of a body after it was sent.
#[derive(Debug, Clone)]
pub(crate) enum Again {
    Empty,
    Bytes(Bytes),
    /// It was a stream.
    Gone,
}

impl Again {
    pub(crate) fn of(body: &RequestBody) -> Self {
        match body {
            RequestBody::Empty => Self::Empty,
            RequestBody::Bytes(bytes) => Self::Bytes(bytes.clone()),
            RequestBody::Stream(_) => Self::Gone,
        }
    }
}

/// Where an answer leads, if it leads elsewhere.
pub(crate) fn location(status: StatusCode, headers: &HeaderMap) -> Option<&[u8]> {
    let leads = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = headers.get(header::LOCATION)?;
    leads.then_some(location.as_bytes())
}

/// The hop that follows from `last` and its answer.
pub(crate) fn next(last: &Hop, status: StatusCode, location: &[u8]) -> Result<Hop, HttpErrorKind> {
    let stuck = |reason| HttpErrorKind::Redirect {
        status: status.as_u16(),
        reason,
    };
    let text = std::str::from_utf8(location).map_err(|_| stuck("its `Location` is no text"))?;
    if text.contains(|c: char| c.is_control() || c == '\\') {
        return Err(UrlError::Ambiguous.into());
    }
    let url = last.url.join(text);
    let url = url.map_err(|_| stuck("its `Location` is no URL"))?;
    Egress::check_url(&url)?;
    if last.url.scheme() == "https" && url.scheme() == "http" {
        return Err(stuck("it leads from https to http"));
    }
    let to_get = match status.as_u16() {
        303 => last.method != Method::HEAD,
        301 | 302 => last.method == Method::POST,
        _ => false,
    };
    let mut headers = last.headers.clone();
    if last.url.origin() != url.origin() {
        for name in last.headers.keys() {
            if !CARRIED_OVER.contains(&name.as_str()) {
                headers.remove(name);
            }
        }
    }
    let (method, again) = if to_get {
        for name in [
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
        ] {
            headers.remove(name);
        }
        (Method::GET, Again::Empty)
    } else if let Again::Gone = last.again {
        return Err(stuck("the body was a stream and cannot be sent again"));
    } else {
        (last.method.clone(), last.again.clone())
    };
    Ok(Hop {
        method,
        url,
        headers,
        again,
    })
}
