//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! One feature resolution serves all stages (`--workspace` everywhere), so that no dependency is
//! built twice for the same purpose. Every stage runs, also after one has failed; the tests come
//! last, so that their result is what stands at the end.

use std::{
    env, fs,
    process::{Command, ExitCode, Stdio},
};

use crate::{
    chaos, conformance, cron, deploy, schema_suite, schemathesis, simulate,
    stage::{Outcome, Stage, cargo, is_there, passes, passes_watched, shout},
    tally::Tally,
};

pub(crate) fn run() -> ExitCode {
    let mut tally = Tally::default();
    let stages = [
        Stage::run("needs", needs),
        Stage::run("format", || passes(cargo("fmt --all --check"))),
        Stage::run("clippy", || {
            passes(cargo("clippy --workspace --all-targets -- -D warnings"))
        }),
        Stage::run("doc", || passes(cargo("doc --workspace --no-deps"))),
        Stage::run("deny", deny),
        Stage::run("expr-conformance", conformance::stage),
        Stage::run("fuzz targets", fuzz_targets),
        Stage::run("cron", cron::stage),
        Stage::run("deploy", deploy::stage),
        Stage::run("simulate", simulate::stage),
        Stage::run("chaos", chaos::stage),
        Stage::run("chaos of a fleet", chaos::fleet_stage),
        Stage::run("schemathesis", schemathesis::stage),
        Stage::run("test", || {
            let command = cargo("test --workspace --no-fail-fast");
            passes_watched(command, |line| tally.read(line))
        }),
    ];
    let failed = stages.iter().any(|stage| stage.outcome == Outcome::Failed);
    let summaries: Vec<_> = stages.iter().map(Stage::summary).collect();
    println!("\n{}\n", summaries.join("\n"));
    println!("{tally}");
    if failed || tally.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Whether what tests need must be there.
fn backends_required() -> bool {
    env::var_os("NEBULA_REQUIRE_BACKENDS").is_some_and(|value| value == "1")
}

/// What tests need from outside the workspace.
fn needs() -> Outcome {
    let wanted = [
        (
            "node",
            "--version",
            "nodejs",
            "the expression language is not compared with Node.js",
        ),
        (
            "npm",
            "--version",
            "npm",
            "cron expressions are not compared with `croner`",
        ),
        (
            "strace",
            "-V",
            "strace",
            "no disk fails to synchronise in chaos",
        ),
        (
            "mosquitto",
            "-h",
            "mosquitto",
            "no trigger listens to a real MQTT broker",
        ),
        (
            "initdb",
            "--version",
            "postgresql",
            "no store and no queue lies in a real PostgreSQL, and no fleet is disturbed",
        ),
        (
            "redis-server",
            "--version",
            "redis-server",
            "no queue lies in a real Redis",
        ),
        (
            "pgbouncer",
            "--version",
            "pgbouncer",
            "no store lies behind a pooler",
        ),
        (
            "systemd-analyze",
            "--version",
            "systemd",
            "nobody reads the units of `deploy/`",
        ),
    ];
    let mut outcome = Outcome::Ok;
    for (program, version, package, what) in wanted {
        if answers(program, version) || (may_install() && install(package)) {
            continue;
        }
        shout(&format!(
            "`{program}` is not there: {what}. Install `{package}`."
        ));
        outcome = Outcome::Skipped;
    }
    type Fetch = fn() -> bool;
    let fetched: [(&str, bool, Fetch); 4] = [
        (
            "schema-suite",
            schema_suite::is_there(),
            schema_suite::fetch,
        ),
        (
            "schemathesis",
            schemathesis::is_there(),
            schemathesis::fetch,
        ),
        ("cron", cron::is_there(), cron::fetch),
        ("deploy-check", deploy::is_there(), deploy::fetch),
    ];
    for (command, is_there, fetch) in fetched {
        let is_there = is_there || may_fetch() && fetch();
        if !is_there {
            shout(&format!(
                "What `cargo xtask {command}` fetches is not there."
            ));
            outcome = Outcome::Skipped;
        }
    }
    if outcome == Outcome::Skipped && backends_required() {
        shout("NEBULA_REQUIRE_BACKENDS=1 makes this a failure.");
        return Outcome::Failed;
    }
    outcome
}

/// Whether a program is there, which not each says with success.
fn answers(program: &str, argument: &str) -> bool {
    let help = |code| program == "mosquitto" && code == Some(3);
    // What only a server uses lies outside the search path in many systems.
    let apart = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut apart = apart
        .flatten()
        .map(|it| it.path().join("bin").join(program));
    let found = apart.find(|path| path.is_file());
    let mut command = Command::new(found.unwrap_or_else(|| program.into()));
    command
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status();
    status.is_ok_and(|status| status.success() || help(status.code()))
}

/// A machine that somebody works on is left as it is.
fn may_install() -> bool {
    may_fetch() && is_there("apt-get", &["--version"])
}

/// Nothing is fetched that nobody asked for.
fn may_fetch() -> bool {
    env::var_os("CI").is_some()
}

fn install(package: &str) -> bool {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        println!("   $ apt-get {}", arguments.join(" "));
        command.status().is_ok_and(|status| status.success())
    };
    apt(&["update", "-qq"]) && apt(&["install", "-y", "-qq", "--no-install-recommends", package])
}

/// Checks that the fuzz targets, which are a workspace of their own, still compile. Their bodies
/// run as a test; to run the targets needs a nightly compiler and time.
fn fuzz_targets() -> Outcome {
    if !is_there("c++", &["--version"]) {
        shout("a C++ compiler is not there: the fuzz targets are not compiled.");
        return Outcome::Skipped;
    }
    passes(cargo(
        "clippy --locked --manifest-path fuzz/Cargo.toml -- -D warnings",
    ))
}

/// Checks which dependencies and licences are allowed. To build the tool takes longer than all the
/// other stages, so it is used where it is and never required.
fn deny() -> Outcome {
    if !is_there("cargo", &["deny", "--version"]) {
        shout("cargo-deny is not there: bans, licences and sources are not checked.");
        shout("Install it with `cargo install cargo-deny --locked`.");
        return Outcome::Skipped;
    }
    shout(
        "Advisories are not checked here: their database is not in the repository. Run `cargo deny check advisories`.",
    );
    passes(cargo("deny check bans licenses sources"))
}
