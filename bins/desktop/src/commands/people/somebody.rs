//! People and service accounts, their API keys and sessions.

use std::path::Path;

use http::Method;
use nebula_core::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{id_of, listed, roles, say, show_list, text};
use crate::{
    arguments::{Keys, LogIn, Sessions, Setup, Users},
    console::Console,
    failure::{Exit, Failure},
    secret_input,
    server::{Ask, Server},
};

/// Makes the first person. JSON: `{ "user", "login" }`.
pub(super) async fn setup(
    arguments: &Setup,
    server: Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let token = secret_input::read_once(Some(&arguments.token), "the token")?;
    let password = password(arguments.from.as_deref(), &arguments.login)?;
    let body = json!({
        "token": token.expose_secret(),
        "login": arguments.login,
        "name": arguments.name,
        "password": password,
    });
    let ask = Ask::new(Method::POST).at(["setup"]).json(&body);
    let made: Value = server.get(ask).await?;
    let (user, login) = (text(&made["me"], "user"), text(&made["me"], "login"));
    // What it was let in with was for this alone.
    close(&server.with_token(text(&made, "access").into()), true).await;
    let line = format!("{login} owns what is there; log in: nebula login --user {login}");
    say(&json!({ "user": user, "login": login }), &line, console)
}

/// Says who one is. JSON: as `GET /api/v1/me` has it.
pub(super) async fn me(server: &Server, console: &Console) -> Result<Exit, Failure> {
    let me: Value = server.get(Ask::new(Method::GET).at(["me"])).await?;
    let line = format!(
        "{} ({})  {}",
        text(&me, "login"),
        text(&me, "kind"),
        roles(&me)
    );
    say(&me, line.trim_end(), console)
}

fn password(from: Option<&Path>, login: &str) -> Result<String, Failure> {
    let password = secret_input::read(from, false, &format!("the password of {login}"))?;
    Ok(password.expose_secret().to_owned())
}

fn of(user: &str) -> Ask<'_> {
    Ask::new(Method::GET).at(["users", user])
}

/// Runs `nebula users`. JSON of a user: as `GET /api/v1/users/{user}` has it; of `rm` `{ "user", "deleted" }`,
/// of `password` `{ "user", "changed" }`.
pub(super) async fn users(
    command: &Users,
    server: Server,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Users::List { limit, .. } => {
            let found = listed(&["users"], "users", usize::from(*limit), &server).await?;
            let row = |it: &Value| {
                let state = match it["disabled"] == true {
                    true => "disabled",
                    false => "",
                };
                vec![
                    text(it, "login"),
                    text(it, "kind"),
                    roles(it),
                    state.to_owned(),
                    text(it, "user"),
                ]
            };
            let head = ["LOGIN", "KIND", "ROLES", "", "ID"];
            show_list(("users", "there is nobody"), found, (&head, row), console)
        }
        Users::Show { user, .. } => {
            let id = id_of(user, &server).await?;
            let found: Value = server.get(of(&id)).await?;
            say(&found, &line(&found), console)
        }
        Users::Add {
            login,
            service,
            name,
            with_password,
            from,
            ..
        } => {
            let mut body = json!({
                "kind": if *service { "service" } else { "person" },
                "login": login,
                "name": name,
            });
            if *with_password || from.is_some() {
                body["password"] = password(from.as_deref(), login)?.into();
            }
            let ask = Ask::new(Method::POST).at(["users"]).json(&body);
            let added: Value = server.get(ask).await?;
            say(&added, &format!("{} is added", line(&added)), console)
        }
        Users::Rm { user, .. } => {
            let id = id_of(user, &server).await?;
            server.send(of(&id).method(Method::DELETE)).await?.good()?;
            let answer = json!({ "user": id, "deleted": true });
            say(&answer, &format!("{user} is deleted"), console)
        }
        Users::Disable { user, .. } => disable(user, true, &server, console).await,
        Users::Enable { user, .. } => disable(user, false, &server, console).await,
        Users::Password {
            user: Some(user),
            from,
            log_in,
            ..
        } => {
            let id = id_of(user, &server).await?;
            let body = json!({ "password": password(from.as_deref(), user)? });
            let (server, opened) = opened(log_in, server).await?;
            let ask = of(&id).at(["password"]).method(Method::PUT).json(&body);
            let done = server.send(ask).await?.good();
            close(&server, opened).await;
            done.map_err(key_makes_none)?;
            let answer = json!({ "user": id, "changed": true });
            say(&answer, &format!("{user} has another password"), console)
        }
        Users::Password {
            user: None,
            old,
            from,
            ..
        } => {
            let me: Value = server.get(Ask::new(Method::GET).at(["me"])).await?;
            let (id, login) = (id_of("me", &server).await?, text(&me, "login"));
            let old = secret_input::read_once(old.as_deref(), "your password until now")?;
            let new = password(from.as_deref(), &login)?;
            // Whoever has a key of somebody may not change their password: the one before is shown for it.
            let server = session(&login, &old, server).await?;
            let body = json!({ "old": old.expose_secret(), "new": new });
            let ask = Ask::new(Method::PUT).at(["me", "password"]).json(&body);
            let done = server.send(ask).await?.good();
            close(&server, true).await;
            done?;
            let answer = json!({ "user": id, "changed": true });
            say(&answer, "you have another password", console)
        }
    }
}

