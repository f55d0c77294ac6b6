//! Logging in by a provider of identities: who is let in, and what hostile browsers, people and providers come to.

mod userinfo;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use nebula_core::{Clock as _, Timestamp};
use nebula_oidc::OidcConfig;
use nebula_ports::{AuditLog as _, AuditOutcome};
use nebula_testkit::{AskedHttp, ManualClock, ScriptedAnswer};
use parking_lot::Mutex;
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::support::{Answer, World};

const ISSUER: &str = "https://id.example";
const BACK: &str = "https://nebula.example/api/v1/oidc/callback";
pub(crate) const LOGIN: &str = "/api/v1/oidc/login";

fn coded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the provider answers.
struct Says {
    document: Value,
    /// The seeds of its keys, by their ids.
    keys: Vec<u8>,
    token: (u16, Value),
    userinfo: (u16, Value),
}

/// A provider of identities whose answers a test sets.
#[derive(Clone)]
struct Idp(Arc<Mutex<Says>>);

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

impl Idp {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Says {
            document: json!({
                "issuer": ISSUER,
                "authorization_endpoint": "https://id.example/auth?x=1",
                "token_endpoint": "https://id.example/token",
                "jwks_uri": "https://id.example/jwks",
            }),
            keys: vec![1],
            token: (400, json!({ "error": "invalid_grant" })),
            userinfo: (404, Value::Null),
        })))
    }

    fn answer(&self, asked: &AskedHttp) -> ScriptedAnswer {
        let says = self.0.lock();
        let key = |seed: &u8| json!({ "kty": "OKP", "crv": "Ed25519", "kid": seed.to_string(), "x": coded(pair(*seed).public_key()) });
        let (status, body) = match asked.path.as_str() {
            "/.well-known/openid-configuration" => (200, says.document.clone()),
            "/jwks" => (
                200,
                json!({ "keys": says.keys.iter().map(key).collect::<Vec<_>>() }),
            ),
            "/token" => says.token.clone(),
            "/userinfo" => says.userinfo.clone(),
            _ => (404, Value::Null),
        };
        Ok((status, "", body.to_string()))
    }

    fn signed(seed: u8, head: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", coded(head.to_string()), coded(claims.to_string()));
        let signature = pair(seed).sign(text.as_bytes());
        format!("{text}.{}", coded(signature))
    }

    /// The next code is exchanged for this token.
    fn gives(&self, token: &str) {
        self.0.lock().token = (
            200,
            json!({ "id_token": token, "access_token": "a", "token_type": "Bearer" }),
        );
    }

    /// The next code is exchanged for a good token with these claims; null takes one away.
    fn says(&self, at: Timestamp, nonce: &str, change: &Value) {
        let mut claims = claims(at, nonce);
        for (key, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(key)),
                value => claims[key] = value.clone(),
            }
        }
        self.gives(&Self::signed(
            1,
            &json!({ "alg": "EdDSA", "kid": "1" }),
            &claims,
        ));
    }
}

fn claims(at: Timestamp, nonce: &str) -> Value {
    let now = at.as_millis() / 1_000;
    json!({
        "iss": ISSUER, "aud": "nebula", "sub": "7", "nonce": nonce, "iat": now, "exp": now + 300,
        "email": "Ann@Example.org", "email_verified": true, "name": "Ann",
    })
}

/// A world with a provider, a browser, and a person who was added by her email.
pub(crate) struct Stage {
    pub(crate) world: World,
    idp: Idp,
    clock: Arc<ManualClock>,
}

/// A login that was begun.
struct Begun {
    cookie: String,
    state: String,
    nonce: String,
    challenge: String,
}

impl Begun {
    fn back(&self, more: &str) -> String {
        format!("/api/v1/oidc/callback?code=c1&state={}{more}", self.state)
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(json!({})).await
    }

    async fn with(config: Value) -> Self {
        let (idp, clock) = (Idp::new(), Arc::new(ManualClock::default()));
        let mut whole = json!({ "issuer": ISSUER, "client_id": "nebula", "client_secret": "idp" });
        for (key, value) in config.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let config: OidcConfig = serde_json::from_value(whole).unwrap();
        let answers = idp.clone();
        let script = move |asked: &AskedHttp| answers.answer(asked);
        let world = World::provided(clock.clone(), script, config).await;
        let body = json!({ "value": "s3cret" }).to_string();
        let json = [("content-type", "application/json")];
        let put = world
            .send(Method::PUT, "/api/v1/secrets/idp", &json, body)
            .await;
        assert!(put.status.is_success(), "{}", put.text());
        Self { world, idp, clock }
    }

