//! Node.js as the judge: one process, one line per expression, one line per answer.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use nebula_expression::{CompileOptions, Context, JsonScope, Program};
use serde_json::{Value, json};

/// What a side made of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The value, in the notation of [`Program::inspect`], and behind it what leaves the language.
    /// The notation keeps lone surrogates, so texts that are equal are so after `toWellFormed()`.
    Value(String),
    /// The code of our error, or the name of theirs.
    Error(String),
}

impl Answer {
    /// Whether both sides say the same: any error stands for any other.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Answer::Value(a), Answer::Value(b)) => a == b,
            (Answer::Error(_), Answer::Error(_)) => true,
            _ => false,
        }
    }
}

/// What we make of it: the first error of the compilation, or of the evaluation.
pub(crate) fn ours(source: &str, document: &Value) -> Answer {
    ours_in("UTC", source, document)
}

/// The same, in a workflow of that zone.
pub(crate) fn ours_in(zone: &str, source: &str, document: &Value) -> Answer {
    let program = match Program::compile(source, &CompileOptions::default()) {
        Ok(program) => program,
        Err(errors) => return Answer::Error(errors[0].code.to_owned()),
    };
    let data = json!({ "json": document });
    let scope = JsonScope(&data);
    let context = Context {
        timezone: zone.into(),
        ..Context::default()
    };
    let answer = program.inspect(&scope, &context).and_then(|notation| {
        match program.evaluate(&scope, &context) {
            Ok(result) => Ok(Answer::Value(both(&notation, result.as_ref()))),
            Err(error) if error.code == "TYPE_RESULT" => Ok(refused(&notation)),
            Err(error) => Err(error),
        }
    });
    answer.unwrap_or_else(|error| Answer::Error(error.code.to_owned()))
}

/// The notation, and the result with its numbers written alike: 1 and 1.0 are one number. Its keys
/// are sorted: an object of the data leaves as it is, and the notation shows their order.
fn both(notation: &str, result: Option<&Value>) -> String {
    format!("{notation} → {}", result.map_or_else(String::new, alike))
}

/// A value of the language that is no result.
fn refused(notation: &str) -> Answer {
    Answer::Value(format!("{notation} → refused"))
}

fn alike(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(",");
    match value {
        Value::Number(number) => format!("{:?}", number.as_f64().unwrap_or(f64::NAN) + 0.0),
        Value::Array(items) => format!("[{}]", list(items.iter().map(alike).collect())),
        Value::Object(map) => {
            let entry = |(key, item)| format!("{}:{}", json!(key), alike(item));
            let mut entries: Vec<String> = map.iter().map(entry).collect();
            entries.sort();
            format!("{{{}}}", list(entries))
        }
        other => other.to_string(),
    }
}

/// A running Node.js; it ends when this is dropped.
pub(crate) struct Node {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Node {
    /// Starts it; `None`, said loudly, where there is none and none is required.
    pub(crate) fn start(document: &Value) -> Option<Self> {
        Self::start_in("UTC", document)
    }

    /// The same, with that zone as the local one.
    pub(crate) fn start_in(zone: &str, document: &Value) -> Option<Self> {
        let started = Command::new("node")
            .args(["-e", include_str!("oracle.js")])
            .env("TZ", zone)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                skip(&error);
                return None;
            }
        };
        let mut to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        writeln!(to, "{document}").unwrap();
        let to = Some(to);
        Some(Self { child, to, from })
    }

    pub(crate) fn judge(&mut self, source: &str) -> Answer {
        let to = self.to.as_mut().unwrap();
        writeln!(to, "{}", json!(source)).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("node ended at {source}: {error}"));
        match (&answer["ok"], &answer["throws"]) {
            (Value::String(value), _) if answer["refused"] == true => refused(value),
            (Value::String(value), _) => Answer::Value(both(value, answer.get("border"))),
            (_, Value::String(name)) => Answer::Error(name.clone()),
            _ => panic!("{source}: {answer}"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It ends by itself at the end of its input.
        self.to = None;
        let _ = self.child.wait();
    }
}

fn skip(error: &std::io::Error) {
    #[expect(clippy::disallowed_methods, reason = "tests read what CI demands")]
    let required = std::env::var("NEBULA_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
    assert!(!required, "node is required but cannot be started: {error}");
    #[expect(clippy::print_stderr, reason = "a skip must be seen")]
    {
        eprintln!("SKIPPED: node cannot be started ({error}); nothing was compared");
    }
}
