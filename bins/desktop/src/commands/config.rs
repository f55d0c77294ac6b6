//! `nebula config show`: every setting, and where its value comes from.

use http::Method;
use serde_json::{Map, Value, json};

use crate::{
    compose,
    console::{Console, Paint},
    failure::{Exit, Failure},
    server::{Ask, Server},
    settings::{Loaded, Place},
};

/// JSON: the settings as the file has them; with `sources`, `{ "settings": { key: { "value", "source" } } }`
/// by their keys with dots.
pub(crate) async fn show(
    sources: bool,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    if let Place::Server(url) = &loaded.place {
        return there(sources, &compose::server(loaded, url)?, console).await;
    }
    let settings = serde_json::to_value(&loaded.settings)
        .map_err(|error| Failure::environment("OUTPUT", error.to_string()))?;
    if console.json && !sources {
        console.document(&settings)?;
        return Ok(Exit::Completed);
    }
    if console.json {
        let all = with_sources(&settings, loaded, |_| true);
        console.document(&json!({ "settings": all }))?;
        return Ok(Exit::Completed);
    }
    for (key, source) in loaded.sources.iter() {
        let value = value(&settings, key);
        let source = match sources {
            true => console.out.paint(Paint::Dim, format!("  # {source}")),
            false => String::new(),
        };
        console.line(&format!("{key} = {value}{source}"))?;
    }
    Ok(Exit::Completed)
}

/// The settings of a server, as it tells them. JSON: as with `sources`.
async fn there(sources: bool, server: &Server, console: &Console) -> Result<Exit, Failure> {
    let told: Value = server.get(Ask::new(Method::GET).at(["settings"])).await?;
    if console.json {
        console.document(&told)?;
        return Ok(Exit::Completed);
    }
    for (key, told) in told["settings"].as_object().into_iter().flatten() {
        let source = told["source"].as_str().unwrap_or_default();
        let source = match sources {
            true => console.out.paint(Paint::Dim, format!("  # {source}")),
            false => String::new(),
        };
        console.line(&format!("{key} = {}{source}", told["value"]))?;
    }
    Ok(Exit::Completed)
}

/// What a server tells of its settings: not what workflows may see of the operator's values, and not the
/// command for the key, which may have a secret among its arguments.
pub(crate) fn of_server(loaded: &Loaded) -> Value {
    let settings = serde_json::to_value(&loaded.settings).unwrap_or_default();
    let told = |key: &str| !key.starts_with("vars") && key != "secrets.key_command";
    with_sources(&settings, loaded, told).into()
}

fn with_sources(
    settings: &Value,
    loaded: &Loaded,
    told: impl Fn(&str) -> bool,
) -> Map<String, Value> {
    let all = loaded.sources.iter().filter(|(key, _)| told(key));
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
