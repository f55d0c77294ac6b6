//! Identities and the audit log in a file that others write, too.

mod support;

use std::{path::Path, sync::Arc};

use futures_util::future::join_all;
use nebula_core::{Digest, PrincipalId};
use nebula_ports::{
    ApiKeyRecord, AuditBreak, AuditLog, AuditLogExt as _, AuditOutcome, ErrorKind, IdentityRepo,
    KeyAdded, NewAudit, PrincipalKey, PrincipalKind, PrincipalRecord, RecordPut,
};
use nebula_storage_sqlite::Sqlite;
use nebula_testkit::{ManualClock, run};
use rusqlite::Connection;
use support::{open, tenant};
use uuid::Uuid;

fn entry(number: u128) -> NewAudit {
    NewAudit {
        id: Uuid::from_u128(number),
        who: "local".to_owned(),
        via: String::new(),
        from: "192.0.2.7".to_owned(),
        what: "keys.make".to_owned(),
        target: format!("key:{number}"),
        outcome: AuditOutcome::Denied,
        change: String::new(),
    }
}

/// Opens a database, lets `work` do its part, and closes it.
fn with<T>(path: &Path, work: impl AsyncFnOnce(&Sqlite) -> T) -> T {
    run(async {
        let repo = open(path, &ManualClock::default()).await.unwrap();
        work(&repo).await
    })
}

fn execute(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
}

#[test]
fn two_who_have_the_file_open_append_to_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let first = Arc::new(open(&path, &clock).await.unwrap());
        let second = Arc::new(open(&path, &clock).await.unwrap());
        let tenant = tenant();
        let appends = (0..40).map(|number| {
            let log = if number % 2 == 0 { &first } else { &second };
            log.append(&tenant, entry(number))
        });
        let mut numbers: Vec<_> = join_all(appends)
            .await
            .into_iter()
            .map(|entry| entry.unwrap().seq)
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
        let head = first.verify(&tenant, None).await.unwrap().unwrap();
        assert_eq!(AuditLog::head(&*second, &tenant).await.unwrap(), Some(head));
    });
}

#[test]
fn an_entry_that_somebody_changed_or_took_away_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let tenant = tenant();
    let head = with(&path, async |repo: &Sqlite| {
        for number in 1..=5 {
            repo.append(&tenant, entry(number)).await.unwrap();
        }
        AuditLog::head(repo, &tenant).await.unwrap()
    });
    let verified = |known| {
        with(&path, async |repo: &Sqlite| {
            repo.verify(&tenant, known).await.unwrap()
        })
    };
    assert_eq!(verified(head).ok(), head);
    execute(&path, "UPDATE audit SET outcome = 1 WHERE seq = 3");
    assert_eq!(verified(None), Err(AuditBreak::Changed { seq: 3 }));
    execute(&path, "UPDATE audit SET outcome = 2 WHERE seq = 3");
    assert_eq!(verified(head).ok(), head);
    execute(&path, "DELETE FROM audit WHERE seq = 5");
    // The rest is a chain: who remembers its head sees that its end is gone.
    assert!(verified(None).is_ok());
    let cut = AuditBreak::Cut { last: 4, known: 5 };
    assert_eq!(verified(head), Err(cut));
    execute(&path, "DELETE FROM audit WHERE seq = 2");
    let gap = AuditBreak::Gap {
        expected: 2,
        found: 3,
    };
    assert_eq!(verified(None), Err(gap));
}

#[test]
fn rights_that_somebody_changed_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (tenant, id) = (tenant(), PrincipalId::from(Uuid::from_u128(1)));
    with(&path, async |repo: &Sqlite| {
        let person = PrincipalRecord {
            id,
            version: 1,
            kind: PrincipalKind::Person,
            login: "ada".to_owned(),
            name: "Ada".to_owned(),
            password: None,
            subject: None,
            disabled: true,
        };
        let put = repo.put_principal(&tenant, person).await.unwrap();
        assert_eq!(put, RecordPut::Stored);
        let key = ApiKeyRecord {
            prefix: "k".to_owned(),
            principal: id,
            name: "a key".to_owned(),
            hash: Digest::of(b"x"),
            project: None,
            scopes: Some(Vec::new()),
            expires_at: None,
        };
        assert_eq!(repo.add_key(&tenant, key).await.unwrap(), KeyAdded::Added);
    });
    let read = |key: bool| {
        with(&path, async |repo: &Sqlite| match key {
            true => IdentityRepo::key(repo, &tenant, "k").await.map(|_| ()),
            false => {
                let key = PrincipalKey::Login("ada");
                repo.standing(&tenant, key).await.map(|_| ())
            }
        })
    };
    for (key, there, back) in [
        (
            false,
            "principals SET disabled = 0",
            "principals SET disabled = 1",
        ),
        (
            false,
            "principals SET name = 'Eve'",
            "principals SET name = 'Ada'",
        ),
        (
            true,
            "api_keys SET scopes = NULL",
            "api_keys SET scopes = '[]'",
        ),
        (
            true,
            "api_keys SET expires_at = 5",
            "api_keys SET expires_at = NULL",
        ),
    ] {
        execute(&path, &format!("UPDATE {there}"));
        assert_eq!(read(key).unwrap_err().kind, ErrorKind::Corrupt, "{there}");
        execute(&path, &format!("UPDATE {back}"));
        read(key).unwrap();
    }
}
