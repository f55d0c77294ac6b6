//! What takes memory and what does not: an allocator counts.
//!
//! A path gives the scope's own value without a single allocation, and compiling allocates what the
//! program keeps, not what it is made from.

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
fn compiling_takes_memory_for_the_program_alone() {
    let check = |source: &str, takes: usize| {
        let compile = || Program::compile(source, &CompileOptions::default()).unwrap();
        // The thread's arena and the tables of the library are there from the first time on.
        compile();
        assert_eq!(counted(compile).0, takes, "{source}");
    };
    // The source, the nodes with their places, and the program that is shared.
    check("1", 4);
    check("(((1 + 2) * 3 ** (4 - 5)))", 4);
    // The steps, their keys, and in the report the root, the path and the list that it stands in.
    check("$json.total", 9);
    check("((($json)['\\u0074otal']))", 9);
    check("$json /* what is read here is not kept */ . total", 9);
}

#[test]
fn the_allocator_counts() {
    let (taken, text) = counted(|| "seen".to_owned());
    assert_eq!((taken, text.as_str()), (1, "seen"));
}
