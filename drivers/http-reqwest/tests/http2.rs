//! Servers that speak HTTP/2 and nothing else: asked under the same guard, within the same limits.

mod names;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use nebula_action::{Capability, Egress, Grants};
use nebula_core::{ByteSize, CredentialId, TenantId};
use nebula_http_reqwest::HttpConfig;
use nebula_ports::{
    HttpClient, HttpError, HttpErrorKind, HttpLimits, HttpPhase, HttpRequest, RequestBody, Sender,
};
use nebula_testkit::http_client::Names;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

/// What a server of these tests is asked for.
#[derive(Debug)]
struct Asked {
    method: Method,
    version: Version,
    authority: String,
    body: Vec<u8>,
}

/// A server, what it was asked for, and over how many connections.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    asked: Arc<parking_lot::Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

/// What a server does with a request.
type Answer = fn(&str, Respond);

/// The way back to one who asked.
struct Respond(SendResponse<Bytes>);

impl Respond {
    fn head(&mut self, status: u16, headers: &[(&str, &str)], end: bool) -> SendStream<Bytes> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        self.0.send_response(response, end).unwrap()
    }
}

fn certificate(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/certificates").join(name)
}

/// A server whose only protocol is HTTP/2, by ALPN: who speaks HTTP/1.1 gets no connection.
async fn serving(answer: Answer) -> Server {
    let chain = CertificateDer::pem_file_iter(certificate("leaf.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("leaf.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let asked: Arc<parking_lot::Mutex<Vec<Asked>>> = Arc::default();
    let mut serving = JoinSet::new();
    let (count, log) = (Arc::clone(&connections), Arc::clone(&asked));
    serving.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, SeqCst);
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let log = Arc::clone(&log);
            open.spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else {
                    return;
                };
                let mut bodies = JoinSet::new();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let log = Arc::clone(&log);
                    bodies.spawn(async move {
                        let path = request.uri().path().to_owned();
                        let asked = read(request).await;
                        log.lock().push(asked);
                        answer(&path, Respond(respond));
                    });
                }
            });
        }
    });
    Server {
        address,
        connections,
        asked,
        _serving: serving,
    }
}

async fn read(request: Request<h2::RecvStream>) -> Asked {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        bytes.extend_from_slice(&data);
        let _ = body.flow_control().release_capacity(data.len());
    }
    Asked {
        method: head.method,
        version: head.version,
        authority: head.uri.authority().unwrap().to_string(),
        body: bytes,
    }
}

fn client() -> Arc<dyn HttpClient> {
    let names = Arc::new(Names::default());
    for name in ["site.test", "other.test"] {
        names.set(name, &["127.0.0.1"]);
    }
    let config = HttpConfig {
        ca_files: vec![certificate("ca.pem")],
        ..HttpConfig::default()
    };
    names::client(config, names)
}

async fn send(
    client: &Arc<dyn HttpClient>,
    (url, grants): (&str, &str),
    body: &'static [u8],
    limits: HttpLimits,
) -> Result<Vec<u8>, HttpError> {
    send_as(client, Sender::default(), (url, grants), body, limits).await
}

async fn send_as(
    client: &Arc<dyn HttpClient>,
    sender: Sender,
    (url, grants): (&str, &str),
    body: &'static [u8],
    limits: HttpLimits,
) -> Result<Vec<u8>, HttpError> {
    let parsed = grants.split_whitespace();
    let parsed = parsed.map(|it| Capability::parse(it, std::path::Path::new("/")).unwrap());
    let request = HttpRequest {
        method: Method::POST,
        url: Egress::url(url).unwrap(),
        headers: HeaderMap::new(),
        body: RequestBody::Bytes(Bytes::from_static(body)),
        limits,
        sender,
    };
    let egress = Egress::new(&Grants::new(parsed));
    client.send(&egress, request).await?.bytes().await
}

const SITE: &str = "net:site.test net:127.0.0.1";

#[tokio::test]
async fn a_server_of_http_2_is_asked_again_over_the_connection_that_there_is() {
    let server = serving(|path, mut respond| {
        let mut body = respond.head(200, &[("content-type", "text/plain")], false);
        body.send_data(Bytes::from(path.to_owned()), true).unwrap();
    })
    .await;
    let port = server.address.port();
    let client = client();
    for path in ["/a", "/b"] {
        let url = format!("https://site.test:{port}{path}");
        let limits = HttpLimits::default();
        let answer = send(&client, (&url, SITE), b"hello", limits).await;
        assert_eq!(answer.unwrap(), path.as_bytes());
    }
    assert_eq!(server.connections.load(SeqCst), 1);
    let asked = server.asked.lock();
    assert_eq!(asked.len(), 2);
    for it in &*asked {
        assert_eq!((&it.method, it.version), (&Method::POST, Version::HTTP_2));
        assert_eq!(it.authority, format!("site.test:{port}"));
        assert_eq!(it.body, b"hello");
    }
}

