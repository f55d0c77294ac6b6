//! What a real broker hands over, and to whom.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the test runs a broker, and says where there is none"
)]

mod broker;

use std::{path::PathBuf, sync::Arc, time::Duration};

use broker::Broker;
use nebula_action::{Capability, Egress, Grants};
use nebula_core::{Clock, SecretString};
use nebula_ports::{ErrorKind, Handing, Message, Messages, Payload, QueueSource, Subscribing};
use nebula_system::SystemClock;
use nebula_trigger_mqtt::Mqtt;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};

fn certificate(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("../http-reqwest/tests/certificates").join(name)
}

/// Trusts the authority of the certificates of tests, or nobody.
fn mqtt(trusts: bool) -> Mqtt {
    let trusting = move || {
        let mut roots = RootCertStore::empty();
        if trusts {
            let file = CertificateDer::from_pem_file(certificate("ca.pem")).unwrap();
            roots.add(file).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    };
    Mqtt::new(Arc::new(SystemClock::default()), Arc::new(trusting))
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
        names: vec!["shop/+/orders".to_owned(), "alarm/#".to_owned()],
        handing: Handing::UntilAcknowledged,
        login: None,
        egress: Egress::new(&Grants::new(grants)),
        timeout: Duration::from_secs(10),
    }
}

fn of(broker: &Broker) -> Subscribing {
    let address = broker.address();
    wanted(&address, &[&format!("net:{address}")])
}

async fn listen(wanted: Subscribing) -> Box<dyn Messages> {
    mqtt(true).listen(wanted).await.unwrap()
}

async fn refusal(wanted: Subscribing) -> (ErrorKind, String) {
    let error = mqtt(true).listen(wanted).await.unwrap_err();
    (error.kind, error.message)
}

async fn next(messages: &mut dyn Messages) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(30), messages.next());
    next.await.expect("a message comes").unwrap()
}

fn bytes(message: &Message) -> &[u8] {
    match &message.payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Fields(_) => panic!("{message:?}"),
    }
}

