//! Credentials and secrets: what goes in never comes out.

use http::Method;
use nebula_core::{CredentialId, ExposeSecret as _, TenantId};
use nebula_ports::CredentialUser;
use serde_json::{Value, json};

use crate::support::{Answer, World, token};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn put(world: &World, path: &str, body: Value) -> Answer {
    world
        .send(Method::PUT, path, &[JSON], body.to_string())
        .await
}

#[tokio::test]
async fn a_credential_is_added_rotated_used_and_removed() {
    let world = World::new().await;
    let types = world.get("/api/v1/credential-types").await.ok(200);
    let types = types["types"].as_array().unwrap();
    let basic = types.iter().find(|it| it["type"] == "basic").unwrap();
    assert_eq!(basic["schema"]["properties"]["password"]["writeOnly"], true);

    let path = "/api/v1/credentials/till";
    let new = json!({ "type": "basic", "fields": { "username": "ada", "password": "hunter two" }, "hosts": ["till.example"] });
    assert_eq!(put(&world, path, new.clone()).await.ok(200)["version"], 1);
    put(&world, path, new)
        .await
        .problem(409, "CREDENTIAL_CHANGED");
    // What is left out stays.
    let next = json!({ "from": 1, "fields": { "password": "hunter three" } });
    assert_eq!(put(&world, path, next.clone()).await.ok(200)["version"], 2);
    put(&world, path, next)
        .await
        .problem(409, "CREDENTIAL_CHANGED");
    let (tenant, id) = (TenantId::local(), CredentialId::new("till").unwrap());
    let opened = world
        .vault
        .open(&tenant, &id, &CredentialUser::Test)
        .await
        .unwrap();
    let field = |name: &str| {
        opened
            .credential
            .field(name)
            .unwrap()
            .expose_secret()
            .to_owned()
    };
    assert_eq!(
        (field("username"), field("password")),
        ("ada".to_owned(), "hunter three".to_owned())
    );

    let listed = world.get("/api/v1/credentials").await;
    let uses = world.get(&format!("{path}/uses")).await;
    let log = world.get("/api/v1/audit/export").await;
    for shown in [&listed, &uses, &log] {
        assert!(!shown.text().contains("hunter"), "{}", shown.text());
    }
    assert_eq!(
        listed.json()["credentials"][0]["hosts"],
        json!(["till.example"])
    );
    let by: Vec<_> = uses.json()["uses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["by"].clone())
        .collect();
    assert_eq!(by, ["test", "change", "change"]);
    assert!(log.text().contains("\"credentials.put\""));

    for wrong in [
        json!({ "type": "bearer", "fields": { "password": "x" } }),
        json!({ "type": "nothing", "fields": {} }),
        json!({ "type": "bearer", "fields": { "token": "x" }, "hosts": ["*"] }),
    ] {
        put(&world, "/api/v1/credentials/other", wrong)
            .await
            .problem(422, "CREDENTIAL_INVALID");
    }
    let number = json!({ "type": "bearer", "fields": { "token": 12_345_678 } });
    let told = put(&world, "/api/v1/credentials/other", number).await;
    assert!(!told.text().contains("12345678"), "{}", told.text());
    told.problem(400, "BAD_BODY");

    assert_eq!(world.send(Method::DELETE, path, &[], "").await.status, 204);
    world
        .send(Method::DELETE, path, &[], "")
        .await
        .problem(404, "UNKNOWN_CREDENTIAL");
    assert_eq!(
        world.get("/api/v1/credentials").await.ok(200)["credentials"],
        json!([])
    );
    world.stopped().await;
}

/// Guards: over a connection on which a credential was sent nothing goes any more once it has another value
/// or is gone; whoever changes nothing closes nothing.
#[tokio::test]
async fn a_credential_that_changes_takes_its_connections_along() {
    let world = World::new().await;
    let hosts = json!(["till.example"]);
    let path = "/api/v1/credentials/till";
    let closed = || {
        let closed = world.http.closed().into_iter();
        closed
            .map(|it| (it.tenant, it.credential))
            .collect::<Vec<_>>()
    };
    let till = (
        Some(TenantId::local()),
        Some(CredentialId::new("till").unwrap()),
    );
    let version = async |from: Option<u32>, token: &str| {
        let fields = json!({ "token": token });
        let new = json!({ "type": "bearer", "fields": fields, "hosts": hosts, "from": from });
        put(&world, path, new).await
    };
    version(None, "hunter two").await.ok(200);
    let before = closed().len();
    version(None, "hunter three")
        .await
        .problem(409, "CREDENTIAL_CHANGED");
    assert_eq!(closed().len(), before, "nothing was changed");
    version(Some(1), "hunter three").await.ok(200);
    assert_eq!(closed()[before..], *std::slice::from_ref(&till));
    assert_eq!(world.send(Method::DELETE, path, &[], "").await.status, 204);
    assert_eq!(closed()[before..], [till.clone(), till]);
    world
        .send(Method::DELETE, path, &[], "")
        .await
        .problem(404, "UNKNOWN_CREDENTIAL");
    assert_eq!(closed().len(), before + 2, "there was nothing to remove");
    world.stopped().await;
}

#[tokio::test]
async fn a_secret_is_set_listed_and_deleted() {
    let world = World::new().await;
    let path = "/api/v1/secrets/till";
    let value = json!({ "value": "hunter two" });
    assert_eq!(put(&world, path, value.clone()).await.status, 201);
    assert_eq!(put(&world, path, value.clone()).await.status, 204);
    put(&world, path, json!({ "value": "" }))
        .await
        .problem(400, "BAD_BODY");
    // The engine's own are nobody else's.
    put(&world, "/api/v1/secrets/Nebula.key", value)
        .await
        .problem(409, "RESERVED_SECRET");
    let listed = world.get("/api/v1/secrets").await;
    assert!(!listed.text().contains("hunter"));
    assert_eq!(listed.ok(200)["secrets"], json!(["till"]));
    assert_eq!(world.send(Method::DELETE, path, &[], "").await.status, 204);
    world
        .send(Method::DELETE, path, &[], "")
        .await
        .problem(404, "UNKNOWN_SECRET");
    world.stopped().await;
}

/// Somebody, by what they show.
struct Who<'w> {
    world: &'w World,
    bearer: String,
}

