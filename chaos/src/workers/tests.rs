//! A test of the test: each lie of the engine, of the store or of the outside is found by the check
//! that is there for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use nebula_action::{ActionError, EffectClass};
use nebula_core::{Digest, ExecutionId, TenantId, Timestamp};
use nebula_execution::{EndReason, Fact, NamedSignal, Status, StoredEntry, Taken};
use nebula_testkit::simulation::checks::{self, Check};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    ledger::Piece,
    store::Became,
    wire::{Answer, Ask, Effect, ask},
    worker,
};

/// One execution of each workflow, which nobody has disturbed.
pub(crate) struct Sound {
    world: World,
    book: Book,
    results: Results,
    pub(crate) all: BTreeMap<ExecutionId, Became>,
    _folder: TempDir,
}

/// The same for all tests, which change copies of it.
pub(crate) fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path().to_owned()).unwrap();
        let (stop, number) = (CancellationToken::new(), flows::FLOWS.len() as u64);
        let stopped = stop.clone().cancelled_owned();
        let (database, socket) = (world.database.clone(), world.socket.clone());
        world.ledger.give_out(number);
        let mut complaints = Told::default();
        thread::scope(|scope| {
            let living = scope.spawn(|| worker::run_until(stopped, database, socket));
            world.ends(number, &mut complaints);
            stop.cancel();
            living.join().unwrap().unwrap();
        });
        assert_eq!(complaints.violations, [""; 0]);
        let all = store::read(&world.database, &mut Audit::default()).unwrap();
        let book = world.ledger.book().clone();
        Sound {
            book,
            results: results(all.clone()),
            all,
            world,
            _folder: folder,
        }
    })
}

fn found(database: &Path, book: &Book, results: &Results) -> Vec<String> {
    let mut told = Told::default();
    if let Err(error) = examine(database, book, results, &mut told) {
        told.wrong(error.to_string());
    }
    told.violations
}

#[track_caller]
fn names(found: &[String], check: Check) {
    let start = format!("[{check}]");
    assert!(
        found.iter().any(|violation| violation.starts_with(&start)),
        "{start}: {found:#?}"
    );
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let sound = sound();
    let found = found(&sound.world.database, &sound.book, &sound.results);
    assert_eq!(found, [""; 0]);
    assert!(sound.book.looked > 50 && sound.book.complaints.is_empty());
}

/// What the outside says is another thing than what it has seen.
#[track_caller]
fn check_book(check: Check, lie: impl FnOnce(&mut Book, &mut Results)) {
    let sound = sound();
    let (mut book, mut results) = (sound.book.clone(), sound.results.clone());
    lie(&mut book, &mut results);
    names(&found(&sound.world.database, &book, &results), check);
}

fn arrival(book: &Book, class: EffectClass) -> Effect {
    let mut arrivals = book.arrivals.iter();
    arrivals.find(|it| it.class == class).unwrap().clone()
}

fn piece(book: &mut Book, class: EffectClass) -> &mut Piece {
    let mut pieces = book.pieces.values_mut();
    pieces.find(|it| it.class == Some(class)).unwrap()
}

#[test]
fn what_was_accepted_and_is_not_there_is_found() {
    let nobody = ExecutionId::from_bytes([9; 16]);
    check_book(checks::NOT_LOST, |book, _| {
        book.accepted.insert(700, nobody);
    });
}

#[test]
fn another_result_or_status_is_found() {
    check_book(checks::SAME_RESULT, |_, results| {
        let (_, (_, output)) = results.iter_mut().next().unwrap();
        *output = Some(json!("another"));
    });
    check_book(checks::SAME_RESULT, |_, results| {
        let (_, (status, _)) = results.iter_mut().next().unwrap();
        *status = Status::TimedOut;
    });
}

#[test]
fn work_under_two_keys_is_found() {
    check_book(checks::KEY_STAYS, |book, _| {
        let piece = piece(book, EffectClass::Idempotent);
        piece.keys.insert("another".to_owned());
    });
}

#[test]
fn keyed_work_that_was_done_twice_or_never_is_found() {
    for times in [0, 2] {
        check_book(checks::APPLIED_ONCE, |book, _| {
            piece(book, EffectClass::Keyed).applied = times;
        });
    }
}

#[test]
fn work_that_was_to_be_done_at_most_once_and_was_done_twice_is_found() {
    check_book(checks::AT_MOST_ONCE, |book, _| {
        piece(book, EffectClass::AtMostOnce).applied = 2;
    });
}

