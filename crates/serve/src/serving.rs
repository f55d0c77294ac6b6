//! A server's way from its parts to its end.

use std::{
    convert::Infallible,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nebula::{Nebula, engine::FireConfig, runtime::WorkerStopped};
use nebula_api::{Api, ApiConfig, ApiParts, Server};
use nebula_core::{Clock, ExposeSecret as _, Offload, SecretString, TenantId};
use nebula_identity::{FirstRun, Identity, IdentityConfig, IdentityPorts, LocalToken};
use nebula_memory::Collector;
use nebula_oidc::{OidcConfig, Provider, ProviderPorts};
use nebula_ports::{HttpClient, IncidentRepo, LeaderElector};
use nebula_program::{
    console::{Console, Paint},
    ended::engine_ended,
    failure::{Exit, Failure},
    private::kept,
    replace::replace,
};
use nebula_system::{Hangups, Shutdown, SystemEntropy, Urgency};
use nebula_vault::Vault;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{Duties, Reload, duties::Keeper, settings::ServeSettings, tls_files::TlsFiles};

/// How long a token may be, in bytes.
const MAX_TOKEN: u64 = 1_024;
/// How often the files of the certificate are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(5);

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// The engine.
    pub nebula: Nebula,
    /// Whose server it is.
    pub tenant: TenantId,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where expressions are evaluated.
    pub offload: Arc<dyn Offload>,
    /// Who there is, who is let in, and who did what.
    pub identity: IdentityPorts,
    /// Credentials, encrypted.
    pub vault: Arc<Vault>,
    /// Says who does what one process at a time does.
    pub elector: Arc<dyn LeaderElector>,
    /// What is wrong with services.
    pub incidents: Arc<dyn IncidentRepo>,
    /// The way out to a provider of identities.
    pub http: Arc<dyn HttpClient>,
    /// Deletes what no execution names, if anything lies apart.
    pub collector: Option<Arc<Collector>>,
    /// `$vars` and the folder of what is started here.
    pub fire: FireConfig,
    /// The file with the token that lets the owner of this machine in; made when it is missing.
    pub token_file: PathBuf,
    /// The file for the token of the first person, as long as there is none.
    pub setup_file: PathBuf,
    /// Who does what beside answering.
    pub duties: Duties,
    /// How a run is continued that breaks down, for people.
    pub after_defect: &'static str,
}

/// Where a server is to answer, checked before anything is opened.
#[derive(Debug)]
pub struct Door {
    settings: ServeSettings,
    tls: Option<TlsFiles>,
    hangups: Hangups,
}

impl Door {
    /// Reads the files of the certificate, and begins to listen to SIGHUP.
    ///
    /// # Errors
    /// The certificate cannot be used, or what is not encrypted could be reached from elsewhere.
    pub fn open(settings: &ServeSettings) -> Result<Self, Failure> {
        let tls = TlsFiles::open(settings)?;
        check(settings.listen, tls.is_some())?;
        let hangups = Hangups::listen().map_err(unheard)?;
        let settings = settings.clone();
        Ok(Self {
            settings,
            tls,
            hangups,
        })
    }

