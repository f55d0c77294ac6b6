//! What is shared is made once, kept within limits, and closed.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use nebula_core::MemoryPressure;
use nebula_resource::{Limits, Shared};
use nebula_testkit::ManualClock;
use tokio::sync::Semaphore;

const IDLE: Duration = Duration::from_secs(10);
const AGE: Duration = Duration::from_secs(100);

/// Counts what is open.
#[derive(Clone, Default)]
struct World {
    open: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

struct Connection {
    open: Arc<AtomicUsize>,
    broken: AtomicBool,
}

/// Memory that is short when somebody says so.
#[derive(Debug, Clone, Default)]
struct Told(Arc<AtomicBool>);

impl MemoryPressure for Told {
    fn is_short(&self) -> bool {
        self.0.load(SeqCst)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, SeqCst);
    }
}

impl World {
    fn connect(&self) -> Connection {
        self.made.fetch_add(1, SeqCst);
        self.open.fetch_add(1, SeqCst);
        Connection {
            open: Arc::clone(&self.open),
            broken: AtomicBool::new(false),
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.made.load(SeqCst), self.open.load(SeqCst))
    }
}

fn scene(most: usize) -> (Shared<u32, Connection>, ManualClock, World) {
    let clock = ManualClock::default();
    let limits = Limits {
        most: NonZeroUsize::new(most).unwrap(),
        idle: IDLE,
        age: AGE,
    };
    let shared = Shared::new(limits, Arc::new(clock.clone()));
    (shared, clock, World::default())
}

async fn get(shared: &Shared<u32, Connection>, world: &World, key: u32) -> Arc<Connection> {
    let made = shared.get(&key, async || Ok::<_, ()>(world.connect()));
    made.await.unwrap()
}

/// Guard: the cell that all who ask for one key have in common.
#[tokio::test]
async fn who_asks_while_it_is_being_made_waits_for_it() {
    let (shared, _, world) = scene(4);
    let gate = Semaphore::new(0);
    let ask = async || {
        let made = shared.get(&1, async || {
            let _ = gate.acquire().await;
            Ok::<_, ()>(world.connect())
        });
        made.await.unwrap()
    };
    let all = join_all((0..100).map(|_| ask()));
    let open = async { gate.add_permits(100) };
    let (all, ()) = tokio::join!(all, open);
    assert_eq!(world.counts(), (1, 1));
    assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])));
}

/// Guard: a failure is given to who made it, and kept by nobody.
#[tokio::test]
async fn a_failure_is_not_kept_and_the_next_one_makes_it() {
    let (shared, _, world) = scene(4);
    let failed = shared
        .get(&1, async || Err::<Connection, _>("refused"))
        .await;
    assert_eq!(failed.err(), Some("refused"));
    assert!(shared.is_empty());
    let gate = Semaphore::new(0);
    let fails = shared.get(&1, async || {
        let _ = gate.acquire().await;
        Err("refused")
    });
    let waits = shared.get(&1, async || Ok::<_, &str>(world.connect()));
    let (failed, made, ()) = tokio::join!(fails, waits, async { gate.add_permits(1) });
    assert_eq!(failed.err(), Some("refused"));
    let again = get(&shared, &world, 1).await;
    assert!(
        Arc::ptr_eq(&made.unwrap(), &again),
        "who waited made it, for all"
    );
}

/// Guard: the limits of idleness and age, and that use renews the one and not the other.
#[tokio::test]
async fn what_nobody_uses_goes_and_what_is_old_is_not_given_out() {
    let (shared, clock, world) = scene(4);
    drop(get(&shared, &world, 1).await);
    for _ in 0..5 {
        clock.advance(IDLE / 2);
        drop(get(&shared, &world, 1).await);
    }
    assert_eq!(world.counts(), (1, 1), "asked for in time");
    clock.advance(IDLE);
    drop(get(&shared, &world, 2).await);
    assert_eq!(
        (world.counts(), shared.len()),
        ((2, 1), 1),
        "the first one is closed"
    );

    let held = get(&shared, &world, 3).await;
    clock.advance(IDLE * 2);
    assert!(
        Arc::ptr_eq(&held, &get(&shared, &world, 3).await),
        "held, so in use"
    );
    clock.advance(AGE);
    let new = get(&shared, &world, 3).await;
    assert!(!Arc::ptr_eq(&held, &new), "too old to be given out");
    assert_eq!(world.counts(), (4, 2), "and still there for who holds it");
    drop(held);
    assert_eq!(world.counts(), (4, 1));
}

