//! A fleet on paper: what a thousand workers ask of one PostgreSQL and one Redis, as events in virtual time.
//!
//! What a call costs the servers is measured elsewhere (`--bench fleet`, `--bench queues`) and given in
//! [`Costs`]; what calls there are, and who waits for whom, is that of the engine: a start is a creation and a
//! ring; a worker receives, leases, commits steps and acks; leases are renewed; a ring into an empty queue wakes
//! everybody who waits; a sweep looks over everything that is due. So it says what is used up first, and by what.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use nebula_core::Entropy;
use nebula_testkit::SeededEntropy;

use crate::Samples;

/// What calls cost a server's processor, and how long the way to it takes.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Of PostgreSQL, for a creation, a lease or a step, together with others that are under way.
    pub write: Duration,
    /// Of PostgreSQL, for leases of one worker that are renewed at once.
    pub renewal: Duration,
    /// Of PostgreSQL, for a look of the sweep.
    pub sweep: Duration,
    /// Of Redis, for a ring, a receive or an ack.
    pub queue: Duration,
    /// Until what is committed lies on the disk; commits share it.
    pub disk: Duration,
    /// One way between two machines.
    pub network: Duration,
}

/// What a fleet has.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Workers.
    pub workers: usize,
    /// How many executions each drives at a time.
    pub concurrency: usize,
    /// Cores of PostgreSQL.
    pub cores: usize,
    /// Whether a ring wakes one of those who wait, and not all.
    pub wakes_one: bool,
    /// How long a lease lasts; it is renewed three times in that.
    pub lease: Duration,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// Executions that are started in a second.
    pub starts: f64,
    /// Steps of each.
    pub steps: u32,
    /// How long its actions take between two steps.
    pub action: Duration,
    /// Children of each execution in a hundred: a fan-out that a step starts at once.
    pub fan_out: u32,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which part of the time PostgreSQL's cores, Redis and the workers were busy.
    pub postgres: f64,
    /// The same of Redis.
    pub redis: f64,
    /// How many of the places for executions were taken, on average.
    pub places: f64,
    /// Receives that gave nothing, for each execution.
    pub in_vain: f64,
    /// From a start to its end, without the actions.
    pub waited: Samples,
    /// Executions that ended, and those that had been started.
    pub ended: (u64, u64),
}

/// A server with some cores: who comes first is served first.
#[derive(Debug)]
struct Server {
    /// When each core is free.
    cores: BinaryHeap<Reverse<u64>>,
    busy: u64,
}

impl Server {
    fn new(cores: usize) -> Self {
        Self {
            cores: (0..cores).map(|_| Reverse(0)).collect(),
            busy: 0,
        }
    }