    /// Adds a person without a password.
    async fn added(&self, login: &str) -> String {
        let body = json!({ "kind": "person", "login": login });
        let added = self.world.post("/api/v1/users", body).await.ok(201);
        added["user"].as_str().unwrap().to_owned()
    }

    async fn begin(&self, query: &str) -> Begun {
        let path = format!("{LOGIN}{query}");
        let answer = self.anonymous(&path, &[]).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.header("set-cookie");
        assert!(
            cookie.ends_with("; Path=/api/v1/oidc; Max-Age=600; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let (to, query) = answer.header("location").split_once('?').unwrap();
        assert_eq!(to, "https://id.example/auth");
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
        let said = |name: &str| pairs.iter().find(|it| it.0 == name).unwrap().1.clone();
        assert_eq!(
            (&*said("x"), &*said("response_type"), &*said("client_id")),
            ("1", "code", "nebula")
        );
        assert_eq!(
            (&*said("scope"), &*said("redirect_uri")),
            ("openid email profile", BACK)
        );
        assert_eq!(said("code_challenge_method"), "S256");
        Begun {
            cookie,
            state: said("state"),
            nonce: said("nonce"),
            challenge: said("code_challenge"),
        }
    }

    pub(crate) async fn anonymous(&self, path: &str, more: &[(&str, &str)]) -> Answer {
        let host = self.world.address.to_string();
        let mut headers = vec![("host", host.as_str())];
        headers.extend(more);
        self.world.raw(Method::GET, path, &headers, "").await
    }

    async fn comes_back(&self, begun: &Begun, more: &str) -> Answer {
        let cookie = [("cookie", &*begun.cookie)];
        self.anonymous(&begun.back(more), &cookie).await
    }

    /// A whole login with a token of these claims.
    pub(crate) async fn logs_in(&self, change: Value) -> Answer {
        self.logs_in_with("", change).await
    }

    pub(crate) async fn logs_in_with(&self, query: &str, change: Value) -> Answer {
        let begun = self.begin(query).await;
        self.idp.says(self.clock.now(), &begun.nonce, &change);
        self.comes_back(&begun, "").await
    }

    /// How often the provider was asked for this.
    fn asked(&self, path: &str) -> usize {
        self.world
            .http
            .asked()
            .iter()
            .filter(|it| it.path == path)
            .count()
    }
}

/// Guards: who was added by a verified email is known by issuer and subject from then on, and by nothing else.
#[tokio::test]
async fn somebody_who_was_added_logs_in_and_is_known_by_subject_from_then_on() {
    let stage = Stage::new().await;
    let ann = stage.added("ann@example.org").await;
    let begun = stage.begin("?return_to=/workflows%3Fa%3D1").await;
    stage.idp.says(stage.clock.now(), &begun.nonce, &json!({}));
    let answer = stage.comes_back(&begun, "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/workflows?a=1"),
        "{}",
        answer.text()
    );
    let cookies: Vec<_> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|it| it.to_str().unwrap())
        .collect();
    assert!(
        cookies
            .iter()
            .any(|it| it.starts_with("nebula_oidc=; ") && it.contains("Max-Age=0")),
        "{cookies:?}"
    );
    let session = cookies
        .iter()
        .find(|it| it.starts_with("nebula_session="))
        .unwrap();
    assert!(session.contains("; HttpOnly; SameSite=Lax"), "{session}");
    let session = session.split(';').next().unwrap();
    let me = stage
        .anonymous("/api/v1/me", &[("cookie", session)])
        .await
        .ok(200);
    assert_eq!(
        (&me["user"], &me["login"], &me["name"]),
        (&json!(ann), &json!("ann@example.org"), &json!("Ann"))
    );
    // As after a login with a password: what changes something needs what only the page was told.
    let logout = stage
        .world
        .ask_as(
            &[("cookie", session)],
            Method::POST,
            "/api/v1/logout",
            Value::Null,
        )
        .await;
    logout.problem(403, "CSRF");
    // The code went with its proof, and with the client's secret in a header.
    let asked = stage.world.http.asked();
    let token = asked.iter().find(|it| it.path == "/token").unwrap();
    let sent: Vec<(String, String)> = serde_urlencoded::from_str(&token.body).unwrap();
    let sent = |name: &str| sent.iter().find(|it| it.0 == name).unwrap().1.clone();
    assert_eq!(
        (&*sent("grant_type"), &*sent("code"), &*sent("redirect_uri")),
        ("authorization_code", "c1", BACK)
    );
    let digest = ring::digest::digest(&ring::digest::SHA256, sent("code_verifier").as_bytes());
    assert_eq!(coded(digest), begun.challenge);
    assert_eq!(token.headers["authorization"], "Basic bmVidWxhOnMzY3JldA==");
    assert!(!token.body.contains("s3cret") && token.redirects.is_none());

