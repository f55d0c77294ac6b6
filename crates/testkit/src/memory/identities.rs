//! The model of an identity repository.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use nebula_core::{Clock, PrincipalId, ProjectId, TenantId, Timestamp};
use nebula_ports::{
    ApiKeyRecord, ErrorKind, IdentityRepo, KeyAdded, MAX_API_KEYS, MAX_IDENTITY_TEXT,
    MAX_KEY_PREFIX, MAX_MEMBERSHIPS, MAX_PASSWORD_HASH, MAX_PRINCIPALS, MAX_PROJECTS, MAX_SCOPES,
    Membership, MembershipChanged, PortError, PrincipalKey, PrincipalKind, PrincipalRecord,
    ProjectRecord, RecordDeleted, RecordPut, Result, Role, Standing, StoredKey, USE_WRITTEN_EVERY,
};

use super::{IdentityGuard as Guard, record::DRIVER, tenants::Tenants};

/// An [`IdentityRepo`] in memory: the oracle for drivers, and the repository of other crates' tests.
pub struct MemoryIdentityRepo {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    tenants: Tenants<Own>,
}

/// What one tenant has.
#[derive(Clone, Default)]
struct Own {
    principals: BTreeMap<PrincipalId, (PrincipalRecord, Timestamp)>,
    projects: BTreeMap<ProjectId, ProjectRecord>,
    members: BTreeMap<(PrincipalId, Option<ProjectId>), Role>,
    keys: BTreeMap<String, StoredKey>,
}

impl fmt::Debug for MemoryIdentityRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryIdentityRepo").finish_non_exhaustive()
    }
}

