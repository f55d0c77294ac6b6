//! Results that lie in blobs: put there when their attempt has ended, read when an expression needs
//! them, and let go of after.

use std::{sync::Arc, time::Duration};

use nebula_action::Reconciled;
use nebula_core::{BlobId, BoxFuture, ByteSize, TenantId};
use nebula_execution::{
    Command, EvaluationScope, Given, InstanceId, Machine, Stage, Started, Stored, Unread,
    footprint, is_storable,
};
use nebula_memory::Values;
use nebula_ports::{ErrorKind, PortError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    drive::{Drive, Stop},
    finish::{End, Finished},
    worker::Shared,
};

/// How often a blob that is missing or damaged is read before that is believed.
const READS: u32 = 5;

const BOTH: [Stage; 2] = [Stage::Start, Stage::End];

/// The first pause between two reads; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Puts a large result into a blob, beside everything else that goes on.
pub(crate) struct Spilling {
    values: Values,
    tenant: TenantId,
    /// Whether whoever waits for the result wants it now, wherever it lies.
    hurry: CancellationToken,
}

impl Spilling {
    /// Whether the result of an attempt is large.
    pub(crate) fn wants(&self, finished: &Finished) -> bool {
        is_large(&self.values, finished)
    }

    /// The same end of an attempt, with its large result in a blob. One that cannot be put
    /// stays what it is: the store of executions tries again, for as long as the lease lasts.
    pub(crate) fn spilled(self, finished: Finished) -> BoxFuture<'static, Finished> {
        Box::pin(self.put(finished))
    }

    async fn put(self, mut finished: Finished) -> Finished {
        let End::Result(Ok(result)) = &mut finished.end else {
            return finished;
        };
        if !is_storable(&result.value) {
            return finished;
        }
        let value = Arc::new(std::mem::take(&mut result.value));
        let put = tokio::select! {
            biased;
            put = self.values.put(&self.tenant, &value) => Some(put),
            () = self.hurry.cancelled() => None,
        };
        match put {
            Some(Ok(blob)) => finished.stored = Some(Arc::new(Stored::of(blob, value))),
            Some(Err(error)) => {
                warn!(instance = %finished.instance, %error, "a large result could not be put into a blob by itself");
                result.value = Arc::unwrap_or_clone(value);
            }
            None => result.value = Arc::unwrap_or_clone(value),
        }
        finished
    }
}

fn is_large(values: &Values, finished: &Finished) -> bool {
    match &finished.end {
        End::Result(Ok(result)) => values.is_large(&result.value),
        _ => false,
    }
}

