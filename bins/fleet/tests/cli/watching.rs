//! What those who watch at a control plane see of what workers drive.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use nebula_testkit::servers::{Postgres, Redis};
use serde_json::{Value, json};

use crate::support::{BOUND, Machine, Serving};

const WORKFLOW: &str = "id: told\nnodes: [{ id: say, action: flow.emit, parameters: { event: hello, payload: { from: worker } } }, { id: wait, action: flow.wait, parameters: { for: 200ms } }]\n";

fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|it| it["type"].as_str().unwrap());
    types.collect()
}

/// What a stream says of an execution, up to its end.
fn until_its_end(events: &mut impl Iterator<Item = Value>, execution: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    for event in events.filter(|it| it["execution"] == execution) {
        let is_over = event["type"] == "ended";
        seen.push(event);
        if is_over {
            return seen;
        }
    }
    panic!("the stream is over, after {seen:?}");
}

/// Somebody who watches everything sees what a worker does that is another process.
fn is_told(machine: &Machine, plane: &Serving) {
    plane.publish("told", WORKFLOW);
    let _worker = machine.worker(&[]);
    let (tell, told) = mpsc::channel();
    let events = plane.events("/api/v1/events");
    std::thread::spawn(move || events.map_while(|event| tell.send(event).ok()).count());
    // Until the worker knows that somebody watches, what happens is only in the journals.
    let end = Instant::now() + BOUND;
    let seen = loop {
        assert!(Instant::now() < end, "nothing is shown");
        let id = plane.start("told", &json!({}));
        plane.become_one_of(std::slice::from_ref(&id), &["completed"]);
        let mut seen = Vec::new();
        while let Ok(event) = told.recv_timeout(Duration::from_secs(1)) {
            let event: Value = event;
            if event["execution"] == id {
                seen.push(event);
            }
            if seen.last().is_some_and(|it| it["type"] == "ended") {
                break;
            }
        }
        if types(&seen).contains(&"emitted") && types(&seen).contains(&"ended") {
            break seen;
        }
    };
    assert_eq!(types(&seen)[0], "started", "{seen:?}");
    assert_eq!(
        types(&seen).iter().filter(|it| **it == "started").count(),
        1
    );
    let emitted = seen.iter().find(|it| it["type"] == "emitted").unwrap();
    assert_eq!(emitted["payload"], json!({ "from": "worker" }));
}

#[test]
fn over_redis_a_control_plane_shows_what_workers_do_as_it_happens() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let machine = Machine::new();
    let settings = format!("queue.address = \"{}\"\n", redis.address());
    machine.setting("nebula-control-plane.toml", &settings);
    machine.setting("nebula-worker.toml", &settings);
    is_told(&machine, &machine.control_plane());
}

#[test]
fn over_postgresql_a_control_plane_shows_what_workers_do_as_it_happens() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let database = server.database();
    let machine = Machine::new();
    let address = database.address();
    let settings = format!("storage.address = \"{address}\"\nqueue.address = \"{address}\"\n");
    machine.setting("nebula-control-plane.toml", &settings);
    machine.setting("nebula-worker.toml", &settings);
    is_told(&machine, &machine.control_plane());
}

/// Nobody tells it: the journal is looked at.
#[test]
fn a_stream_of_one_execution_goes_on_where_processes_share_only_a_file() {
    let machine = Machine::new();
    let plane = machine.control_plane();
    plane.publish("told", WORKFLOW);
    let id = plane.start("told", &json!({}));
    let mut events = plane.events(&format!("/api/v1/executions/{id}/events"));
    assert_eq!(events.next().unwrap()["type"], "started");
    let _worker = machine.worker(&[]);
    let seen = until_its_end(&mut events, &id);
    assert!(types(&seen).contains(&"emitted"), "{seen:?}");
}
