//! To which queues triggers listen, and what they tell.

use nebula_trigger::{MAX_TOPIC_FILTER, PayloadKind, Queue};
use serde_json::{Map, Value, json};

fn read(fields: &Value) -> Result<Queue, Vec<String>> {
    let fields: &Map<_, _> = fields.as_object().unwrap();
    let queue = Queue::read("mqtt", fields).unwrap();
    queue.map_err(|errors| {
        let text = errors
            .into_iter()
            .map(|it| format!("{}: {}", it.field, it.message));
        text.collect()
    })
}

fn at(broker: &str) -> Result<Queue, Vec<String>> {
    read(&json!({ "broker": broker, "topics": ["a"] }))
}

#[test]
fn the_fields_are_read() {
    let found = read(&json!({
        "broker": "mqtts://mqtt.example:9000", "topics": ["a/+/b", "#", "+", "/"], "qos": 0, "user": "ada",
        "secret": "mqtt", "payload": "base64", "dedupe": "1", "requires": ["net:10.0.0.0/8"], "key": "2",
    }));
    let found = found.unwrap();
    assert_eq!(
        (found.address.as_str(), found.tls, found.keeps),
        ("mqtt.example:9000", true, false)
    );
    assert_eq!(found.topics.len(), 4);
    assert_eq!(found.login, Some(("ada".to_owned(), "mqtt".to_owned())));
    assert_eq!(found.payload, PayloadKind::Base64);
    assert_eq!(
        (found.dedupe.as_deref(), found.requires.len()),
        (Some("1"), 1)
    );
    for (broker, address, tls) in [
        ("mqtt://mqtt.example", "mqtt.example:1883", false),
        ("mqtts://mqtt.example", "mqtt.example:8883", true),
        ("mqtt://[2001:db8::1]", "[2001:db8::1]:1883", false),
        ("mqtt://[2001:db8::1]:7", "[2001:db8::1]:7", false),
    ] {
        let found = at(broker).unwrap();
        assert_eq!(
            (found.address.as_str(), found.tls, found.keeps),
            (address, tls, true)
        );
    }
    assert!(Queue::read("file", &Map::new()).is_none());
}

/// Each says which field, and what would be right.
#[test]
fn wrong_fields_are_refused() {
    let with = |field: &str, value: Value| {
        let mut fields = json!({ "broker": "mqtt://b", "topics": ["a"] });
        fields[field] = value;
        fields
    };
    let long = "x".repeat(MAX_TOPIC_FILTER + 1);
    for (fields, said) in [
        (json!({ "topics": ["a"] }), "broker: it is missing"),
        (json!({ "broker": "mqtt://b" }), "topics: it is missing"),
        (
            with("broker", json!("http://b")),
            "broker: it begins with `mqtt://`",
        ),
        (with("broker", json!("mqtt://")), "broker: expected a host"),
        (
            with("broker", json!("mqtt://b:0")),
            "broker: expected a host",
        ),
        (
            with("broker", json!("mqtt://b:x")),
            "broker: expected a host",
        ),
        (
            with("broker", json!("mqtt://ada:wrench@b")),
            "broker: expected a host",
        ),
        (
            with("broker", json!("mqtt://b/path")),
            "broker: expected a host",
        ),
        (
            with("topics", json!(["a/b#"])),
            "topics: `a/b#` is no topic filter",
        ),
        (
            with("topics", json!(["#/a"])),
            "topics: `#/a` is no topic filter",
        ),
        (
            with("topics", json!(["a+"])),
            "topics: `a+` is no topic filter",
        ),
        (with("topics", json!([""])), "topics: `` is no topic filter"),
        (
            with("topics", json!(["\0"])),
            "topics: `\0` is no topic filter",
        ),
        (with("topics", json!([long])), "topics: `xxx"),
        (with("topics", json!("a")), "topics: expected a list"),
        (with("qos", json!(2)), "qos: expected 1"),
        (with("user", json!("ada")), "user: `user` and `secret`"),
        (with("secret", json!("mqtt")), "user: `user` and `secret`"),
        (with("payload", json!("xml")), "payload: `xml` is none of"),
        (
            with("requires", json!(["fs:read:/"])),
            "requires: expected `net:`",
        ),
        (
            with("path", json!("x")),
            "path: a trigger of this kind has no such field",
        ),
    ] {
        let errors = read(&fields).unwrap_err();
        assert!(
            errors.len() == 1 && errors[0].starts_with(said),
            "{errors:?}, not {said}"
        );
    }
    for gathers in [
        json!({ "debounce": "1s" }),
        json!({ "batch": { "size": 2, "wait": "1s" } }),
    ] {
        let mut fields = with("dedupe", json!("1"));
        fields
            .as_object_mut()
            .unwrap()
            .extend(gathers.as_object().unwrap().clone());
        let errors = read(&fields).unwrap_err();
        assert!(
            errors[0].starts_with("dedupe: `dedupe` starts one execution"),
            "{errors:?}"
        );
    }
}

/// What brokers take, and nobody else's.
#[test]
fn who_listens_is_known_by_what_it_listens_to() {
    let one = at("mqtt://b").unwrap();
    let name = one.consumer("local", "w", "t");
    assert!(
        name.len() == 23 && name.chars().all(|it| it.is_ascii_alphanumeric()),
        "{name}"
    );
    let mut same = one.clone();
    (same.payload, same.dedupe) = (PayloadKind::Json, Some("1".to_owned()));
    assert_eq!(same.consumer("local", "w", "t"), name);
    let others = [
        one.consumer("other", "w", "t"),
        one.consumer("local", "v", "t"),
        one.consumer("local", "w", "s"),
        at("mqtts://b").unwrap().consumer("local", "w", "t"),
        read(&json!({ "broker": "mqtt://b", "topics": ["b"] }))
            .unwrap()
            .consumer("local", "w", "t"),
    ];
    assert!(!others.contains(&name));
}

#[test]
fn a_payload_is_told_as_what_it_is() {
    let mut queue = at("mqtt://b").unwrap();
    let mut told = |kind, payload: &[u8]| {
        queue.payload = kind;
        queue.told("a/b", payload, true, false)
    };
    let text = told(PayloadKind::Text, "grün".as_bytes()).unwrap();
    assert_eq!(
        text,
        json!({ "topic": "a/b", "payload": "grün", "redelivered": true, "retained": false })
    );
    assert_eq!(
        told(PayloadKind::Json, b"{\"n\":1}").unwrap()["payload"],
        json!({ "n": 1 })
    );
    assert_eq!(
        told(PayloadKind::Base64, &[0xff, 0]).unwrap()["payload"],
        "/wA="
    );
    let said = told(PayloadKind::Text, &[0xff]).unwrap_err();
    assert!(
        said.contains("`a/b` is no text in UTF-8; `payload: base64` takes it"),
        "{said}"
    );
    let said = told(PayloadKind::Json, b"{").unwrap_err();
    assert!(said.contains("`a/b` is no JSON"), "{said}");
}
