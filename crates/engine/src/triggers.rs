//! Triggers of published versions: what is registered of a version, and what people do with it.

use nebula_core::{Digest, ExecutionId, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_execution::RequestError;
use nebula_ports::{
    DedupeKey, ErrorKind, NewTrigger, Page, PageToken, PortError, Result, StoredWorkflow,
    Subscription, TriggerRecord, TriggerRepo, TriggerState, TriggerUpdated,
};
use nebula_trigger::{FileWatch, Listening, Poll, Queue, Timing, Webhook};
use nebula_workflow::{TriggerDefinition, WorkflowDefinition};
use serde_json::{Value, json};

use crate::{
    AdmissionError, Engine, FireConfig, InstallError, StartError, Started, arrivals::topics,
    firing::occurrence_key,
};

/// How many occurrences are made up for at once.
pub const MAX_BACKFILL: usize = 1_000;

/// Why a trigger started nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FireError {
    /// No published version has it.
    #[error("no published version has such a trigger")]
    Unknown,
    /// It has no occurrences.
    #[error("it does not go by time, so that there is nothing to make up for")]
    Timeless,
    /// It does not go by time, and nobody has called it.
    #[error("it starts what it is called with: call its address")]
    Called,
    /// It goes neither by time nor by calls.
    #[error("it starts what it hears of, and there is nothing to be heard of now")]
    Listens,
    /// It watches, and is looked at by itself.
    #[error(
        "it starts what is new where it looks, and looks by itself: there has to be something new"
    )]
    Watches,
    /// There are more occurrences than are made up for at once.
    #[error("there are more than {MAX_BACKFILL} occurrences from {from} to {to}")]
    TooMany {
        /// After when.
        from: Timestamp,
        /// Up to when.
        to: Timestamp,
    },
    /// Its `input` gives no value.
    #[error("its input: {0}")]
    Input(String),
    /// A node's `requires` gives no capability.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Its version cannot be started.
    #[error(transparent)]
    Install(InstallError),
    /// The start was refused.
    #[error(transparent)]
    Start(StartError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<StartError> for FireError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => Self::Store(error),
            error => Self::Start(error),
        }
    }
}

impl From<AdmissionError> for FireError {
    fn from(error: AdmissionError) -> Self {
        StartError::from(error).into()
    }
}

impl From<InstallError> for FireError {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Store(error) => Self::Store(error),
            error => Self::Install(error),
        }
    }
}

/// An occurrence that was made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backfilled {
    /// Which one.
    pub occurrence: Timestamp,
    /// Its execution.
    pub execution: ExecutionId,
    /// Whether that was there before.
    pub existed: bool,
}

/// From what the jitter of a trigger follows.
pub(crate) fn seed(workflow: &WorkflowId, trigger: &TriggerId) -> Vec<u8> {
    format!("{workflow}/{trigger}").into_bytes()
}

/// What a definition says of when a trigger starts; `None` if it does not go by time, or not any more
/// as it was written.
pub(crate) fn timing(definition: &WorkflowDefinition, it: &TriggerDefinition) -> Option<Timing> {
    Timing::read(&it.kind, &it.rest, &definition.timezone)?.ok()
}

/// What the store lets a trigger hear.
fn subscriptions(listening: &Listening) -> Vec<Subscription> {
    let mut all = Vec::new();
    for topic in topics(listening) {
        let from = |source| Subscription {
            topic: topic.clone(),
            source,
        };
        match listening.workflows.as_slice() {
            [] => all.push(from(None)),
            some => all.extend(some.iter().cloned().map(|it| from(Some(it)))),
        }
    }
    all
}

/// A stored version, read.
pub(crate) fn definition(stored: &StoredWorkflow) -> Result<WorkflowDefinition> {
    WorkflowDefinition::from_json(&stored.definition).map_err(|problems| {
        let first = problems.first();
        let first = first.map_or_else(String::new, |problem| problem.message.clone());
        let message = format!("version {} of `{}`: {first}", stored.version, stored.id);
        PortError::new(ErrorKind::Corrupt, "engine", "read a definition", message)
    })
}

