use nebula_derive::Action;

fn main() {}

/// Says something.
#[derive(Debug, Action)]
struct Parse;