/// The server as somebody who shows their password.
async fn session(login: &str, password: &SecretString, server: Server) -> Result<Server, Failure> {
    let body = json!({ "login": login, "password": password.expose_secret(), "for": "program" });
    let server = server.without_token();
    let ask = Ask::new(Method::POST).at(["login"]).json(&body);
    let made: Value = server.get(ask).await?;
    Ok(server.with_token(text(&made, "access").into()))
}

/// The server as whoever is to be logged in for this command alone, and whether a session was opened for it.
async fn opened(log_in: &LogIn, server: Server) -> Result<(Server, bool), Failure> {
    let Some(login) = &log_in.login else {
        return Ok((server, false));
    };
    let from = log_in.login_from.as_deref();
    let password = secret_input::read_once(from, &format!("the password of {login}"))?;
    Ok((session(login, &password, server).await?, true))
}

/// Ends a session that was for one command; where it stays, it ends by itself.
async fn close(server: &Server, opened: bool) {
    if opened {
        let _ = server.send(Ask::new(Method::POST).at(["logout"])).await;
    }
}

fn line(user: &Value) -> String {
    let name = match text(user, "name") {
        name if name.is_empty() => name,
        name => format!(" {name}"),
    };
    let line = format!(
        "{}{name} ({})  {}",
        text(user, "login"),
        text(user, "kind"),
        roles(user)
    );
    line.trim_end().to_owned()
}

async fn disable(
    user: &str,
    disabled: bool,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let id = id_of(user, server).await?;
    let ask = of(&id).at(["disabled"]).method(Method::PUT);
    let answer: Value = server
        .get(ask.json(&json!({ "disabled": disabled })))
        .await?;
    let line = match disabled {
        true => format!("{user} is shut out"),
        false => format!("{user} is let in again"),
    };
    say(&answer, &line, console)
}

/// Runs `nebula keys`. JSON: `{ "keys": […] }`; of `make` `{ "key", "secret" }`, and the secret is told once; of
/// `revoke` `{ "key", "deleted" }`.
pub(super) async fn keys(
    command: &Keys,
    server: Server,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Keys::List { user, .. } => {
            let id = id_of(user, &server).await?;
            let mut found: Value = server.get(of(&id).at(["keys"])).await?;
            let all = match found["keys"].take() {
                Value::Array(all) => all,
                _ => Vec::new(),
            };
            let row = |it: &Value| {
                let expires = match it["expired"] == true {
                    true => "expired".to_owned(),
                    false => text(it, "expires_at"),
                };
                let only = it["permissions"].as_array().into_iter().flatten();
                let only: Vec<_> = only.filter_map(Value::as_str).collect();
                vec![
                    text(it, "key"),
                    text(it, "name"),
                    text(it, "project"),
                    only.join(" "),
                    expires,
                    text(it, "used_at"),
                ]
            };
            let head = ["KEY", "NAME", "PROJECT", "ONLY FOR", "UNTIL", "USED"];
            show_list(
                ("keys", "there are no API keys"),
                (all, false),
                (&head, row),
                console,
            )
        }
        Keys::Make {
            name,
            user,
            lasts,
            project,
            permission,
            log_in,
            ..
        } => {
            let id = id_of(user, &server).await?;
            let mut body = json!({ "name": name, "lasts": lasts, "project": project });
            if !permission.is_empty() {
                body["permissions"] = json!(permission);
            }
            let ask = of(&id).at(["keys"]).method(Method::POST).json(&body);
            let (server, opened) = opened(log_in, server).await?;
            let made: Result<Value, Failure> = server.get(ask).await;
            close(&server, opened).await;
            let made = made.map_err(key_makes_none)?;
            console.note("what follows opens what the key is for, and is told once");
            say(&made, &text(&made, "secret"), console)
        }
        Keys::Revoke { key, .. } => {
            let ask = Ask::new(Method::DELETE).at(["keys", key.as_str()]);
            server.send(ask).await?.good()?;
            let answer = json!({ "key": key, "deleted": true });
            say(&answer, &format!("{key} opens nothing any more"), console)
        }
    }
}

/// What to do where only a key was shown.
fn key_makes_none(failure: Failure) -> Failure {
    match failure.code.as_ref() {
        "DENIED" => failure.advice("log in for this command alone: --login LOGIN"),
        _ => failure,
    }
}

/// Runs `nebula sessions`. JSON: `{ "sessions": […] }`; of `close` `{ "closed" }`.
pub(super) async fn sessions(
    command: &Sessions,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Sessions::List { user, .. } => {
            let id = id_of(user, server).await?;
            let mut found: Value = server.get(of(&id).at(["sessions"])).await?;
            let all = match found["sessions"].take() {
                Value::Array(all) => all,
                _ => Vec::new(),
            };
            let keys = ["session", "for", "from", "agent", "opened_at", "used_at"];
            let row = |it: &Value| keys.iter().map(|key| text(it, key)).collect();
            let head = ["ID", "FOR", "FROM", "AGENT", "OPENED", "USED"];
            show_list(
                ("sessions", "no session lasts"),
                (all, false),
                (&head, row),
                console,
            )
        }
        Sessions::Close { user, session, .. } => {
            let id = id_of(user, server).await?;
            let mut ask = of(&id).at(["sessions"]).method(Method::DELETE);
            if let Some(session) = session {
                ask = ask.at([session.as_str()]);
            }
            let answer: Value = server.get(ask).await?;
            say(&answer, &format!("{} closed", answer["closed"]), console)
        }
    }
}
