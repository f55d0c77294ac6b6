//! How attempts ended, as the machine is told.

use std::sync::Arc;

use nebula_action::{ActionError, ActionResult, ErrorClass, PORT_MAIN, Reconciled};
use nebula_execution::{
    CompensationInput, Event, Given, InstanceId, MAX_VALUE_DEPTH, Outcome, Stored, Taken,
    is_storable,
};

use crate::{
    drive::Drive,
    evaluate::{self, node_of},
};

/// An attempt that has ended.
pub(crate) struct Finished {
    pub(crate) instance: InstanceId,
    pub(crate) micros: u64,
    pub(crate) end: End,
    /// The result, if it lies in a blob; it is not in `end` then.
    pub(crate) stored: Option<Arc<Stored>>,
}

pub(crate) enum End {
    Result(Result<ActionResult, ActionError>),
    Reconciled(Result<Reconciled, ActionError>),
}

impl Finished {
    /// Nobody could be asked what became of an attempt that was lost.
    pub(crate) fn unasked(instance: InstanceId, error: &ActionError) -> Self {
        let message = format!(
            "the attempt was lost with its worker, and nobody could be asked what became of it: {error}"
        );
        let error = ActionError::new("WORKER_LOST", message, ErrorClass::Unknown);
        Self {
            instance,
            micros: 0,
            end: End::Reconciled(Err(error)),
            stored: None,
        }
    }
}

impl Drive {
    /// Tells the machine how an attempt ended.
    pub(crate) fn attempt_finished(&mut self, finished: Finished) {
        let Finished {
            instance,
            micros,
            mut end,
            stored,
        } = finished;
        let told = self.running.remove(&instance);
        if let End::Result(Err(error)) = &mut end
            && error.class == ErrorClass::Cancelled
            && !told.is_some_and(|token| token.is_cancelled())
        {
            // Whatever stopped it was not the engine, which would let it begin again for ever.
            error.class = ErrorClass::Unknown;
        }
        if let End::Result(Err(error)) = &mut end
            && error.class == ErrorClass::Unknown
            && self.stops
            && self.machine.repeats(&instance)
        {
            // Its worker called it off, in the middle of a write that may be repeated: that is no failure, and
            // the next holder makes it again.
            error.class = ErrorClass::Cancelled;
        }
        self.say_what_was_put(&instance, &end);
        if self.machine.compensates(&instance) {
            return self.compensation_finished(instance, end, micros);
        }
        match end {
            End::Result(Ok(result)) => {
                let port = result.port.as_deref().unwrap_or(PORT_MAIN);
                let output = match stored {
                    Some(stored) => Given::Blob(stored),
                    None => Given::Value(Arc::new(result.value)),
                };
                self.succeeded(instance, output, port, result.lineage, micros);
            }
            End::Result(Err(error)) => self.failed_with(instance, error, micros),
            End::Reconciled(Ok(Reconciled::Happened(value))) => {
                let output = match stored {
                    Some(stored) => Given::Blob(stored),
                    None => Given::Value(Arc::new(value)),
                };
                self.succeeded(instance, output, PORT_MAIN, None, micros);
            }
            End::Reconciled(Ok(Reconciled::NotHappened)) => {
                let message = "the attempt was lost, and its effect did not happen";
                self.failed_with(
                    instance,
                    ActionError::retryable("WORKER_LOST", message),
                    micros,
                );
            }
            End::Reconciled(Ok(Reconciled::Unknown)) => {
                let message =
                    "the attempt was lost, and the action cannot say whether its effect happened";
                let error = ActionError::new("WORKER_LOST", message, ErrorClass::Unknown);
                self.unreconciled(instance, error);
            }
            End::Reconciled(Err(error)) => self.unreconciled(instance, error),
        }
    }

    /// What an attempt put that has succeeded; of others nobody has the names.
    fn say_what_was_put(&mut self, instance: &InstanceId, end: &End) {
        let Some(put) = self.put.remove(instance) else {
            return;
        };
        let succeeded = matches!(
            end,
            End::Result(Ok(_)) | End::Reconciled(Ok(Reconciled::Happened(_)))
        );
        let blobs = std::mem::take(&mut *put.lock());
        if succeeded && !blobs.is_empty() {
            let instance = instance.clone();
            self.tell(Event::Put { instance, blobs });
        }
    }

    pub(crate) fn succeeded(
        &mut self,
        instance: InstanceId,
        output: Given,
        port: &str,
        lineage: Option<Vec<u32>>,
        micros: u64,
    ) {
        let undo = self.undo_of(&instance, &output, port);
        // What lies in a blob was looked at before, and is held only while it is needed.
        if let Given::Value(output) = &output {
            if !is_storable(output) {
                let message = format!(
                    "the result is nested deeper than {MAX_VALUE_DEPTH}, which no journal can hold"
                );
                let error = ActionError::limit("OUTPUT_TOO_DEEP", message);
                return self.failed_behind(instance, error, (undo, micros));
            }
            if let Err(error) = self.has_room_for(&instance, output) {
                return self.failed_behind(instance, error, (undo, micros));
            }
        }
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, &instance, port, clock, |scope| {
            scope.after_success(&instance, output.clone(), port)
        });
        match taken {
            Ok(taken) => {
                let outcome = Outcome::Succeeded {
                    output,
                    port: port.into(),
                    lineage,
                    taken,
                    undo,
                };
                self.tell(Event::Finished {
                    instance,
                    outcome,
                    micros,
                });
            }
            // The effect is there: what failed came after it.
            Err(error) => self.failed_behind(instance, error, (undo, micros)),
        }
    }

    pub(crate) fn failed_with(&mut self, instance: InstanceId, error: ActionError, micros: u64) {
        self.failed_behind(instance, error, (None, micros));
    }

    fn failed_behind(
        &mut self,
        instance: InstanceId,
        error: ActionError,
        (undo, micros): (Option<CompensationInput>, u64),
    ) {
        let (error, taken) = self.taken_on_failure(&instance, error);
        self.tell(Event::Finished {
            instance,
            outcome: Outcome::Failed { error, taken, undo },
            micros,
        });
    }

    pub(crate) fn unreconciled(&mut self, instance: InstanceId, error: ActionError) {
        let (error, taken) = self.taken_on_failure(&instance, error);
        self.tell(Event::Unreconciled {
            instance,
            error,
            taken,
        });
    }

    /// Which connections a final failure takes; if their conditions fail too, none, and the error says so.
    pub(crate) fn taken_on_failure(
        &self,
        instance: &InstanceId,
        error: ActionError,
    ) -> (ActionError, Taken) {
        let plan = self.machine.plan();
        let Some(port) = plan.failure_port(node_of(plan, instance)) else {
            return (error, Taken::All);
        };
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, instance, port, clock, |scope| {
            scope.after_failure(instance, &error, port)
        });
        match taken {
            Ok(taken) => (error, taken),
            Err(condition) => {
                let message = format!("{}; then {}", error.message, condition.message);
                (ActionError { message, ..error }, Taken::Only(Vec::new()))
            }
        }
    }

    /// Evaluates the connections of an instance whose timer is due.
    pub(crate) fn fire(&mut self, instance: InstanceId) {
        match self.passes_on(&instance) {
            Ok(taken) => self.tell(Event::Fired { instance, taken }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }
}
