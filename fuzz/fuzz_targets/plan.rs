//! Any bytes are a stored plan, or damage; and so are they as a snapshot.

#![no_main]

#[path = "../../crates/testkit/tests/robust/plan.rs"]
mod plan;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    plan::stored_plan(bytes);
    plan::snapshot(bytes, plan::plan_of_fixture());
});
