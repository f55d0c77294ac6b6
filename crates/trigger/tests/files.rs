//! What a look at a folder tells.

use std::time::Duration;

use nebula_core::Timestamp;
use nebula_trigger::{FileEvent, FileWatch, FirstLook, Found, Gather, MAX_FILE_EVENTS, Sight};
use serde_json::{Map, Value, json};

fn read(fields: &Value) -> Result<FileWatch, Vec<String>> {
    let fields: &Map<_, _> = fields.as_object().unwrap();
    let watch = FileWatch::read("file", fields).unwrap();
    watch.map_err(|errors| {
        let text = errors
            .into_iter()
            .map(|it| format!("{}: {}", it.field, it.message));
        text.collect()
    })
}

fn watch(fields: &Value) -> FileWatch {
    read(fields).unwrap()
}

fn all_events() -> FileWatch {
    watch(
        &json!({ "path": "inbox", "on": ["created", "changed", "deleted"], "settle": "0s", "first": "start" }),
    )
}

fn file(name: &str, size: u64, modified: i64) -> Found {
    Found {
        name: name.to_owned(),
        size,
        modified,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

/// What is told, as `event name`.
fn told(sight: &Sight) -> Vec<String> {
    let word = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    let one = |item: &Value| format!("{} {}", word(item, "event"), word(item, "name"));
    sight.items.iter().map(one).collect()
}

#[test]
fn the_fields_are_read() {
    let all = json!({
        "path": "inbox", "pattern": "*.csv", "on": ["changed", "deleted"], "settle": "5s", "every": "1m",
        "first": "start", "filter": "true", "key": "$trigger.name", "batch": { "size": 9, "wait": "3s" },
    });
    let found = watch(&all);
    assert_eq!(
        (found.path.as_str(), found.pattern.as_deref()),
        ("inbox", Some("*.csv"))
    );
    assert_eq!(found.on, [FileEvent::Changed, FileEvent::Deleted]);
    assert_eq!(
        (found.settle, found.every),
        (Duration::from_secs(5), Duration::from_mins(1))
    );
    assert_eq!(found.first, FirstLook::Start);
    let wait = Duration::from_secs(3);
    assert_eq!(found.intake.gather, Some(Gather::Batch { size: 9, wait }));
    let plain = watch(&json!({ "path": "/srv/in" }));
    assert_eq!(
        (plain.on, plain.first),
        (vec![FileEvent::Created], FirstLook::Skip)
    );
    assert!(FileWatch::read("cron", &Map::new()).is_none());
}

/// Each says which field, and what would be right.
#[test]
fn wrong_fields_are_refused() {
    for (fields, said) in [
        (json!({}), "path: it is missing"),
        (json!({ "path": "" }), "path: expected 1 to"),
        (json!({ "path": "a\u{0}b" }), "path: expected 1 to"),
        (
            json!({ "path": "a", "pattern": "b/*.csv" }),
            "pattern: expected a pattern of names",
        ),
        (
            json!({ "path": "a", "on": "moved" }),
            "on: `moved` is none of created",
        ),
        (json!({ "path": "a", "on": [] }), "on: expected a list"),
        (
            json!({ "path": "a", "every": "100ms" }),
            "every: it is too short",
        ),
        (
            json!({ "path": "a", "every": "2d" }),
            "every: `2d` is too long",
        ),
        (
            json!({ "path": "a", "settle": "2h" }),
            "settle: `2h` is too long",
        ),
        (
            json!({ "path": "a", "first": "all" }),
            "first: `all` is none of `skip`, `start`",
        ),
        (
            json!({ "path": "a", "glob": "*" }),
            "glob: a trigger of this kind has no such field",
        ),
        (
            json!({ "path": "a", "debounce": "0s" }),
            "debounce: without a span",
        ),
        (
            json!({ "path": "a", "debounce": { "quiet": "5s", "at_most": "1s" } }),
            "debounce: `at_most` is shorter",
        ),
        (
            json!({ "path": "a", "debounce": { "at_most": "1s" } }),
            "debounce: `quiet`: it is missing",
        ),
        (
            json!({ "path": "a", "batch": 5 }),
            "batch: expected an object",
        ),
        (
            json!({ "path": "a", "batch": { "size": 1, "wait": "1s" } }),
            "batch: `size`: expected a number from 2 to 256",
        ),
        (
            json!({ "path": "a", "batch": { "size": 257, "wait": "1s" } }),
            "batch: `size`: expected a number from 2 to 256",
        ),
        (
            json!({ "path": "a", "batch": { "size": 5 } }),
            "batch: `wait`: it is missing",
        ),
        (
            json!({ "path": "a", "batch": { "size": 5, "wait": "1s" }, "debounce": "1s" }),
            "batch: `debounce` and `batch` do not go together",
        ),
    ] {
        let errors = read(&fields).unwrap_err();
        assert!(
            errors.iter().any(|it| it.starts_with(said)),
            "{fields}: {errors:?}"
        );
    }
}

#[test]
fn files_come_change_and_go_once_each() {
    let watch = all_events();
    let first = watch.compare(None, &[file("b", 1, 10), file("a", 1, 10)], at(1));
    assert_eq!(told(&first), ["created a", "created b"]);
    let item = &first.items[0];
    assert_eq!(
        item,
        &json!({
            "event": "created", "path": "inbox/a", "name": "a", "size": 1, "modified_at": "1970-01-01T00:00:00.010Z",
        })
    );
    let cursor = first.cursor.unwrap();
    let same = watch.compare(Some(&cursor), &[file("a", 1, 10), file("b", 1, 10)], at(2));
    assert_eq!(
        (same.items.len(), &same.cursor, same.again),
        (0, &None, None)
    );
    let next = [file("a", 2, 10), file("c", 0, 0)];
    let next = watch.compare(Some(&cursor), &next, at(3));
    assert_eq!(told(&next), ["deleted b", "changed a", "created c"]);
    let cursor = next.cursor.unwrap();
    // Also one whose size stays.
    let again = watch.compare(Some(&cursor), &[file("a", 2, 11), file("c", 0, 0)], at(4));
    assert_eq!(told(&again), ["changed a"]);
}

#[test]
fn what_nobody_asked_for_is_known_and_not_told() {
    let watch = watch(&json!({ "path": "inbox", "settle": "0s", "first": "start" }));
    let cursor = watch
        .compare(None, &[file("a", 1, 1)], at(1))
        .cursor
        .unwrap();
    let changed = watch.compare(Some(&cursor), &[file("a", 2, 2)], at(2));
    assert_eq!(told(&changed), Vec::<String>::new());
    let gone = watch.compare(changed.cursor.as_ref(), &[], at(3));
    assert_eq!(told(&gone), Vec::<String>::new());
    // What was gone and comes back has come.
    let back = watch.compare(gone.cursor.as_ref(), &[file("a", 2, 2)], at(4));
    assert_eq!(told(&back), ["created a"]);
}

#[test]
fn what_is_there_at_the_first_look_is_known() {
    let watch = watch(&json!({ "path": "inbox", "settle": "0s" }));
    let first = watch.compare(None, &[file("a", 1, 1)], at(1));
    assert_eq!((told(&first).len(), first.again), (0, None));
    let cursor = first.cursor.unwrap();
    let second = watch.compare(Some(&cursor), &[file("a", 1, 1), file("b", 1, 1)], at(2));
    assert_eq!(told(&second), ["created b"]);
    // An empty folder was looked at, too.
    let first = watch.compare(None, &[], at(1));
    let second = watch.compare(first.cursor.as_ref(), &[file("a", 1, 1)], at(2));
    assert_eq!(told(&second), ["created a"]);
}

/// Whoever writes a file has ended when it stays as it is.
#[test]
fn a_file_that_grows_is_told_once_it_has_settled() {
    let watch = watch(
        &json!({ "path": "inbox", "settle": "5s", "first": "start", "on": ["created", "changed"] }),
    );
    let first = watch.compare(None, &[file("a", 1, 1)], at(10));
    assert_eq!(
        (told(&first).len(), first.again),
        (0, Some(Duration::from_secs(5)))
    );
    let grown = watch.compare(first.cursor.as_ref(), &[file("a", 2, 2)], at(14));
    assert_eq!(
        (told(&grown).len(), grown.again),
        (0, Some(Duration::from_secs(5)))
    );
    let waits = watch.compare(grown.cursor.as_ref(), &[file("a", 2, 2)], at(18));
    assert_eq!(
        (told(&waits).len(), waits.again),
        (0, Some(Duration::from_secs(1)))
    );
    let cursor = waits.cursor.or(grown.cursor);
    let told_of = watch.compare(cursor.as_ref(), &[file("a", 2, 2)], at(19));
    assert_eq!(
        (told(&told_of), told_of.again),
        (vec!["created a".to_owned()], None)
    );
    // What was told before has changed, however long it takes to settle.
    let grows = watch.compare(told_of.cursor.as_ref(), &[file("a", 3, 3)], at(20));
    let settled = watch.compare(grows.cursor.as_ref(), &[file("a", 3, 3)], at(25));
    assert_eq!(told(&settled), ["changed a"]);
    // What goes before it has settled was never there.
    let one = watch.compare(
        settled.cursor.as_ref(),
        &[file("a", 3, 3), file("b", 1, 1)],
        at(26),
    );
    let gone = watch.compare(one.cursor.as_ref(), &[file("a", 3, 3)], at(40));
    assert_eq!((told(&gone).len(), gone.again), (0, None));
}

#[test]
fn many_files_are_told_over_several_looks() {
    let watch = all_events();
    let all: Vec<_> = (0..MAX_FILE_EVENTS * 2 + 1)
        .map(|n| file(&format!("{n:05}"), 1, 1))
        .collect();
    for (folder, word) in [(all.as_slice(), "created"), (&[], "deleted")] {
        let mut cursor = match word {
            "created" => None,
            _ => {
                let known = FileWatch {
                    first: FirstLook::Skip,
                    ..watch.clone()
                };
                known.compare(None, &all, at(1)).cursor
            }
        };
        let mut names = Vec::new();
        for (look, so_many) in [MAX_FILE_EVENTS, MAX_FILE_EVENTS, 1]
            .into_iter()
            .enumerate()
        {
            let sight = watch.compare(cursor.as_ref(), folder, at(1));
            assert_eq!(sight.items.len(), so_many);
            assert_eq!(sight.again, (look < 2).then_some(Duration::ZERO));
            names.extend(told(&sight));
            cursor = sight.cursor.or(cursor);
        }
        let expected: Vec<_> = all.iter().map(|it| format!("{word} {}", it.name)).collect();
        assert_eq!(names, expected);
        assert_eq!(watch.compare(cursor.as_ref(), folder, at(1)).items.len(), 0);
    }
}

/// A clock that goes back keeps nothing waiting for longer than it would.
#[test]
fn a_clock_that_goes_back_starts_the_settling_anew_at_worst() {
    let watch = watch(&json!({ "path": "inbox", "settle": "5s", "first": "start" }));
    let first = watch.compare(None, &[file("a", 1, 1)], at(1_000));
    let back = watch.compare(first.cursor.as_ref(), &[file("a", 1, 1)], at(10));
    assert_eq!(
        (told(&back).len(), back.again),
        (0, Some(Duration::from_secs(5)))
    );
    let cursor = back.cursor.or(first.cursor);
    let later = watch.compare(cursor.as_ref(), &[file("a", 1, 1)], at(15));
    assert_eq!(told(&later), ["created a"]);
}
