//! Holes of other engines that were made public, each tried here as far as an API has it.
//!
//! | hole | what it was | test |
//! |---|---|---|
//! | CVE-2026-21858 | a form's body read as what the caller said it is: files without a login | `no_body_is_read_as_another_kind` |
//! | CVE-2026-27493 | a form's field evaluated as an expression, without a login | `what_people_write_is_never_evaluated` |
//! | CVE-2026-110852 | a route found by its path alone: executions without a login | `a_link_is_found_by_all_of_its_token` |
//! | CVE-2025-68613, CVE-2026-1470, CVE-2026-25049, CVE-2026-27495, CVE-2026-72765, CVE-2026-85165 | expressions that leave their sandbox | `no_expression_reaches_what_is_not_given_to_it` |
//! | CVE-2026-0863 | what is secret told by the text of an exception | `no_expression_reaches_what_is_not_given_to_it` |
//! | CVE-2026-21877 | a name in a request that becomes a path of a file | `no_name_is_a_path` |
//! | Node-RED without a login | everything open to whoever reaches the port | `matrix.rs`, column anonymous |

use http::Method;
use nebula_api::Needs;
use nebula_core::TenantId;
use serde_json::{Value, json};

use crate::support::{ASKS, GREET, World, token};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn no_body_is_read_as_another_kind() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let start = json!({ "workflow": "greet", "input": { "name": "Ada" } }).to_string();
    let file = "--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\n/etc/passwd\r\n--x--\r\n";
    let mut asked = 0;
    for route in world
        .api
        .routes()
        .iter()
        .filter(|it| it.method == Method::POST)
    {
        let path = route.path.replace("{workflow}", "greet");
        if path.contains('{') || route.needs == Needs::Somebody {
            continue;
        }
        for (kind, body) in [
            ("multipart/form-data; boundary=x", file),
            ("text/plain", &*start),
            ("application/json, multipart/form-data; boundary=x", file),
            ("application/x-www-form-urlencoded", "workflow=greet"),
            ("application/vnd.x+json", &*start),
        ] {
            let sent = [("content-type", kind)];
            let answer = world
                .send(Method::POST, &path, &sent, body.to_owned())
                .await;
            let bare = ["/archive", "/unarchive"]
                .iter()
                .any(|it| path.ends_with(it));
            if !bare {
                answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
                asked += 1;
            }
        }
        // Nor by two of them.
        let two = [JSON, ("content-type", "multipart/form-data; boundary=x")];
        let answer = world.send(Method::POST, &path, &two, start.clone()).await;
        assert!(
            answer.status == 415 || path.ends_with("archive"),
            "{path}: {}",
            answer.text()
        );
    }
    assert!(asked >= 50, "{asked}");
    world.stopped().await;
}

