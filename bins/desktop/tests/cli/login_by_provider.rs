//! Logging in by a provider of identities that is not ours, as `consent.rs` has it.

use std::fs;

use serde_json::{Value, json};

use crate::{
    consent::{PUBLIC, Provider},
    serve::Serving,
    support::User,
};

const JSON: &str = "content-type: application/json\r\n";

/// A server with the provider that its settings name.
fn serving(user: &User, issuer: &str) -> Serving {
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let settings = format!(
        "[serve.limits]\npublic_url = \"{PUBLIC}\"\n[serve.oidc]\nissuer = \"{issuer}\"\nclient_id = \"nebula\"\n\
         client_secret = \"idp\"\n"
    );
    fs::write(config.join("nebula.toml"), settings).unwrap();
    let serving = Serving::start(user);
    let secret = json!({ "value": "a secret of the client" }).to_string();
    let (status, put) = serving.ask("PUT", "/api/v1/secrets/idp", JSON, &secret);
    assert_eq!(status, 201, "{put}");
    serving
}

/// The one header of this name.
fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(it, _)| it.eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("no {name}: {head}")).1
}

fn problem((head, body): &(String, String)) -> (u16, Value) {
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{head}\n{body}"));
    (status, body["code"].clone())
}

/// The cookie of a login that was begun, and where its browser is sent.
fn begun(serving: &Serving, query: &str) -> (String, String) {
    let path = format!("/api/v1/oidc/login{query}");
    let (head, body) = serving.ask_without("GET", &path, "", "");
    assert!(head.starts_with("HTTP/1.1 303"), "{head} {body}");
    let cookie = header(&head, "set-cookie").split(';').next().unwrap();
    (
        format!("cookie: {cookie}\r\n"),
        header(&head, "location").to_owned(),
    )
}

/// Guards: the provider takes challenge, verifier, address and secret; its RS256 signature is checked by the keys
/// that it publishes; a state counts once, in the browser that began; an email that was not verified is nobody's.
#[test]
fn people_log_in_by_a_provider() {
    let back = format!("{PUBLIC}/api/v1/oidc/callback");
    let Some(mut provider) = Provider::start(&back) else {
        return;
    };
    let user = User::new();
    let serving = serving(&user, &provider.issuer);
    for login in ["ada@example.org", "bob@example.org"] {
        let new = json!({ "kind": "person", "login": login }).to_string();
        let (status, added) = serving.ask("POST", "/api/v1/users", JSON, &new);
        assert_eq!(status, 201, "{added}");
    }
    let came = |at: &str| {
        let query = at.strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{at}"));
        query.to_owned()
    };
    let (cookie, url) = begun(&serving, "?return_to=/api/v1/me");
    let (other, _) = begun(&serving, "");
    let callback = came(&provider.consents("ada", &url));
    assert!(callback.contains("iss="), "{callback}");
    let elsewhere = serving.ask_without("GET", &callback, &other, "");
    assert_eq!(problem(&elsewhere), (409, json!("UNKNOWN_STATE")));
    let (head, body) = serving.ask_without("GET", &callback, &cookie, "");
    assert!(head.starts_with("HTTP/1.1 303"), "{head} {body}");
    assert_eq!(header(&head, "location"), "/api/v1/me");
    let session = head
        .lines()
        .find_map(|it| it.split_once("nebula_session="))
        .unwrap()
        .1;
    let session = format!(
        "cookie: nebula_session={}\r\n",
        session.split(';').next().unwrap()
    );
    let (_, me) = serving.ask_without("GET", "/api/v1/me", &session, "");
    let me: Value = serde_json::from_str(&me).unwrap();
    assert_eq!(
        (&me["login"], &me["name"]),
        (&json!("ada@example.org"), &json!("ada"))
    );
    let replayed = serving.ask_without("GET", &callback, &cookie, "");
    assert_eq!(problem(&replayed), (409, json!("UNKNOWN_STATE")));

    // A code of one login is nothing in another: neither its challenge nor its nonce is that one's.
    let (_, url) = begun(&serving, "");
    let stolen = came(&provider.consents("ada", &url));
    let (cookie, url) = begun(&serving, "");
    let own = came(&provider.consents("ada", &url));
    let code = |it: &str| {
        let (_, code) = it.split_once("code=").unwrap();
        code.split('&').next().unwrap().to_owned()
    };
    let swapped = own.replace(&code(&own), &code(&stolen));
    let refused = serving.ask_without("GET", &swapped, &cookie, "");
    assert_eq!(problem(&refused), (403, json!("LOGIN_REFUSED")));
    // An answer that says to be of another provider is none of this one.
    let (cookie, url) = begun(&serving, "");
    let own = came(&provider.consents("ada", &url));
    let (before, _) = own.split_once("iss=").unwrap();
    let mixed = format!("{before}iss=https%3A%2F%2Fevil.example");
    let refused = serving.ask_without("GET", &mixed, &cookie, "");
    assert_eq!(problem(&refused), (403, json!("LOGIN_REFUSED")));

    let (cookie, url) = begun(&serving, "");
    let callback = came(&provider.consents("bob", &url));
    let refused = serving.ask_without("GET", &callback, &cookie, "");
    assert_eq!(problem(&refused), (403, json!("NO_ACCOUNT")));
    let (_, audit) = serving.ask("GET", "/api/v1/audit?limit=100", "", "");
    let audit = audit.to_string();
    assert!(audit.contains("users.link"), "{audit}");
    assert!(!audit.contains("a secret of the client"), "{audit}");
}

/// Guard: a provider that says of itself to be another one is not asked for anybody.
#[test]
fn a_provider_is_the_one_that_is_named() {
    let Some(provider) = Provider::start(&format!("{PUBLIC}/api/v1/oidc/callback")) else {
        return;
    };
    let other = provider.issuer.replace("127.0.0.1", "localhost");
    let user = User::new();
    let serving = serving(&user, &other);
    let refused = serving.ask_without("GET", "/api/v1/oidc/login", "", "");
    assert_eq!(problem(&refused), (409, json!("PROVIDER_UNUSABLE")));
}
