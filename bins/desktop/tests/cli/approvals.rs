//! Deciding what executions ask: who, how, and what is refused.

use serde_json::{Value, json};

use crate::support::User;

const SIGN: &str = "nodes:
  - { id: sign, action: flow.approval, parameters: { title: 'Pay 12?', artifact: { order: 7 }, approvers: [ada, bob, cleo], quorum: 2 } }
  - { id: paid, action: data.set, parameters: { by: '{{ $json.by }}', why: '{{ $json.comment }}' } }
  - { id: kept, action: data.set, parameters: { why: '{{ $json.comment }}' } }
connections: [sign.approve -> paid, sign.reject -> kept]
";

/// A user with an execution that asks.
fn asked() -> (User, String) {
    let user = User::new();
    user.write("sign.yaml", SIGN);
    let said = user.nebula(&["run", "sign.yaml"]).exits(4);
    let id = said.json()["execution"].as_str().unwrap().to_owned();
    said.says("`sign` asks for an approval: Pay 12?")
        .says(&format!("nebula executions approve|reject|defer {id} sign"));
    (user, id)
}

#[test]
fn two_of_three_approve_and_the_execution_goes_on() {
    let (user, id) = asked();
    let listed = user.nebula(&["executions", "list", "--waiting"]).exits(0);
    let waiting = listed.json()["executions"][0]["waiting"].clone();
    let expected = json!([{
        "for": "approval", "instance": "sign", "title": "Pay 12?", "artifact": { "order": 7 },
        "approvers": ["ada", "bob", "cleo"], "quorum": 2, "rejections": 1, "approved": [],
        "rejected": [], "deferred": null, "due": null, "default": null,
    }]);
    assert_eq!(waiting, expected);
    let vote = |how: &str, more: &[&str]| {
        let given = [&["executions", how, &id], more].concat();
        user.nebula(&given)
    };
    let said = vote("approve", &["--by", "ada"]).exits(4);
    assert_eq!(said.json()["waiting"][0]["approved"], json!(["ada"]));
    let open = user.nebula(&["approvals", "list"]).exits(0).json();
    let expected = json!([{
        "execution": id, "instance": "sign", "round": 0, "title": "Pay 12?",
        "approvers": ["ada", "bob", "cleo"], "quorum": 2, "approved": ["ada"], "rejected": [],
        "due": null,
    }]);
    assert_eq!(
        (&open["approvals"], &open["more"]),
        (&expected, &json!(false))
    );
    let again = vote("approve", &["sign", "--by", "ada"]).exits(2);
    assert_eq!(again.error_code(), "VOTED_BEFORE");
    let eve = vote("approve", &["--by", "eve"]).exits(2);
    assert_eq!(eve.error_code(), "NOT_AN_APPROVER");
    eve.says("those who may: ada, bob, cleo");
    let said = vote("defer", &["--by", "cleo", "--comment", "tomorrow"]).exits(4);
    assert_eq!(said.json()["waiting"][0]["deferred"], "cleo");
    let said = vote("approve", &["--by", "bob", "--comment", "as agreed"]).exits(0);
    assert_eq!(
        said.json()["output"],
        json!({ "paid": { "by": ["ada", "bob"], "why": "as agreed" } })
    );
    let late = vote("reject", &["sign", "--by", "cleo"]).exits(2);
    assert_eq!(late.error_code(), "ALREADY_DECIDED");
    late.says("approve by ada, bob");
    let ended = vote("reject", &["--by", "cleo"]).exits(2);
    assert_eq!(ended.error_code(), "EXECUTION_ENDED");
    let open = user.nebula(&["approvals", "list"]).exits(0).json();
    assert_eq!(open["approvals"], json!([]), "nothing is asked any more");
    let replayed = user.nebula(&["executions", "replay", &id]).exits(0);
    for text in ["approval_asked", "vote_cast", "as agreed"] {
        assert!(replayed.out.contains(text), "{text}: {}", replayed.out);
    }
}

#[test]
fn a_rejection_needs_no_second() {
    let (user, id) = asked();
    let said = user.nebula(&[
        "executions",
        "reject",
        &id,
        "sign",
        "--by",
        "bob",
        "--comment",
        "no",
    ]);
    assert_eq!(
        said.exits(0).json()["output"],
        json!({ "kept": { "why": "no" } })
    );
}

