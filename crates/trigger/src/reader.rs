//! Reads the fields that a trigger has in a definition.

use std::{collections::BTreeSet, time::Duration};

use nebula_core::parse_duration;
use serde_json::{Map, Value};

use crate::webhook::MAX_LISTED;

/// What is wrong with a field of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The name of the field, which may be missing.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// The fields that there are, where this one is none of them.
    pub known: Vec<&'static str>,
}

/// Reads the fields of one trigger, and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    fields: &'a Map<String, Value>,
    errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(fields: &'a Map<String, Value>) -> Self {
        Self {
            fields,
            errors: Vec::new(),
        }
    }

    pub(crate) fn errors(self) -> Vec<FieldError> {
        self.errors
    }

    /// Whether nothing was found to be wrong yet.
    pub(crate) const fn is_right(&self) -> bool {
        self.errors.is_empty()
    }

    /// Takes over what is wrong with the object in `field`.
    pub(crate) fn within(&mut self, field: &str, errors: Vec<FieldError>) {
        for error in errors {
            self.wrong(field, format!("`{}`: {}", error.field, error.message));
        }
    }

    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field)
    }

    pub(crate) fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
            known: Vec::new(),
        });
    }

    pub(crate) fn refuse_others(&mut self, own: impl IntoIterator<Item = &'static str>) {
        let known: BTreeSet<_> = own.into_iter().collect();
        for field in self.fields.keys() {
            if !known.contains(field.as_str()) {
                self.errors.push(FieldError {
                    field: field.clone(),
                    message: "a trigger of this kind has no such field".to_owned(),
                    known: known.iter().copied().collect(),
                });
            }
        }
    }

    /// A text, if the field is there.
    pub(crate) fn text(&mut self, field: &str) -> Option<&'a str> {
        match self.fields.get(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.wrong(field, "expected a string");
                None
            }
        }
    }

    /// A text that must be there; `such` is an example.
    pub(crate) fn needed(&mut self, field: &'static str, such: &str) -> Option<&'a str> {
        if !self.fields.contains_key(field) {
            self.wrong(field, format!("it is missing; write it like `{such}`"));
        }
        self.text(field)
    }

    /// The texts of a list, none if the field is not there.
    pub(crate) fn list(&mut self, field: &str) -> Vec<&'a str> {
        let Some(written) = self.fields.get(field) else {
            return Vec::new();
        };
        let items = written.as_array().map(Vec::as_slice).unwrap_or_default();
        let texts: Vec<_> = items.iter().filter_map(Value::as_str).collect();
        if texts.is_empty() || texts.len() != items.len() {
            self.wrong(field, "expected a list of strings");
            return Vec::new();
        }
        if texts.len() > MAX_LISTED {
            self.wrong(field, format!("it has more than {MAX_LISTED} entries"));
            return Vec::new();
        }
        texts
    }

    pub(crate) fn span(&mut self, field: &str, most: Duration) -> Option<Duration> {
        let text = self.text(field)?;
        match parse_duration(text) {
            Ok(span) if span <= most => Some(span),
            Ok(_) => {
                let most = nebula_core::duration_text(most);
                self.wrong(field, format!("`{text}` is too long; at most {most}"));
                None
            }
            Err(error) => {
                self.wrong(field, error.to_string());
                None
            }
        }
    }

    pub(crate) fn choice<T: Copy + Default>(&mut self, field: &str, words: &[(&str, T)]) -> T {
        let Some(text) = self.text(field) else {
            return T::default();
        };
        if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
            return *found;
        }
        let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let text: String = text.chars().take(40).collect();
        self.wrong(field, format!("`{text}` is none of {}", words.join(", ")));
        T::default()
    }
}
