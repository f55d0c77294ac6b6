//! What facts about slots make of the state.

use super::Fold;
use crate::{
    Claim, ClaimStatus, Fact, Failure, InstanceStatus,
    state::{At, FrameEnding},
};

impl Fold<'_> {
    pub(super) fn claim(&mut self, fact: &Fact) {
        let now = self.at;
        match fact {
            Fact::SlotClaimed { instance, wanted } => {
                let at = self.whole(instance);
                self.state.claimed += 1;
                let number = self.state.claimed;
                let activation = self.begun(at);
                activation.attempts = activation.attempts.max(1);
                if activation.runs.is_none() {
                    activation.status = InstanceStatus::Waiting;
                    activation.due = None;
                    activation.timer = false;
                }
                activation.claim = Some(Box::new(Claim {
                    wanted: wanted.clone(),
                    status: ClaimStatus::Waiting,
                    since: now,
                    number,
                }));
            }
            Fact::SlotGranted { instance } => {
                let at = self.whole(instance);
                self.move_claim(at, &[ClaimStatus::Waiting], ClaimStatus::Held);
            }
            Fact::SlotLost { instance } => {
                let at = self.whole(instance);
                let before = [ClaimStatus::Waiting, ClaimStatus::Held];
                self.move_claim(at, &before, ClaimStatus::Lost);
            }
            Fact::SlotGivenUp { instance, error } => {
                let number = self.run_of(instance);
                let failure = Failure {
                    error: error.clone(),
                    node: Some(instance.node.clone()),
                };
                let ending = &mut self.frame(number).ending;
                ending.get_or_insert(FrameEnding::Fail(failure));
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    fn move_claim(&mut self, at: At, from: &[ClaimStatus], to: ClaimStatus) {
        let now = self.at;
        let claim = self.open_mut(at).claim.as_deref_mut();
        let claim = claim.expect("a slot belongs to a claim");
        let fits = from.contains(&claim.status);
        assert!(fits, "a claim that is {:?} becomes {to:?}", claim.status);
        claim.status = to;
        claim.since = now;
    }
}
