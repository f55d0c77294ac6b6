//! Logging in and out: sessions of browsers and of programs.

use std::time::Duration;

use nebula_core::{Digest, ExposeSecret as _, PrincipalId, SecretString, TenantId, Timestamp};
use nebula_ports::{
    Attempted, Closing, ErrorKind, Lockout, MAX_SESSION_TEXT, NewSession, PortError, PrincipalKey,
    PrincipalKind, PrincipalRecord, Rotated, Session, SessionKind, SessionOpened, Standing,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Identity, IdentityError, NotAuthenticated, Permission, Principal, Via, What, Why,
    audit::cut,
    identity::csrf_token,
    password::{Busy, MAX_PASSWORD_BYTES},
    token::{self, TokenKind},
};

/// Of one login from one address: somebody mistypes.
const HERE: Lockout = Lockout {
    free: 5,
    first: Duration::from_secs(1),
    longest: Duration::from_mins(15),
    forget: Duration::from_hours(1),
};

/// Of one login from anywhere: many guess together. The longest wait is short, or strangers could shut
/// somebody out.
const LOGIN: Lockout = Lockout {
    free: 50,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
    forget: Duration::from_hours(1),
};

/// From one address: one guesses for many logins. Those who get in count, too, or whoever has a login
/// could begin anew with it; so much is free, since many may share an address.
pub(crate) const FROM: Lockout = Lockout {
    free: 300,
    first: Duration::from_secs(1),
    longest: Duration::from_mins(1),
    forget: Duration::from_hours(1),
};

/// What somebody logs in with.
#[derive(Debug, Clone)]
pub struct Login {
    /// Their login; case does not count.
    pub login: String,
    /// Their password.
    pub password: SecretString,
    /// For what.
    pub kind: SessionKind,
    /// With what program; longer texts are cut.
    pub agent: String,
}

/// Somebody who is let in.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who.
    pub principal: Principal,
    /// What they show from now on.
    pub issued: Issued,
}

/// What somebody shows from now on. It is given once, and stored nowhere.
#[derive(Debug)]
pub enum Issued {
    /// To a browser.
    Browser {
        /// The value of its cookie: `HttpOnly`, `SameSite=Lax`, `Path=/`, `Secure` where there is TLS.
        cookie: SecretString,
        /// What its page sends in a header of each request that may change something.
        csrf: SecretString,
        /// When the session ends at the latest.
        ends_at: Timestamp,
    },
    /// To a program.
    Program {
        /// What it shows as a bearer.
        access: SecretString,
        /// How long that lives.
        lives: Duration,
        /// What it exchanges for the next two.
        refresh: SecretString,
    },
}

impl From<Busy> for NotAuthenticated {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<Busy> for IdentityError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// A login as it is stored and looked for.
pub(crate) fn normal(login: &str) -> String {
    login.trim().to_lowercase()
}

/// For what tries are counted.
fn key(parts: &[&str]) -> Digest {
    let parts: Vec<_> = parts.iter().map(|it| it.as_bytes()).collect();
    Digest::of_parts(&parts)
}

/// For which those from one address are.
pub(crate) fn from_key(from: &str) -> Digest {
    key(&["from", from])
}

impl Identity {
    /// Lets somebody in with login and password.
    ///
    /// # Errors
    /// `Refused` for whatever reason; `Wait` after too many tries, whether there is such a login or not;
    /// `Busy`.
    ///
    /// # Cancel safety
    /// A try may be counted, or a session be open that nobody can use.
    pub async fn login(
        &self,
        tenant: &TenantId,
        login: Login,
        from: &str,
    ) -> Result<LoggedIn, NotAuthenticated> {
        let name = normal(&login.login);
        let counted = self.count_try(tenant, &name, from).await?;
        let key = PrincipalKey::Login(&name);
        let standing = match name.is_empty() {
            true => None,
            false => self.ports.identities.standing(tenant, key).await?,
        };
        let known = standing.as_ref().map(|it| &it.principal);
        let person = known.filter(|it| it.kind == PrincipalKind::Person && !it.disabled);
        let stored = person.and_then(|it| it.password.as_ref());
        // Not the login as it was typed: it may be a password in the wrong field.
        let target = known_target(person.map(|it| it.id));
        let long = login.password.expose_secret().len() > MAX_PASSWORD_BYTES;
        let right = !long && self.passwords.is(&login.password, stored).await?;
        let Some(standing) = standing.filter(|_| right) else {
            let what = What::denied("sessions.open", target, from);
            self.record_denial(tenant, None, what).await?;
            return Err(NotAuthenticated::Refused);
        };
        self.forget_tries(tenant, counted).await?;
        self.hash_anew(tenant, &standing.principal, &login.password)
            .await?;
        self.open(tenant, standing, login.kind, &login.agent, from)
            .await
    }

