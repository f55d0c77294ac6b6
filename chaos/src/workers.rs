//! Kills embedded workers that share one database, and holds what they did against what arrived
//! outside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use nebula_testkit::{SeededEntropy, simulation::Audit};

use crate::{
    Failed, Told, Wanted, flows,
    ledger::{Book, Ledger},
    oracle::{self, Results, results},
    process::{Process, until, words},
    store,
    worker::LEASE,
};

#[cfg(test)]
pub(crate) mod tests;

/// How many workers there are at a time.
const WORKERS: usize = 3;

/// How long everything may take to end once nobody is killed any more.
const BOUND: Duration = Duration::from_secs(90);

/// How long a worker may take to stop.
const STOPS: Duration = Duration::from_secs(15);

/// How often somebody counts what is open.
const COUNT: Duration = Duration::from_millis(25);

/// Workers, the outside that they write to, and the database that they share.
struct World {
    folder: PathBuf,
    database: PathBuf,
    socket: PathBuf,
    ledger: Ledger,
    workers: Vec<Process>,
    begun: usize,
}

impl World {
    fn new(folder: PathBuf) -> Result<Self, Failed> {
        fs::create_dir_all(&folder)?;
        let (database, socket) = (folder.join("nebula.db"), folder.join("outside"));
        Ok(Self {
            ledger: Ledger::listen(&socket, &database)?,
            folder,
            database,
            socket,
            workers: Vec::new(),
            begun: 0,
        })
    }

    fn add(&mut self) -> Result<(), Failed> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker").arg(&self.database).arg(&self.socket);
        self.begun += 1;
        let name = format!("worker-{}", self.begun);
        self.workers
            .push(Process::start(command, &self.folder, &name)?);
        Ok(())
    }

    /// Workers end when they are told to, and never by themselves.
    fn check_alive(&mut self, told: &mut Told) {
        for worker in &mut self.workers {
            if let Some(status) = worker.ended() {
                let (name, how) = (&worker.name, words(status));
                let said = last_line(&worker.said);
                told.wrong(format!("{name} ended by itself with {how}: {said}"));
                self.ledger.bury(worker.id());
            }
        }
        self.workers.retain_mut(|worker| worker.ended().is_none());
    }

    fn count(&self) {
        if let Some(open) = store::open(&self.database) {
            self.ledger.open.store(open, Ordering::Relaxed);
        }
    }

    /// Waits until everything has ended that was accepted.
    fn ends(&mut self, wanted: u64, told: &mut Told) {
        let ended = until(BOUND, || {
            self.count();
            let open = self.ledger.open.load(Ordering::Relaxed);
            let accepted = self.ledger.book().accepted.len() as u64;
            thread::sleep(COUNT);
            open == 0 && accepted >= wanted
        });
        if !ended {
            let open = self.ledger.open.load(Ordering::Relaxed);
            told.wrong(format!(
                "{open} executions still have not ended after {BOUND:?}"
            ));
        }
    }

    /// Tells every worker to stop; each gives up what it holds and ends with 0.
    fn stop(&mut self, told: &mut Told) -> Result<(), Failed> {
        for worker in &self.workers {
            worker.signal("TERM")?;
        }
        for mut worker in self.workers.drain(..) {
            match worker.ends_within(STOPS) {
                Some(status) if status.success() => {}
                Some(status) => told.wrong(format!("{} ended with {}", worker.name, words(status))),
                None => told.wrong(format!("{} does not end within {STOPS:?}", worker.name)),
            }
        }
        Ok(())
    }
}

fn last_line(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().last().unwrap_or_default().to_owned()
}

/// Runs everything once and disturbs nobody.
fn undisturbed(folder: PathBuf, told: &mut Told) -> Result<Results, Failed> {
    let mut world = World::new(folder)?;
    world.ledger.give_out(flows::kinds());
    world.add()?;
    world.ends(flows::kinds(), told);
    world.check_alive(told);
    world.stop(told)?;
    let all = store::read(&world.database, &mut Audit::default())?;
    Ok(results(all))
}

