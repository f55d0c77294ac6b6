//! Who calls: what was shown is held against what is stored.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nebula_core::{
    Clock, Digest, Entropy, ExposeSecret as _, Offload, PrincipalId, SecretId, SecretString,
    TenantId, Timestamp,
};
use nebula_ports::{
    AuditLog, ErrorKind, IdentityRepo, PortError, PrincipalKey, PrincipalKind, SecretsStore,
    SessionKey, SessionKind, SessionRepo, Standing, StoredKey,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::{
    Narrowed, NotAuthenticated, PasswordCost, Permission, Principal, Via, Who,
    audit::{Denials, What},
    jwt,
    password::Passwords,
    token::{self, TokenKind},
};

/// How long rights are taken to be what they were, by whoever serves for longer than one request.
pub const CHECK_AGAIN: Duration = Duration::from_secs(30);

/// How long a ticket can be used: long enough to open a stream with it.
pub const TICKET: Duration = Duration::from_secs(60);

/// How many tenants' keys for signed tokens are kept in memory; above that they are read again.
const MAX_CACHED_KEYS: usize = 1_024;

/// How often the key is read again because a token does not match it.
const KEY_READ_EVERY: Duration = Duration::from_secs(10);

/// Where the key for signed tokens lies. The engine's own secrets begin with `nebula.`.
const TOKEN_KEY: &str = "nebula.identity-token-key";

pub(crate) const TICKETS: &str = "ticket";

/// What [`Identity`] asks the world for.
#[derive(Debug, Clone)]
pub struct IdentityPorts {
    /// Who there is.
    pub identities: Arc<dyn IdentityRepo>,
    /// Who is let in for now.
    pub sessions: Arc<dyn SessionRepo>,
    /// Who did what.
    pub audit: Arc<dyn AuditLog>,
    /// Where the key for signed tokens lies.
    pub secrets: Arc<dyn SecretsStore>,
    /// Hashes passwords.
    pub offload: Arc<dyn Offload>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct IdentityConfig {
    /// How much work a password's hash is.
    pub password_cost: PasswordCost,
    /// How long a browser's session lasts without a use; 12 hours.
    pub browser_idle: Duration,
    /// How long it lasts at most; 7 days.
    pub browser_lasts: Duration,
    /// How long a program's session lasts without a refresh; 30 days.
    pub program_idle: Duration,
    /// How long it lasts at most; 90 days.
    pub program_lasts: Duration,
    /// How long a signed token lives; 10 minutes.
    pub access_lives: Duration,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            password_cost: PasswordCost::default(),
            browser_idle: Duration::from_hours(12),
            browser_lasts: Duration::from_hours(24 * 7),
            program_idle: Duration::from_hours(24 * 30),
            program_lasts: Duration::from_hours(24 * 90),
            access_lives: Duration::from_mins(10),
        }
    }
}

/// What a caller shows.
#[derive(Clone, Copy)]
pub enum Evidence<'a> {
    /// The token of an `Authorization: Bearer` header: an API key, a signed token, or the token of this
    /// machine.
    Bearer(&'a str),
    /// The cookie of a browser's session.
    Session {
        /// Its value.
        cookie: &'a str,
        /// The value of the request's CSRF header.
        csrf: Option<&'a str>,
        /// Whether the request may change something: anything but `GET` and `HEAD`.
        mutating: bool,
    },
    /// A ticket for one use.
    Ticket(&'a str),
}

impl std::fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Session { .. } => "Session(…)",
            Self::Ticket(_) => "Ticket(…)",
        })
    }
}

/// Settles who calls, and manages who there is.
#[derive(Debug)]
pub struct Identity {
    pub(crate) ports: IdentityPorts,
    pub(crate) config: IdentityConfig,
    pub(crate) passwords: Passwords,
    pub(crate) denials: Denials,
    /// The tenant and the hash of the token of this machine.
    local: Option<(TenantId, Digest)>,
    keys: Mutex<BTreeMap<TenantId, SignKey>>,
}

/// A key for signed tokens, and when it was read.
#[derive(Clone)]
struct SignKey {
    bytes: zeroize::Zeroizing<Vec<u8>>,
    read_at: Duration,
}

impl std::fmt::Debug for SignKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignKey(…)")
    }
}

