//! Kills real processes of the engine, stops them past their leases, fills their disk and damages
//! their files, and holds what is left against the invariants.
//!
//! `cargo xtask chaos` builds it and calls it. Start reading at [`main`]; `workers.rs` kills processes
//! that embed the engine and write to an outside that honours keys, `commands.rs` kills the program
//! `nebula` itself. docs/chaos.md says how to read what it prints.
//!
//! Does not know: how anything is stored or driven; it looks at databases, files and exit codes.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "it is about real processes, real time and real disks"
)]

mod commands;
mod disk;
mod drain;
mod fleet;
mod flips;
mod flows;
mod ledger;
mod oracle;
mod process;
mod store;
mod told;
mod wire;
mod worker;
mod workers;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use told::Told;

/// Why something could not be done at all.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The part of all kills that the program `nebula` gets; the rest is for embedded workers.
const COMMANDS_SHARE: u64 = 3;

/// How often a command is drained.
const DRAINS: u64 = 50;

const HELP: &str = "\
Kills, stops and drains the engine, and damages what it has stored.

  nebula-chaos --nebula PATH [--kills N] [--seed S] [--stops]
  nebula-chaos --fleet DIR [--kills N] [--seed S]

  --nebula PATH   the program that is killed
  --fleet DIR     the folder of the programs of a fleet, which has faults of every kind instead: it, its
                  servers, and the ways to them
  --kills N       how often (60)
  --seed S        which moments; without it, a seed is drawn and printed
  --stops         some processes are stopped past their leases instead, and go on or die then
";

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    nebula: PathBuf,
    fleet: Option<PathBuf>,
    kills: u64,
    seed: u64,
    stops: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["worker", database, socket] => worker::run(database.into(), socket.into()),
        _ => match wanted(&words) {
            Ok(wanted) => return run(&wanted),
            Err(what) => {
                eprintln!("{what}\n\n{HELP}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(words: &[&str]) -> Result<Wanted, String> {
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut wanted = Wanted {
        nebula: PathBuf::new(),
        fleet: None,
        kills: 60,
        seed: drawn.map_or(1, |since| u64::from(since.subsec_nanos())),
        stops: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
        match *word {
            "--nebula" => wanted.nebula = PathBuf::from(value()?),
            "--fleet" => wanted.fleet = Some(PathBuf::from(value()?)),
            "--kills" => wanted.kills = number(value()?)?,
            "--seed" => wanted.seed = number(value()?)?,
            "--stops" => wanted.stops = true,
            other => return Err(format!("what is {other}?")),
        }
    }
    match &wanted.fleet {
        None if !wanted.nebula.is_file() => {
            Err("say with --nebula where the program is".to_owned())
        }
        Some(folder) if !folder.join("nebula-worker").is_file() => {
            Err("say with --fleet in which folder nebula-worker and the others are".to_owned())
        }
        _ => Ok(wanted),
    }
}

fn run(wanted: &Wanted) -> ExitCode {
    println!(
        "chaos: {} {}{}, seed {}",
        wanted.kills,
        if wanted.fleet.is_some() {
            "faults of a fleet"
        } else {
            "kills"
        },
        if wanted.stops { " and stops" } else { "" },
        wanted.seed
    );
    let begun = Instant::now();
    let folder = match tempfile::Builder::new().prefix("nebula-chaos-").tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("no folder to work in: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut told = all(folder.path(), wanted);
    if env::var_os("NEBULA_REQUIRE_BACKENDS").is_some_and(|value| value == "1") {
        let skipped = told.skipped.iter();
        let skipped: Vec<_> = skipped.map(|what| format!("skipped: {what}")).collect();
        told.violations.extend(skipped);
    }
    println!("\n{told}\nin {:.1} s", begun.elapsed().as_secs_f64());
    if told.violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    let (kept, seed, kills) = (folder.keep(), wanted.seed, wanted.kills);
    let fleet = wanted.fleet.as_ref().map_or("", |_| " --fleet");
    let stops = if wanted.stops { " --stops" } else { "" };
    println!("everything is kept in {}", kept.display());
    println!("again: cargo xtask chaos{fleet} --kills {kills} --seed {seed}{stops}");
    ExitCode::FAILURE
}

/// One of the parts, in a folder of its own.
type Part<'p> = dyn Fn(&Path) -> Result<Told, Failed> + Sync + 'p;

/// All parts at the same time: each leaves room for the others.
fn all(folder: &Path, wanted: &Wanted) -> Told {
    if let Some(programs) = &wanted.fleet {
        return together(folder, &[("fleet", &|at| fleet::run(at, wanted, programs))]);
    }
    let of_commands = wanted.kills / COMMANDS_SHARE;
    let of_workers = wanted.kills - of_commands;
    let parts: [(&str, &Part<'_>); 5] = [
        ("workers", &|at| workers::run(at, wanted, of_workers)),
        ("commands", &|at| commands::run(at, wanted, of_commands)),
        ("drains", &|at| drain::run(at, wanted, DRAINS)),
        ("disk", &|at| disk::run(at, wanted)),
        ("flips", &|at| flips::run(at, wanted)),
    ];
    together(folder, &parts)
}

fn together(folder: &Path, parts: &[(&str, &Part<'_>)]) -> Told {
    let done: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = parts
            .iter()
            .map(|(what, part)| (*what, scope.spawn(move || part(&folder.join(what)))))
            .collect();
        let ended = begun
            .into_iter()
            .map(|(what, thread)| (what, thread.join()));
        ended.collect()
    });
    let mut told = Told::default();
    for (what, part) in done {
        match part {
            Ok(Ok(part)) => told.add(part),
            Ok(Err(error)) => told.wrong(format!("{what}: {error}")),
            Err(_) => told.wrong(format!("{what}: it panicked")),
        }
    }
    told
}
