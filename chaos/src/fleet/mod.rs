//! A fleet under faults: control planes, workers, PostgreSQL and Redis, with a proxy before both; load comes
//! over the API.
//!
//! Start reading at [`run`]. `faults.rs` has what goes wrong, `outside.rs` what the workflows reach, `client.rs`
//! who asks for them; the oracle is that of the other parts.

mod base;
mod client;
mod faults;
#[expect(
    clippy::module_inception,
    reason = "the programs and servers of it are one thing in it"
)]
mod fleet;
mod flows;
mod http;
mod outside;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, atomic::Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use nebula_testkit::simulation::{Audit, checks};

use self::{
    base::Base,
    client::Client,
    faults::{Nemesis, Way},
    fleet::{Fleet, Servers},
    outside::Outside,
};
use crate::{
    Failed, Told, Wanted,
    ledger::Book,
    oracle::{self, Results, results},
};

/// How many starts are asked for at a time.
const STARTERS: usize = 4;

/// How many faults may go on at the same time.
const AT_A_TIME: usize = 3;

/// How long is waited at most for the moment that the seed chose.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long everything may take to end once nothing goes wrong any more.
const BOUND: Duration = Duration::from_secs(90);

/// Among so many faults each has met somebody.
const MANY: u64 = 40;

/// How often somebody counts what is open.
const COUNT: Duration = Duration::from_millis(25);

/// Lets so many faults happen.
pub(crate) fn run(folder: &Path, wanted: &Wanted, programs: &Path) -> Result<Told, Failed> {
    let mut told = Told::default();
    let Some(servers) = Servers::start()? else {
        told.skipped
            .push("the fleet: PostgreSQL or Redis is not here".to_owned());
        return Ok(told);
    };
    let mut fleet = Fleet::start(folder, programs, &servers)?;
    let base = Arc::new(Base::open(servers.database())?);
    let outside = Outside::listen(Arc::clone(&base))?;
    let paths = (fleet.token_file()?, fleet.work());
    let client = Client::new(fleet.addresses(), paths, &base, &outside);
    for (id, text) in flows::texts(&outside.host()) {
        client.publish(id, &text)?;
    }
    client.publish(flows::TICKS, flows::TICKING)?;
    let mut nemesis = Nemesis::new(wanted.seed);
    let done = thread::scope(|scope| {
        for _ in 0..STARTERS {
            scope.spawn(|| client.start_all());
        }
        scope.spawn(|| client.decide_all());
        let done = live(
            (&mut fleet, &servers),
            &client,
            (&mut nemesis, wanted),
            &mut told,
        );
        client.stop();
        done
    });
    let expected = done?;
    fleet.stop(&mut told)?;
    fleet.panics(&mut told)?;
    examine(&base, &outside, (&expected, &fleet.work()), &mut told)?;
    tell(&client, &nemesis, (&fleet, &servers, wanted), &mut told);
    if !told.violations.is_empty() {
        servers.keep(folder)?;
    }
    Ok(told)
}

/// Runs everything once undisturbed, then under faults, then until all has ended; gives what it came to
/// undisturbed.
fn live(
    (fleet, servers): (&mut Fleet, &Servers),
    client: &Client<'_>,
    (nemesis, wanted): (&mut Nemesis, &Wanted),
    told: &mut Told,
) -> Result<Results, Failed> {
    client.start_up_to(flows::kinds());
    ends(fleet, client, told)?;
    let before = client.base.read(&mut Audit::default())?;
    let expected = results(before);
    client.start_up_to(u64::MAX);
    for number in 1..=wanted.kills {
        let (more, late) = nemesis.pause();
        let target = client.outside.count.load(SeqCst) + more;
        let begun = Instant::now();
        loop {
            nemesis.heal(fleet, servers, false)?;
            fleet.watch(told)?;
            client.look();
            let is_time = client.outside.count.load(SeqCst) >= target || begun.elapsed() > PATIENCE;
            if is_time && nemesis.open() < AT_A_TIME {
                break;
            }
            thread::sleep(COUNT);
        }
        thread::sleep(late);
        let count = client.outside.count.load(SeqCst);
        let what = nemesis.strike(fleet, servers)?;
        println!("   {number}: after {count} effects, {what}");
    }
    nemesis.heal(fleet, servers, true)?;
    client.start_no_more();
    client.pause_ticks()?;
    println!("   healed: everything ends now");
    let healed = Instant::now();
    ends(fleet, client, told)?;
    let took = healed.elapsed().as_secs();
    told.counted
        .push(("seconds until everything had ended", took));
    Ok(expected)
}

