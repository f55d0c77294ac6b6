//! Developer commands: `cargo xtask` lists them.
//!
//! [`test::run`] is the one that a continuous integration calls; it goes through its stages one
//! after the other, each a [`stage::Stage`], and adds up what the test runner says in a
//! [`tally::Tally`]. [`conformance::run`] holds the expression language against test262.
//!
//! Does not know: what any other crate does; it calls cargo and reads what cargo prints.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool for developers talks to its terminal, reads its environment and measures time"
)]

mod bench;
mod chaos;
mod conformance;
mod cron;
mod deploy;
mod expr_fuzz;
mod fixtures;
mod fuzz;
mod mutants;
mod schema_suite;
mod schemathesis;
mod simulate;
mod stage;
mod tally;
mod test;

use std::{env, process::ExitCode};

const HELP: &str = "\
Developer commands:

  cargo xtask test    check formatting, lints, documentation and dependencies, then run every test
  cargo xtask expr-conformance [--cases PATH] [--refused]
                      evaluate the cases of test262 and count right, wrong and refused ones;
                      --refused shows those that are refused and not excluded
  cargo xtask expr-fuzz [--cases N] [--seed S]
                      compare generated expressions, patterns, numbers and dates with Node.js:
                      200,000 of each, or N
  cargo xtask simulate [--seeds N] [--seed S] [--minutes M]
                      let N worlds live (1,000) from seed S on, in which everything goes wrong that can
  cargo xtask simulate --world 'seed=S …' [--trace]
                      let one world live, or show all that happens in it
  cargo xtask simulate --planted
                      put defects in, and see that each is found
  cargo xtask simulate --deaths
                      let the process of every reference workflow die at every call of its store
  cargo xtask chaos [--kills N] [--seed S] [--stops]
                      kill the program and embedded workers N times (60) under load, stop some past
                      their leases, drain, fill and damage disks, and hold what is left against the
                      invariants: docs/chaos.md
  cargo xtask chaos --fleet [--kills N] [--seed S]
                      let N faults (60) happen to a fleet under load: its programs are killed and
                      stopped, PostgreSQL and Redis restarted and emptied, the ways to them cut; needs
                      both servers
  cargo xtask fuzz [--seconds S] [--target NAME]
                      drive the fuzz targets by coverage, each for 20 seconds, or S; needs a
                      nightly compiler
  cargo xtask mutants [--package NAME] [--shard K/N] [--list]
                      change the engine a line at a time, and see that a test notices; all takes
                      many hours, a part of it (K from 0) less
  cargo xtask fixtures --write NAME [--binary PATH]
                      let this version, or another one's program, write the database NAME for the
                      tests that read what every version has written
  cargo xtask schema-suite
                      fetch the official test suite of JSON Schema, which the tests of `validator`
                      run where it is; needs python3 with pip, and tar
  cargo xtask schemathesis [--examples N] [--seed S]
                      ask a real server what its OpenAPI document allows and what it does not, N
                      times (50) for each operation, and hold each answer against the document;
                      needs python3 with pip
  cargo xtask cron [--cases N] [--seed S]
                      compare the occurrences of N generated cron expressions (3,000) with those of two
                      other implementations; needs python3 with pip, and npm
  cargo xtask deploy-check
                      hold the files of `deploy/` against the schemas of compose, Kubernetes and KEDA, and
                      let systemd read its units; needs python3 with pip, npm, and systemd
  cargo xtask roles   show which role may do what
  cargo xtask bench [--compare | --baseline]
                      measure the engine end to end; hold the figures against those committed, or
                      commit to these

Environment:
  NEBULA_REQUIRE_BACKENDS=1    a tool or server that a test needs and that is not there is a failure
  CI                           if set, what is missing may be installed with the system's packages
";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let Some(compiled) = simulate::compile(&arguments) {
        return compiled;
    }
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        ["test"] => test::run(),
        ["expr-conformance", ref rest @ ..] => conformance::run(rest),
        ["chaos", ref rest @ ..] => chaos::run(rest),
        ["simulate", ref rest @ ..] => simulate::run(rest),
        ["expr-fuzz", ref rest @ ..] => expr_fuzz::run(rest),
        ["fixtures", ref rest @ ..] => fixtures::run(rest),
        ["fuzz", ref rest @ ..] => fuzz::run(rest),
        ["bench", ref rest @ ..] => bench::run(rest),
        ["schemathesis", ref rest @ ..] => schemathesis::run(rest),
        ["roles"] => {
            print!("{}", nebula_identity::table());
            ExitCode::SUCCESS
        }
        ["cron", ref rest @ ..] => cron::run(rest),
        ["deploy-check"] => deploy::run(),
        ["schema-suite"] => schema_suite::run(),
        ["mutants", ref rest @ ..] => mutants::run(rest),
        _ => {
            eprintln!("no such command: {}\n\n{HELP}", arguments.join(" "));
            ExitCode::from(2)
        }
    }
}
