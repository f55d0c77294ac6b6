//! Rules of what is sent, of answers, and of their limits.

use std::{io::Write, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderName, HeaderValue, Method};
use nebula_core::ByteSize;
use nebula_ports::{HttpLimits, HttpRequest, RequestBody};

use super::{
    fixture::*,
    names::Names,
    redirects::Parts,
    server::{Act, Server, answer, ok, raw},
};

/// Long enough for whatever should come.
const LONG: Duration = Duration::from_mins(2);

fn patient() -> HttpLimits {
    HttpLimits {
        total: LONG,
        head: LONG,
        idle: LONG,
        ..HttpLimits::default()
    }
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Method, headers and body arrive as they were given. Guard: nothing is left out or made up.
pub async fn what_is_sent_arrives(client: &Client, _: &Names) {
    let server = Server::start(|_| ok(b"thanks")).await;
    for body in [
        RequestBody::Bytes(Bytes::from_static(b"some body")),
        RequestBody::Stream(Box::new(Parts(vec!["some", " ", "body"]))),
    ] {
        let mut request = HttpRequest {
            body,
            ..request(Method::PATCH, &server.url("/a%20b?c=d%26e"))
        };
        request
            .headers
            .append("x-two", HeaderValue::from_static("1"));
        request
            .headers
            .append("x-two", HeaderValue::from_static("2"));
        let answer = whole(client, &server.grant(), request).await.unwrap();
        assert_eq!(answer, (200, "thanks".to_owned()));
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.line(), "PATCH /a%20b?c=d%26e HTTP/1.1");
        assert_eq!(seen.body, b"some body");
        assert_eq!(seen.head.to_lowercase().matches("x-two: ").count(), 2);
        assert_eq!(seen.header("cookie"), None);
    }
}

/// What speaks for the client itself is the client's. Guard: methods and headers are checked.
pub async fn what_is_the_clients_own_is_refused(client: &Client, _: &Names) {
    let server = Server::start(|_| ok(b"hello")).await;
    let mut requests = vec![
        request(Method::CONNECT, &server.url("/")),
        request(Method::TRACE, &server.url("/")),
    ];
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
    ] {
        let mut request = get(&server.url("/"));
        request
            .headers
            .insert(HeaderName::from_static(name), HeaderValue::from_static("0"));
        requests.push(request);
    }
    for request in requests {
        let error = failed(client, &server.grant(), request).await;
        assert_eq!((kind(&error).as_str(), error.sent), ("request", false));
    }
    assert_eq!(server.connections(), 0);
}

/// No cookie is kept for the next request. Guard: there is no cookie store.
pub async fn cookies_are_not_kept(client: &Client, _: &Names) {
    let server = Server::start(|_| answer(200, "Set-Cookie: a=b; Path=/\r\n", b"")).await;
    fetched(client, &server.grant(), &server.url("/")).await;
    fetched(client, &server.grant(), &server.url("/")).await;
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.header("cookie").is_none())
    );
}

/// Any status is an answer. Guard: no status is made an error.
pub async fn any_status_is_an_answer(client: &Client, _: &Names) {
    let server = Server::start(|seen| {
        let status = seen.path()[1..].parse().unwrap_or(200);
        answer(status, "X-Kind: test\r\n", b"body")
    })
    .await;
    for status in [200, 201, 226, 300, 400, 401, 404, 418, 429, 500, 503, 599] {
        let request = get(&server.url(&format!("/{status}")));
        let answer = client.send(&egress(&server.grant()), request).await;
        let answer = answer.unwrap();
        assert_eq!(answer.headers["x-kind"], "test");
        assert_eq!(text(answer).await.unwrap(), (status, "body".to_owned()));
    }
}