#[test]
fn a_start_that_made_two_executions_is_found() {
    let sound = sound();
    let (mut all, mut audit) = (sound.all.clone(), Audit::default());
    let mut roots = sound.all.values().filter(|became| !became.called);
    let twin = roots.next().unwrap().clone();
    all.insert(ExecutionId::from_bytes([9; 16]), twin);
    let expected = (&sound.results, flows::kind as oracle::Kind);
    oracle::compare(&all, &Book::default(), expected, &mut audit);
    let found = audit.violations().iter().map(ToString::to_string);
    names(&found.collect::<Vec<_>>(), checks::CREATED_ONCE);
}

#[test]
fn an_effect_without_a_start_of_its_own_is_found() {
    let lies: [fn(&mut Effect); 3] = [
        |effect| effect.key = "another".to_owned(),
        |effect| effect.attempt += 70,
        |effect| effect.execution = ExecutionId::from_bytes([9; 16]),
    ];
    for lie in lies {
        check_book(checks::STARTED_FIRST, |book, _| {
            lie(book.arrivals.last_mut().unwrap());
        });
    }
}

#[test]
fn an_effect_with_another_input_than_that_of_its_start_is_found() {
    check_book(checks::INPUTS_FIRST, |book, _| {
        book.arrivals.last_mut().unwrap().input = Digest::of_json(&json!(0));
    });
}

#[test]
fn an_attempt_that_acts_twice_is_found() {
    check_book(checks::ATTEMPTS_ONCE, |book, _| {
        book.arrivals.push(arrival(book, EffectClass::Idempotent));
    });
    check_book(checks::AT_MOST_ONCE, |book, _| {
        book.arrivals.push(arrival(book, EffectClass::AtMostOnce));
    });
}

#[test]
fn what_the_outside_complains_about_is_said() {
    let sound = sound();
    let mut book = sound.book.clone();
    book.complaints.push("it came too early".to_owned());
    let found = found(&sound.world.database, &book, &sound.results);
    assert_eq!(found, ["it came too early"]);
}

#[test]
fn the_outside_looks_for_the_start_of_what_arrives() {
    let sound = sound();
    let before = sound.world.ledger.book().complaints.len();
    let mut effect = arrival(&sound.book, EffectClass::Idempotent);
    effect.attempt += 70;
    let (label, key) = (effect.label.clone(), effect.key.clone());
    ask(&sound.world.socket, &Ask::Effect(effect)).unwrap();
    let said = format!("`{label}` came under {key}, attempt 71, whose start is not");
    let complaints = sound.world.ledger.book().complaints[before..].join("\n");
    assert!(complaints.contains(&said), "{complaints}");
}

#[test]
fn the_outside_minds_an_execution_that_is_created_twice() {
    let sound = sound();
    let (number, other) = (0, ExecutionId::from_bytes([9; 16]));
    let before = sound.book.accepted[&number];
    for (id, complains) in [(before, false), (other, true)] {
        let asked = Ask::Accepted { number, id };
        assert_eq!(ask(&sound.world.socket, &asked).unwrap(), Answer::Nothing);
        let book = sound.world.ledger.book();
        let said = format!("execution {number} was created as {before} and as {other}");
        assert_eq!(book.complaints.contains(&said), complains);
    }
}

/// A copy of the database in which SQL has changed something, and the folder that it is in.
pub(crate) fn copy_after(sql: &str) -> (TempDir, PathBuf) {
    let sound = sound();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("nebula.db");
    fs::copy(&sound.world.database, &database).unwrap();
    let mut log = sound.world.database.clone().into_os_string();
    log.push("-wal");
    if Path::new(&log).exists() {
        fs::copy(&log, folder.path().join("nebula.db-wal")).unwrap();
    }
    let connection = Connection::open(&database).unwrap();
    connection.execute_batch(sql).unwrap();
    assert_ne!(connection.total_changes(), 0);
    drop(connection);
    (folder, database)
}

/// The database says another thing than what was written.
fn found_after(sql: &str) -> Vec<String> {
    let (_folder, database) = copy_after(sql);
    found(&database, &sound().book, &sound().results)
}

/// Makes an index that leads to no row.
pub(crate) const DAMAGE: &str = "CREATE TABLE damaged (a, b); CREATE INDEX lacks ON damaged (a);
    INSERT INTO damaged VALUES (1, 2);
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE INDEX lacks ON damaged (b)' WHERE name = 'lacks';";

