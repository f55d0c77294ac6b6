//! What runbooks are made into, and what is said of those that are wrong.

use std::collections::BTreeSet;

use nebula_runbook::{codes, parse};
use nebula_workflow::{Severity, Source, to_json};
use serde_json::Value;

/// The runbook of the first design, with the capability that its computed address needs.
const UNHEALTHY: &str = include_str!("unhealthy.yaml");

/// One of every kind of step.
const EVERYTHING: &str = include_str!("everything.yaml");

fn made(name: &str, text: &str) -> Value {
    let parsed = parse(&Source::new(name, text));
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
    to_json(&parsed.definition.unwrap())
}

#[test]
fn the_runbook_of_the_first_design_becomes_this_workflow() {
    insta::assert_json_snapshot!(made("unhealthy.yaml", UNHEALTHY));
}

#[test]
fn every_kind_of_step_becomes_this_workflow() {
    insta::assert_json_snapshot!(made("everything.yaml", EVERYTHING));
}

#[test]
fn what_has_nodes_is_read_as_a_workflow() {
    let text = "nodes: [{ id: a, action: data.set }]\nsteps: []\n";
    let codes: Vec<_> = parse(&Source::new("a.yaml", text))
        .diagnostics
        .iter()
        .map(|it| it.code)
        .collect();
    assert_eq!(codes, ["WORKFLOW_UNKNOWN_FIELD"]);
    let text = "nodes: [{ id: a, action: data.set }]\n";
    assert_eq!(made("a.yaml", text)["id"], "a");
}

/// A runbook with one thing changed: what is said, where, and what to do.
fn check(change: (&str, &str), expected: &[(&str, &str, &str)]) -> BTreeSet<&'static str> {
    let (from, to) = change;
    assert!(from.is_empty() || UNHEALTHY.contains(from), "{from}");
    let text = if from.is_empty() {
        to.to_owned()
    } else {
        UNHEALTHY.replacen(from, to, 1)
    };
    let source = Source::new("r.yaml", text);
    let parsed = parse(&source);
    let located = parsed.map.locate_all(&parsed.diagnostics, &source);
    let said: Vec<_> = located
        .iter()
        .map(|it| {
            (
                &*it.code,
                format!("{}:{} {}", it.line, it.column, it.pointer),
            )
        })
        .collect();
    let wanted: Vec<_> = expected
        .iter()
        .map(|(code, place, _)| (*code, (*place).to_owned()))
        .collect();
    assert_eq!(said, wanted, "{from} → {to}: {located:#?}");
    for (located, (_, _, part)) in located.iter().zip(expected) {
        let hint = located.hint.as_deref().unwrap_or_default();
        let whole = format!("{}; {hint}", located.message);
        assert!(whole.contains(part), "{whole}");
        assert!(!hint.is_empty(), "what to do is missing: {whole}");
        assert!(!located.message.ends_with('.'));
    }
    let bad = parsed
        .diagnostics
        .iter()
        .any(|it| it.severity == Severity::Error);
    assert_eq!(parsed.definition.is_none(), bad);
    parsed.diagnostics.iter().map(|it| it.code).collect()
}

