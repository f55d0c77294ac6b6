//! `nebula executions bulk`: many executions of a server at once.

use http::Method;
use serde_json::{Value, json};

use crate::{
    arguments::{BulkAction, BulkArguments},
    commands::{executions::statuses, run::labels},
    compose,
    console::Console,
    failure::{Exit, Failure},
    server::Ask,
    settings::{Loaded, Place},
};

/// JSON: `{ "dry_run", "matched", "done", "failed": [{ "execution", "detail" }] }`. Exit code 1 if one of them
/// could not be told.
pub(super) async fn run(
    arguments: &BulkArguments,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let Place::Server(url) = &loaded.place else {
        let message = "many executions at once are those of a server, and none is named";
        return Err(Failure::invalid("NEEDS_SERVER", message).advice("name one: --server URL"));
    };
    let server = compose::server(loaded, url)?;
    let (action, told) = match arguments.action {
        BulkAction::Cancel => ("cancel", "are asked to end"),
        BulkAction::Pause => ("pause", "are asked to pause"),
        BulkAction::Unpause => ("unpause", "go on"),
        BulkAction::Retry => ("retry", "are started again"),
    };
    let mut body = json!({
        "action": action,
        "workflow": arguments.workflow,
        "statuses": statuses(&arguments.status)?,
        "since": arguments.since.map(|at| at.to_string()),
        "until": arguments.until.map(|at| at.to_string()),
        "labels": labels(&arguments.label)?,
        "dry_run": !arguments.yes,
    });
    let (mut matched, mut done, mut failed) = (0, 0, Vec::new());
    loop {
        let ask = Ask::new(Method::POST).at(["executions", "bulk"]);
        let mut page: Value = server.get(ask.json(&body)).await?;
        matched += page["matched"].as_u64().unwrap_or(0);
        done += page["done"].as_u64().unwrap_or(0);
        if let Value::Array(more) = page["failed"].take() {
            failed.extend(more);
        }
        match page["next"].take() {
            Value::Null => break,
            next => body["cursor"] = next,
        }
    }
    let exit = match failed.is_empty() {
        true => Exit::Completed,
        false => Exit::Ended,
    };
    if console.json {
        let dry_run = !arguments.yes;
        console.document(
            &json!({ "dry_run": dry_run, "matched": matched, "done": done, "failed": failed }),
        )?;
        return Ok(exit);
    }
    match arguments.yes {
        true => console.line(&format!("{done} of {matched} {told}"))?,
        false => {
            console.line(&format!("{matched} executions are meant"))?;
            console.note("nothing is done yet: give --yes to do it");
        }
    }
    for it in &failed {
        let text = |key: &str| it[key].as_str().unwrap_or_default();
        console.error_text(&format!("{}: {}", text("execution"), text("detail")));
    }
    Ok(exit)
}
