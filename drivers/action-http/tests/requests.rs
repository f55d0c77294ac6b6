//! The actions over a way out that answers as each test says.

#[path = "requests/blobs.rs"]
mod blobs;

use std::{path::Path, sync::Arc, time::Duration};

use indexmap::IndexMap;
use nebula_action::{
    Action, ActionContext, ActionError, Capability, Credentials, Deferred, EffectClass, ErrorClass,
    Grants, Heartbeat, HeldCredential, Http, HttpClient, HttpErrorKind, HttpPhase, Literal,
    Protected, UsableCredential as _,
};
use nebula_core::{CredentialId, ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_expression::{
    CompileOptions, Context, ListOf, LongList, NodeView, Program, Root, Scope,
};
use nebula_testkit::{AskedHttp, ScriptedAnswer, ScriptedHttp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A place where nothing can be read but `$item` and `$index`.
struct Nothing;

impl Scope for Nothing {
    fn root(&self, _: Root) -> Option<&Value> {
        None
    }

    fn node(&self, _: usize, _: &str) -> Option<NodeView<'_>> {
        None
    }

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }
}

fn context(client: &Arc<ScriptedHttp>, grants: &str, programs: &[(&str, &str)]) -> ActionContext {
    let grants = grants.split_whitespace();
    let grants = Grants::new(grants.map(|text| Capability::parse(text, Path::new("/")).unwrap()));
    let client: Arc<dyn HttpClient> = client.clone();
    let deferred = programs.iter().map(|(name, source)| {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        let outer = Arc::new(Nothing);
        let program = Deferred::new(program, outer, Context::default());
        ((*name).to_owned(), program)
    });
    ActionContext {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes([0; 16]),
        workflow: WorkflowId::new("w").unwrap(),
        node: NodeId::new("ask").unwrap(),
        attempt: 1,
        idempotency_key: "key-1".to_owned(),
        now: Timestamp::default(),
        seed: 0,
        timeout: Duration::from_secs(60),
        deadline: None,
        cancellation: CancellationToken::new(),
        heartbeat: Heartbeat::default(),
        http: Http::gated(&client, &grants),
        blobs: None,
        credentials: Credentials::default(),
        grants,
        protected: Protected::default(),
        folder: Arc::from(Path::new("/")),
        deferred: deferred.collect::<IndexMap<_, _>>(),
    }
}

/// What one call gave, and what it sent.
struct Called {
    result: Result<Value, ActionError>,
    sent: Vec<AskedHttp>,
}

const GRANT: &str = "net:api.example:443";

fn call(
    what: (&str, Value),
    how: (&str, &[(&str, &str)]),
    answers: impl Fn(&str) -> ScriptedAnswer + Send + Sync + 'static,
) -> Called {
    call_with(what, how, &Credentials::default(), answers)
}

fn call_with(
    (id, input): (&str, Value),
    (grants, programs): (&str, &[(&str, &str)]),
    credentials: &Credentials,
    answers: impl Fn(&str) -> ScriptedAnswer + Send + Sync + 'static,
) -> Called {
    let client = Arc::new(ScriptedHttp::new(move |asked| answers(&asked.path)));
    let context = ActionContext {
        credentials: credentials.clone(),
        ..context(&client, grants, programs)
    };
    let action = action(id);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let result = runtime.block_on(action.execute(&context, input));
    let sent = client.asked();
    Called {
        result: result.map(|result| result.value),
        sent,
    }
}

fn action(id: &str) -> Arc<dyn Action> {
    let mut all = nebula_action_http::all().into_iter();
    all.find(|action| action.metadata().id.as_str() == id)
        .unwrap()
}

/// A call of `http.request` that is answered with an empty 200.
fn request(input: Value) -> Called {
    call(("http.request", input), (GRANT, &[]), |_| {
        Ok((200, "", String::new()))
    })
}

