//! Lists whose parts run on whichever worker takes them.

use std::time::Duration;

use nebula_testkit::servers::{Redis, TestPostgres};
use serde_json::{Value, json};

use crate::{
    effects::Effects,
    support::{Machine, wait_until},
};

const ITEMS: usize = 120;

fn list(host: &str) -> String {
    format!(
        "id: list\nnodes:\n\
         \x20 - {{ id: each, action: http.request, for_each: '[...Array({ITEMS}).keys()]', distribute: true, concurrency: 8, parameters: {{ method: POST, url: 'http://{host}/{{{{ $item }}}}', body: {{ json: {{}} }} }} }}\n\
         output: '{{{{ $nodes.each.result.map((one, at) => at + one.status) }}}}'\n"
    )
}

#[test]
fn parts_of_a_list_run_on_several_workers_and_outlive_one_of_them() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let server = TestPostgres::lasting();
    let Some(server) = server.get() else {
        return;
    };
    let database = server.database();
    let (machine, effects) = (Machine::new(), Effects::after(Duration::from_millis(50)));
    let settings = format!(
        "storage.address = \"{}\"\nqueue.address = \"{}\"\n",
        database.address(),
        redis.address()
    );
    machine.setting("nebula-control-plane.toml", &settings);
    let quick = format!("{settings}worker.lease_ttl = \"3s\"\n");
    machine.setting("nebula-worker.toml", &quick);
    let plane = machine.control_plane();
    plane.publish("list", &list(&effects.host()));
    let few = ["--concurrency", "3"];
    let (one, other) = (machine.worker(&few), machine.worker(&few));
    let id = plane.start("list", &json!({}));
    // The execution itself is in one pair of hands at most, and rests while its parts run.
    let busy = |worker: &crate::support::Worker| worker.metric("nebula_executions_in_hand") > 1.0;
    wait_until("parts of one list are in the hands of both workers", || {
        busy(&one) && busy(&other)
    });
    assert!(effects.all() < ITEMS, "it was over too soon to tell");
    one.process.kill();
    plane.become_one_of(std::slice::from_ref(&id), &["completed"]);
    let shown = plane.get(&format!("/api/v1/executions/{id}/report"));
    let expected: Vec<Value> = (0..ITEMS).map(|at| json!(at + 200)).collect();
    assert_eq!(shown["output"], json!(expected));
    let mut repeated = 0;
    for item in 0..ITEMS {
        let request = format!("POST /{item}");
        assert_eq!(effects.keys(&request).len(), 1, "{request}");
        repeated += effects.count(&request) - 1;
    }
    // In the hands of the one that died were at most three parts, each with one item under way.
    assert!(repeated <= 3, "{repeated}");
    drop(other);
}
