//! A way to the server that fails while the server does not: nobody waits for ever, and nothing is done twice.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "how long a server may be silent is a matter of this computer"
)]

mod support;

use std::{future::Future, sync::Arc, time::Duration};

use nebula_core::{Groups, Timestamp};
use nebula_ports::{Acquired, Created, ErrorKind, ExecutionRepo, Stepped};
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_testkit::servers::{self, Proxy, Silence};
use support::{
    acquired, assert_contiguous, config, end, execution, journal, leased, new_execution, open,
    step, tenant,
};
use tokio::runtime::Builder;

/// How long the server may be silent.
const ANSWER: Duration = Duration::from_millis(600);

/// How long anything may take that must not take for ever.
const BOUND: Duration = Duration::from_secs(15);

/// Runs `test` over a store with one connection that reads and one that writes, behind a proxy; with the address of
/// the same database without it.
fn behind_a_proxy<F: Future<Output = ()>>(
    test: impl FnOnce(Arc<Postgres>, Arc<Proxy>, String) -> F,
) {
    let Some(server) = servers::Postgres::start(&["-c", "fsync=off"]) else {
        return;
    };
    let database = server.database();
    let proxy = Proxy::before(&server.socket_folder().join(".s.PGSQL.5432")).unwrap();
    let address = format!("postgres://nebula@{}/{}", proxy.address(), database.name());
    let configured = PostgresConfig {
        writers: 1,
        readers: 1,
        answer: ANSWER,
        ..config(&address)
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(Postgres::open(configured).await.unwrap());
        test(store, Arc::new(proxy), database.address_of_superuser()).await;
    });
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(BOUND, work).await;
    done.expect("nobody waits for ever")
}

#[test]
fn whoever_does_not_answer_is_given_up_also_where_a_connection_is_made() {
    behind_a_proxy(async |store, proxy, _| {
        let lease = leased(&store, 1, 1).await;
        in_time(store.get(&tenant(), execution(1))).await.unwrap();
        proxy.fall_silent(Silence::Both);
        // The connection that there was, and the one that is made instead, say nothing.
        let asked = in_time(store.get(&tenant(), execution(1))).await;
        assert_eq!(asked.unwrap_err().kind, ErrorKind::Unavailable);
        let asked = in_time(store.step(&lease, step(2, 7, 1, 100))).await;
        assert_eq!(asked.unwrap_err().kind, ErrorKind::Unavailable);
        proxy.speak();
        in_time(store.get(&tenant(), execution(1))).await.unwrap();
        let stepped = in_time(store.step(&lease, step(2, 7, 1, 100))).await;
        assert!(stepped.is_ok(), "{stepped:?}");
        assert_eq!(proxy.struck().silenced, 4);
        assert_contiguous(&journal(&store, 1).await);
    });
}

#[test]
fn a_commit_of_which_nobody_heard_is_known_when_it_is_asked_for_again() {
    behind_a_proxy(async |store, proxy, _| {
        let lease = leased(&store, 1, 1).await;
        proxy.swallow(1, b"COMMIT\0");
        let error = in_time(store.step(&lease, step(2, 7, 1, 100)))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, proxy.struck().swallowed),
            (ErrorKind::Unavailable, 1)
        );
        let again = in_time(store.step(&lease, step(2, 7, 1, 100)))
            .await
            .unwrap();
        assert!(
            matches!(again, Stepped::Replayed { next_seq: 3, .. }),
            "{again:?}"
        );
        let entries = journal(&store, 1).await;
        assert_contiguous(&entries);
        assert_eq!(entries.len(), 2);
    });
}

/// Guard: under its lock, the sweep looks again at what it has found (`FREE`). Who ended meanwhile would be due for
/// ever, and no sweep could read since when.
#[test]
fn what_ends_while_a_sweep_looks_is_not_rung_for() {
    behind_a_proxy(async |store, proxy, address| {
        let beside = open(&address, None).await;
        proxy.delay(Duration::from_millis(40));
        // Each begins and ends at another moment of a sweep.
        for n in 1..=16_u32 {
            let (id, moment) = (u128::from(n), Duration::from_millis(25) * n);
            let created = beside
                .create(&tenant(), new_execution(id), None, None)
                .await;
            assert_eq!(created.unwrap(), Created::Created(None));
            let ended = async {
                tokio::time::sleep(moment).await;
                let Acquired::Granted(granted) = acquired(&beside, id, 1).await else {
                    panic!("nobody else takes it");
                };
                beside.step(&granted.lease, end(2, id)).await.unwrap()
            };
            let swept = store.runnable(Timestamp::MAX, &Groups::All, 10);
            let (swept, ended) = in_time(async { tokio::join!(swept, ended) }).await;
            assert!(matches!(ended, Stepped::Applied { .. }), "{ended:?}");
            swept.unwrap();
        }
        let left = beside
            .runnable(Timestamp::MAX, &Groups::All, 10)
            .await
            .unwrap();
        assert_eq!(left.runnable, Vec::new());
    });
}
