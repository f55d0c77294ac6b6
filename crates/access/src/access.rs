//! Opening credentials, and refreshing them by one for all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{FutureExt, future::Shared};
use nebula_action::{Egress, HttpClient, HttpErrorKind, HttpRequest, Refused};
use nebula_core::{BoxFuture, Clock, CredentialId, Entropy, TenantId};
use nebula_credential::CredentialType;
use nebula_ports::{CredentialUser, RefreshLease};
use nebula_vault::{Opened, Vault, VaultError, VaultPut};
use parking_lot::Mutex;
use tracing::{debug, info, warn};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    AccessError,
    token::{self, Answer, Consent, Consented},
};

/// How long before its end a token is not given out any more.
pub const MARGIN: Duration = Duration::from_secs(30);

/// How long one refresher keeps others away: longer than a request for a token takes.
pub const LEASE: Duration = Duration::from_secs(40);

/// After how long one who waits for another process looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How often one looks again, or begins anew because others changed the credential.
const ROUNDS: usize = 400;

/// What access to credentials stands on.
#[derive(Debug, Clone)]
pub struct AccessPorts {
    /// Where credentials are.
    pub vault: Arc<Vault>,
    /// The way out to token servers; without it nothing is refreshed.
    pub http: Option<Arc<dyn HttpClient>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids of refreshers.
    pub entropy: Arc<dyn Entropy>,
}

/// Opens credentials that are ready for use. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    ports: AccessPorts,
    denials: Mutex<Denials>,
    /// Refreshes under way in this process, until their end is known to somebody.
    flights: Mutex<BTreeMap<(TenantId, CredentialId), Flight>>,
}

/// How many denials one process tells the audit log of in a minute.
pub const MAX_DENIALS: u32 = 120;

/// How many there were lately.
#[derive(Debug, Default)]
struct Denials {
    since: Duration,
    told: u32,
}

impl Denials {
    fn admit(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) >= Duration::from_mins(1) {
            *self = Self {
                since: now,
                told: 0,
            };
        }
        self.told += 1;
        self.told <= MAX_DENIALS
    }
}

