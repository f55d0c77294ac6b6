//! The life of one world, from its beginning to its end.

use std::{
    any::Any,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
    time::Duration,
};

use nebula_core::Clock;
use nebula_execution::Status;
use serde_json::Value;

use super::{
    checks::{self, Violation},
    director::{Director, Prepared},
    here::{is_in_world, set_world},
    planted,
    scheduler::{Scheduler, Stopped},
    swarm::Swarm,
    world::{Counts, World},
};

/// The most polls of one world; one that needs more turns in a circle.
const MAX_POLLS: u64 = 2_000_000;

/// What became of a world.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the seed decided.
    pub swarm: Swarm,
    /// What must not be, and was.
    pub violations: Vec<Violation>,
    /// How often each thing happened.
    pub counts: Counts,
    /// A hash over everything that happened, in order.
    pub trace: u64,
    /// The same as text, if it was asked for.
    pub lines: Option<String>,
    /// How often a future was polled.
    pub polls: u64,
    /// How much time passed in the world.
    pub time: Duration,
}

/// What is wanted of a world.
pub(super) enum Asked {
    /// Everything.
    All,
    /// Everything, with the trace as text.
    Told,
    /// Only the starts with these numbers.
    Only(BTreeSet<u64>),
}

/// What the starts came to, by their number.
pub(super) type Results = BTreeMap<u64, (Status, Value)>;

pub(super) fn live(swarm: &Swarm, prepared: &Prepared, asked: Asked) -> (Outcome, Results) {
    watch_panics();
    planted::wake(swarm.bug);
    let world = World::new(swarm.clone(), prepared, matches!(asked, Asked::Told));
    world.note("world", swarm);
    set_world(Some(world.clone()));
    let only = match asked {
        Asked::Only(numbers) => Some(numbers),
        Asked::All | Asked::Told => None,
    };
    let mut scheduler = Scheduler::new(world.board.clone(), swarm.seed);
    let mut results = Results::new();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let director = Director::begin(&world, prepared, only);
        let stopped = scheduler.run(&world.clock, MAX_POLLS);
        world.compare_journals();
        world.slots_at_the_end();
        world.collect_at_the_end();
        world.open_all_at_the_end();
        results = director.results();
        stopped
    }));
    match &lived {
        Ok(Stopped::Finished) => {}
        Ok(Stopped::Stuck) => world.complain(checks::ENDS, "everything waits, and nobody sleeps"),
        Ok(Stopped::Circling) => {
            world.complain(
                checks::NO_CIRCLE,
                format!("{MAX_POLLS} polls were not enough"),
            );
        }
        Err(panic) => world.complain(checks::LIVES, said(&**panic)),
    }
    for panic in PANICS.take() {
        world.complain(checks::LIVES, panic);
    }
    let polls = scheduler.polls();
    // What still lives holds the world, and the world it.
    drop(scheduler);
    world.board.clear();
    set_world(None);
    let (trace, lines) = world.trace();
    let outcome = Outcome {
        swarm: swarm.clone(),
        violations: world.oracle.lock().violations().to_vec(),
        counts: world.counts.lock().clone(),
        trace,
        lines,
        polls,
        time: world.clock.monotonic(),
    };
    (outcome, results)
}

thread_local! {
    /// What panicked in the world of this thread, also where somebody caught it.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Remembers panics in worlds, also those that the worker catches where one execution panics; they are
/// told with the seed, as what is wrong with their world.
fn watch_panics() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_in_world() {
                return before(info);
            }
            let place = info.location().map(ToString::to_string);
            let what = format!("{} at {}", said(info.payload()), place.unwrap_or_default());
            PANICS.with_borrow_mut(|panics| panics.push(what));
        }));
    });
    PANICS.take();
}

/// Whether something has panicked in the world of this thread.
pub(super) fn has_panicked() -> bool {
    PANICS.with_borrow(|panics| !panics.is_empty())
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a word").to_owned()
}
