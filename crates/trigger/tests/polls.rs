//! What a look with an action tells.

use std::time::Duration;

use nebula_trigger::{
    CursorBy, FirstLook, MAX_POLL_BYTES, MAX_POLL_EVENTS, MAX_POLL_KEYS, MAX_POLLED, Poll, Polled,
    Sight,
};
use serde_json::{Map, Value, json};

fn read(fields: &Value) -> Result<Poll, Vec<String>> {
    let fields: &Map<_, _> = fields.as_object().unwrap();
    let poll = Poll::read("poll", fields).unwrap();
    poll.map_err(|errors| {
        let text = errors
            .into_iter()
            .map(|it| format!("{}: {}", it.field, it.message));
        text.collect()
    })
}

/// One that is new by `cursor`, and tells what is there at first.
fn poll(cursor: &Value) -> Poll {
    let look = json!({ "action": "http.request" });
    read(&json!({ "look": look, "cursor": cursor, "first": "start" })).unwrap()
}

fn by_key() -> Poll {
    poll(&json!({ "key": "$item.id" }))
}

fn by_time() -> Poll {
    poll(&json!({ "time": "$item.at" }))
}

fn marked(mark: impl Into<Value>) -> Polled {
    let mark = mark.into();
    Polled {
        item: json!({ "of": mark }),
        mark,
    }
}

/// A look after one with this cursor: what it tells, and the cursor then.
fn look(poll: &Poll, cursor: &mut Option<Value>, found: Vec<Polled>) -> Vec<Value> {
    let sight = poll.compare(cursor.as_ref(), found).unwrap();
    if sight.cursor.is_some() {
        *cursor = sight.cursor;
    }
    sight
        .items
        .iter()
        .map(|it| it["item"]["of"].clone())
        .collect()
}

#[test]
fn the_fields_are_read() {
    let found = read(&json!({
        "every": "5m", "timeout": "10s", "items": "$json.body", "cursor": { "time": "$item.at" }, "first": "start",
        "look": { "action": "http.request", "parameters": { "url": "https://shop.example/" } }, "key": "1",
    }));
    let found = found.unwrap();
    assert_eq!(
        (found.every, found.timeout),
        (Duration::from_mins(5), Duration::from_secs(10))
    );
    assert_eq!(found.items.as_deref(), Some("$json.body"));
    assert_eq!(
        (&found.cursor, found.first),
        (&CursorBy::Time("$item.at".to_owned()), FirstLook::Start)
    );
    assert_eq!(found.intake.key.as_deref(), Some("1"));
    let node = &found.workflow("orders", "UTC")["nodes"][0];
    assert_eq!(node["id"], "look");
    assert_eq!(node["parameters"]["url"], "https://shop.example/");
    assert!(Poll::read("file", &Map::new()).is_none());
}

/// Each says which field, and what would be right.
#[test]
fn wrong_fields_are_refused() {
    let look = json!({ "action": "file.list" });
    for (fields, said) in [
        (json!({}), "look: it is missing; write it like"),
        (
            json!({ "look": "file.list" }),
            "look: expected an object like",
        ),
        (json!({ "look": {} }), "look: `action`: it is missing"),
        (
            json!({ "look": { "action": "a", "for_each": "1" } }),
            "look: `for_each`: a trigger of this kind has no such",
        ),
        (
            json!({ "look": look, "every": "10ms" }),
            "every: it is too short",
        ),
        (
            json!({ "look": look, "timeout": "10ms" }),
            "timeout: it is too short",
        ),
        (
            json!({ "look": look, "timeout": "1h" }),
            "timeout: `1h` is too long; at most 5m",
        ),
        (
            json!({ "look": look, "cursor": "id" }),
            "cursor: expected an object like",
        ),
        (
            json!({ "look": look, "cursor": {} }),
            "cursor: `key`: one of both says what is new",
        ),
        (
            json!({ "look": look, "cursor": { "key": "1", "time": "2" } }),
            "cursor: `key`: one of both",
        ),
        (
            json!({ "look": look, "path": "x" }),
            "path: a trigger of this kind has no such field",
        ),
    ] {
        let errors = read(&fields).unwrap_err();
        assert!(
            errors.len() == 1 && errors[0].starts_with(said),
            "{errors:?}, not {said}"
        );
    }
}

#[test]
fn what_is_new_by_its_key_is_told_once() {
    let (poll, mut cursor) = (by_key(), None);
    assert_eq!(
        look(&poll, &mut cursor, vec![marked(1), marked(2), marked(1)]),
        [1, 2]
    );
    assert_eq!(look(&poll, &mut cursor, vec![marked(2), marked(3)]), [3]);
    // Also what was gone in between.
    assert_eq!(
        look(&poll, &mut cursor, vec![marked(1)]),
        Vec::<Value>::new()
    );
    // A text is another key than the number.
    assert_eq!(look(&poll, &mut cursor, vec![marked("1")]), ["1"]);
}

#[test]
fn a_look_that_finds_nothing_new_writes_nothing() {
    for (poll, found) in [
        (by_key(), vec![marked(1)]),
        (by_time(), vec![marked(1), marked(2)]),
    ] {
        let mut cursor = None;
        let _ = look(&poll, &mut cursor, found.clone());
        let again = poll.compare(cursor.as_ref(), found).unwrap();
        assert_eq!(
            again,
            Sight {
                items: Vec::new(),
                cursor: None,
                again: None
            }
        );
    }
}