impl Engine {
    /// The triggers that a version has, as its publication registers them: those that go by time begin
    /// now, and those that are called get an address unless they have one.
    ///
    /// # Errors
    /// `Corrupt`: the version cannot be read. The store failed.
    pub(crate) async fn registrations(&self, stored: &StoredWorkflow) -> Result<Vec<NewTrigger>> {
        let definition = definition(stored)?;
        let mut registered = Vec::new();
        if definition.triggers.is_empty() {
            return Ok(registered);
        }
        let now = self.store_time().await?;
        for trigger in &definition.triggers {
            // Reading has refused every other id.
            let Ok(id) = TriggerId::new(trigger.id.as_str()) else {
                continue;
            };
            let mut fields = trigger.rest.clone();
            if let Some(input) = &trigger.input {
                fields.insert("input".to_owned(), input.to_json());
            }
            let kind = trigger.kind.clone();
            if let Some(timing) = timing(&definition, trigger) {
                let settled = timing.settled(&seed(&stored.id, &id), now);
                let pace = format!("{} spread over {:?}", timing.schedule, timing.jitter);
                let definition =
                    json!({ "schedule": timing.schedule.to_string(), "fields": fields });
                registered.push(NewTrigger {
                    id,
                    kind,
                    definition,
                    pace: Digest::of(pace.as_bytes()),
                    through: settled.through,
                    due: settled.due,
                    hook: None,
                    listens: Vec::new(),
                    sourced: false,
                });
            } else if let Some(Ok(hook)) = Webhook::read(&kind, &trigger.rest) {
                registered.push(NewTrigger {
                    id,
                    kind,
                    definition: json!({ "path": hook.path.to_string(), "fields": fields }),
                    pace: Digest::of(b"whenever it is called"),
                    through: now,
                    due: None,
                    hook: Some(self.new_hook()),
                    listens: Vec::new(),
                    sourced: false,
                });
            } else if let Some(Ok(listening)) = Listening::read(&kind, &trigger.rest) {
                let listens = subscriptions(&listening);
                let topics: Vec<_> = listens.iter().map(|it| it.topic.as_str()).collect();
                registered.push(NewTrigger {
                    id,
                    kind,
                    definition: json!({ "topics": topics, "fields": fields }),
                    pace: Digest::of(b"whenever it hears"),
                    through: now,
                    due: None,
                    hook: None,
                    listens,
                    sourced: false,
                });
            } else if let Some(Ok(watch)) = FileWatch::read(&kind, &trigger.rest) {
                registered.push(NewTrigger {
                    id,
                    kind,
                    definition: json!({ "path": watch.path, "fields": fields }),
                    pace: Digest::of(watch.pace().as_bytes()),
                    // The first look, at what is there now.
                    through: now,
                    due: Some(now),
                    hook: None,
                    listens: Vec::new(),
                    sourced: true,
                });
            } else if let Some(Ok(queue)) = Queue::read(&kind, &trigger.rest) {
                let mut definition = json!({ "broker": queue.address, "fields": fields });
                if !queue.from_start {
                    definition["since"] = now.to_string().into();
                }
                registered.push(NewTrigger {
                    id,
                    kind,
                    definition,
                    pace: Digest::of(queue.pace().as_bytes()),
                    // Whoever comes first listens.
                    through: now,
                    due: Some(now),
                    hook: None,
                    listens: Vec::new(),
                    sourced: true,
                });
            } else if let Some(Ok(poll)) = Poll::read(&kind, &trigger.rest) {
                registered.push(NewTrigger {
                    id,
                    kind,
                    definition: json!({ "action": poll.look["action"], "fields": fields }),
                    pace: Digest::of(poll.pace().as_bytes()),
                    through: now,
                    due: Some(now),
                    hook: None,
                    listens: Vec::new(),
                    sourced: true,
                });
            }
        }
        Ok(registered)
    }

    /// The time by the clock of the store of triggers, which calls them due: what begins by another one would
    /// begin in its past or future. Without such a store nothing is ever due, and the time is this process's.
    async fn store_time(&self) -> Result<Timestamp> {
        match &self.ports.triggers {
            Some(triggers) => Ok(triggers.due(0).await?.now),
            None => Ok(self.ports.clock.now()),
        }
    }

    pub(crate) fn trigger_repo(&self) -> Result<&dyn TriggerRepo> {
        self.ports.triggers.as_deref().ok_or_else(|| {
            let message = "this engine was given no store of triggers";
            PortError::new(
                ErrorKind::Unsupported,
                "engine",
                "look at triggers",
                message,
            )
        })
    }

