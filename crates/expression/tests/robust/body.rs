//! What must hold for any text at all: the bodies of the fuzz targets `expression_parse` and
//! `expression_eval`, which the test beside this drives with a seed.

use std::sync::OnceLock;

use nebula_expression::{
    CompileOptions, Context, Evaluator, ExpressionError, JsonScope, Limits, Mode, Place, Program,
    cursor, is_unfinished,
};
use serde_json::{Value, json};

const MODES: [Mode; 2] = [Mode::Strict, Mode::Lenient];

fn compile(source: &str, mode: Mode) -> Result<Program, Vec<ExpressionError>> {
    let options = CompileOptions {
        mode,
        ..CompileOptions::default()
    };
    Program::compile(source, &options)
}

/// Any bytes compile to a program, or to errors that lie in the text.
pub(crate) fn parse(bytes: &[u8]) {
    let source = &*String::from_utf8_lossy(bytes);
    for mode in MODES {
        match compile(source, mode) {
            Ok(program) => {
                assert_eq!(program.source(), source);
                assert!(!is_unfinished(source), "{source}");
                for node in &program.report().nodes {
                    for span in &node.spans {
                        assert!(source.get(span.start..span.end).is_some(), "{source}");
                    }
                }
                let portable = serde_json::to_string(&program).unwrap();
                let again: Program = serde_json::from_str(&portable).unwrap();
                assert_eq!(again, program, "{source}");
            }
            Err(errors) => {
                assert!(!errors.is_empty(), "{source}");
                assert!(errors.is_sorted_by_key(|error| (error.start, error.end)));
                errors.iter().for_each(|error| placed(source, error));
            }
        }
    }
}

/// What is being written at any place lies in the text.
pub(crate) fn complete(bytes: &[u8]) {
    let source = &*String::from_utf8_lossy(bytes);
    // Each place is parsed for anew; long texts are asked at their ends.
    let places = (0..=source.len()).rev().take(3);
    for at in places.chain((0..=source.len()).take(3)) {
        let Some(found) = cursor(source, at) else {
            continue;
        };
        assert_eq!(found.word.end, at, "{source}");
        assert!(source.get(found.word.clone()).is_some(), "{source}");
        if let Place::Member(member) = found.place {
            assert!(member.link.start <= found.word.start, "{source}");
            assert!(source.get(member.link).is_some(), "{source}");
        }
    }
}

/// Whatever compiles ends within small limits, with the same answer each time it is asked.
pub(crate) fn evaluate(bytes: &[u8]) {
    let source = &*String::from_utf8_lossy(bytes);
    static DATA: OnceLock<Value> = OnceLock::new();
    let scope = JsonScope(DATA.get_or_init(document));
    let context = Context {
        now_ms: 1_700_000_000_123,
        seed: 42,
        limits: small(),
        ..Context::default()
    };
    for mode in MODES {
        let Ok(program) = compile(source, mode) else {
            continue;
        };
        let first = program.evaluate(&scope, &context);
        assert_eq!(first, program.evaluate(&scope, &context), "{source}");
        match program.evaluate_outlined(&scope, &context) {
            Ok((outline, result)) => {
                assert_eq!(first, result, "{source}");
                assert_eq!(Ok(outline), program.outline(&scope, &context), "{source}");
            }
            Err(error) => assert_eq!(first, Err(error), "{source}"),
        }
        let mut evaluator = Evaluator::new(&program);
        assert_eq!(first, evaluator.evaluate(&scope, &context), "{source}");
        assert_eq!(first, evaluator.evaluate(&scope, &context), "{source}");
        if let Err(error) = &first {
            placed(source, error);
        }
        // The other ways out never do worse than an error either.
        let errors = [
            program.evaluate_text(&scope, &context).err(),
            program.evaluate_condition(&scope, &context).err(),
            program.inspect(&scope, &context).err(),
        ];
        for error in errors.iter().flatten() {
            placed(source, error);
        }
    }
}

/// An error has a code, a message and a place in the text.
fn placed(source: &str, error: &ExpressionError) {
    assert!(
        source.get(error.start..error.end).is_some(),
        "{source}: {error:?}"
    );
    assert!(
        !error.message.is_empty() && error.code.contains('_'),
        "{error:?}"
    );
    assert_ne!(error.code, "TYPE_INTERNAL", "{source}");
}

/// Small enough that nothing takes long, by operations alone.
fn small() -> Limits {
    Limits {
        operations: 2_000,
        operations_ceiling: 100_000,
        string_bytes: 20_000,
        array_len: 5_000,
        arena_bytes: 1024 * 1024,
        result_bytes: 1024 * 1024,
        ..Limits::default()
    }
}

fn document() -> Value {
    json!({
        "json": {
            "id": "ord_9", "total": 249.9, "none": null, "big": 9_007_199_254_740_993_i64, "text": " Grüße, 😀! ",
            "tags": ["vip", "beta"], "numbers": [10, -1, 2.5], "nested": [1, [2, [3]]],
            "items": [{ "sku": "A", "qty": 1 }, { "sku": "B", "qty": 2 }],
        },
        "input": { "a": 1 },
        "item": { "x": [1, 2, 3] },
        "nodes": { "fetch": { "result": { "status": 200 } }, "bad": { "error": { "code": "X" } } },
    })
}
