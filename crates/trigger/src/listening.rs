//! Triggers that listen to what executions announce, as a definition has them.

use nebula_core::WorkflowId;
use serde_json::{Map, Value};

use crate::{FieldError, Intake, intake::INTAKE, reader::Reader};

/// The longest name of an event, in bytes.
pub const MAX_EVENT: usize = 64;

/// What may be said of executions: how they end, and that they need somebody.
const TURNS: [&str; 6] = [
    "completed",
    "failed",
    "cancelled",
    "timed_out",
    "parked",
    "approval",
];

/// To what a trigger listens, and what it takes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// To what.
    pub to: Heard,
    /// Only from executions of these workflows; empty is from all.
    pub workflows: Vec<WorkflowId>,
    /// What it takes of that.
    pub intake: Intake,
}

/// What a trigger listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// That executions end so, or need somebody: names of terminal statuses, `parked` and `approval`; at
    /// least one.
    Turns(Vec<&'static str>),
    /// Events of this name.
    Event(String),
}

impl Listening {
    /// Reads the fields of a trigger of the type `workflow` or `event`; `None` for another type.
    ///
    /// | field | |
    /// |---|---|
    /// | `on` | of `workflow`, and needed: one or more of `completed`, `failed`, `cancelled`, `timed_out`, `parked`, `approval` |
    /// | `event` | of `event`, and needed: the name that `flow.emit` says |
    /// | `workflows` | ids: only from their executions |
    /// | `filter`, `key` | expressions over `$trigger` |
    /// | `debounce` | a span, or `{ quiet, at_most }` |
    /// | `batch` | `{ size, wait }` |
    ///
    /// # Errors
    /// Inside, every [`FieldError`].
    #[must_use]
    pub fn read(kind: &str, fields: &Map<String, Value>) -> Option<Result<Self, Vec<FieldError>>> {
        let own = match kind {
            "workflow" => "on",
            "event" => "event",
            _ => return None,
        };
        let mut reader = Reader::new(fields);
        reader.refuse_others(INTAKE.into_iter().chain([own, "workflows"]));
        let to = match kind {
            "workflow" => Heard::Turns(reader.turns()),
            _ => Heard::Event(reader.event()),
        };
        let listening = Self {
            to,
            workflows: reader.workflows(),
            intake: Intake::read(&mut reader),
        };
        let errors = reader.errors();
        Some(match errors.is_empty() {
            true => Ok(listening),
            false => Err(errors),
        })
    }
}

impl Reader<'_> {
    fn turns(&mut self) -> Vec<&'static str> {
        let written = match self.get("on") {
            None => {
                self.wrong("on", "it is missing; write it like `on: failed`");
                return Vec::new();
            }
            Some(Value::String(one)) => vec![one.as_str()],
            Some(_) => self.list("on"),
        };
        let mut found = Vec::new();
        for text in written {
            match TURNS.iter().find(|it| **it == text) {
                Some(turn) if !found.contains(turn) => found.push(*turn),
                Some(_) => {}
                None => {
                    let text: String = text.chars().take(40).collect();
                    let known = TURNS.join(", ");
                    self.wrong("on", format!("`{text}` is none of {known}"));
                }
            }
        }
        found
    }

    fn event(&mut self) -> String {
        let Some(name) = self.needed("event", "event: order.paid") else {
            return String::new();
        };
        let first = |it: char| it.is_ascii_alphabetic() || it == '_';
        let rest = |it: char| first(it) || it.is_ascii_digit() || it == '-' || it == '.';
        if name.len() > MAX_EVENT || !name.starts_with(first) || !name.chars().all(rest) {
            let name: String = name.chars().take(MAX_EVENT).collect();
            let message = format!(
                "`{name}` is no name of an event: it has 1 to {MAX_EVENT} letters, digits, `_`, `-` and `.`, the first a letter or `_`"
            );
            self.wrong("event", message);
        }
        name.to_owned()
    }

    fn workflows(&mut self) -> Vec<WorkflowId> {
        let mut found = Vec::new();
        for text in self.list("workflows") {
            match WorkflowId::new(text) {
                Ok(id) => found.push(id),
                Err(error) => self.wrong("workflows", error.to_string()),
            }
        }
        found
    }
}
