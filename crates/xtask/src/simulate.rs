//! `cargo xtask simulate`: worlds that a seed makes up, in which everything goes wrong that can.
//!
//! There is one build for all of it: the defects that are planted are in it and sleep, unless
//! `--planted` wakes one. It is faster than that of the tests, and sooner built than a release.

#[path = "../../testkit/src/bin/simulate/options.rs"]
mod options;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use serde_json::Value;

use crate::stage::{Outcome, cargo, passes, root, shout};
use options::{Asked, USAGE};

/// Set where this program stands between cargo and the compiler.
const WITH_BUGS: &str = "NEBULA_XTASK_WITH_BUGS";

/// Says of each thing that is built what it is, as JSON.
const BUILD: &str = "build --workspace --bin simulate --message-format=json-render-diagnostics";

/// How much of the compiler's time goes into speed.
const PROFILE: &str = "crates/testkit/simulation/profile.toml";

/// Worlds of the stage: as many as must show each fault and each way back.
const WORLDS: &str = "10000";

pub(crate) fn run(rest: &[&str]) -> ExitCode {
    // To build takes minutes: what is wrong is told before.
    if let Err(why) = Asked::read(rest) {
        eprintln!("{why}\n\n{USAGE}");
        return ExitCode::from(2);
    }
    let Some(binary) = build() else {
        return ExitCode::FAILURE;
    };
    let mut command = Command::new(binary);
    command.args(rest);
    if !rest
        .iter()
        .any(|name| ["--planted", "--deaths", "--world", "--trace"].contains(name))
    {
        command.arg("--regressions").arg(list());
    }
    let code = command.status().ok().and_then(|status| status.code());
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Many worlds, every planted defect, and a death at every call of the reference workflows.
pub(crate) fn stage() -> Outcome {
    let Some(binary) = build() else {
        return Outcome::Failed;
    };
    let mut worlds = Command::new(&binary);
    worlds
        .args(["--seeds", WORLDS, "--regressions"])
        .arg(list());
    let mut planted = Command::new(&binary);
    planted.arg("--planted");
    let mut deaths = Command::new(&binary);
    deaths.arg("--deaths");
    let outcomes = [worlds, planted, deaths].map(passes);
    match outcomes.iter().all(|outcome| *outcome == Outcome::Ok) {
        true => Outcome::Ok,
        false => Outcome::Failed,
    }
}

/// Builds the program, and says where it is.
fn build() -> Option<PathBuf> {
    let this = match env::current_exe() {
        Ok(this) => this,
        Err(error) => {
            shout(&format!("where this program is cannot be known: {error}"));
            return None;
        }
    };
    let mut command = cargo(BUILD);
    command
        .args(["--config", PROFILE])
        // Only what is ours is compiled again; what it depends on knows nothing of it.
        .env("RUSTC_WORKSPACE_WRAPPER", this)
        .env(WITH_BUGS, "1")
        .stderr(Stdio::inherit());
    let built = command.output().ok().filter(|built| built.status.success());
    let Some(built) = built else {
        shout("the simulation could not be built.");
        return None;
    };
    let text = String::from_utf8_lossy(&built.stdout);
    let binary = text.lines().find_map(executable);
    if binary.is_none() {
        shout("cargo does not say where the simulation is.");
    }
    binary
}

/// The program that a message of cargo is about, if that is the simulation.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_ours = message["target"]["name"] == "simulate";
    let path = message["executable"].as_str().filter(|_| is_ours)?;
    Some(path.into())
}

/// Where worlds that failed are remembered.
fn list() -> PathBuf {
    root().join("crates/testkit/simulation/regressions.txt")
}

/// Calls the compiler with the defects that are put in on purpose, if that is what cargo asks for.
pub(crate) fn compile(arguments: &[String]) -> Option<ExitCode> {
    env::var_os(WITH_BUGS)?;
    let (compiler, rest) = arguments.split_first()?;
    let is_compiler = Path::new(compiler)
        .file_stem()
        .is_some_and(|name| name == "rustc");
    is_compiler.then(|| {
        let compiled = Command::new(compiler)
            .args(rest)
            .args(["--cfg", "sim_bug"])
            .status();
        let code = compiled.ok().and_then(|status| status.code());
        ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_the_program_is() {
        let other =
            r#"{"reason":"compiler-artifact","target":{"name":"nebula"},"executable":null}"#;
        let ours = r#"{"reason":"compiler-artifact","target":{"name":"simulate"},"executable":"/t/simulate"}"#;
        assert_eq!(executable(other), None);
        assert_eq!(executable("warning: no JSON"), None);
        assert_eq!(executable(ours), Some("/t/simulate".into()));
    }
}
