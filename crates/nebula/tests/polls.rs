//! Workflows that start for what is new where a trigger looks with an action.

mod world;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    Nebula, NebulaBuilder,
    action::{
        Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
    },
    core::Clock as _,
    engine::{FireError, MAX_LOOKS, check_look},
    ports::*,
};
use nebula_testkit::{ManualClock, MemoryScratch};
use serde_json::{Value, json};
use world::{World, config, in_world, live, of, publish, state, tenant};

const MINUTE: Duration = Duration::from_mins(1);
const HALF: Duration = Duration::from_secs(30);

/// A shelf that somebody may look at with the action `shelf.read`.
#[derive(Debug)]
struct Shelf {
    metadata: ActionMetadata,
    clock: ManualClock,
    holds: Mutex<std::result::Result<Value, String>>,
    /// With what each look was made.
    asked: Mutex<Vec<Value>>,
    takes: Mutex<Duration>,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

struct Busy<'a>(&'a Shelf);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shelf {
    fn new(world: &World) -> Arc<Self> {
        let reads = Effect::Fixed(EffectClass::Read);
        let metadata = ActionMetadata::new("shelf.read", (1, 0), reads);
        Arc::new(Self {
            metadata,
            clock: world.clock.clone(),
            holds: Mutex::new(Ok(json!([]))),
            asked: Mutex::default(),
            takes: Mutex::default(),
            busy: AtomicUsize::new(0),
            most_busy: AtomicUsize::new(0),
        })
    }

    fn holds(&self, what: Value) {
        *self.holds.lock().unwrap() = Ok(what);
    }

    fn fails(&self, why: &str) {
        *self.holds.lock().unwrap() = Err(why.to_owned());
    }

    fn takes(&self, long: Duration) {
        *self.takes.lock().unwrap() = long;
    }

    fn looks(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// A process that may look at it.
    fn process(self: &Arc<Self>, world: &World) -> Nebula {
        let scratch = MemoryScratch::new(Arc::new(world.clock.clone()));
        self.builder(world)
            .looks_in(Arc::new(scratch))
            .build()
            .unwrap()
    }

    fn builder(self: &Arc<Self>, world: &World) -> NebulaBuilder {
        let builder = world.builder_here();
        let action: Arc<dyn Action> = Arc::clone(self) as _;
        builder.actions([action])
    }
}

#[async_trait]
impl Action for Shelf {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(
        &self,
        _: &ActionContext,
        input: Value,
    ) -> std::result::Result<ActionResult, ActionError> {
        self.asked.lock().unwrap().push(input);
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        let _busy = Busy(self);
        self.most_busy.fetch_max(busy, Ordering::SeqCst);
        let long = *self.takes.lock().unwrap();
        self.clock.sleep(long).await;
        let holds = self.holds.lock().unwrap().clone();
        match holds {
            Ok(holds) => Ok(ActionResult::output(holds)),
            Err(why) => Err(ActionError::fatal("SHELF_LOCKED", why)),
        }
    }
}

const ORDERS: &str = "id: take
triggers:
  - id: t
    type: poll
    every: 1m
    first: start
    look: { action: shelf.read, parameters: { since: '{{ $trigger.cursor.time }}' } }
    items: $json.orders
    cursor: { key: $item.id }
nodes: [{ id: a, action: data.set }]";

fn orders(ids: &[u32]) -> Value {
    let orders: Vec<_> = ids
        .iter()
        .map(|id| json!({ "id": id, "at": id * 10 }))
        .collect();
    json!({ "orders": orders })
}

/// The orders for which an execution was started, which is one each.
async fn taken(world: &World) -> Vec<u64> {
    let all = of(world, "take").await.into_iter();
    let mut ids: Vec<_> = all.map(|it| it.1.input["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn what_is_new_starts_an_execution_each_also_what_comes_while_nobody_looks() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        shelf.holds(orders(&[1, 2]));
        let nebula = shelf.process(&world);
        publish(&nebula, ORDERS).await;
        live(&world, &nebula, MINUTE * 4 + HALF).await;
        assert_eq!(taken(&world).await, [1, 2]);
        assert_eq!(shelf.looks(), 5, "one a minute");
        shelf.holds(orders(&[2, 3]));
        world.clock.advance(MINUTE * 60);
        let nebula = shelf.process(&world);
        live(&world, &nebula, MINUTE * 2).await;
        assert_eq!(taken(&world).await, [1, 2, 3]);
        // Another version goes on where this one was, and one that looks elsewhere begins anew.
        publish(&nebula, &ORDERS.replace("id: a,", "id: b,")).await;
        live(&world, &nebula, MINUTE * 3).await;
        assert_eq!(taken(&world).await, [1, 2, 3]);
        let told = of(&world, "take").await;
        let told = told.iter().find(|it| it.1.input["id"] == 3).unwrap();
        let told = &told.1.trigger;
        assert_eq!(
            (
                &told["id"],
                &told["type"],
                &told["key"],
                &told["item"]["at"]
            ),
            (&json!("t"), &json!("poll"), &json!(3), &json!(30))
        );
        publish(&nebula, &ORDERS.replace("since:", "from:")).await;
        live(&world, &nebula, MINUTE).await;
        assert_eq!(taken(&world).await, [1, 2, 2, 3, 3]);
        let (take, t) = ("take".parse().unwrap(), "t".parse().unwrap());
        let engine = nebula.engine();
        let by_hand = engine.fire_trigger(&tenant(), &take, &t, &config()).await;
        assert!(matches!(by_hand, Err(FireError::Watches)), "{by_hand:?}");
    });
}

#[test]
fn a_look_is_told_how_far_the_one_before_came() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        shelf.holds(orders(&[1, 2]));
        let nebula = shelf.process(&world);
        publish(&nebula, &ORDERS.replace("key: $item.id", "time: $item.at")).await;
        live(&world, &nebula, HALF).await;
        shelf.holds(orders(&[2, 3]));
        live(&world, &nebula, MINUTE * 2).await;
        assert_eq!(taken(&world).await, [1, 2, 3]);
        let asked = shelf.asked.lock().unwrap();
        let since: Vec<_> = asked.iter().map(|it| it["since"].clone()).collect();
        assert_eq!(json!(since), json!([null, 20, 30]));
    });
}