/// What a ticket stands for: who asked for it, with what.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Ticketed {
    Local,
    Session { principal: PrincipalId, id: Uuid },
    Key { prefix: String },
}

/// What a token of an errand stands for.
#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    who: String,
    /// With what they came.
    via: String,
    content: String,
}

/// A new token of this machine: the text for a file that its owner alone reads, the hash to know it by.
#[derive(Debug)]
pub struct LocalToken {
    /// What is shown in `Authorization: Bearer`.
    pub text: SecretString,
    /// What [`Identity::with_local_token`] takes.
    pub hash: Digest,
}

impl LocalToken {
    /// A token that nobody can guess.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        let new = token::new(entropy, TokenKind::Local, &TenantId::local());
        Self {
            text: new.text,
            hash: new.hash,
        }
    }

    /// Reads the text that was kept; `None` if it is no such token.
    #[must_use]
    pub fn read(text: &SecretString) -> Option<Self> {
        let read = token::parse(TokenKind::Local, text.expose_secret())?;
        Some(Self {
            text: text.clone(),
            hash: read.hash,
        })
    }
}

impl Identity {
    /// Over these ports.
    #[must_use]
    pub fn new(ports: IdentityPorts, config: IdentityConfig) -> Self {
        let (offload, entropy) = (Arc::clone(&ports.offload), Arc::clone(&ports.entropy));
        Self {
            passwords: Passwords::new(config.password_cost, offload, entropy),
            denials: Denials::default(),
            local: None,
            keys: Mutex::default(),
            ports,
            config,
        }
    }

    /// Whoever shows the token with this hash is whoever sits at this machine, and owns `tenant`.
    #[must_use]
    pub fn with_local_token(mut self, tenant: TenantId, hash: Digest) -> Self {
        self.local = Some((tenant, hash));
        self
    }

    /// Who shows this. `from` is the address it comes from, for the audit log.
    ///
    /// # Errors
    /// [`NotAuthenticated`]; nothing in it says whether somebody exists.
    ///
    /// # Cancel safety
    /// A ticket may be spent.
    pub async fn authenticate(
        &self,
        evidence: Evidence<'_>,
        from: &str,
    ) -> Result<Principal, NotAuthenticated> {
        match evidence {
            Evidence::Bearer(text) if token::is_kind(TokenKind::Key, text) => {
                self.by_key(text, from).await
            }
            Evidence::Bearer(text) if token::is_kind(TokenKind::Local, text) => {
                self.by_local_token(text)
            }
            Evidence::Bearer(text) => self.by_signed_token(text).await,
            Evidence::Session {
                cookie,
                csrf,
                mutating,
            } => self.by_cookie(cookie, csrf, mutating).await,
            Evidence::Ticket(text) => self.by_ticket(text).await,
        }
    }

    /// The same principal with the rights of now; for whoever serves one for longer, from
    /// [`Principal::check_again_at`] on.
    ///
    /// # Errors
    /// `Refused`: the session has ended, the key is gone, or its principal is disabled.
    pub async fn check_again(&self, principal: &Principal) -> Result<Principal, NotAuthenticated> {
        let tenant = &principal.tenant;
        match (&principal.via, principal.id()) {
            (Via::Local, None) => Ok(principal.clone()),
            (Via::Session(id), Some(of)) => self.in_session(tenant, of, *id).await,
            (Via::Key(prefix), Some(_)) => {
                let stored = self.ports.identities.key_and_standing(tenant, prefix);
                self.with_key(tenant, stored.await?)
            }
            _ => Err(NotAuthenticated::Refused),
        }
    }

