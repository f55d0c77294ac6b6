//! `cargo xtask mutants`: a test of the tests, which must notice when a line of the engine is wrong.
//!
//! `cargo-mutants` changes one expression or body at a time and runs the tests that judge it. A change
//! that no test notices has survived: it wants a test, or a line in `survivors.txt` that says why
//! it makes no difference.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

use crate::stage::{cargo, is_there, passes, root, shout};

/// The packages that are changed, and those whose tests judge them.
const JUDGED: [(&str, &str); 5] = [
    ("nebula-execution", "nebula-execution"),
    ("nebula-planner", "nebula-planner"),
    // Everything that it does needs an engine around it.
    ("nebula-runtime", "nebula"),
    ("nebula-expression", "nebula-expression"),
    ("nebula-storage-sqlite", "nebula-storage-sqlite"),
];

/// The least part of the changes that tests must notice, in percent.
const GOAL: f64 = 85.0;

/// What may survive, by name without line and column, and why.
const SURVIVORS: &str = include_str!("../survivors.txt");

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked<'a> {
    package: Option<&'a str>,
    shard: Option<&'a str>,
    list: bool,
}

/// How the changes of a package fared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fared {
    noticed: usize,
    /// Those that did not compile say nothing about tests.
    unviable: usize,
    survivors: Vec<String>,
}

/// Runs the command with its own arguments.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let Some(asked) = read(arguments) else {
        let names: Vec<_> = JUDGED.iter().map(|(name, _)| *name).collect();
        shout("usage: cargo xtask mutants [--package NAME] [--shard K/N] [--list]");
        shout(&format!("packages: {}", names.join(", ")));
        return ExitCode::from(2);
    };
    if !is_there("cargo", &["mutants", "--version"]) {
        shout("cargo-mutants is not there: no test was tested.");
        shout("Install it with `cargo install cargo-mutants --locked`.");
        return ExitCode::FAILURE;
    }
    let wanted = JUDGED
        .iter()
        .filter(|(name, _)| asked.package.is_none_or(|package| package == *name));
    let mut good = true;
    for (package, judge) in wanted {
        let Some(fared) = judged(package, judge, &asked) else {
            if !asked.list {
                shout(&format!("{package}: cargo-mutants left no outcome"));
                good = false;
            }
            continue;
        };
        good &= fared.is_good(package, &excused(SURVIVORS));
    }
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn read<'a>(arguments: &[&'a str]) -> Option<Asked<'a>> {
    let mut asked = Asked::default();
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        match *name {
            "--list" => asked.list = true,
            "--package" => {
                let known = |name: &&&str| JUDGED.iter().any(|(known, _)| known == *name);
                asked.package = Some(rest.next().filter(known)?);
            }
            "--shard" => asked.shard = Some(rest.next().filter(|it| is_shard(it))?),
            _ => return None,
        }
    }
    Some(asked)
}

/// `2/50`: the third of fifty parts.
fn is_shard(text: &str) -> bool {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(k, n)| Some((k.parse::<u32>().ok()?, n.parse::<u32>().ok()?)));
    parts.is_some_and(|(k, n)| k < n)
}

/// Changes a package and lets tests judge it; `None` if that led to nothing.
fn judged(package: &str, judge: &str, asked: &Asked<'_>) -> Option<Fared> {
    let folder = folder().join(package);
    let mut command = cargo("mutants --no-shuffle --colors never");
    command.args(["--package", package, "--test-package", judge]);
    command.args(["--minimum-test-timeout", "60", "--output"]);
    command.arg(&folder);
    // Each change is built in a copy of the tree, which keeps its own target folder between changes.
    command.env_remove("CARGO_TARGET_DIR");
    if let Some(shard) = asked.shard {
        command.args(["--shard", shard]);
    }
    if asked.list {
        command.arg("--list");
        let _ = passes(command);
        return None;
    }
    let outcomes = folder.join("mutants.out/outcomes.json");
    // What an earlier run left must not be taken for this one's.
    let _ = fs::remove_file(&outcomes);
    fs::create_dir_all(&folder).ok()?;
    // It fails where something survived, which is judged here.
    let _ = passes(command);
    fared(&outcomes)
}

fn folder() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("mutants")
}

fn fared(outcomes: &Path) -> Option<Fared> {
    let outcomes: Value = serde_json::from_slice(&fs::read(outcomes).ok()?).ok()?;
    count(outcomes.get("outcomes")?.as_array()?)
}

