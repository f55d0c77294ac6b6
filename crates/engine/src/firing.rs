//! Starts what is due by itself.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::pending, stream::FuturesUnordered};
use nebula_action::Grants;
use nebula_core::{Digest, TenantId, Timestamp, WorkflowId};
use nebula_execution::{ExecutionPlan, NewExecution, Signal, StartOptions, StartSlot, TriggerMove};
use nebula_expression::{Context, JsonScope};
use nebula_parameter::{CompileScope, ParamProgram};
use nebula_ports::{
    DedupeKey, LeftOut, MAX_LEFT_OUT, MAX_SLOT_NAME, PortError, Result, TriggerRecord, TriggerRepo,
    TriggerState,
};
use nebula_trigger::{FileWatch, Firing, Listening, Overlap, Poll, Queue, Settled, Timing};
use nebula_workflow::{TriggerDefinition, WorkflowDefinition};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    AdmissionError, Engine, InstallError, Installed,
    arrivals::Comes,
    polling::Looking,
    triggers::{FireError, definition, seed, timing},
};

/// How many triggers are looked at at a time.
const PAGE: usize = 64;
/// How many versions are kept ready to start.
const MAX_READY: usize = 64;
/// How many executions of a trigger with `overlap: queue` may wait, more occurrences are left out; and of
/// one with a `key`, for each.
pub(crate) const MAX_QUEUED: u32 = 1_000;
/// After what time it is tried again where the store failed, and where what was due stands as it stood.
pub(crate) const SOON: Duration = Duration::from_millis(100);
/// How long what goes on beside may take to stop.
const LEAVE: Duration = Duration::from_secs(1);
/// How long is waited for more, where something was announced.
const TOGETHER: Duration = Duration::from_millis(10);
/// After what time it is tried again where a version has no plan any more.
const LATER: Duration = Duration::from_secs(60);

/// What executions get that triggers start.
#[derive(Debug, Clone, PartialEq)]
pub struct FireConfig {
    /// Where relative paths in their parameters begin.
    pub folder: PathBuf,
    /// Their `$vars`.
    pub vars: Value,
}

/// A version with triggers, ready to start.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    installed: Installed,
    definition: Arc<WorkflowDefinition>,
}

impl Ready {
    /// A trigger of it, as it is written.
    pub(crate) fn trigger(&self, record: &TriggerRecord) -> Option<&TriggerDefinition> {
        let mut all = self.definition.triggers.iter();
        all.find(|it| it.id == record.trigger.as_str())
    }

    pub(crate) fn plan(&self) -> &ExecutionPlan {
        &self.installed.plan
    }

    pub(crate) fn listening(&self, record: &TriggerRecord) -> Option<Listening> {
        let trigger = self.trigger(record)?;
        Listening::read(&trigger.kind, &trigger.rest)?.ok()
    }

    pub(crate) fn watch(&self, record: &TriggerRecord) -> Option<FileWatch> {
        let trigger = self.trigger(record)?;
        FileWatch::read(&trigger.kind, &trigger.rest)?.ok()
    }

    pub(crate) fn poll(&self, record: &TriggerRecord) -> Option<Poll> {
        let trigger = self.trigger(record)?;
        Poll::read(&trigger.kind, &trigger.rest)?.ok()
    }

    pub(crate) fn queue(&self, record: &TriggerRecord) -> Option<Queue> {
        let trigger = self.trigger(record)?;
        Queue::read(&trigger.kind, &trigger.rest)?.ok()
    }

    pub(crate) fn plan_of(&self) -> Arc<ExecutionPlan> {
        Arc::clone(&self.installed.plan)
    }

    pub(crate) fn timezone(&self) -> &str {
        &self.definition.timezone
    }

    pub(crate) fn timing(&self, record: &TriggerRecord) -> Option<Timing> {
        timing(&self.definition, self.trigger(record)?)
    }
}

/// What goes on beside the starts.
#[derive(Default)]
struct Beside {
    /// Looks with an action.
    looks: FuturesUnordered<Looking>,
    /// Those who listen to queues.
    listeners: FuturesUnordered<Looking>,
}

