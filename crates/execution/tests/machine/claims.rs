//! Bodies that run while their instance holds a slot.

use crate::rig::{
    Rig, id, plan,
    script::{check, take},
};

/// A body of one node, a write, behind a mutex.
const ONE: &str = "m -> z; m mutex { a }; a: write";

#[test]
fn a_body_begins_with_its_slot_and_gives_it_back_with_its_end() {
    check(
        ONE,
        "begin, m claims k, m granted k, m/a start, m/a ok, m collect, z ok, output",
        "> run m | m claims k | m granted, m in > prepare m/a | m/a started/1 > start m/a | m/a ok/1, m out > collect m | m done > run z | z ok/1 > output | COMPLETED = completed",
    );
}

/// What the store must have after each step.
fn slots(text: &str, script: &str) -> Vec<String> {
    let mut rig = Rig::new(plan(text));
    let steps = script.split(',').map(str::trim);
    let shown = steps.map(|step| {
        take(&mut rig, step);
        let slots = rig.machine.slots();
        let slots = slots.iter();
        let slots = slots.map(|slot| format!("{} {} {}", slot.owner, slot.key, slot.permits));
        slots.collect::<Vec<_>>().join(", ")
    });
    shown.collect()
}

#[test]
fn the_state_says_which_slots_the_store_has() {
    assert_eq!(
        slots(ONE, "begin, m claims k, m granted k, m/a start, m/a ok"),
        ["", "m~1 k 1", "m~1 k 1", "m~1 k 1", ""]
    );
    // Its failure gives it back as well, and so does its end with all the rest.
    assert_eq!(
        slots(
            ONE,
            "begin, m claims k two, m granted k, m/a start, m/a fail"
        ),
        ["", "m~1 k 2", "m~1 k 2", "m~1 k 2", ""]
    );
    assert_eq!(
        slots(ONE, "begin, m claims k, m granted k, cancel, m/a cancelled"),
        ["", "m~1 k 1", "m~1 k 1", "m~1 k 1", ""]
    );
    // What only this execution shares is no row of the store.
    assert_eq!(slots(ONE, "begin, m claims k own, m/a start"), ["", "", ""]);
}

