//! Renaming a node changes every mention of it in a definition's text, and no other byte.

mod catalog;
mod renaming;

use nebula_planner::RenameError;
use nebula_workflow::{Source, SourceMap, parse};
use renaming::{check, check_as, rename};

/// Renames `fetch` to `to`, where what comes out is not the text with another word.
#[track_caller]
fn check_to(name: &str, to: &str, text: &str, expected: &str) {
    let renamed = rename(name, text, "fetch", to).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
    assert_eq!(renamed.text, expected);
}

#[track_caller]
fn refused(text: &str, to: &str) -> RenameError {
    rename("w.yaml", text, "fetch", to).unwrap_err()
}

#[test]
fn the_node_and_its_connections_follow() {
    check("nodes: [{ id: «», action: data.set }, { id: fetched, action: data.set }]\n");
    check(
        "# fetch fetches
name: fetch            # fetch
nodes:
- { id: «», name: fetch, action: data.set, notes: fetch -> b }
- { id: \"b\", action: 'data.merge' }
- { 'id': 'prefetch', action: data.set }
connections:
- «»   ->b:left    # fetch -> b
- \"prefetch -> b:right\"
- { \"to\": prefetch, from: '«»' }
- { from: \"«»\", port: error, to: b, condition: \"$nodes.«».error.code == 'fetch'\" }
layout: { b: [0, 0], «» : [fetch, 1], \"prefetch\": { fetch: fetch } }
",
    );
    check(
        "nodes: [{ id: a, action: data.set }, { id: «», action: data.set }, { id: b, action: data.set }]
connections: [a -> «» -> b, «».error->b:main]
layout:
  ? '«»'
  : [0, 0]
",
    );
}

#[test]
fn every_expression_follows() {
    check(
        r#"
id: fetch
triggers:
- { id: fetch, type: cron, schedule: "$nodes.fetch", input: { x: "{{ $trigger.fetch }}" } }
nodes:
- id: «»
  action: data.set
  parameters: { fetch: "fetch {{ $json.fetch }} $nodes.fetch \\{{ $nodes.fetch }}" }
  pin: { fetch: "{{ $nodes.fetch.result }}" }
- id: b
  action: data.set
  when: $nodes.«»?.success  # $nodes.fetch
  for_each: "  {{ $nodes.«».result.fetch }} "
  requires: ["fs:read:{{ $nodes['«»'].result }}", "fs:write:/fetch"]
  credentials: { auth: fetch }
  idempotency_key: "{{ $nodes.«».result }}-{{ $nodes.«».attempts }}-fetch"
  complete_when: $nodes.«».success
  cache: { key: $nodes.«».result }
  artifact: { name: "{{ $nodes.«».result }}", version: "v{{ $nodes['«»'].port }}" }
  compensate:
    action: data.filter
    parameters: { condition: "$nodes.«».success" }
    requires: ["fs:read:{{ $nodes.«».result }}"]
  parameters:
    fetch: ["{{ $nodes.«».result }}", { deep: "{{ `${$nodes.«».result}` }}", "a/b~c": "x {{ $nodes.«».port }}" }]
    condition: $nodes.fetch.result
- id: c
  action: data.filter@1
  parameters:
    condition: "  $item > $nodes.«».result && '\\{{' != '\\{{{' + $nodes.«».port"
- id: d
  action: flow.switch
  parameters: { cases: { fetch: $nodes.«».success, b: "{{ $nodes.«».success }}", c: true } }
- id: e
  action: flow.switch
  parameters: { cases: { fetch: $nodes.«».success } }
- id: f
  action: flow.if
  parameters: { condition: $nodes.«».success }
output: { all: ["{{ $nodes.«».all() }}"], one: "{{ $nodes.«».item }}" }
"#,
    );
}

#[test]
fn bodies_follow() {
    check(
        "
nodes:
- id: a
  action: data.set
  body:
    nodes:
    - { id: «», action: data.set }
    - { id: in, action: data.set, parameters: { x: '{{ $nodes.«».result }}' } }
    connections:
    - «» -> in
    - { from: in, to: «», loop: true, max_rounds: 3, condition: $nodes.«».success }
- { id: b, action: data.set, when: $nodes.«»?.success }
",
    );
}

#[test]
fn actions_that_name_nodes_follow() {
    check(
        "
nodes:
- { id: «», action: data.set }
- { id: fetched, action: data.set }
- { id: k, action: flow.cancel, parameters: { nodes: [fetched, \"«»\"] } }
- { id: m, action: flow.milestone, parameters: { reached: «», until: fetched } }
- { id: n, action: flow.milestone, parameters: { reached: fetched, until: «» } }
- { id: l, action: data.set, parameters: { nodes: [fetch] } }
",
    );
    check(
        "
nodes:
- id: a
  action: flow.try
  parameters: { catch: { b: $json.code == 'fetch', «»: $json.code == 'B' }, finally: c }
  body:
    nodes: [{ id: «», action: data.set }, { id: b, action: data.set }, { id: c, action: data.set }, { id: d, action: data.set }]
",
    );
    check(
        "
nodes:
- id: a
  action: flow.try
  parameters: { finally: '«»' }
  body: { nodes: [{ id: b, action: data.set }, { id: «», action: data.set }] }
",
    );
}

#[test]
fn the_style_of_each_text_is_kept() {
    check(
        "
nodes:
- action: data.set
  id: >-
    «»
- action: data.set
  id: |-
    b

connections:
- >-
  «»
  ->
  b
- |-
   b.error -> «»
",
    );
    check(
        "
nodes:
- { id: \"«»\", action: data.set }
- id: b
  action: data.set
  parameters:
    plain: Hi {{ $nodes.«».result
      + $nodes.«».port }}
    single: '{{ $nodes[''«»''].result +

      ''its'' + $nodes.«».port }}'
    double: \"\\t{{ \\x24nodes.«».result + \\\"\\u00e9\\\" + \\
      $nodes[\\\"«»\\\"].port }}\"
    literal: |+2
        {{ $nodes.«».result
      + $nodes.«».port }}

    folded: >  # fetch
      é {{ $nodes.«».result

      + $nodes.
        «».port

        + $nodes.«».port }}
",
    );
    // Windows line ends and a byte order mark, which the source cuts off.
    check(
        "nodes:\r\n- id: «»\r\n  action: data.set\r\noutput: >\r\n  {{ $nodes.«».result\r\n  + 1 }}\r\n",
    );
    check_as(
        "w.json",
        "{\"nodes\":[{\"id\":\"«»\",\"action\":\"data.set\"}],\n\t\"output\":\"\\u007b{ \\u0024nodes[\\\"«»\\\"].result + '\\\\n' + $nodes.«».port }}\",\"layout\":{\"«»\":1}}",
    );
    // JSON may hold it in a file of YAML.
    check(
        "{\"nodes\":[{\"id\":\"«»\",\"action\":\"data.set\"}],\"output\":\"{{\\n$nodes.«».result }}\"}",
    );
}

#[test]
fn a_name_that_is_no_text_without_quotes_gets_them() {
    check_to(
        "w.yaml",
        "null",
        "nodes: [{ id: fetch, action: data.set }]\noutput: \"{{ $nodes.fetch.result }}\"\nconnections: []\nlayout: { fetch: 1 }\n",
        "nodes: [{ id: \"null\", action: data.set }]\noutput: \"{{ $nodes.null.result }}\"\nconnections: []\nlayout: { \"null\": 1 }\n",
    );
    check_to(
        "w.yaml",
        "True",
        "nodes:\n- id: |-\n    fetch\n  action: data.set\n- id: b\n  action: data.set\nconnections: [fetch -> b, { from: fetch, to: b, port: error }]\n",
        "nodes:\n- id: |-\n    True\n  action: data.set\n- id: b\n  action: data.set\nconnections: [True -> b, { from: \"True\", to: b, port: error }]\n",
    );
    check_to(
        "w.yaml",
        "no",
        "nodes:\n- id: fetch\n  action: data.set\n",
        "nodes:\n- id: no\n  action: data.set\n",
    );
}

#[test]
fn an_id_that_is_written_with_escapes_is_written_without() {
    check_to(
        "w.json",
        "load",
        r#"{"nodes":[{"id":"f\u0065tch","action":"data.set"}],"output":"{{ $nodes.\u0066etc\u0068.result + $nodes['\\u0066etch'].port }}","layout":{"fetc\u0068":1}}"#,
        r#"{"nodes":[{"id":"load","action":"data.set"}],"output":"{{ $nodes.load.result + $nodes['load'].port }}","layout":{"load":1}}"#,
    );
    check_to(
        "w.yaml",
        "load",
        "nodes: [{ id: \"\\x66etch\", action: data.set }]\noutput: \"{{ $nodes.fe\\\n  tch.result }}\"\n",
        "nodes: [{ id: \"load\", action: data.set }]\noutput: \"{{ $nodes.load.result }}\"\n",
    );
}

const TWO: &str = "nodes:\n- { id: fetch, action: data.set }\n- { id: b, action: data.set, body: { nodes: [{ id: in, action: data.set }] } }\nlayout: { gone: 1 }\n";

#[test]
fn a_name_that_is_taken_or_none_is_refused() {
    let taken = |to: &str, pointer: &str| match refused(TWO, to) {
        RenameError::Taken {
            id,
            pointer: at,
            place,
        } => {
            assert_eq!((id.as_str(), at.as_str()), (to, pointer));
            assert_eq!(&TWO[place], to);
        }
        other => panic!("{other:?}"),
    };
    taken("b", "/nodes/1/id");
    taken("in", "/nodes/1/body/nodes/0/id");
    taken("fetch", "/nodes/0/id");
    taken("gone", "/layout/gone");
    for bad in ["", "1a", "a-b", "é", &"x".repeat(200)] {
        assert!(matches!(refused(TWO, bad), RenameError::Id(_)), "{bad}");
    }
}

#[test]
fn a_node_that_is_not_there_has_a_neighbour() {
    let check = |from: &str, expected: Option<&str>| match rename("w.yaml", TWO, from, "x") {
        Err(RenameError::UnknownNode { id, nearest }) => {
            assert_eq!((id.as_str(), nearest.as_deref()), (from, expected));
        }
        other => panic!("{other:?}"),
    };
    check("fecth", Some("fetch"));
    check("something", None);
    check("", None);
}

#[test]
fn a_definition_with_errors_is_not_touched() {
    let codes = |text: &str| match refused(text, "load") {
        RenameError::Definition(problems) => {
            let shown = problems.iter().map(|d| format!("{} {}", d.code, d.pointer));
            shown.collect::<Vec<_>>().join(", ")
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        codes("nodes: [{ id: fetch, action: data.set }, { id: fetch, action: data.set }]"),
        "WORKFLOW_DUPLICATE_ID /nodes/1/id"
    );
    assert_eq!(
        codes("nodes: [{ id: &x fetch, action: data.set }, { id: b, action: data.set, name: *x }]"),
        "WORKFLOW_YAML_ANCHOR /nodes/0/id, WORKFLOW_YAML_ANCHOR /nodes/1/name"
    );
    assert_eq!(
        codes("nodes: [{ id: fetch, action: data.gone, when: $nodes. }]"),
        "PLAN_UNKNOWN_ACTION /nodes/0/action, SYNTAX_END /nodes/0/when"
    );
    // The place of an expression's problem is in the expression.
    let text = "nodes: [{ id: fetch, action: data.set, parameters: { x: \"é {{ 1 + }}\" } }]";
    let RenameError::Definition(problems) = refused(text, "load") else {
        panic!("it was renamed");
    };
    let map = parse(&Source::new("w.yaml", text)).map;
    assert_eq!(&text[map.locate(&problems[0]).start..], " }}\" } }]");
    assert_eq!(SourceMap::default().locate(&problems[0]), 0..0);
}
