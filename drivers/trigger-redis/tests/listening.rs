//! What a real Redis hands over, and to whom.

#![expect(
    clippy::disallowed_methods,
    reason = "a server of another process takes the time that it takes"
)]

use std::{sync::Arc, time::Duration};

use nebula_action::{Capability, Egress, Grants};
use nebula_core::{Clock as _, SecretString, Timestamp};
use nebula_ports::{ErrorKind, Handing, Message, Messages, Payload, QueueSource, Subscribing};
use nebula_system::SystemClock;
use nebula_testkit::{
    ManualClock,
    servers::{Proxy, Redis, Silence},
};
use nebula_trigger_redis::{CLAIM_AFTER, MAX_REPLY, RedisStreams, Trusting};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// A server, and the way to it over TCP.
struct Server {
    redis: Redis,
    proxy: Proxy,
}

fn server(settings: &[&str]) -> Option<Server> {
    let redis = Redis::start(settings)?;
    let proxy = Proxy::before(&redis.socket()).unwrap();
    Some(Server { redis, proxy })
}

impl Server {
    fn add(&self, stream: &str, n: &str) -> String {
        self.redis.asked(&["XADD", stream, "*", "n", n])
    }

    /// What a script gives, which may ask what is answered with a list.
    fn runs(&self, script: &str) -> String {
        self.redis.asked(&["EVAL", script, "0"])
    }

    fn wanted(&self) -> Subscribing {
        let address = self.proxy.address().to_string();
        wanted(&address, &[&format!("net:{address}")])
    }
}

fn wanted(address: &str, grants: &[&str]) -> Subscribing {
    let grants = grants
        .iter()
        .map(|it| Capability::parse(it, std::path::Path::new("/")).unwrap());
    Subscribing {
        consumer: "nebulatest".to_owned(),
        group: None,
        since: None,
        address: address.to_owned(),
        tls: false,
        names: vec!["orders".to_owned(), "alarms".to_owned()],
        handing: Handing::UntilAcknowledged,
        login: None,
        egress: Egress::new(&Grants::new(grants)),
        timeout: Duration::from_secs(10),
    }
}

fn nobody() -> Trusting {
    Arc::new(|| Err("nobody is trusted".to_owned()))
}

fn streams() -> RedisStreams {
    RedisStreams::new(Arc::new(SystemClock::default()), nobody())
}

async fn listen(wanted: Subscribing) -> Box<dyn Messages> {
    streams().listen(wanted).await.unwrap()
}

async fn refusal(wanted: Subscribing) -> (ErrorKind, String) {
    let error = streams().listen(wanted).await.unwrap_err();
    (error.kind, error.message)
}

async fn next(messages: &mut dyn Messages) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(30), messages.next());
    next.await.expect("a message comes").unwrap()
}

/// The value of the one field that [`Server::add`] gives.
fn n(message: &Message) -> String {
    match &message.payload {
        Payload::Fields(fields) => {
            assert_eq!((fields.len(), &*fields[0].0), (1, &b"n"[..]));
            String::from_utf8(fields[0].1.to_vec()).unwrap()
        }
        Payload::Bytes(_) => panic!("{message:?}"),
    }
}

async fn take(messages: &mut dyn Messages) -> String {
    let message = next(messages).await;
    let receipt = message.receipt.expect("it is acknowledged");
    messages.acknowledge(receipt).await.unwrap();
    n(&message)
}

/// That nothing comes, as long as another one takes to come.
async fn nothing_but_the_end(messages: &mut dyn Messages, server: &Server) {
    server.add("alarms", "end");
    assert_eq!(take(messages).await, "end");
}

#[tokio::test]
async fn entries_come_in_order_and_wait_for_whoever_is_away() {
    let Some(server) = server(&[]) else { return };
    let mut messages = listen(server.wanted()).await;
    let first = server.add("orders", "1");
    let message = next(&mut *messages).await;
    assert_eq!(
        (message.name.as_str(), &message.id, message.again),
        ("orders", &Some(first), false)
    );
    messages
        .acknowledge(message.receipt.unwrap())
        .await
        .unwrap();
    for added in ["2", "3"] {
        server.add("orders", added);
    }
    assert_eq!(take(&mut *messages).await, "2");
    assert_eq!(take(&mut *messages).await, "3");
    nothing_but_the_end(&mut *messages, &server).await;
    drop(messages);
    server.add("orders", "4");
    let mut messages = listen(server.wanted()).await;
    assert_eq!(take(&mut *messages).await, "4");
    nothing_but_the_end(&mut *messages, &server).await;
    // Whoever added it says how long it stays.
    assert_eq!(server.redis.asked(&["XLEN", "orders"]), "4");
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let Some(server) = server(&[]) else { return };
    let mut messages = listen(server.wanted()).await;
    for added in ["1", "2", "3"] {
        server.add("orders", added);
    }
    let message = next(&mut *messages).await;
    assert_eq!((n(&message).as_str(), message.again), ("1", false));
    assert_eq!(take(&mut *messages).await, "2");
    drop(messages);
    let mut messages = listen(server.wanted()).await;
    let message = next(&mut *messages).await;
    assert_eq!((n(&message).as_str(), message.again), ("1", true));
    messages
        .acknowledge(message.receipt.unwrap())
        .await
        .unwrap();
    assert_eq!(take(&mut *messages).await, "3");
    let error = messages.acknowledge(77).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    drop(messages);
    let mut messages = listen(server.wanted()).await;
    nothing_but_the_end(&mut *messages, &server).await;
}

