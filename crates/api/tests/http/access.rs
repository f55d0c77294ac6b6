//! Being let in, what it opens, and what the audit log tells of it.

use std::{sync::Arc, time::Duration};

use http::Method;
use nebula_api::ApiConfig;
use nebula_core::{BoxFuture, Clock, ExposeSecret as _, TenantId, Timestamp};
use nebula_identity::{CHECK_AGAIN, FirstRun};
use nebula_ports::{AuditLog as _, AuditOutcome};
use nebula_system::SystemClock;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use crate::support::{ASKS, Answer, GREET, WAITS, World, token};

const JSON: (&str, &str) = ("content-type", "application/json");
const PASSWORD: &str = "correct horse";

impl World {
    /// Asks as whoever shows this.
    pub(crate) async fn ask_as(
        &self,
        shown: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Value,
    ) -> Answer {
        let host = self.address.to_string();
        let mut headers = vec![("host", host.as_str()), JSON];
        headers.extend(shown);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.raw(method, path, &headers, body).await
    }

    /// Adds a person with these roles (an empty project is all), and gives their id.
    pub(crate) async fn person(&self, login: &str, roles: &[(&str, &str)]) -> String {
        let body = json!({ "kind": "person", "login": login, "password": PASSWORD });
        let added = self.post("/api/v1/users", body).await.ok(201);
        let id = added["user"].as_str().unwrap().to_owned();
        for (project, role) in roles {
            let path = match *project {
                "" => format!("/api/v1/members/{id}"),
                project => format!("/api/v1/projects/{project}/members/{id}"),
            };
            let body = json!({ "to": role }).to_string();
            let given = self.send(Method::PUT, &path, &[JSON], body).await;
            assert_eq!(given.status, 204, "{}", given.text());
        }
        id
    }

    pub(crate) async fn project(&self, id: &str) {
        let body = json!({ "name": id, "version": 1 }).to_string();
        let path = format!("/api/v1/projects/{id}");
        self.send(Method::PUT, &path, &[JSON], body).await.ok(200);
    }

    /// Logs in with a program: what it shows, and its refresh token.
    pub(crate) async fn program(&self, login: &str) -> (String, String) {
        let body = json!({ "login": login, "password": PASSWORD });
        let found = self
            .ask_as(&[], Method::POST, "/api/v1/login", body)
            .await
            .ok(200);
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        (format!("Bearer {}", text("access")), text("refresh"))
    }

    pub(crate) async fn publish_in(&self, project: &str, id: &str, definition: &str) {
        let path = format!("/api/v1/workflows/{id}?project={project}");
        let headers = [("content-type", "application/yaml")];
        let definition = definition.replacen("id: greet", &format!("id: {id}"), 1);
        self.send(Method::PUT, &path, &headers, definition)
            .await
            .ok(201);
        let headers = [JSON, ("if-match", "*")];
        let path = format!("/api/v1/workflows/{id}/publish");
        let body = json!({ "version": 1 }).to_string();
        self.send(Method::POST, &path, &headers, body).await.ok(200);
    }

    /// The entries of the audit log from a number on: `who what target outcome`.
    pub(crate) async fn told(&self, after: u64) -> Vec<String> {
        let entries = self.audit.entries(&TenantId::local(), after, 1_000).await;
        let line = |it: nebula_ports::AuditEntry| {
            let (outcome, new) = (it.new.outcome.as_str(), it.new);
            format!("{} {} {} {outcome}", new.who, new.what, new.target)
        };
        entries.unwrap().into_iter().map(line).collect()
    }

    pub(crate) async fn last(&self) -> u64 {
        let head = self.audit.head(&TenantId::local()).await.unwrap();
        head.map_or(0, |it| it.seq)
    }
}

