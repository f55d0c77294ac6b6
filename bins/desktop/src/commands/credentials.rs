//! `nebula credentials`: kept encrypted, by id; values go in and never come out.

use nebula_core::{CredentialId, ExecutionId, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType, Field};
use nebula_ports::{CredentialDeleted, CredentialSummary, CredentialUse, CredentialUser};
use nebula_vault::{KeysRotated, Opened, VaultPut};
use serde_json::{Value, json};

use crate::{
    arguments::{Credentials, Fields},
    commands::{credential_fields, credential_test},
    compose::{self, ComposedVault},
    console::Console,
    definition::counted,
    failure::{Exit, Failure},
    settings::Loaded,
    table::table,
};

/// Runs `nebula credentials`, but for the types, which need no settings.
pub(crate) async fn run(
    command: &Credentials,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let parse = |id: &str| {
        CredentialId::new(id).map_err(|error| Failure::invalid("USAGE", error.to_string()))
    };
    match command {
        Credentials::Types => types(console),
        Credentials::Add {
            id, kind, fields, ..
        } => add(&parse(id)?, kind, fields, loaded, console).await,
        Credentials::List { limit, .. } => list(usize::from(*limit), loaded, console).await,
        Credentials::Uses { id, limit, .. } => {
            uses(&parse(id)?, usize::from(*limit), loaded, console).await
        }
        Credentials::Test { id, url, .. } => {
            credential_test::run(&parse(id)?, url.as_deref(), loaded, console).await
        }
        Credentials::Rotate {
            id: Some(id),
            fields,
            ..
        } => rotate(&parse(id)?, fields, loaded, console).await,
        Credentials::Rotate { id: None, .. } => rotate_keys(loaded, console).await,
        Credentials::Rm { id, .. } => rm(&parse(id)?, loaded, console).await,
    }
}

fn invalid(error: impl std::fmt::Display) -> Failure {
    Failure::invalid("CREDENTIAL_INVALID", error.to_string())
        .advice("`nebula credentials types` shows the fields of each type")
}

fn hosts_of(fields: &Fields) -> Result<AllowedHosts, Failure> {
    let hosts = AllowedHosts::parse(fields.hosts.iter().map(String::as_str));
    hosts.map_err(|error| {
        Failure::invalid("CREDENTIAL_INVALID", error.to_string())
            .advice("name the hosts of the service, such as `--hosts api.example`")
    })
}

/// JSON: `{ "credential", "type", "version", "hosts" }`.
async fn add(
    id: &CredentialId,
    kind: &str,
    fields: &Fields,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    credential_fields::refuse_argument(fields)?;
    let kind: CredentialType = kind.parse().map_err(invalid)?;
    let hosts = hosts_of(fields)?;
    // First whether the key is right and the id free: nobody types a value for nothing.
    let composed = compose::vault(loaded).await?;
    composed.check_keys().await?;
    let (vault, tenant) = (&composed.vault, TenantId::local());
    if vault.exists(&tenant, id).await? {
        return Err(exists(id));
    }
    let given = credential_fields::gather(kind, fields, false)?;
    let credential = Credential::new(kind, given, hosts).map_err(invalid)?;
    let new_key = composed.secrets.new_key();
    match vault.put(&tenant, id, None, &credential).await? {
        VaultPut::Conflict { .. } => Err(exists(id)),
        VaultPut::Stored { version } => {
            kept(id, version, &credential, console)?;
            if let Some(note) = new_key {
                console.note(&note);
            }
            Ok(Exit::Completed)
        }
    }
}

fn exists(id: &CredentialId) -> Failure {
    Failure::invalid(
        "CREDENTIAL_EXISTS",
        format!("there is a credential `{id}` already"),
    )
    .advice(format!(
        "`nebula credentials rotate {id}` gives it a new version"
    ))
}

fn kept(
    id: &CredentialId,
    version: u32,
    credential: &Credential,
    console: &Console,
) -> Result<(), Failure> {
    let kind = credential.kind();
    let hosts: Vec<_> = credential.hosts().patterns().collect();
    if console.json {
        console.document(&json!({
            "credential": id,
            "type": kind.name(),
            "version": version,
            "hosts": hosts,
        }))?;
    } else {
        let to = match hosts.is_empty() {
            true => "no host".to_owned(),
            false => hosts.join(", "),
        };
        console.line(&format!(
            "{id} is kept: {kind}, version {version}, for {to}"
        ))?;
    }
    if hosts.is_empty() {
        console.note(&format!(
            "without a host it is sent nowhere: `nebula credentials rotate {id} --hosts HOST` names them"
        ));
    }
    Ok(())
}