/// A server that does not answer is given up. Guard: the limit `head`.
pub async fn a_server_that_does_not_answer_is_given_up(client: &Client, _: &Names) {
    let limits = HttpLimits {
        head: SHORT,
        ..patient()
    };
    for act in [
        vec![Act::Stall],
        vec![
            Act::Send(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
            Act::Stall,
        ],
    ] {
        let server = Server::start(move |_| act.clone()).await;
        let error = failed(
            client,
            &server.grant(),
            limited(&server.url("/"), limits.clone()),
        )
        .await;
        assert_eq!((kind(&error).as_str(), error.sent), ("timeout Head", true));
    }
}

/// A head that comes byte by byte and does not end is given up. Guard: the limits `head` and `max_head`:
/// a sign of life does not prolong them.
pub async fn a_head_that_drips_is_given_up(client: &Client, _: &Names) {
    let limits = HttpLimits {
        head: SHORT,
        ..patient()
    };
    let server = Server::start(|_| {
        let start = b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec();
        vec![Act::Send(start), Act::Drip(b"a".to_vec())]
    })
    .await;
    let error = failed(client, &server.grant(), limited(&server.url("/"), limits)).await;
    let kind = kind(&error);
    assert!(
        ["timeout Head", "head too large"].contains(&kind.as_str()),
        "{kind}"
    );
}

/// A body that stops coming is given up. Guard: the limit `idle`.
pub async fn a_body_that_stops_is_given_up(client: &Client, _: &Names) {
    let limits = HttpLimits {
        idle: SHORT,
        ..patient()
    };
    let server = Server::start(|_| {
        let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart".to_vec();
        vec![Act::Send(part), Act::Stall]
    })
    .await;
    let error = failed(client, &server.grant(), limited(&server.url("/"), limits)).await;
    assert_eq!((kind(&error).as_str(), error.sent), ("timeout Idle", true));
}

/// A body that always comes a little, or stops for less than its `idle`, is given up in the end.
/// Guard: the limit `total` goes on through the body.
pub async fn a_body_that_drips_is_given_up(client: &Client, _: &Names) {
    let limits = HttpLimits {
        total: SHORT * 3,
        max_body: ByteSize::mib(4096),
        ..patient()
    };
    for rest in [Act::Drip(b"a".to_vec()), Act::Stall] {
        let server = Server::start(move |_| {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec();
            vec![Act::Send(head), rest.clone()]
        })
        .await;
        let asked = limited(&server.url("/"), limits.clone());
        let error = failed(client, &server.grant(), asked).await;
        assert_eq!((kind(&error).as_str(), error.sent), ("timeout Total", true));
    }
}

/// The time for everything holds over redirects. Guard: the limit `total` covers all hops.
pub async fn redirects_share_the_time_for_everything(client: &Client, _: &Names) {
    let server = Server::start(|seen| match seen.path() {
        "/" => answer(302, "Location: /next\r\n", b""),
        _ => vec![Act::Stall],
    })
    .await;
    let limits = HttpLimits {
        total: SHORT * 2,
        ..patient()
    };
    let error = failed(client, &server.grant(), limited(&server.url("/"), limits)).await;
    assert_eq!(kind(&error), "timeout Total");
}

/// A body that is shorter than it says, in each way of saying it, is broken. Guard: a cut body is an error.
pub async fn a_body_that_is_cut_is_broken(client: &Client, _: &Names) {
    let cut = zipped(&b"some text ".repeat(1_000));
    let cut = &cut[..cut.len() / 2];
    let zip = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        cut.len()
    );
    for bytes in [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nshort".to_vec(),
        [zip.as_bytes(), cut].concat(),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..40]).into_owned();
        let server = Server::start(move |_| raw(&bytes)).await;
        let error = failed(client, &server.grant(), get(&server.url("/"))).await;
        assert_eq!(
            (kind(&error).as_str(), error.sent),
            ("protocol", true),
            "{shown}"
        );
    }
}

/// What follows a body that is longer than it says is nobody's answer. Guard: such a connection is not
/// used again.
pub async fn what_follows_a_body_is_nobodys_answer(client: &Client, _: &Names) {
    let server = Server::start(|seen| match seen.path() {
        "/first" => vec![Act::Send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"
                .to_vec(),
        )],
        _ => ok(b"second"),
    })
    .await;
    assert_eq!(
        fetched(client, &server.grant(), &server.url("/first")).await,
        "first"
    );
    assert_eq!(
        fetched(client, &server.grant(), &server.url("/second")).await,
        "second"
    );
}

/// An answer whose length contradicts itself is broken. Guard: lengths are compared (RFC 9112, section 6.3).
pub async fn lengths_that_contradict_each_other_are_broken(client: &Client, _: &Names) {
    for head in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: -5",
        "Content-Length: 5x",
        "Content-Length: 99999999999999999999999",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nshort");
        let server = Server::start(move |_| raw(&bytes)).await;
        let error = failed(client, &server.grant(), get(&server.url("/"))).await;
        assert_eq!(kind(&error), "protocol", "{head}");
    }
}

/// A body without end is given up at its limit. Guard: the limit `max_body`.
pub async fn a_body_without_end_is_too_large(client: &Client, _: &Names) {
    let limits = HttpLimits {
        max_body: ByteSize::kib(256),
        ..patient()
    };
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let server = Server::start(move |_| {
            let part = [b"400\r\n", "x".repeat(1024).as_bytes(), b"\r\n"].concat();
            vec![Act::Send(head.as_bytes().to_vec()), Act::Endless(part)]
        })
        .await;
        let error = failed(
            client,
            &server.grant(),
            limited(&server.url("/"), limits.clone()),
        )
        .await;
        assert_eq!(
            (kind(&error).as_str(), error.sent),
            ("body too large", true)
        );
    }
}

/// A body that says that it is too large is not waited for. Guard: the declared length is compared.
pub async fn a_body_that_says_it_is_too_large_is_not_read(client: &Client, _: &Names) {
    let server = Server::start(|_| {
        vec![
            Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n".to_vec()),
            Act::Stall,
        ]
    })
    .await;
    let limits = HttpLimits {
        max_body: ByteSize::kib(1),
        ..patient()
    };
    let error = failed(client, &server.grant(), limited(&server.url("/"), limits)).await;
    assert_eq!(kind(&error), "body too large");
}

