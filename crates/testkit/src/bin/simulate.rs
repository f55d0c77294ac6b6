//! Lets many simulated worlds live and sums up what went wrong in them: `cargo xtask simulate`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for developers talks to its terminal, uses all cores and measures time"
)]

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    panic,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nebula_testkit::simulation::{
    Bug, Counts, Fault, Outcome, Recovery, Swarm, shrink, simulate, simulate_twice, trace,
};

/// Worlds of a run that says no number.
const SEEDS: u64 = 1_000;
/// From so many worlds on, each fault and each way back must have been seen.
const MANY: u64 = 10_000;
/// How often, then.
const OFTEN: u64 = 100;
/// One world in so many is lived twice.
const TWICE: u64 = 50;
/// In so many worlds each planted defect is to be found.
const MOST_PLANTED: u64 = 2_000;
/// The most failing seeds that are made smaller and shown whole.
const SHOWN: usize = 3;

const USAGE: &str = "\
usage: simulate [--seeds N] [--seed S] [--minutes M] [--regressions FILE]
       simulate --world 'seed=S …' [--trace]
       simulate --planted [--seeds N]";

#[derive(Default)]
struct Asked {
    first: u64,
    seeds: u64,
    until: Option<Duration>,
    world: Option<Swarm>,
    trace: bool,
    planted: bool,
    regressions: Option<PathBuf>,
}

#[derive(Default)]
struct Sum {
    counts: Counts,
    worlds: u64,
    polls: u64,
    twice: u64,
    failed: Vec<Outcome>,
    time: Duration,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let asked = match read(&arguments) {
        Ok(asked) => asked,
        Err(why) => {
            println!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // What panics in a world is told with its seed.
    panic::set_hook(Box::new(|_| {}));
    match &asked.world {
        Some(world) if asked.trace => {
            print!("{}", trace(world));
            ExitCode::SUCCESS
        }
        Some(world) => one(world),
        None if asked.planted => planted(&asked),
        None => many(&asked),
    }
}

fn read(arguments: &[String]) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let (mut seeds, mut seed) = (None, None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        match name.as_str() {
            "--trace" => asked.trace = true,
            "--planted" => asked.planted = true,
            _ => {
                let value = rest.next().ok_or(format!("`{name}` needs a value"))?;
                asked.set(name, value, (&mut seeds, &mut seed))?;
            }
        }
    }
    asked.first = seed.unwrap_or(0);
    let most = match (asked.planted, asked.until) {
        (true, _) => MOST_PLANTED,
        (false, Some(_)) => u64::MAX,
        (false, None) => SEEDS,
    };
    asked.seeds = seeds.unwrap_or(if seed.is_some() { 1 } else { most });
    if asked.trace && asked.world.is_none() {
        asked.world = Some(Swarm::of(asked.first));
    }
    Ok(asked)
}

impl Asked {
    fn set(
        &mut self,
        name: &str,
        value: &str,
        (seeds, seed): (&mut Option<u64>, &mut Option<u64>),
    ) -> Result<(), String> {
        let number = || value.parse().map_err(|_| format!("`{value}` is no number"));
        match name {
            "--seeds" => *seeds = Some(number()?),
            "--seed" => *seed = Some(number()?),
            "--minutes" => self.until = Some(Duration::from_mins(number()?)),
            "--world" => self.world = Some(value.parse().map_err(|why| format!("{why}"))?),
            "--regressions" => self.regressions = Some(value.into()),
            _ => return Err(format!("there is no `{name}`")),
        }
        Ok(())
    }
}

fn one(world: &Swarm) -> ExitCode {
    let outcome = simulate_twice(world);
    println!("{world}");
    println!(
        "trace {:x}, {} polls, {:?}",
        outcome.trace, outcome.polls, outcome.time
    );
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    ExitCode::from(u8::from(!outcome.violations.is_empty()))
}

/// The worlds that once failed, which always live first.
fn regressions(asked: &Asked) -> Vec<Swarm> {
    let text = asked.regressions.as_ref().map(fs::read_to_string);
    let text = text.and_then(Result::ok).unwrap_or_default();
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let worlds = lines.filter(|line| !line.is_empty());
    worlds
        .map(|line| line.parse().unwrap_or_else(|why| panic!("{line}: {why}")))
        .collect()
}

fn many(asked: &Asked) -> ExitCode {
    let (begun, next, sum) = (
        Instant::now(),
        AtomicU64::new(0),
        Mutex::new(Sum::default()),
    );
    let before = regressions(asked);
    let world = |number: u64| match before.get(usize::try_from(number).unwrap_or(usize::MAX)) {
        Some(world) => Some(world.clone()),
        None => {
            let number = number - before.len() as u64;
            (number < asked.seeds).then(|| Swarm::of(asked.first + number))
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let late = asked.until.is_some_and(|until| begun.elapsed() > until);
                    let Some(world) = world(number).filter(|_| !late) else {
                        return;
                    };
                    let twice = number % TWICE == 0;
                    let outcome = if twice {
                        simulate_twice(&world)
                    } else {
                        simulate(&world)
                    };
                    sum.lock()
                        .expect("nobody panics with it")
                        .add(outcome, twice);
                }
            });
        }
    });
    let sum = sum.into_inner().expect("nobody panics with it");
    let rare = if sum.worlds >= MANY {
        rare(&sum.counts)
    } else {
        Vec::new()
    };
    show(&sum, begun.elapsed());
    for what in &rare {
        println!("too rare: {what}");
    }
    explain(&sum, asked);
    ExitCode::from(u8::from(!sum.failed.is_empty() || !rare.is_empty()))
}

