//! Random workflows: a shape is what proptest makes and shrinks, and a definition is written from it.
//!
//! Whatever the shape says, the definition has a plan: what does not fit is left out.

use proptest::{collection::vec, option, prelude::*, strategy::BoxedStrategy};
use serde_json::{Value, json};

/// Spans of waits, in seconds: sums of different ones are rarely equal.
const SPANS: [u64; 8] = [2, 3, 7, 13, 29, 53, 97, 193];

/// How many workflows there are that can be called.
pub(crate) const CALLEES: u8 = 2;

/// How often a node is activated at most.
pub(crate) const MAX_RATE: u32 = 4;

/// One node, or some that belong together.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    kind: Kind,
    /// Which of the nodes before it lead to it: one bit each, the nearest first.
    from: u8,
    /// Which port, or which condition, of each of them.
    ways: u8,
    join: u8,
    /// No `when`, or one that may hold; or `disabled`, or pinned.
    gate: u8,
    on_error: u8,
    n: u8,
}

#[derive(Debug, Clone)]
enum Kind {
    Set,
    Emit,
    Wait(usize),
    Signal {
        sent: bool,
    },
    Flaky {
        fails: u8,
        tries: u8,
        linear: bool,
        /// Whether its effect is undone, should the execution not complete.
        undone: bool,
    },
    Fail,
    /// What is decided when its time is over, or without that by people.
    Approval {
        decision: u8,
        expires: Option<usize>,
    },
    /// Which of the nodes that may be given up it gives up; without that, the execution.
    Cancel {
        whom: Option<u8>,
    },
    Call {
        callee: u8,
        waits: bool,
        timeout: Option<usize>,
    },
    If,
    Switch,
    /// Which of the nodes that may be asked about begins it, and which ends it.
    Milestone {
        reached: Option<u8>,
        until: Option<u8>,
    },
    Items {
        count: u8,
        window: u8,
        fails: u8,
        enough: Option<Enough>,
    },
    Again {
        rounds: u8,
        most: Option<u8>,
        inner: Box<Kind>,
    },
    ForEach {
        count: u8,
        window: u8,
        enough: Option<Enough>,
        body: Vec<Shape>,
    },
    Lock {
        /// A semaphore, which has room for two.
        two: bool,
        tenant: bool,
        waits: Option<usize>,
        timeout: Option<usize>,
        body: Vec<Shape>,
    },
    Loop {
        times: u8,
        delay: bool,
        until: bool,
        body: Vec<Shape>,
    },
    Parallel {
        timeout: Option<usize>,
        body: Vec<Shape>,
    },
    Race {
        timeout: Option<usize>,
        body: Vec<Shape>,
    },
    Try {
        catch: bool,
        finally: Option<usize>,
        timeout: Option<usize>,
        body: Vec<Shape>,
    },
}

/// By when a list is complete before its end.
#[derive(Debug, Clone, Copy)]
struct Enough {
    /// So many successes, or a condition.
    when: u8,
    absorbs: bool,
}

fn enough() -> impl Strategy<Value = Option<Enough>> {
    let enough = (0..5_u8, any::<bool>()).prop_map(|(when, absorbs)| Enough { when, absorbs });
    option::weighted(0.4, enough)
}

fn simple() -> BoxedStrategy<Kind> {
    prop_oneof![
        3 => Just(Kind::Set),
        1 => Just(Kind::Emit),
        4 => (0..SPANS.len()).prop_map(Kind::Wait),
        1 => any::<bool>().prop_map(|sent| Kind::Signal { sent }),
        2 => (0..4_u8, 1..4_u8, any::<bool>(), any::<bool>()).prop_map(
            |(fails, tries, linear, undone)| Kind::Flaky { fails, tries, linear, undone }
        ),
        1 => (any::<u8>(), 0..SPANS.len())
            .prop_map(|(decision, of)| Kind::Approval { decision, expires: Some(of) }),
        2 => option::weighted(0.9, any::<u8>()).prop_map(|whom| Kind::Cancel { whom }),
        1 => (0..CALLEES, any::<bool>(), option::weighted(0.3, 0..SPANS.len()))
            .prop_map(|(callee, waits, timeout)| Kind::Call { callee, waits, timeout }),
        1 => Just(Kind::Fail),
        1 => Just(Kind::If),
        1 => Just(Kind::Switch),
        2 => (option::weighted(0.8, any::<u8>()), option::weighted(0.7, any::<u8>()))
            .prop_map(|(reached, until)| Kind::Milestone { reached, until }),
        1 => (0..4_u8, 1..3_u8, 0..3_u8, enough())
            .prop_map(|(count, window, fails, enough)| Kind::Items { count, window, fails, enough }),
    ]
    .boxed()
}

