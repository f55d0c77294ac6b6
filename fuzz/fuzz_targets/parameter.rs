//! A parameter is told apart once, and what was written can be read from it.

#![no_main]

#[path = "../../crates/testkit/tests/robust/parameter.rs"]
mod parameter;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parameter::parameter(bytes));
