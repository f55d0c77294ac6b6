//! Secrets in the hands of a server that logs everything and exports it over OTLP: none is in there.

use std::{fs, fs::File, process::Stdio};

use base64::{Engine as _, engine::general_purpose};

use crate::{
    otlp::Receiver,
    support::{User, wait_until},
};

/// What a node shows to a service.
const TOKEN: &str = "kanarie/7f3a91c4+e8d25b60?aa17";

/// What goes in the query of a request, as an address may be logged.
const KEY: &str = "kanarie/key-0b94d7fa+2c&61?e3";

/// What the engine shows to the receiver of its exports.
const EXPORTS: &str = "kanarie/exports-51bd20c7+93ee?f8";

/// Stands beside the secret wherever the service says it, and is none.
const MARKER: &str = "beside-the-canary";

/// How a secret may be written.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|it| format!("{it:02x}")).collect();
    let percent = |kept: &str| -> String {
        let one = |it: u8| match char::from(it) {
            c if c.is_ascii_alphanumeric() || kept.contains(c) => c.to_string(),
            _ => format!("%{it:02X}"),
        };
        secret.bytes().map(one).collect()
    };
    let mut forms = vec![
        secret.to_owned(),
        general_purpose::STANDARD_NO_PAD.encode(secret),
        general_purpose::URL_SAFE_NO_PAD.encode(secret),
        hex.to_uppercase(),
        hex,
        percent(""),
        // As queries have it (application/x-www-form-urlencoded).
        percent("-._*"),
        secret.replace('/', "\\/"),
    ];
    forms.sort();
    forms.dedup();
    forms
}

/// The service says the token wherever it can, and the workflow passes that on, fails with it, and is
/// logged and exported with all of it.
#[test]
fn no_secret_is_in_log_lines_or_in_what_is_exported() {
    let user = User::new();
    // It says what it was shown, as it is and encoded.
    let shop = Receiver::new(|came, _| {
        let shown = came
            .headers
            .get("authorization")
            .cloned()
            .unwrap_or_default();
        let encoded = general_purpose::STANDARD.encode(&shown);
        let body = format!("{{\"said\":\"{shown} {MARKER}\",\"also\":\"{encoded}\"}}");
        let head = match came.path.as_str() {
            "/bad" => "400 Bad\r\ncontent-type: application/json",
            _ => "200 OK\r\ncontent-type: application/json",
        };
        (head, body.into_bytes())
    });
    let receiver = Receiver::willing();
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let settings = format!(
        "[log]\nfilter = \"trace\"\n[otlp]\nendpoint = \"http://{}\"\nmetrics_every = \"1s\"\nauthorization = \"receiver\"\n",
        receiver.address
    );
    fs::write(config.join("nebula.toml"), settings).unwrap();
    user.nebula_with(&["secrets", "set", "receiver"], EXPORTS)
        .exits(0);
    let hosts = shop.address.to_string();
    let add = [
        "credentials",
        "add",
        "shop",
        "--type",
        "bearer",
        "--hosts",
        &hosts,
    ];
    user.nebula_with(&add, TOKEN).exits(0);
    let add = [
        "credentials",
        "add",
        "shop-key",
        "--type",
        "api_key",
        "--field",
        "in=query",
        "--hosts",
        &hosts,
    ];
    user.nebula_with(&add, KEY).exits(0);
    let workflow = format!(
        "id: canary
triggers: [{{ id: t, type: interval, every: 1s, misfire: skip, overlap: skip }}]
nodes:
  - {{ id: ask, action: http.request, parameters: {{ url: \"http://{hosts}/ok\" }}, credentials: {{ auth: shop }} }}
  - {{ id: bad, action: http.request, parameters: {{ url: \"http://{hosts}/bad\" }}, credentials: {{ auth: shop }}, on_error: continue }}
  - {{ id: key, action: http.request, parameters: {{ url: \"http://{hosts}/key\" }}, credentials: {{ auth: shop-key }} }}
  - {{ id: tell, action: flow.emit, parameters: {{ event: told, payload: \"{{{{ $nodes.ask.result }}}}\" }} }}
  - {{ id: fail, action: flow.fail, parameters: {{ code: TOLD, message: \"{{{{ $nodes.ask.result.body.said }}}}\" }} }}
"
    );
    user.write("canary.yaml", &workflow);
    user.nebula(&["workflows", "push", "canary.yaml"]).exits(0);
    user.nebula(&["workflows", "publish", "canary@draft"])
        .exits(0);

    let log = user.work().join("log.txt");
    let mut serving = user
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let exported = || {
        let came = receiver.came();
        let bodies = came.iter().flat_map(|it| [it.path.as_bytes(), &it.body]);
        String::from_utf8_lossy(&bodies.collect::<Vec<_>>().concat()).into_owned()
    };
    let has_spans = || {
        receiver
            .spans()
            .iter()
            .filter(|it| it.name == "canary")
            .count()
            >= 2
    };
    wait_until("two executions are exported", has_spans);
    wait_until("log records are exported", || {
        !receiver.records().is_empty()
    });
    let _ = serving.kill();
    let _ = serving.wait();

    // Both were shown to whom they are for, and what the service said of it was taken out.
    assert!(shop.came().iter().any(|it| {
        it.headers
            .get("authorization")
            .is_some_and(|it| it.contains(TOKEN))
    }));
    assert!(
        shop.came()
            .iter()
            .any(|it| it.path.starts_with("/key?X-API-Key=kanarie"))
    );
    assert!(
        receiver
            .came()
            .iter()
            .all(|it| it.headers["authorization"] == EXPORTS)
    );
    let listed = user
        .nebula(&["executions", "list", "--workflow", "canary"])
        .exits(0)
        .json();
    let id = listed["executions"].as_array().unwrap().last().unwrap()["execution"].clone();
    let shown = user
        .nebula(&["executions", "show", id.as_str().unwrap()])
        .out;
    assert!(
        shown.contains("[secret]") && shown.contains(MARKER),
        "{shown}"
    );

    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("TRACE hyper_util"), "everything is logged");
    let exported = exported();
    assert!(exported.contains("HTTP_400"), "what failed is exported");
    for secret in [TOKEN, KEY, EXPORTS] {
        for form in forms(secret) {
            assert!(!logged.contains(&form), "{form} is in the log");
            assert!(!exported.contains(&form), "{form} is exported");
            assert!(!shown.contains(&form), "{form} is in the journal");
        }
    }
}