type Flight = Shared<BoxFuture<'static, Result<(), AccessError>>>;

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Access over these ports.
    #[must_use]
    pub fn new(ports: AccessPorts) -> Self {
        Self(Arc::new(Inner {
            ports,
            denials: Mutex::default(),
            flights: Mutex::default(),
        }))
    }

    pub(crate) fn ports(&self) -> &AccessPorts {
        &self.0.ports
    }

    /// Tells the audit log that somebody was not given a credential, [`MAX_DENIALS`] times a minute at most:
    /// what is refused again and again would fill the disk.
    pub async fn denied(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        user: &CredentialUser,
        why: &str,
    ) {
        let ports = &self.0.ports;
        if !self.0.denials.lock().admit(ports.clock.monotonic()) {
            return;
        }
        if let Err(error) = ports.vault.denied(tenant, id, user, why).await {
            warn!(credential = %id, %error, "a denial is not in the audit log");
        }
    }

    /// Tells the audit log that an attempt was refused what it holds no capability for, counted together with
    /// [`Access::denied`]; `capability` is empty where none would open it.
    pub async fn refused(
        &self,
        tenant: &TenantId,
        user: &CredentialUser,
        capability: &str,
        why: &str,
    ) {
        let ports = &self.0.ports;
        if !self.0.denials.lock().admit(ports.clock.monotonic()) {
            return;
        }
        let told = ports.vault.refused(tenant, user, capability, why).await;
        if let Err(error) = told {
            warn!(capability, %error, "a denial is not in the audit log");
        }
    }

    /// The same over another way out, where this one has any: the one with gates, which an engine has of
    /// its own. Refreshes under way are not shared between the two in memory, but through the store.
    #[must_use]
    pub fn over(&self, http: Arc<dyn HttpClient>) -> Self {
        let mut ports = self.0.ports.clone();
        if ports.http.is_some() {
            ports.http = Some(http);
        }
        Self::new(ports)
    }

    /// Asks the server for another token, however good the one is that is there. Which version it is in.
    ///
    /// # Errors
    /// As [`Access::open`]. [`AccessError::NoWay`] for a type that has no tokens.
    ///
    /// # Cancel safety
    /// As [`Access::open`].
    pub async fn renew(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        user: &CredentialUser,
    ) -> Result<Opened, AccessError> {
        let vault = &self.0.ports.vault;
        let before = vault.open(tenant, id, user).await?;
        if !token::needs_token(before.credential.kind()) {
            return Err(AccessError::NoWay {
                id: id.clone(),
                why: format!("its type {} has no tokens", before.credential.kind()),
            });
        }
        self.refreshed(tenant, id, before.version).await?;
        Ok(vault.open(tenant, id, user).await?)
    }

    /// Opens a credential for a user, as [`Vault::open`] does, with an access token that is good for at
    /// least [`MARGIN`] where its type has one, or with one that was given for this call.
    ///
    /// # Errors
    /// [`AccessError`]; what it means for an attempt is [`AccessError::of_attempt`].
    ///
    /// # Cancel safety
    /// The use may be recorded. A refresh that was begun stays where it is, and goes on with the next
    /// call for the same credential.
    pub async fn open(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        user: &CredentialUser,
    ) -> Result<Opened, AccessError> {
        let Inner { ports, .. } = &*self.0;
        let mut before: Option<u32> = None;
        for _ in 0..ROUNDS {
            let opened = ports.vault.open(tenant, id, user).await?;
            if !token::needs_token(opened.credential.kind()) {
                return Ok(opened);
            }
            let now = ports.clock.now();
            let good = token::good_until(&opened.credential);
            let is_new = before.is_some_and(|before| opened.version > before);
            if good.is_some_and(|until| until.since(now) > MARGIN || is_new) {
                return Ok(opened);
            }
            self.refreshed(tenant, id, opened.version).await?;
            before = Some(opened.version);
        }
        Err(VaultError::Contended(format!("credential `{id}`")).into())
    }

    /// Where somebody consents to what a credential of type `oauth2_code` is for, and the version that this is
    /// of.
    ///
    /// # Errors
    /// As [`Access::open`]. [`AccessError::NoWay`] for another type.
    pub async fn consent(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        asked: &Consent<'_>,
    ) -> Result<(Url, u32), AccessError> {
        let opened = self.of_consent(tenant, id).await?;
        let url = token::consent(id, &opened.credential, asked)?;
        Ok((url, opened.version))
    }

    /// Exchanges what came back after a consent for tokens, which are the credential's next version: its
    /// number.
    ///
    /// # Errors
    /// As [`Access::open`]. [`AccessError::NoWay`]: the credential is another version meanwhile, or has
    /// another type.
    ///
    /// # Cancel safety
    /// The code may be spent without a next version; it can be consented again.
    pub async fn consented(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        given: &Consented<'_>,
    ) -> Result<u32, AccessError> {
        let ports = &self.0.ports;
        let no_way = |why: &str| AccessError::NoWay {
            id: id.clone(),
            why: why.to_owned(),
        };
        let changed = || no_way("it was changed since somebody was asked for consent");
        let opened = self.of_consent(tenant, id).await?;
        if opened.version != given.version {
            return Err(changed());
        }
        let Some(http) = &ports.http else {
            return Err(no_way("this engine was built without a way out over HTTP"));
        };
        let (egress, request) = token::exchange(tenant, id, &opened.credential, given)?;
        let answer = answered(&**http, id, egress, request).await?;
        let now = ports.clock.now();
        let next = token::refreshed(id, &opened.credential, &answer, now)?;
        match ports
            .vault
            .put(tenant, id, Some(given.version), &next)
            .await?
        {
            VaultPut::Stored { version } => Ok(version),
            VaultPut::Conflict { .. } => Err(changed()),
        }
    }

    /// Opens a credential to which somebody consents.
    async fn of_consent(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
    ) -> Result<Opened, AccessError> {
        let user = CredentialUser::Refresh;
        let opened = self.0.ports.vault.open(tenant, id, &user).await?;
        match opened.credential.kind() {
            CredentialType::OAuth2Code => Ok(opened),
            kind => Err(AccessError::NoWay {
                id: id.clone(),
                why: format!("nobody consents to its type {kind}, but to oauth2_code"),
            }),
        }
    }

    /// Has a version refreshed, together with all others that want that in this process.
    async fn refreshed(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
    ) -> Result<(), AccessError> {
        let key = (tenant.clone(), id.clone());
        let flight = {
            let mut flights = self.0.flights.lock();
            let flight = flights.entry(key.clone()).or_insert_with(|| {
                // Weak: what waits in there must not keep itself alive.
                let refresh = refresh(Arc::downgrade(&self.0), key.clone(), version);
                BoxFuture::shared(Box::pin(refresh))
            });
            flight.clone()
        };
        let ended = flight.clone().await;
        let mut flights = self.0.flights.lock();
        if flights.get(&key).is_some_and(|it| it.ptr_eq(&flight)) {
            flights.remove(&key);
        }
        ended
    }
}

