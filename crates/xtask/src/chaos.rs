//! `cargo xtask chaos`: real processes that are killed, stopped and drained, and a disk that fails.

use std::process::{Command, ExitCode};

use crate::stage::{Outcome, beside, cargo, passes, shout};

/// What is built: the program that is killed and the one that kills.
const BUILD: &str = "build --package nebula-desktop --package nebula-chaos --bins";

/// The same with the features that the tests have, which are built next anyway.
const BUILD_FOR_STAGE: &str = "build --workspace --bins --tests";

/// The moments of the stage: the same every time.
const SEED: &str = "1";

pub(crate) fn run(rest: &[&str]) -> ExitCode {
    if passes(cargo(BUILD)) != Outcome::Ok {
        return ExitCode::FAILURE;
    }
    match chaos(rest) {
        Outcome::Ok => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// 60 kills and stops, 50 drains, and each fault of the disk.
pub(crate) fn stage() -> Outcome {
    if passes(cargo(BUILD_FOR_STAGE)) != Outcome::Ok {
        return Outcome::Failed;
    }
    chaos(&["--kills", "60", "--seed", SEED, "--stops"])
}

fn chaos(rest: &[&str]) -> Outcome {
    let Some((chaos, nebula)) = beside("nebula-chaos").zip(beside("nebula")) else {
        shout("what was built is not beside this program");
        return Outcome::Failed;
    };
    let mut command = Command::new(chaos);
    command.arg("--nebula").arg(nebula).args(rest);
    match command.status() {
        Ok(status) if status.success() => Outcome::Ok,
        Ok(_) => Outcome::Failed,
        Err(error) => {
            shout(&format!("chaos could not be started: {error}"));
            Outcome::Failed
        }
    }
}
