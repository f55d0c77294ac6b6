//! `cargo xtask mutants`: a test of the tests, which must notice when a line of the engine is wrong.
//!
//! `cargo-mutants` changes one expression or body at a time and runs the tests that judge it, in
//! rounds: first the few that notice most, then, for what these let pass, all of the package, and at
//! last some hundred worlds of the simulation where those run the package. A change that no test
//! notices has survived: it wants a test, or a line in `survivors.txt` that says why it makes no
//! difference.
//!
//! It works on a copy of the tree below the target folder, which stays, as what was built there does:
//! only what has changed since the last run is copied and built.

mod pick;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde_json::Value;

use crate::stage::{cargo, is_there, passes, root, shout};

use pick::{Sample, compiled, confidence};

/// A package that is changed, and who judges it: what one round lets pass comes before the next.
struct Judged {
    package: &'static str,
    rounds: &'static [Round],
}

/// Tests that are run together.
struct Round {
    /// Packages whose tests they are; none: those of the package that is changed.
    of: &'static [&'static str],
    tests: &'static [&'static str],
}

/// Of the package itself.
const fn own(tests: &'static [&'static str]) -> Round {
    Round { of: &[], tests }
}

/// Worlds of the simulation: they know what must hold whatever happens.
const WORLDS: Round = Round {
    of: &["nebula-testkit"],
    tests: &["--test=simulation"],
};

/// How many worlds judge one change: all planted defects but one are found within these.
const NUMBER_OF_WORLDS: &str = "200";

const JUDGED: [Judged; 5] = [
    Judged {
        package: "nebula-execution",
        rounds: &[
            own(&["--lib", "--test=machine", "--test=codec"]),
            own(&["--tests"]),
            WORLDS,
        ],
    },
    Judged {
        package: "nebula-planner",
        rounds: &[
            own(&["--lib", "--test=plans", "--test=diagnostics"]),
            own(&["--tests"]),
        ],
    },
    Judged {
        package: "nebula-runtime",
        // Nearly everything that it does needs an engine around it.
        rounds: &[
            Round {
                of: &["nebula-runtime", "nebula"],
                tests: &["--lib", "--test=bodies", "--test=durable"],
            },
            Round {
                of: &["nebula-runtime", "nebula"],
                tests: &["--tests"],
            },
            WORLDS,
        ],
    },
    Judged {
        package: "nebula-expression",
        rounds: &[
            own(&["--lib", "--test=language", "--test=time"]),
            own(&["--tests"]),
        ],
    },
    Judged {
        package: "nebula-storage-sqlite",
        rounds: &[own(&["--lib", "--test=conformance"]), own(&["--tests"])],
    },
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
    sample: Option<Sample>,
    list: bool,
}

/// How the changes of a package fared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fared {
    noticed: usize,
    /// Those of them that made the tests run for ever.
    late: usize,
    /// Those that did not compile say nothing about tests.
    unviable: usize,
    /// Names with line and column.
    survivors: Vec<String>,
}

/// Runs the command with its own arguments.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let Some(asked) = read(arguments) else {
        let names: Vec<_> = JUDGED.iter().map(|judged| judged.package).collect();
        shout(
            "usage: cargo xtask mutants [--package NAME] [--shard K/N] [--sample N [--seed S]] [--list]",
        );
        shout(&format!("packages: {}", names.join(", ")));
        return ExitCode::from(2);
    };
    if !is_there("cargo", &["mutants", "--version"]) {
        shout("cargo-mutants is not there: no test was tested.");
        shout("Install it with `cargo install cargo-mutants --locked`.");
        return ExitCode::FAILURE;
    }
    let workshop = match Workshop::open() {
        Ok(workshop) => workshop,
        Err(error) => {
            shout(&format!("the tree cannot be copied: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let wanted = JUDGED
        .iter()
        .filter(|judged| asked.package.is_none_or(|it| it == judged.package));
    let mut good = true;
    for judged in wanted {
        if asked.list {
            match workshop.list(judged, &asked) {
                Some(names) => println!("{}", names.join("\n")),
                None => good = false,
            }
            continue;
        }
        match workshop.judge(judged, &asked) {
            Some(fared) => good &= fared.is_good(judged.package, &excused(SURVIVORS)),
            None => {
                let package = judged.package;
                shout(&format!("{package}: cargo-mutants left no outcome"));
                good = false;
            }
        }
    }
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn read<'a>(arguments: &[&'a str]) -> Option<Asked<'a>> {
    let mut asked = Asked::default();
    let (mut size, mut seed) = (None, None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        match *name {
            "--list" => asked.list = true,
            "--package" => {
                let known = |name: &&&str| JUDGED.iter().any(|judged| judged.package == **name);
                asked.package = Some(rest.next().filter(known)?);
            }
            "--shard" => asked.shard = Some(rest.next().filter(|it| is_shard(it))?),
            "--sample" => size = Some(rest.next()?.parse().ok().filter(|size| *size > 0)?),
            "--seed" => seed = Some(rest.next()?.parse().ok()?),
            _ => return None,
        }
    }
    asked.sample = size.map(|size| Sample {
        size,
        seed: seed.unwrap_or_default(),
    });
    // A seed without a sample would be silently without effect.
    (size.is_some() || seed.is_none()).then_some(asked)
}

/// `2/50`: the third of fifty parts.
fn is_shard(text: &str) -> bool {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(k, n)| Some((k.parse::<u32>().ok()?, n.parse::<u32>().ok()?)));
    parts.is_some_and(|(k, n)| k < n)
}

