//! Leaving an execution because the worker stops.

use futures_util::StreamExt;
use nebula_execution::Rest;

use crate::{
    drive::{Drive, Driven, Stop},
    finish::Finished,
};

impl Drive {
    /// Lets running attempts finish within the grace period, then gives the lease back.
    pub(crate) async fn drain(&mut self) -> Result<Driven, Stop> {
        let clock = self.shared.ports.clock.clone();
        let grace = clock.sleep(self.shared.config.grace);
        tokio::pin!(grace);
        while !self.attempts.is_empty() {
            let renew_in = self.renew_at.saturating_sub(clock.monotonic());
            tokio::select! {
                biased;
                Some(finished) = self.attempts.next() => {
                    self.attempt_finished(finished);
                    // What would follow is left to the next holder.
                    self.commands.clear();
                }
                () = &mut grace => break,
                () = clock.sleep(renew_in) => self.renew().await?,
            }
        }
        for token in self.running.values() {
            token.cancel();
        }
        while let (false, Some(finished)) = (self.attempts.is_empty(), self.ended_at_once()) {
            self.attempt_finished(finished);
            self.commands.clear();
        }
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

    fn ended_at_once(&mut self) -> Option<Finished> {
        use futures_util::FutureExt;
        self.attempts.next().now_or_never().flatten()
    }
}