/// Guard: what is being made is in use, however long it takes.
#[tokio::test]
async fn what_takes_long_to_make_is_made_once() {
    let (shared, clock, world) = scene(4);
    let gate = Semaphore::new(0);
    let ask = async || {
        let made = shared.get(&1, async || {
            let _ = gate.acquire().await;
            Ok::<_, ()>(world.connect())
        });
        made.await.unwrap()
    };
    let mut first = Box::pin(ask());
    assert!((&mut first).now_or_never().is_none());
    clock.advance(IDLE * 2);
    drop(get(&shared, &world, 2).await);
    let mut second = Box::pin(ask());
    assert!((&mut second).now_or_never().is_none());
    gate.add_permits(2);
    let (first, second) = tokio::join!(first, second);
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(world.counts().0, 2, "one for each key");
}

/// Guard: who failed lets go of its own attempt, and of nobody else's.
#[tokio::test]
async fn a_late_failure_takes_nothing_from_who_came_after_it() {
    let (shared, clock, world) = scene(1);
    let gate = Semaphore::new(0);
    let mut fails = Box::pin(shared.get(&1, async || {
        let _ = gate.acquire().await;
        Err("refused")
    }));
    assert!((&mut fails).now_or_never().is_none());
    // There is room for one: another key takes the place, and this one takes it again, not yet made.
    clock.advance(Duration::from_secs(1));
    drop(get(&shared, &world, 2).await);
    clock.advance(Duration::from_secs(1));
    let made = shared.get(&1, async || {
        gate.add_permits(1);
        assert_eq!((&mut fails).await.err(), Some("refused"));
        Ok::<_, ()>(world.connect())
    });
    let made = made.await.unwrap();
    assert!(Arc::ptr_eq(&made, &get(&shared, &world, 1).await));
}

/// Guard: the limit of how many; the one asked for longest ago goes.
#[tokio::test]
async fn the_one_asked_for_longest_ago_makes_room() {
    let (shared, clock, world) = scene(2);
    for key in [1, 2, 1, 3] {
        clock.advance(Duration::from_secs(1));
        drop(get(&shared, &world, key).await);
    }
    assert_eq!((world.counts(), shared.len()), ((3, 2), 2));
    drop(get(&shared, &world, 1).await);
    assert_eq!(world.counts().0, 3, "1 is still there");
    drop(get(&shared, &world, 2).await);
    assert_eq!(world.counts().0, 4, "2 went");
}

/// Guard: a failure lets go of what it did not make, and of nothing that has come after it.
#[tokio::test]
async fn a_late_failure_takes_nothing_of_others_along() {
    let (shared, _, world) = scene(1);
    let gate = Semaphore::new(0);
    let late = shared.get(&1, async || {
        let _ = gate.acquire().await;
        Err::<Connection, _>("refused")
    });
    let others = async {
        // What is being made makes room only for more of the kind.
        drop(get(&shared, &world, 2).await);
        let held = get(&shared, &world, 1).await;
        gate.add_permits(1);
        held
    };
    let (late, held) = tokio::join!(late, others);
    assert_eq!(late.err(), Some("refused"));
    assert!(Arc::ptr_eq(&held, &get(&shared, &world, 1).await));
}

