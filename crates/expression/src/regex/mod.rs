//! JavaScript's regular expressions in linear time.
//!
//! `parse` reads ECMA-262's syntax, `program` turns it into states, `backtrack` and `threads` run
//! them: the first with a memory of where it has been, the second in step, for when that memory
//! would be too large. Both visit each state at each character at most once.
//!
//! The engine is our own because the semantics are: an iteration that takes nothing ends a loop,
//! groups are forgotten at each iteration, `^` and `$` know four line ends, `i` compares upper
//! cases, and text is UTF-16. Look-around and back-references have no linear time and are refused.

mod backtrack;
mod class;
mod emit;
mod escape;
mod flags;
mod fold;
mod group;
mod input;
mod parse;
mod program;
mod property;
mod search;
mod set;
#[cfg(test)]
mod tests;
mod threads;

use crate::error::Fault;

pub(crate) use flags::Flags;
pub(crate) use input::{Subject, Units};
pub(crate) use program::{Compiled, Pattern, Regex};
pub(crate) use search::{Question, Scratch, search};

/// Deepest nesting of groups.
pub(super) const MAX_NESTING: usize = 64;

/// Most groups of one pattern.
pub(super) const MAX_GROUPS: u32 = 400;

/// Most states of one pattern; a counted repetition has those of its body as often as it counts.
pub(super) const MAX_STATES: usize = 16_384;

/// Most ranges of all sets of a pattern together.
pub(super) const MAX_RANGES: usize = 65_536;

/// Longest pattern, in bytes.
pub(super) const MAX_PATTERN: usize = 64 * 1024;

/// Steps of a search that cost one operation.
pub(crate) const STEPS_PER_OPERATION: u64 = 64;

/// What is wrong with a pattern, and where: bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) hint: Option<&'static str>,
}

/// Who pays for a search.
pub(crate) trait Fuel {
    /// Pays for operations.
    fn spend(&mut self, operations: u64) -> Result<(), Fault>;

    /// Pays for bytes before they are taken.
    fn take(&mut self, bytes: usize) -> Result<(), Fault>;
}

/// A text as the pattern between slashes: what would end it is escaped.
pub(crate) fn source_of(text: &str) -> String {
    if text.is_empty() {
        return "(?:)".to_owned();
    }
    let mut source = String::with_capacity(text.len());
    let (mut escaped, mut in_class) = (false, false);
    for c in text.chars() {
        let end = match c {
            '/' if !in_class => Some("/"),
            '\n' => Some("n"),
            '\r' => Some("r"),
            '\u{2028}' => Some("u2028"),
            '\u{2029}' => Some("u2029"),
            _ => None,
        };
        match end {
            Some(written) => {
                if !escaped {
                    source.push('\\');
                }
                source.push_str(written);
            }
            None => source.push(c),
        }
        in_class = !escaped && (in_class || c == '[') && c != ']' || escaped && in_class;
        escaped = c == '\\' && !escaped;
    }
    source
}

/// Compiles a pattern.
pub(crate) fn compile(pattern: &str, flags: Flags) -> Result<Compiled, Wrong> {
    if pattern.len() > MAX_PATTERN {
        return Err(Wrong {
            code: "LIMIT_REGEX",
            message: format!("a pattern has at most {MAX_PATTERN} bytes"),
            start: 0,
            end: pattern.len(),
            hint: None,
        });
    }
    let (chars, places) = parse::characters(pattern, flags.unicode);
    let tree = parse::parse(&chars, &places, flags)?;
    emit::program(&tree, pattern, flags)
}
