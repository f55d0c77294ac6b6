//! Bodies of nodes: opened, stopped, handled, closed.

use std::sync::Arc;

use nebula_action::{ActionError, ActionKind, ControlKind};
use nebula_core::{NodeId, Timestamp};

use super::{
    Flight, Machine, Task, Turn,
    outcomes::{SMALL_JSON, at_hand},
};
use crate::{
    Activation, At, Command, Fact, Failure, Given, InstanceId, InstanceStatus, Key, Runs, Stored,
    Taken, footprint,
    state::{Frame, FrameEnding, TOP},
};

impl Machine {
    /// Remembers that something has come to an end where a fact is about.
    pub(super) fn stir(&mut self, fact: &Fact) {
        let at = fact
            .instance()
            .and_then(|instance| self.state.find(&self.plan, instance));
        self.stirred.extend(at.map(|at| at.frame));
    }

    /// A control action runs its body: once, or in rounds.
    pub(super) fn enters(
        &mut self,
        instance: InstanceId,
        rounds: bool,
        due: Option<Timestamp>,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        if self.state.is_ending(key.at.frame) {
            return;
        }
        if rounds {
            self.note(Fact::RoundsOpened { instance }, turn);
            self.enter(key.at.item(0), turn);
            return;
        }
        let json = self.state.json(&self.plan, key.at);
        self.timers.extend(due.map(|due| (due, key)));
        self.open_body(key, &json, due, turn);
    }

    /// Opens a body on what it begins with. What is large and stands in the journal already is not
    /// written again.
    pub(super) fn open_body(
        &mut self,
        key: Key,
        json: &Given,
        due: Option<Timestamp>,
        turn: &mut Turn<'_>,
    ) {
        let runs = self.state.get(key.at).and_then(|it| it.runs.as_deref());
        let last = runs.and_then(Runs::given);
        let known = last.unwrap_or_else(|| self.state.json(&self.plan, key.at));
        let passed = match (json, &known) {
            (Given::Value(json), Given::Value(known)) => {
                Arc::ptr_eq(json, known) && footprint(json) > SMALL_JSON
            }
            (Given::List(json), Given::List(known)) => Arc::ptr_eq(json, known),
            (Given::Blob(json), Given::Blob(known)) => json == known,
            (Given::Made(json), Given::Made(known)) => Arc::ptr_eq(json, known),
            _ => false,
        };
        let (json, blob) = match json {
            _ if passed => (Arc::default(), None),
            Given::Blob(stored) => (Arc::default(), Some(Arc::new(Stored::new(stored.blob())))),
            json => (at_hand(json), None),
        };
        let fact = Fact::BodyOpened {
            instance: self.instance(key),
            json,
            blob,
            passed,
            due,
        };
        self.note(fact, turn);
    }

    /// Asks what the body of an item or round begins with.
    pub(super) fn enter(&mut self, key: Key, turn: &mut Turn<'_>) {
        let instance = self.instance(key);
        self.ask(key, Task::Enter, 1, Command::Enter { instance }, turn);
    }

    pub(super) fn entered(&mut self, instance: &InstanceId, json: &Given, turn: &mut Turn<'_>) {
        let Some((key, _)) = self.land(instance) else {
            return;
        };
        if self.is_hopeless(key) {
            self.released(key, turn);
            return;
        }
        self.open_body(key, json, None, turn);
    }

    /// It could not be found out what the body of an item or round begins with.
    pub(super) fn not_entered(
        &mut self,
        key: Key,
        flight: Flight,
        error: ActionError,
        turn: &mut Turn<'_>,
    ) {
        let rounds = self.state.get(key.at).is_some_and(|it| it.runs.is_some());
        if rounds {
            self.ask_collect(key.at, Some(error), turn);
        } else {
            self.failed_for_good(key, flight.attempt, error, Taken::All, turn);
        }
    }

    pub(super) fn rounds_over(&mut self, instance: &InstanceId, turn: &mut Turn<'_>) {
        if let Some((key, _)) = self.land(instance) {
            self.ask_collect(key.at, None, turn);
        }
    }

    /// Commands the end of an instance whose items or runs have ended.
    pub(super) fn ask_collect(&mut self, at: At, error: Option<ActionError>, turn: &mut Turn<'_>) {
        if self.state.is_ending(at.frame) {
            return;
        }
        let (instance, error) = (self.instance(at.whole()), error.map(Box::new));
        let command = Command::Collect { instance, error };
        self.ask(at.whole(), Task::Collect, 1, command, turn);
    }

    pub(super) fn collected(&mut self, instance: InstanceId, taken: Taken, turn: &mut Turn<'_>) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        let runs = self.state.get(key.at).is_some_and(|it| it.runs.is_some());
        let fact = if runs {
            Fact::BodyCompleted { instance, taken }
        } else {
            Fact::ItemsCompleted { instance, taken }
        };
        self.note(fact, turn);
        let open = self.state.get(key.at).is_some_and(Activation::is_open);
        if open {
            // The rest runs on; it may have ended by now.
            self.collect(key.at, turn);
        } else {
            self.hands.remove(&key.at);
        }
    }