/// Refreshes a version, unless somebody else does or has done it.
async fn refresh(
    inner: Weak<Inner>,
    (tenant, id): (TenantId, CredentialId),
    version: u32,
) -> Result<(), AccessError> {
    let Some(ports) = inner.upgrade().map(|inner| inner.ports.clone()) else {
        return Ok(());
    };
    let holder = ports.entropy.uuid();
    #[cfg(sim_bug)]
    if nebula_core::sim_bug::is_awake("refresh-asks-for-no-right") {
        return ask(&ports, &tenant, &id, version).await;
    }
    for _ in 0..ROUNDS {
        let vault = &ports.vault;
        let lease = vault.lease_refresh(&tenant, &id, version, holder, LEASE);
        match lease.await.map_err(VaultError::from)? {
            RefreshLease::Granted { .. } => {
                let done = ask(&ports, &tenant, &id, version).await;
                if let Err(error) = &done {
                    info!(credential = %id, %error, "not refreshed");
                    if let Err(error) = vault.release_refresh(&tenant, &id, holder).await {
                        debug!(credential = %id, %error, "the right to refresh it ends by its time");
                    }
                }
                return done;
            }
            RefreshLease::Held { until } => {
                let left = until.since(ports.clock.now());
                ports.clock.sleep(left.min(LOOK_AGAIN)).await;
            }
            RefreshLease::Stale { .. } => return Ok(()),
            RefreshLease::Unknown => return Err(VaultError::Unknown(id).into()),
        }
    }
    Err(VaultError::Contended(format!("the refresh of `{id}`")).into())
}

/// Asks the server for a token and stores what it gives.
async fn ask(
    ports: &AccessPorts,
    tenant: &TenantId,
    id: &CredentialId,
    version: u32,
) -> Result<(), AccessError> {
    let user = CredentialUser::Refresh;
    let opened = ports.vault.open(tenant, id, &user).await?;
    if opened.version != version {
        return Ok(());
    }
    let Some(http) = &ports.http else {
        return Err(AccessError::NoWay {
            id: id.clone(),
            why: "this engine was built without a way out over HTTP".to_owned(),
        });
    };
    let (egress, request) = token::request(tenant, id, &opened.credential)?;
    let answer = answered(&**http, id, egress, request).await?;
    let now = ports.clock.now();
    let refreshed = token::refreshed(id, &opened.credential, &answer, now)?;
    let put = ports.vault.put(tenant, id, Some(version), &refreshed);
    match put.await? {
        VaultPut::Stored { version } => debug!(credential = %id, version, "refreshed"),
        // Somebody has given it other values meanwhile: those are the ones to use.
        VaultPut::Conflict { version } => debug!(credential = %id, ?version, "changed by others"),
    }
    Ok(())
}

/// What a server answers to a request for a token.
async fn answered(
    http: &dyn HttpClient,
    id: &CredentialId,
    egress: Egress,
    request: HttpRequest,
) -> Result<Answer, AccessError> {
    let origin = nebula_action::origin_of(&request.url);
    let asked = async {
        let answer = http.send(&egress, request).await?;
        Ok(Answer {
            status: answer.status,
            headers: answer.headers.clone(),
            body: Zeroizing::new(answer.bytes().await?),
            origin,
        })
    };
    asked.await.map_err(|error: nebula_action::HttpError| {
        let (id, why) = (id.clone(), error.to_string());
        match error.kind {
            HttpErrorKind::Held(Refused { reason, after }) => AccessError::Held {
                id,
                why,
                after,
                fault: reason.is_fault(),
            },
            HttpErrorKind::Denied(_)
            | HttpErrorKind::Url(_)
            | HttpErrorKind::Request(_)
            | HttpErrorKind::Tls(_)
            | HttpErrorKind::HeadTooLarge(_)
            | HttpErrorKind::BodyTooLarge(_) => AccessError::NoWay { id, why },
            _ => AccessError::Later {
                id,
                why,
                after: None,
            },
        }
    })
}