#[tokio::test]
async fn the_first_person_comes_with_the_token_and_logs_in_with_a_browser() {
    let world = World::new().await;
    let FirstRun::Waits(first) = world.identity.first_run(&TenantId::local()).await.unwrap() else {
        panic!("nobody is there yet")
    };
    let setup = |token: &str, password: &str| json!({ "token": token, "login": "Ada", "password": password, "for": "browser" });
    let path = "/api/v1/setup";
    let ask = async |body| world.ask_as(&[], Method::POST, path, body).await;
    ask(setup("nbo_local_x", PASSWORD))
        .await
        .problem(401, "WRONG_SETUP_TOKEN");
    // A password that is too short does not cost the token.
    ask(setup(first.expose_secret(), "short"))
        .await
        .problem(422, "NOT_POSSIBLE");
    let made = ask(setup(first.expose_secret(), PASSWORD)).await;
    let cookie = made.header("set-cookie").to_owned();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Lax") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let made = made.ok(201);
    assert_eq!(made["me"]["login"], "ada");
    assert_eq!(
        made["me"]["roles"],
        json!([{ "project": null, "role": "owner" }])
    );
    assert!(made.get("access").is_none());
    ask(setup(first.expose_secret(), PASSWORD))
        .await
        .problem(401, "WRONG_SETUP_TOKEN");

    let cookie = cookie.split(';').next().unwrap();
    let csrf = made["me"]["csrf"].as_str().unwrap();
    let shown = [("cookie", cookie)];
    let me = world
        .ask_as(&shown, Method::GET, "/api/v1/me", Value::Null)
        .await
        .ok(200);
    assert_eq!(me["csrf"], csrf);
    // What changes something needs what only the page was told.
    let evaluate = json!({ "expression": "1 + 1" });
    let path = "/api/v1/expressions/evaluate";
    let wrong = [("cookie", cookie), ("x-csrf-token", "x")];
    for shown in [&shown[..], &wrong] {
        world
            .ask_as(shown, Method::POST, path, evaluate.clone())
            .await
            .problem(403, "CSRF");
    }
    let right = [("cookie", cookie), ("x-csrf-token", csrf)];
    world
        .ask_as(&right, Method::POST, path, evaluate.clone())
        .await
        .ok(200);
    // Beside a header that is wrong, a cookie counts for nothing.
    let both = [("authorization", "Bearer x"), right[0], right[1]];
    world
        .ask_as(&both, Method::POST, path, evaluate.clone())
        .await
        .problem(401, "UNAUTHENTICATED");

    let out = world
        .ask_as(&right, Method::POST, "/api/v1/logout", Value::Null)
        .await;
    assert_eq!(out.status, 204);
    assert!(
        out.header("set-cookie")
            .starts_with("nebula_session=; Path=/; Max-Age=0")
    );
    world
        .ask_as(&right, Method::POST, path, evaluate)
        .await
        .problem(401, "UNAUTHENTICATED");
    world.stopped().await;
}

#[tokio::test]
async fn a_program_has_a_token_for_minutes_and_one_that_is_exchanged_once() {
    let world = World::new().await;
    world.person("bob", &[("", "viewer")]).await;
    let (bearer, refresh) = world.program("bob").await;
    let shown = [("authorization", bearer.as_str())];
    let me = world
        .ask_as(&shown, Method::GET, "/api/v1/me", Value::Null)
        .await
        .ok(200);
    assert_eq!(
        (&me["login"], &me["kind"]),
        (&json!("bob"), &json!("person"))
    );
    let exchange = async |text: &str| {
        let body = json!({ "refresh": text });
        world
            .ask_as(&[], Method::POST, "/api/v1/refresh", body)
            .await
    };
    let next = exchange(&refresh).await.ok(200);
    let (next, access) = (
        next["refresh"].as_str().unwrap(),
        next["access"].as_str().unwrap(),
    );
    let newer = format!("Bearer {access}");
    world
        .ask_as(
            &[("authorization", &newer)],
            Method::GET,
            "/api/v1/me",
            Value::Null,
        )
        .await
        .ok(200);
    // Somebody else has it, too: nobody keeps the session.
    exchange(next).await.ok(200);
    exchange(next).await.problem(401, "WRONG_REFRESH_TOKEN");
    for shown in [&bearer, &newer] {
        let shown = [("authorization", shown.as_str())];
        world
            .ask_as(&shown, Method::GET, "/api/v1/me", Value::Null)
            .await
            .problem(401, "UNAUTHENTICATED");
    }
    world.stopped().await;
}

