//! What holds for the differences of any two definitions.

use nebula_core::NodeId;
use nebula_workflow::{Renamed, WorkflowDefinition, WorkflowDiff, diff, to_json};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::generated::{definition, literal};

/// The generated definitions mention no node in expressions.
fn rename(definition: &mut WorkflowDefinition, from: &NodeId, to: &NodeId) {
    let mut value = to_json(definition);
    for node in value["nodes"].as_array_mut().unwrap() {
        replace(&mut node["id"], from, to);
    }
    for edge in value["connections"].as_array_mut().unwrap() {
        for end in ["from", "to"] {
            replace(&mut edge[end], from, to);
        }
    }
    *definition = read(&value);
}

fn replace(id: &mut Value, from: &NodeId, to: &NodeId) {
    if id == from.as_str() {
        *id = json!(to);
    }
}

fn read(value: &Value) -> WorkflowDefinition {
    WorkflowDefinition::from_json(value).unwrap()
}

fn compare(old: &Value, new: &Value) -> WorkflowDiff {
    diff(&read(old), &read(new), &rename)
}

/// With connections written out, so that a node more or less changes no other edge.
fn listed(mut value: Value) -> Value {
    if value.get("connections").is_none() {
        value["connections"] = json!(["n0 -> n1", "n1 -> n2"]);
    }
    value
}

/// What stands at `/parameters/edited` of node `n2`, before and after.
fn edited(value: &Value, parameter: &Value) -> Value {
    let mut value = value.clone();
    value["nodes"][2]["parameters"]["edited"] = parameter.clone();
    value
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_definition_differs_in_nothing_from_itself(value in definition()) {
        prop_assert!(compare(&value, &value).is_empty());
        let mut moved = value.clone();
        moved["layout"] = json!({ "n1": [7, 7] });
        prop_assert!(compare(&value, &moved).is_empty());
    }

    #[test]
    fn there_is_a_difference_exactly_if_the_digests_differ(old in definition(), new in definition()) {
        let equal = read(&old).digest() == read(&new).digest();
        prop_assert_eq!(compare(&old, &new).is_empty(), equal);
    }

    #[test]
    fn an_edited_parameter_is_the_only_difference(
        value in definition(), old in literal(), new in literal(),
    ) {
        let (old, new) = (edited(&value, &old), edited(&value, &new));
        let found = compare(&old, &new);
        let changed: Vec<_> = found.nodes.changed.iter().map(|changed| changed.name.as_str()).collect();
        let paths = found.nodes.changed.iter().flat_map(|changed| &changed.fields);
        for change in paths {
            prop_assert!(change.path.starts_with("/parameters/edited"), "{}", change.path);
            prop_assert!(change.old != change.new);
        }
        if read(&old).digest() == read(&new).digest() {
            prop_assert!(found.is_empty());
        } else {
            prop_assert_eq!(changed, ["n2"]);
        }
        let mut rest = found;
        rest.nodes.changed.clear();
        prop_assert!(rest.is_empty(), "{:?}", rest);
    }

    #[test]
    fn a_node_that_is_added_is_the_only_difference(value in definition(), at in 0..=4_usize) {
        let old = listed(value);
        let mut new = old.clone();
        let node = json!({ "id": "extra", "action": "text.format" });
        new["nodes"].as_array_mut().unwrap().insert(at, node);
        let mut found = compare(&old, &new);
        let added: Vec<_> = found.nodes.added.drain(..).map(|part| part.name).collect();
        prop_assert_eq!(added, ["extra"]);
        prop_assert!(found.is_empty(), "{:?}", found);
        let mut back = compare(&new, &old);
        let removed: Vec<_> = back.nodes.removed.drain(..).map(|part| part.name).collect();
        prop_assert_eq!(removed, ["extra"]);
        prop_assert!(back.is_empty(), "{:?}", back);
    }

    #[test]
    fn a_connection_that_is_added_is_the_only_difference(value in definition()) {
        let old = listed(value);
        let mut new = old.clone();
        new["connections"].as_array_mut().unwrap().push(json!("n3.extra -> n0:extra"));
        let mut found = compare(&old, &new);
        let added: Vec<_> = found.connections.added.drain(..).map(|part| part.name).collect();
        prop_assert_eq!(added, ["n3.extra -> n0:extra"]);
        prop_assert!(found.is_empty(), "{:?}", found);
    }

    #[test]
    fn nodes_in_another_order_are_the_only_difference(value in definition()) {
        let old = listed(value);
        let mut new = old.clone();
        new["nodes"].as_array_mut().unwrap().swap(1, 3);
        let mut found = compare(&old, &new);
        prop_assert!(std::mem::take(&mut found.nodes.reordered));
        prop_assert!(found.is_empty(), "{:?}", found);
    }

    #[test]
    fn a_node_that_is_renamed_is_the_only_difference(value in definition(), parameter in literal()) {
        let old = edited(&value, &parameter);
        let mut new = old.clone();
        new["nodes"][2]["id"] = json!("other");
        if let Some(edges) = new.get_mut("connections").and_then(Value::as_array_mut) {
            for edge in edges {
                *edge = serde_json::from_str(&edge.to_string().replace("n2", "other")).unwrap();
            }
        }
        let mut found = compare(&old, &new);
        let id = |text: &str| NodeId::new(text).unwrap();
        let renamed = std::mem::take(&mut found.renamed);
        prop_assert_eq!(renamed, [Renamed { from: id("n2"), to: id("other") }]);
        prop_assert!(found.is_empty(), "{:?}", found);
    }
}
