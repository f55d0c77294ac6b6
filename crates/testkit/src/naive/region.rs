//! Nodes and connections that belong together: a workflow, a body, or the part of a body that a
//! handler begins.

use std::collections::{BTreeMap, BTreeSet};

use nebula_workflow::{Connection, ERROR_PORT, MAIN, NodeDefinition, OnError};
use serde_json::{Value, json};

use super::{
    Ambiguous, Around, Ended, Failure, Lived, Naive, Result, SAME, Time,
    join::{Activated, Token, join},
    values,
};

/// Nodes and connections that belong together.
#[derive(Debug)]
pub(super) struct Region<'d> {
    pub(super) nodes: Vec<&'d NodeDefinition>,
    pub(super) connections: Vec<&'d Connection>,
}

/// How one activation of a node ended, for what follows.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) at: Time,
    /// When nothing of it runs any more.
    pub(super) over: Time,
    /// The result, or the failure; `None` if it was skipped or given up.
    pub(super) ended: Option<std::result::Result<(String, Value), Failure>>,
    /// Whether it was given up.
    pub(super) given_up: bool,
    /// Whether its success has an effect that can be undone.
    pub(super) undoable: bool,
}

impl Done {
    pub(super) fn new(at: Time, ended: std::result::Result<(String, Value), Failure>) -> Self {
        Self {
            ended: Some(ended),
            ..Self::skipped(at)
        }
    }

    pub(super) fn skipped(at: Time) -> Self {
        Self {
            at,
            over: at,
            ended: None,
            given_up: false,
            undoable: false,
        }
    }

    fn given_up(at: Time) -> Self {
        Self {
            given_up: true,
            ..Self::skipped(at)
        }
    }
}

/// What became of a region.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// When nothing of it was left.
    pub(super) over: Time,
    /// The last result of each node that gave one, and when.
    pub(super) results: BTreeMap<String, (Time, Value)>,
    /// The first failure that nobody handled.
    pub(super) failure: Option<(Time, Failure)>,
    /// The instance that it came from.
    pub(super) failed_at: Vec<String>,
    /// The first result of an end node.
    pub(super) first: Option<First>,
    /// Whether another one gave a result at the same time.
    pub(super) tied: bool,
}

/// The first result of an end node.
#[derive(Debug, Clone)]
pub(super) struct First {
    pub(super) at: Time,
    pub(super) node: String,
    pub(super) instance: String,
    pub(super) value: Value,
}

/// A region on its way.
struct Walk<'w, 'd> {
    region: &'w Region<'d>,
    around: Around,
    /// What it begins with, and when.
    json: &'w Value,
    at: Time,
    /// Tokens by the number of their connection.
    tokens: BTreeMap<usize, Vec<Token>>,
    /// How often each node was activated.
    counts: BTreeMap<String, u32>,
    ran: Ran,
}

impl<'d> Region<'d> {
    pub(super) fn new(nodes: &'d [NodeDefinition], connections: &'d [Connection]) -> Self {
        Self {
            nodes: nodes.iter().collect(),
            connections: connections.iter().collect(),
        }
    }

    /// The same without some of its nodes.
    pub(super) fn only(&self, keeps: impl Fn(&str) -> bool) -> Self {
        let nodes = self.nodes.iter().copied();
        let connections = self.connections.iter().copied();
        Self {
            nodes: nodes.filter(|node| keeps(node.id.as_str())).collect(),
            connections: connections
                .filter(|it| keeps(it.from.as_str()) && keeps(it.to.as_str()))
                .collect(),
        }
    }

