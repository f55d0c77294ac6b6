//! The actions over the model of a store: what they do, and that they do it once.

use std::{path::Path, sync::Arc, time::Duration};

use indexmap::IndexMap;
use nebula_action::{ActionContext, ActionError, ErrorClass, Grants, Protected};
use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_ports::{
    IncidentRef, IncidentRepo as _, IncidentStatus, MAX_INCIDENT_COUNTERS, Severity,
};
use nebula_testkit::{ManualClock, MemoryIncidentRepo, run};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// One attempt of the instance with this key.
fn attempt(key: &str, attempt: u32) -> ActionContext {
    ActionContext {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes([3; 16]),
        workflow: WorkflowId::new("watch-shop").unwrap(),
        node: NodeId::new("tell").unwrap(),
        attempt,
        idempotency_key: key.to_owned(),
        now: Timestamp::default(),
        seed: 0,
        timeout: Duration::from_secs(60),
        deadline: None,
        cancellation: CancellationToken::new(),
        heartbeat: nebula_action::Heartbeat::default(),
        grants: Grants::default(),
        protected: Protected::default(),
        http: None,
        blobs: None,
        credentials: nebula_action::Credentials::default(),
        folder: Arc::from(Path::new("/flows")),
        deferred: IndexMap::new(),
    }
}

struct Scene(Arc<MemoryIncidentRepo>);

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        Self(Arc::new(MemoryIncidentRepo::new(clock)))
    }

    async fn run(
        &self,
        id: &str,
        (key, number): (&str, u32),
        input: Value,
    ) -> Result<Value, ActionError> {
        let all = nebula_action_incident::all(self.0.clone());
        let action = all.iter().find(|it| it.metadata().id.as_str() == id);
        let context = attempt(key, number);
        let result = action.unwrap().execute(&context, input).await;
        result.map(|result| result.value)
    }

    async fn does(&self, id: &str, key: &str, input: Value) -> Value {
        self.run(id, (key, 1), input).await.unwrap()
    }
}

fn shop() -> Value {
    json!({ "key": "shop/http", "service": "shop", "title": "the shop does not answer" })
}

/// Guards: one open incident for a key; who opened it is what the engine says.
#[test]
fn an_incident_goes_from_its_opening_to_its_end() {
    run(async {
        let scene = Scene::new();
        let opened = scene.does("incident.open", "1", shop()).await;
        assert_eq!(opened["opened"], json!(true));
        assert_eq!(opened["incident"]["severity"], json!("warning"));
        let mut worse = shop();
        worse["severity"] = json!("critical");
        let again = scene.does("incident.open", "2", worse).await;
        assert_eq!(again["opened"], json!(false));
        assert_eq!(again["incident"]["id"], opened["incident"]["id"]);
        assert_eq!(again["incident"]["occurrences"], json!(2));
        let note = json!({ "key": "shop/http", "text": "restarting it" });
        let noted = scene.does("incident.note", "3", note.clone()).await;
        assert_eq!(noted["incident"]["status"], json!("open"));
        let key = json!({ "key": "shop/http" });
        let taken = scene.does("incident.acknowledge", "4", key).await;
        assert_eq!(taken["incident"]["status"], json!("acknowledged"));
        let end = json!({ "key": "shop/http", "resolution": "a restart helped" });
        let resolved = scene.does("incident.resolve", "5", end.clone()).await;
        assert_eq!(resolved["incident"]["status"], json!("resolved"));
        // Nothing is open any more.
        for (id, input) in [("incident.note", note), ("incident.resolve", end)] {
            let nothing = scene.does(id, &format!("{id} late"), input).await;
            assert_eq!(nothing, json!({ "incident": null }));
        }
        let id = opened["incident"]["id"].as_str().unwrap().parse().unwrap();
        let tenant = TenantId::local();
        let kept = scene
            .0
            .get(&tenant, &IncidentRef::Id(id))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.workflow.as_str(), "watch-shop");
        assert_eq!(kept.execution, ExecutionId::from_bytes([3; 16]));
        assert_eq!(
            (kept.severity, kept.status),
            (Severity::Critical, IncidentStatus::Resolved)
        );
        let timeline = scene.0.timeline(&tenant, id, 0, 10).await.unwrap();
        assert_eq!(timeline.len(), 5);
        let by = format!("execution:{}/tell", ExecutionId::from_bytes([3; 16]));
        assert!(timeline.iter().all(|it| it.by == by), "{timeline:?}");
    });
}

