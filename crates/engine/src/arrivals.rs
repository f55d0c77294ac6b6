//! Starts what executions announce: that they have ended, and the events that they emit.

use std::{sync::Arc, time::Duration};

use nebula_core::{Digest, TenantId, Timestamp, WorkflowId};
use nebula_execution::{
    End, Fact, MAX_CALL_DEPTH, StartSlot, Started as Begun, Status, StoredEntry, Topic, TriggerMove,
};
use nebula_expression::JsonScope;
use nebula_ports::{Arrival, Arrived, DedupeKey, Passing, Result, TriggerRecord, TriggerRepo};
use nebula_trigger::{Gather, Gathered, Heard, Intake, Listening, MAX_GATHERED, Settled, Waiting};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::{
    AdmissionError, Engine, FireConfig, FireError,
    firing::{MAX_QUEUED, Ready, SOON, context_at, left_out, scope_of, settle, slot_name},
    hooks::bare_expression,
    needs::{fields_of, needs},
};

/// How many executions may lead to each other by what they announce, one behind the other; what is
/// announced by the last of them is left out. So an error workflow that fails itself comes to an end.
pub const MAX_CHAIN: u64 = 16;
/// After what time it is tried again at most, where an execution is not admitted.
const LATEST: Duration = Duration::from_secs(60);

/// What a trigger makes of an arrival.
enum Made {
    /// This is `$trigger`, and what the execution gets where the trigger builds no input.
    Told { told: Value, brought: Value },
    /// It starts nothing, for this reason if anybody should know it.
    Passed(Option<String>),
}

/// How something comes to a trigger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comes<'a> {
    /// What it takes of that.
    pub(crate) intake: &'a Intake,
    /// To what it listens, if it does.
    pub(crate) listening: Option<&'a Listening>,
    /// What must not start a second time, if it says so.
    pub(crate) dedupe: Option<&'a str>,
    /// When it is due where nothing waits: its source is looked at then.
    pub(crate) due: Option<Timestamp>,
}

/// An arrival that a trigger takes.
struct Taken {
    arrival: Arrival,
    /// `$trigger`.
    told: Value,
    /// What the execution gets where the trigger builds no input.
    brought: Value,
    key: Option<Value>,
    /// What must not start a second time.
    once: Option<Value>,
}

/// What became of a start.
enum Begins {
    /// It is there, or somebody else has seen to it.
    Started,
    /// It was there before.
    Existed,
    /// There is no room for it now.
    Later(Duration),
}

/// What an execution is told that several things start: of the last one, with how many there are; a batch
/// is told of all of them, and gets what each would have got.
fn together(gather: Option<Gather>, mut all: Vec<Taken>) -> (Value, Value) {
    let count = all.len();
    let chain = all.iter().filter_map(|it| it.told["chain"].as_u64()).max();
    let Some(last) = all.pop() else {
        return (Value::Null, Value::Null);
    };
    let (mut told, brought) = (last.told.clone(), last.brought.clone());
    if gather.is_none() {
        return (told, brought);
    }
    told["count"] = count.into();
    if let Some(chain) = chain {
        told["chain"] = chain.into();
    }
    if !matches!(gather, Some(Gather::Batch { .. })) {
        return (told, brought);
    }
    all.push(last);
    let (items, each): (Vec<_>, Vec<_>) = all.into_iter().map(|it| (it.told, it.brought)).unzip();
    told["items"] = items.into();
    (told, each.into())
}