impl Who<'_> {
    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        let shown = [("authorization", self.bearer.as_str()), ("if-match", "*")];
        let path = format!("/api/v1/{path}");
        self.world.ask_as(&shown, method, &path, body).await
    }

    /// Saves a workflow that asks for something, and publishes that version.
    async fn publishes(&self, project: &str, id: &str, asks: &str) -> Answer {
        let node = json!({ "id": "a", "action": "data.set", "requires": [asks] });
        let path = format!("workflows/{id}?project={project}");
        let body = json!({ "id": id, "nodes": [node], "name": asks });
        let saved = self.ask(Method::PUT, &path, body).await;
        assert!(saved.status.is_success(), "{}", saved.text());
        let body = json!({ "version": saved.json()["version"] });
        self.ask(Method::POST, &format!("workflows/{id}/publish"), body)
            .await
    }

    async fn credentials(&self) -> Vec<Value> {
        let listed = self.ask(Method::GET, "credentials", Value::Null).await;
        listed.ok(200)["credentials"].as_array().unwrap().clone()
    }
}

fn bearer(project: &str) -> Value {
    json!({ "type": "bearer", "fields": { "token": "hunter two" }, "project": project })
}

#[tokio::test]
async fn a_credential_of_a_project_is_for_its_workflows_alone() {
    let world = World::new().await;
    let mut people = Vec::new();
    for project in ["shop", "other"] {
        world.project(project).await;
    }
    for (login, roles) in [
        ("edda", [("shop", "editor")]),
        ("vera", [("shop", "viewer")]),
        ("paul", [("other", "editor")]),
    ] {
        world.person(login, &roles).await;
        let (bearer, _) = world.program(login).await;
        let world = &world;
        people.push(Who { world, bearer });
    }
    let [edda, vera, paul] = &people[..] else {
        panic!("there are three");
    };
    let root = Who {
        world: &world,
        bearer: format!("Bearer {}", token()),
    };
    let till = "credentials/till";
    let put = edda.ask(Method::PUT, till, bearer("shop")).await;
    assert_eq!(put.ok(200)["version"], 1);
    let elsewhere = edda
        .ask(Method::PUT, "credentials/x", bearer("other"))
        .await;
    elsewhere.problem(404, "UNKNOWN_PROJECT");
    let nowhere = json!({ "type": "bearer", "fields": { "token": "x" } });
    let nowhere = edda.ask(Method::PUT, "credentials/x", nowhere).await;
    nowhere.problem(403, "DENIED");

    // In another project it is as if it were not there, but that its id is taken.
    assert_eq!(paul.credentials().await, [Value::Null; 0]);
    let uses = format!("{till}/uses");
    let next = json!({ "from": 1, "fields": { "token": "theirs" } });
    for (method, path, body) in [
        (Method::GET, &*uses, Value::Null),
        (Method::PUT, till, next.clone()),
        (Method::DELETE, till, Value::Null),
    ] {
        let told = paul.ask(method, path, body).await;
        told.problem(404, "UNKNOWN_CREDENTIAL");
    }
    let taken = paul.ask(Method::PUT, till, bearer("other")).await;
    let taken = taken.problem(409, "CREDENTIAL_CHANGED");
    assert!(!taken.to_string().contains("version 1"), "{taken}");
    let seen = vera.credentials().await;
    assert_eq!(
        (seen.len(), &seen[0]["credential"], &seen[0]["project"]),
        (1, &json!("till"), &json!("shop"))
    );
    let denied = vera.ask(Method::DELETE, till, Value::Null).await;
    denied.problem(403, "DENIED");

    // Whoever publishes grants: what is theirs to use.
    edda.publishes("shop", "sells", "secret:till").await.ok(200);
    let theirs = paul.publishes("other", "steals", "secret:till").await;
    theirs.problem(404, "UNKNOWN_CREDENTIAL");
    let start = json!({ "workflow": "steals", "version": 1 });
    let started = paul.ask(Method::POST, "executions", start).await;
    started.problem(404, "UNKNOWN_CREDENTIAL");
    for any in ["secret:{{ $input.id }}", "{{ $input.what }}"] {
        let any = paul.publishes("other", "guesses", any).await;
        any.problem(403, "DENIED");
    }
    let nothing = paul
        .publishes("other", "hosts", "net:{{ $input.host }}")
        .await;
    nothing.ok(200);
    // What belongs to no project is for those with a role in all.
    let all = json!({ "type": "bearer", "fields": { "token": "x" } });
    root.ask(Method::PUT, "credentials/all", all).await.ok(200);
    let refused = edda.publishes("shop", "wants", "secret:all").await;
    refused.problem(404, "UNKNOWN_CREDENTIAL");
    root.publishes("shop", "wants", "secret:all").await.ok(200);
    root.publishes("other", "guesses", "secret:{{ $input.id }}")
        .await
        .ok(200);

    // It moves with its value, and takes the right to use it along; a project that has one stays.
    let denied = edda.ask(Method::PUT, till, json!({ "from": 1, "project": "other" }));
    denied.await.problem(404, "UNKNOWN_PROJECT");
    let moved = root.ask(Method::PUT, till, json!({ "from": 1, "project": "other" }));
    assert_eq!(moved.await.ok(200)["version"], 2);
    let (tenant, id) = (TenantId::local(), CredentialId::new("till").unwrap());
    let opened = world.vault.open(&tenant, &id, &CredentialUser::Test).await;
    let credential = opened.unwrap().credential;
    let token = credential.field("token").unwrap().expose_secret();
    assert_eq!(token, "hunter two");
    assert_eq!(edda.credentials().await, [Value::Null; 0]);
    let again = edda.publishes("shop", "sells", " secret:till").await;
    again.problem(404, "UNKNOWN_CREDENTIAL");
    paul.publishes("other", "steals", "secret:till")
        .await
        .ok(200);
    world.project("empty").await;
    root.ask(Method::PUT, "credentials/last", bearer("empty"))
        .await
        .ok(200);
    let gone = root
        .ask(Method::DELETE, "projects/empty", Value::Null)
        .await;
    gone.problem(409, "PROJECT_NOT_EMPTY");
    // Rotating leaves it where it is.
    let next = json!({ "from": 2, "fields": { "token": "hunter three" } });
    paul.ask(Method::PUT, till, next).await.ok(200);
    assert_eq!(paul.credentials().await[0]["project"], "other");
    world.stopped().await;
}

