//! Lets many simulated worlds live and sums up what went wrong in them: `cargo xtask simulate`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool for developers talks to its terminal, uses all cores and measures time"
)]

mod options;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nebula_testkit::{
    MemoryExecutionRepo, MemoryWorkflowRepo, reference,
    simulation::{
        Bug, Counts, Fault, Outcome, Recovery, Swarm, shrink, simulate, simulate_twice, trace,
    },
};

use options::{Asked, USAGE};

/// Worlds of a run that says no number.
const SEEDS: u64 = 1_000;
/// In so many worlds each planted defect is to be found.
const MOST_PLANTED: u64 = 2_000;
/// From so many worlds on, each fault and each way back must have been seen.
const MANY: u64 = 10_000;
/// How often, then.
const OFTEN: u64 = 100;
/// One world in so many is lived twice.
const TWICE: u64 = 50;
/// The most failing seeds that are made smaller and shown whole.
const SHOWN: usize = 3;

/// After so many worlds a run says how far it is.
const TOLD: u64 = 1_000;

impl Asked {
    /// The first seed.
    fn first(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// How many worlds are wanted: where only a seed is named, that one.
    fn most(&self) -> u64 {
        let unsaid = match (self.planted, self.until, self.seed) {
            (true, ..) => MOST_PLANTED,
            (_, Some(_), _) => u64::MAX,
            (.., Some(_)) => 1,
            _ => SEEDS,
        };
        self.seeds.unwrap_or(unsaid)
    }
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
    let asked = match Asked::read(&arguments) {
        Ok(asked) => asked,
        Err(why) => return refused(&why),
    };
    let (world, before) = match world(&asked).and_then(|it| Ok((it, regressions(&asked)?))) {
        Ok(read) => read,
        Err(why) => return refused(&why),
    };
    match &world {
        Some(world) if asked.trace => {
            print!("{}", trace(world));
            ExitCode::SUCCESS
        }
        Some(world) => one(world),
        None if asked.planted => planted(&asked),
        None if asked.deaths => deaths(),
        None => many(&asked, &before),
    }
}

fn refused(why: &str) -> ExitCode {
    eprintln!("{why}\n\n{USAGE}");
    ExitCode::from(2)
}

/// The one world that is asked for, if it is one.
fn world(asked: &Asked) -> Result<Option<Swarm>, String> {
    let world = asked.world.as_deref().map(str::parse);
    world.transpose().map_err(|why| format!("`--world`: {why}"))
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
fn regressions(asked: &Asked) -> Result<Vec<Swarm>, String> {
    let Some(path) = &asked.regressions else {
        return Ok(Vec::new());
    };
    let path_of = path.display();
    let text = fs::read_to_string(path).map_err(|why| format!("{path_of}: {why}"))?;
    let lines = text.lines().enumerate().map(|(number, line)| {
        let world = line.split('#').next().unwrap_or_default().trim();
        (number + 1, world)
    });
    let worlds = lines.filter(|(_, line)| !line.is_empty());
    worlds
        .map(|(number, line)| {
            let world = line.parse::<Swarm>();
            world.map_err(|why| format!("{path_of}, line {number}: {why}"))
        })
        .collect()
}

fn many(asked: &Asked, before: &[Swarm]) -> ExitCode {
    let (begun, next, sum) = (
        Instant::now(),
        AtomicU64::new(0),
        Mutex::new(Sum::default()),
    );
    let (first, most) = (asked.first(), asked.most());
    let world = |number: u64| match before.get(usize::try_from(number).unwrap_or(usize::MAX)) {
        Some(world) => Some(world.clone()),
        None => {
            let number = number - before.len() as u64;
            (number < most).then(|| Swarm::of(first + number))
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads() {
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
                    let mut sum = sum.lock().expect("nobody panics with it");
                    sum.add(outcome, twice);
                    sum.tell(begun.elapsed());
                }
            });
        }
    });
    let sum = sum.into_inner().expect("nobody panics with it");
    let rare = match sum.worlds >= MANY {
        true => rare(&sum.counts),
        false => Vec::new(),
    };
    show(&sum, begun.elapsed());
    for what in &rare {
        println!("too rare: {what}");
    }
    explain(&sum, asked, before);
    ExitCode::from(u8::from(!sum.failed.is_empty() || !rare.is_empty()))
}