fn code(called: &Called) -> String {
    match &called.result {
        Ok(value) => panic!("it gave {value}"),
        Err(error) => format!("{} {}", error.code, error.class.as_str()),
    }
}

#[test]
fn a_request_is_sent_as_its_parameters_say() {
    let called = request(json!({
        "method": "PATCH",
        "url": "https://api.example/v1?a=1",
        "query": { "b": ["x y", 2], "no": null, "t": true },
        "headers": { "X-One": "1", "X-Two": ["2", "3"] },
        "body": { "json": { "name": "Ada" } },
    }));
    let sent = &called.sent[0];
    assert_eq!(sent.line, "PATCH /v1?a=1&b=x+y&b=2&t=true");
    assert_eq!(sent.body, r#"{"name":"Ada"}"#);
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.headers.get_all("x-two").iter().count(), 2);
    let expected = json!({ "status": 200, "headers": {}, "body": null, "pages": 1 });
    assert_eq!(called.result.unwrap(), expected);
}

#[test]
fn what_may_write_carries_the_key_of_its_instance() {
    for (method, key, class) in [
        ("GET", None, EffectClass::Read),
        ("HEAD", None, EffectClass::Read),
        ("OPTIONS", None, EffectClass::Read),
        ("POST", Some("key-1"), EffectClass::Keyed),
        ("PUT", Some("key-1"), EffectClass::Keyed),
        ("PATCH", Some("key-1"), EffectClass::Keyed),
        ("DELETE", Some("key-1"), EffectClass::Keyed),
    ] {
        let called = request(json!({ "method": method, "url": "https://api.example/" }));
        let sent = called.sent[0].headers.get("idempotency-key");
        assert_eq!(sent.map(|it| it.to_str().unwrap()), key, "{method}");
        let action = action("http.request");
        assert_eq!(
            action
                .metadata()
                .effect
                .class(|_| Literal::Known(method.into())),
            class
        );
    }
    let own = json!({ "Idempotency-Key": "mine" });
    let called =
        request(json!({ "method": "POST", "url": "https://api.example/", "headers": own }));
    assert_eq!(called.sent[0].headers["idempotency-key"], "mine");
}