/// Guard: what was asked goes on while nobody waits for it.
#[tokio::test]
async fn a_call_that_is_dropped_loses_nothing() {
    let Some(server) = server(&[]) else { return };
    let mut messages = listen(server.wanted()).await;
    let mut taken = Vec::new();
    for round in 0..300_u32 {
        if round % 3 == 0 {
            server.add("orders", &(round / 3).to_string());
        }
        let soon = Duration::from_micros(u64::from(round) * 7);
        if let Ok(message) = tokio::time::timeout(soon, messages.next()).await {
            let message = message.unwrap();
            messages
                .acknowledge(message.receipt.unwrap())
                .await
                .unwrap();
            taken.push(n(&message));
        }
    }
    while taken.len() < 100 {
        taken.push(take(&mut *messages).await);
    }
    let all: Vec<_> = (0..100).map(|it| it.to_string()).collect();
    assert_eq!(taken, all);
}

/// Guard: what another one of the group had for long without an acknowledgement is taken from them, and nothing
/// before that.
#[tokio::test]
async fn what_a_dead_consumer_of_the_group_left_is_taken_over() {
    let Some(server) = server(&[]) else { return };
    let of = |consumer: &str| Subscribing {
        group: Some("shop".to_owned()),
        consumer: consumer.to_owned(),
        ..server.wanted()
    };
    let (mut one, mut other) = (listen(of("one")).await, listen(of("other")).await);
    let id = server.add("orders", "1");
    assert_eq!(n(&next(&mut *one).await), "1");
    drop(one);
    nothing_but_the_end(&mut *other, &server).await;
    drop(other);
    let idle = CLAIM_AFTER.as_millis() + 1;
    server.runs(&format!(
        "redis.call('XCLAIM','orders','shop','one',0,'{id}','IDLE',{idle},'JUSTID') return 'OK'"
    ));
    let mut other = listen(of("other")).await;
    let message = next(&mut *other).await;
    assert_eq!((n(&message).as_str(), message.again), ("1", true));
    other.acknowledge(message.receipt.unwrap()).await.unwrap();
    other.leave().await.unwrap();
    let groups = "return #redis.call('XINFO','GROUPS','orders')";
    assert_eq!(server.runs(groups), "1", "the group is of others, too");
    let left = "return redis.call('XPENDING','orders','shop')[1]";
    assert_eq!(server.runs(left), "0");
}

/// In a session, and for whoever comes after it: the group is made again, and misses nothing.
#[tokio::test]
async fn what_is_added_after_redis_was_emptied_is_taken() {
    let Some(server) = server(&[]) else { return };
    let since = Some(SystemClock::default().now());
    let wanted = || Subscribing {
        since,
        ..server.wanted()
    };
    let mut messages = listen(wanted()).await;
    server.add("orders", "1");
    assert_eq!(take(&mut *messages).await, "1");
    let _ = server.redis.asked(&["FLUSHALL"]);
    // In the same millisecond the next one would have the same id.
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.add("orders", "2");
    assert_eq!(take(&mut *messages).await, "2");
    // Also where ids are no times, and begin anew.
    let _ = server.redis.asked(&["FLUSHALL"]);
    let _ = server.redis.asked(&["XADD", "orders", "1-1", "n", "3"]);
    assert_eq!(take(&mut *messages).await, "3");
    // The group alone is removed: what was taken does not come again.
    let _ = server
        .redis
        .asked(&["XGROUP", "DESTROY", "orders", "nebulatest"]);
    let _ = server.redis.asked(&["XADD", "orders", "1-2", "n", "4"]);
    assert_eq!(take(&mut *messages).await, "4");

    server.redis.end("KILL");
    let error = messages.next().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert_eq!(refusal(wanted()).await.0, ErrorKind::Unavailable);
    server.redis.go_on();
    server.add("orders", "5");
    let mut messages = listen(wanted()).await;
    assert_eq!(take(&mut *messages).await, "5");
    nothing_but_the_end(&mut *messages, &server).await;
}

