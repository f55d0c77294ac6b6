//! `nebula blobs`: the large values that lie beside the database.

use std::{collections::BTreeSet, fs, path::Path};

use http::Method;
use nebula_core::ExecutionId;
use nebula_memory::Collected;
use serde_json::{Value, json};

use crate::{
    arguments::Blobs,
    compose,
    console::Console,
    failure::{Exit, Failure},
    server::{Ask, Server},
    session::Session,
    settings::{Loaded, Place},
    table::table,
    wanted::Wanted,
};

/// How many entries one page of a list looks at.
const PAGE: usize = 500;

/// Runs `nebula blobs`.
pub(crate) async fn run(
    command: &Blobs,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let (Blobs::List { id, .. } | Blobs::Get { id, .. }) = command else {
        return collect(loaded, console).await;
    };
    let Place::Server(url) = &loaded.place else {
        let message = "blobs are listed and read over a server, and none is named";
        return Err(Failure::invalid("NEEDS_SERVER", message).advice(
            "name one: --server URL; here `nebula executions show` reads what lies in blobs",
        ));
    };
    let (_, id) = Wanted::parse(id)?.open(loaded).await?;
    let server = compose::server(loaded, url)?;
    match command {
        Blobs::Collect(_) => Ok(Exit::Completed),
        Blobs::List { limit, .. } => list(id, usize::from(*limit), &server, console).await,
        Blobs::Get { digest, to, .. } => get(id, digest, to.as_deref(), &server, console).await,
    }
}

/// Blobs of an execution, at most `limit`, and whether there are more.
async fn of(id: ExecutionId, limit: usize, server: &Server) -> Result<(Vec<Value>, bool), Failure> {
    let (mut blobs, mut from) = (Vec::new(), Some(1));
    while let Some(first) = from {
        let ask = Ask::new(Method::GET)
            .at(["executions"])
            .at([id.to_string()]);
        let ask = ask.at(["blobs"]).with("from", first.to_string());
        let mut page: Value = server.get(ask.with("limit", PAGE.to_string())).await?;
        if let Value::Array(more) = page["blobs"].take() {
            blobs.extend(more);
        }
        from = page["next"].as_u64();
        if blobs.len() > limit || (blobs.len() == limit && from.is_some()) {
            blobs.truncate(limit);
            return Ok((blobs, true));
        }
    }
    Ok((blobs, false))
}

/// JSON: `{ "blobs": [{ "digest", "length", "kind", "media_type", "seq", "node"? }], "more" }`.
async fn list(
    id: ExecutionId,
    limit: usize,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let (blobs, more) = of(id, limit, server).await?;
    if console.json {
        console.document(&json!({ "blobs": blobs, "more": more }))?;
        return Ok(Exit::Completed);
    }
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let rows: Vec<_> = blobs
        .iter()
        .map(|it| {
            let length = it["length"].to_string();
            vec![
                text(it, "digest"),
                length,
                text(it, "media_type"),
                text(it, "node"),
            ]
        })
        .collect();
    match rows.is_empty() {
        true => console.note("it has no blobs"),
        false => console.line(&table(&["DIGEST", "BYTES", "MEDIA TYPE", "NODE"], &rows))?,
    }
    if more {
        console.note("there are more: raise --limit");
    }
    Ok(Exit::Completed)
}

/// The bytes of a blob. JSON where they go into a file: `{ "digest", "file", "bytes" }`.
async fn get(
    id: ExecutionId,
    digest: &str,
    to: Option<&Path>,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let (all, _) = of(id, usize::MAX, server).await?;
    let found = all.iter().filter_map(|it| it["digest"].as_str());
    let found: BTreeSet<_> = found.filter(|it| it.starts_with(digest)).collect();
    let shown: String = digest.chars().take(80).collect();
    let one = match found.len() {
        1 => found.first().map(|it| (*it).to_owned()),
        0 => {
            let message = format!("{id} names no blob that begins with `{shown}`");
            return Err(Failure::invalid("UNKNOWN_BLOB", message).advice(format!(
                "`nebula blobs list {id}` shows those that it names"
            )));
        }
        several => {
            let message = format!("{several} blobs of {id} begin with `{shown}`");
            return Err(Failure::invalid("USAGE", message).advice("give more of it"));
        }
    };
    let digest = one.unwrap_or_default();
    let ask = Ask::new(Method::GET)
        .at(["executions"])
        .at([id.to_string()]);
    let ask = ask.at(["blobs", digest.as_str()]);
    let answer = server.send(ask).await?.good()?;
    let bytes = answer.bytes();
    let Some(file) = to else {
        console.bytes(bytes)?;
        return Ok(Exit::Completed);
    };
    fs::write(file, bytes).map_err(|error| Failure::file(file, "write", &error))?;
    match console.json {
        true => console.document(&json!({
            "digest": digest,
            "file": file.display().to_string(),
            "bytes": bytes.len(),
        }))?,
        false => console.line(&format!("{} bytes in {}", bytes.len(), file.display()))?,
    }
    Ok(Exit::Completed)
}

/// Runs `nebula blobs collect`. JSON: `{ "old": 3, "deleted": 1, "bytes": 300000, "renewed": 0 }`: blobs that were old enough to be looked at, those that are gone, their bytes,
/// those that somebody used again meanwhile. Exit code 3 if an execution names one that cannot be read.
async fn collect(loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let session = Session::open_existing(loaded).await?;
    let collected = match session.as_ref() {
        Some(session) => match &session.here()?.collector {
            Some(collector) => collector.collect(&session.tenant).await?,
            None => Collected::default(),
        },
        None => Collected::default(),
    };
    let Collected {
        old,
        deleted,
        bytes,
        renewed,
        unreadable,
    } = collected;
    if unreadable > 0 {
        let message = format!(
            "{unreadable} blobs that executions name are missing or damaged; they may name others, so none is deleted"
        );
        return Err(Failure::environment("BLOBS_UNREADABLE", message)
            .advice("restore the folder of blobs beside the database from a backup"));
    }
    if console.json {
        console.document(&json!({
            "old": old,
            "deleted": deleted,
            "bytes": bytes,
            "renewed": renewed,
        }))?;
    } else {
        console.line(&format!(
            "{deleted} of {old} old blobs deleted, {bytes} bytes"
        ))?;
    }
    Ok(Exit::Completed)
}