fn again() -> BoxedStrategy<Kind> {
    (1..4_u8, option::weighted(0.2, 1..3_u8), simple())
        .prop_map(|(rounds, most, inner)| Kind::Again {
            rounds,
            most,
            inner: Box::new(inner),
        })
        .boxed()
}

fn kind(depth: u32) -> BoxedStrategy<Kind> {
    if depth == 0 {
        return simple();
    }
    let body = move || shapes(depth - 1, 4);
    let span = || option::weighted(0.3, 0..SPANS.len());
    prop_oneof![
        8 => simple(),
        1 => again(),
        1 => (0..4_u8, 1..3_u8, enough(), body())
            .prop_map(|(count, window, enough, body)| Kind::ForEach { count, window, enough, body }),
        1 => (any::<bool>(), any::<bool>(), span(), span(), body())
            .prop_map(|(two, tenant, waits, timeout, body)| Kind::Lock { two, tenant, waits, timeout, body }),
        1 => (0..4_u8, any::<bool>(), any::<bool>(), body())
            .prop_map(|(times, delay, until, body)| Kind::Loop { times, delay, until, body }),
        1 => (span(), body()).prop_map(|(timeout, body)| Kind::Parallel { timeout, body }),
        1 => (span(), body()).prop_map(|(timeout, body)| Kind::Race { timeout, body }),
        1 => (any::<bool>(), span(), span(), body())
            .prop_map(|(catch, finally, timeout, body)| Kind::Try { catch, finally, timeout, body }),
    ]
    .boxed()
}

/// Up to `most` nodes, with bodies `depth` deep.
pub(crate) fn shapes(depth: u32, most: usize) -> BoxedStrategy<Vec<Shape>> {
    let gate = prop_oneof![6 => Just(0_u8), 1 => 1..6_u8];
    let shape = (
        kind(depth),
        any::<u8>(),
        any::<u8>(),
        0..8_u8,
        gate,
        0..4_u8,
        any::<u8>(),
    );
    let shape = shape.prop_map(|(kind, from, ways, join, gate, on_error, n)| Shape {
        kind,
        from,
        ways,
        join,
        gate,
        on_error,
        n,
    });
    vec(shape, 1..=most).boxed()
}

/// The same shapes without anything that depends on how long something takes, or on how often it
/// was tried: no race, no time limit, no join that takes the first, and no failure that stops what
/// runs beside it.
pub(crate) fn timeless(shapes: Vec<Shape>) -> Vec<Shape> {
    let shapes = shapes.into_iter().map(|shape| Shape {
        join: 0,
        on_error: shape.on_error.max(1),
        kind: shape.kind.timeless(),
        ..shape
    });
    shapes.collect()
}

impl Kind {
    fn timeless(self) -> Self {
        match self {
            Self::Signal { .. } => Self::Signal { sent: true },
            Self::Flaky {
                tries,
                linear,
                undone,
                ..
            } => Self::Flaky {
                fails: 0,
                tries,
                linear,
                undone,
            },
            Self::Approval { decision, .. } => Self::Approval {
                decision,
                expires: None,
            },
            Self::Cancel { .. } => Self::Emit,
            Self::Call { callee, waits, .. } => Self::Call {
                callee,
                waits,
                timeout: None,
            },
            Self::Items {
                count,
                window,
                enough,
                ..
            } => Self::Items {
                count,
                window: enough.map_or(window, |_| 1),
                fails: 0,
                enough,
            },
            Self::Lock {
                two, tenant, body, ..
            } => Self::Lock {
                two,
                tenant,
                waits: None,
                timeout: None,
                body: timeless(body),
            },
            Self::Milestone { reached, .. } => Self::Milestone {
                reached: reached.or(Some(0)),
                until: None,
            },
            Self::Again { rounds, inner, .. } => Self::Again {
                rounds,
                most: None,
                inner: Box::new(inner.timeless()),
            },
            Self::ForEach {
                count,
                window,
                enough,
                body,
            } => Self::ForEach {
                count,
                window: enough.map_or(window, |_| 1),
                enough,
                body: timeless(body),
            },
            Self::Loop {
                times,
                delay,
                until,
                body,
            } => Self::Loop {
                times,
                delay,
                until,
                body: timeless(body),
            },
            Self::Parallel { body, .. } | Self::Race { body, .. } => Self::Parallel {
                timeout: None,
                body: timeless(body),
            },
            Self::Try {
                catch,
                finally,
                body,
                ..
            } => Self::Try {
                catch,
                finally,
                timeout: None,
                body: timeless(body),
            },
            plain => plain,
        }
    }
}

