//! A path gives the scope's own value without a single allocation: an allocator counts.

// An allocator cannot be written otherwise; this one only counts and passes on.
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use nebula_expression::{CompileOptions, Context, Evaluated, JsonScope, Program};
use serde_json::json;

/// Counts what its own thread takes, so that tests beside each other do not disturb.
struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is done by the system's allocator, with the same arguments; counting touches
// a thread-local that needs neither memory nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many times `work` takes memory, and what it gives.
fn counted<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = TAKEN.get();
    let result = work();
    (TAKEN.get() - before, result)
}

#[test]
fn a_path_that_yields_a_reference_takes_no_memory() {
    let mut wide = serde_json::Map::new();
    for n in 0..100 {
        wide.insert(format!("key_{n}"), json!(n));
    }
    let data = json!({
        "json": { "customer": { "tags": ["vip", "beta"], "name": "Ada" }, "wide": wide },
        "nodes": { "fetch": { "result": { "body": [1, { "deep": [true] }] } } },
    });
    let (scope, context) = (JsonScope(&data), Context::default());
    for (source, expected) in [
        ("$json", &data["json"]),
        ("$json.customer.name", &data["json"]["customer"]["name"]),
        (
            "$json.customer.tags[1]",
            &data["json"]["customer"]["tags"][1],
        ),
        ("$json['customer']?.tags", &data["json"]["customer"]["tags"]),
        ("$json.wide.key_99", &data["json"]["wide"]["key_99"]),
        (
            "$nodes.fetch.result.body[1].deep",
            &data["nodes"]["fetch"]["result"]["body"][1]["deep"],
        ),
    ] {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        let (taken, result) = counted(|| program.evaluate_ref(&scope, &context).unwrap());
        let Evaluated::Borrowed(value) = result else {
            panic!("{source}: {result:?}");
        };
        assert!(std::ptr::eq(value, expected), "{source}");
        assert_eq!(taken, 0, "{source}");
    }
}

#[test]
fn the_allocator_counts() {
    let (taken, text) = counted(|| "seen".to_owned());
    assert_eq!((taken, text.as_str()), (1, "seen"));
}
