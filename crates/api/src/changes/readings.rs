//! What changes in a tenant, read once for all who watch it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nebula_core::TenantId;
use nebula_ports::ChangeCursor;
use nebula_telemetry::{Received, Watcher};
use parking_lot::Mutex;
use tokio::{
    sync::broadcast::{self, Receiver, Sender, WeakSender},
    task::JoinSet,
};

use super::{Found, LOOKS_ANYWAY, LOOKS_EVERY, Page, read};
use crate::api::{Inner, Shared};

/// How many pages are kept for watchers that are behind.
const KEPT: usize = 16;

/// Who reads for whom: one task for each tenant that is watched, for as long as it is.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// Orders reads of the store.
    moments: AtomicU64,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    told: HashMap<TenantId, WeakSender<Told>>,
    tasks: JoinSet<()>,
}

/// What all who watch a tenant are told.
#[derive(Clone)]
pub(super) enum Told {
    /// A page that goes on where the one before ended.
    Page {
        page: Arc<Page>,
        /// When its read began.
        began: u64,
    },
    /// The pages from here on do not go on: each reads by itself once.
    Look,
}

impl Readings {
    /// A moment after all moments before. What is read from the store after one is as new as what was read
    /// before it, or newer.
    pub(super) fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    /// What is read of `tenant` from now on. Whoever reads the store by itself after this misses nothing of
    /// what was read before.
    pub(super) fn join(shared: &Shared, tenant: &TenantId) -> Receiver<Told> {
        let mut open = shared.readings.open.lock();
        if let Some(told) = open.told.get(tenant).and_then(WeakSender::upgrade) {
            return told.subscribe();
        }
        let (told, joined) = broadcast::channel(KEPT);
        open.told.insert(tenant.clone(), told.downgrade());
        let reading = Reading {
            tenant: tenant.clone(),
            told,
            cursor: None,
            shared: shared.clone(),
        };
        let stopping = shared.stopping.clone();
        // Those that have ended leave their place.
        while open.tasks.try_join_next().is_some() {}
        open.tasks.spawn(async move {
            stopping.run_until_cancelled_owned(reading.run()).await;
        });
        joined
    }
}

/// The task that reads for all who watch a tenant.
struct Reading {
    tenant: TenantId,
    told: Sender<Told>,
    /// Up to where it has read; nothing before its first read, and after one that failed.
    cursor: Option<ChangeCursor>,
    shared: Shared,
}

impl Reading {
    async fn run(mut self) {
        while !self.is_left() {
            // What is told from here on is heard; what was told before is read now.
            let mut watcher = self.shared.nebula.bus().subscribe();
            if self.reads_more().await {
                continue;
            }
            self.shared.clock.sleep(LOOKS_EVERY).await;
            heard(&mut watcher, &self.shared).await;
        }
    }

    /// Whether nobody watches any more; then the next one who does begins anew.
    fn is_left(&self) -> bool {
        let mut open = self.shared.readings.open.lock();
        let left = self.told.receiver_count() == 0;
        if left {
            open.told.remove(&self.tenant);
        }
        left
    }

    /// Reads a page and tells it; says whether there is more already.
    async fn reads_more(&mut self) -> bool {
        let began = self.shared.readings.moment();
        let found = read(&self.shared, &self.tenant, self.cursor.as_ref()).await;
        let (told, more) = match found {
            Ok(Found::Page(page)) => {
                let (next, more) = (page.next.clone(), page.more);
                let before = self.cursor.replace(next);
                if before == self.cursor {
                    return more;
                }
                let page = Arc::new(page);
                let goes_on = before.map(|_| Told::Page { page, began });
                (goes_on.unwrap_or(Told::Look), more)
            }
            Ok(Found::Lost(next)) => {
                self.cursor = Some(next);
                (Told::Look, false)
            }
            // Each finds out, and says so.
            Err(_) => {
                self.cursor = None;
                (Told::Look, false)
            }
        };
        // An error says that the last one left just now.
        let _ = self.told.send(told);
        more
    }
}

/// Waits until something may have changed.
async fn heard(watcher: &mut Watcher, shared: &Inner) {
    tokio::select! {
        biased;
        received = watcher.next() => match received {
            Some(Received::Event(_) | Received::Lost(_)) => {}
            // Nothing is published any more; others may write.
            None => shared.clock.sleep(LOOKS_ANYWAY).await,
        },
        () = shared.clock.sleep(LOOKS_ANYWAY) => {}
    }
}
