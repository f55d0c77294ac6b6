//! Approvals: who may vote, when it is decided, and what follows.

use nebula_core::Timestamp;
use nebula_execution::Choice;
use serde_json::json;

use crate::rig::{
    Rig, id, plan,
    script::{check, check_statuses, take},
};

#[test]
fn one_approves_and_the_node_leaves_by_its_port() {
    check(
        "a.approve -> b, a.reject -> c; a: approval",
        "begin, a asks, vote a ada approve, a ok via approve, b ok, output",
        "> run a | a asks | a approve by ada > settle a | a ok/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
    check_statuses(
        "a.approve -> b, a.reject -> c; a: approval",
        "begin, a asks, vote a ada reject, a ok via reject, c ok, output",
        "a succeeded, b skipped, c succeeded",
    );
}

#[test]
fn a_quorum_counts_each_person_once() {
    check(
        "a; a: approval",
        "begin, a asks quorum 2, vote a ada approve, vote a ada approve, vote a bob approve",
        "> run a | a asks | a approve by ada | a not by ada: VotedBefore | a approve by bob > settle a = busy",
    );
    // Nor may anybody take back what they said.
    check(
        "a; a: approval",
        "begin, a asks quorum 2, vote a ada approve, vote a ada reject",
        "> run a | a asks | a approve by ada | a not by ada: VotedBefore = waiting",
    );
}

#[test]
fn one_reject_rejects_unless_more_are_needed() {
    check(
        "a; a: approval",
        "begin, a asks quorum 2, vote a ada approve, vote a bob reject",
        "> run a | a asks | a approve by ada | a reject by bob > settle a = busy",
    );
    check(
        "a; a: approval",
        "begin, a asks quorum 2 rejections 2, vote a ada reject, vote a bob approve, vote a cy reject",
        "> run a | a asks | a reject by ada | a approve by bob | a reject by cy > settle a = busy",
    );
}

#[test]
fn nobody_but_those_who_are_named_may_vote() {
    check(
        "a; a: approval",
        "begin, a asks of ada+bob, vote a eve approve, vote a bob approve",
        "> run a | a asks | a not by eve: NotAnApprover | a approve by bob > settle a = busy",
    );
}

#[test]
fn a_vote_about_nothing_says_so_and_changes_nothing() {
    check(
        "a -> b; a: approval",
        "begin, vote a ada approve, vote nobody ada approve, vote b[3] ada approve, a asks, vote a ada approve 1, vote a ada approve",
        "> run a | a not by ada: NotOpen | nobody not by ada: NotOpen | b[3] not by ada: NotOpen | a asks | a not by ada: NotOpen | a approve by ada > settle a = busy",
    );
    // What is decided stays so.
    check(
        "a; a: approval",
        "begin, a asks, vote a ada approve, vote a bob reject, a ok via approve, output",
        "> run a | a asks | a approve by ada > settle a | a not by bob: NotOpen | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn to_defer_leaves_by_its_port_or_keeps_the_question_open() {
    check(
        "a.defer -> b, a.approve -> c; a: approval",
        "begin, a asks, vote a ada defer, a ok via defer, b ok, output",
        "> run a | a asks | a defer by ada > settle a | a ok/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
    check(
        "a.approve -> c; a: approval",
        "begin, a asks, vote a ada defer, vote a ada approve",
        "> run a | a asks | a defer by ada | a approve by ada > settle a = busy",
    );
}

#[test]
fn an_approval_that_nobody_decides_in_time_is_settled_then() {
    check(
        "a; a: approval",
        "begin, a asks due 500 default reject, @499, @500, a ok via reject",
        "> run a | a asks@500 | - | > settle a | a ok/1 > output = busy",
    );
    check(
        "a; a: approval",
        "begin, a asks due 500, @500, vote a ada approve, a late",
        "> run a | a asks@500 | > settle a | a not by ada: NotOpen | a failed/1, FAILED = failed",
    );
    // A retry asks again, and votes of before do not count.
    check(
        "a; a: approval, retry 2",
        "begin, a asks quorum 2 due 500, vote a ada approve, @500, a late, @600, a asks quorum 2, vote a bob approve 0, vote a bob approve 1, vote a ada approve 1",
        "> run a | a asks@500 | a approve by ada | > settle a | a failed/1 again@600 | > run a/2 | a asks | a not by bob: NotOpen | a approve by bob | a approve by ada > settle a = busy",
    );
}

#[test]
fn a_place_for_a_vote_is_taken_once() {
    check(
        "a; a: approval",
        "begin, a asks quorum 2, vote a ada approve 0 1, vote a eve approve 0 1, vote a eve approve 0 0",
        "> run a | a asks | a approve by ada | a not by eve: VotedBefore | a approve by eve > settle a = busy",
    );
}

#[test]
fn the_free_places_are_those_of_who_has_not_voted() {
    let seats = |asks: &str, votes: &[&str]| {
        let mut rig = Rig::new(plan("a; a: approval"));
        for step in ["begin", asks].iter().chain(votes) {
            take(&mut rig, step);
        }
        let (state, plan) = (rig.machine.state(), rig.machine.plan());
        let (_, approval) = state.approvals(plan).next().unwrap();
        let seats = approval.seats().into_iter();
        let seats = seats.map(|it| format!("{}{}", it.number, it.who.unwrap_or_default()));
        seats.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(seats("a asks of ada+bob", &[]), "0ada 1bob");
    let one = ["vote a ada approve"];
    assert_eq!(seats("a asks of ada+bob+cy quorum 2", &one), "1bob 2cy");
    assert_eq!(seats("a asks quorum 3", &["vote a eve approve 0 1"]), "0 2");
    assert_eq!(seats("a asks", &["vote a eve reject"]), "");
}

#[test]
fn a_crash_forgets_no_vote() {
    check(
        "a; a: approval",
        "begin, a asks quorum 2 due 500, crash, vote a ada approve, crash, vote a bob approve, crash, a ok via approve, output",
        "> run a | a asks@500 | - | a approve by ada | - | a approve by bob > settle a | > settle a | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_pause_takes_votes_and_settles_after_it() {
    check(
        "a; a: approval",
        "begin, a asks due 500 default reject, pause, vote a ada approve, @600, unpause, a ok via approve",
        "> run a | a asks@500 | paused | a approve by ada | - | resumed > settle a | a ok/1 > output = busy",
    );
}

#[test]
fn an_approval_ends_with_its_execution() {
    check(
        "a; a: approval",
        "begin, a asks due 500, cancel",
        "> run a | a asks@500 | cancel, CANCELLED = cancelled",
    );
}

#[test]
fn an_approval_in_a_body_has_a_path_and_goes_with_a_lost_race() {
    check(
        "p; p race { a, w }; a: approval; w: wait",
        "begin, p in, p/a asks, p/w awaits go, vote p/a ada defer, signal go 1, p/w took, p collect, vote p/a ada approve, output",
        "> run p | p in > run p/a, run p/w | p/a asks | p/w awaits go | p/a defer by ada | go1 came > take p/w | p/w took 1, p out > collect p | p done > output | p/a not by ada: NotOpen | COMPLETED = completed",
    );
}

#[test]
fn the_result_says_who_decided_and_when() {
    let outcome = |steps: &[&str]| {
        let mut rig = Rig::new(plan("a.defer -> b; a: approval"));
        take(&mut rig, "begin");
        for step in steps {
            take(&mut rig, step);
        }
        let state = rig.machine.state();
        let at = state.find(&rig.plan, &id("a")).unwrap();
        state.get(at).unwrap().approval.as_ref().unwrap().outcome()
    };
    let time = |millis| Timestamp::from_millis(millis).to_string();
    let steps = [
        "a asks quorum 2 rejections 2",
        "vote a ada approve",
        "vote a eve reject",
        "@40",
        "vote a bob approve",
    ];
    assert_eq!(outcome(&steps[..3]), None);
    let expected = json!({ "decision": "approve", "by": ["ada", "bob"], "comment": "a comment", "at": time(40) });
    assert_eq!(outcome(&steps), Some((Choice::Approve, expected)));
    let expected = json!({ "decision": "reject", "by": [], "comment": null, "at": time(500), "expired": true });
    let late = ["a asks due 500 default reject", "@500"];
    assert_eq!(outcome(&late), Some((Choice::Reject, expected)));
}
