//! One process that does a duty while it leads.

use std::{sync::Arc, time::Duration};

use nebula_core::Clock;
use nebula_ports::{Campaigned, DutyName, Incarnation, LeaderElector, Leadership, TermRenewed};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A term is renewed after this part of its time.
const RENEW_AFTER: u32 = 3;

/// This part of a term's time is the margin: work stops so long before it is over.
const MARGIN: u32 = 6;

/// The shortest time between two campaigns, however soon the duty may be free.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// What one process at a time does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// Its name, the same in every process.
    pub name: DutyName,
    /// For how long a process leads without a renewal, at most
    /// [`MAX_DUTY_TTL`](nebula_ports::MAX_DUTY_TTL): how long nobody does the duty when its leader dies.
    pub ttl: Duration,
    /// How long it pauses between one time and the next.
    pub every: Duration,
}

/// A process that may lead. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Candidate {
    elector: Arc<dyn LeaderElector>,
    clock: Arc<dyn Clock>,
    me: Incarnation,
}

impl Candidate {
    /// A candidate under a name of its own for this life of this process.
    #[must_use]
    pub fn new(elector: Arc<dyn LeaderElector>, clock: Arc<dyn Clock>, me: Incarnation) -> Self {
        Self { elector, clock, me }
    }

    /// Campaigns for the duty until `stop`, and while it leads does `work` again and again; each call gets
    /// the term. What `work` gives is dropped in the middle when the term is over or `stop` is asked, so it
    /// must be safe to drop.
    ///
    /// Of all candidates one works at a time, as long as the monotonic clocks of two processes advance at
    /// the same pace within a sixth of the duty's `ttl`. What must not be done in an old term beyond that
    /// carries the term with it.
    ///
    /// # Cancel safety
    /// Dropping the future stops the work; the duty is free when its time is over.
    pub async fn lead<F: Future<Output = ()>>(
        &self,
        duty: &Duty,
        stop: CancellationToken,
        mut work: impl FnMut(u64) -> F,
    ) {
        while !stop.is_cancelled() {
            let asked = self.clock.monotonic();
            let pause = match self.elector.campaign(&duty.name, self.me, duty.ttl).await {
                Ok(Campaigned::Elected(leadership)) => {
                    let term = leadership.term;
                    info!(duty = %duty.name, term, "this process leads");
                    self.serve(duty, (&leadership, asked), &stop, &mut work)
                        .await;
                    duty.ttl / RENEW_AFTER
                }
                Ok(Campaigned::Held { until, .. }) => {
                    let left = until.since(self.clock.now());
                    left.clamp(SHORTEST_PAUSE, duty.ttl.max(SHORTEST_PAUSE))
                }
                Err(error) => {
                    warn!(duty = %duty.name, %error, "could not campaign; trying again");
                    duty.ttl / RENEW_AFTER
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// Does the duty for one term.
    async fn serve<F: Future<Output = ()>>(
        &self,
        duty: &Duty,
        (leadership, asked): (&Leadership, Duration),
        stop: &CancellationToken,
        work: &mut impl FnMut(u64) -> F,
    ) {
        let works = async {
            loop {
                work(leadership.term).await;
                self.clock.sleep(duty.every).await;
            }
        };
        // Who was asleep past its term learns that before it does anything else.
        tokio::select! {
            biased;
            why = self.keep(leadership, asked) => {
                warn!(duty = %duty.name, term = leadership.term, why, "this process leads no more");
                return;
            }
            () = stop.cancelled() => {}
            () = works => {}
        }
        if let Err(error) = self.elector.resign(leadership).await {
            warn!(duty = %duty.name, %error, "could not give the duty back; it is free when its time is over");
        }
    }

    /// Renews a term; ends, with the reason, when it may be over.
    async fn keep(&self, leadership: &Leadership, asked: Duration) -> &'static str {
        const LATE: &str = "its term could not be renewed in time";
        let ttl = leadership.ttl;
        let sure = ttl - ttl / MARGIN;
        let mut until = asked + sure;
        loop {
            let left = until.saturating_sub(self.clock.monotonic());
            self.clock.sleep(left.min(ttl / RENEW_AFTER)).await;
            let asked = self.clock.monotonic();
            if asked >= until {
                return LATE;
            }
            let renewed = tokio::select! {
                biased;
                () = self.clock.sleep(until - asked) => return LATE,
                renewed = self.elector.renew(leadership) => renewed,
            };
            match renewed {
                Ok(TermRenewed::Renewed) => until = asked + sure,
                Ok(TermRenewed::Over) => return "another one was elected",
                Err(error) => {
                    warn!(duty = %leadership.duty, %error, "could not renew; trying again");
                }
            }
        }
    }
}
