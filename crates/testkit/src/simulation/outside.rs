//! The world that actions act on: it remembers every effect under its key.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, CredentialSlot, Effect,
    EffectClass, Reconciled,
};
use nebula_core::{Clock, Digest};
use nebula_ports::{ExecutionRepo, SlotKey};
use serde_json::{Value, json};

use super::{
    credentials::{self, SLOT},
    here::Here,
    oracle::{Effect as Acted, Lock},
    swarm::Recovery,
    world::World,
};

/// The actions of a simulated world and their effect classes.
pub(super) const ACTIONS: &[(&str, EffectClass, bool)] = &[
    ("sim.read", EffectClass::Read, false),
    ("sim.idempotent", EffectClass::Idempotent, false),
    ("sim.keyed", EffectClass::Keyed, false),
    ("sim.once", EffectClass::AtMostOnce, false),
    ("sim.reconciled", EffectClass::AtMostOnce, true),
];

/// What arrived under one key.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrival {
    /// How many attempts reached the outside.
    pub(super) tries: u64,
    /// How often it was done.
    pub(super) done: u64,
    /// What it gave.
    pub(super) result: Option<Value>,
}

/// What was done outside, by key.
pub(super) type Ledger = BTreeMap<String, Arrival>;

/// `sim.<class>@1 { label, input, fails?, hangs?, millis?, late? }`: gives `{ v }`, a number that
/// follows from label and input. The first `fails` tries fail without effect, the next `hangs` never
/// come back after it; `millis` is how long it takes, `late` whether the effect comes at its end. With a
/// credential, it gives that back as `leaks` says, as a careless server does.
pub(super) struct SimulatedAction {
    metadata: ActionMetadata,
    class: EffectClass,
}

impl fmt::Debug for SimulatedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimulatedAction")
            .field(&self.metadata.id)
            .finish()
    }
}

/// What a label gives for an input: the same in every world.
fn result_of(input: &Value) -> Value {
    let digest = Digest::of_parts(&[
        input["label"].to_string().as_bytes(),
        input["input"].to_string().as_bytes(),
    ]);
    let text = digest.to_string();
    let number = text
        .bytes()
        .fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 9_973);
    json!({ "v": number })
}

impl SimulatedAction {
    /// All of them. They belong to no world: they act in the one that lives on their thread.
    pub(super) fn all() -> Vec<Arc<dyn Action>> {
        let actions = ACTIONS.iter().map(|(id, class, reconciles)| {
            let metadata = ActionMetadata {
                reconciles: *reconciles,
                credentials: vec![CredentialSlot {
                    name: SLOT.to_owned(),
                    types: vec!["bearer".to_owned(), "oauth2_refresh".to_owned()],
                    required: false,
                }],
                ..ActionMetadata::new(id, (1, 0), Effect::Fixed(*class))
            };
            Arc::new(Self {
                metadata,
                class: *class,
            }) as Arc<dyn Action>
        });
        actions.collect()
    }
}

impl Acting<'_> {
    fn act(&self, class: EffectClass, input: &Value, result: &Value) {
        let Here { world, life } = &self.here;
        let ctx = self.ctx;
        world.effect(&Acted {
            ctx,
            class,
            input: Digest::of_json(input),
            life: *life,
            locked: is_locked(&self.here.world, ctx),
        });
        let mut ledger = world.ledger.lock();
        let arrival = ledger.entry(ctx.idempotency_key.clone()).or_default();
        // A receiver that honours keys does it once.
        if class != EffectClass::Keyed || arrival.done == 0 {
            arrival.done += 1;
        }
        arrival.result = Some(credentials::clean(self.ctx, input, result));
    }
}

/// Whether the store says that the execution holds every lock around an attempt; none where there is
/// no lock.
fn is_locked(world: &World, ctx: &ActionContext) -> Option<bool> {
    let locks = world.oracle.lock().locks(ctx);
    let holds = |lock: &Lock| {
        let Some(slot) = &lock.slot else {
            return false;
        };
        let key = SlotKey::new(&*lock.key).expect("the machine bounds names");
        let places = world.store.slots(&ctx.tenant, &key, 1_000);
        let places = world.ask(places).unwrap_or_default();
        places.iter().any(|place| {
            place.granted && place.execution == ctx.execution && place.owner.as_str() == slot.owner
        })
    };
    (!locks.is_empty()).then(|| locks.iter().all(holds))
}

/// An attempt from its call until it has come back, or was dropped.
struct Acting<'a> {
    ctx: &'a ActionContext,
    here: Here,
}

impl<'a> Acting<'a> {
    fn begin(ctx: &'a ActionContext) -> Self {
        let here = Here::now();
        let now = here.world.clock.now();
        let locked = is_locked(&here.world, ctx);
        let mut oracle = here.world.oracle.lock();
        oracle.begins(ctx, here.life, locked, now);
        drop(oracle);
        Self { ctx, here }
    }
}

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        let Here { world, life } = &self.here;
        world.oracle.lock().came_back(self.ctx, *life);
    }
}

#[async_trait]
impl Action for SimulatedAction {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let acting = Acting::begin(ctx);
        let world = acting.here.world.clone();
        let number = |name: &str| input[name].as_u64().unwrap_or(0);
        let tries = {
            let mut ledger = world.ledger.lock();
            let arrival = ledger.entry(ctx.idempotency_key.clone()).or_default();
            arrival.tries += 1;
            arrival.tries
        };
        let (fails, hangs) = (number("fails"), number("hangs"));
        let held = ctx.credentials.get(SLOT);
        if let Some(held) = held {
            world.handed_over(ctx, held, acting.here.life);
        }
        if tries <= fails {
            let message = match held {
                None => "this try was to fail".to_owned(),
                Some(held) => format!("{} may not do that", credentials::token(held)),
            };
            return Err(ActionError::retryable("SIM_FAILED", message));
        }
        let (result, late) = (result_of(&input), input["late"] == true);
        if !late {
            acting.act(self.class, &input, &result);
        }
        world
            .clock
            .sleep(Duration::from_millis(number("millis")))
            .await;
        if late && !ctx.cancellation.is_cancelled() {
            acting.act(self.class, &input, &result);
        }
        if tries <= fails + hangs {
            std::future::pending::<()>().await;
        }
        Ok(ActionResult::output(credentials::leak(ctx, &input, result)))
    }

    async fn reconcile(
        &self,
        ctx: &ActionContext,
        input: &Value,
    ) -> Result<Reconciled, ActionError> {
        let Here { world, .. } = Here::now();
        world.recovered(Recovery::Reconciled);
        let ledger = world.ledger.lock();
        let arrival = ledger.get(&ctx.idempotency_key);
        Ok(match arrival.and_then(|arrival| arrival.result.clone()) {
            Some(_) => Reconciled::Happened(credentials::leak(ctx, input, result_of(input))),
            None => Reconciled::NotHappened,
        })
    }
}
