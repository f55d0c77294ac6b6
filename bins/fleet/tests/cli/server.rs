//! The server, all in one.

use std::time::Duration;

use serde_json::json;

use crate::{
    effects::Effects,
    support::{Machine, SERVER, wait_until},
};

#[test]
fn a_server_starts_drives_and_stops_and_another_one_goes_on() {
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    let server = machine.serving(SERVER, &[]);
    server.publish("sum", "id: sum\nnodes: [{ id: a, action: data.set, parameters: { n: \"{{ $input.n + 1 }}\" } }]\n");
    let wanted = json!({ "workflow": "sum", "input": { "n": 41 } });
    let (status, done) = server.post("/api/v1/executions?wait=30s", &wanted);
    assert_eq!((status, &done["output"]["n"]), (200, &json!(42)), "{done}");
    let held = format!(
        "id: held\nnodes: [{{ id: a, action: http.request, parameters: {{ url: 'http://{}/held' }} }}]\n",
        effects.host()
    );
    server.publish("held", &held);
    let id = server.start("held", &json!({}));
    wait_until("the request is under way", || {
        effects.count("GET /held") == 1
    });
    server.process.terminate();
    effects.answer();
    assert_eq!(server.process.ends(), Some(0));
    let server = machine.serving(SERVER, &[]);
    server.become_one_of(&[id], &["completed"]);
}

#[test]
fn a_worker_helps_a_server_over_the_same_file() {
    let (machine, effects) = (Machine::new(), Effects::after(Duration::from_millis(200)));
    machine.setting("nebula-server.toml", "worker.executions = 1\n");
    let server = machine.serving(SERVER, &[]);
    let put = format!(
        "id: put\nnodes: [{{ id: a, action: http.request, parameters: {{ method: PUT, url: 'http://{}/one', body: {{ json: {{}} }} }} }}]\n",
        effects.host()
    );
    server.publish("put", &put);
    // What a server has rung for in its own memory, a worker finds when it was not taken for so long.
    machine.setting("nebula-worker.toml", "sweep.ring_again = \"500ms\"\n");
    let worker = machine.worker(&[]);
    let ids: Vec<_> = (0..30).map(|_| server.start("put", &json!({}))).collect();
    server.become_one_of(&ids, &["completed"]);
    assert_eq!(effects.all(), 30);
    assert!(worker.metric("nebula_leases_granted_total") > 0.0);
}
