//! The desktop binary: arguments → config → compose → run.
fn main() {}
