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
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use nebula::{
    Nebula,
    action::ActionKind,
    core::{Clock, ExecutionId},
    engine::{Report, Until, Waiting},
    execution::{Ballot, Choice, NamedSignal, UnparkDecision},
};
use serde_json::{Value, json};
use table::{Row, rows};
use world::{Death, Saved, World, dies_at_each, in_world, states, tenant, with};

/// How often people look at an execution and answer.
const MAX_ANSWERS: usize = 100;

/// What came of an execution, as far as no death may change it.
#[derive(Debug, PartialEq)]
struct Ended {
    /// Its status, and its output or the code of its failure.
    gives: String,
    /// How its nodes ended, sorted; those of bodies are closed with their runs.
    nodes: Vec<String>,
    /// What it told.
    events: Vec<String>,
    /// Under how many keys each effect arrived outside.
    effects: BTreeMap<String, usize>,
}

/// Answers whatever an execution asks people for; how many answers there were.
async fn answer(nebula: &Nebula, report: &Report) -> usize {
    let (engine, tenant, id) = (nebula.engine(), tenant(), report.execution);
    let mut answers = 0;
    for waiting in &report.waiting {
        let said = match waiting {
            Waiting::Signal { instance, name, .. } => {
                let payload = match name.as_str() {
                    "more" => json!({ "items": [2, 3], "last": true }),
                    name => json!(name),
                };
                let signal = NamedSignal::new(name, instance, Arc::new(payload)).unwrap();
                engine.send(&tenant, id, signal).await
            }
            Waiting::Approval { instance, .. } => {
                let open = engine.approvals(&tenant, id).await.unwrap().unwrap();
                let mut open = open.into_iter();
                let Some(open) = open.find(|it| it.instance.to_string() == *instance) else {
                    continue;
                };
                let ballot = Ballot {
                    instance: open.instance,
                    round: open.approval.round,
                    id: instance.clone(),
                    by: "ada".to_owned(),
                    choice: Choice::Approve,
                    comment: None,
                    seat: None,
                    at: None,
                };
                engine.vote(&tenant, id, ballot).await
            }
            Waiting::Unpause => engine.unpause(&tenant, id).await,
            Waiting::Decision { instance, .. } | Waiting::CompensationDecision { instance, .. } => {
                let decision = UnparkDecision::Succeeded(Arc::new(json!("decided")));
                let instance = Some(instance.parse().unwrap());
                engine.unpark(&tenant, id, instance, decision).await
            }
            _ => continue,
        };
        let _ = said.unwrap();
        answers += 1;
    }
    answers
}

/// Waits until an execution has ended, and answers whatever it asks people for.
async fn ended(world: &World, nebula: &Nebula, id: ExecutionId) -> Report {
    for _ in 0..MAX_ANSWERS {
        let until = Until::EndedOrParked;
        let report = nebula.engine().outcome(&tenant(), id, until, None).await;
        let report = report.unwrap().unwrap();
        if report.status.is_terminal() {
            return report;
        }
        let answers = answer(nebula, &report).await;
        let rest = match report.wake_at {
            Some(due) if answers == 0 => due.since(world.clock.now()),
            None if answers == 0 => panic!("nobody can let it go on: {report:?}"),
            _ => Duration::ZERO,
        };
        // What was said is heard meanwhile.
        world.clock.sleep(rest + Duration::from_millis(200)).await;
    }
    panic!("{id} does not hear what people say")
}

/// One life of a row, and how many calls the first process made.
fn live(row: &Row, saved: &Saved, death: Death) -> (Ended, u32) {
    saved.in_world(async |world| {
        for (label, times) in row.failing {
            world.ledger.fail_next(label, *times);
        }
        let act = async |nebula: &Nebula| {
            let input = json!({ "n": 1 });
            let id = world.taken_up(nebula, &saved.installed, input).await;
            let talk = async {
                if row.paused {
                    let why = "an audit".to_owned();
                    let _ = nebula.engine().pause(&tenant(), id, why).await.unwrap();
                }
                let report = ended(&world, nebula, id).await;
                // What it began beside itself ends as well.
                let all = Default::default();
                let page = nebula.engine().list(&tenant(), &all, None, 10).await;
                for other in page.unwrap().items {
                    ended(&world, nebula, other.id).await;
                }
                report
            };
            with(nebula, talk).await
        };
        let (report, calls) = world.through(death, act).await;
        (what_came(&world, &report), calls)
    })
}

fn what_came(world: &World, report: &Report) -> Ended {
    let end = match &report.error {
        Some(error) => error.code.clone(),
        None => report.output.to_string(),
    };
    let nodes = states(report);
    let mut nodes: Vec<_> = nodes
        .split(' ')
        .filter(|state| !state.contains('/'))
        .map(str::to_owned)
        .collect();
    nodes.sort_unstable();
    let events = report.events.iter();
    let events = events.map(|it| it["event"].as_str().unwrap().to_owned());
    let mut effects = BTreeMap::new();
    for label in world.ledger.labels() {
        let mut keys = world.ledger.keys(&label);
        if let Some(at_most_once) = label.strip_prefix("maybe ") {
            // What must not be repeated may not have happened: a person has said that it did.
            assert_eq!(keys.len(), 1, "`{at_most_once}` twice");
            continue;
        }
        keys.sort_unstable();
        keys.dedup();
        effects.insert(label, keys.len());
    }
    Ended {
        gives: format!("{} {end}", report.status),
        nodes,
        events: events.collect(),
        effects,
    }
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