fn refused(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> PortError {
    PortError::new(kind, DRIVER, operation, message)
}

impl Own {
    fn standing(&self, id: PrincipalId) -> Option<Standing> {
        let (principal, put_at) = self.principals.get(&id)?;
        let memberships = self.members.iter().filter(|((of, _), _)| *of == id);
        let memberships = memberships.map(|((_, project), role)| Membership {
            project: project.clone(),
            role: *role,
        });
        Some(Standing {
            principal: principal.clone(),
            put_at: *put_at,
            memberships: memberships.collect(),
        })
    }
}

impl MemoryIdentityRepo {
    /// An empty repository; `clock` is the store's clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            removed: None,
            tenants: Tenants::default(),
        }
    }

    /// An empty repository that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::new(clock)
        }
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn owner(&self, tenant: &TenantId, guard: Guard) -> TenantId {
        match self.keep(guard) {
            true => tenant.clone(),
            false => TenantId::local(),
        }
    }

    /// Whether anybody but `id` owns the tenant.
    fn owned_by_others(&self, own: &Own, id: PrincipalId) -> bool {
        own.members.iter().any(|((of, project), role)| {
            let counts = own.principals.get(of).is_some_and(|(it, _)| {
                (!it.disabled && it.kind == PrincipalKind::Person) || !self.keep(Guard::OwnerCounts)
            });
            *of != id && project.is_none() && *role == Role::Owner && counts
        })
    }

    /// Whether `id` is the only one who owns the tenant.
    fn last_owner(&self, own: &Own, id: PrincipalId) -> bool {
        let owns = own.members.get(&(id, None)) == Some(&Role::Owner);
        let counts = own
            .principals
            .get(&id)
            .is_some_and(|(it, _)| !it.disabled && it.kind == PrincipalKind::Person);
        owns && counts && !self.owned_by_others(own, id)
    }

    fn check_principal(&self, new: &PrincipalRecord) -> Result<()> {
        let subject = new
            .subject
            .as_deref()
            .is_none_or(|it| (1..=MAX_IDENTITY_TEXT).contains(&it.len()));
        let password = new.password.as_ref().map_or(0, |it| it.as_str().len());
        let possible = (1..=MAX_IDENTITY_TEXT).contains(&new.login.len())
            && new.name.len() <= MAX_IDENTITY_TEXT
            && password <= MAX_PASSWORD_HASH
            && subject;
        if possible || !self.keep(Guard::Sizes) {
            return Ok(());
        }
        let message = "a text of it is empty or too long";
        Err(refused(ErrorKind::Invalid, "put a principal", message))
    }

    fn put(&self, own: &mut Own, new: PrincipalRecord) -> Result<RecordPut> {
        const OPERATION: &str = "put a principal";
        let there = own.principals.get(&new.id);
        let version = there.map_or(0, |(it, _)| it.version);
        if there.is_some_and(|(it, _)| *it == new) && self.keep(Guard::Repeated) {
            return Ok(RecordPut::Same);
        }
        if new.version != version + 1 && self.keep(Guard::NextVersion) {
            return Ok(RecordPut::Conflict { version });
        }
        if there.is_some_and(|(it, _)| it.kind != new.kind) && self.keep(Guard::KindStays) {
            let message = "a person stays a person, and a service account one";
            return Err(refused(ErrorKind::Invalid, OPERATION, message));
        }
        let taken = own.principals.values().any(|(it, _)| {
            let login = it.login == new.login && self.keep(Guard::LoginOnce);
            let subject = it.subject.is_some() && it.subject == new.subject;
            it.id != new.id && (login || subject && self.keep(Guard::SubjectOnce))
        });
        let held = !self.keep(Guard::Freed) && there.is_some_and(|(it, _)| it.login != new.login);
        if taken || held {
            return Ok(RecordPut::Taken);
        }
        let disables = new.disabled && there.is_some_and(|(it, _)| !it.disabled);
        if disables && self.last_owner(own, new.id) && self.keep(Guard::OwnerDisabled) {
            return Ok(RecordPut::LastOwner);
        }
        let full = there.is_none() && own.principals.len() >= MAX_PRINCIPALS;
        if full && self.keep(Guard::PrincipalLimit) {
            let message = format!("there are {MAX_PRINCIPALS}, the most that there may be");
            return Err(refused(ErrorKind::Full, OPERATION, message));
        }
        let kept = match there {
            Some((before, _)) if !self.keep(Guard::Replaces) => before.clone(),
            _ if !self.keep(Guard::Keeps) => PrincipalRecord {
                name: new.login.clone(),
                ..new
            },
            _ => new,
        };
        let put_at = match self.keep(Guard::StoreTime) {
            true => self.clock.now(),
            false => Timestamp::default(),
        };
        own.principals.insert(kept.id, (kept, put_at));
        Ok(RecordPut::Stored)
    }

    fn change(
        &self,
        own: &mut Own,
        principal: PrincipalId,
        project: Option<&ProjectId>,
        from: Option<Role>,
        to: Option<Role>,
    ) -> Result<MembershipChanged> {
        let known = own.principals.contains_key(&principal)
            && project.is_none_or(|project| own.projects.contains_key(project));
        if !known && self.keep(Guard::MembershipUnknown) {
            return Ok(MembershipChanged::Unknown);
        }
        let project = project.filter(|_| self.keep(Guard::MembershipApart));
        let place = (principal, project.cloned());
        let role = own.members.get(&place).copied();
        if role == to && self.keep(Guard::MembershipRepeated) {
            return Ok(MembershipChanged::Same);
        }
        if role != from && self.keep(Guard::MembershipFrom) {
            return Ok(MembershipChanged::Conflict { role });
        }
        let last = place.1.is_none() && to != Some(Role::Owner) && self.last_owner(own, principal);
        if last && self.keep(Guard::OwnerRole) {
            return Ok(MembershipChanged::LastOwner);
        }
        let Some(to) = to else {
            own.members.remove(&place);
            return Ok(MembershipChanged::Changed);
        };
        let count = own
            .members
            .keys()
            .filter(|(of, _)| *of == principal)
            .count();
        if role.is_none() && count >= MAX_MEMBERSHIPS && self.keep(Guard::MembershipLimit) {
            let message = format!("it has {MAX_MEMBERSHIPS}, the most that there may be");
            return Err(refused(ErrorKind::Full, "change a membership", message));
        }
        let kept = match self.keep(Guard::MembershipKeeps) {
            true => to,
            false => Role::Viewer,
        };
        own.members.insert(place, kept);
        Ok(MembershipChanged::Changed)
    }

    fn check_key(&self, new: &ApiKeyRecord) -> Result<()> {
        let scopes = new.scopes.as_deref().unwrap_or_default();
        let possible = (1..=MAX_KEY_PREFIX).contains(&new.prefix.len())
            && (1..=MAX_IDENTITY_TEXT).contains(&new.name.len())
            && scopes.len() <= MAX_SCOPES
            && scopes.iter().all(|it| (1..=MAX_SCOPES).contains(&it.len()));
        if possible || !self.keep(Guard::KeySizes) {
            return Ok(());
        }
        let message = "a text of it is empty or too long, or there are too many scopes";
        Err(refused(ErrorKind::Invalid, "add a key", message))
    }

    fn shown(&self, stored: &StoredKey) -> StoredKey {
        let now = self.clock.now();
        let over = stored.key.expires_at.is_some_and(|at| at <= now);
        StoredKey {
            use_is_due: self.use_is_due(stored, now),
            expired: over && self.keep(Guard::KeyExpires),
            ..stored.clone()
        }
    }

    fn use_is_due(&self, stored: &StoredKey, now: Timestamp) -> bool {
        let old = |at: Timestamp| now.since(at) >= USE_WRITTEN_EVERY;
        stored.used_at.is_none_or(old) || !self.keep(Guard::KeySeldom)
    }
}

