//! Settings, as they are shown.

use nebula_config::Sources;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    console::{Console, Paint},
    failure::{Exit, Failure},
};

/// Shows every setting as it counts. JSON: the settings as the file has them; with `with_source`,
/// `{ "settings": { key: { "value", "source" } } }` by their keys with dots.
///
/// # Errors
/// Standard output cannot be written.
pub fn show(
    settings: &impl Serialize,
    sources: &Sources,
    with_source: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let settings = serde_json::to_value(settings)
        .map_err(|error| Failure::environment("OUTPUT", error.to_string()))?;
    if console.json && !with_source {
        console.document(&settings)?;
        return Ok(Exit::Completed);
    }
    if console.json {
        let all = with_sources(&settings, sources, |_| true);
        console.document(&json!({ "settings": all }))?;
        return Ok(Exit::Completed);
    }
    for (key, source) in sources.iter() {
        let value = value(&settings, key);
        let source = match with_source {
            true => console.out.paint(Paint::Dim, format!("  # {source}")),
            false => String::new(),
        };
        console.line(&format!("{key} = {value}{source}"))?;
    }
    Ok(Exit::Completed)
}

/// What a server tells of its settings: not what workflows may see of the operator's values, and not the
/// command for the key, which may have a secret among its arguments.
pub fn of_server(settings: &impl Serialize, sources: &Sources) -> Value {
    let settings = serde_json::to_value(settings).unwrap_or_default();
    let told = |key: &str| !key.starts_with("vars") && key != "secrets.key_command";
    with_sources(&settings, sources, told).into()
}

fn with_sources(
    settings: &Value,
    sources: &Sources,
    told: impl Fn(&str) -> bool,
) -> Map<String, Value> {
    let all = sources.iter().filter(|(key, _)| told(key));
    all.map(|(key, source)| {
        let shown = json!({ "value": value(settings, key), "source": source.to_string() });
        (key.to_owned(), shown)
    })
    .collect()
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