    // Another email of the same subject is the same person; the same email of another subject is nobody.
    let again = stage
        .logs_in(json!({ "email": "new@example.org" }))
        .await
        .ok(200);
    assert_eq!(
        (&again["me"]["user"], again["me"]["csrf"].is_string()),
        (&json!(ann), true)
    );
    let other = stage.logs_in(json!({ "sub": "8" })).await;
    other.problem(403, "NO_ACCOUNT");
    let entries = stage
        .world
        .audit
        .entries(&nebula_core::TenantId::local(), 0, 100)
        .await
        .unwrap();
    let linked = entries
        .iter()
        .find(|it| it.new.what == "users.link")
        .unwrap();
    assert!(
        linked.new.change.contains("\"subject\":\"7\""),
        "{linked:?}"
    );
    // Whoever is shut out is not let in by this way either, and not told so.
    let path = format!("/api/v1/users/{ann}/disabled");
    let json = [("content-type", "application/json")];
    stage
        .world
        .send(Method::PUT, &path, &json, r#"{"disabled":true}"#)
        .await
        .ok(200);
    stage.logs_in(json!({})).await.problem(403, "NO_ACCOUNT");
    stage.world.stopped().await;
}

/// Guards: an email that nobody has verified, and somebody who has a password.
#[tokio::test]
async fn an_email_takes_nobody_over() {
    let stage = Stage::new().await;
    stage.added("ann@example.org").await;
    for said in [json!(false), json!("true"), Value::Null] {
        let answer = stage.logs_in(json!({ "email_verified": said })).await;
        answer.problem(403, "NO_ACCOUNT");
    }
    stage
        .world
        .person("bob@example.org", &[("", "admin")])
        .await;
    let answer = stage
        .logs_in(json!({ "sub": "9", "email": "bob@example.org" }))
        .await;
    answer.problem(403, "NO_ACCOUNT");
    let robot = json!({ "kind": "service", "login": "robot@example.org" });
    stage.world.post("/api/v1/users", robot).await.ok(201);
    let answer = stage
        .logs_in(json!({ "sub": "9", "email": "robot@example.org" }))
        .await;
    answer.problem(403, "NO_ACCOUNT");
    // Who was added and did not come for a week is not waited for.
    stage.clock.advance(Duration::from_hours(24 * 7));
    stage.logs_in(json!({})).await.problem(403, "NO_ACCOUNT");
    stage.added("eve@example.org").await;
    let change = json!({ "sub": "6", "email": "eve@example.org" });
    stage
        .clock
        .advance(Duration::from_hours(24 * 7) - Duration::from_millis(1));
    stage.logs_in(change).await.ok(200);
    stage.world.stopped().await;
}

/// Guards: a state counts once, in the browser that began it, for ten minutes.
#[tokio::test]
async fn a_state_counts_once_in_the_browser_that_began() {
    let stage = Stage::new().await;
    stage.added("ann@example.org").await;
    let begun = stage.begin("").await;
    stage.idp.says(stage.clock.now(), &begun.nonce, &json!({}));
    let other = stage.begin("").await;
    // Another browser, none, one with two cookies, a cookie that was changed, another state.
    let two = format!("{}; {}", begun.cookie, begun.cookie);
    let changed = format!("{}x", begun.cookie);
    for cookie in [&*other.cookie, "a=b", "nebula_oidc=", &two, &changed] {
        let answer = stage
            .anonymous(&begun.back(""), &[("cookie", cookie)])
            .await;
        answer.problem(409, "UNKNOWN_STATE");
    }
    for query in ["", "?code=c1", "?code=c1&state="] {
        let path = format!("/api/v1/oidc/callback{query}");
        let answer = stage.anonymous(&path, &[("cookie", &begun.cookie)]).await;
        answer.problem(409, "UNKNOWN_STATE");
    }
    assert_eq!(stage.asked("/token"), 0);
    stage.comes_back(&begun, "").await.ok(200);
    stage
        .comes_back(&begun, "")
        .await
        .problem(409, "UNKNOWN_STATE");
    assert_eq!(stage.asked("/token"), 1);
    for (after, good) in [(599_999, true), (600_000, false)] {
        let begun = stage.begin("").await;
        stage.clock.advance(Duration::from_millis(after));
        stage.idp.says(stage.clock.now(), &begun.nonce, &json!({}));
        let answer = stage.comes_back(&begun, "").await;
        match good {
            true => drop(answer.ok(200)),
            false => drop(answer.problem(409, "UNKNOWN_STATE")),
        }
    }
    let entries = stage
        .world
        .audit
        .entries(&nebula_core::TenantId::local(), 0, 500)
        .await
        .unwrap();
    let denied = entries
        .iter()
        .filter(|it| it.new.what == "sessions.open" && it.new.outcome == AuditOutcome::Denied);
    assert_eq!(denied.count(), 5 + 3 + 1 + 1);
    stage.world.stopped().await;
}

/// Guards: each thing that a token must be; nobody is let in by another one, nor by what a provider refuses.
#[tokio::test]
async fn a_token_that_is_not_for_this_login_lets_nobody_in() {
    let stage = Stage::new().await;
    stage.added("ann@example.org").await;
    let now = stage.clock.now().as_millis() / 1_000;
    for (change, claim) in [
        (json!({ "nonce": "other" }), "nonce"),
        (json!({ "nonce": null }), "nonce"),
        (json!({ "aud": "other" }), "aud"),
        (json!({ "aud": ["nebula", "other"] }), "azp"),
        (json!({ "azp": "other" }), "azp"),
        (json!({ "iss": "https://evil.example" }), "iss"),
        (json!({ "exp": now - 61 }), "exp"),
        (json!({ "iat": now + 100 }), "iat"),
        (json!({ "sub": null }), "sub"),
    ] {
        let refused = stage.logs_in(change).await.problem(403, "LOGIN_REFUSED");
        let why = refused["detail"].as_str().unwrap();
        assert!(why.contains(&format!("`{claim}`")), "{why}");
    }
    let begun = stage.begin("").await;
    let claims = claims(stage.clock.now(), &begun.nonce);
    let unsigned = format!(
        "{}.{}.",
        coded(r#"{"alg":"none"}"#),
        coded(claims.to_string())
    );
    let text = format!(
        "{}.{}",
        coded(r#"{"alg":"HS256","kid":"1"}"#),
        coded(claims.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, pair(1).public_key().as_ref());
    let confused = format!("{text}.{}", coded(hmac::sign(&key, text.as_bytes())));
    let forged = Idp::signed(2, &json!({ "alg": "EdDSA", "kid": "1" }), &claims);
    for (token, why) in [
        (unsigned, "not signed by one of"),
        (confused, "not signed by one of"),
        (forged, "signature"),
        ("nonsense".to_owned(), "is none"),
    ] {
        let begun = stage.begin("").await;
        stage.idp.gives(&token);
        let refused = stage
            .comes_back(&begun, "")
            .await
            .problem(403, "LOGIN_REFUSED");
        assert!(
            refused["detail"].as_str().unwrap().contains(why),
            "{refused}"
        );
    }
    for (answer, status, code) in [
        (
            (400, json!({ "error": "invalid_grant" })),
            403,
            "LOGIN_REFUSED",
        ),
        (
            (401, json!({ "error": "invalid_client" })),
            409,
            "PROVIDER_UNUSABLE",
        ),
        ((503, Value::Null), 503, "PROVIDER_UNAVAILABLE"),
        ((200, json!({ "access_token": "a" })), 403, "LOGIN_REFUSED"),
    ] {
        let begun = stage.begin("").await;
        stage.idp.0.lock().token = answer;
        stage.comes_back(&begun, "").await.problem(status, code);
    }
    let begun = stage.begin("").await;
    let denied = format!(
        "/api/v1/oidc/callback?error=access_denied%20%3Cb%3E&state={}",
        begun.state
    );
    let refused = stage
        .anonymous(&denied, &[("cookie", &begun.cookie)])
        .await
        .problem(403, "LOGIN_REFUSED");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("`access_deniedb`"),
        "{refused}"
    );
    let begun = stage.begin("").await;
    let none = format!("/api/v1/oidc/callback?state={}", begun.state);
    stage
        .anonymous(&none, &[("cookie", &begun.cookie)])
        .await
        .problem(400, "BAD_QUERY");
    stage.world.stopped().await;
}

/// Guards: an answer of another provider is none (RFC 9207), and so is a document of another (Discovery, 4.3).
#[tokio::test]
async fn providers_are_not_mixed_up() {
    let stage = Stage::new().await;
    stage.added("ann@example.org").await;
    let begun = stage.begin("").await;
    stage.idp.says(stage.clock.now(), &begun.nonce, &json!({}));
    let answer = stage.comes_back(&begun, "&iss=https://evil.example").await;
    answer.problem(403, "LOGIN_REFUSED");
    // The code is not sent to anybody.
    assert_eq!(stage.asked("/token"), 0);
    let begun = stage.begin("").await;
    stage.idp.says(stage.clock.now(), &begun.nonce, &json!({}));
    stage
        .comes_back(&begun, "&iss=https://id.example")
        .await
        .ok(200);
    stage.world.stopped().await;

    let stage = Stage::new().await;
    let says = json!(true);
    stage.idp.0.lock().document["authorization_response_iss_parameter_supported"] = says;
    let begun = stage.begin("").await;
    stage.idp.says(stage.clock.now(), &begun.nonce, &json!({}));
    stage
        .comes_back(&begun, "")
        .await
        .problem(403, "LOGIN_REFUSED");
    stage.world.stopped().await;

    for (key, value) in [
        ("issuer", json!("https://evil.example")),
        ("token_endpoint", json!("http://id.example/token")),
        ("jwks_uri", json!("http://127.0.0.1/jwks")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("authorization_endpoint", Value::Null),
        ("code_challenge_methods_supported", json!(["plain"])),
    ] {
        let stage = Stage::new().await;
        stage.idp.0.lock().document[key] = value;
        stage
            .anonymous(LOGIN, &[])
            .await
            .problem(409, "PROVIDER_UNUSABLE");
        stage.world.stopped().await;
    }
}

/// Guards: an unknown key is looked for once in a minute, and a provider that does not answer is left alone for
/// a while; keys that were known go on to count meanwhile.
#[tokio::test]
async fn the_provider_is_asked_seldom_whatever_comes() {
    let stage = Stage::new().await;
    stage.added("ann@example.org").await;
    stage.logs_in(json!({})).await.ok(200);
    let unknown = async |stage: &Stage| {
        let begun = stage.begin("").await;
        let claims = claims(stage.clock.now(), &begun.nonce);
        stage.idp.gives(&Idp::signed(
            2,
            &json!({ "alg": "EdDSA", "kid": "2" }),
            &claims,
        ));
        stage.comes_back(&begun, "").await
    };
    for _ in 0..5 {
        unknown(&stage).await.problem(403, "LOGIN_REFUSED");
    }
    assert_eq!(stage.asked("/jwks"), 1, "they were read just now");
    stage.clock.advance(Duration::from_secs(60));
    unknown(&stage).await.problem(403, "LOGIN_REFUSED");
    unknown(&stage).await.problem(403, "LOGIN_REFUSED");
    assert_eq!(stage.asked("/jwks"), 2);
    stage.idp.0.lock().keys.push(2);
    unknown(&stage).await.problem(403, "LOGIN_REFUSED");
    stage.clock.advance(Duration::from_secs(60));
    unknown(&stage).await.ok(200);
    assert_eq!(
        (
            stage.asked("/jwks"),
            stage.asked("/.well-known/openid-configuration")
        ),
        (3, 1)
    );
    // An hour later the document is read again, and its failure is borne with.
    stage.clock.advance(Duration::from_hours(1));
    let document = std::mem::take(&mut stage.idp.0.lock().document);
    stage.logs_in(json!({})).await.ok(200);
    stage.logs_in(json!({})).await.ok(200);
    assert_eq!(stage.asked("/.well-known/openid-configuration"), 2);
    stage.idp.0.lock().document = document;
    stage.clock.advance(Duration::from_secs(5));
    stage.logs_in(json!({})).await.ok(200);
    assert_eq!(stage.asked("/.well-known/openid-configuration"), 3);
    stage.world.stopped().await;
}

/// Guards: only people of these domains, and as what somebody comes whom nobody has added.
#[tokio::test]
async fn domains_and_roles_say_who_may_come_by_themselves() {
    let roles = json!({ "staff": "viewer", "ops": "operator" });
    let config = json!({ "domains": ["example.org"], "role_claim": "groups", "roles": roles });
    let stage = Stage::with(config).await;
    let made = stage
        .logs_in(json!({ "groups": ["staff", "ops"] }))
        .await
        .ok(200);
    assert_eq!(
        made["me"]["roles"],
        json!([{ "project": null, "role": "operator" }])
    );
    assert_eq!(made["me"]["login"], "ann@example.org");
    // From then on the roles here count.
    let again = stage.logs_in(json!({ "groups": [] })).await.ok(200);
    assert_eq!(again["me"]["roles"], made["me"]["roles"]);
    for change in [
        json!({ "sub": "8", "email": "bob@example.org", "groups": ["other"] }),
        json!({ "sub": "8", "email": "ann@example.org", "groups": ["staff"] }),
    ] {
        stage.logs_in(change).await.problem(403, "NO_ACCOUNT");
    }
    for change in [
        json!({ "sub": "8", "email": "bob@evil.example", "groups": ["staff"] }),
        json!({ "sub": "8", "email": "bob@example.org", "email_verified": false, "groups": ["staff"] }),
        json!({ "email": "ann@evil.example" }),
    ] {
        stage.logs_in(change).await.problem(403, "LOGIN_REFUSED");
    }
    stage.world.stopped().await;
}

/// Guards: nobody is led elsewhere; what a browser shows is a page that carries nothing of the query.
#[tokio::test]
async fn browsers_are_led_nowhere_else_and_see_pages() {
    let stage = Stage::new().await;
    for away in [
        "//evil.example",
        "https://evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "x",
    ] {
        let path = format!("{LOGIN}?return_to={away}");
        stage
            .anonymous(&path, &[])
            .await
            .problem(400, "BAD_RETURN_TO");
    }
    stage
        .anonymous(&format!("{LOGIN}?next=/x"), &[])
        .await
        .problem(400, "BAD_QUERY");
    stage.added("ann@example.org").await;
    let html = ("accept", "text/html,*/*;q=0.8");
    let path = "/api/v1/oidc/callback?error=%3Cscript%3E&state=%3Cscript%3E";
    let answer = stage.anonymous(path, &[html]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (409, "text/html; charset=utf-8")
    );
    assert!(
        answer.text().contains("UNKNOWN_STATE") && !answer.text().contains("script"),
        "{}",
        answer.text()
    );
    assert!(
        answer
            .header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    let begun = stage.begin("").await;
    stage.idp.says(
        stage.clock.now(),
        &begun.nonce,
        &json!({ "name": "<b>Ann</b>" }),
    );
    let cookie = ("cookie", &*begun.cookie);
    let answer = stage.anonymous(&begun.back(""), &[html, cookie]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("&lt;b&gt;Ann"), "{}", answer.text());
    assert_eq!(
        (
            answer.header("cache-control"),
            answer.header("referrer-policy")
        ),
        ("no-store", "no-referrer")
    );
    stage.world.stopped().await;
}

/// Guard: whoever tries again and again from one address waits.
#[tokio::test]
async fn whoever_comes_back_again_and_again_waits() {
    let stage = Stage::new().await;
    let path = "/api/v1/oidc/callback?code=c&state=x";
    for _ in 0..300 {
        stage
            .anonymous(path, &[])
            .await
            .problem(409, "UNKNOWN_STATE");
    }
    let answer = stage.anonymous(path, &[]).await;
    answer.problem(429, "TRIED_TOO_OFTEN");
    assert_eq!(answer.header("retry-after"), "1");
    stage.world.stopped().await;
}
