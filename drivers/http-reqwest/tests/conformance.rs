//! The rules of the port.

mod names;

use std::path::Path;

use http::{HeaderMap, Method};
use nebula_action::{Capability, Egress, Grants};
use nebula_http_reqwest::{HttpConfig, MAX_ADDRESSES, MAX_HEADER_LINES};
use nebula_ports::{HttpErrorKind, HttpLimits, HttpRequest, RequestBody, Sender};
use nebula_testkit::http_client::{
    check,
    server::{Server, answer, ok},
};

use crate::names::client;

nebula_testkit::http_client!(|names| async move { client(HttpConfig::default(), names) });

/// Guard: whoever answers for a name does not have this machine try one address after the other for long.
#[test]
#[cfg(target_os = "linux")]
fn so_many_addresses_of_a_name_are_tried_and_no_more() {
    check(
        |names| async move { client(HttpConfig::default(), names) },
        |client, names| async move {
            let server = Server::start(|_| ok(b"hello")).await;
            let egress = egress("net:site.test net:127.0.0.0/8");
            let url = format!("http://site.test:{}/", server.port());
            for (before, reached) in [(MAX_ADDRESSES - 1, true), (MAX_ADDRESSES, false)] {
                // Nobody listens there.
                let closed = (1..=before).map(|n| format!("127.0.1.{n}"));
                let all: Vec<_> = closed.chain(["127.0.0.1".to_owned()]).collect();
                names.set("site.test", &[&all.join(" ")]);
                match client.send(&egress, get(&url)).await {
                    Ok(answer) => assert!(reached, "{}", answer.status),
                    Err(error) => {
                        assert!(matches!(error.kind, HttpErrorKind::Connect(_)), "{error}");
                        assert!(!reached, "{error}");
                    }
                }
            }
        },
    );
}

/// Guard: a head of very many lines is refused, however short they are.
#[test]
fn a_head_has_so_many_lines_and_no_more() {
    check(
        |names| async move { client(HttpConfig::default(), names) },
        |client, _| async move {
            for (lines, taken) in [(MAX_HEADER_LINES - 8, true), (MAX_HEADER_LINES + 1, false)] {
                let more = "A: b\r\n".repeat(lines);
                let server = Server::start(move |_| answer(200, &more, b"hello")).await;
                let url = server.url("/");
                let found = client.send(&egress(&server.grant()), get(&url)).await;
                match found {
                    Ok(_) => assert!(taken, "{lines} lines"),
                    Err(error) => {
                        let too_large = matches!(error.kind, HttpErrorKind::HeadTooLarge(_));
                        assert!(too_large && !taken, "{lines} lines: {error}");
                    }
                }
            }
        },
    );
}

fn egress(grants: &str) -> Egress {
    let granted = grants.split(' ');
    let granted = granted.map(|it| Capability::parse(it, Path::new("/")).unwrap());
    Egress::new(&Grants::new(granted))
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: Method::GET,
        url: Egress::url(url).unwrap(),
        headers: HeaderMap::new(),
        body: RequestBody::Empty,
        limits: HttpLimits::default(),
        sender: Sender::default(),
    }
}

/// The same behind the gates of the worker: they change nothing of what the port promises.
mod paced {
    use std::sync::Arc;

    use nebula_http_reqwest::HttpConfig;
    use nebula_ports::HttpClient;
    use nebula_runtime::{HttpPolicy, PacedHttp};
    use nebula_system::SystemClock;

    use crate::names::client;

    nebula_testkit::http_client!(|names| async move {
        let (sends, clock) = (client(HttpConfig::default(), names), SystemClock::default());
        let paced = PacedHttp::new(sends, Arc::new(clock), HttpPolicy::default()).unwrap();
        Arc::new(paced) as Arc<dyn HttpClient>
    });
}
