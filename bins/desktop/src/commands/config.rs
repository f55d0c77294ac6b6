//! `nebula config show`: every setting, and where its value comes from.

use http::Method;
use nebula_program::shown;
use serde_json::Value;

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
    shown::show(&loaded.settings, &loaded.sources, sources, console)
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