#[test]
fn without_a_grant_there_is_no_way_out() {
    for grants in ["", "net:other.example", "net:api.example:80"] {
        let input = json!({ "url": "https://api.example/" });
        let called = call(("http.request", input), (grants, &[]), |_| {
            Ok((200, "", String::new()))
        });
        let error = called.result.unwrap_err();
        let class = ErrorClass::Denied {
            capability: "net:api.example:443".to_owned(),
        };
        assert_eq!(
            (error.code.as_str(), error.class),
            ("CAPABILITY_DENIED", class)
        );
        assert!(
            error
                .message
                .contains(r#"`requires: ["net:api.example:443"]`"#),
            "{}",
            error.message
        );
        assert!(called.sent.is_empty());
    }
}

#[test]
fn a_wrong_parameter_is_refused_before_anything_is_sent() {
    for (input, expected) in [
        (json!({ "url": "api.example/" }), "HTTP_URL"),
        (
            json!({ "url": "https://user:word@api.example/" }),
            "HTTP_URL",
        ),
        (json!({ "url": "ftp://api.example/" }), "HTTP_URL"),
        (
            json!({ "url": "https://api.example/", "headers": { "a b": "x" } }),
            "HTTP_HEADER",
        ),
        (
            json!({ "url": "https://api.example/", "headers": { "a": "x\r\nB: y" } }),
            "HTTP_HEADER",
        ),
        (
            json!({ "url": "https://api.example/", "query": { "a": { "b": 1 } } }),
            "HTTP_VALUE",
        ),
        (
            json!({ "url": "https://api.example/", "body": { "base64": "?" } }),
            "HTTP_BODY",
        ),
        (
            json!({ "url": "https://api.example/", "max_redirects": 21 }),
            "HTTP_REQUEST",
        ),
        (
            json!({ "url": "https://api.example/", "max_size": "1 GiB" }),
            "HTTP_MAX_SIZE",
        ),
        (
            json!({ "url": "https://api.example/", "expect": ["9xx"] }),
            "PARAMETER_INVALID",
        ),
        (
            json!({ "url": "https://api.example/", "method": "TRACE" }),
            "PARAMETER_INVALID",
        ),
        (
            json!({ "url": "https://api.example/", "proxy": "x" }),
            "PARAMETER_INVALID",
        ),
        (
            json!({ "method": "POST", "url": "https://api.example/", "page": { "parameter": "p" } }),
            "HTTP_PAGES",
        ),
        (
            json!({ "url": "https://api.example/", "page": { "parameter": "p" }, "max_pages": 100_000 }),
            "HTTP_PAGES",
        ),
        (
            json!({ "url": "https://api.example/", "expect": ["20xx"] }),
            "PARAMETER_INVALID",
        ),
        (
            json!({ "method": "POST", "url": "https://api.example/", "body": { "multipart": [
                { "name": "a", "text": "b", "content_type": "text/plain\r\nX-Evil: 1" },
            ] } }),
            "HTTP_BODY",
        ),
        (
            json!({ "url": "https://api.example/", "next": "not an expression" }),
            "PARAMETER_NOT_AN_EXPRESSION",
        ),
    ] {
        let called = request(input.clone());
        assert_eq!(
            code(&called),
            format!("{expected} invalid_input"),
            "{input}"
        );
        assert!(called.sent.is_empty());
    }
}

#[test]
fn a_status_that_was_not_expected_is_an_error() {
    let asked = |expect: Value, status| {
        let input = json!({ "url": "https://api.example/", "expect": expect });
        let answers = move |_: &str| Ok((status, "Retry-After: 3", "no secret here".to_owned()));
        call(("http.request", input), (GRANT, &[]), answers)
    };
    assert_eq!(code(&asked(json!(["2xx"]), 404)), "HTTP_404 fatal");
    let error = asked(json!(["2xx"]), 503).result.unwrap_err();
    let after = Some(Duration::from_secs(3));
    assert_eq!(
        (error.code.as_str(), error.class),
        ("HTTP_503", ErrorClass::Retryable { after })
    );
    assert!(!error.message.contains("secret"));
    assert_eq!(code(&asked(json!([201]), 200)), "HTTP_200 fatal");
    assert_eq!(
        asked(json!(["2xx", 404]), 404).result.unwrap()["status"],
        404
    );
    assert_eq!(asked(json!(["4xx"]), 499).result.unwrap()["status"], 499);
}

#[test]
fn a_lost_write_is_unknown_and_a_lost_read_may_be_tried_again() {
    let lost = |method: &str, kind: fn() -> HttpErrorKind| {
        let input = json!({ "method": method, "url": "https://api.example/" });
        code(&call(("http.request", input), (GRANT, &[]), move |_| {
            Err(kind())
        }))
    };
    let broken = || HttpErrorKind::Protocol("cut".to_owned());
    let late = || HttpErrorKind::Timeout {
        phase: HttpPhase::Head,
        limit: Duration::from_secs(1),
    };
    assert_eq!(lost("GET", broken), "HTTP_BROKEN retryable");
    assert_eq!(lost("POST", broken), "HTTP_BROKEN unknown");
    assert_eq!(lost("GET", late), "HTTP_TIMEOUT timeout");
    assert_eq!(
        lost("POST", || HttpErrorKind::TooManyRedirects(3)),
        "HTTP_TOO_MANY_REDIRECTS limit_exceeded"
    );
    assert_eq!(
        lost("GET", || HttpErrorKind::Tls("no".to_owned())),
        "HTTP_NOT_SECURE fatal"
    );
}

/// Three pages of two elements, as an API with `next` in the body.
fn linked(path: &str) -> ScriptedAnswer {
    let n: u32 = path
        .rsplit('=')
        .next()
        .and_then(|it| it.parse().ok())
        .unwrap_or(1);
    let next = (n < 3).then(|| format!("/items?page={}", n + 1));
    let body = json!({ "items": [n * 10, n * 10 + 1], "next": next });
    Ok((200, "Content-Type: application/json", body.to_string()))
}

#[test]
fn pages_follow_the_url_that_each_of_them_names() {
    let programs = [("next", "$item.body.next"), ("items", "$item.body.items")];
    let input = json!({ "url": "https://api.example/items" });
    let called = call(("http.request", input), (GRANT, &programs), linked);
    let value = called.result.unwrap();
    assert_eq!(value["body"], json!([10, 11, 20, 21, 30, 31]));
    assert_eq!(value["pages"], 3);
    let lines: Vec<_> = called.sent.iter().map(|sent| sent.line.as_str()).collect();
    assert_eq!(
        lines,
        ["GET /items", "GET /items?page=2", "GET /items?page=3"]
    );
}

#[test]
fn pages_are_counted_until_one_is_empty_or_a_condition_holds() {
    let counted = |path: &str| {
        let n: u32 = path.split("page=").nth(1).unwrap().parse().unwrap();
        let body = if n < 4 { json!([n]) } else { json!([]) };
        Ok((200, "Content-Type: application/json", body.to_string()))
    };
    let input =
        json!({ "url": "https://api.example/?page=9&q=x", "page": { "parameter": "page" } });
    let called = call(("http.request", input.clone()), (GRANT, &[]), counted);
    assert_eq!(called.result.unwrap()["body"], json!([1, 2, 3]));
    assert_eq!(called.sent[1].line, "GET /?q=x&page=2");
    let until = [("until", "$item.body[0] == 2")];
    let called = call(("http.request", input), (GRANT, &until), counted);
    assert_eq!(called.result.unwrap()["body"], json!([1, 2]));
    let offset = json!({ "parameter": "page", "start": 0, "step": 2 });
    let input = json!({ "url": "https://api.example/", "page": offset });
    let called = call(("http.request", input), (GRANT, &[]), counted);
    assert_eq!(called.result.unwrap()["body"], json!([0, 2]));
}

/// Guards: what excludes each other, and what is about pages without any.
#[test]
fn pages_are_asked_for_in_one_way() {
    for (input, program, place) in [
        (json!({ "page": { "parameter": "p" } }), "next", "/page"),
        (json!({}), "items", "/next"),
        (json!({}), "until", "/next"),
    ] {
        let mut asked = json!({ "url": "https://api.example/" });
        let fields = asked.as_object_mut().unwrap();
        fields.extend(input.as_object().unwrap().clone());
        let called = call(
            ("http.request", asked),
            (GRANT, &[(program, "$item.body")]),
            |_| Ok((200, "", String::new())),
        );
        assert_eq!(code(&called), "HTTP_PAGES invalid_input", "{program}");
        let class = called.result.unwrap_err().class;
        let pointer = place.to_owned();
        assert_eq!(class, ErrorClass::InvalidInput { pointer });
        assert!(called.sent.is_empty());
    }
}

/// Guard: a next page that is an empty text is none.
#[test]
fn an_empty_url_is_no_next_page() {
    let answers = |_: &str| {
        let body = json!({ "next": "" }).to_string();
        Ok((200, "Content-Type: application/json", body))
    };
    let input = json!({ "url": "https://api.example/" });
    let next = [("next", "$item.body.next"), ("items", "[1]")];
    let called = call(("http.request", input), (GRANT, &next), answers);
    assert_eq!(called.result.unwrap()["pages"], 1);
}

/// Guard: bytes that nobody unpacked are not read as if they were the content.
#[test]
fn what_is_packed_otherwise_is_read_as_bytes_only() {
    for (response, head, expected) in [
        ("auto", "Content-Encoding: br", "HTTP_ENCODING fatal"),
        ("json", "Content-Encoding: br", "HTTP_ENCODING fatal"),
        ("text", "Content-Encoding: zstd", "HTTP_ENCODING fatal"),
        ("base64", "Content-Encoding: br", "MQ=="),
        ("text", "Content-Encoding: Identity", "1"),
    ] {
        let input = json!({ "url": "https://api.example/", "response": response });
        let answers = move |_: &str| Ok((200, head, "1".to_owned()));
        let called = call(("http.request", input), (GRANT, &[]), answers);
        let found = match &called.result {
            Ok(value) => value["body"].as_str().unwrap().to_owned(),
            Err(_) => code(&called),
        };
        assert_eq!(found, expected, "{response} {head}");
    }
}

#[test]
fn pages_have_limits() {
    let next = [("next", "$item.body.next"), ("items", "$item.body.items")];
    let asked = |more: Value, answers: fn(&str) -> ScriptedAnswer| {
        let mut input = json!({ "url": "https://api.example/items" });
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        call(("http.request", input), (GRANT, &next), answers)
    };
    assert_eq!(
        code(&asked(json!({ "max_pages": 2 }), linked)),
        "HTTP_TOO_MANY_PAGES limit_exceeded"
    );
    assert_eq!(
        asked(json!({ "max_pages": 3 }), linked).result.unwrap()["pages"],
        3
    );
    // Two pages of some 40 bytes are within 100, three are not.
    assert_eq!(
        code(&asked(json!({ "max_size": "100 B" }), linked)),
        "HTTP_TOO_LARGE limit_exceeded"
    );
    let elsewhere = |_: &str| {
        let body = json!({ "items": [], "next": "https://evil.example/" });
        Ok((200, "Content-Type: application/json", body.to_string()))
    };
    let called = asked(json!({}), elsewhere);
    assert_eq!(code(&called), "HTTP_NEXT_ELSEWHERE fatal");
    assert_eq!(called.sent.len(), 1);
}

#[test]
fn graphql_gives_its_data_and_fails_with_its_errors() {
    let asked = |more: Value, status: u16, body: Value| {
        let mut input = json!({ "url": "https://api.example/graphql", "query": "query A { a }" });
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let body = body.to_string();
        let answers = move |_: &str| Ok((status, "Content-Type: application/json", body.clone()));
        call(("http.graphql", input), (GRANT, &[]), answers)
    };
    let called = asked(
        json!({ "variables": { "x": 1 } }),
        200,
        json!({ "data": { "a": 1 } }),
    );
    assert_eq!(called.sent[0].line, "POST /graphql");
    assert_eq!(
        called.sent[0].body,
        r#"{"query":"query A { a }","variables":{"x":1}}"#
    );
    assert_eq!(called.sent[0].headers.get("idempotency-key"), None);
    assert_eq!(
        called.result.unwrap(),
        json!({ "data": { "a": 1 }, "errors": [] })
    );
    let both = json!({ "data": null, "errors": [{ "message": "no a" }] });
    let failed = asked(json!({}), 200, both.clone());
    assert_eq!(code(&failed), "GRAPHQL_ERRORS fatal");
    assert!(
        failed
            .result
            .unwrap_err()
            .message
            .ends_with("the first: no a")
    );
    let kept = asked(json!({ "errors": "keep" }), 200, both)
        .result
        .unwrap();
    assert_eq!(kept["errors"][0]["message"], "no a");
    assert_eq!(
        code(&asked(json!({}), 503, json!({}))),
        "HTTP_503 retryable"
    );
    assert_eq!(
        code(&asked(json!({}), 200, json!([1]))),
        "GRAPHQL_NO_ANSWER fatal"
    );
    assert_eq!(
        code(&asked(json!({}), 200, json!({ "a": 1 }))),
        "GRAPHQL_NO_ANSWER fatal"
    );
    // Whoever is asked to wait is, also where the body has errors of the operation.
    let said = json!({ "errors": [{ "message": "slow down" }] });
    for (status, code_of) in [
        (429, "HTTP_429 retryable"),
        (503, "HTTP_503 retryable"),
        (400, "GRAPHQL_ERRORS fatal"),
    ] {
        assert_eq!(code(&asked(json!({}), status, said.clone())), code_of);
    }
    let named = json!({ "query": "query A { a } query B { b }", "operation": "B" });
    let called = asked(named, 200, json!({ "data": {} }));
    assert!(called.sent[0].body.contains(r#""operationName":"B""#));
    let sent = &called.sent[0].headers;
    assert_eq!(sent["content-type"], "application/json");
    assert!(sent["accept"].to_str().unwrap().contains("json"));
    let own = json!({ "headers": { "Accept": "application/x-own" } });
    let called = asked(own, 200, json!({ "data": {} }));
    assert_eq!(called.sent[0].headers["accept"], "application/x-own");
    let mutation = json!({ "query": "mutation { a }" });
    assert_eq!(
        code(&asked(mutation, 200, json!({}))),
        "GRAPHQL_KIND invalid_input"
    );
    let mutation = json!({ "query": "mutation { a }", "kind": "mutation" });
    let called = asked(mutation, 200, json!({ "data": {} }));
    assert_eq!(called.sent[0].headers["idempotency-key"], "key-1");
}

/// A bearer credential for api.example, with the value `hunter2`.
fn bearer(fields: &[(&str, &str)], kind: CredentialType) -> Credentials {
    let fields = fields.iter();
    let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).into()));
    let hosts = AllowedHosts::parse(["api.example:443"]).unwrap();
    let credential = Credential::new(kind, fields.collect(), hosts).unwrap();
    let id = CredentialId::new("shop").unwrap();
    let held = HeldCredential::new("auth", id, Arc::new(credential));
    Credentials::new(vec![held])
}