/// The limit itself is within the limit. Guard: what is exactly as large is not too large.
pub async fn a_body_as_large_as_the_limit_is_taken(client: &Client, _: &Names) {
    let server = Server::start(|_| ok("x".repeat(1024).as_bytes())).await;
    let limits = HttpLimits {
        max_body: ByteSize::kib(1),
        ..patient()
    };
    let answer = whole(client, &server.grant(), limited(&server.url("/"), limits)).await;
    assert_eq!(answer.unwrap().1.len(), 1024);
}

/// A zipped body comes unzipped. Guard: `Content-Encoding: gzip` is asked for and undone.
pub async fn a_zipped_body_is_unzipped(client: &Client, _: &Names) {
    let text = "some text ".repeat(10_000);
    let body = zipped(text.as_bytes());
    let server = Server::start(move |_| answer(200, "Content-Encoding: gzip\r\n", &body)).await;
    assert_eq!(
        fetched(client, &server.grant(), &server.url("/")).await,
        text
    );
    assert_eq!(server.seen()[0].header("accept-encoding"), Some("gzip"));
}

/// A zip bomb is too large. Guard: the limit `max_body` counts what comes out.
pub async fn a_zip_bomb_is_too_large(client: &Client, _: &Names) {
    let bomb = zipped(&vec![0; 16 << 20]);
    assert!(bomb.len() < 32 << 10);
    let server = Server::start(move |_| answer(200, "Content-Encoding: gzip\r\n", &bomb)).await;
    let limits = HttpLimits {
        max_body: ByteSize::kib(256),
        ..patient()
    };
    let error = failed(client, &server.grant(), limited(&server.url("/"), limits)).await;
    assert_eq!(kind(&error), "body too large");
}

/// What is no gzip though it says so is broken. Guard: an unpacking error is an error.
pub async fn what_is_no_zip_is_broken(client: &Client, _: &Names) {
    let mut wrong_sum = zipped(b"some text");
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    for body in [b"plain text".to_vec(), vec![0x1f, 0x8b, 8, 0, 0], wrong_sum] {
        let server = Server::start(move |_| answer(200, "Content-Encoding: gzip\r\n", &body)).await;
        let error = failed(client, &server.grant(), get(&server.url("/"))).await;
        assert_eq!(kind(&error), "protocol");
    }
}

/// A head that is too large is refused: by the request's limit, by lines, and by what no client reads.
/// Guards: the limit `max_head`, the number of lines, the client's own buffer.
pub async fn a_head_that_is_too_large_is_refused(client: &Client, _: &Names) {
    let long = format!("X-Long: {}\r\n", "x".repeat(8 << 10));
    let huge = format!("X-Huge: {}\r\n", "x".repeat(8 << 20));
    let many = "X-Many: x\r\n".repeat(5_000);
    let limits = HttpLimits {
        max_head: ByteSize::kib(8),
        ..patient()
    };
    for head in [long, huge, many] {
        let server = Server::start(move |_| answer(200, &head, b"")).await;
        let error = failed(
            client,
            &server.grant(),
            limited(&server.url("/"), limits.clone()),
        )
        .await;
        assert_eq!(
            (kind(&error).as_str(), error.sent),
            ("head too large", true)
        );
    }
}

/// What is no HTTP is broken. Guard: only an answer is an answer.
pub async fn what_is_no_http_is_broken(client: &Client, _: &Names) {
    for bytes in [
        "",
        "hello\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 99999 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "<html>HTTP 0.9</html>",
        "\u{16}\u{3}\u{1}\u{2}\0",
        "SSH-2.0-OpenSSH_9.9\r\n",
    ] {
        let server = Server::start(move |_| raw(bytes)).await;
        let error = failed(client, &server.grant(), get(&server.url("/"))).await;
        assert_eq!(
            (kind(&error).as_str(), error.sent),
            ("protocol", true),
            "{bytes:?}"
        );
    }
}

/// After an error there is nothing more. Guard: a body that failed stays failed.
pub async fn a_body_that_failed_stays_failed(client: &Client, _: &Names) {
    let server = Server::start(|_| raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")).await;
    let request = get(&server.url("/"));
    let answer = client.send(&egress(&server.grant()), request).await;
    let mut body = answer.unwrap().body;
    let error = loop {
        match body.chunk().await {
            Ok(part) => assert!(part.is_some(), "the body ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(kind(&error), "protocol");
    assert_eq!(kind(&body.chunk().await.unwrap_err()), "protocol");
}

/// An error says where it happened, and nothing of what may be secret. Guard: errors name the origin only.
pub async fn an_error_names_the_origin_only(client: &Client, _: &Names) {
    let server = Server::start(|_| raw("secret answer\r\n\r\n")).await;
    let url = server.url("/secret-path?key=secret-query");
    let mut asked = get(&url);
    asked
        .headers
        .insert("x-key", HeaderValue::from_static("secret-header"));
    for error in [
        failed(client, &server.grant(), asked).await,
        failed(client, "", get(&url)).await,
    ] {
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains(&format!("http://127.0.0.1:{}", server.port())),
            "{shown}"
        );
        assert!(!shown.contains("secret"), "{shown}");
    }
}
