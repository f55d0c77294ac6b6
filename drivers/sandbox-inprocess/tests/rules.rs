//! The rules of the port `SandboxRunner`, on real attempts under a clock that stands still until told.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use indexmap::IndexMap;
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
    ErrorClass, Grants, Heartbeat, Protected,
};
use nebula_core::{
    BoxFuture, ByteSize, Clock, Digest, ExecutionId, NodeId, TenantId, Timestamp, WorkflowId,
};
use nebula_ports::{Code, Invocation, SandboxRunner};
use nebula_sandbox_inprocess::InProcess;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const TIMEOUT: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(5);

/// Moves when it is told to.
#[derive(Debug)]
struct Hands(watch::Sender<Duration>);

impl Hands {
    fn advance(&self, by: Duration) {
        self.0.send_modify(|time| *time += by);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic(&self) -> Duration {
        *self.0.borrow()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (mut time, wake) = (self.0.subscribe(), self.monotonic() + duration);
        Box::pin(async move {
            time.wait_for(|now| *now >= wake).await.unwrap();
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Behaviour {
    Echoes,
    Panics,
    Hangs,
    StopsWhenTold,
}

#[derive(Debug)]
struct Fake {
    metadata: ActionMetadata,
    behaviour: Behaviour,
    dropped: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Action for Fake {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let _dropped = OnDrop(Arc::clone(&self.dropped));
        match self.behaviour {
            Behaviour::Echoes => Ok(ActionResult::output(input)),
            Behaviour::Panics => panic!("{input}"),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::StopsWhenTold => {
                ctx.cancellation.cancelled().await;
                Err(ActionError::new(
                    "STOPPED",
                    "stopped",
                    ErrorClass::Cancelled,
                ))
            }
        }
    }
}

struct Scene {
    clock: Arc<Hands>,
    cancellation: CancellationToken,
    dropped: Arc<AtomicBool>,
    invocation: Invocation,
}

fn scene(behaviour: Behaviour, class: EffectClass) -> Scene {
    let cancellation = CancellationToken::new();
    let dropped = Arc::new(AtomicBool::new(false));
    let context = ActionContext {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes([0; 16]),
        workflow: WorkflowId::new("w").unwrap(),
        node: NodeId::new("n").unwrap(),
        attempt: 1,
        idempotency_key: String::new(),
        now: Timestamp::default(),
        seed: 0,
        timeout: TIMEOUT,
        deadline: None,
        cancellation: cancellation.clone(),
        heartbeat: Heartbeat::default(),
        grants: Grants::default(),
        protected: Protected::default(),
        http: None,
        blobs: None,
        credentials: nebula_action::Credentials::default(),
        folder: Arc::from(Path::new("/")),
        deferred: IndexMap::new(),
    };
    let code = Code::Native(Arc::new(Fake {
        metadata: ActionMetadata::new("test.fake", (1, 0), Effect::Fixed(class)),
        behaviour,
        dropped: Arc::clone(&dropped),
    }));
    Scene {
        clock: Arc::new(Hands(watch::channel(Duration::ZERO).0)),
        cancellation,
        dropped,
        invocation: Invocation {
            code,
            context,
            input: json!({ "key": "hunter2" }),
            max_output: ByteSize::kib(1),
            grace: GRACE,
        },
    }
}

impl Scene {
    /// Runs the attempt beside `script`, which starts once the attempt waits.
    async fn play(
        self,
        script: impl AsyncFnOnce(&Hands, &CancellationToken),
    ) -> (Result<ActionResult, ActionError>, bool) {
        let sandbox = InProcess::new(self.clock.clone());
        let run = sandbox.run(Box::new(self.invocation));
        let (result, ()) = tokio::join!(biased; run, script(&self.clock, &self.cancellation));
        if let Err(error) = &result {
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        (result, self.dropped.load(Ordering::SeqCst))
    }
}

async fn error_of(
    behaviour: Behaviour,
    class: EffectClass,
    script: impl AsyncFnOnce(&Hands, &CancellationToken),
) -> String {
    let (result, dropped) = scene(behaviour, class).play(script).await;
    assert!(dropped, "the attempt is gone when the run has ended");
    let error = result.unwrap_err();
    format!("{} {}", error.code, error.class.as_str())
}

async fn nothing(_: &Hands, _: &CancellationToken) {}

#[tokio::test]
async fn a_result_within_the_limit_is_passed_on() {
    let (result, _) = scene(Behaviour::Echoes, EffectClass::Pure)
        .play(nothing)
        .await;
    assert_eq!(result.unwrap().value, json!({ "key": "hunter2" }));
}

#[tokio::test]
async fn a_result_over_the_limit_is_refused_and_the_limit_is_named() {
    let mut scene = scene(Behaviour::Echoes, EffectClass::Pure);
    scene.invocation.max_output = ByteSize::bytes(16);
    let error = scene.play(nothing).await.0.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.class),
        ("OUTPUT_TOO_LARGE", ErrorClass::LimitExceeded)
    );
    assert!(error.message.contains("16 B"), "{}", error.message);
}

#[tokio::test]
async fn a_panic_becomes_an_error() {
    assert_eq!(
        error_of(Behaviour::Panics, EffectClass::Read, nothing).await,
        "ACTION_PANICKED fatal"
    );
    assert_eq!(
        error_of(Behaviour::Panics, EffectClass::Keyed, nothing).await,
        "ACTION_PANICKED unknown"
    );
}

#[tokio::test]
async fn the_deadline_ends_the_attempt() {
    let late = async |clock: &Hands, _: &CancellationToken| clock.advance(TIMEOUT);
    assert_eq!(
        error_of(Behaviour::Hangs, EffectClass::Pure, late).await,
        "TIMEOUT timeout"
    );
    assert_eq!(
        error_of(Behaviour::Hangs, EffectClass::AtMostOnce, late).await,
        "TIMEOUT unknown"
    );
}

#[tokio::test]
async fn an_attempt_that_is_silent_for_too_long_is_given_up() {
    const LONGEST: Duration = Duration::from_secs(8);
    let silent = async |class, beats: u32| {
        let mut scene = scene(Behaviour::Hangs, class);
        // It was made long before it begins, which is its first sign of life.
        let heartbeat = Heartbeat::new(scene.clock.clone(), Some(LONGEST), |_| {});
        scene.clock.advance(LONGEST);
        scene.invocation.context.heartbeat = heartbeat.clone();
        let script = async |clock: &Hands, _: &CancellationToken| {
            for _ in 0..beats {
                clock.advance(LONGEST / 2);
                heartbeat.beat();
                tokio::task::yield_now().await;
            }
            clock.advance(LONGEST);
        };
        let clock = scene.clock.clone();
        let (result, dropped) = scene.play(script).await;
        assert!(dropped);
        let error = result.unwrap_err();
        assert_eq!(clock.monotonic(), LONGEST * 2 + LONGEST / 2 * beats);
        format!("{} {}", error.code, error.class.as_str())
    };
    assert_eq!(
        silent(EffectClass::Read, 0).await,
        "HEARTBEAT_TIMEOUT timeout"
    );
    assert_eq!(
        silent(EffectClass::Read, 5).await,
        "HEARTBEAT_TIMEOUT timeout"
    );
    assert_eq!(
        silent(EffectClass::AtMostOnce, 0).await,
        "HEARTBEAT_TIMEOUT unknown"
    );
}

#[tokio::test]
async fn a_cancelled_attempt_is_told_and_may_end_by_itself() {
    let cancel = async |_: &Hands, token: &CancellationToken| token.cancel();
    assert_eq!(
        error_of(Behaviour::StopsWhenTold, EffectClass::AtMostOnce, cancel).await,
        "STOPPED cancelled"
    );
}

#[tokio::test]
async fn an_attempt_that_does_not_listen_is_abandoned_after_the_grace() {
    let script = async |clock: &Hands, token: &CancellationToken| {
        token.cancel();
        // The run hears of it and begins to wait out the grace.
        tokio::task::yield_now().await;
        clock.advance(GRACE);
    };
    assert_eq!(
        error_of(Behaviour::Hangs, EffectClass::Read, script).await,
        "ABANDONED cancelled"
    );
    assert_eq!(
        error_of(Behaviour::Hangs, EffectClass::Idempotent, script).await,
        "ABANDONED unknown"
    );
}

#[tokio::test]
async fn an_attempt_cancelled_before_it_began_has_done_nothing() {
    let scene = scene(Behaviour::Echoes, EffectClass::AtMostOnce);
    scene.cancellation.cancel();
    let (result, began) = scene.play(nothing).await;
    assert_eq!(result.unwrap_err().class, ErrorClass::Cancelled);
    assert!(!began);
}

#[tokio::test]
async fn the_class_follows_from_the_parameters_of_this_attempt() {
    for (mode, expected) in [("look", ErrorClass::Fatal), ("touch", ErrorClass::Unknown)] {
        let mut scene = scene(Behaviour::Panics, EffectClass::Pure);
        scene.invocation.input = json!({ "mode": mode });
        let effect = Effect::ByParameter {
            parameter: "mode".to_owned(),
            cases: vec![(json!("look"), EffectClass::Read)],
            absent: EffectClass::Pure,
        };
        scene.invocation.code = Code::Native(Arc::new(Fake {
            metadata: ActionMetadata::new("test.fake", (1, 0), effect),
            behaviour: Behaviour::Panics,
            dropped: Arc::clone(&scene.dropped),
        }));
        assert_eq!(
            scene.play(nothing).await.0.unwrap_err().class,
            expected,
            "{mode}"
        );
    }
}

#[tokio::test]
async fn a_component_is_refused_with_what_to_do() {
    let mut scene = scene(Behaviour::Echoes, EffectClass::Pure);
    scene.invocation.code = Code::Component(Digest::of(b"wasm"));
    let error = scene.play(nothing).await.0.unwrap_err();
    assert_eq!(error.code, "SANDBOX_NO_COMPONENTS");
}
