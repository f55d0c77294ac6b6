//! Webhooks are read from their fields, and a delivery proves who calls or is refused.

use std::time::Duration;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use nebula_core::{SecretString, Timestamp};
use nebula_trigger::{Auth, BodyKind, Headers, Proof, Refused, Respond, Webhook, query_of};
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

fn read(fields: Value) -> Result<Webhook, Vec<String>> {
    let Value::Object(fields) = fields else {
        panic!("fields are an object")
    };
    let read = Webhook::read("webhook", &fields).expect("it is one");
    read.map_err(|errors| {
        let told = errors.iter();
        told.map(|error| format!("{}: {}", error.field, error.message))
            .collect()
    })
}

fn auth(auth: &Value) -> Auth {
    read(json!({ "auth": auth })).unwrap().auth
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2026-01-01T00:00:00Z";

fn check(
    auth: &Auth,
    headers: &[(&str, &str)],
    body: &str,
    secret: &str,
) -> Result<Proof, Refused> {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let secret = SecretString::from(secret);
    auth.check(
        &Headers(headers.collect()),
        body.as_bytes(),
        Some(&secret),
        at(NOW),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
        .as_ref()
        .to_vec()
}

#[test]
fn a_webhook_has_its_fields_and_the_rest_has_defaults() {
    let least = read(json!({ "auth": "none" })).unwrap();
    assert_eq!((&*least.methods, &least.auth), (&["POST"][..], &Auth::None));
    assert_eq!(
        (least.body, least.respond, least.status),
        (BodyKind::Json, Respond::Now, 202)
    );
    let all = json!({
        "auth": { "type": "header", "name": "X-Api-Key", "secret": "shop-key" },
        "path": "/orders/{order}/lines", "methods": ["get", "PUT"], "body": "form", "max_body": "1 MiB",
        "body_schema": { "type": "object" }, "filter": "$trigger.body.a == 1", "dedupe": "$trigger.body.id",
        "ips": ["192.0.2.0/24", "2001:db8::1"], "cors": ["https://shop.example"],
        "respond": "last_node", "wait": "5s", "status": 201,
    });
    let all = read(all).unwrap();
    assert_eq!(all.methods, ["GET", "PUT"]);
    assert_eq!(
        (all.respond, all.wait),
        (Respond::LastNode, Duration::from_secs(5))
    );
    assert_eq!(all.path.to_string(), "/orders/{order}/lines");
    let path = |text: &str| {
        all.path
            .params(&text.split('/').map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(path("orders/7/lines").unwrap()["order"], "7");
    for other in [
        "orders/7",
        "orders/7/lines/8",
        "order/7/lines",
        "orders/7/line",
    ] {
        assert_eq!(path(other), None, "{other}");
    }
    assert!(
        all.lets_in("192.0.2.7".parse().unwrap()) && all.lets_in("2001:db8::1".parse().unwrap())
    );
    assert!(
        !all.lets_in("192.0.3.7".parse().unwrap()) && !all.lets_in("2001:db8::2".parse().unwrap())
    );
    assert_eq!(
        all.allows_origin("https://SHOP.example"),
        Some("https://shop.example")
    );
    assert_eq!(all.allows_origin("https://shop.example.evil"), None);
    assert!(Webhook::read("cron", &serde_json::Map::new()).is_none());
}

#[test]
fn every_problem_is_told() {
    let wrong = |fields: Value, expected: &str| {
        let found = read(fields.clone()).unwrap_err();
        assert!(
            found.iter().any(|it| it.contains(expected)),
            "{fields}: {found:?}"
        );
    };
    wrong(json!({}), "auth: it is missing");
    wrong(json!({ "auth": "open" }), "expected `none`");
    wrong(
        json!({ "auth": { "type": "digest" } }),
        "`digest` is none of",
    );
    wrong(
        json!({ "auth": { "type": "header", "name": "a b", "secret": "x" } }),
        "no name of a header",
    );
    // A secret has no place in a definition, and those of the installation are nobody's password.
    wrong(
        json!({ "auth": { "type": "header", "name": "x", "secret": "hunter two!" } }),
        "the id of a secret",
    );
    wrong(
        json!({ "auth": { "type": "header", "name": "x", "secret": "nebula.credential-key.1" } }),
        "of the installation",
    );
    wrong(
        json!({ "auth": { "type": "header", "name": "x", "value": "hunter2" } }),
        "`value`: ",
    );
    let hmac = |more: Value| {
        let mut all = json!({ "type": "hmac", "secret": "x", "header": "X-Signature" });
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "auth": all })
    };
    // Without the body, a signature would be one of every body.
    wrong(
        hmac(json!({ "timestamp": "X-Time", "signed": "{timestamp}" })),
        "`{body}` must be in it",
    );
    wrong(
        hmac(json!({ "signed": "{timestamp}" })),
        "`{body}` must be in it",
    );
    wrong(
        hmac(json!({ "timestamp": "X-Time", "signed": "{body}" })),
        "`{timestamp}` where there is",
    );
    wrong(hmac(json!({ "window": "5m" })), "there is no `timestamp`");
    wrong(
        hmac(json!({ "timestamp": "X-Time", "window": "2d" })),
        "too long",
    );
    wrong(hmac(json!({ "signed": "{bodies}" })), "is none of");
    wrong(hmac(json!({ "algorithm": "md5" })), "none of `sha256`");
    wrong(
        json!({ "auth": { "type": "ed25519", "header": "x", "public_key": "abcd" } }),
        "32 bytes",
    );
    wrong(
        json!({ "auth": { "type": "jwt", "algorithm": "none" } }),
        "`none` is none of",
    );
    wrong(
        json!({ "auth": { "type": "jwt", "algorithm": "RS256", "secret": "x" } }),
        "no secret",
    );
    wrong(json!({ "auth": "none", "path": "a/{b}/{b}" }), "twice");
    wrong(json!({ "auth": "none", "path": "a/../b" }), "no segment");
    wrong(json!({ "auth": "none", "method": "TRACE" }), "none of GET");
    wrong(
        json!({ "auth": "none", "max_body": "1 GiB" }),
        "1 B to 4 MiB",
    );
    wrong(
        json!({ "auth": "none", "body": "multipart", "max_body": "2 GiB" }),
        "1 B to 1 GiB",
    );
    wrong(
        json!({ "auth": "none", "body": "multipart", "max_body": "1 KiB", "max_file": "2 KiB" }),
        "max_file: it is 1 B to 1 KiB",
    );
    wrong(
        json!({ "auth": "none", "max_file": "1 KiB" }),
        "`body: multipart` only",
    );
    for signed in [
        json!({ "type": "hmac", "secret": "s", "header": "X-S" }),
        json!({ "type": "standard_webhooks", "secret": "s" }),
    ] {
        wrong(
            json!({ "auth": signed, "body": "multipart" }),
            "a signature counts once all of them have",
        );
    }
    wrong(
        json!({ "auth": "none", "ips": ["192.0.2.0/33"] }),
        "neither an address",
    );
    wrong(
        json!({ "auth": "none", "cors": ["shop.example"] }),
        "no origin",
    );
    wrong(json!({ "auth": "none", "status": 302 }), "200 to 299");
    wrong(
        json!({ "auth": "none", "body": "none", "body_schema": {} }),
        "there is no body",
    );
}

#[test]
fn a_name_and_a_password_or_a_header_must_be_right() {
    let basic = auth(&json!({ "type": "basic", "user": "shop", "secret": "pass" }));
    let shown = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let of = |value: &str| check(&basic, &[("authorization", value)], "", "hunter2:x");
    assert!(of(&shown("shop:hunter2:x")).is_ok());
    for wrong in [
        "shop:hunter2",
        "shop:",
        "shop2:hunter2:x",
        "shop:hunter2:xx",
        ":hunter2:x",
    ] {
        assert_eq!(
            of(&shown(wrong)),
            Err(Refused::Wrong("the name or the password")),
            "{wrong}"
        );
    }
    for malformed in ["Basic !", "Bearer x", "Basic", &shown("shop")] {
        assert!(
            matches!(of(malformed), Err(Refused::Malformed(_))),
            "{malformed}"
        );
    }
    let header = auth(&json!({ "type": "header", "name": "X-Key", "secret": "key" }));
    assert!(check(&header, &[("x-key", "k1")], "", "k1").is_ok());
    assert_eq!(
        check(&header, &[("x-key", "k")], "", "k1"),
        Err(Refused::Wrong("the secret"))
    );
    // Two of them mean two things to two readers.
    let twice = [("x-key", "k1"), ("x-key", "k1")];
    assert!(matches!(
        check(&header, &twice, "", "k1"),
        Err(Refused::Missing(_))
    ));
    assert!(matches!(
        check(&header, &[], "", "k1"),
        Err(Refused::Missing(_))
    ));
    // A secret that is not there opens nothing.
    let headers = Headers(vec![("x-key".to_owned(), Vec::new())]);
    assert!(header.check(&headers, b"", None, at(NOW)).is_err());
    assert!(header.hides("x-key") && header.hides("authorization") && !header.hides("x-other"));
}

#[test]
fn a_signature_is_of_the_body_and_the_time_and_counts_for_a_while() {
    let stamped = auth(&json!({
        "type": "hmac", "secret": "key", "header": "X-Signature", "timestamp": "X-Time", "prefix": "sha256=", "window": "5m",
    }));
    let now = at(NOW).as_millis() / 1_000;
    let signed =
        |time: i64, body: &str| format!("sha256={}", hex(&mac(b"k", &format!("{time}.{body}"))));
    let of = |time: i64, signature: &str, body: &str| {
        let time = time.to_string();
        check(
            &stamped,
            &[("x-time", &time), ("x-signature", signature)],
            body,
            "k",
        )
    };
    let proof = of(now, &signed(now, "{}"), "{}").unwrap();
    // A replay is known by what was signed, however the signature is written.
    let upper = signed(now, "{}")
        .to_uppercase()
        .replace("SHA256=", "sha256=");
    assert_eq!(of(now, &upper, "{}").unwrap(), proof);
    assert_ne!(of(now - 1, &signed(now - 1, "{}"), "{}").unwrap(), proof);
    assert_eq!(
        of(now, &signed(now, "{}"), "{ }"),
        Err(Refused::Wrong("the signature"))
    );
    assert_eq!(
        of(now - 1, &signed(now, "{}"), "{}"),
        Err(Refused::Wrong("the signature"))
    );
    assert_eq!(
        of(now, &signed(now, "{}")[7..], "{}"),
        Err(Refused::Wrong("the signature"))
    );
    assert_eq!(
        of(now, "sha256=", "{}"),
        Err(Refused::Wrong("the signature"))
    );
    for (off, counts) in [
        (-300, true),
        (300, true),
        (-301, false),
        (301, false),
        (-86_400, false),
    ] {
        let found = of(now + off, &signed(now + off, "{}"), "{}");
        assert_eq!(found.is_ok(), counts, "{off}");
        assert!(counts || found == Err(Refused::Stale(Duration::from_secs(300))));
    }
    // An empty key would be everybody's.
    let empty = check(
        &stamped,
        &[
            ("x-time", &now.to_string()),
            (
                "x-signature",
                &format!("sha256={}", hex(&mac(b"", &format!("{now}.{{}}")))),
            ),
        ],
        "{}",
        "",
    );
    assert!(empty.is_err());
}

#[test]
fn signatures_are_read_as_their_senders_write_them() {
    // Parts of one header, as a payment service sends them; while a key is replaced there are two.
    let parts = auth(&json!({
        "type": "hmac", "secret": "key", "header": "Pay-Signature", "part": "v1", "timestamp_part": "t",
    }));
    let now = at(NOW).as_millis() / 1_000;
    let right = hex(&mac(b"k", &format!("{now}.body")));
    let header = format!("t={now},v1={},v1={right},v0=00", hex(&mac(b"old", "x")));
    assert!(check(&parts, &[("pay-signature", &header)], "body", "k").is_ok());
    let without = format!("t={now},v0={right}");
    assert!(check(&parts, &[("pay-signature", &without)], "body", "k").is_err());
    // Base64 over an id, a time and a body, with a key in base64.
    let standard = auth(&json!({
        "type": "hmac", "secret": "key", "key_encoding": "base64", "header": "webhook-signature", "prefix": "v1,",
        "encoding": "base64", "timestamp": "webhook-timestamp", "signed": "{header:webhook-id}.{timestamp}.{body}",
    }));
    let time = now.to_string();
    let signature = format!(
        "v1,{}",
        STANDARD.encode(mac(b"\x01\x02\xff", &format!("m1.{now}.body")))
    );
    let headers = [
        ("webhook-id", "m1"),
        ("webhook-timestamp", &*time),
        ("webhook-signature", &*signature),
    ];
    assert!(check(&standard, &headers, "body", "AQL/").is_ok());
    let other = [("webhook-id", "m2"), headers[1], headers[2]];
    assert!(check(&standard, &other, "body", "AQL/").is_err());
    // Ed25519 over time and body.
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let ed25519 = auth(&json!({
        "type": "ed25519", "public_key": hex(pair.public_key().as_ref()), "header": "X-Signature-Ed25519",
        "timestamp": "X-Signature-Timestamp", "signed": "{timestamp}{body}",
    }));
    assert!(ed25519.secret().is_none());
    let signature = hex(pair.sign(format!("{now}body").as_bytes()).as_ref());
    let headers = [
        ("x-signature-timestamp", &*time),
        ("x-signature-ed25519", &*signature),
    ];
    assert!(check(&ed25519, &headers, "body", "").is_ok());
    assert!(check(&ed25519, &headers, "body2", "").is_err());
}

fn token(head: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(head), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("Bearer {signed}.{signature}")
}

#[test]
fn a_token_counts_by_the_algorithm_that_the_trigger_names() {
    const KEY: &str = "a key of thirty-two bytes or more";
    let now = at(NOW).as_millis() / 1_000;
    let hs = auth(
        &json!({ "type": "jwt", "algorithm": "HS256", "secret": "key", "issuer": "me", "audience": "you" }),
    );
    let sign = |key: &str| {
        let key = key.as_bytes().to_vec();
        move |signed: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed)
                .as_ref()
                .to_vec()
        }
    };
    let right = json!({ "exp": now + 60, "iss": "me", "aud": ["x", "you"], "sub": "ada" });
    let of = |token: &str| check(&hs, &[("authorization", token)], "", KEY);
    let proof = of(&token(&json!({ "alg": "HS256" }), &right, sign(KEY))).unwrap();
    assert_eq!(proof.claims.unwrap()["sub"], "ada");
    for (head, claims, key) in [
        (json!({ "alg": "HS512" }), right.clone(), KEY),
        (json!({ "alg": "none" }), right.clone(), KEY),
        (
            json!({ "alg": "HS256", "crit": ["b64"] }),
            right.clone(),
            KEY,
        ),
        (
            json!({ "alg": "HS256" }),
            right.clone(),
            "another key of at least 32 bytes",
        ),
        (
            json!({ "alg": "HS256" }),
            json!({ "exp": now - 31, "iss": "me", "aud": "you" }),
            KEY,
        ),
        (
            json!({ "alg": "HS256" }),
            json!({ "iss": "me", "aud": "you" }),
            KEY,
        ),
        (
            json!({ "alg": "HS256" }),
            json!({ "exp": "later", "iss": "me", "aud": "you" }),
            KEY,
        ),
        (
            json!({ "alg": "HS256" }),
            json!({ "exp": now + 60, "nbf": now + 31, "iss": "me", "aud": "you" }),
            KEY,
        ),
        (
            json!({ "alg": "HS256" }),
            json!({ "exp": now + 60, "iss": "him", "aud": "you" }),
            KEY,
        ),
        (
            json!({ "alg": "HS256" }),
            json!({ "exp": now + 60, "iss": "me", "aud": ["us"] }),
            KEY,
        ),
        (
            json!({ "alg": "HS256" }),
            json!({ "exp": now + 60, "iss": "me" }),
            KEY,
        ),
    ] {
        assert!(
            of(&token(&head, &claims, sign(key))).is_err(),
            "{head} {claims}"
        );
    }
    // A key that could be guessed from one token is none.
    let short = token(&json!({ "alg": "HS256" }), &right, sign("short"));
    assert!(check(&hs, &[("authorization", &short)], "", "short").is_err());
    // A public key is not taken for a secret, whatever the token says.
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let ed = auth(
        &json!({ "type": "jwt", "algorithm": "EdDSA", "key": { "kty": "OKP", "crv": "Ed25519", "x": x } }),
    );
    let own = |signed: &[u8]| pair.sign(signed).as_ref().to_vec();
    let good = token(&json!({ "alg": "EdDSA" }), &right, own);
    assert!(check(&ed, &[("authorization", &good)], "", "").is_ok());
    let public = pair.public_key().as_ref().to_vec();
    let confused = token(&json!({ "alg": "HS256" }), &right, |signed| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), signed)
            .as_ref()
            .to_vec()
    });
    assert!(check(&ed, &[("authorization", &confused)], "", "").is_err());
}

