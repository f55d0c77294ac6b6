//! Tenants of one server: each has what is its own, and no more than it may use.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World, token};

const JSON: (&str, &str) = ("content-type", "application/json");
const WAITS: &str = "nodes: [{ id: paid, action: flow.wait, parameters: { signal: paid } }]";
const PASSWORD: &str = "correct horse";

/// Whoever asks, with what they show.
struct Person<'w> {
    world: &'w World,
    bearer: String,
}

impl<'w> Person<'w> {
    /// Whoever sits at the machine.
    fn operator(world: &'w World) -> Self {
        let bearer = token().to_owned();
        Self { world, bearer }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.bearer);
        let host = self.world.address.to_string();
        let headers = [JSON, ("authorization", &*bearer), ("host", &*host)];
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let path = format!("/api/v1/{path}");
        self.world.raw(method, &path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Value::Null).await
    }

    /// Adds a tenant, and lets its first person in.
    async fn founds(&self, tenant: &str, settled: Value) -> Person<'w> {
        let path = format!("tenants/{tenant}");
        self.ask(Method::PUT, &path, settled).await.ok(200);
        let made = self
            .ask(Method::POST, &format!("{path}/setup"), Value::Null)
            .await
            .ok(200);
        let first = json!({ "token": made["token"], "login": "ann", "password": PASSWORD });
        let let_in = self.ask(Method::POST, "setup", first).await.ok(201);
        let bearer = let_in["access"].as_str().unwrap().to_owned();
        let world = self.world;
        Person { world, bearer }
    }

    async fn publishes(&self, id: &str) {
        let bearer = format!("Bearer {}", self.bearer);
        let host = self.world.address.to_string();
        let shown = [
            ("authorization", &*bearer),
            ("host", &*host),
            ("if-match", "*"),
        ];
        let mut headers = shown.to_vec();
        headers.push(("content-type", "application/yaml"));
        let path = format!("/api/v1/workflows/{id}");
        let text = format!("id: {id}\n{WAITS}\n");
        let saved = self.world.raw(Method::PUT, &path, &headers, text).await;
        assert!(saved.status.is_success(), "{}", saved.text());
        let path = format!("/api/v1/workflows/{id}/publish");
        let mut headers = shown.to_vec();
        headers.push(JSON);
        let body = json!({ "version": 1 }).to_string();
        let published = self.world.raw(Method::POST, &path, &headers, body).await;
        assert!(published.status.is_success(), "{}", published.text());
    }

    async fn starts(&self, workflow: &str) -> Answer {
        let wanted = json!({ "workflow": workflow });
        self.ask(Method::POST, "executions", wanted).await
    }
}

