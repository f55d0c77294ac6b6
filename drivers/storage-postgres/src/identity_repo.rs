//! Who there is: principals, projects, memberships, API keys.

use async_trait::async_trait;
use nebula_core::{PrincipalId, ProjectId, TenantId};
use nebula_ports::{
    ApiKeyRecord, IdentityRepo, KeyAdded, MembershipChanged, PrincipalKey, PrincipalRecord,
    ProjectRecord, RecordDeleted, RecordPut, Result, Role, Standing, StoredKey,
};

use crate::{Postgres, api_keys, memberships, principals, projects};

#[async_trait]
impl IdentityRepo for Postgres {
    async fn put_principal(&self, tenant: &TenantId, new: PrincipalRecord) -> Result<RecordPut> {
        let data = (tenant.clone(), new);
        self.write("put a principal", 0, data, |tx, (tenant, new)| {
            Box::pin(principals::put(tx, tenant, new))
        })
        .await
    }

    async fn delete_principal(&self, tenant: &TenantId, id: PrincipalId) -> Result<RecordDeleted> {
        let data = (tenant.clone(), id);
        self.write("delete a principal", 0, data, |tx, (tenant, id)| {
            Box::pin(principals::delete(tx, tenant, *id))
        })
        .await
    }

    async fn standing(&self, tenant: &TenantId, key: PrincipalKey<'_>) -> Result<Option<Standing>> {
        let (id, text, subject) = match key {
            PrincipalKey::Id(id) => (Some(id), String::new(), false),
            PrincipalKey::Login(login) => (None, login.to_owned(), false),
            PrincipalKey::Subject(subject) => (None, subject.to_owned(), true),
        };
        let data = (tenant.clone(), id, text, subject);
        self.read(
            "find a principal",
            data,
            |link, (tenant, id, text, subject)| {
                let key = match (id, subject) {
                    (Some(id), _) => PrincipalKey::Id(*id),
                    (None, false) => PrincipalKey::Login(text),
                    (None, true) => PrincipalKey::Subject(text),
                };
                Box::pin(principals::standing(link, tenant, key))
            },
        )
        .await
    }

    async fn principals(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Standing>> {
        let data = (tenant.clone(), after.map(str::to_owned), limit);
        self.read("list principals", data, |link, (tenant, after, limit)| {
            Box::pin(principals::list(link, tenant, after.as_deref(), *limit))
        })
        .await
    }

    async fn put_project(&self, tenant: &TenantId, new: ProjectRecord) -> Result<RecordPut> {
        let data = (tenant.clone(), new);
        self.write("put a project", 0, data, |tx, (tenant, new)| {
            Box::pin(projects::put(tx, tenant, new))
        })
        .await
    }

    async fn delete_project(&self, tenant: &TenantId, id: &ProjectId) -> Result<RecordDeleted> {
        let data = (tenant.clone(), id.clone());
        self.write("delete a project", 0, data, |tx, (tenant, id)| {
            Box::pin(projects::delete(tx, tenant, id))
        })
        .await
    }

    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<&ProjectId>,
        limit: usize,
    ) -> Result<Vec<ProjectRecord>> {
        let data = (tenant.clone(), after.cloned(), limit);
        self.read("list projects", data, |link, (tenant, after, limit)| {
            Box::pin(projects::list(link, tenant, after.as_ref(), *limit))
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
        let data = (tenant.clone(), principal, project.cloned(), (from, to));
        let change = "change a membership";
        self.write(
            change,
            0,
            data,
            |tx, (tenant, principal, project, roles)| {
                Box::pin(memberships::change(
                    tx,
                    tenant,
                    *principal,
                    project.as_ref(),
                    *roles,
                ))
            },
        )
        .await
    }

    async fn members(
        &self,
        tenant: &TenantId,
        project: Option<&ProjectId>,
        after: Option<PrincipalId>,
        limit: usize,
    ) -> Result<Vec<(PrincipalId, Role)>> {
        let data = (tenant.clone(), project.cloned(), after, limit);
        self.read(
            "list members",
            data,
            |link, (tenant, project, after, limit)| {
                Box::pin(memberships::members(
                    link,
                    tenant,
                    project.as_ref(),
                    *after,
                    *limit,
                ))
            },
        )
        .await
    }

    async fn add_key(&self, tenant: &TenantId, new: ApiKeyRecord) -> Result<KeyAdded> {
        let data = (tenant.clone(), new);
        self.write("add an API key", 0, data, |tx, (tenant, new)| {
            Box::pin(api_keys::add(tx, tenant, new))
        })
        .await
    }

    async fn remove_key(&self, tenant: &TenantId, prefix: &str) -> Result<RecordDeleted> {
        let data = (tenant.clone(), prefix.to_owned());
        self.write("remove an API key", 0, data, |tx, (tenant, prefix)| {
            Box::pin(api_keys::remove(tx, tenant, prefix))
        })
        .await
    }

    async fn key(&self, tenant: &TenantId, prefix: &str) -> Result<Option<StoredKey>> {
        let data = (tenant.clone(), prefix.to_owned());
        self.read("find an API key", data, |link, (tenant, prefix)| {
            Box::pin(async move {
                let now = link.now().await?;
                api_keys::get(link, tenant, prefix, now).await
            })
        })
        .await
    }

    async fn key_and_standing(
        &self,
        tenant: &TenantId,
        prefix: &str,
    ) -> Result<Option<(StoredKey, Standing)>> {
        let data = (tenant.clone(), prefix.to_owned());
        self.read("find an API key", data, |link, (tenant, prefix)| {
            Box::pin(principals::of_key(link, tenant, prefix))
        })
        .await
    }

    async fn key_used(&self, tenant: &TenantId, prefix: &str) -> Result<()> {
        let data = (tenant.clone(), prefix.to_owned());
        self.write(
            "note the use of an API key",
            0,
            data,
            |tx, (tenant, prefix)| Box::pin(api_keys::used(tx, tenant, prefix)),
        )
        .await
    }

    async fn keys(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<StoredKey>> {
        let data = (tenant.clone(), principal);
        self.read("list API keys", data, |link, (tenant, principal)| {
            Box::pin(api_keys::list(link, tenant, *principal))
        })
        .await
    }
}
