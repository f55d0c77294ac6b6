//! What was done at a server, and what was denied.

use http::Method;
use serde_json::{Value, json};

use super::{PAGE, say, show_list, text};
use crate::{
    arguments::{Audit, ListAudit},
    console::Console,
    failure::{Exit, Failure},
    server::{Ask, Server},
};

/// Runs `nebula audit`. JSON: `{ "entries": […], "more" }`; of `verify` `{ "holds", "head", "broken" }`.
pub(super) async fn run(
    command: &Audit,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Audit::List(list) => {
            let found = entries(list, server).await?;
            let keys = ["seq", "at", "who", "what", "target", "outcome"];
            let row = |it: &Value| keys.iter().map(|key| text(it, key)).collect();
            let head = ["SEQ", "AT", "WHO", "WHAT", "TO WHAT", "OUTCOME"];
            show_list(
                ("entries", "nothing of that is in the log"),
                found,
                (&head, row),
                console,
            )
        }
        Audit::Export { after, .. } => {
            let mut ask = Ask::new(Method::GET).at(["audit", "export"]);
            if let Some(after) = after {
                ask = ask.with("after", after.to_string());
            }
            let answer = server.send(ask).await?.good()?;
            // Byte for byte: whoever keeps it may follow the hashes.
            for line in String::from_utf8_lossy(answer.bytes()).lines() {
                console.line(line)?;
            }
            Ok(Exit::Completed)
        }
        Audit::Verify { known, .. } => {
            let known = known.as_deref().map(read_known).transpose()?;
            let ask = Ask::new(Method::POST).at(["audit", "verify"]);
            let found: Value = server.get(ask.json(&json!({ "known": known }))).await?;
            let holds = found["holds"] == true;
            let line = match holds {
                true => format!(
                    "it holds, up to entry {} with the hash {}",
                    found["head"]["seq"],
                    text(&found["head"], "hash")
                ),
                false => format!("it does not hold: {}", text(&found, "broken")),
            };
            say(&found, &line, console)?;
            Ok(match holds {
                true => Exit::Completed,
                false => Exit::Ended,
            })
        }
    }
}

/// `SEQ:HASH`.
fn read_known(text: &str) -> Result<Value, Failure> {
    let wrong = || {
        let message = format!("--known: `{text}` is not the number and the hash of an entry");
        Failure::invalid("USAGE", message)
            .advice("write SEQ:HASH, as `nebula audit verify` tells them")
    };
    let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
    let seq: u64 = seq.parse().map_err(|_| wrong())?;
    Ok(json!({ "seq": seq, "hash": hash }))
}

async fn entries(list: &ListAudit, server: &Server) -> Result<(Vec<Value>, bool), Failure> {
    let (limit, mut after) = (usize::from(list.limit), list.after);
    let mut entries = Vec::new();
    loop {
        let left = (limit - entries.len()).clamp(1, PAGE);
        let mut ask = Ask::new(Method::GET).at(["audit"]);
        ask = ask.with("limit", left.to_string());
        let since = list.since.map(|at| at.to_string());
        let until = list.until.map(|at| at.to_string());
        for (name, value) in [
            ("after", after.map(|it| it.to_string())),
            ("who", list.who.clone()),
            ("what", list.what.clone()),
            ("target", list.target.clone()),
            ("outcome", list.outcome.clone()),
            ("since", since),
            ("until", until),
        ] {
            if let Some(value) = value {
                ask = ask.with(name, value);
            }
        }
        let mut page: Value = server.get(ask).await?;
        if let Value::Array(found) = page["entries"].take() {
            entries.extend(found);
        }
        after = page["next"].as_u64();
        if after.is_none() || entries.len() >= limit {
            entries.truncate(limit);
            return Ok((entries, after.is_some()));
        }
    }
}
