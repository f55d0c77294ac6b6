//! One resource for each key.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    num::NonZeroUsize,
    sync::{Arc, PoisonError},
    time::Duration,
};

use nebula_core::{Clock, MemoryPressure};

use crate::sync::{Mutex, MutexGuard, OnceCell};

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For how many keys; of those over it the one that was asked for longest ago goes, and one that is
    /// being made only where all are. Default 64.
    pub most: NonZeroUsize,
    /// For how long what nobody asks for and nobody holds is kept. Default 5 minutes.
    pub idle: Duration,
    /// For how long one is given out at all, however often it is asked for. Default one hour.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most: NonZeroUsize::new(64).expect("the number is not zero"),
            idle: Duration::from_secs(300),
            age: Duration::from_secs(3_600),
        }
    }
}

/// Resources by their keys.
pub struct Shared<K, V> {
    limits: Limits,
    clock: Arc<dyn Clock>,
    is_healthy: fn(&V) -> bool,
    pressure: Option<Arc<dyn MemoryPressure>>,
    kept: Mutex<HashMap<K, Kept<V>>>,
}

struct Kept<V> {
    /// Empty while it is being made.
    cell: Arc<OnceCell<Arc<V>>>,
    since: Duration,
    asked: Duration,
}

impl<V> Kept<V> {
    fn is_over(&self, limits: &Limits, now: Duration) -> bool {
        let idle = now.saturating_sub(self.asked) >= limits.idle && !self.is_held();
        idle || now.saturating_sub(self.since) >= limits.age
    }

    fn is_healthy(&self, check: fn(&V) -> bool) -> bool {
        self.cell.get().is_none_or(|made| check(made))
    }

    fn is_being_made(&self) -> bool {
        // Of one that nobody waits for any more, the maker went away.
        !self.cell.initialized() && Arc::strong_count(&self.cell) > 1
    }

    /// Whether somebody outside holds it, or makes it.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.cell) > 1
            || self
                .cell
                .get()
                .is_some_and(|made| Arc::strong_count(made) > 1)
    }
}

impl<K: Eq + Hash + Clone, V> Shared<K, V> {
    /// Nothing yet; time is that of `clock`.
    #[must_use]
    pub fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            limits,
            clock,
            is_healthy: |_| true,
            pressure: None,
            kept: Mutex::default(),
        }
    }

    /// Gives nothing out of which `is_healthy` says that it does its work no more: the next who asks makes
    /// it anew, and the sick one is closed once nobody holds it. Asked under a lock at each call, so it only
    /// looks at what is known already. Default: everything is healthy.
    #[must_use]
    pub fn healthy_if(mut self, is_healthy: fn(&V) -> bool) -> Self {
        self.is_healthy = is_healthy;
        self
    }

    /// While memory is short, each call lets go of one more that nobody holds: the one that was asked for
    /// longest ago. Default: not asked.
    #[must_use]
    pub fn under(mut self, pressure: Arc<dyn MemoryPressure>) -> Self {
        self.pressure = Some(pressure);
        self
    }

    /// The resource of `key`; if there is none, `make` makes it, while others who ask for it wait.
    ///
    /// # Errors
    /// That of `make`. Nothing is kept then, and the next who asks makes it anew.
    ///
    /// # Cancel safety
    /// A dropped call makes nothing; whoever waits for it makes the resource in its place.
    pub async fn get<E>(
        &self,
        key: &K,
        make: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<Arc<V>, E> {
        let cell = self.cell(key);
        let made = cell
            .get_or_try_init(async || make().await.map(Arc::new))
            .await;
        match made {
            Ok(made) => Ok(Arc::clone(made)),
            Err(error) => {
                self.forget(key, &cell);
                Err(error)
            }
        }
    }

    /// Ends a scope: everything whose key `belongs` to it is given out no more, and closed once nobody
    /// holds it. What is being made goes to those who wait for it already, and to nobody else.
    pub fn close(&self, belongs: impl Fn(&K) -> bool) {
        let gone: Vec<_> = self.lock().extract_if(|key, _| belongs(key)).collect();
        // After the lock is free: closing may take its time.
        drop(gone);
    }

    /// How many there are, those being made counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cell(&self, key: &K) -> Arc<OnceCell<Arc<V>>> {
        let now = self.clock.monotonic();
        let pressure = self.pressure.as_deref();
        let is_short = pressure.is_some_and(MemoryPressure::is_short);
        // What goes is dropped after the lock is free: closing may take its time.
        let mut gone = Vec::new();
        let mut kept = self.lock();
        gone.extend(kept.extract_if(|_, kept| {
            kept.is_over(&self.limits, now) || !kept.is_healthy(self.is_healthy)
        }));
        if is_short {
            let unused = kept
                .iter()
                .filter(|(it, kept)| *it != key && !kept.is_held());
            let oldest = unused.min_by_key(|(_, kept)| kept.asked);
            let oldest = oldest.map(|(key, _)| key.clone());
            gone.extend(oldest.and_then(|key| kept.remove_entry(&key)));
        }
        if let Some(found) = kept.get_mut(key) {
            found.asked = now;
            return Arc::clone(&found.cell);
        }
        if kept.len() >= self.limits.most.get() {
            // What is being made would be made twice.
            let oldest = kept
                .iter()
                .min_by_key(|(_, kept)| (kept.is_being_made(), kept.asked));
            let oldest = oldest.map(|(key, _)| key.clone());
            gone.extend(oldest.and_then(|key| kept.remove_entry(&key)));
        }
        let cell = Arc::new(OnceCell::new());
        let new = Kept {
            cell: Arc::clone(&cell),
            since: now,
            asked: now,
        };
        kept.insert(key.clone(), new);
        drop(kept);
        cell
    }

    /// Lets an attempt go that failed, unless somebody else makes it meanwhile.
    fn forget(&self, key: &K, cell: &Arc<OnceCell<Arc<V>>>) {
        let mut kept = self.lock();
        // This call has it, and what is kept; who else waits has it, too.
        let failed = |kept: &Kept<V>| {
            Arc::ptr_eq(&kept.cell, cell) && !cell.initialized() && Arc::strong_count(cell) <= 2
        };
        if kept.get(key).is_some_and(failed) {
            kept.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Kept<V>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> fmt::Debug for Shared<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