#[test]
fn a_token_votes_for_whom_it_is_and_once() {
    let (user, id) = asked();
    let tokens = |more: &[&str]| user.nebula(&[&["executions", "tokens", &id], more].concat());
    let given = tokens(&[]).exits(0).json();
    let given = given["tokens"].as_array().unwrap().clone();
    let whose: Vec<&Value> = given.iter().map(|it| &it["who"]).collect();
    assert_eq!(whose, ["ada", "bob", "cleo"]);
    assert_eq!(tokens(&["sign"]).exits(0).json()["tokens"], json!(given));
    assert_eq!(tokens(&["paid"]).exits(2).error_code(), "NO_APPROVAL");
    let token = |place: usize| given[place]["token"].as_str().unwrap().to_owned();
    let vote = |token: &str, more: &[&str]| {
        let given = ["executions", "approve", "--token", token];
        user.nebula(&[&given, more].concat())
    };
    let wrong = vote(&token(0), &["--by", "bob"]).exits(2);
    assert_eq!(wrong.error_code(), "NOT_AN_APPROVER");
    vote(&token(0), &[]).exits(4);
    assert_eq!(vote(&token(0), &[]).exits(2).error_code(), "TOKEN_INVALID");
    for other in ["12", &"0".repeat(64)] {
        assert_eq!(vote(other, &[]).exits(2).error_code(), "TOKEN_INVALID");
    }
    let file = user.write("token.txt", &format!("{}\n", token(2)));
    let said = vote(&format!("@{}", file.display()), &[]).exits(0);
    assert_eq!(said.json()["output"]["paid"]["by"], json!(["ada", "cleo"]));
    // Nobody finds a token in what is kept.
    let database = std::fs::read(user.database()).unwrap();
    let journal = user.nebula(&["executions", "replay", &id]).exits(0).out;
    for place in 0..3 {
        let token = token(place);
        assert!(!database.windows(64).any(|bytes| bytes == token.as_bytes()));
        assert!(!journal.contains(&token));
    }
}

#[test]
fn a_vote_without_a_name_a_node_or_an_execution_is_refused() {
    let user = User::new();
    user.write(
        "both.yaml",
        "nodes: [{ id: a, action: flow.approval }, { id: b, action: flow.approval }, { id: c, action: flow.wait, parameters: { signal: go } }]\nconnections: []\n",
    );
    let said = user.nebula(&["run", "both.yaml"]).exits(4);
    let id = said.json()["execution"].as_str().unwrap().to_owned();
    let vote = |more: &[&str]| user.nebula(&[&["executions", "approve"], more].concat());
    let both = vote(&[&id, "--by", "ada"]).exits(2);
    assert_eq!(both.error_code(), "USAGE");
    both.says("name one of: a, b");
    let none = vote(&[&id, "c", "--by", "ada"]).exits(2);
    assert_eq!(none.error_code(), "NO_APPROVAL");
    none.says("open are: a, b");
    assert_eq!(vote(&[&id, "a"]).exits(2).error_code(), "USAGE");
    assert_eq!(
        vote(&[&id, "a", "--by", " "]).exits(2).error_code(),
        "USAGE"
    );
    let long = "x".repeat(5_000);
    let comment = vote(&[&id, "a", "--by", "ada", "--comment", &long]).exits(2);
    assert_eq!(comment.error_code(), "USAGE");
    assert_eq!(vote(&[]).exits(2).json()["error"]["code"], "USAGE");
    let unknown = "01a1fc38-5633-7236-9695-dcef079f585d";
    let unknown = vote(&[unknown, "--by", "ada"]).exits(2);
    assert_eq!(unknown.error_code(), "UNKNOWN_EXECUTION");
    // The name of the user stands for --by.
    let mut command = user.command(&["executions", "approve", &id, "a"]);
    let said = command.env("USER", "dora").output().unwrap();
    assert_eq!(said.status.code(), Some(4));
    let shown = user.nebula(&["executions", "show", &id]).exits(0).json();
    assert_eq!(shown["nodes"]["a"][0]["output"]["by"], json!(["dora"]));
}

#[test]
fn a_dry_run_answers_an_approval_and_a_pin_decides_it() {
    let user = User::new();
    user.write("sign.yaml", SIGN);
    let dry = |more: &[&str]| {
        let given = [&["run", "sign.yaml", "--dry-run"], more].concat();
        user.nebula(&given).exits(0).json()["output"].clone()
    };
    assert_eq!(dry(&[])["paid"]["by"], json!(["ada", "cleo"]));
    let no = r#"sign={"decision":"reject","comment":"never"}"#;
    assert_eq!(dry(&["--pin", no]), json!({ "kept": { "why": "never" } }));
}

#[test]
fn an_expiry_in_days_keeps_no_terminal_waiting() {
    let user = User::new();
    let asks = "{ id: sign, action: flow.approval, parameters: { approvers: [ada, bob], quorum: 2, expires: 3d, default: reject } }";
    user.write(
        "far.yaml",
        &format!("nodes: [{asks}]\nlimits: {{ timeout: 9d }}\n"),
    );
    user.write(
        "near.yaml",
        &format!("nodes: [{}]\n", asks.replace("3d", "1s")),
    );
    user.write(
        "calls.yaml",
        "nodes: [{ id: call, action: flow.call, parameters: { workflow: far } }]\n",
    );
    let said = user.nebula(&["run", "far.yaml"]).exits(4);
    let id = said.json()["execution"].as_str().unwrap().to_owned();
    said.says("`sign` asks for an approval until ")
        .says(&format!("let its time come, and then: nebula resume {id}"));
    let vote = ["executions", "approve", &id, "--by"];
    let vote = |who| user.nebula(&[vote.as_slice(), &[who]].concat());
    assert_eq!(
        vote("ada").exits(4).json()["waiting"][0]["approved"],
        json!(["ada"])
    );
    user.nebula(&["resume", &id]).exits(4);
    let voted = vote("bob").exits(0);
    assert_eq!(voted.json()["status"], "completed");
    let expired = user.nebula(&["run", "near.yaml"]).exits(0);
    assert_eq!(expired.json()["output"]["decision"], "reject");
    let called = user.nebula(&["run", "calls.yaml"]).exits(4);
    called.says("`call` waits for execution ");
}
