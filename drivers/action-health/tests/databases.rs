//! `health.check` of a PostgreSQL of its own, in a folder of its own, which ends with the test.
//!
//! Where there is none on this computer, the tests say so and pass; with `NEBULA_REQUIRE_BACKENDS=1` they fail.
#![cfg(unix)]

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use indexmap::IndexMap;
use nebula_action::{
    Action as _, ActionContext, ActionError, Capability, Credentials, Grants, HeldCredential, Http,
    HttpClient, Protected,
};
use nebula_action_health::HealthCheck;
use nebula_core::{CredentialId, ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{ProgramCall, ProgramEnded, ProgramError, ProgramRunner};
use nebula_system::SystemClock;
use nebula_testkit::ScriptedHttp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

mod nothing;

const CA: &str = "../http-reqwest/tests/certificates/ca.pem";

/// No program may run.
#[derive(Debug)]
struct NoPrograms;

#[async_trait]
impl ProgramRunner for NoPrograms {
    async fn run(&self, call: ProgramCall) -> Result<ProgramEnded, ProgramError> {
        let program = call.program.path().display().to_string();
        Err(ProgramError::NotAllowed { program })
    }
}

/// A server that ends with the test.
struct Postgres {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, with all of its processes.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.process.wait();
    }
}

/// Who may run a server: it refuses root.
fn user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let said = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(said.stdout).ok()?.trim().parse().ok()
    };
    match id(&["-u"])? {
        0 => Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)),
        _ => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "whether a skip is a failure is said by the environment, and it is said loudly"
)]
fn postgres() -> Option<Postgres> {
    let found = Command::new("initdb").arg("--version").output();
    if found.is_err() {
        let required = std::env::var("NEBULA_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
        assert!(!required, "there is no `initdb` on this computer");
        eprintln!("SKIPPED: there is no PostgreSQL on this computer (no `initdb` in PATH)");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, user) = (folder.path().join("data"), user());
    let own = |path: &Path| {
        if let Some((uid, gid)) = user {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    };
    own(folder.path());
    let as_them = |program: &str| {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let password = folder.path().join("password");
    fs::write(&password, "hunter2\n").unwrap();
    own(&password);
    let made = as_them("initdb")
        .args([
            "--no-sync",
            "--auth=scram-sha-256",
            "--username=watcher",
            "--encoding=UTF8",
            "--pwfile",
        ])
        .arg(&password)
        .arg("-D")
        .arg(&data)
        .status();
    assert!(made.unwrap().success(), "initdb failed");
    for (name, mode) in [("leaf.pem", 0o644), ("leaf.key", 0o600)] {
        let (from, to) = (Path::new(CA).with_file_name(name), data.join(name));
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        own(&to);
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = as_them("postgres");
    command.arg("-D").arg(&data);
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "ssl=on".to_owned(),
        "ssl_cert_file=leaf.pem".to_owned(),
        "ssl_key_file=leaf.key".to_owned(),
    ];
    for setting in settings {
        command.args(["-c", &setting]);
    }
    let process = command.spawn().unwrap();
    let server = Postgres {
        process,
        port,
        _folder: folder,
    };
    let ready = server.at("");
    until("it answers", || well_now(&ready, "SELECT 1 AS one", None));
    Some(server)
}

impl Postgres {
    /// Has the server do something, as its owner does.
    fn prepare(&self, sql: &str) {
        let done = Command::new("psql")
            .args(["-q", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.at("").url])
            .status();
        assert!(done.unwrap().success(), "{sql}");
    }

    fn at(&self, query: &str) -> Asks {
        Asks {
            url: format!(
                "postgres://watcher:hunter2@localhost:{}/postgres{query}",
                self.port
            ),
            hosts: format!("localhost:{}", self.port),
            grant: format!("net:localhost:{}", self.port),
            certificates: vec![CA.into()],
        }
    }
}

/// Who asks, and what they may.
#[derive(Clone)]
struct Asks {
    url: String,
    hosts: String,
    grant: String,
    certificates: Vec<PathBuf>,
}

fn check(asks: &Asks, input: Value, query: Option<&str>) -> Result<Value, ActionError> {
    let clock = Arc::new(SystemClock::default());
    let grants = Grants::new([Capability::parse(&asks.grant, Path::new("/")).unwrap()]);
    let client: Arc<dyn HttpClient> = Arc::new(ScriptedHttp::new(|_| panic!("no request is sent")));
    let (kind, field) = match asks.url.contains("://") {
        true => (CredentialType::DatabaseUrl, "url"),
        false => (CredentialType::Bearer, "token"),
    };
    let fields = [(field.to_owned(), asks.url.as_str().into())].into();
    let hosts = AllowedHosts::parse([asks.hosts.as_str()]).unwrap();
    let credential = Credential::new(kind, fields, hosts).unwrap();
    let id = CredentialId::new("db").unwrap();
    let held = HeldCredential::new("auth", id, Arc::new(credential));
    let query = query.map(|source| ("query".to_owned(), nothing::condition(source)));
    let context = ActionContext {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes([0; 16]),
        workflow: WorkflowId::new("w").unwrap(),
        node: NodeId::new("n").unwrap(),
        attempt: 1,
        idempotency_key: "key".to_owned(),
        now: Timestamp::default(),
        seed: 0,
        timeout: Duration::from_secs(60),
        deadline: None,
        cancellation: CancellationToken::new(),
        heartbeat: nebula_action::Heartbeat::default(),
        http: Http::gated(&client, &grants),
        grants,
        protected: Protected::default(),
        blobs: None,
        credentials: Credentials::new(vec![held]),
        folder: Arc::from(Path::new("/flows")),
        deferred: query.into_iter().collect::<IndexMap<_, _>>(),
    };
    let action = HealthCheck::new(clock, Arc::new(NoPrograms)).trusting(asks.certificates.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(action.execute(&context, input));
    result.map(|result| result.value)
}

fn well_now(asks: &Asks, sql: &str, query: Option<&str>) -> bool {
    check(asks, json!({ "sql": sql }), query).unwrap()["healthy"] == true
}

/// Polls: what a server does tells nobody.
#[expect(
    clippy::disallowed_methods,
    reason = "another process is awaited: there is no event to wait for, and no clock to move"
)]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "not yet: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn well(asks: &Asks, sql: &str, query: Option<&str>) {
    let found = check(asks, json!({ "sql": sql }), query).unwrap();
    assert_eq!(found["healthy"], true, "{found}");
}

#[track_caller]
fn unwell(asks: &Asks, input: Value, query: Option<&str>, said: &str) {
    let found = check(asks, input, query).unwrap();
    assert_eq!(found["healthy"], false, "{found}");
    let reason = found["reason"].as_str().unwrap();
    assert!(reason.contains(said), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
}

#[track_caller]
fn refused(asks: &Asks, sql: &str, code: &str, said: &str) {
    let error = check(asks, json!({ "sql": sql }), None).unwrap_err();
    assert_eq!(error.code, code, "{error:?}");
    assert!(error.message.contains(said), "{error:?}");
    assert!(!error.message.contains("hunter2"), "{error:?}");
}

/// One server for all, since each costs a second.
#[test]
fn a_database_says_how_it_is_and_nothing_is_changed_there() {
    let Some(server) = postgres() else { return };
    let asks = server.at("");
    let numbers = "SELECT g AS n, 'é' AS t, NULL AS none FROM generate_series(1, 3) g -- the end";
    let whole = "$item.rows.length == 3 && $item.rows[2].n == 3 && $item.rows[0].t == 'é' && $item.rows[0].none == null";
    well(&asks, numbers, Some(whole));
    unwell(
        &asks,
        json!({ "sql": numbers }),
        Some("$item.rows[0].n > 1"),
        "`query` does not hold",
    );
    unwell(
        &asks,
        json!({ "sql": numbers }),
        Some("$item.rows[9].n > 1"),
        "`query` cannot be asked",
    );

    // What would change something is refused by the database, or is no statement there.
    let parameter = "HEALTH_PARAMETER";
    refused(
        &asks,
        "CREATE TABLE t (n int)",
        parameter,
        "refuses the statement",
    );
    refused(
        &asks,
        "SELECT 1) AS x; DROP TABLE pg_class; --",
        parameter,
        "refuses the statement",
    );
    server.prepare("CREATE TABLE made (n int); CREATE FUNCTION makes() RETURNS int LANGUAGE sql AS 'INSERT INTO made VALUES (1) RETURNING n'");
    refused(&asks, "SELECT makes()", parameter, "25006");
    // PostgreSQL 15 makes large objects in a transaction that only reads; it is never committed.
    well(&asks, "SELECT lo_create(4711)", None);
    let left =
        "SELECT (SELECT count(*) FROM made) + (SELECT count(*) FROM pg_largeobject_metadata) AS n";
    well(&asks, left, Some("$item.rows[0].n == 0"));
    refused(&asks, "SELECT nothing FROM nowhere", parameter, "nowhere");
    refused(&asks, "", parameter, "refuses the statement");

    let most = |sql: &str| json!({ "sql": sql });
    well(
        &asks,
        "SELECT g FROM generate_series(1, 100) g",
        Some("$item.rows.length == 100"),
    );
    unwell(
        &asks,
        most("SELECT g FROM generate_series(1, 101) g"),
        None,
        "more than 100 rows",
    );
    unwell(
        &asks,
        most("SELECT repeat('x', 50000000) AS x"),
        None,
        "larger than 1 MiB",
    );
    unwell(
        &asks,
        most("SELECT repeat('x', 20000) AS x FROM generate_series(1, 60)"),
        None,
        "larger than 1 MiB",
    );
    let slow = json!({ "sql": "SELECT pg_sleep(20)", "timeout": "300ms" });
    unwell(&asks, slow, None, "has not answered after 300ms");
    // The server does not go on with it either.
    let running = "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'";
    until("the statement has ended", || {
        well_now(&asks, running, Some("$item.rows[0].n == 0"))
    });

    // Encrypted where it is asked for, and only with a certificate that is trusted.
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    well(&asks, encrypted, Some("$item.rows[0].ssl == false"));
    for mode in ["?sslmode=require", "?sslmode=verify-full&connect_timeout=3"] {
        well(
            &server.at(mode),
            encrypted,
            Some("$item.rows[0].ssl == true"),
        );
    }
    let stranger = Asks {
        certificates: Vec::new(),
        ..server.at("?sslmode=require")
    };
    unwell(&stranger, most("SELECT 1"), None, "certificate");
    let other_name = Asks {
        url: server
            .at("?sslmode=require")
            .url
            .replace("localhost", "127.0.0.1"),
        hosts: format!("127.0.0.1:{}", server.port),
        grant: format!("net:127.0.0.1:{}", server.port),
        ..server.at("")
    };
    unwell(&other_name, most("SELECT 1"), None, "certificate");

    // Whoever is not let in, and a database that is not there.
    let guess = Asks {
        url: asks.url.replace("hunter2", "guess"),
        ..asks.clone()
    };
    unwell(&guess, most("SELECT 1"), None, "28P01");
    let other = Asks {
        url: asks.url.replace("/postgres", "/elsewhere"),
        ..asks.clone()
    };
    unwell(&other, most("SELECT 1"), None, "3D000");
    drop(server);
    unwell(&asks, most("SELECT 1"), None, "no connection");
}

#[test]
fn a_way_that_is_not_open_and_an_address_that_is_none_are_errors() {
    let asks = Asks {
        url: "postgres://watcher:hunter2@localhost:5432/shop".to_owned(),
        hosts: "localhost:5432".to_owned(),
        grant: "net:localhost:5432".to_owned(),
        certificates: Vec::new(),
    };
    let elsewhere = |url: &str| Asks {
        url: url.to_owned(),
        ..asks.clone()
    };
    let none = "HEALTH_DATABASE";
    refused(
        &elsewhere("mysql://localhost/shop"),
        "SELECT 1",
        none,
        "begins with postgres://",
    );
    refused(
        &elsewhere("postgres:///shop?host=/run/postgresql"),
        "SELECT 1",
        none,
        "one host",
    );
    refused(
        &elsewhere("postgres://localhost,other/shop"),
        "SELECT 1",
        none,
        "",
    );
    refused(
        &elsewhere("a token"),
        "SELECT 1",
        none,
        "needs a credential of type `database_url`",
    );
    let hostaddr = "postgres://localhost:5432/shop?hostaddr=127.0.0.1";
    refused(&elsewhere(hostaddr), "SELECT 1", none, "`hostaddr`");
    for mode in ["prefer", "allow", "verify-ca", ""] {
        let url = format!("{}?sslmode={mode}", asks.url);
        refused(&elsewhere(&url), "SELECT 1", none, "`sslmode`");
    }
    let other = Asks {
        hosts: "localhost:5433".to_owned(),
        ..asks.clone()
    };
    refused(
        &other,
        "SELECT 1",
        "CREDENTIAL_HOST",
        "only to localhost:5433",
    );
    let closed = Asks {
        grant: "net:localhost:5433".to_owned(),
        ..asks.clone()
    };
    refused(
        &closed,
        "SELECT 1",
        "CAPABILITY_DENIED",
        "net:localhost:5432",
    );
    // Somebody accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let silent_one = Asks {
        url: format!("postgres://watcher:hunter2@localhost:{port}/shop"),
        hosts: format!("localhost:{port}"),
        grant: format!("net:localhost:{port}"),
        certificates: Vec::new(),
    };
    let short = json!({ "sql": "SELECT 1", "timeout": "200ms" });
    unwell(&silent_one, short, None, "has not answered after 200ms");
    drop(silent);
    let both = json!({ "sql": "SELECT 1", "tcp": "localhost:5432" });
    assert_eq!(
        check(&asks, both, None).unwrap_err().code,
        "HEALTH_PARAMETER"
    );
    let status = json!({ "sql": "SELECT 1", "expected_status": [200] });
    assert_eq!(
        check(&asks, status, None).unwrap_err().code,
        "HEALTH_PARAMETER"
    );
}
