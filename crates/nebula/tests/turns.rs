//! Executions of one workflow take turns, also where processes die.

mod world;

use nebula::{
    Nebula,
    core::ExecutionId,
    engine::{AdmissionError, Installed, StartError, Started, Until},
    execution::{StartOptions, Status},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{Death, Saved, dies_at_each, in_world, tenant};

/// A workflow whose one node works for ten seconds, with this admission.
fn works(admission: &str) -> String {
    format!(
        "input: {{ type: object }}\nadmission: {admission}\nnodes: [{{ id: a, action: test.keyed, parameters: {{ label: \"n{{{{ $input.n }}}}\", seconds: 10 }} }}]"
    )
}

async fn admit(
    nebula: &Nebula,
    installed: &Installed,
    input: Value,
) -> Result<Started, StartError> {
    let options = StartOptions::default();
    nebula.admit(&tenant(), installed, input, options).await
}

/// Starts one execution for each input.
async fn started(nebula: &Nebula, installed: &Installed, inputs: &[Value]) -> Vec<ExecutionId> {
    let mut ids = Vec::new();
    for input in inputs {
        ids.push(admit(nebula, installed, input.clone()).await.unwrap().id);
    }
    ids
}

/// Lets a process work until all have ended, or need a person: their statuses.
async fn finished(nebula: &Nebula, ids: &[ExecutionId]) -> Vec<Status> {
    let tenant = tenant();
    let all = async {
        let mut statuses = Vec::new();
        for id in ids {
            let waited = nebula
                .engine()
                .wait(&tenant, *id, Until::EndedOrParked, None);
            statuses.push(waited.await.unwrap().unwrap());
        }
        statuses
    };
    tokio::select! {
        biased;
        stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
        statuses = all => statuses,
    }
}

fn numbered(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| json!({ "n": n, "who": n % 2 }))
        .collect()
}

/// How many attempts were under way at most, while six executions came to their ends.
fn most_busy(admission: &str) -> usize {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &works(admission)).await;
        let ids = started(&nebula, &installed, &numbered(6)).await;
        let statuses = finished(&nebula, &ids).await;
        assert_eq!(statuses, [Status::Completed; 6]);
        let mut labels = world.ledger.labels();
        labels.sort();
        assert_eq!(labels, ["n0", "n1", "n2", "n3", "n4", "n5"], "{admission}");
        world.ledger.most_busy()
    })
}

#[test]
fn no_more_run_beside_each_other_than_may() {
    assert_eq!(most_busy("{ concurrency: 1 }"), 1);
    assert_eq!(most_busy("{ concurrency: 2 }"), 2);
    assert_eq!(most_busy("{ concurrency: 9 }"), 6);
}

#[test]
fn those_of_another_key_do_not_count() {
    assert_eq!(most_busy("{ concurrency: 1, key: $input.who }"), 2);
    assert_eq!(most_busy("{ concurrency: 1, key: $input.n }"), 6);
    // A long key is told by its digest.
    assert_eq!(
        most_busy("{ concurrency: 1, key: \"'x'.repeat(9000) + $input.who\" }"),
        2
    );
}

#[test]
fn they_begin_in_the_order_in_which_they_were_started() {
    let labels = in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &works("{ concurrency: 1 }")).await;
        let ids = started(&nebula, &installed, &numbered(4)).await;
        let queued = nebula.engine().report(&tenant(), ids[3]).await.unwrap();
        assert_eq!(queued.unwrap().status, Status::Queued);
        let _ = finished(&nebula, &ids).await;
        world.ledger.labels()
    });
    assert_eq!(labels, ["n0", "n1", "n2", "n3"]);
}

#[test]
fn a_start_that_is_refused_says_when_to_try_again() {
    for (fields, waiting) in [("when_full: refuse", 0), ("queue: 2", 2)] {
        in_world(async |world| {
            let nebula = world.process();
            let yaml = works(&format!("{{ concurrency: 1, {fields} }}"));
            let installed = world.install(&nebula, &yaml).await;
            let ids = started(&nebula, &installed, &numbered(1 + waiting)).await;
            let refused = admit(&nebula, &installed, json!({ "n": 9 })).await;
            let Err(StartError::Admission(AdmissionError::Full {
                try_after,
                waiting: told,
                ..
            })) = refused
            else {
                panic!("{refused:?}")
            };
            assert_eq!((told as usize, try_after.as_secs()), (waiting, 5));
            let all = finished(&nebula, &ids).await;
            assert_eq!(all, vec![Status::Completed; 1 + waiting]);
            // Nothing of it is there, and there is room again.
            assert!(!world.ledger.labels().contains(&"n9".to_owned()));
            let again = started(&nebula, &installed, &[json!({ "n": 9 })]).await;
            let again = finished(&nebula, &again).await;
            assert_eq!(again, [Status::Completed]);
        });
    }
}

