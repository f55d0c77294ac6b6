//! Which occurrence a trigger starts next, and where it stands then.

use std::time::Duration;

use nebula_core::{Digest, Timestamp};

use crate::{Misfire, Timing};

/// How late an occurrence may be to be on time: later ones were missed, and the misfire policy decides
/// about them. Beside this [`Timing::jitter`] may pass.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// What a trigger does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firing {
    /// Nothing, before this moment; `None` is never again.
    Waits(Option<Timestamp>),
    /// It starts an execution for this occurrence.
    Starts {
        /// Which one.
        occurrence: Timestamp,
        /// Where it stands then.
        then: Settled,
    },
    /// It leaves out every occurrence up to there.
    LeavesOut(Settled),
}

/// Where a trigger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Up to when its occurrences are started or left out.
    pub through: Timestamp,
    /// When the next one is due; `None` is never again.
    pub due: Option<Timestamp>,
}

impl Timing {
    /// When an occurrence is due: itself and its share of [`Timing::jitter`], which follows from `seed`
    /// and itself, so that everybody who asks gets the same.
    #[must_use]
    pub fn due_at(&self, seed: &[u8], occurrence: Timestamp) -> Timestamp {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if most == 0 {
            return occurrence;
        }
        let digest = Digest::of_parts(&[seed, &occurrence.as_millis().to_le_bytes()]);
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        let late = u64::from_le_bytes(first) % most.saturating_add(1);
        occurrence.plus(Duration::from_millis(late))
    }

    /// Where a trigger stands whose occurrences are settled up to `through`.
    #[must_use]
    pub fn settled(&self, seed: &[u8], through: Timestamp) -> Settled {
        let next = self.schedule.next_after(through);
        let due = next.map(|next| self.due_at(seed, next));
        Settled { through, due }
    }

    /// What a trigger does `now` whose occurrences are settled up to `through`: one occurrence at a
    /// time, in order, and none twice, whatever `now` was before.
    ///
    /// An occurrence that is later than [`ON_TIME`] was missed. Of these, `misfire: skip` starts none,
    /// `all` each of the last [`Timing::window`], and `once` the last one, unless another that is on time
    /// stands for it.
    #[must_use]
    pub fn decide(&self, seed: &[u8], through: Timestamp, now: Timestamp) -> Firing {
        let Settled { due, .. } = self.settled(seed, through);
        let Some(first) = self
            .schedule
            .next_after(through)
            .filter(|_| due <= Some(now))
        else {
            return Firing::Waits(due);
        };
        let starts = |occurrence| Firing::Starts {
            occurrence,
            then: self.settled(seed, occurrence),
        };
        let late = ON_TIME + self.jitter + Duration::from_millis(1);
        let edge = before(now, late);
        let Some(last) = self.schedule.last_between(through, edge) else {
            return starts(first);
        };
        let oldest = before(now, self.window);
        let leaves = Firing::LeavesOut(self.settled(seed, last));
        match self.misfire {
            Misfire::Skip => leaves,
            Misfire::Once => {
                let next = self.schedule.next_after(last);
                let stands_for_it = next.is_some_and(|next| self.due_at(seed, next) <= now);
                match last > oldest && !stands_for_it {
                    true => starts(last),
                    false => leaves,
                }
            }
            Misfire::All => match self.schedule.next_after(through.max(oldest)) {
                Some(first) if first <= edge => starts(first),
                _ => leaves,
            },
        }
    }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(span))
}
