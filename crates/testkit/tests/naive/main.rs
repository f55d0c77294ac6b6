//! Random workflows on the whole engine come to what the naive interpreter says.
//!
//! `NEBULA_NAIVE_CASES` sets how many are tried, and `NEBULA_NAIVE_SEED` from which seed; both are
//! printed with a failure, beside the smallest definition that fails.

mod shape;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use nebula::engine::Until;
use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{Ballot, Choice, InstanceStatus, Status};
use nebula_testkit::{
    MemoryExecutionRepo, MemoryWorkflowRepo,
    naive::{Ended, Expected, Outside, Stopped, interpret},
    stage::{Death, History, Stage, Talk},
};
use nebula_workflow::{Source, WorkflowDefinition, parse, to_json};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use serde_json::{Value, json};
use shape::{CALLEES, MAX_RATE, Shape, Written, shapes, timeless};

/// How many workflows are tried by default.
const CASES: u32 = 150;

/// The seed of the first of them.
const SEED: u64 = 1;

/// Fields of values of which the interpreter says nothing.
const UNSAID: [&str; 6] = ["message", "attempt", "at", "by", "comment", "execution"];

/// Times, in milliseconds, that are no further apart may be in any order.
const SAME: u64 = 500;

/// How long those who decide wait before they look again.
const LOOK: Duration = Duration::from_secs(2);

/// How long a failing definition is made smaller.
const SHRINK_MILLIS: u32 = 20_000;

#[expect(clippy::disallowed_methods, reason = "a run on demand says how much")]
fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The definition in YAML, which is JSON here.
fn written(definition: &Value) -> WorkflowDefinition {
    let text = serde_json::to_string_pretty(definition).unwrap();
    let parsed = parse(&Source::new("random.json", text.as_str()));
    parsed
        .definition
        .unwrap_or_else(|| panic!("{:#?}\n{text}", parsed.diagnostics))
}

/// Runs a definition, in a process that may die; gives how many calls it made, too.
fn play(tried: &Tried, death: Option<Death>) -> (History, usize) {
    let stores = async |clock: Arc<nebula_testkit::ManualClock>| {
        (
            Arc::new(MemoryExecutionRepo::new(clock.clone())) as Arc<_>,
            Arc::new(MemoryWorkflowRepo::new(clock)) as Arc<_>,
        )
    };
    Stage::set(stores, async |stage| {
        for callee in tried.outside.workflows.values() {
            let installed = stage.engine().install(&TenantId::local(), callee).await;
            installed.unwrap_or_else(|error| panic!("{error:#?}\n{}", tried.shown()));
        }
        let talk = async |talk: Talk<'_>| {
            for (name, payload) in &tried.outside.signals {
                for _ in 0..MAX_RATE {
                    talk.signal(name, payload.clone()).await;
                }
            }
            if !tried.outside.decisions.is_empty() {
                decide(&stage, talk.id, &tried.outside.decisions).await;
            }
        };
        let input = tried.input.clone();
        stage.play_killed(&tried.text, input, death, talk).await
    })
}

/// Votes whenever somebody is asked, until the execution has ended.
async fn decide(stage: &Stage, id: ExecutionId, decisions: &BTreeMap<String, String>) {
    let (engine, tenant) = (stage.engine(), TenantId::local());
    loop {
        let open = engine.approvals(&tenant, id).await;
        for open in open.expect("the store answers").unwrap_or_default() {
            let decision = &decisions[open.instance.node.as_str()];
            let ballot = Ballot {
                round: open.approval.round,
                id: open.instance.to_string(),
                instance: open.instance,
                by: "ada".to_owned(),
                choice: Choice::of(decision).expect("it is a decision"),
                comment: None,
                seat: None,
                at: None,
            };
            let voted = engine.vote(&tenant, id, ballot).await;
            let _voted = voted.expect("the store answers");
        }
        let until = engine.wait(&tenant, id, Until::Ended, Some(LOOK)).await;
        let status = until.expect("the store answers");
        if status.is_some_and(Status::is_terminal) {
            return;
        }
    }
}