#[tokio::test]
async fn whoever_is_refused_learns_nothing_and_waits() {
    let world = World::new().await;
    let bob = world.person("bob", &[("", "viewer")]).await;
    world.person("eve", &[("", "viewer")]).await;
    let path = format!("/api/v1/users/{bob}/disabled");
    let body = json!({ "disabled": true }).to_string();
    world.send(Method::PUT, &path, &[JSON], body).await.ok(200);
    let login = async |login: &str, password: &str| {
        let body = json!({ "login": login, "password": password });
        world.ask_as(&[], Method::POST, "/api/v1/login", body).await
    };
    // Shut out with the right password, a wrong one, nobody at all: the same words.
    let shut_out = login("bob", PASSWORD).await.problem(401, "WRONG_LOGIN");
    let wrong = login("eve", "wrong horse")
        .await
        .problem(401, "WRONG_LOGIN");
    let nobody = login("nobody", "wrong horse")
        .await
        .problem(401, "WRONG_LOGIN");
    assert_eq!(shut_out, wrong);
    assert_eq!(nobody, wrong);
    for name in ["eve", "nobody"] {
        for _ in 0..4 {
            login(name, "wrong horse").await.problem(401, "WRONG_LOGIN");
        }
        // Also with the right one: the guess is not looked at.
        let late = login(name, PASSWORD).await;
        assert!(late.header("retry-after").parse::<u64>().unwrap() >= 1);
        let told = late.problem(429, "TRIED_TOO_OFTEN");
        assert!(!told.to_string().contains(name), "{told}");
    }
    // What is no text is not told back, nor what is too much.
    let body = json!({ "login": "eve", "password": 12_345_678 });
    let told = world.ask_as(&[], Method::POST, "/api/v1/login", body).await;
    assert!(!told.text().contains("12345678"), "{}", told.text());
    told.problem(400, "BAD_BODY");
    // The log has the tries, and no login that was typed: it may be a password in the wrong field.
    let told = world.told(0).await;
    let tries: Vec<_> = told
        .iter()
        .filter(|it| it.contains("sessions.open"))
        .collect();
    assert!(tries.len() >= 11, "{tries:?}");
    assert!(
        tries
            .iter()
            .all(|it| it.starts_with("anonymous ") && it.ends_with("denied"))
    );
    assert!(!told.concat().contains("nobody"));
    world.stopped().await;
}

#[tokio::test]
async fn a_key_is_told_once_opens_what_it_is_for_and_is_removed() {
    let world = World::new().await;
    world.project("shop").await;
    world.publish_in("shop", "greet", GREET).await;
    let robot = json!({ "kind": "service", "login": "robot" });
    let robot = world.post("/api/v1/users", robot).await.ok(201);
    let id = robot["user"].as_str().unwrap();
    let path = format!("/api/v1/projects/shop/members/{id}");
    let body = json!({ "to": "editor" }).to_string();
    assert_eq!(
        world.send(Method::PUT, &path, &[JSON], body).await.status,
        204
    );
    let path = format!("/api/v1/users/{id}/keys");
    // What no store takes is the caller's mistake, and is told as one.
    let nameless = json!({ "name": "", "lasts": "1h" });
    world
        .post(&path, nameless)
        .await
        .problem(422, "NOT_POSSIBLE");
    let nameless = json!({ "name": "", "version": 1 }).to_string();
    let put = world
        .send(Method::PUT, "/api/v1/projects/none", &[JSON], nameless)
        .await;
    put.problem(422, "NOT_POSSIBLE");
    let wanted = json!({ "name": "ci", "lasts": "720h", "project": "shop", "permissions": ["executions:start"] });
    for (key, value) in [
        ("lasts", json!("9000h")),
        ("permissions", json!(["executions:stop"])),
    ] {
        let mut wrong = wanted.clone();
        wrong[key] = value;
        let status = world.post(&path, wrong).await.status;
        assert!([400, 422].contains(&status.as_u16()), "{key}: {status}");
    }
    let made = world.post(&path, wanted).await.ok(201);
    let (secret, key) = (
        made["secret"].as_str().unwrap(),
        made["key"].as_str().unwrap(),
    );
    let listed = world.get(&path).await;
    assert!(!listed.text().contains(secret));
    assert_eq!(
        listed.ok(200)["keys"][0]["permissions"],
        json!(["executions:start"])
    );

    let bearer = format!("Bearer {secret}");
    let shown = [("authorization", bearer.as_str())];
    let start = json!({ "workflow": "greet", "input": { "name": "Ada" } });
    let started = world
        .ask_as(&shown, Method::POST, "/api/v1/executions", start.clone())
        .await;
    started.ok(201);
    let read = world
        .ask_as(&shown, Method::GET, "/api/v1/workflows/greet", Value::Null)
        .await;
    read.problem(403, "DENIED");
    // Not on a stranger's word.
    let wrong = format!("{bearer}x");
    let shown_wrong = [("authorization", wrong.as_str())];
    world
        .ask_as(&shown_wrong, Method::GET, "/api/v1/me", Value::Null)
        .await
        .problem(401, "UNAUTHENTICATED");

    let before = world.last().await;
    let gone = world
        .send(Method::DELETE, &format!("/api/v1/keys/{key}"), &[], "")
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        world.told(before).await,
        [format!("local keys.remove key:{key} allowed")]
    );
    world
        .ask_as(&shown, Method::POST, "/api/v1/executions", start)
        .await
        .problem(401, "UNAUTHENTICATED");
    world.stopped().await;
}

