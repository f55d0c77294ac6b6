//! Behind a pooler that gives each transaction another connection, everything is as before it.
#![cfg(unix)]

mod support;

use nebula_storage_postgres::Postgres;
use nebula_testkit::{
    agree, run,
    servers::{Pooler, TestPostgres},
};
use support::{config, open};

static SERVER: TestPostgres = TestPostgres::new();

#[test]
fn a_database_is_made_and_used_through_a_pooler() {
    let Some(server) = SERVER.get() else { return };
    let Some(pooler) = Pooler::before(server, 2) else {
        return;
    };
    let database = server.database();
    let address = pooler.address(database.name());
    // Several at once, over two connections.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| run(Postgres::open(config(&address))).unwrap());
        }
    });
    agree::execution_repos(1, 1_500, |clock| async move {
        open(&address, Some(clock)).await as _
    });
}
