//! `nebula serve`: the engine over HTTP, for this machine, until a signal.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf};

use nebula_api::{Access, Api, ApiParts, LocalToken, Server};
use nebula_core::{SecretString, TenantId};
use nebula_system::{Shutdown, SystemEntropy, Urgency};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    arguments::Serve,
    console::{Console, Paint},
    failure::{Exit, Failure},
    private::kept,
    resume_key,
    session::{self, Session},
    settings::{Loaded, Place},
};

/// What the name of the file with the token adds to that of the database.
const SUFFIX: &str = "-token";
/// How long a token may be, in bytes.
const MAX_TOKEN: u64 = 1_024;

/// Runs `nebula serve`. JSON, once it listens: `{ "url", "token_file" }`.
pub(crate) async fn run(
    arguments: &Serve,
    mut loaded: Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let settings = loaded.settings.serve.clone();
    let address = arguments.listen.unwrap_or(settings.listen);
    check(address)?;
    // A server outlives a disk that is full for a while.
    loaded.settings.worker.stop_on_store_failure = false;
    let session = Session::open(&loaded).await?;
    let (token, token_file) = token(&loaded.place)?;
    let folder = std::env::current_dir()
        .map_err(|error| Failure::file(std::path::Path::new("."), "find", &error))?;
    let api = Api::new(ApiParts {
        nebula: session.composed.nebula.clone(),
        tenant: TenantId::local(),
        clock: session.composed.clock.clone(),
        entropy: Arc::new(SystemEntropy),
        offload: session.composed.offload.clone(),
        access: Access::Local(token),
        vars: Value::Object(loaded.settings.vars.clone().into_iter().collect()),
        folder,
        config: settings.limits,
    })
    .map_err(|error| Failure::invalid("SETTINGS", format!("serve.limits: {error}")))?;
    let server = Server::bind(address).await.map_err(|error| {
        let failure = Failure::environment("PORT_UNUSABLE", error.to_string());
        match error.error.kind() {
            std::io::ErrorKind::AddrInUse => failure
                .advice("another program listens there; stop it, or choose another port with --listen 127.0.0.1:PORT"),
            _ => failure.advice("choose another address with --listen"),
        }
    })?;
    session.composed.focus.on_everything();
    let url = format!("http://{}", server.address());
    if console.json {
        console.document(&json!({ "url": url, "token_file": token_file }))?;
    } else {
        let url = console.out.paint(Paint::Bold, &url);
        console.line(&format!(
            "listening on {url}; the token that lets in is in {}",
            token_file.display()
        ))?;
    }
    until_signal(&session, server, &api, settings.grace, console).await
}

/// One token for everything is for one person on one machine.
fn check(address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!(
        "{address} can be reached from elsewhere, and this server has one token and no encryption"
    );
    Err(Failure::invalid("LISTEN_OPEN", message).advice(
        "listen on 127.0.0.1 or [::1]; from elsewhere, go through a tunnel such as `ssh -L`",
    ))
}

/// The token of this database, and where it lies; made when it is missing.
fn token(place: &Place) -> Result<(LocalToken, PathBuf), Failure> {
    let database = place.path().ok_or_else(|| {
        Failure::invalid("USAGE", "a database in memory has no place for a token")
    })?;
    let mut path = database.clone().into_os_string();
    path.push(SUFFIX);
    let path = PathBuf::from(path);
    let new = || {
        let mut text = String::new();
        for byte in resume_key::random() {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text.into_bytes()
    };
    let bytes = Zeroizing::new(kept(&path, MAX_TOKEN, new)?);
    let text = str::from_utf8(&bytes).map(str::trim).ok();
    let token = text.and_then(|text| LocalToken::new(&SecretString::from(text)));
    let token = token
        .filter(|_| bytes.len() as u64 <= MAX_TOKEN)
        .ok_or_else(|| {
            let (shown, min) = (path.display(), LocalToken::MIN);
            let message =
                format!("{shown} holds no token: it has at least {min} characters on one line");
            Failure::environment("TOKEN_FILE", message).advice("move it away: a new one is made")
        })?;
    Ok((token, path))
}

/// Serves until the first signal; then requests that are under way may finish, and after them attempts.
/// The second signal ends it as it is.
async fn until_signal(
    session: &Session,
    server: Server,
    api: &Api,
    grace: std::time::Duration,
    console: &Console,
) -> Result<Exit, Failure> {
    let mut shutdown = Shutdown::listen().map_err(|error| {
        Failure::environment("SIGNALS", format!("cannot listen to signals: {error}"))
    })?;
    let (no_requests, no_work) = (CancellationToken::new(), CancellationToken::new());
    let mut engine = JoinSet::new();
    let (nebula, token) = (session.composed.nebula.clone(), no_work.clone());
    engine.spawn(async move { nebula.run(token).await });
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
