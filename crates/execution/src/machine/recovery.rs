//! Going on where an earlier holder stopped.

use nebula_action::{ActionError, EffectClass, ErrorClass};
use nebula_workflow::OnIndeterminate;

use super::{Flight, Hand, Key, Machine, Turn};
use crate::{Command, Fact, InstanceId, InstanceStatus, ParkReason, Taken};

impl Machine {
    /// Rebuilds from the state what a crash forgot, and settles attempts whose outcome was lost.
    pub(super) fn begin(&mut self, turn: &mut Turn) {
        self.ready.clear();
        self.flights.clear();
        self.timers.clear();
        self.hands.clear();
        self.asked_output = false;
        if matches!(self.state.parked(), Some(ParkReason::Poison { .. })) {
            return;
        }
        let (mut lost, mut lists) = (Vec::new(), Vec::new());
        for node in 0..self.plan.nodes.len() as u32 {
            for number in 1..=self.state.activations(node).len() as u32 {
                let Some(activation) = self.state.activation(node, number) else {
                    continue;
                };
                let key = (node, number, None);
                match activation.status {
                    InstanceStatus::Ready => self.make_ready(key),
                    InstanceStatus::Waiting => {
                        let due = activation.due.unwrap_or(turn.at);
                        self.timers.insert((due, key));
                    }
                    InstanceStatus::Running => match &activation.items {
                        None => lost.push(key),
                        Some(items) => {
                            let mut hand = Hand::default();
                            for (item, open) in &items.open {
                                let key = (node, number, Some(*item));
                                if open.indeterminate {
                                    continue;
                                }
                                hand.out += 1;
                                if open.running {
                                    lost.push(key);
                                } else {
                                    self.timers.insert((open.due.unwrap_or(turn.at), key));
                                }
                            }
                            self.hands.insert((node, number), hand);
                            lists.push((node, number));
                        }
                    },
                    _ => {}
                }
            }
        }
        for key in lost {
            self.lost(key, turn);
        }
        for list in lists {
            self.hand_out(list, turn);
        }
    }

    /// The holder went away while this attempt was under way.
    fn lost(&mut self, key: Key, turn: &mut Turn) {
        let node = self.plan.node(key.0);
        let Some((attempt, deadline)) = self.lost_attempt(key) else {
            return;
        };
        if node.effect != EffectClass::AtMostOnce || node.on_indeterminate == OnIndeterminate::Retry
        {
            let retry_at =
                (self.state.ending().is_none() && !self.items_failed(key)).then_some(turn.at);
            self.settle_lost(key, attempt, retry_at, turn);
        } else if self.state.ending().is_some() {
            self.indeterminate(key, attempt, worker_lost(), turn);
        } else if node.reconciles {
            // Until then the attempt may still act: its holder may only have been slow.
            let due = deadline.unwrap_or(turn.at);
            self.timers.insert((due, key));
        } else if node.on_indeterminate == OnIndeterminate::Fail {
            // The connections of its failure must be evaluated before it can fail.
            self.reconcile(key, turn);
        } else {
            self.indeterminate(key, attempt, worker_lost(), turn);
        }
    }

    fn settle_lost(
        &mut self,
        key: Key,
        attempt: u32,
        retry_at: Option<nebula_core::Timestamp>,
        turn: &mut Turn,
    ) {
        let fact = Fact::AttemptFailed {
            instance: self.instance(key),
            attempt,
            error: worker_lost(),
            retry_at,
            counts: false,
            taken: Taken::Only(Vec::new()),
        };
        self.note(fact, turn);
        match retry_at {
            Some(due) => {
                self.timers.insert((due, key));
            }
            None => self.released(key, turn),
        }
    }

    /// Commands the question what became of a lost attempt.
    pub(super) fn reconcile(&mut self, key: Key, turn: &mut Turn) {
        if let Some((attempt, _)) = self.lost_attempt(key) {
            self.flights.insert(
                key,
                Flight {
                    attempt,
                    journalled: true,
                    aborted: false,
                },
            );
            let instance = self.instance(key);
            turn.decision
                .commands
                .push(Command::Reconcile { instance, attempt });
        }
    }

    pub(super) fn unreconciled(
        &mut self,
        instance: &InstanceId,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn,
    ) {
        let key = self.key(instance);
        let Some(flight) = self.flights.remove(&key) else {
            return;
        };
        let attempt = flight.attempt;
        if self.plan.node(key.0).on_indeterminate == OnIndeterminate::Fail {
            let instance = instance.clone();
            self.note(
                Fact::AttemptFailed {
                    instance,
                    attempt,
                    error,
                    retry_at: None,
                    counts: true,
                    taken,
                },
                turn,
            );
            self.released(key, turn);
        } else {
            self.indeterminate(key, attempt, error, turn);
        }
    }

    /// While the execution ends, lost attempts that were still to be asked about stay unknown.
    pub(super) fn give_up_questions(&mut self, turn: &mut Turn) {
        let waiting: Vec<_> = self.timers.iter().map(|(_, key)| *key).collect();
        for key in waiting {
            if let Some((attempt, _)) = self.lost_attempt(key) {
                self.timers.retain(|(_, other)| *other != key);
                self.indeterminate(key, attempt, worker_lost(), turn);
            }
        }
    }

    /// The outcome of an at-most-once attempt stays unknown: a person decides.
    fn indeterminate(&mut self, key: Key, attempt: u32, error: ActionError, turn: &mut Turn) {
        let instance = self.instance(key);
        self.note(
            Fact::AttemptIndeterminate {
                instance,
                attempt,
                error,
            },
            turn,
        );
        self.released(key, turn);
    }
}

fn worker_lost() -> ActionError {
    ActionError::new(
        "WORKER_LOST",
        "the worker went away while the attempt was under way",
        ErrorClass::Unknown,
    )
}
