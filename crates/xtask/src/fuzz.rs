//! `cargo xtask fuzz`: every fuzz target for a while, driven by coverage.
//!
//! The targets are a workspace of their own in `fuzz/`. They are built here with the instruments that
//! libFuzzer needs, by a nightly compiler, and begin with what the tests and pages of the repository
//! hold: each seed is a file below the target folder, where what the fuzzer finds is added to it.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::stage::{Outcome, Stage, is_there, passes, root, shout};

/// How long each target runs where nothing else is said, in seconds.
const SECONDS: u64 = 20;
/// What libFuzzer needs of the compiler.
const INSTRUMENTS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks";
/// The most memory of a target, in MiB.
const MEMORY: u32 = 2_048;

/// A target: its name, the longest input in bytes, and what it begins with.
struct Target {
    name: &'static str,
    longest: usize,
    dictionary: Option<&'static str>,
    seeds: Seeds,
}

/// What a target begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seeds {
    /// The first field of each line of the cases of the expression language.
    Expressions,
    /// The YAML of the pages and of the tests.
    Definitions,
    /// The parameters of those, as JSON strings.
    Parameters,
    /// The fixtures of stored formats, as batches have them.
    Stored,
}

const TARGETS: [Target; 6] = [
    Target {
        name: "expression_parse",
        longest: 2_000,
        dictionary: Some("expression.dict"),
        seeds: Seeds::Expressions,
    },
    Target {
        name: "expression_eval",
        longest: 2_000,
        dictionary: Some("expression.dict"),
        seeds: Seeds::Expressions,
    },
    Target {
        name: "definition",
        longest: 8_000,
        dictionary: None,
        seeds: Seeds::Definitions,
    },
    Target {
        name: "parameter",
        longest: 2_000,
        dictionary: Some("expression.dict"),
        seeds: Seeds::Parameters,
    },
    Target {
        name: "journal",
        longest: 30_000,
        dictionary: None,
        seeds: Seeds::Stored,
    },
    Target {
        name: "plan",
        longest: 30_000,
        dictionary: None,
        seeds: Seeds::Stored,
    },
];

/// Runs the command with its own arguments.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let Some((seconds, only)) = read(arguments) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        shout("usage: cargo xtask fuzz [--seconds S] [--target NAME]");
        shout(&format!("targets: {}", names.join(", ")));
        return ExitCode::from(2);
    };
    if !is_there("rustup", &["run", "nightly", "rustc", "--version"]) {
        shout(
            "a nightly compiler is not there: nothing is fuzzed. `rustup toolchain install nightly` brings it.",
        );
        return ExitCode::FAILURE;
    }
    let built = Stage::run("build", build);
    if built.outcome != Outcome::Ok {
        return ExitCode::FAILURE;
    }
    let wanted = TARGETS
        .iter()
        .filter(|target| only.is_none_or(|only| only == target.name));
    let stages: Vec<_> = wanted
        .map(|target| Stage::run(target.name, || fuzz(target, seconds)))
        .collect();
    let summaries: Vec<_> = stages.iter().map(Stage::summary).collect();
    println!("\n{}", summaries.join("\n"));
    match stages.iter().all(|stage| stage.outcome == Outcome::Ok) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn read<'a>(arguments: &[&'a str]) -> Option<(u64, Option<&'a str>)> {
    let (mut seconds, mut only) = (SECONDS, None);
    let (pairs, rest) = arguments.as_chunks::<2>();
    for [name, value] in pairs {
        match *name {
            "--seconds" => seconds = value.parse().ok().filter(|seconds| *seconds > 0)?,
            "--target" => {
                only = Some(*value).filter(|it| TARGETS.iter().any(|target| target.name == *it));
                only?;
            }
            _ => return None,
        }
    }
    rest.is_empty().then_some((seconds, only))
}

/// Where the instrumented targets, their inputs and what breaks them lie.
fn folder() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("fuzz")
}

/// The machine for which the compiler builds by itself.
fn host() -> Option<String> {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "rustc", "-vV"]);
    let said = String::from_utf8(command.output().ok()?.stdout).ok()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "))?;
    Some(host.to_owned())
}

/// Builds all targets. With a named host, build scripts and macros are not instrumented.
fn build() -> Outcome {
    let Some(host) = host() else {
        return Outcome::Failed;
    };
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "cargo", "build", "--release", "--locked"])
        .args(["--manifest-path", "fuzz/Cargo.toml", "--target", &host])
        .current_dir(root())
        .env("RUSTFLAGS", INSTRUMENTS)
        .env("CARGO_TARGET_DIR", folder())
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    passes(command)
}

