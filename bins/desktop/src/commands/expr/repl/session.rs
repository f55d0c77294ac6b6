//! One conversation: what each line does.

use std::{ops::ControlFlow, sync::Arc};

use nebula_expression::{Context, JsonScope, Mode, Outline};
use serde_json::Value;

use super::{
    command::{self, Input},
    editor::Data,
    shown,
};
use crate::{
    commands::expr::{self, Host, answer, compile, data_file, explain},
    console::{Console, Paint},
    failure::Failure,
};

/// What lines are answered from.
pub(super) struct Session<'c> {
    data: Data,
    mode: Mode,
    host: Host,
    console: &'c Console,
}

impl<'c> Session<'c> {
    pub(super) fn new(data: Data, mode: Mode, console: &'c Console) -> Self {
        Self {
            data,
            mode,
            host: Host::default(),
            console,
        }
    }

    pub(super) fn is_lenient(&self) -> bool {
        self.mode == Mode::Lenient
    }

    /// Answers a line; breaks if it asks to leave.
    ///
    /// # Errors
    /// The answer cannot be written; what is wrong with the line is an answer.
    pub(super) fn answer(&mut self, line: &str) -> Result<ControlFlow<()>, Failure> {
        match command::parse(line) {
            Input::Nothing => {}
            Input::Expression(expression) => self.value(expression)?,
            Input::Explain(expression) => match compile(expression, self.mode) {
                Ok(program) => expr::explained(&program, self.console)?,
                Err(errors) => {
                    expr::failed(expression, errors, self.console)?;
                }
            },
            Input::Type(expression) => self.kind(expression)?,
            Input::Data(None) => self.console.line(&self.summary())?,
            Input::Data(Some(file)) => match data_file(file) {
                Ok(data) => {
                    self.data.set(data);
                    self.console.note(&self.summary());
                }
                Err(failure) => self.console.failure(&failure),
            },
            Input::Mode(None) => self.console.line(explain::mode(self.mode))?,
            Input::Mode(Some("strict")) => self.mode = Mode::Strict,
            Input::Mode(Some("lenient")) => self.mode = Mode::Lenient,
            Input::Mode(Some(_)) => {
                let failure = Failure::invalid("USAGE", "there is no such mode");
                let advice = "write `:mode strict` or `:mode lenient`";
                self.console.failure(&failure.advice(advice));
            }
            Input::Help => self.console.line(command::HELP)?,
            Input::Quit => return Ok(ControlFlow::Break(())),
            Input::Wrong { message, advice } => {
                let failure = Failure::invalid("USAGE", message).advice(advice);
                self.console.failure(&failure);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What the data has.
    pub(super) fn summary(&self) -> String {
        let data = self.data.get();
        shown::summary(&data, |source| {
            let program = compile(source, self.mode).ok()?;
            program.outline(&JsonScope(&data), &Context::default()).ok()
        })
    }

    fn value(&self, expression: &str) -> Result<(), Failure> {
        let program = match compile(expression, self.mode) {
            Ok(program) => program,
            Err(errors) => return expr::failed(expression, errors, self.console).map(drop),
        };
        let data: Arc<Value> = self.data.get();
        let evaluated = program.evaluate_outlined(&JsonScope(&data), &self.host.context());
        let (outline, result) = match evaluated {
            Ok((outline, result)) => (Some(outline), result),
            Err(error) => (None, Err(error)),
        };
        match result {
            Ok(value) if self.console.json => self.console.document(&answer(Ok(value))),
            Ok(value) => self.show(value.as_ref(), outline.as_ref()),
            Err(error) => {
                expr::failed(expression, vec![error], self.console)?;
                // A set is no result, but the person wants to know that it is one.
                match outline {
                    Some(outline) if !self.console.json => self.remark(&shown::kind(&outline)),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The value, and below it its type.
    fn show(&self, value: Option<&Value>, outline: Option<&Outline>) -> Result<(), Failure> {
        let Some(value) = value else {
            return self.console.line("undefined");
        };
        let (text, cut) = shown::value(value);
        self.console.line(&text)?;
        if let Some(cut) = cut {
            self.remark(&cut)?;
        }
        match outline {
            Some(outline) if outline.kind == "null" => Ok(()),
            Some(outline) if outline.kind == "number" && value.is_null() => {
                self.remark("number that is not finite, so null as a result")
            }
            Some(outline) => self.remark(&shown::kind(outline)),
            None => Ok(()),
        }
    }

    fn kind(&self, expression: &str) -> Result<(), Failure> {
        let program = match compile(expression, self.mode) {
            Ok(program) => program,
            Err(errors) => return expr::failed(expression, errors, self.console).map(drop),
        };
        let data = self.data.get();
        match program.outline(&JsonScope(&data), &self.host.context()) {
            Ok(outline) => self.console.line(&shown::members(&outline)),
            Err(error) => expr::failed(expression, vec![error], self.console).map(drop),
        }
    }

    /// A word about a value, written so that it cannot be taken for one.
    fn remark(&self, text: &str) -> Result<(), Failure> {
        let text = self.console.out.paint(Paint::Dim, format!("// {text}"));
        self.console.line(&text)
    }
}
