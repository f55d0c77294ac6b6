//! `cargo xtask bench`: the engine measured, and whether it became worse.
//!
//! The benches add their figures to `target/bench/summary.json`, and to tables in `summary.md` beside it.
//! `--compare` holds it against `benches/baseline.json`, which is committed: of what hangs little on the
//! machine nothing may be more than 15 % worse. `--baseline` makes this run's figures the baseline.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

use crate::stage::{Outcome, cargo, passes, root, shout};

/// Those whose figures are kept, in the order in which they run.
const BENCHES: [&str; 7] = [
    "end_to_end",
    "waiting",
    "lists",
    "growth",
    "under_way",
    "listing",
    "watchers",
];

/// How much worse a figure may be than the baseline's, as a part of it.
const TOLERANCE: f64 = 0.15;

/// What is compared, and whether more of it is better. Absolute rates are for the record: they are those
/// of the machine and its disk.
const COMPARED: [(&str, bool); 6] = [
    ("floor_ratio", true),
    ("cpu_ms_per_execution", false),
    ("commits_per_execution", false),
    ("bytes_written_per_execution", false),
    ("disk_bytes_each", false),
    ("peak_rss_mb", false),
];

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
    let before = match compare.then(|| figures(&committed)).transpose() {
        Ok(before) => before,
        Err(error) => {
            shout(&format!("{}: {error}", committed.display()));
            return ExitCode::FAILURE;
        }
    };
    match measure(&summary, &committed, before.as_ref(), baseline) {
        Ok(worse) if worse.is_empty() => ExitCode::SUCCESS,
        Ok(worse) => {
            shout(&format!("worse than {}:", committed.display()));
            worse.iter().for_each(|it| shout(it));
            ExitCode::FAILURE
        }
        Err(error) => {
            shout(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Runs the benches; gives what became worse.
fn measure(
    summary: &Path,
    committed: &Path,
    before: Option<&Value>,
    baseline: bool,
) -> io::Result<Vec<String>> {
    let of = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    match fs::remove_file(summary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(of(summary, error)),
        _ => {}
    }
    for bench in BENCHES {
        let mut command = cargo("bench --profile dist --package nebula-benches --bench");
        command.arg(bench).arg("--").arg("--summary").arg(summary);
        if passes(command) != Outcome::Ok {
            return Err(io::Error::other(format!("{bench} did not come to its end")));
        }
    }
    let now = figures(summary).map_err(|error| of(summary, error))?;
    if baseline {
        fs::copy(summary, committed).map_err(|error| of(committed, error))?;
    }
    println!("{}", summary.display());
    println!("{}", summary.with_extension("md").display());
    Ok(before.map_or_else(Vec::new, |before| worse(&now, before)))
}

fn figures(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// What became worse than in `before` by more than [`TOLERANCE`], and what is there no more.
fn worse(now: &Value, before: &Value) -> Vec<String> {
    let mut worse = Vec::new();
    for (work, ways) in before.as_object().into_iter().flatten() {
        for (way, figures) in ways.as_object().into_iter().flatten() {
            for (name, more_is_better) in COMPARED {
                let Some(was) = figures[name].as_f64() else {
                    continue;
                };
                let Some(is) = now[work][way][name].as_f64() else {
                    worse.push(format!(
                        "{work} {way} {name}: {was:.3} before, and not measured now"
                    ));
                    continue;
                };
                let is_worse = match more_is_better {
                    true => is < was * (1.0 - TOLERANCE),
                    false => is > was * (1.0 + TOLERANCE),
                };
                if is_worse {
                    worse.push(format!("{work} {way} {name}: {was:.3} before, {is:.3} now"));
                }
            }
        }
    }
    worse
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary(ratio: f64, cpu: f64, rate: f64) -> Value {
        json!({ "W1": { "embedded_64": {
            "floor_ratio": ratio,
            "cpu_ms_per_execution": cpu,
            "executions_per_s": rate,
        } } })
    }

    #[test]
    fn a_ratio_that_fell_and_a_cost_that_rose_are_worse() {
        let before = summary(0.5, 0.1, 9_000.0);
        assert_eq!(worse(&before, &before), [""; 0]);
        assert_eq!(worse(&summary(0.9, 0.01, 1.0), &before), [""; 0]);
        assert_eq!(worse(&summary(0.43, 0.114, 1.0), &before), [""; 0]);
        assert_eq!(
            worse(&summary(0.42, 0.116, 1.0), &before),
            [
                "W1 embedded_64 floor_ratio: 0.500 before, 0.420 now",
                "W1 embedded_64 cpu_ms_per_execution: 0.100 before, 0.116 now",
            ]
        );
        let gone = worse(&json!({}), &before);
        assert_eq!(gone.len(), 2, "{gone:?}");
    }
}
