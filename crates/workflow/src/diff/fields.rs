//! Which values of two JSON values differ.

use serde_json::{Map, Value};

use super::FieldChange;
use crate::pointer_join;

/// What differs between `old` and `new`, in reading order. `shown` has the shape of `old`: its
/// values are what the result calls old.
pub(super) fn fields(old: &Value, shown: &Value, new: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", [Some(old), Some(shown), Some(new)], &mut found);
    found
}

/// The depth is that of definitions, which is bounded.
fn compare(path: &str, [old, shown, new]: [Option<&Value>; 3], found: &mut Vec<FieldChange>) {
    match (old, shown, new) {
        (Some(old), _, Some(new)) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(shown)), Some(Value::Object(new))) => {
            objects(path, [old, shown, new], found);
        }
        (Some(Value::Array(old)), Some(Value::Array(shown)), Some(Value::Array(new))) => {
            arrays(path, [old, shown, new], found);
        }
        _ => found.push(FieldChange {
            path: path.to_owned(),
            old: shown.cloned(),
            new: new.cloned(),
        }),
    }
}

fn objects(path: &str, [old, shown, new]: [&Map<String, Value>; 3], found: &mut Vec<FieldChange>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let at = pointer_join(path, key);
        compare(&at, [old.get(key), shown.get(key), new.get(key)], found);
    }
}

/// What is the same at the beginning and at the end is passed over, so that one element more or less
/// is one change.
fn arrays(path: &str, [old, shown, new]: [&[Value]; 3], found: &mut Vec<FieldChange>) {
    let alike = |(old, new): &(&Value, &Value)| old == new;
    let before = old.iter().zip(new).take_while(alike).count();
    let (rest, now) = (&old[before..], &new[before..]);
    let after = rest
        .iter()
        .rev()
        .zip(now.iter().rev())
        .take_while(alike)
        .count();
    let (was, is) = (rest.len() - after, now.len() - after);
    for index in 0..was.max(is) {
        let place = before + index;
        let at = pointer_join(path, &place.to_string());
        let of = |list: &'_ [Value], count: usize| (index < count).then(|| list[place].clone());
        let (old, shown, new) = (of(old, was), of(shown, was), of(new, is));
        compare(&at, [old.as_ref(), shown.as_ref(), new.as_ref()], found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(old: &Value, new: &Value, expected: &str) {
        let text = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
        let found: Vec<_> = fields(old, old, new)
            .into_iter()
            .map(|change| format!("{} {}>{}", change.path, text(change.old), text(change.new)))
            .collect();
        assert_eq!(found.join(", "), expected);
    }

    #[test]
    fn a_change_is_as_small_as_it_can_be_named() {
        check(&json!({ "a": 1, "b": 2 }), &json!({ "b": 2, "a": 1 }), "");
        check(
            &json!({ "a": { "b/c": 1 } }),
            &json!({ "a": { "b/c": 2 } }),
            "/a/b~1c 1>2",
        );
        check(
            &json!({ "a": null }),
            &json!({ "b": null }),
            "/a null>-, /b ->null",
        );
        check(&json!([1, 2, 3]), &json!([1, 9, 2, 3]), "/1 ->9");
        check(&json!([1, 2, 3]), &json!([1, 3]), "/1 2>-");
        check(&json!([1, [2, 3], 4]), &json!([1, [2, 5], 4]), "/1/1 3>5");
        check(&json!([1, 1]), &json!([1, 1, 1]), "/2 ->1");
        check(
            &json!({ "a": [1] }),
            &json!({ "a": { "0": 1 } }),
            r#"/a [1]>{"0":1}"#,
        );
    }
}
