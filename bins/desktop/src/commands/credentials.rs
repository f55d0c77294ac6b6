//! `nebula credentials`: which types there are.

use nebula_credential::{CredentialType, Field};
use serde_json::{Value, json};

use crate::{
    arguments::Credentials,
    console::Console,
    failure::{Exit, Failure},
    table::table,
};

/// Runs `nebula credentials`.
pub(crate) fn run(command: &Credentials, console: &Console) -> Result<Exit, Failure> {
    match command {
        Credentials::Types => types(console),
    }
}

/// JSON: `{ "types": [{ "type", "fields": [{ "name", "title", "required", "secret" }], "schema" }] }`.
fn types(console: &Console) -> Result<Exit, Failure> {
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
