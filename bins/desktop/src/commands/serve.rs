//! `nebula serve`: the engine over HTTP, for this machine, until a signal.

use std::{
    convert::Infallible,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use nebula::engine::FireConfig;
use nebula_api::{Api, ApiConfig, ApiParts, Server};
use nebula_core::{Clock, ExposeSecret as _, SecretString, TenantId};
use nebula_identity::{FirstRun, Identity, IdentityConfig, LocalToken};
use nebula_oidc::{OidcConfig, Provider, ProviderPorts};
use nebula_system::{Hangups, Shutdown, SystemEntropy, Urgency};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    arguments::{Global, Serve},
    commands::triggers,
    console::{Console, Paint},
    exports::Exports,
    failure::{Exit, Failure},
    private::kept,
    reload::Reload,
    replace::replace,
    session::{self, Session},
    settings::{Loaded, Place},
    tls_files::TlsFiles,
    upkeep::Upkeep,
};

/// What the name of the file with the token adds to that of the database.
pub(crate) const TOKEN_SUFFIX: &str = "-token";
/// What that of the file with the token of the first person adds.
pub(crate) const SETUP_SUFFIX: &str = "-setup";
/// How long a token may be, in bytes.
const MAX_TOKEN: u64 = 1_024;
/// How often the files of the certificate are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(5);

/// Runs `nebula serve`. JSON, once it listens: `{ "url", "token_file", "setup_file" }`; the last is null once
/// somebody owns what is there.
pub(crate) async fn run(
    arguments: &Serve,
    global: &Global,
    mut loaded: Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let settings = loaded.settings.serve.clone();
    let address = arguments.listen.unwrap_or(settings.listen);
    let tls = TlsFiles::open(arguments, &settings)?;
    check(address, tls.is_some())?;
    let unheard = |error: io::Error| {
        Failure::environment("SIGNALS", format!("cannot listen to signals: {error}"))
    };
    let hangups = Hangups::listen().map_err(unheard)?;
    let reload = Reload::new((global, &arguments.database), loaded.clone(), console);
    // A server outlives a disk that is full for a while.
    loaded.settings.worker.stop_on_store_failure = false;
    let session = Session::open(&loaded).await?;
    let (token, token_file) = token(&loaded.place)?;
    let identity = Identity::new(session.here()?.identity.clone(), IdentityConfig::default());
    let setup_file = setup(&identity, &loaded.place).await?;
    let identity = identity.with_local_token(TenantId::local(), token.hash);
    let fire = triggers::config(&loaded)?;
    let api = Api::new(ApiParts {
        nebula: session.here()?.nebula.clone(),
        tenant: TenantId::local(),
        clock: session.here()?.clock.clone(),
        entropy: Arc::new(SystemEntropy),
        offload: session.here()?.offload.clone(),
        identity: Arc::new(identity),
        vault: session.here()?.vault.clone(),
        secrets: session.here()?.identity.secrets.clone(),
        elector: session.here()?.elector.clone(),
        incidents: session.here()?.incidents.clone(),
        vars: fire.vars.clone(),
        folder: fire.folder.clone(),
        settings: reload.told(),
        provider: provider(&settings.oidc, &session)?,
        config: limits(settings.limits, address, tls.is_some()),
    })
    .map_err(|error| Failure::invalid("SETTINGS", format!("serve.limits: {error}")))?;
    let server = Server::bind(address).await.map_err(|error| {
        let failure = Failure::environment("PORT_UNUSABLE", error.to_string());
        match error.error.kind() {
            io::ErrorKind::AddrInUse => failure
                .advice("another program listens there; stop it, or choose another port with --listen 127.0.0.1:PORT"),
            _ => failure.advice("choose another address with --listen"),
        }
    })?;
    session.here()?.focus.on_everything();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", server.address());
    let server = match &tls {
        Some(files) => server.secured(files.tls()),
        None => server,
    };
    if console.json {
        console
            .document(&json!({ "url": url, "token_file": token_file, "setup_file": setup_file }))?;
    } else {
        let url = console.out.paint(Paint::Bold, &url);
        console.line(&format!(
            "listening on {url}; the token that lets in is in {}",
            token_file.display()
        ))?;
        if let Some(file) = &setup_file {
            console.note(&format!(
                "nobody has an account yet: the token in {} makes the first one (POST /api/v1/setup)",
                file.display()
            ));
        }
    }
    let exports = Exports::begin(&loaded, session.here()?).await?;
    let files = setup_file.as_deref();
    let upkeep = Upkeep::new(session.here()?, TenantId::local(), settings.collect_every);
    let (api, here, how) = (&api, session.here()?, (settings.grace, fire, upkeep));
    let exit = tokio::select! {
        biased;
        exit = until_signal(&session, server, (api, files), how, console) => exit,
        never = renew(tls, session.clock.as_ref(), console) => match never {},
        never = reload.run((api, &here.nebula), hangups, session.clock.as_ref()) => match never {},
    };
    exports.end().await;
    exit
}

