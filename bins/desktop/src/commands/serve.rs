//! `nebula serve`: the engine over HTTP, for this machine, until a signal.

use std::path::PathBuf;

use nebula_core::TenantId;
use nebula_serve::{Door, Duties, Live, Parts, Reload, Share, settings::ServeSettings};

use crate::{
    arguments::{Global, Serve},
    commands::triggers,
    console::Console,
    exports::Exports,
    failure::{Exit, Failure},
    session::{AFTER_DEFECT, Session},
    settings::{self, FILE_NAME, Loaded, Place},
};

/// What the name of the file with the token adds to that of the database.
pub(crate) const TOKEN_SUFFIX: &str = "-token";
/// What that of the file with the token of the first person adds.
pub(crate) const SETUP_SUFFIX: &str = "-setup";

/// Runs `nebula serve`; what it prints, [`Door::serve`] says.
pub(crate) async fn run(
    arguments: &Serve,
    global: &Global,
    mut loaded: Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let door = Door::open(&flags_over(arguments, loaded.settings.serve.clone()))?;
    let file = loaded.folders.config.join(FILE_NAME);
    let read = || {
        let read = settings::load(global, Some(&arguments.database))?;
        Ok(Live {
            told: read.shown(),
            filter: read.settings.log.filter,
            http: read.settings.http,
            limits: read.settings.serve.limits,
        })
    };
    let reload = Reload::new((loaded.shown(), loaded.log.clone()), file, read, console);
    // A server outlives a disk that is full for a while.
    loaded.settings.worker.stop_on_store_failure = false;
    let session = Session::open(&loaded).await?;
    let here = session.here()?;
    let parts = Parts {
        nebula: here.nebula.clone(),
        tenant: TenantId::local(),
        clock: here.clock.clone(),
        offload: here.offload.clone(),
        identity: here.identity.clone(),
        vault: here.vault.clone(),
        elector: here.elector.clone(),
        incidents: here.incidents.clone(),
        http: here.http.clone(),
        collector: here.collector.clone(),
        fire: triggers::config(&loaded)?,
        token_file: beside(&loaded.place, TOKEN_SUFFIX)?,
        setup_file: beside(&loaded.place, SETUP_SUFFIX)?,
        duties: Duties {
            sweep: Share::Each,
            fire: Share::Each,
        },
        after_defect: AFTER_DEFECT,
    };
    here.focus.on_everything();
    let exports = Exports::begin(&loaded, here).await?;
    let exit = door.serve(parts, reload, console).await;
    exports.end().await;
    exit
}

/// The settings as the flags have them.
fn flags_over(arguments: &Serve, settings: ServeSettings) -> ServeSettings {
    ServeSettings {
        listen: arguments.listen.unwrap_or(settings.listen),
        tls_cert: arguments.tls_cert.clone().or(settings.tls_cert),
        tls_key: arguments.tls_key.clone().or(settings.tls_key),
        ..settings
    }
}

/// A file beside the database.
fn beside(place: &Place, suffix: &str) -> Result<PathBuf, Failure> {
    let database = place.path().ok_or_else(|| {
        Failure::invalid("USAGE", "a database in memory has no place for a token")
    })?;
    let mut path = database.clone().into_os_string();
    path.push(suffix);
    Ok(path.into())
}