/// The same value without texts for people, which are nobody's contract, and without what is another
/// one each time.
fn without_messages(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            // How often something was tried depends on who died.
            let fields = fields
                .iter()
                .filter(|(key, _)| !UNSAID.contains(&key.as_str()));
            fields
                .map(|(key, value)| (key.clone(), without_messages(value)))
                .collect()
        }
        Value::Array(values) => values.iter().map(without_messages).collect(),
        other => other.clone(),
    }
}

/// How a history differs from what was expected; empty if it does not.
fn differences(history: &History, expected: &Expected) -> Vec<String> {
    let mut found = Vec::new();
    match &expected.output {
        Ok(output) => {
            if history.status != Status::Completed {
                found.push(format!("it {}, and completes", history.status));
            } else if without_messages(&history.output) != without_messages(output) {
                found.push(format!("it gives {}, not {output}", history.output));
            }
        }
        Err(Stopped::Cancelled) => {
            if history.status != Status::Cancelled {
                found.push(format!("it {}, and is cancelled", history.status));
            }
        }
        Err(Stopped::Failed(code)) if history.status == Status::Failed => {
            if history.failure.as_deref() != Some(code) {
                found.push(format!("it fails with {:?}, not {code}", history.failure));
            }
        }
        Err(Stopped::Failed(code)) => {
            found.push(format!("it {}, and fails with {code}", history.status));
        }
    }
    found.extend(undoing(history, expected));
    for (instance, lived) in &history.lived {
        let cut = expected.cuts.iter().any(|path| instance.starts_with(path));
        // In a run that was cut off, tokens may reach a node that never begins: it is skipped by dead
        // ones, or cancelled with the run that it stands in.
        let begins = !matches!(
            lived.status,
            InstanceStatus::Skipped | InstanceStatus::Cancelled
        );
        let unreached = cut && !begins;
        if !unreached && !expected.ended.contains_key(instance) {
            found.push(format!(
                "{instance} was {:?}, and does not run",
                lived.status
            ));
        }
    }
    for (instance, ended) in &expected.ended {
        let wanted = match ended {
            Ended::Succeeded => InstanceStatus::Succeeded,
            Ended::Failed => InstanceStatus::Failed,
            Ended::Skipped => InstanceStatus::Skipped,
            Ended::Cancelled => InstanceStatus::Cancelled,
            Ended::Unsaid => continue,
        };
        let lived = history.lived.get(instance).map(|lived| lived.status);
        // What was undone had succeeded.
        let lived = match lived {
            Some(InstanceStatus::Compensated) => Some(InstanceStatus::Succeeded),
            other => other,
        };
        if lived != Some(wanted) {
            found.push(format!("{instance} was {lived:?}, not {wanted:?}"));
        }
    }
    found
}

/// How what was undone differs from what was to be.
fn undoing(history: &History, expected: &Expected) -> Vec<String> {
    let mut found = Vec::new();
    for instance in expected.undone.keys() {
        if !history.undone.contains(instance) {
            found.push(format!("{instance} was not undone"));
        }
    }
    for instance in &history.undone {
        let unsaid = expected.ended.get(instance) == Some(&Ended::Unsaid);
        if !expected.undone.contains_key(instance) && !unsaid {
            found.push(format!("{instance} was undone"));
        }
    }
    let times = history.undone.iter();
    let times = times.filter_map(|it| Some((it, *expected.undone.get(it)?)));
    for two in times.collect::<Vec<_>>().windows(2) {
        let [(first, newer), (second, older)] = two else {
            continue;
        };
        if *older > newer + SAME {
            found.push(format!(
                "{first} was undone before {second}, which is newer"
            ));
        }
    }
    found
}

/// A workflow, and what it runs on.
struct Tried {
    definition: WorkflowDefinition,
    text: String,
    input: Value,
    outside: Outside,
}