/// Passes over what starts nothing.
async fn pass(
    triggers: &Arc<dyn TriggerRepo>,
    (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
    comes: Comes<'_>,
    (arrivals, at, why): (Vec<u64>, Timestamp, Option<String>),
) -> Result<bool> {
    let (workflow, trigger) = (&record.workflow, &record.trigger);
    if let Some(why) = &why {
        warn!(%workflow, %trigger, why, "what came starts nothing");
    }
    let passing = Passing {
        arrivals,
        due: comes.due,
        left_out: why.map(|why| left_out(at, now, &why)),
    };
    // Whoever was before us has seen to it.
    let _ = triggers
        .pass(tenant, workflow, trigger, record.revision, passing)
        .await?;
    Ok(true)
}

/// The topics that a trigger listens to.
pub(crate) fn topics(listening: &Listening) -> Vec<String> {
    match &listening.to {
        Heard::Turns(turns) => {
            let topic = |turn: &&str| match *turn {
                "parked" => Some(Topic::Parked),
                "approval" => Some(Topic::Asked),
                end => end.parse().ok().map(Topic::Ended),
            };
            let topics = turns.iter().filter_map(topic);
            topics.map(|topic| topic.to_string()).collect()
        }
        Heard::Event(name) => vec![Topic::Event(name).to_string()],
    }
}

impl Engine {
    /// Starts what is ready to start of what waits at a trigger, or passes over what starts nothing; whether
    /// the trigger stands elsewhere then; `now` is the time of the store. What cannot start for want of room
    /// waits, and so does all behind it.
    pub(crate) async fn fire_arrivals(
        &self,
        triggers: &Arc<dyn TriggerRepo>,
        config: &FireConfig,
        ready: &Ready,
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
        comes: Comes<'_>,
    ) -> Result<bool> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        let most = comes.intake.gather.map_or(1, |_| MAX_GATHERED);
        let arrivals = triggers.arrivals(tenant, workflow, trigger, most).await?;
        let mut waiting = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let taken = self.taken(config, ready, (tenant, record), comes, arrival.clone());
            match taken.await? {
                Ok(taken) => waiting.push(taken),
                // What starts nothing keeps nothing else waiting.
                Err(why) => {
                    let passed = (vec![arrival.n], arrival.at, why);
                    return pass(triggers, (tenant, record, now), comes, passed).await;
                }
            }
        }
        let keys = waiting.iter().map(|it| Waiting {
            at: it.arrival.at,
            key: it.key.as_ref().map(Digest::of_json),
        });
        let keys: Vec<_> = keys.collect();
        let later = |due| Settled {
            through: record.state.through,
            due,
        };
        let places = match comes.intake.gathered(&keys, now) {
            Gathered::Starts(places) => places,
            Gathered::Waits(until) => {
                let due = comes.due.map_or(until, |due| due.min(until));
                return settle(triggers, (tenant, record), later(Some(due)), None).await;
            }
            Gathered::Nothing => {
                return settle(triggers, (tenant, record), later(comes.due), None).await;
            }
        };
        let mut place = 0..;
        waiting.retain(|_| place.next().is_some_and(|it| places.contains(&it)));
        let (ns, last) = (
            waiting.iter().map(|it| it.arrival.n).collect(),
            waiting.last().map_or(now, |it| it.arrival.at),
        );
        let started = self.start_for(config, ready, (tenant, record), comes, waiting);
        let why = match started.await {
            Ok(Begins::Started) => return Ok(true),
            Ok(Begins::Existed) => None,
            Ok(Begins::Later(wait)) => {
                let due = now.plus(wait.clamp(SOON, LATEST));
                let due = comes.due.map_or(due, |look| look.min(due));
                return settle(triggers, (tenant, record), later(Some(due)), None).await;
            }
            Err(FireError::Store(error)) => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        pass(triggers, (tenant, record, now), comes, (ns, last, why)).await
    }

    /// What a trigger takes of an arrival; the reason if it is to be passed over.
    async fn taken(
        &self,
        config: &FireConfig,
        ready: &Ready,
        (tenant, record): (&TenantId, &TriggerRecord),
        comes: Comes<'_>,
        arrival: Arrival,
    ) -> Result<std::result::Result<Taken, Option<String>>> {
        let made = self
            .made_of(tenant, record, comes.listening, &arrival)
            .await?;
        let (told, brought) = match made {
            Made::Told { told, brought } => (told, brought),
            Made::Passed(why) => return Ok(Err(why)),
        };
        let data = scope_of(config, ready.plan(), &told);
        let (scope, context) = (JsonScope(&data), context_at(arrival.at));
        // The planner has refused what cannot be compiled; a later build may know less.
        let unread = |field: &str| format!("`{field}` of the trigger cannot be read any more");
        let wrong = |field: &str, error: &nebula_expression::ExpressionError| {
            format!("`{field}` of the trigger: {}", error.message)
        };
        if let Some(filter) = &comes.intake.filter {
            let Ok(filter) = bare_expression(filter) else {
                return Ok(Err(Some(unread("filter"))));
            };
            match filter.evaluate_condition(&scope, &context) {
                Ok(true) => {}
                Ok(false) => return Ok(Err(None)),
                Err(error) => return Ok(Err(Some(wrong("filter", &error)))),
            }
        }
        let value = |field: &str, source: Option<&str>| {
            let Some(source) = source else {
                return Ok(None);
            };
            let program = bare_expression(source).map_err(|_| unread(field))?;
            let value = program.evaluate(&scope, &context);
            let value = value.map_err(|error| wrong(field, &error))?;
            Ok(value.filter(|value| !value.is_null()))
        };
        let (key, once) = (
            value("key", comes.intake.key.as_deref()),
            value("dedupe", comes.dedupe),
        );
        let (key, once) = match (key, once) {
            (Ok(key), Ok(once)) => (key, once),
            (Err(why), _) | (_, Err(why)) => return Ok(Err(Some(why))),
        };
        Ok(Ok(Taken {
            arrival,
            told,
            brought,
            key,
            once,
        }))
    }

    /// Starts an execution for what came, which is at least one thing.
    async fn start_for(
        &self,
        config: &FireConfig,
        ready: &Ready,
        (tenant, record): (&TenantId, &TriggerRecord),
        comes: Comes<'_>,
        all: Vec<Taken>,
    ) -> std::result::Result<Begins, FireError> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        let takes: Vec<_> = all.iter().map(|it| it.arrival.n).collect();
        let Some(last) = all.last() else {
            return Ok(Begins::Existed);
        };
        let (at, key, what) = (last.arrival.at, last.key.clone(), last.arrival.what.clone());
        let value = last.once.as_ref().map(Digest::of_json);
        let told = together(comes.intake.gather, all);
        let mut new = self.triggered(config, ready, (tenant, record), at, told)?;
        if let Some(key) = key
            && new.slot.is_none()
        {
            new.slot = Some(StartSlot {
                key: format!("{}:{}", slot_name(record), Digest::of_json(&key)),
                capacity: 1,
                max_waiting: MAX_QUEUED,
            });
        }
        let through = match comes.due {
            Some(look) => look,
            None => record.state.through.max(at),
        };
        new.trigger = Some(TriggerMove {
            trigger: trigger.clone(),
            expected: record.revision,
            through,
            due: comes.due,
            takes,
        });
        // What was brought has no name of its own unless the trigger gives it one; its place at the trigger,
        // which goes with the start, and the revision guard it.
        let once = match &what {
            Arrived::Announced { execution, seq, .. } => Some(DedupeKey(format!(
                "trigger:{workflow}/{trigger}#{execution}/{seq}"
            ))),
            Arrived::Brought(_) => {
                value.map(|value| DedupeKey(format!("trigger:{workflow}/{trigger}={value}")))
            }
        };
        match self.create(tenant, ready.plan(), new, once, None).await {
            Ok(started) if started.existed.is_some() => Ok(Begins::Existed),
            Ok(started) => {
                let execution = started.id;
                info!(%workflow, %trigger, %execution, "started by what came");
                Ok(Begins::Started)
            }
            // Somebody else has started it, or it was paused, or published anew.
            Err(AdmissionError::Outdated) => Ok(Begins::Started),
            Err(
                AdmissionError::Full { try_after, .. }
                | AdmissionError::Limited { try_after, .. }
                | AdmissionError::Quota { try_after, .. },
            ) => Ok(Begins::Later(try_after)),
            Err(error) => Err(error.into()),
        }
    }

    /// What a trigger makes of an arrival: the entry that was announced, and what began it.
    async fn made_of(
        &self,
        tenant: &TenantId,
        record: &TriggerRecord,
        listening: Option<&Listening>,
        arrival: &Arrival,
    ) -> Result<Made> {
        let passed = |why: &str| Ok(Made::Passed(Some(why.to_owned())));
        let (topic, execution, seq) = match &arrival.what {
            Arrived::Announced {
                topic,
                execution,
                seq,
            } => (topic, *execution, *seq),
            // It was brought to a version that did not listen.
            Arrived::Brought(_) if listening.is_some() => return Ok(Made::Passed(None)),
            Arrived::Brought(brought) => {
                let mut told = brought.clone();
                told["id"] = record.trigger.as_str().into();
                told["type"] = record.kind.as_str().into();
                told["received_at"] = arrival.at.to_string().into();
                // What was looked for is the input, whatever is told beside it.
                let brought = match record.kind.as_str() {
                    "poll" => brought["item"].clone(),
                    "mqtt" | "redis" => brought["payload"].clone(),
                    _ => brought.clone(),
                };
                return Ok(Made::Told { told, brought });
            }
        };
        // It was announced to a version that listened.
        let Some(listening) = listening else {
            return Ok(Made::Passed(None));
        };
        let Some((begun, began_at)) = self.begun(tenant, execution).await? else {
            return passed("the execution that announced it was deleted");
        };
        let source = &begun.workflow;
        let from_others = !listening.workflows.is_empty() && !listening.workflows.contains(source);
        // It was announced to a version that listened to something else.
        if from_others || !topics(listening).contains(topic) {
            return Ok(Made::Passed(None));
        }
        let (own, theirs) = (
            self.project_of(tenant, &record.workflow).await?,
            self.project_of(tenant, source).await?,
        );
        if own != theirs {
            return Ok(Made::Passed(None));
        }
        let chain = self.chain(tenant, &begun).await? + 1;
        if chain > MAX_CHAIN {
            let why = format!(
                "{MAX_CHAIN} executions have led to each other by what they announced, and {execution} is the last of them"
            );
            return passed(&why);
        }
        let page = self.ports.executions.journal(tenant, execution, seq, 1);
        let entries = page.await?.entries;
        let entry = entries.into_iter().find(|it| it.seq == seq);
        let Some(StoredEntry { entry, .. }) = entry else {
            return passed("the execution that announced it was deleted");
        };
        let mut told = json!({
            "id": record.trigger,
            "type": record.kind,
            "received_at": arrival.at.to_string(),
            "chain": chain,
            "workflow": source,
            "version": begun.version,
            "execution": execution.to_string(),
        });
        let mut say = |name: &str, value: Value| {
            told[name] = value;
        };
        let brought = match &entry.fact {
            Fact::EventEmitted {
                instance,
                name,
                payload,
                ..
            } => {
                say("event", name.as_str().into());
                say("event_id", format!("{execution}/{seq}").into());
                say("emitted_at", entry.at.to_string().into());
                say("instance", instance.to_string().into());
                say("payload", (**payload).clone());
                (**payload).clone()
            }
            fact @ (Fact::Parked { .. } | Fact::ApprovalAsked { .. }) => {
                let status = match fact {
                    Fact::Parked { .. } => Status::Parked,
                    _ => Status::Waiting,
                };
                say("status", status.as_str().into());
                say("started_at", began_at.to_string().into());
                say("asked_at", entry.at.to_string().into());
                say("needs", needs(fact));
                fields_of(&told, &["status", "started_at", "asked_at", "needs"])
            }
            fact => {
                let Some(end) = End::of(fact) else {
                    return passed(
                        "what was announced is of a kind that this version does not know",
                    );
                };
                let error = end.failure.map(|failure| {
                    let error = failure.error;
                    json!({
                        "code": error.code.as_str(),
                        "message": error.message,
                        "class": error.class.as_str(),
                        "node": failure.node,
                    })
                });
                say("status", end.status.as_str().into());
                say("started_at", began_at.to_string().into());
                say("ended_at", entry.at.to_string().into());
                say("error", error.unwrap_or_default());
                let output = end.output.map(Arc::unwrap_or_clone);
                say("output", output.unwrap_or_default());
                fields_of(
                    &told,
                    &["status", "started_at", "ended_at", "error", "output"],
                )
            }
        };
        Ok(Made::Told { told, brought })
    }

    /// With what an execution began, and when.
    async fn begun(
        &self,
        tenant: &TenantId,
        execution: nebula_core::ExecutionId,
    ) -> Result<Option<(Box<Begun>, Timestamp)>> {
        let page = self
            .ports
            .executions
            .journal(tenant, execution, 1, 1)
            .await?;
        let first = page.entries.into_iter().next().map(|first| first.entry);
        Ok(first.and_then(|first| match first.fact {
            Fact::ExecutionStarted(started) => Some((started, first.at)),
            _ => None,
        }))
    }

    /// How many executions led to this one by what they announced, whoever called it meanwhile.
    async fn chain(&self, tenant: &TenantId, begun: &Begun) -> Result<u64> {
        let mut caller = None;
        for _ in 0..=MAX_CALL_DEPTH {
            let at = caller.as_deref().unwrap_or(begun);
            let Some(parent) = &at.parent else { break };
            match self.begun(tenant, parent.execution).await? {
                Some((above, _)) => caller = Some(above),
                None => break,
            }
        }
        let first = caller.as_deref().unwrap_or(begun);
        let chain = |trigger: &Value| trigger["chain"].as_u64().unwrap_or(0);
        match (&first.trigger_blob, &self.ports.values) {
            (Some(stored), Some(values)) => {
                let trigger = values.read(tenant, stored.blob()).await?;
                Ok(chain(&trigger))
            }
            _ => Ok(chain(&first.trigger)),
        }
    }

    async fn project_of(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
    ) -> Result<Option<nebula_core::ProjectId>> {
        let known = self
            .ports
            .workflows
            .versions(tenant, workflow, None, 0)
            .await?;
        Ok(known.and_then(|known| known.workflow.project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(n: u64, chain: u64) -> Taken {
        Taken {
            arrival: Arrival {
                n,
                at: Timestamp::default(),
                what: Arrived::Brought(Value::Null),
            },
            told: json!({ "n": n, "chain": chain }),
            brought: json!(n),
            key: None,
            once: None,
        }
    }

    /// So that a loop ends, whatever else was gathered with what is in it.
    #[test]
    fn what_is_gathered_has_the_longest_chain() {
        let wait = Duration::from_secs(1);
        for gather in [
            Gather::Batch { size: 2, wait },
            Gather::Debounce {
                quiet: wait,
                at_most: wait,
            },
        ] {
            let (told, _) = together(Some(gather), vec![taken(1, 5), taken(2, 1)]);
            assert_eq!((&told["n"], &told["chain"]), (&json!(2), &json!(5)));
        }
    }
}
