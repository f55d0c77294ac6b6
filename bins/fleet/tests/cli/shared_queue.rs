//! A queue that all processes hear.

use std::time::{Duration, Instant};

use nebula_testkit::servers::{Postgres, Redis};
use serde_json::json;

use crate::{
    effects::Effects,
    support::{CONTROL_PLANE, Machine, WORKER, wait_until},
};

fn one(host: &str) -> String {
    format!(
        "id: one\nnodes: [{{ id: a, action: http.request, parameters: {{ method: POST, url: 'http://{host}/one', body: {{ json: {{}} }} }} }}]\n"
    )
}

#[test]
fn over_redis_a_ring_reaches_a_worker_and_what_redis_forgets_costs_only_time() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    // No sweep of anybody is so quick.
    let settings = format!("queue.address = \"{}\"\n", redis.address());
    machine.setting(
        "nebula-control-plane.toml",
        &format!("{settings}engine.ring_again = \"2s\"\n"),
    );
    machine.setting(
        "nebula-worker.toml",
        &format!("{settings}sweep.every = \"1h\"\n"),
    );
    let plane = machine.control_plane();
    plane.publish("one", &one(&effects.host()));
    let worker = machine.worker(&["--concurrency", "2"]);
    let other = machine.worker(&["--concurrency", "2"]);
    let begun = Instant::now();
    let id = plane.start("one", &json!({}));
    plane.become_one_of(&[id], &["completed"]);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    // One process looks for all of them.
    wait_until("somebody leads the sweep", || {
        let state = plane.get("/api/v1/state");
        let mut duties = state["duties"].as_array().unwrap().iter();
        duties.any(|it| it["duty"] == "executions.sweep" && it["leader"].is_string())
    });
    let document = machine.ends(WORKER, &["doctor"]).exits(0).json();
    assert!(
        document.to_string().contains("shared by all processes"),
        "{document}"
    );

    // Redis goes away with all it had, and work is accepted meanwhile.
    worker.process.kill();
    redis.end("KILL");
    let ids: Vec<_> = (0..20).map(|_| plane.start("one", &json!({}))).collect();
    redis.go_on();
    plane.become_one_of(&ids, &["completed"]);
    assert_eq!(effects.count("POST /one"), 21);
    drop(other);
}

#[test]
fn a_redis_that_throws_tasks_away_is_refused_with_the_reason() {
    let Some(redis) = Redis::start(&["--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru"])
    else {
        return;
    };
    let machine = Machine::new();
    for program in [WORKER, CONTROL_PLANE] {
        let arguments = ["--queue", &redis.address(), "doctor"];
        let said = machine.ends(program, &arguments).exits(3);
        let text = said.json().to_string();
        assert!(text.contains("noeviction"), "{text}");
    }
    let arguments = ["--queue", &redis.address(), "--health", "127.0.0.1:0"];
    machine.ends(WORKER, &arguments).exits(3).says("noeviction");
}

#[test]
fn a_postgresql_that_would_forget_what_it_confirmed_is_refused_with_the_reason() {
    let Some(server) = Postgres::start(&["-c", "fsync=off"]) else {
        return;
    };
    let database = server.database();
    let machine = Machine::new();
    for program in [WORKER, CONTROL_PLANE] {
        let arguments = ["--storage", &database.address(), "doctor"];
        let said = machine.ends(program, &arguments).exits(3);
        let text = said.json().to_string();
        assert!(text.contains("`fsync` is off"), "{text}");
    }
}

#[test]
fn a_small_fleet_needs_one_server_which_is_postgresql() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let database = server.database();
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    let address = database.address();
    let settings = format!("storage.address = \"{address}\"\nqueue.address = \"{address}\"\n");
    machine.setting("nebula-control-plane.toml", &settings);
    // A task in the hands of a dead worker stays there for half as long again as its leases.
    let quick = format!("{settings}worker.lease_ttl = \"3s\"\n");
    machine.setting("nebula-worker.toml", &quick);
    let plane = machine.control_plane();
    plane.publish("one", &one(&effects.host()));
    let (worker, other) = (machine.worker(&[]), machine.worker(&[]));
    let ids: Vec<_> = (0..20).map(|_| plane.start("one", &json!({}))).collect();
    worker.process.kill();
    plane.become_one_of(&ids, &["completed"]);
    assert_eq!(effects.keys("POST /one").len(), ids.len());
    let document = machine.ends(WORKER, &["doctor"]).exits(0).json();
    assert!(
        document.to_string().contains("postgres: it answers"),
        "{document}"
    );
    other.process.terminate();
    assert_eq!(other.process.ends(), Some(0));
}
