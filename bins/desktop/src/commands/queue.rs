//! `nebula queue dead`: what a server delivered too often.

use http::Method;
use serde_json::{Value, json};

use crate::{
    arguments::Dead,
    compose,
    console::Console,
    failure::{Exit, Failure},
    server::Ask,
    settings::{Loaded, Place},
    table::table,
};

/// JSON of `list`: `{ "dead": [{ "execution", "workflow", "priority", "reason" }] }`, the oldest first; of
/// `redrive`: `{ "redriven" }`.
pub(crate) async fn dead(
    command: &Dead,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let Place::Server(url) = &loaded.place else {
        let message = "a queue lives as long as the process that it is in, and no server is named";
        return Err(Failure::invalid("NEEDS_SERVER", message)
            .advice("name one: --server URL; `nebula resume` goes on with what a database has"));
    };
    let server = compose::server(loaded, url)?;
    let ask = Ask::new(Method::GET).at(["dead-letters"]);
    let answer: Value = match command {
        Dead::List { limit, .. } => server.get(ask.with("limit", limit.to_string())).await?,
        Dead::Redrive { .. } => {
            let ask = ask.at(["redrive"]).method(Method::POST);
            let ask = ask.json(&json!({}));
            server.get(ask).await?
        }
    };
    if console.json {
        console.document(&answer)?;
        return Ok(Exit::Completed);
    }
    if let Dead::Redrive { .. } = command {
        console.line(&format!("{} delivered again", answer["redriven"]))?;
        return Ok(Exit::Completed);
    }
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let dead = answer["dead"].as_array().into_iter().flatten();
    let rows: Vec<_> = dead
        .map(|it| {
            vec![
                text(it, "execution"),
                text(it, "workflow"),
                text(it, "reason"),
            ]
        })
        .collect();
    if rows.is_empty() {
        console.note("nothing was delivered too often");
        return Ok(Exit::Completed);
    }
    console.line(&table(&["EXECUTION", "WORKFLOW", "LAST REASON"], &rows))?;
    Ok(Exit::Completed)
}
