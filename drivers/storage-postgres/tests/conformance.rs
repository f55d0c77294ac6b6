//! The rules of [`ExecutionRepo`](nebula_ports::ExecutionRepo), on a database of each test's own.
#![cfg(unix)]

use std::{cell::RefCell, sync::Arc};

use nebula_ports::ExecutionRepo;
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_testkit::{
    ManualClock, MemoryExecutionRepo, run,
    servers::{Database, TestPostgres},
};

static SERVER: TestPostgres = TestPostgres::new();

thread_local! {
    /// The database of this test; each test has a thread, and the database ends with it.
    static DATABASE: RefCell<Option<Database<'static>>> = const { RefCell::new(None) };
}

/// Over PostgreSQL; where there is none, which is said loudly, over the model of the port.
async fn executions(clock: Arc<ManualClock>) -> Arc<dyn ExecutionRepo> {
    let Some(server) = SERVER.get() else {
        return Arc::new(MemoryExecutionRepo::new(clock));
    };
    let database = server.copy_of("conformance", |address| {
        std::thread::scope(|scope| {
            let made = scope.spawn(|| run(Postgres::open(PostgresConfig::at(address))));
            made.join().unwrap().expect("nothing stands in the way");
        });
    });
    let config = PostgresConfig {
        clock: Some(clock),
        ..PostgresConfig::at(database.address())
    };
    DATABASE.set(Some(database));
    let opened = Postgres::open(config).await;
    Arc::new(opened.expect("nothing stands in the way"))
}

nebula_testkit::execution_repo!(executions);