    /// The nodes that some path leads to from `from`, itself included; without those that go back.
    pub(super) fn behind(&self, from: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::from([from.to_owned()]);
        loop {
            let before = found.len();
            for it in self.connections.iter().filter(|it| !it.closes_loop) {
                if found.contains(it.from.as_str()) {
                    found.insert(it.to.to_string());
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// The nodes that are repeated together with `entry`; none if it begins no loop.
    fn loop_at(&self, entry: &str) -> BTreeSet<String> {
        let back = self
            .connections
            .iter()
            .filter(|it| it.closes_loop && it.to.as_str() == entry);
        let last: Vec<_> = back.map(|it| it.from.to_string()).collect();
        let reached = self.behind(entry).into_iter();
        let leads = |node: &String| {
            let behind = self.behind(node);
            last.iter().any(|last| behind.contains(last))
        };
        reached.filter(leads).collect()
    }

    /// Whether a failure of `node` goes on by its port `error`.
    fn routes(&self, node: &NodeDefinition) -> bool {
        let mut connections = self.connections.iter();
        let connected = connections.any(|it| it.from == node.id && it.port == ERROR_PORT);
        connected || node.on_error == OnError::Route
    }

    /// The nodes that nothing follows: no connection leaves them or their loop.
    fn ends(&self) -> Vec<&str> {
        let loops: Vec<_> = self
            .nodes
            .iter()
            .map(|node| self.loop_at(node.id.as_str()))
            .collect();
        let group = |id: &str| {
            let within = loops.iter().find(|group| group.contains(id));
            within
                .cloned()
                .unwrap_or_else(|| BTreeSet::from([id.to_owned()]))
        };
        let is_end = |id: &str| {
            let group = group(id);
            let mut leaving = self
                .connections
                .iter()
                .filter(|it| group.contains(it.from.as_str()));
            let stays = leaving.all(|it| group.contains(it.to.as_str()));
            let own = self
                .connections
                .iter()
                .any(|it| !it.closes_loop && it.from.as_str() == id);
            stays && !own
        };
        let ids = self.nodes.iter().map(|node| node.id.as_str());
        ids.filter(|id| is_end(id)).collect()
    }

    /// What a region gives that came to its end by itself.
    pub(super) fn output(&self, ran: &Ran) -> Value {
        let result = |id: &str| ran.results.get(id).map(|(_, value)| value.clone());
        match self.ends().as_slice() {
            [only] => result(only).unwrap_or_default(),
            several => {
                let results = several
                    .iter()
                    .filter_map(|id| Some(((*id).to_owned(), result(id)?)));
                Value::Object(results.collect())
            }
        }
    }
}

impl Naive<'_> {
    /// Runs a region that begins at `at` with `json`.
    pub(super) fn run(
        &mut self,
        region: &Region<'_>,
        around: &Around,
        json: &Value,
        at: Time,
    ) -> Result<Ran> {
        let mut walk = Walk {
            region,
            around: around.clone(),
            json,
            at,
            tokens: BTreeMap::new(),
            counts: BTreeMap::new(),
            ran: Ran {
                over: at,
                ..Ran::default()
            },
        };
        for node in &region.nodes {
            let instance = format!("{}{}", around.path, node.id);
            let instances = &mut walk.around.instances;
            instances.insert(node.id.to_string(), instance);
        }
        let mut left = region.nodes.clone();
        while !left.is_empty() {
            let (next, within) = walk.next(&left);
            let node = left[next];
            if within.is_empty() {
                for activated in walk.activated(node, |it| !it.closes_loop)? {
                    self.activate(&mut walk, node, &activated, None)?;
                }
                left.remove(next);
            } else {
                self.rounds(&mut walk, node, &within)?;
                left.retain(|node| !within.contains(node.id.as_str()));
            }
        }
        Ok(walk.ran)
    }

    /// The rounds of the loop that `entry` begins.
    fn rounds(
        &mut self,
        walk: &mut Walk<'_, '_>,
        entry: &NodeDefinition,
        within: &BTreeSet<String>,
    ) -> Result<()> {
        let region = walk.region;
        let edges = || region.connections.iter().enumerate();
        let back = |it: &Connection| it.closes_loop && it.to == entry.id;
        let leaves =
            |it: &Connection| within.contains(it.from.as_str()) && !within.contains(it.to.as_str());
        let limits = edges()
            .filter(|(_, it)| back(it))
            .filter_map(|(_, it)| it.max_rounds);
        let limit = limits.min().unwrap_or(1_000);
        let mut exits: BTreeMap<usize, Value> = BTreeMap::new();
        let first = walk.activated(entry, |it| !it.closes_loop)?;
        let [mut begins] = first.try_into().expect("a loop begins once");
        for round in 1.. {
            let too_long = Failure {
                code: "LOOP_TOO_LONG".to_owned(),
                message: String::new(),
                class: "limit",
                node: entry.id.to_string(),
            };
            let too_long = (round > limit).then_some(too_long);
            let mut over = begins.at;
            over = over.max(self.activate(walk, entry, &begins, too_long)?);
            let mut left: Vec<_> = region.nodes.clone();
            left.retain(|it| within.contains(it.id.as_str()) && it.id != entry.id);
            while !left.is_empty() {
                let open = |id: &str| left.iter().any(|it| it.id.as_str() == id);
                let waits = |node: &NodeDefinition| {
                    edges().any(|(_, it)| it.to == node.id && open(it.from.as_str()))
                };
                let next = left.iter().position(|node| !waits(node));
                let node = left.remove(next.expect("a round has no cycle"));
                for activated in walk.activated(node, |it| !it.closes_loop)? {
                    over = over.max(self.activate(walk, node, &activated, None)?);
                }
            }
            let mut again = Vec::new();
            for (edge, it) in edges().filter(|(_, it)| within.contains(it.from.as_str())) {
                let tokens = walk.tokens.remove(&edge).unwrap_or_default();
                for value in tokens.into_iter().filter_map(|token| token.live) {
                    if leaves(it) {
                        exits.insert(edge, value);
                    } else if back(it) {
                        again.push((edge, value));
                    }
                }
            }
            begins = Activated {
                at: over,
                live: again,
                starts: false,
            };
            if begins.live.is_empty() || round > limit {
                for (edge, _) in edges().filter(|(_, it)| leaves(it)) {
                    let live = exits.remove(&edge);
                    walk.tokens.insert(edge, vec![Token { at: over, live }]);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// One activation of a node, and the tokens that it sends; says when nothing of it
    /// runs any more.
    fn activate(
        &mut self,
        walk: &mut Walk<'_, '_>,
        node: &NodeDefinition,
        activated: &Activated,
        fails: Option<Failure>,
    ) -> Result<Time> {
        let id = node.id.as_str();
        let count = walk.counts.entry(id.to_owned()).or_default();
        *count += 1;
        let mut instance = format!("{}{id}", walk.around.path);
        let given_up = self.known.given_up.get(&instance).copied();
        if *count > 1 {
            instance = format!("{instance}#{count}");
        }
        let inputs = activated.live.iter().map(|(edge, value)| {
            let connection = walk.region.connections[*edge];
            (connection.input.clone(), value.clone())
        });
        let inputs: Vec<_> = inputs.collect();
        let main = inputs.iter().find(|(input, _)| input == MAIN);
        let json = match main {
            Some((_, value)) => value.clone(),
            None if activated.starts => walk.json.clone(),
            None => Value::Null,
        };
        let starts = activated.starts || !inputs.is_empty();
        if given_up.is_some_and(|at| at.abs_diff(activated.at) < SAME) {
            return Err(Ambiguous);
        }
        let mut done = if given_up.is_some_and(|at| at < activated.at) {
            Done::given_up(activated.at)
        } else if let Some(failure) = fails {
            Done::new(activated.at, Err(failure))
        } else if !starts {
            Done::skipped(activated.at)
        } else {
            let given = (&json, inputs.as_slice());
            self.node(node, &walk.around, &instance, given, activated.at)?
        };
        if let Some(at) = given_up.filter(|at| *at < done.over + SAME && !done.given_up) {
            if at + SAME > done.at {
                return Err(Ambiguous);
            }
            self.cut(&format!("{instance}/"), at, &[]);
            self.cut(&format!("{instance}["), at, &[]);
            done = Done::given_up(at);
        }
        let ended = match &done.ended {
            // Tokens that are dead may have skipped what was given up.
            None if done.given_up && !starts => Ended::Unsaid,
            None if done.given_up => Ended::Cancelled,
            None => Ended::Skipped,
            Some(Ok(_)) => Ended::Succeeded,
            Some(Err(_)) => Ended::Failed,
        };
        let lived = Lived {
            began: activated.at,
            until: done.at,
            ended,
            undoable: done.undoable,
        };
        self.log.insert(instance.clone(), lived);
        let ends = &mut walk.around.ends;
        ends.insert(id.to_owned(), (done.at, ended));
        walk.settle(node, &instance, &done)?;
        let over = done.over;
        self.send(walk, node, &json, &inputs, done);
        Ok(over)
    }

    /// Puts a token on every connection that leaves a node.
    fn send(
        &self,
        walk: &mut Walk<'_, '_>,
        node: &NodeDefinition,
        json: &Value,
        inputs: &[(String, Value)],
        done: Done,
    ) {
        let routed = walk.region.routes(node);
        let sent = match done.ended {
            None => None,
            Some(Ok((port, value))) => Some((port, value.clone(), value)),
            Some(Err(failure)) if routed => {
                let value = failure.value();
                Some((ERROR_PORT.to_owned(), value.clone(), value))
            }
            Some(Err(failure)) if node.on_error == OnError::Continue => {
                Some((MAIN.to_owned(), Value::Null, failure.value()))
            }
            Some(Err(_)) => None,
        };
        let seen = sent.as_ref().map(|(_, _, shown)| {
            let mut seen = values::seen(self, &walk.around, json, inputs);
            seen["json"] = shown.clone();
            seen
        });
        let edges = walk.region.connections.iter().enumerate();
        for (edge, it) in edges.filter(|(_, it)| it.from == node.id) {
            let live = sent
                .as_ref()
                .zip(seen.as_ref())
                .and_then(|((port, value, _), seen)| {
                    let condition = it.condition.as_ref();
                    let taken = condition
                        .is_none_or(|condition| values::holds(&condition.source, seen) == Ok(true));
                    (it.port == *port && taken).then(|| value.clone())
                });
            let token = Token { at: done.at, live };
            walk.tokens.entry(edge).or_default().push(token);
        }
    }
}

impl Walk<'_, '_> {
    /// The first of the nodes that are left for which everything before it is done, with the loop
    /// that it begins.
    fn next(&self, left: &[&NodeDefinition]) -> (usize, BTreeSet<String>) {
        let open = |id: &str| left.iter().any(|it| it.id.as_str() == id);
        for (at, node) in left.iter().enumerate() {
            let within = self.region.loop_at(node.id.as_str());
            let waits = self.region.connections.iter().any(|it| {
                it.to == node.id && !within.contains(it.from.as_str()) && open(it.from.as_str())
            });
            if !waits {
                return (at, within);
            }
        }
        panic!("a plan has no cycle but its loops")
    }

    /// The activations of a node by the tokens on its connections.
    fn activated(
        &mut self,
        node: &NodeDefinition,
        counts: impl Fn(&Connection) -> bool,
    ) -> Result<Vec<Activated>> {
        let edges = self.region.connections.iter().enumerate();
        let mut edges: Vec<_> = edges
            .filter(|(_, it)| it.to == node.id && counts(it))
            .collect();
        // Inputs stand in the order of the nodes that they come from.
        edges.sort_by_key(|(_, it)| self.region.nodes.iter().position(|node| node.id == it.from));
        let queues: Vec<_> = edges
            .into_iter()
            .map(|(edge, _)| {
                let mut queue = self.tokens.remove(&edge).unwrap_or_default();
                queue.sort_by_key(|token| token.at);
                (edge, queue)
            })
            .collect();
        if queues.is_empty() {
            return Ok(vec![Activated {
                at: self.at,
                live: Vec::new(),
                starts: true,
            }]);
        }
        join(node.join, &queues)
    }

    /// Notes how an activation ended.
    fn settle(&mut self, node: &NodeDefinition, instance: &str, done: &Done) -> Result<()> {
        let id = node.id.to_string();
        let seen = match &done.ended {
            None if done.given_up => json!({ "status": "cancelled" }),
            None => json!({ "status": "skipped" }),
            Some(Ok((_, value))) => json!({ "status": "succeeded", "result": value }),
            Some(Err(failure)) => json!({ "status": "failed", "error": failure.value() }),
        };
        self.around.nodes.insert(id.clone(), seen);
        let ran = &mut self.ran;
        ran.over = ran.over.max(done.over);
        match &done.ended {
            Some(Ok((_, value))) => {
                ran.results.insert(id.clone(), (done.at, value.clone()));
                let leads = self.region.connections.iter().any(|it| it.from == node.id);
                let first = ran.first.as_ref().map(|first| first.at);
                if !leads {
                    ran.tied = match first {
                        Some(first) if first.abs_diff(done.at) < SAME => true,
                        Some(first) if first < done.at => ran.tied,
                        _ => false,
                    };
                    if first.is_none_or(|first| done.at < first) {
                        ran.first = Some(First {
                            at: done.at,
                            node: id,
                            instance: instance.to_owned(),
                            value: value.clone(),
                        });
                    }
                }
                Ok(())
            }
            Some(Err(failure))
                if !self.region.routes(node) && node.on_error != OnError::Continue =>
            {
                match &ran.failure {
                    Some((at, other)) if at.abs_diff(done.at) < SAME => {
                        if other.code != failure.code {
                            return Err(Ambiguous);
                        }
                        ran.failed_at.push(instance.to_owned());
                    }
                    Some((at, _)) if *at < done.at => {}
                    _ => {
                        ran.failure = Some((done.at, failure.clone()));
                        ran.failed_at = vec![instance.to_owned()];
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
