//! `nebula login` and `logout`: the token with which a server lets the user in.

use std::path::Path;

use http::Method;
use nebula_core::{ExposeSecret as _, SecretString, TenantId};
use serde::Deserialize;
use serde_json::json;

use crate::{
    arguments::Login,
    compose,
    console::Console,
    failure::{Exit, Failure},
    secret_input,
    server::{self, Ask, SERVER_VARIABLE, ServerUrl, TOKEN_VARIABLE},
    settings::Loaded,
};

/// How long the key of a login with a password lasts.
const LASTS: &str = "2160h";

/// Who somebody is there.
#[derive(Debug, Deserialize)]
struct Me {
    user: Option<String>,
    kind: String,
    login: String,
    tenant: String,
}

#[derive(Deserialize)]
struct LetIn {
    me: Me,
    access: String,
}

#[derive(Deserialize)]
struct KeyMade {
    secret: String,
}

/// The server that was named.
fn wanted(named: Option<&str>) -> Result<ServerUrl, Failure> {
    if let Some(text) = named {
        return ServerUrl::parse(text);
    }
    match nebula_system::variable(SERVER_VARIABLE) {
        Some(text) => ServerUrl::parse(&text.to_string_lossy()),
        None => {
            Err(Failure::invalid("USAGE", "which server?").advice("write: nebula login https://…"))
        }
    }
}

/// Saves a token once the server has let its holder in. JSON: `{ "server", "login", "kind", "tenant" }`.
pub(crate) async fn login(
    arguments: &Login,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let url = wanted(arguments.server.as_deref())?;
    let from = arguments.from.as_deref();
    let token = match &arguments.user {
        None => secret_input::read_once(from, &format!("the token for {}", url.text()))?,
        Some(user) => key((user, arguments.tenant.as_ref()), from, &url, loaded).await?,
    };
    let server = compose::server(loaded, &url)?.with_token(token.clone());
    let me: Result<Me, Failure> = server.get(Ask::new(Method::GET).at(["me"])).await;
    let me = me.map_err(|failure| match failure.code.as_ref() {
        "UNAUTHENTICATED" => failure.advice("look at the token: it opens nothing there"),
        _ => failure,
    })?;
    let path = server::save(&loaded.folders.config, &url, &token)?;
    if console.json {
        console.document(&json!({
            "server": url.text(), "login": me.login, "kind": me.kind, "tenant": me.tenant,
        }))?;
    } else {
        let (server, login) = (url.text(), &me.login);
        console.line(&format!("logged in at {server} as {login} ({})", me.kind))?;
    }
    console.note(&format!("the token is in {}", path.display()));
    if nebula_system::variable(TOKEN_VARIABLE).is_some() {
        console.note(&format!(
            "the variable {TOKEN_VARIABLE} is set, and comes before it"
        ));
    }
    Ok(Exit::Completed)
}

/// An API key of somebody who shows their password. A session would have to be refreshed by each command
/// that uses it, and a refresh token counts once.
async fn key(
    (user, tenant): (&str, Option<&TenantId>),
    from: Option<&Path>,
    url: &ServerUrl,
    loaded: &Loaded,
) -> Result<SecretString, Failure> {
    let password = secret_input::read_once(from, &format!("the password of {user}"))?;
    let password = password.expose_secret();
    let body = json!({ "tenant": tenant, "login": user, "password": password, "for": "program" });
    let server = compose::server(loaded, url)?.without_token();
    let ask = Ask::new(Method::POST).at(["login"]).json(&body);
    let LetIn { me, access } = server.get(ask).await?;
    let server = server.with_token(access.into());
    let name = match nebula_system::variable("HOSTNAME") {
        Some(host) => format!("nebula login on {}", host.to_string_lossy()),
        None => "nebula login".to_owned(),
    };
    let ask = Ask::new(Method::POST).at(["users"]);
    let ask = ask.at([me.user.unwrap_or_default(), "keys".to_owned()]);
    let ask = ask.json(&json!({ "name": name, "lasts": LASTS }));
    let made: Result<KeyMade, Failure> = server.get(ask).await;
    // The session was for this alone; where it stays, it ends by itself.
    let _ = server.send(Ask::new(Method::POST).at(["logout"])).await;
    made.map(|made| made.secret.into())
}

/// Forgets a token; what it opens stays open for whoever else has it. JSON: `{ "server", "forgotten" }`.
pub(crate) fn logout(
    named: Option<&str>,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let url = wanted(named)?;
    let forgotten = server::forget(&loaded.folders.config, &url)?;
    if console.json {
        console.document(&json!({ "server": url.text(), "forgotten": forgotten }))?;
    } else if forgotten {
        console.line(&format!("the token for {} is forgotten", url.text()))?;
    } else {
        console.line(&format!("no token for {} was kept", url.text()))?;
    }
    if forgotten {
        console.note("it still opens: remove an API key that nobody needs any more at the server");
    }
    Ok(Exit::Completed)
}