#[test]
fn a_new_start_may_end_the_oldest() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = works("{ concurrency: 1, when_full: cancel_oldest }");
        let installed = world.install(&nebula, &yaml).await;
        let ids = started(&nebula, &installed, &numbered(2)).await;
        // Also one that still waits is older than a third.
        let third = admit(&nebula, &installed, json!({ "n": 2 })).await.unwrap();
        assert_eq!(third.cancelled, ids);
        let ids = [ids, vec![third.id]].concat();
        let statuses = finished(&nebula, &ids).await;
        let expected = [Status::Cancelled, Status::Cancelled, Status::Completed];
        assert_eq!(statuses, expected);
        assert!(!world.ledger.labels().contains(&"n1".to_owned()));
    });
}

#[test]
fn a_key_without_a_value_is_refused() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = works("{ concurrency: 1, key: $input.customer }");
        let installed = world.install(&nebula, &yaml).await;
        let refused = admit(&nebula, &installed, json!({ "n": 1 })).await;
        let Err(StartError::Admission(AdmissionError::Key(error))) = refused else {
            panic!("{refused:?}")
        };
        assert!(error.to_string().contains("admission.key"), "{error}");
    });
}

#[test]
fn what_waits_for_its_turn_can_be_cancelled() {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &works("{ concurrency: 1 }")).await;
        let ids = started(&nebula, &installed, &numbered(3)).await;
        let reason = "not needed".to_owned();
        let _ = nebula
            .engine()
            .cancel(&tenant(), ids[1], reason)
            .await
            .unwrap();
        let statuses = finished(&nebula, &ids).await;
        let expected = [Status::Completed, Status::Cancelled, Status::Completed];
        assert_eq!(statuses, expected);
        assert_eq!(world.ledger.labels(), ["n0", "n2"]);
    });
}

#[test]
fn what_is_cancelled_while_it_waits_ends_before_its_turn() {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &works("{ concurrency: 1 }")).await;
        let ids = started(&nebula, &installed, &numbered(2)).await;
        let (tenant, reason) = (tenant(), "not needed".to_owned());
        let cancelled = nebula.engine().cancel(&tenant, ids[1], reason).await;
        let _ = cancelled.unwrap();
        assert_eq!(finished(&nebula, &ids[1..]).await, [Status::Cancelled]);
        let first = nebula.engine().report(&tenant, ids[0]).await;
        assert_eq!(first.unwrap().unwrap().status, Status::Running);
    });
}

#[test]
fn what_waits_for_its_turn_can_be_paused() {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &works("{ concurrency: 1 }")).await;
        let ids = started(&nebula, &installed, &numbered(2)).await;
        let reason = "later".to_owned();
        let _ = nebula
            .engine()
            .pause(&tenant(), ids[1], reason)
            .await
            .unwrap();
        let statuses = finished(&nebula, &ids).await;
        assert_eq!(statuses, [Status::Completed, Status::Paused]);
        let _ = nebula.engine().unpause(&tenant(), ids[1]).await.unwrap();
        assert_eq!(finished(&nebula, &ids[1..]).await, [Status::Completed]);
    });
}

#[test]
fn a_crash_at_any_call_lets_no_two_run_and_leaves_none_behind() {
    let saved = Saved::new(&[&works("{ concurrency: 1 }")]);
    let live = |death: Death| {
        saved.in_world(async |world| {
            let act = async |nebula: &Nebula| {
                let mut ids = world.of(nebula, &saved.installed).await;
                if ids.is_empty() {
                    ids = started(nebula, &saved.installed, &numbered(3)).await;
                }
                let statuses = finished(nebula, &ids).await;
                assert_eq!(statuses, vec![Status::Completed; ids.len()], "{death:?}");
            };
            let ((), calls) = world.through(death, act).await;
            assert!(world.ledger.most_busy() <= 1, "{death:?}");
            ((), calls)
        })
    };
    dies_at_each(1, &(), live);
}
