//! `cargo xtask bench`: the engine end to end, and whether it became worse.
//!
//! The bench writes `target/bench/summary.json`. `--compare` holds it against `benches/baseline.json`,
//! which is committed: ratios, processor time, commits and bytes may be 15 % worse. `--baseline` makes this
//! run's figures the baseline.

use std::{env, fs, path::PathBuf, process::ExitCode};

use crate::stage::{Outcome, cargo, passes, root, shout};

/// Runs the command with its own arguments.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let (compare, baseline) = match arguments {
        [] => (false, false),
        ["--compare"] => (true, false),
        ["--baseline"] => (false, true),
        _ => {
            shout("usage: cargo xtask bench [--compare | --baseline]");
            return ExitCode::from(2);
        }
    };
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let (summary, committed) = (
        target.join("bench/summary.json"),
        root().join("benches/baseline.json"),
    );
    let mut command = cargo("bench --package nebula-benches --bench end_to_end --");
    command.arg("--summary").arg(&summary);
    if compare {
        command.arg("--compare").arg(&committed);
    }
    if passes(command) != Outcome::Ok {
        return ExitCode::FAILURE;
    }
    if baseline && let Err(error) = fs::copy(&summary, &committed) {
        shout(&format!("{}: {error}", committed.display()));
        return ExitCode::FAILURE;
    }
    println!("{}", summary.display());
    ExitCode::SUCCESS
}
