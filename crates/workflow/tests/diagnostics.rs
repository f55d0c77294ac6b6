//! Every rule of the format: a definition that breaks it, and what is said about it.

use std::collections::BTreeSet;

use nebula_workflow::{
    Diagnostic, Format, MAX_CONNECTIONS, MAX_DEFINITION_BYTES, MAX_NODES, Source,
    WorkflowDefinition, codes, parse,
};
use serde_json::json;

/// Reads `text` and compares each problem as `CODE line:column pointer ~ hint`.
fn check_as(name: &str, text: &str, expected: &[&str]) {
    let source = Source::new(name, text);
    let parsed = parse(&source);
    let found: Vec<String> = parsed
        .map
        .locate_all(&parsed.diagnostics, &source)
        .into_iter()
        .map(|found| {
            let hint = found
                .hint
                .map(|hint| format!(" ~ {hint}"))
                .unwrap_or_default();
            let place = format!("{}:{} {}", found.line, found.column, found.pointer);
            format!("{} {}{hint}", found.code, place.trim_end())
        })
        .collect();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let shown: String = text.chars().take(400).collect();
    assert_eq!(found, expected, "{name}:\n{shown}");
    let known: BTreeSet<&str> = codes().iter().map(|(code, _)| *code).collect();
    assert!(
        parsed
            .diagnostics
            .iter()
            .all(|found| known.contains(found.code))
    );
    let usable = !parsed.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(parsed.definition.is_some(), usable);
}

fn check(text: &str, expected: &[&str]) {
    check_as("flow.yaml", text, expected);
}

/// A workflow whose one node has this further line.
fn check_node(line: &str, expected: &[&str]) {
    check(
        &format!("nodes:\n- id: a\n  action: data.set\n  {line}\n"),
        expected,
    );
}

/// A workflow of the nodes `fetch`, `price` and `alarm` with this one connection, at 5:3.
fn check_connection(connection: &str, expected: &[&str]) {
    let nodes = ["fetch", "price", "alarm"].map(|id| format!("- {{ id: {id}, action: x }}\n"));
    check(
        &format!("nodes:\n{}connections:\n- {connection}\n", nodes.concat()),
        expected,
    );
}

#[test]
fn a_file_without_a_definition_says_what_is_missing() {
    let smallest =
        "the smallest one is: nodes: [{ id: greet, action: data.set, parameters: { text: Hi } }]";
    check("", &[&format!("WORKFLOW_EMPTY 1:1 ~ {smallest}")]);
    check(
        "# nothing\n",
        &[&format!("WORKFLOW_EMPTY 1:1 ~ {smallest}")],
    );
    check("~", &[&format!("WORKFLOW_EMPTY 1:1 ~ {smallest}")]);
    check_as(
        "flow.json",
        " \n",
        &[&format!("WORKFLOW_EMPTY 1:1 ~ {smallest}")],
    );
    check(
        "- a\n",
        &["WORKFLOW_TYPE 1:1 ~ put the list under the field `nodes`"],
    );
    check(
        "text",
        &["WORKFLOW_TYPE 1:1 ~ begin with the field `nodes`"],
    );
    check("name: x", &["WORKFLOW_MISSING_FIELD 1:1 ~ The steps."]);
    check(
        "nodes:\n",
        &["WORKFLOW_TYPE 1:1 /nodes ~ give it a value, or remove the field"],
    );
    let add = "add a node, such as `- { id: greet, action: data.set }`";
    check(
        "nodes: []",
        &[&format!("WORKFLOW_NO_NODES 1:8 /nodes ~ {add}")],
    );
}

#[test]
fn a_name_that_gives_no_id_asks_for_one() {
    let text = "nodes: [{ id: a, action: x }]";
    check_as(
        "-",
        text,
        &["WORKFLOW_MISSING_FIELD 1:1 ~ add the field `id`, such as `id: order-intake`"],
    );
    check_as("-", &format!("id: b\n{text}"), &[]);
    check(&format!("id: a/b\n{text}"), &["WORKFLOW_ID 1:6 /id"]);
    check(
        &format!("id: 7\n{text}"),
        &["WORKFLOW_TYPE 1:5 /id ~ put it in quotes"],
    );
}