/// `None` if the unchanged tree did not pass: then nothing that follows says anything.
fn count(outcomes: &[Value]) -> Option<Fared> {
    let mut fared = Fared::default();
    for outcome in outcomes {
        let name = outcome.pointer("/scenario/Mutant/name");
        match (outcome["summary"].as_str()?, name) {
            ("Success", None)
            | ("Timeout" | "CaughtMutant" | "Unviable" | "MissedMutant", None) => {}
            ("Failure", _) => return None,
            ("Unviable", _) => fared.unviable += 1,
            // What runs for ever is noticed.
            ("CaughtMutant" | "Timeout", _) => fared.noticed += 1,
            (_, Some(name)) => fared.survivors.push(placeless(name.as_str()?)),
            (_, None) => return None,
        }
    }
    Some(fared)
}

/// `src/a.rs:12:5: replace …` as `src/a.rs: replace …`: lines move.
fn placeless(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(what)) => format!("{file}:{what}"),
        _ => name.to_owned(),
    }
}

/// The lines of `survivors.txt`: a name, ` # ` and a reason.
fn excused(lines: &str) -> BTreeMap<&str, &str> {
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" # ")).collect()
}

impl Fared {
    /// Says how it went; good is what reaches the goal and excuses every survivor.
    fn is_good(&self, package: &str, excused: &BTreeMap<&str, &str>) -> bool {
        let is_excused = |name: &&String| excused.contains_key(name.as_str());
        let (known, new): (Vec<_>, Vec<_>) = self.survivors.iter().partition(is_excused);
        let all = self.noticed + self.survivors.len();
        #[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
        let part = 100.0 * self.noticed as f64 / all.max(1) as f64;
        println!(
            "{package}: {} of {all} changes noticed ({part:.1} %, at least {GOAL} %), {} excused, {} did not compile",
            self.noticed,
            known.len(),
            self.unviable
        );
        for name in &new {
            shout(&format!("survived: {name}"));
        }
        new.is_empty() && part >= GOAL
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_come_in_any_order_and_nothing_else_is_taken() {
        let all = ["--shard", "0/2", "--package", "nebula-planner", "--list"];
        let asked = read(&all).unwrap();
        assert_eq!(
            (asked.shard, asked.package, asked.list),
            (Some("0/2"), Some("nebula-planner"), true)
        );
        for wrong in [
            ["--shard", "2/2"],
            ["--shard", "1"],
            ["--package", "nebula"],
            ["--all", ""],
        ] {
            assert_eq!(read(&wrong), None, "{wrong:?}");
        }
        assert_eq!(read(&["--shard"]), None);
    }

    #[test]
    fn a_survivor_without_an_excuse_is_not_good_and_one_with_it_is() {
        let mutant = |name: &str, summary: &str| json!({ "scenario": { "Mutant": { "name": name } }, "summary": summary });
        let mut outcomes = vec![json!({ "scenario": "Baseline", "summary": "Success" })];
        outcomes.extend((0..8).map(|_| mutant("src/a.rs:1:1: replace a", "CaughtMutant")));
        outcomes.push(mutant("src/a.rs:2:2: replace b", "Timeout"));
        outcomes.push(mutant("src/a.rs:3:3: replace c", "Unviable"));
        outcomes.push(mutant("src/a.rs:4:4: replace d with 1:1", "MissedMutant"));
        let fared = count(&outcomes).unwrap();
        assert_eq!((fared.noticed, fared.unviable), (9, 1));
        assert_eq!(fared.survivors, ["src/a.rs: replace d with 1:1"]);
        assert!(!fared.is_good("a", &excused("")));
        assert!(fared.is_good(
            "a",
            &excused("# why\nsrc/a.rs: replace d with 1:1 # a cache")
        ));
    }

    #[test]
    fn a_tree_that_fails_by_itself_says_nothing() {
        let failed = [json!({ "scenario": "Baseline", "summary": "Failure" })];
        assert_eq!(count(&failed), None);
    }

    #[test]
    fn every_excuse_names_a_file_that_is_there() {
        for (name, reason) in excused(SURVIVORS) {
            let file = name.split(':').next().unwrap_or_default();
            assert!(root().join(file).is_file(), "{file} is gone");
            assert!(!reason.is_empty());
        }
    }
}
