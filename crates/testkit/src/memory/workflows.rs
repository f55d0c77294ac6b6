//! The model of the versions of every workflow.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use nebula_core::{Clock, Digest, ProjectId, TenantId, Timestamp, WorkflowId};
use nebula_ports::{
    ErrorKind, NewTrigger, NewVersion, Page, PageToken, PortError, Published, Result, Saved,
    StoredWorkflow, VersionSummary, WorkflowFilter, WorkflowRepo, WorkflowSummary,
    WorkflowVersions,
};
use parking_lot::Mutex;

use super::{
    MemoryTriggerRepo, TriggerGuard, WorkflowGuard as Guard, record::DRIVER, triggers::Table,
};

/// A [`WorkflowRepo`] in memory: the oracle for drivers, and the store of other crates' tests.
pub struct MemoryWorkflowRepo {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    state: Mutex<State>,
    triggers: Table,
}

#[derive(Default)]
struct State {
    workflows: BTreeMap<(TenantId, WorkflowId), Workflow>,
    plans: BTreeMap<(TenantId, Digest), Vec<u8>>,
}

#[derive(Default)]
struct Workflow {
    /// Version n is at n - 1; with its name.
    versions: Vec<(String, StoredWorkflow)>,
    published: Option<u32>,
    revision: u64,
    archived: bool,
    project: Option<ProjectId>,
}

impl fmt::Debug for MemoryWorkflowRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workflows = self.state.lock().workflows.len();
        f.debug_struct("MemoryWorkflowRepo")
            .field("workflows", &workflows)
            .finish_non_exhaustive()
    }
}

impl MemoryWorkflowRepo {
    /// An empty store; versions are stamped with the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            removed: None,
            state: Mutex::default(),
            triggers: Table::default(),
        }
    }

    /// The same store; its publications register with `triggers`.
    #[must_use]
    pub fn sharing(mut self, triggers: &MemoryTriggerRepo) -> Self {
        self.triggers = Arc::clone(&triggers.table);
        self
    }

    /// An empty store that lacks `guard`, to test the suite itself.
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

    fn key(&self, tenant: &TenantId, id: &WorkflowId, guard: Guard) -> (TenantId, WorkflowId) {
        let tenant = if self.keep(guard) {
            tenant.clone()
        } else {
            TenantId::local()
        };
        (tenant, id.clone())
    }

    fn add(&self, workflow: &mut Workflow, new: NewVersion) -> Saved {
        let before = u32::try_from(workflow.versions.len()).expect("a test saves few versions");
        let version = match before {
            0 if !self.keep(Guard::FirstVersion) => 0,
            1.. if !self.keep(Guard::Numbering) => before + 2,
            _ => before + 1,
        };
        let NewVersion {
            id,
            name,
            definition,
            digest,
            project,
            ..
        } = new;
        if before == 0 && self.keep(Guard::ProjectFirst) || !self.keep(Guard::ProjectStays) {
            workflow.project = project;
        }
        let saved_at = if self.keep(Guard::StoreTime) {
            self.clock.now()
        } else {
            Timestamp::default()
        };
        if !self.keep(Guard::Immutable) {
            for (_, stored) in &mut workflow.versions {
                stored.definition = definition.clone();
            }
        }
        let stored = StoredWorkflow {
            id,
            version,
            definition,
            digest,
            saved_at,
        };
        workflow.versions.push((name, stored));
        workflow.revision += 1;
        if !self.keep(Guard::SaveKeepsPointer) {
            workflow.published = Some(version);
        }
        Saved::New {
            version,
            revision: workflow.revision,
        }
    }

    fn summary(&self, id: &WorkflowId, workflow: &Workflow) -> Option<WorkflowSummary> {
        let (name, latest) = workflow.versions.last()?;
        let first = workflow.versions.first().map(|(name, _)| name);
        Some(WorkflowSummary {
            id: id.clone(),
            name: first
                .filter(|_| !self.keep(Guard::LatestName))
                .unwrap_or(name)
                .clone(),
            latest: latest.version,
            published: workflow.published,
            revision: workflow.revision,
            archived: workflow.archived,
            project: workflow.project.clone(),
        })
    }

    fn part(
        &self,
        id: &WorkflowId,
        workflow: &Workflow,
        before: Option<u32>,
        limit: usize,
    ) -> Option<WorkflowVersions> {
        let below = before.filter(|_| self.keep(Guard::VersionsJoin));
        let mut versions: Vec<_> = workflow
            .versions
            .iter()
            .rev()
            .filter(|(_, stored)| below.is_none_or(|below| stored.version < below))
            .map(|(_, stored)| VersionSummary {
                version: stored.version,
                digest: stored.digest,
                saved_at: stored.saved_at,
            })
            .collect();
        let more = versions.len() > limit;
        versions.truncate(limit);
        let next = versions.last().filter(|_| more).map(|last| last.version);
        if !self.keep(Guard::VersionsOrder) {
            versions.reverse();
        }
        let mut workflow = self.summary(id, workflow)?;
        if !self.keep(Guard::VersionsTell) {
            workflow.published = None;
        }
        Some(WorkflowVersions {
            workflow,
            versions,
            next,
        })
    }

    fn wanted(&self, filter: &WorkflowFilter, summary: &WorkflowSummary) -> bool {
        let fold = |text: &str| {
            if self.keep(Guard::SearchCase) {
                text.to_ascii_lowercase()
            } else {
                text.to_owned()
            }
        };
        let found = filter.search.as_ref().is_none_or(|search| {
            let by_id =
                fold(summary.id.as_str()).contains(&fold(search)) && self.keep(Guard::SearchId);
            by_id || fold(&summary.name).contains(&fold(search))
        });
        let only = filter.projects.as_ref();
        let here = only.is_none_or(|only| summary.project.iter().any(|it| only.contains(it)));
        let found = found && (here || !self.keep(Guard::ProjectFilter));
        found && (filter.archived || !summary.archived || !self.keep(Guard::ArchivedHidden))
    }
}

