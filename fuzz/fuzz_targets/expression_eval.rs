//! Whatever compiles ends within its limits, with the same answer each time.

#![no_main]

#[path = "../../crates/expression/tests/robust/evaluate.rs"]
mod evaluate;
#[path = "../../crates/expression/tests/robust/program.rs"]
mod program;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evaluate::evaluate(bytes));