/// The part that is asked for, spread over all files.
fn part<'a>(asked: &Asked<'a>) -> Vec<&'a str> {
    let spread = |shard| vec!["--sharding", "round-robin", "--shard", shard];
    asked.shard.map_or_else(Vec::new, spread)
}

/// Where the tree is changed: a copy of it, what was built of that, and what came of it.
struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    fn open() -> io::Result<Self> {
        let target = env::var_os("CARGO_TARGET_DIR");
        let target = target.map_or_else(|| root().join("target"), PathBuf::from);
        let folder = target.join("mutants");
        copy_tree(&root(), &folder.join("tree"))?;
        Ok(Self { folder })
    }

    /// The names, with line and column, of the changes that are asked for; `None` if the package has
    /// no list.
    fn list(&self, judged: &Judged, asked: &Asked<'_>) -> Option<Vec<String>> {
        let names = compiled(&self.folder.join("tree"), self.names(judged, &part(asked))?);
        Some(match asked.sample {
            Some(sample) => sample.draw(&names),
            None => names,
        })
    }

    fn names(&self, judged: &Judged, part: &[&str]) -> Option<Vec<String>> {
        let listed = self
            .command(judged)
            .args(part)
            .arg("--list")
            .output()
            .ok()?;
        let listed = String::from_utf8(listed.stdout).ok()?;
        Some(listed.lines().map(str::to_owned).collect())
    }

    /// Changes a package and lets tests judge it; `None` if that led to nothing.
    fn judge(&self, judged: &Judged, asked: &Asked<'_>) -> Option<Fared> {
        let survivors = self.list(judged, asked)?;
        let mut all = Fared {
            survivors,
            ..Fared::default()
        };
        for round in judged.rounds {
            if all.survivors.is_empty() {
                break;
            }
            let then = self.round(judged, round, &all.survivors)?;
            all.noticed += then.noticed;
            all.late += then.late;
            all.unviable += then.unviable;
            all.survivors = then.survivors;
        }
        Some(all)
    }

    /// Lets these tests judge these changes: all others are set down as noticed before, which
    /// `--iterate` leaves out. (`--re` lets some kinds of changes through whatever their names are.)
    fn round(&self, judged: &Judged, round: &Round, wanted: &[String]) -> Option<Fared> {
        let all = self.names(judged, &[])?;
        let others: Vec<_> = all.into_iter().filter(|it| !wanted.contains(it)).collect();
        let results = self.results(judged);
        // What an earlier run left must not be taken for this one's.
        let _ = fs::remove_dir_all(&results);
        fs::create_dir_all(&results).ok()?;
        fs::write(results.join("previously_caught.txt"), others.join("\n")).ok()?;
        let mut command = self.command(judged);
        // Its own way to name packages with tests leaves them out of what it builds first.
        let others = round.of.iter().filter(|it| **it != judged.package);
        command.args(others.map(|judge| format!("--cargo-arg=--package={judge}")));
        command.args(round.tests.iter().map(|test| format!("--cargo-arg={test}")));
        command.args(["--iterate", "--minimum-test-timeout", "60", "--output"]);
        command.arg(self.folder.join(judged.package));
        // It fails where something survived, which is judged here.
        let _ = passes(command);
        let fared = fared(&results)?;
        let judged = fared.noticed + fared.unviable + fared.survivors.len();
        (judged == wanted.len()).then_some(fared)
    }

    fn results(&self, judged: &Judged) -> PathBuf {
        self.folder.join(judged.package).join("mutants.out")
    }

    fn command(&self, judged: &Judged) -> Command {
        let mut command = cargo("mutants --in-place --no-shuffle --colors never");
        command.arg("--dir").arg(self.folder.join("tree"));
        command.args(["--package", judged.package]);
        command.env("CARGO_TARGET_DIR", self.folder.join("build"));
        // A stack of every panic that a change brings takes longer than the test, and so does the
        // search for the smallest case that shows it. Nobody debugs what is built here.
        command.env("RUST_BACKTRACE", "0");
        command.env("PROPTEST_MAX_SHRINK_ITERS", "0");
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        // Fewer made-up cases than in earnest: what these notice, those notice too.
        command.env("PROPTEST_CASES", "64");
        command.env("NEBULA_WORLDS", NUMBER_OF_WORLDS);
        command
    }
}