    /// Triggers of published versions, of one workflow or of all.
    ///
    /// # Errors
    /// The store failed, or the token is not from a page before.
    pub async fn triggers(
        &self,
        tenant: &TenantId,
        workflow: Option<&WorkflowId>,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<TriggerRecord>> {
        let repo = self.trigger_repo()?;
        repo.list(tenant, workflow, after, limit).await
    }

    /// One trigger of a published version.
    ///
    /// # Errors
    /// The store failed.
    pub async fn trigger(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<TriggerRecord>> {
        let repo = self.trigger_repo()?;
        repo.get(tenant, workflow, trigger).await
    }

    /// Lets a trigger start nothing more, or again from now on: what came while it was paused is not made
    /// up for. `None` if no published version has it.
    ///
    /// # Errors
    /// The store failed; the same call again changes nothing more.
    pub async fn pause_trigger(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        paused: bool,
    ) -> Result<Option<TriggerRecord>> {
        let repo = self.trigger_repo()?;
        loop {
            let Some(record) = repo.get(tenant, workflow, trigger).await? else {
                return Ok(None);
            };
            if record.state.paused == paused {
                return Ok(Some(record));
            }
            let mut state = TriggerState {
                paused,
                ..record.state.clone()
            };
            if !paused && let Some(timing) = self.timing_of(tenant, &record).await? {
                let from = record.state.through.max(self.store_time().await?);
                let settled = timing.settled(&seed(workflow, trigger), from);
                (state.through, state.due) = (settled.through, settled.due);
            }
            let updated = repo.update(tenant, workflow, trigger, record.revision, state.clone());
            match updated.await? {
                TriggerUpdated::Updated { revision } => {
                    self.triggers_changed.notify_one();
                    return Ok(Some(TriggerRecord {
                        state,
                        revision,
                        ..record
                    }));
                }
                // It moved meanwhile, which takes a start or a person each time.
                TriggerUpdated::Conflict { .. } => {}
                TriggerUpdated::Unknown => return Ok(None),
            }
        }
    }

    /// What the version of a trigger says of when it starts.
    async fn timing_of(&self, tenant: &TenantId, record: &TriggerRecord) -> Result<Option<Timing>> {
        let version = Some(record.version);
        let Some(stored) = self.stored(tenant, &record.workflow, version).await? else {
            return Ok(None);
        };
        let definition = definition(&stored)?;
        let mut all = definition.triggers.iter();
        let trigger = all.find(|it| it.id == record.trigger.as_str());
        Ok(trigger.and_then(|trigger| timing(&definition, trigger)))
    }

    /// Starts what a trigger starts, now, because somebody says so; its occurrences stay as they are,
    /// also where it is paused.
    ///
    /// # Errors
    /// [`FireError`]: nothing was started, but for `Store` with `Unavailable`.
    pub async fn fire_trigger(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        config: &FireConfig,
    ) -> Result<Started, FireError> {
        let record = self.trigger(tenant, workflow, trigger).await?;
        let record = record.ok_or(FireError::Unknown)?;
        let ready = self.ready(tenant, &record).await?;
        let now = self.ports.clock.now();
        if ready.listening(&record).is_some() || ready.queue(&record).is_some() {
            return Err(FireError::Listens);
        }
        if ready.watch(&record).is_some() || ready.poll(&record).is_some() {
            return Err(FireError::Watches);
        }
        if ready.timing(&record).is_none() {
            return Err(FireError::Called);
        }
        let told = json!({
            "id": trigger, "type": record.kind, "scheduled_at": now.to_string(), "manual": true,
        });
        let new = self.triggered(config, &ready, (tenant, &record), now, (told, Value::Null))?;
        Ok(self.create(tenant, ready.plan(), new, None, None).await?)
    }

    /// Starts an execution for each occurrence after `from` and not after `to` that was started by nobody
    /// in the last days ([`nebula_ports::ExecutionRepo`]'s dedupe keys), in order.
    ///
    /// # Errors
    /// [`FireError`]: those before were started; the same call again starts the others.
    pub async fn backfill(
        &self,
        tenant: &TenantId,
        (workflow, trigger): (&WorkflowId, &TriggerId),
        (from, to): (Timestamp, Timestamp),
        config: &FireConfig,
    ) -> Result<Vec<Backfilled>, FireError> {
        let record = self.trigger(tenant, workflow, trigger).await?;
        let record = record.ok_or(FireError::Unknown)?;
        let ready = self.ready(tenant, &record).await?;
        let timing = ready.timing(&record).ok_or(FireError::Timeless)?;
        let within = timing.schedule.occurrences(from);
        let within = within.take_while(|it| *it <= to);
        let occurrences: Vec<_> = within.take(MAX_BACKFILL + 1).collect();
        if occurrences.len() > MAX_BACKFILL {
            return Err(FireError::TooMany { from, to });
        }
        let mut done = Vec::with_capacity(occurrences.len());
        for occurrence in occurrences {
            let told = json!({
                "id": trigger, "type": record.kind, "scheduled_at": occurrence.to_string(), "backfill": true,
            });
            let new = self.triggered(
                config,
                &ready,
                (tenant, &record),
                occurrence,
                (told, Value::Null),
            )?;
            let key: Option<DedupeKey> = Some(occurrence_key(&record, occurrence));
            #[cfg(sim_bug)]
            let key = key.filter(|_| !nebula_core::sim_bug::is_awake("slot-has-no-key"));
            let created = self.create(tenant, ready.plan(), new, key, None);
            let started = created.await?;
            done.push(Backfilled {
                occurrence,
                execution: started.id,
                existed: started.existed.is_some(),
            });
        }
        Ok(done)
    }
}
