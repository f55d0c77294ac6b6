//! Who is trusted, and what becomes of a request where nobody is.

mod names;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use http::{HeaderMap, Method};
use nebula_action::{Capability, Egress, Grants};
use nebula_http_reqwest::HttpConfig;
use nebula_ports::{HttpError, HttpErrorKind, HttpLimits, HttpRequest, RequestBody, Sender};
use nebula_testkit::http_client::{
    Names,
    server::{Server, ok},
};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Made for these tests, with a key that nobody else trusts: an authority, and a server's certificate
/// for `site.test` and `localhost`.
fn certificate(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/certificates").join(name)
}

/// A server with that certificate, whose every answer is these bytes.
async fn secure(answer: String) -> (SocketAddr, JoinSet<()>) {
    let chain = CertificateDer::pem_file_iter(certificate("leaf.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("leaf.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust it goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    (address, serving)
}

async fn get(config: HttpConfig, url: &str, grants: &str) -> Result<String, HttpError> {
    let names = Arc::new(Names::default());
    for name in ["site.test", "other.test"] {
        names.set(name, &["127.0.0.1"]);
    }
    let grants = grants.split_whitespace();
    let parsed = grants.map(|it| Capability::parse(it, std::path::Path::new("/")).unwrap());
    let request = HttpRequest {
        method: Method::GET,
        url: Egress::url(url).unwrap(),
        headers: HeaderMap::new(),
        body: RequestBody::Empty,
        limits: HttpLimits::default(),
        sender: Sender::default(),
    };
    let client = names::client(config, names);
    let answer = client
        .send(&Egress::new(&Grants::new(parsed)), request)
        .await?;
    Ok(String::from_utf8(answer.bytes().await?).unwrap())
}

fn trusting() -> HttpConfig {
    HttpConfig {
        ca_files: vec![certificate("ca.pem")],
        ..HttpConfig::default()
    }
}

const GRANTS: &str = "net:site.test net:other.test net:localhost net:127.0.0.1";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

#[tokio::test]
async fn who_is_trusted_is_answered_and_nobody_else() {
    let (address, _serving) = secure(HELLO.to_owned()).await;
    let url = |host: &str| format!("https://{host}:{}/", address.port());
    for host in ["site.test", "localhost"] {
        assert_eq!(get(trusting(), &url(host), GRANTS).await.unwrap(), "hello");
    }
    let strangers = [
        (HttpConfig::default(), "site.test"),
        (trusting(), "other.test"),
        (trusting(), "127.0.0.1"),
    ];
    for (config, host) in strangers {
        let error = get(config, &url(host), GRANTS).await.unwrap_err();
        assert!(
            matches!(error.kind, HttpErrorKind::Tls(_)),
            "{host}: {error}"
        );
        assert!(!error.sent);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_asked_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        stream.write_all(HELLO.as_bytes()).await.unwrap();
        // The first byte of a TLS handshake, not of a request.
        assert_eq!(first, [0x16]);
    });
    let url = format!("https://site.test:{port}/");
    let error = get(trusting(), &url, GRANTS).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Tls(_)), "{error}");
    assert!(!error.sent);
    serving.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = Server::start(|_| ok(b"in the clear")).await;
    let to = format!("http://site.test:{}/", plain.port());
    let (address, _serving) = secure(format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
    .await;
    let url = format!("https://site.test:{}/", address.port());
    let error = get(trusting(), &url, GRANTS).await.unwrap_err();
    assert!(
        matches!(error.kind, HttpErrorKind::Redirect { .. }),
        "{error}"
    );
    assert_eq!(plain.connections(), 0);
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_at_once() {
    for name in ["leaf.key", "missing.pem"] {
        let config = HttpConfig {
            ca_files: vec![certificate(name)],
            ..HttpConfig::default()
        };
        let clock = Arc::new(nebula_system::SystemClock::default());
        let error = nebula_http_reqwest::Reqwest::new(config, clock).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
