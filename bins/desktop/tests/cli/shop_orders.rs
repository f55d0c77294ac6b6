//! The example that pages through a shop with a credential, and where credentials go.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::json;

use crate::{
    http::{Seen, answer, serving},
    support::User,
};

/// What the shop takes as its key.
const KEY: &str = "sk-hunter2/0123456789";

/// Three pages of orders and a place for summaries, behind a key; each fails at first, in a way of its own.
fn shop(seen: &[Seen]) -> String {
    let last = seen.last().unwrap();
    let bearer = format!("Bearer {KEY}");
    if last.header("authorization") != Some(&*bearer) {
        return answer(401, "", &format!(r#"{{"error":"no {bearer}"}}"#));
    }
    let tries = seen.iter().filter(|it| it.line == last.line).count();
    let page = |orders: &str, more: bool| {
        answer(200, "", &format!(r#"{{"orders":{orders},"more":{more}}}"#))
    };
    let cut = |whole: String| whole[..whole.len() - 7].to_owned();
    match (last.line.as_str(), tries) {
        ("GET /orders?page=1 HTTP/1.1", 1) => answer(500, "", "{}"),
        ("GET /orders?page=1 HTTP/1.1", 2) => answer(429, "Retry-After: 1\r\n", "{}"),
        ("GET /orders?page=1 HTTP/1.1", _) => page(r#"[{"total":1},{"total":2}]"#, true),
        ("GET /orders?page=2 HTTP/1.1", 1) => cut(page("[]", true)),
        ("GET /orders?page=2 HTTP/1.1", _) => page(r#"[{"total":3}]"#, true),
        ("GET /orders?page=3 HTTP/1.1", 1) => answer(503, "Retry-After: 0\r\n", "{}"),
        ("GET /orders?page=3 HTTP/1.1", _) => page(r#"[{"total":4}]"#, false),
        ("POST /summaries HTTP/1.1", 1) => answer(500, "", &format!("{{\"by\":\"{KEY}\"}}")),
        ("POST /summaries HTTP/1.1", 2) => answer(503, "Retry-After: 0\r\n", "{}"),
        ("POST /summaries HTTP/1.1", _) => {
            answer(201, "", &format!(r#"{{"booked":true,"by":"{KEY}"}}"#))
        }
        _ => answer(404, "", "{}"),
    }
}

#[test]
fn shop_orders_come_through_a_flaky_server_with_a_credential_that_shows_nowhere() {
    let user = User::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop-orders");
    fs::copy(
        example.join("workflow.yaml"),
        user.work().join("workflow.yaml"),
    )
    .unwrap();
    // The limits that the example asks for.
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    fs::copy(example.join("nebula.toml"), config.join("nebula.toml")).unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let seen = serving(shop, |address| {
        let hosts = address.to_string();
        let add = [
            "credentials",
            "add",
            "shop-key",
            "--type",
            "bearer",
            "--hosts",
            &hosts,
        ];
        user.nebula_with(&add, KEY).exits(0);
        let input = format!("shop=http://{address}");
        let run = ["run", "workflow.yaml", "--input", &input];
        // Who names a credential asks for it.
        let net = format!("net:{address}");
        let missing = user
            .nebula(&[&run[..], &["--grant", &net]].concat())
            .exits(2);
        assert_eq!(
            missing.says("--grant secret:shop-key").error_code(),
            "GRANTS_MISSING"
        );
        let log = ["--grant-requested", "--json", "--log", "trace"];
        let said = user.nebula(&[&run[..], &log].concat()).exits(0);
        assert_eq!(
            said.json()["output"],
            json!({ "booked": true, "by": "[secret]" })
        );
        (out, err) = (said.out, said.err);
    });
    // Two a second, however often a page is asked for again; a second for a server that reads late. The
    // waits of the retries alone add up to less than five.
    let least = Duration::from_millis(500) * u32::try_from(seen.len() - 1).unwrap();
    let took = seen.last().unwrap().at - seen[0].at;
    assert!(
        took + Duration::from_secs(1) >= least,
        "{} requests in {took:?}",
        seen.len()
    );
    assert!(
        seen.len() > 12,
        "as many as make a limit of two a second felt"
    );
    let posts: Vec<_> = seen
        .iter()
        .filter(|it| it.line.starts_with("POST"))
        .collect();
    assert_eq!(posts.len(), 3);
    let keys: BTreeSet<_> = posts
        .iter()
        .map(|it| it.header("idempotency-key"))
        .collect();
    assert_eq!(
        keys.len(),
        1,
        "one key for all attempts of the instance: {keys:?}"
    );
    assert!(keys.iter().all(Option::is_some));
    assert_eq!(posts[2].body, r#"{"orders":4,"total":10}"#);
    let gets = seen.iter().filter(|it| it.line.starts_with("GET"));
    assert!(
        gets.clone()
            .all(|it| it.header("idempotency-key").is_none())
    );
    assert!(!out.contains(KEY) && !err.contains(KEY), "{err}");
    for entry in fs::read_dir(user.home().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let shows = bytes.windows(KEY.len()).any(|at| at == KEY.as_bytes());
            assert!(!shows, "{}", path.display());
        }
    }
}

#[test]
fn a_credential_does_not_follow_a_redirect_to_another_server() {
    let user = User::new();
    let mut here = Vec::new();
    let strayed = serving(
        |_| answer(200, "", "{}"),
        |elsewhere| {
            let leads =
                |_: &[Seen]| answer(302, &format!("Location: http://{elsewhere}/\r\n"), "{}");
            here = serving(leads, |address| {
                let hosts = address.to_string();
                let add = [
                    "credentials",
                    "add",
                    "key",
                    "--type",
                    "bearer",
                    "--hosts",
                    &hosts,
                ];
                user.nebula_with(&add, KEY).exits(0);
                // An expression: where it leads is not known before it runs.
                let node = |url: &str| {
                    format!(
                        "nodes: [{{ id: a, action: http.request, parameters: {{ url: \"{{{{ 'http://' + '{url}' }}}}\" }}, credentials: {{ auth: key }}, requires: ['net:{elsewhere}', 'net:{hosts}'] }}]\n"
                    )
                };
                user.write("w.yaml", &node(&hosts));
                user.nebula(&["run", "w.yaml", "--grant-requested"])
                    .exits(0);
                // Straight there it does not go at all.
                user.write("w.yaml", &node(&elsewhere.to_string()));
                let said = user
                    .nebula(&["run", "w.yaml", "--grant-requested"])
                    .exits(1);
                assert_eq!(said.json()["error"]["code"], "CREDENTIAL_HOST");
            });
        },
    );
    let bearer = format!("Bearer {KEY}");
    assert_eq!(here.len(), 1);
    assert_eq!(here[0].header("authorization"), Some(&*bearer));
    assert_eq!(strayed.len(), 1);
    assert_eq!(strayed[0].header("authorization"), None);
}

#[test]
fn one_token_is_asked_for_by_many_nodes_at_once() {
    let user = User::new();
    let script = |seen: &[Seen]| {
        let last = seen.last().unwrap();
        match last.line.as_str() {
            "POST /token HTTP/1.1" => {
                let body = r#"{"access_token":"token-hunter2-1","token_type":"bearer","expires_in":3600,"refresh_token":"refresh-hunter2-1"}"#;
                answer(200, "", body)
            }
            _ if last.header("authorization") == Some("Bearer token-hunter2-1") => {
                answer(200, "", "1")
            }
            _ => answer(401, "", "{}"),
        }
    };
    let seen = serving(script, |address| {
        let hosts = address.to_string();
        let token_url = format!("token_url=http://{address}/token");
        user.write("secret.txt", "client-hunter2");
        user.write("refresh.txt", "refresh-hunter2-0");
        let add = [
            "credentials",
            "add",
            "key",
            "--type",
            "oauth2_refresh",
            "--hosts",
            &hosts,
            "--field",
            &token_url,
            "--field",
            "client_id=nebula",
            "--from",
            "client_secret=secret.txt",
            "--from",
            "refresh_token=refresh.txt",
        ];
        user.nebula(&add).exits(0);
        let node = format!(
            "{{ id: a, action: http.request, parameters: {{ url: 'http://{address}/' }}, credentials: {{ auth: key }}, for_each: 'Array.from({{ length: 64 }})', concurrency: 64 }}"
        );
        user.write(
            "w.yaml",
            &format!("limits: {{ concurrency: 64 }}\nnodes: [{node}]\n"),
        );
        let said = user
            .nebula(&["run", "w.yaml", "--grant-requested"])
            .exits(0);
        assert_eq!(said.json()["output"].as_array().unwrap().len(), 64);
    });
    let asked = seen
        .iter()
        .filter(|it| it.line.starts_with("POST /token"))
        .count();
    assert_eq!((asked, seen.len()), (1, 65));
}
