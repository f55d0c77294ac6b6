//! What facts about approvals make of the state.

use super::Fold;
use crate::{Approval, Fact, InstanceStatus};

impl Fold<'_> {
    pub(super) fn approval(&mut self, fact: &Fact) {
        match fact {
            Fact::ApprovalAsked { instance, question } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                let approval = Approval::new((**question).clone(), activation.failures);
                activation.status = InstanceStatus::Waiting;
                activation.attempts = activation.attempts.max(1);
                activation.due = question.due;
                activation.timer = false;
                activation.approval = Some(Box::new(approval));
            }
            Fact::VoteCast { instance, vote, .. } => {
                let at = self.whole(instance);
                let approval = self.open_mut(at).approval.as_deref_mut();
                let approval = approval.expect("a vote is cast on an approval that is open");
                approval.take(vote.clone());
            }
            // Nothing follows from it; it stands there for the one who voted.
            Fact::VoteRefused { .. } => {}
            _ => unreachable!("the caller sorts facts"),
        }
    }
}
