//! Executions that begin no more often than their workflow says.

use std::io::{BufRead as _, BufReader};

use crate::support::{User, wait_until};

fn marks(rate: &str) -> String {
    format!(
        "id: rated\nrate_limit: {rate}\nnodes: [{{ id: a, action: data.set, parameters: {{ x: 1 }} }}]\n"
    )
}

#[test]
fn a_refused_run_says_when_to_try_again_and_starts_nothing() {
    let user = User::new();
    user.write(
        "rated.yaml",
        &marks("{ limit: 1, per: 1h, when_full: refuse }"),
    );
    user.nebula(&["run", "rated.yaml"]).exits(0);
    let refused = user.nebula(&["run", "rated.yaml"]).exits(3);
    assert_eq!(refused.error_code(), "RATE_LIMITED");
    let after = refused.json()["error"]["try_after"].clone();
    assert!(
        after.as_str().is_some_and(|it| it.starts_with("59m")),
        "{after}"
    );
    let refused = refused.says("try again after 59m");
    assert!(
        refused.err.contains("`rate_limit` allows 1 starts in 1h"),
        "{refused:?}"
    );
    let listed = user.nebula(&["executions", "list"]).json();
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_waits_for_its_time_and_begins_then() {
    let user = User::new();
    user.write("rated.yaml", &marks("{ limit: 1, per: 3s }"));
    user.nebula(&["run", "rated.yaml"]).exits(0);
    let second = user.nebula(&["run", "rated.yaml"]).exits(0);
    assert_eq!(second.json()["status"], "completed");
    second.says("when `rate_limit` lets it");
}

#[test]
fn a_restart_says_when_it_begins() {
    let user = User::new();
    user.write("rated.yaml", &marks("{ limit: 1, per: 1h }"));
    let first = user.nebula(&["run", "rated.yaml"]).exits(0).json();
    let id = first["execution"].as_str().unwrap();
    let mut command = user.command(&["executions", "restart", id]);
    let mut second = command.spawn().unwrap();
    let queued = || {
        let list = ["executions", "list", "--status", "queued"];
        user.nebula(&list).json()["executions"][0]["leased"] == false
    };
    wait_until("the second is queued", queued);
    let mut said = String::new();
    let mut err = BufReader::new(second.stderr.take().unwrap());
    while !said.contains("when `rate_limit` lets it") {
        assert!(err.read_line(&mut said).unwrap() > 0, "{said}");
    }
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn a_run_that_is_stopped_before_its_time_shows_what_it_waits_for() {
    let user = User::new();
    user.write("rated.yaml", &marks("{ limit: 1, per: 1h }"));
    user.nebula(&["run", "rated.yaml"]).exits(0);
    let mut command = user.command(&["run", "rated.yaml"]);
    let mut second = command.spawn().unwrap();
    let queued = || {
        user.nebula(&["executions", "list", "--waiting", "--status", "queued"])
            .json()
    };
    wait_until("the second is queued", || {
        queued()["executions"][0]["waiting"][0]["for"] == "start"
    });
    second.kill().unwrap();
    second.wait().unwrap();
    let listed = user.nebula(&["executions", "list"]).json();
    let begins_at = listed["executions"][0]["begins_at"].clone();
    assert!(begins_at.is_string(), "{listed}");
    let id = listed["executions"][0]["execution"]
        .as_str()
        .unwrap()
        .to_owned();
    user.nebula(&["executions", "cancel", &id]).exits(0);
    let ended = user.nebula(&["executions", "show", &id]).exits(0).json();
    assert_eq!(ended["status"], "cancelled");
}

#[test]
fn a_plan_says_how_often_it_begins() {
    let user = User::new();
    user.write("rated.yaml", &marks("{ limit: 9, per: 1m, key: $input.a }"));
    let plan = user
        .nebula(&["plan", "rated.yaml", "--format", "json"])
        .exits(0)
        .json();
    let rate = serde_json::json!({
        "limit": 9, "per": "1m", "burst": 9, "key": "$input.a", "when_full": "queue", "queue": 1000
    });
    assert_eq!(plan["rate_limit"], rate);
    let text = user
        .nebula(&["plan", "rated.yaml", "--format", "text"])
        .exits(0);
    assert!(
        text.out.contains("9 in 1m per $input.a, up to 9 at once"),
        "{text:?}"
    );
}
