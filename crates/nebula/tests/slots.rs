//! Items about slots in an inbox, which no construct asks for yet: an execution is none the worse.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    core::{Clock, Entropy},
    execution::Status,
    ports::{
        Acquired, ExecutionRepo, Incarnation, LeaseRequest, SLOT_GRANTED, SLOT_LOST, SlotChanges,
        SlotClaim, SlotId, SlotKey, SlotOwner, Step, StepId, Stepped,
    },
};
use nebula_testkit::{SeededEntropy, run_timed};
use world::{World, tenant};

/// Longer than any lease here.
const LATER: Duration = Duration::from_secs(20);

#[test]
fn an_execution_passes_over_items_about_slots_and_completes() {
    let world = World::default();
    let inside = world.clone();
    run_timed(&world.clock.clone(), async move {
        let nebula = inside.process();
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { for: 1h } }, { id: a, action: data.set, parameters: { x: 1 } } ]";
        let installed = inside.install(&nebula, yaml).await;
        let id = inside.start(&nebula, &installed).await;
        drop(nebula);

        // A holder of a later build claims a slot and vanishes with it.
        inside.clock.advance(LATER);
        let entropy = SeededEntropy::new(77);
        let request = LeaseRequest {
            holder: Incarnation(entropy.uuid()),
            ttl: LATER / 2,
        };
        let executions: Arc<dyn ExecutionRepo> = inside.executions.clone();
        let acquired = executions.acquire(&tenant(), id, request, 9).await;
        let Acquired::Granted(granted) = acquired.unwrap() else {
            panic!("its holder is gone")
        };
        let slot = SlotId {
            key: SlotKey::new("printer").unwrap(),
            owner: SlotOwner::default(),
        };
        let claim = SlotClaim {
            id: slot,
            capacity: 1,
        };
        let step = Step {
            slots: SlotChanges {
                claim: vec![claim],
                free: Vec::new(),
            },
            wake_at: Some(inside.clock.now()),
            ..Step::append(StepId(entropy.uuid()), granted.next_seq, Vec::new(), 0)
        };
        let stepped = executions.step(&granted.lease, step).await.unwrap();
        assert!(matches!(stepped, Stepped::Applied { .. }), "{stepped:?}");
        inside.clock.advance(LATER);

        let counted = inside.mortal(None);
        let nebula = inside.process_over(counted.clone());
        let report = inside.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Completed);
        // Read once, then marked: what stays unread would wake the execution again and again.
        assert!(counted.steps() < 6, "{} steps", counted.steps());
        let items = executions.inbox(&tenant(), id, 0, 9).await.unwrap();
        let kinds: Vec<_> = items.iter().map(|item| item.kind.as_str()).collect();
        assert_eq!(kinds, [SLOT_GRANTED, SLOT_LOST]);
    });
}