/// Makes `to` have the files of the repository at `from`, those that are not committed too. What is as
/// it should be keeps its time, so that it is not built again.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let list = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let listed = Command::new("git").args(list).current_dir(from).output()?;
    if !listed.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&listed.stderr)));
    }
    let listed = String::from_utf8_lossy(&listed.stdout);
    let files = listed.split_terminator('\0').map(PathBuf::from);
    // What was removed and not committed is listed still.
    let files: BTreeSet<_> = files.filter(|file| from.join(file).is_file()).collect();
    remove_others(to, Path::new(""), &files)?;
    for file in &files {
        let (wanted, copy) = (fs::read(from.join(file))?, to.join(file));
        if fs::read(&copy).is_ok_and(|there| there == wanted) {
            continue;
        }
        fs::create_dir_all(copy.parent().unwrap_or(to))?;
        fs::write(copy, wanted)?;
    }
    Ok(())
}

/// Takes away the files below `at` that are not among `files`.
fn remove_others(tree: &Path, at: &Path, files: &BTreeSet<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(tree.join(at)) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let name = at.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(tree, &name, files)?;
        } else if !files.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// `None` unless every change was judged.
fn fared(results: &Path) -> Option<Fared> {
    let read = |name| serde_json::from_slice::<Value>(&fs::read(results.join(name)).ok()?).ok();
    let (wanted, outcomes) = (read("mutants.json")?, read("outcomes.json")?);
    let fared = count(outcomes.get("outcomes")?.as_array()?)?;
    let judged = fared.noticed + fared.unviable + fared.survivors.len();
    (wanted.as_array()?.len() == judged).then_some(fared)
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
            ("CaughtMutant", _) => fared.noticed += 1,
            ("Timeout", _) => {
                fared.noticed += 1;
                fared.late += 1;
            }
            (_, Some(name)) => fared.survivors.push(name.as_str()?.to_owned()),
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
        let is_excused = |name: &&String| excused.contains_key(placeless(name).as_str());
        let (known, new): (Vec<_>, Vec<_>) = self.survivors.iter().partition(is_excused);
        let all = self.noticed + self.survivors.len();
        #[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
        let part = 100.0 * self.noticed as f64 / all.max(1) as f64;
        let (low, high) = confidence(self.noticed, all);
        println!(
            "{package}: {} of {all} changes noticed ({part:.1} %, at least {GOAL} %; if they were drawn at random, {low:.1} to {high:.1} % of all), {} of them by running for ever; {} excused, {} did not compile",
            self.noticed,
            self.late,
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
        let sample = read(&["--seed", "7", "--sample", "40"]).unwrap().sample;
        assert_eq!(sample, Some(Sample { size: 40, seed: 7 }));
        for wrong in [["--sample", "0"], ["--sample", "x"], ["--seed", "7"]] {
            assert_eq!(read(&wrong), None, "{wrong:?}");
        }
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
        assert_eq!((fared.noticed, fared.late, fared.unviable), (9, 1, 1));
        assert_eq!(fared.survivors, ["src/a.rs:4:4: replace d with 1:1"]);
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
    fn a_copy_has_what_is_there_and_keeps_the_time_of_what_did_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("a")).unwrap();
        let git = Command::new("git").arg("init").arg(&from).output().unwrap();
        assert!(git.status.success());
        let (same, other) = (from.join("a/same"), from.join("other"));
        fs::write(&same, "same").unwrap();
        fs::write(&other, "one").unwrap();
        copy_tree(&from, &to).unwrap();
        let time = || fs::metadata(to.join("a/same")).unwrap().modified().unwrap();
        let before = time();
        fs::write(&other, "two").unwrap();
        fs::write(to.join("a/left"), "").unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("other")).unwrap(), b"two");
        assert_eq!(fs::read(to.join("a/same")).unwrap(), b"same");
        assert_eq!((to.join("a/left").exists(), time()), (false, before));
        fs::remove_file(&other).unwrap();
        copy_tree(&from, &to).unwrap();
        assert!(!to.join("other").exists());
    }

    #[test]
    fn a_run_that_was_broken_off_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, value: Value| {
            fs::write(folder.path().join(name), value.to_string()).unwrap();
        };
        let caught =
            json!({ "scenario": { "Mutant": { "name": "a" } }, "summary": "CaughtMutant" });
        write("outcomes.json", json!({ "outcomes": [caught] }));
        write("mutants.json", json!([{}, {}]));
        assert_eq!(fared(folder.path()), None);
        write("mutants.json", json!([{}]));
        assert_eq!(fared(folder.path()).map(|fared| fared.noticed), Some(1));
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
