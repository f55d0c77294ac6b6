//! Who there is: principals, projects, memberships, API keys.

use async_trait::async_trait;
use nebula_core::{PrincipalId, ProjectId, TenantId};
use nebula_ports::{
    ApiKeyRecord, IdentityRepo, KeyAdded, MembershipChanged, PrincipalKey, PrincipalRecord,
    ProjectRecord, RecordDeleted, RecordPut, Result, Role, Standing, StoredKey,
};

use crate::{Sqlite, api_keys, memberships, principals, projects};

#[async_trait]
impl IdentityRepo for Sqlite {
    async fn put_principal(&self, tenant: &TenantId, new: PrincipalRecord) -> Result<RecordPut> {
        let tenant = tenant.clone();
        self.write("put a principal", 0, move |tx| {
            principals::put(tx, &tenant, &new)
        })
        .await
    }

    async fn delete_principal(&self, tenant: &TenantId, id: PrincipalId) -> Result<RecordDeleted> {
        let tenant = tenant.clone();
        self.write("delete a principal", 0, move |tx| {
            principals::delete(tx, &tenant, id)
        })
        .await
    }

    async fn standing(&self, tenant: &TenantId, key: PrincipalKey<'_>) -> Result<Option<Standing>> {
        let tenant = tenant.clone();
        let (id, text, subject) = match key {
            PrincipalKey::Id(id) => (Some(id), String::new(), false),
            PrincipalKey::Login(login) => (None, login.to_owned(), false),
            PrincipalKey::Subject(subject) => (None, subject.to_owned(), true),
        };
        self.read("find a principal", move |db| {
            let key = match (id, subject) {
                (Some(id), _) => PrincipalKey::Id(id),
                (None, false) => PrincipalKey::Login(&text),
                (None, true) => PrincipalKey::Subject(&text),
            };
            principals::standing(db, &tenant, key)
        })
        .await
    }

    async fn principals(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Standing>> {
        let (tenant, after) = (tenant.clone(), after.map(str::to_owned));
        self.read("list principals", move |db| {
            principals::list(db, &tenant, after.as_deref(), limit)
        })
        .await
    }

    async fn put_project(&self, tenant: &TenantId, new: ProjectRecord) -> Result<RecordPut> {
        let tenant = tenant.clone();
        self.write("put a project", 0, move |tx| {
            projects::put(tx, &tenant, &new)
        })
        .await
    }

    async fn delete_project(&self, tenant: &TenantId, id: &ProjectId) -> Result<RecordDeleted> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.write("delete a project", 0, move |tx| {
            projects::delete(tx, &tenant, &id)
        })
        .await
    }

    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<&ProjectId>,
        limit: usize,
    ) -> Result<Vec<ProjectRecord>> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.read("list projects", move |db| {
            projects::list(db, &tenant, after.as_ref(), limit)
        })
        .await
    }

    async fn change_membership(
        &self,
        tenant: &TenantId,
        principal: PrincipalId,
        project: Option<&ProjectId>,
        from: Option<Role>,
        to: Option<Role>,
    ) -> Result<MembershipChanged> {
        let (tenant, project) = (tenant.clone(), project.cloned());
        self.write("change a membership", 0, move |tx| {
            memberships::change(tx, &tenant, principal, project.as_ref(), (from, to))
        })
        .await
    }

    async fn members(
        &self,
        tenant: &TenantId,
        project: Option<&ProjectId>,
        after: Option<PrincipalId>,
        limit: usize,
    ) -> Result<Vec<(PrincipalId, Role)>> {
        let (tenant, project) = (tenant.clone(), project.cloned());
        self.read("list members", move |db| {
            memberships::members(db, &tenant, project.as_ref(), after, limit)
        })
        .await
    }

    async fn add_key(&self, tenant: &TenantId, new: ApiKeyRecord) -> Result<KeyAdded> {
        let tenant = tenant.clone();
        self.write("add an API key", 0, move |tx| {
            api_keys::add(tx, &tenant, &new)
        })
        .await
    }

    async fn remove_key(&self, tenant: &TenantId, prefix: &str) -> Result<RecordDeleted> {
        let (tenant, prefix) = (tenant.clone(), prefix.to_owned());
        self.write("remove an API key", 0, move |tx| {
            api_keys::remove(tx, &tenant, &prefix)
        })
        .await
    }

    async fn key(&self, tenant: &TenantId, prefix: &str) -> Result<Option<StoredKey>> {
        let (tenant, prefix, now) = (tenant.clone(), prefix.to_owned(), self.clock.now());
        self.read("find an API key", move |db| {
            api_keys::get(db, &tenant, &prefix, now)
        })
        .await
    }

    async fn key_and_standing(
        &self,
        tenant: &TenantId,
        prefix: &str,
    ) -> Result<Option<(StoredKey, Standing)>> {
        let (tenant, prefix, now) = (tenant.clone(), prefix.to_owned(), self.clock.now());
        self.read("find an API key", move |db| {
            principals::of_key(db, &tenant, &prefix, now)
        })
        .await
    }

    async fn key_used(&self, tenant: &TenantId, prefix: &str) -> Result<()> {
        let (tenant, prefix) = (tenant.clone(), prefix.to_owned());
        self.write("note the use of an API key", 0, move |tx| {
            api_keys::used(tx, &tenant, &prefix)
        })
        .await
    }

    async fn keys(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<StoredKey>> {
        let (tenant, now) = (tenant.clone(), self.clock.now());
        self.read("list API keys", move |db| {
            api_keys::list(db, &tenant, principal, now)
        })
        .await
    }
}
