//! Nodes of one level and the edges between them: objects, chains, or the order of the nodes.

use std::{collections::BTreeMap, ops::Range};

use nebula_core::NodeId;

use super::{
    Seen, id_range,
    node::{Decoded, node},
    place::{Fields, Place},
};
use crate::{
    Connection, ConnectionOrigin, Diagnostic, MAIN, NodeDefinition, codes, fields,
    limits::{MAX_CONNECTIONS, MAX_NODES},
    problems::{Problems, shown},
    tree::Kind,
};

/// Reads `nodes` and `connections` of a workflow or a body.
pub(super) fn graph(
    fields: &Fields<'_>,
    seen: &mut Seen,
    problems: &mut Problems,
) -> (Vec<NodeDefinition>, Vec<Connection>) {
    let Some(place) = fields.get("nodes") else {
        return (Vec::new(), Vec::new());
    };
    let items = place.items("a list of nodes", problems).unwrap_or_default();
    if items.is_empty() && matches!(&place.tree.kind, Kind::List(_)) {
        let hint = "add a node, such as `- { id: greet, action: data.set }`";
        problems.push(
            place
                .error(codes::NO_NODES, "there are no nodes")
                .hint(hint),
        );
    }
    seen.nodes += items.len();
    if seen.nodes > MAX_NODES {
        if !std::mem::replace(&mut seen.too_many, true) {
            let message = format!("the workflow has more than {MAX_NODES} nodes");
            let hint = "split it into workflows that call each other";
            problems.push(place.error(codes::TOO_MANY_NODES, message).hint(hint));
        }
        return (Vec::new(), Vec::new());
    }
    let decoded: Vec<Decoded<'_>> = items
        .iter()
        .map(|item| node(item, seen, problems))
        .collect();
    let mut level = Level {
        names: decoded.iter().filter_map(|node| node.raw_id).collect(),
        nameless: decoded.iter().any(|node| node.raw_id.is_none()),
        edges: BTreeMap::new(),
        connections: Vec::new(),
        seen,
        problems,
    };
    match fields.get("connections") {
        Some(place) => level.listed(&place),
        None => level.implied(&decoded, &place.pointer),
    }
    let connections = level.connections;
    let nodes = decoded.into_iter().filter_map(|node| node.node).collect();
    (nodes, connections)
}

type EdgeKey = (NodeId, String, NodeId, String);

struct Level<'t, 's> {
    names: std::collections::BTreeSet<&'t str>,
    /// A node without a readable id could be any that a connection names.
    nameless: bool,
    edges: BTreeMap<EdgeKey, ConnectionOrigin>,
    connections: Vec<Connection>,
    seen: &'s mut Seen,
    problems: &'s mut Problems,
}

