//! `nebula expr`: one expression, or one per line.

mod explain;

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
use nebula_workflow::{Diagnostic, Source, SourceMap, render};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    arguments::Expr,
    console::Console,
    failure::{Exit, Failure},
    input,
};

/// What an expression is called where files have a name.
const NAME: &str = "expression";

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
    let mode = if arguments.lenient {
        Mode::Lenient
    } else {
        Mode::Strict
    };
    let failed = |errors: Vec<ExpressionError>| {
        console.error_text(&drawn(expression, &errors, console.err.0));
        let error = first(errors);
        let exit = match error.phase {
            Phase::Syntax | Phase::Resolve => Exit::Invalid,
            _ => Exit::Ended,
        };
        if console.json {
            console.document(&answer(Err(error)))?;
        }
        Ok(exit)
    };
    if arguments.explain {
        return match compile(expression, mode) {
            Ok(program) if console.json => {
                console.document(&explain::document(&program))?;
                Ok(Exit::Completed)
            }
            Ok(program) => {
                console.line(explain::text(&program, console.out).trim_end())?;
                Ok(Exit::Completed)
            }
            Err(errors) => failed(errors),
        };
    }
    let data = match arguments.data.as_deref() {
        None => Value::Null,
        Some("-") => {
            let name = "standard input";
            let bytes = input::read_within(io::stdin().lock(), MAX_DATA, name, Path::new("-"))?;
            input::parse_bytes(&bytes, name)?
        }
        Some(path) => input::parse_bytes(&input::read_file(Path::new(path), MAX_DATA)?, path)?,
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
        Err(errors) => failed(errors),
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
    evaluate(&line.expr, &line.data, line.mode, host).map_err(first)
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
) -> Result<Option<Value>, Vec<ExpressionError>> {
    let program = compile(expression, mode)?;
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
    let evaluated = program.evaluate(&JsonScope(data), &context);
    evaluated.map_err(|error| vec![error])
}

fn compile(expression: &str, mode: Mode) -> Result<Program, Vec<ExpressionError>> {
    let options = CompileOptions {
        mode,
        ..CompileOptions::default()
    };
    Program::compile(expression, &options)
}

fn first(errors: Vec<ExpressionError>) -> ExpressionError {
    let mut errors = errors.into_iter();
    errors.next().expect("what has no value has an error")
}

/// The errors on the lines of the expression that they are about, as those of a definition.
pub(crate) fn drawn(expression: &str, errors: &[ExpressionError], colour: bool) -> String {
    let problem = |error: &ExpressionError| {
        let range = error.start..error.end;
        let problem = Diagnostic::error(error.code, "", error.message.clone()).range(range);
        match &error.hint {
            Some(hint) => problem.hint(hint.clone()),
            None => problem,
        }
    };
    let problems: Vec<Diagnostic> = errors.iter().map(problem).collect();
    let map = SourceMap::of_text(expression);
    render(&problems, &Source::new(NAME, expression), &map, colour)
}
