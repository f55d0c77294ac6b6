//! Those who wait, by number.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::sync::{Mutex, Notify};

/// Who waits in this process.
#[derive(Default)]
pub struct Waiters {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Grows with each that comes, so that no number is given twice.
    last: u64,
    waiting: BTreeMap<u64, Bell>,
}

struct Bell {
    rings: Arc<Notify>,
    /// Whether it was told something that it has not heard.
    is_told: bool,
}

/// One that waits, until it is dropped.
pub struct Waiter<'w> {
    waiters: &'w Waiters,
    number: u64,
    rings: Arc<Notify>,
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

impl fmt::Debug for Waiter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiter").field(&self.number).finish()
    }
}

impl Waiters {
    /// One more waits. It hears what is told from here on.
    pub fn enter(&self) -> Waiter<'_> {
        let rings = Arc::new(Notify::new());
        let mut inside = self.inside.lock();
        inside.last += 1;
        let number = inside.last;
        let bell = Bell {
            rings: Arc::clone(&rings),
            is_told: false,
        };
        inside.waiting.insert(number, bell);
        drop(inside);
        Waiter {
            waiters: self,
            number,
            rings,
        }
    }

    /// Tells the one with this number; where it is gone, another one.
    pub fn tell(&self, number: u64) {
        self.inside.lock().tell(number);
    }

    /// Tells all.
    pub fn tell_all(&self) {
        self.inside.lock().waiting.values_mut().for_each(Bell::ring);
    }
}

impl Inside {
    fn tell(&mut self, number: u64) {
        if let Some(bell) = self.waiting.get_mut(&number) {
            return bell.ring();
        }
        // One that was told already looks once for both.
        if let Some(bell) = self.waiting.values_mut().find(|bell| !bell.is_told) {
            bell.ring();
        }
    }
}

impl Bell {
    fn ring(&mut self) {
        self.is_told = true;
        self.rings.notify_one();
    }
}

impl Waiter<'_> {
    /// By which it is told.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Waits until it is told, or was since the last time.
    ///
    /// # Cancel safety
    /// A word that a dropped call did not give is given by the next.
    pub async fn told(&self) {
        loop {
            self.rings.notified().await;
            let mut inside = self.waiters.inside.lock();
            let bell = inside.waiting.get_mut(&self.number);
            // A ring is kept while nobody hears; two are one.
            if bell.is_some_and(|bell| std::mem::take(&mut bell.is_told)) {
                return;
            }
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut inside = self.waiters.inside.lock();
        let bell = inside.waiting.remove(&self.number);
        if bell.is_some_and(|bell| bell.is_told) {
            inside.tell(self.number);
        }
    }
}
