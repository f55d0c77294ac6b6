//! `nebula doctor`: what this machine is like, and what is wrong with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nebula_api::{DutyLine, ServerState};
use nebula_program::checks::{
    Check, Verdict, clock_check, cores_check, folder_check, healthy, line, memory_check, sync_check,
};
use nebula_system::Host;
use serde::Serialize;

use crate::{
    arguments::{Global, Target},
    commands::doctor_server,
    compose,
    console::Console,
    failure::{Exit, Failure},
    settings::{self, FILE_NAME, Loaded, Place},
};

/// JSON: `{ "healthy": true, "checks": [...], "state": null }`; `state` is that of a server, as
/// `GET /api/v1/state` gives it.
#[derive(Debug, Serialize)]
struct Document<'a> {
    healthy: bool,
    checks: &'a [Check],
    state: Option<ServerState>,
}

/// Runs `nebula doctor`. Exit code 3 if something is broken.
pub(crate) async fn run(
    global: &Global,
    target: &Target,
    console: &Console,
) -> Result<Exit, Failure> {
    let version = format!(
        "nebula {}, {}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    let mut checks = vec![Check::ok("version", version)];
    let loaded = settings::load_for(global, target);
    let mut state = None;
    match &loaded {
        Ok(loaded) => checks.push(settings_file(loaded)),
        Err(failure) => {
            let advice = failure.advice.clone().map(String::from);
            let check = Check::new("settings", Verdict::Failed, failure.message.clone());
            checks.push(Check { advice, ..check });
        }
    }
    if let Ok(loaded) = &loaded
        && let Place::Server(url) = &loaded.place
    {
        let (found, stands) = doctor_server::checks(loaded, url).await;
        checks.extend(found);
        state = stands;
    } else if let Ok(loaded) = &loaded {
        let folder = data_folder(loaded);
        checks.push(folder_check(&folder));
        checks.push(sync_check(&folder));
        checks.extend(database_checks(loaded).await);
        checks.push(secrets_check(loaded).await);
        checks.extend(keys_check(loaded).await);
        checks.push(http_check(loaded));
    }
    checks.push(clock_check());
    let host = Host::read();
    checks.push(cores_check(&host));
    checks.push(memory_check(&host));
    let healthy = healthy(&checks);
    if console.json {
        let checks = &checks;
        console.document(&Document {
            healthy,
            checks,
            state,
        })?;
    } else {
        for check in &checks {
            console.line(&line(check, console))?;
        }
    }
    Ok(if healthy {
        Exit::Completed
    } else {
        Exit::Environment
    })
}

fn settings_file(loaded: &Loaded) -> Check {
    let path = loaded.folders.config.join(FILE_NAME);
    let shown = path.display();
    if path.exists() {
        Check::ok("settings", format!("{shown}"))
    } else {
        Check::ok(
            "settings",
            format!("{shown} is not there; every setting has its default"),
        )
    }
}

/// What requests keep to. How they stand now is known to the process that sends them: `--server` asks it.
fn http_check(loaded: &Loaded) -> Check {
    let policy = &loaded.settings.http;
    if let Err(error) = policy.check() {
        return Check::new("http", Verdict::Failed, error.to_string())
            .advice("correct it; every key is listed in bins/desktop/README.md");
    }
    let breaker = match policy.use_breaker {
        true => "a breaker",
        false => "no breaker",
    };
    let detail = format!(
        "{} requests at a time to a host, {breaker}, limits of their own for {} hosts and {} credentials; \
         each process counts for itself",
        policy.concurrency,
        policy.hosts.len(),
        policy.credentials.len()
    );
    Check::ok("http", detail)
}

/// The folder of the database, or the nearest one around it that is there.
fn data_folder(loaded: &Loaded) -> PathBuf {
    let wanted = match &loaded.place {
        Place::Named(path) | Place::Usual(path) => path.parent().unwrap_or(path),
        Place::Memory | Place::Server(_) => &loaded.folders.data,
    };
    let there = wanted.ancestors().find(|folder| folder.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

/// Opening a database checks it; one that is not there is not made.
async fn database_checks(loaded: &Loaded) -> Vec<Check> {
    let Some(path) = loaded.place.path() else {
        return vec![Check::ok("database", "in memory")];
    };
    let shown = path.display();
    if !path.exists() {
        return vec![Check::ok(
            "database",
            format!("{shown} is not there yet; the first run makes it"),
        )];
    }
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let composed = match compose::compose(loaded).await {
        Ok(composed) => composed,
        Err(failure) => return vec![Check::failed("database", failure)],
    };
    let tenant = nebula_core::TenantId::local();
    let database = match composed.nebula.engine().unfinished(&tenant).await {
        Ok(left) => Check::ok(
            "database",
            format!(
                "{shown} is sound, {size} bytes, {} unfinished",
                crate::definition::counted(left.len(), "execution")
            ),
        ),
        Err(error) => Check::failed("database", error.into()),
    };
    let duties = match composed.elector.duties().await {
        Ok(duties) => duties_check(duties.into_iter().map(DutyLine::from)),
        Err(error) => Check::failed("duties", error.into()),
    };
    vec![database, duties]
}

/// Who does what one process at a time does.
pub(crate) fn duties_check(duties: impl IntoIterator<Item = DutyLine>) -> Check {
    let each = duties.into_iter().map(|it| match (it.leader, it.until) {
        (Some(leader), Some(until)) => format!(
            "{} is done by the process {leader}, in term {}, until {until} or longer",
            it.duty, it.term
        ),
        _ => format!(
            "{} is done by nobody now; its last term was {}",
            it.duty, it.term
        ),
    });
    let each: Vec<_> = each.collect();
    Check::ok(
        "duties",
        match each.is_empty() {
            true => "no server has done any here yet".to_owned(),
            false => each.join("; "),
        },
    )
}

/// Whether the key opens the secrets.
async fn secrets_check(loaded: &Loaded) -> Check {
    let secrets = match compose::secrets(loaded).await {
        Ok(secrets) => secrets,
        Err(failure) => return Check::failed("secrets", failure),
    };
    let shown = secrets.path.display();
    match secrets.state().await {
        Ok(None) => Check::ok(
            "secrets",
            format!("{shown} is not there yet; the first one makes it"),
        ),
        Ok(Some((key, count))) => {
            let count = crate::definition::counted(count, "secret");
            Check::ok(
                "secrets",
                format!("{shown} has {count}, encrypted with the key {key}"),
            )
        }
        Err(failure) => Check::failed("secrets", failure),
    }
}

/// Whether the secrets have the master keys of the credentials. Nothing where the database or the
/// secrets cannot be opened: that is said already.
async fn keys_check(loaded: &Loaded) -> Option<Check> {
    const CHECK: &str = "keys";
    loaded.place.path().filter(|path| path.exists())?;
    let composed = compose::vault(loaded).await.ok()?;
    let keys = match composed.vault.keys(&nebula_core::TenantId::local()).await {
        Ok(keys) => keys,
        Err(error) => return Some(Check::failed(CHECK, error.into())),
    };
    if let Some(failure) = keys.iter().find_map(compose::key_failure) {
        return Some(Check::failed(CHECK, failure));
    }
    Some(match &keys[..] {
        [] => Check::ok(CHECK, "no credential was added yet"),
        [only] => Check::ok(
            CHECK,
            format!("credentials are encrypted with {}", only.key),
        ),
        [newest, ..] => Check::new(
            CHECK,
            Verdict::Warning,
            format!(
                "a rotation to {} has not come to its end; everything can be read",
                newest.key
            ),
        )
        .advice("`nebula credentials rotate --keys` goes on with it"),
    })
}
