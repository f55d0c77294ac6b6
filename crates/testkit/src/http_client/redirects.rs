//! Rules of redirects.

use bytes::Bytes;
use http::{HeaderValue, Method};
use nebula_ports::{HttpBody, HttpError, HttpLimits, HttpRequest, RequestBody};

use super::{
    fixture::*,
    names::Names,
    server::{Act, Seen, Server, answer, ok},
};

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// A server whose path `/<status>?<url>` leads there; everything else answers with method and body.
async fn leading() -> Server {
    Server::start(leads).await
}

fn leads(seen: &Seen) -> Vec<Act> {
    let path = seen.path();
    let status = path[1..]
        .split(['?', '/'])
        .next()
        .and_then(|it| it.parse().ok());
    match (status, path.split_once('?')) {
        (Some(status), Some((_, to))) => {
            // No client asks for a backslash, or for a tab.
            let to = to.replace("%5C", "\\").replace("%09", "\t");
            answer(status, &format!("Location: {to}\r\n"), b"elsewhere")
        }
        (Some(status), None) => answer(status, "", b"nowhere"),
        _ => {
            let method = seen.line().split(' ').next().unwrap_or_default();
            let body = String::from_utf8_lossy(&seen.body);
            ok(format!("{method} {body}").as_bytes())
        }
    }
}

/// Each status repeats or changes the method as HTTP says (RFC 9110, section 15.4).
/// Guards: `303` gives GET, `301` and `302` do for POST only, `307` and `308` repeat.
pub async fn a_redirect_keeps_or_changes_the_method(client: &Client, _: &Names) {
    let server = leading().await;
    for (method, status, expected) in [
        ("POST", 301, "GET "),
        ("POST", 302, "GET "),
        ("POST", 303, "GET "),
        ("POST", 307, "POST body"),
        ("POST", 308, "POST body"),
        ("PUT", 301, "PUT body"),
        ("PUT", 302, "PUT body"),
        ("PUT", 303, "GET "),
        ("PUT", 307, "PUT body"),
        ("DELETE", 303, "GET "),
        ("GET", 301, "GET "),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let body = match method {
            Method::GET => RequestBody::Empty,
            _ => RequestBody::Bytes(Bytes::from_static(b"body")),
        };
        let request = HttpRequest {
            body,
            ..request(method.clone(), &server.url(&format!("/{status}?/end")))
        };
        let answer = client
            .send(&egress(&server.grant()), request)
            .await
            .unwrap();
        assert_eq!((answer.url.path(), answer.redirects), ("/end", 1));
        let (_, text) = text(answer).await.unwrap();
        assert_eq!(text, expected, "{method} {status}");
    }
}

/// Each target of a redirect is asked about like the first URL. Guard: `Egress::target` and
/// `Egress::admits` are asked for each hop.
pub async fn a_redirect_is_checked_like_the_first_url(client: &Client, names: &Names) {
    let server = leading().await;
    let sentinel = Server::sentinel("127.0.0.1:0").await.unwrap();
    let port = sentinel.port();
    names.set("inside.test", &["127.0.0.1"]);
    let grants = format!("{} net:*", server.grant());
    let mut cases = vec![
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://inside.test:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::]:{port}/"),
    ];
    cases.extend(
        [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "169.254.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "240.0.0.1",
            "[fd00::1]",
            "[fe80::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[::7f00:1]",
            "[fd00:ec2::254]",
        ]
        .map(|host| format!("http://{host}/")),
    );
    for to in &cases {
        for status in STATUSES {
            let url = server.url(&format!("/{status}?{to}"));
            let error = failed(client, &grants, get(&url)).await;
            assert_eq!(kind(&error), "denied", "{status} {to}");
            assert!(error.sent, "the first hop was sent");
        }
    }
    assert_eq!(sentinel.connections(), 0);
}

/// What is no plain URL is none as the target of a redirect. Guard: `Egress::check_url` for each hop.
pub async fn a_redirect_to_what_is_no_plain_url_is_refused(client: &Client, _: &Names) {
    let server = leading().await;
    let port = server.port();
    for (to, expected) in [
        ("ftp://127.0.0.1/".to_owned(), "url"),
        ("file:///etc/passwd".to_owned(), "url"),
        ("gopher://127.0.0.1:70/".to_owned(), "url"),
        ("javascript:1".to_owned(), "url"),
        ("data:,x".to_owned(), "url"),
        (format!("http://user@127.0.0.1:{port}/end"), "url"),
        (format!("http://user:word@127.0.0.1:{port}/end"), "url"),
        (format!("/%5C127.0.0.1:{port}/end"), "url"),
        (format!("http://127.0.0.1%09:{port}/end"), "url"),
        ("%09ftp://127.0.0.1/".to_owned(), "url"),
        ("http://".to_owned(), "redirect"),
        ("http://[::1".to_owned(), "redirect"),
        ("http://127.0.0.1:99999/".to_owned(), "redirect"),
    ] {
        let error = failed(
            client,
            &server.grant(),
            get(&server.url(&format!("/302?{to}"))),
        )
        .await;
        assert_eq!(kind(&error), expected, "{to}");
        // It is the fault of who leads there.
        assert_eq!(error.origin, server.url(""), "{to}");
    }
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.path().starts_with("/302"))
    );
}

