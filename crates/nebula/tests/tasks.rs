//! Executions that are driven in tasks of their own, on the host's threads.

mod world;

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    Nebula,
    action::{
        Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
    },
    execution::{StartOptions, Status},
};
use nebula_system::SystemSpawn;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use world::{World, tenant, with};

/// Nothing is measured by it: who waits that long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(60);

fn on_two_threads(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build();
    runtime.unwrap().block_on(test);
}

fn process(world: &World, action: Arc<dyn Action>) -> Nebula {
    let builder = world.builder().actions([action]);
    builder.spawn(Arc::new(SystemSpawn)).build().unwrap()
}

/// Computes until another one computes, on its own thread.
#[derive(Debug)]
struct Meets(ActionMetadata, Mutex<Option<mpsc::Sender<()>>>);

impl Meets {
    fn new() -> Arc<Self> {
        let effect = Effect::Fixed(EffectClass::Pure);
        let metadata = ActionMetadata::new("test.meets", (1, 0), effect);
        Arc::new(Self(metadata, Mutex::default()))
    }
}

#[async_trait]
impl Action for Meets {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(&self, _: &ActionContext, _: Value) -> Result<ActionResult, ActionError> {
        let (here, met) = mpsc::channel();
        let other = self.1.lock().unwrap().replace(here);
        match other {
            Some(other) => other.send(()).unwrap(),
            None => met.recv_timeout(FOR_EVER).expect("somebody else computes"),
        }
        Ok(ActionResult::output(Value::Null))
    }
}

/// Guard: a drive goes on beside the task that runs the engine, and beside other drives.
#[test]
fn what_computes_leaves_a_thread_to_others() {
    on_two_threads(async {
        let world = World::default();
        let nebula = process(&world, Meets::new());
        let yaml = "id: meets\nnodes: [ { id: a, action: test.meets } ]";
        let installed = world.install(&nebula, yaml).await;
        let tenant = tenant();
        let one = || nebula.execute(&tenant, &installed, Value::Null, StartOptions::default());
        let both = Box::pin(with(&nebula, async { tokio::join!(one(), one()) })).await;
        for executed in [both.0, both.1] {
            assert_eq!(executed.unwrap().1.status, Status::Completed);
        }
    });
}

/// Tells when it begins, and when it is dropped.
#[derive(Debug)]
struct Stays(ActionMetadata, UnboundedSender<&'static str>);

impl Stays {
    fn new() -> (Arc<Self>, UnboundedReceiver<&'static str>) {
        let (tell, told) = unbounded_channel();
        let effect = Effect::Fixed(EffectClass::Keyed);
        let metadata = ActionMetadata::new("test.stays", (1, 0), effect);
        (Arc::new(Self(metadata, tell)), told)
    }
}

struct TellsItsEnd(UnboundedSender<&'static str>);

impl Drop for TellsItsEnd {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[async_trait]
impl Action for Stays {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(&self, _: &ActionContext, _: Value) -> Result<ActionResult, ActionError> {
        let _tells = TellsItsEnd(self.1.clone());
        let _ = self.1.send("begun");
        std::future::pending().await
    }
}

/// Guard: all work hangs on the future that runs the engine, also what goes on beside it.
#[test]
fn who_stops_running_the_engine_stops_its_drives() {
    on_two_threads(async {
        let world = World::default();
        let (stays, mut told) = Stays::new();
        let nebula = process(&world, stays);
        let yaml = "id: stays\nnodes: [ { id: a, action: test.stays } ]";
        let installed = world.install(&nebula, yaml).await;
        let running = nebula.run(CancellationToken::new());
        let (tenant, options) = (tenant(), StartOptions::default());
        let begun = async {
            let started = nebula.start(&tenant, &installed, Value::Null, options);
            started.await.unwrap();
            told.recv().await
        };
        tokio::select! {
            stopped = running => panic!("the worker stopped: {stopped:?}"),
            begun = begun => assert_eq!(begun, Some("begun")),
        }
        // Nobody runs it any more.
        assert_eq!(told.recv().await, Some("dropped"));
    });
}
