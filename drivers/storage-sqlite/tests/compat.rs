//! Databases that earlier versions have written, opened and gone on with by this one, for ever.
//!
//! `compat` has a database per version, as its program left it, and the workflows that it ran; the
//! first lines of each say what must come of its executions. `cargo xtask fixtures --write NAME` adds
//! one. A copy is opened; timers are over, people say what they are asked, and everything ends.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use nebula::engine::{Report, Waiting};
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
};
use nebula_core::{Clock, CredentialId, ExecutionId, TenantId, Timestamp};
use nebula_ports::{
    CredentialPut, CredentialRepo, CredentialUser, CredentialVersion, ExecutionFilter,
};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{Ended, Ledger, ManualClock, People, run, stage::Stage};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// The most executions of a database.
const MOST: usize = 100;

/// How long after it was written a database is gone on with.
const LATER: Duration = Duration::from_hours(24 * 11);

/// A database that some version has left.
struct Fixture {
    path: PathBuf,
    schema: i64,
    /// When it was written to last.
    written: Timestamp,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat")
}

fn files(extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    paths.sort();
    paths
}

fn fixtures() -> Vec<Fixture> {
    let read = |path: PathBuf| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        // Nothing is written beside what lies in the repository.
        let uri = format!("file:{}?immutable=1", path.display());
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        let database = Connection::open_with_flags(uri, flags).unwrap();
        let number = |sql: &str| database.query_row(sql, [], |row| row.get(0)).unwrap();
        Fixture {
            schema: number("PRAGMA user_version"),
            written: Timestamp::from_millis(number("SELECT max(updated_at) FROM executions")),
            path,
        }
    };
    files("db").into_iter().map(read).collect()
}

/// What must come of the executions of each workflow.
fn expected() -> BTreeMap<String, String> {
    let told = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let gives = text.lines().find_map(|line| line.strip_prefix("# gives: "));
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, gives.expect("it says what it gives").to_owned())
    };
    files("yaml").into_iter().map(told).collect()
}

/// What is written to files: by which execution, and the line.
type Lines = Arc<Mutex<Vec<(ExecutionId, String)>>>;

/// Stands for `file.write`: what it is told to write stands in a list.
#[derive(Debug)]
struct Appends {
    metadata: ActionMetadata,
    lines: Lines,
}

impl Appends {
    fn to(lines: &Lines) -> Arc<dyn Action> {
        let effect = Effect::Fixed(EffectClass::AtMostOnce);
        Arc::new(Self {
            metadata: ActionMetadata::new("file.write", (1, 0), effect),
            lines: Arc::clone(lines),
        })
    }
}

#[async_trait]
impl Action for Appends {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let line = input["content"].as_str().unwrap().trim().to_owned();
        self.lines.lock().unwrap().push((ctx.execution, line));
        Ok(ActionResult::output(json!({ "bytes": 1 })))
    }
}

/// An execution of a database.
struct Lived {
    workflow: String,
    /// Where it stood.
    stood: String,
    /// What came of it.
    came: String,
    /// What it wrote although it had written it before.
    twice: Vec<String>,
    /// Whether it wrote anything.
    wrote: bool,
}

/// Goes on with every execution of a copy of the database.
fn go_on(fixture: &Fixture) -> Vec<Lived> {
    let away = tempfile::tempdir().unwrap();
    let copy = away.path().join("nebula.db");
    fs::copy(&fixture.path, &copy).unwrap();
    let open = |clock: Arc<ManualClock>| async move {
        // Timers are over, and what may take longest is not.
        let since = fixture.written.since(clock.now());
        clock.advance(since + LATER);
        let store = Sqlite::open(SqliteConfig::file(&copy), clock).await;
        let store = Arc::new(store.unwrap());
        (store.clone() as Arc<_>, store as Arc<_>)
    };
    Stage::set(open, async |stage| {
        let lines = Lines::default();
        let stage = stage.acting([Appends::to(&lines)]);
        let people = People::new(stage.clock(), Value::Null);
        let engine = stage.engine();
        let all = ExecutionFilter::default();
        let listed = engine.list(&TenantId::local(), &all, None, MOST).await;
        let (mut before, mut lived) = (Vec::new(), Vec::new());
        for summary in listed.unwrap().items.into_iter().rev() {
            let report = engine.report(&TenantId::local(), summary.id).await;
            before.push(report.unwrap().unwrap());
        }
        // Whoever waits for the end of another one has it then.
        let calls = |it: &Report| {
            it.waiting
                .iter()
                .any(|it| matches!(it, Waiting::Child { .. }))
        };
        before.sort_by_key(calls);
        for before in before {
            let id = before.execution;
            let after = stage.work(async |nebula| people.see_off(nebula, id).await);
            let after = after.await;
            let lines = lines.lock().unwrap();
            let lines = lines.iter().filter(|(of, _)| *of == id);
            let lines: Vec<_> = lines.map(|(_, line)| line.clone()).collect();
            // The nodes of chains write their ids.
            let done = |line: &String| {
                let node = before.nodes.get(line.as_str());
                node.is_some_and(|runs| runs.iter().all(|run| run["status"] == "succeeded"))
            };
            lived.push(Lived {
                workflow: before.workflow.to_string(),
                stood: before.status.to_string(),
                came: Ended::new(&after, &Ledger::default()).gives,
                twice: lines.iter().filter(|line| done(line)).cloned().collect(),
                wrote: !lines.is_empty(),
            });
        }
        lived
    })
}

