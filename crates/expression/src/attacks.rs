//! The corpus of attacks: each ends in a named error or an inert value, within the budgets, and
//! each is stopped by the guard that it names.
//!
//! A case is a line of `tests/attacks/*.jsonl`: `{ "category", "guard", "expr", "data"?, "mode"?,
//! "code" | "value" | "null" | "undefined" }`. A long source is written as `"parts": [[text, times], …]`.

use std::{collections::BTreeMap, fs, path::Path, thread};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    CompileOptions, Context, JsonScope, Limits, Mode, Program, Spent,
    guard::{Guard, Removed},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    category: String,
    guard: Guard,
    #[serde(default)]
    expr: String,
    #[serde(default)]
    parts: Vec<(String, usize)>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    mode: Mode,
    /// The first error's code.
    code: Option<String>,
    /// The result.
    value: Option<Value>,
    /// The result is null.
    #[serde(default)]
    null: bool,
    /// There is no result.
    #[serde(default)]
    undefined: bool,
    /// Without its guard it would take all of the stack, so only that it is stopped is shown.
    #[serde(default)]
    too_large_to_let_through: bool,
}

/// What became of an attack.
#[derive(Debug, PartialEq)]
enum End {
    Code(String),
    Value(Value),
    Undefined,
}

impl Attack {
    fn source(&self) -> String {
        let parts = self.parts.iter().map(|(text, times)| text.repeat(*times));
        self.expr.clone() + &parts.collect::<String>()
    }

    fn expected(&self) -> End {
        match (&self.code, &self.value) {
            (Some(code), _) => End::Code(code.clone()),
            (None, Some(value)) => End::Value(value.clone()),
            (None, None) if self.null => End::Value(Value::Null),
            (None, None) => {
                assert!(self.undefined, "{}: what is expected?", self.expr);
                End::Undefined
            }
        }
    }

    fn run(&self) -> (End, Spent) {
        let options = CompileOptions {
            mode: self.mode,
            ..CompileOptions::default()
        };
        let program = match Program::compile(&self.source(), &options) {
            Ok(program) => program,
            Err(errors) => return (End::Code(errors[0].code.to_owned()), Spent::default()),
        };
        let scope = JsonScope(&self.data);
        let (result, spent) = program.evaluate_measured(&scope, &Context::default());
        let end = match result {
            Ok(Some(value)) => End::Value(value),
            Ok(None) => End::Undefined,
            Err(error) => End::Code(error.code.to_owned()),
        };
        (end, spent)
    }

    /// Whether it is stopped as it says, within the budgets.
    fn is_stopped(&self) -> Result<(), String> {
        let (end, spent) = self.run();
        let limits = Limits::default();
        let name = self.expr.chars().take(100).collect::<String>();
        if end != self.expected() {
            return Err(format!(
                "{name}: {end:.200?}, not {:.200?}",
                self.expected()
            ));
        }
        let stopped_by = |code: &str| end == End::Code(code.to_owned());
        if spent.operations > limits.operations_ceiling && !stopped_by("LIMIT_OPERATIONS") {
            return Err(format!("{name}: {spent:?}"));
        }
        if spent.bytes > limits.arena_bytes && !stopped_by("LIMIT_ARENA") {
            return Err(format!("{name}: {spent:?}"));
        }
        // What was refused was not taken. The arena takes blocks of twice the size of the last.
        if spent.allocated > 4 * limits.arena_bytes {
            return Err(format!("{name}: {spent:?}"));
        }
        Ok(())
    }
}

fn attacks() -> Vec<Attack> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| fs::read_to_string(path).unwrap();
    let lines: Vec<String> = files
        .iter()
        .flat_map(|path| read(path).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Runs `work` where the sources that one removed limit lets through have room.
#[expect(
    clippy::disallowed_methods,
    reason = "only a thread of one's own has a stack of a chosen size"
)]
fn with_stack(work: impl FnOnce() + Send + 'static) {
    let builder = thread::Builder::new().stack_size(256 << 20);
    builder.spawn(work).unwrap().join().unwrap();
}

#[test]
fn every_attack_ends_in_a_named_error_or_an_inert_value_within_the_budgets() {
    let wrong: Vec<String> = attacks()
        .iter()
        .filter_map(|attack| attack.is_stopped().err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn without_its_guard_no_attack_is_stopped() {
    with_stack(|| {
        let mut idle = Vec::new();
        for attack in attacks() {
            if attack.too_large_to_let_through {
                continue;
            }
            let _removed = Removed::new(attack.guard);
            if attack.is_stopped().is_ok() {
                let name: String = attack.source().chars().take(100).collect();
                idle.push(format!("{:?}: {name}", attack.guard));
            }
        }
        assert!(idle.is_empty(), "{} idle:\n{}", idle.len(), idle.join("\n"));
    });
}

#[test]
fn the_corpus_is_large_and_every_guard_has_its_attacks() {
    let attacks = attacks();
    let mut guards: BTreeMap<Guard, usize> = BTreeMap::new();
    let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sources = std::collections::BTreeSet::new();
    for attack in &attacks {
        *guards.entry(attack.guard).or_default() += 1;
        *categories.entry(&attack.category).or_default() += 1;
        assert!(
            sources.insert((attack.source(), attack.data.to_string())),
            "{} stands twice",
            attack.expr
        );
    }
    assert!(attacks.len() >= 300, "{}", attacks.len());
    assert_eq!(guards.len(), 33, "{guards:?}");
    assert!(guards.values().all(|count| *count >= 5), "{guards:?}");
    assert!(categories.len() >= 12, "{categories:?}");
}
