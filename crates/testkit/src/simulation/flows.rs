//! Definitions that a seed makes up: connections, joins, bodies, waits, signals, calls and effects of
//! every class. Whatever the seed, the definition has a plan. What consists of several nodes is in
//! `chains.rs`, how executions begin in `turns.rs`.

mod chains;
mod turns;

use nebula_workflow::{Source, WorkflowDefinition, parse};
use serde_json::{Map, Value, json};

use super::{
    credentials::{LEAKS, SLOT, credential_of},
    outside::ACTIONS,
};
use crate::SeededEntropy;

/// The most nodes of a definition, those in bodies not counted, and of a body.
const MAX_NODES: (u64, u64) = (7, 3);

/// How deep bodies are.
const MAX_DEPTH: u64 = 2;

/// How many workflows there are that others call.
pub(super) const CALLEES: u64 = 3;

/// A definition, and what somebody outside has to say so that it ends.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) definition: WorkflowDefinition,
    /// A later version, which comes to the same; executions may be moved to it.
    pub(super) later: Option<WorkflowDefinition>,
    /// Names of the signals that it waits for.
    pub(super) signals: Vec<String>,
    /// Whether its result follows from its input alone.
    pub(super) decided: bool,
    /// Whether it calls others.
    pub(super) calls: bool,
}

/// How the names of signals begin that make a list grow.
const MORE: &str = "more_";

/// What signals of this name bring: the same in every world.
pub(super) fn payload(name: &str) -> Value {
    match name.strip_prefix(MORE) {
        Some(_) => json!({ "items": [{ "v": 3 }, { "v": 8 }], "last": true }),
        None => json!({ "v": name.len() * 7 }),
    }
}

/// The id of a workflow that others call.
pub(super) fn callee(number: u64) -> String {
    format!("callee-{number}")
}

struct Maker<'e> {
    chance: &'e SeededEntropy,
    /// Decides which nodes use credentials, where any does.
    credentials: Option<SeededEntropy>,
    /// What the flows of this world have more of than others.
    theme: Option<Kind>,
    ids: u64,
    depth: u64,
    /// Whether it may call others, and wait for signals.
    caller: bool,
    /// Whether it stands in a body that holds a lock.
    locked: bool,
    decided: bool,
    calls: bool,
    signals: Vec<String>,
}

impl Flow {
    /// A definition with this id; what is called itself calls nobody and waits for nobody.
    pub(super) fn make(
        id: &str,
        caller: bool,
        theme: Option<Kind>,
        chance: &SeededEntropy,
        credentials: Option<SeededEntropy>,
    ) -> Self {
        let mut maker = Maker {
            chance,
            credentials,
            theme,
            ids: 0,
            depth: 0,
            caller,
            locked: false,
            decided: true,
            calls: false,
            signals: Vec::new(),
        };
        let mut definition = maker.region(1 + chance.below(MAX_NODES.0));
        let ids: Vec<_> = nodes_of(&definition);
        let output: Map<_, _> = ids
            .iter()
            .map(|id| (id.clone(), json!(format!("{{{{ $nodes.{id}?.result }}}}"))))
            .collect();
        definition["id"] = json!(id);
        definition["output"] = json!(output);
        definition["limits"] = json!({ "concurrency": 1 + chance.below(4) });
        maker.turns(&mut definition);
        let later = (caller && chance.chance(25)).then(|| parsed(&maker.later(&definition)));
        Self {
            definition: parsed(&definition),
            later,
            signals: maker.signals,
            decided: maker.decided,
            calls: maker.calls,
        }
    }
}

fn parsed(definition: &Value) -> WorkflowDefinition {
    let parsed = parse(&Source::new("flow.json", definition.to_string()));
    parsed
        .definition
        .unwrap_or_else(|| panic!("{:#?}\n{definition:#}", parsed.diagnostics))
}