#[test]
fn every_database_that_was_ever_written_opens_and_goes_on() {
    let (expected, fixtures) = (expected(), fixtures());
    assert!(!fixtures.is_empty());
    for fixture in &fixtures {
        let of = fixture.path.display();
        let lived = go_on(fixture);
        let mut stood: Vec<_> = lived.iter().map(|it| it.stood.as_str()).collect();
        for it in &lived {
            assert_eq!(it.came, expected[&it.workflow], "{}: {of}", it.workflow);
            assert!(it.twice.is_empty(), "{}: {:?}: {of}", it.workflow, it.twice);
            // Otherwise nothing was left to do where a process was killed.
            let killed = it.workflow.starts_with("killed");
            assert!(!killed || it.wrote, "{}: {of}", it.workflow);
        }
        stood.sort_unstable();
        stood.dedup();
        for status in ["completed", "failed", "parked", "waiting"] {
            assert!(stood.contains(&status), "none is {status}: {of}: {stood:?}");
        }
    }
}

/// The first schema with credentials.
const CREDENTIALS: i64 = 6;

#[test]
fn credentials_that_were_ever_stored_are_read() {
    let all = fixtures();
    let with: Vec<_> = all.iter().filter(|it| it.schema >= CREDENTIALS).collect();
    assert!(!with.is_empty());
    for fixture in with {
        let away = tempfile::tempdir().unwrap();
        let copy = away.path().join("nebula.db");
        fs::copy(&fixture.path, &copy).unwrap();
        let of = fixture.path.display();
        run(async {
            let clock = Arc::new(ManualClock::default());
            let store = Sqlite::open(SqliteConfig::file(&copy), clock)
                .await
                .unwrap();
            let (tenant, id) = (TenantId::local(), |id| CredentialId::new(id).unwrap());
            let listed = CredentialRepo::list(&store, &tenant, None, 10)
                .await
                .unwrap();
            let [shop] = &listed[..] else {
                panic!("{of}: {listed:?}")
            };
            assert_eq!((shop.id.as_str(), shop.version), ("shop", 2), "{of}");
            let keys = store.keys(&tenant).await.unwrap();
            assert_eq!(keys, std::slice::from_ref(&shop.key), "{of}");
            let found = CredentialRepo::get(&store, &tenant, &id("shop")).await;
            let found = found.unwrap().unwrap();
            assert_eq!(
                (found.kind.as_str(), &found.key),
                ("bearer", &shop.key),
                "{of}"
            );
            let uses = store.uses(&tenant, &id("shop"), None, 10).await.unwrap();
            assert_eq!((uses.len(), uses[0].version), (1, 1), "{of}");
            assert_eq!(uses[0].user, CredentialUser::Change, "{of}");
            // The number of what was removed is known.
            let again = CredentialVersion {
                id: id("gone"),
                version: 1,
                ..found
            };
            let put = CredentialRepo::put(&store, &tenant, again).await.unwrap();
            assert_eq!(put, CredentialPut::Conflict { version: 2 }, "{of}");
        });
    }
}

#[test]
fn the_newest_schema_has_a_database_with_every_workflow() {
    let fixtures = fixtures();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let clock = Arc::new(ManualClock::default());
    drop(run(Sqlite::open(SqliteConfig::file(&path), clock)).unwrap());
    let newest: i64 = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    let newest: Vec<_> = fixtures.iter().filter(|it| it.schema == newest).collect();
    let how = "write one: `cargo xtask fixtures --write NAME`";
    assert!(
        !newest.is_empty(),
        "no database has the newest schema; {how}"
    );
    for schema in 1..newest[0].schema {
        let kept = fixtures.iter().any(|it| it.schema == schema);
        assert!(
            kept,
            "the database of schema {schema} is gone: it is kept for ever"
        );
    }
    let database = Connection::open(&newest.last().unwrap().path).unwrap();
    let mut rows = database
        .prepare("SELECT DISTINCT workflow FROM executions")
        .unwrap();
    let has: Vec<String> = rows
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for workflow in expected().keys() {
        assert!(
            has.contains(workflow),
            "{workflow} is in no database of the newest schema; {how}"
        );
    }
}
