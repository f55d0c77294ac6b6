//! Random plans with bodies in bodies, driven by a seeded world: every one of them ends, whatever
//! crashes, pauses or is cancelled. The rig checks replay, snapshots, starts and rests.

mod rig;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use nebula_action::{ActionKind, ControlKind, EffectClass};
use nebula_core::NodeId;
use nebula_execution::{
    Again, AgainError, ExecutionPlan, Fact, InstanceId, PlanBody, PlanConnection, PlanHandler,
    PlanMilestone, PlanNode, PlanOutput, SlotScope, SlotWanted, Status, Taken, UnparkDecision,
    WhenLost,
};
use nebula_workflow::{ItemsRest, OnError, OnIndeterminate};
use proptest::prelude::*;
use rig::{
    again, connection, later, node, plan_of, program,
    world::{Act, Script, World},
};
use serde_json::Value;

/// What may become a node.
#[derive(Debug, Clone)]
struct Seedling {
    /// Picks the node whose body it stands in, or the top level.
    parent: u16,
    /// Picks a node before it, in the same body, that leads to it.
    before: Option<u16>,
    kind: Option<ControlKind>,
    /// In a body of `try`: a handler, or what runs in any case.
    held: Option<bool>,
    effect: EffectClass,
    on_error: OnError,
    on_indeterminate: OnIndeterminate,
    items: u32,
    window: u32,
    waits: bool,
    leaf: Leaf,
    /// Of a body that needs a slot: which, with whom it is shared, and on which terms.
    slot: (u8, bool, bool, bool),
    /// Picks nodes beside it or around it that it gives up.
    cancels: Option<u16>,
    taken: bool,
    catches: bool,
    /// Of a list: after how many items it is complete, whether the rest runs on, whether it grows.
    list: (Option<u32>, bool, bool),
    acts: Vec<Act>,
}

/// What a node without a body does that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Code,
    Asks,
    Calls {
        detached: bool,
    },
    /// A milestone, between the ends of nodes that it picks.
    Heeds {
        reached: u16,
        until: Option<u16>,
    },
}

/// A workflow and all that its world decides.
#[derive(Debug, Clone)]
struct Tree {
    nodes: Vec<Seedling>,
    concurrency: u32,
    seed: u64,
}

fn seedlings() -> impl Strategy<Value = Seedling> {
    let kind = prop_oneof![
        4 => Just(None),
        1 => Just(Some(ControlKind::ForEach)),
        1 => Just(Some(ControlKind::Loop)),
        1 => Just(Some(ControlKind::Parallel)),
        1 => Just(Some(ControlKind::Race)),
        2 => Just(Some(ControlKind::Try)),
        1 => Just(Some(ControlKind::Mutex)),
        1 => Just(Some(ControlKind::Semaphore)),
    ];
    let leaf = prop_oneof![
        6 => Just(Leaf::Code),
        1 => Just(Leaf::Asks),
        2 => any::<bool>().prop_map(|detached| Leaf::Calls { detached }),
        2 => (any::<u16>(), proptest::option::of(any::<u16>()))
            .prop_map(|(reached, until)| Leaf::Heeds { reached, until }),
    ];
    let slot = (0..2_u8, any::<bool>(), any::<bool>(), any::<bool>());
    let effect = prop_oneof![
        Just(EffectClass::Pure),
        Just(EffectClass::Read),
        Just(EffectClass::Keyed),
        Just(EffectClass::AtMostOnce),
    ];
    let on_error = prop_oneof![3 => Just(OnError::Fail), 1 => Just(OnError::Continue)];
    let on_indeterminate = prop_oneof![
        3 => Just(OnIndeterminate::Park),
        1 => Just(OnIndeterminate::Fail),
        1 => Just(OnIndeterminate::Retry),
    ];
    let act = prop_oneof![
        8 => Just(Act::Succeed),
        2 => Just(Act::Fail),
        1 => Just(Act::Again),
        1 => Just(Act::Late),
    ];
    let place = (
        any::<u16>(),
        proptest::option::weighted(0.6, any::<u16>()),
        kind,
        proptest::option::weighted(0.5, any::<bool>()),
        (leaf, slot),
    );
    let how = (
        effect,
        on_error,
        on_indeterminate,
        0..4_u32,
        1..4_u32,
        (
            proptest::bool::weighted(0.15),
            proptest::option::weighted(0.2, any::<u16>()),
            (
                proptest::option::weighted(0.4, 1..3_u32),
                any::<bool>(),
                proptest::bool::weighted(0.3),
            ),
        ),
        proptest::bool::weighted(0.8),
        any::<bool>(),
        proptest::collection::vec(act, 1..4),
    );
    (place, how).prop_map(|((parent, before, kind, held, (leaf, slot)), how)| {
        let (effect, on_error, on_indeterminate, items, window, how, taken, catches, acts) = how;
        let (waits, cancels, list) = how;
        Seedling {
            parent,
            before,
            kind,
            held,
            effect,
            on_error,
            on_indeterminate,
            items,
            window,
            waits,
            leaf,
            slot,
            cancels,
            taken,
            catches,
            list,
            acts,
        }
    })
}