impl Kind {
    fn leaves_by_its_own_ports(&self) -> bool {
        matches!(
            self,
            Self::If | Self::Switch | Self::Approval { .. } | Self::Again { .. }
        )
    }
}

/// A definition, with the signals that are sent at its start.
#[derive(Debug, Default)]
pub(crate) struct Written {
    ids: u32,
    /// How deep in bodies the text is.
    depth: u32,
    /// The nodes before and around it that run once: what a milestone may ask about, and what may be
    /// given up.
    asked: Vec<String>,
    /// Whether it is called by another one.
    called: bool,
    pub(crate) signals: Vec<String>,
    /// What people decide, by the id of the approval.
    pub(crate) decisions: Vec<(String, &'static str)>,
}

/// A node that was written, for those after it.
struct Exit {
    id: String,
    ports: Vec<&'static str>,
    rate: u32,
    /// Whether its result has a number `n`.
    counts: bool,
}

fn span(of: usize) -> String {
    format!("{}s", SPANS[of])
}

impl Written {
    /// The definition of a workflow with these nodes.
    pub(crate) fn workflow(&mut self, shapes: &[Shape]) -> Value {
        let mut workflow = self.region(shapes);
        workflow["id"] = json!("random");
        workflow
    }

    /// The definition of a workflow that others call: it asks nobody outside, and calls nothing.
    pub(crate) fn callee(number: usize, shapes: &[Shape]) -> Value {
        let mut text = Self {
            called: true,
            ..Self::default()
        };
        let mut workflow = text.region(shapes);
        workflow["id"] = json!(format!("callee_{number}"));
        workflow
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("n{}", self.ids)
    }

    fn body(&mut self, shapes: &[Shape]) -> Value {
        self.depth += 1;
        let around = self.asked.len();
        let body = self.region(shapes);
        self.asked.truncate(around);
        self.depth -= 1;
        body
    }

    fn region(&mut self, shapes: &[Shape]) -> Value {
        let (mut nodes, mut connections, mut exits) = (Vec::new(), Vec::new(), Vec::new());
        for shape in shapes {
            let exit = self.node(shape, &exits, &mut nodes, &mut connections);
            let comes_round = matches!(shape.kind, Kind::Again { .. });
            let once = exit.rate == 1 && !comes_round;
            self.asked.extend(once.then(|| exit.id.clone()));
            exits.push(exit);
        }
        json!({ "nodes": nodes, "connections": connections })
    }

    /// Writes one shape: its nodes, and the connections that lead to it.
    fn node(
        &mut self,
        shape: &Shape,
        before: &[Exit],
        nodes: &mut Vec<Value>,
        connections: &mut Vec<Value>,
    ) -> Exit {
        let id = self.id();
        let nearest = before.iter().rev().take(4).enumerate();
        let mut from: Vec<(usize, &Exit)> = nearest
            .filter(|(bit, _)| shape.from & (1 << bit) != 0)
            .collect();
        let again = matches!(shape.kind, Kind::Again { .. });
        if again {
            from.retain(|(_, exit)| exit.rate == 1);
        }
        let join = joined(shape.join, &mut from, again);
        let rate = match join.as_str() {
            Some("each") => from.iter().map(|(_, exit)| exit.rate).sum(),
            _ => from.first().map_or(1, |(_, exit)| exit.rate),
        };
        for (bit, exit) in &from {
            let way = (shape.ways >> (2 * bit)) & 3;
            let port = exit.ports[usize::from(way) % exit.ports.len()];
            let mut connection = json!({ "from": exit.id, "port": port, "to": id });
            if way == 3 {
                connection["condition"] = json!("($json?.n ?? 0) % 2 == 0");
            }
            connections.push(connection);
        }
        let mut node = json!({ "id": id, "join": join });
        self.gate(shape, &mut node);
        let reads = from.iter().find(|(_, exit)| {
            exit.counts && exit.rate == 1 && rate == 1 && join.as_str() == Some("all")
        });
        let reads = reads.map(|(_, exit)| exit.id.clone());
        // `$json` is the only value, where only one can come.
        let several = from.len() > 1 && !matches!(join.as_str(), Some("each" | "any"));
        let json = if several { "$inputs.main[0]" } else { "$json" };
        let mut exit = self.act(shape, &mut node, (json, !from.is_empty(), reads));
        exit.rate = rate;
        if let Kind::Again {
            rounds,
            most,
            inner,
        } = &shape.kind
        {
            let group = (&id, *rounds, *most, &**inner);
            exit.id = self.again(group, node, nodes, connections);
            return exit;
        }
        nodes.push(node);
        exit
    }

