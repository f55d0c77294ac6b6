//! Projects, who has which role in them, and who is invited.

use http::Method;
use nebula_core::{ExposeSecret as _, PrincipalId, ProjectId};
use serde_json::{Value, json};

use super::{id_of, listed, one, roles, say, show_list, text};
use crate::{
    arguments::{Invitations, Members, Projects},
    console::Console,
    failure::{Exit, Failure},
    secret_input,
    server::{Ask, Server},
};

/// Runs `nebula projects`. JSON of a project: `{ "project", "name", "version" }`; of `rm` `{ "project",
/// "deleted" }`.
pub(super) async fn projects(
    command: &Projects,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Projects::List { limit, .. } => {
            let found = listed(&["projects"], "projects", usize::from(*limit), server).await?;
            let row = |it: &Value| vec![text(it, "project"), text(it, "name")];
            let head = ["PROJECT", "NAME"];
            show_list(
                ("projects", "there are no projects"),
                found,
                (&head, row),
                console,
            )
        }
        Projects::Put { project, name, .. } => {
            let (all, _) = listed(&["projects"], "projects", usize::MAX, server).await?;
            let there = all.iter().find(|it| it["project"] == project.as_str());
            let version = there.and_then(|it| it["version"].as_u64()).unwrap_or(0) + 1;
            let name = name.as_deref().unwrap_or(project.as_str());
            let ask = Ask::new(Method::PUT).at(["projects", project.as_str()]);
            let ask = ask.json(&json!({ "name": name, "version": version }));
            let put: Value = server.get(ask).await?;
            say(&put, &format!("{project} is there, as {name}"), console)
        }
        Projects::Rm { project, .. } => {
            let ask = Ask::new(Method::DELETE).at(["projects", project.as_str()]);
            server.send(ask).await?.good()?;
            let answer = json!({ "project": project, "deleted": true });
            say(&answer, &format!("{project} is deleted"), console)
        }
    }
}

/// Where members are.
fn place(project: Option<&ProjectId>) -> Vec<&str> {
    match project {
        Some(project) => vec!["projects", project.as_str(), "members"],
        None => vec!["members"],
    }
}

/// Runs `nebula members`. JSON: `{ "members": [{ "user", "role" }], "more" }`; of a change `{ "user",
/// "project", "from", "to" }`.
pub(super) async fn members(
    command: &Members,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Members::List { project, limit, .. } => {
            let path = place(project.as_ref());
            let found = listed(&path, "members", usize::from(*limit), server).await?;
            // Whoever may see who belongs may not always see who there is.
            let known = match console.json {
                true => Vec::new(),
                false => {
                    let users = listed(&["users"], "users", usize::MAX, server).await;
                    users.map(|it| it.0).unwrap_or_default()
                }
            };
            let row = |it: &Value| {
                let somebody = known.iter().find(|user| user["user"] == it["user"]);
                let login = somebody.map(|it| text(it, "login"));
                vec![
                    login.unwrap_or_default(),
                    text(it, "role"),
                    text(it, "user"),
                ]
            };
            let head = ["LOGIN", "ROLE", "ID"];
            show_list(
                ("members", "nobody has a role there"),
                found,
                (&head, row),
                console,
            )
        }
        Members::Set {
            user,
            role,
            project,
            ..
        } => change(user, Some(role), project.as_ref(), server, console).await,
        Members::Rm { user, project, .. } => {
            change(user, None, project.as_ref(), server, console).await
        }
    }
}

async fn change(
    user: &str,
    to: Option<&String>,
    project: Option<&ProjectId>,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let (id, path) = (id_of(user, server).await?, place(project));
    let (all, _) = listed(&path, "members", usize::MAX, server).await?;
    let from = all.iter().find(|it| it["user"] == id.as_str());
    let from = from.map(|it| text(it, "role"));
    let there = project.map_or_else(|| "everywhere".to_owned(), |it| format!("in {it}"));
    if from.is_none() && to.is_none() {
        let message = format!("{user} has no role {there}");
        return Err(Failure::invalid("UNKNOWN_MEMBER", message)
            .advice("`nebula members list` shows who has one; --project says where"));
    }
    let ask = Ask::new(Method::PUT).at(path).at([id.as_str()]);
    let ask = ask.json(&json!({ "from": from, "to": to }));
    server.send(ask).await?.good()?;
    let line = match to {
        Some(role) => format!("{user} is {role} {there}"),
        None => format!("{user} has no role {there} any more"),
    };
    let answer = json!({ "user": id, "project": project, "from": from, "to": to });
    say(&answer, &line, console)
}

/// Runs `nebula invitations`. JSON: `{ "invitations": […], "more" }`; of `make` `{ "user", "token",
/// "expires_at" }`, and the token is told once; of `revoke` `{ "user", "deleted" }`; of `accept` `{ "user",
/// "login" }`.
pub(super) async fn invitations(
    command: &Invitations,
    server: Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let path = ["invitations"];
    match command {
        Invitations::List { limit, .. } => {
            let found = listed(&path, "invitations", usize::from(*limit), &server).await?;
            let row = |it: &Value| {
                let until = match it["expired"] == true {
                    true => "expired".to_owned(),
                    false => text(it, "expires_at"),
                };
                vec![text(it, "email"), roles(it), until, text(it, "user")]
            };
            let head = ["EMAIL", "AS", "UNTIL", "ID"];
            show_list(
                ("invitations", "nobody is waited for"),
                found,
                (&head, row),
                console,
            )
        }
        Invitations::Make {
            email,
            role,
            project,
            name,
            ..
        } => {
            let body = json!({ "email": email, "role": role, "project": project, "name": name });
            let ask = Ask::new(Method::POST).at(path).json(&body);
            let made: Value = server.get(ask).await?;
            console.note(&format!(
                "until {}, what follows makes whoever has it {email}: send it to them; it is told once",
                text(&made, "expires_at")
            ));
            say(&made, &text(&made, "token"), console)
        }
        Invitations::Revoke { user, .. } => {
            let id = match user.parse::<PrincipalId>() {
                Ok(_) => user.clone(),
                Err(_) => one(&path, "invitations", "email", user, &server).await?,
            };
            let ask = Ask::new(Method::DELETE).at(path).at([id.as_str()]);
            server.send(ask).await?.good()?;
            let answer = json!({ "user": id, "deleted": true });
            say(
                &answer,
                &format!("{user} is not waited for any more"),
                console,
            )
        }
        Invitations::Accept {
            token, name, from, ..
        } => {
            let token = secret_input::read_once(Some(token), "the token")?;
            let password = secret_input::read(from.as_deref(), false, "your password")?;
            let mut body = json!({
                "token": token.expose_secret(),
                "password": password.expose_secret(),
            });
            if let Some(name) = name {
                body["name"] = name.as_str().into();
            }
            let ask = Ask::new(Method::POST).at(["invitations", "accept"]);
            let server = server.without_token();
            let made: Value = server.get(ask.json(&body)).await?;
            let (user, login) = (text(&made["me"], "user"), text(&made["me"], "login"));
            // What it was let in with was for this alone.
            let server = server.with_token(text(&made, "access").into());
            let _ = server.send(Ask::new(Method::POST).at(["logout"])).await;
            let line = format!("you are {login}; log in: nebula login --user {login}");
            say(&json!({ "user": user, "login": login }), &line, console)
        }
    }
}
