//! SIGKILL in the middle of a chain of appends: no line is lost or doubled.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{Said, User, lines, wait_until};

/// A chain of nodes that append their number to `lines.txt`, one after the other.
pub(crate) fn chain(nodes: usize) -> String {
    let mut text = String::from("nodes:\n");
    for n in 0..nodes {
        writeln!(
            text,
            "  - {{ id: n{n}, action: file.write, parameters: {{ path: lines.txt, content: \"{n}\\n\", mode: append }} }}"
        )
        .unwrap();
    }
    text
}

/// Decides about everything that is open, as a person would who looks at the file.
fn settle(user: &User, mut said: Said) -> (Value, usize) {
    let ledger = user.work().join("lines.txt");
    let mut decisions = 0;
    while said.code == Some(4) {
        let document = said.json();
        assert_eq!(document["status"], "parked", "{document}");
        let waiting = document["waiting"]
            .as_array()
            .unwrap_or_else(|| panic!("{document}"));
        assert_eq!(
            waiting.len(),
            1,
            "one write at a time can be in doubt: {document}"
        );
        let node = waiting[0]["instance"].as_str().unwrap().to_owned();
        let line = node.trim_start_matches('n').to_owned();
        let decision = if lines(&ledger).contains(&line) {
            "succeeded"
        } else {
            "retry"
        };
        let id = document["execution"].as_str().unwrap();
        decisions += 1;
        said = user.nebula(&[
            "executions",
            "unpark",
            id,
            "--node",
            &node,
            "--as",
            decision,
        ]);
    }
    (said.exits(0).json(), decisions)
}

#[test]
fn a_killed_chain_loses_and_doubles_nothing() {
    for kill_at in [10, 150, 290] {
        let user = User::new();
        user.write("chain.yaml", &chain(300));
        let ledger = user.work().join("lines.txt");
        let running = user.begin(&["run", "chain.yaml", "--grant-requested"]);
        let id = running.id.clone();
        wait_until("the chain is in its middle", || {
            lines(&ledger).len() >= kill_at
        });
        running.kill();
        let (document, decisions) = settle(&user, user.nebula(&["resume", &id]));
        assert!(decisions <= 1, "{decisions}");
        assert_eq!(document["status"], "completed");
        let expected: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        assert_eq!(lines(&ledger), expected, "killed at {kill_at}");
    }
}

#[test]
fn chains_that_are_killed_again_and_again_end() {
    let user = User::new();
    user.write("chain.yaml", &chain(60));
    let ledger = user.work().join("lines.txt");
    let running = user.begin(&["run", "chain.yaml", "--grant-requested"]);
    let id = running.id.clone();
    wait_until("the chain has begun", || lines(&ledger).len() >= 5);
    running.kill();
    for round in 1..5_usize {
        let before = lines(&ledger).len();
        let mut resumed = user.begin(&["resume", &id]);
        wait_until("it goes on or needs a person", || {
            lines(&ledger).len() > before + round || resumed.has_ended()
        });
        resumed.kill();
        let listed = user.nebula(&["executions", "show", &id]).json();
        if listed["status"] == "parked" {
            let (document, _) = settle(&user, user.nebula(&["resume", &id]));
            assert_eq!(document["status"], "completed");
            break;
        }
    }
    settle(&user, user.nebula(&["resume", &id]));
    let expected: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(lines(&ledger), expected);
}
