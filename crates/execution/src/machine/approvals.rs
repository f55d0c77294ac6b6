//! Approvals that are open, and the votes that come for them.

use super::{Machine, Task, Turn};
use crate::{
    Approval, Ballot, Choice, Command, Fact, InstanceId, Key, PlanConnection, Question, Refusal,
    Vote,
};

impl Machine {
    pub(super) fn asks(
        &mut self,
        instance: InstanceId,
        mut question: Box<Question>,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        let defers = |(_, it): (_, &PlanConnection)| it.port == Choice::Defer.as_str();
        question.leaves_deferred = self.plan.outgoing(key.at.node).any(defers);
        self.note(Fact::ApprovalAsked { instance, question }, turn);
        self.await_votes(key);
    }

    /// Remembers that an approval is open, as the state says.
    pub(super) fn await_votes(&mut self, key: Key) {
        if let Some(approval) = self.approval(key) {
            let due = approval.question.due;
            self.timers.extend(due.map(|due| (due, key)));
            self.asking.insert(key);
        }
    }

    pub(super) fn approval(&self, key: Key) -> Option<&Approval> {
        let whole = key.item.is_none();
        self.state
            .get(key.at)
            .filter(|_| whole)?
            .approval
            .as_deref()
    }

    /// Somebody voted: it counts, or the journal says why it does not.
    pub(super) fn vote(&mut self, ballot: Ballot, turn: &mut Turn<'_>) {
        if self.state.ending().is_some() {
            return;
        }
        let at = ballot.at.unwrap_or(turn.at);
        let key = self.key(&ballot.instance);
        let key = key.filter(|key| !self.state.is_ending(key.at.frame));
        let approval = key.and_then(|key| self.approval(key));
        let refusal = approval.map_or(Some(Refusal::NotOpen), |it| it.refusal(&ballot, at));
        let Ballot {
            instance,
            id,
            by,
            choice,
            comment,
            seat,
            ..
        } = ballot;
        let fact = match refusal {
            Some(why) => Fact::VoteRefused {
                instance,
                id,
                by,
                why,
            },
            None => {
                let vote = Vote {
                    by,
                    choice,
                    comment,
                    seat,
                    at,
                };
                Fact::VoteCast { instance, id, vote }
            }
        };
        self.note(fact, turn);
    }

    /// Goes on with approvals that enough people have decided.
    pub(super) fn take_decisions(&mut self, turn: &mut Turn<'_>) {
        let verdict = |key: &Key| self.approval(*key).and_then(Approval::verdict);
        let decided = self.asking.iter().copied();
        let decided: Vec<_> = decided.filter(|key| verdict(key).is_some()).collect();
        for key in decided {
            self.conclude_votes(key, turn);
        }
    }

    /// An approval is decided, or its time is over.
    pub(super) fn conclude_votes(&mut self, key: Key, turn: &mut Turn<'_>) {
        self.asking.remove(&key);
        self.timers.retain(|(_, timer)| *timer != key);
        let instance = self.instance(key);
        self.ask(key, Task::Settle, 1, Command::Settle { instance }, turn);
    }
}
