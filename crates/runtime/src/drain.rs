//! Leaving an execution because the worker stops.

use futures_util::StreamExt;
use nebula_execution::{Event, Rest};
use tracing::debug;

use crate::drive::{Drive, Driven, Stop};

impl Drive {
    /// Lets running attempts finish within the grace period, then gives the lease back.
    pub(crate) async fn drain(&mut self) -> Result<Driven, Stop> {
        let clock = self.shared.ports.clock.clone();
        let grace = clock.sleep(self.shared.config.grace);
        tokio::pin!(grace);
        loop {
            self.take_finished().await?;
            if self.attempts.is_empty() {
                break;
            }
            let renew_in = self.renew_at.saturating_sub(clock.monotonic());
            tokio::select! {
                biased;
                Some(finished) = self.attempts.next() => self.finished.push_back(finished),
                () = &mut grace => break,
                () = clock.sleep(renew_in) => self.renew().await?,
            }
        }
        self.stops = true;
        for token in self.running.values() {
            token.cancel();
        }
        self.let_attempts_go_on();
        self.take_finished().await?;
        // What did not stop ends here; the journal says so, and what became of the others.
        self.attempts.clear();
        for instance in std::mem::take(&mut self.running).into_keys() {
            self.tell(Event::Interrupted { instance });
            self.forget_commands();
        }
        if let Rest::Ended(status) = self.machine.rest() {
            self.commit_last(status, None).await?;
            return Ok(Driven::Ended);
        }
        if self.pending.is_empty() && !self.marked {
            self.give_back().await?;
        } else {
            self.commit_release().await?;
        }
        Ok(Driven::Rests {
            due: Some(clock.now()),
        })
    }

    /// Gives the lease back with nothing to be written. A step without entries would be a grant
    /// without progress, and whoever is stopped that often would find the execution parked.
    async fn give_back(&mut self) -> Result<(), Stop> {
        let (repo, lease) = (self.shared.ports.executions.clone(), self.lease.clone());
        let released = self.within_lease(repo.release(&lease)).await?;
        if let Err(error) = released {
            debug!(execution = %lease.execution, %error, "could not release; the lease expires");
        }
        Ok(())
    }

    /// What would follow is left to the next holder.
    async fn take_finished(&mut self) -> Result<(), Stop> {
        while let Some(finished) = self.finished.pop_front() {
            if let Some(reading) = self.take_in(finished) {
                reading.await?;
            }
            self.forget_commands();
        }
        Ok(())
    }
}
