//! Any bytes compile to a program, or to errors that lie in the text.

#![no_main]

#[allow(dead_code, reason = "the other target uses the other part")]
#[path = "../../crates/expression/tests/robust/body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::parse(bytes);
    body::complete(bytes);
});