/// Kills workers as often as is wanted.
pub(crate) fn run(folder: &Path, wanted: &Wanted, kills: u64) -> Result<Told, Failed> {
    let mut told = Told::default();
    let expected = undisturbed(folder.join("undisturbed"), &mut told)?;
    let mut world = World::new(folder.join("workers"))?;
    world.ledger.give_out(u64::MAX);
    let chance = SeededEntropy::new(wanted.seed);
    for _ in 0..WORKERS {
        world.add()?;
    }
    let mut number = 0;
    while told.kills < kills {
        number += 1;
        strike(&mut world, &chance, (number, wanted), &mut told)?;
        world.check_alive(&mut told);
        while world.workers.len() < WORKERS {
            world.add()?;
        }
    }
    world.ledger.give_out(0);
    let accepted = world.ledger.book().accepted.len() as u64;
    world.ends(accepted, &mut told);
    world.check_alive(&mut told);
    world.stop(&mut told)?;
    examine(&world.database, &world.ledger.book(), &expected, &mut told)?;
    Ok(told)
}

/// Waits for a moment that the seed chooses, and kills or stops somebody then.
fn strike(
    world: &mut World,
    chance: &SeededEntropy,
    (number, wanted): (u64, &Wanted),
    told: &mut Told,
) -> Result<(), Failed> {
    let (more, late) = (
        1 + chance.below(60),
        Duration::from_micros(chance.below(6_000)),
    );
    let stops = wanted.stops && chance.chance(15);
    let (past, dies) = (
        Duration::from_millis(150 + chance.below(400)),
        chance.chance(30),
    );
    let at = chance.below(WORKERS as u64);
    let target = world.ledger.count.load(Ordering::Relaxed) + more;
    let (begun, mut counted) = (Instant::now(), Instant::now());
    world.count();
    while world.ledger.count.load(Ordering::Relaxed) < target
        && begun.elapsed() < Duration::from_millis(1_500)
    {
        if counted.elapsed() > COUNT {
            world.count();
            counted = Instant::now();
        }
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(late);
    let count = world.ledger.count.load(Ordering::Relaxed);
    let victim = usize::try_from(at)? % world.workers.len();
    let mut victim = world.workers.swap_remove(victim);
    let (name, micros) = (victim.name.clone(), late.as_micros());
    if stops {
        println!(
            "   {number}: {name} stopped after {count} effects and {micros} µs, for {past:?} past its lease"
        );
        told.stops += 1;
        victim.signal("STOP")?;
        let (end, mut counted) = (Instant::now() + LEASE + past, Instant::now());
        while Instant::now() < end {
            if counted.elapsed() > COUNT {
                world.count();
                counted = Instant::now();
            }
            thread::sleep(Duration::from_millis(5));
        }
        if !dies {
            victim.signal("CONT")?;
            world.workers.push(victim);
            // What it does late is what is looked for; then another one dies.
            thread::sleep(late);
            return Ok(());
        }
    } else {
        println!("   {number}: {name} killed after {count} effects and {micros} µs");
    }
    told.kills += 1;
    victim.kill()?;
    world.ledger.bury(victim.id());
    Ok(())
}

/// Holds database and outside against each other.
fn examine(
    database: &Path,
    book: &Book,
    expected: &Results,
    told: &mut Told,
) -> Result<(), Failed> {
    match store::integrity(database) {
        Ok(said) if said == "ok" => {}
        Ok(said) => told.wrong(format!("the database is damaged: {said}")),
        Err(error) => told.wrong(format!("the database cannot be read: {error}")),
    }
    let mut audit = Audit::default();
    let all = store::read(database, &mut audit)?;
    oracle::compare(&all, book, (expected, flows::kind), &mut audit);
    oracle::tell(&all, book, &audit, told);
    Ok(())
}
