//! Listings of more executions than a page looks at.

mod support;

use std::{sync::Arc, time::Duration};

use nebula_core::{Clock, ExecutionId};
use nebula_execution::{Fact, Status};
use nebula_ports::{ExecutionFilter, ExecutionRepo, PageToken};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, run};
use rusqlite::Connection;
use support::{new_execution, tenant};

/// How many there are: more than two pages look at.
const MANY: u128 = 9_000;

/// A page of 10, and the next.
async fn page(
    repo: &dyn ExecutionRepo,
    filter: &ExecutionFilter,
    after: Option<&PageToken>,
) -> (Vec<ExecutionId>, Option<PageToken>) {
    let page = repo.list(&tenant(), filter, after, 10).await.unwrap();
    (page.items.into_iter().map(|it| it.id).collect(), page.next)
}

/// What is rare among many is found on a later page, once; each page looks at so many at most.
#[test]
fn a_page_that_looks_in_vain_says_where_to_go_on() {
    run(async {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let opened = Sqlite::open(SqliteConfig::ephemeral(), shared).await;
        let repo = opened.unwrap();
        for n in 1..=MANY {
            let mut new = new_execution(n);
            if let Fact::ExecutionStarted(started) = &mut new.entries[0].fact {
                let rare = if n <= 2 { "needle" } else { "hay" };
                let pairs = [("all", "x"), ("what", rare)];
                let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
                started.labels = nebula_core::Labels::new(pairs).unwrap();
            }
            let _ = repo.create(&tenant(), new, None, None).await.unwrap();
            clock.advance(Duration::from_millis(1));
        }
        let expected = [2, 1].map(support::execution).to_vec();
        let text = ExecutionFilter {
            text: Some("NEEDLE".to_owned()),
            ..ExecutionFilter::default()
        };
        let ids = ExecutionFilter {
            ids: Some(support::execution(0)..=support::execution(u128::MAX)),
            ..text.clone()
        };
        let statuses = ExecutionFilter {
            statuses: vec![Status::Failed, Status::Queued],
            ..text.clone()
        };
        for (filter, pages) in [(&text, 9), (&ids, 9), (&statuses, 9)] {
            let (mut found, mut after, mut count) = (Vec::new(), None, 0);
            loop {
                let (ids, next) = page(&repo, filter, after.as_ref()).await;
                found.extend(ids);
                count += 1;
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!((&found, count), (&expected, pages), "{filter:?}");
        }
        // The way over the label that few have leads there at once, whatever else is asked.
        let labels = ExecutionFilter {
            labels: "all=x,what=needle".parse().unwrap(),
            statuses: vec![Status::Queued],
            ..ExecutionFilter::default()
        };
        assert_eq!(page(&repo, &labels, None).await, (expected, None));
    });
}

/// Labels go with their execution, also where a build deletes it that does not know them.
#[test]
fn labels_go_with_their_execution() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nebula.db");
    run(async {
        let clock = ManualClock::default();
        let repo = support::open(&path, &clock).await.unwrap();
        let mut new = new_execution(1);
        if let Fact::ExecutionStarted(started) = &mut new.entries[0].fact {
            started.labels = "a=1,b=2".parse().unwrap();
        }
        let _ = repo.create(&tenant(), new, None, None).await.unwrap();
    });
    let database = Connection::open(&path).unwrap();
    let count = || -> i64 {
        let sql = "SELECT count(*) FROM labels";
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(), 2);
    database.execute("DELETE FROM executions", []).unwrap();
    assert_eq!(count(), 0);
}