/// Unless it says otherwise, what is there at first is known, and what comes later is told: also where
/// nothing was there.
#[test]
fn what_is_there_at_first_is_known() {
    for mut poll in [by_key(), by_time()] {
        poll.first = FirstLook::Skip;
        let mut cursor = None;
        assert_eq!(
            look(&poll, &mut cursor, vec![marked(1)]),
            Vec::<Value>::new()
        );
        assert_eq!(look(&poll, &mut cursor, vec![marked(1), marked(2)]), [2]);
        let mut cursor = None;
        assert_eq!(look(&poll, &mut cursor, Vec::new()), Vec::<Value>::new());
        assert_eq!(look(&poll, &mut cursor, vec![marked(1)]), [1]);
    }
}

#[test]
fn what_is_later_is_told_from_the_earliest_on() {
    let (poll, mut cursor) = (by_time(), None);
    let dates = [
        "2026-03-01T12:00:00+02:00",
        "2026-03-01T09:00:00Z",
        "Sun, 01 Mar 2026 11:00:00 GMT",
        "2026-03-01",
        "2026-03-01 09:30:00",
    ];
    let found = dates.map(marked).to_vec();
    let told = look(&poll, &mut cursor, found);
    assert_eq!(told, [dates[3], dates[1], dates[4], dates[0], dates[2]]);
    assert_eq!(Poll::shown(cursor.as_ref()), json!({ "time": dates[2] }));
    assert_eq!(Poll::shown(None), json!({ "time": null }));
    let late = [
        marked("2026-03-01T10:59:59.999999Z"),
        marked("2026-03-01T11:00:00.000001Z"),
    ];
    assert_eq!(
        look(&poll, &mut cursor, late.to_vec()),
        ["2026-03-01T11:00:00.000001Z"]
    );
    // Ids that are no floating-point numbers.
    let mut cursor = None;
    assert_eq!(
        look(&poll, &mut cursor, vec![marked(9_007_199_254_740_992_u64)]).len(),
        1
    );
    assert_eq!(
        look(&poll, &mut cursor, vec![marked(9_007_199_254_740_993_u64)]).len(),
        1
    );
}

/// Several may have the same time, and come one after the other.
#[test]
fn those_of_one_time_are_told_once_each() {
    let (poll, mut cursor) = (by_time(), None);
    let named = |name: &str| Polled {
        mark: 7.into(),
        item: json!(name),
    };
    assert_eq!(look(&poll, &mut cursor, vec![named("a")]).len(), 1);
    assert_eq!(
        look(&poll, &mut cursor, vec![named("a"), named("b")]).len(),
        1
    );
    assert_eq!(
        look(&poll, &mut cursor, vec![named("b"), named("a")]).len(),
        0
    );
}

#[test]
fn a_look_tells_so_much_and_the_next_one_at_once_the_rest() {
    for poll in [by_key(), by_time()] {
        let all: Vec<_> = (0..MAX_POLL_EVENTS + 5).map(|n| marked(n as u64)).collect();
        let sight = poll.compare(None, all.clone()).unwrap();
        assert_eq!(
            (sight.items.len(), sight.again),
            (MAX_POLL_EVENTS, Some(Duration::ZERO))
        );
        let mut cursor = sight.cursor;
        let rest: Vec<_> = look(&poll, &mut cursor, all.clone());
        assert_eq!(
            rest,
            (MAX_POLL_EVENTS..MAX_POLL_EVENTS + 5).collect::<Vec<_>>()
        );
        assert!(look(&poll, &mut cursor, all).is_empty());
        let large = |n: u64| Polled {
            mark: n.into(),
            item: "x".repeat(MAX_POLL_BYTES / 2).into(),
        };
        let sight = poll
            .compare(None, vec![large(1), large(2), large(3)])
            .unwrap();
        assert_eq!((sight.items.len(), sight.again), (1, Some(Duration::ZERO)));
    }
}

/// The keys of the last look stay, and the newest of those before.
#[test]
fn the_oldest_keys_are_forgotten() {
    let poll = by_key();
    let mut cursor = None;
    let all = |from: usize| {
        (from..from + 1_000)
            .map(|n| marked(n as u64))
            .collect::<Vec<_>>()
    };
    for from in (0..=MAX_POLL_KEYS).step_by(1_000) {
        assert_eq!(look(&poll, &mut cursor, all(from)).len(), 1_000);
    }
    assert_eq!(
        cursor.as_ref().unwrap()["keys"].as_array().unwrap().len(),
        MAX_POLL_KEYS
    );
    assert_eq!(look(&poll, &mut cursor.clone(), all(1_000)).len(), 0);
    assert_eq!(look(&poll, &mut cursor, all(0)).len(), 1_000);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let wrong = |cursor: Option<Value>, found: Vec<Polled>| {
        by_time().compare(cursor.as_ref(), found).unwrap_err()
    };
    assert!(wrong(None, vec![marked(1), marked(Value::Null)]).contains("item 1 gives null"));
    assert!(wrong(None, vec![marked("soon")]).contains("neither a date nor a number"));
    assert!(wrong(None, vec![marked(1), marked("2026-03-01")]).contains("dates for some items"));
    let before = by_time().compare(None, vec![marked(1)]).unwrap().cursor;
    assert!(wrong(before, vec![marked("2026-03-01")]).contains("gave dates before"));
    let many = by_key()
        .compare(None, vec![marked(1); MAX_POLLED + 1])
        .unwrap_err();
    assert!(many.contains("10001 items; 10000 are the limit"), "{many}");
}

#[test]
fn another_look_begins_anew() {
    let (one, mut other) = (by_key(), by_key());
    other.every = Duration::from_secs(7);
    assert_eq!(one.pace(), other.pace());
    other.look.insert(
        "parameters".to_owned(),
        json!({ "url": "https://shop.example/" }),
    );
    assert_ne!(one.pace(), other.pace());
    assert_ne!(one.pace(), by_time().pace());
}