#[test]
fn a_credential_goes_with_each_request_to_its_hosts() {
    let token = bearer(&[("token", "hunter2")], CredentialType::Bearer);
    let url = json!({ "url": "https://api.example/", "headers": { "Authorization": "mine" } });
    let sent = call_with(("http.request", url), (GRANT, &[]), &token, |_| {
        Ok((200, "", String::new()))
    });
    let header = &sent.sent[0].headers["authorization"];
    assert_eq!(
        (header.to_str().unwrap(), header.is_sensitive()),
        ("Bearer hunter2", true)
    );
    assert!(!format!("{:?} {token:?}", sent.sent[0]).contains("hunter2"));
    // Connections, limits and breakers are told apart by it.
    let sender = sent.sent[0].sender.credential.as_ref();
    assert_eq!(sender.map(CredentialId::as_str), Some("shop"));
    let query = [("key", "hunter2 &"), ("in", "query"), ("name", "k")];
    let key = bearer(&query, CredentialType::ApiKey);
    let pages = json!({ "url": "https://api.example/?k=old&a=1", "page": { "parameter": "page" } });
    let sent = call_with(("http.request", pages), (GRANT, &[]), &key, |path| {
        let body = if path.contains("page=3") { "[]" } else { "[1]" };
        Ok((200, "content-type: application/json", body.to_owned()))
    });
    let lines: Vec<_> = sent.sent.iter().map(|it| &*it.line).collect();
    assert_eq!(
        lines,
        [
            "GET /?a=1&page=1&k=hunter2+%26",
            "GET /?a=1&page=2&k=hunter2+%26",
            "GET /?a=1&page=3&k=hunter2+%26",
        ]
    );
    let graphql = json!({ "url": "https://api.example/", "query": "{ a }" });
    let sent = call_with(("http.graphql", graphql), (GRANT, &[]), &token, |_| {
        Ok((200, "", "{\"data\":1}".to_owned()))
    });
    assert_eq!(sent.sent[0].headers["authorization"], "Bearer hunter2");
}

