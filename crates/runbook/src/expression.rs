//! What `service` and `steps` mean in the expressions and templates of a runbook.
//!
//! The compiler of expressions says which names it does not know, and where; those two are given the
//! paths that workflows have. So texts, comments and names that an arrow gives stay what they are.

use std::ops::Range;

use nebula_core::{ParamError, ParamValue, Segment};
use nebula_expression::{CompileOptions, Edit, ExpressionError, Program};
use nebula_workflow::{Diagnostic, Origin, nearest, pointer_join};
use serde_json::Value;

use crate::{
    codes,
    reader::{Problems, listed, text},
    step::Step,
};

/// What can be asked of a step.
const ASKED: &[&str] = &["failed", "succeeded", "skipped", "result", "error"];

/// What the names of a runbook stand for at one place.
pub(crate) struct Names<'s> {
    /// What `service` stands for.
    pub(crate) service: &'static str,
    /// The steps that may be asked about.
    pub(crate) before: &'s [Step],
    /// The ids of all others; empty where no step may be asked about at all.
    pub(crate) later: &'s [String],
}

/// `service` in a step.
pub(crate) const OF_INPUT: &str = "$input.service";

/// `service` in the condition of the trigger.
pub(crate) const OF_ALERT: &str = "$trigger.payload.service";

impl Names<'_> {
    /// A condition as a workflow writes it, without braces: `written` may have them.
    pub(crate) fn condition(
        &self,
        (value, written, made): (&Value, &str, &str),
        origins: &mut Vec<Origin>,
        problems: &mut Problems,
    ) -> Option<String> {
        let whole = text(value, written, problems)?;
        let segment = match ParamValue::parse(value) {
            Ok(ParamValue::Expression(segment)) => segment,
            Ok(ParamValue::Template(_)) => {
                let message = "a condition is one expression, not a text with `{{ }}` inside";
                let hint = "write the expression without `{{ }}`; join texts with `+`";
                problems.error(codes::EXPRESSION, written, message.to_owned(), hint);
                return None;
            }
            Ok(_) => Segment {
                source: whole.trim().to_owned(),
                offset: whole.len() - whole.trim_start().len(),
            },
            Err(errors) => {
                braces(&errors, written, problems);
                return None;
            }
        };
        let mut edits = vec![cut(0..segment.offset)];
        edits.extend(self.edits(&segment, written, problems)?);
        let end = segment.offset + segment.source.len();
        edits.push(cut(end..whole.len()));
        Some(made_of(whole, edits, (written, made), origins))
    }

    /// A value with templates at any depth, as a workflow writes it.
    pub(crate) fn params(
        &self,
        (value, written, made): (&Value, &str, &str),
        origins: &mut Vec<Origin>,
        problems: &mut Problems,
    ) -> Option<Value> {
        match value {
            Value::String(text) => {
                let segments = match ParamValue::parse(value) {
                    Ok(ParamValue::Expression(segment)) => vec![segment],
                    Ok(ParamValue::Template(template)) => template.expressions,
                    Ok(_) => Vec::new(),
                    Err(errors) => {
                        braces(&errors, written, problems);
                        return None;
                    }
                };
                let mut edits = Vec::new();
                let mut whole = true;
                for segment in &segments {
                    match self.edits(segment, written, problems) {
                        Some(more) => edits.extend(more),
                        None => whole = false,
                    }
                }
                whole.then(|| made_of(text, edits, (written, made), origins).into())
            }
            Value::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let (written, made) = (format!("{written}/{index}"), format!("{made}/{index}"));
                    list.push(self.params((item, &written, &made), origins, problems));
                }
                list.into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(Value::from)
            }
            Value::Object(fields) => {
                let mut object = Vec::with_capacity(fields.len());
                for (name, field) in fields {
                    let (written, made) = (pointer_join(written, name), pointer_join(made, name));
                    let value = self.params((field, &written, &made), origins, problems);
                    object.push(value.map(|value| (name.clone(), value)));
                }
                object
                    .into_iter()
                    .collect::<Option<serde_json::Map<_, _>>>()
                    .map(Value::from)
            }
            other => Some(other.clone()),
        }
    }

    /// The edits of the string that holds an expression; `None` if something is wrong with it.
    fn edits(
        &self,
        segment: &Segment,
        written: &str,
        problems: &mut Problems,
    ) -> Option<Vec<Edit>> {
        let source = segment.source.as_str();
        let errors = match Program::compile(source, &CompileOptions::default()) {
            Ok(_) => return Some(Vec::new()),
            Err(errors) => errors,
        };
        let (mut edits, mut wrong) = (Vec::new(), false);
        for error in &errors {
            let name = source.get(error.start..error.end).unwrap_or_default();
            let found = match (error.code, name) {
                ("NAME_UNKNOWN", "service") => Ok(Edit {
                    range: error.start..error.end,
                    text: self.service.to_owned(),
                }),
                ("NAME_UNKNOWN", "steps") => self.step(source, error.start..error.end),
                _ => Err(other(error)),
            };
            match found {
                Ok(mut edit) => {
                    edit.range = edit.range.start + segment.offset..edit.range.end + segment.offset;
                    edits.push(edit);
                }
                Err((code, message, hint, range)) => {
                    let problem = Diagnostic::error(code, written, message)
                        .range(range.start + segment.offset..range.end + segment.offset);
                    problems.push(match hint {
                        Some(hint) => problem.hint(hint),
                        None => problem,
                    });
                    wrong = true;
                }
            }
        }
        edits.sort_by_key(|edit| edit.range.start);
        // A part of the source may be compiled twice.
        edits.dedup();
        (!wrong).then_some(edits)
    }

    /// What `steps.ID.ASKED` stands for, of which `steps` stands at `at`.
    fn step(&self, source: &str, at: Range<usize>) -> Result<Edit, Wrong> {
        let shape = || {
            let hint = format!("write `steps.<id>.` and one of {}", listed(ASKED));
            let message = "`steps` stands before the id of a step, and what is asked of it";
            (
                codes::UNKNOWN_STEP,
                message.to_owned(),
                Some(hint),
                at.clone(),
            )
        };
        let id = member(source, at.end).ok_or_else(shape)?;
        let name = &source[id.clone()];
        if self.before.is_empty() && self.later.is_empty() {
            let message = "no step has run before the trigger, so none can be asked about";
            let hint = "ask about `service` here; a step's own `condition` may ask about steps";
            return Err((
                codes::UNKNOWN_STEP,
                message.to_owned(),
                Some(hint.to_owned()),
                at,
            ));
        }
        let Some(step) = self.before.iter().find(|step| step.id == name) else {
            let ids = self.before.iter().map(|step| step.id.as_str());
            let (message, hint) = if self.later.iter().any(|later| later == name) {
                let message = format!("the step `{name}` has not run yet here");
                (
                    message,
                    Some("only steps further up can be asked about".to_owned()),
                )
            } else {
                let near = nearest(name, ids.clone());
                let all: Vec<&str> = ids.collect();
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if all.is_empty() => {
                        "this is the first step: there is none before it".into()
                    }
                    None => format!("the steps before it are {}", listed(&all)),
                };
                (
                    format!("there is no step `{name}` before this one"),
                    Some(hint),
                )
            };
            return Err((codes::UNKNOWN_STEP, message, hint, id));
        };
        let asked = member(source, id.end).ok_or_else(shape)?;
        let text = match &source[asked.clone()] {
            "failed" => step.failed(),
            "succeeded" => step.succeeded(),
            "skipped" => format!("($nodes.{}?.status === \"skipped\")", step.id),
            "result" => format!("$nodes.{}?.result", step.id),
            "error" => format!("$nodes.{}?.error", step.id),
            unknown => {
                let message = format!("nothing is known as `{unknown}` of a step");
                let hint = match nearest(unknown, ASKED.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("ask for one of {}", listed(ASKED)),
                };
                return Err((codes::UNKNOWN_STEP, message, Some(hint), asked));
            }
        };
        Ok(Edit {
            range: at.start..asked.end,
            text,
        })
    }
}

