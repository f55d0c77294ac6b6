//! What `nebula serve` exports, as a receiver of OTLP reads it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest,
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{
            ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        },
    },
    common::v1::{KeyValue, any_value},
    logs::v1::LogRecord,
    metrics::v1::{Metric, metric::Data, number_data_point},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    serve::Serving,
    support::{User, wait_until},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What came in one request.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// A server that answers each connection once, by `answer`: status line, more headers and body.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
    over: Arc<AtomicBool>,
}

impl Receiver {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server in a thread of its own, which its drop ends"
    )]
    pub(crate) fn new(
        answer: impl Fn(&Came, usize) -> (&'static str, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (came, over): (Arc<Mutex<Vec<Came>>>, Arc<AtomicBool>) = Default::default();
        let (all, ends, answer) = (Arc::clone(&came), Arc::clone(&over), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(it) = read(&stream) else { return };
                    let before = {
                        let mut all = all.lock().unwrap();
                        all.push(it.clone());
                        all.iter().filter(|other| other.path == it.path).count()
                    };
                    let (head, body) = answer(&it, before);
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                    );
                    // A client that has gone away needs no answer.
                    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
                });
            }
        });
        Self {
            address,
            came,
            over,
        }
    }

    /// One that takes everything.
    pub(crate) fn willing() -> Self {
        Self::new(|_, _| ("200 OK", Vec::new()))
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    fn of<M: prost::Message + Default>(&self, path: &str) -> Vec<M> {
        let came = self.came();
        let of = came.iter().filter(|it| it.path == path);
        of.map(|it| M::decode(&it.body[..]).unwrap()).collect()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.of::<ExportTraceServiceRequest>("/v1/traces");
        let resources = requests.into_iter().flat_map(|it| it.resource_spans);
        let scopes = resources.flat_map(|it| it.scope_spans);
        scopes.flat_map(|it| it.spans).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let requests = self.of::<ExportMetricsServiceRequest>("/v1/metrics");
        let resources = requests.into_iter().flat_map(|it| it.resource_metrics);
        let scopes = resources.flat_map(|it| it.scope_metrics);
        scopes.flat_map(|it| it.metrics).collect()
    }

    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let requests = self.of::<ExportLogsServiceRequest>("/v1/logs");
        let resources = requests.into_iter().flat_map(|it| it.resource_logs);
        let scopes = resources.flat_map(|it| it.scope_logs);
        scopes.flat_map(|it| it.log_records).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn read(stream: &TcpStream) -> Option<Came> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Came {
        path,
        headers,
        body,
    })
}

