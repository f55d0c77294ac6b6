//! The memory of an evaluation, handed on from one to the next on the same thread.
//!
//! Most evaluations take less than a memory page; asking the system's allocator for it and giving
//! it back would take longer than they do.

use std::{cell::Cell, mem, ops::Deref};

use bumpalo::Bump;

/// An arena of more bytes is given back rather than kept: a thread holds at most this much for its
/// next evaluation.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Bump>> = const { Cell::new(None) };
}

/// An empty arena, which goes back to its thread when it is dropped.
pub(crate) struct Arena(Bump);

impl Arena {
    /// The thread's spare arena, or a new one: the first time, and within another evaluation.
    #[inline]
    pub(crate) fn take() -> Self {
        // While a thread ends there is none left.
        Self(
            SPARE
                .try_with(Cell::take)
                .ok()
                .flatten()
                .unwrap_or_default(),
        )
    }
}

impl Deref for Arena {
    type Target = Bump;

    #[inline]
    fn deref(&self) -> &Bump {
        &self.0
    }
}

impl Drop for Arena {
    #[inline]
    fn drop(&mut self) {
        let mut arena = mem::take(&mut self.0);
        if arena.allocated_bytes() <= KEPT_BYTES {
            arena.reset();
            // While a thread ends nothing is kept.
            let _ = SPARE.try_with(|spare| spare.set(Some(arena)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_handed_on_and_a_lot_of_it_is_given_back() {
        let held = || {
            let arena = Arena::take();
            let held = arena.allocated_bytes();
            arena.alloc(1_u8);
            held
        };
        held();
        let kept = held();
        assert!(kept > 0 && kept <= KEPT_BYTES);
        Arena::take().alloc_slice_fill_copy(2 * KEPT_BYTES, 0_u8);
        assert_eq!(held(), 0);
        let (outer, inner) = (Arena::take(), Arena::take());
        assert!(!std::ptr::eq(outer.alloc(1_u8), inner.alloc(1_u8)));
    }
}