impl Tried {
    fn new(shapes: &[Shape], callees: &[Vec<Shape>], n: i64) -> Self {
        let mut text = Written::default();
        let definition = written(&text.workflow(shapes));
        let signals = text.signals.into_iter();
        let decisions = text.decisions.into_iter();
        let callees = callees.iter().enumerate();
        let callees = callees.map(|(number, shapes)| written(&Written::callee(number, shapes)));
        Self {
            text: serde_json::to_string(&to_json(&definition)).unwrap(),
            definition,
            input: json!({ "n": n }),
            outside: Outside {
                signals: signals.map(|name| (name, json!({ "n": 40 }))).collect(),
                decisions: decisions.map(|(id, it)| (id, it.to_owned())).collect(),
                workflows: callees.map(|it| (it.id.to_string(), it)).collect(),
            },
        }
    }

    /// Everything that was tried.
    fn shown(&self) -> String {
        let callees = self.outside.workflows.values();
        let callees = callees.filter(|it| self.text.contains(it.id.as_str()));
        let callees = callees.map(|it| serde_json::to_string(&to_json(it)).unwrap());
        format!(
            "input {}, signals {:?}, decisions {:?}\n{}\n{}",
            self.input,
            self.outside.signals,
            self.outside.decisions,
            self.text,
            callees.collect::<Vec<_>>().join("\n")
        )
    }

    /// Runs it; says whether the definition leaves nothing open, and how many calls it made.
    fn check(&self, death: Option<Death>) -> Result<(bool, usize), TestCaseError> {
        let (history, calls) = play(self, death);
        let Ok(expected) = interpret(&self.definition, &self.input, &self.outside) else {
            return Ok((false, calls));
        };
        let differences = differences(&history, &expected);
        prop_assert!(
            differences.is_empty(),
            "{}\ndeath {death:?}, {}\n{}",
            differences.join("\n"),
            history.shown(),
            self.shown()
        );
        Ok((true, calls))
    }
}

/// Tries `cases` of what `strategy` makes, from the seed that is set.
fn run<S: Strategy>(
    share: u32,
    strategy: &S,
    mut check: impl FnMut(S::Value) -> Result<bool, TestCaseError>,
) {
    let cases = setting("NEBULA_NAIVE_CASES", CASES) / share;
    let seed = setting("NEBULA_NAIVE_SEED", SEED);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_time: SHRINK_MILLIS,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let decided = Cell::new(0);
    let check = RefCell::new(&mut check);
    let ran = TestRunner::new_with_rng(config, rng).run(strategy, |tried| {
        let counts = (check.borrow_mut())(tried)?;
        decided.set(decided.get() + u32::from(counts));
        Ok(())
    });
    let all = cases * share;
    let again = format!(
        "NEBULA_NAIVE_SEED={seed} NEBULA_NAIVE_CASES={all} cargo test -p nebula-testkit --test naive"
    );
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("{reason}\n{again}"),
        Err(error) => panic!("{error}\n{again}"),
    }
    let decided = decided.get();
    assert!(
        decided * 2 > cases,
        "only {decided} of {cases} said anything"
    );
}

/// The workflows that can be called.
fn callees() -> impl Strategy<Value = Vec<Vec<Shape>>> {
    vec(shapes(1, 4), usize::from(CALLEES))
}

#[test]
fn random_workflows_come_to_what_the_naive_interpreter_says() {
    let tried = (shapes(2, 7), callees(), -1..3_i64);
    run(1, &tried, |(shapes, callees, n)| {
        let (decided, _) = Tried::new(&shapes, &callees, n).check(None)?;
        Ok(decided)
    });
}

#[test]
fn random_workflows_come_to_the_same_whenever_their_process_dies() {
    let deaths = (0..1_000_usize, any::<bool>());
    run(
        3,
        &(shapes(2, 7), callees(), -1..3_i64, deaths),
        |(shapes, callees, n, (at, after))| {
            let callees: Vec<_> = callees.into_iter().map(timeless).collect();
            let tried = Tried::new(&timeless(shapes), &callees, n);
            let (_, calls) = tried.check(None)?;
            let (decided, _) = tried.check(Some((1 + at % calls, after)))?;
            Ok(decided)
        },
    );
}