/// What is wrong with a part of an expression: code, message, hint, bytes.
type Wrong = (&'static str, String, Option<String>, Range<usize>);

/// What else the compiler found.
fn other(error: &ExpressionError) -> Wrong {
    let range = error.start..error.end;
    if error.code == "NAME_UNKNOWN" {
        let hint =
            "a runbook has `service`, `steps` and what begins with `$`; put a text in quotes";
        return (
            codes::NAME,
            error.message.clone(),
            Some(hint.to_owned()),
            range,
        );
    }
    let hint = error.hint.clone();
    let hint = hint.unwrap_or_else(|| "correct the expression; `nebula expr` tries one".to_owned());
    (codes::EXPRESSION, error.message.clone(), Some(hint), range)
}

/// The name behind a dot at `from`.
fn member(source: &str, from: usize) -> Option<Range<usize>> {
    let rest = &source[from..];
    let dot = rest.trim_start();
    let name = dot
        .strip_prefix("?.")
        .or_else(|| dot.strip_prefix('.'))?
        .trim_start();
    let start = source.len() - name.len();
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = name.find(|c| !in_name(c)).unwrap_or(name.len());
    (length > 0).then(|| start..start + length)
}

fn braces(errors: &[ParamError], written: &str, problems: &mut Problems) {
    for error in errors {
        let (message, hint) = match error {
            ParamError::Unclosed { .. } => (
                "`{{` has no `}}`",
                "close the expression with `}}`, or write `\\{{` for plain braces",
            ),
            ParamError::Empty { .. } => (
                "the expression is empty",
                "write an expression between `{{` and `}}`",
            ),
        };
        let problem = Diagnostic::error(codes::EXPRESSION, written, message);
        problems.push(problem.range(error.at()..error.at() + 2).hint(hint));
    }
}

fn cut(range: Range<usize>) -> Edit {
    Edit {
        range,
        text: String::new(),
    }
}

/// The text with the edits made, whose place is kept.
fn made_of(
    text: &str,
    mut edits: Vec<Edit>,
    (written, made): (&str, &str),
    origins: &mut Vec<Origin>,
) -> String {
    edits.retain(|edit| !edit.range.is_empty());
    if edits.is_empty() {
        return text.to_owned();
    }
    origins.push(Origin {
        edits: edits
            .iter()
            .map(|edit| (edit.range.clone(), edit.text.len()))
            .collect(),
        ..Origin::new(made, written)
    });
    Edit::apply(text, &edits)
}