/// What the check of the file says of it.
pub(crate) const DAMAGED: &str = "the database is damaged: row 1 missing from index lacks";

#[test]
fn a_damaged_file_is_found() {
    let found = found_after(DAMAGE);
    assert_eq!(found[0], DAMAGED);
}

#[test]
fn a_store_that_loses_or_changes_something_is_found() {
    let last = "DELETE FROM journal WHERE j = (SELECT max(j) FROM journal WHERE execution = 1)";
    names(&found_after(last), checks::ONE_END);
    let status = format!("UPDATE executions SET status = {}", Status::Running as u8);
    names(&found_after(&status), checks::ONE_END);
    let bytes = "UPDATE journal SET entries = CAST(x'00' || entries AS BLOB) WHERE j = 3";
    let found = found_after(bytes);
    assert!(
        found.iter().any(|what| what.contains("damaged")),
        "{found:?}"
    );
}

/// The journal of an execution says what it must not; places are numbered anew after the change.
#[track_caller]
fn check_journal(workflow: &str, check: Check, change: impl FnOnce(&mut Became)) {
    let of = |became: &&Became| became.workflow == workflow && !became.called;
    let mut all = sound().all.iter();
    let (id, became) = all.find(|(_, became)| of(became)).unwrap();
    let mut became = became.clone();
    change(&mut became);
    if check != checks::NO_GAPS {
        for (seq, stored) in (1..).zip(&mut became.entries) {
            stored.seq = seq;
        }
    }
    let mut audit = Audit::default();
    became.audit(*id, &mut audit);
    let found = audit.violations().iter().map(ToString::to_string);
    names(&found.collect::<Vec<_>>(), check);
}

fn at(became: &Became, holds: impl Fn(&Fact) -> bool) -> usize {
    let mut entries = became.entries.iter();
    entries
        .position(|stored| holds(&stored.entry.fact))
        .unwrap()
}

fn starts(fact: &Fact) -> bool {
    matches!(fact, Fact::AttemptStarted { .. })
}

fn succeeds(fact: &Fact) -> bool {
    matches!(fact, Fact::AttemptSucceeded { .. })
}

/// The same fact once more, right behind itself.
fn again(became: &mut Became, holds: fn(&Fact) -> bool) {
    let place = at(became, holds);
    let stored = became.entries[place].clone();
    became.entries.insert(place + 1, stored);
}

#[test]
fn a_journal_without_its_beginning_or_with_gaps_is_found() {
    check_journal("chain", checks::BEGINS, |became| {
        became.entries.remove(0);
    });
    check_journal("chain", checks::BEGINS, |became| became.entries.clear());
    check_journal("chain", checks::NO_GAPS, |became| {
        became.entries.remove(3);
    });
}

#[test]
fn a_plan_that_is_not_there_and_an_execution_that_is_there_twice_are_found() {
    let (id, became) = sound().all.iter().next().unwrap();
    let mut audit = Audit::default();
    let entries = &became.entries;
    audit.journal(&TenantId::local(), *id, entries, became.status);
    names(&[audit.violations()[0].to_string()], checks::PLAN_FIRST);
    let mut audit = Audit::default();
    became.audit(*id, &mut audit);
    assert_eq!(audit.violations(), []);
    became.audit(*id, &mut audit);
    names(&[audit.violations()[0].to_string()], checks::CREATED_ONCE);
}

#[test]
fn a_wrong_end_is_found() {
    check_journal("chain", checks::NOTHING_FOLLOWS, |became| {
        let timer = became.entries[1].clone();
        became.entries.push(timer);
    });
    check_journal("chain", checks::ONE_END, |became| {
        became.status = Status::Failed;
    });
    check_journal("chain", checks::ONE_END, |became| {
        became.entries.pop();
    });
}

#[test]
fn entries_of_one_who_was_overtaken_are_found() {
    check_journal("chain", checks::HOLDER_WRITES, |became| {
        let before = became.entries.len() - 1;
        became.entries[before - 1].epoch += 7;
    });
}

