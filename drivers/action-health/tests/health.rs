//! `health.check` over a way out and programs that answer as a test says.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;
use nebula_action::{
    Action as _, ActionContext, ActionError, Capability, ErrorClass, Grants, Http, HttpClient,
    HttpErrorKind, Protected, Reason, Refused,
};
use nebula_action_health::HealthCheck;
use nebula_core::{Clock as _, ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_ports::{Captured, ProgramCall, ProgramEnded, ProgramError, ProgramExit, ProgramRunner};
use nebula_testkit::{ManualClock, ScriptedAnswer, ScriptedHttp, run};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Programs that end as a test says.
#[derive(Debug)]
struct Programs {
    ends: Option<ProgramExit>,
    calls: Mutex<Vec<ProgramCall>>,
}

#[async_trait]
impl ProgramRunner for Programs {
    async fn run(&self, call: ProgramCall) -> Result<ProgramEnded, ProgramError> {
        let program = call.program.path().display().to_string();
        self.calls.lock().push(call);
        let Some(exit) = self.ends else {
            return Err(ProgramError::NotAllowed { program });
        };
        let stderr = Captured {
            bytes: b"no answer from the database\n".to_vec(),
            cut: false,
        };
        Ok(ProgramEnded {
            exit,
            stdout: Captured::default(),
            stderr,
            took: Duration::ZERO,
        })
    }
}

struct Scene {
    clock: ManualClock,
    programs: Arc<Programs>,
    context: ActionContext,
}

impl Scene {
    fn answering(answer: impl Fn() -> ScriptedAnswer + Send + Sync + 'static) -> Self {
        Self::of(answer, Some(ProgramExit::Code(0)), Duration::ZERO)
    }

    fn of(
        answer: impl Fn() -> ScriptedAnswer + Send + Sync + 'static,
        ends: Option<ProgramExit>,
        takes: Duration,
    ) -> Self {
        let clock = ManualClock::default();
        let mut http = ScriptedHttp::new(move |_| answer());
        if !takes.is_zero() {
            let moved = clock.clone();
            // Time passes because a test says so, and not while somebody waits.
            http = ScriptedHttp::new(move |_| {
                moved.advance(takes);
                Ok((200, "", String::new()))
            });
        }
        let grants = ["net:shop.test", "net:db.test:5432", "process:/bin/probe"];
        let grants = grants.map(|text| Capability::parse(text, Path::new("/")).unwrap());
        let grants = Grants::new(grants);
        let client: Arc<dyn HttpClient> = Arc::new(http);
        let context = ActionContext {
            tenant: TenantId::local(),
            execution: ExecutionId::from_bytes([0; 16]),
            workflow: WorkflowId::new("w").unwrap(),
            node: NodeId::new("n").unwrap(),
            attempt: 1,
            idempotency_key: "key".to_owned(),
            now: Timestamp::default(),
            seed: 0,
            timeout: Duration::from_secs(60),
            deadline: None,
            cancellation: CancellationToken::new(),
            heartbeat: nebula_action::Heartbeat::default(),
            http: Http::gated(&client, &grants),
            grants,
            protected: Protected::default(),
            blobs: None,
            credentials: nebula_action::Credentials::default(),
            folder: Arc::from(Path::new("/flows")),
            deferred: IndexMap::new(),
        };
        let calls = Mutex::default();
        Self {
            clock,
            programs: Arc::new(Programs { ends, calls }),
            context,
        }
    }

    async fn check(&self, input: Value) -> Result<Value, ActionError> {
        let action = HealthCheck::new(Arc::new(self.clock.clone()), self.programs.clone());
        let result = action.execute(&self.context, input).await;
        result.map(|result| result.value)
    }

    async fn reason(&self, input: Value) -> String {
        let found = self.check(input).await.unwrap();
        assert_eq!(found["healthy"], json!(false), "{found}");
        found["reason"].as_str().unwrap().to_owned()
    }

    async fn code(&self, input: Value) -> String {
        match self.check(input).await {
            Ok(value) => panic!("no error but {value}"),
            Err(error) => error.code.to_string(),
        }
    }
}

fn well() -> Value {
    json!({ "healthy": true, "latency_ms": 0, "reason": null })
}

const URL: &str = "http://shop.test/health?key=hunter2";

/// Guards: the status, the text.
#[test]
fn a_service_is_judged_by_its_answer() {
    run(async {
        let scene = Scene::answering(|| Ok((200, "", "all is fine".to_owned())));
        assert_eq!(scene.check(json!({ "url": URL })).await.unwrap(), well());
        let fine = json!({ "url": URL, "contains": "fine", "expected_status": [200, 204] });
        assert_eq!(scene.check(fine).await.unwrap(), well());
        let text = json!({ "url": URL, "contains": "ready" });
        let reason = scene.reason(text).await;
        assert_eq!(
            reason,
            "the text of `contains` does not stand in its answer"
        );
        let status = json!({ "url": URL, "expected_status": [204] });
        assert_eq!(scene.reason(status).await, "it answered 200");
        for status in [199_u16, 301, 404, 500] {
            let scene = Scene::answering(move || Ok((status.max(200), "", String::new())));
            if status >= 300 {
                let reason = scene.reason(json!({ "url": URL })).await;
                assert_eq!(reason, format!("it answered {status}"));
            }
        }
    });
}

/// Guard: a service that cannot be reached is a result, and its reason tells no path and no query.
#[test]
fn a_service_that_does_not_answer_is_not_well() {
    run(async {
        let closed = || Err(HttpErrorKind::Connect("connection refused".to_owned()));
        let scene = Scene::answering(closed);
        let reason = scene.reason(json!({ "url": URL })).await;
        assert_eq!(
            reason,
            "http://shop.test: no connection (connection refused)"
        );
        let reason = scene.reason(json!({ "tcp": "db.test:5432" })).await;
        assert_eq!(reason, "db.test:5432: no connection (connection refused)");
        let large = Scene::answering(|| Ok((200, "", "x".repeat((1 << 20) + 1))));
        let reason = large.reason(json!({ "url": URL, "contains": "x" })).await;
        assert!(reason.contains("larger than 1 MiB"), "{reason}");
    });
}

/// Guard: what was not asked is not said to be unwell.
#[test]
fn what_is_left_alone_for_a_while_is_asked_later() {
    run(async {
        let after = Duration::from_secs(15);
        let held = move || {
            Err(HttpErrorKind::Held(Refused {
                reason: Reason::BreakerOpen,
                after,
            }))
        };
        let scene = Scene::answering(held);
        let error = scene.check(json!({ "url": URL })).await.unwrap_err();
        assert_eq!(error.code, "HEALTH_NOT_ASKED");
        assert_eq!(error.class, ErrorClass::Deferred { after });
    });
}

/// Guards: grants, for each way.
#[test]
fn nothing_is_asked_without_a_grant() {
    run(async {
        let scene = Scene::answering(|| Ok((200, "", String::new())));
        for input in [
            json!({ "url": "http://other.test/" }),
            json!({ "tcp": "db.test:5433" }),
            json!({ "program": "/bin/other" }),
        ] {
            assert_eq!(scene.code(input).await, "CAPABILITY_DENIED");
        }
        assert!(scene.programs.calls.lock().is_empty());
        let unlisted = Scene::of(|| Ok((200, "", String::new())), None, Duration::ZERO);
        let code = unlisted.code(json!({ "program": "/bin/probe" })).await;
        assert_eq!(code, "PROCESS_NOT_ALLOWED");
    });
}

#[test]
fn a_connection_that_is_accepted_is_well() {
    run(async {
        let scene = Scene::answering(|| Ok((200, "", String::new())));
        let found = scene.check(json!({ "tcp": "db.test:5432" })).await;
        assert_eq!(found.unwrap(), well());
        assert_eq!(
            scene.code(json!({ "tcp": "db.test" })).await,
            "HEALTH_ADDRESS"
        );
    });
}

/// Guard: the exit code.
#[test]
fn a_program_says_by_its_exit_code() {
    run(async {
        let probe = json!({ "program": "/bin/probe", "args": ["-q"], "timeout": "3s" });
        let ends = |exit| Scene::of(|| Ok((200, "", String::new())), Some(exit), Duration::ZERO);
        let fine = ends(ProgramExit::Code(0));
        assert_eq!(fine.check(probe.clone()).await.unwrap(), well());
        {
            let calls = fine.programs.calls.lock();
            assert_eq!(calls[0].arguments, ["-q"]);
            assert_eq!(calls[0].timeout, Some(Duration::from_secs(3)));
            assert!(calls[0].environment.is_empty() && calls[0].stdin.is_empty());
        }
        let failed = ends(ProgramExit::Code(2));
        let reason = failed.reason(probe.clone()).await;
        assert_eq!(
            reason,
            "/bin/probe ended with exit code 2: no answer from the database"
        );
        let two = json!({ "program": "/bin/probe", "expected_exit": [2] });
        assert_eq!(failed.check(two).await.unwrap(), well());
        let late = ends(ProgramExit::TimedOut).reason(probe.clone()).await;
        assert!(late.starts_with("/bin/probe took longer than 3s"), "{late}");
        let killed = ends(ProgramExit::Signal(9)).reason(probe.clone()).await;
        assert!(
            killed.starts_with("/bin/probe was ended by signal 9"),
            "{killed}"
        );
        assert_eq!(ends(ProgramExit::Stopped).code(probe).await, "CANCELLED");
    });
}

/// Guard: the time that it took.
#[test]
fn a_service_that_is_too_slow_is_not_well() {
    run(async {
        let slow = Duration::from_millis(700);
        let scene = Scene::of(|| Ok((200, "", String::new())), None, slow);
        let found = scene.check(json!({ "url": URL })).await.unwrap();
        assert_eq!(
            found,
            json!({ "healthy": true, "latency_ms": 700, "reason": null })
        );
        let reason = scene
            .reason(json!({ "url": URL, "max_latency": "500ms" }))
            .await;
        assert_eq!(reason, "it took 700ms, longer than 500ms");
        let enough = json!({ "url": URL, "max_latency": "700ms" });
        assert_eq!(scene.check(enough).await.unwrap()["healthy"], json!(true));
    });
}

/// Guards: one way of looking, and nothing that would be left aside.
#[test]
fn a_parameter_that_would_count_for_nothing_is_refused() {
    run(async {
        let scene = Scene::answering(|| Ok((200, "", String::new())));
        for input in [
            json!({}),
            json!({ "url": URL, "tcp": "db.test:5432" }),
            json!({ "tcp": "db.test:5432", "contains": "x" }),
            json!({ "tcp": "db.test:5432", "expected_status": [200] }),
            json!({ "url": URL, "args": ["x"] }),
            json!({ "url": URL, "expected_exit": [1] }),
            json!({ "url": URL, "query": true }),
            json!({ "url": URL, "timeout": "6m" }),
            json!({ "url": URL, "timeout": "0s" }),
        ] {
            assert_eq!(
                scene.code(input.clone()).await,
                "HEALTH_PARAMETER",
                "{input}"
            );
        }
        assert_eq!(
            scene.code(json!({ "url": "ftp://shop.test/" })).await,
            "HEALTH_URL"
        );
    });
}

/// Guard: a check that is called off says nothing of the service.
#[test]
fn a_check_that_is_called_off_is_no_answer() {
    run(async {
        let scene = Scene::answering(|| Ok((200, "", String::new())));
        assert_eq!(scene.clock.monotonic(), ManualClock::default().monotonic());
        let stopped = Scene::of(
            || Ok((200, "", String::new())),
            Some(ProgramExit::Stopped),
            Duration::ZERO,
        );
        stopped.context.cancellation.cancel();
        let code = stopped.code(json!({ "program": "/bin/probe" })).await;
        assert_eq!(code, "CANCELLED");
    });
}
