//! `nebula credentials`: kept encrypted, by id; values go in and never come out.

use http::Method;
use nebula_core::{CredentialId, TenantId};
use nebula_credential::{AllowedHosts, CredentialType};
use nebula_vault::KeysRotated;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    arguments::{Credentials, Fields},
    commands::{credential_fields, credential_test},
    compose,
    console::Console,
    definition::counted,
    failure::{Exit, Failure},
    kept::{self, NewCredential, Put, Shown, Used, invalid},
    reach::Listed,
    server::Ask,
    settings::{Loaded, Place},
    table::table,
};

/// Runs `nebula credentials`.
pub(crate) async fn run(
    command: &Credentials,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let parse = |id: &str| {
        CredentialId::new(id).map_err(|error| Failure::invalid("USAGE", error.to_string()))
    };
    match command {
        Credentials::Types { .. } => types(loaded, console).await,
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
    let keeper = kept::keeper(loaded).await?;
    let new_key = keeper.check().await?;
    if keeper.credential(id).await?.is_some() {
        return Err(exists(id));
    }
    let new = NewCredential {
        from: None,
        kind,
        fields: credential_fields::gather(kind, fields, false)?,
        hosts: Some(hosts),
        project: fields.project.clone(),
    };
    match keeper.put(id, new).await? {
        Put::Conflict { .. } => Err(exists(id)),
        Put::Stored { version, hosts } => {
            kept(id, version, (kind, &hosts), console)?;
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
    (kind, hosts): (CredentialType, &[String]),
    console: &Console,
) -> Result<(), Failure> {
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

/// JSON: `{ "credentials": [{ "credential", "type", "version", "hosts", "project", "put_at",
/// "used_at", "key" }],
/// "more" }`, by id; `hosts` is null where the credential cannot be opened.
async fn list(limit: usize, loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let keeper = kept::keeper(loaded).await?;
    let (Listed { items, more }, closed) = keeper.credentials(limit).await?;
    if console.json {
        let rows: Vec<_> = items.iter().map(Shown::document).collect();
        console.document(&json!({ "credentials": rows, "more": more }))?;
    } else if items.is_empty() {
        console.note("no credentials");
    } else {
        let rows: Vec<_> = items.iter().map(row).collect();
        let head = [
            "ID",
            "TYPE",
            "VERSION",
            "HOSTS",
            "PROJECT",
            "LAST USED",
            "KEY",
        ];
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

fn row(it: &Shown) -> Vec<String> {
    let hosts = match &it.hosts {
        None => "?".to_owned(),
        Some(none) if none.is_empty() => "none".to_owned(),
        Some(hosts) => hosts.join(", "),
    };
    vec![
        it.credential.to_string(),
        it.kind.clone(),
        it.version.to_string(),
        hosts,
        it.project.clone().unwrap_or_default(),
        it.used_at
            .map_or_else(|| "never".to_owned(), |at| at.to_string()),
        it.key.clone().unwrap_or_default(),
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
    let keeper = kept::keeper(loaded).await?;
    let uses = keeper.uses(id, limit).await?;
    let uses = uses.ok_or_else(|| unknown(id))?;
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

fn use_json(it: &Used) -> Value {
    let mut row = json!({ "at": it.at, "version": it.version, "by": it.by });
    if let (Some(execution), Some(node), Some(attempt)) = (&it.execution, &it.node, it.attempt) {
        row["execution"] = execution.clone().into();
        row["node"] = node.clone().into();
        row["attempt"] = attempt.into();
    }
    row
}

fn use_row(it: &Used) -> Vec<String> {
    let by = match (&it.execution, &it.node, it.attempt) {
        (Some(execution), Some(node), Some(attempt)) => {
            format!("node {node} of execution {execution}, attempt {attempt}")
        }
        _ => it.by.clone(),
    };
    vec![it.at.to_string(), it.version.to_string(), by]
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
    let keeper = kept::keeper(loaded).await?;
    let hosts = hosts_of(fields)?;
    // What is asked for depends on the type; what stays is opened once everything else is there.
    let found = keeper.credential(id).await?;
    let (kind, version) = found.ok_or_else(|| unknown(id))?;
    let some = !fields.field.is_empty()
        || !fields.from.is_empty()
        || !fields.hosts.is_empty()
        || fields.project.is_some();
    let new = NewCredential {
        from: Some(version),
        kind,
        fields: credential_fields::gather(kind, fields, some)?,
        hosts: (!fields.hosts.is_empty()).then_some(hosts),
        project: fields.project.clone(),
    };
    match keeper.put(id, new).await? {
        Put::Stored { version, hosts } => {
            kept(id, version, (kind, &hosts), console)?;
            Ok(Exit::Completed)
        }
        Put::Conflict { version: None } => Err(unknown(id)),
        Put::Conflict { version: Some(now) } => {
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
    if let Place::Server(_) = loaded.place {
        let message = "master keys belong to a database, and a server keeps its own";
        return Err(Failure::invalid("NEEDS_DATABASE", message)
            .advice("rotate them on the machine of the server"));
    }
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
    let keeper = kept::keeper(loaded).await?;
    match keeper.remove(id).await? {
        false => Err(unknown(id)),
        true => {
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
async fn types(loaded: &Loaded, console: &Console) -> Result<Exit, Failure> {
    let all: Types = match &loaded.place {
        Place::Server(url) => {
            let server = compose::server(loaded, url)?;
            let ask = Ask::new(Method::GET).at(["credential-types"]);
            server.get(ask).await?
        }
        _ => Types {
            types: CredentialType::ALL.iter().map(TypeLine::from).collect(),
        },
    };
    if console.json {
        console.document(&all)?;
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = all
        .types
        .iter()
        .map(|it| vec![it.kind.clone(), fields_text(&it.fields)])
        .collect();
    console.line(&table(&["TYPE", "FIELDS"], &rows))?;
    console.note("in brackets: may be left out; with a star: never shown");
    Ok(Exit::Completed)
}

#[derive(Debug, Serialize, Deserialize)]
struct Types {
    types: Vec<TypeLine>,
}

#[derive(Debug, Serialize, Deserialize)]
struct TypeLine {
    #[serde(rename = "type")]
    kind: String,
    fields: Vec<FieldLine>,
    schema: Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct FieldLine {
    name: String,
    title: String,
    required: bool,
    secret: bool,
}

impl From<&CredentialType> for TypeLine {
    fn from(kind: &CredentialType) -> Self {
        let fields = kind.fields().iter().map(|field| FieldLine {
            name: field.name.to_owned(),
            title: field.title.to_owned(),
            required: field.required,
            secret: field.secret,
        });
        Self {
            kind: kind.name().to_owned(),
            fields: fields.collect(),
            schema: kind.schema(),
        }
    }
}

fn fields_text(fields: &[FieldLine]) -> String {
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
