//! Workflows that start for messages of a queue elsewhere.

mod world;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use nebula::{
    Nebula,
    core::Clock as _,
    engine::{FireError, QueueKind},
    ports::*,
};
use nebula_testkit::MemorySecretsStore;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use world::{World, config, in_world, live, of, publish, state, tenant};

const SECOND: Duration = Duration::from_secs(1);

/// A broker that keeps messages until they are acknowledged.
#[derive(Debug, Default)]
struct Broker {
    queue: Mutex<Kept>,
    /// Rings when something is published.
    rings: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    waits: VecDeque<(u64, String, Payload)>,
    unacknowledged: BTreeMap<u64, (String, Payload)>,
    published: u64,
    acknowledged: Vec<u64>,
    listening: usize,
    listened: Vec<Subscribing>,
    left: Vec<String>,
    kept_alive: usize,
    refuses: Option<(ErrorKind, String)>,
    breaks: bool,
}

#[derive(Debug)]
struct Listens(Arc<Broker>);

/// What it has not said that it has taken comes again to the next one.
impl Drop for Listens {
    fn drop(&mut self) {
        let mut kept = self.0.queue.lock().unwrap();
        kept.listening -= 1;
        let back = std::mem::take(&mut kept.unacknowledged);
        for (n, (name, payload)) in back.into_iter().rev() {
            kept.waits.push_front((n, name, payload));
        }
    }
}

impl Broker {
    fn publish(&self, name: &str, payload: &[u8]) {
        let mut kept = self.queue.lock().unwrap();
        kept.published += 1;
        let n = kept.published;
        kept.waits.push_back((n, name.to_owned(), bytes(payload)));
        self.rings.notify_one();
    }

    /// Adds an entry with one field, `n`.
    fn add(&self, stream: &str, n: u64) {
        let mut kept = self.queue.lock().unwrap();
        kept.published += 1;
        let number = kept.published;
        let field = (Bytes::from_static(b"n"), Bytes::from(n.to_string()));
        let fields = Payload::Fields(vec![field]);
        kept.waits.push_back((number, stream.to_owned(), fields));
        self.rings.notify_one();
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.queue.lock().unwrap()
    }

    /// How often somebody has begun to listen, and how many do.
    fn counts(&self) -> (usize, usize) {
        let kept = self.kept();
        (kept.listened.len(), kept.listening)
    }

    /// A process that may listen to it, with a secret `mqtt` of the value `wrench`.
    fn process(self: &Arc<Self>, world: &World) -> Nebula {
        let builder = world.builder_here();
        let source = || Arc::new(Source(Arc::clone(self))) as Arc<dyn QueueSource>;
        let sources = [(QueueKind::Mqtt, source()), (QueueKind::Redis, source())];
        let secrets = Arc::new(MemorySecretsStore::default());
        builder.queues(sources, secrets).build().unwrap()
    }
}

fn bytes(payload: &[u8]) -> Payload {
    Payload::Bytes(Bytes::copy_from_slice(payload))
}

#[derive(Debug)]
struct Source(Arc<Broker>);

#[async_trait]
impl QueueSource for Source {
    async fn listen(&self, wanted: Subscribing) -> Result<Box<dyn Messages>> {
        let mut kept = self.0.kept();
        kept.listened.push(wanted);
        if let Some((kind, why)) = &kept.refuses {
            return Err(PortError::new(*kind, "test", "listen", why.clone()));
        }
        kept.listening += 1;
        assert_eq!(kept.listening, 1, "two listen under one name");
        Ok(Box::new(Listens(Arc::clone(&self.0))))
    }
}

fn broken() -> PortError {
    PortError::new(
        ErrorKind::Unavailable,
        "test",
        "listen",
        "the connection broke",
    )
}