/// Puts each defect in, and looks for it.
fn planted(asked: &Asked) -> ExitCode {
    let mut missed = 0;
    for bug in Bug::ALL {
        if !bug.is_there() {
            println!(
                "{:<42} is not in this build; `cargo xtask simulate --planted` makes one",
                bug.name
            );
            missed += 1;
            continue;
        }
        match hunt(*bug, asked) {
            Some(outcome) => {
                let (seed, found) = (outcome.swarm.seed, &outcome.violations[0]);
                println!("{:<42} found with seed {seed}: [{}]", bug.name, found.check);
            }
            None => {
                println!("{:<42} NOT FOUND in {} worlds", bug.name, asked.seeds);
                missed += 1;
            }
        }
    }
    println!("\n{} planted, {missed} not found", Bug::ALL.len());
    ExitCode::from(u8::from(missed > 0))
}

/// The world with the lowest seed in which a defect is seen, of those that were tried.
fn hunt(bug: Bug, asked: &Asked) -> Option<Outcome> {
    let (next, found) = (AtomicU64::new(0), Mutex::new(None::<Outcome>));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let over = found.lock().expect("nobody panics with it").is_some();
                    if over || number >= asked.seeds {
                        return;
                    }
                    let world = Swarm {
                        bug: Some(bug),
                        ..Swarm::of(asked.first + number)
                    };
                    let outcome = simulate(&world);
                    if !outcome.violations.is_empty() {
                        let mut found = found.lock().expect("nobody panics with it");
                        let better = found
                            .as_ref()
                            .is_none_or(|it| outcome.swarm.seed < it.swarm.seed);
                        if better {
                            *found = Some(outcome);
                        }
                    }
                }
            });
        }
    });
    found.into_inner().expect("nobody panics with it")
}

impl Sum {
    fn add(&mut self, outcome: Outcome, twice: bool) {
        self.worlds += 1;
        self.twice += u64::from(twice);
        self.counts.add(&outcome.counts);
        self.time += outcome.time;
        self.polls += outcome.polls;
        if !outcome.violations.is_empty() {
            self.failed.push(outcome);
        }
    }
}

/// What should have happened more often, for the run to say something about it.
fn rare(counts: &Counts) -> Vec<String> {
    let faults = Fault::ALL
        .iter()
        .map(|it| (it.name(), counts.faults.get(it)));
    let recoveries = Recovery::ALL
        .iter()
        .map(|it| (it.name(), counts.recoveries.get(it)));
    let all = faults
        .chain(recoveries)
        .map(|(name, times)| (name, times.copied().unwrap_or(0)));
    let rare = all.filter(|(_, times)| *times < OFTEN);
    rare.map(|(name, times)| format!("{name}, {times} times, {OFTEN} are wanted"))
        .collect()
}

fn show(sum: &Sum, took: Duration) {
    let per_minute = sum.worlds as f64 * 60.0 / took.as_secs_f64().max(0.001);
    println!(
        "{} worlds in {:.1} s ({per_minute:.0} a minute), {} of them twice; {} hours of their time: {} executions, {} effects, {} calls of the store, {} polls",
        sum.worlds,
        took.as_secs_f64(),
        sum.twice,
        sum.time.as_secs() / 3_600,
        sum.counts.executions,
        sum.counts.effects,
        sum.counts.calls,
        sum.polls,
    );
    println!("\nfaults:");
    for fault in Fault::ALL {
        let times = sum.counts.faults.get(fault).copied().unwrap_or(0);
        println!("  {times:>9}  {fault}");
    }
    println!("\nrecoveries:");
    for recovery in Recovery::ALL {
        let times = sum.counts.recoveries.get(recovery).copied().unwrap_or(0);
        println!("  {times:>9}  {recovery}");
    }
}

/// Shows what failed, the first of it made smaller, and remembers it.
fn explain(sum: &Sum, asked: &Asked) {
    println!("\nviolations: in {} worlds", sum.failed.len());
    let mut failed: Vec<_> = sum.failed.iter().collect();
    failed.sort_by_key(|outcome| outcome.swarm.seed);
    for outcome in failed.iter().take(SHOWN) {
        let first = &outcome.violations[0];
        println!("\n  seed {}", outcome.swarm.seed);
        for violation in &outcome.violations {
            println!("    {violation}");
        }
        let smallest = shrink(&outcome.swarm, first.check, simulate);
        println!("    again: cargo xtask simulate --world '{smallest}'");
        if let Some(path) = &asked.regressions {
            let line = format!("{smallest} # {}", first.check);
            let file = OpenOptions::new().append(true).open(path);
            if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
                println!("    could not be remembered in {}: {error}", path.display());
            }
        }
    }
    let checks = failed.iter().map(|outcome| {
        format!(
            "{} ({})",
            outcome.swarm.seed, outcome.violations[0].check.number
        )
    });
    let checks: Vec<_> = checks.collect();
    if !checks.is_empty() {
        println!("\n  seeds (invariants): {}", checks.join(" "));
    }
}
