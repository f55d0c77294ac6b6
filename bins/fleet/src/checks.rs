//! What a program of a fleet looks at before it would open it.

use std::{path::Path, sync::Arc, time::Duration};

use nebula_core::{Clock, TenantId};
use nebula_ports::ExecutionFilter;
use nebula_program::{
    checks::{
        Check, Verdict, clock_check, cores_check, folder_check, healthy, line, memory_check,
        sync_check,
    },
    console::Console,
    failure::{Exit, Failure},
};
use nebula_system::{Host, SystemClock};
use serde_json::json;

use crate::{
    compose::{self, Addresses},
    settings::{Loaded, Settings},
};

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at everything that `loaded` names, and `own` beside it; nothing is made. Exit code 3 if something is
/// broken. JSON: `{ "healthy": true, "checks": [ { "check", "verdict", "detail", "advice" } ] }`.
///
/// # Errors
/// Standard output cannot be written.
pub async fn doctor<S: Settings>(
    loaded: Result<Loaded<S>, Failure>,
    own: impl FnOnce(&S) -> Vec<Check>,
    version: &str,
    console: &Console,
) -> Result<Exit, Failure> {
    let version = format!(
        "{} {version}, {}-{}",
        S::PROGRAM,
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    let mut checks = vec![Check::ok("version", version)];
    match loaded {
        Ok(loaded) => {
            checks.push(settings_check(&loaded));
            checks.extend(parts(&loaded).await);
            checks.extend(own(&loaded.settings));
        }
        Err(failure) => checks.push(Check::failed("settings", failure)),
    }
    checks.push(clock_check());
    let host = Host::read();
    checks.push(cores_check(&host));
    checks.push(memory_check(&host));
    let healthy = healthy(&checks);
    if console.json {
        console.document(&json!({ "healthy": healthy, "checks": checks }))?;
    } else {
        for check in &checks {
            console.line(&line(check, console))?;
        }
    }
    Ok(match healthy {
        true => Exit::Completed,
        false => Exit::Environment,
    })
}

fn settings_check<S: Settings>(loaded: &Loaded<S>) -> Check {
    let shown = loaded.file.display();
    match loaded.file.exists() {
        true => Check::ok("settings", format!("{shown}")),
        false => {
            let detail = format!("{shown} is not there; every setting has its default");
            Check::ok("settings", detail)
        }
    }
}

/// The store, the queue and the secrets.
async fn parts<S: Settings>(loaded: &Loaded<S>) -> Vec<Check> {
    let (groups, folders) = (loaded.settings.groups(), &loaded.folders);
    let addresses = match Addresses::of(&groups, folders) {
        Ok(addresses) => addresses,
        Err(failure) => return vec![Check::failed("storage", failure)],
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut checks = Vec::new();
    match addresses.file() {
        Some(path) => {
            let folder = path.ancestors().skip(1).find(|it| it.exists());
            let folder = folder.unwrap_or(Path::new("/")).to_owned();
            checks.push(folder_check(&folder));
            checks.push(sync_check(&folder));
            match path.exists() {
                true => checks.push(store_check(&groups, &addresses, &clock).await),
                false => {
                    let detail = format!(
                        "{} is not there yet; the first start makes it",
                        path.display()
                    );
                    checks.push(Check::ok("storage", detail));
                }
            }
        }
        None => checks.push(store_check(&groups, &addresses, &clock).await),
    }
    let hears = loaded.settings.pool().takes().unwrap_or_default();
    checks.push(match compose::queue(&groups, &addresses, (&clock, &hears)).await {
        Ok(doorbell) if doorbell.relay.is_some() => Check::ok("queue", "shared by all processes"),
        Ok(_) => Check::new(
            "queue",
            Verdict::Warning,
            "of this process alone: what others start is found by the sweep, within its interval",
        )
        .advice("this is enough for processes on one machine; for more, set `queue.address`"),
        Err(failure) => Check::failed("queue", failure),
    });
    checks.push(match compose::secrets(&groups, folders).await {
        Ok(_) => Check::ok("secrets", "their key is right"),
        Err(failure) => Check::failed("secrets", failure),
    });
    checks
}

async fn store_check(
    groups: &crate::settings::Groups<'_>,
    addresses: &Addresses,
    clock: &Arc<dyn Clock>,
) -> Check {
    const CHECK: &str = "storage";
    let asks = async {
        let store = compose::store(groups, addresses, clock).await?;
        let (tenant, filter) = (TenantId::local(), ExecutionFilter::default());
        store.executions.list(&tenant, &filter, None, 1).await?;
        let duties = store.elector.duties().await?;
        Ok::<_, Failure>(duties.len())
    };
    tokio::select! {
        biased;
        answered = asks => match answered {
            Ok(duties) => {
                let scheme = addresses.storage.scheme();
                Check::ok(CHECK, format!("{scheme}: it answers; {duties} duties were done there"))
            }
            Err(failure) => Check::failed(CHECK, failure),
        },
        () = clock.sleep(PATIENCE) => {
            let detail = format!("it did not answer within {} s", PATIENCE.as_secs());
            Check::new(CHECK, Verdict::Failed, detail)
                .advice("check that it runs, and that `storage.address` leads there")
        }
    }
}
