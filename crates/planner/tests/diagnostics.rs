//! Every problem that the planner reports, with its place and hint.

mod catalog;

use std::collections::BTreeSet;

use catalog::{actions, plan_of, planned};
use nebula_planner::{Callees, PlanSettings, codes, more_problems, plan};
use nebula_workflow::{Connection, Diagnostic, Source, parse};

/// Compares every diagnostic: `code pointer: message (hint)`, one a line.
#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    let planned = planned(yaml, &PlanSettings::default());
    let shown: Vec<String> = planned.diagnostics.iter().map(show).collect();
    assert_eq!(shown, expected, "\n{yaml}");
    assert_eq!(
        planned.plan.is_some(),
        !planned.diagnostics.iter().any(Diagnostic::is_error)
    );
}

fn show(diagnostic: &Diagnostic) -> String {
    let hint = diagnostic.hint.as_ref().map(|hint| format!(" ({hint})"));
    let hint = hint.unwrap_or_default();
    format!(
        "{} {}: {}{hint}",
        diagnostic.code, diagnostic.pointer, diagnostic.message
    )
}

#[test]
fn an_unknown_action_has_a_hint() {
    check(
        "nodes: [{ id: a, action: data.sett }]",
        &[
            "PLAN_UNKNOWN_ACTION /nodes/0/action: there is no action `data.sett` (did you mean `data.set`?)",
        ],
    );
    check(
        "nodes: [{ id: a, action: mail.send }]",
        &[
            "PLAN_UNKNOWN_ACTION /nodes/0/action: there is no action `mail.send` (`nebula actions list` lists all actions)",
        ],
    );
}

/// What planning adds to the problems of a definition that could not be read whole.
#[track_caller]
fn check_more(yaml: &str, expected: &[&str]) {
    let parsed = parse(&Source::new("test.yaml", yaml));
    let (catalog, callees) = (actions(), Callees::default());
    let rest = parsed.rest.expect("some of it could be read");
    let settings = PlanSettings::default();
    let found = more_problems(&rest, (&catalog, &callees), &settings, &parsed.diagnostics);
    let shown: Vec<String> = found.iter().map(show).collect();
    assert_eq!(shown, expected, "\n{yaml}\n{:#?}", parsed.diagnostics);
}

#[test]
fn a_node_that_could_not_be_read_is_not_missed_by_others() {
    let reads = "{ id: a, action: data.set, parameters: { x: \"{{ $nodes.b.result }}\" } }";
    let unknown =
        "NAME_UNKNOWN_NODE /nodes/0/parameters/x: there is no node `b` (did you mean `a`?)";
    for other in ["{ action: data.set }", "{ id: b c, action: data.set }"] {
        check_more(&format!("nodes: [ {reads}, {other} ]"), &[]);
    }
    let other = "{ id: c, action: data.set, retry: 7 }";
    check_more(&format!("nodes: [ {reads}, {other} ]"), &[unknown]);
}

#[test]
fn an_approval_that_nobody_can_decide_is_refused_whatever_it_shows() {
    let approval = |parameters: &str| {
        format!("nodes: [{{ id: a, action: flow.approval, parameters: {{ {parameters} }} }}]")
    };
    let nobody = "approvers: [ann], quorum: 2";
    for shown in [
        "",
        "title: \"{{ $input.t }}\", ",
        "artifact: \"{{ $input.a }}\", ",
        "artifact: { of: \"{{ $input.a }}\" }, ",
    ] {
        check(
            &approval(&format!("{shown}{nobody}")),
            &[
                "PLAN_PARAMETER /nodes/0/parameters/quorum: action `flow.approval`: `quorum` is 2, and only 1 may vote",
            ],
        );
    }
    // Who decides is known when it runs.
    check(&approval("approvers: \"{{ $input.who }}\", quorum: 2"), &[]);
}

#[test]
fn a_node_of_an_unknown_action_hides_nothing_else() {
    check(
        "nodes: [{ id: a, action: data.sett, when: \"$nodes.b.result\", parameters: { x: \"{{ $json. }}\", y: \"{{ $nodes.b.result }}\", z: \"{{ $item.id }}\" } }, { id: b, action: data.set }]\nconnections: [a -> b]",
        &[
            "PLAN_UNKNOWN_ACTION /nodes/0/action: there is no action `data.sett` (did you mean `data.set`?)",
            "PLAN_NOT_UPSTREAM /nodes/0/when: node `a` reads `b`, which does not run before it (connect `b` to `a`, directly or through other nodes)",
            "SYNTAX_END /nodes/0/parameters/x: expected a name after the dot, but the text ends",
        ],
    );
}

#[test]
fn an_expression_that_always_fails_is_pointed_out() {
    check(
        "nodes: [{ id: a, action: data.set, parameters: { n: \"{{ 1 + JSON.parse('[').n }}\" } }]",
        &[
            "PLAN_ALWAYS_FAILS /nodes/0/parameters/n: this expression always fails: the text is not JSON: line 1, column 2 of 1 bytes (check that it is text, and not an object or undefined already)",
        ],
    );
    // What need not be reached, or depends on data, is left for the run.
    for fine in ["true ? 1 : null.x", "null.x ?? $input", "24 * 60"] {
        check(
            &format!(
                "nodes: [{{ id: a, action: data.set, parameters: {{ n: \"{{{{ {fine} }}}}\" }} }}]"
            ),
            &[],
        );
    }
}

#[test]
fn an_unknown_version_lists_those_that_exist() {
    check(
        "nodes: [{ id: a, action: data.set@3 }]",
        &[
            "PLAN_UNKNOWN_VERSION /nodes/0/action: there is no version of `data.set` that satisfies `data.set@3` (there is @1.0, @1.3, @2.0)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set@1.4 }]",
        &[
            "PLAN_UNKNOWN_VERSION /nodes/0/action: there is no version of `data.set` that satisfies `data.set@1.4` (there is @1.0, @1.3, @2.0)",
        ],
    );
}

#[test]
fn ports_and_inputs_must_exist() {
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }]\nconnections: [a.done -> b]",
        &["PLAN_UNKNOWN_PORT /connections/0: node `a` has no output port `done` (it has `main`)"],
    );
    check(
        r#"nodes: [{ id: a, action: flow.if, parameters: { condition: "true" } }, { id: b, action: data.set }]
connections: [a.tru -> b]"#,
        &[
            "PLAN_UNKNOWN_PORT /connections/0: node `a` has no output port `tru` (did you mean `true`?)",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: flow.switch, parameters: { cases: { high: "true" } } }, { id: b, action: data.set }]