#[test]
fn tokens_of_rsa_and_of_p256_are_checked_by_the_vectors_of_their_rfc() {
    // RFC 7515, appendix A.2 and A.3; their claims expired in 2011.
    let then = at("2011-03-22T18:00:00Z");
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rs = auth(
        &json!({ "type": "jwt", "algorithm": "RS256", "key": { "kty": "RSA", "e": "AQAB", "n": concat!(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR",
        "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB",
        "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia",
        "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ") } }),
    );
    let es = auth(
        &json!({ "type": "jwt", "algorithm": "ES256", "key": { "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" } }),
    );
    let of = |auth: &Auth, token: &str| {
        let headers = Headers(vec![(
            "authorization".to_owned(),
            format!("Bearer {token}").into_bytes(),
        )]);
        auth.check(&headers, b"", None, then)
    };
    let rsa = format!(
        "eyJhbGciOiJSUzI1NiJ9.{claims}.{}",
        concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9",
            "uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB",
            "_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq",
            "Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        )
    );
    assert_eq!(of(&rs, &rsa).unwrap().claims.unwrap()["iss"], "joe");
    let ec = format!(
        "eyJhbGciOiJFUzI1NiJ9.{claims}.{}",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert_eq!(of(&es, &ec).unwrap().claims.unwrap()["iss"], "joe");
    assert!(of(&rs, &ec).is_err() && of(&es, &rsa).is_err());
    let cut = &rsa[..rsa.len() - 4];
    assert!(of(&rs, cut).is_err());
}

#[test]
fn a_body_is_what_the_trigger_says_whatever_the_caller_does() {
    let of = |kind: &str, media: Option<&str>, bytes: &[u8]| {
        let hook = read(json!({ "auth": "none", "body": kind })).unwrap();
        hook.body("POST", media, bytes)
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        of("json", Some("application/json"), b"{\"a\":1}").unwrap(),
        json!({ "a": 1 })
    );
    assert_eq!(
        of("json", Some("application/cloudevents+json"), b"[]").unwrap(),
        json!([])
    );
    for media in [
        None,
        Some("text/plain"),
        Some("application/xml"),
        Some("multipart/form-data"),
    ] {
        assert!(
            of("json", media, b"{}")
                .unwrap_err()
                .contains("this webhook takes application/json")
        );
    }
    let broken = of("json", Some("application/json"), b"{\"secret\": x}").unwrap_err();
    assert!(
        broken.contains("line 1, column 12") && !broken.contains("secret"),
        "{broken}"
    );
    let deep = "[".repeat(100_000);
    assert!(of("json", Some("application/json"), deep.as_bytes()).is_err());
    let form = of(
        "form",
        Some("application/x-www-form-urlencoded"),
        b"a=1&b=x%20y&a=2",
    )
    .unwrap();
    assert_eq!(form, json!({ "a": ["1", "2"], "b": "x y" }));
    assert_eq!(
        of("text", Some("text/csv"), "ä".as_bytes()).unwrap(),
        json!("ä")
    );
    assert!(
        of("text", Some("text/csv"), b"\xff")
            .unwrap_err()
            .contains("byte 0")
    );
    assert_eq!(
        of("raw", Some("image/png"), b"\x00\xff").unwrap(),
        json!({ "media": "image/png", "size": 2, "base64": "AP8=" })
    );
    assert_eq!(of("none", None, b"").unwrap(), Value::Null);
    assert!(of("none", None, b"x").is_err());
    assert_eq!(
        Value::Object(query_of("a=1&a=2&b=")),
        json!({ "a": ["1", "2"], "b": "" })
    );
}