fn trees() -> impl Strategy<Value = Tree> {
    let nodes = proptest::collection::vec(seedlings(), 2..14);
    (nodes, 1..5_u32, any::<u64>()).prop_map(|(nodes, concurrency, seed)| Tree {
        nodes,
        concurrency,
        seed,
    })
}

impl Tree {
    /// In whose body each node stands; the top level is `None`.
    fn parents(&self) -> Vec<Option<usize>> {
        let parents = self.nodes.iter().enumerate().map(|(index, it)| {
            let owners = (0..index).filter(|other| self.nodes[*other].kind.is_some());
            let owners: Vec<_> = owners.collect();
            let pick = usize::from(it.parent) % (owners.len() + 1);
            (pick > 0).then(|| owners[pick - 1])
        });
        parents.collect()
    }

    /// Whether a node is held back until it is called: what runs in any case, or a handler.
    fn held(&self, parents: &[Option<usize>], of: usize) -> Option<bool> {
        let inside = parents[of].map(|owner| self.nodes[owner].kind);
        let first = parents.iter().position(|parent| *parent == parents[of]) == Some(of);
        self.nodes[of]
            .held
            .filter(|_| inside == Some(Some(ControlKind::Try)) && !first)
    }

    /// The nodes that one gives up: none of those whose bodies it stands in, and no handler.
    fn given_up_by(&self, parents: &[Option<usize>], of: usize) -> Vec<usize> {
        let Some(pick) = self.nodes[of].cancels.map(usize::from) else {
            return Vec::new();
        };
        let owners: Vec<_> = std::iter::successors(parents[of], |it| parents[*it]).collect();
        let around = |it: &usize| {
            let beside = parents[*it] == parents[of];
            beside || owners.iter().any(|owner| parents[*it] == parents[*owner])
        };
        let apart = |it: &usize| *it == of || owners.contains(it);
        let there = (0..self.nodes.len()).filter(|it| around(it) && !apart(it));
        let there = there.filter(|it| self.held(parents, *it).is_none());
        let there: Vec<_> = there.collect();
        match there.len() {
            0 => Vec::new(),
            many => vec![there[pick % many], there[pick / 7 % many]],
        }
    }

    /// Between the ends of which nodes a milestone lies: nodes that come before it, beside it or
    /// around it. None for what runs only when it is called: it might wait for ever.
    fn between(&self, parents: &[Option<usize>], of: usize) -> Option<(usize, Option<usize>)> {
        let Leaf::Heeds { reached, until } = self.nodes[of].leaf else {
            return None;
        };
        let around: Vec<_> = std::iter::successors(Some(of), |it| parents[*it]).collect();
        if around.iter().any(|it| self.held(parents, *it).is_some()) {
            return None;
        }
        let comes_before = |it: &usize| {
            let beside = |outer: &&usize| parents[**outer] == parents[*it];
            around.iter().find(beside).is_some_and(|outer| it < outer)
        };
        let there = (0..of).filter(|it| comes_before(it) && self.held(parents, *it).is_none());
        let there: Vec<_> = there.collect();
        let pick = |pick: u16| Some(there[usize::from(pick).checked_rem(there.len())?]);
        let reached = pick(reached)?;
        let until = until.and_then(pick).filter(|until| *until != reached);
        Some((reached, until))
    }