#[test]
fn every_mistake_is_said_with_its_place_and_what_to_do() {
    let mut seen = BTreeSet::new();
    let mut says = |from: &str, to: &str, expected: &[(&str, &str, &str)]| {
        seen.extend(check((from, to), expected));
    };
    says(
        "trigger:",
        "triger:",
        &[(
            "RUNBOOK_UNKNOWN_FIELD",
            "2:1 /triger",
            "did you mean `trigger`?",
        )],
    );
    says(
        "      level: warn",
        "      levl: warn",
        &[(
            "RUNBOOK_UNKNOWN_FIELD",
            "10:7 /steps/0/params/levl",
            "did you mean `level`?",
        )],
    );
    says(
        "after_failures",
        "after",
        &[
            (
                "RUNBOOK_UNKNOWN_FIELD",
                "43:3 /escalation/after",
                "its fields are `after_failures`, `notify`",
            ),
            (
                "RUNBOOK_MISSING_FIELD",
                "43:3 /escalation",
                "after_failures: 3",
            ),
        ],
    );
    says(
        "level: warn",
        "level: loud",
        &[(
            "RUNBOOK_VALUE",
            "10:14 /steps/0/params/level",
            "`loud` is not one of",
        )],
    );
    says(
        "duration: 30s",
        "duration: 30",
        &[(
            "RUNBOOK_TYPE",
            "22:17 /steps/2/params/duration",
            "the number 30",
        )],
    );
    says(
        "duration: 30s",
        "duration: 30 sheep",
        &[("RUNBOOK_VALUE", "22:17 /steps/2/params/duration", "30s")],
    );
    says(
        "command: restart",
        "command: rm",
        &[(
            "RUNBOOK_VALUE",
            "16:16 /steps/1/params/command",
            "`rm` is not one of `restart`, `start`, `stop`",
        )],
    );
    says(
        "action: health_check",
        "action: health_chek",
        &[(
            "RUNBOOK_ACTION",
            "25:13 /steps/3/action",
            "did you mean `health_check`?",
        )],
    );
    says(
        "action: health_check",
        "action: flow.loop",
        &[("RUNBOOK_ACTION", "25:13 /steps/3/action", "flow.call")],
    );
    says(
        "steps.check_health",
        "steps.chek_health",
        &[(
            "RUNBOOK_UNKNOWN_STEP",
            "34:26 /steps/4/condition",
            "did you mean `check_health`?",
        )],
    );
    says(
        "health.failed",
        "health.faild",
        &[(
            "RUNBOOK_UNKNOWN_STEP",
            "34:39 /steps/4/condition",
            "did you mean `failed`?",
        )],
    );
    says(
        "check_health.failed",
        "check_health",
        &[(
            "RUNBOOK_UNKNOWN_STEP",
            "34:20 /steps/4/condition",
            "write `steps.<id>.`",
        )],
    );
    says(
        "Service {{ service.name }} is",
        "It {{ steps.check_health.failed }} is",
        &[(
            "RUNBOOK_UNKNOWN_STEP",
            "11:29 /steps/0/params/message",
            "has not run yet",
        )],
    );
    says(
        "service.restart_count < 3",
        "steps.check_health.failed",
        &[(
            "RUNBOOK_UNKNOWN_STEP",
            "4:48 /trigger/condition",
            "before the trigger",
        )],
    );
    says(
        "service.restart_count <",
        "servce.restart_count <",
        &[(
            "RUNBOOK_NAME",
            "4:48 /trigger/condition",
            "a runbook has `service`, `steps`",
        )],
    );
    says(
        "service.container_id }}",
        "service.container_id",
        &[(
            "RUNBOOK_EXPRESSION",
            "17:19 /steps/1/params/container",
            "`{{` has no `}}`",
        )],
    );
    says(
        "service.container_id }}",
        "service. }}",
        &[("RUNBOOK_EXPRESSION", "17:30 /steps/1/params/container", "")],
    );
    says(
        "Check health",
        "Wait for health",
        &[
            (
                "RUNBOOK_DUPLICATE_STEP",
                "24:5 /steps/3",
                "both have the id `wait_for_health`",
            ),
            (
                "RUNBOOK_UNKNOWN_STEP",
                "34:26 /steps/4/condition",
                "there is no step `check_health`",
            ),
        ],
    );
    says(
        "name: Attempt restart",
        "name: Runbook restart",
        &[(
            "RUNBOOK_VALUE",
            "13:11 /steps/1/name",
            "begins with `runbook_`",
        )],
    );
    says(
        "channel: discord",
        "channel: dis cord",
        &[(
            "RUNBOOK_VALUE",
            "36:16 /steps/4/params/channel",
            "notify.<channel>",
        )],
    );
    says(
        "after_failures: 3",
        "after_failures: 0",
        &[(
            "RUNBOOK_VALUE",
            "43:19 /escalation/after_failures",
            "from 1 to 1000",
        )],
    );
    says(
        "type: alert",
        "type: cron",
        &[("RUNBOOK_VALUE", "3:9 /trigger/type", "write one of `alert`")],
    );
    says(
        "    requires: [\"net:{{ service.host }}\"]\n",
        "",
        &[(
            "RUNBOOK_CAPABILITY",
            "27:12 /steps/3/params/url",
            "asks for no capability",
        )],
    );
    says(
        "name: restart-unhealthy-service",
        "name: …",
        &[("RUNBOOK_VALUE", "1:7 /name", "no letter or digit")],
    );
    says(
        "",
        "name: a\nsteps: 3\n",
        &[("RUNBOOK_TYPE", "2:8 /steps", "a list is needed")],
    );
    says(
        "",
        "name: a\nsteps: []\n",
        &[("RUNBOOK_VALUE", "2:8 /steps", "1 to 100 steps")],
    );
    says(
        "",
        "steps: [4]\n",
        &[
            ("RUNBOOK_MISSING_FIELD", "1:1 /steps", "name: restart-shop"),
            ("RUNBOOK_TYPE", "1:9 /steps/0", "a step is an object"),
        ],
    );
    let all: BTreeSet<_> = codes().iter().map(|(code, _)| *code).collect();
    assert_eq!(seen, all, "each code has a case");
}

#[test]
fn more_steps_than_the_limit_are_refused() {
    let step =
        |n: usize| format!("  - {{ name: s{n}, action: wait, params: {{ duration: 1s }} }}\n");
    let text = |count: usize| {
        format!(
            "name: a\nsteps:\n{}",
            (0..count).map(step).collect::<String>()
        )
    };
    let at_most = parse(&Source::new("a.yaml", text(nebula_runbook::MAX_STEPS)));
    assert!(at_most.definition.is_some(), "{:#?}", at_most.diagnostics);
    let beyond = parse(&Source::new("a.yaml", text(nebula_runbook::MAX_STEPS + 1)));
    assert_eq!(beyond.diagnostics[0].code, "RUNBOOK_VALUE");
}

proptest::proptest! {
    /// Whatever becomes of a text, it is a workflow or has an error, and every problem lies in it.
    #[test]
    fn a_text_that_is_cut_and_mixed_up_is_read_without_a_panic(
        from in 0..EVERYTHING.len(),
        length in 0..60_usize,
        to in 0..EVERYTHING.len(),
        word in "[a-z{}'\".:$ \\[\\]|&-]{0,8}",
    ) {
        let mut text: Vec<u8> = EVERYTHING.bytes().collect();
        let cut: Vec<u8> = text.drain(from..(from + length).min(EVERYTHING.len())).collect();
        let to = to.min(text.len());
        text.splice(to..to, cut.into_iter().chain(word.bytes()));
        let source = Source::new("a.yaml", String::from_utf8_lossy(&text).into_owned());
        let parsed = parse(&source);
        let bad = parsed.diagnostics.iter().any(|it| it.severity == Severity::Error);
        assert_eq!(parsed.definition.is_none(), bad);
        for problem in &parsed.diagnostics {
            let place = parsed.map.locate(problem);
            assert!(source.text.get(place).is_some(), "{problem:?}");
        }
    }
}
