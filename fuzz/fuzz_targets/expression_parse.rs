//! Any bytes compile to a program, or to errors that lie in the text.

#![no_main]

#[path = "../../crates/expression/tests/robust/parse.rs"]
mod parse;
#[path = "../../crates/expression/tests/robust/program.rs"]
mod program;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    parse::parse(bytes);
    parse::complete(bytes);
});