/// Guard: of a group that is made, the first entry is the first that is wanted.
#[tokio::test]
async fn a_new_group_begins_where_it_is_wanted() {
    let Some(server) = server(&[]) else { return };
    server.add("orders", "old");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let since = SystemClock::default().now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.add("orders", "new");
    let of = |consumer: &str, since: Option<Timestamp>| Subscribing {
        consumer: consumer.to_owned(),
        since,
        ..server.wanted()
    };
    let mut messages = listen(of("all", None)).await;
    assert_eq!(take(&mut *messages).await, "old");
    assert_eq!(take(&mut *messages).await, "new");
    let mut messages = listen(of("late", Some(since))).await;
    assert_eq!(take(&mut *messages).await, "new");
    nothing_but_the_end(&mut *messages, &server).await;
    // Its ids are no times: what is there was there before.
    let _ = server.redis.asked(&["DEL", "orders"]);
    let _ = server.redis.asked(&["XADD", "orders", "1-1", "n", "old"]);
    let mut messages = listen(of("counts", Some(since))).await;
    let _ = server.redis.asked(&["XADD", "orders", "1-2", "n", "new"]);
    assert_eq!(take(&mut *messages).await, "new");
    assert_eq!(take(&mut *messages).await, "end");
}

#[tokio::test]
async fn who_leaves_wants_no_more_and_the_stream_stays() {
    let Some(server) = server(&[]) else { return };
    let mut messages = listen(server.wanted()).await;
    server.add("orders", "1");
    let groups = "return #redis.call('XINFO','GROUPS','orders')";
    assert_eq!(server.runs(groups), "1");
    messages.leave().await.unwrap();
    assert_eq!(server.runs(groups), "0");
    assert_eq!(server.redis.asked(&["XLEN", "orders"]), "1");
}

/// What was given and is no longer there is passed over, and not waited for.
#[tokio::test]
async fn what_was_removed_from_the_stream_holds_up_nothing() {
    let Some(server) = server(&[]) else { return };
    let mut messages = listen(server.wanted()).await;
    let gone = server.add("orders", "1");
    server.add("orders", "2");
    assert_eq!(n(&next(&mut *messages).await), "1");
    drop(messages);
    let _ = server.redis.asked(&["XDEL", "orders", &gone]);
    let mut messages = listen(server.wanted()).await;
    assert_eq!(take(&mut *messages).await, "2");
    nothing_but_the_end(&mut *messages, &server).await;
    let left = "return redis.call('XPENDING','orders','nebulatest')[1]";
    assert_eq!(server.runs(left), "0");
}

/// Guard: [`MAX_REPLY`].
#[tokio::test]
async fn an_entry_that_is_too_large_is_said() {
    let Some(server) = server(&[]) else { return };
    let mut messages = listen(server.wanted()).await;
    let large = server.runs(&format!(
        "return redis.call('XADD','orders','*','n',string.rep('x',{MAX_REPLY}))"
    ));
    for _ in 0..2 {
        let error = messages.next().await.unwrap_err();
        assert!(error.message.contains("XDEL"), "{error}");
        messages = listen(server.wanted()).await;
    }
    let _ = server.redis.asked(&["XDEL", "orders", &large]);
    server.add("orders", "2");
    assert_eq!(take(&mut *messages).await, "2");
}

#[tokio::test]
async fn at_most_once_nothing_is_acknowledged() {
    let Some(server) = server(&[]) else { return };
    let once = || Subscribing {
        handing: Handing::Once,
        ..server.wanted()
    };
    let mut messages = listen(once()).await;
    server.add("orders", "1");
    let message = next(&mut *messages).await;
    assert_eq!((n(&message).as_str(), message.receipt), ("1", None));
    drop(messages);
    server.add("orders", "2");
    let mut messages = listen(once()).await;
    assert_eq!(n(&next(&mut *messages).await), "2");
}

#[tokio::test]
async fn a_redis_lets_in_whoever_proves_it() {
    let Some(server) = server(&[]) else { return };
    for command in [
        &[
            "ACL",
            "SETUSER",
            "ada",
            "on",
            ">wrench",
            "~orders",
            "~alarms",
            "+@stream",
            "+@connection",
            "+info",
        ][..],
        &[
            "ACL",
            "SETUSER",
            "eve",
            "on",
            ">wrench",
            "~other",
            "+@stream",
            "+@connection",
            "+info",
        ],
        &["ACL", "SETUSER", "default", "off"],
    ] {
        let _ = server.redis.asked(command);
    }
    let login = |user: &str, password: &str| Subscribing {
        login: Some((user.to_owned(), SecretString::from(password))),
        ..server.wanted()
    };
    for (wrong, why) in [
        (login("ada", "hammer"), "refuses the user or the password"),
        (server.wanted(), "`secret`"),
        (login("eve", "wrench"), "does not let this user run XINFO"),
    ] {
        let (kind, said) = refusal(wrong).await;
        assert_eq!(kind, ErrorKind::Invalid, "{said}");
        assert!(said.contains(why), "{said}");
        assert!(
            !said.contains("hammer") && !said.contains("wrench"),
            "{said}"
        );
    }
    let _listening = listen(login("ada", "wrench")).await;
}

