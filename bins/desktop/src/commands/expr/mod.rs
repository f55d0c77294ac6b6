//! `nebula expr`: one expression, one per line, or a conversation.

mod evaluate;
mod explain;
mod repl;
mod there;

use std::{
    io::{self, BufRead as _, IsTerminal as _, Read as _},
    path::Path,
};

use nebula_expression::{ExpressionError, Mode, Phase, Program};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    arguments::Expr,
    console::Console,
    failure::{Exit, Failure},
    input,
};

pub(crate) use evaluate::drawn;
use evaluate::{Host, compile, evaluate, first};
pub(crate) use there::there;

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
        None if arguments.batch => batch(console),
        None => converse(arguments, console),
    }
}

/// Starts a conversation, which needs somebody who types and sees.
fn converse(arguments: &Expr, console: &Console) -> Result<Exit, Failure> {
    let without = |message: &str| {
        let failure = Failure::invalid("USAGE", message);
        Err(failure.advice("give EXPR, or --batch, or a terminal"))
    };
    if arguments.explain {
        return without("--explain is about an expression, and none is given");
    }
    let streams = [
        ("input", io::stdin().is_terminal()),
        ("output", io::stdout().is_terminal()),
        ("error", io::stderr().is_terminal()),
    ];
    if let Some((name, _)) = streams.iter().find(|(_, terminal)| !terminal) {
        return without(&format!(
            "no expression is given, and standard {name} is no terminal"
        ));
    }
    if arguments.data.as_deref() == Some("-") {
        return without("standard input cannot be both the data and the expressions");
    }
    let data = data_of(arguments)?;
    repl::run(data, mode_of(arguments), console)
}

fn mode_of(arguments: &Expr) -> Mode {
    if arguments.lenient {
        Mode::Lenient
    } else {
        Mode::Strict
    }
}

/// What `--data` names, read as JSON; null without it.
fn data_of(arguments: &Expr) -> Result<Value, Failure> {
    match arguments.data.as_deref() {
        None => Ok(Value::Null),
        Some("-") => {
            let name = "standard input";
            let bytes = input::read_within(io::stdin().lock(), MAX_DATA, name, Path::new("-"))?;
            input::parse_bytes(&bytes, name)
        }
        Some(path) => data_file(path),
    }
}

fn data_file(path: &str) -> Result<Value, Failure> {
    input::parse_bytes(&input::read_file(Path::new(path), MAX_DATA)?, path)
}

fn one(expression: &str, arguments: &Expr, console: &Console) -> Result<Exit, Failure> {
    let mode = mode_of(arguments);
    if arguments.explain {
        return match compile(expression, mode) {
            Ok(program) => explained(&program, console).map(|()| Exit::Completed),
            Err(errors) => failed(expression, errors, console),
        };
    }
    let data = data_of(arguments)?;
    match evaluate(expression, &data, mode, &Host::default()) {
        Ok(value) => {
            match (&value, console.json) {
                (_, true) => console.document(&answer(Ok(value)))?,
                (None, false) => console.line("undefined")?,
                (Some(value), false) => console.line(&format!("{value:#}"))?,
            }
            Ok(Exit::Completed)
        }
        Err(errors) => failed(expression, errors, console),
    }
}

/// Prints what is known of a program before it is evaluated.
fn explained(program: &Program, console: &Console) -> Result<(), Failure> {
    if console.json {
        return console.document(&explain::document(program));
    }
    console.line(explain::text(program, console.out).trim_end())
}

/// Draws what is wrong with an expression, and says how a command with it ends.
fn failed(
    expression: &str,
    errors: Vec<ExpressionError>,
    console: &Console,
) -> Result<Exit, Failure> {
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
}

/// Answers each line with a line, at once; a wrong line gets an error and the next one its turn.
fn batch(console: &Console) -> Result<Exit, Failure> {
    let (host, mut from) = (Host::default(), io::stdin().lock());
    let mut line = Vec::new();
    while let Some(read) = each_line(&mut from, &mut line)? {
        let value = read.and_then(|it| evaluate(&it.expr, &it.data, it.mode, &host).map_err(first));
        console.json_line(&answer(value))?;
    }
    Ok(Exit::Completed)
}

/// The next line of a batch; `None` at the end.
fn each_line(
    from: &mut impl io::BufRead,
    line: &mut Vec<u8>,
) -> Result<Option<Result<Line, ExpressionError>>, Failure> {
    line.clear();
    let read = from.by_ref().take(MAX_DATA + 1).read_until(b'\n', line);
    let unreadable = |error| Failure::file(Path::new("-"), "read", &error);
    if read.map_err(unreadable)? == 0 {
        return Ok(None);
    }
    let complete = line.last() == Some(&b'\n');
    if !complete && line.len() as u64 > MAX_DATA {
        from.skip_until(b'\n').map_err(unreadable)?;
        let message = format!("the line has more than {MAX_DATA} bytes");
        return Ok(Some(Err(wrong_line("LIMIT_LINE", message, 0))));
    }
    let text = line.trim_ascii_end();
    Ok(Some(serde_json::from_slice(text).map_err(|error| {
        let message = format!("the line cannot be read: {error}");
        wrong_line("SYNTAX_LINE", message, text.len())
    })))
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
