//! Finding what a definition names: actions, ports, inputs.

use nebula_action::{ActionMetadata, Catalog, CatalogMiss, PORT_ERROR, Ports, VersionWanted};
use nebula_core::ParamValue;
use nebula_workflow::{ActionRef, Connection, Diagnostic, NodeDefinition, nearest, pointer_join};
use serde_json::Value;

use crate::{build::Builder, codes};

/// The metadata of the action that the field at `pointer` names.
///
/// # Errors
/// There is no such action or version, and which was probably meant.
pub(crate) fn metadata<'a>(
    catalog: &'a dyn Catalog,
    action: &ActionRef,
    pointer: &str,
) -> Result<&'a ActionMetadata, Box<Diagnostic>> {
    let wanted = VersionWanted {
        major: action.version.map(|version| version.major),
        minor: action.version.and_then(|version| version.minor),
    };
    catalog.find(&action.id, wanted).map_err(|miss| {
        Box::new(match miss {
            CatalogMiss::Id => {
                let ids = catalog.ids();
                let near = nearest(action.id.as_str(), ids.iter().map(|id| id.as_str()));
                let diagnostic = Diagnostic::error(
                    codes::UNKNOWN_ACTION,
                    pointer,
                    format!("there is no action `{}`", action.id),
                );
                match near {
                    Some(_) => diagnostic.did_you_mean(near),
                    None => diagnostic.hint("`nebula actions list` lists all actions"),
                }
            }
            CatalogMiss::Version(there) => {
                let there: Vec<_> = there.iter().map(|version| format!("@{version}")).collect();
                let message = format!(
                    "there is no version of `{}` that satisfies `{action}`",
                    action.id
                );
                Diagnostic::error(codes::UNKNOWN_VERSION, pointer, message)
                    .hint(format!("there is {}", there.join(", ")))
            }
        })
    })
}

impl<'a> Builder<'a> {
    /// The metadata of a node's action.
    pub(crate) fn action(
        &mut self,
        index: usize,
        catalog: &'a dyn Catalog,
    ) -> Option<&'a ActionMetadata> {
        let action = &self.flat.nodes[index].action;
        metadata(
            catalog,
            action,
            &pointer_join(&self.flat.pointers[index], "action"),
        )
        .map_err(|problem| self.diagnostics.push(*problem))
        .ok()
    }

    /// The connections with dense indices, those with unknown ports or inputs reported.
    pub(crate) fn edges(
        &mut self,
        actions: &[Option<&ActionMetadata>],
    ) -> Vec<(u32, u32, &'a Connection)> {
        for (index, metadata) in actions.iter().enumerate() {
            if let Some(metadata) = metadata {
                self.case_names(index, metadata);
            }
        }
        let connections = self.flat.connections.clone();
        let mut edges = Vec::with_capacity(connections.len());
        for connection in connections {
            let (from, to) = (&connection.from, &connection.to);
            let (Some(from), Some(to)) =
                (self.by_id.get(from.as_str()), self.by_id.get(to.as_str()))
            else {
                let message = format!(
                    "a connection leads from `{from}` to `{to}`, and one of them is missing"
                );
                let hint = "read the definition with its own reader, which says which";
                self.at_connection(connection, codes::CONTRADICTION, message, hint.to_owned());
                continue;
            };
            let (from, to) = (*from, *to);
            if let Some(metadata) = actions[from as usize] {
                self.port(metadata, self.flat.nodes[from as usize], connection);
            }
            if let Some(metadata) = actions[to as usize]
                && !metadata.inputs.contains(&connection.input)
            {
                let message = format!(
                    "node `{}` has no input `{}`",
                    connection.to, connection.input
                );
                let hint = there(&connection.input, &metadata.inputs);
                self.at_connection(connection, codes::UNKNOWN_INPUT, message, hint);
            }
            edges.push((from, to, connection));
        }
        edges
    }

    fn port(&mut self, metadata: &ActionMetadata, node: &NodeDefinition, connection: &Connection) {
        let ports = ports(metadata, node);
        if ports.contains(&connection.port) || connection.port == PORT_ERROR {
            return;
        }
        let message = format!(
            "node `{}` has no output port `{}`",
            connection.from, connection.port
        );
        let hint = there(&connection.port, &ports);
        self.at_connection(connection, codes::UNKNOWN_PORT, message, hint);
    }

    /// Reports ports that parameters name and that mean something else already.
    fn case_names(&mut self, index: usize, metadata: &ActionMetadata) {
        let Ports::KeysOf {
            parameter,
            otherwise,
        } = &metadata.ports
        else {
            return;
        };
        for name in keys(self.flat.nodes[index].parameters.get(parameter)) {
            let meaning = match name {
                PORT_ERROR => "failures",
                name if name == otherwise => "what no case takes",
                _ => continue,
            };
            let pointer = pointer_join(
                &format!("{}/parameters/{parameter}", self.flat.pointers[index]),
                name,
            );
            let message = format!("`{name}` is the port of {meaning}");
            self.diagnostics.push(
                Diagnostic::error(codes::PARAMETER, pointer, message)
                    .at_key()
                    .hint("give the case another name"),
            );
        }
    }

    fn at_connection(
        &mut self,
        connection: &Connection,
        code: &'static str,
        message: String,
        hint: String,
    ) {
        let mut diagnostic =
            Diagnostic::error(code, connection.origin.pointer(), message).hint(hint);
        if let Some(range) = connection.origin.range() {
            diagnostic = diagnostic.range(range);
        }
        self.diagnostics.push(diagnostic);
    }
}

/// The output ports of a node, beside `error`.
fn ports(metadata: &ActionMetadata, node: &NodeDefinition) -> Vec<String> {
    match &metadata.ports {
        Ports::Fixed(ports) => ports.clone(),
        Ports::KeysOf {
            parameter,
            otherwise,
        } => {
            let names = keys(node.parameters.get(parameter)).into_iter();
            names
                .chain([otherwise.as_str()])
                .map(str::to_owned)
                .collect()
        }
    }
}

/// The keys of a parameter that is an object.
pub(crate) fn keys(parameter: Option<&ParamValue>) -> Vec<&str> {
    match parameter {
        Some(ParamValue::Object(entries)) => entries.keys().map(String::as_str).collect(),
        Some(ParamValue::Literal(Value::Object(entries))) => {
            entries.keys().map(String::as_str).collect()
        }
        _ => Vec::new(),
    }
}

/// The name that was probably meant; else all that there are.
fn there(name: &str, names: &[String]) -> String {
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("it has {}", quoted.join(", "))
        }
    }
}
