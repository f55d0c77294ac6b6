//! Collects problems, up to a bound.

use crate::{Diagnostic, codes, limits::MAX_PROBLEMS};

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Diagnostic>,
    dropped: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Whether nothing found so far makes the definition unusable.
    pub(crate) fn is_usable(&self) -> bool {
        self.dropped == 0 && !self.list.iter().any(Diagnostic::is_error)
    }

    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.dropped > 0 {
            let message = format!(
                "{} more problems were found and are not listed",
                self.dropped
            );
            self.list
                .push(Diagnostic::error(codes::TOO_MANY_PROBLEMS, "", message));
        }
        self.list
    }
}

/// A name from a definition, for a message: bounded, and without characters that steer a terminal.
pub(crate) fn shown(name: &str) -> String {
    const MAX_SHOWN: usize = 60;
    let mut shown: String = name
        .chars()
        .take(MAX_SHOWN)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if name.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
