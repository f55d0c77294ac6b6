//! Rules of where requests go.

use std::time::Duration;

use nebula_action::Egress;
use nebula_ports::HttpRequest;
use url::Url;

use super::{
    fixture::*,
    names::Names,
    server::{Server, ok},
};

/// How long a connection may take that is made at once or not at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing goes where no grant leads. Guard: `Egress::target` is asked before anything else.
pub async fn nothing_is_sent_without_a_grant(client: &Client, _: &Names) {
    let server = Server::start(|_| ok(b"hello")).await;
    let url = server.url("/");
    for grants in [
        "",
        "net:*",
        "net:localhost",
        "net:*.example",
        "net:127.0.0.2",
    ] {
        let error = failed(client, grants, get(&url)).await;
        assert_eq!(missing(&error), server.grant());
        assert!(!error.sent);
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(fetched(client, &server.grant(), &url).await, "hello");
}

/// A bare connection goes where requests go, and nowhere else. Guards: `Egress::target` is asked before
/// the name is resolved, and `Egress::admits` of what it leads to.
pub async fn a_bare_connection_goes_where_requests_go(client: &Client, names: &Names) {
    let server = Server::start(|_| ok(b"hello")).await;
    names.set("site.test", &["127.0.0.1"]);
    let by_name = format!("http://site.test:{}/", server.port());
    let connect = |grants: String, url: String| async move {
        let url = Egress::url(&url).unwrap();
        client.connect(&egress(&grants), &url, PATIENCE).await
    };
    for grants in ["", "net:*", "net:127.0.0.2"] {
        let refused = connect(grants.to_owned(), server.url("/")).await;
        assert_eq!(missing(&refused.unwrap_err()), server.grant());
    }
    let refused = connect("net:other.test".to_owned(), by_name.clone()).await;
    assert_eq!(kind(&refused.unwrap_err()), "denied");
    assert_eq!(names.asked("site.test"), 0);
    let refused = connect("net:site.test".to_owned(), by_name.clone()).await;
    assert_eq!(kind(&refused.unwrap_err()), "denied");
    assert_eq!(server.connections(), 0);
    connect(server.grant(), server.url("/")).await.unwrap();
    let both = format!("net:site.test {}", server.grant());
    connect(both, by_name).await.unwrap();
    let port = server.port();
    let grant = server.grant();
    drop(server);
    let closed = connect(grant, format!("http://127.0.0.1:{port}/")).await;
    let closed = closed.unwrap_err();
    assert_eq!((kind(&closed).as_str(), closed.sent), ("connect", false));
}

/// A grant with a port opens that port. Guard: the port of the grant is compared.
pub async fn a_grant_for_a_port_opens_no_other(client: &Client, _: &Names) {
    let server = Server::start(|_| ok(b"hello")).await;
    let other = format!("net:127.0.0.1:{}", server.port() ^ 1);
    assert_eq!(
        missing(&failed(client, &other, get(&server.url("/"))).await),
        server.grant()
    );
    assert_eq!(server.connections(), 0);
    assert_eq!(
        fetched(client, "net:127.0.0.1", &server.url("/")).await,
        "hello"
    );
}

/// A name that no grant names is not even asked for: a question can carry a secret out.
/// Guard: `Egress::target` is asked before the resolver.
pub async fn a_name_is_resolved_only_where_a_grant_leads(client: &Client, names: &Names) {
    names.set("site.test", &["127.0.0.1"]);
    let error = failed(client, "net:other.test", get("http://site.test/")).await;
    assert_eq!(missing(&error), "net:site.test:80");
    assert_eq!(names.asked("site.test"), 0);
}

/// A name that leads inside does not open the inside. Guard: `Egress::admits` is asked.
pub async fn a_name_that_leads_inside_is_refused(client: &Client, names: &Names) {
    let sentinel = Server::sentinel("127.0.0.1:0").await.unwrap();
    let port = sentinel.port();
    names.set("site.test", &["127.0.0.1"]);
    let url = format!("http://site.test:{port}/");
    for grants in [
        "net:site.test",
        "net:*",
        "net:*.test",
        "net:* net:127.0.0.1",
    ] {
        let error = failed(client, grants, get(&url)).await;
        assert_eq!(kind(&error), "denied", "{grants}");
        assert!(!error.sent);
    }
    assert_eq!(sentinel.connections(), 0);
    let both = format!("net:site.test net:127.0.0.1:{port}");
    let answer = fetched(client, &both, &url).await;
    assert_eq!(answer, "the sentinel answered");
}

/// One address that is refused refuses the name, wherever it stands in the answer.
/// Guard: every address is checked, not the first one.
pub async fn one_refused_address_refuses_the_name(client: &Client, names: &Names) {
    let server = Server::start(|_| ok(b"hello")).await;
    let url = format!("http://site.test:{}/", server.port());
    let grants = format!("net:site.test {}", server.grant());
    for answer in [
        "127.0.0.1 169.254.169.254",
        "169.254.169.254 127.0.0.1",
        "127.0.0.1 ::1",
    ] {
        names.set("site.test", &[answer]);
        assert_eq!(
            kind(&failed(client, &grants, get(&url)).await),
            "denied",
            "{answer}"
        );
    }
    assert_eq!(server.connections(), 0);
}

/// Two servers on one port of 127.0.0.1 and 127.0.0.2.
async fn two() -> (Server, Server) {
    loop {
        let first = Server::start(|_| ok(b"first")).await;
        let beside = format!("127.0.0.2:{}", first.port());
        if let Ok(second) = Server::at(&beside, |_| ok(b"second")).await {
            return (first, second);
        }
    }
}

/// A name that changes between check and connection is connected where it was checked (DNS rebinding).
/// Guard: the connection is made to the checked address, and the name is resolved once.
pub async fn a_name_that_flips_is_connected_where_it_was_checked(client: &Client, names: &Names) {
    let (first, second) = two().await;
    names.set("site.test", &["127.0.0.1", "127.0.0.2"]);
    let url = format!("http://site.test:{}/", first.port());
    let grants = format!("net:site.test {}", first.grant());
    assert_eq!(fetched(client, &grants, &url).await, "first");
    assert_eq!(names.asked("site.test"), 1);
    let error = failed(client, &grants, get(&url)).await;
    assert_eq!(missing(&error), second.grant());
    assert_eq!(second.connections(), 0);
}

/// A connection that was kept open is used only where the name leads now. Guard: connections are
/// kept by their addresses, not by their name.
pub async fn a_kept_connection_is_not_used_for_another_address(client: &Client, names: &Names) {
    let (first, second) = two().await;
    names.set("site.test", &["127.0.0.1", "127.0.0.2"]);
    let url = format!("http://site.test:{}/", first.port());
    let grants = format!("net:site.test {} {}", first.grant(), second.grant());
    assert_eq!(fetched(client, &grants, &url).await, "first");
    assert_eq!(fetched(client, &grants, &url).await, "second");
}

/// A connection that was kept open is worth nothing without a grant. Guard: each request is checked.
pub async fn a_kept_connection_does_not_stand_for_a_grant(client: &Client, names: &Names) {
    let server = Server::start(|_| ok(b"hello")).await;
    names.set("site.test", &["127.0.0.1"]);
    let url = format!("http://site.test:{}/", server.port());
    let grants = format!("net:site.test {}", server.grant());
    fetched(client, &grants, &url).await;
    fetched(client, &grants, &url).await;
    for grants in ["", "net:*", "net:site.test"] {
        assert_eq!(kind(&failed(client, grants, get(&url)).await), "denied");
    }
    assert_eq!(server.seen().len(), 2);
    assert_eq!(server.connections(), 1);
}

/// `localhost` is this machine and nothing else (RFC 6761). Guard: it is not resolved.
pub async fn localhost_is_this_machine_whatever_the_resolver_says(client: &Client, names: &Names) {
    let (first, second) = two().await;
    for name in ["localhost", "localhost.", "db.localhost"] {
        names.set(name, &["127.0.0.2"]);
        let url = format!("http://{name}:{}/", first.port());
        let grants = "net:localhost net:*.localhost net:127.0.0.2";
        assert_eq!(fetched(client, grants, &url).await, "first");
        assert_eq!(names.asked(name), 0);
    }
    assert_eq!(second.connections(), 0);
}

/// Nobody is there: said so, and that nothing was sent. Guard: a refused connection is `Connect`, unsent.
pub async fn a_closed_port_is_no_connection(client: &Client, _: &Names) {
    let server = Server::start(|_| ok(b"hello")).await;
    let (url, grant) = (server.url("/"), server.grant());
    drop(server);
    let error = failed(client, &grant, get(&url)).await;
    assert_eq!((kind(&error).as_str(), error.sent), ("connect", false));
}

/// A name without an address: said so, and that nothing was sent. Guard: the resolver's error is `Resolve`.
pub async fn an_unknown_name_has_no_address(client: &Client, names: &Names) {
    let error = failed(client, "net:*", get("http://nobody.test/")).await;
    assert_eq!((kind(&error).as_str(), error.sent), ("resolve", false));
    names.set("empty.test", &[""]);
    let error = failed(client, "net:*", get("http://empty.test/")).await;
    assert_eq!((kind(&error).as_str(), error.sent), ("resolve", false));
}

/// A URL that nobody held against the rules before is refused like any other, before its name is asked for.
/// Guard: the client itself asks `Egress::check_url`.
pub async fn a_url_that_was_not_checked_before_is_checked(client: &Client, names: &Names) {
    let sentinel = Server::sentinel("127.0.0.1:0").await.unwrap();
    names.set("site.test", &["127.0.0.1"]);
    let port = sentinel.port();
    for url in [
        &format!("http://ada:hunter2@127.0.0.1:{port}/"),
        &format!("http://ada@site.test:{port}/"),
        &format!("ftp://127.0.0.1:{port}/"),
        "http://127.0.0.1:0/",
    ] {
        let asked = HttpRequest {
            url: Url::parse(url).unwrap(),
            ..get("http://site.test/")
        };
        let error = failed(client, "net:127.0.0.1 net:site.test", asked).await;
        assert_eq!((kind(&error).as_str(), error.sent), ("url", false), "{url}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    assert_eq!((sentinel.connections(), names.asked("site.test")), (0, 0));
}
