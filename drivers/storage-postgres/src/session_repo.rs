//! Who is let in for now: sessions, tokens for one use, tries.

use async_trait::async_trait;
use nebula_core::{Digest, PrincipalId, TenantId};
use nebula_ports::{
    Attempted, Closing, Lockout, NewOnce, NewSession, Result, Rotated, Session, SessionKey,
    SessionOpened, SessionRepo,
};

use crate::{Postgres, attempts, sessions};

#[async_trait]
impl SessionRepo for Postgres {
    async fn open_session(&self, tenant: &TenantId, new: NewSession) -> Result<SessionOpened> {
        let data = (tenant.clone(), new);
        self.write("open a session", 0, data, |tx, (tenant, new)| {
            Box::pin(sessions::open(tx, tenant, new))
        })
        .await
    }

    async fn session(&self, tenant: &TenantId, key: SessionKey) -> Result<Option<Session>> {
        let data = (tenant.clone(), key);
        let found = self
            .read("find a session", data, |link, (tenant, key)| {
                Box::pin(sessions::get(link, tenant, *key))
            })
            .await?;
        let (session, due) = found.unzip();
        if due != Some(true) {
            // A read is no commit: most uses end here.
            return Ok(session);
        }
        let data = (tenant.clone(), key);
        self.write("use a session", 0, data, |tx, (tenant, key)| {
            Box::pin(sessions::used(tx, tenant, *key))
        })
        .await
    }

    async fn rotate(&self, tenant: &TenantId, from: Digest, to: Digest) -> Result<Rotated> {
        let data = (tenant.clone(), from, to);
        self.write("exchange a token", 0, data, |tx, (tenant, from, to)| {
            Box::pin(sessions::rotate(tx, tenant, *from, *to))
        })
        .await
    }

    async fn close_sessions(&self, tenant: &TenantId, which: Closing) -> Result<usize> {
        let data = (tenant.clone(), which);
        self.write("close sessions", 0, data, |tx, (tenant, which)| {
            Box::pin(sessions::close(tx, tenant, which))
        })
        .await
    }

    async fn sessions(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<Session>> {
        let data = (tenant.clone(), principal);
        self.read("list sessions", data, |link, (tenant, principal)| {
            Box::pin(sessions::list(link, tenant, *principal))
        })
        .await
    }

    async fn put_once(&self, tenant: &TenantId, new: NewOnce) -> Result<()> {
        let data = (tenant.clone(), new);
        self.write("put a token for one use", 0, data, |tx, (tenant, new)| {
            Box::pin(attempts::put_once(tx, tenant, new))
        })
        .await
    }

    async fn take_once(
        &self,
        tenant: &TenantId,
        purpose: &str,
        token: Digest,
    ) -> Result<Option<String>> {
        let data = (tenant.clone(), purpose.to_owned(), token);
        let take = "take a token for one use";
        self.write(take, 0, data, |tx, (tenant, purpose, token)| {
            Box::pin(attempts::take_once(tx, tenant, purpose, *token))
        })
        .await
    }

    async fn attempt(
        &self,
        tenant: &TenantId,
        key: Digest,
        lockout: &Lockout,
    ) -> Result<Attempted> {
        let data = (tenant.clone(), key, *lockout);
        self.write("count a try", 0, data, |tx, (tenant, key, lockout)| {
            Box::pin(attempts::attempt(tx, tenant, *key, lockout))
        })
        .await
    }

    async fn forget_attempts(&self, tenant: &TenantId, key: Digest) -> Result<()> {
        let data = (tenant.clone(), key);
        self.write("forget tries", 0, data, |tx, (tenant, key)| {
            Box::pin(attempts::forget(tx, tenant, *key))
        })
        .await
    }
}