/// An answer that is read bit by bit.
struct Reading {
    stream: TcpStream,
    seen: String,
}

impl Reading {
    async fn open(world: &World, path: &str, shown: &str) -> Self {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{shown}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let seen = String::new();
        Self { stream, seen }
    }

    /// Reads until this was seen, or the answer ends.
    async fn until(mut self, text: &str) -> Self {
        let mut buffer = [0; 4_096];
        while !self.seen.contains(text) {
            let read = self.stream.read(&mut buffer).await.unwrap();
            if read == 0 {
                break;
            }
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        self
    }
}

/// Opens a stream, and reads until the text was seen or the stream ends.
async fn streamed(world: &World, path: &str, text: &str) -> String {
    Reading::open(world, path, "").await.until(text).await.seen
}

#[tokio::test]
async fn a_ticket_opens_one_stream_and_nothing_else() {
    let world = World::new().await;
    world.person("bob", &[("", "viewer")]).await;
    world.publish("greet", GREET).await;
    let id = world
        .start(json!({ "workflow": "greet", "input": { "name": "Ada" } }))
        .await;
    world.until(&id, "completed").await;
    let (bearer, _) = world.program("bob").await;
    let shown = [("authorization", bearer.as_str())];
    let made = world
        .ask_as(&shown, Method::POST, "/api/v1/tickets", Value::Null)
        .await
        .ok(201);
    let ticket = made["ticket"].as_str().unwrap();
    let path = format!("/api/v1/executions/{id}/events?ticket={ticket}");
    // Of other routes it opens none, and stays whole.
    for path in [
        "/api/v1/me",
        "/api/v1/executions",
        &format!("/api/v1/executions/{id}"),
    ] {
        let answer = world
            .ask_as(
                &[],
                Method::GET,
                &format!("{path}?ticket={ticket}"),
                Value::Null,
            )
            .await;
        answer.problem(401, "UNAUTHENTICATED");
    }
    let twice = format!("{path}&ticket={ticket}");
    assert!(
        streamed(&world, &twice, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 401")
    );
    let seen = streamed(&world, &path, "event: ended").await;
    assert!(
        seen.starts_with("HTTP/1.1 200") && seen.contains("event: ended"),
        "{seen}"
    );
    assert!(
        streamed(&world, &path, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 401")
    );
    // A token in the query opens nothing.
    for query in ["access_token", "token", "ticket", "authorization"] {
        let path = format!("/api/v1/executions/{id}/events?{query}={}", token());
        let seen = streamed(&world, &path, "\r\n\r\n").await;
        assert!(seen.starts_with("HTTP/1.1 401"), "{seen}");
    }
    world.stopped().await;
}

#[tokio::test]
async fn lists_and_streams_have_what_one_may_see() {
    let world = World::new().await;
    for project in ["shop", "other"] {
        world.project(project).await;
        world.publish_in(project, project, GREET).await;
    }
    world.person("bob", &[("shop", "operator")]).await;
    let (bearer, _) = world.program("bob").await;
    let shown = [("authorization", bearer.as_str())];
    let head = format!("authorization: {bearer}\r\n");
    let get = async |path: &str| world.ask_as(&shown, Method::GET, path, Value::Null).await;

    let stream = Reading::open(&world, "/api/v1/events", &head).await;
    // It watches from then on.
    let stream = stream.until("\r\n\r\n").await;
    let input = json!({ "name": "Ada" });
    let hidden = world
        .start(json!({ "workflow": "other", "input": input }))
        .await;
    world.until(&hidden, "completed").await;
    let seen = world
        .start(json!({ "workflow": "shop", "input": input }))
        .await;
    let told = stream.until("event: ended").await.seen;
    let events: Vec<_> = told
        .lines()
        .filter_map(|it| it.strip_prefix("data: "))
        .collect();
    assert!(!events.is_empty());
    assert!(
        events
            .iter()
            .all(|it| it.contains(&seen) && !it.contains(&hidden)),
        "{events:?}"
    );

    let names = |page: &Value, list: &str, key: &str| -> Vec<String> {
        let all = page[list].as_array().unwrap().iter();
        all.map(|it| it[key].as_str().unwrap().to_owned()).collect()
    };
    let page = get("/api/v1/workflows").await.ok(200);
    assert_eq!(names(&page, "workflows", "workflow"), ["shop"]);
    assert_eq!(page["workflows"][0]["project"], "shop");
    let page = get("/api/v1/workflows?project=other").await.ok(200);
    assert_eq!(page["workflows"], json!([]));
    let page = get("/api/v1/executions").await.ok(200);
    assert_eq!(
        names(&page, "executions", "execution"),
        std::slice::from_ref(&seen)
    );
    let page = get("/api/v1/executions?workflow=other").await.ok(200);
    assert_eq!(page["executions"], json!([]));
    let page = get("/api/v1/projects").await.ok(200);
    assert_eq!(names(&page, "projects", "project"), ["shop"]);
    let bulk = json!({ "action": "retry", "statuses": [] });
    let counted = world
        .ask_as(&shown, Method::POST, "/api/v1/executions/bulk", bulk)
        .await
        .ok(200);
    assert_eq!(counted["matched"], 0);

    // What is not there and what is not shown are told alike.
    let foreign = get(&format!("/api/v1/executions/{hidden}"))
        .await
        .problem(404, "UNKNOWN_EXECUTION");
    let nothing = "0198c0de-0000-7000-8000-000000000000";
    let unknown = get(&format!("/api/v1/executions/{nothing}"))
        .await
        .problem(404, "UNKNOWN_EXECUTION");
    let same = foreign.to_string().replace(&hidden, nothing);
    assert_eq!(same, unknown.to_string());
    world.stopped().await;
}

#[tokio::test]
async fn a_workflow_calls_and_belongs_where_its_author_may() {
    let world = World::new().await;
    for project in ["shop", "other"] {
        world.project(project).await;
        world.publish_in(project, project, GREET).await;
    }
    world.person("edda", &[("shop", "editor")]).await;
    let (bearer, _) = world.program("edda").await;
    let yaml = |id: &str, callee: &str| {
        format!(
            "id: {id}\nnodes: [{{ id: a, action: flow.call, parameters: {{ workflow: {callee}, input: {{ name: x }} }} }}]\n"
        )
    };
    let save = async |path: &str, text: String| {
        let host = world.address.to_string();
        let headers = [
            ("host", host.as_str()),
            ("authorization", bearer.as_str()),
            ("content-type", "application/yaml"),
        ];
        world.raw(Method::PUT, path, &headers, text).await
    };
    let own = save(
        "/api/v1/workflows/calls?project=shop",
        yaml("calls", "shop"),
    )
    .await;
    own.ok(201);
    // As if it were not there.
    let foreign = save(
        "/api/v1/workflows/steals?project=shop",
        yaml("steals", "other"),
    )
    .await;
    let nobody = save(
        "/api/v1/workflows/steals?project=shop",
        yaml("steals", "nobody"),
    )
    .await;
    let foreign = foreign.problem(422, "DEFINITION_INVALID").to_string();
    let nobody = nobody.problem(422, "DEFINITION_INVALID").to_string();
    assert_eq!(foreign.replace("other", "nobody"), nobody);
    // Where it would belong, they must be an editor.
    save("/api/v1/workflows/new?project=other", yaml("new", "shop"))
        .await
        .problem(404, "UNKNOWN_PROJECT");
    save("/api/v1/workflows/new?project=none", yaml("new", "shop"))
        .await
        .problem(404, "UNKNOWN_PROJECT");
    save("/api/v1/workflows/new", yaml("new", "shop"))
        .await
        .problem(403, "DENIED");
    let shown = [("authorization", bearer.as_str())];
    let there = json!({ "project": "other" });
    let moved = world
        .ask_as(
            &shown,
            Method::POST,
            "/api/v1/workflows/calls/move",
            there.clone(),
        )
        .await;
    moved.problem(404, "UNKNOWN_PROJECT");
    // Whoever may move it moves its executions with it.
    let moved = world
        .post("/api/v1/workflows/calls/move", there)
        .await
        .ok(200);
    assert_eq!(moved["project"], "other");
    let gone = world
        .ask_as(&shown, Method::GET, "/api/v1/workflows/calls", Value::Null)
        .await;
    gone.problem(404, "UNKNOWN_WORKFLOW");
    // A project with workflows is not deleted: the next one of its name would have them.
    let delete = world
        .send(Method::DELETE, "/api/v1/projects/other", &[], "")
        .await;
    delete.problem(409, "PROJECT_NOT_EMPTY");
    world.stopped().await;
}

#[tokio::test]
async fn a_person_votes_for_themselves() {
    let world = World::new().await;
    world.publish("asks", ASKS).await;
    let id = world.start(json!({ "workflow": "asks" })).await;
    world.until(&id, "waiting").await;
    world.person("ann", &[("", "operator")]).await;
    world.person("eve", &[("", "owner")]).await;
    let path = format!("/api/v1/executions/{id}/votes");
    let vote = json!({ "choice": "approve", "by": "ann" });
    let (eve, _) = world.program("eve").await;
    let shown = [("authorization", eve.as_str())];
    let voted = world
        .ask_as(&shown, Method::POST, &path, vote.clone())
        .await;
    voted.problem(403, "NOT_YOURSELF");
    let own = world
        .ask_as(&shown, Method::POST, &path, json!({ "choice": "approve" }))
        .await;
    own.problem(403, "NOT_AN_APPROVER");
    let (ann, _) = world.program("ann").await;
    let shown = [("authorization", ann.as_str())];
    world
        .ask_as(&shown, Method::POST, &path, vote)
        .await
        .ok(200);
    world.until(&id, "completed").await;
    world.stopped().await;
}

#[tokio::test]
async fn the_log_tells_what_changed_and_what_was_denied() {
    let world = World::new().await;
    world.project("shop").await;
    let eve = world.person("eve", &[("shop", "viewer")]).await;
    let before = world.last().await;
    world.publish_in("shop", "greet", GREET).await;
    let (bearer, _) = world.program("eve").await;
    let shown = [("authorization", bearer.as_str())];
    let denied = world
        .ask_as(
            &shown,
            Method::POST,
            "/api/v1/workflows/greet/archive",
            Value::Null,
        )
        .await;
    denied.problem(403, "DENIED");
    world
        .publish("secret", &GREET.replace("id: greet", "id: secret"))
        .await;
    let read = world
        .ask_as(&shown, Method::GET, "/api/v1/workflows/secret", Value::Null)
        .await;
    read.problem(404, "UNKNOWN_WORKFLOW");
    let started = json!({ "workflow": "greet", "input": { "name": "do not tell" } });
    world.start(started).await;

    let told = world.told(before).await;
    let who = format!("person:{eve}");
    let wanted = [
        "local workflows.save workflow:greet allowed".to_owned(),
        "local workflows.publish workflow:greet allowed".to_owned(),
        format!("{who} workflows.archive  denied"),
        format!("{who} workflows.show workflow:secret denied"),
        "local executions.start workflow:greet allowed".to_owned(),
    ];
    for line in &wanted {
        assert!(told.contains(line), "{line}: {told:?}");
    }
    let page = format!("/api/v1/audit?who={who}&outcome=denied");
    let page = world.get(&page).await.ok(200);
    let entries = page["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &page["next"]), (2, &Value::Null));
    assert_eq!(entries[1]["from"], "127.0.0.1");
    assert_eq!(entries[1]["change"]["needs"], "workflows:read");
    let page = world
        .get("/api/v1/audit?what=workflows.&limit=1")
        .await
        .ok(200);
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    let change = &page["entries"][0]["change"];
    assert_eq!(
        (&change["project"], &change["digest"][0]),
        (&json!("shop"), &Value::Null)
    );
    let next = page["next"].as_u64().unwrap();
    let page = world
        .get(&format!(
            "/api/v1/audit?what=workflows.publish&after={next}"
        ))
        .await
        .ok(200);
    assert_eq!(
        page["entries"][0]["change"],
        json!({ "published": [null, 1], "grants": [] })
    );

    let export = world.get("/api/v1/audit/export").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let text = export.text();
    let lines: Vec<Value> = text
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .enumerate()
            .all(|(at, it)| it["seq"] == at as u64 + 1)
    );
    assert!(!text.contains("do not tell") && !text.contains(PASSWORD));
    let last = lines.last().unwrap();
    assert_eq!(last["what"], "audit.export");
    let verify = async |known: Value| {
        let body = json!({ "known": known });
        world.post("/api/v1/audit/verify", body).await.ok(200)
    };
    let known = json!({ "seq": last["seq"], "hash": last["hash"] });
    assert_eq!(verify(known).await["holds"], true);
    let other = json!({ "seq": last["seq"], "hash": "0".repeat(64) });
    assert_eq!(verify(other).await["holds"], false);
    let longer = json!({ "seq": 1_000_000, "hash": last["hash"] });
    assert!(
        verify(longer).await["broken"]
            .as_str()
            .unwrap()
            .contains("1000000")
    );
    let denials = world
        .audit
        .entries(&TenantId::local(), 0, 1_000)
        .await
        .unwrap();
    assert!(
        denials
            .iter()
            .any(|it| it.new.outcome == AuditOutcome::Denied)
    );
    world.stopped().await;
}

/// A clock on which the time after which rights are asked for again is over when the test says so.
#[derive(Debug, Default)]
struct Hasty {
    clock: SystemClock,
    over: Arc<Notify>,
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let second = Duration::from_secs(1);
        if duration + second < CHECK_AGAIN || duration > CHECK_AGAIN {
            return self.clock.sleep(duration);
        }
        let over = Arc::clone(&self.over);
        Box::pin(async move { over.notified().await })
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_rights_are_over() {
    let (config, hasty) = (
        ApiConfig {
            body_timeout: Duration::from_secs(300),
            ..ApiConfig::default()
        },
        Arc::new(Hasty::default()),
    );
    let over = Arc::clone(&hasty.over);
    let world = World::timed(config, hasty).await;
    world.project("shop").await;
    world.publish_in("shop", "waits", WAITS).await;
    for login in ["ann", "bob"] {
        let id = world.start(json!({ "workflow": "waits" })).await;
        world.until(&id, "waiting").await;
        let path = match login {
            "ann" => "/api/v1/events".to_owned(),
            _ => format!("/api/v1/executions/{id}/events"),
        };
        let user = world.person(login, &[("shop", "viewer")]).await;
        let (bearer, _) = world.program(login).await;
        let shown = format!("authorization: {bearer}\r\n");
        let stream = Reading::open(&world, &path, &shown).await;
        let stream = stream.until("\r\n\r\n").await;
        assert!(stream.seen.starts_with("HTTP/1.1 200"), "{}", stream.seen);
        // As long as nothing changed, it goes on.
        over.notify_one();
        let sent = json!({ "name": login });
        let signals = format!("/api/v1/executions/{id}/signals");
        world.post(&signals, sent).await.ok(200);
        let disabled = json!({ "disabled": true }).to_string();
        let out = format!("/api/v1/users/{user}/disabled");
        world
            .send(Method::PUT, &out, &[JSON], disabled)
            .await
            .ok(200);
        over.notify_one();
        // What happens from then on is not told any more.
        let cancel = format!("/api/v1/executions/{id}/cancel");
        world.post(&cancel, json!({})).await.ok(200);
        let seen = stream.until("event: e").await;
        let seen = seen.until("}").await.seen;
        assert!(seen.contains("\"code\":\"DENIED\""), "{seen}");
    }
    world.stopped().await;
}