fn ids(page: &Value, what: &str, id: &str) -> Vec<String> {
    let all = page[what].as_array().unwrap().iter();
    all.map(|it| it[id].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn two_tenants_share_a_server_and_see_nothing_of_each_other() {
    let world = World::new().await;
    let operator = Person::operator(&world);
    let settled = json!({ "name": "Acme", "version": 1 });
    let acme = operator.founds("acme", settled).await;
    let beta = operator
        .founds("beta", json!({ "name": "Beta", "version": 1 }))
        .await;
    for (person, tenant) in [(&acme, "acme"), (&beta, "beta")] {
        let me = person.get("me").await.ok(200);
        assert_eq!(me["tenant"], tenant);
        // The same id is another workflow in each.
        person.publishes("orders").await;
    }
    let mine = acme.starts("orders").await.ok(201);
    let id = mine["execution"].as_str().unwrap();
    let path = format!("executions/{id}");
    acme.get(&path).await.ok(200);
    for other in [&beta, &operator] {
        other.get(&path).await.problem(404, "UNKNOWN_EXECUTION");
        let listed = other.get("executions").await.ok(200);
        assert_eq!(listed["executions"], json!([]), "{listed}");
    }
    let listed = acme.get("executions").await.ok(200);
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);
    // Whoever belongs to a tenant does not look at others, whatever their role.
    for path in ["tenants", "tenants/acme", "tenants/beta"] {
        acme.get(path).await.problem(403, "DENIED");
    }
    let page = operator.get("tenants").await.ok(200);
    assert_eq!(ids(&page, "tenants", "tenant"), ["acme", "beta"]);
    // The same login is somebody else in each tenant; which one is meant, whoever logs in says.
    let login = |tenant: &str| json!({ "tenant": tenant, "login": "ann", "password": PASSWORD });
    let let_in = operator
        .ask(Method::POST, "login", login("acme"))
        .await
        .ok(200);
    let again = Person {
        world: &world,
        bearer: let_in["access"].as_str().unwrap().to_owned(),
    };
    again.get(&path).await.ok(200);
    for wrong in ["local", "nowhere"] {
        let refused = operator.ask(Method::POST, "login", login(wrong)).await;
        refused.problem(401, "WRONG_LOGIN");
    }
    // The tenant is that of the token, and nothing in a body changes that.
    let sly = json!({ "workflow": "orders", "tenant": "acme" });
    let refused = beta.ask(Method::POST, "executions", sly).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
}

#[tokio::test]
async fn a_tenant_starts_no_more_than_its_quotas_allow() {
    let world = World::idle().await;
    let operator = Person::operator(&world);
    let quotas = json!({ "executions": 2 });
    let settled = json!({ "name": "Acme", "version": 1, "quotas": quotas });
    let acme = operator.founds("acme", settled).await;
    let beta = operator
        .founds("beta", json!({ "name": "Beta", "version": 1 }))
        .await;
    for person in [&acme, &beta] {
        person.publishes("orders").await;
    }
    for _ in 0..2 {
        acme.starts("orders").await.ok(201);
    }
    let refused = acme.starts("orders").await;
    assert!(!refused.header("retry-after").is_empty());
    let problem = refused.problem(429, "QUOTA_EXECUTIONS");
    assert_eq!(
        problem["detail"],
        "2 executions of the tenant have not ended, and its quota `executions` is 2"
    );
    // What waits for the end is held against them as well.
    let waits = json!({ "workflow": "orders" });
    let refused = acme.ask(Method::POST, "executions?wait=10ms", waits).await;
    refused.problem(429, "QUOTA_EXECUTIONS");
    beta.starts("orders").await.ok(201);
    let shown = operator.get("tenants/acme").await.ok(200);
    assert_eq!(shown["usage"]["executions"], 2);
    assert!(shown["usage"]["bytes"].as_u64().unwrap() > 0);
    // More room, and then too many in a second.
    let quotas = json!({ "starts_per_second": 1 });
    let settled = json!({ "name": "Acme", "version": 2, "quotas": quotas });
    operator
        .ask(Method::PUT, "tenants/acme", settled)
        .await
        .ok(200);
    acme.starts("orders").await.ok(201);
    let refused = acme.starts("orders").await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(429, "QUOTA_STARTS");
    // What is stored already leaves no room.
    let quotas = json!({ "bytes": 1 });
    let settled = json!({ "name": "Acme", "version": 3, "quotas": quotas });
    operator
        .ask(Method::PUT, "tenants/acme", settled)
        .await
        .ok(200);
    acme.starts("orders").await.problem(429, "QUOTA_BYTES");
    let listed = acme.get("executions").await.ok(200);
    assert_eq!(listed["executions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn nobody_of_a_disabled_tenant_is_let_in() {
    let world = World::idle().await;
    let operator = Person::operator(&world);
    let acme = operator
        .founds("acme", json!({ "name": "Acme", "version": 1 }))
        .await;
    acme.publishes("orders").await;
    let settled = json!({ "name": "Acme", "version": 2, "disabled": true });
    operator
        .ask(Method::PUT, "tenants/acme", settled)
        .await
        .ok(200);
    acme.get("me").await.problem(403, "TENANT_DISABLED");
    acme.starts("orders").await.problem(403, "TENANT_DISABLED");
    let login = json!({ "tenant": "acme", "login": "ann", "password": PASSWORD });
    let refused = operator.ask(Method::POST, "login", login).await;
    refused.problem(403, "TENANT_DISABLED");
    let settled = json!({ "name": "Acme", "version": 3 });
    operator
        .ask(Method::PUT, "tenants/acme", settled)
        .await
        .ok(200);
    acme.starts("orders").await.ok(201);
}

#[tokio::test]
async fn what_cannot_be_settled_is_refused_with_the_reason() {
    let world = World::idle().await;
    let operator = Person::operator(&world);
    let put = |path: &'static str, body: Value| operator.ask(Method::PUT, path, body);
    let long = "x".repeat(257);
    for (body, said) in [
        (json!({ "name": "", "version": 1 }), "the name has 0 bytes"),
        (
            json!({ "name": long, "version": 1 }),
            "the name has 257 bytes",
        ),
        (
            json!({ "name": "x", "version": 1, "quotas": { "executions": 0 } }),
            "the quota `executions` is 0",
        ),
        (
            json!({ "name": "x", "version": 1, "quotas": { "bytes": -1 } }),
            "a quota is -1",
        ),
        (
            json!({ "name": "x", "version": 1, "quotas": { "starts_per_second": 9_000_000 } }),
            "it is from 1 to 1000000",
        ),
        (
            json!({ "name": "x", "version": 1, "weight": 0 }),
            "the weight is 0; it is from 1 to 100",
        ),
        (
            json!({ "name": "x", "version": 1, "weight": -1 }),
            "the weight is -1; it is from 1 to 100",
        ),
    ] {
        let problem = put("tenants/acme", body).await.problem(400, "BAD_TENANT");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
    let misspelt = json!({ "name": "x", "version": 1, "quotas": { "execution": 1 } });
    put("tenants/acme", misspelt).await.problem(400, "BAD_BODY");
    let early = json!({ "name": "x", "version": 2 });
    put("tenants/acme", early).await.problem(409, "CHANGED");
    let own = json!({ "name": "x", "version": 1, "disabled": true });
    put("tenants/local", own).await.problem(409, "OWN_TENANT");
    operator
        .get("tenants/acme")
        .await
        .problem(404, "UNKNOWN_TENANT");
    let made = operator
        .ask(Method::POST, "tenants/acme/setup", Value::Null)
        .await;
    made.problem(404, "UNKNOWN_TENANT");
    // Once somebody owns it, its people are its own affair.
    let settled = json!({ "name": "Acme", "version": 1, "weight": 100 });
    operator.founds("acme", settled).await;
    let shown = operator.get("tenants/acme").await.ok(200);
    assert_eq!(shown["weight"], 100);
    let made = operator
        .ask(Method::POST, "tenants/acme/setup", Value::Null)
        .await;
    made.problem(409, "OWNED");
}