    /// Counts a try of a login from somewhere, if it may be made now; gives what is forgotten after a
    /// success.
    async fn count_try(
        &self,
        tenant: &TenantId,
        login: &str,
        from: &str,
    ) -> Result<[Digest; 2], NotAuthenticated> {
        let here = key(&["here", login, from]);
        let anywhere = key(&["login", login]);
        let all = [(from_key(from), FROM), (here, HERE), (anywhere, LOGIN)];
        for (key, lockout) in all {
            let tried = self.ports.sessions.attempt(tenant, key, &lockout).await?;
            if let Attempted::Wait { until } = tried {
                return Err(NotAuthenticated::Wait { until });
            }
        }
        Ok([here, anywhere])
    }

    /// Whoever got in begins anew.
    async fn forget_tries(&self, tenant: &TenantId, counted: [Digest; 2]) -> Result<(), PortError> {
        for key in counted {
            self.ports.sessions.forget_attempts(tenant, key).await?;
        }
        Ok(())
    }

    /// A password that was hashed with another cost gets a hash of the one that is set.
    async fn hash_anew(
        &self,
        tenant: &TenantId,
        record: &PrincipalRecord,
        password: &SecretString,
    ) -> Result<(), NotAuthenticated> {
        let old = record
            .password
            .as_ref()
            .is_some_and(|it| self.passwords.is_old(it));
        if old {
            let next = PrincipalRecord {
                version: record.version + 1,
                password: Some(self.passwords.hash(password).await?),
                ..record.clone()
            };
            // Whoever changed it meanwhile is right; the next login tries again.
            let _ = self.ports.identities.put_principal(tenant, next).await?;
        }
        Ok(())
    }

    /// Opens a session for whoever was found to be who they are.
    pub(crate) async fn open(
        &self,
        tenant: &TenantId,
        standing: Standing,
        kind: SessionKind,
        agent: &str,
        from: &str,
    ) -> Result<LoggedIn, NotAuthenticated> {
        let id = self.ports.entropy.uuid();
        let of = standing.principal.id;
        let principal = self.principal(tenant, standing, Via::Session(id), None);
        let what = What::allowed("sessions.open", format!("session:{id}"), from, Value::Null);
        self.record(&principal, what).await?;
        let config = &self.config;
        let (token_kind, idle, lasts) = match kind {
            SessionKind::Browser => (
                TokenKind::Session,
                config.browser_idle,
                config.browser_lasts,
            ),
            SessionKind::Program => (
                TokenKind::Refresh,
                config.program_idle,
                config.program_lasts,
            ),
        };
        let new = token::new(&*self.ports.entropy, token_kind, tenant);
        let opened = NewSession {
            id,
            principal: of,
            kind,
            token: new.hash,
            from: cut(from, MAX_SESSION_TEXT),
            agent: cut(agent, MAX_SESSION_TEXT),
            idle,
            lasts,
        };
        let session = match self.ports.sessions.open_session(tenant, opened).await? {
            SessionOpened::Opened(session) | SessionOpened::Same(session) => session,
            SessionOpened::Taken => {
                let message = "its id or token was there before: chance repeats itself";
                let kind = ErrorKind::Invalid;
                return Err(PortError::new(kind, "identity", "open a session", message).into());
            }
        };
        let issued = match kind {
            SessionKind::Browser => Issued::Browser {
                csrf: csrf_token(new.text.expose_secret()),
                cookie: new.text,
                ends_at: session.ends_at,
            },
            SessionKind::Program => Issued::Program {
                access: self.sign(tenant, of, id).await?,
                lives: config.access_lives,
                refresh: new.text,
            },
        };
        Ok(LoggedIn { principal, issued })
    }

    /// The CSRF token of a session that was authenticated by its cookie: a page that was loaded anew asks
    /// for it.
    #[must_use]
    pub fn csrf_of(&self, cookie: &str) -> SecretString {
        csrf_token(cookie)
    }

    /// Exchanges a refresh token for the next one and a signed token. One that was exchanged before
    /// closes its session: somebody else has it, too.
    ///
    /// # Errors
    /// `Refused` for whatever reason.
    ///
    /// # Cancel safety
    /// The exchange may be done; whoever lost the answer logs in again.
    pub async fn refresh(&self, text: &str, from: &str) -> Result<LoggedIn, NotAuthenticated> {
        let shown = token::parse(TokenKind::Refresh, text).ok_or(NotAuthenticated::Refused)?;
        let tenant = &shown.tenant;
        let next = token::new(&*self.ports.entropy, TokenKind::Refresh, tenant);
        let rotated = self
            .ports
            .sessions
            .rotate(tenant, shown.hash, next.hash)
            .await?;
        let session = match rotated {
            Rotated::Rotated(session) => session,
            Rotated::Reused { id, principal } => {
                let target = format!("session:{id} of person:{principal}");
                let what = What::denied("sessions.refresh", target, from);
                self.record_denial(tenant, None, what).await?;
                return Err(NotAuthenticated::Refused);
            }
            Rotated::Unknown => return Err(NotAuthenticated::Refused),
        };
        let principal = self
            .in_session(tenant, session.principal, session.id)
            .await?;
        let issued = Issued::Program {
            access: self.sign(tenant, session.principal, session.id).await?,
            lives: self.config.access_lives,
            refresh: next.text,
        };
        Ok(LoggedIn { principal, issued })
    }

