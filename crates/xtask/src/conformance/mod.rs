//! `cargo xtask expr-conformance`: the expression language against the cases of test262.
//!
//! Each case is two expressions that have one value in JavaScript. It is right if ours are equal,
//! wrong if they are not, refused if the language does not have what is written there; and a
//! refused one is excluded if it uses a construct that the language leaves out on purpose, which
//! [`excluded`] tells from the tokens.
//!
//! Start reading at [`run`]; [`score`] holds what must be reached.

mod case;
mod excluded;
mod known;
mod score;
mod source;
mod tokens;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::stage::{Outcome, root, shout};
use case::{Case, Verdict, judge};
use known::Known;
use score::{FLOORS, Score};

/// Where the cases are, seen from the workspace's root.
const CASES: &str = "../shared/data/test262-expressions.jsonl";
/// The list of cases that are known to be wrong.
const KNOWN: &str = "crates/expression/tests/test262-known-wrong.toml";
/// After so long an evaluation stops by itself.
const WALL: Duration = Duration::from_secs(5);
/// After so long a case counts as one that hangs.
const HANG: Duration = Duration::from_secs(20);

/// Runs the command with its own arguments.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let (path, verbose) = match arguments {
        [] => (root().join(CASES), false),
        ["--cases", path] => (PathBuf::from(path), false),
        ["--refused"] => (root().join(CASES), true),
        ["--cases", path, "--refused"] => (PathBuf::from(path), true),
        _ => {
            shout("usage: cargo xtask expr-conformance [--cases PATH] [--refused]");
            return ExitCode::from(2);
        }
    };
    match conformance(&path, verbose) {
        Outcome::Failed => ExitCode::FAILURE,
        Outcome::Ok | Outcome::Skipped => ExitCode::SUCCESS,
    }
}

/// The stage of `cargo xtask test`.
pub(crate) fn stage() -> Outcome {
    conformance(&root().join(CASES), false)
}

fn conformance(path: &Path, show_refused: bool) -> Outcome {
    if !path.exists() {
        shout(&format!(
            "{} is not there: the expression language is not compared with test262.",
            path.display()
        ));
        return Outcome::Skipped;
    }
    let read = case::read(path).and_then(|cases| {
        let known = Known::read(&root().join(KNOWN)).map_err(|error| format!("{KNOWN}: {error}"));
        Ok((cases, known?))
    });
    let (cases, known) = match read {
        Ok(read) => read,
        Err(error) => {
            shout(&error);
            return Outcome::Failed;
        }
    };
    let verdicts = match judge_all(&cases) {
        Ok(verdicts) => verdicts,
        Err(hanging) => {
            shout(&format!("does not end: {}", hanging.expr));
            return Outcome::Failed;
        }
    };
    let mut score = Score::new(&cases, &verdicts, &known);
    score.hold(FLOORS);
    println!("{}", score.table());
    if show_refused {
        score.refused.iter().for_each(|line| println!("{line}"));
    }
    for problem in &score.problems {
        shout(problem);
    }
    if score.problems.is_empty() {
        Outcome::Ok
    } else {
        Outcome::Failed
    }
}

/// Judges the cases on a thread of its own, so that one that hangs can be told. The thread of a
/// case that hangs ends with the process.
fn judge_all(cases: &[Case]) -> Result<Vec<Verdict>, &Case> {
    let (send, receive) = mpsc::channel();
    let all = cases.to_vec();
    thread::spawn(move || {
        for case in &all {
            if send.send(judge(case, WALL)).is_err() {
                return;
            }
        }
    });
    let mut verdicts = Vec::with_capacity(cases.len());
    for case in cases {
        verdicts.push(receive.recv_timeout(HANG).map_err(|_| case)?);
    }
    Ok(verdicts)
}