    /// A loop of connections that go back: `node` counts, something happens, and it comes round.
    /// Gives the id of the node that leaves it.
    fn again(
        &mut self,
        (entry, rounds, most, inner): (&String, u8, Option<u8>, &Kind),
        mut node: Value,
        nodes: &mut Vec<Value>,
        connections: &mut Vec<Value>,
    ) -> String {
        let (middle, last) = (self.id(), self.id());
        node["action"] = json!("data.set");
        node["parameters"] =
            json!({ "n": format!("{{{{ ($nodes.{last}?.result?.n ?? 0) + 1 }}}}") });
        nodes.push(node);
        let shape = Shape {
            kind: inner.clone(),
            from: 0,
            ways: 0,
            join: 0,
            gate: 0,
            on_error: 1,
            n: 3,
        };
        let mut inner = json!({ "id": middle, "when": format!("$nodes.{entry}.result.n != 2") });
        self.depth += 1;
        let exit = self.act(&shape, &mut inner, ("$json", true, None));
        self.depth -= 1;
        nodes.push(inner);
        nodes.push(json!({
            "id": last,
            "action": "data.set",
            "parameters": { "n": format!("{{{{ $nodes.{entry}.result?.n ?? 9 }}}}") },
        }));
        let mut back = json!({ "from": last, "to": entry, "loop": true, "condition": format!("$json.n < {rounds}") });
        if let Some(most) = most {
            back["max_rounds"] = json!(most);
        }
        connections.extend([
            json!({ "from": entry, "to": middle }),
            json!({ "from": middle, "port": exit.ports[0], "to": last }),
            json!({ "from": entry, "to": last }),
            back,
        ]);
        last
    }

    fn gate(&self, shape: &Shape, node: &mut Value) {
        match shape.gate {
            1 => node["when"] = json!("true"),
            2 => node["when"] = json!("false"),
            3 => node["when"] = json!("($input.n ?? 0) > 0"),
            4 if !shape.kind.leaves_by_its_own_ports() => node["disabled"] = json!(true),
            5 if !shape.kind.leaves_by_its_own_ports() => node["pin"] = json!({ "n": shape.n }),
            _ => {}
        }
    }