/// Guard: the operation is that of the instance, not of the attempt.
#[test]
fn attempts_of_one_instance_do_it_once() {
    run(async {
        let scene = Scene::new();
        let steps = [
            ("incident.open", "1", shop()),
            (
                "incident.note",
                "2",
                json!({ "key": "shop/http", "text": "x" }),
            ),
            ("incident.acknowledge", "3", json!({ "key": "shop/http" })),
            ("incident.count", "4", json!({ "counter": "shop" })),
            ("incident.resolve", "5", json!({ "key": "shop/http" })),
        ];
        for (id, key, input) in steps {
            let first = scene.run(id, (key, 1), input.clone()).await.unwrap();
            let second = scene.run(id, (key, 2), input).await.unwrap();
            assert_eq!(first, second, "{id}");
        }
        let long = "k".repeat(10_000);
        let count = scene
            .does("incident.count", &long, json!({ "counter": "shop" }))
            .await;
        assert_eq!(count, json!({ "count": 2 }));
        let back = json!({ "counter": "shop", "reset": true });
        assert_eq!(
            scene.does("incident.count", "6", back).await,
            json!({ "count": 0 })
        );
        let page = scene
            .0
            .list(&TenantId::local(), &Default::default(), None, 10)
            .await;
        let page = page.unwrap();
        assert_eq!((page.items.len(), page.items[0].entries), (1, 4));
    });
}

/// Guard: what no store takes is an error of the parameters.
#[test]
fn a_text_that_is_too_long_is_a_wrong_parameter() {
    run(async {
        let scene = Scene::new();
        let mut long = shop();
        long["key"] = json!("x".repeat(257));
        let error = scene
            .run("incident.open", ("1", 1), long)
            .await
            .unwrap_err();
        assert_eq!(error.code, "INCIDENT_PARAMETER");
        assert!(
            matches!(error.class, ErrorClass::InvalidInput { .. }),
            "{error}"
        );
        assert!(error.message.contains("256"), "{error}");
    });
}

/// Guard: a severity falls where the author says that it may.
#[test]
fn a_severity_falls_only_where_it_may() {
    run(async {
        let scene = Scene::new();
        let mut input = shop();
        input["severity"] = json!("critical");
        scene.does("incident.open", "a", input.clone()).await;
        input["severity"] = json!("info");
        let kept = scene.does("incident.open", "b", input.clone()).await;
        assert_eq!(kept["incident"]["severity"], "critical");
        input["may_lower"] = json!(true);
        let fell = scene.does("incident.open", "c", input).await;
        assert_eq!(fell["incident"]["severity"], "info");
    });
}

/// Guard: what there is no room for is a limit, which no retry helps.
#[test]
fn counters_beyond_the_limit_are_refused_as_that() {
    run(async {
        let scene = Scene::new();
        let count = |n: usize| json!({ "counter": format!("c{n}") });
        for n in 0..MAX_INCIDENT_COUNTERS {
            scene
                .does("incident.count", &format!("k{n}"), count(n))
                .await;
        }
        let beyond = count(MAX_INCIDENT_COUNTERS);
        let full = scene.run("incident.count", ("beyond", 1), beyond).await;
        let full = full.unwrap_err();
        assert_eq!(
            (&*full.code, &full.class),
            ("INCIDENT_LIMIT", &ErrorClass::LimitExceeded)
        );
    });
}
