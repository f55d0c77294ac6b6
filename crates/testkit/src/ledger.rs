//! An outside that remembers what was done to it, and the actions that act on it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
    ErrorClass, Progress, Reconciled,
};
use nebula_core::Clock as _;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::ManualClock;

/// What was done to the outside, in order: label and idempotency key.
#[derive(Debug, Default)]
pub struct Ledger {
    effects: Mutex<Vec<(String, String)>>,
    failures: Mutex<BTreeMap<String, (u32, Option<Duration>)>>,
    /// How many attempts are under way, and the most that ever were.
    busy: Mutex<(usize, usize)>,
}

/// One attempt under way, also if it is dropped.
struct Busy<'a>(&'a Ledger);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.lock().0 -= 1;
    }
}

impl Ledger {
    fn enter(&self) -> Busy<'_> {
        let mut busy = self.busy.lock();
        busy.0 += 1;
        busy.1 = busy.1.max(busy.0);
        Busy(self)
    }

    /// How many attempts are under way.
    pub fn busy(&self) -> usize {
        self.busy.lock().0
    }

    /// The most attempts that were under way at the same time.
    pub fn most_busy(&self) -> usize {
        self.busy.lock().1
    }

    /// The labels of all effects, in order.
    pub fn labels(&self) -> Vec<String> {
        self.effects
            .lock()
            .iter()
            .map(|(label, _)| label.clone())
            .collect()
    }

    /// The keys under which an effect arrived.
    pub fn keys(&self, label: &str) -> Vec<String> {
        let effects = self.effects.lock();
        effects
            .iter()
            .filter(|(other, _)| other == label)
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// The next `times` attempts with this label fail before they do anything.
    pub fn fail_next(&self, label: &str, times: u32) {
        self.fail_next_for(label, times, None);
    }

    /// The same, and each of them asks not to be tried again before so long.
    pub fn fail_next_for(&self, label: &str, times: u32, after: Option<Duration>) {
        let mut failures = self.failures.lock();
        failures.insert(label.to_owned(), (times, after));
    }
}

/// One of the [`effects`].
#[derive(Debug)]
struct EffectAction {
    metadata: ActionMetadata,
    ledger: Arc<Ledger>,
    clock: ManualClock,
}

#[async_trait]
impl Action for EffectAction {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let _busy = self.ledger.enter();
        let label = input["label"].as_str().unwrap_or_default().to_owned();
        if let Some(left) = self
            .ledger
            .failures
            .lock()
            .get_mut(&label)
            .filter(|(left, _)| *left > 0)
        {
            left.0 -= 1;
            return Err(ActionError::new(
                "TEST_FAILED",
                "the test wants this attempt to fail",
                ErrorClass::Retryable { after: left.1 },
            ));
        }
        self.ledger
            .effects
            .lock()
            .push((label.clone(), ctx.idempotency_key.clone()));
        if let Some(seconds) = input["busy"].as_f64() {
            self.clock.advance(Duration::from_secs_f64(seconds));
        }
        if let Some(beats) = input["beats"].as_u64() {
            for beat in 1..=beats {
                ctx.heartbeat(Progress::of(beat, beats));
                self.clock.sleep(Duration::from_secs(1)).await;
            }
        }
        if input["deadline"] == true {
            let deadline = ctx.deadline.map(|deadline| deadline.to_string());
            return Ok(ActionResult::output(json!(deadline)));
        }
        if let Some(seconds) = input["seconds"].as_f64() {
            self.clock.sleep(Duration::from_secs_f64(seconds)).await;
        }
        if input["deaf"] == true {
            std::future::pending::<()>().await;
        }
        if input["hang"] == true || input["quits"] == true {
            if input["hang"] == true {
                ctx.cancellation.cancelled().await;
            }
            return Err(ActionError::new(
                "TEST_STOPPED",
                "told to stop",
                ErrorClass::Cancelled,
            ));
        }
        Ok(ActionResult::output(
            json!({ "label": label, "attempt": ctx.attempt }),
        ))
    }

    async fn reconcile(&self, _: &ActionContext, input: &Value) -> Result<Reconciled, ActionError> {
        match input["happened"].as_bool() {
            Some(true) => Ok(Reconciled::Happened(json!({ "label": input["label"] }))),
            Some(false) => Ok(Reconciled::NotHappened),
            None => std::future::pending().await,
        }
    }
}

/// The actions `test.pure`, `.read`, `.idempotent`, `.keyed`, `.once` and `.reconciled`, which act on
/// `ledger`; the last two at most once. Their parameters are `{ label, hang?, quits?, deaf?, beats?,
/// deadline?, seconds?, busy?, happened? }`, and they give `{ label, attempt }`. `hang` never returns by
/// itself,
/// `deaf` not even when it is told to stop, and `quits` says so at once though nobody told it; `beats`
/// says so often that it is alive, each second; `deadline` gives
/// that of its context instead; `seconds` waits, and `busy` works, for so long. `happened` is what
/// `.reconciled` says of an attempt that was lost; without it, it never says anything.
#[must_use]
pub fn effects(ledger: &Arc<Ledger>, clock: &ManualClock) -> Vec<Arc<dyn Action>> {
    let classes = [
        ("test.pure", EffectClass::Pure),
        ("test.read", EffectClass::Read),
        ("test.idempotent", EffectClass::Idempotent),
        ("test.keyed", EffectClass::Keyed),
        ("test.once", EffectClass::AtMostOnce),
        ("test.reconciled", EffectClass::AtMostOnce),
    ];
    let action = |(id, class)| {
        let metadata = ActionMetadata {
            reconciles: id == "test.reconciled",
            ..ActionMetadata::new(id, (1, 0), Effect::Fixed(class))
        };
        Arc::new(EffectAction {
            metadata,
            ledger: ledger.clone(),
            clock: clock.clone(),
        }) as Arc<dyn Action>
    };
    classes.map(action).into()
}
