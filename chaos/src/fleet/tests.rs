//! A test of the test: what a fleet must not leave behind is found, in a real database.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::OnceLock,
};

use nebula_core::ExecutionId;
use nebula_testkit::servers::TestPostgres;
use serde_json::json;

use super::*;
use crate::ledger::Piece;

static POSTGRES: TestPostgres = TestPostgres::lasting();

/// An execution that nobody drives any more, and what it holds.
const LEFT: &str = "
    INSERT INTO executions (n, tenant, id, workflow, version, priority, plan, created_at, updated_at, status, epoch,
        holder, lease_until, next_seq, inbox_head, inbox_through, rung_at, ring_key, grants, empties, slots,
        has_snapshot, has_waits)
    VALUES (1, 'local', gen_random_uuid(), 'w', 1, 1, '', 0, 0, 1, 1,
        gen_random_uuid(), 5, 2, 0, 0, 0, 7, 0, 0, 0, false, false);
    INSERT INTO journal (tenant, execution, first_seq, count, step, epoch, entries)
    VALUES ('local', 1, 3, 1, gen_random_uuid(), 1, '');
    INSERT INTO slots VALUES ('local', 'till', 1, 1, 'one', 1, true, 0);";

#[test]
fn what_is_left_in_the_database_is_counted() {
    let Some(server) = POSTGRES.get() else { return };
    let database = server.database();
    let base = Base::open(database.address()).unwrap();
    let left = base.left().unwrap();
    assert!(left.values().all(|count| *count == 0), "{left:?}");
    database.ask(LEFT);
    let left = base.left().unwrap();
    let found: Vec<_> = left.iter().filter(|(_, count)| **count == 1).collect();
    assert_eq!(found.len(), 4, "{left:?}");
    assert_eq!(base.open_executions(), Some(1));
}

/// What the outside answers to an effect of this execution.
fn asked(outside: &Outside, execution: ExecutionId) -> String {
    let sent = json!({ "execution": execution, "label": "7/a", "value": 1, "fails": 0 });
    let body = sent.to_string();
    let mut stream = TcpStream::connect(outside.host()).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nidempotency-key: key\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_outside_looks_for_the_start_of_what_arrives() {
    static BASE: OnceLock<Arc<Base>> = OnceLock::new();
    let Some(server) = POSTGRES.get() else { return };
    let database = server.database();
    let base = BASE.get_or_init(|| Arc::new(Base::open(database.address()).unwrap()));
    let outside = Outside::listen(Arc::clone(base)).unwrap();
    let answer = asked(&outside, ExecutionId::from_bytes([9; 16]));
    assert!(
        answer.ends_with(&format!("{{\"v\":{}}}", crate::flows::result(1))),
        "{answer}"
    );
    let complaints = outside.book().complaints.join("\n");
    assert!(complaints.contains("`7/a` came under key"), "{complaints}");
}

#[test]
fn what_was_accepted_and_never_written_is_named() {
    let mut book = Book::default();
    let number = (0..20)
        .find(|number| flows::kind(*number).0 == "undone")
        .unwrap();
    book.accepted
        .insert(number, ExecutionId::from_bytes([1; 16]));
    let all: Vec<_> = (0..4).map(|n| format!("{number}/unmade/{n}")).collect();
    assert_eq!(unwritten(&book), all);
    book.pieces.insert(all[2].clone(), Piece::default());
    assert_eq!(unwritten(&book), [&all[0][..], &all[1], &all[3]]);
}

#[test]
fn lines_are_counted_and_broken_ones_complained_about() {
    let Some(server) = POSTGRES.get() else { return };
    let database = server.database();
    let outside = Outside::listen(Arc::new(Base::open(database.address()).unwrap())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(flows::LINES), "1/c 5\n1/c 5\n2/af").unwrap();
    outside.read_lines(folder.path()).unwrap();
    let book = outside.book();
    assert_eq!(book.pieces["1/c"].applied, 2);
    assert_eq!(book.complaints, ["a broken line: `2/af`"]);
}

#[test]
fn every_workflow_is_one() {
    for (id, text) in flows::texts("127.0.0.1:1") {
        let source = nebula::workflow::Source::new(format!("{id}.yaml"), text);
        let parsed = nebula::workflow::parse(&source);
        assert!(
            parsed.definition.is_some(),
            "{id}: {:?}",
            parsed.diagnostics
        );
    }
}
