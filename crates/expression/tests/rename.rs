//! Renaming a node rewrites its mentions and nothing else.

use nebula_expression::{CompileOptions, Program, rename_node};
use proptest::prelude::*;

#[track_caller]
fn check(source: &str, to: &str, expected: &str) {
    let renamed = rename_node(source, "a", to, '"');
    assert_eq!(renamed.as_deref(), Some(expected), "{source}");
}

#[test]
fn mentions_are_rewritten_wherever_they_stand() {
    check("$nodes.a.result", "b", "$nodes.b.result");
    check("$nodes?.a?.result.a", "b", "$nodes?.b?.result.a");
    check(
        r#"$nodes["a"].result + $nodes['a'].result"#,
        "b",
        r#"$nodes["b"].result + $nodes['b'].result"#,
    );
    check(
        "`a ${$nodes.a.result} $nodes.a`",
        "b",
        "`a ${$nodes.b.result} $nodes.a`",
    );
    check(
        "$json.list.map(a => a + $nodes.a.result.a)",
        "b",
        "$json.list.map(a => a + $nodes.b.result.a)",
    );
    check(
        "$nodes.a.result /* $nodes.a */ + 'a'",
        "b",
        "$nodes.b.result /* $nodes.a */ + 'a'",
    );
    check("$nodes. a . result", "b", "$nodes. b . result");
    check(r"$nodes['\u0061'].result", "b", r#"$nodes["b"].result"#);
    check(
        "$nodes.aa.result + $nodes.a.result",
        "b",
        "$nodes.aa.result + $nodes.b.result",
    );
}

#[test]
fn an_id_that_is_no_name_is_quoted() {
    check("$nodes.a.result", "b-c", r#"$nodes["b-c"].result"#);
    check("$nodes.a?.result", "b-c", r#"$nodes["b-c"]?.result"#);
    check("$nodes?.a.result", "1b", r#"$nodes?.["1b"].result"#);
    check("$nodes['a'].result", "b-c", "$nodes['b-c'].result");
    let single = rename_node("$nodes.a.result", "a", "b-c", '\'');
    assert_eq!(single.as_deref(), Some("$nodes['b-c'].result"));
}

#[test]
fn what_does_not_mention_the_node_or_compile_is_left_alone() {
    for source in [
        "$json.a",
        "'$nodes.a'",
        "$nodes.b.result",
        "$nodes.a.result +",
    ] {
        assert_eq!(rename_node(source, "a", "b", '"'), None, "{source}");
    }
}

const PARTS: &[&str] = &[
    "$nodes.a.result",
    "$nodes['a'].result.a",
    "$nodes[\"a\"]?.error",
    "$nodes.a?.result?.[0]",
    "`x${$nodes.a.status}a`",
    "$nodes.other.result",
    "$json.a",
    "[1].map(a => a + $nodes.a.attempts)",
    "{ a: $nodes.a.port }",
    "'$nodes.a'",
];

proptest! {
    #[test]
    fn renaming_back_is_the_identity(parts in prop::collection::vec(prop::sample::select(PARTS), 1..6)) {
        let source = format!("$nodes.a.success && [{}]", parts.join(", "));
        let there = rename_node(&source, "a", "zz", '"').unwrap();
        let nodes = |source: &str| {
            let program = Program::compile(source, &CompileOptions::default()).unwrap();
            let nodes = program.report().nodes.iter();
            nodes.map(|node| (node.node.clone(), node.spans.len(), node.optional)).collect::<Vec<_>>()
        };
        let expected: Vec<_> = nodes(&source).into_iter().map(|(id, spans, optional)| {
            (if id == "a" { "zz".to_owned() } else { id }, spans, optional)
        }).collect();
        prop_assert_eq!(nodes(&there), expected);
        prop_assert_eq!(rename_node(&there, "zz", "a", '"'), Some(source));
    }
}