#[test]
fn attempts_that_must_not_be_are_found() {
    check_journal("chain", checks::ATTEMPTS_ONCE, |became| {
        again(became, starts);
    });
    check_journal("chain", checks::ENDS_ONCE, |became| again(became, succeeds));
    check_journal("chain", checks::NO_RESTART, |became| {
        let (start, end) = (at(became, starts), at(became, succeeds));
        let stored = became.entries[start].clone();
        became.entries.insert(end + 1, stored);
    });
    check_journal("chain", checks::WITHIN_POLICY, |became| {
        let start = at(became, starts);
        let stored = became.entries[start].clone();
        became
            .entries
            .insert(start + 1, failed(&stored, Some(stored.entry.at)));
        became.entries.insert(start + 2, stored);
    });
    check_journal("chain", checks::CANCELLED_RESTS, |became| {
        let reason = EndReason::Requested(String::new());
        put(became, 1, Fact::CancellationRequested { reason });
    });
}

/// Puts a fact in, with the time and the writer of the entry that was there.
fn put(became: &mut Became, place: usize, fact: Fact) {
    let mut stored = became.entries[place].clone();
    stored.entry.fact = fact;
    became.entries.insert(place, stored);
}

/// That the attempt which an entry begins has failed.
fn failed(start: &StoredEntry, retry_at: Option<Timestamp>) -> StoredEntry {
    let mut stored = start.clone();
    let Fact::AttemptStarted {
        instance, attempt, ..
    } = &start.entry.fact
    else {
        panic!("{start:?} is no start");
    };
    stored.entry.fact = Fact::AttemptFailed {
        instance: instance.clone(),
        attempt: *attempt,
        error: ActionError::retryable("REFUSED", "not this time"),
        retry_at,
        counts: true,
        taken: Taken::default(),
    };
    stored
}

#[test]
fn keys_that_change_or_are_shared_are_found() {
    let retried = |fact: &Fact| matches!(fact, Fact::AttemptStarted { attempt: 2, .. });
    check_journal("list", checks::KEY_STAYS, |became| {
        let place = at(became, retried);
        if let Fact::AttemptStarted { key, .. } = &mut became.entries[place].entry.fact {
            *key = "another".to_owned();
        }
    });
    check_journal("chain", checks::KEYS_DIFFER, |became| {
        let mut shared = None;
        for stored in &mut became.entries {
            if let Fact::AttemptStarted { key, .. } = &mut stored.entry.fact {
                *key = shared.get_or_insert_with(|| key.clone()).clone();
            }
        }
    });
}

#[test]
fn what_comes_before_its_time_is_found() {
    check_journal("list", checks::BACKOFF, |became| {
        let place = at(became, |fact| {
            matches!(
                fact,
                Fact::AttemptFailed {
                    retry_at: Some(_),
                    ..
                }
            )
        });
        let hour = Duration::from_secs(3_600);
        if let Fact::AttemptFailed { retry_at, .. } = &mut became.entries[place].entry.fact {
            *retry_at = retry_at.map(|due| due.plus(hour));
        }
    });
    check_journal("timed", checks::NOT_EARLY, |became| {
        let place = at(became, |fact| matches!(fact, Fact::TimerFired { .. }));
        became.entries[place].entry.at = Timestamp::default();
    });
}

#[test]
fn an_effect_that_nobody_could_undo_is_found() {
    check_journal("undone", checks::UNDOABLE, |became| {
        let registered = |fact: &Fact| matches!(fact, Fact::CompensationRegistered { .. });
        let place = at(became, registered);
        became.entries.remove(place);
    });
    let undoes = |fact: &Fact| matches!(fact, Fact::CompensationStarted { .. });
    check_journal("undone", checks::ATTEMPTS_ONCE, |became| {
        again(became, undoes);
    });
    let undone = |fact: &Fact| matches!(fact, Fact::CompensationSucceeded { .. });
    check_journal("undone", checks::ENDS_ONCE, |became| again(became, undone));
}

#[test]
fn a_journal_that_no_machine_can_have_written_is_found() {
    check_journal("undone", checks::SAME_STATE, |became| {
        let registered = |fact: &Fact| matches!(fact, Fact::CompensationRegistered { .. });
        let place = at(became, registered);
        became.entries.remove(place);
    });
}

#[test]
fn a_signal_that_comes_twice_is_found() {
    let signal = NamedSignal {
        name: "paid".into(),
        id: "1".to_owned(),
        payload: Arc::new(json!(null)),
        keep: true,
    };
    check_journal("chain", checks::SIGNAL_ONCE, |became| {
        for _ in 0..2 {
            put(became, 1, Fact::SignalReceived(signal.clone()));
        }
    });
}
