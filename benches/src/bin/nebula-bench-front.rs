//! Serves the workflows that are measured over HTTP, until its standard input ends.
//! `nebula-bench-front FOLDER` keeps its database in that folder.

use std::{error::Error, io::Read, path::PathBuf};

use tokio::sync::oneshot;

// As in the program `nebula`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("which folder?")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    #[expect(
        clippy::disallowed_methods,
        reason = "it waits for the end of its input, which blocks"
    )]
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = stop.send(());
    });
    let served = runtime.block_on(nebula_benches::front::serve(&folder, async {
        let _ = stopped.await;
    }));
    served.map_err(|error| error.to_string().into())
}