    fn plan(&self) -> Arc<ExecutionPlan> {
        let parents = self.parents();
        let children = |of: Option<usize>| {
            let nodes = parents.iter().enumerate();
            let nodes = nodes.filter(move |(_, parent)| **parent == of);
            nodes.map(|(index, _)| index).collect::<Vec<_>>()
        };
        // As a plan has them: the top level, then each body in one piece.
        let (mut order, mut bodies, mut next) = (children(None), Vec::new(), 0);
        while let Some(owner) = order.get(next).copied() {
            let inner = children(Some(owner));
            if !inner.is_empty() {
                bodies.push((owner, order.len(), inner.len()));
                order.extend(inner);
            }
            next += 1;
        }
        let place = |of: usize| order.iter().position(|it| *it == of).unwrap() as u32;
        let has_body = |of: usize| bodies.iter().any(|(owner, ..)| *owner == of);
        let held = |of: usize| self.held(&parents, of);
        let nodes: Vec<PlanNode> = order
            .iter()
            .map(|index| {
                let it = &self.nodes[*index];
                let mut node = node(&format!("n{index}"));
                node.on_error = it.on_error;
                node.on_indeterminate = it.on_indeterminate;
                node.concurrency = it.window;
                match it.kind.filter(|_| has_body(*index)) {
                    Some(kind) => {
                        node.kind = ActionKind::Control(kind);
                        if kind == ControlKind::ForEach && it.list.0.is_some() {
                            node.complete_when = Some(program("$json.done > 0"));
                        }
                        if it.list.1 {
                            node.rest = ItemsRest::Absorb;
                        }
                    }
                    None if !self.given_up_by(&parents, *index).is_empty() => {
                        node.kind = ActionKind::Control(ControlKind::Cancel);
                    }
                    None if it.waits => node.kind = ActionKind::Control(ControlKind::Wait),
                    None => match it.leaf {
                        Leaf::Code => node.effect = it.effect,
                        Leaf::Asks => node.kind = ActionKind::Control(ControlKind::Approval),
                        Leaf::Calls { .. } => node.kind = ActionKind::Control(ControlKind::Call),
                        Leaf::Heeds { .. } => match self.between(&parents, *index) {
                            Some((reached, until)) => {
                                node.kind = ActionKind::Control(ControlKind::Milestone);
                                node.milestone = Some(PlanMilestone {
                                    reached: Some(place(reached)),
                                    until: until.map(place),
                                });
                            }
                            None => node.effect = it.effect,
                        },
                    },
                }
                node
            })
            .collect();
        let mut edges: Vec<PlanConnection> = Vec::new();
        for (index, it) in self.nodes.iter().enumerate() {
            let earlier = (0..index).filter(|other| parents[*other] == parents[index]);
            let earlier: Vec<_> = earlier.filter(|other| held(*other).is_none()).collect();
            if let (Some(pick), None, false) = (it.before, held(index), earlier.is_empty()) {
                let from = earlier[usize::from(pick) % earlier.len()];
                let heeds = nodes[place(from) as usize].milestone.is_some();
                let port = if heeds && pick % 2 == 0 {
                    "expired"
                } else {
                    "main"
                };
                edges.push(connection(&nodes, place(from), port, place(index)));
            }
        }
        let ends = |nodes: Vec<u32>| {
            let ends = nodes.into_iter();
            PlanOutput::Nodes(
                ends.filter(|it| edges.iter().all(|e| e.from != *it))
                    .collect(),
            )
        };
        let bodies = bodies.iter().map(|(owner, first, count)| {
            let inner = &order[*first..first + count];
            let (apart, main): (Vec<usize>, Vec<usize>) =
                inner.iter().partition(|it| held(**it).is_some());
            let handlers = apart.iter().map(|it| PlanHandler {
                node: place(*it),
                always: held(*it) == Some(true),
                output: PlanOutput::Node(place(*it)),
            });
            PlanBody {
                owner: place(*owner),
                first: *first as u32,
                count: *count as u32,
                handlers: handlers.collect(),
                output: ends(main.into_iter().map(place).collect()),
                compensates: false,
            }
        });
        let bodies = bodies.collect();
        let mut parts = plan_of(nodes, edges);
        parts.concurrency = self.concurrency;
        parts.bodies = bodies;
        Arc::new(ExecutionPlan::new(parts).unwrap())
    }