/// Lets the process of every reference workflow die at every call of its store.
fn deaths() -> ExitCode {
    let begun = Instant::now();
    let survived = reference::survive(1, |clock| async move {
        (
            Arc::new(MemoryExecutionRepo::new(clock.clone())) as Arc<_>,
            Arc::new(MemoryWorkflowRepo::new(clock)) as Arc<_>,
        )
    });
    for (name, lives) in &survived.lives {
        println!("{lives:>6} lives of {name}");
    }
    for name in &survived.wrong {
        println!("something else came of {name}");
    }
    println!(
        "\n{} workflows, {} lives, {} workflows wrong, in {:.1} s",
        survived.lives.len() + survived.wrong.len(),
        survived.lives.values().sum::<usize>(),
        survived.wrong.len(),
        begun.elapsed().as_secs_f64(),
    );
    ExitCode::from(u8::from(!survived.wrong.is_empty()))
}

/// Puts each defect in, and looks for it.
fn planted(asked: &Asked) -> ExitCode {
    let begun = Instant::now();
    let (next, sum) = (AtomicUsize::new(0), Mutex::new((0, 0)));
    println!(
        "{:<46} {:>6} {:>7}  broken invariant",
        "defect", "worlds", "seconds"
    );
    // One of them is one thread's: most are seen in the first worlds, and others would live in vain.
    let look = || {
        while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let since = Instant::now();
            let found = bug.is_there().then(|| hunt(*bug, asked));
            let took = since.elapsed().as_secs_f64();
            let missed = !matches!(found, Some(Some(_)));
            let (worlds, said) = match found {
                None => (0, "IS NOT IN THIS BUILD".to_owned()),
                Some(None) => (asked.most(), "NOT FOUND".to_owned()),
                Some(Some(outcome)) => {
                    let needed = outcome.swarm.seed - asked.first() + 1;
                    (needed, outcome.violations[0].check.to_string())
                }
            };
            println!("{:<46} {worlds:>6} {took:>7.1}  {said}", bug.name);
            let mut sum = sum.lock().expect("nobody panics with it");
            *sum = (sum.0 + worlds, sum.1 + u32::from(missed));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(look);
        }
    });
    let (worlds, missed) = sum.into_inner().expect("nobody panics with it");
    println!(
        "\n{} planted, {missed} not found, in {worlds} worlds and {:.1} s",
        Bug::ALL.len(),
        begun.elapsed().as_secs_f64(),
    );
    ExitCode::from(u8::from(missed > 0))
}

/// The first world in which a defect is seen.
fn hunt(bug: Bug, asked: &Asked) -> Option<Outcome> {
    let worlds = (0..asked.most()).map(|number| Swarm::with(bug, asked.first() + number));
    let mut outcomes = worlds.map(|world| simulate(&world));
    outcomes.find(|outcome| !outcome.violations.is_empty())
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Sum {
    /// Says how far a long run is.
    fn tell(&self, took: Duration) {
        if self.worlds.is_multiple_of(TOLD) {
            let (rate, failed) = (per_minute(self.worlds, took), self.failed.len());
            eprintln!(
                "  {} worlds, {rate:.0} a minute, {failed} failed",
                self.worlds
            );
        }
    }

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

fn per_minute(worlds: u64, took: Duration) -> f64 {
    worlds as f64 * 60.0 / took.as_secs_f64().max(0.001)
}

fn show(sum: &Sum, took: Duration) {
    let rate = per_minute(sum.worlds, took);
    println!(
        "{} worlds in {:.1} s ({rate:.0} a minute), {} of them twice; {} hours of their time: {} executions, {} effects, {} calls of the store, {} polls",
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
fn explain(sum: &Sum, asked: &Asked, before: &[Swarm]) {
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
        let is_new = !before.contains(&outcome.swarm) && !before.contains(&smallest);
        if let Some(path) = asked.regressions.as_ref().filter(|_| is_new) {
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