#[test]
fn what_yaml_would_misread_needs_quotes() {
    let quote = |place: &str, line: &str| {
        format!("QUOTE_EXPRESSION {place} ~ quote the expression; write: {line}")
    };
    check_node(
        "when: !$input.skip",
        &[&quote("4:9 /nodes/0/when", r#"when: "!$input.skip""#)],
    );
    check_node(
        "parameters: { text: {{ $input.name }}, n: 1 }",
        &[&quote(
            "4:23 /nodes/0/parameters/text",
            r#"parameters: { text: "{{ $input.name }}", n: 1 }"#,
        )],
    );
    check_node(
        "notes: `hi ${name}`",
        &[&quote("4:10 /nodes/0/notes", r#"notes: "`hi ${name}`""#)],
    );
    check_node(
        "when: $a == \"x\" ? 'b' : c",
        &[&quote(
            "4:9 /nodes/0/when",
            r#"when: '$a == "x" ? ''b'' : c'"#,
        )],
    );
    check_node(
        "requires: [ {{ $a }}, {{ $b }} ]",
        &[
            &quote(
                "4:15 /nodes/0/requires/0",
                r#"requires: [ "{{ $a }}", {{ $b }} ]"#,
            ),
            &quote(
                "4:25 /nodes/0/requires/1",
                r#"requires: [ {{ $a }}, "{{ $b }}" ]"#,
            ),
        ],
    );
    check_node(
        "parameters:\n    a: {{ $x }} # why\n    b: {{ $y[0] }} and more\n  retri: 1",
        &[
            &quote("5:8 /nodes/0/parameters/a", r#"a: "{{ $x }}" # why"#),
            &quote("6:8 /nodes/0/parameters/b", r#"b: "{{ $y[0] }} and more""#),
            "WORKFLOW_UNKNOWN_FIELD 7:3 /nodes/0/retri ~ did you mean `retry`?",
        ],
    );
    check(
        "nodes: [\n  { id: a, action: x, parameters: {\n    b: {{ $x }},\n    c: 1 } } ]",
        &[&quote("3:8 /nodes/0/parameters/b", r#"b: "{{ $x }}","#)],
    );
}

#[test]
fn a_comment_that_cuts_an_expression_is_found() {
    check_node(
        "notes: total {{ $a # b }} of it",
        &[
            "WORKFLOW_COMMENT_CUT 4:10 /nodes/0/notes ~ quote the value; write: notes: \"total {{ $a # b }} of it\"",
        ],
    );
    check_node(
        "when: $json.tag == ' #x' && $b",
        &[
            "WORKFLOW_COMMENT_CUT 4:9 /nodes/0/when ~ quote the value; write: when: \"$json.tag == ' #x' && $b\"",
        ],
    );
    check_node("when: $json.tag == 'x' # it's b", &[]);
    check_node("notes: it's $5 # don't", &[]);
    check_node("notes: total {{ $a }} # b", &[]);
    check_node("notes: no braces # {{ here", &[]);
}

#[test]
fn yaml_is_read_without_its_side_doors() {
    let write_out = "write the value out; quote it if it is text that begins with `&` or `*`";
    check_node(
        "notes: &x y",
        &[&format!(
            "WORKFLOW_YAML_ANCHOR 4:10 /nodes/0/notes ~ {write_out}"
        )],
    );
    check_node(
        "notes: *x",
        &[&format!("WORKFLOW_YAML_ANCHOR 4:10 ~ {write_out}")],
    );
    check_node(
        "notes: !!str y",
        &[
            "WORKFLOW_YAML_TAG 4:10 /nodes/0/notes ~ remove it, or quote the whole value if it is text",
        ],
    );
    check_node(
        "notes: x\n  notes: y",
        &["WORKFLOW_DUPLICATE_KEY 5:3 /nodes/0"],
    );
    check_node(
        "parameters: { 1: x }",
        &["WORKFLOW_KEY 4:17 /nodes/0/parameters ~ quote the key"],
    );
    check_node(
        "parameters: { [a]: x }",
        &["WORKFLOW_KEY 4:17 /nodes/0/parameters ~ quote the key"],
    );
    check_node(
        "parameters: { n: .inf, m: 18446744073709551616 }",
        &[
            "WORKFLOW_NUMBER 4:20 /nodes/0/parameters/n ~ quote it to keep it as text",
            "WORKFLOW_NUMBER 4:29 /nodes/0/parameters/m ~ quote it to keep it as text",
        ],
    );
    check(
        "nodes: [{ id: a, action: x }]\n---\nb: 1\n",
        &["WORKFLOW_YAML_DOCUMENTS 3:1 ~ one file holds one workflow; remove the `---`"],
    );
    check_node(
        "notes: a\u{7}b",
        &[
            "WORKFLOW_CHARACTER 4:11 ~ remove it; inside of double quotes it can be written as an escape",
        ],
    );
}

#[test]
fn text_that_is_no_yaml_is_reported_where_it_breaks() {
    let look = "check the indentation, brackets and quotes here and on the line above";
    check(
        "nodes:\n  - { id: a, action: x\n",
        &[&format!("WORKFLOW_SYNTAX 2:22 ~ {look}")],
    );
    check(
        "nodes:\n\t- id: a\n",
        &["WORKFLOW_SYNTAX 2:1 ~ indent with spaces; YAML allows no tabs there"],
    );
    check_node(
        "notes: a: b",
        &["WORKFLOW_SYNTAX 4:11 ~ quote the value if it holds `: `, and check the indentation"],
    );
    check_node(
        "notes: \"open",
        &[&format!("WORKFLOW_SYNTAX 4:10 ~ {look}")],
    );
}

#[test]
fn json_is_read_strictly() {
    let check = |text: &str, expected: &[&str]| check_as("flow.json", text, expected);
    let commas = "remove a `,` before a closing bracket; quote every key";
    check(r#"{"nodes":[{"id":"a","action":"x"}]}"#, &[]);
    check(
        r#"{"nodes":[{"id":"a","action":"x"},]}"#,
        &[&format!("WORKFLOW_SYNTAX 1:35 ~ {commas}")],
    );
    check(
        r#"{nodes: []}"#,
        &[&format!("WORKFLOW_SYNTAX 1:2 ~ {commas}")],
    );
    check(
        "{\n// no\n}",
        &["WORKFLOW_SYNTAX 2:1 ~ JSON has no comments; use YAML or the field `notes`"],
    );
    check("{'a': 1}", &[&format!("WORKFLOW_SYNTAX 1:2 ~ {commas}")]);
    check(
        "{\"a\": 01}",
        &["WORKFLOW_SYNTAX 1:7 ~ quote it if it is text"],
    );
    check(
        "{\"a\": no}",
        &["WORKFLOW_SYNTAX 1:7 ~ quote it if it is text"],
    );
    check("{\"a\": \"x", &["WORKFLOW_SYNTAX 1:7 ~ close it with `\"`"]);
    check(
        "{\"a\": \"\\x\"}",
        &["WORKFLOW_SYNTAX 1:8 ~ write `\\\\` for a backslash"],
    );
    check(
        "{\"a\": \"\\ud800\"}",
        &["WORKFLOW_SYNTAX 1:8 ~ write four hex digits, and both halves of a surrogate pair"],
    );
    check("{} x", &["WORKFLOW_SYNTAX 1:4 ~ remove it"]);
    check(
        r#"{"nodes":[{"id":"a","action":"x","id":"b"}]}"#,
        &["WORKFLOW_DUPLICATE_KEY 1:34 /nodes/0"],
    );
    check(
        r#"{"nodes":[{"id":"a","action":"x","pin":18446744073709551616}]}"#,
        &["WORKFLOW_NUMBER 1:40 /nodes/0/pin ~ quote it to keep it as text"],
    );
}

#[test]
fn what_is_too_large_is_refused_by_a_named_limit() {
    let keep = "keep data out of the definition: read it with `file.read` or pass it as input";
    let large = format!("# {}", "x".repeat(MAX_DEFINITION_BYTES));
    check(&large, &[&format!("WORKFLOW_TOO_LARGE 1:1 ~ {keep}")]);
    assert_eq!(
        nebula_workflow::check_size(200_000_000).unwrap().code,
        "WORKFLOW_TOO_LARGE"
    );
    assert_eq!(
        nebula_workflow::check_size(MAX_DEFINITION_BYTES as u64),
        None
    );

    check(&"[".repeat(200), &["WORKFLOW_TOO_DEEP 1:66"]);
    check(&"[".repeat(10_000), &["WORKFLOW_TOO_DEEP 1:256"]);
    check_as("a.json", &"[".repeat(10_000), &["WORKFLOW_TOO_DEEP 1:66"]);
    check(&"- ".repeat(1_000), &["WORKFLOW_TOO_DEEP 1:131"]);
    check_as(
        "a.json",
        &format!("[{}0]", "0,".repeat(600_000)),
        &["WORKFLOW_TOO_MANY_VALUES 1:1000000"],
    );

    let node = |id: usize| json!({ "id": format!("n{id}"), "action": "x" });
    let nodes: Vec<_> = (0..=MAX_NODES).map(node).collect();
    check_as(
        "a.json",
        &json!({ "nodes": nodes, "connections": [] }).to_string(),
        &["WORKFLOW_TOO_MANY_NODES 1:10 /nodes ~ split it into workflows that call each other"],
    );
    let nodes: Vec<_> = (0..300).map(node).collect();
    let pairs = (0..300).flat_map(|a| (0..300).map(move |b| (a, b)));
    let connections: Vec<_> = pairs
        .filter(|(a, b)| a != b)
        .take(MAX_CONNECTIONS + 5)
        .map(|(a, b)| format!("n{a} -> n{b}"))
        .collect();
    let text = json!({ "nodes": nodes, "connections": connections }).to_string();
    let parsed = parse(&Source::new("a.json", text));
    let found: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| (d.code, d.pointer.as_str()))
        .collect();
    assert_eq!(
        found,
        [("WORKFLOW_TOO_MANY_CONNECTIONS", "/connections/50000")]
    );
}

#[test]
fn a_flood_of_problems_is_counted() {
    let text = format!("nodes: [{{ id: a, action: x }}]\n{}", "- \n".repeat(0));
    let unknown: String = (0..1_500).map(|i| format!("zzzz{i}: 1\n")).collect();
    let parsed = parse(&Source::new("a.yaml", text + &unknown));
    assert_eq!(parsed.diagnostics.len(), 1_001);
    let last = parsed
        .diagnostics
        .iter()
        .find(|d| d.code == "WORKFLOW_TOO_MANY_PROBLEMS");
    assert_eq!(
        last.unwrap().message,
        "500 more problems were found and are not listed"
    );
}

#[test]
fn fields_are_checked_by_name_and_type() {
    check_node(
        "retri: {}",
        &["WORKFLOW_UNKNOWN_FIELD 4:3 /nodes/0/retri ~ did you mean `retry`?"],
    );
    check(
        "nodes:\n- action: x\n",
        &[
            "WORKFLOW_MISSING_FIELD 2:3 /nodes/0 ~ How expressions and connections refer to the node.",
        ],
    );
    check_node(
        "parameters: \"{{ $json }}\"",
        &["WORKFLOW_TYPE 4:15 /nodes/0/parameters"],
    );
    check_node(
        "each_item: yes",
        &["WORKFLOW_TYPE 4:14 /nodes/0/each_item ~ YAML 1.2 knows only `true` and `false`"],
    );
    check_node(
        "concurrency: 0",
        &["WORKFLOW_VALUE 4:16 /nodes/0/concurrency"],
    );
    check_node(
        "concurrency: 1.5",
        &["WORKFLOW_VALUE 4:16 /nodes/0/concurrency"],
    );
    check_node(
        "timeout: 10",
        &["WORKFLOW_TYPE 4:12 /nodes/0/timeout ~ add the unit, such as `10s`"],
    );
    check_node("timeout: soon", &["WORKFLOW_VALUE 4:12 /nodes/0/timeout"]);
    check_node("timeout: 0s", &["WORKFLOW_VALUE 4:12 /nodes/0/timeout"]);
    check_node(
        "on_error: routes",
        &["WORKFLOW_VALUE 4:13 /nodes/0/on_error ~ did you mean `route`?"],
    );
    check_node(
        "join: { count: 2, rest: drop }",
        &["WORKFLOW_VALUE 4:27 /nodes/0/join/rest"],
    );
    check_node(
        "join: 2",
        &[
            "WORKFLOW_TYPE 4:9 /nodes/0/join ~ write `join: all` or `join: { count: 2, rest: absorb }`",
        ],
    );
    check_node(
        "retry: { initial: 1m, max: 2s, jitter: half }",
        &[
            "WORKFLOW_VALUE 4:30 /nodes/0/retry/max ~ make `max` at least as long as `initial`",
            "WORKFLOW_VALUE 4:42 /nodes/0/retry/jitter",
        ],
    );
    check_node(
        "credentials: { auth: 1 }",
        &["WORKFLOW_TYPE 4:24 /nodes/0/credentials/auth ~ put it in quotes"],
    );
    check_node(
        "body: { nodes: [] }",
        &[
            "WORKFLOW_NO_NODES 4:18 /nodes/0/body/nodes ~ add a node, such as `- { id: greet, action: data.set }`",
        ],
    );
    check(
        "timezone: Europe/Berln\nnodes: [{ id: a, action: x }]",
        &["WORKFLOW_VALUE 1:11 /timezone ~ did you mean `Europe/Berlin`?"],
    );
    check(
        "input: text\nnodes: [{ id: a, action: x }]",
        &["WORKFLOW_TYPE 1:8 /input"],
    );
    check(
        "limits: { concurency: 1 }\nnodes: [{ id: a, action: x }]",
        &["WORKFLOW_UNKNOWN_FIELD 1:11 /limits/concurency ~ did you mean `concurrency`?"],
    );
    let admission = |fields: &str| format!("admission: {fields}\nnodes: [{{ id: a, action: x }}]");
    check(
        &admission("{ key: $input.a }"),
        &["WORKFLOW_MISSING_FIELD 1:12 /admission ~ The most executions at a time."],
    );
    check(
        &admission("{ concurrency: 1001 }"),
        &["WORKFLOW_VALUE 1:27 /admission/concurrency"],
    );
    check(
        &admission("{ concurrency: 1, when_full: refuse, queue: 5 }"),
        &["WORKFLOW_VALUE 1:56 /admission/queue ~ remove it, or write `when_full: queue`"],
    );
    check(
        &admission("{ concurrency: 1, when_full: cancel }"),
        &["WORKFLOW_VALUE 1:41 /admission/when_full"],
    );
}

#[test]
fn a_priority_is_one_of_five_words() {
    let urgent = |word: &str| format!("priority: {word}\nnodes: [{{ id: a, action: x }}]");
    for word in ["lowest", "low", "normal", "high", "highest"] {
        check(&urgent(word), &[]);
    }
    check(
        &urgent("hihg"),
        &["WORKFLOW_VALUE 1:11 /priority ~ did you mean `high`?"],
    );
    check(&urgent("5"), &["WORKFLOW_TYPE 1:11 /priority"]);
}

#[test]
fn a_rate_has_a_limit_and_a_span() {
    let rate = |fields: &str| format!("rate_limit: {fields}\nnodes: [{{ id: a, action: x }}]");
    check(
        &rate("{ limit: 100, per: 1m, burst: 5, key: $input.a, queue: 9 }"),
        &[],
    );
    check(
        &rate("{ per: 1m }"),
        &["WORKFLOW_MISSING_FIELD 1:13 /rate_limit ~ How many executions may begin in each `per`."],
    );
    check(
        &rate("{ limit: 0, per: 1m }"),
        &["WORKFLOW_VALUE 1:22 /rate_limit/limit"],
    );
    check(
        &rate("{ limit: 1, per: 999ms }"),
        &["WORKFLOW_VALUE 1:30 /rate_limit/per ~ count what begins in `1s` instead"],
    );
    check(
        &rate("{ limit: 1, per: 32d }"),
        &["WORKFLOW_VALUE 1:30 /rate_limit/per ~ write a shorter span with a smaller `limit`"],
    );
    check(
        &rate("{ limit: 1, per: 1m, burst: 0 }"),
        &["WORKFLOW_VALUE 1:41 /rate_limit/burst"],
    );
    check(
        &rate("{ limit: 1, per: 1m, when_full: cancel_oldest }"),
        &["WORKFLOW_VALUE 1:45 /rate_limit/when_full"],
    );
    check(
        &rate("{ limit: 1, per: 1m, when_full: refuse, queue: 5 }"),
        &["WORKFLOW_VALUE 1:60 /rate_limit/queue ~ remove it, or write `when_full: queue`"],
    );
    check(
        &rate("{ limit: 1, per: 1m }\nadmission: { concurrency: 1, when_full: cancel_oldest }"),
        &["WORKFLOW_VALUE 1:13 /rate_limit ~ write `when_full: refuse` here"],
    );
}

#[test]
fn ids_are_checked_once_and_for_all() {
    check(
        "nodes:\n- { id: a-b, action: x }\n",
        &["WORKFLOW_ID 2:10 /nodes/0/id ~ write `a_b`"],
    );
    check(
        "nodes:\n- { id: a, action: Http.get@1 }\n",
        &["WORKFLOW_ID 2:20 /nodes/0/action"],
    );
    check(
        "nodes:\n- { id: a, action: http.get@v1 }\n",
        &["WORKFLOW_ID 2:29 /nodes/0/action"],
    );
    check(
        "nodes:\n- { id: a, action: x }\n- { id: b, action: x, body: { nodes: [{ id: a, action: x }] } }\n",
        &["WORKFLOW_DUPLICATE_ID 3:45 /nodes/1/body/nodes/0/id"],
    );
    check(
        "triggers: [{ id: t, type: cron }, { id: t, type: cron }, { id: /, type: x }]\nnodes: [{ id: a, action: x }]\n",
        &[
            "WORKFLOW_DUPLICATE_ID 1:41 /triggers/1/id",
            "WORKFLOW_ID 1:64 /triggers/2/id ~ a trigger id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
        ],
    );
}

#[test]
fn connections_lead_from_node_to_node() {
    check_connection("fetch -> price -> alarm", &[]);
    check_connection("fetch.error -> price:left.done -> alarm", &[]);
    check_connection(
        "fetch -> prise",
        &["WORKFLOW_UNKNOWN_NODE 6:12 /connections/0 ~ did you mean `price`?"],
    );
    check_connection(
        "{ from: fecth, to: alarm }",
        &["WORKFLOW_UNKNOWN_NODE 6:11 /connections/0/from ~ did you mean `fetch`?"],
    );
    check_connection(
        "fetch -> -> alarm",
        &["WORKFLOW_CONNECTION 6:3 /connections/0 ~ write it like `fetch -> price`"],
    );
    check_connection(
        "fetch",
        &[
            "WORKFLOW_CONNECTION 6:3 /connections/0 ~ write it like `fetch -> price` or `fetch.error -> alarm`",
        ],
    );
    check_connection(
        "fetch:x -> price.y",
        &[
            "WORKFLOW_CONNECTION 6:9 /connections/0",
            "WORKFLOW_CONNECTION 6:20 /connections/0",
        ],
    );
    check_connection(
        "fetch.a.b -> price",
        &["WORKFLOW_CONNECTION 6:3 /connections/0 ~ write it like `a -> b:input.port -> c`"],
    );
    check_connection(
        "fetch. -> price",
        &["WORKFLOW_ID 6:9 /connections/0 ~ such a name has letters, digits, `_` and `-`"],
    );
    check_connection("fetch -> pr ice", &["WORKFLOW_ID 6:14 /connections/0"]);
    check_connection(
        "fetch -> fetch",
        &[
            "WORKFLOW_SELF_CONNECTION 6:3 /connections/0 ~ a loop says so: write the connection as an object with `loop: true`",
        ],
    );
    check_connection("{ from: fetch, to: fetch, loop: true, max_rounds: 3 }", &[]);
    check_connection(
        "{ from: fetch, to: price, max_rounds: 3 }",
        &["WORKFLOW_NO_LOOP 6:29 /connections/0/max_rounds ~ add `loop: true`, or remove it"],
    );
    check_connection(
        "{ from: fetch.error, to: price }",
        &["WORKFLOW_ID 6:11 /connections/0/from ~ write the field `port: error` beside it"],
    );
    check_connection(
        "fetch -> price\n- { from: fetch, to: price, port: main }",
        &[
            "WORKFLOW_DUPLICATE_CONNECTION 7:3 /connections/1 ~ remove one; join two conditions with `||`",
        ],
    );
    check_connection("7", &["WORKFLOW_TYPE 6:3 /connections/0"]);
    // What is wrong with a node is said once.
    check(
        "nodes: [{ id: a-b, action: x }, { id: c, action: x }]\nconnections: [a-b -> c]\n",
        &["WORKFLOW_ID 1:16 /nodes/0/id ~ write `a_b`"],
    );
    // A body is a level of its own.
    check(
        "nodes:\n- { id: a, action: x }\n- { id: b, action: x, body: { nodes: [{ id: c, action: x }], connections: [a -> c] } }\n",
        &[
            "WORKFLOW_UNKNOWN_NODE 3:76 /nodes/1/body/connections/0 ~ a connection joins nodes of one level: the workflow's or a body's",
        ],
    );
}

#[test]
fn expressions_are_closed_and_not_empty() {
    let close = "close the expression with `}}`, or write `\\{{` for plain braces";
    check_node(
        "parameters: { a: [\"x {{ y\"] }",
        &[&format!(
            "WORKFLOW_UNCLOSED_EXPRESSION 4:24 /nodes/0/parameters/a/0 ~ {close}"
        )],
    );
    check_node("notes: free {{ text", &[]);
    check_node(
        "requires: [\"fs:read:{{ }}\"]",
        &[
            "WORKFLOW_EMPTY_EXPRESSION 4:23 /nodes/0/requires/0 ~ write an expression between `{{` and `}}`",
        ],
    );
    check_node("when: ''", &["WORKFLOW_EMPTY_EXPRESSION 4:9 /nodes/0/when"]);
    check_node(
        "when: true",
        &["WORKFLOW_TYPE 4:9 /nodes/0/when ~ put it in quotes"],
    );
    check_node(
        "when: \"{{ $a }}\"",
        &["WORKFLOW_BRACES 4:9 /nodes/0/when ~ write `$a`"],
    );
    check_node(
        "when: \"{{ $a }} {{ $b }}\"",
        &[
            "WORKFLOW_NOT_AN_EXPRESSION 4:9 /nodes/0/when ~ write the expression without `{{ }}`; join texts with `+`",
        ],
    );
    check_node(
        "when: \"{{ $a\"",
        &[&format!(
            "WORKFLOW_UNCLOSED_EXPRESSION 4:10 /nodes/0/when ~ {close}"
        )],
    );
}

#[test]
fn places_hold_in_every_kind_of_text() {
    let close = "close the expression with `}}`, or write `\\{{` for plain braces";
    let unclosed = |place: &str| {
        format!("WORKFLOW_UNCLOSED_EXPRESSION {place} /nodes/0/parameters/t ~ {close}")
    };
    // Characters of several bytes, before and on the line.
    check_node(
        "# äöü 😀\n  parameters: { ü: ß, t: \"é {{ x\" }",
        &[&unclosed("5:29")],
    );
    // Windows line ends and a byte order mark.
    check(
        "\u{feff}nodes:\r\n- id: a\r\n  action: x\r\n  parameters:\r\n    t: 'b {{ x'\r\n",
        &[&unclosed("5:11")],
    );
    // Lines of a block keep their places, folded or not.
    check_node(
        "parameters:\n    t: |-\n      one\n\n        two {{ x",
        &[&unclosed("8:13")],
    );
    for (text, place) in [
        (">-\n      one\n      two {{ x", "7:11"),
        (">\n\n      one\n        more\n\n      two {{ x\n", "10:11"),
        (">- # comment\r\n      one\r\n\r\n      two {{ x", "8:11"),
        // So do lines of a text without a block.
        ("one\n\n      two {{ x", "7:11"),
        ("'it''s\n      two {{ x'", "6:11"),
        ("\"\\ttab \\x41\\u00e9\\U0001f600 \\\" {{ x\"", "5:39"),
        (
            "\"one \\\n      two \\\n\n      three\n\n\n      {{ x\"",
            "11:7",
        ),
    ] {
        check_node(&format!("parameters:\n    t: {text}"), &[&unclosed(place)]);
    }
    check_node(r#"parameters: { t: "\t {{ x" }"#, &[&unclosed("4:24")]);
    // Tabs count as one character.
    check_node("parameters: {\tt:\t\"a\t{{ x\" }", &[&unclosed("4:23")]);
    // JSON knows the places between its escapes.
    check_as(
        "a.json",
        r#"{"nodes":[{"id":"a","action":"x","parameters":{"t":"\t\u00e9 {{ x"}}]}"#,
        &[&unclosed("1:62")],
    );
}

#[test]
fn stored_definitions_are_read_by_the_same_rules() {
    let codes_of = |value| {
        let problems = WorkflowDefinition::from_json(&value).unwrap_err();
        problems
            .iter()
            .map(|d| format!("{} {}", d.code, d.pointer))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes_of(json!([])), ["WORKFLOW_TYPE "]);
    assert_eq!(
        codes_of(json!({ "nodes": [{ "id": "a", "action": "x", "retri": 1 }] })),
        [
            "WORKFLOW_MISSING_FIELD ",
            "WORKFLOW_UNKNOWN_FIELD /nodes/0/retri"
        ]
    );
    let mut deep = json!(0);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    assert_eq!(codes_of(deep), ["WORKFLOW_TOO_DEEP "]);
}

#[test]
fn every_code_is_explained_and_has_a_test() {
    let here = include_str!("diagnostics.rs");
    let mut seen = BTreeSet::new();
    for (code, text) in codes() {
        assert!(seen.insert(code), "{code} is listed twice");
        assert!(text.len() > 10 && !text.ends_with('.'), "{code}");
        assert!(
            here.contains(&format!("{code} ")) || here.contains(&format!("\"{code}\"")),
            "no test for {code}"
        );
    }
}

#[test]
fn the_format_may_be_chosen() {
    let source = Source {
        format: Format::Json,
        ..Source::new("a.yaml", "nodes: []")
    };
    assert_eq!(parse(&source).diagnostics[0].code, "WORKFLOW_SYNTAX");
}