fn said<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a any_value::Value> {
    let found = attributes.iter().find(|it| it.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match said(attributes, key)? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn settings(user: &User, text: &str) {
    let folder = user.home().join("config");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("nebula.toml"), text).unwrap();
}

/// A server with a published workflow that asks `shop`, whose first answer is a refusal.
fn publish(serving: &Serving, shop: SocketAddr) {
    let workflow = format!(
        "id: orders\nnodes:\n  - id: fetch\n    action: http.request\n    \
         parameters: {{ url: 'http://{shop}/orders' }}\n    \
         requires: [\"net:{shop}\"]\n    retry: {{ max_attempts: 3, initial: 10ms, jitter: none }}\n"
    );
    let yaml = "content-type: application/yaml\r\n";
    let (status, saved) = serving.ask("PUT", "/api/v1/workflows/orders", yaml, &workflow);
    assert_eq!(status, 201, "{saved}");
    let json = "content-type: application/json\r\nif-match: *\r\n";
    let path = "/api/v1/workflows/orders/publish";
    let (status, told) = serving.ask("POST", path, json, "{\"version\":1}");
    assert!(status < 300, "{status} {told}");
}

/// How much of a signal was `sent` or `lost`, by the server's own metrics.
fn counted(serving: &Serving, what: &str, signal: &str) -> u64 {
    let name = format!("nebula_otlp_{what}_total{{signal=\"{signal}\"}}");
    let text = serving.metrics();
    let line = text.lines().find(|it| it.starts_with(&name)).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn start(serving: &Serving, traceparent: Option<&str>) -> Value {
    let trace = traceparent.map(|it| format!("traceparent: {it}\r\n"));
    let headers = format!(
        "content-type: application/json\r\n{}",
        trace.unwrap_or_default()
    );
    let body = json!({ "workflow": "orders" }).to_string();
    let (status, told) = serving.ask("POST", "/api/v1/executions?wait=30s", &headers, &body);
    assert_eq!(status, 200, "{told}");
    told
}

#[test]
fn what_executions_do_arrives_as_spans_metrics_and_log_records() {
    let user = User::new();
    user.nebula_with(&["secrets", "set", "receiver"], "Bearer let-me-in")
        .exits(0);
    // The first request of each signal is put off; nothing is lost by that.
    let receiver = Receiver::new(|_, before| match before {
        1 => ("503 Busy\r\nretry-after: 0", Vec::new()),
        _ => ("200 OK", Vec::new()),
    });
    let shop = Receiver::new(|_, before| match before {
        1 => ("503 Busy", Vec::new()),
        _ => ("200 OK", b"[]".to_vec()),
    });
    settings(
        &user,
        &format!(
            "[log]\nfilter = \"debug\"\n[otlp]\nendpoint = \"http://{}\"\nmetrics_every = \"1s\"\nauthorization = \"receiver\"\n",
            receiver.address
        ),
    );
    let serving = Serving::start(&user);
    publish(&serving, shop.address);
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let told = start(&serving, Some(&caller));
    assert_eq!(told["status"], "completed", "{told}");
    // This one's caller does not record it.
    start(
        &serving,
        Some(&format!("00-{}-{CALLER}-00", "ab".repeat(16))),
    );
    wait_until("its spans arrive", || !receiver.spans().is_empty());

    let spans = receiver.spans();
    assert!(
        spans.iter().all(|it| hex(&it.trace_id) == TRACE),
        "{spans:?}"
    );
    let named = |name: &str| {
        let of = spans.iter().filter(|it| it.name == name);
        of.collect::<Vec<_>>()
    };
    let [root] = named("orders")[..] else {
        panic!("one root: {spans:?}")
    };
    assert_eq!(hex(&root.parent_span_id), CALLER);
    let execution = told["execution"].as_str();
    assert_eq!(text(&root.attributes, "nebula.execution"), execution);
    assert_eq!(text(&root.attributes, "nebula.status"), Some("completed"));
    assert!(root.status.is_none());
    let below: Vec<_> = spans.iter().filter(|it| it.name != "orders").collect();
    for span in &below {
        assert_eq!(span.parent_span_id, root.span_id, "{span:?}");
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano);
    }
    let [first, second] = named("fetch")[..] else {
        panic!("two attempts: {spans:?}")
    };
    let code = |it: &Span| it.status.as_ref().map(|it| it.code);
    assert_eq!(code(first), Some(StatusCode::Error.into()));
    assert_eq!(text(&first.attributes, "error.type"), Some("HTTP_503"));
    assert_eq!(code(second), None);
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    assert_eq!(named("fetch retry").len(), 1, "{spans:?}");
    assert_eq!(named("queue").len(), 1, "{spans:?}");
    // What the shop tells belongs below the attempt that asked it.
    let asked: Vec<_> = shop.came()[..2]
        .iter()
        .map(|it| it.headers["traceparent"].clone())
        .collect();
    let expected = [first, second].map(|it| format!("00-{TRACE}-{}-01", hex(&it.span_id)));
    assert_eq!(asked, expected);

    let started = |metric: &Metric| match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum.data_points.iter().any(|it| {
            let of = text(&it.attributes, "workflow") == Some("orders");
            of && it.value == Some(number_data_point::Value::AsInt(2))
        }),
        _ => false,
    };
    wait_until("metrics arrive", || {
        let metrics = receiver.metrics();
        let mut of = metrics.iter();
        of.any(|it| it.name == "nebula_executions_started_total" && started(it))
    });
    let metrics = receiver.metrics();
    let spread = metrics
        .iter()
        .rev()
        .find(|it| it.name == "nebula_commit_duration_seconds");
    let Some(Data::Histogram(spread)) = spread.and_then(|it| it.data.clone()) else {
        panic!("{metrics:?}")
    };
    let point = &spread.data_points[0];
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
    assert!(point.count > 0 && point.start_time_unix_nano > 0);

    wait_until("log records arrive", || {
        let records = receiver.records();
        let targets = records
            .iter()
            .filter_map(|it| text(&it.attributes, "nebula.target"));
        targets.into_iter().any(|it| it == "nebula::access")
    });
    for record in receiver.records() {
        let target = text(&record.attributes, "nebula.target").unwrap();
        assert!(!target.starts_with("hyper"), "{record:?}");
        assert!(!target.contains("otlp"), "{record:?}");
    }
    for it in receiver.came() {
        assert_eq!(it.headers["authorization"], "Bearer let-me-in");
        assert_eq!(it.headers["content-type"], "application/x-protobuf");
        let body = String::from_utf8_lossy(&it.body);
        assert!(!body.contains("let-me-in"), "{}", it.path);
    }
    let resource = receiver.of::<ExportTraceServiceRequest>("/v1/traces")[0].resource_spans[0]
        .resource
        .clone()
        .unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), Some("nebula"));

    // What was put off came again.
    assert_eq!(counted(&serving, "lost", "traces"), 0);
    assert_eq!(counted(&serving, "lost", "metrics"), 0);
    assert_eq!(counted(&serving, "lost", "logs"), 0);

    // What ends just before the server does is exported as well.
    let sent = receiver.spans().len();
    let last = start(&serving, None);
    serving.terminate();
    wait_until("the last spans arrive", || receiver.spans().len() > sent);
    let roots = receiver.spans();
    let root = roots.iter().rfind(|it| it.name == "orders").unwrap();
    assert_eq!(
        text(&root.attributes, "nebula.execution"),
        last["execution"].as_str()
    );
    assert!(root.parent_span_id.is_empty());
    let id = last["execution"].as_str().unwrap().replace('-', "");
    assert_eq!(hex(&root.trace_id), id);
}

