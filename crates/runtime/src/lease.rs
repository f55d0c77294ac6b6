//! Holding the lease for as long as it is needed.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use nebula_core::Clock;
use nebula_ports::Renewed;
use tracing::warn;

use crate::drive::{Drive, Stop};

/// How often an attempt looks whether the lease was renewed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// By our own clock, until when the lease is certainly ours: for attempts that have something to do
/// between their start and the moment in which they act.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaseEnd(Arc<AtomicU64>);

impl LeaseEnd {
    fn set(&self, until: Duration) {
        let micros = u64::try_from(until.as_micros()).unwrap_or(u64::MAX);
        self.0.store(micros, Ordering::Relaxed);
    }

    /// Waits until the lease is ours. Where it is lost, nobody polls this any more: a process that stood
    /// still may be here before it has found that out.
    pub(crate) async fn ours(&self, clock: &dyn Clock) {
        while clock.monotonic() >= Duration::from_micros(self.0.load(Ordering::Relaxed)) {
            clock.sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drive {
    /// Makes sure that the lease is ours before something begins: a slow answer of the store may
    /// have outlasted it.
    pub(crate) async fn hold(&mut self) -> Result<(), Stop> {
        let clock = self.shared.ports.clock.clone();
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("lease-is-not-watched") {
            return Ok(());
        }
        if clock.monotonic() < self.lease_until {
            return Ok(());
        }
        self.renew().await?;
        if clock.monotonic() < self.lease_until {
            Ok(())
        } else {
            Err(Stop::Lost)
        }
    }

    /// Keeps the lease, and learns what is in the inbox.
    pub(crate) async fn renew(&mut self) -> Result<(), Stop> {
        let clock = self.shared.ports.clock.clone();
        let asked = clock.monotonic();
        if self.unborn.is_some() {
            // Its lease begins with its first step.
            self.renewed_at(asked);
            return Ok(());
        }
        let repo = self.shared.ports.executions.clone();
        let lease = self.lease.clone();
        let answers = repo.renew(std::slice::from_ref(&lease));
        match self.within_lease(answers).await? {
            Ok(answers) => match answers.first() {
                Some(Renewed::Renewed { inbox_head }) => {
                    self.inbox_head = self.inbox_head.max(*inbox_head);
                    self.renewed_at(asked);
                    Ok(())
                }
                Some(Renewed::Lost) | None => Err(Stop::Lost),
            },
            Err(error) if clock.monotonic() < self.lease_until => {
                warn!(execution = %lease.execution, %error, "could not renew the lease; trying again");
                self.renew_at = clock.monotonic() + self.shared.config.lease_ttl / 20;
                Ok(())
            }
            Err(_) => Err(Stop::Lost),
        }
    }

    /// Waits for the store while attempts go on, but where some run, no longer than the lease is
    /// certainly ours: then they must end, whatever the answer will be.
    pub(crate) async fn within_lease<T>(
        &mut self,
        call: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        let clock = self.shared.ports.clock.clone();
        let left = self.lease_until.saturating_sub(clock.monotonic());
        let acting = !self.attempts.is_empty();
        let over = async {
            match acting {
                true => clock.sleep(left).await,
                false => pending().await,
            }
        };
        tokio::pin!(call, over);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return Ok(answer),
                () = &mut over => return Err(Stop::Lost),
                Some(finished) = self.attempts.next(), if !self.attempts.is_empty() => {
                    self.finished.push_back(finished);
                }
            }
        }
    }

    /// Waits for long work of our own while attempts go on, and keeps the lease.
    pub(crate) async fn keeping_lease(
        &mut self,
        work: impl Future<Output = ()>,
    ) -> Result<(), Stop> {
        let clock = self.shared.ports.clock.clone();
        tokio::pin!(work);
        loop {
            let renew_in = self.renew_at.saturating_sub(clock.monotonic());
            tokio::select! {
                biased;
                () = &mut work => return Ok(()),
                Some(finished) = self.attempts.next(), if !self.attempts.is_empty() => {
                    self.finished.push_back(finished);
                }
                () = clock.sleep(renew_in) => self.renew().await?,
            }
        }
    }

    /// The lease was granted or renewed by a call that began then, by our own clock.
    pub(crate) fn renewed_at(&mut self, asked: Duration) {
        let config = &self.shared.config;
        self.lease_until = asked + config.lease_ttl.saturating_sub(config.lease_margin);
        self.lease_end.set(self.lease_until);
        self.renew_at = asked + config.lease_ttl / 3;
    }
}
