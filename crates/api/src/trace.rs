//! The trace of a caller.

use http::{HeaderMap, HeaderValue};
use nebula_core::TraceContext;

/// The trace that the headers of a request tell, if it is in one.
pub(crate) fn told(headers: &HeaderMap) -> Option<TraceContext> {
    let all = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    TraceContext::read(all("traceparent"), all("tracestate"))
}
