//! A worker of a fleet, over PostgreSQL and Redis: `nebula-bench-worker POSTGRESQL REDIS`. It says on standard
//! output, as a line of JSON for each line of its input, what it has asked of the store so far, and stops at the
//! end of its input.

use std::{
    error::Error,
    io::{self, Write as _},
};

use nebula_benches::fleet::{Process, Servers};
use tokio_util::sync::CancellationToken;

// As in the programs.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [postgres, redis] = arguments.as_slice() else {
        return Err("which servers? nebula-bench-worker POSTGRESQL REDIS".into());
    };
    let servers = Servers {
        postgres: postgres.clone(),
        redis: redis.clone(),
    };
    let runtime = nebula_benches::engine::threads()?;
    let ended = runtime.block_on(async {
        let process = Process::open(&servers, true).await?;
        let stop = CancellationToken::new();
        let (store, ends) = (process.store.clone(), stop.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "it waits for its input, which blocks"
        )]
        std::thread::spawn(move || {
            let mut out = io::stdout().lock();
            for line in io::stdin().lines() {
                let told = line.and_then(|_| {
                    let stats = store.stats();
                    let told = serde_json::json!([stats.round_trips, stats.commits]);
                    writeln!(out, "{told}")?;
                    out.flush()
                });
                if told.is_err() {
                    break;
                }
            }
            ends.cancel();
        });
        process.nebula.drive(stop).await?;
        Ok(())
    });
    ended.map_err(|error: nebula_benches::engine::Failed| error.to_string().into())
}
