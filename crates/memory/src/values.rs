//! Results and inputs that are too large for a journal, each in a blob of its own, and those of them
//! that were used lately.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use nebula_core::{BlobId, ByteSize, TenantId};
use nebula_execution::{NewExecution, Started, footprint};
use nebula_ports::{BlobStore, BlobStoreExt, ErrorKind, PortError, Result};
use serde_json::Value;
use tracing::warn;

use crate::{spill, weight};

/// How much memory the values take that are kept after they were put or read, where nothing else is
/// said.
pub const DEFAULT_CACHE: ByteSize = ByteSize::mib(64);

/// The results of attempts and the inputs of executions that lie in blobs, as JSON: whoever drives or
/// creates executions puts them here before a journal names them
/// ([`Fact::AttemptSpilled`](nebula_execution::Fact::AttemptSpilled),
/// [`Started::input_blob`](nebula_execution::Started)), and reads them when an expression needs them.
///
/// Values that were put or read lately are kept, up to a limit; the one that was not asked for for
/// longest goes first. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Values(Arc<Inner>);

struct Inner {
    blobs: Arc<dyn BlobStore>,
    inline: usize,
    room: usize,
    kept: Mutex<Kept>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The values that are kept, and in which order they were asked for.
#[derive(Default)]
struct Kept {
    bytes: usize,
    turn: u64,
    values: BTreeMap<Name, KeptValue>,
    turns: BTreeMap<u64, Name>,
}

/// A tenant's value: another tenant's is another one, though it were the same.
type Name = (TenantId, BlobId);

struct KeptValue {
    value: Arc<Value>,
    bytes: usize,
    turn: u64,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values")
            .field("inline", &self.0.inline)
            .field("room", &self.0.room)
            .field("kept", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl Values {
    /// Values of more than `inline` bytes as JSON lie in `blobs`; about `cache` bytes of memory are
    /// kept.
    #[must_use]
    pub fn new(blobs: Arc<dyn BlobStore>, inline: ByteSize, cache: ByteSize) -> Self {
        Self(Arc::new(Inner {
            blobs,
            inline: inline.as_usize(),
            room: cache.as_usize(),
            kept: Mutex::default(),
            hits: AtomicU64::default(),
            misses: AtomicU64::default(),
        }))
    }

    /// Whether a value is too large for a journal. Looks no further than the limit.
    #[must_use]
    pub fn is_large(&self, value: &Value) -> bool {
        weight::is_over(value, self.0.inline)
    }

    /// Puts a value into a blob, durably, and keeps it.
    ///
    /// # Errors
    /// Those of [`BlobStore::put`].
    pub async fn put(&self, tenant: &TenantId, value: &Arc<Value>) -> Result<BlobId> {
        let json = serde_json::to_vec(&**value).map_err(|error| {
            let message = format!("a result cannot be written as JSON: {error}");
            PortError::new(ErrorKind::Invalid, "values", "put", message)
        })?;
        let blob = self.0.blobs.put_bytes(tenant, json.into()).await?.id;
        self.keep(tenant, blob, value.clone());
        Ok(blob)
    }

    /// Puts the input of a new execution, and what started it, each into a blob, durably, if it is too
    /// large for a journal, which then names it. What cannot be put stays in the journal.
    ///
    /// # Cancel safety
    /// A dropped call has changed nothing of the execution.
    pub async fn put_input(&self, new: &mut NewExecution) {
        let Some(started) = new.started().filter(|it| it.input_blob.is_none()) else {
            return;
        };
        let large = |value: &Value| self.is_large(value);
        let input = Some(&started.input).filter(|input| large(input)).cloned();
        let trigger = Some(&started.trigger).filter(|trigger| large(trigger));
        let trigger = trigger.cloned().map(Arc::new);
        if let Some(input) = input {
            match self.put(&new.tenant, &input).await {
                Ok(blob) => new.on_blob(blob),
                Err(error) => {
                    warn!(execution = %new.id, %error, "a large input could not be put into a blob");
                }
            }
        }
        if let Some(trigger) = trigger {
            match self.put(&new.tenant, &trigger).await {
                Ok(blob) => new.triggered_by_blob(blob),
                Err(error) => {
                    warn!(execution = %new.id, %error, "what started an execution could not be put into a blob");
                }
            }
        }
    }

    /// The input of an execution, wherever it lies.
    ///
    /// # Errors
    /// `Corrupt`: it lies in a blob, and there are no `values` to read it from. Those of [`Values::read`].
    pub async fn input(
        values: Option<&Self>,
        tenant: &TenantId,
        started: &Started,
    ) -> Result<Arc<Value>> {
        match (&started.input_blob, values) {
            (None, _) => Ok(started.input.clone()),
            (Some(stored), Some(values)) => values.read(tenant, stored.blob()).await,
            (Some(stored), None) => {
                let message = format!(
                    "the input lies in blob {}, and there is no store of blobs here; give the engine the values that the execution was begun with",
                    stored.blob()
                );
                Err(PortError::new(
                    ErrorKind::Corrupt,
                    "values",
                    "read an input",
                    message,
                ))
            }
        }
    }

    /// Reads a value, unless it is kept; then keeps it.
    ///
    /// # Errors
    /// `Corrupt`: the blob is not there, has another digest or length, or holds no JSON; it is named.
    /// Those of [`BlobStore::get`].
    ///
    /// # Cancel safety
    /// A dropped call has read nothing.
    pub async fn read(&self, tenant: &TenantId, blob: BlobId) -> Result<Arc<Value>> {
        if let Some(value) = self.kept(tenant, blob) {
            self.0.hits.fetch_add(1, Relaxed);
            return Ok(value);
        }
        self.0.misses.fetch_add(1, Relaxed);
        let value = Arc::new(spill::read::<Value>(&*self.0.blobs, tenant, blob).await?);
        self.keep(tenant, blob, value.clone());
        Ok(value)
    }

    /// Where the values lie, beside other content of the same tenants.
    #[must_use]
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.0.blobs
    }

    /// How many values were kept when they were asked for, and how many were not.
    #[must_use]
    pub fn asked(&self) -> (u64, u64) {
        (self.0.hits.load(Relaxed), self.0.misses.load(Relaxed))
    }

    /// About how many bytes of memory is kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Lets go of what was not asked for for longest, until no more than `bytes` is kept.
    pub fn shrink_to(&self, bytes: usize) {
        self.lock().shrink_to(bytes);
    }

    fn kept(&self, tenant: &TenantId, blob: BlobId) -> Option<Arc<Value>> {
        self.lock().asked(&(tenant.clone(), blob))
    }

    fn keep(&self, tenant: &TenantId, blob: BlobId, value: Arc<Value>) {
        let bytes = footprint(&value);
        // What is larger than all the room would only drive everything else out.
        if bytes <= self.0.room {
            let mut kept = self.lock();
            kept.shrink_to(self.0.room - bytes);
            kept.insert((tenant.clone(), blob), value, bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn asked(&mut self, name: &Name) -> Option<Arc<Value>> {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("cache-confuses-values") {
            let other = self.values.iter().find(|(known, _)| *known != name);
            if let Some((_, other)) = other {
                return Some(other.value.clone());
            }
        }
        let found = self.values.get_mut(name)?;
        let value = found.value.clone();
        self.turns.remove(&found.turn);
        self.turn += 1;
        found.turn = self.turn;
        self.turns.insert(self.turn, name.clone());
        Some(value)
    }

    fn insert(&mut self, name: Name, value: Arc<Value>, bytes: usize) {
        self.remove(&name);
        self.turn += 1;
        let turn = self.turn;
        self.turns.insert(turn, name.clone());
        self.values.insert(name, KeptValue { value, bytes, turn });
        self.bytes += bytes;
    }

    fn remove(&mut self, name: &Name) {
        if let Some(KeptValue { bytes, turn, .. }) = self.values.remove(name) {
            self.turns.remove(&turn);
            self.bytes -= bytes;
        }
    }

    fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes
            && let Some((_, oldest)) = self.turns.first_key_value()
        {
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }
}