/// Guard: whoever moves a workflow grants what its publisher did, to others than before.
#[tokio::test]
async fn whoever_moves_a_workflow_may_use_what_it_names() {
    let world = World::new().await;
    for project in ["shop", "other", "third"] {
        world.project(project).await;
    }
    world
        .person("mia", &[("shop", "editor"), ("third", "editor")])
        .await;
    let (bearer_of_mia, _) = world.program("mia").await;
    let [root, mia] = [format!("Bearer {}", token()), bearer_of_mia].map(|bearer| Who {
        world: &world,
        bearer,
    });
    for (id, project) in [("till", "other"), ("own", "shop")] {
        let path = format!("credentials/{id}");
        root.ask(Method::PUT, &path, bearer(project)).await.ok(200);
    }
    // It stays granted in `shop`, by somebody who may use it.
    root.publishes("shop", "sells", "secret:till").await.ok(200);
    mia.publishes("shop", "plain", "secret:own").await.ok(200);
    let third = json!({ "project": "third" });
    let moved = mia
        .ask(Method::POST, "workflows/sells/move", third.clone())
        .await;
    moved.problem(404, "UNKNOWN_CREDENTIAL");
    let there = root.ask(Method::GET, "workflows/sells", Value::Null).await;
    assert_eq!(there.ok(200)["project"], "shop");
    mia.ask(Method::POST, "workflows/plain/move", third.clone())
        .await
        .ok(200);
    root.ask(Method::POST, "workflows/sells/move", third)
        .await
        .ok(200);
    world.stopped().await;
}