#[test]
fn a_look_that_fails_is_shown_and_made_again() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        let nebula = shelf.process(&world);
        publish(&nebula, ORDERS).await;
        let cases = [
            (
                Err("the key is lost"),
                "could not look: SHELF_LOCKED: the key is lost",
            ),
            (
                Ok(json!({})),
                "could not look: `$json.orders` gives nothing, where a list is expected",
            ),
            (
                Ok(json!({ "orders": [{}] })),
                "could not look: `cursor.key` of item 0 gives nothing",
            ),
        ];
        for (holds, said) in cases {
            match holds {
                Ok(holds) => shelf.holds(holds),
                Err(why) => shelf.fails(why),
            }
            live(&world, &nebula, MINUTE * 2).await;
            let left_out = state(&nebula, "take", "t").await.left_out.unwrap();
            assert!(left_out.why.starts_with(said), "{left_out:?}");
            // Since the first time, however often it fails.
            let first = left_out.at;
            live(&world, &nebula, MINUTE * 3).await;
            assert_eq!(
                state(&nebula, "take", "t").await.left_out.unwrap().at,
                first
            );
        }
        let large = "x".repeat(MAX_BROUGHT);
        shelf.holds(json!({ "orders": [{ "id": 1, "large": large }] }));
        live(&world, &nebula, MINUTE * 2).await;
        let why = state(&nebula, "take", "t").await.left_out.unwrap().why;
        assert!(why.contains("let `items` say less of each"), "{why}");
        shelf.holds(orders(&[1]));
        live(&world, &nebula, MINUTE * 2).await;
        assert_eq!(state(&nebula, "take", "t").await.left_out, None);
        assert_eq!(taken(&world).await, [1]);
    });
}

/// Also where its process dies in the middle, which another one notices once its time is over.
#[test]
fn a_look_is_made_by_one_process_at_a_time() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        shelf.holds(orders(&[1]));
        shelf.takes(Duration::from_secs(20));
        let (one, other) = (shelf.process(&world), shelf.process(&world));
        publish(&one, ORDERS).await;
        tokio::select! {
            () = live(&world, &one, MINUTE * 60) => {}
            () = live(&world, &other, MINUTE * 3 + Duration::from_secs(10)) => {}
        }
        assert_eq!((shelf.looks(), taken(&world).await), (4, vec![1]));
        assert_eq!(shelf.most_busy.load(Ordering::SeqCst), 1);
        // The last one died with its process.
        shelf.holds(orders(&[1, 2]));
        live(&world, &other, Duration::from_secs(25)).await;
        assert_eq!((shelf.looks(), taken(&world).await), (4, vec![1]));
        live(&world, &other, Duration::from_secs(30)).await;
        assert_eq!((shelf.looks(), taken(&world).await), (5, vec![1, 2]));
    });
}