connections: [a.low -> b]"#,
        &[
            "PLAN_UNKNOWN_PORT /connections/0: node `a` has no output port `low` (it has `high`, `default`)",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.merge }]
connections: ["a -> b:lft"]"#,
        &["PLAN_UNKNOWN_INPUT /connections/0: node `b` has no input `lft` (did you mean `left`?)"],
    );
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.merge }]\nconnections: [a -> b]",
        &[
            "PLAN_UNKNOWN_INPUT /connections/0: node `b` has no input `main` (it has `left`, `right`)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }]\nconnections: [a.error -> b]",
        &[],
    );
}

#[test]
fn a_case_may_not_take_the_name_of_another_port() {
    check(
        r#"nodes: [{ id: a, action: flow.switch, parameters: { cases: { error: "true", default: "true" } } }]"#,
        &[
            "PLAN_PARAMETER /nodes/0/parameters/cases/error: `error` is the port of failures (give the case another name)",
            "PLAN_PARAMETER /nodes/0/parameters/cases/default: `default` is the port of what no case takes (give the case another name)",
        ],
    );
}

#[test]
fn a_cycle_is_named_once() {
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set }]\nconnections: [a -> b -> c -> b]",
        &[
            "PLAN_CYCLE /connections/0: nodes wait for each other: b → c → b (take one of these connections away, or write `loop: true` at the one that goes back)",
        ],
    );
}

#[test]
fn unequal_rates_name_the_nodes_where_they_meet() {
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: each }, { id: d, action: data.set }, { id: e, action: data.set }]\nconnections: [a -> c, b -> c, c -> d, a -> d, d -> e, a -> e]",
        &[
            "PLAN_UNEQUAL_RATES /nodes/3: node `d` joins `c`, which sends 2 token(s), with `a`, which sends 1 (write `join: each` here, or join both before the node that multiplies them)",
        ],
    );
}

#[test]
fn a_join_counts_no_further_than_its_connections() {
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set, join: { count: 2 } }]",
        &["PLAN_JOIN_COUNT /nodes/1/join: node `b` waits for 2 live tokens, and has 1 connections"],
    );
    check(
        "nodes: [{ id: a, action: data.set, join: { count: 1 } }]\nconnections: []",
        &["PLAN_JOIN_COUNT /nodes/0/join: node `a` waits for 1 live tokens, and has 0 connections"],
    );
}

#[test]
fn a_node_that_is_read_runs_before() {
    check(
        r#"nodes: [{ id: a, action: data.set, parameters: { x: "{{ $nodes.b.result }}" } }, { id: b, action: data.set }]"#,
        &[
            "PLAN_NOT_UPSTREAM /nodes/0/parameters/x: node `a` reads `b`, which does not run before it (connect `b` to `a`, directly or through other nodes)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set, when: $nodes.a.success }]\nconnections: []",
        &[
            "PLAN_NOT_UPSTREAM /nodes/1/when: node `b` reads `a`, which does not run before it (connect `a` to `b`, directly or through other nodes)",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set, parameters: { x: "{{ $nodes.b.result }}" } }]"#,
        &[
            "PLAN_NOT_UPSTREAM /nodes/1/parameters/x: node `b` reads its own result, which does not exist yet (read it in a connection's condition, or in a node behind this one)",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set, parameters: { x: "{{ $nodes.aa.result }}" } }]"#,
        &["NAME_UNKNOWN_NODE /nodes/1/parameters/x: there is no node `aa` (did you mean `a`?)"],
    );
}

#[test]
fn a_node_that_may_not_have_finished_is_read_with_a_question_mark() {
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: any, parameters: { x: "{{ $nodes.a.result }}" } }]
connections: [a -> c, b -> c]"#,
        &[
            "PLAN_NOT_CERTAIN /nodes/2/parameters/x: node `c` reads `a`, which may not have finished by then (write `$nodes.a?.`, and say what holds without it)",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: any, parameters: { x: "{{ $nodes.a?.result ?? 1 }}" } }]
connections: [a -> c, b -> c]"#,
        &[],
    );
    check(
        r#"nodes: [{ id: s, action: data.set }, { id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: any, parameters: { x: "{{ $nodes.s.result }}" } }]
connections: [s -> a -> c, s -> b -> c]"#,
        &[],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: { count: 2 }, parameters: { x: "{{ $nodes.a.result }}" } }]
connections: [a -> c, b -> c]"#,
        &[],
    );
}

#[test]
fn json_is_one_value() {
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, parameters: { x: "{{ $json }}" } }]
connections: [a -> c, b -> c]"#,
        &[
            "PLAN_SEVERAL_INPUTS /nodes/2/parameters/x: `$json` is read in node `c`, where 2 values can arrive (read `$inputs.main`, a list, or `$nodes.<id>.result`; or write `join: any` if only one comes)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.filter, parameters: { condition: $item.ok } }]\nconnections: [a -> c, b -> c]",
        &[
            "PLAN_SEVERAL_INPUTS /nodes/2/parameters/items: `$json` is read in node `c`, where 2 values can arrive (read `$inputs.main`, a list, or `$nodes.<id>.result`; or write `join: any` if only one comes)",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: any, parameters: { x: "{{ $json }}" } }]
connections: [a -> c, b -> c]"#,
        &[],
    );
    check(
        "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, each_item: true }]\nconnections: [a -> c, b -> c]",
        &[
            "PLAN_SEVERAL_INPUTS /nodes/2/each_item: `$json` is read in node `c`, where 2 values can arrive (read `$inputs.main`, a list, or `$nodes.<id>.result`; or write `join: any` if only one comes)",
        ],
    );
    // Only a handler's `catch` reads the failure.
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, parameters: { catch: { x: "{{ $json }}" } } }]
connections: [a -> c, b -> c]"#,
        &[
            "PLAN_SEVERAL_INPUTS /nodes/2/parameters/catch/x: `$json` is read in node `c`, where 2 values can arrive (read `$inputs.main`, a list, or `$nodes.<id>.result`; or write `join: any` if only one comes)",
        ],
    );
}