    /// A ticket for one use within [`TICKET`], which stands for this principal: for what can send no
    /// header, such as the event source of a browser.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn ticket(&self, by: &Principal) -> Result<SecretString, PortError> {
        let stands_for = match (&by.via, by.id()) {
            (Via::Session(id), Some(principal)) => Ticketed::Session { principal, id: *id },
            (Via::Key(prefix), Some(_)) => Ticketed::Key {
                prefix: prefix.clone(),
            },
            (Via::Local, None) => Ticketed::Local,
            _ => {
                let message = "a principal that came with nothing of its own";
                return Err(PortError::new(
                    ErrorKind::Invalid,
                    "identity",
                    "make a ticket",
                    message,
                ));
            }
        };
        let content = serde_json::to_string(&stands_for).expect("texts");
        self.put_once(&by.tenant, TICKETS, content, TICKET, false)
            .await
    }

    async fn by_ticket(&self, text: &str) -> Result<Principal, NotAuthenticated> {
        let (tenant, content) = self.take_once(TICKETS, text).await?;
        let stands_for = serde_json::from_str(&content).map_err(|_| NotAuthenticated::Refused)?;
        match stands_for {
            Ticketed::Local => Ok(Principal::local(tenant)),
            Ticketed::Session { principal, id } => self.in_session(&tenant, principal, id).await,
            Ticketed::Key { prefix } => {
                let stored = self.ports.identities.key_and_standing(&tenant, &prefix);
                self.with_key(&tenant, stored.await?)
            }
        }
    }

    fn by_local_token(&self, text: &str) -> Result<Principal, NotAuthenticated> {
        let shown = token::parse(TokenKind::Local, text).ok_or(NotAuthenticated::Refused)?;
        let (tenant, hash) = self.local.as_ref().ok_or(NotAuthenticated::Refused)?;
        match bool::from(hash.as_bytes().ct_eq(shown.hash.as_bytes())) {
            true => Ok(Principal::local(tenant.clone())),
            false => Err(NotAuthenticated::Refused),
        }
    }

    async fn by_key(&self, text: &str, from: &str) -> Result<Principal, NotAuthenticated> {
        let shown = token::parse(TokenKind::Key, text).ok_or(NotAuthenticated::Refused)?;
        let identities = &self.ports.identities;
        let stored = identities.key_and_standing(&shown.tenant, &shown.prefix);
        let stored = stored.await?;
        let hash = stored
            .as_ref()
            .map_or(Digest::from([0; 32]), |(it, _)| it.key.hash);
        let due = stored.as_ref().is_some_and(|(it, _)| it.use_is_due);
        let known = stored.is_some();
        let right = bool::from(hash.as_bytes().ct_eq(shown.hash.as_bytes()));
        let found = match right {
            true => self.with_key(&shown.tenant, stored),
            false => Err(NotAuthenticated::Refused),
        };
        match &found {
            // Seldom: each request would write otherwise.
            Ok(_) if due => {
                identities.key_used(&shown.tenant, &shown.prefix).await?;
            }
            // Of keys that never were, nothing is recorded: whoever makes them up would fill the log.
            Err(NotAuthenticated::Refused) if known => {
                let what = What::denied("keys.use", format!("key:{}", shown.prefix), from);
                self.record_denial(&shown.tenant, None, what).await?;
            }
            Ok(_) | Err(_) => {}
        }
        found
    }

    /// Whoever a key belongs to, with the rights that it leaves them.
    fn with_key(
        &self,
        tenant: &TenantId,
        stored: Option<(StoredKey, Standing)>,
    ) -> Result<Principal, NotAuthenticated> {
        let good = stored.filter(|(key, of)| !key.expired && !of.principal.disabled);
        let (stored, standing) = good.ok_or(NotAuthenticated::Refused)?;
        let key = stored.key;
        // A scope that this build does not know allows nothing.
        let permissions = key.scopes.map(|scopes| {
            let known = scopes.iter().filter_map(|it| it.parse::<Permission>().ok());
            known.collect()
        });
        let narrowed = Narrowed {
            project: key.project,
            permissions,
        };
        let via = Via::Key(key.prefix);
        Ok(self.principal(tenant, standing, via, Some(narrowed)))
    }

    async fn by_cookie(
        &self,
        cookie: &str,
        csrf: Option<&str>,
        mutating: bool,
    ) -> Result<Principal, NotAuthenticated> {
        let shown = token::parse(TokenKind::Session, cookie).ok_or(NotAuthenticated::Refused)?;
        let key = SessionKey::Token(shown.hash);
        let session = self.ports.sessions.session(&shown.tenant, key).await?;
        let session = session.filter(|it| it.kind == SessionKind::Browser);
        let session = session.ok_or(NotAuthenticated::Refused)?;
        let expected = csrf_token(cookie);
        let given = csrf.unwrap_or_default().as_bytes();
        if mutating && !bool::from(expected.expose_secret().as_bytes().ct_eq(given)) {
            return Err(NotAuthenticated::Csrf);
        }
        let standing = self.standing(&shown.tenant, session.principal).await?;
        Ok(self.principal(&shown.tenant, standing, Via::Session(session.id), None))
    }

    async fn by_signed_token(&self, text: &str) -> Result<Principal, NotAuthenticated> {
        let tenant = jwt::tenant(text).ok_or(NotAuthenticated::Refused)?;
        let now = self.ports.clock.now();
        let mut claims = None;
        if let Some(key) = self.cached_key(&tenant) {
            claims = jwt::verify(&key.bytes, text, now);
            let age = self.ports.clock.monotonic().saturating_sub(key.read_at);
            if claims.is_none() && age < KEY_READ_EVERY {
                return Err(NotAuthenticated::Refused);
            }
        }
        if claims.is_none() {
            // Another process may have made the key that counts.
            let key = self
                .read_key(&tenant)
                .await?
                .ok_or(NotAuthenticated::Refused)?;
            claims = jwt::verify(&key.bytes, text, now);
        }
        let claims = claims.ok_or(NotAuthenticated::Refused)?;
        self.in_session(&tenant, claims.sub, claims.sid).await
    }

    /// Whoever a session belongs to, if it lasts: so what is signed is over as soon as its session is.
    pub(crate) async fn in_session(
        &self,
        tenant: &TenantId,
        of: PrincipalId,
        id: Uuid,
    ) -> Result<Principal, NotAuthenticated> {
        let session = self
            .ports
            .sessions
            .session(tenant, SessionKey::Id(id))
            .await?;
        let session = session.filter(|it| it.principal == of);
        if session.is_none() {
            return Err(NotAuthenticated::Refused);
        }
        let standing = self.standing(tenant, of).await?;
        Ok(self.principal(tenant, standing, Via::Session(id), None))
    }

    async fn standing(
        &self,
        tenant: &TenantId,
        id: PrincipalId,
    ) -> Result<Standing, NotAuthenticated> {
        let key = PrincipalKey::Id(id);
        let standing = self.ports.identities.standing(tenant, key).await?;
        let standing = standing.filter(|it| !it.principal.disabled);
        standing.ok_or(NotAuthenticated::Refused)
    }

    pub(crate) fn principal(
        &self,
        tenant: &TenantId,
        standing: Standing,
        via: Via,
        narrowed: Option<Narrowed>,
    ) -> Principal {
        let record = standing.principal;
        let who = match record.kind {
            PrincipalKind::Person => Who::Person(record.id),
            PrincipalKind::Service => Who::Service(record.id),
        };
        let name = match record.name.is_empty() {
            true => record.login.clone(),
            false => record.name,
        };
        Principal {
            tenant: tenant.clone(),
            who,
            login: record.login,
            name,
            via,
            memberships: standing.memberships,
            narrowed,
            check_again_at: self.ports.clock.now().plus(CHECK_AGAIN),
        }
    }

    fn cached_key(&self, tenant: &TenantId) -> Option<SignKey> {
        self.keys.lock().get(tenant).cloned()
    }

    async fn read_key(&self, tenant: &TenantId) -> Result<Option<SignKey>, PortError> {
        let Some(text) = self.ports.secrets.get(tenant, &token_key()).await? else {
            return Ok(None);
        };
        let bytes = BASE64.decode(text.expose_secret()).unwrap_or_default();
        if bytes.len() != 32 {
            return Err(PortError::new(
                ErrorKind::Corrupt,
                "identity",
                "read the key for signed tokens",
                format!(
                    "the secret `{TOKEN_KEY}` holds something else; delete it, and everybody logs in again"
                ),
            ));
        }
        let key = SignKey {
            bytes: bytes.into(),
            read_at: self.ports.clock.monotonic(),
        };
        let mut keys = self.keys.lock();
        if keys.len() >= MAX_CACHED_KEYS {
            keys.clear();
        }
        keys.insert(tenant.clone(), key.clone());
        Ok(Some(key))
    }

    /// Signs for this session, with the key that is stored: made where there is none yet.
    pub(crate) async fn sign(
        &self,
        tenant: &TenantId,
        principal: PrincipalId,
        session: Uuid,
    ) -> Result<SecretString, PortError> {
        let key = self.stored_key(tenant).await?;
        let (now, lives) = (self.ports.clock.now(), self.config.access_lives);
        let claims = jwt::Claims::new(tenant, principal, session, now, lives);
        Ok(jwt::sign(&key.bytes, &claims))
    }

    /// The key that is stored: made where there is none yet.
    async fn stored_key(&self, tenant: &TenantId) -> Result<SignKey, PortError> {
        match self.read_key(tenant).await? {
            Some(key) => Ok(key),
            None => self.make_sign_key(tenant).await,
        }
    }

    /// The key, from memory if it was read lately.
    pub(crate) async fn sign_key(
        &self,
        tenant: &TenantId,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, PortError> {
        let now = self.ports.clock.monotonic();
        let cached = self.cached_key(tenant);
        let cached = cached.filter(|key| now.saturating_sub(key.read_at) < KEY_READ_EVERY);
        match cached {
            Some(key) => Ok(key.bytes),
            None => Ok(self.stored_key(tenant).await?.bytes),
        }
    }

    async fn make_sign_key(&self, tenant: &TenantId) -> Result<SignKey, PortError> {
        let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.ports.entropy.next_u64().to_le_bytes());
        }
        let text = SecretString::from(BASE64.encode(*bytes));
        let _ = self.ports.secrets.set(tenant, &token_key(), text).await?;
        // Of two that make one at once, the later one counts for both.
        let read = self.read_key(tenant).await?;
        read.ok_or_else(|| {
            let message = "it was deleted at once";
            PortError::new(
                ErrorKind::Unavailable,
                "identity",
                "make the key for signed tokens",
                message,
            )
        })
    }

    /// Puts a token for one use, and gives its text.
    pub(crate) async fn put_once(
        &self,
        tenant: &TenantId,
        purpose: &str,
        content: String,
        ttl: Duration,
        alone: bool,
    ) -> Result<SecretString, PortError> {
        let new = token::new(&*self.ports.entropy, TokenKind::Once, tenant);
        let once = nebula_ports::NewOnce {
            token: new.hash,
            purpose: purpose.to_owned(),
            content,
            ttl,
            alone,
        };
        self.ports.sessions.put_once(tenant, once).await?;
        Ok(new.text)
    }

    /// A token for one use within `ttl`, which nobody but this principal can take, with what they came with:
    /// for what goes through a browser to somebody else and comes back.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn errand(
        &self,
        by: &Principal,
        purpose: &'static str,
        content: &str,
        ttl: Duration,
    ) -> Result<SecretString, PortError> {
        let errand = Errand {
            who: by.audit_name(),
            via: by.audit_via(),
            content: content.to_owned(),
        };
        let content = serde_json::to_string(&errand).expect("texts");
        self.put_once(&by.tenant, purpose, content, ttl, false)
            .await
    }

    /// Spends the token of an errand: what it was about. `None` if it is none of this principal: spent
    /// before, over, of another purpose, or somebody else's, whose it is no more either.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn errand_done(
        &self,
        by: &Principal,
        purpose: &'static str,
        text: &str,
    ) -> Result<Option<String>, PortError> {
        let (tenant, content) = match self.take_once(purpose, text).await {
            Ok(taken) => taken,
            Err(NotAuthenticated::Port(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        let errand = serde_json::from_str::<Errand>(&content).ok();
        let errand = errand.filter(|it| {
            tenant == by.tenant && it.who == by.audit_name() && it.via == by.audit_via()
        });
        Ok(errand.map(|it| it.content))
    }

    /// Spends a token for one use: its tenant, and what it stands for.
    pub(crate) async fn take_once(
        &self,
        purpose: &str,
        text: &str,
    ) -> Result<(TenantId, String), NotAuthenticated> {
        let shown = token::parse(TokenKind::Once, text).ok_or(NotAuthenticated::Refused)?;
        let sessions = &self.ports.sessions;
        let taken = sessions
            .take_once(&shown.tenant, purpose, shown.hash)
            .await?;
        let content = taken.ok_or(NotAuthenticated::Refused)?;
        Ok((shown.tenant, content))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

/// The id of the secret that holds the key for signed tokens.
#[must_use]
pub(crate) fn token_key() -> SecretId {
    SecretId::new(TOKEN_KEY).expect("letters, `.` and `-`")
}

/// The CSRF token of a session: derived from its cookie, which no script and no other site can read; so
/// nothing of it is stored.
#[must_use]
pub(crate) fn csrf_token(cookie: &str) -> SecretString {
    let token = Digest::mac(cookie.as_bytes(), b"nebula csrf 1");
    SecretString::from(BASE64.encode(token.as_bytes()))
}