/// Whether a node, or one in its body, can only run in the execution whose node it is.
fn needs_its_execution(node: &Value) -> bool {
    let inner = node["body"]["nodes"].as_array().into_iter().flatten();
    let kind = node["action"].as_str().unwrap_or_default();
    let bound = ["flow.milestone", "flow.cancel", "flow.stop", "flow.respond"];
    node.get("compensate").is_some()
        || bound.contains(&kind)
        || kind == "flow.wait" && node["parameters"].get("signal").is_some()
        || inner.clone().any(needs_its_execution)
}

fn nodes_of(region: &Value) -> Vec<String> {
    let nodes = region["nodes"].as_array().into_iter().flatten();
    nodes
        .filter_map(|node| Some(node["id"].as_str()?.to_owned()))
        .collect()
}

/// The number that a value stands for, whatever it is.
fn number_of(value: &str) -> String {
    format!("({value}?.v ?? JSON.stringify({value} ?? 0).length)")
}

/// What a node may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Set,
    Wait,
    Signal,
    Effect,
    Items,
    Emit,
    If,
    Fail,
    Again,
    Batches,
    Tokens,
    Milestone,
    Call,
    Approval,
    Body(&'static str),
}

/// What a world may have much of.
const THEMES: &[Kind] = &[
    Kind::Wait,
    Kind::Signal,
    Kind::Effect,
    Kind::Items,
    Kind::Batches,
    Kind::Tokens,
    Kind::Milestone,
    Kind::Call,
    Kind::Body("flow.for_each"),
    Kind::Body("flow.try"),
    Kind::Body("flow.mutex"),
    Kind::Body("flow.mutex"),
];

/// What the flows of a world have more of than others, if anything.
pub(super) fn theme(chance: &SeededEntropy) -> Option<Kind> {
    chance.chance(35).then(|| *chance.pick(THEMES))
}

/// Bodies by how often they come.
const BODIES: &[&str] = &[
    "flow.for_each",
    "flow.for_each",
    "flow.loop",
    "flow.parallel",
    "flow.race",
    "flow.try",
    "flow.try",
    "flow.mutex",
    "flow.semaphore",
];

