//! Any bytes are a stored plan, or damage; and so are they as a snapshot.

#![no_main]

#[allow(dead_code, reason = "each target uses a part of it")]
#[path = "../../crates/testkit/tests/robust/body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::stored_plan(bytes);
    body::snapshot(bytes, body::plan_of_fixture());
});
