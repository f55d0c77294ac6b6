//! What facts about bodies make of the state.

use std::sync::Arc;

use nebula_action::{ActionError, ActionKind, ControlKind, ErrorClass};

use super::{Fold, MAIN, open_item, open_items, runs};
use crate::{
    Fact, Failure, Given, InstanceStatus, ItemOutcome, Runs, Stored,
    state::{At, Called, Frame, FrameEnding, Key},
    tokens,
};

impl Fold<'_> {
    pub(super) fn body(&mut self, fact: &Fact) {
        match fact {
            Fact::RoundsOpened { instance } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                activation.status = InstanceStatus::Running;
                activation.attempts = activation.attempts.max(1);
                activation.runs = Some(Box::default());
            }
            Fact::BodyOpened {
                instance,
                json,
                blob,
                passed,
                due,
            } => {
                let at = self.locate(instance);
                let json = match blob {
                    Some(stored) => Given::Blob(Arc::new(Stored::new(stored.blob()))),
                    None if *passed => self.passed_into(at),
                    None => Given::Value(json.clone()),
                };
                let owner = Key {
                    at,
                    item: instance.item,
                };
                self.run_opened(owner, *due);
                let (body, _) = self.plan.body_of(at.node).expect("the node has a body");
                let mut frame = Frame::new(self.plan, body + 1, Some(owner));
                frame.begin_with(json);
                let number = self.state.frames.open(frame);
                let (plan, now) = (self.plan, self.at);
                let frame = self
                    .state
                    .frames
                    .get_mut(number)
                    .expect("it was just opened");
                tokens::start(frame, plan, number, now, self.fresh);
            }
            Fact::BodyTimedOut { instance } => {
                let number = self.run_of(instance);
                let message = "the body took longer than its node allows";
                let error = ActionError::new("BODY_TIMEOUT", message, ErrorClass::Timeout);
                let node = Some(instance.node.clone());
                let failure = Failure { error, node };
                let at = self.locate(instance);
                self.open_mut(at).due = None;
                self.frame(number).ending = Some(FrameEnding::Fail(failure));
            }
            Fact::HandlerCalled { instance, node } => {
                let number = self.run_of(instance);
                let node = self.plan.index_of(node.as_str());
                self.called(number, node.expect("a handler is a node of the plan"));
            }
            Fact::BodyClosed { instance } => {
                let number = self.run_of(instance);
                self.run_closed(number);
            }
            Fact::BodyCompleted { instance, taken } => {
                let at = self.whole(instance);
                let activation = self.open_mut(at);
                let ended = activation.runs.take();
                let ended = ended.expect("a body is completed after it ran");
                activation.give(ended.given().unwrap_or_default());
                self.leave(at, InstanceStatus::Succeeded, Some((&MAIN, taken)));
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    /// What a run of a body begins with that does not stand in its entry.
    fn passed_into(&self, at: At) -> Given {
        let runs = self.open(at).runs.as_deref();
        let last = runs.and_then(Runs::given);
        last.unwrap_or_else(|| self.state.json(self.plan, at))
    }

    /// The number of the frame of an owner's run.
    pub(super) fn run_of(&self, instance: &crate::InstanceId) -> u32 {
        let owner = Key {
            at: self.locate(instance),
            item: instance.item,
        };
        let number = self.state.frames.of_owner(owner);
        number.expect("an entry is about a run of a body that is open")
    }

    fn run_opened(&mut self, owner: Key, due: Option<nebula_core::Timestamp>) {
        let activation = self.begun(owner.at);
        activation.attempts = activation.attempts.max(1);
        match (owner.item, &activation.items) {
            (Some(item), Some(_)) => {
                open_item(activation, item);
            }
            (Some(item), None) => {
                let runs = runs(activation);
                assert_eq!(runs.done, item, "rounds follow each other");
                runs.due = None;
            }
            (None, _) => {
                activation.status = InstanceStatus::Running;
                activation.due = due;
                activation.runs = Some(Box::<Runs>::default());
            }
        }
    }

    /// A node that was held back begins, after everything else of the run has come to rest or was
    /// given up.
    fn called(&mut self, number: u32, node: u32) {
        let (plan, now) = (self.plan, self.at);
        for inner in self.state.frames.inside(number) {
            self.state.frames.close(inner);
        }
        let frame = self
            .state
            .frames
            .get_mut(number)
            .expect("the frame is open");
        let failure = match frame.ending.take() {
            Some(FrameEnding::Fail(failure)) => Some(failure),
            // The result of a race stands, whatever runs after it.
            ending => {
                frame.ending = ending;
                None
            }
        };
        if failure.is_some() || frame.ending.is_some() {
            super::cancel(frame, now);
            frame.drop_tokens();
        }
        frame.called.push(Called { node, failure });
        tokens::call(frame, plan, (number, node), now, self.fresh);
    }

    fn run_closed(&mut self, number: u32) {
        for inner in self.state.frames.inside(number) {
            self.state.frames.close(inner);
        }
        let frame = self.state.frames.close(number).expect("the frame is open");
        let owner = frame.owner.expect("the top level is never closed");
        let plan = self.plan;
        let body = frame.body(plan).expect("the top level is never closed");
        assert!(
            frame.ending.is_some() || frame.is_quiet(),
            "a body closes while tokens are left"
        );
        let result = frame.outcome(plan, body);
        let activation = self.open_mut(owner.at);
        match owner.item {
            Some(item) if activation.items.is_some() => self.item_closed(owner.at, item, result),
            _ => {
                // The slot is given back with the run that needed it.
                activation.claim = None;
                let runs = runs(activation);
                runs.done += 1;
                match result {
                    Ok(given) => runs.gave(given),
                    Err(failure) => runs.failed = Some(failure),
                }
            }
        }
    }

    fn item_closed(&mut self, at: At, item: u32, result: Result<Given, Failure>) {
        match result {
            Ok(given) => {
                let outcome = ItemOutcome::of(given);
                open_items(self.open_mut(at)).settle(item, outcome);
            }
            Err(failure) => self.item_failed(at, item, &failure.error),
        }
    }

    /// In a race, the first end node that gives a result ends the others.
    pub(super) fn won(&mut self, on: At, status: InstanceStatus) {
        let given_up = self.state.get(on).is_some_and(|it| it.given_up);
        if status != InstanceStatus::Succeeded || given_up {
            return;
        }
        let plan = self.plan;
        let frame = self.frame(on.frame);
        let Some(body) = frame.body(plan) else {
            return;
        };
        let race = plan.node(body.owner).kind == ActionKind::Control(ControlKind::Race);
        // The losers are stopped by the holder: what they did outside must be known first.
        if race && frame.ending.is_none() && plan.outgoing(on.node).next().is_none() {
            frame.ending = Some(FrameEnding::Won(on.node));
        }
    }
}