#[test]
fn what_a_receiver_does_not_take_is_counted_and_holds_nothing_up() {
    let user = User::new();
    let partly = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "too old".to_owned(),
        }),
    };
    // It takes part of the spans, and none of the metrics.
    let receiver = Receiver::new(move |it, _| match it.path.as_str() {
        "/v1/traces" => ("200 OK", partly.encode_to_vec()),
        _ => ("400 No", b"no such signal".to_vec()),
    });
    let shop = Receiver::willing();
    let endpoint = format!("endpoint = \"http://{}\"", receiver.address);
    settings(
        &user,
        &format!("[otlp]\n{endpoint}\nmetrics_every = \"1s\"\nlogs = false\n"),
    );
    let serving = Serving::start(&user);
    publish(&serving, shop.address);
    assert_eq!(start(&serving, None)["status"], "completed");
    wait_until("both arrive", || {
        !receiver.spans().is_empty() && receiver.metrics().len() > 1
    });
    let lost = |signal| counted(&serving, "lost", signal);
    let sent = |signal| counted(&serving, "sent", signal);
    wait_until("they are counted", || {
        lost("metrics") > 0 && lost("traces") > 0
    });
    assert_eq!((lost("traces"), lost("logs")), (1, 0));
    assert_eq!(sent("traces"), receiver.spans().len() as u64 - 1);
    assert_eq!(sent("metrics"), 0);
    // A refusal that says that the same is refused again is not asked again.
    let came = receiver.came();
    let metrics: Vec<_> = came.iter().filter(|it| it.path == "/v1/metrics").collect();
    for pair in metrics.windows(2) {
        assert_ne!(pair[0].body, pair[1].body);
    }
}

#[test]
fn settings_of_an_export_that_cannot_be_are_named() {
    let user = User::new();
    for (text, says) in [
        ("endpoint = \"ftp://127.0.0.1\"", "no address of HTTP"),
        (
            "endpoint = \"http://a:b@127.0.0.1\"",
            "keep them as a secret",
        ),
        ("endpoint = \"http://127.0.0.1/?a=b\"", "a query"),
        (
            "endpoint = \"http://127.0.0.1\"\nsample = 2.0",
            "otlp.sample: from 0 to 1",
        ),
        (
            "endpoint = \"http://127.0.0.1\"\nmetrics_every = \"10ms\"",
            "otlp.metrics_every: at least 1s",
        ),
        (
            "endpoint = \"http://127.0.0.1\"\ntimeout = \"0s\"",
            "otlp.timeout",
        ),
        (
            "endpoint = \"http://127.0.0.1\"\nauthorization = \"none\"",
            "nebula secrets set none",
        ),
        ("endpoint = \"127.0.0.1:4318\"", "endpoint"),
    ] {
        settings(&user, &format!("[otlp]\n{text}\n"));
        let said = user.nebula(&["serve", "--listen", "127.0.0.1:0"]).exits(2);
        said.says(says);
    }
}