/// Guard: a credential is that of the slot that was asked for, and of no other one.
#[test]
fn a_credential_in_another_slot_does_not_go_along() {
    let fields = [("token".to_owned(), "hunter2".into())];
    let hosts = AllowedHosts::parse(["api.example:443"]).unwrap();
    let token = Credential::new(CredentialType::Bearer, fields.into(), hosts).unwrap();
    let id = CredentialId::new("shop").unwrap();
    let held = Credentials::new(vec![HeldCredential::new("other", id, Arc::new(token))]);
    let input = json!({ "url": "https://api.example/" });
    let called = call_with(("http.request", input), (GRANT, &[]), &held, |_| {
        Ok((200, "", String::new()))
    });
    assert_eq!(called.sent[0].headers.get("authorization"), None);
}

#[test]
fn a_credential_goes_to_no_other_host() {
    let token = bearer(&[("token", "hunter2")], CredentialType::Bearer);
    for url in [
        "https://evil.example/",
        "http://api.example/",
        "https://api.example:8443/",
    ] {
        let input = json!({ "url": url });
        let called = call_with(("http.request", input), ("net:*", &[]), &token, |_| {
            Ok((200, "", String::new()))
        });
        assert_eq!(code(&called), "CREDENTIAL_HOST fatal");
        assert!(called.sent.is_empty());
        let message = called.result.unwrap_err().message;
        assert!(
            message.contains("`shop` may not be sent here, only to api.example:443"),
            "{message}"
        );
    }
    let database = [("url", "postgres://a:hunter2@b/c")];
    let database = bearer(&database, CredentialType::DatabaseUrl);
    let input = json!({ "url": "https://api.example/" });
    let called = call_with(("http.request", input), ("net:*", &[]), &database, |_| {
        Ok((200, "", String::new()))
    });
    assert_eq!(code(&called), "CREDENTIAL_TYPE fatal");
    assert!(called.sent.is_empty());
}

