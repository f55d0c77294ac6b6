//! Tenants of a server, and how much each may use.

use http::Method;
use nebula_core::TenantId;
use serde_json::{Value, json};

use super::{listed, say, show_list, text};
use crate::{
    arguments::{Settled, Tenants},
    console::Console,
    failure::{Exit, Failure},
    server::{Ask, Server},
};

/// What takes a quota away.
const NONE: &str = "none";

/// Runs `nebula tenants`. JSON of a tenant: `{ "tenant", "name", "version", "disabled", "quotas",
/// "weight", "usage" }`; of `create` and `setup` with `"token"` and `"expires_in"`, and the token is told once.
pub(super) async fn run(
    command: &Tenants,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Tenants::List { limit, .. } => {
            let found = listed(&["tenants"], "tenants", usize::from(*limit), server).await?;
            let row = |it: &Value| {
                let state = if it["disabled"] == true {
                    "disabled"
                } else {
                    ""
                };
                vec![
                    text(it, "tenant"),
                    text(it, "name"),
                    quotas(&it["quotas"]),
                    it["weight"].to_string(),
                    state.to_owned(),
                ]
            };
            let head = ["TENANT", "NAME", "QUOTAS", "WEIGHT", ""];
            show_list(
                ("tenants", "there are no tenants beside the server's own"),
                found,
                (&head, row),
                console,
            )
        }
        Tenants::Show { tenant, .. } => {
            let it = show(tenant, server).await?;
            let used = &it["usage"];
            let line = format!(
                "{tenant}: {}{}; quotas: {}; weight: {}; uses {} executions ({} held), {} bytes",
                text(&it, "name"),
                if it["disabled"] == true {
                    ", disabled"
                } else {
                    ""
                },
                quotas(&it["quotas"]),
                it["weight"],
                used["executions"],
                used["held"],
                used["bytes"],
            );
            say(&it, &line, console)
        }
        Tenants::Create {
            tenant, settled, ..
        } => {
            let new = json!({
                "tenant": tenant, "name": tenant.as_str(), "version": 0, "quotas": {},
            });
            put(tenant, changed(new, settled)?, server).await?;
            set_up(tenant, server, console).await
        }
        Tenants::Set {
            tenant, settled, ..
        } => {
            let there = show(tenant, server).await?;
            let put = put(tenant, changed(there, settled)?, server).await?;
            let line = format!(
                "{tenant}: quotas: {}; weight: {}",
                quotas(&put["quotas"]),
                put["weight"]
            );
            say(&put, &line, console)
        }
        Tenants::Disable { tenant, .. } => switch(tenant, true, server, console).await,
        Tenants::Enable { tenant, .. } => switch(tenant, false, server, console).await,
        Tenants::Setup { tenant, .. } => set_up(tenant, server, console).await,
    }
}

async fn show(tenant: &TenantId, server: &Server) -> Result<Value, Failure> {
    let ask = Ask::new(Method::GET).at(["tenants", tenant.as_str()]);
    server.get(ask).await
}

/// Puts the next version of what was looked at: whoever changed it meanwhile is not overridden.
async fn put(tenant: &TenantId, it: Value, server: &Server) -> Result<Value, Failure> {
    let version = it["version"].as_u64().unwrap_or(0) + 1;
    let body = json!({
        "name": it["name"], "version": version, "disabled": it["disabled"] == true,
        "quotas": it["quotas"], "weight": it["weight"],
    });
    let ask = Ask::new(Method::PUT).at(["tenants", tenant.as_str()]);
    server.get(ask.json(&body)).await
}

/// What was settled, with what is settled now.
fn changed(mut it: Value, settled: &Settled) -> Result<Value, Failure> {
    if let Some(name) = &settled.name {
        it["name"] = name.as_str().into();
    }
    if let Some(weight) = settled.weight {
        it["weight"] = weight.into();
    }
    let given = [
        ("executions", &settled.executions),
        ("bytes", &settled.bytes),
        ("starts_per_second", &settled.starts_per_second),
    ];
    for (key, given) in given {
        let Some(given) = given else { continue };
        it["quotas"][key] = match given.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) if given == NONE => Value::Null,
            Err(_) => {
                let option = key.replace('_', "-");
                let message = format!("--{option} is `{given}`, which is no number");
                return Err(Failure::invalid("USAGE", message).advice(format!(
                    "write a whole number, or `{NONE}` for as much as there is"
                )));
            }
        };
    }
    Ok(it)
}

async fn switch(
    tenant: &TenantId,
    disabled: bool,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let mut it = show(tenant, server).await?;
    it["disabled"] = disabled.into();
    let put = put(tenant, it, server).await?;
    let line = match disabled {
        true => format!("{tenant} is disabled: nobody of it is let in, and nothing of it begins"),
        false => format!("{tenant} is enabled"),
    };
    say(&put, &line, console)
}

async fn set_up(tenant: &TenantId, server: &Server, console: &Console) -> Result<Exit, Failure> {
    let ask = Ask::new(Method::POST).at(["tenants", tenant.as_str(), "setup"]);
    let made: Value = server.get(ask).await?;
    let token = text(&made, "token");
    let answer = json!({ "tenant": tenant, "token": token, "expires_in": made["expires_in"] });
    let line = format!(
        "{token}\n{tenant} is there: in a file, this token makes its first person within a day (nebula setup LOGIN --token FILE)"
    );
    say(&answer, &line, console)
}

/// Those that there are, in a line.
fn quotas(it: &Value) -> String {
    let all = it.as_object().into_iter().flatten();
    let set = all.filter(|(_, value)| !value.is_null());
    let texts: Vec<_> = set.map(|(key, value)| format!("{key}={value}")).collect();
    match texts.is_empty() {
        true => NONE.to_owned(),
        false => texts.join(" "),
    }
}
