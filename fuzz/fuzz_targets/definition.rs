//! Any text is a definition or problems that lie in it, and a definition is planned or refused.

#![no_main]

#[path = "../../crates/testkit/tests/robust/definition.rs"]
mod definition;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| definition::definition(bytes));
