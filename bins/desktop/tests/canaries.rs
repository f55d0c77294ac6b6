//! Fifty secrets through thirty workflows, and a search for each of them in everything that is left:
//! database, write-ahead log, blobs, the file of secrets, log lines, events, reports, standard output
//! and error.
//!
//! The workflows run in this program once more, as a process of its own, over the real drivers; their
//! actions and servers give back what they were sent, in every way that they have.
//!
//! Without the search of results, of errors, of progress or of log lines (`credentials.rs` of the
//! runtime), or without the hosts of a credential (`usable.rs` of `credential`), it fails.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the test is two programs, which speak by variables and files"
)]

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use nebula::{
    Nebula,
    access::{Access, AccessPorts},
    action::{
        Action, ActionContext, ActionError, ActionMetadata, ActionResult, Capability,
        CredentialSlot, Effect, EffectClass, Grants, Progress,
    },
    core::{ByteSize, Clock, CredentialId, ExposeSecret, SecretId, SecretString, TenantId},
    engine::Until,
    execution::StartOptions,
    ports::{ExecutionRepo, HttpClient, SecretSet, SecretsStore, WorkflowRepo},
    telemetry::{LogFormat, LogOptions, init_logging},
    workflow::{Source, parse},
};
use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_http_reqwest::{HttpConfig, Reqwest};
use nebula_memory::SpillingRepo;
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_secrets_local::{KeySource, LocalSecrets, SecretsConfig};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{SystemClock, SystemEntropy, ThreadPoolOffload};
use nebula_vault::{KeysRotated, Vault};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Where the other program works, and the address of its server.
const FOLDER: &str = "NEBULA_CANARY_FOLDER";
const SERVER: &str = "NEBULA_CANARY_SERVER";
/// Of a server that no credential is for.
const ELSEWHERE: &str = "NEBULA_CANARY_ELSEWHERE";

const SECRETS: usize = 50;
const WORKFLOWS: usize = 30;

/// Results above this lie in blobs.
const INLINE: ByteSize = ByteSize::kib(4);

/// The secret number `n`: with characters that each encoding writes in another way.
fn secret(n: usize) -> String {
    let mut bits = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut word = String::new();
    for _ in 0..12 {
        bits ^= bits >> 29;
        bits = bits.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word.push(char::from(b'a' + (bits >> 40) as u8 % 26));
    }
    format!("cn{n:02}/{word}+\"&%{}", word.to_uppercase())
}

/// What the credentials are: each has one secret.
fn credential(n: usize, server: &str) -> Credential {
    let secret = secret(n);
    let kinds = [
        (CredentialType::Bearer, "token", &[][..]),
        (CredentialType::Basic, "password", &[("username", "ada")]),
        (CredentialType::ApiKey, "key", &[]),
        (
            CredentialType::ApiKey,
            "key",
            &[("in", "query"), ("name", "k")],
        ),
        (CredentialType::Header, "value", &[("name", "X-Token")]),
    ];
    let (kind, field, others) = kinds[n % kinds.len()];
    let others = others.iter();
    let mut fields: BTreeMap<String, SecretString> = others
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    fields.insert(field.to_owned(), secret.as_str().into());
    Credential::new(kind, fields, AllowedHosts::parse([server]).unwrap()).unwrap()
}

