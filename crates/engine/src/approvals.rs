//! Approvals that are open, votes, and the tokens that let people vote.

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{Approval, Ballot, InstanceId, ResumeToken, Seat, Signal};
use nebula_ports::{DedupeKey, PortError, Result, Signalled, WaitToken};

use crate::Engine;

/// An approval that waits for votes.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenApproval {
    /// Of which execution.
    pub execution: ExecutionId,
    /// Which instance asks.
    pub instance: InstanceId,
    /// What, whom, and who has voted.
    pub approval: Approval,
}

/// The token for one place of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatToken {
    /// Which instance asks.
    pub instance: InstanceId,
    /// Which place.
    pub seat: Seat,
    /// The secret, for the one whose place it is.
    pub token: ResumeToken,
}

/// What a token lets its holder do.
#[derive(Debug, Clone, PartialEq)]
pub struct Redeemed {
    /// The approval.
    pub open: OpenApproval,
    /// The place for the vote.
    pub seat: Seat,
}

/// Why a token lets nobody do anything.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// This engine makes and knows no tokens.
    #[error("this engine has no key for resume tokens")]
    NoKey,
    /// No place waits for it.
    #[error(
        "the token is not valid: it was used, its time is over, or another installation made it"
    )]
    Invalid,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl Engine {
    /// The approvals of an execution that wait for votes; `None` if there is no such execution.
    ///
    /// # Errors
    /// The store failed, or what it holds cannot be read.
    pub async fn approvals(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<Vec<OpenApproval>>> {
        if self
            .ports
            .executions
            .get(tenant, execution)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let machine = self.fold(tenant, execution).await?.machine;
        let open = machine.state().approvals(machine.plan());
        let open = open.map(|(instance, approval)| OpenApproval {
            execution,
            instance,
            approval: approval.clone(),
        });
        Ok(Some(open.collect()))
    }

    /// The tokens for all places of an execution's approvals that are free. They are secrets: each lets
    /// its holder vote once, until the approval is decided. They follow from the installation's key, so
    /// they can be had again, and are stored nowhere.
    ///
    /// # Errors
    /// [`TokenError::NoKey`], or the store failed.
    pub async fn resume_tokens(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Vec<SeatToken>, TokenError> {
        let open = self.approvals(tenant, execution).await?;
        let open = open.unwrap_or_default();
        let tokens = open.iter().map(|open| self.tokens_of(tenant, open));
        Ok(tokens.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn tokens_of(
        &self,
        tenant: &TenantId,
        open: &OpenApproval,
    ) -> Result<Vec<SeatToken>, TokenError> {
        let key = self.ports.resume.as_ref().ok_or(TokenError::NoKey)?;
        let (instance, round) = (&open.instance, open.approval.round);
        let seats = open.approval.seats().into_iter().map(|seat| SeatToken {
            instance: instance.clone(),
            token: key.token(tenant, open.execution, instance, (round, seat.number)),
            seat,
        });
        Ok(seats.collect())
    }

    /// Finds what a token lets its holder vote on; nothing is used up by that.
    ///
    /// # Errors
    /// [`TokenError`]: no place waits for it.
    pub async fn redeem(
        &self,
        tenant: &TenantId,
        token: &ResumeToken,
    ) -> Result<Redeemed, TokenError> {
        if self.ports.resume.is_none() {
            return Err(TokenError::NoKey);
        }
        let wait = WaitToken(token.hash());
        let execution = self.ports.executions.waiting_on(tenant, wait).await?;
        let execution = execution.ok_or(TokenError::Invalid)?;
        let now = self.ports.clock.now();
        for open in self.approvals(tenant, execution).await?.unwrap_or_default() {
            let late = open.approval.question.due.is_some_and(|due| now >= due);
            let tokens = self.tokens_of(tenant, &open)?.into_iter();
            let found = tokens.filter(|_| !late).find(|it| it.token == *token);
            if let Some(SeatToken { seat, .. }) = found {
                return Ok(Redeemed { open, seat });
            }
        }
        Err(TokenError::Invalid)
    }

    /// Puts a vote into an execution's inbox. Whether it counts is decided there, in the order of the
    /// inbox, and stands in the journal: see [`Approval::refusal`]. The same id again is a duplicate.
    ///
    /// # Errors
    /// `Invalid`: the ballot breaks a rule. Else the store failed; the call can be repeated safely.
    pub async fn vote(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        ballot: Ballot,
    ) -> Result<Signalled> {
        if let Err(error) = ballot.check() {
            let kind = nebula_ports::ErrorKind::Invalid;
            return Err(PortError::new(kind, "engine", "vote", error.to_string()));
        }
        let dedupe = DedupeKey(ballot.dedupe());
        let vote = Signal::Vote(Box::new(ballot));
        self.signal(tenant, execution, &vote, Some(dedupe)).await
    }
}