/// Guard: what nobody makes any more does not count as being made.
#[tokio::test]
async fn what_its_maker_left_makes_room_first() {
    let (shared, clock, world) = scene(2);
    drop(get(&shared, &world, 1).await);
    clock.advance(Duration::from_secs(1));
    let never = shared.get(&2, async || {
        std::future::pending::<()>().await;
        Ok::<_, ()>(world.connect())
    });
    assert!(never.now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    drop(get(&shared, &world, 1).await);
    drop(get(&shared, &world, 3).await);
    drop(get(&shared, &world, 1).await);
    assert_eq!(world.counts().0, 2, "1 is still there");
}

/// Guard: what is sick is not given out, and nobody who holds it loses it.
#[tokio::test]
async fn what_is_sick_is_made_anew() {
    let (shared, _, world) = scene(4);
    let shared = shared.healthy_if(|it| !it.broken.load(SeqCst));
    let held = get(&shared, &world, 1).await;
    drop(get(&shared, &world, 2).await);
    assert!(Arc::ptr_eq(&held, &get(&shared, &world, 1).await));
    held.broken.store(true, SeqCst);
    let new = get(&shared, &world, 1).await;
    assert!(!Arc::ptr_eq(&held, &new));
    assert_eq!(world.counts(), (3, 3), "its holder has it still");
    drop(held);
    assert_eq!(world.counts(), (3, 2));
    // Also one that nobody asks for goes.
    new.broken.store(true, SeqCst);
    drop(new);
    drop(get(&shared, &world, 2).await);
    assert_eq!((world.counts(), shared.len()), ((3, 1), 1));
}

/// Guards: the one asked for longest ago goes, one at each call, none that somebody holds, and none while
/// there is memory.
#[tokio::test]
async fn while_memory_is_short_what_nobody_holds_goes() {
    let (shared, clock, world) = scene(8);
    let short = Told::default();
    let shared = shared.under(Arc::new(short.clone()));
    let held = get(&shared, &world, 1).await;
    for key in 2..=4 {
        clock.advance(Duration::from_secs(1));
        drop(get(&shared, &world, key).await);
    }
    assert_eq!(world.counts(), (4, 4));
    short.0.store(true, SeqCst);
    // 2 is the oldest, but asked for itself.
    drop(get(&shared, &world, 2).await);
    assert_eq!(world.counts(), (4, 3), "3 went");
    drop(get(&shared, &world, 4).await);
    assert_eq!(world.counts(), (4, 2), "2 went");
    drop(get(&shared, &world, 4).await);
    assert_eq!(world.counts(), (4, 2), "the others are in use");
    assert!(Arc::ptr_eq(&held, &get(&shared, &world, 1).await));
    assert_eq!(world.counts(), (4, 1));
    short.0.store(false, SeqCst);
    drop(get(&shared, &world, 4).await);
    drop(get(&shared, &world, 1).await);
    assert_eq!(world.counts(), (5, 2));
}

/// Guards: a scope takes all of its own along and nothing else, and what is being made for it goes to
/// nobody who comes after.
#[tokio::test]
async fn a_scope_that_ends_closes_what_belongs_to_it() {
    let (shared, _, world) = scene(8);
    let odd = |key: &u32| key % 2 == 1;
    let held = get(&shared, &world, 1).await;
    for key in 2..=4 {
        drop(get(&shared, &world, key).await);
    }
    let gate = Semaphore::new(0);
    let mut late = Box::pin(shared.get(&5, async || {
        let _ = gate.acquire().await;
        Ok::<_, ()>(world.connect())
    }));
    assert!((&mut late).now_or_never().is_none());
    shared.close(odd);
    assert_eq!((world.counts(), shared.len()), ((4, 3), 2), "1 is held");
    drop(held);
    gate.add_permits(1);
    let late = late.await.unwrap();
    assert_eq!((world.counts(), shared.len()), ((5, 3), 2));
    let new = get(&shared, &world, 5).await;
    assert!(!Arc::ptr_eq(&late, &new));
    drop((late, new));
    shared.close(|_| true);
    assert_eq!((world.counts(), shared.len()), ((6, 0), 0));
}

/// Guards: nothing is left behind, whoever fails, goes away or comes late, while things fall sick, memory
/// is short and scopes end: in the end as many were closed as were made.
#[tokio::test]
async fn nothing_leaks() {
    let (shared, clock, world) = scene(3);
    let short = Told::default();
    let shared = shared
        .healthy_if(|it| !it.broken.load(SeqCst))
        .under(Arc::new(short.clone()));
    let mut seed = 7_u64;
    let mut held = Vec::new();
    for _ in 0..5_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (key, what) = ((seed >> 33) as u32 % 6, (seed >> 40) % 12);
        match what {
            0 => drop(held.pop()),
            1 => clock.advance(Duration::from_secs(seed >> 60)),
            2 => drop(shared.get(&key, async || Err::<Connection, _>(())).await),
            3 => {
                // Goes away before it is made.
                let never = shared.get(&key, async || {
                    std::future::pending::<()>().await;
                    Ok::<_, ()>(world.connect())
                });
                tokio::select! {
                    biased;
                    made = never => drop(made),
                    () = std::future::ready(()) => {}
                }
            }
            4 => short.0.store(seed >> 63 == 1, SeqCst),
            5 => shared.close(|it| it % 3 == key % 3),
            6 => {
                // Of two who want one, the first goes away, and a scope ends meanwhile.
                let gate = Semaphore::new(0);
                let ask = || {
                    shared.get(&key, async || {
                        let _ = gate.acquire().await;
                        Ok::<_, ()>(world.connect())
                    })
                };
                let (mut first, mut second) = (Box::pin(ask()), Box::pin(ask()));
                if (&mut first).now_or_never().is_none() {
                    let _ = (&mut second).now_or_never();
                    shared.close(|it| *it == key);
                    drop(first);
                    gate.add_permits(1);
                    held.push(second.await.unwrap());
                }
            }
            7 => {
                if let Some(one) = held.last() {
                    one.broken.store(true, SeqCst);
                }
            }
            _ => held.push(get(&shared, &world, key).await),
        }
        held.truncate(8);
        assert!(shared.len() <= 3 && world.counts().1 <= 3 + held.len());
    }
    held.clear();
    assert!(world.counts().0 > 100 && world.counts().1 <= 3);
    shared.close(|_| true);
    assert_eq!(world.counts().1, 0, "all that were made are closed");
}
