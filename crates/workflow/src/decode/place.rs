//! One value of the tree with its pointer, and reading it as what its field expects. Each reading
//! reports what is wrong and goes on.

use std::{ops::Range, time::Duration};

use indexmap::IndexMap;
use nebula_core::{ParamError, ParamValue, parse_duration};
use serde_json::{Map, Value};

use crate::{
    BareExpression, Diagnostic, codes, pointer_join,
    problems::{Problems, shown},
    table::{Shape, Table},
    tree::{Entry, Kind, Tree, object_value},
};

/// A value and where it is.
#[derive(Debug, Clone)]
pub(super) struct Place<'t> {
    pub(super) tree: &'t Tree,
    pub(super) pointer: String,
}

/// An object and the table of its fields.
#[derive(Debug)]
pub(super) struct Fields<'t> {
    entries: &'t IndexMap<String, Entry>,
    table: &'static Table,
    pub(super) pointer: String,
}

impl<'t> Fields<'t> {
    /// The value of a field. The name must be in the table.
    pub(super) fn get(&self, name: &str) -> Option<Place<'t>> {
        debug_assert!(
            self.table.fields.iter().any(|field| field.name == name),
            "{name}"
        );
        let entry = self.entries.get(name)?;
        Some(Place {
            tree: &entry.value,
            pointer: pointer_join(&self.pointer, name),
        })
    }

    /// The bounds of a field that is a count.
    fn bounds(&self, name: &str) -> (u32, u32) {
        let shape = self.table.fields.iter().find(|field| field.name == name);
        match shape.map(|field| &field.shape) {
            Some(Shape::Count(min, max) | Shape::CountOrExpression(min, max)) => (*min, *max),
            _ => (0, u32::MAX),
        }
    }

    pub(super) fn count(&self, name: &str, problems: &mut Problems) -> Option<u32> {
        self.get(name)?.count(self.bounds(name), problems)
    }

    pub(super) fn duration(&self, name: &str, problems: &mut Problems) -> Option<Duration> {
        self.get(name)?.duration(problems)
    }

    pub(super) fn expression(&self, name: &str, problems: &mut Problems) -> Option<BareExpression> {
        self.get(name)?.expression(problems)
    }

    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<&'t str> {
        self.get(name)?.text("a string", problems)
    }

    /// A boolean; false if it is not there.
    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> bool {
        self.get(name)
            .and_then(|place| place.boolean(problems))
            .unwrap_or(false)
    }

    /// The fields that are not in the table, as they are.
    pub(super) fn rest(&self) -> Map<String, Value> {
        self.entries
            .iter()
            .filter(|(name, _)| self.table.fields.iter().all(|field| field.name != *name))
            .map(|(name, entry)| (name.clone(), entry.value.to_value()))
            .collect()
    }
}