impl Beside {
    /// Goes on with all of it until something ends; for ever, if there is nothing.
    async fn next(&mut self) {
        tokio::select! {
            Some(()) = self.looks.next(), if !self.looks.is_empty() => {}
            Some(()) = self.listeners.next(), if !self.listeners.is_empty() => {}
            else => pending().await,
        }
    }

    /// Waits for the end of all of it.
    async fn ended(&mut self) {
        while !self.looks.is_empty() || !self.listeners.is_empty() {
            self.next().await;
        }
    }
}

/// Versions that are ready, so that not every start reads and plans one.
type Cache = BTreeMap<(TenantId, WorkflowId, u32), Ready>;

/// The dedupe key of an occurrence, however it comes to be started.
pub(crate) fn occurrence_key(record: &TriggerRecord, occurrence: Timestamp) -> DedupeKey {
    let (workflow, trigger) = (&record.workflow, &record.trigger);
    DedupeKey(format!("trigger:{workflow}/{trigger}@{occurrence}"))
}

impl Engine {
    /// Starts what triggers say, when they say it, until `shutdown`. Any number may run over one store,
    /// in this process and in others: each occurrence starts one execution. It sleeps until the next one
    /// is due, or triggers change; [`crate::EngineConfig::triggers_interval`] bounds that, for changes
    /// of other processes and jumps of the clock.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what was not started is due for whoever looks next.
    pub async fn fire(&self, config: FireConfig, shutdown: CancellationToken) {
        let (mut cache, mut beside) = (Cache::new(), Beside::default());
        while !shutdown.is_cancelled() {
            let pause = self
                .fire_due(&config, (&mut cache, &mut beside), &shutdown)
                .await;
            if pause.is_zero() {
                // There is more; what goes on beside has its turn.
                let _ = beside.next().now_or_never();
                continue;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                // What it has brought is due.
                () = beside.next() => {}
                () = self.triggers_changed.notified() => {}
                // What is announced together is looked at together.
                () = async {
                    self.bus.announcement().await;
                    self.ports.clock.sleep(TOGETHER).await;
                } => {}
                () = self.ports.clock.sleep(pause) => {}
            }
        }
        // Others may look and listen at once, instead of when its time is over.
        tokio::select! {
            biased;
            () = beside.ended() => {}
            () = self.ports.clock.sleep(LEAVE) => {}
        }
    }

    /// Starts some of what is due; says when to look again, which is at once where there may be more.
    async fn fire_due(
        &self,
        config: &FireConfig,
        (cache, beside): (&mut Cache, &mut Beside),
        shutdown: &CancellationToken,
    ) -> Duration {
        let interval = self.config.triggers_interval;
        let Some(triggers) = &self.ports.triggers else {
            return interval;
        };
        let page = match triggers.due(PAGE).await {
            Ok(page) => page,
            Err(error) => {
                warn!(%error, "could not look for due triggers; trying again");
                return interval.min(SOON * 10);
            }
        };
        if page.due.is_empty() {
            let pause = page.next_due.map_or(interval, |due| due.since(page.now));
            return pause.max(SOON / 10).min(interval);
        }
        let (mut moved, mut failed) = (false, false);
        for (tenant, record) in &page.due {
            let of = (tenant, record, page.now);
            let fired = self.fire_one(triggers, config, (cache, beside), of, shutdown);
            match fired.await {
                Ok(it) => moved |= it,
                Err(error) => {
                    let (workflow, trigger) = (&record.workflow, &record.trigger);
                    warn!(%workflow, %trigger, %error, "could not fire; trying again");
                    failed = true;
                }
            }
        }
        match (failed, moved) {
            (true, _) => interval.min(SOON * 10),
            (false, false) => interval.min(SOON),
            (false, true) => Duration::ZERO,
        }
    }

