//! What must hold when any text is evaluated that compiles.

use std::sync::OnceLock;

use nebula_expression::{Context, Evaluator, JsonScope, Limits};
use serde_json::{Value, json};

use crate::program::{MODES, compile, placed};

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
