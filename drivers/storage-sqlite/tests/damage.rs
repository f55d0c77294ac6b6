//! Bytes that change in a database that somebody else wrote: what is read is what was written, or an
//! error says that it is not.

mod support;

use std::{fs, path::Path};

use nebula_core::{CredentialId, Digest, KeyId, WorkflowId};
use nebula_ports::{
    Acquired, CredentialRepo, CredentialUser, CredentialVersion, DedupeKey, ErrorKind,
    ExecutionRepo, Lease, NewSignal, NewVersion, PortError, Snapshot, Step, WorkflowRepo,
};
use nebula_storage_sqlite::Sqlite;
use nebula_testkit::{ManualClock, run};
use rusqlite::Connection;
use support::{end, execution, leased, new_execution, open, request, step, tenant};

/// Changes one byte of a column, past SQLite's own structure, and puts it back afterwards.
fn changed(
    path: &Path,
    table: &str,
    column: &str,
    read: &impl AsyncFn(&Sqlite) -> Option<PortError>,
) {
    let connection = Connection::open(path).unwrap();
    let select =
        format!("SELECT CAST({column} AS BLOB) FROM {table} ORDER BY length({column}) DESC");
    let before: Vec<u8> = connection.query_row(&select, [], |row| row.get(0)).unwrap();
    let mut after = before.clone();
    let middle = after.len() / 2;
    after[middle] ^= 1;
    let cast = match column {
        "definition" | "payload" | "node" => "CAST(?1 AS TEXT)",
        _ => "?1",
    };
    let update = format!("UPDATE {table} SET {column} = {cast} WHERE CAST({column} AS BLOB) = ?2");
    let replace = |old: &[u8], new: &[u8]| {
        let changed = connection.execute(&update, rusqlite::params![new, old]);
        assert_eq!(changed.unwrap(), 1);
    };
    let clock = ManualClock::default();
    replace(&before, &after);
    run(async {
        let error = read(&open(path, &clock).await.unwrap()).await;
        let error = error.unwrap_or_else(|| panic!("{table}.{column} was believed"));
        assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
        assert!(
            error.message.contains(&path.display().to_string()),
            "{error}"
        );
    });
    replace(&after, &before);
    run(async {
        let error = read(&open(path, &clock).await.unwrap()).await;
        assert!(error.is_none(), "{error:?}");
    });
}

fn credential() -> CredentialId {
    CredentialId::new("shop").unwrap()
}

#[test]
fn content_that_changed_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let repo = open(&path, &ManualClock::default()).await.unwrap();
        let lease = leased(&repo, 1, 1).await;
        let snapshot = Snapshot {
            through: 5,
            state: vec![7; 400].into(),
        };
        let kept = Step {
            snapshot: Some(snapshot),
            ..step(2, 1, 4, 2000)
        };
        let _ = repo.step(&lease, kept).await.unwrap();
        let mut whole = new_execution(2).entries;
        whole.extend(end(1, 1).entries);
        let whole = Step {
            entries: whole,
            ..end(1, 1)
        };
        let first = Lease {
            execution: execution(2),
            ..lease.clone()
        };
        let _ = repo.begin(&first, None, whole).await.unwrap();
        let signal = NewSignal {
            kind: "note".to_owned(),
            payload: serde_json::json!({ "text": "something" }),
            dedupe: DedupeKey("a".to_owned()),
        };
        let _ = repo.signal(&tenant(), execution(1), signal).await.unwrap();
        repo.release(&lease).await.unwrap();
        let new = NewVersion {
            id: WorkflowId::new("w").unwrap(),
            name: "w".to_owned(),
            digest: Digest::of(b"w"),
            definition: serde_json::json!({ "nodes": ["some", "nodes"] }),
            expected_revision: None,
            project: None,
        };
        let _ = repo.save(&tenant(), new).await.unwrap();
        let (shop, key) = (credential(), KeyId::new("k1").unwrap());
        let _ = repo.promote_key(&tenant(), None, &key).await.unwrap();
        let new = CredentialVersion {
            id: shop.clone(),
            kind: "bearer".to_owned(),
            version: 1,
            key,
            envelope: vec![7; 400],
        };
        let _ = CredentialRepo::put(&repo, &tenant(), new).await.unwrap();
        let user = CredentialUser::Attempt {
            execution: execution(1),
            node: "charge".to_owned(),
            attempt: 1,
        };
        let _ = repo.record_use(&tenant(), &shop, 1, &user).await.unwrap();
    });
    changed(&path, "credentials", "envelope", &async |repo: &Sqlite| {
        CredentialRepo::get(repo, &tenant(), &credential())
            .await
            .err()
    });
    changed(&path, "credential_uses", "node", &async |repo: &Sqlite| {
        repo.uses(&tenant(), &credential(), None, 10).await.err()
    });
    changed(&path, "journal", "entries", &async |repo: &Sqlite| {
        repo.journal(&tenant(), execution(1), 1, 100).await.err()
    });
    changed(&path, "executions", "whole", &async |repo: &Sqlite| {
        repo.journal(&tenant(), execution(2), 1, 100).await.err()
    });
    changed(&path, "inbox", "payload", &async |repo: &Sqlite| {
        repo.inbox(&tenant(), execution(1), 0, 100).await.err()
    });
    changed(&path, "snapshots", "state", &async |repo: &Sqlite| {
        let acquired = repo.acquire(&tenant(), execution(1), request(9), 5).await;
        let failed = acquired.as_ref().err().is_some();
        if let Ok(Acquired::Granted(granted)) = acquired {
            repo.release(&granted.lease).await.unwrap();
            return None;
        }
        assert!(failed, "{acquired:?}");
        acquired.err()
    });
    changed(
        &path,
        "workflow_versions",
        "definition",
        &async |repo: &Sqlite| {
            let id = WorkflowId::new("w").unwrap();
            WorkflowRepo::get(repo, &tenant(), &id, None).await.err()
        },
    );
}

#[test]
fn a_log_that_changed_is_set_aside_with_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("b.db"));
    run(async {
        let repo = open(&path, &ManualClock::default()).await.unwrap();
        for n in 1..=4 {
            let _ = leased(&repo, n, 1).await;
        }
        fs::copy(&path, &copy).unwrap();
        let mut log = fs::read(path.with_extension("db-wal")).unwrap();
        let middle = log.len() / 2;
        log[middle] ^= 1;
        fs::write(copy.with_extension("db-wal"), log).unwrap();
    });
    fs::create_dir(folder.path().join("b.db-holders")).unwrap();
    let error = run(async { open(&copy, &ManualClock::default()).await.unwrap_err() });
    assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
    assert!(error.message.contains("commits follow it"), "{error}");
    let names = fs::read_dir(folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let set_aside = names.filter(|name| name.contains(".corrupt-") && name.ends_with("-wal"));
    assert_eq!(set_aside.count(), 1);
}
