//! Items of other nodes: `$nodes.<id>.item`, `.all()`, `.first()`, `.last()`.

mod check;

use check::{check, check_lenient, code_of, problems, value};
use nebula_expression::{CompileOptions, Context, Evaluator, JsonScope, Program, Root};
use serde_json::{Value, json};

fn data(index: Option<u32>) -> Value {
    let mut data = json!({ "nodes": {
        "list": { "result": [{ "n": 1 }, { "n": 2 }, { "n": 3 }] },
        "one": { "result": [{ "n": 7 }] },
        "object": { "result": { "n": 8 } },
        "text": { "result": "x" },
        "none": { "result": null },
        "empty": { "result": [] },
        "failed": { "error": { "code": "X" }, "status": "failed" },
    } });
    if let Some(index) = index {
        data["index"] = json!(index);
    }
    data
}

#[test]
fn all_first_and_last_take_any_result_as_a_list() {
    for (expr, expected) in [
        ("$nodes.list.all().map(x => x.n)", json!([1, 2, 3])),
        ("$nodes.list.all() === $nodes.list.result", json!(true)),
        ("$nodes.object.all()", json!([{ "n": 8 }])),
        ("$nodes.text.all()", json!(["x"])),
        ("$nodes.none.all()", json!([null])),
        ("$nodes.empty.all()", json!([])),
        ("$nodes.failed.all()", json!([])),
        ("$nodes.list.first().n", json!(1)),
        ("$nodes['list'].last().n", json!(3)),
        ("$nodes.list['last']().n", json!(3)),
        ("$nodes.object.first().n", json!(8)),
        ("$nodes.text.last()", json!("x")),
        ("$nodes.absent?.all() ?? 'none'", json!("none")),
        ("$nodes.empty.first() ?? 'none'", json!("none")),
        ("$nodes.failed.last()?.n ?? 'none'", json!("none")),
    ] {
        check(expr, &data(None), &expected);
    }
    assert_eq!(
        code_of("$nodes.absent.all()", &data(None)),
        "PATH_NODE_ABSENT"
    );
    assert_eq!(
        code_of("$nodes.empty.first().n", &data(None)),
        "PATH_OF_NULLISH"
    );
}

#[test]
fn item_is_the_one_at_the_current_index_or_the_only_one() {
    check("$nodes.list.item.n", &data(Some(1)), &json!(2));
    check("$nodes.list.item", &data(Some(2)), &json!({ "n": 3 }));
    check("$nodes.one.item.n", &data(Some(1)), &json!(7));
    check("$nodes.one.item.n", &data(None), &json!(7));
    check("$nodes.object.item.n", &data(Some(4)), &json!(8));
    assert_eq!(value("$nodes.failed.item", &data(Some(0))), Ok(None));
    for (expr, index) in [
        ("$nodes.list.item.n", None),
        ("$nodes.list.item", Some(3)),
        ("$nodes.empty.item", Some(0)),
    ] {
        let error = value(expr, &data(index)).unwrap_err();
        assert_eq!(error.code, "PATH_NO_ITEM", "{expr}");
        assert!(error.hint.unwrap().contains("`.first()`"));
        check_lenient(&format!("[{expr}]"), &data(index), &json!([null]));
    }
}

#[test]
fn items_are_reported_like_results() {
    let source = "$nodes.a.item.x + $nodes.b?.all().length + $nodes.a.last().y";
    let program = Program::compile(source, &CompileOptions::default()).unwrap();
    let report = program.report();
    let nodes: Vec<_> = report
        .nodes
        .iter()
        .map(|node| (&*node.node, node.optional))
        .collect();
    assert_eq!(nodes, [("a", false), ("b", true)]);
    assert_eq!(
        &source[report.nodes[0].spans[1].start..report.nodes[0].spans[1].end],
        "a"
    );
    assert_eq!(report.paths, ["$nodes.a.result", "$nodes.b.result"]);
    assert_eq!(report.roots, [] as [Root; 0]);
}

#[test]
fn other_ways_to_write_it_are_refused_with_a_hint() {
    for (expr, hint) in [
        ("$nodes.a.all", "`.all()`"),
        ("$nodes.a.first(0, 1)", "`.first()`"),
        ("$nodes.a.item()", "`.item`"),
        ("$nodes.a.itemMatching(2)", "`$nodes.a.all()[index]`"),
    ] {
        let errors = Program::compile(expr, &CompileOptions::default()).unwrap_err();
        assert_eq!(errors[0].code, "UNSUPPORTED_LINEAGE", "{expr}");
        assert!(
            errors[0].hint.as_ref().unwrap().contains(hint),
            "{errors:?}"
        );
    }
    assert_eq!(problems("$nodes.a.frist()")[0].0, "NAME_UNKNOWN_FIELD");
}

#[test]
fn a_deferred_program_runs_once_per_item_over_item_and_index() {
    let source = "$item.q * 10 + $index + $nodes.list.item.n * 100";
    let program = Program::compile(source, &CompileOptions::default()).unwrap();
    let mut evaluator = Evaluator::new(&program);
    let results: Vec<_> = (0..3)
        .map(|index| {
            let mut data = data(Some(index));
            data["item"] = json!({ "q": index + 1 });
            evaluator.evaluate(&JsonScope(&data), &Context::default())
        })
        .collect();
    let expected = [110, 221, 332].map(|n| Ok(Some(json!(n))));
    assert_eq!(results, expected);
}