/// What a redirect leads to elsewhere gets no key that was meant for here. Guard: only the headers of
/// `CARRIED_OVER` go to another origin.
pub async fn keys_stay_with_the_origin_that_they_were_meant_for(client: &Client, _: &Names) {
    let (here, there) = (leading().await, leading().await);
    let keys = [
        "authorization",
        "cookie",
        "x-api-key",
        "private-token",
        "referer",
    ];
    let grants = format!("{} {}", here.grant(), there.grant());
    for to in [here.url("/end"), there.url("/end")] {
        let mut request = get(&here.url(&format!("/307?{to}")));
        for name in keys.iter().chain(&["accept", "idempotency-key"]) {
            request
                .headers
                .insert(*name, HeaderValue::from_static("value"));
        }
        whole(client, &grants, request).await.unwrap();
    }
    let (here, there) = (here.seen(), there.seen());
    assert_eq!((here.len(), there.len()), (3, 1));
    for name in keys {
        assert_eq!(
            here[1].header(name),
            Some("value"),
            "the same origin keeps `{name}`"
        );
        assert_eq!(there[0].header(name), None, "`{name}`");
    }
    for name in ["accept", "idempotency-key"] {
        assert_eq!(there[0].header(name), Some("value"), "`{name}`");
    }
}

/// Redirects end. Guard: they are counted.
pub async fn redirects_without_end_are_an_error(client: &Client, _: &Names) {
    let server = leading().await;
    let ring = Server::start(|seen| {
        let n: u32 = seen.path()[1..].parse().unwrap_or(0);
        answer(302, &format!("Location: /{}\r\n", n + 1), b"")
    })
    .await;
    let looping = server.url("/302?/302?/end");
    let grants = format!("{} {}", server.grant(), ring.grant());
    let limits = HttpLimits {
        redirects: Some(3),
        ..HttpLimits::default()
    };
    let error = failed(client, &grants, limited(&ring.url("/0"), limits.clone())).await;
    assert_eq!(kind(&error), "too many redirects");
    assert_eq!(ring.seen().len(), 4);
    // Two are within three.
    assert_eq!(
        whole(client, &grants, limited(&looping, limits))
            .await
            .unwrap()
            .1,
        "GET "
    );
}

/// Whoever wants to see a redirect sees it. Guard: `redirects: None` follows nothing.
pub async fn a_redirect_that_is_not_followed_is_the_answer(client: &Client, _: &Names) {
    let server = leading().await;
    let limits = HttpLimits {
        redirects: None,
        ..HttpLimits::default()
    };
    for status in STATUSES {
        let request = limited(&server.url(&format!("/{status}?/end")), limits.clone());
        let answer = client
            .send(&egress(&server.grant()), request)
            .await
            .unwrap();
        assert_eq!(answer.headers["location"], "/end");
        assert_eq!(
            text(answer).await.unwrap(),
            (status, "elsewhere".to_owned())
        );
    }
}

/// A redirect that leads nowhere, and a status that is none, are answers. Guard: only the five
/// statuses with a `Location` are followed.
pub async fn what_does_not_lead_elsewhere_is_an_answer(client: &Client, _: &Names) {
    let server = leading().await;
    for status in STATUSES.into_iter().chain([300, 305]) {
        let request = get(&server.url(&format!("/{status}")));
        let answer = whole(client, &server.grant(), request).await.unwrap();
        assert_eq!(answer, (status, "nowhere".to_owned()));
    }
    let request = get(&server.url("/300?/end"));
    let answer = whole(client, &server.grant(), request).await.unwrap();
    assert_eq!(answer, (300, "elsewhere".to_owned()));
}

/// A stream is sent once. Guard: a 307 after a stream is an error, not an empty body.
pub async fn a_stream_is_not_sent_again(client: &Client, _: &Names) {
    let server = leading().await;
    for (status, expected) in [
        (307, Err("redirect")),
        (308, Err("redirect")),
        (303, Ok("GET ")),
    ] {
        let request = HttpRequest {
            body: RequestBody::Stream(Box::new(Parts(vec!["bo", "dy"]))),
            ..request(Method::POST, &server.url(&format!("/{status}?/end")))
        };
        let found = whole(client, &server.grant(), request).await;
        let found = found.map(|(_, text)| text).map_err(|error| kind(&error));
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(found, expected, "{status}");
        assert_eq!(
            server.seen().last().unwrap().body,
            if status == 303 { b"" as &[u8] } else { b"body" }
        );
    }
}

/// A body in parts.
#[derive(Debug)]
pub(super) struct Parts(pub(super) Vec<&'static str>);

#[async_trait::async_trait]
impl HttpBody for Parts {
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(Bytes::from_static(self.0.remove(0).as_bytes())))
    }
}

/// A body that is left out leaves behind what was said of it. Guard: the headers of a body go with it.
pub async fn a_body_that_is_left_out_takes_its_headers_along(client: &Client, _: &Names) {
    let server = leading().await;
    for (status, kept) in [(303, false), (307, true)] {
        let url = server.url(&format!("/{status}?{}", server.url("/end")));
        let mut asked = request(Method::POST, &url);
        asked.body = RequestBody::Bytes(Bytes::from_static(b"body"));
        for name in ["content-type", "content-language"] {
            let value = HeaderValue::from_static("x-test");
            asked.headers.insert(name, value);
        }
        whole(client, &server.grant(), asked).await.unwrap();
        let seen = server.seen();
        let last = seen.last().unwrap();
        assert_eq!(
            last.head.contains("x-test"),
            kept,
            "{status}: {}",
            last.head
        );
    }
}

/// What goes wrong after a redirect is told of the origin that it led to: who counts what a server fails must
/// not count it against the one that was asked. Guard: the origin is that of the hop.
pub async fn an_error_after_a_redirect_names_where_it_led(client: &Client, _: &Names) {
    let (first, second) = (leading().await, Server::start(|_| vec![Act::Close]).await);
    let to = second.url("/gone");
    let url = first.url(&format!("/302?{to}"));
    let grants = format!("{} {}", first.grant(), second.grant());
    let error = failed(client, &grants, get(&url)).await;
    assert_eq!(error.origin, second.url("").trim_end_matches('/'));
    assert!(error.sent);
}
