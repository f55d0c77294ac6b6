//! Who is let in for now: sessions, tokens for one use, tries.

use async_trait::async_trait;
use nebula_core::{Digest, PrincipalId, TenantId};
use nebula_ports::{
    Attempted, Closing, Lockout, NewOnce, NewSession, Result, Rotated, Session, SessionKey,
    SessionOpened, SessionRepo,
};

use crate::{Sqlite, attempts, sessions};

#[async_trait]
impl SessionRepo for Sqlite {
    async fn open_session(&self, tenant: &TenantId, new: NewSession) -> Result<SessionOpened> {
        let tenant = tenant.clone();
        self.write("open a session", 0, move |tx| {
            sessions::open(tx, &tenant, &new)
        })
        .await
    }

    async fn session(&self, tenant: &TenantId, key: SessionKey) -> Result<Option<Session>> {
        let (of, now) = (tenant.clone(), self.clock.now());
        let found = self
            .read("find a session", move |db| sessions::get(db, &of, key, now))
            .await?;
        let (session, due) = found.unzip();
        if due != Some(true) {
            // A read is no commit: most uses end here.
            return Ok(session);
        }
        let of = tenant.clone();
        self.write("use a session", 0, move |tx| sessions::used(tx, &of, key))
            .await
    }

    async fn rotate(&self, tenant: &TenantId, from: Digest, to: Digest) -> Result<Rotated> {
        let tenant = tenant.clone();
        self.write("exchange a token", 0, move |tx| {
            sessions::rotate(tx, &tenant, from, to)
        })
        .await
    }

    async fn close_sessions(&self, tenant: &TenantId, which: Closing) -> Result<usize> {
        let tenant = tenant.clone();
        self.write("close sessions", 0, move |tx| {
            sessions::close(tx, &tenant, which)
        })
        .await
    }

    async fn sessions(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<Session>> {
        let (tenant, now) = (tenant.clone(), self.clock.now());
        self.read("list sessions", move |db| {
            sessions::list(db, &tenant, principal, now)
        })
        .await
    }

    async fn put_once(&self, tenant: &TenantId, new: NewOnce) -> Result<()> {
        let tenant = tenant.clone();
        self.write("put a token for one use", 0, move |tx| {
            attempts::put_once(tx, &tenant, &new)
        })
        .await
    }

    async fn take_once(
        &self,
        tenant: &TenantId,
        purpose: &str,
        token: Digest,
    ) -> Result<Option<String>> {
        let (tenant, purpose) = (tenant.clone(), purpose.to_owned());
        self.write("take a token for one use", 0, move |tx| {
            attempts::take_once(tx, &tenant, &purpose, token)
        })
        .await
    }

    async fn attempt(
        &self,
        tenant: &TenantId,
        key: Digest,
        lockout: &Lockout,
    ) -> Result<Attempted> {
        let (tenant, lockout) = (tenant.clone(), *lockout);
        self.write("count a try", 0, move |tx| {
            attempts::attempt(tx, &tenant, key, &lockout)
        })
        .await
    }

    async fn forget_attempts(&self, tenant: &TenantId, key: Digest) -> Result<()> {
        let tenant = tenant.clone();
        self.write("forget tries", 0, move |tx| {
            attempts::forget(tx, &tenant, key)
        })
        .await
    }
}
