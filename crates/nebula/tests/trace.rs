//! The trace that the requests of nodes carry (W3C Trace Context).

mod world;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use http::Method;
use nebula::{
    Nebula,
    action::{
        Action, ActionContext, ActionError, ActionMetadata, ActionResult, Capability, Effect,
        EffectClass, Grants, HttpLimits, HttpRequest, RequestBody, Sender,
    },
    core::{Clock, ExecutionId, SpanId, TraceContext},
    execution::{StartOptions, Status},
    ports::ExecutionRepo,
};
use nebula_testkit::{
    AskedHttp, InlineOffload, MemorySandbox, MemoryTaskQueue, ScriptedHttp, SeededEntropy,
};
use serde_json::{Value, json};
use world::{World, in_world, tenant};

const TRACE: &str = "12345678901234567890123456789012";

/// Each process has ids of its own.
static LIVES: AtomicU64 = AtomicU64::new(5_000);

/// Sends a request, which may carry a trace of its own.
#[derive(Debug)]
struct Sends(ActionMetadata);

#[async_trait]
impl Action for Sends {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let url = "https://api.example/".parse().expect("a URL");
        let mut headers = http::HeaderMap::new();
        if let Some(own) = input["own"].as_str() {
            headers.insert("traceparent", own.parse().expect("a header"));
        }
        let request = HttpRequest {
            method: Method::GET,
            url,
            headers,
            body: RequestBody::Empty,
            limits: HttpLimits::default(),
            sender: Sender::default(),
        };
        let answer = ctx.http(&request.url)?.send(request, None).await;
        match answer {
            Ok(answer) if answer.status == 503 => Err(ActionError::retryable("BUSY", "busy")),
            Ok(_) => Ok(ActionResult::output(json!(1))),
            Err(error) => Err(ActionError::fatal("HTTP", error.to_string())),
        }
    }
}

fn process(world: &World, http: &Arc<ScriptedHttp>) -> Nebula {
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 1_000, 100));
    let sandbox = Arc::new(MemorySandbox::new(clock.clone()));
    let executions: Arc<dyn ExecutionRepo> = world.executions.clone();
    let metadata = ActionMetadata::new("test.send", (1, 0), Effect::Fixed(EffectClass::Read));
    Nebula::builder(executions, world.workflows.clone(), queue, sandbox)
        .clock(clock)
        .entropy(Arc::new(SeededEntropy::new(LIVES.fetch_add(1, SeqCst))))
        .offload(Arc::new(InlineOffload))
        .actions([Arc::new(Sends(metadata)) as Arc<dyn Action>])
        .http(http.clone())
        .build()
        .unwrap()
}

fn options(trace: Option<TraceContext>) -> StartOptions {
    let grant = |it: &str| Capability::parse(it, Path::new("/")).unwrap();
    StartOptions {
        grants: Grants::new(["net:api.example", "workflow:child"].map(grant)),
        trace,
        ..StartOptions::default()
    }
}

fn caller() -> TraceContext {
    let parent = format!("00-{TRACE}-1234567890123456-01");
    TraceContext::read([parent.as_bytes()], [&b"foo=1"[..]]).unwrap()
}

