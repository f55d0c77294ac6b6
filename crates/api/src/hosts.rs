//! Under which names the server may be asked.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header, uri::Authority};

use crate::{api::Shared, problem::Problem};

/// The names of the loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Refuses a request for another host: a page elsewhere, whose name was made to lead here, would speak
/// with the browser's rights.
pub(crate) async fn known(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = hosts.next().and_then(|host| host.to_str().ok());
    // The target of a request may name a host too, and that is the one which counts (RFC 9112, 3.2.2).
    let named = request
        .uri()
        .authority()
        .map_or(named, |it| Some(it.as_str()));
    let fits = named.is_some_and(|named| is_known(named, &shared.config().hosts));
    if fits && hosts.next().is_none() {
        return next.run(request).await;
    }
    let message = match named {
        Some(named) => format!("this server is not `{}`", shown(named)),
        None => "the request names no host".to_owned(),
    };
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "UNKNOWN_HOST", message)
        .hint("use the address on which it listens, or have the operator add the name to `hosts`")
        .into_response()
}

/// As much of it as an answer repeats.
fn shown(named: &str) -> String {
    named.chars().take(100).collect()
}

fn is_known(named: &str, hosts: &[String]) -> bool {
    let Ok(authority) = named.parse::<Authority>() else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let same = |host: &str| {
        let (name, port) = (authority.host(), authority.port_u16());
        // A name with a port means that port; one without means any.
        match host.parse::<Authority>() {
            Ok(host) => {
                host.host().eq_ignore_ascii_case(name)
                    && host.port_u16().is_none_or(|wanted| Some(wanted) == port)
            }
            Err(_) => false,
        }
    };
    LOOPBACK.into_iter().any(same) || hosts.iter().any(|host| same(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_and_those_that_are_set_are_known() {
        let hosts = ["nebula.example".to_owned(), "other.example:8443".to_owned()];
        for known in [
            "localhost",
            "LOCALHOST:7400",
            "127.0.0.1:1",
            "[::1]:7400",
            "Nebula.Example:443",
            "other.example:8443",
        ] {
            assert!(is_known(known, &hosts), "{known}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil@localhost",
            "other.example",
            "other.example:443",
            "nebula.example.",
            "127.0.0.2",
            "local host",
        ] {
            assert!(!is_known(foreign, &hosts), "{foreign}");
        }
    }
}