#[test]
fn roots_exist_at_their_places_only() {
    check(
        r#"nodes: [{ id: a, action: data.set, parameters: { x: "{{ $item }} {{ $item }}" } }]"#,
        &[
            "PLAN_ROOT_NOT_HERE /nodes/0/parameters/x: `$item` does not exist here: it is the element of a `for_each` or of a list action, and belongs into its parameters",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set, for_each: $item, parameters: { x: "{{ $index }}" } }]"#,
        &[
            "PLAN_ROOT_NOT_HERE /nodes/0/for_each: `$item` does not exist here: it is the element of a `for_each` or of a list action, and belongs into its parameters",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set, parameters: { x: "{{ $loop.index }}" } }]"#,
        &[
            "PLAN_ROOT_NOT_HERE /nodes/0/parameters/x: `$loop` does not exist here: it is the round of a `flow.loop`, and belongs into its body",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set, requires: ["fs:read:{{ $json.dir }}"] }]"#,
        &[
            "PLAN_ROOT_NOT_HERE /nodes/0/requires/0: `$json` does not exist here: capabilities are settled before anything runs; only `$input` can be read",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }, { id: b, action: data.set, requires: ["fs:read:{{ $nodes.a.result }}"] }]"#,
        &[
            "PLAN_ROOT_NOT_HERE /nodes/1/requires/0: `$nodes` does not exist here: capabilities are settled before anything runs (only `$input` can be read)",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set }]
output: "{{ $json }}""#,
        &[
            "PLAN_ROOT_NOT_HERE /output: `$json` does not exist here: the output belongs to no node; read `$nodes.<id>.result`",
        ],
    );
}

#[test]
fn literal_parameters_fit_the_schema_and_dynamic_ones_may() {
    check(
        "nodes: [{ id: a, action: file.write, parameters: { path: 1 } }]",
        &[
            "PLAN_PARAMETER /nodes/0/parameters/path: action `file.write`: must be a string, not an integer",
        ],
    );
    check(
        "nodes: [{ id: a, action: file.write, parameters: { path: x, mod: append } }]",
        &[
            "PLAN_PARAMETER /nodes/0/parameters/mod: action `file.write` has no parameter `mod` (did you mean `mode`?)",
        ],
    );
    check(
        "nodes: [{ id: a, action: file.write, parameters: { path: x, on_error: continue } }]",
        &[
            "PLAN_PARAMETER /nodes/0/parameters/on_error: action `file.write` has no parameter `on_error` (`on_error` belongs to the node: write it beside `parameters`)",
        ],
    );
    check(
        "nodes: [{ id: a, action: file.write, parameters: { content: x } }]",
        &["PLAN_PARAMETER /nodes/0/parameters: action `file.write`: `path` is missing"],
    );
    check(
        r#"nodes: [{ id: a, action: file.write, parameters: { path: x, mode: "{{ $json.mode }}", content: "n {{ $json.n }}" } }]"#,
        &[],
    );
}

#[test]
fn schemas_must_be_schemas() {
    check(
        "input: { type: 5 }\noutput_schema: { minimum: x }\nnodes: [{ id: a, action: data.set }]",
        &[
            "PLAN_SCHEMA /input/type: must be one of \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\", \"string\"",
            "PLAN_SCHEMA /output_schema/minimum: must be a number, not a string",
        ],
    );
    check(
        "nodes: [{ id: a, action: test.broken }, { id: b, action: test.broken }]",
        &[
            "PLAN_SCHEMA /nodes/0/parameters: the schema of action `test.broken` is no schema: the schema is wrong at /type: must be one of \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\", \"string\"",
        ],
    );
}

#[test]
fn capabilities_are_text_of_a_known_kind() {
    check(
        r#"nodes: [{ id: a, action: data.set, requires: ["files:read:/"] }]"#,
        &[
            "PLAN_CAPABILITY /nodes/0/requires/0: `files:read:/` is no capability; write fs:read:<dir>, fs:write:<dir>, net:<host>[:port], secret:<id>, process:<program>, env:<name>, workflow:<id>, llm:<model> or blob",
        ],
    );
}