/// The forms that are looked for, beside gzip.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex = |upper: bool| -> String {
        let digit = |byte: &u8| match upper {
            true => format!("{byte:02X}"),
            false => format!("{byte:02x}"),
        };
        bytes.iter().map(digit).collect()
    };
    let url: String = url_encoded(bytes);
    let json = Value::from(secret).to_string();
    let mut forms = vec![secret.to_owned(), hex(true), hex(false), url.clone()];
    forms.push(url.to_lowercase());
    forms.push(json[1..json.len() - 1].to_owned());
    for before in 0..3_usize {
        // What only these bytes decide.
        let padded = [vec![0; before], bytes.to_vec()].concat();
        for text in [STANDARD.encode(&padded), URL_SAFE.encode(&padded)] {
            let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
            forms.push(text[from..to].to_owned());
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn url_encoded(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: &u8| match plain(*byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

/// All forms of all secrets, by how they begin.
struct Forms(HashMap<[u8; BEGIN], Vec<(usize, Vec<u8>)>>);

const BEGIN: usize = 4;

impl Forms {
    fn new() -> Self {
        let mut by_begin: HashMap<_, Vec<_>> = HashMap::new();
        for n in 0..SECRETS {
            for form in forms(&secret(n)) {
                let begin = form[..BEGIN].try_into().unwrap();
                by_begin.entry(begin).or_default().push((n, form));
            }
        }
        Self(by_begin)
    }

    /// Every secret that bytes show, also where they are packed.
    fn shown(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = self.shown_plain(bytes);
        for at in memchr::memmem::find_iter(bytes, b"\x1f\x8b\x08") {
            let mut unpacked = Vec::new();
            // What is cut or no gzip after all gives what comes before that.
            let _ = GzDecoder::new(&bytes[at..])
                .take(4 << 20)
                .read_to_end(&mut unpacked);
            found.extend(self.shown_plain(&unpacked));
        }
        found
    }

    fn shown_plain(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for (at, begin) in bytes.windows(BEGIN).enumerate() {
            let forms = self.0.get(begin).into_iter().flatten();
            for (n, _) in forms.filter(|(_, form)| bytes[at..].starts_with(form)) {
                let near = &bytes[at.saturating_sub(80)..(at + 60).min(bytes.len())];
                found.push(format!("secret {n} in {:?}", String::from_utf8_lossy(near)));
            }
        }
        found
    }
}

/// Gives its credential away.
#[derive(Debug)]
struct Leaky(ActionMetadata);

fn leaky(id: &str, class: EffectClass) -> Arc<dyn Action> {
    let types = ["bearer", "basic", "api_key", "header"];
    let slot = CredentialSlot {
        name: "auth".to_owned(),
        types: types.map(str::to_owned).to_vec(),
        required: true,
    };
    Arc::new(Leaky(ActionMetadata {
        credentials: vec![slot],
        ..ActionMetadata::new(id, (1, 0), Effect::Fixed(class))
    }))
}

#[async_trait]
impl Action for Leaky {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let held = ctx.credentials.get("auth").expect("the slot is filled");
        let fields = ["token", "password", "key", "value"];
        let secret = fields.iter().find_map(|name| held.field(name)).unwrap();
        let secret = secret.expose_secret();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let given = match input["how"].as_str().unwrap_or("plain") {
            "plain" => json!(secret),
            "within" => json!(format!("before {secret} after")),
            "base64" => json!(STANDARD.encode(format!("user:{secret}"))),
            "url-base64" => json!(URL_SAFE.encode(format!("x{secret}y"))),
            "hex" => json!([hex, hex.to_uppercase()]),
            "url" => json!(format!(
                "https://a.example/?k={}",
                url_encoded(secret.as_bytes())
            )),
            "json" => json!(json!({ "deep": json!([secret]).to_string() }).to_string()),
            "key" => json!({ secret: { "inner": secret } }),
            "large" => json!(format!(
                "{}{secret}{}",
                "x".repeat(6_000),
                "y".repeat(300_000)
            )),
            "error" => return Err(ActionError::fatal("LEAK", format!("it was {secret}!"))),
            "pointer" => {
                let pointer = format!("/{secret}");
                return Err(ActionError::invalid_input("LEAK", pointer, hex));
            }
            "again" => {
                return Err(ActionError::retryable(
                    "LEAK",
                    url_encoded(secret.as_bytes()),
                ));
            }
            "cut" => {
                return Err(ActionError::fatal(
                    "LEAK",
                    format!("cut: {}", &secret[..20]),
                ));
            }
            "panic" => panic!("it was {secret}"),
            "debug" => json!(format!("{ctx:?}")),
            "progress" => {
                let note = Progress::done(1).note(format!("{}{secret}", "n".repeat(180)));
                ctx.heartbeat(Progress {
                    partial: json!([secret]),
                    ..note
                });
                json!("progress")
            }
            "log" => {
                tracing::error!(secret, hex, "an action logs {secret}");
                tracing::trace!("{}", STANDARD.encode(secret));
                json!("log")
            }
            "sleep" => {
                ctx.heartbeat(Progress::done(1).note(secret));
                ctx.cancellation.cancelled().await;
                json!(secret)
            }
            other => panic!("no way {other}"),
        };
        Ok(ActionResult::output(given))
    }
}

/// The workflows: two credentials each, A and B; 20 of them fail or have failures.
fn workflow(n: usize, server: &str, elsewhere: &str) -> String {
    let leak = |id: &str, how: &str, of: &str, more: &str| {
        format!(
            "{{ id: {id}, action: test.read, parameters: {{ how: {how} }}, credentials: {{ auth: {of} }}{more} }}"
        )
    };
    let http = |id: &str, method: &str, url: &str, of: &str, more: &str| {
        format!(
            "{{ id: {id}, action: http.request, parameters: {{ method: {method}, url: 'http://{url}' }}, credentials: {{ auth: {of} }}{more} }}"
        )
    };
    let twice = ", retry: { max_attempts: 2, initial: 1ms, jitter: none }";
    let goes_on = ", on_error: continue";
    let ways = [
        "plain",
        "within",
        "base64",
        "url-base64",
        "hex",
        "url",
        "json",
        "key",
        "large",
        "error",
        "pointer",
        "again",
        "cut",
        "panic",
        "debug",
        "progress",
        "log",
    ];
    let nodes = match n {
        _ if n < ways.len() => {
            let first = leak("a", ways[n], "A", &format!("{twice}{goes_on}"));
            format!("{first}, {}", leak("b", ways[n], "B", ""))
        }
        17 => {
            let first = leak("a", "sleep", "A", &format!(", timeout: 50ms{goes_on}"));
            format!("{first}, {}", leak("b", "sleep", "B", ", timeout: 50ms"))
        }
        18 => format!(
            "{}, {}",
            leak("a", "within", "A", ", for_each: '[1, 2, 3]'"),
            leak(
                "b",
                "error",
                "B",
                ", for_each: '[1, 2, 3]', on_error: continue"
            )
        ),
        19 => format!(
            "{{ id: a, action: test.pay, parameters: {{ how: plain }}, credentials: {{ auth: A }}, compensate: {{ action: test.pay, parameters: {{ how: within }}, credentials: {{ auth: B }} }} }}, {}",
            leak("c", "error", "B", "")
        ),
        20 => format!(
            "{}, {{ id: c, action: data.set, parameters: {{ seen: '{{{{ $nodes.a.error.message }}}}', code: '{{{{ $nodes.a.error.code }}}}' }} }}, {}",
            leak("a", "error", "A", goes_on),
            leak("b", "cut", "B", "")
        ),
        21 => format!(
            "{}, {{ id: p, action: flow.parallel, body: {{ nodes: [{}, {}] }} }}",
            leak("z", "plain", "A", ""),
            leak("a", "log", "A", ""),
            leak("b", "error", "B", goes_on)
        ),
        22 | 23 => {
            let path = if n == 22 { "echo" } else { "text" };
            let first = http("a", "GET", &format!("{server}/{path}"), "A", "");
            format!(
                "{first}, {}",
                http("b", "POST", &format!("{server}/{path}"), "B", "")
            )
        }
        24 => format!(
            "{}, {}",
            http(
                "a",
                "GET",
                &format!("{server}/fail"),
                "A",
                &format!("{twice}{goes_on}")
            ),
            http("b", "POST", &format!("{server}/denied"), "B", "")
        ),
        25 => format!(
            "{}, {}",
            http(
                "a",
                "GET",
                &format!("{server}/redirect"),
                "A",
                &format!(", requires: ['net:{elsewhere}']{goes_on}")
            ),
            http("b", "GET", &format!("{elsewhere}/"), "B", "")
        ),
        26 => format!(
            "{}, {}",
            http(
                "a",
                "GET",
                &format!("{server}/cut"),
                "A",
                &format!("{twice}{goes_on}")
            ),
            http("b", "GET", &format!("{server}/cut"), "B", "")
        ),
        27 => format!(
            "{{ id: a, action: http.graphql, parameters: {{ url: 'http://{server}/graphql', query: '{{ a }}' }}, credentials: {{ auth: A }}, on_error: continue }}, {}",
            http("b", "GET", &format!("{server}/gzip"), "B", "")
        ),
        28 => format!(
            "{{ id: t, action: flow.try, body: {{ nodes: [{}] }} }}, {}",
            leak("a", "error", "A", ""),
            leak("b", "pointer", "B", "")
        ),
        _ => format!(
            "{{ id: a, action: test.think, parameters: {{ how: json }}, credentials: {{ auth: A }} }}, {}",
            leak("b", "again", "B", twice)
        ),
    };
    let (a, b) = (
        format!("c{}", 2 * n % SECRETS),
        format!("c{}", (2 * n + 1) % SECRETS),
    );
    let nodes = nodes.replace("auth: A }", &format!("auth: {a} }}"));
    let nodes = nodes.replace("auth: B }", &format!("auth: {b} }}"));
    format!("id: w{n}\nnodes: [{nodes}]\n")
}

/// What the other program does: runs every workflow and writes down what it is told.
async fn run_all(folder: &Path, server: &str, elsewhere: &str) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let logging = LogOptions {
        filter: "trace".to_owned(),
        format: LogFormat::default(),
        colour: false,
    };
    let logging = init_logging(&logging, clock.clone()).unwrap();
    let offload = Arc::new(ThreadPoolOffload::new(2.try_into().unwrap()).unwrap());
    let config = SqliteConfig::file(folder.join("nebula.db"));
    let sqlite = Arc::new(Sqlite::open(config, clock.clone()).await.unwrap());
    let blobs = BlobFsConfig {
        path: folder.join("blobs"),
        create_folder: true,
    };
    let blobs = BlobFs::open(blobs, clock.clone(), offload.clone());
    let blobs = blobs.await.unwrap();
    let stored: Arc<dyn ExecutionRepo> = sqlite.clone();
    let executions = Arc::new(SpillingRepo::new(
        stored,
        Arc::new(blobs),
        clock.clone(),
        INLINE,
    ));
    // Never closed, as in a process that is killed: the log stays where it is.
    std::mem::forget(sqlite.clone());
    let workflows: Arc<dyn WorkflowRepo> = sqlite.clone();
    let queue = Arc::new(MemoryQueue::new(
        MemoryQueueConfig::default(),
        clock.clone(),
    ));
    let http: Arc<dyn HttpClient> =
        Arc::new(Reqwest::new(HttpConfig::default(), clock.clone()).unwrap());
    let entropy = Arc::new(SystemEntropy);
    // In the database and beside it, where a search must not find them either.
    let config = SecretsConfig::file(folder.join("secrets.nebula"));
    let key = KeySource::File(folder.join("secrets.key"));
    let secrets = LocalSecrets::open(config, key, clock.clone(), entropy.clone(), offload);
    let secrets = Arc::new(secrets.await.unwrap());
    for n in 0..SECRETS {
        let id = SecretId::new(format!("s{n}")).unwrap();
        let set = secrets.set(&TenantId::local(), &id, secret(n).into()).await;
        assert_eq!(set.unwrap(), SecretSet::New);
    }
    let vault = Arc::new(Vault::new(sqlite, secrets.clone(), entropy.clone()));
    let tenant = TenantId::local();
    for n in 0..SECRETS {
        let id = CredentialId::new(format!("c{n}")).unwrap();
        let put = vault.put(&tenant, &id, None, &credential(n, server)).await;
        let _ = put.unwrap();
    }
    let access = Access::new(AccessPorts {
        vault: vault.clone(),
        http: Some(http.clone()),
        clock: clock.clone(),
        entropy,
    });
    let sandbox = Arc::new(InProcess::new(clock));
    let nebula = Nebula::builder(executions, workflows, queue, sandbox)
        .http(http)
        .credentials(access)
        .actions(nebula_action_http::all())
        .actions([
            leaky("test.read", EffectClass::Read),
            leaky("test.pay", EffectClass::Keyed),
            leaky("test.think", EffectClass::Pure),
        ])
        .build()
        .unwrap();
    let mut watcher = nebula.bus().subscribe();
    let mut events = fs::File::create(folder.join("events")).unwrap();
    let work = async {
        let mut grants: Vec<_> = (0..SECRETS).map(|n| format!("secret:c{n}")).collect();
        grants.extend([server, elsewhere].map(|it| format!("net:{it}")));
        let grants = grants.iter();
        let grants = grants.map(|it| Capability::parse(it, Path::new("/")).unwrap());
        let grants = Grants::new(grants);
        for n in 0..WORKFLOWS {
            if n == WORKFLOWS / 2 {
                let rotated = vault.rotate_keys(&tenant).await.unwrap();
                assert!(
                    matches!(rotated, KeysRotated::Rotated { credentials, .. } if credentials == SECRETS)
                );
                let _ = secrets.rotate().await.unwrap();
            }
            let yaml = workflow(n, server, elsewhere);
            let parsed = parse(&Source::new("w.yaml", &yaml));
            let definition = parsed.definition;
            let definition = definition.unwrap_or_else(|| panic!("{yaml}{:?}", parsed.diagnostics));
            let installed = nebula.engine().install(&tenant, &definition).await;
            let installed = installed.unwrap_or_else(|error| panic!("{yaml}{error:?}"));
            let options = StartOptions {
                grants: grants.clone(),
                ..StartOptions::default()
            };
            let id = nebula
                .start(&tenant, &installed, Value::Null, options)
                .await
                .unwrap();
            let until = Until::EndedOrParked;
            let report = nebula.engine().outcome(&tenant, id, until, None).await;
            let report = report.unwrap().unwrap();
            println!("{}", serde_json::to_string(&report).unwrap());
            println!("{report:?}");
        }
    };
    tokio::select! {
        biased;
        () = work => {}
        stopped = nebula.run(CancellationToken::new()) => panic!("{stopped:?}"),
    }
    drop(nebula);
    while let Some(event) = watcher.next().await {
        writeln!(events, "{event:?}").unwrap();
    }
    drop(logging);
}

/// Not a test by itself: what the test starts once more.
#[test]
fn the_other_program() {
    let Ok(folder) = env::var(FOLDER) else {
        return;
    };
    let (server, elsewhere) = (env::var(SERVER).unwrap(), env::var(ELSEWHERE).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run_all(Path::new(&folder), &server, &elsewhere));
    std::process::exit(0);
}

/// Answers with what it is sent, as its path says, until `over`.
fn serve(listener: &TcpListener, over: &AtomicBool, seen: &Mutex<Vec<u8>>, elsewhere: &str) {
    for stream in listener.incoming() {
        if over.load(SeqCst) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        let _ = answer(&mut stream, seen, elsewhere);
    }
}

fn answer(stream: &mut TcpStream, seen: &Mutex<Vec<u8>>, elsewhere: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    loop {
        let from = head.len();
        if reader.read_line(&mut head)? == 0 || head[from..].trim().is_empty() {
            break;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let length = length.map_or(0, |it| it.parse().unwrap());
    reader.read_exact(&mut vec![0; length])?;
    seen.lock().unwrap().extend_from_slice(head.as_bytes());
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let name = path.split(['?', '/']).nth(1).unwrap_or_default();
    // What a careless server says of the request that it got.
    let said = json!({ "request": head, "again": json!(head).to_string() });
    let (mut status, mut more, mut kind) = (200, String::new(), "application/json");
    let mut body = said.to_string().into_bytes();
    match name {
        "text" => {
            kind = "text/plain";
            body = head.clone().into_bytes();
            let line = head
                .lines()
                .find(|line| line.contains("cn"))
                .unwrap_or_default();
            more = format!("X-Echo: {line}\r\n");
        }
        "fail" => status = 500,
        "denied" => status = 401,
        "redirect" => {
            status = 302;
            more = format!("Location: http://{elsewhere}/from-redirect\r\n");
        }
        "graphql" => {
            let message = format!("no access for {head}");
            body = json!({ "errors": [{ "message": message }] })
                .to_string()
                .into_bytes();
        }
        "gzip" => {
            more = "Content-Encoding: gzip\r\n".to_owned();
            body = gzip(&body);
        }
        _ => {}
    }
    let length = body.len();
    if name == "cut" {
        body.truncate(length / 2);
    }
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n"
    )?;
    stream.write_all(&body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
}

#[test]
fn the_search_finds_a_secret_in_every_form() {
    let forms = Forms::new();
    for n in 0..SECRETS {
        for form in self::forms(&secret(n)) {
            let bytes = [b"\0before ", &form[..], b" after\xff"].concat();
            assert!(!forms.shown(&bytes).is_empty());
            let packed = [b"\0\0\x01".to_vec(), gzip(&bytes), b"tail".to_vec()].concat();
            assert!(!forms.shown(&packed).is_empty(), "packed");
        }
    }
    assert!(forms.shown(b"nothing of the kind").is_empty());
}

#[test]
fn no_secret_is_in_anything_that_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (server, other) = (listen(), listen());
    let address = |it: &TcpListener| it.local_addr().unwrap().to_string();
    let (here, elsewhere) = (address(&server), address(&other));
    let (over, seen, strayed) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
    let output = std::thread::scope(|scope| {
        scope.spawn(|| serve(&server, &over, &seen, &elsewhere));
        scope.spawn(|| serve(&other, &over, &strayed, &elsewhere));
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_other_program", "--nocapture"])
            .env(FOLDER, &work)
            .env(SERVER, &here)
            .env(ELSEWHERE, &elsewhere)
            .env("RUST_BACKTRACE", "1")
            .output();
        over.store(true, SeqCst);
        for address in [&here, &elsewhere] {
            drop(TcpStream::connect(address));
        }
        output.unwrap()
    });
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    let reports: Vec<Value> = out
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(reports.len(), WORKFLOWS);
    let ended = |status: &str| reports.iter().filter(|it| it["status"] == status).count();
    println!(
        "{} completed, {} failed",
        ended("completed"),
        ended("failed")
    );
    assert!(ended("failed") >= 8 && ended("completed") >= 8, "{out}");
    assert_eq!(ended("failed") + ended("completed"), WORKFLOWS);
    let forms = Forms::new();
    // They were in use: the server has got those that go with requests, and the other one none.
    assert!(forms.shown(&seen.lock().unwrap()).len() > 8);
    assert!(!strayed.lock().unwrap().is_empty());
    assert_eq!(forms.shown(&strayed.lock().unwrap()), [""; 0]);
    // And they were taken out of something.
    assert!(out.matches("[secret]").count() > 30, "{out}");
    let events = fs::read_to_string(work.join("events")).unwrap();
    assert!(events.contains("[secret]"));
    assert!(err.contains("[secret]"), "{err}");
    let mut left = vec![
        ("standard output".to_owned(), output.stdout.clone()),
        ("standard error".to_owned(), output.stderr.clone()),
    ];
    files(&work, &mut left);
    let size: usize = left.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{} places with {size} bytes", left.len());
    for place in ["nebula.db", "nebula.db-wal", "secrets.nebula"] {
        let place = format!("/work/{place}");
        assert!(
            left.iter().any(|(name, _)| name.ends_with(&place)),
            "{place}"
        );
    }
    assert!(left.iter().any(|(name, _)| name.contains("blobs")));
    for (name, bytes) in left {
        let found = forms.shown(&bytes);
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
}
