//! `nebula expr`: one expression, or one per line.

use std::{
    io::{self, BufRead as _, Read as _},
    path::Path,
    sync::Arc,
};

use nebula_core::{Clock, Entropy as _};
use nebula_expression::{
    CompileOptions, Context, ExpressionError, JsonScope, Limits, Mode, Phase, Program,
};
use nebula_system::{SystemClock, SystemEntropy};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    arguments::Expr,
    console::{Console, Paint},
    failure::{Exit, Failure},
    input,
};

/// The most data that an expression is given, and the longest line of a batch, in bytes.
const MAX_DATA: u64 = 64 << 20;

/// One line of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    expr: String,
    /// Roots without `$`.
    #[serde(default)]
    data: Value,
    #[serde(default)]
    mode: Mode,
}

/// Runs `nebula expr`.
pub(crate) fn run(arguments: &Expr, console: &Console) -> Result<Exit, Failure> {
    match &arguments.expression {
        Some(expression) => one(expression, arguments, console),
        None => batch(console),
    }
}

fn one(expression: &str, arguments: &Expr, console: &Console) -> Result<Exit, Failure> {
    let data = match arguments.data.as_deref() {
        None => Value::Null,
        Some("-") => {
            let name = "standard input";
            let bytes = input::read_within(io::stdin().lock(), MAX_DATA, name, Path::new("-"))?;
            input::parse_bytes(&bytes, name)?
        }
        Some(path) => input::parse_bytes(&input::read_file(Path::new(path), MAX_DATA)?, path)?,
    };
    let mode = if arguments.lenient {
        Mode::Lenient
    } else {
        Mode::Strict
    };
    match evaluate(expression, &data, mode, &Host::default()) {
        Ok(value) => {
            match (&value, console.json) {
                (_, true) => console.document(&answer(Ok(value)))?,
                (None, false) => console.line("undefined")?,
                (Some(value), false) => console.line(&format!("{value:#}"))?,
            }
            Ok(Exit::Completed)
        }
        Err(error) => {
            console.error_text(&drawn(expression, &error, console));
            let exit = match error.phase {
                Phase::Syntax | Phase::Resolve => Exit::Invalid,
                _ => Exit::Ended,
            };
            if console.json {
                console.document(&answer(Err(error)))?;
            }
            Ok(exit)
        }
    }
}

/// Answers each line with a line, at once; a wrong line gets an error and the next one its turn.
fn batch(console: &Console) -> Result<Exit, Failure> {
    let (host, mut from) = (Host::default(), io::stdin().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut from).take(MAX_DATA + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Failure::file(Path::new("-"), "read", &error))?;
        if read == 0 {
            return Ok(Exit::Completed);
        }
        let complete = line.last() == Some(&b'\n');
        if !complete && line.len() as u64 > MAX_DATA {
            let skipped = from.skip_until(b'\n');
            skipped.map_err(|error| Failure::file(Path::new("-"), "read", &error))?;
            let message = format!("the line has more than {MAX_DATA} bytes");
            console.json_line(&answer(Err(wrong_line("LIMIT_LINE", message, 0))))?;
            continue;
        }
        let text = line.trim_ascii_end();
        console.json_line(&answer(line_value(text, &host)))?;
    }
}

fn line_value(text: &[u8], host: &Host) -> Result<Option<Value>, ExpressionError> {
    let line: Line = serde_json::from_slice(text).map_err(|error| {
        let message = format!("the line cannot be read: {error}");
        wrong_line("SYNTAX_LINE", message, text.len())
    })?;
    evaluate(&line.expr, &line.data, line.mode, host)
}

fn wrong_line(code: &'static str, message: String, len: usize) -> ExpressionError {
    ExpressionError {
        code,
        phase: Phase::Syntax,
        message,
        start: 0,
        end: len,
        hint: Some(r#"write { "expr": "…", "data": { "json": … }, "mode": "strict" }"#.to_owned()),
    }
}

/// `{ "ok": value }`, `{ "undefined": true }` or `{ "error": { code, message, start, end, hint } }`.
fn answer(result: Result<Option<Value>, ExpressionError>) -> Value {
    match result {
        Ok(Some(value)) => json!({ "ok": value }),
        Ok(None) => json!({ "undefined": true }),
        Err(error) => json!({ "error": {
            "code": error.code,
            "message": error.message,
            "start": error.start,
            "end": error.end,
            "hint": error.hint,
        } }),
    }
}

/// The host's time and chance: an expression on the command line has no instance to take them from.
#[derive(Debug)]
struct Host {
    clock: Arc<SystemClock>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
        }
    }
}

fn evaluate(
    expression: &str,
    data: &Value,
    mode: Mode,
    host: &Host,
) -> Result<Option<Value>, ExpressionError> {
    let options = CompileOptions {
        mode,
        ..CompileOptions::default()
    };
    let program = Program::compile(expression, &options).map_err(first)?;
    let limits = Limits::default();
    let (clock, end) = (
        Arc::clone(&host.clock),
        host.clock.monotonic() + limits.wall,
    );
    let context = Context {
        now_ms: host.clock.now().as_millis(),
        seed: SystemEntropy.next_u64(),
        limits,
        backstop: Some(Arc::new(move || clock.monotonic() >= end)),
        ..Context::default()
    };
    program.evaluate(&JsonScope(data), &context)
}

fn first(errors: Vec<ExpressionError>) -> ExpressionError {
    let mut errors = errors.into_iter();
    errors
        .next()
        .expect("a program that does not compile has an error")
}

/// The error under the line of the expression that it is about.
fn drawn(expression: &str, error: &ExpressionError, console: &Console) -> String {
    let head = console
        .err
        .paint(Paint::Red, format!("error[{}]", error.code));
    let mut text = format!("{head}: {}\n", error.message);
    let start = floor(expression, error.start);
    let from = expression[..start].rfind('\n').map_or(0, |at| at + 1);
    let to = expression[start..]
        .find('\n')
        .map_or(expression.len(), |at| start + at);
    let end = floor(expression, error.end).clamp(start, to);
    let before = expression[from..start].chars().count();
    let marks = expression[start..end].chars().count().max(1);
    let shown = expression[from..to].replace(char::is_control, " ");
    let marks = console.err.paint(Paint::Red, "^".repeat(marks));
    text.push_str(&format!("  {shown}\n  {}{marks}\n", " ".repeat(before)));
    if let Some(hint) = &error.hint {
        let label = console.err.paint(Paint::Cyan, "what to do:");
        text.push_str(&format!("  {label} {hint}\n"));
    }
    text
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