/// What requests carry, as trace, parent and state.
fn carried(asked: &[AskedHttp]) -> Vec<(String, String, String)> {
    let of = |it: &AskedHttp| {
        let header = |name: &str| {
            let value = it.headers.get(name).map(|it| it.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        };
        let parent = header("traceparent");
        let parts: Vec<_> = parent.split('-').map(str::to_owned).collect();
        (parts[1].clone(), parts[2].clone(), header("tracestate"))
    };
    asked.iter().map(of).collect()
}

/// Runs a definition, and gives its id with what its requests carried.
async fn run(
    world: &World,
    yaml: &str,
    trace: Option<TraceContext>,
    busy: usize,
) -> (ExecutionId, Vec<(String, String, String)>) {
    let http = Arc::new(ScriptedHttp::new(move |asked| {
        let status = if asked.number <= busy { 503 } else { 200 };
        Ok((status, "", String::new()))
    }));
    let nebula = process(world, &http);
    let installed = world.install(&nebula, yaml).await;
    let whose = tenant();
    let started = nebula.start(&whose, &installed, Value::Null, options(trace));
    let id = started.await.unwrap();
    let report = world.finish(&nebula, id).await;
    assert_eq!(report.status, Status::Completed, "{report:?}");
    (id, carried(&http.asked()))
}

const THREE: &str =
    "nodes: [{ id: a, action: test.send, requires: ['net:api.example'], for_each: '[1, 2, 3]' }]\n";

#[test]
fn requests_carry_the_trace_of_whoever_started() {
    in_world(async |world| {
        let (id, carried) = run(&world, THREE, Some(caller()), 0).await;
        let parents: BTreeSet<_> = carried.iter().map(|it| &it.1).collect();
        assert_eq!((carried.len(), parents.len()), (3, 3), "{carried:?}");
        for (trace, parent, state) in &carried {
            assert_eq!((trace.as_str(), state.as_str()), (TRACE, "foo=1"));
            assert_ne!(parent, "1234567890123456");
        }
        // Whoever knows the execution knows its spans.
        let expected = SpanId::of(id, "a[0]/1").to_string();
        assert!(parents.contains(&expected), "{expected} {parents:?}");
    });
}

#[test]
fn without_one_the_execution_begins_a_trace() {
    in_world(async |world| {
        let (id, carried) = run(&world, THREE, None, 0).await;
        let expected = TraceContext::of_execution(id).trace.to_string();
        assert!(carried.iter().all(|it| it.0 == expected && it.2.is_empty()));
    });
}

#[test]
fn each_attempt_is_a_span_of_its_own() {
    in_world(async |world| {
        let yaml = "nodes: [{ id: a, action: test.send, requires: ['net:api.example'], retry: { max_attempts: 3 } }]\n";
        let (id, carried) = run(&world, yaml, Some(caller()), 2).await;
        let parents: Vec<_> = carried.into_iter().map(|it| it.1).collect();
        let expected = [1, 2, 3].map(|n| SpanId::of(id, &format!("a/{n}")).to_string());
        assert_eq!(parents, expected);
    });
}

#[test]
fn what_is_called_belongs_to_the_trace_of_its_caller() {
    in_world(async |world| {
        let http = Arc::new(ScriptedHttp::new(|_| Ok((200, "", String::new()))));
        let nebula = process(&world, &http);
        let child =
            "id: child\nnodes: [{ id: a, action: test.send, requires: ['net:api.example'] }]\n";
        let _ = world.install(&nebula, child).await;
        let yaml = "nodes: [{ id: c, action: flow.call, requires: ['net:api.example'], parameters: { workflow: child } }]\n";
        for trace in [Some(caller()), None] {
            let before = http.asked().len();
            let (id, _) = run_with(&world, &nebula, yaml, trace.clone()).await;
            let carried = carried(&http.asked()[before..]);
            let own = trace.unwrap_or_else(|| TraceContext::of_execution(id));
            assert_eq!(carried.len(), 1);
            assert_eq!(carried[0].0, own.trace.to_string());
            assert_eq!(carried[0].2, own.tracestate());
        }
    });
}

async fn run_with(
    world: &World,
    nebula: &Nebula,
    yaml: &str,
    trace: Option<TraceContext>,
) -> (ExecutionId, Status) {
    let installed = world.install(nebula, yaml).await;
    let whose = tenant();
    let started = nebula.start(&whose, &installed, Value::Null, options(trace));
    let id = started.await.unwrap();
    let report = world.finish(nebula, id).await;
    assert_eq!(report.status, Status::Completed, "{report:?}");
    (id, report.status)
}

#[test]
fn the_trace_survives_the_process_that_began() {
    in_world(async |world| {
        let wait = "nodes: [{ id: w, action: flow.wait, parameters: { for: 1h } }, { id: a, action: test.send, requires: ['net:api.example'] }]\n";
        let http = Arc::new(ScriptedHttp::new(|_| Ok((200, "", String::new()))));
        let first = process(&world, &http);
        let installed = world.install(&first, wait).await;
        let whose = tenant();
        let started = first.start(&whose, &installed, Value::Null, options(Some(caller())));
        let id = started.await.unwrap();
        let waits = world.waits(&first, id);
        assert_eq!(world::with(&first, waits).await.status, Status::Waiting);
        drop(first);
        let second = process(&world, &http);
        let report = world.finish(&second, id).await;
        assert_eq!(report.status, Status::Completed, "{report:?}");
        let carried = carried(&http.asked());
        let expected = (
            TRACE.to_owned(),
            SpanId::of(id, "a/1").to_string(),
            "foo=1".to_owned(),
        );
        assert_eq!(carried, [expected]);
    });
}

#[test]
fn a_request_that_carries_a_trace_keeps_it() {
    in_world(async |world| {
        let own = "00-99999999999999999999999999999999-9999999999999999-00";
        let yaml = format!(
            "nodes: [{{ id: a, action: test.send, requires: ['net:api.example'], parameters: {{ own: '{own}' }} }}]\n"
        );
        let (_, carried) = run(&world, &yaml, Some(caller()), 0).await;
        let expected = ("9".repeat(32), "9".repeat(16), String::new());
        assert_eq!(carried, [expected]);
    });
}