#[async_trait]
impl Messages for Listens {
    async fn next(&mut self) -> Result<Message> {
        loop {
            {
                let mut kept = self.0.kept();
                if std::mem::take(&mut kept.breaks) {
                    return Err(broken());
                }
                if let Some((n, name, payload)) = kept.waits.pop_front() {
                    let again = kept.acknowledged.contains(&n);
                    kept.unacknowledged
                        .insert(n, (name.clone(), payload.clone()));
                    return Ok(Message {
                        id: Some(format!("{n}-0")),
                        name,
                        payload,
                        again,
                        kept: false,
                        receipt: Some(n),
                    });
                }
            }
            self.0.rings.notified().await;
        }
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<()> {
        let mut kept = self.0.kept();
        if std::mem::take(&mut kept.breaks) {
            return Err(broken());
        }
        kept.unacknowledged
            .remove(&receipt)
            .expect("it was handed over");
        kept.acknowledged.push(receipt);
        Ok(())
    }

    async fn keep_alive(&mut self) -> Result<()> {
        self.0.kept().kept_alive += 1;
        Ok(())
    }

    async fn leave(&mut self) -> Result<()> {
        let mut kept = self.0.kept();
        let last = kept.listened.last().unwrap().consumer.clone();
        kept.left.push(last);
        Ok(())
    }
}

const TAKE: &str = "id: take
triggers: [{ id: t, type: mqtt, broker: 'mqtt://mqtt.example', topics: ['shop/+/orders'], payload: json }]
nodes: [{ id: a, action: data.set }]";

/// The inputs of what was started, in any order.
async fn taken(world: &World) -> Vec<u64> {
    let all = of(world, "take").await.into_iter();
    let mut ns: Vec<_> = all.map(|it| it.1.input["n"].as_u64().unwrap()).collect();
    ns.sort_unstable();
    ns
}

fn order(n: u64) -> Vec<u8> {
    json!({ "n": n }).to_string().into_bytes()
}

#[test]
fn each_message_starts_an_execution_also_those_that_come_while_nobody_listens() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let nebula = broker.process(&world);
        publish(&nebula, TAKE).await;
        broker.publish("shop/north/orders", &order(1));
        live(&world, &nebula, SECOND).await;
        tokio::join!(live(&world, &nebula, SECOND * 60), async {
            world.clock.sleep(SECOND * 50).await;
            broker.publish("shop/south/orders", &order(2));
            // At once, and not when it is looked again.
            world.clock.sleep(Duration::from_millis(50)).await;
            assert_eq!(taken(&world).await, [1, 2]);
        });
        assert_eq!(taken(&world).await, [1, 2]);
        assert_eq!(broker.kept().acknowledged, [1, 2]);
        broker.publish("shop/north/orders", &order(3));
        world.clock.advance(SECOND * 3_600);
        let nebula = broker.process(&world);
        live(&world, &nebula, SECOND).await;
        assert_eq!(taken(&world).await, [1, 2, 3]);
        let told = of(&world, "take").await;
        let told = told.iter().find(|it| it.1.input["n"] == 2).unwrap();
        let told = &told.1.trigger;
        assert_eq!(
            (
                &told["id"],
                &told["type"],
                &told["topic"],
                &told["payload"],
                &told["redelivered"]
            ),
            (
                &json!("t"),
                &json!("mqtt"),
                &json!("shop/south/orders"),
                &json!({ "n": 2 }),
                &json!(false)
            )
        );
        let asked = broker.kept().listened.clone();
        let one = &asked[0];
        assert_eq!(
            (one.address.as_str(), one.tls, &*one.names, one.handing),
            (
                "mqtt.example:1883",
                false,
                &["shop/+/orders".to_owned()][..],
                Handing::UntilAcknowledged
            )
        );
        assert!(one.consumer.len() <= 23 && one.login.is_none(), "{one:?}");
        assert!(asked.iter().all(|it| it.consumer == one.consumer));
        let (take, t) = ("take".parse().unwrap(), "t".parse().unwrap());
        let engine = nebula.engine();
        let by_hand = engine.fire_trigger(&tenant(), &take, &t, &config()).await;
        assert!(matches!(by_hand, Err(FireError::Listens)), "{by_hand:?}");
    });
}

/// [`Source`] refuses a second one. Whoever dies is replaced once its time is over, and whoever stops at once.
#[test]
fn one_process_listens_at_a_time() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let (one, other) = (broker.process(&world), broker.process(&world));
        publish(&one, TAKE).await;
        tokio::select! {
            () = live(&world, &one, SECOND * 3_600) => {}
            () = live(&world, &other, SECOND * 200) => {}
        }
        assert_eq!(broker.kept().listened.len(), 1);
        broker.publish("shop/north/orders", &order(1));
        live(&world, &other, SECOND * 5).await;
        assert_eq!(taken(&world).await, Vec::<u64>::new());
        live(&world, &other, SECOND * 16).await;
        assert_eq!(taken(&world).await, [1]);

        world.clock.advance(SECOND * 60);
        let stop = CancellationToken::new();
        tokio::join!(other.fire(config(), stop.clone()), async {
            world.clock.sleep(SECOND).await;
            assert_eq!(broker.kept().listening, 1);
            stop.cancel();
        });
        assert_eq!(broker.kept().listening, 0);
        broker.publish("shop/north/orders", &order(2));
        live(&world, &one, SECOND).await;
        assert_eq!(taken(&world).await, [1, 2]);
    });
}