    /// Answers, and does its duties, until the first signal; then requests that are under way may finish,
    /// and after them attempts. The second signal ends it as it is. JSON, once it listens:
    /// `{ "url", "token_file", "setup_file" }`; the last is null once somebody owns what is there.
    ///
    /// # Errors
    /// The port, a file or a setting cannot be used, or the engine broke down.
    pub async fn serve(
        self,
        parts: Parts,
        reload: Reload<'_>,
        console: &Console,
    ) -> Result<Exit, Failure> {
        let (settings, secured) = (&self.settings, self.tls.is_some());
        let token = token(&parts.token_file)?;
        let identity = Identity::new(parts.identity.clone(), IdentityConfig::default());
        let waits = setup(&identity, &parts.tenant, &parts.setup_file).await?;
        let setup_file = waits.then_some(parts.setup_file.as_path());
        let identity = identity.with_local_token(parts.tenant.clone(), token.hash);
        let api = Api::new(ApiParts {
            nebula: parts.nebula.clone(),
            tenant: parts.tenant.clone(),
            clock: parts.clock.clone(),
            entropy: Arc::new(SystemEntropy),
            offload: parts.offload.clone(),
            identity: Arc::new(identity),
            vault: parts.vault.clone(),
            secrets: parts.identity.secrets.clone(),
            elector: parts.elector.clone(),
            incidents: parts.incidents.clone(),
            vars: parts.fire.vars.clone(),
            folder: parts.fire.folder.clone(),
            settings: reload.told(),
            provider: provider(&settings.oidc, &parts)?,
            config: limits(settings.limits.clone(), settings.listen, secured),
        })
        .map_err(|error| Failure::invalid("SETTINGS", format!("serve.limits: {error}")))?;
        let server = Server::bind(settings.listen).await.map_err(|error| {
            let failure = Failure::environment("PORT_UNUSABLE", error.to_string());
            match error.error.kind() {
                io::ErrorKind::AddrInUse => failure
                    .advice("another program listens there; stop it, or choose another port with --listen 127.0.0.1:PORT"),
                _ => failure.advice("choose another address with --listen"),
            }
        })?;
        let scheme = if secured { "https" } else { "http" };
        let url = format!("{scheme}://{}", server.address());
        let server = match &self.tls {
            Some(files) => server.secured(files.tls()),
            None => server,
        };
        if console.json {
            let token_file = &parts.token_file;
            console.document(
                &json!({ "url": url, "token_file": token_file, "setup_file": setup_file }),
            )?;
        } else {
            let url = console.out.paint(Paint::Bold, &url);
            console.line(&format!(
                "listening on {url}; the token that lets in is in {}",
                parts.token_file.display()
            ))?;
            if let Some(file) = setup_file {
                console.note(&format!(
                    "nobody has an account yet: the token in {} makes the first one (POST /api/v1/setup)",
                    file.display()
                ));
            }
        }
        let (clock, nebula) = (parts.clock.clone(), parts.nebula.clone());
        tokio::select! {
            biased;
            exit = until_signal(&parts, server, (&api, setup_file), settings, console) => exit,
            never = renew(self.tls, clock.as_ref(), console) => match never {},
            never = reload.run((&api, &nebula), self.hangups, clock.as_ref()) => match never {},
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn unheard(error: io::Error) -> Failure {
    Failure::environment("SIGNALS", format!("cannot listen to signals: {error}"))
}

/// The provider of identities, if one is set.
fn provider(config: &OidcConfig, parts: &Parts) -> Result<Option<Provider>, Failure> {
    let settings = config.settings().map_err(|error| {
        Failure::invalid("SETTINGS", format!("serve.oidc: {error}"))
            .advice("correct it in the settings; docs/api.md says what each key means")
    })?;
    let ports = || ProviderPorts {
        http: parts.http.clone(),
        secrets: parts.identity.secrets.clone(),
        clock: parts.clock.clone(),
        tenant: parts.tenant.clone(),
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

fn line(token: &SecretString) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{}\n", token.expose_secret()).into_bytes())
}

/// The token in this file; made when it is missing.
fn token(path: &Path) -> Result<LocalToken, Failure> {
    let new = || line(&LocalToken::random(&SystemEntropy).text).to_vec();
    let bytes = Zeroizing::new(kept(path, MAX_TOKEN, new)?);
    let text = str::from_utf8(&bytes).map(str::trim).ok();
    let token = text.and_then(|text| LocalToken::read(&SecretString::from(text)));
    let token = token.ok_or_else(|| {
        let message = format!("{} holds no token that this program made", path.display());
        Failure::environment("TOKEN_FILE", message).advice("move it away: a new one is made")
    })?;
    Ok(token)
}

/// Writes the file with the token that makes the first person, for the user alone; false once there is one.
async fn setup(identity: &Identity, tenant: &TenantId, path: &Path) -> Result<bool, Failure> {
    let unusable = |error: io::Error| Failure::file(path, "write", &error);
    let state = identity.first_run(tenant).await;
    match state.map_err(|error| Failure::environment("IDENTITY", error.to_string()))? {
        FirstRun::Waits(token) => {
            replace(path, &line(&token), None).map_err(unusable)?;
            Ok(true)
        }
        FirstRun::Over => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(error)),
            _ => Ok(false),
        },
    }
}

/// Serves until the first signal; then requests that are under way may finish, and after them attempts.
/// The second signal ends it as it is.
async fn until_signal(
    parts: &Parts,
    server: Server,
    (api, mut setup_file): (&Api, Option<&Path>),
    settings: &ServeSettings,
    console: &Console,
) -> Result<Exit, Failure> {
    let mut shutdown = Shutdown::listen().map_err(unheard)?;
    let (no_requests, no_work) = (CancellationToken::new(), CancellationToken::new());
    let mut engine = JoinSet::new();
    let keeper = Keeper {
        nebula: parts.nebula.clone(),
        elector: parts.elector.clone(),
        clock: parts.clock.clone(),
        tenant: parts.tenant.clone(),
        duties: parts.duties,
        fire: parts.fire.clone(),
        collector: parts.collector.clone(),
        collect_every: settings.collect_every,
    };
    engine.spawn(work(keeper, no_work.clone()));
    let serving = server.run(api, no_requests.clone(), settings.grace);
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
                engine_ended(ended, parts.after_defect)?;
                if served {
                    return Ok(Exit::Completed);
                }
                let message = "the engine ended by itself";
                return Err(Failure::environment("ENGINE_ENDED", message));
            }
        }
    }
}

/// Drives executions and does the duties until `stop`. Whatever ends the one ends the other.
async fn work(keeper: Keeper, stop: CancellationToken) -> Result<(), WorkerStopped> {
    let (nebula, duties_end) = (keeper.nebula.clone(), stop.child_token());
    // A sweep of its own ends with the worker, which gives up what is rung for after that.
    let drives = async {
        let ended = nebula.drive(stop).await;
        duties_end.cancel();
        ended
    };
    let (ended, ()) = tokio::join!(drives, keeper.run(duties_end.clone()));
    ended
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
