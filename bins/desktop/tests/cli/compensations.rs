//! Effects that are undone, as people see it.

use serde_json::json;

use crate::support::{User, lines};

/// The example of the page about control flow.
fn example() -> String {
    let page = include_str!("../../../../docs/control-flow.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let block = blocks.find(|block| block.starts_with("id: book-a-trip\n"));
    block.unwrap().split("```").next().unwrap().to_owned()
}

/// One compensation cannot write: a file stands where its folder would be.
const STUCK: &str = r#"
nodes:
  - id: a
    action: file.write
    parameters: { path: a.txt, content: done, mode: overwrite }
    compensate: { action: file.write, parameters: { path: undo/a.txt, content: undone, mode: overwrite }, retry: { max_attempts: 1 } }
  - id: b
    action: file.write
    parameters: { path: b.txt, content: done, mode: overwrite }
    compensate: { action: file.write, parameters: { path: b.txt, content: undone, mode: overwrite } }
  - { id: end, action: flow.fail, parameters: { message: it went wrong, code: WRONG } }
"#;

#[test]
fn the_example_of_the_page_does_what_it_says() {
    let user = User::new();
    user.write("trip.yaml", &example());
    let run = ["run", "trip.yaml", "nights=3", "--grant-requested"];
    let said = user.nebula(&run).exits(1);
    let document = said.json();
    assert_eq!(
        lines(&user.work().join("trip.txt")),
        [
            "hotel for 3 nights",
            "a seat out",
            "a seat back",
            "no seat back",
            "no seat out",
            "no hotel (19 bytes)"
        ]
    );
    assert_eq!(document["status"], "failed");
    assert_eq!(document["error"]["code"], "REFUSED");
    assert_eq!(document["nodes"]["hotel"][0]["status"], "compensated");
    assert_eq!(document["nodes"]["seats/seat"][1]["status"], "compensated");
    assert_eq!(
        document["compensations"],
        json!([
            { "instance": "seats[1]/seat", "status": "compensated" },
            { "instance": "seats[0]/seat", "status": "compensated" },
            { "instance": "hotel", "status": "compensated" },
        ])
    );
    said.says("undone: `seats[1]/seat`, `seats[0]/seat`, `hotel`");
    let id = document["execution"].as_str().unwrap();
    let facts = user.nebula(&["executions", "replay", id]).exits(0);
    let of_hotel: Vec<_> = facts
        .out
        .lines()
        .filter(|line| line.contains("\"compensation_") && line.contains("\"hotel\""))
        .collect();
    assert_eq!(
        of_hotel.len(),
        3,
        "registered, started, succeeded: {of_hotel:?}"
    );
    assert_eq!(facts.out.lines().count(), 24);
    let moment = user
        .nebula(&["executions", "replay", id, "--at", "19"])
        .exits(0)
        .json();
    assert_eq!(moment["status"], "compensating");
    // What was undone is done anew.
    user.nebula(&["executions", "retry", id]).exits(1);
    assert_eq!(lines(&user.work().join("trip.txt")).len(), 12);
}

#[test]
fn a_dry_run_of_it_writes_nothing() {
    let user = User::new();
    user.write("trip.yaml", &example());
    let run = ["run", "trip.yaml", "nights=3", "--dry-run"];
    let document = user.nebula(&run).exits(1).json();
    assert_eq!(document["compensations"], json!(null));
    assert!(!user.work().join("trip.txt").exists());
}

#[test]
fn what_could_not_be_undone_waits_for_a_person() {
    let user = User::new();
    user.write("w.yaml", STUCK);
    user.write("undo", "");
    let park = || {
        let said = user
            .nebula(&["run", "w.yaml", "--grant-requested"])
            .exits(4);
        let document = said.json();
        assert_eq!(document["status"], "parked");
        assert_eq!(
            document["compensations"],
            json!([
                { "instance": "b", "status": "compensated" },
                { "instance": "a", "status": "parked" },
            ])
        );
        let id = document["execution"].as_str().unwrap().to_owned();
        said.says("`a` could not be undone").says(&format!(
            "nebula executions unpark {id} --node a --as succeeded"
        ));
        id
    };
    let unpark = |id: &str, how: &str| user.nebula(&["executions", "unpark", id, "--as", how]);

    let id = park();
    let listed = user
        .nebula(&["executions", "list", "--waiting"])
        .exits(0)
        .json();
    let waiting = &listed["executions"][0]["waiting"][0];
    assert_eq!(
        (&waiting["for"], &waiting["instance"]),
        (&json!("compensation_decision"), &json!("a"))
    );
    // Whoever cancels wants what goes on anyway.
    user.nebula(&["executions", "cancel", &id]).exits(4);
    let document = unpark(&id, "failed").exits(1).json();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["nodes"]["a"][0]["status"], "succeeded");
    assert_eq!(document["compensations"][1]["status"], "given_up");

    let document = unpark(&park(), "succeeded").exits(1).json();
    assert_eq!(document["nodes"]["a"][0]["status"], "compensated");

    let id = park();
    unpark(&id, "retry").exits(4);
    std::fs::remove_file(user.work().join("undo")).unwrap();
    std::fs::create_dir(user.work().join("undo")).unwrap();
    unpark(&id, "retry").exits(1);
    assert_eq!(lines(&user.work().join("undo/a.txt")), ["undone"]);
}

#[test]
fn a_plan_says_what_undoes_what() {
    let user = User::new();
    user.write("trip.yaml", &example());
    let plan = user.nebula(&["plan", "trip.yaml"]).exits(0).json();
    let wanted = format!("fs:write:{}", user.work().join("trip.txt").display());
    assert_eq!(
        plan["nodes"][0]["compensate"],
        json!({
            "action": "file.write@1.0",
            "effect": "at_most_once",
            "capabilities": [wanted],
            "requires": [],
            "attempts": 3,
            "timeout": plan["nodes"][0]["timeout"],
        })
    );
    assert_eq!(plan["nodes"][1]["compensate"], json!(null));
    let text = user
        .nebula(&["plan", "trip.yaml", "--format", "text"])
        .exits(0)
        .out;
    for part in [
        "undone by file.write@1.0",
        "hotel (undo)",
        "never: a person decides",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let chart = user
        .nebula(&["plan", "trip.yaml", "--format", "mermaid"])
        .exits(0)
        .out;
    for line in [
        "    n0 === u0",
        "    u0([\"undone by<br/>file.write@1.0\"])",
    ] {
        assert!(chart.lines().any(|it| it == line), "{line}: {chart}");
    }
}

#[cfg(unix)]
#[test]
fn on_a_terminal_a_replay_has_words_for_bodies_and_for_what_was_undone() {
    let user = User::new();
    user.write("trip.yaml", &example());
    let run = ["run", "trip.yaml", "nights=3", "--grant-requested"];
    let document = user.nebula(&run).exits(1).json();
    let id = document["execution"].as_str().unwrap();
    let arguments = ["executions", "replay", id];
    let mut terminal = crate::terminal::Terminal::start(&user, &arguments, &[]);
    terminal.shows("hotel: undone, which gave");
    assert_eq!(terminal.ends(), 0);
}