    /// Whether a timer is that of a body: its own time, or the delay before a round.
    pub(super) fn is_body(&self, key: Key) -> bool {
        self.state.get(key.at).is_some_and(|it| it.runs.is_some())
    }

    /// The time of a body is up, or a round may begin.
    pub(super) fn body_due(&mut self, key: Key, turn: &mut Turn<'_>) {
        if key.item.is_some() {
            self.enter(key, turn);
            return;
        }
        let frame = self.state.frames.of_owner(key);
        let runs = frame.and_then(|frame| self.state.frames.get(frame));
        if runs.is_some_and(|frame| frame.ending.is_none()) {
            let instance = self.instance(key);
            self.note(Fact::BodyTimedOut { instance }, turn);
            self.stirred.extend(frame);
        }
    }

    /// Closes every body that has come to its end, from the inside out.
    pub(super) fn close_bodies(&mut self, turn: &mut Turn<'_>) {
        self.close_stirred(turn);
        while self.unwind(turn) {
            self.close_stirred(turn);
        }
    }

    fn close_stirred(&mut self, turn: &mut Turn<'_>) {
        while let Some(frame) = self.stirred.pop_last() {
            let ending = self.outermost_ending(frame);
            match (ending, self.state.frames.get(frame)) {
                (Some(ending), _) => self.stop_run(ending, turn),
                // What was given up may have ended before its attempts have said so.
                (None, Some(run)) if frame != TOP && run.open == 0 && !self.has_flights(frame) => {
                    self.finish_run(frame, turn);
                }
                _ => {}
            }
        }
    }

    /// Whether commands of instances in a frame have not been answered, or children have not ended.
    fn has_flights(&self, frame: u32) -> bool {
        let keys = Key::of_frame(frame)..Key::of_frame(frame + 1);
        self.flights.range(keys).next().is_some() || self.children_in(frame).next().is_some()
    }

    /// The outermost run that is about to end before its tokens have come to rest, of those that
    /// this frame stands in.
    fn outermost_ending(&self, frame: u32) -> Option<u32> {
        let (mut found, mut number) = (None, frame);
        while let Some(run) = self.state.frames.get(number) {
            if run.ending.is_some() {
                found = Some(number);
            }
            match run.owner {
                Some(owner) => number = owner.at.frame,
                None => break,
            }
        }
        found
    }

    /// Stops what runs in a frame that is about to end; once nothing does, ends it. What its
    /// attempts did outside must be known before.
    fn stop_run(&mut self, frame: u32, turn: &mut Turn<'_>) {
        let mut frames = self.state.frames.inside(frame);
        frames.push(frame);
        if self.stopped.insert(frame) {
            for frame in &frames {
                self.forget(*frame);
                let running = self
                    .flights
                    .range(Key::of_frame(*frame)..Key::of_frame(frame + 1));
                let running: Vec<_> = running.map(|(key, _)| *key).collect();
                for key in running {
                    self.abort(key, turn);
                }
            }
            self.cancel_children(frames.iter().copied(), turn);
        }
        let acting = |frame: &u32| {
            let keys = Key::of_frame(*frame)..Key::of_frame(*frame + 1);
            let asked = self.timers.iter().filter(|(_, key)| keys.contains(key));
            self.has_flights(*frame)
                || asked
                    .clone()
                    .any(|(_, key)| self.lost_attempt(*key).is_some())
        };
        let owner = self.state.frames.get(frame).and_then(|run| run.owner);
        let asked = owner.is_some_and(|owner| self.flights.contains_key(&owner));
        let unwinds = |inner: &u32| *inner != frame && self.unwinding.contains(inner);
        if frames.iter().any(unwinds) {
            return;
        }
        if !asked && !frames.iter().any(acting) && !frames.iter().any(|it| self.has_unknown(*it)) {
            self.finish_run(frame, turn);
        }
    }

    /// Whether nobody knows what an attempt in a frame did outside.
    fn has_unknown(&self, frame: u32) -> bool {
        let nodes = self.state.frames.get(frame);
        let nodes = nodes.into_iter().flat_map(Frame::nodes);
        let mut activations = nodes.flat_map(|(_, node)| &node.activations);
        activations.any(|activation| {
            let items = activation.items.as_ref();
            activation.status == InstanceStatus::Indeterminate
                || items.is_some_and(|items| items.open.values().any(|open| open.indeterminate))
        })
    }

    /// Forgets what is ready or waits in a frame. Lost attempts that are still to be asked about
    /// stay: their effects must be known.
    fn forget(&mut self, frame: u32) {
        let ours = |key: &Key| key.at.frame == frame;
        self.drop_waiting(ours);
        self.unlisten(ours);
        self.unheed(ours);
        self.hands.retain(|at, _| at.frame != frame);
    }

