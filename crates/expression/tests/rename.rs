//! Renaming a node rewrites its mentions and nothing else.

use nebula_expression::{CompileOptions, Edit, Program, RenameError, rename_node};
use proptest::prelude::*;

#[track_caller]
fn renamed(source: &str, from: &str, to: &str, quote: char) -> String {
    let edits = rename_node(source, from, to, quote).unwrap();
    Edit::apply(source, &edits)
}

#[track_caller]
fn check(source: &str, to: &str, expected: &str) {
    assert_eq!(renamed(source, "a", to, '"'), expected, "{source}");
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
    check(r"$nodes['\u0061'].result", "b", "$nodes['b'].result");
    check("$nodes./* it */a.result", "b", "$nodes./* it */b.result");
    check("$nodes.a.result", "null", "$nodes.null.result");
    check("$nodes.a.result", "class", "$nodes.class.result");
    check(
        "(({ a }) => a.result + $nodes.a.result.a)($nodes.a)",
        "b",
        "(({ a }) => a.result + $nodes.b.result.a)($nodes.b)",
    );
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
    let single = renamed("$nodes.a.result", "a", "b-c", '\'');
    assert_eq!(single, "$nodes['b-c'].result");
    // It would go with the bracket.
    let refused = rename_node("$nodes. /* it */ a.result", "a", "b-c", '"');
    assert_eq!(refused, Err(RenameError::Mention { range: 17..18 }));
}

#[test]
fn what_does_not_mention_the_node_is_left_alone() {
    for source in ["$json.a", "'$nodes.a'", "$nodes.b.result"] {
        assert_eq!(rename_node(source, "a", "b", '"'), Ok(vec![]), "{source}");
    }
}

#[test]
fn what_does_not_compile_says_why() {
    match rename_node("$nodes.a.result +", "a", "b", '"') {
        Err(RenameError::Source(errors)) => assert_eq!(errors[0].code, "SYNTAX_END"),
        other => panic!("{other:?}"),
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
        let there = renamed(&source, "a", "zz", '"');
        let nodes = |source: &str| {
            let program = Program::compile(source, &CompileOptions::default()).unwrap();
            let nodes = program.report().nodes.iter();
            nodes.map(|node| (node.node.clone(), node.spans.len(), node.optional)).collect::<Vec<_>>()
        };
        let expected: Vec<_> = nodes(&source).into_iter().map(|(id, spans, optional)| {
            (if id == "a" { "zz".to_owned() } else { id }, spans, optional)
        }).collect();
        prop_assert_eq!(nodes(&there), expected);
        prop_assert_eq!(renamed(&there, "zz", "a", '"'), source);
    }
}
