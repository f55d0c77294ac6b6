//! Opening a database: who may, what is refused, and what several processes do at once.
#![cfg(unix)]

use nebula_ports::ErrorKind;
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_testkit::{
    run,
    servers::{Postgres as Postgresql, TestPostgres},
};

static SERVER: TestPostgres = TestPostgres::new();

/// For a server of tests, which does not wait for the disk.
fn config(address: &str) -> PostgresConfig {
    PostgresConfig {
        may_forget: true,
        ..PostgresConfig::at(address)
    }
}

#[test]
fn a_database_is_made_once_by_all_who_open_it_together() {
    let Some(server) = SERVER.get() else { return };
    let database = server.database();
    let address = database.address();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let open = || run(Postgres::open(config(&address)));
        let all: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    for opened in opened {
        opened.unwrap();
    }
}

#[test]
fn a_newer_schema_is_refused_unless_it_says_otherwise() {
    let Some(server) = SERVER.get() else { return };
    let database = server.database();
    let open = || run(Postgres::open(config(&database.address())));
    open().unwrap();
    database.ask("INSERT INTO schema_version (version, opens_from) VALUES (999, 998)");
    let refused = open().unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Format, "{refused}");
    assert!(refused.message.contains("schema 999"), "{refused}");
    database.ask("UPDATE schema_version SET opens_from = 1 WHERE version = 999");
    open().unwrap();
}

#[test]
fn what_cannot_be_used_says_why() {
    let Some(server) = SERVER.get() else { return };
    let open = |address: &str| run(Postgres::open(config(address))).unwrap_err();

    let nobody = open("postgres://me@127.0.0.1:1/things");
    assert_eq!(nobody.kind, ErrorKind::Unavailable, "{nobody}");
    assert!(nobody.message.contains("127.0.0.1:1"), "{nobody}");

    let missing = open(&server.address("missing"));
    assert!(missing.message.contains("does not exist"), "{missing}");

    let wrong = open("mysql://me@host/things");
    assert_eq!(wrong.kind, ErrorKind::Invalid, "{wrong}");

    server.ask("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let latin = open(&server.address("latin"));
    assert_eq!(latin.kind, ErrorKind::Unsupported, "{latin}");
    assert!(latin.message.contains("LATIN1"), "{latin}");

    server.ask("CREATE DATABASE closed");
    server.ask("ALTER DATABASE closed SET default_transaction_read_only = on");
    let closed = open(&server.address("closed"));
    assert_eq!(closed.kind, ErrorKind::ReadOnly, "{closed}");
}

#[test]
fn a_server_that_would_forget_what_it_has_confirmed_is_refused() {
    let Some(server) = SERVER.get() else { return };
    let open = |address: &str| run(Postgres::open(PostgresConfig::at(address)));
    let no_sync = open(&server.database().address()).unwrap_err();
    assert_eq!(no_sync.kind, ErrorKind::Unsupported, "{no_sync}");
    assert!(no_sync.message.contains("`fsync` is off"), "{no_sync}");

    let Some(lasting) = Postgresql::start(&[]) else {
        return;
    };
    let database = lasting.database();
    open(&database.address()).unwrap();
    let name = database.name();
    lasting.ask(&format!(
        "ALTER DATABASE \"{name}\" SET synchronous_commit = off"
    ));
    let early = open(&database.address()).unwrap_err();
    assert_eq!(early.kind, ErrorKind::Unsupported, "{early}");
    assert!(
        early.message.contains("`synchronous_commit` is off"),
        "{early}"
    );
}
