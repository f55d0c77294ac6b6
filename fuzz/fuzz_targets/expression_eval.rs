//! Whatever compiles ends within its limits, with the same answer each time.

#![no_main]

#[allow(dead_code, reason = "the other target uses the other part")]
#[path = "../../crates/expression/tests/robust/body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::evaluate(bytes));