#[async_trait]
impl IdentityRepo for MemoryIdentityRepo {
    async fn put_principal(&self, tenant: &TenantId, new: PrincipalRecord) -> Result<RecordPut> {
        self.check_principal(&new)?;
        let owner = self.owner(tenant, Guard::TenantPuts);
        let whole = self.keep(Guard::PutAtOnce);
        let put = |own: &mut Own| self.put(own, new);
        self.tenants.change_whole(&owner, whole, put).await
    }

    async fn delete_principal(&self, tenant: &TenantId, id: PrincipalId) -> Result<RecordDeleted> {
        let owner = self.owner(tenant, Guard::TenantDeletes);
        Ok(self.tenants.change(&owner, |own| {
            if self.last_owner(own, id) && self.keep(Guard::OwnerDeleted) {
                return RecordDeleted::LastOwner;
            }
            let known = own.principals.contains_key(&id);
            if self.keep(Guard::Deletes) {
                own.principals.remove(&id);
            }
            if self.keep(Guard::DeleteMemberships) {
                own.members.retain(|(of, _), _| *of != id);
            }
            if self.keep(Guard::DeleteKeys) {
                own.keys.retain(|_, stored| stored.key.principal != id);
            }
            match known || !self.keep(Guard::DeleteTells) {
                true => RecordDeleted::Deleted,
                false => RecordDeleted::Unknown,
            }
        }))
    }

    async fn standing(&self, tenant: &TenantId, key: PrincipalKey<'_>) -> Result<Option<Standing>> {
        let owner = self.owner(tenant, Guard::TenantReads);
        let found = self.tenants.look(&owner, |own| {
            let by = |find: &dyn Fn(&PrincipalRecord) -> bool| {
                let mut all = own.principals.values();
                let found = all.find(|(it, _)| find(it)).map(|(it, _)| it.id);
                found.filter(|_| self.keep(Guard::Finds))
            };
            let id = match key {
                PrincipalKey::Id(id) => Some(id),
                PrincipalKey::Login(login) => by(&|it| it.login == login),
                PrincipalKey::Subject(subject) => by(&|it| it.subject.as_deref() == Some(subject)),
            };
            id.and_then(|id| own.standing(id))
        });
        if found.is_none() && !self.keep(Guard::UnknownIsNone) {
            return Err(refused(
                ErrorKind::Corrupt,
                "find a principal",
                "it is not there",
            ));
        }
        Ok(found)
    }