#[async_trait]
impl WorkflowRepo for MemoryWorkflowRepo {
    async fn save(&self, tenant: &TenantId, new: NewVersion) -> Result<Saved> {
        let mut state = self.state.lock();
        let key = self.key(tenant, &new.id, Guard::TenantWrites);
        let known = state.workflows.get(&key);
        let revision = known.map_or(u64::from(!self.keep(Guard::UnknownRevision)), |workflow| {
            workflow.revision
        });
        let versions = known.map_or(&[][..], |workflow| &workflow.versions);
        let from = if self.keep(Guard::AnyDigest) {
            0
        } else {
            versions.len().saturating_sub(1)
        };
        let same = versions[from..]
            .iter()
            .find(|(_, stored)| stored.digest == new.digest);
        let unchanged = same
            .filter(|_| self.keep(Guard::SameDigest))
            .map(|(_, stored)| Saved::Unchanged {
                version: stored.version,
                revision,
            });
        let other = match new.expected_revision {
            Some(expected) => expected != revision && self.keep(Guard::SaveRevision),
            None => revision > 0 && !self.keep(Guard::Override),
        };
        let told = if self.keep(Guard::ConflictTells) {
            revision
        } else {
            0
        };
        let conflict = other.then_some(Saved::Conflict { revision: told });
        let refused = if self.keep(Guard::DigestFirst) {
            unchanged.or(conflict)
        } else {
            conflict.or(unchanged)
        };
        match refused {
            Some(refused) => Ok(refused),
            None => Ok(self.add(state.workflows.entry(key).or_default(), new)),
        }
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<StoredWorkflow>> {
        let state = self.state.lock();
        let Some(workflow) = state
            .workflows
            .get(&self.key(tenant, id, Guard::TenantReads))
        else {
            return Ok(None);
        };
        if workflow.archived && !self.keep(Guard::ArchivedKept) {
            return Ok(None);
        }
        let mut versions = workflow.versions.iter().map(|(_, stored)| stored);
        let found = match version {
            None if self.keep(Guard::LatestDefault) => versions.next_back(),
            None => versions.next(),
            Some(version) if self.keep(Guard::UnknownIsNone) => {
                versions.find(|stored| stored.version == version)
            }
            Some(_) => versions.next_back(),
        };
        Ok(found.cloned())
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &WorkflowFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<WorkflowSummary>> {
        let after = match after.map(|PageToken(token)| WorkflowId::new(token.as_str())) {
            Some(Err(_)) if self.keep(Guard::TokenCheck) => {
                let message = "the page token is not from a page before";
                return Err(PortError::new(ErrorKind::Invalid, DRIVER, "list", message));
            }
            after => after.and_then(std::result::Result::ok),
        };
        let state = self.state.lock();
        let mut items: Vec<_> = state
            .workflows
            .iter()
            .filter(|((owner, _), _)| owner == tenant || !self.keep(Guard::TenantReads))
            .filter_map(|((_, id), workflow)| self.summary(id, workflow))
            .filter(|summary| self.wanted(filter, summary))
            .filter(|summary| after.as_ref().is_none_or(|after| summary.id > *after))
            .collect();
        if !self.keep(Guard::ListOrder) {
            items.reverse();
        }
        let more = items.len() > limit;
        items.truncate(limit);
        if !self.keep(Guard::ListPages) && after.is_some() {
            items.pop();
        }
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| PageToken(last.id.to_string()));
        Ok(Page { items, next })
    }

    async fn versions(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>> {
        let state = self.state.lock();
        let key = self.key(tenant, id, Guard::TenantReads);
        let found = state.workflows.get(&key).or_else(|| {
            let any = state.workflows.values().next();
            any.filter(|_| !self.keep(Guard::VersionsUnknown))
        });
        let Some(workflow) =
            found.filter(|workflow| !workflow.archived || self.keep(Guard::VersionsArchived))
        else {
            return Ok(None);
        };
        Ok(self.part(id, workflow, before, limit))
    }

    async fn publish(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: u32,
        expected_revision: u64,
        triggers: Vec<NewTrigger>,
    ) -> Result<Published> {
        let mut registered = self.triggers.lock();
        registered.check(&triggers)?;
        let mut state = self.state.lock();
        let Some(workflow) = state
            .workflows
            .get_mut(&self.key(tenant, id, Guard::TenantWrites))
        else {
            return Ok(Published::Unknown);
        };
        let known = workflow
            .versions
            .iter()
            .any(|(_, stored)| stored.version == version);
        if !known && self.keep(Guard::PublishUnknown) {
            return Ok(Published::Unknown);
        }
        if workflow.revision != expected_revision && self.keep(Guard::PublishRevision) {
            if !registered.keep(TriggerGuard::RefusedRegisters) {
                registered.publish((tenant, id), (version, workflow.revision), triggers);
            }
            return Ok(Published::Conflict {
                revision: workflow.revision,
            });
        }
        if self.keep(Guard::PublishMoves) {
            workflow.published = Some(version);
        }
        workflow.revision += u64::from(self.keep(Guard::PublishRaises));
        registered.publish((tenant, id), (version, workflow.revision), triggers);
        Ok(Published::Published {
            revision: workflow.revision,
        })
    }

    async fn archive(&self, tenant: &TenantId, id: &WorkflowId, archived: bool) -> Result<bool> {
        let mut triggers = self.triggers.lock();
        let mut state = self.state.lock();
        match state
            .workflows
            .get_mut(&self.key(tenant, id, Guard::TenantWrites))
        {
            Some(workflow) => {
                workflow.archived = archived || !self.keep(Guard::Unarchive);
                triggers.archive(tenant, id, workflow.archived);
                Ok(true)
            }
            None => Ok(!self.keep(Guard::ArchiveUnknown)),
        }
    }

    async fn move_to(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        project: Option<&ProjectId>,
    ) -> Result<bool> {
        let mut state = self.state.lock();
        match state
            .workflows
            .get_mut(&self.key(tenant, id, Guard::TenantMoves))
        {
            Some(workflow) => {
                if self.keep(Guard::ProjectMoves) {
                    workflow.project = project.cloned();
                }
                Ok(true)
            }
            None => Ok(!self.keep(Guard::MoveUnknown)),
        }
    }

    async fn put_plan(&self, tenant: &TenantId, digest: Digest, plan: &[u8]) -> Result<()> {
        let tenant = if self.keep(Guard::PlanTenant) {
            tenant.clone()
        } else {
            TenantId::local()
        };
        let key = (
            tenant,
            if self.keep(Guard::Plans) {
                digest
            } else {
                Digest::of(b"")
            },
        );
        let mut state = self.state.lock();
        if self.keep(Guard::PlanOnce) {
            state.plans.entry(key).or_insert_with(|| plan.to_vec());
        } else {
            state.plans.entry(key).or_default().extend(plan);
        }
        Ok(())
    }

    async fn plan(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Vec<u8>>> {
        let tenant = if self.keep(Guard::PlanTenant) {
            tenant.clone()
        } else {
            TenantId::local()
        };
        let key = (
            tenant,
            if self.keep(Guard::Plans) {
                digest
            } else {
                Digest::of(b"")
            },
        );
        Ok(self.state.lock().plans.get(&key).cloned())
    }
}