/// Guard: a certificate must be of that name, by an authority that is trusted.
#[tokio::test]
async fn over_tls_a_redis_proves_itself() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../http-reqwest/tests/certificates"
    );
    let file = |name: &str| format!("{folder}/{name}");
    let port = {
        // It is free again when the server takes it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port().to_string()
    };
    let (authority, certificate, key) = (file("ca.pem"), file("leaf.pem"), file("leaf.key"));
    let settings = [
        ["--tls-port", &port],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &authority],
        ["--tls-auth-clients", "no"],
        ["--bind", "127.0.0.1"],
    ];
    let Some(_server) = Redis::start(settings.as_flattened()) else {
        return;
    };
    let trusting = |authority: Option<String>| -> Trusting {
        Arc::new(move || {
            let mut roots = RootCertStore::empty();
            if let Some(file) = &authority {
                let certificate = CertificateDer::from_pem_file(file).unwrap();
                roots.add(certificate).unwrap();
            }
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap();
            Ok(config.with_root_certificates(roots).with_no_client_auth())
        })
    };
    let at = |host: &str| {
        let address = format!("{host}:{port}");
        Subscribing {
            tls: true,
            ..wanted(&address, &[&format!("net:{address}")])
        }
    };
    let trusts =
        |authority| RedisStreams::new(Arc::new(SystemClock::default()), trusting(authority));
    let ours = trusts(Some(authority));
    let _listening = ours.listen(at("localhost")).await.unwrap();
    for (other, host) in [(&ours, "127.0.0.1"), (&trusts(None), "localhost")] {
        let error = other.listen(at(host)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("certificate"), "{error}");
    }
    let plain = Subscribing {
        tls: false,
        ..at("localhost")
    };
    assert_eq!(refusal(plain).await.0, ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_cannot_be_listened_to_says_what_to_do() {
    let Some(server) = server(&[]) else { return };
    let _ = server.redis.asked(&["SET", "alarms", "x"]);
    let (kind, said) = refusal(server.wanted()).await;
    assert!(
        kind == ErrorKind::Invalid && said.contains("check `streams`"),
        "{said}"
    );
    let (kind, said) = refusal(wanted("127.0.0.1:6379", &[])).await;
    assert!(
        kind == ErrorKind::Invalid && said.contains("only a grant that names it"),
        "{said}"
    );
    let secret = Subscribing {
        tls: true,
        ..server.wanted()
    };
    assert_eq!(refusal(secret).await.1, "nobody is trusted");
    // Somebody puts something else there, in the middle.
    let _ = server.redis.asked(&["DEL", "alarms"]);
    let mut messages = listen(server.wanted()).await;
    let _ = server.redis.asked(&["SET", "alarms", "x"]);
    let error = messages.next().await.unwrap_err();
    assert!(error.message.contains("check `streams`"), "{error}");
}

#[tokio::test]
async fn what_is_there_and_no_redis_is_said() {
    use std::io::{Read as _, Write as _};
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let soon = Subscribing {
        timeout: Duration::from_millis(200),
        ..wanted(&address, &[&format!("net:{address}")])
    };
    let (kind, said) = refusal(soon).await;
    assert!(
        kind == ErrorKind::Unavailable && said.contains("does not answer"),
        "{said}"
    );
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let (_, said) = refusal(wanted(&address, &[&format!("net:{address}")])).await;
    answers.join().unwrap();
    assert!(said.contains(&address), "{said}");
}

/// Guard: a Redis that says nothing any more is given up. Time goes as the test says.
#[tokio::test]
async fn a_redis_that_falls_silent_is_given_up() {
    let Some(server) = server(&[]) else { return };
    let clock = ManualClock::default();
    let streams = RedisStreams::new(Arc::new(clock.clone()), nobody());
    let mut messages = streams.listen(server.wanted()).await.unwrap();
    server.proxy.fall_silent(Silence::Both);
    let listening = tokio::spawn(async move { messages.next().await });
    for _ in 0..3_000 {
        clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
        if listening.is_finished() {
            break;
        }
    }
    let error = listening.await.unwrap().unwrap_err();
    assert!(
        error.kind == ErrorKind::Unavailable && error.message.contains("silent"),
        "{error}"
    );
}
