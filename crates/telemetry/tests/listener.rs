//! The listener over real sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::Clock;
use nebula_system::SystemClock;
use nebula_telemetry::{Listener, MAX_LISTENED, NotReady, Reading, Ready, Source, Told, metric};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take that a test waits for.
const BOUND: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Process {
    stopping: AtomicBool,
}

#[async_trait]
impl Ready for Process {
    async fn ready(&self) -> Result<(), NotReady> {
        match self.stopping.load(SeqCst) {
            false => Ok(()),
            true => Err(NotReady {
                code: "STOPPING",
                message: "it is being stopped".to_owned(),
            }),
        }
    }
}

#[async_trait]
impl Source for Process {
    async fn read(&self, reading: &mut Reading) {
        reading.level(metric::EXECUTIONS_IN_HAND, 7);
    }
}

/// Sends bytes, and gives all that comes back until the connection ends.
async fn says(address: std::net::SocketAddr, sent: &str) -> String {
    let clock = SystemClock::default();
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that was refused may be reset after its answer.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    tokio::select! {
        biased;
        answer = talk => answer,
        () = clock.sleep(BOUND) => panic!("no answer to {sent:?}"),
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")
}

#[tokio::test]
async fn health_and_metrics_are_told_to_whoever_asks_and_nothing_else() {
    let process = Arc::new(Process::default());
    let told = Told {
        ready: process.clone(),
        metrics: process.clone(),
        clock: Arc::new(SystemClock::default()),
        version: "1.2.3",
    };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (address, stop) = (listener.address(), CancellationToken::new());
    assert!(Listener::bind(address).await.is_err());
    let asks = async {
        let live = says(address, &get("/health/live")).await;
        assert!(live.starts_with("HTTP/1.1 200"), "{live}");
        assert!(
            live.ends_with(r#"{"status":"ok","version":"1.2.3"}"#),
            "{live}"
        );
        let ready = says(address, &get("/health/ready?now=1")).await;
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        let metrics = says(address, &get("/metrics")).await;
        assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
        assert!(
            metrics.contains("application/openmetrics-text"),
            "{metrics}"
        );
        assert!(metrics.contains("nebula_executions_in_hand 7"), "{metrics}");

        process.stopping.store(true, SeqCst);
        let not = says(address, &get("/health/ready")).await;
        assert!(not.starts_with("HTTP/1.1 503"), "{not}");
        assert!(not.contains(r#""code":"STOPPING""#), "{not}");
        let live = says(address, &get("/health/live")).await;
        assert!(live.starts_with("HTTP/1.1 200"), "{live}");

        for path in ["/", "/health", "/metrics/", "/api/v1/openapi.json"] {
            let none = says(address, &get(path)).await;
            assert!(none.starts_with("HTTP/1.1 404"), "{path}: {none}");
        }
        let post = "POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n";
        let refused = says(address, post).await;
        assert!(refused.starts_with("HTTP/1.1 405"), "{refused}");
        assert!(refused.contains("GET, HEAD"), "{refused}");

        // A head that is too long, has too many lines, or is none, gets no answer from beyond it.
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(64 * 1024));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(100));
        for wrong in [long, many, "HELO\r\n\r\n".to_owned()] {
            let answer = says(address, &wrong).await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        }
        // One connection answers once.
        let twice = says(
            address,
            &[get("/health/live"), get("/health/live")].concat(),
        )
        .await;
        assert_eq!(twice.matches("HTTP/1.1").count(), 1, "{twice}");

        // Who says nothing is waited for only so long, so that many of them keep nobody out.
        let mut silent = Vec::new();
        for _ in 0..MAX_LISTENED {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let live = says(address, &get("/health/live")).await;
        assert!(live.starts_with("HTTP/1.1 200"), "{live}");
        stop.cancel();
    };
    tokio::join!(listener.run(told, stop.clone()), asks);
    assert!(TcpStream::connect(address).await.is_err());
}
