//! Threads whose order chance decides, for what several threads share.
//!
//! A crate with such a part has a module `sync` that re-exports the locks and channels which the part
//! is made of: the usual ones, and in the crate's own unit tests those of `shuttle`. So a test runs the
//! very code that is shipped, and at each lock, send or wake-up chance says which thread goes on. What
//! waits for ever is found as a deadlock.

use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};

/// How many orders each scheduler tries, unless [`COUNT`] says otherwise.
const ORDERS: usize = 1_000;

/// The variable that says how many orders to try.
const COUNT: &str = "NEBULA_THREADS_ORDERS";

/// How often one thread overtakes another at a place that matters: few bugs need more.
const OVERTAKES: usize = 3;

/// Runs `test` in a thousand orders that are drawn at random, and in another thousand in which threads run on
/// until they are overtaken, three times at the most. The variable `NEBULA_THREADS_ORDERS` changes
/// the thousand. Chance is seeded: the same orders are tried each time.
///
/// `test` begins each time anew, and must do the same things if the threads take the same turns. It
/// spawns with `shuttle::thread` or `shuttle::future`.
///
/// # Panics
/// With whatever `test` panics, and where all its threads wait; what is printed then lets
/// `shuttle::replay` run the same order again.
pub fn check(test: impl Fn() + Send + Sync + Clone + 'static) {
    check_times(ORDERS, test);
}

/// The same with so many orders each, for a test of which a thousand would take long.
///
/// # Panics
/// As [`check`].
pub fn check_times(orders: usize, test: impl Fn() + Send + Sync + Clone + 'static) {
    #[expect(clippy::disallowed_methods, reason = "a test asks its environment")]
    let asked = std::env::var(COUNT).ok();
    let orders = asked.map_or(orders, |orders| {
        let orders = orders.parse();
        orders.unwrap_or_else(|_| panic!("{COUNT} is not a number"))
    });
    tried(RandomScheduler::new_from_seed(0, orders), test.clone());
    tried(PctScheduler::new_from_seed(0, OVERTAKES, orders), test);
}

fn tried(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // SQLite's own frames are larger than those of our code.
    config.stack_size = 1 << 20;
    Runner::new(scheduler, config).run(test);
}