impl<'t> Place<'t> {
    pub(super) fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.pointer.as_str(), message)
    }

    fn type_error(&self, expected: &str, problems: &mut Problems) {
        if let Kind::Broken = self.tree.kind {
            return;
        }
        let message = format!("expected {expected}, found {}", self.tree.describe());
        let problem = self.error(codes::TYPE, message);
        problems.push(match (&self.tree.kind, expected) {
            (Kind::Null, _) => problem.hint("give it a value, or remove the field"),
            (Kind::Bool(_) | Kind::Number(_), "a string" | "an expression") => {
                problem.hint("put it in quotes")
            }
            _ => problem,
        });
    }

    /// Opens an object: reports unknown and missing fields.
    pub(super) fn fields(
        &self,
        table: &'static Table,
        problems: &mut Problems,
    ) -> Option<Fields<'t>> {
        let Kind::Object(entries) = &self.tree.kind else {
            self.type_error(&format!("{} as an object", table.what), problems);
            return None;
        };
        for name in entries.keys() {
            if table.open || table.fields.iter().any(|field| field.name == name) {
                continue;
            }
            let near = problems.nearest(name, table.fields.iter().map(|field| field.name));
            let pointer = pointer_join(&self.pointer, name);
            let message = format!("{} has no field `{}`", table.what, shown(name));
            let problem = Diagnostic::error(codes::UNKNOWN_FIELD, pointer, message).at_key();
            let mut names: Vec<&str> = table.fields.iter().map(|field| field.name).collect();
            names.sort_unstable();
            problems.push(match near {
                Some(_) => problem.did_you_mean(near),
                None => problem.hint(format!("its fields are {}", names.join(", "))),
            });
        }
        for field in table.fields {
            if field.required && !entries.contains_key(field.name) {
                let message = format!("{} needs the field `{}`", table.what, field.name);
                problems.push(self.error(codes::MISSING_FIELD, message).hint(field.doc));
            }
        }
        Some(Fields {
            entries,
            table,
            pointer: self.pointer.clone(),
        })
    }

    pub(super) fn text(&self, expected: &str, problems: &mut Problems) -> Option<&'t str> {
        match &self.tree.kind {
            Kind::Text(text) => Some(&text.value),
            _ => {
                self.type_error(expected, problems);
                None
            }
        }
    }

    fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match &self.tree.kind {
            Kind::Bool(value) => Some(*value),
            Kind::Text(text) if matches!(text.value.as_str(), "yes" | "no" | "on" | "off") => {
                let message = format!("expected true or false, found the string `{}`", text.value);
                let problem = self.error(codes::TYPE, message);
                problems.push(problem.hint("YAML 1.2 knows only `true` and `false`"));
                None
            }
            _ => {
                self.type_error("true or false", problems);
                None
            }
        }
    }

    fn count(&self, (min, max): (u32, u32), problems: &mut Problems) -> Option<u32> {
        let Kind::Number(number) = &self.tree.kind else {
            self.type_error("a whole number", problems);
            return None;
        };
        let value = number.as_u64().and_then(|value| u32::try_from(value).ok());
        let value = value.filter(|value| (min..=max).contains(value));
        if value.is_none() {
            let message = format!("{number} is not a whole number from {min} to {max}");
            problems.push(self.error(codes::VALUE, message));
        }
        value
    }

    fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        if let Kind::Number(number) = &self.tree.kind {
            let message = format!("expected a span of time, found the number {number}");
            let problem = self.error(codes::TYPE, message);
            problems.push(problem.hint(format!("add the unit, such as `{number}s`")));
            return None;
        }
        let text = self.text("a span of time", problems)?;
        parse_duration(text)
            .map_err(|error| problems.push(self.error(codes::VALUE, error.to_string())))
            .ok()
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &self,
        words: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let names = || words.iter().map(|(word, _)| *word);
        let listed = names().collect::<Vec<_>>().join(", ");
        let text = self.text(&format!("one of {listed}"), problems)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let message = format!("`{}` is not one of {listed}", shown(text));
            let problem = self.error(codes::VALUE, message);
            let near = problems.nearest(text, names());
            problems.push(problem.did_you_mean(near));
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.tree.kind, Kind::Number(_))
    }

    /// An expression without braces; braces around the whole are accepted with a lint.
    pub(super) fn expression(&self, problems: &mut Problems) -> Option<BareExpression> {
        let text = self.text("an expression", problems)?;
        let trimmed = text.trim();
        let offset = text.len() - text.trim_start().len();
        if trimmed.is_empty() {
            problems.push(self.error(codes::EMPTY_EXPRESSION, "the expression is empty"));
            return None;
        }
        if !trimmed.starts_with("{{") {
            return Some(BareExpression {
                source: trimmed.to_owned(),
                offset,
            });
        }
        match ParamValue::parse(&Value::from(text)) {
            Ok(ParamValue::Expression(segment)) => {
                let message = "this field is an expression as a whole and needs no `{{ }}`";
                let lint = Diagnostic::lint(codes::BRACES, self.pointer.as_str(), message);
                problems.push(lint.hint(format!("write `{}`", shown(&segment.source))));
                Some(BareExpression {
                    source: segment.source,
                    offset: segment.offset,
                })
            }
            Ok(_) => {
                let message = "this field is one expression, not a text with `{{ }}` inside";
                let problem = self.error(codes::NOT_AN_EXPRESSION, message);
                problems.push(
                    problem.hint("write the expression without `{{ }}`; join texts with `+`"),
                );
                None
            }
            Err(errors) => {
                self.param_errors(&errors, problems);
                None
            }
        }
    }

    /// A value with expressions inside.
    pub(super) fn param(&self, problems: &mut Problems) -> Option<ParamValue> {
        ParamValue::parse(&self.tree.to_value())
            .map_err(|errors| self.param_errors(&errors, problems))
            .ok()
    }

    fn param_errors(&self, errors: &[ParamError], problems: &mut Problems) {
        for error in errors {
            let pointer = format!("{}{}", self.pointer, error.pointer());
            let range: Range<usize> = error.at()..error.at() + 2;
            let problem = match error {
                ParamError::Unclosed { .. } => {
                    Diagnostic::error(codes::UNCLOSED, pointer, "`{{` has no `}}`")
                        .hint("close the expression with `}}`, or write `\\{{` for plain braces")
                }
                ParamError::Empty { .. } => {
                    Diagnostic::error(codes::EMPTY_EXPRESSION, pointer, "the expression is empty")
                        .hint("write an expression between `{{` and `}}`")
                }
            };
            problems.push(problem.range(range));
        }
    }

    /// An object of values with expressions inside.
    pub(super) fn params(&self, problems: &mut Problems) -> Option<IndexMap<String, ParamValue>> {
        let entries = self.entries("an object", problems)?;
        let mut params = IndexMap::with_capacity(entries.len());
        for (name, place) in entries {
            if let Some(value) = place.param(problems) {
                params.insert(name.to_owned(), value);
            }
        }
        Some(params)
    }

    /// A list of strings with expressions inside.
    pub(super) fn templates(&self, problems: &mut Problems) -> Option<Vec<ParamValue>> {
        let mut templates = Vec::new();
        for item in self.items("a list of strings", problems)? {
            if item.text("a string", problems).is_some() {
                templates.extend(item.param(problems));
            }
        }
        Some(templates)
    }

    /// A string, or a list of strings.
    pub(super) fn texts(&self, problems: &mut Problems) -> Option<Vec<String>> {
        if let Kind::Text(text) = &self.tree.kind {
            return Some(vec![text.value.clone()]);
        }
        let mut texts = Vec::new();
        for item in self.items("a string or a list of strings", problems)? {
            texts.extend(item.text("a string", problems).map(str::to_owned));
        }
        Some(texts)
    }

    /// An object of strings.
    pub(super) fn text_map(&self, problems: &mut Problems) -> Option<IndexMap<String, String>> {
        let mut map = IndexMap::new();
        for (name, place) in self.entries("an object of strings", problems)? {
            if let Some(text) = place.text("a string", problems) {
                map.insert(name.to_owned(), text.to_owned());
            }
        }
        Some(map)
    }

    /// An object of anything.
    pub(super) fn object(&self, problems: &mut Problems) -> Option<Map<String, Value>> {
        match &self.tree.kind {
            Kind::Object(entries) => Some(object_value(entries)),
            _ => {
                self.type_error("an object", problems);
                None
            }
        }
    }

    /// A JSON Schema; whether it is a good one is checked where schemas are compiled.
    pub(super) fn schema(&self, problems: &mut Problems) -> Option<Value> {
        match &self.tree.kind {
            Kind::Object(_) | Kind::Bool(_) => Some(self.tree.to_value()),
            _ => {
                self.type_error("a JSON Schema (an object)", problems);
                None
            }
        }
    }

    pub(super) fn items(&self, expected: &str, problems: &mut Problems) -> Option<Vec<Place<'t>>> {
        let Kind::List(items) = &self.tree.kind else {
            self.type_error(expected, problems);
            return None;
        };
        let place = |(index, tree): (usize, &'t Tree)| Place {
            tree,
            pointer: format!("{}/{index}", self.pointer),
        };
        Some(items.iter().enumerate().map(place).collect())
    }

    fn entries(
        &self,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<Vec<(&'t str, Place<'t>)>> {
        let Kind::Object(entries) = &self.tree.kind else {
            self.type_error(expected, problems);
            return None;
        };
        let place = |(name, entry): (&'t String, &'t Entry)| {
            let pointer = pointer_join(&self.pointer, name);
            (
                name.as_str(),
                Place {
                    tree: &entry.value,
                    pointer,
                },
            )
        };
        Some(entries.iter().map(place).collect())
    }
}