    /// A node that has no body and gives nothing up.
    fn leaf(&self, name: &str) -> Option<&Seedling> {
        let index = name[1..].parse().unwrap();
        let plain = !self.has_body(name) && self.given_up_by(&self.parents(), index).is_empty();
        plain.then(|| self.of(name))
    }

    fn has_body(&self, name: &str) -> bool {
        let index = name[1..].parse().unwrap();
        self.of(name).kind.is_some() && self.parents().contains(&Some(index))
    }

    fn of(&self, name: &str) -> &Seedling {
        &self.nodes[name[1..].parse::<usize>().unwrap()]
    }

    fn world(&self) -> World<'_> {
        World::new(self.plan(), self, self.seed)
    }
}

impl Script for Tree {
    fn act(&self, instance: &InstanceId, attempt: u32) -> Act {
        let acts = &self.of(instance.node.as_str()).acts;
        let round: u32 = instance.enclosing().filter_map(|outer| outer.item).sum();
        acts[((attempt - 1 + round) as usize).min(acts.len() - 1)]
    }

    fn taken(&self, plan: &ExecutionPlan, instance: &InstanceId, _: &str) -> Taken {
        let node = plan.index_of(instance.node.as_str()).unwrap();
        let leaving = plan.outgoing(node).map(|(_, edge)| edge);
        let taken = leaving.filter(|edge| self.of(plan.node(edge.to).id.as_str()).taken);
        Taken::Only(taken.map(|edge| edge.name.clone()).collect())
    }

    fn items(&self, node: &str) -> u32 {
        self.of(node).items
    }

    fn enough(&self, node: &str) -> u32 {
        self.of(node).list.0.unwrap_or(u32::MAX)
    }

    fn grows(&self, node: &str) -> bool {
        self.of(node).list.2
    }

    fn skips(&self, _: &str) -> bool {
        false
    }

    fn waits(&self, node: &str) -> bool {
        self.leaf(node).is_some_and(|it| it.waits)
    }

    fn asks(&self, node: &str) -> bool {
        self.leaf(node).is_some_and(|it| it.leaf == Leaf::Asks)
    }

    fn calls(&self, node: &str) -> Option<bool> {
        match self.leaf(node)?.leaf {
            Leaf::Calls { detached } => Some(detached),
            _ => None,
        }
    }

    fn wants(&self, node: &str) -> Option<SlotWanted> {
        let it = self.of(node);
        let kind = it.kind.filter(|_| self.has_body(node))?;
        let (which, own, short, fails) = it.slot;
        let (name, permits) = match kind {
            ControlKind::Mutex => ("mutex", 1),
            ControlKind::Semaphore => ("semaphore", 2),
            _ => return None,
        };
        Some(SlotWanted {
            key: format!("{name}/{which}").into(),
            permits,
            scope: match own {
                true => SlotScope::Execution,
                false => SlotScope::Tenant,
            },
            wait: Duration::from_millis(if short { 40 } else { 10_000 }),
            timeout: (which == 0 && short).then(|| Duration::from_millis(200)),
            when_lost: match fails {
                true => WhenLost::Fail,
                false => WhenLost::Wait,
            },
        })
    }

    fn cancels(&self, node: &str) -> Vec<NodeId> {
        let index: usize = node[1..].parse().unwrap();
        let nodes = self.given_up_by(&self.parents(), index).into_iter();
        nodes
            .map(|it| NodeId::new(format!("n{it}")).unwrap())
            .collect()
    }

    fn catches(&self, node: &str) -> bool {
        self.of(node).catches
    }
}

