//! Workers of groups: each is given what is for its groups, and nothing else.

use std::{thread, time::Duration};

use nebula_testkit::servers::{Redis, TestPostgres};
use serde_json::json;

use crate::{
    effects::Effects,
    support::{Machine, Worker, wait_until},
};

/// How long something is watched that must not happen.
const A_WHILE: Duration = Duration::from_secs(2);

fn one(id: &str, host: &str, runs_on: &str) -> String {
    format!(
        "id: {id}\nnodes:\n\
         \x20 - {{ id: a, action: http.request, parameters: {{ method: POST, url: 'http://{host}/{id}', body: {{ json: {{}} }} }}{runs_on} }}\n"
    )
}

/// How many executions a worker took up.
fn taken(worker: &Worker) -> f64 {
    worker.metric("nebula_leases_granted_total")
}

/// Starts executions for three groups: of one there is no worker until the end.
fn each_worker_gets_its_own(settings: &str) {
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    let plane = format!("{settings}engine.ring_again = \"2s\"\n");
    machine.setting("nebula-control-plane.toml", &plane);
    machine.setting("nebula-worker.toml", settings);
    let plane = machine.control_plane();
    for (id, runs_on) in [
        ("usual", ""),
        ("heavy", ", runs_on: gpu"),
        ("far", ", runs_on: [far]"),
    ] {
        plane.publish(id, &one(id, &effects.host(), runs_on));
    }
    // A call leads to the workers of its callee, and back.
    let call = "id: call\nnodes: [{ id: a, action: flow.call, parameters: { workflow: heavy } }]\n";
    plane.publish("call", call);
    let usual = machine.worker(&[]);
    let gpu = machine.worker(&["--group", "gpu"]);
    let start = |id: &str, count: usize| -> Vec<String> {
        (0..count).map(|_| plane.start(id, &json!({}))).collect()
    };
    let far = start("far", 3);
    let (first, second) = (start("usual", 10), start("heavy", 7));
    plane.become_one_of(&first, &["completed"]);
    plane.become_one_of(&second, &["completed"]);
    assert_eq!((taken(&usual), taken(&gpu)), (10.0, 7.0));
    let calls = start("call", 2);
    plane.become_one_of(&calls, &["completed"]);
    assert_eq!(taken(&gpu), 9.0);

    // What nobody is there for waits, and says for whom.
    thread::sleep(A_WHILE);
    for id in &far {
        assert_eq!(plane.status(id), "queued");
        let shown = plane.get(&format!("/api/v1/executions/{id}/report"));
        assert_eq!(
            shown["waiting"],
            json!([{ "for": "worker", "group": "far" }]),
            "{shown}"
        );
    }
    assert_eq!(effects.count("POST /far"), 0);
    let listed = plane.get("/api/v1/executions?labels=nebula.group%3Dfar");
    let listed = listed.to_string();
    assert!(far.iter().all(|id| listed.contains(id)), "{listed}");
    assert!(!listed.contains(&second[0]), "{listed}");
    let late = machine.worker(&["--group", "far"]);
    plane.become_one_of(&far, &["completed"]);
    assert_eq!(taken(&late), 3.0);
    assert_eq!(effects.count("POST /far"), 3);
    assert_eq!(effects.count("POST /usual"), 10);
    assert_eq!(effects.count("POST /heavy"), 9);
    assert_eq!(taken(&gpu), 9.0);
    drop((usual, gpu, late));
}

#[test]
fn over_redis() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    each_worker_gets_its_own(&format!("queue.address = \"{}\"\n", redis.address()));
}

#[test]
fn over_postgres() {
    let server = TestPostgres::lasting();
    let Some(server) = server.get() else {
        return;
    };
    let database = server.database();
    let address = database.address();
    each_worker_gets_its_own(&format!(
        "storage.address = \"{address}\"\nqueue.address = \"{address}\"\n"
    ));
}

#[test]
fn over_one_file() {
    each_worker_gets_its_own("");
}

/// A worker of several groups takes what is for each of them.
#[test]
fn a_worker_is_of_several_groups() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    let settings = format!("queue.address = \"{}\"\n", redis.address());
    machine.setting("nebula-control-plane.toml", &settings);
    let both = format!("{settings}pool.tags = [\"default\"]\n");
    machine.setting("nebula-worker.toml", &both);
    let plane = machine.control_plane();
    plane.publish("usual", &one("usual", &effects.host(), ""));
    plane.publish("heavy", &one("heavy", &effects.host(), ", runs_on: gpu"));
    let worker = machine.worker(&["--group", "gpu"]);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(plane.start("usual", &json!({})));
        ids.push(plane.start("heavy", &json!({})));
    }
    plane.become_one_of(&ids, &["completed"]);
    wait_until("it has taken all of them", || taken(&worker) >= 10.0);
}
