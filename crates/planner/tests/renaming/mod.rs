//! Renames in a text, and compares with the text that must come out.
#![allow(dead_code, reason = "each test file uses a part of it")]

use nebula_planner::{RenameError, Renamed, rename_node};
use nebula_workflow::Source;

use crate::catalog::actions;

pub(crate) fn rename(name: &str, text: &str, from: &str, to: &str) -> Result<Renamed, RenameError> {
    rename_node(&Source::new(name, text), &actions(), from, to)
}

/// In `text`, `«»` stands for every mention of the node. Renames it there and back.
#[track_caller]
pub(crate) fn check_as(name: &str, text: &str) {
    let (old, new) = (text.replace("«»", "fetch"), text.replace("«»", "load_2"));
    let there = rename(name, &old, "fetch", "load_2").unwrap_or_else(|e| panic!("{e:?}\n{old}"));
    assert_eq!(there.text, new);
    assert_eq!(there.places.len(), text.matches("«»").count());
    assert!(
        there
            .places
            .iter()
            .all(|place| old[place.clone()] == *"fetch")
    );
    let back = rename(name, &new, "load_2", "fetch").unwrap();
    assert_eq!(back.text, old);
}

#[track_caller]
pub(crate) fn check(text: &str) {
    check_as("w.yaml", text);
}