/// JSON: `{ "credentials": [{ "credential", "type", "version", "hosts", "put_at", "used_at", "key" }],
/// "more" }`, by id; `hosts` is null where the credential cannot be opened.
async fn list(limit: usize, loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let composed = compose::vault(loaded).await?;
    let tenant = TenantId::local();
    let mut listed = composed.vault.list(&tenant, None, limit + 1).await?;
    let more = listed.len() > limit;
    listed.truncate(limit);
    let mut hosts = Vec::with_capacity(listed.len());
    let mut closed = None;
    for summary in &listed {
        match composed.vault.hosts(&tenant, &summary.id).await {
            Ok((_, allowed)) => hosts.push(Some(allowed.patterns().collect::<Vec<_>>())),
            Err(error) => {
                hosts.push(None);
                closed.get_or_insert(error);
            }
        }
    }
    if console.json {
        let rows: Vec<_> = listed.iter().zip(&hosts).map(summary_json).collect();
        console.document(&json!({ "credentials": rows, "more": more }))?;
    } else if listed.is_empty() {
        console.note("no credentials");
    } else {
        let rows: Vec<_> = listed.iter().zip(&hosts).map(summary_row).collect();
        let head = ["ID", "TYPE", "VERSION", "HOSTS", "LAST USED", "KEY"];
        console.line(&table(&head, &rows))?;
    }
    if let Some(error) = closed {
        console.note(&format!("some cannot be opened: {error}"));
        console.note(error.advice());
    }
    if more {
        console.note("there are more: raise --limit");
    }
    Ok(Exit::Completed)
}

type Row<'a> = (&'a CredentialSummary, &'a Option<Vec<String>>);

fn summary_json((summary, hosts): Row<'_>) -> Value {
    json!({
        "credential": summary.id,
        "type": summary.kind,
        "version": summary.version,
        "hosts": hosts,
        "put_at": summary.put_at,
        "used_at": summary.used_at,
        "key": summary.key,
    })
}

fn summary_row((summary, hosts): Row<'_>) -> Vec<String> {
    let hosts = match hosts {
        None => "?".to_owned(),
        Some(none) if none.is_empty() => "none".to_owned(),
        Some(hosts) => hosts.join(", "),
    };
    let used = summary
        .used_at
        .map_or("never".to_owned(), |at| at.to_string());
    vec![
        summary.id.to_string(),
        summary.kind.clone(),
        summary.version.to_string(),
        hosts,
        used,
        summary.key.to_string(),
    ]
}

/// JSON: `{ "credential", "uses": [{ "at", "version", "by", "execution", "node", "attempt" }] }`, newest
/// first; `by` is `attempt`, `refresh`, `test` or `change`, and the last three are of attempts only.
async fn uses(
    id: &CredentialId,
    limit: usize,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let ComposedVault { vault, .. } = compose::vault(loaded).await?;
    let tenant = TenantId::local();
    let uses = vault.uses(&tenant, id, None, limit).await?;
    if uses.is_empty() && !vault.exists(&tenant, id).await? {
        return Err(unknown(id));
    }
    if console.json {
        let rows: Vec<_> = uses.iter().map(use_json).collect();
        console.document(&json!({ "credential": id, "uses": rows }))?;
        return Ok(Exit::Completed);
    }
    if uses.is_empty() {
        console.note("it was never used");
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = uses.iter().map(use_row).collect();
    console.line(&table(&["WHEN", "VERSION", "BY"], &rows))?;
    Ok(Exit::Completed)
}

fn use_json(it: &CredentialUse) -> Value {
    let mut row = json!({ "at": it.at, "version": it.version, "by": by(&it.user) });
    if let Some((execution, node, attempt)) = attempt_of(&it.user) {
        row["execution"] = json!(execution);
        row["node"] = node.into();
        row["attempt"] = attempt.into();
    }
    row
}

fn use_row(it: &CredentialUse) -> Vec<String> {
    let by = match attempt_of(&it.user) {
        Some((execution, node, attempt)) => {
            format!("node {node} of execution {execution}, attempt {attempt}")
        }
        None => by(&it.user).to_owned(),
    };
    vec![it.at.to_string(), it.version.to_string(), by]
}

fn attempt_of(user: &CredentialUser) -> Option<(&ExecutionId, &str, u32)> {
    match user {
        CredentialUser::Attempt {
            execution,
            node,
            attempt,
        } => Some((execution, node, *attempt)),
        CredentialUser::Refresh | CredentialUser::Test | CredentialUser::Change => None,
    }
}

fn by(user: &CredentialUser) -> &'static str {
    match user {
        CredentialUser::Attempt { .. } => "attempt",
        CredentialUser::Refresh => "refresh",
        CredentialUser::Test => "test",
        CredentialUser::Change => "change",
    }
}

pub(crate) fn unknown(id: &CredentialId) -> Failure {
    nebula_vault::VaultError::Unknown(id.clone()).into()
}