/// That nothing comes, as long as a message of another kind takes to come.
async fn nothing_but(messages: &mut dyn Messages, broker: &Broker) {
    broker.publish("alarm/end", b"end");
    let message = next(messages).await;
    assert_eq!(message.name, "alarm/end", "{message:?}");
    messages
        .acknowledge(message.receipt.unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn messages_come_in_order_and_wait_for_whoever_is_away() {
    let Some(mut broker) = Broker::open() else {
        return;
    };
    let mut messages = listen(of(&broker)).await;
    broker.publish("shop/north/orders", b"1");
    broker.publish("shop/north/orders/late", b"no");
    broker.publish("alarm/a/b", b"2");
    for expected in ["1", "2"] {
        let message = next(&mut *messages).await;
        assert_eq!(
            (bytes(&message), message.again),
            (expected.as_bytes(), false)
        );
        messages
            .acknowledge(message.receipt.unwrap())
            .await
            .unwrap();
    }
    nothing_but(&mut *messages, &broker).await;
    drop(messages);
    broker.publish("shop/south/orders", b"3");
    // Also where the broker itself goes and comes.
    broker.restart();
    broker.publish("shop/south/orders", b"4");
    let mut messages = listen(of(&broker)).await;
    for expected in ["3", "4"] {
        let message = next(&mut *messages).await;
        assert_eq!(bytes(&message), expected.as_bytes());
        messages
            .acknowledge(message.receipt.unwrap())
            .await
            .unwrap();
    }
    nothing_but(&mut *messages, &broker).await;
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let Some(broker) = Broker::open() else { return };
    let mut messages = listen(of(&broker)).await;
    broker.publish("shop/north/orders", b"1");
    let message = next(&mut *messages).await;
    assert!(!message.again && message.receipt.is_some(), "{message:?}");
    drop(messages);
    let mut messages = listen(of(&broker)).await;
    let message = next(&mut *messages).await;
    assert_eq!((bytes(&message), message.again), (&b"1"[..], true));
    messages
        .acknowledge(message.receipt.unwrap())
        .await
        .unwrap();
    drop(messages);
    let mut messages = listen(of(&broker)).await;
    nothing_but(&mut *messages, &broker).await;
}

#[tokio::test]
async fn at_most_once_nothing_waits() {
    let Some(broker) = Broker::open() else { return };
    let once = || Subscribing {
        handing: Handing::Once,
        ..of(&broker)
    };
    let mut messages = listen(once()).await;
    broker.publish("shop/north/orders", b"1");
    let message = next(&mut *messages).await;
    assert_eq!((bytes(&message), message.receipt), (&b"1"[..], None));
    drop(messages);
    broker.publish("shop/north/orders", b"2");
    let mut messages = listen(once()).await;
    broker.publish("shop/north/orders", b"3");
    assert_eq!(bytes(&next(&mut *messages).await), b"3");
}

/// Nothing is kept for who has left.
#[tokio::test]
async fn who_leaves_wants_no_more() {
    let Some(broker) = Broker::open() else { return };
    let mut messages = listen(of(&broker)).await;
    messages.leave().await.unwrap();
    drop(messages);
    broker.publish("shop/north/orders", b"1");
    let mut messages = listen(of(&broker)).await;
    nothing_but(&mut *messages, &broker).await;
}

#[tokio::test]
async fn a_broker_lets_in_whoever_proves_it() {
    let Some(broker) = Broker::of("ada", "wrench") else {
        return;
    };
    let login = |user: &str, password: &str| Subscribing {
        login: Some((user.to_owned(), SecretString::from(password))),
        ..of(&broker)
    };
    for wrong in [login("ada", "hammer"), login("eve", "wrench"), of(&broker)] {
        let (kind, said) = refusal(wrong).await;
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(said.contains("refuses the user or the password"), "{said}");
        assert!(
            !said.contains("hammer") && !said.contains("wrench"),
            "{said}"
        );
    }
    let mut messages = listen(login("ada", "wrench")).await;
    broker.publish("shop/north/orders", b"1");
    assert_eq!(bytes(&next(&mut *messages).await), b"1");
}

/// The certificate is of `localhost`, by an authority that must be trusted.
#[tokio::test]
async fn over_tls_a_broker_proves_itself() {
    let Some(broker) = Broker::secure(&certificate("leaf.pem"), &certificate("leaf.key")) else {
        return;
    };
    let at = |host: &str| {
        let address = format!("{host}:{}", broker.port);
        Subscribing {
            tls: true,
            ..wanted(&address, &[&format!("net:{address}")])
        }
    };
    let _listening = listen(at("localhost")).await;
    let (kind, said) = refusal(at("127.0.0.1")).await;
    assert!(
        kind == ErrorKind::Unavailable && said.contains("certificate"),
        "{said}"
    );
    let error = mqtt(false).listen(at("localhost")).await.unwrap_err();
    assert!(error.message.contains("certificate"), "{error}");
    let plain = Subscribing {
        tls: false,
        ..at("localhost")
    };
    let (kind, _) = refusal(plain).await;
    assert_eq!(kind, ErrorKind::Unavailable);
}

/// Guards: no address is gone to that was not granted, by its number or by its name.
#[tokio::test]
async fn nobody_goes_where_nothing_was_granted() {
    let (kind, said) = refusal(wanted("127.0.0.1:1883", &[])).await;
    assert!(
        kind == ErrorKind::Invalid && said.contains("only a grant that names it"),
        "{said}"
    );
    let elsewhere = wanted("127.0.0.1:1883", &["net:127.0.0.1:1884"]);
    assert_eq!(refusal(elsewhere).await.0, ErrorKind::Invalid);
    // The name of this machine leads to no public address, so that its own grant is not enough.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = format!("{}:1883", name.trim());
    let (kind, said) = refusal(wanted(&name, &[&format!("net:{name}")])).await;
    match kind {
        ErrorKind::Invalid => assert!(said.contains("`requires: [\"net:"), "{said}"),
        _ => eprintln!("SKIPPED: the name of this machine has no address: {said}"),
    }
    let (kind, said) = refusal(wanted("shop", &["net:*"])).await;
    assert!(
        kind == ErrorKind::Invalid && said.contains("host:port"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_there_and_no_broker_is_said() {
    // Nobody listens there any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let grant = format!("net:{address}");
    let (kind, said) = refusal(wanted(&address, &[&grant])).await;
    assert!(
        kind == ErrorKind::Unavailable && said.contains(&address),
        "{said}"
    );

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
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let grant = format!("net:{address}");
    let (_, said) = refusal(wanted(&address, &[&grant])).await;
    answers.join().unwrap();
    assert!(
        said.contains("broke") || said.contains("no broker"),
        "{said}"
    );
}

/// Time goes as the test says, so that a silent broker is not waited for.
#[tokio::test]
async fn a_broker_that_falls_silent_is_given_up() {
    use nebula_testkit::ManualClock;
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = std::sync::mpsc::channel();
    let broker = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut packet = [0; 1024];
        let _ = stream.read(&mut packet).unwrap();
        stream.write_all(&[0x20, 2, 0, 0]).unwrap();
        let _ = stream.read(&mut packet).unwrap();
        stream.write_all(&[0x90, 4, 0, 1, 1, 1]).unwrap();
        // It is asked whether it is there.
        assert_eq!(stream.read(&mut packet).unwrap(), 2);
        tell.send(packet[0]).unwrap();
        let _ = stream.read(&mut packet);
    });
    let clock = ManualClock::default();
    let trusting = || Err("nobody".to_owned());
    let mqtt = Mqtt::new(Arc::new(clock.clone()), Arc::new(trusting));
    let grant = format!("net:{address}");
    let mut messages = mqtt.listen(wanted(&address, &[&grant])).await.unwrap();
    let listening = tokio::spawn(async move { messages.next().await });
    let mut asked = None;
    for _ in 0..3_000 {
        clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
        asked = asked.or_else(|| told.try_recv().ok());
        if listening.is_finished() {
            break;
        }
    }
    assert_eq!(asked, Some(0xC0));
    let error = listening.await.unwrap().unwrap_err();
    assert!(error.message.contains("silent"), "{error}");
    assert!(clock.monotonic() >= Duration::from_secs(30));
    broker.join().unwrap();
}
