//! `nebula secrets`: what is kept encrypted, by id; values go in and never come out.

use nebula_core::SecretId;
use nebula_ports::SecretsRotated;
use serde_json::json;

use crate::{
    arguments::Secrets,
    compose,
    console::Console,
    failure::{Exit, Failure},
    kept,
    reach::Listed,
    secret_input,
    settings::{KEY_VARIABLE, Loaded},
};

/// Runs `nebula secrets`.
pub(crate) async fn run(
    command: &Secrets,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Secrets::Set { value, .. } if !value.is_empty() => Err(argument()),
        Secrets::Set {
            id, from, exact, ..
        } => {
            let id = own(parse(id)?)?;
            // First whether the key is right: nobody types a value for nothing.
            let secrets = kept::secret_keeper(loaded).await?;
            let value = secret_input::read(from.as_deref(), *exact, id.as_str())?;
            let new_key = secrets.new_key();
            let new = secrets.set(&id, value).await?;
            if console.json {
                console.document(&json!({ "secret": id, "new": new }))?;
            } else {
                let what = if new { "is kept" } else { "has a new value" };
                console.line(&format!("{id} {what}"))?;
            }
            if let Some(note) = new_key {
                console.note(&note);
            }
            Ok(Exit::Completed)
        }
        Secrets::List { limit, .. } => list(usize::from(*limit), loaded, console).await,
        Secrets::Rm { id, .. } => rm(&own(parse(id)?)?, loaded, console).await,
        Secrets::Rotate => rotate(loaded, console).await,
    }
}

fn parse(id: &str) -> Result<SecretId, Failure> {
    SecretId::new(id).map_err(|error| Failure::invalid("USAGE", error.to_string()))
}

/// Not one of the engine's own.
fn own(id: SecretId) -> Result<SecretId, Failure> {
    if !nebula_vault::is_reserved(&id) {
        return Ok(id);
    }
    let message = format!(
        "`{id}` belongs to the engine: credentials are encrypted with what stands there, and would be lost without it"
    );
    Err(Failure::invalid("RESERVED_SECRET", message).advice(
        "choose an id that does not begin with `nebula.`; `nebula credentials rotate --keys` replaces the keys of credentials",
    ))
}

/// Says nothing of the value.
fn argument() -> Failure {
    let message = "the value of a secret is never an argument: the shell's history and the list of processes have seen it";
    Failure::invalid("USAGE", message).advice(
        "take it for known to others and get a new one; then leave it out here, and type it when you are asked",
    )
}

/// JSON: `{ "secrets": [id], "more" }`, by id.
async fn list(limit: usize, loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let secrets = kept::secret_keeper(loaded).await?;
    let Listed { items: ids, more } = secrets.ids(limit).await?;
    if console.json {
        console.document(&json!({ "secrets": ids, "more": more }))?;
        return Ok(Exit::Completed);
    }
    if ids.is_empty() {
        console.note("no secrets");
    }
    for id in &ids {
        match nebula_vault::is_reserved(id) {
            false => console.line(id.as_str())?,
            true => console.line(&format!("{id}  (the engine's own)"))?,
        }
    }
    if more {
        console.note("there are more: raise --limit");
    }
    Ok(Exit::Completed)
}

/// JSON: `{ "secret", "deleted": true }`.
async fn rm(id: &SecretId, loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let secrets = kept::secret_keeper(loaded).await?;
    match secrets.delete(id).await? {
        false => {
            let message = format!("there is no secret `{id}` {}", secrets.words());
            Err(Failure::invalid("UNKNOWN_SECRET", message)
                .advice("`nebula secrets list` shows what is there"))
        }
        true => {
            if console.json {
                console.document(&json!({ "secret": id, "deleted": true }))?;
            } else {
                console.line(&format!("{id} is deleted"))?;
            }
            Ok(Exit::Completed)
        }
    }
}

/// JSON: `{ "from", "to", "secrets" }`: the ids of both keys, and how many secrets there are.
async fn rotate(loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let secrets = compose::secrets(loaded).await?;
    match secrets.store.rotate().await? {
        SecretsRotated::NoNewerKey { key } => {
            let message =
                format!("the secrets are encrypted with the newest key that is there, {key}");
            let advice = format!(
                "put a new key before it, separated by a space (32 random bytes in base64: `head -c 32 /dev/urandom | base64`), \
                 where {KEY_VARIABLE} or the command gets it from; rotate; then take the old one away"
            );
            Err(Failure::invalid("NO_NEWER_KEY", message).advice(advice))
        }
        SecretsRotated::Rotated {
            from,
            to,
            secrets: count,
        } => {
            if console.json {
                console.document(&json!({ "from": from, "to": to, "secrets": count }))?;
            } else {
                let noun = if count == 1 {
                    "secret is"
                } else {
                    "secrets are"
                };
                console.line(&format!(
                    "{count} {noun} encrypted with the key {to}, after {from}"
                ))?;
            }
            match &secrets.key_file {
                Some(file) => console.note(&format!(
                    "{} has the new key alone; keep a copy of it, and of the old one for as long as you have copies of the secrets from before",
                    file.display()
                )),
                None => console.note(&format!("the key {from} is not needed any more")),
            }
            Ok(Exit::Completed)
        }
    }
}
