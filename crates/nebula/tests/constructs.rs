//! Kill and resume at every construct: whatever dies when, the same comes of it, outside included.
//!
//! Each row of the table is an execution whose process dies at every call of its store, before the
//! call and after it; another process goes on. People answer whenever it needs them.

mod table;
mod world;

use std::{
    collections::BTreeMap,
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

use nebula::{Nebula, action::ActionKind};
use nebula_testkit::{Ended, People};
use serde_json::{Value, json};
use table::{Row, rows};
use world::{Death, Saved, dies_at_each, in_world, tenant, with};

/// One life of a row, and how many calls the first process made.
fn live(row: &Row, saved: &Saved, death: Death) -> (Ended, u32) {
    saved.in_world(async |world| {
        for (label, times) in row.failing {
            world.ledger.fail_next(label, *times);
        }
        let answers = json!({ "more": { "items": [2, 3], "last": true } });
        let people = People::new(&world.clock, answers);
        let act = async |nebula: &Nebula| {
            let input = json!({ "n": 1 });
            let id = world.taken_up(nebula, &saved.installed, input).await;
            let talk = async {
                if row.paused {
                    let why = "an audit".to_owned();
                    let _ = nebula.engine().pause(&tenant(), id, why).await.unwrap();
                }
                let report = people.see_off(nebula, id).await;
                // What it began beside itself ends as well.
                let all = Default::default();
                let page = nebula.engine().list(&tenant(), &all, None, 10).await;
                for other in page.unwrap().items {
                    people.see_off(nebula, other.id).await;
                }
                report
            };
            with(nebula, talk).await
        };
        let (report, calls) = world.through(death, act).await;
        let mut ended = Ended::new(&report, &world.ledger);
        // What runs side by side has no order.
        ended.order.clear();
        (ended, calls)
    })
}

/// Checks a row; how many lives it took.
fn check(row: &Row) -> u32 {
    let definitions = row.definitions();
    let definitions: Vec<_> = definitions.iter().map(String::as_str).collect();
    let saved = Saved::new(&definitions);
    let (undisturbed, _) = live(row, &saved, None);
    assert_eq!(undisturbed.gives, row.gives, "{}", row.name);
    for label in row.effects.split(", ").filter(|label| !label.is_empty()) {
        let keys = undisturbed.effects.get(label);
        assert!(keys.is_some(), "{}: `{label}` never happened", row.name);
    }
    assert!(!undisturbed.effects.contains_key("never"), "{}", row.name);
    dies_at_each(1, &undisturbed, |death| live(row, &saved, death))
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many lives there were is worth knowing"
)]
fn whatever_dies_when_the_same_comes_of_every_construct() {
    let (rows, next, lives) = (rows(), AtomicUsize::new(0), AtomicU32::new(0));
    let (wrong, threads) = (Mutex::new(Vec::new()), available_parallelism());
    std::thread::scope(|scope| {
        for _ in 0..threads.map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(|| check(row)) {
                        Ok(of_row) => {
                            println!("{}: {of_row} lives", row.name);
                            lives.fetch_add(of_row, Ordering::Relaxed);
                        }
                        // What is wrong stands above; the other rows are looked at all the same.
                        Err(_) => wrong.lock().unwrap().push(row.name),
                    }
                }
            });
        }
    });
    println!("{} constructs, {} lives", rows.len(), lives.into_inner());
    assert_eq!(wrong.into_inner().unwrap(), Vec::<&str>::new());
}

#[test]
fn every_control_action_has_a_row() {
    let rows = rows();
    in_world(async |world| {
        let nebula = world.process();
        for registered in nebula.registry().iter() {
            let metadata = registered.action.metadata();
            let used = |row: &Row| {
                let mut texts = row.definitions().into_iter();
                texts.any(|text| text.contains(&format!("action: {},", metadata.id)))
            };
            let needs_one = matches!(metadata.kind, ActionKind::Control(_));
            assert!(
                !needs_one || rows.iter().any(used),
                "`{}` has no row in constructs/table.rs: nobody knows what a death makes of it",
                metadata.id
            );
        }
    });
}

#[test]
fn every_form_of_joins_errors_and_rests_has_a_row() {
    let texts: Vec<_> = rows().iter().flat_map(Row::definitions).collect();
    for form in table::FORMS {
        assert!(texts.iter().any(|text| text.contains(form)), "{form}");
    }
}

#[test]
fn names_of_rows_are_unique() {
    let mut names: BTreeMap<&str, Value> = BTreeMap::new();
    for row in rows() {
        let before = names.insert(row.name, Value::Null);
        assert!(before.is_none(), "two rows are called `{}`", row.name);
    }
}