fn fuzz(target: &Target, seconds: u64) -> Outcome {
    let Some(host) = host() else {
        return Outcome::Failed;
    };
    let corpus = folder().join("corpus").join(target.name);
    let broken = folder().join("broken").join(target.name);
    let ready = fs::create_dir_all(&corpus)
        .and_then(|()| fs::create_dir_all(&broken))
        .and_then(|()| seed(target.seeds, &corpus));
    if let Err(error) = ready {
        shout(&format!("{}: {error}", corpus.display()));
        return Outcome::Failed;
    }
    let mut command = Command::new(folder().join(host).join("release").join(target.name));
    command
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg("-timeout=10")
        .arg("-print_final_stats=1")
        .arg("-verbosity=0")
        .arg(format!("-artifact_prefix={}/", broken.display()))
        .current_dir(root());
    if let Some(name) = target.dictionary {
        command.arg(format!("-dict=fuzz/{name}"));
    }
    let outcome = passes(command);
    if outcome != Outcome::Ok {
        shout(&format!(
            "what broke it lies in {}; make its smallest form a case of a test",
            broken.display()
        ));
    }
    outcome
}

/// Writes each seed as a file of its own.
fn seed(seeds: Seeds, corpus: &Path) -> std::io::Result<()> {
    let root = root();
    let text = |path: &str| fs::read_to_string(root.join(path));
    let mut found: Vec<Vec<u8>> = Vec::new();
    match seeds {
        Seeds::Expressions => {
            let cases = root.join("crates/expression/tests/cases");
            let mut files = vec![root.join("crates/expression/tests/cases.txt")];
            for file in fs::read_dir(cases)? {
                files.push(file?.path());
            }
            for file in files {
                let all = fs::read_to_string(file)?;
                let sources = all.lines().filter_map(|line| line.split('\t').next());
                let sources = sources.filter_map(|it| it.split(" ==> ").next());
                found.extend(sources.map(|it| it.as_bytes().to_vec()));
            }
        }
        Seeds::Definitions | Seeds::Parameters => {
            let pages = ["control-flow", "definition", "operating"];
            for page in pages {
                let page = text(&format!("docs/{page}.md"))?;
                let blocks = page.split("```yaml\n").skip(1);
                let blocks = blocks.filter_map(|block| block.split("```").next());
                found.extend(blocks.map(|block| block.as_bytes().to_vec()));
            }
            found.push(text("crates/workflow/tests/everything.yaml")?.into_bytes());
            found.push(text("crates/workflow/tests/order-intake.yaml")?.into_bytes());
            if seeds == Seeds::Parameters {
                let all = found.concat();
                let all = String::from_utf8_lossy(&all);
                let strings = all.split('"').filter(|it| it.contains("{{"));
                let strings = strings.map(|it| format!("\"{}\"", it.replace('\n', "\\n")));
                found = strings.map(String::into_bytes).collect();
            }
        }
        Seeds::Stored => {
            for file in fs::read_dir(root.join("crates/execution/tests/fixtures"))? {
                let path = file?.path();
                let bytes = fs::read(&path)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                found.push(match name.starts_with("journal-v1") {
                    true => [&[1], bytes.as_slice()].concat(),
                    false => bytes,
                });
            }
        }
    }
    for (number, seed) in found.iter().enumerate() {
        fs::File::create(corpus.join(format!("seed-{number}")))?.write_all(seed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{SECONDS, TARGETS, read};
    use crate::stage::root;

    #[test]
    fn arguments_come_in_any_order_and_nothing_else_is_taken() {
        assert_eq!(read(&[]), Some((SECONDS, None)));
        let both = ["--target", "journal", "--seconds", "3"];
        assert_eq!(read(&both), Some((3, Some("journal"))));
        assert_eq!(read(&["--target", "nothing"]), None);
        assert_eq!(read(&["--seconds", "0"]), None);
        assert_eq!(read(&["--seconds"]), None);
    }

    #[test]
    fn every_target_is_known_here() {
        let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        let bins = manifest.matches("[[bin]]").count();
        assert_eq!(bins, TARGETS.len());
        for target in TARGETS {
            assert!(manifest.contains(&format!("name = \"{}\"", target.name)));
        }
    }
}
