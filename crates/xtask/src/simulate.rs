//! `cargo xtask simulate`: worlds that a seed makes up, in which everything goes wrong that can.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use crate::stage::{cargo, root};

/// Set where this program stands between cargo and the compiler.
const WITH_BUGS: &str = "NEBULA_XTASK_WITH_BUGS";

const BINARY: &str = "run --quiet --release --package nebula-testkit --bin simulate --";

pub(crate) fn run(rest: &[&str]) -> ExitCode {
    let mut command = cargo(BINARY);
    command.args(rest);
    if rest.contains(&"--planted") {
        match env::current_exe() {
            // Only what is ours is compiled again; what it depends on knows nothing of it.
            Ok(this) => command
                .env("RUSTC_WORKSPACE_WRAPPER", this)
                .env(WITH_BUGS, "1"),
            Err(_) => return ExitCode::FAILURE,
        };
    } else if !rest.contains(&"--world") {
        command.arg("--regressions").arg(list());
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Where worlds that failed are remembered.
fn list() -> std::path::PathBuf {
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