/// A message that is brought and not acknowledged comes again, and starts a second execution unless the trigger
/// says by what it is known.
#[test]
fn what_comes_again_is_known_by_what_the_trigger_says() {
    for (dedupe, times) in [("", 2), (", dedupe: $trigger.payload.n", 1)] {
        in_world(async |world| {
            let broker = Arc::new(Broker::default());
            let nebula = broker.process(&world);
            publish(
                &nebula,
                &TAKE.replace(", payload: json", &format!(", payload: json{dedupe}")),
            )
            .await;
            tokio::join!(live(&world, &nebula, SECOND * 60), async {
                world.clock.sleep(SECOND).await;
                broker.publish("shop/north/orders", &order(7));
                world.clock.sleep(SECOND).await;
                let message = (8, "shop/north/orders".to_owned(), bytes(&order(7)));
                broker.kept().waits.push_back(message);
                broker.rings.notify_one();
            });
            assert_eq!(taken(&world).await.len(), times);
            assert_eq!(broker.kept().acknowledged.len(), 2);
        });
    }
}

#[test]
fn a_paused_trigger_listens_to_nothing_and_one_that_is_gone_leaves() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let nebula = broker.process(&world);
        publish(&nebula, TAKE).await;
        let (take, t) = ("take".parse().unwrap(), "t".parse().unwrap());
        let tenant = tenant();
        let paused = |paused| nebula.engine().pause_trigger(&tenant, &take, &t, paused);
        tokio::join!(live(&world, &nebula, SECOND * 300), async {
            world.clock.sleep(SECOND).await;
            paused(true).await.unwrap();
            world.clock.sleep(SECOND * 10).await;
            assert_eq!(broker.kept().listening, 0);
            broker.publish("shop/north/orders", &order(1));
            world.clock.sleep(SECOND * 60).await;
            paused(false).await.unwrap();
            world.clock.sleep(SECOND).await;
            assert_eq!(taken(&world).await, [1]);
            // The next version goes on as somebody else, or elsewhere.
            let times = broker.kept().listened.len();
            publish(&nebula, &TAKE.replace("id: a,", "id: b,")).await;
            world.clock.sleep(SECOND * 60).await;
            assert_eq!(broker.kept().listened.len(), times);
            publish(&nebula, &TAKE.replace("payload: json", "payload: text")).await;
            world.clock.sleep(SECOND * 10).await;
            assert_eq!(broker.counts(), (times + 1, 1));
            assert!(broker.kept().left.is_empty());
            publish(&nebula, "id: take\nnodes: [{ id: a, action: data.set }]").await;
            world.clock.sleep(SECOND * 10).await;
            assert_eq!(broker.kept().left.len(), 1);
            assert_eq!(broker.kept().listening, 0);
        });
    });
}

#[test]
fn what_cannot_be_listened_to_is_shown_and_tried_again() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let nebula = broker.process(&world);
        let why = async || state(&nebula, "take", "t").await.left_out.map(|it| it.why);
        broker.kept().refuses = Some((ErrorKind::Invalid, "nobody knows you".to_owned()));
        let text = TAKE.replace("payload: json", "user: shop, secret: mqtt, payload: json");
        publish(&nebula, &text).await;
        live(&world, &nebula, SECOND * 30).await;
        assert_eq!(
            why().await.unwrap(),
            "could not listen: the secret `mqtt` is not there"
        );
        assert_eq!(broker.kept().listened.len(), 0);
        publish(&nebula, TAKE).await;
        live(&world, &nebula, SECOND * 30).await;
        assert_eq!(why().await.unwrap(), "could not listen: nobody knows you");
        assert_eq!(broker.kept().listened.len(), 3, "every ten seconds");
        broker.kept().refuses = None;
        live(&world, &nebula, SECOND * 30).await;
        assert_eq!(why().await, None);
        broker.publish("shop/north/orders", &order(1));
        broker.kept().breaks = true;
        live(&world, &nebula, SECOND * 60).await;
        assert_eq!(taken(&world).await, [1]);
    });
}

#[test]
fn a_message_that_cannot_be_read_is_shown_and_holds_up_nobody() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let nebula = broker.process(&world);
        publish(&nebula, TAKE).await;
        broker.publish("shop/north/orders", b"{");
        broker.publish("shop/north/orders", &order(1));
        live(&world, &nebula, SECOND).await;
        let why = state(&nebula, "take", "t").await.left_out;
        // The start after it takes that back.
        assert_eq!((taken(&world).await, why), (vec![1], None));
        broker.publish("shop/north/orders", b"{");
        world.clock.advance(SECOND * 60);
        live(&world, &nebula, SECOND).await;
        let why = state(&nebula, "take", "t").await.left_out.unwrap().why;
        assert!(
            why.starts_with("a message of `shop/north/orders` is no JSON"),
            "{why}"
        );
        let large = json!("x".repeat(MAX_BROUGHT)).to_string();
        broker.publish("shop/north/orders", large.as_bytes());
        world.clock.advance(SECOND * 60);
        live(&world, &nebula, SECOND).await;
        let why = state(&nebula, "take", "t").await.left_out.unwrap().why;
        assert!(why.contains("the limit is 1048576"), "{why}");
        assert_eq!(broker.kept().acknowledged.len(), 4);
    });
}