/// The provider of identities, if one is set.
fn provider(config: &OidcConfig, session: &Session) -> Result<Option<Provider>, Failure> {
    let settings = config.settings().map_err(|error| {
        Failure::invalid("SETTINGS", format!("serve.oidc: {error}"))
            .advice("correct it in nebula.toml; docs/api.md says what each key means")
    })?;
    let here = session.here()?;
    let ports = || ProviderPorts {
        http: here.http.clone(),
        secrets: here.identity.secrets.clone(),
        clock: here.clock.clone(),
        tenant: TenantId::local(),
    };
    Ok(settings.map(|settings| Provider::new(settings, ports())))
}

/// The limits, with what follows from how the server listens.
fn limits(set: ApiConfig, address: SocketAddr, secured: bool) -> ApiConfig {
    ApiConfig {
        // Browsers that come over TLS alone keep their cookies for that.
        secure_cookies: set.secure_cookies || secured,
        public_url: set.public_url.or_else(|| own_url(address, secured)),
        ..set
    }
}

/// Where a browser on this machine reaches the server, if that is known before it listens.
fn own_url(address: SocketAddr, secured: bool) -> Option<String> {
    let scheme = if secured { "https" } else { "http" };
    let there = address.ip().is_loopback() && address.port() != 0;
    there.then(|| format!("{scheme}://{address}"))
}

/// What is not encrypted stays on this machine.
fn check(address: SocketAddr, secured: bool) -> Result<(), Failure> {
    if secured || address.ip().is_loopback() {
        return Ok(());
    }
    let message =
        format!("{address} can be reached from elsewhere, and nothing there would be encrypted");
    Err(Failure::invalid("LISTEN_OPEN", message).advice(
        "give --tls-cert and --tls-key; or listen on 127.0.0.1 or [::1], and go through a tunnel such as `ssh -L`",
    ))
}

/// Takes new certificates as their files are replaced, for ever.
async fn renew(tls: Option<TlsFiles>, clock: &dyn Clock, console: &Console) -> Infallible {
    let Some(mut files) = tls else {
        return std::future::pending().await;
    };
    loop {
        clock.sleep(LOOK_AT_FILES).await;
        match files.look() {
            Ok(false) => {}
            Ok(true) => console.note("the certificate was replaced"),
            Err(failure) => console.error_text(&format!(
                "warning[{}]: {}; the certificate before it stays",
                failure.code, failure.message
            )),
        }
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

fn line(token: &SecretString) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{}\n", token.expose_secret()).into_bytes())
}

/// The token of this database, and where it lies; made when it is missing.
fn token(place: &Place) -> Result<(LocalToken, PathBuf), Failure> {
    let path = beside(place, TOKEN_SUFFIX)?;
    let new = || line(&LocalToken::random(&SystemEntropy).text).to_vec();
    let bytes = Zeroizing::new(kept(&path, MAX_TOKEN, new)?);
    let text = str::from_utf8(&bytes).map(str::trim).ok();
    let token = text.and_then(|text| LocalToken::read(&SecretString::from(text)));
    let token = token.ok_or_else(|| {
        let message = format!("{} holds no token that this program made", path.display());
        Failure::environment("TOKEN_FILE", message).advice("move it away: a new one is made")
    })?;
    Ok((token, path))
}

/// The file with the token that makes the first person, for the user alone; none once there is one.
async fn setup(identity: &Identity, place: &Place) -> Result<Option<PathBuf>, Failure> {
    let path = beside(place, SETUP_SUFFIX)?;
    let unusable = |error: io::Error| Failure::file(&path, "write", &error);
    let state = identity.first_run(&TenantId::local()).await;
    match state.map_err(|error| Failure::environment("IDENTITY", error.to_string()))? {
        FirstRun::Waits(token) => {
            replace(&path, &line(&token), None).map_err(unusable)?;
            Ok(Some(path))
        }
        FirstRun::Over => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(error)),
            _ => Ok(None),
        },
    }
}

