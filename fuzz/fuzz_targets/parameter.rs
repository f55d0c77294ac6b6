//! A parameter is told apart once, and what was written can be read from it.

#![no_main]

#[allow(dead_code, reason = "each target uses a part of it")]
#[path = "../../crates/testkit/tests/robust/body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::parameter(bytes));
