//! Every native pays before it works: a line of `tests/natives.txt` for each row of the library.
//!
//! A line is the row, what it spends (`walks` operations for the size of its input, `makes` bytes of
//! that size, or is `small`), an input and a call in which `@` stands for the input. Against the
//! input alone, a call gets few operations more, then few bytes more: what walks ends in
//! `LIMIT_OPERATIONS`, what makes at a limit of memory, and an allocator watches that nothing was
//! taken first.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeSet,
};

use serde_json::{Value, json};

use crate::{
    CompileOptions, Context, JsonScope, Limits, Program, Spent,
    library::{function_names, method_names},
};

/// Watches how much its own thread holds.
struct Watching;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn took(bytes: usize) {
    let held = HELD.get() + isize::try_from(bytes).unwrap_or(isize::MAX);
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

fn gave(bytes: usize) {
    HELD.set(HELD.get() - isize::try_from(bytes).unwrap_or(isize::MAX));
}

// SAFETY: everything is done by the system's allocator, with the same arguments; counting touches
// thread-locals that need neither memory nor a destructor.
#[expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        gave(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        gave(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Operations that a call may take beside those that its input takes.
const FEW_OPERATIONS: u64 = 60;
/// Bytes that a call may make beside those that its input makes.
const FEW_BYTES: usize = 8 * 1024;
/// Memory that a call may hold beside what its input holds: bytes that are charged may stand in the
/// heap for a moment and in a block of the arena, which is at most twice as large as all before.
const FEW_HELD: isize = 64 * 1024;

struct Line {
    row: &'static str,
    walks: bool,
    makes: bool,
    base: &'static str,
    call: &'static str,
}

fn lines() -> Vec<Line> {
    let text = include_str!("../tests/natives.txt").lines();
    let text = text.filter(|line| !line.is_empty() && !line.starts_with("//"));
    text.map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_else(|| panic!("a column: {line}"));
        let (row, class, base, call) = (next(), next(), next(), next());
        assert!(
            ["small", "walks", "makes", "walks makes"].contains(&class),
            "{line}"
        );
        Line {
            row,
            walks: class.contains("walks"),
            makes: class.contains("makes"),
            base,
            call,
        }
    })
    .collect()
}

fn document() -> Value {
    let keyed: serde_json::Map<String, Value> =
        (0..4_000).map(|i| (format!("key{i}"), json!(i))).collect();
    let rows: Vec<Value> = (0..4_000)
        .map(|i| json!({ "k": format!("k{i}"), "v": i, "n": i % 7 }))
        .collect();
    let words = "ab, <b>c</b> d%20e-F_g ".repeat(6_000);
    json!({ "json": {
        "text": words,
        "long": "x".repeat(700_000),
        "blank": " ".repeat(150_000),
        "wide": "ä😀 ß".repeat(12_000),
        "digits": "1".repeat(150_000),
        "base64": "YWJj".repeat(40_000),
        "jsonText": format!("[{}1]", "1,".repeat(30_000)),
        "query": "a=1&bb=c%20d&".repeat(1_500),
        "url": format!("https://example.com/{}", "a/".repeat(60_000)),
        "list": (0..5_000).collect::<Vec<_>>(),
        "texts": (0..5_000).map(|i| format!("t{i}")).collect::<Vec<_>>(),
        "pairs": (0..4_000).map(|i| json!([format!("k{i}"), i])).collect::<Vec<_>>(),
        "lists": (0..2_000).map(|i| json!([i, i])).collect::<Vec<_>>(),
        "rows": rows,
        "keyed": keyed,
        "pattern": "y".repeat(4_000),
    } })
}

struct Ran {
    code: &'static str,
    spent: Spent,
    peak: isize,
}

fn run(source: &str, data: &Value, operations: u64, bytes: usize) -> Ran {
    let program = Program::compile(source, &CompileOptions::default())
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let limits = Limits {
        operations: operations.min(Limits::default().operations),
        operations_ceiling: operations,
        arena_bytes: bytes,
        ..Limits::default()
    };
    let context = Context {
        now_ms: 1_700_000_000_123,
        limits,
        ..Context::default()
    };
    let before = HELD.get();
    PEAK.set(before);
    let (result, spent) = program.evaluate_measured(&JsonScope(data), &context);
    let peak = PEAK.get() - before;
    let code = match result {
        Ok(_) => "",
        Err(error) => error.code,
    };
    Ran { code, spent, peak }
}

fn rows() -> BTreeSet<String> {
    let word = |receiver| format!("{receiver:?}").to_lowercase();
    let methods = method_names().map(|(receiver, name)| format!("{}.{name}", word(receiver)));
    methods.chain(function_names().map(str::to_owned)).collect()
}

/// What is wrong with a line, if anything.
fn judge(line: &Line, data: &Value) -> Option<String> {
    let inputs = vec![line.base; line.call.matches('@').count()].join(", ");
    let most = Limits::default();
    let all = (most.operations_ceiling, most.arena_bytes);
    let base = run(&format!("void [{inputs}]"), data, all.0, all.1);
    if !base.code.is_empty() {
        return Some(format!("{}: {} alone: {}", line.row, line.base, base.code));
    }
    let call = line.call.replace('@', &format!("({})", line.base));
    let source = format!("void ({call})");
    let operations = base.spent.operations + FEW_OPERATIONS;
    let bytes = base.spent.bytes + FEW_BYTES;
    let hurried = run(&source, data, operations, all.1);
    let cramped = run(&source, data, all.0, bytes);
    let walks = hurried.code == "LIMIT_OPERATIONS";
    let makes = ["LIMIT_ARENA", "LIMIT_STRING", "LIMIT_ARRAY"].contains(&cramped.code);
    if (walks, makes) != (line.walks, line.makes) {
        let found = [(walks, "walks"), (makes, "makes")];
        let found: Vec<_> = found
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, word)| *word)
            .collect();
        let free = run(&source, data, all.0, all.1);
        return Some(format!(
            "{}\t{}\t{}\t{}\t({:?} {:?}; {} {:?})",
            line.row,
            if found.is_empty() {
                "small".to_owned()
            } else {
                found.join(" ")
            },
            line.base,
            line.call,
            hurried.code,
            cramped.code,
            free.code,
            free.spent,
        ));
    }
    let blocks = 2 * isize::try_from(base.spent.allocated).unwrap_or(isize::MAX);
    let held = cramped.peak - base.peak - blocks;
    (held > FEW_HELD).then(|| {
        format!(
            "{}\tholds {held} bytes that it was not given: {source}",
            line.row
        )
    })
}

#[test]
fn every_row_of_the_library_has_its_line() {
    let lines = lines();
    let told: BTreeSet<String> = lines.iter().map(|line| line.row.to_owned()).collect();
    let missing: Vec<_> = told.symmetric_difference(&rows()).cloned().collect();
    assert!(
        missing.is_empty(),
        "tests/natives.txt and the tables differ:\n{}",
        missing.join("\n")
    );
    for line in &lines {
        let name = line.row.split_once('.').map_or(line.row, |(_, name)| name);
        let name = name.trim_start_matches("get ").trim_end_matches("(…)");
        assert!(
            line.call.contains(name),
            "{} is not in {}",
            line.row,
            line.call
        );
    }
}

#[test]
fn natives_stop_in_operations_and_in_bytes_before_they_take_memory() {
    let data = document();
    let wrong: Vec<_> = lines()
        .iter()
        .filter_map(|line| judge(line, &data))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} lines are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
