//! Any bytes are a batch of a journal, or damage.

#![no_main]

#[allow(dead_code, reason = "each target uses a part of it")]
#[path = "../../crates/testkit/tests/robust/body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::journal(bytes));
