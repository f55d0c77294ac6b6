//! Any text is a definition or problems that lie in it, and a definition is planned or refused.

#![no_main]

#[allow(dead_code, reason = "each target uses a part of it")]
#[path = "../../crates/testkit/tests/robust/body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::definition(bytes));