    async fn principals(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Standing>> {
        let owner = self.owner(tenant, Guard::TenantReads);
        let after = after.filter(|_| self.keep(Guard::ListPages));
        Ok(self.tenants.look(&owner, |own| {
            let mut all: Vec<_> = own.principals.values().map(|(it, _)| it).collect();
            if self.keep(Guard::ListOrder) {
                all.sort_by(|a, b| a.login.cmp(&b.login));
            }
            let page = all
                .into_iter()
                .filter(|it| after.is_none_or(|after| &*it.login > after));
            page.take(limit)
                .filter_map(|it| own.standing(it.id))
                .collect()
        }))
    }

    async fn put_project(&self, tenant: &TenantId, new: ProjectRecord) -> Result<RecordPut> {
        const OPERATION: &str = "put a project";
        let possible = (1..=MAX_IDENTITY_TEXT).contains(&new.name.len());
        if !possible && self.keep(Guard::ProjectSizes) {
            let message = "its name is empty or too long";
            return Err(refused(ErrorKind::Invalid, OPERATION, message));
        }
        let owner = self.owner(tenant, Guard::TenantProjects);
        self.tenants.change(&owner, |own| {
            let there = own.projects.get(&new.id);
            let version = there.map_or(0, |it| it.version);
            if there == Some(&new) && self.keep(Guard::ProjectRepeated) {
                return Ok(RecordPut::Same);
            }
            if new.version != version + 1 && self.keep(Guard::ProjectVersion) {
                return Ok(RecordPut::Conflict { version });
            }
            let full = there.is_none() && own.projects.len() >= MAX_PROJECTS;
            if full && self.keep(Guard::ProjectLimit) {
                let message = format!("there are {MAX_PROJECTS}, the most that there may be");
                return Err(refused(ErrorKind::Full, OPERATION, message));
            }
            let name = match self.keep(Guard::ProjectKeeps) {
                true => new.name.clone(),
                false => new.id.to_string(),
            };
            own.projects
                .insert(new.id.clone(), ProjectRecord { name, ..new });
            Ok(RecordPut::Stored)
        })
    }

    async fn delete_project(&self, tenant: &TenantId, id: &ProjectId) -> Result<RecordDeleted> {
        let owner = self.owner(tenant, Guard::TenantProjects);
        Ok(self.tenants.change(&owner, |own| {
            if self.keep(Guard::ProjectMemberships) {
                own.members
                    .retain(|(_, project), _| project.as_ref() != Some(id));
            }
            if self.keep(Guard::ProjectKeys) {
                own.keys
                    .retain(|_, stored| stored.key.project.as_ref() != Some(id));
            }
            let known = own.projects.remove(id).is_some();
            match known || !self.keep(Guard::ProjectTells) {
                true => RecordDeleted::Deleted,
                false => RecordDeleted::Unknown,
            }
        }))
    }

    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<&ProjectId>,
        limit: usize,
    ) -> Result<Vec<ProjectRecord>> {
        let owner = self.owner(tenant, Guard::TenantProjects);
        let after = after.filter(|_| self.keep(Guard::ProjectPages));
        Ok(self.tenants.look(&owner, |own| {
            let page = own.projects.values();
            let page = page.filter(|it| after.is_none_or(|after| it.id > *after));
            page.take(limit).cloned().collect()
        }))
    }

    async fn change_membership(
        &self,
        tenant: &TenantId,
        principal: PrincipalId,
        project: Option<&ProjectId>,
        from: Option<Role>,
        to: Option<Role>,
    ) -> Result<MembershipChanged> {
        let owner = self.owner(tenant, Guard::TenantMembers);
        let whole = self.keep(Guard::MembershipAtOnce);
        let change = |own: &mut Own| self.change(own, principal, project, from, to);
        self.tenants.change_whole(&owner, whole, change).await
    }

    async fn members(
        &self,
        tenant: &TenantId,
        project: Option<&ProjectId>,
        after: Option<PrincipalId>,
        limit: usize,
    ) -> Result<Vec<(PrincipalId, Role)>> {
        let owner = self.owner(tenant, Guard::TenantMembers);
        let after = after.filter(|_| self.keep(Guard::MemberPages));
        Ok(self.tenants.look(&owner, |own| {
            let page = own.members.iter().filter(|((id, of), _)| {
                of.as_ref() == project && after.is_none_or(|after| *id > after)
            });
            page.map(|((id, _), role)| (*id, *role))
                .take(limit)
                .collect()
        }))
    }

