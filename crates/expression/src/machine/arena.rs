//! The memory of an evaluation or a compilation, handed on from one to the next on the same thread.
//!
//! Most of them take less than a memory page; asking the system's allocator for it and giving it
//! back would take longer than they do.

use std::cell::Cell;

use bumpalo::Bump;

/// An arena of more bytes is given back rather than kept: a thread holds at most this much for its
/// next loan.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<Bump>>> = const { Cell::new(None) };
}

/// Lends an empty arena: the thread's spare one, or a new one the first time and within another
/// loan.
#[inline]
pub(crate) fn lend<T>(work: impl FnOnce(&Bump) -> T) -> T {
    // While a thread ends there is no spare arena, and none is kept.
    let mut arena = SPARE
        .try_with(Cell::take)
        .ok()
        .flatten()
        .unwrap_or_default();
    let result = work(&arena);
    if arena.allocated_bytes() <= KEPT_BYTES {
        arena.reset();
        let _ = SPARE.try_with(|spare| spare.set(Some(arena)));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_handed_on_and_a_lot_of_it_is_given_back() {
        let held = || {
            lend(|arena| {
                let held = arena.allocated_bytes();
                arena.alloc(1_u8);
                held
            })
        };
        held();
        let kept = held();
        assert!(kept > 0 && kept <= KEPT_BYTES);
        lend(|arena| {
            arena.alloc_slice_fill_copy(2 * KEPT_BYTES, 0_u8);
        });
        assert_eq!(held(), 0);
        lend(|outer| lend(|inner| assert!(!std::ptr::eq(outer.alloc(1_u8), inner.alloc(1_u8)))));
    }
}
