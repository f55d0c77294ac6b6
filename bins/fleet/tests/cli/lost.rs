//! Workers that die, or are not there yet.

use std::{fs, time::Duration};

use serde_json::json;

use crate::{
    effects::Effects,
    support::{Machine, Serving, wait_until},
};

/// Three effects after one another: the outer ones keyed, the one between them at most once.
fn steps(host: &str) -> String {
    format!(
        "id: steps\ninput: {{ type: object, required: [n], properties: {{ n: {{ type: integer }} }} }}\nnodes:\n\
         \x20 - {{ id: first, action: http.request, parameters: {{ method: POST, url: 'http://{host}/{{{{ $input.n }}}}/first', body: {{ json: {{}} }} }} }}\n\
         \x20 - {{ id: once, action: file.write, timeout: 5s, parameters: {{ path: lines.txt, content: \"n{{{{ $input.n }}}}\\n\", mode: append }} }}\n\
         \x20 - {{ id: last, action: http.request, parameters: {{ method: POST, url: 'http://{host}/{{{{ $input.n }}}}/last', body: {{ json: {{}} }} }} }}\n"
    )
}

/// The lines that were appended, in order.
fn lines(machine: &Machine) -> Vec<usize> {
    let text = fs::read_to_string(machine.work().join("lines.txt")).unwrap_or_default();
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| line[1..].parse().unwrap())
        .collect();
    lines.sort_unstable();
    lines
}

/// Decides about what nobody knows, as a person would who looks at the file.
fn decide(plane: &Serving, machine: &Machine, ids: &[String]) -> usize {
    let mut decided = 0;
    for (n, id) in ids.iter().enumerate() {
        plane.become_one_of(std::slice::from_ref(id), &["completed", "parked"]);
        if plane.status(id) == "parked" {
            let decision = match lines(machine).contains(&n) {
                false => "retry",
                true => "succeeded",
            };
            let path = format!("/api/v1/executions/{id}/unpark");
            let (status, said) = plane.post(&path, &json!({ "decision": decision }));
            assert_eq!(status, 200, "{said}");
            decided += 1;
        }
    }
    decided
}

#[test]
fn what_a_killed_worker_had_another_one_finishes() {
    const EXECUTIONS: usize = 40;
    let (machine, effects) = (Machine::new(), Effects::after(Duration::from_millis(30)));
    let plane = machine.control_plane();
    plane.publish("steps", &steps(&effects.host()));
    let (one, other) = (
        machine.worker(&["--concurrency", "8"]),
        machine.worker(&["--concurrency", "8"]),
    );
    let ids: Vec<_> = (0..EXECUTIONS)
        .map(|n| plane.start("steps", &json!({ "n": n })))
        .collect();
    wait_until(
        "both workers are at work, and many effects are still to come",
        || one.metric("nebula_executions_in_hand") > 0.0 && effects.all() > EXECUTIONS / 2,
    );
    one.process.kill();
    let decided = decide(&plane, &machine, &ids);
    plane.become_one_of(&ids, &["completed"]);
    // In the hands of the one that died were at most eight.
    assert!(decided <= 8, "{decided}");
    assert_eq!(lines(&machine), (0..EXECUTIONS).collect::<Vec<_>>());
    let mut repeated = 0;
    for n in 0..EXECUTIONS {
        for keyed in ["first", "last"] {
            let request = format!("POST /{n}/{keyed}");
            assert_eq!(effects.keys(&request).len(), 1, "{request}");
            repeated += effects.count(&request) - 1;
        }
    }
    assert!(repeated <= 8, "{repeated}");
    let listed = plane.get("/api/v1/executions?limit=100");
    assert_eq!(listed["executions"].as_array().unwrap().len(), EXECUTIONS);
    assert!(other.metric("nebula_executions_in_hand") < 0.5);
}

#[test]
fn what_is_accepted_without_a_worker_is_done_by_one_that_comes_later() {
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    let plane = machine.control_plane();
    plane.publish("steps", &steps(&effects.host()));
    let ids: Vec<_> = (0..5)
        .map(|n| plane.start("steps", &json!({ "n": n })))
        .collect();
    // Whoever waits is told how it stands.
    let wanted = json!({ "workflow": "steps", "input": { "n": 5 } });
    let (status, waited) = plane.post("/api/v1/executions?wait=1s", &wanted);
    assert_eq!(
        (status, &waited["status"]),
        (202, &json!("queued")),
        "{waited}"
    );
    for id in &ids {
        assert_eq!(plane.status(id), "queued");
    }
    assert_eq!(effects.all(), 0);
    // What was accepted outlives who accepted it.
    plane.process.kill();
    let _worker = machine.worker(&[]);
    wait_until("every effect has happened", || effects.all() == 12);
    let plane = machine.control_plane();
    plane.become_one_of(&ids, &["completed"]);
}
