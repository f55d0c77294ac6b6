//! Leaving an execution because the worker stops.

use futures_util::StreamExt;
use nebula_execution::Rest;

use crate::drive::{Drive, Driven, Stop};

impl Drive {
    /// Lets running attempts finish within the grace period, then gives the lease back.
    pub(crate) async fn drain(&mut self) -> Result<Driven, Stop> {
        let clock = self.shared.ports.clock.clone();
        let grace = clock.sleep(self.shared.config.grace);
        tokio::pin!(grace);
        loop {
            self.take_finished();
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
        for token in self.running.values() {
            token.cancel();
        }
        self.let_attempts_go_on();
        self.take_finished();
        // What did not stop ends here: the outcomes of the others are worth a commit.
        self.attempts.clear();
        if let Rest::Ended(status) = self.machine.rest() {
            self.commit_last(status, None).await?;
            return Ok(Driven::Ended);
        }
        self.commit_release().await?;
        Ok(Driven::Rests {
            due: Some(clock.now()),
        })
    }

    /// What would follow is left to the next holder.
    fn take_finished(&mut self) {
        while let Some(finished) = self.finished.pop_front() {
            self.attempt_finished(finished);
            self.commands.clear();
        }
    }
}
