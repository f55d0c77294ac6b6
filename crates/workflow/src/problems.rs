//! Collects problems, up to a bound.

use crate::{
    Diagnostic, codes,
    limits::{MAX_PROBLEMS, MAX_RENDERED},
    nearest,
};

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

    /// "Did you mean …?" for one more problem. Comparing with every node costs more than finding the
    /// problem, so what nobody will see drawn gets no answer.
    pub(crate) fn nearest<'c>(
        &self,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.list.len() < MAX_RENDERED {
            nearest(name, candidates)
        } else {
            None
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
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => visible(&name[..end]) + "…",
        None => visible(name),
    }
}

/// A text without the control characters that steer a terminal; tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let steers = |c: char| (c.is_control() && c != '\t') || BIDI.contains(&c);
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Characters that turn the direction of the text behind them.
const BIDI: &[char] = &[
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];
