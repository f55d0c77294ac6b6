//! Who there is at a server, what they may, and what was done: `nebula users`, `keys`, `sessions`,
//! `projects`, `members`, `invitations`, `tenants`, `audit`, `whoami` and `setup`.

mod audit;
mod belonging;
mod somebody;
mod tenants;

use http::Method;
use nebula_core::PrincipalId;
use serde_json::{Value, json};

use crate::{
    arguments::People,
    compose,
    console::Console,
    failure::{Exit, Failure},
    server::{Ask, Server},
    settings::{Loaded, Place},
    table::table,
};

/// The most that one page of a list is asked for.
const PAGE: usize = 500;

/// Runs one of them.
pub(crate) async fn run(
    command: &People,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let Place::Server(url) = &loaded.place else {
        let message =
            "people, what they may and what they did are those of a server, and none is named";
        return Err(Failure::invalid("NEEDS_SERVER", message)
            .advice("name one: --server URL; whoever has a database file may everything in it"));
    };
    let server = compose::server(loaded, url)?;
    match command {
        People::Setup(setup) => somebody::setup(setup, server.without_token(), console).await,
        People::Whoami { .. } => somebody::me(&server, console).await,
        People::Users(command) => somebody::users(command, server, console).await,
        People::Keys(command) => somebody::keys(command, server, console).await,
        People::Sessions(command) => somebody::sessions(command, &server, console).await,
        People::Projects(command) => belonging::projects(command, &server, console).await,
        People::Members(command) => belonging::members(command, &server, console).await,
        People::Invitations(command) => belonging::invitations(command, server, console).await,
        People::Tenants(command) => tenants::run(command, &server, console).await,
        People::Audit(command) => audit::run(command, &server, console).await,
    }
}

/// A list of things, at most `limit`, and whether there are more.
async fn listed(
    path: &[&str],
    key: &str,
    limit: usize,
    server: &Server,
) -> Result<(Vec<Value>, bool), Failure> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let left = (limit - items.len()).clamp(1, PAGE);
        let mut ask = Ask::new(Method::GET).at(path.iter().copied());
        ask = ask.with("limit", left.to_string());
        if let Some(cursor) = cursor {
            ask = ask.with("cursor", cursor);
        }
        let mut page: Value = server.get(ask).await?;
        if let Value::Array(found) = page[key].take() {
            items.extend(found);
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || items.len() >= limit {
            let more = cursor.is_some() || items.len() > limit;
            items.truncate(limit);
            return Ok((items, more));
        }
    }
}

/// Prints a list: `{ KEY: […], "more" }`, or a table.
fn show_list(
    (key, none): (&str, &str),
    (items, more): (Vec<Value>, bool),
    (head, row): (&[&str], impl Fn(&Value) -> Vec<String>),
    console: &Console,
) -> Result<Exit, Failure> {
    if console.json {
        console.document(&json!({ key: items, "more": more }))?;
        return Ok(Exit::Completed);
    }
    match items.is_empty() {
        true => console.note(none),
        false => {
            let rows: Vec<_> = items.iter().map(row).collect();
            console.line(&table(head, &rows))?;
        }
    }
    if more {
        console.note("there are more: raise --limit");
    }
    Ok(Exit::Completed)
}

/// Prints what a server answered, or says it in a line.
fn say(answer: &Value, line: &str, console: &Console) -> Result<Exit, Failure> {
    match console.json {
        true => console.document(answer)?,
        false => console.line(line)?,
    }
    Ok(Exit::Completed)
}

/// The text of a field; empty where it has none.
fn text(it: &Value, key: &str) -> String {
    match &it[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Roles, each with its place.
fn roles(it: &Value) -> String {
    let roles = it["roles"].as_array().into_iter().flatten();
    let shown = roles.map(|role| match role["project"].as_str() {
        Some(project) => format!("{} in {project}", text(role, "role")),
        None => text(role, "role"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The id of somebody: as it is written, of oneself, or of whoever has that login.
async fn id_of(user: &str, server: &Server) -> Result<String, Failure> {
    if user.parse::<PrincipalId>().is_ok() {
        return Ok(user.to_owned());
    }
    if user == "me" {
        let me: Value = server.get(Ask::new(Method::GET).at(["me"])).await?;
        return me["user"].as_str().map(str::to_owned).ok_or_else(|| {
            let message = "whoever holds the token of the server's machine is no user there";
            Failure::invalid("USAGE", message)
                .advice("name a user, or log in as one: nebula login --user")
        });
    }
    one(&["users"], "users", "login", user, server).await
}

/// The id of the one in a list whose `field` is `wanted`; case does not count.
async fn one(
    path: &[&str],
    key: &str,
    field: &str,
    wanted: &str,
    server: &Server,
) -> Result<String, Failure> {
    let (all, _) = listed(path, key, usize::MAX, server).await?;
    let is = |it: &&Value| text(it, field).to_lowercase() == wanted.to_lowercase();
    let found = all.iter().find(is).map(|it| text(it, "user"));
    found.ok_or_else(|| {
        let message = format!("nobody there has the {field} `{wanted}`");
        Failure::invalid("UNKNOWN_USER", message)
            .advice(format!("`nebula {key} list` shows who there is"))
    })
}