    /// What the node does; `ports` of the exit are those that it may leave by.
    fn act(
        &mut self,
        shape: &Shape,
        node: &mut Value,
        (came, led, reads): (&str, bool, Option<String>),
    ) -> Exit {
        let mut ports = vec!["main"];
        let mut fails = false;
        let n = format!("{{{{ (({came}?.n ?? 0) * 3 + {}) % 1000 }}}}", shape.n);
        let (action, parameters) = match &shape.kind {
            Kind::Set | Kind::Again { .. } => {
                let mut set = json!({ "n": n, "t": format!("v{{{{ {came}?.n ?? 'x' }}}}") });
                if led {
                    set["all"] = json!("{{ ($inputs.main ?? []).map(v => v?.n ?? -1) }}");
                }
                if let Some(read) = reads {
                    set["read"] = json!(format!("{{{{ $nodes.{read}?.result?.n ?? -1 }}}}"));
                }
                ("data.set", set)
            }
            Kind::Emit => (
                "flow.emit",
                json!({ "event": "tick", "payload": { "n": n } }),
            ),
            Kind::Wait(of) => ("flow.wait", json!({ "for": span(*of) })),
            // A signal is for one node alone, and is taken once.
            Kind::Signal { .. } if self.depth > 0 || self.called => {
                ("flow.wait", json!({ "for": "5s" }))
            }
            Kind::Signal { sent } => {
                fails = true;
                let signal = format!("s{}", self.ids);
                let wait = json!({ "signal": signal, "timeout": "11s" });
                if *sent {
                    self.signals.push(signal);
                }
                ("flow.wait", wait)
            }
            Kind::Flaky {
                fails: times,
                tries,
                linear,
                undone,
            } => {
                fails = true;
                if *undone {
                    node["compensate"] =
                        json!({ "action": "test.flaky", "parameters": { "fails": 0, "n": 1 } });
                }
                let backoff = if *linear { "linear" } else { "exponential" };
                node["retry"] = json!({ "max_attempts": tries, "initial": "4s", "max": "6s", "backoff": backoff, "jitter": "none" });
                ("test.flaky", json!({ "fails": times, "n": n }))
            }
            Kind::Fail => {
                fails = true;
                (
                    "flow.fail",
                    json!({ "message": "no", "code": format!("NO_{}", shape.n % 4) }),
                )
            }
            Kind::Approval { decision, expires } => {
                ports = vec!["approve", "reject", "defer"];
                let decision = usize::from(*decision);
                let mut asks = json!({});
                if let Some(of) = expires.or(self.called.then_some(0)) {
                    fails = true;
                    asks["expires"] = json!(span(of));
                    if let Some(port) = ports.get(decision % 4) {
                        asks["default"] = json!(port);
                    }
                } else {
                    let id = node["id"].as_str().unwrap_or_default().to_owned();
                    self.decisions.push((id, ports[decision % 2]));
                }
                ("flow.approval", asks)
            }
            Kind::Cancel { whom } => {
                let count = self.asked.len();
                match whom {
                    Some(whom) => match usize::from(*whom).checked_rem(count) {
                        Some(whom) => ("flow.cancel", json!({ "nodes": [self.asked[whom]] })),
                        None => ("data.set", json!({ "n": n })),
                    },
                    None => ("flow.cancel", json!({ "execution": true })),
                }
            }
            Kind::Call { .. } if self.called => ("data.set", json!({ "n": n })),
            Kind::Call {
                callee,
                waits,
                timeout,
            } => {
                fails = true;
                let mut call = json!({
                    "workflow": format!("callee_{callee}"), "input": { "n": n }, "wait": waits,
                });
                if let Some(of) = timeout.filter(|_| *waits) {
                    call["timeout"] = json!(span(of));
                }
                ("flow.call", call)
            }
            Kind::If => {
                ports = vec!["true", "false"];
                (
                    "flow.if",
                    json!({ "condition": format!("({came}?.n ?? {}) % 2 == 0", shape.n) }),
                )
            }
            Kind::Switch => {
                ports = vec!["one", "two", "default"];
                let one = format!("({came}?.n ?? 0) % 3 == 1");
                let two = format!("({came}?.n ?? 0) % 3 != 0");
                let cases = json!({ "one": one, "two": two });
                ("flow.switch", json!({ "cases": cases }))
            }
            Kind::Milestone { reached, until } => match self.between(*reached, *until) {
                Some(between) => {
                    ports = vec!["main", "expired"];
                    ("flow.milestone", between)
                }
                None => ("data.set", json!({ "n": n })),
            },
            Kind::Items {
                count,
                window,
                fails: times,
                enough,
            } => {
                fails = true;
                complete(*enough, node);
                let list: Vec<u8> = (0..*count).collect();
                node["for_each"] = json!(format!("{list:?}"));
                node["concurrency"] = json!(window);
                node["retry"] = json!({ "max_attempts": 2, "initial": "4s", "backoff": "fixed", "jitter": "none" });
                (
                    "test.flaky",
                    json!({ "fails": format!("{{{{ $item == 1 ? {times} : 0 }}}}"), "n": "{{ $item }}" }),
                )
            }
            kind => {
                fails = true;
                self.with_body(kind, node)
            }
        };
        node["action"] = json!(action);
        node["parameters"] = parameters;
        match shape.on_error {
            1 | 2 if fails => node["on_error"] = json!("continue"),
            3 if fails => {
                node["on_error"] = json!("route");
                ports.push("error");
            }
            _ => {}
        }
        Exit {
            id: node["id"].as_str().unwrap_or_default().to_owned(),
            ports,
            rate: 1,
            counts: matches!(shape.kind, Kind::Set),
        }
    }

    /// Between the ends of which nodes a milestone lies; `None` if there are none to ask about.
    fn between(&self, reached: Option<u8>, until: Option<u8>) -> Option<Value> {
        let count = self.asked.len();
        let asked = |number: u8| Some(&self.asked[usize::from(number).checked_rem(count)?]);
        let reached = reached.and_then(asked);
        let until = until
            .and_then(asked)
            .filter(|until| Some(*until) != reached);
        let mut between = json!({});
        for (field, node) in [("reached", reached), ("until", until)] {
            if let Some(node) = node {
                between[field] = json!(node);
            }
        }
        (between != json!({})).then_some(between)
    }

