//! The way from settings to the end.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use nebula::{Nebula, engine::FireConfig};
use nebula_core::TenantId;
use nebula_fleet::{
    arguments::Config,
    checks,
    compose::{Opened, SETUP_SUFFIX, TOKEN_SUFFIX},
    settings::{Loaded, Settings, load},
    start,
};
use nebula_identity::IdentityPorts;
use nebula_program::{
    console::Console,
    failure::{Exit, Failure},
    shown,
};
use nebula_runtime::HttpPolicy;
use nebula_serve::{Door, Duties, Live, Parts, Reload, settings::ServeSettings};
use nebula_system::SystemEntropy;
use serde_json::Value;

use crate::{Command, Flags};

/// The settings of a program that answers.
pub trait Served: Settings + Send + Sync {
    /// How it answers.
    fn serve(&self) -> &ServeSettings;

    /// What requests over HTTP keep to.
    fn http(&self) -> &HttpPolicy;

    /// `$vars`: what workflows may see of the operator's values.
    fn vars(&self) -> &BTreeMap<String, Value>;
}

/// What serves.
#[derive(Debug)]
pub struct Composed {
    /// The engine.
    pub nebula: Nebula,
    /// What it stands on.
    pub opened: Opened,
    /// Who does what beside answering.
    pub duties: Duties,
}

/// Does what the command says; `compose` puts together what serves.
///
/// # Errors
/// What is wrong, and what to do.
pub fn start<S: Served>(
    (flags, command): (&Flags, Option<Command>),
    compose: impl AsyncFnOnce(&Loaded<S>) -> Result<Composed, Failure>,
    version: &'static str,
    console: &Console,
) -> Result<Exit, Failure> {
    let read = || load::<S>(&flags.common, flags.own());
    match command.unwrap_or(Command::Run) {
        Command::Run => {
            let mut loaded = read()?;
            // Its drop writes the last lines, before the console says how the program ended.
            let _logging = start::logging(&mut loaded, console)?;
            start::block_on(run(&loaded, flags, compose, console))
        }
        Command::Config(Config::Show { sources }) => {
            let loaded = read()?;
            shown::show(&loaded.settings, &loaded.sources, sources, console)
        }
        Command::Doctor => {
            start::block_on(checks::doctor(read(), |_| Vec::new(), version, console))
        }
    }
}

/// What to do after it broke down.
const AFTER_DEFECT: &str = "please report this; the next start goes on with what is saved";

/// Serves until it is asked to stop; what it prints, [`Door::serve`] says.
async fn run<S: Served>(
    loaded: &Loaded<S>,
    flags: &Flags,
    compose: impl AsyncFnOnce(&Loaded<S>) -> Result<Composed, Failure>,
    console: &Console,
) -> Result<Exit, Failure> {
    let settings = &loaded.settings;
    let door = Door::open(settings.serve())?;
    let read = || {
        let read = load::<S>(&flags.common, flags.own())?;
        Ok(Live {
            told: read.shown(),
            filter: read.settings.groups().log.filter.clone(),
            http: read.settings.http().clone(),
            limits: read.settings.serve().limits.clone(),
        })
    };
    let log = loaded.log.clone();
    let reload = Reload::new((loaded.shown(), log), loaded.file.clone(), read, console);
    let Composed {
        nebula,
        opened,
        duties,
    } = compose(loaded).await?;
    let folder =
        std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", &error))?;
    let vars = settings.vars().clone();
    let parts = Parts {
        nebula,
        tenant: TenantId::local(),
        token_file: opened.beside(TOKEN_SUFFIX),
        setup_file: opened.beside(SETUP_SUFFIX),
        identity: IdentityPorts {
            identities: opened.store.identities,
            sessions: opened.store.sessions,
            audit: opened.store.audit,
            secrets: opened.secrets,
            offload: opened.offload.clone(),
            clock: opened.clock.clone(),
            entropy: Arc::new(SystemEntropy),
        },
        clock: opened.clock,
        offload: opened.offload,
        vault: opened.vault,
        elector: opened.store.elector,
        incidents: opened.store.incidents,
        http: opened.http,
        collector: Some(opened.collector),
        fire: FireConfig {
            folder,
            vars: Value::Object(vars.into_iter().collect()),
        },
        duties,
        after_defect: AFTER_DEFECT,
    };
    door.serve(parts, reload, console).await
}
