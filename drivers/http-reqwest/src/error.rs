//! Errors of reqwest, hyper and rustls, as errors of the port.

use std::{error::Error, io};

use nebula_action::{HttpErrorKind, HttpPhase};
use nebula_core::ByteSize;

use crate::config::HttpConfig;

/// Words what happened to a request or its answer; repeats nothing that was sent or came.
pub(crate) fn of(error: &reqwest::Error, max_head: ByteSize, config: &HttpConfig) -> HttpErrorKind {
    if error.is_connect() {
        if error.is_timeout() {
            return HttpErrorKind::Timeout {
                phase: HttpPhase::Connect,
                limit: config.connect_timeout,
            };
        }
        if let Some(tls) = cause::<rustls::Error>(error) {
            return HttpErrorKind::Tls(tls.to_string());
        }
        let io = cause::<io::Error>(error);
        if let Some(tls) = io.and_then(tls_inside) {
            return HttpErrorKind::Tls(tls.to_string());
        }
        return HttpErrorKind::Connect(io.map_or_else(
            || "nobody answers".to_owned(),
            |error| error.kind().to_string(),
        ));
    }
    if let Some(hyper) = cause::<hyper::Error>(error) {
        // hyper asks this of its servers only; a rule of the port notices if its words change.
        if hyper.is_parse() && hyper.to_string().contains("too large") {
            return HttpErrorKind::HeadTooLarge(max_head);
        }
        if hyper.is_incomplete_message() {
            return broken("the connection ended before it did");
        }
        if hyper.is_parse() {
            return broken("what came is no HTTP");
        }
    }
    if error.is_builder() {
        return HttpErrorKind::Request("its method, URL or headers cannot be written down");
    }
    if error.is_decode() {
        return broken("its body is no gzip, though its head says so");
    }
    broken("the connection broke off")
}

/// rustls hands its error out inside of errors of the system, which do not name it as their source.
fn tls_inside(error: &io::Error) -> Option<&rustls::Error> {
    let mut inside = error.get_ref();
    while let Some(error) = inside {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
    }
    None
}

fn broken(why: &str) -> HttpErrorKind {
    HttpErrorKind::Protocol(why.to_owned())
}

/// The first cause of this type.
fn cause<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
