//! Values of all layers in one shape, each with its source.

use std::collections::BTreeMap;

use crate::{Source, Sources};

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub(crate) source: Source,
    pub(crate) node: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    /// Text whose type is decided by the setting that it is for: from the environment or a flag.
    Untyped(String),
    List(Vec<Tree>),
    Table(BTreeMap<String, Entry>),
}

/// A value under its key. The two have different places in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Source,
    pub(crate) value: Tree,
}

impl Tree {
    /// A preset's defaults.
    pub(crate) fn from_defaults(value: serde_json::Value) -> Self {
        use serde_json::Value;

        let node = match value {
            Value::Null => Node::Null,
            Value::Bool(flag) => Node::Bool(flag),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(int), _, _) => Node::Int(int.into()),
                (_, Some(int), _) => Node::Int(int.into()),
                (_, _, float) => Node::Float(float.unwrap_or(f64::NAN)),
            },
            Value::String(text) => Node::Text(text),
            Value::Array(items) => Node::List(items.into_iter().map(Self::from_defaults).collect()),
            Value::Object(map) => {
                let entry = |value| Entry {
                    key: Source::Default,
                    value: Self::from_defaults(value),
                };
                Node::Table(
                    map.into_iter()
                        .map(|(key, value)| (key, entry(value)))
                        .collect(),
                )
            }
        };
        Self {
            source: Source::Default,
            node,
        }
    }

    /// One value under a path, from a layer that gives values one by one.
    pub(crate) fn at(path: &[String], source: &Source, text: String) -> Self {
        let leaf = Self {
            source: source.clone(),
            node: Node::Untyped(text),
        };
        path.iter().rev().fold(leaf, |value, key| {
            let entry = Entry {
                key: source.clone(),
                value,
            };
            Self {
                source: source.clone(),
                node: Node::Table(BTreeMap::from([(key.clone(), entry)])),
            }
        })
    }

    /// Lays `upper` over this: tables key by key, everything else whole.
    pub(crate) fn overlay(&mut self, upper: Self) {
        self.source = upper.source;
        match (&mut self.node, upper.node) {
            (Node::Table(mine), Node::Table(theirs)) => {
                for (key, entry) in theirs {
                    match mine.get_mut(&key) {
                        Some(below) => {
                            below.key = entry.key;
                            below.value.overlay(entry.value);
                        }
                        None => drop(mine.insert(key, entry)),
                    }
                }
            }
            (node, upper) => *node = upper,
        }
    }

    /// Puts the value that `defaults` has at `path` there, or removes what is there if it has none.
    /// Says whether this tree had anything else there.
    pub(crate) fn reset(&mut self, path: &[String], defaults: Option<&Self>) -> bool {
        let Some((key, rest)) = path.split_first() else {
            let Some(defaults) = defaults else {
                return false;
            };
            let changed = self != defaults;
            self.clone_from(defaults);
            return changed;
        };
        let Node::Table(entries) = &mut self.node else {
            // Lists are replaced whole.
            return self.reset(&[], defaults);
        };
        let below = defaults.and_then(|tree| match &tree.node {
            Node::Table(entries) => entries.get(key),
            _ => None,
        });
        match (entries.get_mut(key), below) {
            (Some(entry), Some(below)) => entry.value.reset(rest, Some(&below.value)),
            (Some(entry), None)
                if !rest.is_empty() && matches!(entry.value.node, Node::Table(_)) =>
            {
                entry.value.reset(rest, None)
            }
            (Some(_), None) => entries.remove(key).is_some(),
            (None, _) => false,
        }
    }

    /// Notes the source of every value at or below `key`.
    pub(crate) fn note_sources(&self, key: &str, sources: &mut Sources) {
        match &self.node {
            Node::Table(entries) => {
                for (name, entry) in entries {
                    let dot = if key.is_empty() { "" } else { "." };
                    entry
                        .value
                        .note_sources(&format!("{key}{dot}{name}"), sources);
                }
            }
            _ => drop(sources.0.insert(key.to_owned(), self.source.clone())),
        }
    }
}