    /// When what comes at `now` is done.
    fn serve(&mut self, now: u64, cost: u64) -> u64 {
        let free = self.cores.pop().map_or(0, |Reverse(at)| at);
        let done = now.max(free) + cost;
        self.cores.push(Reverse(done));
        self.busy += cost;
        done
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The next start comes.
    Start,
    /// A task is in the queue.
    Rung { execution: usize },
    /// A receive is answered.
    Received { worker: usize },
    /// A worker may commit the next step.
    Step { execution: usize },
    /// The leases of a worker are due.
    Renew { worker: usize },
    /// The sweep looks.
    Sweep,
}

#[derive(Debug, Clone, Copy)]
struct Execution {
    begun: u64,
    worker: usize,
    steps_left: u32,
    children: u32,
}

#[derive(Debug, Clone, Copy)]
struct Worker {
    in_hand: usize,
    /// Whether it waits for a ring.
    waits: bool,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Lets the fleet run for so long, in its own time; the same seed gives the same.
#[must_use]
pub fn run(fleet: Fleet, demand: Demand, costs: Costs, lasts: Duration, seed: u64) -> Seen {
    let mut world = World::new(fleet, demand, costs, seed);
    let end = nanos(lasts);
    world.at(0, Event::Start);
    world.at(0, Event::Sweep);
    let renewed = nanos(fleet.lease) / 3;
    for worker in 0..fleet.workers {
        // Not all at the same moment.
        let first = renewed * worker as u64 / fleet.workers as u64;
        world.at(first, Event::Renew { worker });
        world.at(0, Event::Received { worker });
    }
    while let Some(Reverse((now, _, event))) = world.events.pop() {
        if now > end {
            break;
        }
        world.happens(now, event);
    }
    let all = end as f64;
    Seen {
        postgres: world.postgres.busy as f64 / (all * fleet.cores as f64),
        redis: world.redis.busy as f64 / all,
        places: world.held as f64 / (all * (fleet.workers * fleet.concurrency) as f64),
        in_vain: world.in_vain as f64 / world.ended.max(1) as f64,
        waited: world.waited,
        ended: (world.ended, world.started),
    }
}

struct World {
    fleet: Fleet,
    demand: Demand,
    costs: Costs,
    random: SeededEntropy,
    /// By time, then in the order in which they came about.
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    came: u64,
    postgres: Server,
    redis: Server,
    queue: VecDeque<usize>,
    executions: Vec<Execution>,
    workers: Vec<Worker>,
    waited: Samples,
    in_vain: u64,
    ended: u64,
    started: u64,
    /// Nanoseconds that places were taken for.
    held: u64,
}

impl World {
    fn new(fleet: Fleet, demand: Demand, costs: Costs, seed: u64) -> Self {
        let worker = Worker {
            in_hand: 0,
            waits: false,
        };
        Self {
            fleet,
            demand,
            costs,
            random: SeededEntropy::new(seed),
            events: BinaryHeap::new(),
            came: 0,
            postgres: Server::new(fleet.cores),
            redis: Server::new(1),
            queue: VecDeque::new(),
            executions: Vec::new(),
            workers: vec![worker; fleet.workers],
            waited: Samples::default(),
            in_vain: 0,
            ended: 0,
            started: 0,
            held: 0,
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.came += 1;
        self.events.push(Reverse((time, self.came, event)));
    }

    /// A number from 0 up to, but not, 1.
    fn chance(&self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// When a write that is asked for now is answered.
    fn write(&mut self, now: u64, cost: Duration) -> u64 {
        let way = nanos(self.costs.network);
        let done = self.postgres.serve(now + way, nanos(cost));
        done + nanos(self.costs.disk) + way
    }

    /// When a call of the queue is answered.
    fn call(&mut self, now: u64) -> u64 {
        let (way, cost) = (nanos(self.costs.network), nanos(self.costs.queue));
        self.redis.serve(now + way, cost) + way
    }

    fn happens(&mut self, now: u64, event: Event) {
        match event {
            Event::Start => {
                let gap = -(1.0 - self.chance()).ln() / self.demand.starts;
                self.at(now + (gap * 1e9) as u64, Event::Start);
                let children = if self.chance() < 0.01 {
                    self.demand.fan_out
                } else {
                    0
                };
                self.begin(now, children);
            }
            Event::Rung { execution } => {
                self.queue.push_back(execution);
                // All are awake already; one is woken for each.
                if self.queue.len() > 1 && !self.fleet.wakes_one {
                    return;
                }
                for worker in 0..self.workers.len() {
                    if std::mem::take(&mut self.workers[worker].waits) {
                        let answered = self.call(now);
                        self.at(answered, Event::Received { worker });
                        if self.fleet.wakes_one {
                            return;
                        }
                    }
                }
            }
            Event::Received { worker } => self.received(now, worker),
            Event::Step { execution } => self.step(now, execution),
            Event::Renew { worker } => {
                let again = nanos(self.fleet.lease) / 3;
                self.at(now + again, Event::Renew { worker });
                if self.workers[worker].in_hand > 0 {
                    self.write(now, self.costs.renewal);
                }
            }
            Event::Sweep => {
                self.write(now, self.costs.sweep);
                self.at(now + 1_000_000_000, Event::Sweep);
            }
        }
    }

    /// An execution is created and rung for.
    fn begin(&mut self, now: u64, children: u32) {
        self.started += 1;
        let execution = self.executions.len();
        self.executions.push(Execution {
            begun: now,
            worker: usize::MAX,
            steps_left: self.demand.steps,
            children,
        });
        let created = self.write(now, self.costs.write);
        let rung = self.call(created);
        self.at(rung, Event::Rung { execution });
    }

    fn received(&mut self, now: u64, worker: usize) {
        let room = self.fleet.concurrency - self.workers[worker].in_hand;
        let mut taken = 0;
        while taken < room
            && let Some(execution) = self.queue.pop_front()
        {
            taken += 1;
            self.executions[execution].worker = worker;
            let leased = self.write(now, self.costs.write);
            let action = nanos(self.demand.action);
            self.at(leased + action, Event::Step { execution });
        }
        self.workers[worker].in_hand += taken;
        if taken == 0 {
            self.in_vain += 1;
        }
        self.look_again(now, worker);
    }

    /// A worker with room asks at once where there is something, and waits otherwise.
    fn look_again(&mut self, now: u64, worker: usize) {
        if self.workers[worker].in_hand == self.fleet.concurrency {
            return;
        }
        if self.queue.is_empty() {
            self.workers[worker].waits = true;
        } else {
            let answered = self.call(now);
            self.at(answered, Event::Received { worker });
        }
    }

    fn step(&mut self, now: u64, execution: usize) {
        let committed = self.write(now, self.costs.write);
        let children = std::mem::take(&mut self.executions[execution].children);
        for _ in 0..children {
            // They come with the step; each is rung for.
            self.begin(committed, 0);
        }
        let it = &mut self.executions[execution];
        it.steps_left -= 1;
        if it.steps_left > 0 {
            let action = nanos(self.demand.action);
            self.at(committed + action, Event::Step { execution });
            return;
        }
        let (worker, begun) = (it.worker, it.begun);
        let acked = self.call(committed);
        let actions = nanos(self.demand.action) * u64::from(self.demand.steps);
        let waited = (committed - begun).saturating_sub(actions);
        self.waited.add(Duration::from_nanos(waited));
        self.held += committed - begun;
        self.ended += 1;
        let was_full = self.workers[worker].in_hand == self.fleet.concurrency;
        self.workers[worker].in_hand -= 1;
        if was_full {
            self.look_again(acked, worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs {
        write: Duration::from_micros(100),
        renewal: Duration::from_micros(100),
        sweep: Duration::from_millis(1),
        queue: Duration::from_micros(10),
        disk: Duration::from_micros(500),
        network: Duration::from_micros(100),
    };

    fn fleet(workers: usize) -> Fleet {
        Fleet {
            workers,
            concurrency: 4,
            cores: 4,
            wakes_one: false,
            lease: Duration::from_secs(10),
        }
    }

    fn demand(starts: f64) -> Demand {
        Demand {
            starts,
            steps: 2,
            action: Duration::from_millis(10),
            fan_out: 0,
        }
    }

    #[test]
    fn what_is_asked_for_is_done_and_costs_what_it_says() {
        let seen = run(fleet(10), demand(100.0), COSTS, Duration::from_secs(20), 1);
        let (ended, started) = seen.ended;
        assert!(ended > 1_900 && started - ended < 20, "{seen:?}");
        // Four writes each, and a sweep a second.
        let busy = seen.postgres * 4.0 * 20.0;
        let expected = ended as f64 * 4.0 * 1e-4 + 21.0 * 1e-3;
        assert!((busy / expected - 1.0).abs() < 0.1, "{busy} {expected}");
        // Nobody waits for less than four commits.
        assert!(seen.waited.percentile(1) > Duration::from_micros(2_800));
    }

    #[test]
    fn more_than_a_server_can_do_piles_up_before_it() {
        let seen = run(
            fleet(100),
            demand(20_000.0),
            COSTS,
            Duration::from_secs(3),
            1,
        );
        assert!(seen.postgres > 0.99, "{}", seen.postgres);
        assert!(seen.ended.0 < seen.ended.1 / 2, "{:?}", seen.ended);
    }

    #[test]
    fn everybody_is_woken_for_one_task_unless_one_is() {
        let all = run(fleet(200), demand(50.0), COSTS, Duration::from_secs(5), 1);
        assert!(all.in_vain > 100.0, "{}", all.in_vain);
        let one = Fleet {
            wakes_one: true,
            ..fleet(200)
        };
        let one = run(one, demand(50.0), COSTS, Duration::from_secs(5), 1);
        assert!(one.in_vain < 2.0, "{}", one.in_vain);
        assert!(one.redis < all.redis / 10.0);
    }

    #[test]
    fn the_same_seed_gives_the_same() {
        let one = || run(fleet(20), demand(300.0), COSTS, Duration::from_secs(2), 7);
        let (first, second) = (one(), one());
        assert_eq!(first.ended, second.ended);
        assert_eq!(first.waited.percentile(50), second.waited.percentile(50));
    }
}
