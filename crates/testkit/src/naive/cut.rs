//! Taking back what did not happen, because something ended what it stands in.

use super::{Ended, Naive, SAME, Time};

impl Naive<'_> {
    /// Everything under `path` ends at `at`, because of what the instances in `because` did: one of
    /// them, if they are several, and nobody says which.
    pub(super) fn cut(&mut self, path: &str, at: Time, because: &[String]) {
        self.cuts.push(path.to_owned());
        self.log
            .retain(|id, lived| !id.starts_with(path) || lived.began < at + SAME);
        for (id, lived) in &mut self.log {
            let did_it = because.len() == 1 && because.contains(id);
            if !id.starts_with(path) || did_it {
                continue;
            }
            if lived.began.abs_diff(at) < SAME || lived.until.abs_diff(at) < SAME {
                lived.ended = Ended::Unsaid;
            } else if lived.until > at {
                lived.ended = Ended::Cancelled;
            }
            lived.until = lived.until.min(at);
        }
    }
}
