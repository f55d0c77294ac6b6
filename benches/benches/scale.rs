//! What a fleet of a thousand workers asks of one PostgreSQL and one Redis, on paper: `nebula_benches::scale`
//! with what calls cost. The page `docs/scale.md` reads its figures.
//!
//! `cargo bench -p nebula-benches --bench scale`; without `--bench` a short run.

use std::{
    error::Error,
    io::{self, Write as _},
    time::Duration,
};

use nebula_benches::{
    Table,
    asked::Asked,
    scale::{Costs, Demand, Fleet, run},
};

/// A write was measured with `--bench fleet` (W5 with 64 clients: 1.26 ms of the server for 11 of them); the others
/// are assumed, and docs/scale.md says so.
const COSTS: Costs = Costs {
    write: Duration::from_micros(115),
    renewal: Duration::from_micros(300),
    sweep: Duration::from_millis(5),
    queue: Duration::from_micros(20),
    disk: Duration::from_micros(500),
    network: Duration::from_micros(150),
};

const FLEET: Fleet = Fleet {
    workers: 1_000,
    concurrency: 64,
    cores: 32,
    wakes_one: false,
    lease: Duration::from_secs(10),
};

/// A chain of pure nodes: one step, no time outside.
const SHORT: Demand = Demand {
    starts: 100.0,
    steps: 1,
    action: Duration::ZERO,
    fan_out: 0,
};

/// Ten actions that act outside, half a second each: a commit before each of them, and the end.
const LONG: Demand = Demand {
    starts: 100.0,
    steps: 11,
    action: Duration::from_millis(500),
    fan_out: 0,
};

fn main() -> Result<(), Box<dyn Error>> {
    let lasts = match Asked::read().whole {
        true => Duration::from_secs(20),
        false => Duration::from_millis(200),
    };
    let mut table = Table::new([
        "demand",
        "starts/s",
        "PostgreSQL",
        "Redis",
        "places",
        "receives in vain",
        "waited p50",
        "p99",
        "ended of started",
    ]);
    let one = Fleet {
        wakes_one: true,
        ..FLEET
    };
    let fan = Demand {
        fan_out: 1_000,
        ..SHORT
    };
    for (name, fleet, demand) in [
        ("short, all woken", FLEET, SHORT),
        ("short, one woken", one, SHORT),
        ("long, all woken", FLEET, LONG),
        ("long, one woken", one, LONG),
        ("fan-out of 1,000, all woken", FLEET, fan),
        ("fan-out of 1,000, one woken", one, fan),
    ] {
        for starts in [100.0, 1_000.0, 5_000.0, 20_000.0] {
            let demand = Demand { starts, ..demand };
            let seen = run(fleet, demand, COSTS, lasts, 1);
            let percent = |part: f64| format!("{:.1} %", part * 100.0);
            let (ended, started) = seen.ended;
            table.row([
                name,
                &format!("{starts:.0}"),
                &percent(seen.postgres.min(1.0)),
                &percent(seen.redis.min(1.0)),
                &percent(seen.places),
                &format!("{:.1}", seen.in_vain),
                &format!("{:.1?}", seen.waited.percentile(50)),
                &format!("{:.1?}", seen.waited.percentile(99)),
                &percent(ended as f64 / started.max(1) as f64),
            ]);
        }
    }
    writeln!(io::stdout().lock(), "{table}")?;
    Ok(())
}
