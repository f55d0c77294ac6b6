//! `cargo xtask schema-suite`: brings the official test suite of JSON Schema for the tests of
//! `validator`.
//!
//! The suite is in no package of crates.io; the source package of Python's `jsonschema` carries it
//! whole. pip checks the digest, so what runs is what was looked at when it was pinned. It lies
//! where cargo gives integration tests room for their files, and in no repository.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::stage::{Outcome, passes, root, shout};

/// The package that carries the suite, with the digest of its source archive.
const VERSION: &str = "4.26.0";
const SHA256: &str = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326";

pub(crate) fn run() -> ExitCode {
    if fetch() {
        println!("The suite is in {}.", folder().display());
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether the pinned version is there.
pub(crate) fn is_there() -> bool {
    fs::read_to_string(folder().join("VERSION")).is_ok_and(|version| version == VERSION)
}

/// Fetches the suite; says why it could not.
pub(crate) fn fetch() -> bool {
    let beside = folder().with_extension("new");
    let fetched = prepare(&beside).and_then(|()| {
        let archive = beside.join(format!("jsonschema-{VERSION}.tar.gz"));
        if passes(pip(&beside)) != Outcome::Ok || passes(tar(&archive, &beside)) != Outcome::Ok {
            return Ok(false);
        }
        fs::remove_file(archive)?;
        fs::write(beside.join("VERSION"), VERSION)?;
        remove(&folder())?;
        fs::rename(&beside, folder())?;
        Ok(true)
    });
    match fetched {
        Ok(fetched) => fetched,
        Err(error) => {
            shout(&format!("{}: {error}", beside.display()));
            false
        }
    }
}

fn prepare(beside: &Path) -> io::Result<()> {
    remove(beside)?;
    fs::create_dir_all(beside)?;
    let wanted = format!("jsonschema=={VERSION} --hash=sha256:{SHA256}\n");
    fs::write(beside.join("requirements.txt"), wanted)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn pip(beside: &Path) -> Command {
    let mut command = Command::new("python3");
    command
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
        ])
        .args(["--no-binary", "jsonschema", "-r", "requirements.txt"])
        .current_dir(beside);
    command
}

/// Takes the suite out of the archive, and nothing else.
fn tar(archive: &Path, to: &Path) -> Command {
    let mut command = Command::new("tar");
    command.arg("-xzf").arg(archive).arg("-C").arg(to);
    command.args(["--strip-components", "2"]);
    for part in ["tests/draft2020-12", "remotes", "LICENSE"] {
        command.arg(format!("jsonschema-{VERSION}/json/{part}"));
    }
    command
}

/// `CARGO_TARGET_TMPDIR` of `crates/validator/tests/suite.rs`.
fn folder() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("tmp/json-schema-suite")
}
