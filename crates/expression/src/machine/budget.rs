//! What an evaluation has spent, and when it must stop.

use super::Machine;
use crate::{
    error::Fault,
    guard::{Guard, holds},
    regex::STEPS_PER_OPERATION,
};

/// Operations that each element of a walked array adds to the budget.
const PER_ELEMENT: u64 = 100;

/// So many operations pass between two looks at the deadline.
pub(super) const DEADLINE_EVERY: u64 = 4_096;

/// Beyond any limit, and so far from the end of the word that steps can be added without a check.
const FULL: u64 = 1 << 62;

/// Bytes of text that cost one operation to look at.
const BYTES_PER_OPERATION: usize = 512;

/// Bytes of two texts that are compared by one operation.
const COMPARED_PER_OPERATION: usize = 8 * 1024;

/// Bytes of text in which a text is looked for by one operation.
const SEARCHED_PER_OPERATION: usize = 4 * 1024;

impl Machine<'_> {
    /// Spends `n` operations.
    #[inline]
    pub(crate) fn charge(&mut self, n: u64) -> Result<(), Fault> {
        self.operations = self.operations.saturating_add(n).min(FULL);
        if self.operations > self.look_at {
            self.look()
        } else {
            Ok(())
        }
    }

    /// Starts to walk an array of `len` elements: one operation for each, and an allowance.
    pub(crate) fn walk(&mut self, len: usize) -> Result<(), Fault> {
        let len = len as u64;
        let ceiling = self.context.limits.operations_ceiling;
        self.allowed = self
            .allowed
            .saturating_add(len.saturating_mul(PER_ELEMENT))
            .min(ceiling);
        self.set_look_at();
        self.charge(len)
    }

    /// Allows for one search of `bytes` of text with a pattern of so many states: each of them is
    /// visited at most twice at each byte. The search pays for its steps as it takes them.
    pub(crate) fn allow_search(&mut self, bytes: usize, states: usize) {
        let steps = (bytes as u64).saturating_mul(2 * states as u64);
        let ceiling = self.context.limits.operations_ceiling;
        self.allowed = self
            .allowed
            .saturating_add(steps / STEPS_PER_OPERATION)
            .min(ceiling);
        self.set_look_at();
    }

    /// Pays for looking through `bytes` of text.
    pub(crate) fn scan(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge((bytes / BYTES_PER_OPERATION) as u64)
    }

    /// Pays for looking for a text in `bytes` of another.
    pub(crate) fn look_for(&mut self, bytes: usize, needle: usize) -> Result<(), Fault> {
        self.charge((bytes / SEARCHED_PER_OPERATION + needle / BYTES_PER_OPERATION) as u64)
    }

    /// Pays for finding out whether texts of these sizes are equal, which they are not if the sizes
    /// are not.
    #[inline]
    pub(crate) fn equate(&mut self, a: usize, b: usize) -> Result<(), Fault> {
        if a != b {
            return Ok(());
        }
        self.charge((a / COMPARED_PER_OPERATION) as u64)
    }

    /// Pays for `bytes` in the arena, before they are taken.
    #[inline]
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.context.limits.arena_bytes && holds(Guard::ArenaLimit) {
            Err(self.arena_full())
        } else {
            Ok(())
        }
    }

    /// Does work that takes up to `bytes`, all of which are free again when it ends.
    pub(crate) fn lent<T>(&mut self, bytes: usize, work: impl FnOnce() -> T) -> Result<T, Fault> {
        let before = self.bytes;
        self.reserve(bytes)?;
        let result = work();
        self.bytes = before;
        Ok(result)
    }

    /// Refuses a string of `bytes` that is too long to be made.
    #[inline]
    pub(crate) fn check_string(&self, bytes: usize) -> Result<(), Fault> {
        let limit = self.context.limits.string_bytes;
        if bytes > limit && holds(Guard::StringLimit) {
            let message = format!("the expression makes a text longer than {limit} bytes");
            return Err(Fault::new("LIMIT_STRING", message));
        }
        Ok(())
    }

    /// Refuses an array or object of `len` that is too long to be made.
    #[inline]
    pub(crate) fn check_array(&self, len: usize) -> Result<(), Fault> {
        let limit = self.context.limits.array_len;
        if len > limit && holds(Guard::ArrayLimit) {
            let message = format!("the expression makes a list longer than {limit}");
            return Err(Fault::new("LIMIT_ARRAY", message));
        }
        Ok(())
    }

    pub(super) fn set_look_at(&mut self) {
        self.look_at = match self.context.backstop {
            Some(_) => self.allowed.min(self.deadline_at),
            None => self.allowed,
        };
    }

    #[cold]
    pub(super) fn look(&mut self) -> Result<(), Fault> {
        if self.operations > self.allowed && holds(Guard::OperationsLimit) {
            let message = format!("the expression takes more than {} operations", self.allowed);
            return Err(Fault::new("LIMIT_OPERATIONS", message)
                .hint("split the work over several nodes, or use `for_each`"));
        }
        if self
            .context
            .backstop
            .as_ref()
            .is_some_and(|deadline| deadline.passed())
        {
            let wall = self.context.limits.wall;
            let message = format!("the expression takes longer than {wall:?}");
            return Err(Fault::new("LIMIT_WALL", message));
        }
        self.deadline_at = self.operations.saturating_add(DEADLINE_EVERY);
        self.set_look_at();
        Ok(())
    }

    #[cold]
    fn arena_full(&self) -> Fault {
        let limit = self.context.limits.arena_bytes;
        let message = format!("the expression makes more than {limit} bytes of values");
        Fault::new("LIMIT_ARENA", message)
            .hint("split the work over several nodes; a text of many pieces is best made by `join`")
    }
}