    fn with_body(&mut self, kind: &Kind, node: &mut Value) -> (&'static str, Value) {
        let timed = |timeout: &Option<usize>| match timeout {
            Some(of) => json!({ "timeout": span(*of) }),
            None => json!({}),
        };
        match kind {
            Kind::ForEach {
                count,
                window,
                enough,
                body,
            } => {
                complete(*enough, node);
                node["body"] = self.body(body);
                node["concurrency"] = json!(window);
                let items: Vec<Value> = (0..*count).map(|n| json!({ "n": n })).collect();
                ("flow.for_each", json!({ "items": items }))
            }
            Kind::Lock {
                two,
                tenant,
                waits,
                timeout,
                body,
            } => {
                // Deeper ones have other names, so that nobody waits for itself.
                let mut lock = timed(timeout);
                lock["name"] = json!(format!("depth {}", self.depth));
                if !tenant || self.called {
                    lock["scope"] = json!("execution");
                }
                if let Some(of) = waits {
                    lock["lock_timeout"] = json!(span(*of));
                }
                if *two {
                    lock["permits"] = json!(2);
                }
                node["body"] = self.body(body);
                let action = if *two { "flow.semaphore" } else { "flow.mutex" };
                (action, lock)
            }
            Kind::Loop {
                times,
                delay,
                until,
                body,
            } => {
                node["body"] = self.body(body);
                let mut looped = json!({ "times": times });
                if *delay {
                    looped["delay"] = json!("5s");
                }
                if *until {
                    looped["until"] = json!("($loop.last?.n ?? 0) % 2 == 1");
                }
                ("flow.loop", looped)
            }
            Kind::Parallel { timeout, body } => {
                node["body"] = self.body(body);
                ("flow.parallel", timed(timeout))
            }
            Kind::Race { timeout, body } => {
                node["body"] = self.body(body);
                ("flow.race", timed(timeout))
            }
            Kind::Try {
                catch,
                finally,
                timeout,
                body,
            } => {
                node["body"] = self.body(body);
                let mut tried = timed(timeout);
                let mut held = Vec::new();
                if *catch {
                    let (never, mend) = (self.id(), self.id());
                    tried["catch"] =
                        json!({ &never: "$json.code == 'NEVER'", &mend: "$json.code != 'NO_0'" });
                    held.push(json!({ "id": never, "action": "data.set" }));
                    let of = json!({ "n": 7, "code": "{{ $json.code }}" });
                    held.push(json!({ "id": mend, "action": "data.set", "parameters": of }));
                }
                if let Some(of) = finally {
                    let last = self.id();
                    tried["finally"] = json!(last);
                    held.push(json!({ "id": last, "action": "flow.wait", "parameters": { "for": span(*of) } }));
                }
                if let Value::Array(nodes) = &mut node["body"]["nodes"] {
                    nodes.extend(held);
                }
                ("flow.try", tried)
            }
            _ => unreachable!("the caller sorts kinds"),
        }
    }
}

/// Writes by when a list is complete before its end.
fn complete(enough: Option<Enough>, node: &mut Value) {
    let Some(enough) = enough else {
        return;
    };
    let when = match enough.when {
        3 => "$json.last.index >= 1".to_owned(),
        4 => "$json.done >= 2 && $json.failed < 2".to_owned(),
        count => count.to_string(),
    };
    node["complete_when"] = json!(when);
    if enough.absorbs {
        node["rest"] = json!("absorb");
    }
}

/// The join of a node to which these lead; those that cannot be joined are left out.
fn joined(join: u8, from: &mut Vec<(usize, &Exit)>, once: bool) -> Value {
    let sum: u32 = from.iter().map(|(_, exit)| exit.rate).sum();
    if join == 1 && !once && sum <= MAX_RATE && from.len() > 1 {
        return json!("each");
    }
    let rate = from.first().map(|(_, exit)| exit.rate);
    from.retain(|(_, exit)| Some(exit.rate) == rate);
    match join {
        2 if from.len() > 1 => json!("any"),
        3 if from.len() > 1 => json!({ "count": 2, "rest": "absorb" }),
        4 if from.len() > 1 => json!({ "count": 2, "rest": "block" }),
        _ => json!("all"),
    }
}
