//! Reading fields, and saying what is wrong with them.

use nebula_workflow::{Diagnostic, nearest, pointer_join};
use serde_json::{Map, Value};

use crate::codes;

/// The fields of one object of a runbook.
pub(crate) struct Fields<'v> {
    map: &'v Map<String, Value>,
    /// JSON pointer of the object.
    pub(crate) pointer: String,
    /// What it is, for messages: `a step`.
    what: &'static str,
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Diagnostic>);

impl Problems {
    pub(crate) fn push(&mut self, problem: Diagnostic) {
        self.0.push(problem);
    }

    pub(crate) fn error(&mut self, code: &'static str, pointer: &str, message: String, hint: &str) {
        self.push(Diagnostic::error(code, pointer, message).hint(hint));
    }
}

impl<'v> Fields<'v> {
    /// The fields of an object, of which only those in `known` may be there.
    pub(crate) fn of(
        map: &'v Map<String, Value>,
        pointer: String,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Self {
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let message = format!("{what} has no field `{}`", shown(name));
            let at = pointer_join(&pointer, name);
            let problem = Diagnostic::error(codes::UNKNOWN_FIELD, at, message).at_key();
            let near = nearest(name, known.iter().copied());
            problems.push(match near {
                Some(_) => problem.did_you_mean(near),
                None => problem.hint(format!("its fields are {}", listed(known))),
            });
        }
        Self { map, pointer, what }
    }

    /// The same for a value that must be an object.
    pub(crate) fn object(
        value: &'v Value,
        pointer: String,
        (what, known): (&'static str, &[&str]),
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Value::Object(map) = value {
            return Some(Self::of(map, pointer, what, known, problems));
        }
        let message = format!("{what} is an object, this is {}", described(value));
        let hint = format!("write its fields: {}", listed(known));
        problems.error(codes::TYPE, &pointer, message, &hint);
        None
    }

    /// A field that is there and not null, with its pointer.
    pub(crate) fn get(&self, name: &str) -> Option<(&'v Value, String)> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some((value, pointer_join(&self.pointer, name)))
    }

    /// The same, where it must be there; `example` is the line to write.
    pub(crate) fn needed(
        &self,
        name: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<(&'v Value, String)> {
        let found = self.get(name);
        if found.is_none() {
            let message = format!("{} needs `{name}`", self.what);
            let hint = format!("write {example}");
            problems.error(codes::MISSING_FIELD, &self.pointer, message, &hint);
        }
        found
    }

    /// A text that must be there and is not empty.
    pub(crate) fn text(
        &self,
        name: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<(&'v str, String)> {
        let (value, pointer) = self.needed(name, example, problems)?;
        let text = text(value, &pointer, problems)?;
        Some((text, pointer))
    }
}

/// A value that must be a text which is not empty.
pub(crate) fn text<'v>(
    value: &'v Value,
    pointer: &str,
    problems: &mut Problems,
) -> Option<&'v str> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        Value::String(_) => {
            let message = "this text is empty".to_owned();
            problems.error(
                codes::VALUE,
                pointer,
                message,
                "write what is meant, or leave it out",
            );
            None
        }
        _ => {
            wrong_type("a text", value, pointer, problems);
            None
        }
    }
}

/// One of some words.
pub(crate) fn choice(
    value: &Value,
    pointer: &str,
    words: &[&'static str],
    problems: &mut Problems,
) -> Option<&'static str> {
    let text = text(value, pointer, problems)?;
    let found = words.iter().find(|word| **word == text).copied();
    if found.is_none() {
        let message = format!("`{}` is not one of {}", shown(text), listed(words));
        let problem = Diagnostic::error(codes::VALUE, pointer, message);
        let near = nearest(text, words.iter().copied());
        problems.push(match near {
            Some(_) => problem.did_you_mean(near),
            None => problem.hint(format!("write one of {}", listed(words))),
        });
    }
    found
}

/// Says that a value is of another type.
pub(crate) fn wrong_type(expected: &str, value: &Value, pointer: &str, problems: &mut Problems) {
    let message = format!("this is {}, and {expected} is needed", described(value));
    let hint = match (expected, value) {
        ("a text", Value::Number(_) | Value::Bool(_)) => "put it in quotes".to_owned(),
        _ => format!("write {expected}"),
    };
    problems.error(codes::TYPE, pointer, message, &hint);
}

/// What it is, in words for a message.
fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Names for a message.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// A name from a runbook, for a message: bounded.
pub(crate) fn shown(name: &str) -> String {
    const MAX_SHOWN: usize = 60;
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut text: String = name.chars().take(MAX_SHOWN).map(visible).collect();
    if name.chars().nth(MAX_SHOWN).is_some() {
        text.push('…');
    }
    text
}