/// JSON: as of `add`.
async fn rotate(
    id: &CredentialId,
    fields: &Fields,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    credential_fields::refuse_argument(fields)?;
    let composed = compose::vault(loaded).await?;
    let (vault, tenant) = (&composed.vault, TenantId::local());
    let hosts = hosts_of(fields)?;
    // What is asked for depends on the type; what stays is opened once everything else is there.
    let (kind, before) = vault.hosts(&tenant, id).await?;
    let some = !fields.field.is_empty() || !fields.from.is_empty() || !fields.hosts.is_empty();
    let mut given = credential_fields::gather(kind, fields, some)?;
    let Opened {
        version,
        credential,
    } = vault.open(&tenant, id, &CredentialUser::Change).await?;
    for (name, value) in credential.fields() {
        given
            .entry(name.to_owned())
            .or_insert_with(|| value.clone());
    }
    let hosts = match fields.hosts.is_empty() {
        true => before,
        false => hosts,
    };
    let new = Credential::new(credential.kind(), given, hosts).map_err(invalid)?;
    match vault.put(&tenant, id, Some(version), &new).await? {
        VaultPut::Stored { version } => {
            kept(id, version, &new, console)?;
            Ok(Exit::Completed)
        }
        VaultPut::Conflict { version: None } => Err(unknown(id)),
        VaultPut::Conflict { version: Some(now) } => {
            let message = format!(
                "`{id}` was changed meanwhile: it has version {now}, and this was to follow version {version}; nothing was written"
            );
            Err(Failure::environment("CREDENTIAL_CHANGED", message).advice("try again"))
        }
    }
}

/// JSON: `{ "from": [key], "to", "credentials", "resumed" }`, or `{ "from": [], "to": null, … }` where
/// there is no key.
async fn rotate_keys(loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let composed = compose::vault(loaded).await?;
    let tenant = TenantId::local();
    match composed.vault.rotate_keys(&tenant).await? {
        KeysRotated::NoKeys => {
            if console.json {
                let none = json!({ "from": [], "to": null, "credentials": 0, "resumed": false });
                console.document(&none)?;
            } else {
                console.note("no credential was ever added, so there is no key to rotate");
            }
        }
        KeysRotated::Rotated {
            from,
            to,
            credentials,
            resumed,
        } => {
            let path = composed.secrets.path.display();
            if console.json {
                console.document(&json!({
                    "from": from,
                    "to": to,
                    "credentials": credentials,
                    "resumed": resumed,
                }))?;
            } else {
                let before: Vec<_> = from.iter().map(ToString::to_string).collect();
                let went = match resumed {
                    true => "a rotation that had not come to its end has: ",
                    false => "",
                };
                console.line(&format!(
                    "{went}{} encrypted anew with the master key {to}, after {}",
                    counted(credentials, "credential"),
                    before.join(", ")
                ))?;
            }
            console.note(&format!(
                "the keys before are deleted: a backup of the database from before opens only with a copy of {path} from before"
            ));
        }
    }
    Ok(Exit::Completed)
}

/// JSON: `{ "credential", "deleted": true }`.
async fn rm(id: &CredentialId, loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let ComposedVault { vault, .. } = compose::vault(loaded).await?;
    match vault.remove(&TenantId::local(), id).await? {
        CredentialDeleted::Unknown => Err(unknown(id)),
        CredentialDeleted::Deleted => {
            if console.json {
                console.document(&json!({ "credential": id, "deleted": true }))?;
            } else {
                console.line(&format!("{id} is removed; who used it stays known"))?;
            }
            Ok(Exit::Completed)
        }
    }
}

/// JSON: `{ "types": [{ "type", "fields": [{ "name", "title", "required", "secret" }], "schema" }] }`.
pub(crate) fn types(console: &Console) -> Result<Exit, Failure> {
    if console.json {
        let all: Vec<_> = CredentialType::ALL
            .iter()
            .map(|it| type_json(*it))
            .collect();
        console.document(&json!({ "types": all }))?;
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = CredentialType::ALL
        .iter()
        .map(|it| vec![it.to_string(), fields_text(it.fields())])
        .collect();
    console.line(&table(&["TYPE", "FIELDS"], &rows))?;
    console.note("in brackets: may be left out; with a star: never shown");
    Ok(Exit::Completed)
}

fn type_json(kind: CredentialType) -> Value {
    let fields = kind.fields().iter().map(|field| {
        json!({
            "name": field.name,
            "title": field.title,
            "required": field.required,
            "secret": field.secret,
        })
    });
    json!({
        "type": kind.name(),
        "fields": fields.collect::<Vec<_>>(),
        "schema": kind.schema(),
    })
}

fn fields_text(fields: &[Field]) -> String {
    if fields.is_empty() {
        return "any names, each with a star".to_owned();
    }
    let shown = fields.iter().map(|field| {
        let star = if field.secret { "*" } else { "" };
        match field.required {
            true => format!("{}{star}", field.name),
            false => format!("[{}{star}]", field.name),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}
