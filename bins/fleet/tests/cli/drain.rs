//! A worker that is asked to stop.

use std::time::Duration;

use serde_json::json;

use crate::{
    effects::Effects,
    support::{Machine, wait_until},
};

fn held(host: &str) -> String {
    format!(
        "id: held\nnodes:\n\
         \x20 - {{ id: slow, action: http.request, timeout: 10s, parameters: {{ method: POST, url: 'http://{host}/held', body: {{ json: {{}} }} }} }}\n\
         \x20 - {{ id: after, action: http.request, parameters: {{ method: POST, url: 'http://{host}/after', body: {{ json: {{}} }} }} }}\n"
    )
}

#[test]
fn a_worker_that_is_asked_to_stop_finishes_what_is_under_way_and_hands_the_rest_over() {
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    let plane = machine.control_plane();
    plane.publish("held", &held(&effects.host()));
    let mut worker = machine.worker(&[]);
    let id = plane.start("held", &json!({}));
    wait_until("the slow request is under way", || {
        effects.count("POST /held") == 1
    });
    worker.process.terminate();
    wait_until("it says that it is to get nothing more", || {
        worker.asks("/health/ready").0 == 503
    });
    assert_eq!(worker.asks("/health/live").0, 200);
    assert!(!worker.process.has_ended());
    // What comes now is not for it.
    let late = plane.start("held", &json!({}));
    effects.answer();
    assert_eq!(worker.process.ends(), Some(0));
    assert_eq!(effects.count("POST /held"), 1);
    assert_ne!(plane.status(&id), "completed");
    assert_eq!(plane.status(&late), "queued");

    let begun = std::time::Instant::now();
    let _next = machine.worker(&[]);
    plane.become_one_of(&[id, late], &["completed"]);
    // Its leases were given back: nobody waits for them to expire.
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    // The outcome that came within the grace is known, so nothing was repeated.
    assert_eq!(
        (effects.count("POST /held"), effects.count("POST /after")),
        (2, 2)
    );
}

#[test]
fn what_does_not_end_within_the_grace_is_done_again_under_the_same_key() {
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    machine.setting("nebula-worker.toml", "worker.grace = \"500ms\"\n");
    let plane = machine.control_plane();
    plane.publish("held", &held(&effects.host()));
    let worker = machine.worker(&[]);
    let id = plane.start("held", &json!({}));
    wait_until("the slow request is under way", || {
        effects.count("POST /held") == 1
    });
    worker.process.terminate();
    assert_eq!(worker.process.ends(), Some(0));
    // That its worker went away is no failure of the node, which makes one attempt.
    assert_ne!(plane.status(&id), "failed");
    effects.answer();
    let _next = machine.worker(&[]);
    plane.become_one_of(&[id], &["completed"]);
    assert_eq!(effects.count("POST /held"), 2);
    let keys = effects.keys("POST /held");
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let (machine, effects) = (Machine::new(), Effects::after(Duration::ZERO));
    let plane = machine.control_plane();
    plane.publish("held", &held(&effects.host()));
    let worker = machine.worker(&[]);
    plane.start("held", &json!({}));
    wait_until("the slow request is under way", || {
        effects.count("POST /held") == 1
    });
    worker.process.terminate();
    wait_until("it has heard the first", || {
        worker.asks("/health/ready").0 == 503
    });
    worker.process.terminate();
    assert_eq!(worker.process.ends(), Some(143));
}
