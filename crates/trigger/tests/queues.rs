//! To which queues triggers listen, and what they tell.

use nebula_trigger::{
    MAX_STREAM_NAME, MAX_STREAMS, MAX_TOPIC_FILTER, PayloadKind, Queue, QueueKind,
};
use serde_json::{Map, Value, json};

fn read(fields: &Value) -> Result<Queue, Vec<String>> {
    read_as("mqtt", fields)
}

fn read_as(kind: &str, fields: &Value) -> Result<Queue, Vec<String>> {
    let fields: &Map<_, _> = fields.as_object().unwrap();
    let queue = Queue::read(kind, fields).unwrap();
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

fn streams(more: &Value) -> Result<Queue, Vec<String>> {
    let mut fields = json!({ "server": "redis://r", "streams": ["orders"] });
    let all = fields.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    read_as("redis", &fields)
}

#[test]
fn the_fields_of_streams_are_read() {
    let plain = streams(&json!({})).unwrap();
    assert_eq!(
        (plain.kind, plain.address.as_str(), plain.tls, plain.keeps),
        (QueueKind::Redis, "r:6379", false, true)
    );
    assert_eq!((plain.group.as_deref(), plain.from_start), (None, false));
    let same = "[$trigger.stream, $trigger.entry, $trigger.payload]";
    assert_eq!(plain.dedupe.as_deref(), Some(same));
    let all = streams(&json!({
        "server": "rediss://r:7000", "streams": ["a", "b"], "group": "shop", "from": "start", "secret": "s",
        "dedupe": "1",
    }));
    let all = all.unwrap();
    assert_eq!((all.address.as_str(), all.tls), ("r:7000", true));
    assert_eq!((all.group.as_deref(), all.from_start), (Some("shop"), true));
    assert_eq!(all.login, Some(("default".to_owned(), "s".to_owned())));
    assert_eq!(all.dedupe.as_deref(), Some("1"));
    let gathers = streams(&json!({ "debounce": "1s" })).unwrap();
    assert_eq!(gathers.dedupe, None);
    // Another group, or another beginning, is another one who listens.
    let names = [
        streams(&json!({})),
        streams(&json!({ "group": "shop" })),
        streams(&json!({ "from": "start" })),
        at("mqtt://r"),
    ];
    let names = names.map(|it| it.unwrap().consumer("local", "w", "t"));
    let each: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(each.len(), names.len());
}

#[test]
fn wrong_fields_of_streams_are_refused() {
    let many: Vec<_> = (0..=MAX_STREAMS).map(|it| it.to_string()).collect();
    for (more, said) in [
        (
            json!({ "server": "mqtt://r" }),
            "server: it begins with `redis://`",
        ),
        (
            json!({ "server": "redis://r/2" }),
            "server: expected a host",
        ),
        (
            json!({ "streams": ["a", "a"] }),
            "streams: each stream is named once",
        ),
        (
            json!({ "streams": [""] }),
            "streams: the name of a stream has",
        ),
        (
            json!({ "streams": many }),
            "streams: a trigger listens to at most",
        ),
        (
            json!({ "group": "x".repeat(MAX_STREAM_NAME + 1) }),
            "group: the name of a group has",
        ),
        (json!({ "from": "now" }), "from: `now` is none of"),
        (json!({ "user": "ada" }), "user: it needs `secret`"),
        (
            json!({ "qos": 1 }),
            "qos: a trigger of this kind has no such field",
        ),
    ] {
        let errors = streams(&more).unwrap_err();
        assert!(
            errors.len() == 1 && errors[0].starts_with(said),
            "{errors:?}, not {said}"
        );
    }
    let errors = read_as("redis", &json!({})).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn an_entry_is_told_with_its_fields() {
    let queue = streams(&json!({ "payload": "json" })).unwrap();
    let told = |fields: &[(&[u8], &[u8])]| {
        queue.told_entry(("orders", "1-0"), fields.iter().copied(), true)
    };
    let told_all = told(&[
        (b"n", b"1"),
        (b"l", b"[2]"),
        (b"n", b"3"),
        (b"l", b"[4]"),
        (b"n", b"5"),
    ]);
    assert_eq!(
        told_all.unwrap(),
        json!({
            "stream": "orders", "entry": "1-0", "redelivered": true,
            "payload": { "n": [1, 3, 5], "l": [[2], [4]] },
        })
    );
    let said = told(&[(b"n", b"{")]).unwrap_err();
    assert!(
        said.contains("the field `n` of the entry 1-0 of `orders` is no JSON"),
        "{said}"
    );
    let said = told(&[(&[0xff], b"1")]).unwrap_err();
    assert!(said.contains("has a field whose name is no text"), "{said}");
}