/// Guards: a pool over which nothing came within a limit is sick, and one on which a protocol was broken. Over HTTP/2 every further request would
/// take the same dead connection, until the system gives it up after a quarter of an hour.
#[tokio::test]
async fn a_connection_over_which_nothing_comes_is_not_taken_again() {
    let server = serving(|path, mut respond| match path {
        "/stall" => std::mem::forget(respond),
        "/stops" => {
            let mut body = respond.head(200, &[], false);
            body.send_data(Bytes::from_static(b"some"), false).unwrap();
            std::mem::forget(body);
        }
        "/breaks" => {
            let mut body = respond.head(200, &[], false);
            body.send_data(Bytes::from_static(b"some"), false).unwrap();
            body.send_reset(Reason::INTERNAL_ERROR);
        }
        _ => drop(respond.head(200, &[], true)),
    })
    .await;
    let port = server.address.port();
    let client = client();
    let soon = Duration::from_millis(300);
    let limits = HttpLimits {
        head: soon,
        idle: soon,
        ..HttpLimits::default()
    };
    let ask = async |path: &str| {
        let url = format!("https://site.test:{port}{path}");
        send(&client, (&url, SITE), b"x", limits.clone()).await
    };
    for (path, ends, connections) in [
        ("/a", true, 1),
        ("/stall", false, 1),
        ("/b", true, 2),
        ("/c", true, 2),
        ("/stops", false, 2),
        ("/d", true, 3),
        ("/breaks", false, 3),
        ("/e", true, 4),
    ] {
        assert_eq!(ask(path).await.is_ok(), ends, "{path}");
        assert_eq!(server.connections.load(SeqCst), connections, "{path}");
    }
}

/// Guards: a connection is one sender's, and ends with what the sender's credential was.
#[tokio::test]
async fn a_connection_belongs_to_one_sender_and_is_closed_with_its_scope() {
    let server = serving(|_, mut respond| drop(respond.head(200, &[], true))).await;
    let url = format!("https://site.test:{}/", server.address.port());
    let client = client();
    let of = |tenant: &str, credential: Option<&str>| Sender {
        tenant: Some(TenantId::new(tenant).unwrap()),
        credential: credential.map(|id| CredentialId::new(id).unwrap()),
    };
    let mine = || of("mine", Some("shop"));
    let ask = async |sender: Sender| {
        let limits = HttpLimits::default();
        let answer = send_as(&client, sender, (&url, SITE), b"x", limits).await;
        answer.unwrap();
        server.connections.load(SeqCst)
    };
    for (sender, connections) in [
        (mine(), 1),
        (mine(), 1),
        (of("mine", None), 2),
        (of("mine", Some("bank")), 3),
        (of("yours", Some("shop")), 4),
        (mine(), 4),
    ] {
        assert_eq!(ask(sender).await, connections);
    }
    client.close(&mine());
    assert_eq!(ask(of("mine", Some("bank"))).await, 4);
    assert_eq!(ask(of("yours", Some("shop"))).await, 4);
    assert_eq!(ask(mine()).await, 5);
}

#[tokio::test]
async fn what_is_not_granted_is_not_asked_also_not_by_a_redirect() {
    let sentinel = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    sentinel.set_nonblocking(true).unwrap();
    let to = sentinel.local_addr().unwrap().port();
    static LOCATION: parking_lot::Mutex<String> = parking_lot::Mutex::new(String::new());
    *LOCATION.lock() = format!("https://other.test:{to}/");
    let server = serving(|_, mut respond| {
        let location = LOCATION.lock().clone();
        respond.head(307, &[("location", &location)], true);
    })
    .await;
    let url = format!("https://site.test:{}/", server.address.port());
    let client = client();
    for grants in [SITE, "net:other.test net:127.0.0.1"] {
        let asked = send(&client, (&url, grants), b"x", HttpLimits::default()).await;
        let error = asked.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::Denied(_)), "{error}");
    }
    // The redirect was asked for once, where it was granted; nobody came to where it leads.
    assert_eq!(server.asked.lock().len(), 1);
    let came = sentinel.accept().unwrap_err();
    assert_eq!(came.kind(), std::io::ErrorKind::WouldBlock);
}

/// What becomes of an answer within small limits.
async fn limited(answer: Answer) -> HttpError {
    let server = serving(answer).await;
    let url = format!("https://site.test:{}/", server.address.port());
    let limits = HttpLimits {
        max_head: ByteSize::kib(8),
        max_body: ByteSize::kib(64),
        idle: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let asked = send(&client(), (&url, SITE), b"x", limits).await;
    asked.unwrap_err()
}

#[tokio::test]
async fn a_body_without_end_ends_at_its_limit() {
    let error = limited(|_, mut respond| {
        let mut body = respond.head(200, &[], false);
        for _ in 0..1_000 {
            body.send_data(Bytes::from_static(&[b'x'; 1024]), false)
                .unwrap();
        }
        std::mem::forget(body);
    })
    .await;
    assert!(
        matches!(error.kind, HttpErrorKind::BodyTooLarge(_)),
        "{error}"
    );
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let error = limited(|_, mut respond| {
        let large = "x".repeat(9 << 10);
        respond.head(200, &[("x-large", &large)], true);
    })
    .await;
    assert!(
        matches!(error.kind, HttpErrorKind::HeadTooLarge(_)),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let error = limited(|_, mut respond| {
        let mut body = respond.head(200, &[], false);
        body.send_data(Bytes::from_static(b"some"), false).unwrap();
        std::mem::forget(body);
    })
    .await;
    let stalled = matches!(
        error.kind,
        HttpErrorKind::Timeout {
            phase: HttpPhase::Idle,
            ..
        }
    );
    assert!(stalled, "{error}");
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_an_error() {
    let error = limited(|_, mut respond| {
        let mut body = respond.head(200, &[("content-length", "10")], false);
        body.send_data(Bytes::from_static(b"some"), false).unwrap();
        body.send_reset(Reason::INTERNAL_ERROR);
    })
    .await;
    assert!(
        matches!(error.kind, HttpErrorKind::Protocol(_)),
        "{:?}",
        error.kind
    );
}