    /// Ends the session with which somebody came; of others nothing changes.
    ///
    /// # Errors
    /// Those of the ports.
    pub async fn logout(&self, by: &Principal, from: &str) -> Result<(), IdentityError> {
        if let (Via::Session(id), Some(of)) = (&by.via, by.id()) {
            self.close(by, of, Some(*id), from).await?;
        }
        Ok(())
    }

    /// The sessions of somebody that last, the newest first: one's own, or with `users:read` of others.
    ///
    /// # Errors
    /// `Denied`. Those of the port.
    pub async fn sessions(
        &self,
        by: &Principal,
        of: PrincipalId,
        from: &str,
    ) -> Result<Vec<Session>, IdentityError> {
        let permission = match by.id() == Some(of) {
            true => Permission::SessionsOwn,
            false => Permission::UsersRead,
        };
        let what = ("sessions.list", &*format!("person:{of}"), from);
        self.require(by, permission, None, what).await?;
        Ok(self.ports.sessions.sessions(&by.tenant, of).await?)
    }

    /// Closes one session of somebody, or all of them but the one with which the caller came: one's own,
    /// or with `users:write` those of whoever has no higher role. Says how many there were.
    ///
    /// # Errors
    /// `Denied`. Those of the ports.
    pub async fn close_sessions(
        &self,
        by: &Principal,
        of: PrincipalId,
        one: Option<Uuid>,
        from: &str,
    ) -> Result<usize, IdentityError> {
        let target = format!("person:{of}");
        let what = ("sessions.close", &*target, from);
        if by.id() == Some(of) {
            self.require(by, Permission::SessionsOwn, None, what)
                .await?;
        } else {
            self.require(by, Permission::UsersWrite, None, what).await?;
            let standing = self.standing_of(by, of).await?;
            self.require_above(by, &standing, what).await?;
        }
        self.close(by, of, one, from).await
    }

    async fn close(
        &self,
        by: &Principal,
        of: PrincipalId,
        one: Option<Uuid>,
        from: &str,
    ) -> Result<usize, IdentityError> {
        let target = match one {
            Some(id) => format!("session:{id}"),
            None => format!("person:{of}"),
        };
        let what = What::allowed("sessions.close", target, from, Value::Null);
        self.record(by, what).await?;
        let but = match &by.via {
            Via::Session(id) if one.is_none() => Some(*id),
            _ => None,
        };
        let which = match one {
            Some(id) => Closing::One(of, id),
            None => Closing::All { principal: of, but },
        };
        Ok(self
            .ports
            .sessions
            .close_sessions(&by.tenant, which)
            .await?)
    }

    /// Changes one's own password, and closes all other sessions.
    ///
    /// # Errors
    /// `Denied`: with an API key. `WrongPassword`, `Wait`, `Busy`. `Invalid`: the new one is too short.
    pub async fn change_own_password(
        &self,
        by: &Principal,
        old: &SecretString,
        new: &SecretString,
        from: &str,
    ) -> Result<(), IdentityError> {
        let target = by.audit_name();
        let what = ("passwords.change", &*target, from);
        let permission = Permission::SessionsOwn;
        self.require(by, permission, None, what).await?;
        let (Via::Session(_), Some(of)) = (&by.via, by.id()) else {
            return self.deny(by, permission, Why::NotWithKey, what).await;
        };
        let standing = self.standing_of(by, of).await?;
        let counted = match self
            .count_try(&by.tenant, &standing.principal.login, from)
            .await
        {
            Ok(counted) => counted,
            Err(NotAuthenticated::Wait { until }) => return Err(IdentityError::Wait { until }),
            Err(NotAuthenticated::Port(error)) => return Err(error.into()),
            Err(_) => return Err(IdentityError::Busy),
        };
        let stored = standing.principal.password.as_ref();
        if !self.passwords.is(old, stored).await? {
            self.record(by, What::denied(what.0, what.1, from)).await?;
            return Err(IdentityError::WrongPassword);
        }
        self.forget_tries(&by.tenant, counted).await?;
        self.put_password(by, &standing.principal, new, from)
            .await?;
        self.close(by, of, None, from).await?;
        Ok(())
    }
}

fn known_target(id: Option<PrincipalId>) -> String {
    id.map_or_else(|| "unknown".to_owned(), |id| format!("person:{id}"))
}