#[test]
fn nobody_waits_for_ever() {
    check(
        "m, m.error -> z; m mutex { a }",
        "begin, m claims k, @999, @1000, m late, z ok, output",
        "> run m | m claims k | - | > expire m | m failed/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
    // A grant that comes while it gives up is taken; one that comes later is of no use.
    check(
        ONE,
        "begin, m claims k, @1000, m granted k, m late",
        "> run m | m claims k | > expire m | m granted | m in > prepare m/a = busy",
    );
    check(
        "m, m.error -> z; m mutex { a }",
        "begin, m claims k, @1000, m late, m granted k",
        "> run m | m claims k | > expire m | m failed/1 > run z | - = busy",
    );
}

#[test]
fn a_grant_of_an_earlier_claim_is_none_of_a_later_one() {
    let text = "m; m mutex { a }; m: retry 2";
    let script =
        "begin, m claims k, @1000, m late, @1100, m claims k, m~1 granted k, m~2 granted k";
    check(
        text,
        script,
        "> run m | m claims k | > expire m | m failed/1 again@1100 | > run m/2 | m claims k | - | m granted, m in > run m/a = busy",
    );
    assert_eq!(slots(text, script)[5], "m~2 k 1");
}

#[test]
fn without_its_slot_nothing_of_a_body_starts() {
    // What had begun with the lost worker runs again with the slot, and not before.
    check(
        ONE,
        "begin, m claims k, m granted k, m/a start, crash, m lost k, admitted, m/a withheld",
        "> run m | m claims k | m granted, m in > prepare m/a | m/a started/1 > start m/a | m/a lost/1 again@0 > prepare m/a/2 | m lost its slot | m claims k | - = waiting until 1000",
    );
    check(
        ONE,
        "begin, m claims k, m granted k, m/a start, crash, m lost k, admitted, m/a withheld, @900, m granted k, m/a start, m/a ok",
        "> run m | m claims k | m granted, m in > prepare m/a | m/a started/1 > start m/a | m/a lost/1 again@0 > prepare m/a/2 | m lost its slot | m claims k | - | - | m granted > prepare m/a/2 | m/a started/2 > start m/a | m/a ok/2, m out > collect m = busy",
    );
    // Timers keep their time, and fire with the slot.
    check(
        "m; m mutex { w -> a }; w: wait",
        "begin, m claims k, m granted k, m/w waits 500, crash, m lost k, admitted, @600, m granted k",
        "> run m | m claims k | m granted, m in > run m/w | m/w waits@500 | - | m lost its slot | m claims k | - | m granted > fire m/w = busy",
    );
    // Also where the slot that comes back is one of the execution, with that of the body around it.
    check(
        "o; o mutex { m }; m mutex { w -> a }; w: wait",
        "begin, o claims x, o granted x, o/m claims y own, o/m/w waits 500, crash, o lost x, admitted, @600, o granted x",
        "> run o | o claims x | o granted, o in > run o/m | o/m claims y, o/m granted, o/m in > run o/m/w | o/m/w waits@500 | - | o lost its slot, o/m lost its slot | o claims x | - | o granted, o/m claims y, o/m granted > fire o/m/w = busy",
    );
}

#[test]
fn a_slot_that_does_not_come_back_fails_the_body() {
    check(
        "m, m.error -> z; m mutex { a }; a: write",
        "begin, m claims k, m granted k, crash, m lost k, admitted, m/a withheld, @1000",
        "> run m | m claims k | m granted, m in > prepare m/a | > prepare m/a | m lost its slot | m claims k | - | m given up LOCK_TIMEOUT, m out > collect m (`k` was not free within 1s; `lock_timeout` allows no more) = busy",
    );
    check(
        "m, m.error -> z; m mutex { a }; a: write",
        "begin, m claims k fails, m granted k, crash, m lost k, m/a cancelled",
        "> run m | m claims k | m granted, m in > prepare m/a | > prepare m/a | m lost its slot, m given up LOCK_LOST > abort m/a | m out > collect m (`k` was lost with the worker that ran the body; others may have had it since) = busy",
    );
}

#[test]
fn the_outer_slot_comes_back_before_the_inner_one() {
    check(
        "o; o mutex { m }; m mutex { a }; a: write",
        "begin, o claims x, o granted x, o/m claims y, o/m granted y, crash, o/m lost y, o lost x, admitted, o/m/a withheld, o granted x, o/m granted y",
        "> run o | o claims x | o granted, o in > run o/m | o/m claims y | o/m granted, o/m in > prepare o/m/a | > prepare o/m/a | o/m lost its slot | o lost its slot | o claims x | - | o granted, o/m claims y | o/m granted > prepare o/m/a = busy",
    );
}

#[test]
fn without_its_slot_a_body_holds_no_other_one() {
    let text = "o; o mutex { m }; m mutex { a }; a: write";
    check(
        text,
        "begin, o claims x, o granted x, o/m claims y own, crash, o lost x, admitted, o/m/a withheld, o granted x",
        "> run o | o claims x | o granted, o in > run o/m | o/m claims y, o/m granted, o/m in > prepare o/m/a | > prepare o/m/a | o lost its slot, o/m lost its slot | o claims x | - | o granted, o/m claims y, o/m granted > prepare o/m/a = busy",
    );
    assert_eq!(
        slots(
            text,
            "begin, o claims x, o granted x, o/m claims y, o/m granted y, crash, o lost x, admitted"
        )[5..],
        ["o~1 x 1, o/m~2 y 1", "", "o~3 x 1"]
    );
    // What it waits for it might be granted, too.
    assert_eq!(
        slots(
            text,
            "begin, o claims x, o granted x, o/m claims y, crash, o lost x, o/m granted y"
        )[4..],
        ["o~1 x 1, o/m~2 y 1", "", ""]
    );
    // Otherwise the one who has the outer slot meanwhile would wait here for the inner one.
    let mut rig = Rig::new(plan(
        "e; e each { o }; o mutex { m }; m mutex { a }; a: write; e: window 2",
    ));
    let script = "begin, e open 2, e[0] with x, e[1] with y, e[0]/o claims x, e[1]/o claims x, e[0]/o granted x, e[0]/o/m claims y own, crash, e[0]/o lost x, admitted, e[0]/o/m/a withheld, e[1]/o granted x, e[1]/o/m claims y own, e[1]/o/m/a start";
    for step in script.split(", ") {
        take(&mut rig, step);
    }
}

#[test]
fn who_waits_for_its_turn_holds_nothing_else() {
    let script = "begin, m claims k, m granted k, crash, queued, m/a withheld, admitted, m~1 granted k, m~2 granted k";
    check(
        ONE,
        script,
        "> run m | m claims k | m granted, m in > prepare m/a | > prepare m/a | m lost its slot | - | m claims k | - | m granted > prepare m/a = busy",
    );
    assert_eq!(
        slots(ONE, script),
        [
            "", "m~1 k 1", "m~1 k 1", "m~1 k 1", "", "", "m~2 k 1", "m~2 k 1", "m~2 k 1"
        ]
    );
    // Also what only waited is not granted meanwhile.
    check(
        ONE,
        "begin, m claims k, crash, queued, m~1 granted k, @2000, admitted, @2999, @3000",
        "> run m | m claims k | - | m lost its slot | - | - | m claims k | - | > expire m = busy",
    );
}

#[test]
fn slots_of_the_execution_go_from_one_to_the_next() {
    check(
        "m, n; m mutex { a }; n mutex { b }",
        "begin, n claims k own, m claims k own, n/b ok, m/a ok",
        "> run m, run n | n claims k, n granted, n in > run n/b | m claims k | n/b ok/1, n out, m granted, m in > collect n, run m/a | m/a ok/1, m out > collect m = busy",
    );
    // Two permits, three that want one.
    check(
        "m, n, o; m mutex { a }; n mutex { b }; o mutex { c }",
        "begin, m claims k own two, n claims k own two, o claims k own two, n/b ok",
        "> run m, run n, run o | m claims k, m granted, m in > run m/a | n claims k, n granted, n in > run n/b | o claims k | n/b ok/1, n out, o granted, o in > collect n, run o/c = busy",
    );
}

#[test]
fn a_pause_keeps_what_was_granted_until_it_is_over() {
    check(
        ONE,
        "begin, m claims k, pause, m granted k, unpause",
        "> run m | m claims k | paused | m granted | resumed, m in > prepare m/a = busy",
    );
}

#[test]
fn a_body_may_take_only_its_time() {
    check(
        "m, m.error -> z; m mutex { a }",
        "begin, m claims k briefly, @100, m granted k, @399, @400, m/a cancelled",
        "> run m | m claims k | - | m granted, m in@400 > run m/a | - | m too long > abort m/a | m out > collect m (the body took longer than its node allows) = busy",
    );
}

#[test]
fn nobody_waits_for_itself() {
    let mut rig = Rig::new(plan("o; o mutex { m }; m mutex { a }"));
    for step in ["begin", "o claims k", "o granted k"] {
        take(&mut rig, step);
    }
    let inner = id("o/m");
    let claim = |rig: &Rig, key: &str| {
        let at = rig.machine.state().find(&rig.plan, &id("o")).unwrap();
        let held = rig.machine.state().get(at).unwrap().claim.clone().unwrap();
        let mut wanted = held.wanted.clone();
        wanted.key = key.into();
        rig.machine.refuses_claim(&inner, &wanted)
    };
    assert_eq!(claim(&rig, "k").unwrap().code, "LOCK_HELD");
    assert_eq!(claim(&rig, "other"), None);
}

#[test]
fn an_execution_claims_only_so_many() {
    let most = nebula_execution::MAX_CLAIMS;
    let ids: Vec<_> = (0..=most).map(|n| format!("m{n}")).collect();
    let bodies: Vec<_> = ids
        .iter()
        .map(|id| format!("{id} mutex {{ {id}a }}"))
        .collect();
    let text = format!("{}; {}; *: limit 500", ids.join(", "), bodies.join("; "));
    let mut rig = Rig::new(plan(&text));
    take(&mut rig, "begin");
    for id in &ids[..most] {
        take(&mut rig, &format!("{id} claims {id}"));
    }
    let wanted = {
        let (_, activation) = rig.machine.state().all().next().unwrap();
        activation.claim.clone().unwrap().wanted
    };
    let refused = rig.machine.refuses_claim(&id(&ids[most]), &wanted);
    assert_eq!(refused.unwrap().code, "LOCK_LIMIT");
}
