//! A long list gives what the same list gives as a value: the same values, errors and costs.

use std::sync::Arc;

use nebula_expression::{
    CompileOptions, Context, Evaluated, JsonScope, Limits, ListOf, LongList, Mode, NodeView,
    Program, Root, Scope, Segmented,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A list in segments.
#[derive(Debug)]
struct Parts(Vec<Value>, u32);

impl Segmented for Parts {
    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }

    fn segment_len(&self) -> u32 {
        self.1
    }

    fn segment(&self, number: u32) -> Vec<Value> {
        let mut segments = self.0.chunks(self.1 as usize);
        segments.nth(number as usize).unwrap_or_default().to_vec()
    }
}

/// `$json` and the result of the node `list` are one long list.
struct Long {
    list: LongList,
    rest: Value,
}

impl Long {
    fn new(list: &[Value], segment_len: u32) -> Self {
        let parts = Parts(list.to_vec(), segment_len);
        Self {
            list: LongList::new(Arc::new(parts)),
            rest: rest(),
        }
    }
}

impl Scope for Long {
    fn root(&self, root: Root) -> Option<&Value> {
        JsonScope(&self.rest)
            .root(root)
            .map(|_| &self.rest[root.name()])
    }

    fn node(&self, _: usize, id: &str) -> Option<NodeView<'_>> {
        (id == "list").then_some(NodeView {
            result: None,
            success: Some(true),
            error: None,
            status: "succeeded",
            port: None,
            attempts: 1,
        })
    }

    fn list(&self, of: ListOf<'_>) -> Option<&LongList> {
        let is = matches!(
            of,
            ListOf::Root(Root::Json) | ListOf::Result { id: "list", .. }
        );
        is.then_some(&self.list)
    }
}

fn rest() -> Value {
    json!({ "input": { "n": 2, "text": "ab" }, "index": 3 })
}

/// The same with the list as a value: one list, of which there is no second.
struct Plain(Value, Value);

impl Scope for Plain {
    fn root(&self, root: Root) -> Option<&Value> {
        match root {
            Root::Json => Some(&self.0),
            other => self.1.get(other.name()),
        }
    }

    fn node(&self, _: usize, id: &str) -> Option<NodeView<'_>> {
        (id == "list").then_some(NodeView {
            result: Some(&self.0),
            success: Some(true),
            error: None,
            status: "succeeded",
            port: None,
            attempts: 1,
        })
    }

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }
}

/// Whole expressions; `@` is the list.
const WHOLE: &[&str] = &[
    "@",
    "@.length",
    "@[0]",
    "@[2]",
    "@[7].a",
    "@[1].a.b",
    "@?.[1]?.a",
    "@['length']",
    "@['1']",
    "@[$input.n]",
    "@[-1]",
    "@.x",
    "@.map",
    "@.x.y",
    "@ === @",
    "@ == @",
    "@ === $nodes.list.result",
    "@[1] === $nodes.list.result[1]",
    "@ < 3",
    "@ + ''",
    "-@",
    "!@",
    "typeof @",
    "`${@}`",
    "String(@)",
    "Number(@)",
    "Array.isArray(@)",
    "1 in @",
    "'length' in @",
    "'x' in @",
    "@ instanceof Array",
    "[...@]",
    "[0, ...@, 1]",
    "({ ...@ })",
    "({ a: @, b: [@] })",
    "[@, @[0]]",
    "Math.max(...@)",
    "JSON.stringify(@)",
    "JSON.stringify(@, null, 1)",
    "JSON.stringify({ a: @ })",
    "Object.keys(@)",
    "Object.values(@)",
    "Object.entries(@)",
    "Object.assign({}, @)",
    "Object.hasOwn(@, 1)",
    "Object.is(@, @)",
    "Array.from(@)",
    "Array.from(@, x => x)",
    "Array.of(@)",
    "new Set(@).size",
    "new Set([@, @]).size",
    "new Map(@.map(x => [x, 1])).size",
    "new Map([[@, 1]]).get(@)",
    "new URLSearchParams(@).toString()",
    "[1].concat(@)",
    "[1].concat(@, @).length",
    "[@, [1]].flat()",
    "[1, 2].flatMap(x => @)",
    "[@].includes(@)",
    "[1, 2].union(@)",
    "[1, 2].difference(@)",
    "[1, 2].merge(@)",
    "@ ?? 1",
    "@ || 1",
    "@ && 1",
    "@ ? 1 : 2",
    "$input.n > 1 ? @ : []",
    "(([a, , b = 9, ...c]) => [a, b, c])(@)",
    "(({ length, 1: b, ...rest }) => [length, b, rest])(@)",
    "((a, ...rest) => rest)(...@)",
    "$nodes.list",
    "$nodes.list.result.length",
    "$nodes.list.result[1]",
    "$nodes.list.all()",
    "$nodes.list.first()",
    "$nodes.list.last()",
    "$nodes.list.item",
    "$nodes.list.first().a",
    "$nodes.list.all().length",
    "@.filter(x => x?.a).map((x, i, all) => all.length + i)",
    "@.reduce((n, x, i, all) => n + all.length, 0)",
    "@.sum()",
    "@.isEmpty()",
    "@.map(x => x.a)",
    "@.map(x => x?.a?.b)",
    "@.every(x => x === x)",
    "@.some(x => x === 1)",
    "@.findLast(x => x === 1)",
    "@.reduceRight((a, b) => b)",
    "@.join('-').length",
    "@.slice(1, 4)",
    "@.slice(-2)[0]",
    "@.at(-1)",
    "@.lastIndexOf(1, -2)",
    "@.toJsonString()",
    "((list) => list.length + list[0])(@)",
    "((list) => { const n = list.length; return n > 2 ? list[2] : list; })(@)",
];

