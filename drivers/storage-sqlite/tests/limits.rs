//! What one write may bring along.

mod support;

use std::sync::Arc;

use nebula_core::Clock;
use nebula_execution::Fact;
use nebula_ports::{Begun, ErrorKind, ExecutionRepo, Lease, Step, StepId};
use nebula_storage_sqlite::{MAX_WRITE_BYTES, Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, run};
use support::{TTL, new_execution, request, tenant};
use uuid::Uuid;

/// A beginning counts with all that it brings along, as a step does.
#[test]
fn a_beginning_beyond_what_one_write_may_have_is_refused() {
    run(async {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let opened = Sqlite::open(SqliteConfig::ephemeral(), clock).await;
        let repo = opened.unwrap();
        for (bytes, fits) in [(1_000, true), (MAX_WRITE_BYTES, false)] {
            let mut new = new_execution(bytes as u128);
            if let Fact::ExecutionStarted(started) = &mut new.entries[0].fact {
                started.input = Arc::new("x".repeat(bytes).into());
            }
            let lease = Lease {
                tenant: tenant(),
                execution: new.id,
                holder: request(1).holder,
                epoch: <dyn ExecutionRepo>::FIRST_EPOCH,
                ttl: TTL,
            };
            let step = Step::append(StepId(Uuid::from_u128(1)), 1, new.entries, 0);
            match repo.begin(&lease, None, step).await {
                Ok(begun) => assert!(fits && matches!(begun, Begun::Applied { .. }), "{begun:?}"),
                Err(error) => {
                    assert_eq!((fits, error.kind), (false, ErrorKind::Invalid), "{error}");
                }
            }
        }
    });
}