/// Serves until the first signal; then requests that are under way may finish, and after them attempts.
/// The second signal ends it as it is.
async fn until_signal(
    session: &Session,
    server: Server,
    (api, mut setup_file): (&Api, Option<&Path>),
    (grace, fire, upkeep): (Duration, FireConfig, Upkeep),
    console: &Console,
) -> Result<Exit, Failure> {
    let mut shutdown = Shutdown::listen().map_err(|error| {
        Failure::environment("SIGNALS", format!("cannot listen to signals: {error}"))
    })?;
    let (no_requests, no_work) = (CancellationToken::new(), CancellationToken::new());
    let mut engine = JoinSet::new();
    let (nebula, token) = (session.here()?.nebula.clone(), no_work.clone());
    engine.spawn(async move {
        // Whatever ends the one ends the other.
        let stop = token.child_token();
        let fires = nebula.fire(fire, stop.clone());
        let tidies = upkeep.run(stop.clone());
        let drives = async {
            let ended = nebula.run(token).await;
            stop.cancel();
            ended
        };
        let (ended, (), ()) = tokio::join!(drives, fires, tidies);
        ended
    });
    let serving = server.run(api, no_requests.clone(), grace);
    tokio::pin!(serving);
    let mut served = false;
    loop {
        tokio::select! {
            biased;
            request = shutdown.requested() => {
                if request.urgency == Urgency::Now {
                    return Ok(Exit::from(request.signal));
                }
                console.note("stopping: what is under way may finish; the same again stops at once");
                no_requests.cancel();
            }
            () = api.first_person(), if setup_file.is_some() => {
                // It opens nothing any more.
                if let Some(file) = setup_file.take()
                    && let Err(error) = fs::remove_file(file)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    console.note(&format!("cannot delete {}: {error}", file.display()));
                }
            }
            () = &mut serving, if !served => {
                served = true;
                no_work.cancel();
            }
            ended = engine.join_next() => {
                session::engine_ended(ended)?;
                if served {
                    return Ok(Exit::Completed);
                }
                let message = "the engine ended by itself";
                return Err(Failure::environment("ENGINE_ENDED", message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_encrypted_stays_on_this_machine() {
        let ends = |address: &str, secured| {
            check(address.parse().unwrap(), secured).map_err(|failure| failure.code.into_owned())
        };
        for address in ["127.0.0.1:7400", "[::1]:0"] {
            assert_eq!(
                (ends(address, false), ends(address, true)),
                (Ok(()), Ok(()))
            );
        }
        for address in ["0.0.0.0:7400", "[::]:0", "192.0.2.1:7400"] {
            assert_eq!(ends(address, true), Ok(()), "{address}");
            assert_eq!(
                ends(address, false),
                Err("LISTEN_OPEN".to_owned()),
                "{address}"
            );
        }
    }

    #[test]
    fn cookies_and_links_follow_from_how_it_listens() {
        let of = |address: &str, secured, set: &ApiConfig| {
            let limits = limits(set.clone(), address.parse().unwrap(), secured);
            (limits.secure_cookies, limits.public_url)
        };
        let (set, url) = (ApiConfig::default(), |text: &str| Some(text.to_owned()));
        let plain = "http://127.0.0.1:7400";
        assert_eq!(of("127.0.0.1:7400", false, &set), (false, url(plain)));
        let secured = "https://127.0.0.1:7400";
        assert_eq!(of("127.0.0.1:7400", true, &set), (true, url(secured)));
        // Whoever asks for any port, or listens for others, has no address before it listens.
        assert_eq!(of("127.0.0.1:0", false, &set).1, None);
        assert_eq!(of("0.0.0.0:7400", true, &set), (true, None));
        let set = ApiConfig {
            secure_cookies: true,
            public_url: url("https://nebula.example"),
            ..set
        };
        assert_eq!(
            of("127.0.0.1:7400", false, &set),
            (true, url("https://nebula.example"))
        );
    }
}