    async fn add_key(&self, tenant: &TenantId, new: ApiKeyRecord) -> Result<KeyAdded> {
        self.check_key(&new)?;
        let owner = self.owner(tenant, Guard::TenantKeys);
        self.tenants.change(&owner, |own| {
            if let Some(there) = own.keys.get(&new.prefix) {
                let same = there.key == new && self.keep(Guard::KeyRepeated);
                if same {
                    return Ok(KeyAdded::Same);
                }
                if self.keep(Guard::KeyTaken) {
                    return Ok(KeyAdded::Taken);
                }
            }
            let known = own.principals.contains_key(&new.principal)
                && new
                    .project
                    .as_ref()
                    .is_none_or(|it| own.projects.contains_key(it));
            if !known && self.keep(Guard::KeyUnknown) {
                return Ok(KeyAdded::Unknown);
            }
            let count = own
                .keys
                .values()
                .filter(|it| it.key.principal == new.principal)
                .count();
            if count >= MAX_API_KEYS && self.keep(Guard::KeyLimit) {
                let message = format!("it has {MAX_API_KEYS}, the most that there may be");
                return Err(refused(ErrorKind::Full, "add a key", message));
            }
            let key = match self.keep(Guard::KeyKeeps) {
                true => new,
                false => ApiKeyRecord {
                    scopes: None,
                    ..new
                },
            };
            let stored = StoredKey {
                key,
                added_at: self.clock.now(),
                used_at: None,
                use_is_due: true,
                expired: false,
            };
            own.keys.insert(stored.key.prefix.clone(), stored);
            Ok(KeyAdded::Added)
        })
    }

    async fn remove_key(&self, tenant: &TenantId, prefix: &str) -> Result<RecordDeleted> {
        let owner = self.owner(tenant, Guard::TenantKeys);
        Ok(self.tenants.change(&owner, |own| {
            let known = match self.keep(Guard::KeyRemoves) {
                true => own.keys.remove(prefix).is_some(),
                false => own.keys.contains_key(prefix),
            };
            match known {
                true => RecordDeleted::Deleted,
                false => RecordDeleted::Unknown,
            }
        }))
    }

    async fn key(&self, tenant: &TenantId, prefix: &str) -> Result<Option<StoredKey>> {
        let owner = self.owner(tenant, Guard::TenantKeys);
        let found = self
            .tenants
            .look(&owner, |own| own.keys.get(prefix).cloned());
        Ok(found.map(|stored| self.shown(&stored)))
    }

    async fn key_and_standing(
        &self,
        tenant: &TenantId,
        prefix: &str,
    ) -> Result<Option<(StoredKey, Standing)>> {
        let owner = self.owner(tenant, Guard::TenantKeys);
        Ok(self.tenants.look(&owner, |own| {
            let stored = own.keys.get(prefix)?;
            let standing = match self.keep(Guard::KeyStands) {
                true => own.standing(stored.key.principal),
                false => {
                    let first = own.principals.keys().next();
                    first.and_then(|id| own.standing(*id))
                }
            };
            Some((self.shown(stored), standing?))
        }))
    }

    async fn key_used(&self, tenant: &TenantId, prefix: &str) -> Result<()> {
        let owner = self.owner(tenant, Guard::TenantKeys);
        self.tenants.change(&owner, |own| {
            let Some(stored) = own
                .keys
                .get_mut(prefix)
                .filter(|_| self.keep(Guard::KeyUsed))
            else {
                return;
            };
            let now = self.clock.now();
            if self.use_is_due(stored, now) {
                stored.used_at = Some(now);
            }
        });
        Ok(())
    }

    async fn keys(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<StoredKey>> {
        let owner = self.owner(tenant, Guard::TenantKeys);
        Ok(self.tenants.look(&owner, |own| {
            let all = own
                .keys
                .values()
                .filter(|it| it.key.principal == principal || !self.keep(Guard::KeyLists));
            all.map(|stored| self.shown(stored)).collect()
        }))
    }
}
