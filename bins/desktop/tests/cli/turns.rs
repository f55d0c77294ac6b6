//! Executions of one workflow that take turns, in several processes.

use crate::support::{User, wait_until};

/// A workflow that waits for a signal, with this admission.
fn waits(admission: &str) -> String {
    format!(
        "id: turns\nadmission: {admission}\nnodes:\n  - {{ id: w, action: flow.wait, parameters: {{ signal: go, timeout: 1h }} }}\n"
    )
}

fn status(user: &User, id: &str) -> String {
    let shown = user.nebula(&["executions", "show", id]).exits(0).json();
    shown["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_second_run_waits_for_its_turn_and_has_it_when_the_first_ends() {
    let user = User::new();
    user.write("turns.yaml", &waits("{ concurrency: 1 }"));
    let first = user.begin(&["run", "turns.yaml"]);
    wait_until("the first waits", || status(&user, &first.id) == "waiting");
    let mut command = user.command(&["run", "turns.yaml"]);
    let second = command.spawn().unwrap();
    let listed = || {
        user.nebula(&["executions", "list", "--status", "queued"])
            .json()
    };
    wait_until("the second is queued", || {
        listed()["executions"][0]["entries"] == 1
    });
    let id = listed()["executions"][0]["execution"]
        .as_str()
        .unwrap()
        .to_owned();
    let signalled = user.nebula(&["executions", "signal", &first.id, "go"]);
    assert_eq!(signalled.exits(0).json()["status"], "completed");
    assert_eq!(first.ends().exits(0).json()["status"], "completed");
    wait_until("the second has begun", || status(&user, &id) == "waiting");
    user.nebula(&["executions", "signal", &id, "go"]).exits(0);
    let ended = second.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("it begins when it is its turn"), "{said}");
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn a_refused_run_says_when_to_try_again_and_starts_nothing() {
    let user = User::new();
    user.write(
        "turns.yaml",
        &waits("{ concurrency: 1, when_full: refuse }"),
    );
    let first = user.begin(&["run", "turns.yaml"]);
    wait_until("the first waits", || status(&user, &first.id) == "waiting");
    let refused = user.nebula(&["run", "turns.yaml"]).exits(3);
    assert_eq!(refused.error_code(), "ADMISSION_FULL");
    assert_eq!(refused.json()["error"]["try_after"], "5s");
    let refused = refused.says("try again after 5s");
    assert!(refused.err.contains("one execution runs"), "{refused:?}");
    let listed = user.nebula(&["executions", "list"]).json();
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);
    user.nebula(&["executions", "cancel", &first.id]).exits(0);
    first.ends().exits(1);
    let again = user.begin(&["run", "turns.yaml"]);
    user.nebula(&["executions", "cancel", &again.id]).exits(0);
    again.ends().exits(1);
}

#[test]
fn a_killed_run_holds_nobody_up() {
    let user = User::new();
    user.write(
        "turns.yaml",
        &waits("{ concurrency: 1, when_full: refuse }"),
    );
    let chain = "id: turns\nadmission: { concurrency: 1, when_full: refuse }\nnodes: [{ id: w, action: flow.wait, parameters: { for: 20s } }]";
    user.write("short.yaml", chain);
    let first = user.begin(&["run", "short.yaml"]);
    first.kill();
    let second = user.begin(&["run", "turns.yaml"]);
    wait_until("the second waits", || {
        status(&user, &second.id) == "waiting"
    });
    user.nebula(&["executions", "cancel", &second.id]).exits(0);
    second.ends().exits(1);
}

#[test]
fn a_new_run_may_end_the_oldest_although_nobody_drives_it() {
    let user = User::new();
    user.write(
        "turns.yaml",
        &waits("{ concurrency: 1, when_full: cancel_oldest }"),
    );
    let first = user.begin(&["run", "turns.yaml"]);
    let id = first.id.clone();
    wait_until("the first waits", || status(&user, &id) == "waiting");
    first.signal("-TERM");
    first.ends().exits(143);
    let mut command = user.command(&["run", "turns.yaml"]);
    let second = command.spawn().unwrap();
    wait_until("the first has ended", || status(&user, &id) == "cancelled");
    let listed = || {
        user.nebula(&["executions", "list", "--status", "waiting"])
            .json()
    };
    wait_until("the second has begun", || {
        listed()["executions"][0]["leased"] == false
    });
    let id = listed()["executions"][0]["execution"]
        .as_str()
        .unwrap()
        .to_owned();
    user.nebula(&["executions", "signal", &id, "go"]).exits(0);
    assert_eq!(second.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_run_has_the_priority_of_its_workflow_or_the_one_that_is_said() {
    let user = User::new();
    let text = "priority: low\nnodes: [{ id: a, action: data.set, parameters: { a: 1 } }]\n";
    user.write("low.yaml", text);
    user.nebula(&["run", "low.yaml"]).exits(0);
    user.nebula(&["run", "low.yaml", "--priority", "highest"])
        .exits(0);
    let listed = user.nebula(&["executions", "list"]).exits(0).json();
    let listed = listed["executions"].as_array().unwrap();
    let priorities: Vec<_> = listed.iter().map(|it| it["priority"].clone()).collect();
    assert_eq!(priorities, ["highest", "low"]);
    let wrong = user.nebula(&["run", "low.yaml", "--priority", "urgent"]);
    wrong.exits(2).says("highest");
    user.write("low.yaml", &text.replace("low", "urgent"));
    user.nebula(&["validate", "low.yaml"])
        .exits(2)
        .says("WORKFLOW_VALUE");
}