    /// Nothing of a run is under way any more: somebody may handle its failure, what runs in any
    /// case runs, and then it is closed.
    fn finish_run(&mut self, frame: u32, turn: &mut Turn<'_>) {
        let Some(run) = self.state.frames.get(frame) else {
            return;
        };
        let (Some(owner), Some(body)) = (run.owner, run.body(&self.plan)) else {
            return;
        };
        let catches = body.handlers.iter().any(|handler| !handler.always);
        let failed = matches!(run.ending, Some(FrameEnding::Fail(_)));
        if failed && body.compensates {
            let instance = self.instance(owner);
            let open = self.state.compensations();
            if open.newest(Some(&instance)).is_some() {
                self.unwinding.insert(frame);
                return;
            }
        }
        // Whoever gave the node up has no use for what a handler would say.
        let catches = catches && !self.is_given_up(owner.at);
        match &run.ending {
            Some(FrameEnding::Fail(failure)) if catches && run.called.is_empty() => {
                let failure = Box::new(failure.clone());
                let instance = self.instance(owner);
                let command = Command::Catch { instance, failure };
                self.ask(owner, Task::Catch, 1, command, turn);
            }
            _ => self.conclude(frame, turn),
        }
    }

    /// It is known who handles the failure of a body.
    pub(super) fn caught(
        &mut self,
        instance: &InstanceId,
        handler: Option<NodeId>,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(instance) else {
            return;
        };
        let Some(frame) = self.state.frames.of_owner(key) else {
            return;
        };
        match handler {
            Some(node) => self.call(frame, node, turn),
            None => self.conclude(frame, turn),
        }
    }

    /// Calls a node that was held back.
    fn call(&mut self, frame: u32, node: NodeId, turn: &mut Turn<'_>) {
        let owner = self.state.frames.get(frame).and_then(|run| run.owner);
        let Some(owner) = owner else {
            return;
        };
        for inner in self.state.frames.inside(frame) {
            self.forget(inner);
            self.unwinding.remove(&inner);
            self.stopped.remove(&inner);
        }
        // What came to wait while it was stopped waits in vain.
        self.forget(frame);
        self.stopped.remove(&frame);
        let instance = self.instance(owner);
        self.note(Fact::HandlerCalled { instance, node }, turn);
    }

    /// Runs what runs in any case; after it, closes the run.
    fn conclude(&mut self, frame: u32, turn: &mut Turn<'_>) {
        let Some(run) = self.state.frames.get(frame) else {
            return;
        };
        let (Some(owner), Some(body)) = (run.owner, run.body(&self.plan)) else {
            return;
        };
        let dropped = matches!(run.ending, Some(FrameEnding::Dropped));
        let given_up = dropped || self.is_given_up(owner.at);
        let mut always = body
            .handlers
            .iter()
            .filter(|handler| handler.always && !given_up);
        if let Some(last) = always.find(|handler| !run.was_called(handler.node)) {
            let node = self.plan.node(last.node).id.clone();
            self.call(frame, node, turn);
            return;
        }
        let mut frames = self.state.frames.inside(frame);
        frames.push(frame);
        for frame in frames {
            self.forget(frame);
            self.unwinding.remove(&frame);
            self.stopped.remove(&frame);
        }
        let keys = (owner, self.instance(owner));
        self.timers.retain(|(_, key)| *key != keys.0);
        self.note(Fact::BodyClosed { instance: keys.1 }, turn);
        self.after_run(keys.0, turn);
    }

    /// What follows once a run of a body is closed: the next one, or the end of its node.
    fn after_run(&mut self, owner: Key, turn: &mut Turn<'_>) {
        let Some(activation) = self.state.get(owner.at) else {
            return;
        };
        if activation.runs.is_some() {
            self.go_on_with(owner.at, turn);
            return;
        }
        let failed = self.items_over(owner);
        self.released(owner, turn);
        if failed {
            let runs: Vec<_> = self.state.frames.of_activation(owner.at).collect();
            self.stirred.extend(runs);
        }
    }

    /// Goes on with an instance whose body runs, where its last run ended.
    pub(super) fn go_on_with(&mut self, at: At, turn: &mut Turn<'_>) {
        let activation = self.state.get(at);
        let Some(runs) = activation.and_then(|it| it.runs.as_deref()) else {
            return;
        };
        if self.state.is_ending(at.frame) || self.is_given_up(at) {
            return;
        }
        if self.state.frames.of_activation(at).next().is_some() {
            let due = activation.and_then(|it| it.due);
            self.timers.extend(due.map(|due| (due, at.whole())));
            return;
        }
        let rounds = self.plan.node(at.node).kind == ActionKind::Control(ControlKind::Loop);
        let (next, due) = (at.item(runs.done), runs.due);
        match &runs.failed {
            Some(failure) => {
                let error = within(failure, &self.plan.node(at.node).id);
                self.ask_collect(at, Some(error), turn);
            }
            None if !rounds => self.ask_collect(at, None, turn),
            None => match due {
                Some(due) => {
                    self.timers.insert((due, next));
                }
                None => self.enter(next, turn),
            },
        }
    }
}

/// The failure of a node in the body of `owner` as the failure of that one.
fn within(failure: &Failure, owner: &NodeId) -> ActionError {
    let mut error = failure.error.clone();
    if let Some(node) = failure.node.as_ref().filter(|node| *node != owner) {
        error.message = format!("`{node}`: {}", error.message);
    }
    error
}
