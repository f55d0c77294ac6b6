//! `cargo xtask expr-fuzz`: generated expressions here and in Node.js, as many as one likes.
//!
//! Generators and comparison are the tests of `nebula-expression` whose names begin with
//! `generated_`: expressions, patterns, and numbers and dates in the words of languages. This tells
//! each of them how many cases, and from which seed.

use std::process::ExitCode;

use crate::stage::{Outcome, cargo, passes, shout};

/// Cases of each generator in a run that says no number.
const CASES: u64 = 200_000;

/// Runs the command with its own arguments.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let Some((cases, seed)) = cases_and_seed(arguments, CASES) else {
        shout("usage: cargo xtask expr-fuzz [--cases N] [--seed S]");
        return ExitCode::from(2);
    };
    let mut command =
        cargo("test --package nebula-expression --test differential generated_ -- --nocapture");
    command
        .env("NEBULA_FUZZ_CASES", cases.to_string())
        .env("NEBULA_FUZZ_SEED", seed.to_string());
    match passes(command) {
        Outcome::Ok => ExitCode::SUCCESS,
        Outcome::Failed | Outcome::Skipped => ExitCode::FAILURE,
    }
}

/// How many cases (`unsaid` where nothing is said), and from which seed.
pub(crate) fn cases_and_seed(arguments: &[&str], unsaid: u64) -> Option<(u64, u64)> {
    let (mut cases, mut seed) = (unsaid, 1);
    let (pairs, rest) = arguments.as_chunks::<2>();
    for [name, value] in pairs {
        let value = value.parse().ok()?;
        match *name {
            "--cases" => cases = value,
            "--seed" => seed = value,
            _ => return None,
        }
    }
    rest.is_empty().then_some((cases, seed))
}

#[cfg(test)]
mod tests {
    use super::{CASES, cases_and_seed};

    fn read(arguments: &[&str]) -> Option<(u64, u64)> {
        cases_and_seed(arguments, CASES)
    }

    #[test]
    fn arguments_come_in_any_order_and_nothing_else_is_taken() {
        assert_eq!(read(&[]), Some((CASES, 1)));
        assert_eq!(read(&["--seed", "7", "--cases", "9"]), Some((9, 7)));
        assert_eq!(read(&["--cases"]), None);
        assert_eq!(read(&["--cases", "many"]), None);
        assert_eq!(read(&["--speed", "1"]), None);
    }
}