/// Adds a bearer token that may be sent to `hosts`.
async fn add(world: &World, id: &str, token: &str, hosts: Value) {
    let new = json!({ "type": "bearer", "fields": { "token": token }, "hosts": hosts });
    let path = format!("/api/v1/credentials/{id}");
    put(world, &path, new).await.ok(200);
}

async fn tried(world: &World, id: &str, url: &str) -> Answer {
    let path = format!("/api/v1/credentials/{id}/test");
    world.post(&path, json!({ "url": url })).await
}

/// Guards: it is asked without the credential first, no redirect is followed, and nothing of the answers
/// comes back but their statuses.
#[tokio::test]
async fn a_credential_is_tried_at_its_own_host() {
    let world = World::new().await;
    add(&world, "till", "right", json!(["till.example"])).await;
    add(&world, "old", "hunter two", json!(["till.example"])).await;
    for (id, path, verdict) in [
        ("till", "private", "accepted"),
        ("old", "private", "refused"),
        ("till", "open", "unclear"),
        ("till", "away", "unclear"),
    ] {
        let url = format!("https://till.example/{path}?q=secret-query");
        let said = tried(&world, id, &url).await.ok(200);
        assert_eq!(said["verdict"], verdict, "{said}");
        assert_eq!(said["asked"]["origin"], "https://till.example");
    }
    let asked = world.http.asked();
    assert_eq!(asked.len(), 8);
    for pair in asked.chunks(2) {
        assert!(!pair[0].headers.contains_key("authorization"));
        assert!(pair[1].headers.contains_key("authorization"));
        assert!(pair.iter().all(|it| it.redirects.is_none()));
    }
    let uses = world.get("/api/v1/credentials/till/uses").await.ok(200);
    assert_eq!(uses["uses"][0]["by"], "test");
    let log = world.get("/api/v1/audit/export").await.text();
    assert!(log.contains("credentials.test"), "{log}");
    for hidden in ["secret-query", "hunter two"] {
        assert!(!log.contains(hidden), "{log}");
    }
    world.stopped().await;
}

/// Guards: a test sends a credential nowhere else, and what it was refused is in the audit log.
#[tokio::test]
async fn a_credential_is_tried_nowhere_else() {
    let world = World::new().await;
    add(&world, "till", "right", json!(["till.example:443"])).await;
    for url in [
        "https://other.example/private",
        "https://till.example:444/private",
        "https://till.example.other.example/",
    ] {
        tried(&world, "till", url)
            .await
            .problem(422, "CREDENTIAL_HOST");
    }
    for url in [
        "file:///etc/passwd",
        "https://till.example@other.example/",
        "no url",
        "",
    ] {
        tried(&world, "till", url).await.problem(400, "BAD_BODY");
    }
    assert_eq!(world.http.asked().len(), 0);
    let uses = world.get("/api/v1/credentials/till/uses").await.ok(200);
    assert_eq!(uses["uses"], json!([]), "it was not opened");
    let log = world.get("/api/v1/audit?limit=100").await.ok(200);
    let denied = log["entries"].as_array().unwrap().iter();
    let denied = denied.filter(|it| it["outcome"] == "denied" && it["what"] == "credentials.test");
    assert_eq!(denied.count(), 3, "{log}");
    let url = json!({ "url": "postgres://ada:pw@db.example/shop" });
    let no = json!({ "type": "database_url", "fields": url });
    put(&world, "/api/v1/credentials/db", no).await.ok(200);
    tried(&world, "db", "https://till.example/")
        .await
        .problem(422, "CANNOT_TEST");
    let path = "/api/v1/credentials/till/test";
    world
        .post(path, json!({}))
        .await
        .problem(422, "CANNOT_TEST");
    tried(&world, "nobody", "https://till.example/")
        .await
        .problem(404, "UNKNOWN_CREDENTIAL");
    world.stopped().await;
}
