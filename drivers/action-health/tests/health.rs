//! `health.check` over a way out and programs that answer as a test says.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;
use nebula_action::{
    Action as _, ActionContext, ActionError, Capability, Credentials, ErrorClass, Grants,
    HeldCredential, Http, HttpClient, HttpErrorKind, Protected, Reason, Refused,
};
use nebula_action_health::HealthCheck;
use nebula_core::{Clock as _, CredentialId, ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{Captured, ProgramCall, ProgramEnded, ProgramError, ProgramExit, ProgramRunner};
use nebula_testkit::{ManualClock, ScriptedAnswer, ScriptedHttp, run};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

mod nothing;

/// Programs that end as a test says.
#[derive(Debug)]
struct Programs {
    ends: Option<ProgramExit>,
    complains: Vec<u8>,
    fails: Option<bool>,
    calls: Mutex<Vec<ProgramCall>>,
}

#[async_trait]
impl ProgramRunner for Programs {
    async fn run(&self, call: ProgramCall) -> Result<ProgramEnded, ProgramError> {
        let program = call.program.path().display().to_string();
        self.calls.lock().push(call);
        if let Some(passing) = self.fails {
            let why = "too many are open".to_owned();
            return Err(ProgramError::Start {
                program,
                why,
                passing,
            });
        }
        let Some(exit) = self.ends else {
            return Err(ProgramError::NotAllowed { program });
        };
        let stderr = Captured {
            bytes: self.complains.clone(),
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
            credentials: Credentials::default(),
            folder: Arc::from(Path::new("/flows")),
            deferred: IndexMap::new(),
        };
        let calls = Mutex::default();
        Self {
            clock,
            programs: Arc::new(Programs {
                ends,
                complains: b"no answer from the database\n".to_vec(),
                fails: None,
                calls,
            }),
            context,
        }
    }

    /// The same over a server that is told what it was asked.
    fn asked(mut self, http: ScriptedHttp) -> (Self, Arc<ScriptedHttp>) {
        let http = Arc::new(http);
        let client: Arc<dyn HttpClient> = http.clone();
        self.context.http = Http::gated(&client, &self.context.grants);
        (self, http)
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

/// Guard: a check over HTTP that is called off while nobody answers ends, and says nothing.
#[test]
fn a_check_that_is_called_off_waits_for_no_answer() {
    run(async {
        let scene = Scene::answering(|| Ok((200, "", String::new())));
        let never = ScriptedHttp::new(|_| Ok((200, "", String::new())))
            .taking(Arc::new(scene.clock.clone()), Duration::from_secs(3_600));
        let (scene, http) = scene.asked(never);
        scene.context.cancellation.cancel();
        assert_eq!(scene.code(json!({ "url": URL })).await, "CANCELLED");
        assert_eq!((http.asked().len(), http.answered()), (1, 0));
    });
}

/// Guards: no redirect is followed, the credential goes along to its own host and to no other.
#[test]
fn a_service_is_asked_once_with_its_credential() {
    run(async {
        let ask = |hosts: &str| {
            let fields = [("token".to_owned(), "hunter2".into())];
            let hosts = AllowedHosts::parse([hosts]).unwrap();
            let token = Credential::new(CredentialType::Bearer, fields.into(), hosts).unwrap();
            let id = CredentialId::new("shop").unwrap();
            let held = HeldCredential::new("auth", id, Arc::new(token));
            let scene = Scene::answering(|| Ok((200, "", String::new())));
            let (mut scene, http) = scene.asked(ScriptedHttp::new(|_| {
                Ok((302, "location: /", String::new()))
            }));
            scene.context.credentials = Credentials::new(vec![held]);
            (scene, http)
        };
        let (scene, http) = ask("shop.test:80");
        let reason = scene.reason(json!({ "url": URL })).await;
        assert_eq!(reason, "it answered 302");
        let asked = http.asked();
        assert_eq!((asked.len(), asked[0].redirects), (1, None));
        assert_eq!(asked[0].headers["authorization"], "Bearer hunter2");
        let (scene, http) = ask("other.test:443");
        assert_eq!(scene.code(json!({ "url": URL })).await, "CREDENTIAL_HOST");
        assert!(http.asked().is_empty());
    });
}

/// Guards: what `query` says of the answer counts, and an answer of another shape is not well.
#[test]
fn an_answer_is_judged_by_a_condition() {
    run(async {
        let ask = async |source: &str, body: &str| {
            let body = body.to_owned();
            let mut scene = Scene::answering(move || Ok((200, "", body.clone())));
            let program = nothing::condition(source);
            scene.context.deferred.insert("query".to_owned(), program);
            scene.check(json!({ "url": URL })).await.unwrap()
        };
        let few = "$item.status == 200 && $item.body.queue.length < 2";
        assert_eq!(ask(few, "{\"queue\":[1]}").await, well());
        let reason = |found: Value| found["reason"].as_str().unwrap_or_default().to_owned();
        let many = reason(ask(few, "{\"queue\":[1,2]}").await);
        assert_eq!(many, "`query` does not hold of its answer");
        let other = reason(ask(few, "busy").await);
        assert!(
            other.starts_with("`query` cannot be asked of its answer"),
            "{other}"
        );
    });
}

/// Guards: what a program says is cut, and what may pass may be tried again.
#[test]
fn a_program_that_says_much_or_cannot_start_is_bounded() {
    run(async {
        let probe = json!({ "program": "/bin/probe" });
        let ends = Some(ProgramExit::Code(1));
        let mut scene = Scene::of(|| Ok((200, "", String::new())), ends, Duration::ZERO);
        let programs = Arc::get_mut(&mut scene.programs).unwrap();
        programs.complains = "é".repeat(1_000).into_bytes();
        let reason = scene.reason(probe.clone()).await;
        assert!(reason.len() < 500 && reason.ends_with('é'), "{reason}");
        for passing in [true, false] {
            let programs = Arc::get_mut(&mut scene.programs).unwrap();
            programs.fails = Some(passing);
            let error = scene.check(probe.clone()).await.unwrap_err();
            assert_eq!(error.code, "PROCESS_START");
            let again = matches!(error.class, ErrorClass::Retryable { .. });
            assert_eq!(again, passing, "{error:?}");
        }
    });
}
