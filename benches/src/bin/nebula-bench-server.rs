//! Serves the API over a database in a folder, until its standard input ends.
//! `nebula-bench-server FOLDER` says on standard output where it listens, and what opens it.

use std::{error::Error, io::Read, path::PathBuf};

use tokio_util::sync::CancellationToken;

// As in the program `nebula`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("which folder?")?;
    let runtime = nebula_benches::engine::threads()?;
    let stop = CancellationToken::new();
    let ended = stop.clone();
    #[expect(
        clippy::disallowed_methods,
        reason = "it waits for the end of its input, which blocks"
    )]
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.cancel();
    });
    let served = runtime.block_on(nebula_benches::server::serve(&folder, stop));
    served.map_err(|error| error.to_string().into())
}
