//! Any bytes are a batch of a journal, or damage.

#![no_main]

#[path = "../../crates/testkit/tests/robust/journal.rs"]
mod journal;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| journal::journal(bytes));