/// It waits at the broker, which is told that there is somebody.
#[test]
fn what_has_no_room_here_waits_where_it_is() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let nebula = broker.process(&world);
        let waits = "payload: json, key: $trigger.payload.n, batch: { size: 2, wait: 1h }";
        publish(&nebula, &TAKE.replace("payload: json", waits)).await;
        let (take, t) = ("take".parse().unwrap(), "t".parse().unwrap());
        let items = (0..MAX_ARRIVALS).map(|n| json!({ "payload": { "n": n } }));
        let brings = Bringing {
            items: items.collect(),
            looked: None,
        };
        let brought = world.triggers.bring(&tenant(), &take, &t, brings).await;
        assert!(matches!(brought, Ok(Brought::Taken { .. })), "{brought:?}");
        broker.publish("shop/north/orders", &order(1));
        live(&world, &nebula, SECOND * 60).await;
        let kept = broker.kept();
        assert!(
            kept.acknowledged.is_empty() && kept.kept_alive >= 50,
            "{}",
            kept.kept_alive
        );
    });
}

/// An engine that was given no queues says so.
#[test]
fn without_queues_nothing_is_heard() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, TAKE).await;
        live(&world, &nebula, SECOND).await;
        let why = state(&nebula, "take", "t").await.left_out.unwrap().why;
        assert_eq!(
            why,
            "could not listen: this engine was given no queues to listen to"
        );
    });
}

/// Guard: an entry of a stream is known by its id where the trigger says nothing else.
#[test]
fn an_entry_of_a_stream_starts_one_execution_also_if_it_comes_again() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let nebula = broker.process(&world);
        let begun = world.clock.now();
        publish(
            &nebula,
            "id: take
triggers: [{ id: t, type: redis, server: 'redis://redis.example', streams: [orders], payload: json }]
nodes: [{ id: a, action: data.set }]",
        )
        .await;
        tokio::join!(live(&world, &nebula, SECOND * 60), async {
            world.clock.sleep(SECOND).await;
            for n in [1, 2] {
                broker.add("orders", n);
                world.clock.sleep(SECOND).await;
            }
            // It was not acknowledged, as far as the server knows.
            let field = (Bytes::from_static(b"n"), Bytes::from_static(b"1"));
            let again = (1, "orders".to_owned(), Payload::Fields(vec![field]));
            broker.kept().waits.push_back(again);
            broker.rings.notify_one();
        });
        assert_eq!(taken(&world).await, [1, 2]);
        assert_eq!(broker.kept().acknowledged, [1, 2, 1]);
        let told = of(&world, "take").await;
        let told = told.iter().find(|it| it.1.input["n"] == 2).unwrap();
        let told = &told.1.trigger;
        assert_eq!(
            (
                &told["type"],
                &told["stream"],
                &told["entry"],
                &told["payload"]
            ),
            (
                &json!("redis"),
                &json!("orders"),
                &json!("2-0"),
                &json!({ "n": 2 })
            )
        );
        let asked = broker.kept().listened[0].clone();
        assert_eq!(
            (asked.address.as_str(), asked.since, asked.group),
            ("redis.example:6379", Some(begun), None)
        );
    });
}

/// A process that has no queues of that type says so, and does not ask those of another one.
#[test]
fn a_process_without_queues_of_that_type_says_so() {
    in_world(async |world| {
        let broker = Arc::new(Broker::default());
        let source: Arc<dyn QueueSource> = Arc::new(Source(Arc::clone(&broker)));
        let secrets = Arc::new(MemorySecretsStore::default());
        let builder = world.builder_here();
        let nebula = builder.queues([(QueueKind::Redis, source)], secrets);
        let nebula = nebula.build().unwrap();
        publish(&nebula, TAKE).await;
        live(&world, &nebula, SECOND).await;
        let said = state(&nebula, "take", "t").await.left_out.unwrap().why;
        assert!(said.contains("no queues of the type `mqtt`"), "{said}");
        assert!(broker.kept().listened.is_empty());
    });
}