impl Maker<'_> {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("n{}", self.ids)
    }

    /// Nodes and the connections between them.
    fn region(&mut self, count: u64) -> Value {
        let (mut nodes, mut connections) = (Vec::<Value>::new(), Vec::<Value>::new());
        // Those that nodes after them may lead from, with their ports.
        let mut exits: Vec<(String, Vec<&'static str>)> = Vec::new();
        // Those that milestones may name.
        let mut askable: Vec<String> = Vec::new();
        for _ in 0..count {
            let kind = match self.kind() {
                Kind::Milestone if askable.is_empty() => Kind::Effect,
                kind => kind,
            };
            let id = self.id();
            let mut before: Vec<usize> = Vec::new();
            if !exits.is_empty() {
                for _ in 0..*self.chance.pick(&[0, 1, 1, 1, 2, 3]) {
                    before.push(self.below(exits.len()));
                }
                before.sort_unstable();
                before.dedup();
            }
            if matches!(kind, Kind::Again | Kind::Batches) {
                before.truncate(1);
            }
            for from in &before {
                let (from, ports) = &exits[*from];
                let port = self.chance.pick(ports);
                let mut connection = json!({ "from": from, "port": port, "to": id });
                if self.chance.chance(15) {
                    connection["condition"] = json!(format!("{} % 2 == 0", number_of("$json")));
                }
                connections.push(connection);
            }
            let came: Vec<_> = before.iter().map(|from| exits[*from].0.as_str()).collect();
            let sum = self.sum(&came);
            let mut node = json!({ "id": id });
            if before.len() > 1 && self.chance.chance(15) {
                // Which comes first is chance.
                self.decided = false;
                node["join"] = match self.chance.below(3) {
                    0 => json!("any"),
                    1 => json!({ "count": 2, "rest": "absorb" }),
                    _ => json!({ "count": 1, "rest": "cancel" }),
                };
            }
            match kind {
                Kind::Milestone => self.milestone(&mut node, &askable),
                // These run more than once.
                Kind::Again | Kind::Batches | Kind::Tokens => {}
                _ => askable.push(id.clone()),
            }
            let ports = self.node(&mut node, kind, &sum, (&mut nodes, &mut connections));
            let last = nodes.last().expect("it was written just now")["id"].clone();
            exits.push((last.as_str().unwrap_or_default().to_owned(), ports));
        }
        json!({ "nodes": nodes, "connections": connections })
    }

    fn below(&self, length: usize) -> usize {
        usize::try_from(self.chance.below(length as u64)).expect("below a length")
    }

    /// The sum of what came, or what the region begins with.
    fn sum(&self, came: &[&str]) -> String {
        if came.is_empty() {
            let begins = if self.depth == 0 { "$input.n" } else { "$json" };
            return number_of(begins);
        }
        let values = came
            .iter()
            .map(|id| number_of(&format!("$nodes.{id}?.result")));
        values.collect::<Vec<_>>().join(" + ")
    }

    fn kind(&self) -> Kind {
        match self.theme.filter(|_| self.chance.chance(40)) {
            Some(theme) if self.may_have(theme) => theme,
            _ => self.any_kind(),
        }
    }

    /// Whether a node of this kind has its place here.
    fn may_have(&self, kind: Kind) -> bool {
        let top = self.depth == 0;
        match kind {
            Kind::Signal | Kind::Approval => top && self.caller,
            Kind::Again | Kind::Batches => top,
            Kind::Call => self.caller && !self.locked,
            Kind::Body("flow.mutex" | "flow.semaphore") => {
                self.caller && !self.locked && self.depth < MAX_DEPTH
            }
            Kind::Body(_) => self.depth < MAX_DEPTH,
            _ => true,
        }
    }

    fn any_kind(&self) -> Kind {
        let kind = match self.chance.below(100) {
            0..12 => Kind::Set,
            12..20 => Kind::Wait,
            20..24 => Kind::Signal,
            24..54 => Kind::Effect,
            54..56 => Kind::Tokens,
            56..58 => Kind::Milestone,
            58..63 => Kind::Items,
            63..66 => Kind::Emit,
            66..70 => Kind::If,
            70..73 => Kind::Fail,
            73..75 => Kind::Again,
            75..77 => Kind::Batches,
            77..81 => Kind::Call,
            81..83 => Kind::Approval,
            _ => Kind::Body(self.chance.pick::<&str>(BODIES)),
        };
        match self.may_have(kind) {
            true => kind,
            false => Kind::Effect,
        }
    }

    /// Writes a node; gives the ports by which it may be left.
    fn node(
        &mut self,
        node: &mut Value,
        kind: Kind,
        sum: &str,
        (nodes, connections): (&mut Vec<Value>, &mut Vec<Value>),
    ) -> Vec<&'static str> {
        let chance = self.chance;
        let id = node["id"].as_str().unwrap_or_default().to_owned();
        let mut ports = vec!["main"];
        match kind {
            Kind::Set => {
                node["action"] = json!("data.set");
                node["parameters"] =
                    json!({ "v": format!("{{{{ ({sum} + {}) % 1000 }}}}", self.ids) });
            }
            Kind::Wait => {
                let millis = *chance.pick(&[50, 500, 900, 3_000, 20_000]) + chance.below(50);
                node["action"] = json!("flow.wait");
                node["parameters"] = json!({ "for": format!("{millis}ms") });
            }
            Kind::Signal => {
                let name = format!("s_{id}");
                node["action"] = json!("flow.wait");
                node["parameters"] = json!({ "signal": name });
                self.signals.push(name);
            }
            Kind::Effect => self.effect(node, sum, false),
            Kind::Items => {
                self.effect(node, "{{ $item }}", true);
                node["for_each"] = json!(format!("[1, 2, 3, 4].map(k => k + {sum})"));
                node["concurrency"] = json!(1 + chance.below(3));
                self.completes(node);
                self.distributes(node);
            }
            Kind::Emit => {
                node["action"] = json!("flow.emit");
                node["parameters"] =
                    json!({ "event": "tick", "payload": { "v": format!("{{{{ {sum} }}}}") } });
            }
            Kind::If => {
                ports = vec!["true", "false"];
                node["action"] = json!("flow.if");
                node["parameters"] = json!({ "condition": format!("({sum}) % 2 == 0") });
            }
            Kind::Fail => {
                node["action"] = json!("flow.fail");
                node["parameters"] = json!({ "message": "no", "code": "SIM_NO" });
                self.failure(node, &mut ports, 20);
            }
            Kind::Again => return self.again(node, &id, (nodes, connections)),
            Kind::Batches => return self.batches(node, &id, sum, (nodes, connections)),
            Kind::Tokens => return self.tokens(node, &id, (nodes, connections)),
            Kind::Milestone => ports.push("expired"),
            Kind::Call => {
                let wait = chance.chance(75);
                self.calls = true;
                node["action"] = json!("flow.call");
                let input = json!({ "n": format!("{{{{ ({sum}) % 50 }}}}") });
                node["parameters"] = json!({ "workflow": callee(chance.below(CALLEES)), "input": input, "wait": wait });
                // What a callee comes to may be chance, and the id of a detached one is.
                self.decided = false;
                self.failure(node, &mut ports, 40);
            }
            Kind::Approval => {
                ports = vec!["approve"];
                node["action"] = json!("flow.approval");
                node["parameters"] = json!({ "title": "may it?", "quorum": 1 + chance.below(2) });
                // Who says so when is in the result.
                self.decided = false;
            }
            Kind::Body(action) => {
                self.body(node, action);
                self.failure(node, &mut ports, 40);
            }
        }
        nodes.push(node.clone());
        ports
    }

    /// What follows from a failure of a node: `percent` times in a hundred that of the whole region.
    fn failure(&mut self, node: &mut Value, ports: &mut Vec<&'static str>, percent: u64) {
        if self.chance.chance(percent) {
            // What runs beside it is stopped, as far as it has come.
            self.decided = false;
        } else if self.chance.chance(50) {
            node["on_error"] = json!("continue");
        } else {
            node["on_error"] = json!("route");
            ports.push("error");
        }
    }

    fn effect(&mut self, node: &mut Value, sum: &str, list: bool) {
        let chance = self.chance;
        let (action, ..) = chance.pick(ACTIONS);
        node["action"] = json!(action);
        let input = if list {
            sum.to_owned()
        } else {
            format!("{{{{ {sum} }}}}")
        };
        let mut parameters = json!({
            "label": node["id"],
            "input": input,
            "millis": *chance.pick(&[0, 0, 0, 5, 200, 900, 4_000, 15_000]),
            "late": chance.chance(30),
        });
        if chance.chance(25) {
            parameters["fails"] = json!(1 + chance.below(2));
        }
        if chance.chance(8) {
            parameters["hangs"] = json!(1);
            // What is not hung ends within the time limit.
            parameters["millis"] = json!(*chance.pick(&[0, 5, 4_000]));
            node["timeout"] = json!("12s");
        }
        node["retry"] = json!({ "max_attempts": 50, "backoff": "exponential", "initial": "100ms", "max": "5s", "jitter": "full" });
        node["parameters"] = parameters;
        self.holds(node, action);
        if *action != "sim.read" && chance.chance(20) {
            let (undo, ..) = chance.pick(&ACTIONS[1..]);
            node["compensate"] = json!({
                "action": undo,
                "parameters": {
                    "label": format!("undo {}", node["id"].as_str().unwrap_or_default()),
                    "input": format!("{{{{ {} }}}}", number_of("$json")),
                    "millis": *chance.pick(&[0, 100, 2_000]),
                    "fails": chance.below(2),
                },
                "retry": { "max_attempts": 5, "initial": "200ms" },
            });
            self.holds(&mut node["compensate"], undo);
            if node["compensate"].get("credentials").is_some() {
                // What cannot be opened now can be later.
                node["compensate"]["retry"]["max_attempts"] = json!(50);
            }
        }
    }

    /// Whether a node uses a credential, and how carelessly. What has little time does not: it would be
    /// over when that is open.
    fn holds(&self, node: &mut Value, action: &str) {
        let chance = match &self.credentials {
            Some(chance) if node.get("timeout").is_none() && chance.chance(50) => chance,
            _ => return,
        };
        node["credentials"] = json!({ SLOT: credential_of(action) });
        node["parameters"]["leaks"] = json!(*chance.pick(LEAKS));
    }

    fn body(&mut self, node: &mut Value, action: &str) {
        let chance = self.chance;
        let locks = matches!(action, "flow.mutex" | "flow.semaphore");
        let mut timed = json!({});
        if chance.chance(10) {
            timed["timeout"] = json!(format!("{}s", 2 + chance.below(20)));
        }
        let grows =
            self.caller && self.depth == 0 && action == "flow.for_each" && chance.chance(30);
        self.depth += 1;
        self.locked |= locks;
        let mut body = match locks && self.is_theme(action) {
            true => self.one_by_one(),
            false => self.region(1 + chance.below(MAX_NODES.1)),
        };
        let parameters = match action {
            "flow.for_each" => {
                node["concurrency"] = json!(1 + chance.below(3));
                if chance.chance(30) {
                    node["on_item_error"] = json!("collect");
                }
                let mut list = json!({ "items": (0..chance.below(5)).collect::<Vec<_>>() });
                if grows {
                    let name = format!("{MORE}{}", node["id"].as_str().unwrap_or_default());
                    list["more"] = json!(name);
                    self.signals.push(name);
                } else {
                    self.completes(node);
                }
                list
            }
            "flow.loop" => {
                let mut looped = json!({ "times": 1 + chance.below(3) });
                if chance.chance(40) {
                    looped["delay"] = json!("700ms");
                }
                looped
            }
            "flow.try" => {
                let (mend, last) = (self.id(), self.id());
                let mut held =
                    vec![json!({ "id": mend, "action": "data.set", "parameters": { "v": 7 } })];
                timed["catch"] = json!({ &mend: "$json.code != 'NEVER'" });
                if chance.chance(50) {
                    timed["finally"] = json!(last);
                    let mut inner = json!({ "id": last });
                    self.effect(&mut inner, "1", false);
                    held.push(inner);
                }
                timed["compensate"] = json!(chance.chance(25));
                if let Value::Array(nodes) = &mut body["nodes"] {
                    nodes.extend(held);
                }
                timed.clone()
            }
            "flow.mutex" => {
                json!({ "name": format!("m{}", chance.below(if self.is_theme(action) { 1 } else { 2 })), "when_lost": *chance.pick(&["wait", "wait", "fail"]) })
            }
            "flow.semaphore" => json!({ "name": "pool", "permits": 2 }),
            _ => timed.clone(),
        };
        let timeless = parameters.get("timeout").is_none() && parameters["when_lost"] != "fail";
        if action == "flow.race" || !timeless {
            self.decided = false;
        }
        self.depth -= 1;
        self.locked &= !locks;
        node["action"] = json!(action);
        node["parameters"] = parameters;
        node["body"] = body;
        if action == "flow.for_each" {
            self.distributes(node);
        }
    }

    /// Whether other executions run parts of a list, where they can.
    fn distributes(&self, node: &mut Value) {
        let top = self.depth == 0 && self.caller;
        let whole = node.get("complete_when").is_none() && node["parameters"].get("more").is_none();
        if top && whole && !needs_its_execution(node) && self.chance.chance(40) {
            node["distribute"] = json!(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_definition_and_definitions_differ() {
        let text = |seed| {
            let flow = Flow::make("x", true, None, &SeededEntropy::new(seed), None);
            format!("{:?}", flow.definition)
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