/// The calls of the methods of lists, from the table that has one for each.
fn calls() -> Vec<String> {
    let lines = include_str!("natives.txt").lines();
    let of_lists = lines.filter(|line| line.starts_with("array."));
    let calls = of_lists.map(|line| line.rsplit('\t').next().unwrap().to_owned());
    calls.collect()
}

fn source() -> impl Strategy<Value = String> {
    let calls = calls();
    assert!(calls.len() > 50, "{calls:?}");
    let whole = prop::sample::select(WHOLE).prop_map(str::to_owned);
    let next = prop::sample::select(calls);
    let chain = prop::collection::vec(next, 1..4).prop_map(|calls| {
        let first = "@".to_owned();
        // What an argument names stays the list.
        calls.iter().fold(first, |so_far, call| {
            let (_, rest) = call.split_once('@').unwrap();
            format!("{so_far}{rest}")
        })
    });
    (
        prop_oneof![whole, chain],
        prop_oneof![Just("$json"), Just("$nodes.list.result")],
    )
        .prop_map(|(source, list)| source.replace('@', list))
}

fn element() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..9).prop_map(Value::from),
        Just(json!(9_007_199_254_740_993_u64)),
        "[a-cä😀]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let key = prop_oneof![Just("a"), Just("b"), Just("k"), Just("length")];
        let object = prop::collection::vec((key.prop_map(str::to_owned), inner.clone()), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            object.prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The default, or one of them so small that it matters.
fn limits() -> impl Strategy<Value = Limits> {
    let all = Limits::default;
    prop_oneof![
        4 => Just(all()),
        // A path through plain values takes no operations at all, and through a long list some.
        1 => (8_u64..400).prop_map(move |operations| Limits { operations, operations_ceiling: operations, ..all() }),
        1 => (0_usize..20).prop_map(move |array_len| Limits { array_len, ..all() }),
        1 => (0_usize..2_000).prop_map(move |arena_bytes| Limits { arena_bytes, ..all() }),
        1 => (0_usize..2_000).prop_map(move |result_bytes| Limits { result_bytes, ..all() }),
        1 => (0_usize..50).prop_map(move |string_bytes| Limits { string_bytes, ..all() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_long_list_is_to_an_expression_as_any_list(
        list in prop::collection::vec(element(), 0..12),
        segment_len in 1_u32..5,
        source in source(),
        limits in limits(),
        lenient in any::<bool>(),
    ) {
        let mode = if lenient { Mode::Lenient } else { Mode::Strict };
        let options = CompileOptions { mode, ..CompileOptions::default() };
        let Ok(program) = Program::compile(&source, &options) else {
            return Ok(());
        };
        let context = Context { limits, ..Context::default() };
        let (long, plain) = (Long::new(&list, segment_len), Plain(Value::from(list), rest()));
        let (result, spent) = program.evaluate_measured(&plain, &context);
        let (found, took) = program.evaluate_measured(&long, &context);
        prop_assert_eq!(&found, &result, "{}", source);
        // Data needs no bytes; a set of objects has its keys where their addresses say.
        prop_assert_eq!((took.operations, took.bytes), (spent.operations, spent.bytes), "{}", source);
        prop_assert_eq!(&program.evaluate(&long, &context), &program.evaluate(&plain, &context), "{}", source);
        let by_ref = program.evaluate_ref(&long, &context).map(Evaluated::into_owned);
        let plain_ref = program.evaluate_ref(&plain, &context).map(Evaluated::into_owned);
        prop_assert_eq!(by_ref, plain_ref, "{}", source);
        prop_assert_eq!(
            program.evaluate_text(&long, &context),
            program.evaluate_text(&plain, &context),
            "{}", source
        );
        prop_assert_eq!(
            program.evaluate_condition(&long, &context),
            program.evaluate_condition(&plain, &context),
            "{}", source
        );
        prop_assert_eq!(program.inspect(&long, &context), program.inspect(&plain, &context), "{}", source);
        prop_assert_eq!(program.outline(&long, &context), program.outline(&plain, &context), "{}", source);
    }
}

#[test]
fn every_expression_of_this_test_compiles() {
    let list: Vec<Value> = (0..9).map(|n| json!({ "a": n })).collect();
    let (long, plain) = (Long::new(&list, 2), Plain(Value::from(list), rest()));
    let mut refused = Vec::new();
    for source in WHOLE {
        let source = source.replace('@', "$json");
        match Program::compile(&source, &CompileOptions::default()) {
            Ok(program) => {
                let context = Context::default();
                let (found, spent) = program.evaluate_measured(&long, &context);
                let (wanted, plain) = program.evaluate_measured(&plain, &context);
                assert_eq!(found, wanted, "{source}");
                assert_eq!(spent.operations, plain.operations, "{source}");
            }
            Err(errors) => refused.push((source, errors)),
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn an_expression_reads_the_segments_that_it_touches() {
    let list: Vec<Value> = (0..100).map(|n| json!({ "n": n })).collect();
    let touched = |source: &str| {
        let long = Long::new(&list, 10);
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        program.evaluate_ref(&long, &Context::default()).unwrap();
        long.list.touched()
    };
    for (source, segments) in [
        ("$json", 0),
        ("$input.n > 1 ? $json : []", 0),
        ("$json.length", 0),
        ("$json.isEmpty()", 0),
        ("$json === $nodes.list.result", 0),
        ("$json[55].n", 1),
        ("$json.at(-1)", 1),
        ("$json.slice(18, 22)", 2),
        ("$json.find(x => x.n === 25).n", 3),
        ("$json.some(x => x.n === 5)", 1),
        ("$json.reduce((sum, x) => sum + x.n, 0)", 10),
    ] {
        assert_eq!(touched(source), segments, "{source}");
    }
}

#[test]
fn a_whole_long_list_is_handed_over_as_what_it_is() {
    let list: Vec<Value> = (0..25).map(Value::from).collect();
    let long = Long::new(&list, 10);
    let program = |source| Program::compile(source, &CompileOptions::default()).unwrap();
    let context = Context::default();
    let found = program("$json ?? []")
        .evaluate_ref(&long, &context)
        .unwrap();
    let Evaluated::List(source) = &found else {
        panic!("{found:?}")
    };
    assert!(Arc::ptr_eq(source, long.list.source()));
    assert_eq!(
        found.clone(),
        Evaluated::List(Arc::new(Parts(list.clone(), 7)))
    );
    assert_ne!(
        found.clone(),
        Evaluated::List(Arc::new(Parts(list[1..].to_vec(), 10)))
    );
    assert_eq!(found.into_owned(), Some(Value::from(list)));
    assert_eq!(
        format!("{:?}", long.list),
        "LongList(25 elements, 0 segments read)"
    );
}