#[test]
fn the_slots_name_types_that_there_are() {
    for action in nebula_action_http::all() {
        let slots = &action.metadata().credentials;
        assert_eq!(
            (slots.len(), &*slots[0].name, slots[0].required),
            (1, "auth", false)
        );
        for name in &slots[0].types {
            let kind: CredentialType = name.parse().unwrap();
            assert!(kind.fields().iter().any(|field| field.secret), "{name}");
        }
    }
}

#[test]
fn every_type_of_credential_that_goes_with_a_request_fits_the_slot() {
    let field = |name: &str| (name.to_owned(), "https://a.example/".into());
    let time = ("expires_at".to_owned(), "2030-01-01T00:00:00Z".into());
    for kind in CredentialType::ALL {
        // Whatever a type takes, each field has a value that fits.
        let fields = kind.fields().iter().map(|it| match it.name {
            "expires_at" => time.clone(),
            "in" => ("in".to_owned(), "header".into()),
            "client_auth" => ("client_auth".to_owned(), "basic".into()),
            "name" => ("name".to_owned(), "X-Key".into()),
            "username" => ("username".to_owned(), "ada".into()),
            name if kind == CredentialType::WebhookSignature => {
                let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
                (name.to_owned(), secret.into())
            }
            name => field(name),
        });
        let hosts = AllowedHosts::parse(["a.example:443"]).unwrap();
        let Ok(credential) = Credential::new(kind, fields.collect(), hosts) else {
            // A private key and the fields of `custom` are made otherwise, and go with no request.
            assert!(matches!(
                kind,
                CredentialType::SshKey | CredentialType::Custom
            ));
            continue;
        };
        let goes = credential.http_auth().is_some();
        for action in nebula_action_http::all() {
            let slots = &action.metadata().credentials;
            let takes = slots
                .iter()
                .any(|slot| slot.types.iter().any(|it| it == kind.name()));
            // Nobody has a webhook that speaks GraphQL.
            let signs = kind == CredentialType::WebhookSignature;
            let fits = goes && !(signs && action.metadata().id.as_str() == "http.graphql");
            assert_eq!(takes, fits, "{kind} in {}", action.metadata().id);
        }
    }
}
