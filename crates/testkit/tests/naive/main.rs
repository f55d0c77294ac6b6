//! Random workflows on the whole engine come to what the naive interpreter says.
//!
//! `NEBULA_NAIVE_CASES` sets how many are tried, and `NEBULA_NAIVE_SEED` from which seed; both are
//! printed with a failure, beside the smallest definition that fails.

mod shape;

use std::{collections::BTreeMap, sync::Arc};

use nebula_execution::{InstanceStatus, Status};
use nebula_testkit::{
    MemoryExecutionRepo, MemoryWorkflowRepo,
    naive::{Ended, Expected, interpret},
    stage::{History, Stage},
};
use nebula_workflow::{Source, WorkflowDefinition, parse, to_json};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use serde_json::{Value, json};
use shape::{MAX_RATE, Written, shapes};

/// How many workflows are tried by default.
const CASES: u32 = 150;

/// The seed of the first of them.
const SEED: u64 = 1;

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

fn play(text: &str, input: &Value, signals: &BTreeMap<String, Value>) -> History {
    let stores = async |clock: Arc<nebula_testkit::ManualClock>| {
        (
            Arc::new(MemoryExecutionRepo::new(clock.clone())) as Arc<_>,
            Arc::new(MemoryWorkflowRepo::new(clock)) as Arc<_>,
        )
    };
    Stage::set(stores, async |stage| {
        stage
            .play_with(text, input.clone(), async |talk| {
                for (name, payload) in signals {
                    for _ in 0..MAX_RATE {
                        talk.signal(name, payload.clone()).await;
                    }
                }
            })
            .await
    })
}

/// The same value without texts for people, which are nobody's contract.
fn without_messages(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| *key != "message");
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
        Err(code) if history.status == Status::Failed => {
            if history.failure.as_deref() != Some(code) {
                found.push(format!("it fails with {:?}, not {code}", history.failure));
            }
        }
        Err(code) => found.push(format!("it {}, and fails with {code}", history.status)),
    }
    for (instance, lived) in &history.lived {
        let cut = expected.cuts.iter().any(|path| instance.starts_with(path));
        let unreached = cut && lived.status == InstanceStatus::Skipped;
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
        if lived != Some(wanted) {
            found.push(format!("{instance} was {lived:?}, not {wanted:?}"));
        }
    }
    found
}

/// Tries one workflow; says whether the definition leaves nothing open.
fn check(shapes: &[shape::Shape], n: i64) -> Result<bool, TestCaseError> {
    let mut text = Written::default();
    let definition = text.workflow(shapes);
    let signals = text
        .signals
        .iter()
        .map(|name| (name.clone(), json!({ "n": 40 })));
    let signals: BTreeMap<String, Value> = signals.collect();
    let (read, input) = (written(&definition), json!({ "n": n }));
    let text = serde_json::to_string(&to_json(&read)).unwrap();
    let history = play(&text, &input, &signals);
    let Ok(expected) = interpret(&read, &input, &signals) else {
        return Ok(false);
    };
    let differences = differences(&history, &expected);
    prop_assert!(
        differences.is_empty(),
        "{}\ninput {input}, signals {signals:?}, {}\n{text}",
        differences.join("\n"),
        history.shown()
    );
    Ok(true)
}

#[test]
fn random_workflows_come_to_what_the_naive_interpreter_says() {
    let (cases, seed) = (
        setting("NEBULA_NAIVE_CASES", CASES),
        setting("NEBULA_NAIVE_SEED", SEED),
    );
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_time: SHRINK_MILLIS,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let decided = std::cell::Cell::new(0);
    let ran = runner.run(&(shapes(2, 7), -1..3_i64), |(shapes, n)| {
        decided.set(decided.get() + u32::from(check(&shapes, n)?));
        Ok(())
    });
    let again = format!(
        "NEBULA_NAIVE_SEED={seed} NEBULA_NAIVE_CASES={cases} cargo test -p nebula-testkit --test naive"
    );
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("{reason}\n{again}"),
        Err(error) => panic!("{error}\n{again}"),
    }
    let decided = decided.get();
    assert!(
        decided * 2 > cases,
        "of {cases} definitions only {decided} say what comes of them"
    );
}
