//! The sweep beyond what every store must prove: a page is read line by line, and is full all the same.

mod support;

use std::{collections::BTreeSet, sync::Arc};

use nebula_core::{Clock, WorkflowId};
use nebula_execution::{Fact, NewExecution};
use nebula_ports::{Created, ExecutionRepo};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, run};
use support::{new_execution, tenant};

/// Creates an execution of this workflow that is due.
async fn due(repo: &Sqlite, n: u128, workflow: &str) {
    let mut new: NewExecution = new_execution(n);
    new.workflow = WorkflowId::new(workflow).unwrap();
    if let Fact::ExecutionStarted(started) = &mut new.entries[0].fact {
        started.workflow = new.workflow.clone();
    }
    let created = repo.create(&tenant(), new, None, None).await;
    assert_eq!(created.unwrap(), Created::Created(None));
}

/// Each line gives its share first. Where most have less than that, one that has more fills the page,
/// and the next page has what is left.
#[test]
fn a_line_gives_more_than_its_share_where_others_have_less() {
    run(async {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let repo = Sqlite::open(SqliteConfig::ephemeral(), shared)
            .await
            .unwrap();
        for n in 0..9 {
            due(&repo, n + 1, &format!("small-{n}")).await;
        }
        for n in 100..260 {
            due(&repo, n, "large").await;
        }
        let (mut found, mut pages) = (BTreeSet::new(), Vec::new());
        for _ in 0..2 {
            let page = repo
                .runnable(clock.now(), &nebula_core::Groups::All, 150)
                .await
                .unwrap();
            pages.push((page.runnable.len(), page.more));
            found.extend(page.runnable.into_iter().map(|found| found.execution));
        }
        assert_eq!(pages, [(150, true), (19, false)]);
        assert_eq!(found.len(), 169);
    });
}