    /// Does what one trigger says at `now`, the time of the store that called it due: our own clock may
    /// be ahead of that, and would leave out what is still to come. Whether it stands elsewhere then.
    async fn fire_one(
        &self,
        triggers: &Arc<dyn TriggerRepo>,
        config: &FireConfig,
        (cache, beside): (&mut Cache, &mut Beside),
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
        shutdown: &CancellationToken,
    ) -> Result<bool> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        let ready = match self.cached(tenant, record, cache).await {
            Ok(ready) => ready,
            Err(InstallError::Store(error)) => return Err(error),
            Err(error) => {
                warn!(%workflow, %trigger, %error, "its version cannot be started; trying again");
                let then = Settled {
                    through: record.state.through,
                    due: Some(now.plus(LATER)),
                };
                let why = format!("its version cannot be started: {error}");
                let left_out = left_out(record.state.through, now, &why);
                return settle(triggers, (tenant, record), then, Some(left_out)).await;
            }
        };
        if let Some(listening) = ready.listening(record) {
            let comes = Comes {
                intake: &listening.intake,
                listening: Some(&listening),
                dedupe: None,
                due: None,
            };
            let of = (tenant, record, now);
            let fired = self.fire_arrivals(triggers, config, &ready, of, comes);
            return fired.await;
        }
        if let Some(watch) = ready.watch(record) {
            if record.state.through <= now {
                let of = (tenant, record, now);
                return self.look_at_folder(triggers, config, of, &watch).await;
            }
            let comes = Comes {
                intake: &watch.intake,
                listening: None,
                dedupe: None,
                due: Some(record.state.through),
            };
            let of = (tenant, record, now);
            let fired = self.fire_arrivals(triggers, config, &ready, of, comes);
            return fired.await;
        }
        if let Some(poll) = ready.poll(record) {
            let of = (tenant, record, now);
            if record.state.through <= now {
                let room = (beside.looks.len(), shutdown);
                let begun = self.begin_look(triggers, config, (&ready, poll), of, room);
                let (moved, looking) = begun.await?;
                beside.looks.extend(looking);
                return Ok(moved);
            }
            let comes = Comes {
                intake: &poll.intake,
                listening: None,
                dedupe: None,
                due: Some(record.state.through),
            };
            let fired = self.fire_arrivals(triggers, config, &ready, of, comes);
            return fired.await;
        }
        if let Some(queue) = ready.queue(record) {
            let of = (tenant, record, now);
            if record.state.through <= now {
                let room = (beside.listeners.len(), shutdown);
                let begun = self.begin_listening(triggers, config, queue, of, room);
                let (moved, listening) = begun.await?;
                beside.listeners.extend(listening);
                return Ok(moved);
            }
            let comes = Comes {
                intake: &queue.intake,
                listening: None,
                dedupe: queue.dedupe.as_deref(),
                due: Some(record.state.through),
            };
            let fired = self.fire_arrivals(triggers, config, &ready, of, comes);
            return fired.await;
        }
        let Some(timing) = ready.timing(record) else {
            // This build does not read it as what the store takes it for; a later one may.
            let later = Settled {
                through: record.state.through,
                due: Some(now.plus(LATER)),
            };
            return settle(triggers, (tenant, record), later, None).await;
        };
        let seed = seed(workflow, trigger);
        match timing.decide(&seed, record.state.through, now) {
            Firing::Waits(due) if due == record.state.due => Ok(false),
            Firing::Waits(due) => {
                let through = record.state.through;
                settle(triggers, (tenant, record), Settled { through, due }, None).await
            }
            Firing::LeavesOut(then) => {
                info!(%workflow, %trigger, through = %then.through, "missed occurrences are left out");
                self.bus.metrics().trigger_left_out();
                let why = "nobody was there to start it, and `misfire` does not make up for it";
                let left_out = left_out(then.through, now, why);
                settle(triggers, (tenant, record), then, Some(left_out)).await
            }
            Firing::Starts { occurrence, then } => {
                let start = (&timing, occurrence, then);
                match self
                    .start_occurrence(config, &ready, (tenant, record), start)
                    .await
                {
                    Ok(Occurred::Moved) => Ok(true),
                    Ok(Occurred::Existed) => settle(triggers, (tenant, record), then, None).await,
                    Ok(Occurred::LeftOut(why)) => {
                        self.bus.metrics().trigger_left_out();
                        let left_out = left_out(occurrence, now, &why);
                        settle(triggers, (tenant, record), then, Some(left_out)).await
                    }
                    Err(FireError::Store(error)) => Err(error),
                    Err(error) => {
                        self.bus.metrics().trigger_left_out();
                        warn!(%workflow, %trigger, %occurrence, %error, "an occurrence could not start, and is left out");
                        let left_out = left_out(occurrence, now, &error.to_string());
                        settle(triggers, (tenant, record), then, Some(left_out)).await
                    }
                }
            }
        }
    }

    /// Starts an execution for an occurrence.
    async fn start_occurrence(
        &self,
        config: &FireConfig,
        ready: &Ready,
        (tenant, record): (&TenantId, &TriggerRecord),
        (timing, occurrence, then): (&Timing, Timestamp, Settled),
    ) -> Result<Occurred, FireError> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        if let (Overlap::Skip | Overlap::CancelPrevious, Some(last)) =
            (timing.overlap, record.state.last)
        {
            let last = self.ports.executions.get(tenant, last).await?;
            if let Some(last) = last.filter(|last| !last.status.is_terminal()) {
                if timing.overlap == Overlap::Skip {
                    info!(%workflow, %trigger, %occurrence, running = %last.id, "left out: the last one is under way");
                    let why = format!("{} was under way, and `overlap` is `skip`", last.id);
                    return Ok(Occurred::LeftOut(why));
                }
                // Before the creation: should this process die between, the next one asks again.
                let reason = format!("the occurrence of {occurrence} takes its place");
                let once = DedupeKey("trigger.cancel_previous".to_owned());
                let cancel = Signal::Cancel { reason };
                let _ = self.signal(tenant, last.id, &cancel, Some(once)).await?;
            }
        }
        let told = json!({
            "id": trigger, "type": record.kind, "scheduled_at": occurrence.to_string(),
        });
        let told = (told, Value::Null);
        let mut new = self.triggered(config, ready, (tenant, record), occurrence, told)?;
        new.trigger = Some(TriggerMove {
            trigger: trigger.clone(),
            expected: record.revision,
            through: then.through,
            due: then.due,
            takes: Vec::new(),
        });
        let key = Some(occurrence_key(record, occurrence));
        #[cfg(sim_bug)]
        let key = key.filter(|_| !nebula_core::sim_bug::is_awake("slot-has-no-key"));
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("slot-is-settled-before-its-start")
            && let (Some(triggers), Some(_)) = (&self.ports.triggers, new.trigger.take())
        {
            let _ = settle(triggers, (tenant, record), then, None).await?;
        }
        match self.create(tenant, ready.plan(), new, key, None).await {
            Ok(started) if started.existed.is_some() => Ok(Occurred::Existed),
            Ok(started) => {
                let execution = started.id;
                let lag = self.ports.clock.now().since(occurrence);
                self.bus.metrics().trigger_started(lag);
                info!(%workflow, %trigger, %occurrence, %execution, "started");
                Ok(Occurred::Moved)
            }
            // Somebody else has started it, or it was paused, or published anew.
            Err(AdmissionError::Outdated) => Ok(Occurred::Moved),
            Err(AdmissionError::Store(error)) => Err(error.into()),
            Err(error) => Err(FireError::Start(error.into())),
        }
    }

    /// What a trigger starts on what it is told: the input that it builds, or else what it is brought, with what the nodes of the published version
    /// ask for, since whoever published it granted that.
    pub(crate) fn triggered(
        &self,
        config: &FireConfig,
        ready: &Ready,
        (tenant, record): (&TenantId, &TriggerRecord),
        at: Timestamp,
        (told, brought): (Value, Value),
    ) -> Result<NewExecution, FireError> {
        let plan = &ready.installed.plan;
        let trigger = ready.trigger(record).ok_or(FireError::Unknown)?;
        let input = match &trigger.input {
            Some(input) => {
                let scope = CompileScope {
                    nodes: Some(&[]),
                    ..CompileScope::default()
                };
                let program = ParamProgram::compile(input, &scope).map_err(|problems| {
                    let first = problems.into_iter().next();
                    FireError::Input(first.map_or_else(String::new, |it| it.error.message.clone()))
                })?;
                let data = scope_of(config, plan, &told);
                let value = program.resolve(&JsonScope(&data), &context_at(at));
                value
                    .map_err(|error| FireError::Input(error.to_string()))?
                    .unwrap_or_default()
            }
            None => brought,
        };
        let input = self.input(plan, input)?;
        let requests = self.requests(plan, &input, &config.folder)?;
        let options = StartOptions {
            grants: Grants::new(requests.into_iter().map(|request| request.capability)),
            folder: Some(config.folder.clone()),
            vars: config.vars.clone(),
            trigger: told,
            ..StartOptions::default()
        };
        let mut new = self.prepare(tenant, &ready.installed, input, options)?;
        let queues = ready
            .timing(record)
            .is_some_and(|timing| timing.overlap == Overlap::Queue);
        if queues && new.slot.is_none() {
            new.slot = Some(StartSlot {
                key: slot_name(record),
                capacity: 1,
                max_waiting: MAX_QUEUED,
            });
        }
        Ok(new)
    }

    /// The version of a trigger.
    pub(crate) async fn ready(
        &self,
        tenant: &TenantId,
        record: &TriggerRecord,
    ) -> Result<Ready, InstallError> {
        let (workflow, version) = (&record.workflow, record.version);
        let stored = self.stored(tenant, workflow, Some(version)).await?;
        let stored = stored.ok_or_else(|| {
            let message = format!("version {version} of `{workflow}` is gone");
            let kind = nebula_ports::ErrorKind::Corrupt;
            PortError::new(kind, "engine", "fire a trigger", message)
        })?;
        let definition = Arc::new(definition(&stored)?);
        self.in_use(tenant, workflow).await?;
        let installed = self.installed_from(tenant, &stored).await?;
        Ok(Ready {
            installed,
            definition,
        })
    }

    async fn cached(
        &self,
        tenant: &TenantId,
        record: &TriggerRecord,
        cache: &mut Cache,
    ) -> Result<Ready, InstallError> {
        let key = (tenant.clone(), record.workflow.clone(), record.version);
        if let Some(ready) = cache.get(&key) {
            return Ok(ready.clone());
        }
        let ready = self.ready(tenant, record).await?;
        if cache.len() >= MAX_READY {
            cache.clear();
        }
        cache.insert(key, ready.clone());
        Ok(ready)
    }
}