impl Shared {
    /// Reads the input of an execution where it lies in a blob and what nodes may touch follows from it.
    ///
    /// # Errors
    /// The store is away. What is missing or damaged is known as that from now on.
    pub(crate) async fn read_for_grants(&self, machine: &Machine) -> Result<(), PortError> {
        let started = machine.state().started();
        let Some(started) = started.filter(|_| machine.plan().asks_by_input()) else {
            return Ok(());
        };
        let Given::Blob(stored) = started.given() else {
            return Ok(());
        };
        let (values, mut pause) = (self.ports.values.as_ref(), FIRST_PAUSE);
        for left in (0..READS).rev() {
            match Values::input(values, machine.tenant(), started).await {
                Ok(input) => {
                    stored.keep(Ok(input));
                    break;
                }
                // A wrong byte may have been the way's.
                Err(error) if error.kind == ErrorKind::Corrupt && left > 0 => {
                    self.ports.clock.sleep(pause).await;
                    pause *= 2;
                }
                Err(error) if error.kind == ErrorKind::Corrupt => {
                    warn!(execution = %machine.id(), %error, "an input cannot be read");
                    stored.keep(Err(Unread::new(&error.message)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drive {
    /// Lets go of the input, if it lies in a blob: what was to follow from it at the beginning has.
    pub(crate) fn forget_input(&self) {
        let started = self.machine.state().started();
        if let Some(Given::Blob(stored)) = started.map(Started::given) {
            stored.forget();
        }
    }

    /// What puts the result of an attempt into a blob, where results may lie in blobs.
    pub(crate) fn spilling(
        &self,
        instance: &InstanceId,
        hurry: &CancellationToken,
    ) -> Option<Spilling> {
        let values = self.shared.ports.values.as_ref()?;
        (!self.machine.compensates(instance)).then(|| Spilling {
            values: values.clone(),
            tenant: self.lease.tenant.clone(),
            hurry: hurry.clone(),
        })
    }

    /// Whether the result of an attempt is to lie in a blob, where it may.
    pub(crate) fn is_large(&self, finished: &Finished) -> bool {
        let values = self.shared.ports.values.as_ref();
        values.is_some_and(|values| is_large(values, finished))
    }

    /// Takes in a large result that was made in place, by way of its blob where it may lie in one.
    pub(crate) async fn spill(
        &mut self,
        finished: Finished,
        hurry: &CancellationToken,
    ) -> Result<(), Stop> {
        let finished = match self.spilling(&finished.instance, hurry) {
            None => finished,
            Some(spilling) => {
                let mut spilled = None;
                let put = async { spilled = Some(spilling.spilled(finished).await) };
                self.keeping_lease(put).await?;
                spilled.expect("the work has come to its end")
            }
        };
        self.attempt_finished(finished);
        Ok(())
    }

    /// Reads what a command needs that lies in blobs.
    pub(crate) async fn read_before(&mut self, command: &Command) -> Result<(), Stop> {
        let instance = match command {
            Command::Run { instance, .. }
            | Command::Open { instance }
            | Command::Weigh { instance }
            | Command::Collect { instance, .. }
            | Command::Catch { instance, .. }
            | Command::Fire { instance }
            | Command::Take { instance }
            | Command::Expire { instance }
            | Command::Settle { instance }
            | Command::Reconcile { instance, .. } => instance,
            Command::Enter { instance } => {
                // A body begins on the name of a blob.
                return self.read_for_expressions(instance, &BOTH).await;
            }
            Command::Output => {
                let stored = EvaluationScope::stored_for_output(&self.machine);
                return self.read_all(stored).await;
            }
            Command::Cut { instance, .. } => {
                // Elements begin a part by their names.
                let whole = instance.whole();
                return self.read_for_expressions(&whole, &[Stage::Start]).await;
            }
            Command::Start { .. }
            | Command::Compensate { .. }
            | Command::Abort { .. }
            | Command::CancelChild { .. } => return Ok(()),
        };
        self.read_for(instance, &BOTH).await
    }

    /// Reads what expressions of an instance need that lies in blobs, and of an item its element.
    pub(crate) async fn read_for(
        &mut self,
        instance: &InstanceId,
        stages: &[Stage],
    ) -> Result<(), Stop> {
        self.read_for_expressions(instance, stages).await?;
        let stored = self.stored_of_item(instance);
        self.read_also(stored).await
    }

    async fn read_for_expressions(
        &mut self,
        instance: &InstanceId,
        stages: &[Stage],
    ) -> Result<(), Stop> {
        let (plan, state) = (self.machine.plan(), self.machine.state());
        let Some(at) = state.find(plan, instance) else {
            return Ok(());
        };
        let stored = |stage: &Stage| EvaluationScope::stored_for(&self.machine, at, *stage);
        let stored = stages.iter().flat_map(stored).collect();
        self.read_all(stored).await
    }

    /// Puts a large value into a blob, unless it lies in one. One that cannot be put stays what it is.
    pub(crate) async fn put_apart(&mut self, given: Given) -> Result<Given, Stop> {
        let Given::Value(value) = &given else {
            return Ok(given);
        };
        let Some(values) = self.shared.ports.values.clone() else {
            return Ok(given);
        };
        if !values.is_large(value) || !is_storable(value) {
            return Ok(given);
        }
        self.put_into_blob(given, values).await
    }

    /// The same, of any value.
    pub(crate) async fn put_into_blob(
        &mut self,
        given: Given,
        values: Values,
    ) -> Result<Given, Stop> {
        let Given::Value(value) = &given else {
            return Ok(given);
        };
        let (tenant, mut put) = (self.lease.tenant.clone(), None);
        let putting = async { put = Some(values.put(&tenant, value).await) };
        self.keeping_lease(putting).await?;
        match put.expect("the work has come to its end") {
            Ok(blob) => Ok(Given::Blob(Arc::new(Stored::of(blob, value.clone())))),
            Err(error) => {
                warn!(execution = %self.lease.execution, %error, "a large value could not be put into a blob by itself");
                Ok(given)
            }
        }
    }

    /// Takes in how an attempt ended; gives what is left to do where something has to be read or put
    /// first, on the heap, so that what waits for attempts is no larger for it.
    pub(crate) fn take_in(
        &mut self,
        mut finished: Finished,
    ) -> Option<BoxFuture<'_, Result<(), Stop>>> {
        let asked = matches!(&finished.end, End::Reconciled(Ok(Reconciled::Happened(_))));
        if self.machine.compensates(&finished.instance) || !(self.names_blobs || asked) {
            self.took_in(finished);
            return None;
        }
        Some(Box::pin(async move {
            if let End::Reconciled(Ok(Reconciled::Happened(value))) = &mut finished.end {
                let given = Given::Value(Arc::new(std::mem::take(value)));
                match self.put_apart(given).await? {
                    Given::Blob(stored) => finished.stored = Some(stored),
                    Given::Value(known) => *value = Arc::unwrap_or_clone(known),
                    Given::List(_) | Given::Made(_) => {}
                }
            }
            self.read_for(&finished.instance, &[Stage::End]).await?;
            self.took_in(finished);
            Ok(())
        }))
    }

    fn took_in(&mut self, finished: Finished) {
        self.attempt_finished(finished);
        self.let_go();
    }

    pub(crate) async fn read_all(&mut self, all: Vec<Arc<Stored>>) -> Result<(), Stop> {
        if self.held.all() > self.shared.config.execution_memory.as_usize() / 2 {
            // What was kept for the items of a list makes room.
            self.let_go_of_all();
        }
        self.read_also(all).await
    }

    /// The same, beside what was read before.
    pub(crate) async fn read_also(&mut self, all: Vec<Arc<Stored>>) -> Result<(), Stop> {
        for stored in all {
            if stored.is_known() {
                continue;
            }
            let read = self.read(stored.blob()).await?;
            let read = read.and_then(|value| self.has_room_to_read(stored.blob(), value));
            stored.keep(read);
            self.read.push(stored);
        }
        Ok(())
    }

    /// Lets go of what was read; the worker keeps some of it for the next one. While a list runs, each
    /// of its items may need the same, so that stays at hand.
    pub(crate) fn let_go(&mut self) {
        if !self.read.is_empty() && self.lists.is_empty() {
            self.let_go_of_all();
        }
    }

    fn let_go_of_all(&mut self) {
        self.read.drain(..).for_each(|stored| stored.forget());
        self.held.read(0);
    }

    /// Reads one value, as long as there is hope: a store that is away may come back, and a wrong
    /// byte may have been the way's.
    async fn read(&mut self, blob: BlobId) -> Result<Result<Arc<Value>, Unread>, Stop> {
        let Some(values) = self.shared.ports.values.clone() else {
            let why =
                format!("the value lies in blob {blob}, and this worker has no store of blobs");
            return Ok(Err(Unread::new(&why)));
        };
        let (tenant, clock) = (self.lease.tenant.clone(), self.shared.ports.clock.clone());
        let (begun, patience) = (clock.monotonic(), self.shared.config.lease_ttl);
        let (mut pause, mut in_vain) = (FIRST_PAUSE, 0);
        loop {
            let mut answer = None;
            let reading = async { answer = Some(values.read(&tenant, blob).await) };
            self.keeping_lease(reading).await?;
            match answer.expect("the work has come to its end") {
                Ok(value) => return Ok(Ok(value)),
                Err(error) if error.kind == ErrorKind::Corrupt => {
                    in_vain += 1;
                    if in_vain == READS {
                        warn!(execution = %self.lease.execution, %error, "a result cannot be read");
                        return Ok(Err(Unread::new(&error.message)));
                    }
                }
                Err(error)
                    if error.kind == ErrorKind::Unavailable
                        && clock.monotonic().saturating_sub(begun) < patience => {}
                Err(error) => return Err(Stop::Store(error)),
            }
            self.keeping_lease(clock.sleep(pause)).await?;
            pause *= 2;
        }
    }

    /// Whether the execution can hold a value for as long as it is needed.
    fn has_room_to_read(&mut self, blob: BlobId, value: Arc<Value>) -> Result<Arc<Value>, Unread> {
        let bytes = footprint(&value);
        let limit = self.shared.config.execution_memory;
        if self.held.all().saturating_add(bytes) > limit.as_usize() {
            let size = |bytes: usize| ByteSize::kib((bytes as u64).div_ceil(1024));
            let why = format!(
                "the value in blob {blob} takes about {} of memory, and the execution holds {} already; \
                 the limit is {limit}; read less of it at once, or raise the worker's `execution_memory`",
                size(bytes),
                size(self.held.all()),
            );
            return Err(Unread::new(&why));
        }
        self.held.read(self.held.read_bytes() + bytes);
        Ok(value)
    }
}