/// Waits until everything has ended.
fn ends(fleet: &mut Fleet, client: &Client<'_>, told: &mut Told) -> Result<(), Failed> {
    let begun = Instant::now();
    // The counter moves on only once something is asked for.
    thread::sleep(COUNT * 4);
    while begun.elapsed() < BOUND {
        fleet.watch(told)?;
        if client.all_ended() {
            return Ok(());
        }
        thread::sleep(COUNT);
    }
    let open = client.open.load(SeqCst);
    told.wrong(format!(
        "[{}] {open} executions still are open after {BOUND:?}",
        checks::ENDS
    ));
    Ok(())
}

/// Holds database and outside against each other.
fn examine(
    base: &Base,
    outside: &Outside,
    (expected, work): (&Results, &Path),
    told: &mut Told,
) -> Result<(), Failed> {
    let mut audit = Audit::default();
    let all = base.read(&mut audit)?;
    outside.read_lines(work)?;
    let book = outside.book();
    oracle::compare(&all, &book, (expected, flows::kind), &mut audit);
    let ticks = all.iter().filter(|(_, it)| it.workflow == flows::TICKS);
    let mut occurrences = BTreeSet::new();
    for (id, tick) in ticks {
        let at = tick.input["at"].as_str().unwrap_or_default();
        if at.is_empty() || !occurrences.insert(at.to_owned()) {
            let what = format!("{id}: the occurrence of {at} once more");
            audit.complain(checks::SLOT_ONCE, what);
        }
    }
    let count = occurrences.len() as u64;
    told.counted.push(("occurrences of a trigger", count));
    if count == 0 {
        told.wrong("no trigger ever started anything");
    }
    for label in unwritten(&book) {
        audit.complain(checks::SAME_RESULT, format!("`{label}` was never written"));
    }
    for (what, count) in base.left()? {
        if count != 0 {
            told.wrong(format!("{count} {what} are left"));
        }
    }
    oracle::tell(&all, &book, &audit, told);
    Ok(())
}

/// What was to be written at most once by what has been accepted, and is not there.
fn unwritten(book: &Book) -> Vec<String> {
    let all = book
        .accepted
        .keys()
        .flat_map(|number| flows::lines(*number));
    all.filter(|label| !book.pieces.contains_key(label))
        .collect()
}

/// What a proxy before PostgreSQL counts.
const POSTGRES: [&str; 4] = [
    "connections to PostgreSQL that were reset",
    "connections to PostgreSQL that fell silent",
    "commits whose answer was swallowed",
    "pieces to and from PostgreSQL that were held up",
];

/// What one before Redis counts.
const REDIS: [&str; 4] = [
    "connections to Redis that were reset",
    "connections to Redis that fell silent",
    "scripts whose answer was swallowed",
    "pieces to and from Redis that were held up",
];

/// Adds what was counted.
fn tell(
    client: &Client<'_>,
    nemesis: &Nemesis,
    (fleet, servers, wanted): (&Fleet, &Servers, &Wanted),
    told: &mut Told,
) {
    told.counted.push(("faults of the fleet", wanted.kills));
    for (kind, count) in &nemesis.fired {
        told.counted.push((kind.name(), *count));
    }
    for kind in nemesis.never(wanted.kills) {
        told.wrong(format!("no fault was ever of this kind: {kind}"));
    }
    for (way, what) in [(Way::Postgres, POSTGRES), (Way::Redis, REDIS)] {
        let struck = servers.way(way).struck();
        let counts = [
            struck.reset,
            struck.silenced,
            struck.swallowed,
            struck.delayed,
        ];
        for (what, count) in what.into_iter().zip(counts) {
            told.counted.push((what, count));
            if count == 0 && wanted.kills >= MANY {
                told.wrong(format!("a fault that met nobody: {what}"));
            }
        }
    }
    let (unknown, replayed) = (&client.unknown, &client.replayed);
    told.counted.push((
        "starts without an answer, asked for again",
        unknown.load(SeqCst),
    ));
    told.counted
        .push(("starts repeated after their answer", replayed.load(SeqCst)));
    told.counted.push((
        "programs started again by their watcher",
        fleet.started_again,
    ));
}
