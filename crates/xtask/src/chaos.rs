//! `cargo xtask chaos`: real processes that are killed, stopped and drained, and a disk that fails; with
//! `--fleet` the programs of a fleet, their servers, and the ways to them.

use std::process::{Command, ExitCode};

use crate::stage::{Outcome, beside, cargo, passes, shout};

/// What is built: the program that is killed and the one that kills.
const BUILD: &str = "build --package nebula-desktop --package nebula-chaos --bins";

/// What is built for a fleet: its programs, and the one that disturbs them.
const BUILD_FLEET: &str =
    "build --package nebula-worker --package nebula-control-plane --package nebula-chaos --bins";

/// What asks for a fleet.
const FLEET: &str = "--fleet";

/// The same with the features that the tests have, which are built next anyway.
const BUILD_FOR_STAGE: &str = "build --workspace --bins --tests";

/// The moments of the stage: the same every time.
const SEED: &str = "1";

pub(crate) fn run(rest: &[&str]) -> ExitCode {
    let others: Vec<_> = rest.iter().copied().filter(|it| *it != FLEET).collect();
    let is_fleet = others.len() < rest.len();
    if passes(cargo(if is_fleet { BUILD_FLEET } else { BUILD })) != Outcome::Ok {
        return ExitCode::FAILURE;
    }
    let done = match is_fleet {
        true => fleet(&others),
        false => chaos(rest),
    };
    match done {
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

/// The faults of a fleet, none of which may be missing where servers are required.
pub(crate) fn fleet_stage() -> Outcome {
    if passes(cargo(BUILD_FOR_STAGE)) != Outcome::Ok {
        return Outcome::Failed;
    }
    fleet(&["--kills", "40", "--seed", SEED])
}

fn chaos(rest: &[&str]) -> Outcome {
    let Some((chaos, nebula)) = beside("nebula-chaos").zip(beside("nebula")) else {
        return not_there();
    };
    let mut command = Command::new(chaos);
    command.arg("--nebula").arg(nebula).args(rest);
    ends(command)
}

fn fleet(rest: &[&str]) -> Outcome {
    let Some((chaos, worker)) = beside("nebula-chaos").zip(beside("nebula-worker")) else {
        return not_there();
    };
    let mut command = Command::new(chaos);
    command.arg(FLEET).args(worker.parent()).args(rest);
    ends(command)
}

fn not_there() -> Outcome {
    shout("what was built is not beside this program");
    Outcome::Failed
}

fn ends(mut command: Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Outcome::Ok,
        Ok(_) => Outcome::Failed,
        Err(error) => {
            shout(&format!("chaos could not be started: {error}"));
            Outcome::Failed
        }
    }
}
