//! So many bytes, of which leases are taken.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use nebula_core::ByteSize;

/// How many bytes of memory may be held together, and how many are. Cheap to clone; all clones are one.
///
/// It counts, and refuses nothing: whoever takes up more work asks [`Budget::is_spent`] first, and what is
/// under way may hold more than there is, since two that waited for each other's would wait for ever.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

struct Account {
    limit: usize,
    held: AtomicUsize,
}

/// Bytes that somebody holds, given back when it is dropped, however that comes about.
pub struct ByteLease {
    account: Arc<Account>,
    bytes: usize,
}

impl Budget {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(limit: ByteSize) -> Self {
        Self(Arc::new(Account {
            limit: limit.as_usize(),
            held: AtomicUsize::new(0),
        }))
    }

    /// A lease of nothing yet.
    #[must_use]
    pub fn lease(&self) -> ByteLease {
        ByteLease {
            account: Arc::clone(&self.0),
            bytes: 0,
        }
    }

    /// How many bytes all leases hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.load(Relaxed)
    }

    /// How many more may be held; 0 where it is more already.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.limit.saturating_sub(self.held())
    }

    /// Whether there is nothing left.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.left() == 0
    }
}

impl ByteLease {
    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on it holds so many.
    pub fn set(&mut self, bytes: usize) {
        let held = &self.account.held;
        match bytes.checked_sub(self.bytes) {
            Some(more) => held.fetch_add(more, Relaxed),
            None => held.fetch_sub(self.bytes - bytes, Relaxed),
        };
        self.bytes = bytes;
    }

    /// From now on it holds so many more.
    pub fn add(&mut self, bytes: usize) {
        self.set(self.bytes.saturating_add(bytes));
    }
}

impl Drop for ByteLease {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {} bytes)", self.held(), self.0.limit)
    }
}

impl fmt::Debug for ByteLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteLease({} bytes)", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_leases_hold_adds_up() {
        let budget = Budget::new(ByteSize::bytes(100));
        let (mut one, mut other) = (budget.lease(), budget.lease());
        one.set(30);
        other.add(40);
        other.add(20);
        assert_eq!((budget.held(), budget.left()), (90, 10));
        assert!(!budget.is_spent());
        // More than there is: it is held all the same.
        one.set(50);
        assert_eq!((budget.held(), budget.left()), (110, 0));
        assert!(budget.is_spent());
        one.set(5);
        assert_eq!((budget.held(), one.bytes(), other.bytes()), (65, 5, 60));
        drop(other);
        assert_eq!(budget.clone().held(), 5);
    }

    /// Guard: the drop of a lease gives back what it held, also of one that was moved, and whose thread
    /// broke down.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test of threads, one of which breaks down"
    )]
    fn in_the_end_nothing_is_held() {
        let budget = Budget::new(ByteSize::bytes(1_000));
        let threads: Vec<_> = (0..8_usize)
            .map(|number| {
                let mut lease = budget.lease();
                thread::spawn(move || {
                    for step in 0..1_000 {
                        lease.set((number * 7 + step * 13) % 97);
                    }
                    lease.add(usize::from(lease.bytes() == 0));
                    assert!(number % 2 == 0, "every other one breaks down");
                    lease
                })
            })
            .collect();
        let kept: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        let left: usize = kept.iter().flatten().map(ByteLease::bytes).sum();
        assert!(left > 0 && kept.iter().any(Result::is_err));
        assert_eq!(budget.held(), left);
        drop(kept);
        assert_eq!(budget.held(), 0);
    }
}