#[test]
fn a_look_that_takes_long_is_given_up_and_holds_up_nobody() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        shelf.takes(MINUTE * 10);
        let nebula = shelf.process(&world);
        publish(&nebula, ORDERS).await;
        let ticks = "id: ticks\ntriggers: [{ id: t, type: interval, every: 1s }]\nnodes: [{ id: a, action: data.set }]";
        publish(&nebula, ticks).await;
        live(&world, &nebula, Duration::from_secs(20)).await;
        assert_eq!(shelf.looks(), 1);
        assert!(of(&world, "ticks").await.len() >= 19);
        live(&world, &nebula, MINUTE * 2).await;
        let why = state(&nebula, "take", "t").await.left_out.unwrap().why;
        assert_eq!(why, "could not look: it took longer than its `timeout`");
    });
}

#[test]
fn so_many_looks_are_under_way_at_a_time() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        shelf.takes(Duration::from_secs(10));
        shelf.holds(orders(&[1]));
        let nebula = shelf.process(&world);
        for n in 0..2 * MAX_LOOKS {
            publish(
                &nebula,
                &ORDERS.replace("id: take", &format!("id: take-{n}")),
            )
            .await;
        }
        live(&world, &nebula, Duration::from_secs(45)).await;
        assert_eq!(shelf.most_busy.load(Ordering::SeqCst), MAX_LOOKS);
        let mut started = BTreeSet::new();
        for n in 0..2 * MAX_LOOKS {
            if of(&world, &format!("take-{n}")).await.len() == 1 {
                started.insert(n);
            }
        }
        assert_eq!(started.len(), 2 * MAX_LOOKS, "each has had its turn");
    });
}

/// What a look finds is not told of a trigger that was paused meanwhile, and is new at the next one.
#[test]
fn what_is_found_while_somebody_pauses_the_trigger_is_found_again() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        shelf.holds(orders(&[1]));
        shelf.takes(Duration::from_secs(10));
        let nebula = shelf.process(&world);
        publish(&nebula, ORDERS).await;
        let (take, t) = ("take".parse().unwrap(), "t".parse().unwrap());
        let tenant = tenant();
        let paused = |paused| nebula.engine().pause_trigger(&tenant, &take, &t, paused);
        tokio::join!(live(&world, &nebula, MINUTE * 3), async {
            world.clock.sleep(Duration::from_secs(5)).await;
            paused(true).await.unwrap();
        });
        assert_eq!((shelf.looks(), taken(&world).await), (1, vec![]));
        paused(false).await.unwrap();
        live(&world, &nebula, MINUTE * 2).await;
        assert_eq!(taken(&world).await, [1]);
    });
}

/// What is found is gathered as what comes from elsewhere is.
#[test]
fn what_is_found_is_filtered_and_gathered() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        shelf.holds(orders(&[1, 2, 3, 4]));
        let nebula = shelf.process(&world);
        let gathers =
            "type: poll\n    filter: $trigger.item.id != 2\n    batch: { size: 3, wait: 1h }";
        publish(&nebula, &ORDERS.replace("type: poll", gathers)).await;
        live(&world, &nebula, MINUTE * 2).await;
        let all = of(&world, "take").await;
        let ids: Vec<_> = all[0]
            .1
            .input
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].clone())
            .collect();
        assert_eq!((all.len(), json!(ids)), (1, json!([1, 3, 4])));
    });
}

/// What was published may be executed by a later build, whose action says more of itself.
#[test]
fn what_changes_something_is_not_looked_with() {
    in_world(async |world| {
        let nebula = Shelf::new(&world).process(&world);
        let refusal = async |node: &str| {
            let installed = world
                .install(&nebula, &format!("id: w\nnodes: [{node}]"))
                .await;
            check_look(&installed.plan).err().unwrap_or_default()
        };
        assert_eq!(refusal("{ id: a, action: shelf.read }").await, "");
        let said = refusal("{ id: a, action: test.keyed, parameters: { label: x } }").await;
        assert!(
            said.contains("is keyed with these parameters, and a look changes nothing"),
            "{said}"
        );
        let said = refusal("{ id: a, action: flow.wait, parameters: { for: 1s } }").await;
        assert!(said.contains("steers an execution"), "{said}");
        let said = refusal("{ id: a, action: data.set }, { id: b, action: data.set }").await;
        assert!(said.contains("one node"), "{said}");
    });
}

/// An engine that was given no stores for looks says so.
#[test]
fn without_stores_for_looks_none_is_made() {
    in_world(async |world| {
        let shelf = Shelf::new(&world);
        publish(&shelf.process(&world), ORDERS).await;
        let nebula = shelf.builder(&world).build().unwrap();
        live(&world, &nebula, MINUTE).await;
        let why = state(&nebula, "take", "t").await.left_out.unwrap().why;
        assert_eq!(
            why,
            "could not look: this engine was given nothing that looks"
        );
        assert_eq!(shelf.looks(), 0);
    });
}
