//! What each route asks, and that the document tells it.

use http::Method;
use nebula_api::{Needs, Route};
use serde_json::{Value, json};

use crate::support::{World, token};

/// A path with something in place of what varies.
fn filled(route: &Route) -> String {
    let id = "0198c0de-0000-7000-8000-000000000000";
    route
        .path
        .replace("{execution}", id)
        .replace("{workflow}", "greet")
        .replace("{version}", "1")
        .replace("{action}", "data.set")
        .replace("{user}", id)
        .replace("{session}", id)
        .replace("{project}", "shop")
        .replace("{key}", "abcdefgh")
        .replace("{credential}", "till")
        .replace("{secret}", "till")
        .replace("{seq}", "1")
        .replace("{token}", "x")
        .replace("{digest}", &"0".repeat(64))
}

#[tokio::test]
async fn every_route_but_the_open_ones_needs_the_token() {
    let world = World::new().await;
    let host = world.address.to_string();
    let host = ("host", host.as_str());
    let token = token();
    let (mut open, mut closed) = (0, 0);
    for route in world.api.routes() {
        let path = filled(route);
        let mut methods = vec![route.method.clone()];
        if route.method == Method::GET {
            methods.push(Method::HEAD);
        }
        for method in methods {
            for authorization in [
                None,
                Some("Bearer wrong".to_owned()),
                Some(format!("Basic {token}")),
                Some(format!("Bearer {token}x")),
            ] {
                let mut headers = vec![host];
                if let Some(value) = &authorization {
                    headers.push(("authorization", value));
                }
                let answer = world.raw(method.clone(), &path, &headers, "").await;
                let refused = answer.status == 401;
                let needs = route.needs != Needs::Nothing;
                // Those are refused for what their body shows.
                let shows = ["/api/v1/login", "/api/v1/setup", "/api/v1/refresh"];
                assert!(!needs || !shows.contains(&&*route.path));
                assert_eq!(refused, needs, "{method} {path} {authorization:?}");
                if needs {
                    closed += 1;
                    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"nebula\"");
                } else {
                    open += 1;
                }
            }
            // With the token, nothing is refused for want of it.
            let streams = [
                "/api/v1/events",
                "/api/v1/changes",
                "/api/v1/approvals/events",
            ];
            if !streams.contains(&&*route.path) && route.needs != Needs::Nothing {
                let answer = world.send(method, &path, &[], "").await;
                assert!(![401, 403].contains(&answer.status.as_u16()), "{path}");
            }
        }
    }
    assert!(open >= 5 * 4 && closed >= 30 * 4, "{open} {closed}");
    world.stopped().await;
}

#[tokio::test]
async fn other_spellings_of_a_path_lead_nowhere() {
    let world = World::new().await;
    let host = world.address.to_string();
    for path in [
        "/api/v1/executions/",
        "//api/v1/executions",
        "/api//v1/executions",
        "/api/v1/executions;x=1",
        "/api/v1/./executions",
        "/api/v1/workflows/../executions",
        "/api/v1/%65xecutions/",
        "/API/v1/executions",
        "/api/v1/executions/x/y/z",
        "/health/live/../../api/v1/executions",
        "/health/live%2f..%2f..%2fapi/v1/executions",
    ] {
        let answer = world.raw(Method::GET, path, &[("host", &host)], "").await;
        assert!(
            [401, 404].contains(&answer.status.as_u16()),
            "{path}: {}",
            answer.status
        );
    }
    // Another method by a header is the method that the request has.
    let asked = [
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "PUT"),
    ];
    let answer = world
        .send(Method::GET, "/api/v1/executions", &asked, "")
        .await;
    assert_eq!(answer.status, 200);
    world.stopped().await;
}

#[tokio::test]
async fn the_document_tells_every_route_how_it_fails_and_what_it_asks() {
    let world = World::new().await;
    let host = world.address.to_string();
    let answer = world
        .raw(Method::GET, "/api/v1/openapi.json", &[("host", &host)], "")
        .await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.ok(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut count = 0;
    for route in world.api.routes() {
        let method = route.method.as_str().to_lowercase();
        let operation = &document["paths"][&route.path][&method];
        assert!(operation.is_object(), "{method} {}", route.path);
        let problem = "/responses/default/content/application~1problem+json/schema/$ref";
        let problem = operation.pointer(problem);
        assert_eq!(problem, Some(&json!("#/components/schemas/Problem")));
        let security = &operation["security"];
        match route.needs {
            Needs::Nothing => assert_eq!(*security, Value::Null),
            Needs::Somebody => assert_eq!(*security, json!([{ "bearer": [] }, { "session": [] }])),
            Needs::Permission(permission) => {
                assert_eq!(*security, json!([{ "bearer": [] }, { "session": [] }]));
                let told = operation["description"].as_str().unwrap();
                assert!(told.contains(permission.as_str()), "{told}");
            }
        }
        for name in route
            .path
            .split('{')
            .skip(1)
            .filter_map(|it| it.split('}').next())
        {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(
                parameters
                    .iter()
                    .any(|it| it["name"] == name && it["in"] == "path")
            );
        }
        count += 1;
    }
    let told: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    assert_eq!(told, count);
    world.stopped().await;
}