fn settings() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn every_execution_ends_and_replays_to_what_was_lived(tree in trees()) {
        prop_assert!(tree.world().run().is_terminal());
    }

    #[test]
    fn crashes_at_any_moment_lose_nothing(tree in trees(), how in 0..3_u8) {
        let decision = match how {
            0 => UnparkDecision::Retry,
            1 => UnparkDecision::Failed,
            _ => UnparkDecision::Succeeded(Arc::new(Value::Null)),
        };
        let mut world = tree.world().with_crashes(true).deciding(decision);
        prop_assert!(world.run().is_terminal());
    }

    #[test]
    fn pauses_signals_and_crashes_at_any_moment_lose_nothing(
        tree in trees(),
        crashes in any::<bool>(),
        signals in any::<bool>(),
    ) {
        let world = tree.world().with_pauses(true).with_crashes(crashes);
        prop_assert!(world.with_signals(signals).run().is_terminal());
    }

    #[test]
    fn effects_in_bodies_are_undone_unless_it_completes(
        tree in trees(),
        pick in any::<u64>(),
        how in 0..3_u8,
        crashes in any::<bool>(),
    ) {
        let decision = match how {
            0 => UnparkDecision::Retry,
            1 => UnparkDecision::Failed,
            _ => UnparkDecision::Succeeded(Arc::new(Value::Null)),
        };
        let plan = rig::undoable(&tree.plan(), pick);
        let mut world = World::new(plan, &tree, tree.seed).with_crashes(crashes).deciding(decision);
        let status = world.run();
        let open = world.rig.machine.state().compensations();
        prop_assert!(open.open().is_empty());
        let (mut effects, mut stuck) = (BTreeSet::new(), BTreeSet::new());
        for entry in &world.rig.journal {
            match &entry.fact {
                Fact::CompensationRegistered { instance, .. } => {
                    prop_assert!(effects.insert(instance.clone()));
                }
                Fact::CompensationSucceeded { instance, .. } => {
                    prop_assert!(effects.remove(instance), "{instance} is undone once");
                }
                Fact::CompensationFailed { instance, retry_at: None, .. } => {
                    stuck.insert(instance.clone());
                }
                Fact::Unparked { instance: Some(instance), decision, .. }
                    if stuck.remove(instance) && *decision != UnparkDecision::Retry =>
                {
                    effects.remove(instance);
                }
                _ => {}
            }
        }
        prop_assert!(status == Status::Completed || effects.is_empty());
    }

    #[test]
    fn a_cancellation_at_any_moment_ends_it(tree in trees(), after in 0..40_usize) {
        let ended = tree.world().cancelled_after(after);
        prop_assert!(ended.is_terminal());
    }

    #[test]
    fn a_cut_at_any_entry_goes_on_to_an_end(tree in trees(), cut in any::<u16>()) {
        let mut world = tree.world();
        world.run();
        let entries = world.rig.journal.len();
        world.crash_at(1 + usize::from(cut) % entries);
        prop_assert!(world.go_on().is_terminal());
    }

    #[test]
    fn a_retry_keeps_all_that_succeeded_in_bodies(
        mut tree in trees(),
        cancelled in proptest::option::of(0..40_usize),
        crashes in any::<bool>(),
    ) {
        for node in &mut tree.nodes {
            // What runs in any case runs again with its body.
            if node.kind == Some(ControlKind::Try) {
                node.kind = Some(ControlKind::Parallel);
            }
        }
        let mut old = tree.world().with_crashes(crashes);
        let ended = match cancelled {
            Some(after) => old.cancelled_after(after),
            None => old.run(),
        };
        if ended == Status::Completed {
            return Ok(());
        }
        let old = old.rig;
        let succeeded = old.journal.iter().filter_map(|entry| match &entry.fact {
            Fact::AttemptSucceeded { instance, .. } | Fact::AttemptSpilled { instance, .. } => {
                Some(instance.clone())
            }
            _ => None,
        });
        let succeeded: Vec<_> = succeeded.collect();
        let rig = again(&old, Again::Retry, later(1)).unwrap();
        let mut new = World::of(rig, &tree, tree.seed).with_crashes(crashes);
        prop_assert!(new.run().is_terminal());
        for instance in &succeeded {
            prop_assert!(!new.ran.contains(instance), "{} runs again", instance);
            let keys = [&old, &new.rig].map(|rig| rig.machine.identity(instance).key());
            prop_assert_eq!(&keys[0], &keys[1]);
        }
    }

    #[test]
    fn a_retry_of_bodies_ends_as_if_nothing_had_failed(
        mut tree in trees(),
        cancelled in proptest::option::weighted(0.3, 0..40_usize),
    ) {
        for (place, node) in (0..).zip(&mut tree.nodes) {
            node.on_error = OnError::Fail;
            if node.effect == EffectClass::AtMostOnce {
                node.effect = EffectClass::Keyed;
            }
            // Votes and children come anew, and nobody waits for itself, or too long.
            node.leaf = Leaf::Code;
            node.slot = (place, node.slot.1, false, false);
            // What has begun by then, or is left out, depends on who comes first.
            node.cancels = None;
            node.list = (None, false, false);
            // A handler would change what a body gives, and so would another winner.
            if matches!(node.kind, Some(ControlKind::Try | ControlKind::Race)) {
                node.kind = Some(ControlKind::Parallel);
            }
        }
        let mut healed = tree.clone();
        for node in &mut healed.nodes {
            node.acts = vec![Act::Succeed];
        }
        let outputs = |world: &World<'_>| {
            let state = world.rig.machine.state();
            let all = state.all().map(|(at, it)| (at, it.status, it.given()));
            all.collect::<Vec<_>>()
        };
        let mut smooth = healed.world();
        prop_assert_eq!(smooth.run(), Status::Completed);
        let mut rough = tree.world();
        let ended = match cancelled {
            Some(after) => rough.cancelled_after(after),
            None => rough.run(),
        };
        if ended == Status::Completed {
            return Ok(());
        }
        let rig = again(&rough.rig, Again::Retry, later(1)).unwrap();
        let mut new = World::of(rig, &healed, tree.seed);
        prop_assert_eq!(new.run(), Status::Completed);
        prop_assert_eq!(outputs(&new), outputs(&smooth));
    }

    #[test]
    fn whatever_bodies_did_a_retry_of_them_ends(
        tree in trees(),
        cancelled in proptest::option::of(0..40_usize),
        crashes in any::<bool>(),
        undoes in any::<bool>(),
        pick in any::<u64>(),
    ) {
        let plan = match undoes {
            true => rig::undoable(&tree.plan(), pick),
            false => tree.plan(),
        };
        let mut world = World::new(plan, &tree, tree.seed).with_crashes(crashes);
        let mut ended = match cancelled {
            Some(after) => world.cancelled_after(after),
            None => world.run(),
        };
        let mut old = world.rig;
        for number in 0..3 {
            if ended == Status::Completed {
                break;
            }
            let rig = match again(&old, Again::Retry, later(number)) {
                Ok(rig) => rig,
                Err(
                    AgainError::ActedInBody { .. }
                    | AgainError::ActedBehind { .. }
                    | AgainError::GaveUp { .. },
                ) => break,
                Err(other) => panic!("{other}"),
            };
            let mut new = World::of(rig, &tree, tree.seed).with_crashes(crashes);
            ended = new.run();
            prop_assert!(ended.is_terminal());
            old = new.rig;
        }
    }

    #[test]
    fn without_failures_every_body_is_closed_and_a_crash_changes_no_output(mut tree in trees()) {
        for (place, node) in (0..).zip(&mut tree.nodes) {
            node.acts = vec![Act::Succeed];
            // Nobody votes for the same thing twice, and nobody waits for itself, or too long.
            node.leaf = match node.leaf {
                Leaf::Asks => Leaf::Code,
                // The id of a child that nobody waits for comes from the time when it was called.
                Leaf::Calls { .. } => Leaf::Calls { detached: false },
                // What has ended by then depends on who comes first.
                Leaf::Heeds { .. } | Leaf::Code => Leaf::Code,
            };
            node.slot = (place, node.slot.1, false, false);
            // What has begun by then depends on who comes first.
            node.cancels = None;
            node.on_indeterminate = OnIndeterminate::Retry;
            // What an early end leaves out depends on who is first.
            node.list = (None, false, false);
            if node.kind == Some(ControlKind::Race) {
                node.kind = Some(ControlKind::Parallel);
            }
        }
        let outputs = |crashes: bool| {
            let mut world = tree.world().with_crashes(crashes);
            assert_eq!(world.run(), Status::Completed);
            let state = world.rig.machine.state();
            let all = state.all().map(|(at, it)| (at, it.status, it.given()));
            all.collect::<Vec<_>>()
        };
        prop_assert_eq!(outputs(false), outputs(true));
    }
}