#[tokio::test]
async fn what_people_write_is_never_evaluated() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    for text in [
        "{{ 1 + 1 }}",
        "={{ 1 + 1 }}",
        "{{ $vars }}",
        "${1 + 1}",
        "{{{{ 1 + 1 }}}}",
    ] {
        let body = json!({ "workflow": "greet", "input": { "name": text } });
        let done = world
            .post("/api/v1/executions?wait=30s", body)
            .await
            .ok(200);
        assert_eq!(done["output"]["text"], format!("Hi {text}"));
    }
    // Nor what the holder of a link writes, who has no login.
    world.publish("asks", ASKS).await;
    let id = world.start(json!({ "workflow": "asks" })).await;
    world.until(&id, "waiting").await;
    let tokens = world
        .nebula
        .engine()
        .resume_tokens(&TenantId::local(), id.parse().unwrap())
        .await;
    let path = format!("/resume/{}", tokens.unwrap()[0].token.reveal());
    let host = world.address.to_string();
    let sent = [
        ("host", host.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = "choice=approve&comment=%7B%7B+1+%2B+1+%7D%7D";
    world.raw(Method::POST, &path, &sent, body).await.ok(200);
    world.until(&id, "completed").await;
    let journal = world
        .get(&format!("/api/v1/executions/{id}/journal?limit=500"))
        .await;
    assert!(journal.text().contains("{{ 1 + 1 }}"), "{}", journal.text());
    world.stopped().await;
}

#[tokio::test]
async fn a_link_is_found_by_all_of_its_token() {
    let world = World::new().await;
    world.publish("asks", ASKS).await;
    let id = world.start(json!({ "workflow": "asks" })).await;
    world.until(&id, "waiting").await;
    let tokens = world
        .nebula
        .engine()
        .resume_tokens(&TenantId::local(), id.parse().unwrap())
        .await;
    let right = tokens.unwrap()[0].token.reveal();
    let host = world.address.to_string();
    let sent = [("host", host.as_str()), JSON];
    let mut wrong = vec![
        right[..63].to_owned(),
        format!("{right}0"),
        format!("{right}/"),
        format!("{right}/x"),
        format!("x/../{right}"),
        format!("%2e%2e/resume/{right}"),
        format!("{right};x"),
        format!("{right}%00"),
        format!(" {right}").replace(' ', "%20"),
        id.clone(),
        "*".to_owned(),
        "%25".to_owned(),
        "asks".to_owned(),
    ];
    for at in [0, 31, 63] {
        let other = if &right[at..=at] == "0" { "1" } else { "0" };
        wrong.push(format!("{}{other}{}", &right[..at], &right[at + 1..]));
    }
    for token in wrong {
        for method in [Method::GET, Method::POST] {
            let path = format!("/resume/{token}");
            let body = json!({ "choice": "approve", "by": "ann" }).to_string();
            let answer = world.raw(method, &path, &sent, body).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        }
    }
    // Nor does a link open anything else.
    let bearer = format!("Bearer {right}");
    let shown = [sent[0], ("authorization", bearer.as_str())];
    let path = format!("/api/v1/executions/{id}");
    world
        .raw(Method::GET, &path, &shown, "")
        .await
        .problem(401, "UNAUTHENTICATED");
    world.until(&id, "waiting").await;
    world.stopped().await;
}

#[tokio::test]
async fn no_expression_reaches_what_is_not_given_to_it() {
    let world = World::new().await;
    let secret = std::env!("CARGO_MANIFEST_DIR");
    for expression in [
        "constructor.constructor('return process')()",
        "''.constructor.constructor('return process.env')()",
        "({}).__proto__.polluted",
        "[].map.constructor('return this')()",
        "`${process.env.PATH}`",
        "(() => { return this })()",
        "(() => this.constructor)()",
        "[1].map(x => { return globalThis })",
        "{ ['__proto__']: { polluted: 1 } }.polluted",
        "{ ...globalThis }",
        "[...process.argv]",
        "$input['constructor']['constructor']('return process')()",
        "$input.__proto__",
        "$input.constructor",
        "this",
        "globalThis",
        "process.env",
        "require('fs').readFileSync('/etc/passwd')",
        "import('fs')",
        "new Function('return process')()",
        "Function('return process')()",
        "eval('1')",
        "Reflect.ownKeys(globalThis)",
        "$env",
        "$secrets",
        "$credentials",
        "throw $input",
        "$input.a.b.c.d",
    ] {
        let body = json!({ "expression": expression, "data": { "input": { "a": 1 } } });
        let answer = world.post("/api/v1/expressions/evaluate", body).await;
        let text = answer.text();
        match answer.status.as_u16() {
            // Nothing is there under that name.
            200 => assert_eq!(answer.json()["value"], Value::Null, "{expression}: {text}"),
            422 => {}
            status => panic!("{expression}: {status} {text}"),
        }
        for leak in [secret, token(), "root:", "/bin", "[object", "native code"] {
            assert!(!text.contains(leak), "{expression}: {text}");
        }
    }
    // And without a login none is evaluated.
    let host = world.address.to_string();
    let sent = [("host", host.as_str()), JSON];
    let body = json!({ "expression": "1 + 1" }).to_string();
    let answer = world
        .raw(Method::POST, "/api/v1/expressions/evaluate", &sent, body)
        .await;
    answer.problem(401, "UNAUTHENTICATED");
    world.stopped().await;
}

#[tokio::test]
async fn no_name_is_a_path() {
    let world = World::new().await;
    for name in [
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "..%5c..%5cx",
        ".git%2fhooks",
        "a%2fb",
        "a%00b",
        "%2e%2e",
        "a%0d%0ab",
        "~root",
        "a%20b",
    ] {
        for path in [
            format!("/api/v1/workflows/{name}"),
            format!("/api/v1/workflows/{name}/versions"),
            format!("/api/v1/projects/{name}/members"),
            format!("/api/v1/executions/{name}"),
            format!("/api/v1/users/{name}"),
            format!("/api/v1/actions/{name}"),
        ] {
            let answer = world.get(&path).await;
            assert!(
                [400, 404].contains(&answer.status.as_u16()),
                "{path}: {}",
                answer.text()
            );
        }
        let yaml = [("content-type", "application/yaml")];
        let path = format!("/api/v1/workflows/{name}");
        let saved = world.send(Method::PUT, &path, &yaml, GREET).await;
        assert!(
            [400, 404].contains(&saved.status.as_u16()),
            "{path}: {}",
            saved.text()
        );
        let body = json!({ "name": "x", "version": 1 }).to_string();
        let path = format!("/api/v1/projects/{name}");
        let put = world.send(Method::PUT, &path, &[JSON], body).await;
        assert!(
            [400, 404].contains(&put.status.as_u16()),
            "{path}: {}",
            put.text()
        );
    }
    world.stopped().await;
}
