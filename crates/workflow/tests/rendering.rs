//! How problems look.

use nebula_workflow::{Diagnostic, Source, SourceMap, WorkflowDefinition, parse, render};
use serde_json::json;

fn drawn(name: &str, text: &str) -> String {
    let source = Source::new(name, text);
    let parsed = parse(&source);
    render(&parsed.diagnostics, &source, &parsed.map, false)
}

#[test]
fn many_problems_are_drawn_at_once() {
    let text = "\
name: Ordér intake ✓
nodes:
  - id: fetch
    action: http.request@1
    parameters: { url: {{ $input.url }}, method: GET }
    retri: { max_attempts: 5 }
    timeout: 10
  - id: price
    action: data.set@1
    when: !$nodes.fetch.error
    parameters:
      total: \"{{ $item.qty * $item.price\"
      total: 1
  - id: fetch
    action: data.set@1
conections: []
";
    insta::assert_snapshot!(drawn("flows/order.yaml", text));
}

#[test]
fn connections_are_drawn_by_their_part() {
    let text = "\
nodes:
- { id: fetch, action: a }
- { id: price, action: a }
connections:
- fetch.error -> prise -> fetch
- fetch -> price
- { from: fetch, to: price }
- price -> price
";
    insta::assert_snapshot!(drawn("w.yaml", text));
}

#[test]
fn a_bracket_without_an_end_is_shown() {
    insta::assert_snapshot!(drawn("w.yaml", "nodes:\n  - { id: a,\n      action: x\n"));
}

#[test]
fn a_file_without_text_is_drawn_without_a_line() {
    insta::assert_snapshot!(drawn("w.yaml", ""));
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let filler = "\"é\",".repeat(200_000);
    let text = format!(
        r#"{{"nodes":[{{"id":"a","action":"x","pin":[{filler}1],"wen":"y","runs_on":[{filler}"b"]}}]}}"#
    );
    let drawn = drawn("w.json", &text);
    assert!(drawn.len() < 1_000, "{} bytes", drawn.len());
    insta::assert_snapshot!(drawn);
}

#[test]
fn a_wide_line_is_cut_to_the_terminal() {
    let text = format!(
        "nodes: [{{ id: a, action: x, notes: {}, wen: 1 }}]",
        "x ".repeat(200)
    );
    insta::assert_snapshot!(drawn("w.yaml", &text));
}

#[test]
fn only_the_first_hundred_are_drawn() {
    let unknown: String = (0..130).map(|i| format!("qqqqqqq{i}: 1\n")).collect();
    let drawn = drawn(
        "w.yaml",
        &format!("nodes: [{{ id: a, action: x }}]\n{unknown}"),
    );
    assert_eq!(drawn.matches("error[").count(), 100);
    assert!(drawn.ends_with("… and 30 more\n"));
}

#[test]
fn nothing_in_a_source_steers_the_terminal() {
    let text =
        "{\"nodes\":[{\"id\":\"a\",\"action\":\"x\",\"\u{9b}31m\u{202e}\u{7f}\":\"\u{9b}1m\"}]}";
    let drawn = drawn("w.json", text);
    assert!(
        !drawn.contains(['\u{9b}', '\u{1b}', '\u{202e}', '\u{7f}']),
        "{drawn:?}"
    );
}

#[test]
fn colours_only_where_they_are_wanted() {
    let source = Source::new("w.yaml", "nodes: []");
    let parsed = parse(&source);
    assert!(render(&parsed.diagnostics, &source, &parsed.map, true).contains("\u{1b}["));
    assert!(!render(&parsed.diagnostics, &source, &parsed.map, false).contains('\u{1b}'));
}

#[test]
fn later_phases_draw_their_own() {
    let source = Source::new(
        "w.yaml",
        "nodes:\n- id: a\n  action: http.reqest@1\n  notes: \"say {{ $x.toUper() }}\"\n",
    );
    let parsed = parse(&source);
    let problems = [
        Diagnostic::error(
            "PLAN_UNKNOWN_ACTION",
            "/nodes/0/action",
            "there is no action `http.reqest`",
        )
        .range(0..11)
        .did_you_mean(Some("http.request"))
        .related("/nodes/0/id", "needed by this node"),
        Diagnostic::warning(
            "TYPE_METHOD",
            "/nodes/0/notes",
            "no method `toUper` on string",
        )
        .range(10..16),
        Diagnostic::lint(
            "STYLE",
            "/nodes/0/notes",
            "notes are better without expressions",
        )
        .at_key(),
    ];
    insta::assert_snapshot!(render(&problems, &source, &parsed.map, false));
}

#[test]
fn a_stored_definition_is_drawn_by_its_pointers() {
    let problems =
        WorkflowDefinition::from_json(&json!({ "id": "a", "nodes": [{ "id": "a", "acton": 1 }] }));
    let drawn = render(
        &problems.unwrap_err(),
        &Source::new("", ""),
        &SourceMap::default(),
        false,
    );
    insta::assert_snapshot!(drawn);
}

#[test]
fn tools_get_json() {
    let source = Source::new("w.yaml", "nodes:\n- id: a\n  action: x\n  when: !$b\n");
    let parsed = parse(&source);
    insta::assert_json_snapshot!(parsed.map.locate_all(&parsed.diagnostics, &source));
}
