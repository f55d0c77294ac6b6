//! `nebula config show`: every setting, and where its value comes from.

use serde_json::{Map, Value, json};

use crate::{
    console::{Console, Paint},
    failure::{Exit, Failure},
    settings::Loaded,
};

/// JSON: the settings as the file has them; with `sources`, `{ "settings": { key: { "value", "source" } } }`
/// by their keys with dots.
pub(crate) fn show(sources: bool, loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let settings = serde_json::to_value(&loaded.settings)
        .map_err(|error| Failure::environment("OUTPUT", error.to_string()))?;
    if console.json && !sources {
        console.document(&settings)?;
        return Ok(Exit::Completed);
    }
    let all = loaded
        .sources
        .iter()
        .map(|(key, source)| (key, value(&settings, key), source.to_string()));
    if console.json {
        let all: Map<String, Value> = all
            .map(|(key, value, source)| {
                let shown = json!({ "value": value, "source": source });
                (key.to_owned(), shown)
            })
            .collect();
        console.document(&json!({ "settings": all }))?;
        return Ok(Exit::Completed);
    }
    for (key, value, source) in all {
        let source = match sources {
            true => console.out.paint(Paint::Dim, format!("  # {source}")),
            false => String::new(),
        };
        console.line(&format!("{key} = {value}{source}"))?;
    }
    Ok(Exit::Completed)
}

/// The value of a key with dots. A part of it may have dots itself.
fn value<'a>(settings: &'a Value, key: &str) -> &'a Value {
    if let Some(found) = settings.get(key) {
        return found;
    }
    let mut at = 0;
    while let Some(dot) = key[at..].find('.') {
        let (head, tail) = (&key[..at + dot], &key[at + dot + 1..]);
        if let Some(inner) = settings.get(head) {
            return value(inner, tail);
        }
        at += dot + 1;
    }
    &Value::Null
}