/// What the expressions of a trigger see.
pub(crate) fn scope_of(config: &FireConfig, plan: &ExecutionPlan, told: &Value) -> Value {
    let workflow = json!({ "id": plan.workflow, "name": plan.name, "version": plan.version });
    json!({ "trigger": told, "vars": config.vars, "workflow": workflow })
}

/// When they see it.
pub(crate) fn context_at(at: Timestamp) -> Context {
    Context {
        now_ms: at.as_millis(),
        ..Context::default()
    }
}

/// What executions hold that wait for those of the same trigger.
pub(crate) fn slot_name(record: &TriggerRecord) -> String {
    let name = format!("trigger/{}/{}", record.workflow, record.trigger);
    match name.len() > MAX_SLOT_NAME {
        true => format!("trigger/{}", Digest::of(name.as_bytes())),
        false => name,
    }
}

/// What became of an occurrence.
enum Occurred {
    /// The trigger stands elsewhere: it was started, here or by somebody else.
    Moved,
    /// Its execution was there before.
    Existed,
    /// It starts nothing, for this reason.
    LeftOut(String),
}

/// That an occurrence starts nothing, for people.
pub(crate) fn left_out(occurrence: Timestamp, at: Timestamp, why: &str) -> LeftOut {
    let mut end = why.len().min(MAX_LEFT_OUT);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    LeftOut {
        occurrence,
        at,
        why: why[..end].to_owned(),
    }
}

/// Moves a trigger without a start, unless it has changed since; then whoever looks next knows more.
pub(crate) async fn settle(
    triggers: &Arc<dyn TriggerRepo>,
    (tenant, record): (&TenantId, &TriggerRecord),
    then: Settled,
    left_out: Option<LeftOut>,
) -> Result<bool> {
    let state = TriggerState {
        through: then.through,
        due: then.due,
        left_out: left_out.or_else(|| record.state.left_out.clone()),
        ..record.state.clone()
    };
    let (workflow, trigger) = (&record.workflow, &record.trigger);
    let _ = triggers
        .update(tenant, workflow, trigger, record.revision, state)
        .await?;
    Ok(true)
}
