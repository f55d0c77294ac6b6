//! Nodes, connections and triggers of a definition, by their names.

use serde_json::Value;

use crate::{Body, Connection, MAIN, NodeDefinition, WorkflowDefinition, to_json};

/// One of them, in canonical form without its own name.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) content: Value,
}

/// All nodes, each body behind its node, which then only says that it has one.
pub(super) fn nodes(definition: &WorkflowDefinition) -> Vec<Named> {
    let mut found = Vec::new();
    if let Some(Value::Array(list)) = to_json(definition).get_mut("nodes") {
        collect(list, None, &mut found);
    }
    found
}

fn collect(list: &mut [Value], inside: Option<&str>, found: &mut Vec<Named>) {
    for node in list {
        let mut body = None;
        let mut name = String::new();
        if let Value::Object(fields) = node {
            if let Some(Value::String(id)) = fields.shift_remove("id") {
                name = id;
            }
            if let Some(nested) = fields.get_mut("body").and_then(Value::as_object_mut) {
                nested.shift_remove("connections");
                body = nested.shift_remove("nodes");
            }
            if let Some(inside) = inside {
                fields.insert("inside".to_owned(), Value::from(inside));
            }
        }
        found.push(Named {
            name: name.clone(),
            content: node.take(),
        });
        if let Some(Value::Array(mut nested)) = body {
            collect(&mut nested, Some(&name), found);
        }
    }
}

/// All connections, those of bodies too, by their short form.
pub(super) fn connections(definition: &WorkflowDefinition) -> Vec<Named> {
    let mut found = Vec::new();
    each_connection(
        &definition.nodes,
        &definition.connections,
        None,
        &mut |connection, inside| {
            found.push(Named {
                name: short(connection),
                content: content(connection, inside),
            });
        },
    );
    found
}

/// Calls `found` for every connection, with the node to whose body it belongs.
pub(super) fn each_connection<'a>(
    nodes: &'a [NodeDefinition],
    connections: &'a [Connection],
    inside: Option<&'a str>,
    found: &mut dyn FnMut(&'a Connection, Option<&'a str>),
) {
    for connection in connections {
        found(connection, inside);
    }
    for node in nodes {
        if let Some(Body { nodes, connections }) = &node.body {
            each_connection(nodes, connections, Some(node.id.as_str()), found);
        }
    }
}

/// `a.port -> b:input`, the ports left out where they are the usual ones.
fn short(connection: &Connection) -> String {
    let Connection {
        from,
        port,
        to,
        input,
        ..
    } = connection;
    let mut name = from.to_string();
    if port != MAIN {
        name.push_str(&format!(".{port}"));
    }
    name.push_str(&format!(" -> {to}"));
    if input != MAIN {
        name.push_str(&format!(":{input}"));
    }
    name
}

/// What a connection says beside where it leads.
fn content(connection: &Connection, inside: Option<&str>) -> Value {
    let mut fields = serde_json::Map::new();
    if let Some(condition) = &connection.condition {
        fields.insert("condition".to_owned(), condition.source.clone().into());
    }
    if connection.closes_loop {
        fields.insert("loop".to_owned(), true.into());
    }
    if let Some(rounds) = connection.max_rounds {
        fields.insert("max_rounds".to_owned(), rounds.into());
    }
    if let Some(inside) = inside {
        fields.insert("inside".to_owned(), inside.into());
    }
    Value::Object(fields)
}

/// All triggers.
pub(super) fn triggers(definition: &WorkflowDefinition) -> Vec<Named> {
    let Some(Value::Array(list)) = to_json(definition).get_mut("triggers").map(Value::take) else {
        return Vec::new();
    };
    list.into_iter()
        .map(|mut content| {
            let id = match &mut content {
                Value::Object(fields) => fields.shift_remove("id"),
                _ => None,
            };
            let name = id.as_ref().and_then(Value::as_str).unwrap_or_default();
            Named {
                name: name.to_owned(),
                content,
            }
        })
        .collect()
}
