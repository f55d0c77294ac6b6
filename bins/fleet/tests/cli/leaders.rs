//! Control planes that share a store.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::support::{Machine, Serving, wait_until};

const TICKS: &str = "id: ticks\ntriggers: [{ id: t, type: interval, every: 1s, input: { at: \"{{ $trigger.scheduled_at }}\" } }]\nnodes: [{ id: a, action: data.set, parameters: { at: \"{{ $input.at }}\" } }]\n";

/// Who fires triggers, and in which term.
fn leader(plane: &Serving) -> (Option<String>, u64) {
    let state = plane.get("/api/v1/state");
    let duties = state["duties"].as_array().unwrap();
    let found = duties.iter().find(|it| it["duty"] == "triggers.fire");
    let found = found.cloned().unwrap_or(Value::Null);
    let leader = found["leader"].as_str().map(str::to_owned);
    (leader, found["term"].as_u64().unwrap_or_default())
}

/// The occurrences that started something, as often as they did.
fn started(plane: &Serving) -> Vec<String> {
    let listed = plane.get("/api/v1/executions?workflow=ticks&limit=200");
    let items = listed["executions"].as_array().unwrap();
    let ids = items.iter().map(|it| it["execution"].as_str().unwrap());
    ids.map(|id| {
        let shown = plane.get(&format!("/api/v1/executions/{id}"));
        shown["output"]["at"].as_str().unwrap_or(id).to_owned()
    })
    .collect()
}

#[test]
fn one_control_plane_at_a_time_fires_triggers() {
    let machine = Machine::new();
    let first = machine.control_plane();
    wait_until("the first one leads", || leader(&first).0.is_some());
    let second = machine.control_plane();
    let worker = machine.worker(&[]);
    second.publish("ticks", TICKS);
    wait_until("it fires", || started(&second).len() >= 3);
    // The one that was there first leads for both, though the other one published.
    let (led_by, term) = leader(&second);
    assert_eq!(leader(&first), (led_by.clone(), term));

    // Asked to stop, it gives its duties back, and the other one has them at once.
    first.process.terminate();
    assert_eq!(first.process.ends(), Some(0));
    wait_until("the second one leads", || {
        let (leads, now) = leader(&second);
        leads.is_some() && leads != led_by && now == term + 1
    });
    let before = started(&second).len();
    wait_until("it fires", || started(&second).len() > before + 1);

    // One that dies has its term until it is over; then a third one leads.
    let third = machine.control_plane();
    second.process.kill();
    wait_until("the third one leads", || leader(&third).1 == term + 2);
    let before = started(&third).len();
    wait_until("it fires", || started(&third).len() > before);
    third.publish("idle", "id: idle\nnodes: [{ id: a, action: data.set }]\n");
    let pause = "/api/v1/workflows/ticks/triggers/t/pause";
    let (status, said) = third.post(pause, &Value::Null);
    assert_eq!(status, 200, "{said}");
    wait_until("everything has ended", || {
        let open = third.get("/api/v1/executions?workflow=ticks&limit=200");
        let open = open["executions"].as_array().unwrap().iter();
        open.map(|it| it["status"].as_str().unwrap())
            .all(|it| it == "completed")
    });
    // No occurrence started two executions, whoever led.
    let all = started(&third);
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:?}");
    std::thread::sleep(Duration::from_millis(1));
    drop(worker);
}