#[test]
fn what_is_about_items_needs_a_list() {
    check(
        "nodes: [{ id: a, action: data.set, complete_when: 2, rest: absorb, on_item_error: collect }]",
        &[
            "PLAN_LIST /nodes/0/complete_when: `complete_when` is about the items of a list, and node `a` has none (it belongs to `for_each`, `each_item` or flow.for_each)",
            "PLAN_LIST /nodes/0/on_item_error: `on_item_error` is about the items of a list, and node `a` has none (it belongs to `for_each`, `each_item` or flow.for_each)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, rest: absorb }]",
        &[
            "PLAN_LIST /nodes/0/rest: `rest` of node `a` says what becomes of the rest of a list that is complete early, and it never is (add `complete_when`, or leave `rest` out)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, complete_when: $item > 1 }]",
        &[
            "PLAN_ROOT_NOT_HERE /nodes/0/complete_when: `$item` does not exist here: it is the element of one item; the item that ended last is `$json.last`",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, complete_when: '$json.succeeded >= 2 || $json.last.result.ok' }]",
        &[],
    );
}

#[test]
fn batches_need_a_connection_that_goes_back() {
    check(
        "nodes: [{ id: b, action: flow.batches }, { id: a, action: data.set }]\nconnections: [b.loop -> a]",
        &[
            "PLAN_BATCHES /nodes/0: no connection leads back to `b`, which goes on with the next part then (end the nodes behind its port `loop` with { from: …, to: b, loop: true })",
        ],
    );
}

#[test]
fn credentials_stand_in_the_slots_of_their_action() {
    let order = |fields: &str| format!("nodes: [{{ id: a, action: shop.order{fields} }}]");
    check(&order(", credentials: { auth: shop-key, log: l.1 }"), &[]);
    check(
        &order(""),
        &[
            "PLAN_CREDENTIALS /nodes/0: `shop.order` needs a credential in its slot `auth`: bearer or basic (write `credentials: { auth: <credential id> }`)",
        ],
    );
    check(&order(", disabled: true"), &[]);
    check(
        &order(", credentials: { auht: shop-key, auth: no/id }"),
        &[
            "PLAN_CREDENTIALS /nodes/0/credentials/auht: `shop.order` has no slot `auht` for a credential (it has `auth` (bearer, basic) and `log` (custom))",
            "PLAN_CREDENTIALS /nodes/0/credentials/auth: credential id has the character '/' at byte 2; a credential id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit (name a credential by its id, as `nebula credentials list` shows it)",
        ],
    );
    let undone = "nodes: [{ id: a, action: shop.order, credentials: { auth: k }, compensate: { action: shop.order } }]";
    check(
        undone,
        &[
            "PLAN_CREDENTIALS /nodes/0/compensate: `shop.order` needs a credential in its slot `auth`: bearer or basic (write `credentials: { auth: <credential id> }`)",
        ],
    );
}

#[test]
fn who_names_a_credential_asks_for_it() {
    let yaml = "nodes: [{ id: a, action: shop.order, credentials: { auth: k }, requires: ['secret:k'], compensate: { action: shop.order, credentials: { auth: u } } }]";
    let plan = planned(yaml, &PlanSettings::default()).plan.unwrap();
    let node = &plan.nodes[0];
    let slot = |slot: &str, id: &str| nebula_execution::PlanCredential {
        slot: slot.into(),
        id: id.parse().unwrap(),
    };
    assert_eq!(node.credentials, [slot("auth", "k")]);
    assert_eq!(node.capabilities, ["secret:k"]);
    let undoing = node.compensation.as_deref().unwrap();
    assert_eq!(undoing.credentials, [slot("auth", "u")]);
    assert_eq!(undoing.capabilities, ["secret:u"]);
    assert!(plan.names_credentials());
    // A build that knows nothing of them would send requests without.
    assert_eq!(plan.format, 4);
    let other = planned(
        "nodes: [{ id: a, action: data.set }]",
        &PlanSettings::default(),
    );
    assert!(!other.plan.unwrap().names_credentials());
}

#[test]
fn what_this_version_cannot_run_is_refused() {
    check(
        "nodes: [{ id: a, action: data.set, credentials: { auth: key } }]",
        &[
            "PLAN_CREDENTIALS /nodes/0/credentials/auth: `data.set` has no slot `auth` for a credential (leave it out: this action takes no credentials)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, cache: true }]",
        &[
            "PLAN_UNSUPPORTED /nodes/0/cache: `cache` cannot be run by this version (leave it out: the node then runs each time)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, each_item: true }]",
        &[
            "PLAN_UNSUPPORTED /nodes/0/each_item: `each_item` beside `for_each` cannot be run by this version (keep one of them)",
        ],
    );
    check(
        "nodes: [{ id: a, action: flow.wait, for_each: $input }]",
        &[
            "PLAN_UNSUPPORTED /nodes/0/for_each: `for_each` with the control action `flow.wait` cannot be run by this version (run a code action for each element, or filter the list with `data.filter`)",
        ],
    );
    check(
        r#"triggers: [{ id: t, type: cron, schedule: "0 3 * * *" }, { id: m, type: mail }]
nodes: [{ id: a, action: data.set }]"#,
        &[
            "PLAN_TRIGGERS_NOT_FIRED /triggers/1/type: triggers of the type `mail` are kept, and this version does not fire them",
        ],
    );
    check(
        r#"admission: { concurrency: 1 }
triggers: [{ id: t, type: interval, every: 1h, overlap: queue, input: { a: "{{ $nodes.a.result }}", b: "{{ 1 + }}" } }]
nodes: [{ id: a, action: data.set }]"#,
        &[
            "PLAN_TRIGGER /triggers/0/input/a: there is no node `a`",
            "PLAN_TRIGGER /triggers/0/input/b: expected a value, but the text ends",
            "PLAN_TRIGGER /triggers/0/overlap: `overlap: queue` waits for the last execution of this trigger, and `admission` has its own queue (leave `overlap` out: `admission` says how many run at a time)",
        ],
    );
    check(
        r#"timezone: Asia/Kathmandu
triggers: [{ id: a, type: cron, schedule: "61 * * * *" }, { id: b, type: interval }, { id: c, type: once, at: "2026-03-14T09:26:53Z", misfires: all, x: 1 }]
nodes: [{ id: a, action: data.set }]"#,
        &[
            "PLAN_TRIGGER /triggers/0/schedule: `schedule`: the minute `61` is not one: it takes 0 to 59, `*`, ranges, lists and steps",
            "PLAN_TRIGGER /triggers/1: `every`: it is missing; write it like `every: 15m`",
            "PLAN_TRIGGER /triggers/2/misfires: `misfires`: a trigger of this kind has no such field (did you mean `misfire`?)",
            "PLAN_TRIGGER /triggers/2/x: `x`: a trigger of this kind has no such field (it has at, jitter, misfire, overlap, window)",
        ],
    );
    check(
        r#"triggers: [{ id: a, type: webhook }, { id: b, type: webhook, auth: none, filter: "$nodes.a.result", dedupe: "1 +", body_schema: { type: 5 } }]
nodes: [{ id: a, action: data.set }]"#,
        &[
            "PLAN_TRIGGER /triggers/0: `auth`: it is missing; write it like `auth: { type: header, name: X-Api-Key, secret: shop-key }`, or `auth: none` if whoever knows the address may call",
            "PLAN_TRIGGER /triggers/1/filter: there is no node `a`",
            "PLAN_TRIGGER /triggers/1/dedupe: expected a value, but the text ends",
            "PLAN_TRIGGER /triggers/1/body_schema: `body_schema` is no schema: the schema is wrong at /type: must be one of \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\", \"string\"",
        ],
    );
    check(
        r#"admission: { concurrency: 1 }
triggers: [{ id: a, type: workflow, on: [failed, broken], workflows: ["not an id"] }, { id: b, type: event, event: "1st", key: "1 +", on: failed }, { id: c, type: workflow }, { id: d, type: event, event: x, key: $trigger.payload.n, filter: $nodes.a.result }]
nodes: [{ id: a, action: data.set }]"#,
        &[
            "PLAN_TRIGGER /triggers/0/on: `on`: `broken` is none of completed, failed, cancelled, timed_out, parked, approval",
            "PLAN_TRIGGER /triggers/0/workflows: `workflows`: workflow id has the character ' ' at byte 3; a workflow id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
            "PLAN_TRIGGER /triggers/1/on: `on`: a trigger of this kind has no such field (it has batch, debounce, event, filter, key, workflows)",
            "PLAN_TRIGGER /triggers/1/event: `event`: `1st` is no name of an event: it has 1 to 64 letters, digits, `_`, `-` and `.`, the first a letter or `_`",
            "PLAN_TRIGGER /triggers/2: `on`: it is missing; write it like `on: failed`",
            "PLAN_TRIGGER /triggers/3/filter: there is no node `a`",
            "PLAN_TRIGGER /triggers/3/key: `key` lets executions wait for each other, and `admission` has its own queue (leave `key` out, and give `admission` the key: it may read what `input` of the trigger builds)",
        ],
    );
    check(
        "triggers: [{ id: a, type: webhook, auth: none, respond: stream }]\nnodes: [{ id: a, action: data.set }]",
        &[
            "PLAN_TRIGGER /triggers/0/respond: no node of the workflow is a `flow.respond`, which this trigger waits for (add one, or write `respond: last_node`)",
        ],
    );
    // What is literal must fit; what is computed may.
    check(
        r#"input: { type: object, required: [n], properties: { n: { type: integer }, m: { type: string, default: x } } }
triggers: [{ id: a, type: interval, every: 1h, input: { n: x } }, { id: b, type: webhook, auth: none, input: { n: "{{ $trigger.body.n }}" } }, { id: c, type: interval, every: 1h, input: { m: y } }]
nodes: [{ id: a, action: data.set }]"#,
        &[
            "PLAN_TRIGGER /triggers/0/input/n: the input of the workflow: must be an integer, not a string",
            "PLAN_TRIGGER /triggers/2/input: the input of the workflow: `n` is missing",
        ],
    );
}

/// It is a node like those of the workflow, in a place of its own, and changes nothing.
#[test]
fn what_a_trigger_looks_with_is_checked_as_a_node_is() {
    check(
        r#"triggers: [{ id: a, type: poll, look: { action: test.raed } }, { id: b, type: poll, look: { action: shop.order, credentials: { auth: shop } } }, { id: c, type: poll, look: { action: flow.wait, parameters: { for: 1h } } }, { id: d, type: poll, look: { action: test.read, parameters: { x: "{{ 1 + }}" }, retry: 5 }, items: "1 +", cursor: { key: $nodes.a.result } }, { id: f, type: poll, look: { action: test.read }, every: 1ms }, { id: e, type: poll, look: { action: test.read }, cursor: { time: $item.at }, items: $json.all, filter: "1 +" }]
nodes: [{ id: a, action: data.set }]"#,
        &[
            "PLAN_UNKNOWN_ACTION /triggers/0/look/action: there is no action `test.raed` (did you mean `test.read`?)",
            "PLAN_TRIGGER /triggers/1/look/action: `shop.order` is keyed with these parameters, and a look changes nothing (an action that reads; of http.request that is a GET, which a literal `method` says)",
            "PLAN_TRIGGER /triggers/2/look/action: `flow.wait` steers an execution, and looks at nothing (an action that reads, like http.request or file.list)",
            "PLAN_TRIGGER /triggers/3/items: expected a value, but the text ends",
            "PLAN_TRIGGER /triggers/3/cursor/key: there is no node `a`",
            "WORKFLOW_TYPE /triggers/3/look/retry: expected a retry policy as an object, found the number 5",
            "PLAN_TRIGGER /triggers/4/every: `every`: it is too short; at least 1s",
            "PLAN_TRIGGER /triggers/5/filter: expected a value, but the text ends",
        ],
    );
}

#[test]
fn limits_of_attempts_on_what_makes_none_are_pointed_out() {
    check(
        "nodes: [{ id: a, action: flow.wait, parameters: { for: 1h }, timeout: 5s }]",
        &[
            "PLAN_LIMIT_UNUSED /nodes/0/timeout: `timeout` bounds attempts, and `flow.wait` of node `a` makes none: it has no effect (leave it out; flow.wait for a signal has a parameter `timeout`)",
        ],
    );
    check(
        "nodes: [{ id: a, action: flow.loop, parameters: { times: 2 }, heartbeat_timeout: 5s, body: { nodes: [{ id: b, action: data.set, heartbeat_timeout: 5s }] } }]",
        &[
            "PLAN_LIMIT_UNUSED /nodes/0/heartbeat_timeout: `heartbeat_timeout` bounds attempts, and `flow.loop` of node `a` makes none: it has no effect (give the nodes of its body a timeout, or put it into a flow.parallel with the parameter `timeout`)",
        ],
    );
}

#[test]
fn a_retry_that_cannot_help_is_pointed_out() {
    check(
        "nodes: [{ id: a, action: data.set, retry: { max_attempts: 3 } }]",
        &[
            "PLAN_RETRY_POINTLESS /nodes/0/retry: `data.set` touches nothing outside, so each attempt of `a` gives the same (leave `retry` out; handle the failure with `on_error` or the port `error`)",
        ],
    );
    for fine in [
        "id: a, action: data.set, retry: { max_attempts: 1 }",
        "id: a, action: data.set, pin: 1, retry: { max_attempts: 3 }",
        "id: a, action: file.write, parameters: { path: x, content: y }, retry: { max_attempts: 3 }",
    ] {
        check(&format!("nodes: [{{ {fine} }}]"), &[]);
    }
}

#[test]
fn every_expression_is_compiled_and_drawn_in_its_text() {
    check(
        r#"nodes: [{ id: a, action: data.set, when: "1 +", parameters: { x: "a {{ $oops }}" } }, { id: b, action: data.set }]
connections: [{ from: a, to: b, condition: "$json." }]
output: "{{ ) }}""#,
        &[
            "NAME_UNKNOWN_ROOT /nodes/0/parameters/x: there is no `$oops` (there are `$input`, `$inputs`, `$json`, `$item`, `$index`, `$loop`, `$trigger`, `$execution`, `$workflow`, `$vars`, `$nodes`, `$now`, `$today`, `$random`)",
            "SYNTAX_END /nodes/0/when: expected a value, but the text ends",
            "SYNTAX_END /connections/0/condition: expected a name after the dot, but the text ends",
            "SYNTAX_UNEXPECTED /output: expected a value, but there is `)`",
        ],
    );
    check(
        r#"nodes: [{ id: a, action: data.set, idempotency_key: "{{ $nope }}" }]"#,
        &[
            "NAME_UNKNOWN_ROOT /nodes/0/idempotency_key: there is no `$nope` (there are `$input`, `$inputs`, `$json`, `$item`, `$index`, `$loop`, `$trigger`, `$execution`, `$workflow`, `$vars`, `$nodes`, `$now`, `$today`, `$random`)",
        ],
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    check(
        "nodes: [{ id: a, action: nope.nope }, { id: b, action: file.write, parameters: { path: 1 } }, { id: c, action: data.set@9 }]",
        &[
            "PLAN_UNKNOWN_ACTION /nodes/0/action: there is no action `nope.nope` (`nebula actions list` lists all actions)",
            "PLAN_UNKNOWN_VERSION /nodes/2/action: there is no version of `data.set` that satisfies `data.set@9` (there is @1.0, @1.3, @2.0)",
            "PLAN_PARAMETER /nodes/1/parameters/path: action `file.write`: must be a string, not an integer",
        ],
    );
}

/// Workflows that between them make every mistake.
const MISTAKES: &[&str] = &[
    "nodes: [{ id: a, action: data.sett }]",
    "nodes: [{ id: a, action: data.set@3 }]",
    "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }]\nconnections: [a.done -> b]",
    "nodes: [{ id: a, action: data.set }, { id: b, action: data.merge }]\nconnections: [a -> b]",
    "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }]\nconnections: [a -> b -> a]",
    "nodes: [{ id: a, action: data.set }]\nconnections: [{ from: a, to: a, loop: true, max_rounds: 10001 }]",
    "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: each }, { id: d, action: data.set }]\nconnections: [a -> c, b -> c, c -> d, a -> d]",
    "nodes: [{ id: a, action: data.set, join: { count: 1 } }]",
    "nodes: [{ id: a, action: data.set, when: $nodes.b.success }, { id: b, action: data.set }]",
    "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: any, when: $nodes.a.success }]\nconnections: [a -> c, b -> c]",
    "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, when: $json.ok }]\nconnections: [a -> c, b -> c]",
    "nodes: [{ id: a, action: data.set, when: $item.ok }]",
    "nodes: [{ id: a, action: file.write, parameters: { path: 1 } }]",
    "input: { type: 5 }\nnodes: [{ id: a, action: data.set }]",
    "nodes: [{ id: a, action: data.set, requires: [nonsense] }]",
    "nodes: [{ id: a, action: data.set, credentials: { auth: key } }]",
    "nodes: [{ id: a, action: data.set, distribute: true }]",
    "nodes: [{ id: a, action: data.set, runs_on: GPU }]",
    "nodes: [{ id: a, action: data.set, cache: true }]",
    "triggers: [{ id: t, type: interval }]\nnodes: [{ id: a, action: data.set }]",
    "triggers: [{ id: t, type: mail }]\nnodes: [{ id: a, action: data.set }]",
    "nodes: [{ id: a, action: data.set, retry: { max_attempts: 3 } }]",
    "nodes: [{ id: a, action: flow.wait, parameters: { for: 1h }, timeout: 5s }]",
    "nodes: [{ id: a, action: data.set, when: null.x }]",
    "nodes: [{ id: a, action: flow.parallel }]",
    "nodes: [{ id: a, action: flow.call, parameters: { workflow: nobody } }]",
    "id: me\ninput: { type: object, properties: { n: { type: integer } } }\nnodes: [{ id: a, action: flow.call, parameters: { workflow: me, input: { n: x } } }]",
    "nodes: [{ id: a, action: flow.cancel, parameters: { nodes: [a] } }]",
    "nodes: [{ id: a, action: flow.milestone, parameters: { reached: a } }]",
    "nodes: [{ id: a, action: flow.split_tokens, parameters: { count: $input.n } }, { id: b, action: flow.split_tokens, parameters: { count: '{{ $input.n }}' } }]",
    "nodes: [{ id: a, action: data.set, complete_when: 1 }]",
    "nodes: [{ id: a, action: flow.batches }]",
    "nodes: [{ id: a, action: flow.wait, compensate: { action: test.read } }]",
    "nodes: [{ id: a, action: flow.mutex, parameters: { name: x }, body: { nodes: [{ id: b, action: flow.mutex, parameters: { name: x }, body: { nodes: [{ id: c, action: data.set }] } }] } }]",
    "nodes: [{ id: a, action: flow.try, parameters: { finally: b }, body: { nodes: [{ id: c, action: data.set }] } }]",
];

#[test]
fn every_code_is_reported_and_every_reported_code_is_listed() {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for yaml in MISTAKES {
        let planned = planned(yaml, &PlanSettings::default());
        seen.extend(planned.diagnostics.iter().map(|diagnostic| diagnostic.code));
    }
    seen.extend(
        too_many_activations()
            .iter()
            .map(|diagnostic| diagnostic.code),
    );
    seen.extend(contradictions().iter().map(|diagnostic| diagnostic.code));
    let listed: BTreeSet<&str> = codes().iter().map(|(code, _)| *code).collect();
    assert_eq!(seen, listed);
    assert_eq!(
        listed.len(),
        codes().len(),
        "a code stands twice in the table"
    );
}

/// Fourteen joins in a row, each of which doubles its rate.
fn too_many_activations() -> Vec<Diagnostic> {
    let mut yaml = String::from("nodes:\n  - { id: s, action: data.set }\n");
    let mut connections = String::from("connections:\n");
    let mut last = "s".to_owned();
    for stage in 0..14 {
        for side in ["l", "r"] {
            yaml += &format!("  - {{ id: {side}{stage}, action: data.set }}\n");
            connections += &format!("  - {last} -> {side}{stage} -> j{stage}\n");
        }
        yaml += &format!("  - {{ id: j{stage}, action: data.set, join: each }}\n");
        last = format!("j{stage}");
    }
    planned(&(yaml + &connections), &PlanSettings::default()).diagnostics
}

#[test]
fn rates_that_multiply_reach_a_limit_once() {
    let shown: Vec<_> = too_many_activations().iter().map(show).collect();
    assert_eq!(
        shown,
        [
            "PLAN_RATE_LIMIT /nodes/42/join: node `j13` would be activated 16384 times; the limit is 10000 (several `join: each` in a row multiply; use `join: any` or `all` in some of them)"
        ]
    );
}

/// A definition that no reader gave: it names a node that is not there.
fn contradictions() -> Vec<Diagnostic> {
    let yaml = "nodes: [{ id: a, action: data.set }]";
    let mut definition = parse(&Source::new("test.yaml", yaml)).definition.unwrap();
    let [a, ghost] = ["a", "ghost"].map(|id| id.parse().unwrap());
    definition.connections.push(Connection::new(a, ghost));
    plan(&definition, 1, &actions(), &PlanSettings::default()).diagnostics
}

#[test]
fn a_definition_that_contradicts_itself_has_no_plan() {
    let shown: Vec<_> = contradictions().iter().map(show).collect();
    assert_eq!(
        shown,
        [
            "PLAN_CONTRADICTION : a connection leads from `a` to `ghost`, and one of them is missing (read the definition with its own reader, which says which)"
        ]
    );
    let yaml = "nodes: [{ id: a, action: data.set }]";
    let mut definition = parse(&Source::new("test.yaml", yaml)).definition.unwrap();
    definition.nodes.push(definition.nodes[0].clone());
    let planned = plan(&definition, 1, &actions(), &PlanSettings::default());
    assert!(planned.plan.is_none());
    assert_eq!(planned.diagnostics[0].code, "PLAN_CONTRADICTION");
}

#[test]
fn an_admission_is_decided_by_the_input_alone() {
    let with = |key: &str| {
        format!(
            "admission: {{ concurrency: 1, key: {key} }}\nnodes: [{{ id: a, action: data.set, parameters: {{ x: 1 }} }}]"
        )
    };
    check(&with("$input.customer"), &[]);
    let only = "admission is decided before anything runs";
    let here = "PLAN_ROOT_NOT_HERE /admission/key";
    check(
        &with("$vars.customer"),
        &[&format!(
            "{here}: `$vars` does not exist here: {only}; only `$input` can be read"
        )],
    );
    check(
        &with("$nodes.a.result.x"),
        &[&format!(
            "{here}: `$nodes` does not exist here: {only} (only `$input` can be read)"
        )],
    );
    check(
        &with("$now.toISO()"),
        &[&format!(
            "{here}: the time does not exist here: {only} (only `$input` can be read)"
        )],
    );
    check(
        &with("$random"),
        &[&format!(
            "{here}: `$random` does not exist here: {only} (only `$input` can be read)"
        )],
    );
}

#[test]
fn a_rate_is_decided_by_the_input_alone_too() {
    let with = |key: &str| {
        format!(
            "rate_limit: {{ limit: 1, per: 1m, key: {key} }}\nnodes: [{{ id: a, action: data.set, parameters: {{ x: 1 }} }}]"
        )
    };
    check(&with("$input.customer"), &[]);
    let here = "PLAN_ROOT_NOT_HERE /rate_limit/key";
    check(
        &with("$vars.customer"),
        &[&format!(
            "{here}: `$vars` does not exist here: admission is decided before anything runs; only `$input` can be read"
        )],
    );
    check(
        &with("$today"),
        &[&format!(
            "{here}: the time does not exist here: admission is decided before anything runs (only `$input` can be read)"
        )],
    );
    check(
        &with("$input."),
        &["SYNTAX_END /rate_limit/key: expected a name after the dot, but the text ends"],
    );
}

#[test]
fn what_cannot_undo_or_be_undone_is_pointed_out() {
    check(
        "nodes: [{ id: a, action: flow.wait, compensate: { action: file.write, parameters: { path: x } } }]",
        &[
            "PLAN_COMPENSATE /nodes/0/compensate: `flow.wait` has no effect of its own, so `a` has nothing to undo (write `compensate` at the nodes that act: in its body, or before it)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, compensate: { action: file.write, parameters: { path: x } } }]",
        &[
            "PLAN_COMPENSATE_POINTLESS /nodes/0/compensate: `data.set` changes nothing outside, and what undoes `a` would run all the same (leave `compensate` out, or write it at the node that acts)",
        ],
    );
    let undone_by = |compensate: &str| {
        format!(
            "nodes: [{{ id: a, action: file.write, parameters: {{ path: x }}, compensate: {compensate} }}]"
        )
    };
    check(
        &undone_by("{ action: flow.wait }"),
        &[
            "PLAN_COMPENSATE /nodes/0/compensate/action: `flow.wait` cannot undo anything: it is carried out by the engine itself (name an action that does something outside, such as `file.write`)",
        ],
    );
    check(
        &undone_by("{ action: data.filter, parameters: { condition: \"$item\" } }"),
        &[
            "PLAN_COMPENSATE /nodes/0/compensate/action: `data.filter` cannot undo anything: it takes expressions that it evaluates itself (name an action that does something outside, such as `file.write`)",
            "PLAN_COMPENSATE_POINTLESS /nodes/0/compensate/action: `data.filter` changes nothing outside, so it undoes nothing (name an action that takes the effect back)",
        ],
    );
    check(
        &undone_by("{ action: test.read }"),
        &[
            "PLAN_COMPENSATE_POINTLESS /nodes/0/compensate/action: `test.read` changes nothing outside, so it undoes nothing (name an action that takes the effect back)",
        ],
    );
    check(
        &undone_by("{ action: file.wirte }"),
        &[
            "PLAN_UNKNOWN_ACTION /nodes/0/compensate/action: there is no action `file.wirte` (did you mean `file.write`?)",
        ],
    );
    check(
        &undone_by("{ action: file.write@7, credentials: { auth: key } }"),
        &[
            "PLAN_UNKNOWN_VERSION /nodes/0/compensate/action: there is no version of `file.write` that satisfies `file.write@7` (there is @1.0)",
        ],
    );
    check(
        &undone_by(
            "{ action: file.write, parameters: { path: x, mode: prepend, contents: y }, credentials: { auth: key }, requires: [everything] }",
        ),
        &[
            "PLAN_PARAMETER /nodes/0/compensate/parameters/mode: action `file.write`: must be one of \"overwrite\", \"append\"",
            "PLAN_PARAMETER /nodes/0/compensate/parameters/contents: action `file.write` has no parameter `contents` (did you mean `content`?)",
            "PLAN_CAPABILITY /nodes/0/compensate/requires/0: `everything` is no capability; write fs:read:<dir>, fs:write:<dir>, net:<host>[:port], secret:<id>, process:<program>, env:<name>, workflow:<id>, llm:<model> or blob",
            "PLAN_CREDENTIALS /nodes/0/compensate/credentials/auth: `file.write` has no slot `auth` for a credential (leave it out: this action takes no credentials)",
        ],
    );
}

#[test]
fn a_compensation_reads_what_its_node_saw_and_gave() {
    let undone_by = |path: &str| {
        format!(
            "nodes: [{{ id: b, action: data.set }}, {{ id: a, action: file.write, for_each: $json, parameters: {{ path: x }}, compensate: {{ action: file.write, parameters: {{ path: \"{{{{ {path} }}}}\" }} }} }}, {{ id: c, action: data.set }}]"
        )
    };
    for good in [
        "$json.path",
        "$nodes.a.result.path",
        "$item",
        "$index",
        "$nodes.b.result.x",
        "$input.x",
    ] {
        check(&undone_by(good), &[]);
    }
    check(
        &undone_by("$nodes.c.result.x"),
        &[
            "PLAN_NOT_UPSTREAM /nodes/1/compensate/parameters/path: node `a` reads `c`, which does not run before it (connect `c` to `a`, directly or through other nodes)",
        ],
    );
    check(
        &undone_by("$loop.index"),
        &[
            "PLAN_ROOT_NOT_HERE /nodes/1/compensate/parameters/path: `$loop` does not exist here: it is the round of a `flow.loop`, and belongs into its body",
        ],
    );
    check(
        &undone_by("$nodes.d.result.x"),
        &[
            "NAME_UNKNOWN_NODE /nodes/1/compensate/parameters/path: there is no node `d` (did you mean `b`?)",
        ],
    );
}

#[test]
fn whether_a_body_is_undone_is_settled_before() {
    check(
        "nodes: [{ id: t, action: flow.try, parameters: { compensate: \"{{ $input.x }}\" }, body: { nodes: [{ id: a, action: data.set }] } }]",
        &[
            "PLAN_PARAMETER /nodes/0/parameters/compensate: `compensate` is settled when the plan is made: it cannot be computed (write `true` or `false`)",
        ],
    );
}

/// Guards: each of the reasons for which a list cannot be cut into parts.
#[test]
fn a_list_that_cannot_be_cut_is_not_distributed() {
    check(
        "nodes: [{ id: a, action: data.set, distribute: true }]",
        &[
            "PLAN_DISTRIBUTE /nodes/0/distribute: `distribute` is about the items of a list, and node `a` has none (add `for_each` or `each_item`, or use flow.for_each with a body)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, distribute: true, complete_when: 3 }]",
        &[
            "PLAN_DISTRIBUTE /nodes/0/complete_when: `complete_when` of node `a` asks about each item that ends, and `distribute` tells of parts (keep one of them)",
        ],
    );
    check(
        "nodes: [{ id: a, action: flow.for_each, distribute: true, parameters: { items: $input, more: more }, body: { nodes: [{ id: b, action: data.set }] } }]",
        &[
            "PLAN_DISTRIBUTE /nodes/0/parameters/more: the list of `a` grows by signals, and `distribute` cuts one that is known (keep one of `more` and `distribute`)",
        ],
    );
    check(
        "nodes: [{ id: a, action: flow.parallel, body: { nodes: [{ id: b, action: data.set, for_each: $input, distribute: true }] } }]",
        &[
            "PLAN_DISTRIBUTE /nodes/0/body/nodes/0/distribute: node `b` stands in a body, and only a list of the top level is distributed (distribute the outer list, or put the inner one into a workflow that flow.call runs)",
        ],
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, distribute: true }]\nconnections: [{ from: a, to: a, loop: true }]",
        &[
            "PLAN_DISTRIBUTE /nodes/0/distribute: node `a` runs more than once, and its list is distributed once (put the list behind the loop, or into a workflow that flow.call runs)",
        ],
    );
    check(
        "nodes: [{ id: a, action: file.write, parameters: { path: x }, for_each: $input, distribute: true, compensate: { action: file.write, parameters: { path: x } } }]",
        &[
            "PLAN_DISTRIBUTE /nodes/0/compensate: `compensate` of node `a` would undo what other executions did for `distribute` (keep one of them, or undo the whole list behind the port `error`)",
        ],
    );
    for (inner, what) in [
        ("action: flow.stop", "ends the whole execution"),
        (
            "action: flow.respond",
            "answers whoever called the whole execution",
        ),
        (
            "action: flow.wait, parameters: { signal: go }",
            "waits for a signal to the whole execution",
        ),
        (
            "action: flow.cancel, parameters: { execution: true }",
            "gives up what stands around it",
        ),
    ] {
        let text = format!(
            "nodes: [{{ id: a, action: flow.for_each, distribute: true, parameters: {{ items: $input }}, body: {{ nodes: [{{ id: b, {inner} }}] }} }}]"
        );
        let expected = format!(
            "PLAN_DISTRIBUTE /nodes/0/distribute: the items of `a` cannot be distributed: `b` in its body {what} (leave `distribute` out, or put that node behind the list)"
        );
        check(&text, &[&expected]);
    }
    check(
        "nodes: [{ id: a, action: flow.for_each, distribute: true, parameters: { items: $input }, body: { nodes: [{ id: b, action: data.set }, { id: c, action: flow.milestone, parameters: { reached: b } }] } }]",
        &[
            "PLAN_DISTRIBUTE /nodes/0/distribute: the items of `a` cannot be distributed: `c` in its body asks how far other nodes have come (leave `distribute` out, or put that node behind the list)",
        ],
    );
}

#[test]
fn a_list_of_the_top_level_is_distributed() {
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, distribute: true }, { id: b, action: flow.for_each, distribute: true, parameters: { items: $input }, body: { nodes: [{ id: c, action: flow.wait, parameters: { for: 1s } }] } }]",
        &[],
    );
}

/// Guards: a name is one that a worker can have, and an execution is for one group.
#[test]
fn an_execution_is_for_the_workers_of_one_group() {
    let group = |text: &str| {
        let made = plan_of(text);
        (made.runs_on.to_string(), made.format)
    };
    let nodes = |a: &str, b: &str| {
        format!("nodes: [{{ id: a, action: data.set{a} }}, {{ id: b, action: data.set{b} }}]")
    };
    assert_eq!(group(&nodes("", "")), ("default".to_owned(), 1));
    assert_eq!(
        group(&nodes("", ", runs_on: default")),
        ("default".to_owned(), 1)
    );
    assert_eq!(group(&nodes("", ", runs_on: gpu")), ("gpu".to_owned(), 6));
    assert_eq!(
        group(&nodes(", runs_on: [gpu]", ", runs_on: [gpu, gpu]")),
        ("gpu".to_owned(), 6)
    );
    let body = "nodes: [{ id: a, action: flow.parallel, body: { nodes: [{ id: b, action: data.set, runs_on: far }] } }]";
    assert_eq!(group(body), ("far".to_owned(), 6));
    check(
        &nodes(", runs_on: gpu", ", runs_on: [gpu, eu]"),
        &[
            "PLAN_RUNS_ON /nodes/1/runs_on/1: `eu` of node `b` is another group of workers than `gpu` of `a`, and an execution runs on those of one (name one group, and put what is for another one into a workflow that flow.call runs)",
        ],
    );
    check(
        &nodes(", runs_on: GPU", ""),
        &[
            "PLAN_RUNS_ON /nodes/0/runs_on: `GPU` is no group of workers: 1 to 48 small letters, digits, `-`, `_` and `.`, a letter or a digit first (write a name that workers have as `pool.group`, such as gpu)",
        ],
    );
}
