//! Mistakes of authors are compile errors at the place of the mistake.

#[test]
fn mistakes_are_shown_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