impl Level<'_, '_> {
    /// Without `connections`, each node leads to the next.
    fn implied(&mut self, decoded: &[Decoded<'_>], nodes: &str) {
        for (index, pair) in decoded.windows(2).enumerate() {
            if let (Some(from), Some(to)) = (&pair[0].id, &pair[1].id) {
                let mut connection = Connection::new(from.clone(), to.clone());
                connection.origin = ConnectionOrigin::Implied {
                    pointer: format!("{nodes}/{}", index + 1),
                };
                self.seen.connections += 1;
                self.connections.push(connection);
            }
        }
    }

    fn listed(&mut self, place: &Place<'_>) {
        for item in place
            .items("a list of connections", self.problems)
            .unwrap_or_default()
        {
            match &item.tree.kind {
                Kind::Text(text) => self.chain(&item, &text.value),
                Kind::Object(_) => self.object(&item),
                Kind::Broken => {}
                _ => {
                    let message = format!(
                        "expected a connection such as `a -> b`, found {}",
                        item.tree.describe()
                    );
                    self.problems.push(item.error(codes::TYPE, message));
                }
            }
            if self.seen.connections > MAX_CONNECTIONS {
                if !std::mem::replace(&mut self.seen.too_many, true) {
                    let message =
                        format!("the workflow has more than {MAX_CONNECTIONS} connections");
                    self.problems
                        .push(item.error(codes::TOO_MANY_CONNECTIONS, message));
                }
                return;
            }
        }
    }

    fn object(&mut self, place: &Place<'_>) {
        let Some(fields) = place.fields(&fields::CONNECTION, self.problems) else {
            return;
        };
        let from = fields
            .get("from")
            .and_then(|place| self.end(&place, "port"));
        let to = fields.get("to").and_then(|place| self.end(&place, "input"));
        let port = self.port(fields.get("port"));
        let input = self.port(fields.get("input"));
        let condition = fields.expression("condition", self.problems);
        let closes_loop = fields.flag("loop", self.problems);
        let max_rounds = fields.count("max_rounds", self.problems);
        if let (Some(place), false) = (fields.get("max_rounds"), closes_loop) {
            let message = "`max_rounds` bounds a loop, and this connection closes none";
            let problem = Diagnostic::error(codes::NO_LOOP, place.pointer, message);
            self.problems
                .push(problem.at_key().hint("add `loop: true`, or remove it"));
        }
        if let (Some(from), Some(to), Some(port), Some(input)) = (from, to, port, input) {
            self.add(Connection {
                from,
                port,
                to,
                input,
                condition,
                closes_loop,
                max_rounds,
                origin: ConnectionOrigin::Object {
                    pointer: place.pointer.clone(),
                },
            });
        }
    }

    /// The node at one end of an object; `aside` is the field that a short form would fill.
    fn end(&mut self, place: &Place<'_>, aside: &str) -> Option<NodeId> {
        let text = place.text("the id of a node", self.problems)?;
        let sign = if aside == "port" { '.' } else { ':' };
        if let Some((name, rest)) = text.split_once(sign)
            && self.names.contains(name)
        {
            let message = format!("`{}` is not the id of a node", shown(text));
            let hint = format!("write the field `{aside}: {}` beside it", shown(rest));
            self.problems
                .push(place.error(codes::ID, message).hint(hint));
            return None;
        }
        self.known(text, 0..text.len(), place)
    }

    fn port(&mut self, place: Option<Place<'_>>) -> Option<String> {
        let Some(place) = place else {
            return Some(MAIN.to_owned());
        };
        let text = place.text("a string", self.problems)?;
        self.port_name(text, 0..text.len(), &place)
    }

    fn port_name(&mut self, text: &str, range: Range<usize>, place: &Place<'_>) -> Option<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if text.chars().all(fits)
            && !text.is_empty()
            && !text.starts_with('-')
            && text.len() <= nebula_core::MAX_ID_LEN
        {
            return Some(text.to_owned());
        }
        let message = format!("`{}` is not the name of a port or input", shown(text));
        let hint = "such a name has letters, digits, `_` and `-`";
        self.problems
            .push(place.error(codes::ID, message).range(range).hint(hint));
        None
    }

    /// The id of a node that exists at this level.
    fn known(&mut self, text: &str, range: Range<usize>, place: &Place<'_>) -> Option<NodeId> {
        if self.names.contains(text) {
            // A node whose id is no id is reported there.
            return NodeId::new(text).ok();
        }
        if let Err(error) = NodeId::new(text) {
            let inner = id_range(&error).map_or(range.clone(), |inner| {
                range.start + inner.start..range.start + inner.end
            });
            let problem = place.error(codes::ID, error.to_string());
            self.problems.push(problem.range(inner));
            return None;
        }
        if !self.nameless {
            let message = format!("there is no node `{}` here", shown(text));
            let near = self.problems.nearest(text, self.names.iter().copied());
            let problem = place.error(codes::UNKNOWN_NODE, message).range(range);
            let problem = match near {
                None if self.seen.ids.contains_key(text) => problem
                    .hint("a connection joins nodes of one level: the workflow's or a body's"),
                _ => problem.did_you_mean(near),
            };
            self.problems.push(problem);
        }
        None
    }

    /// Reads `a -> b.port -> c:input`.
    fn chain(&mut self, place: &Place<'_>, text: &str) {
        let mut ends = Vec::new();
        let mut at = 0;
        for part in text.split("->") {
            let start = at + part.len() - part.trim_start().len();
            let name = part.trim();
            ends.push(ChainEnd::read(name, start));
            at += part.len() + 2;
        }
        if ends.len() < 2 {
            let message = "a connection has two nodes, with `->` between them";
            let problem = place.error(codes::CONNECTION, message);
            self.problems
                .push(problem.hint("write it like `fetch -> price` or `fetch.error -> alarm`"));
            return;
        }
        let last = ends.len() - 1;
        let mut nodes = Vec::with_capacity(ends.len());
        for (index, end) in ends.iter().enumerate() {
            nodes.push(self.chain_end(end, index == 0, index == last, place));
        }
        for (pair, ends) in nodes.windows(2).zip(ends.windows(2)) {
            if let (Some((from, _, port)), Some((to, input, _))) = (&pair[0], &pair[1]) {
                let mut connection = Connection::new(from.clone(), to.clone());
                connection.port.clone_from(port);
                connection.input.clone_from(input);
                connection.origin = ConnectionOrigin::Chain {
                    pointer: place.pointer.clone(),
                    range: ends[0].range.start..ends[1].range.end,
                    to: ends[1].range.start,
                };
                self.add(connection);
            }
        }
    }

    /// Checks one node of a chain: its id, its input, its port.
    fn chain_end(
        &mut self,
        end: &ChainEnd<'_>,
        first: bool,
        last: bool,
        place: &Place<'_>,
    ) -> Option<(NodeId, String, String)> {
        let problem = |message: &str, range: &Range<usize>| {
            place.error(codes::CONNECTION, message).range(range.clone())
        };
        if end.range.is_empty() {
            let problem = place.error(codes::CONNECTION, "a node is missing beside `->`");
            self.problems
                .push(problem.hint("write it like `fetch -> price`"));
            return None;
        }
        if end.again {
            let message = "a node of a chain has at most one input and one port";
            let problem = problem(message, &end.range);
            self.problems
                .push(problem.hint("write it like `a -> b:input.port -> c`"));
            return None;
        }
        let node = self.known(
            end.node,
            end.range.start..end.range.start + end.node.len(),
            place,
        );
        let mut named = |part: &Option<(&str, Range<usize>)>, wrong: bool, message: &str| match part
        {
            None => Some(MAIN.to_owned()),
            Some((_, range)) if wrong => {
                self.problems.push(problem(message, range));
                None
            }
            Some((name, range)) => self.port_name(name, range.clone(), place),
        };
        let input = named(
            &end.input,
            first,
            "the first node of a chain only sends and has no input",
        );
        let port = named(
            &end.port,
            last,
            "the last node of a chain only receives and has no port",
        );
        Some((node?, input?, port?))
    }

    fn add(&mut self, connection: Connection) {
        self.seen.connections += 1;
        let origin = &connection.origin;
        let at = |code, message: String| {
            let problem = Diagnostic::error(code, origin.pointer(), message);
            match origin.range() {
                Some(range) => problem.range(range),
                None => problem,
            }
        };
        if connection.from == connection.to && !connection.closes_loop {
            let message = format!("node `{}` leads to itself", connection.from);
            self.problems.push(
                at(codes::SELF_CONNECTION, message)
                    .hint("a loop says so: write the connection as an object with `loop: true`"),
            );
            return;
        }
        let key = (
            connection.from.clone(),
            connection.port.clone(),
            connection.to.clone(),
            connection.input.clone(),
        );
        if let Some(first) = self.edges.get(&key) {
            let message = format!("`{}` leads to `{}` twice", connection.from, connection.to);
            self.problems.push(
                at(codes::DUPLICATE_CONNECTION, message)
                    .related(first.pointer(), "first here")
                    .hint("remove one; join two conditions with `||`"),
            );
            return;
        }
        self.edges.insert(key, connection.origin.clone());
        self.connections.push(connection);
    }
}

/// One node of a chain as text.
struct ChainEnd<'t> {
    /// All of it, in the string.
    range: Range<usize>,
    node: &'t str,
    input: Option<(&'t str, Range<usize>)>,
    port: Option<(&'t str, Range<usize>)>,
    /// It has two inputs or two ports.
    again: bool,
}

impl<'t> ChainEnd<'t> {
    fn read(text: &'t str, start: usize) -> Self {
        let sign = |c: char| matches!(c, ':' | '.');
        let cut = text.find(sign).unwrap_or(text.len());
        let mut end = Self {
            range: start..start + text.len(),
            node: &text[..cut],
            input: None,
            port: None,
            again: false,
        };
        let mut at = cut;
        while let Some(mark) = text[at..].chars().next() {
            let rest = &text[at + 1..];
            let name = &rest[..rest.find(sign).unwrap_or(rest.len())];
            let range = start + at + 1..start + at + 1 + name.len();
            let slot = if mark == ':' {
                &mut end.input
            } else {
                &mut end.port
            };
            end.again |= slot.replace((name, range)).is_some();
            at += 1 + name.len();
        }
        end
    }
}
