//! A test of the tests: a model that lacks a guard fails every rule that names it.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use nebula_testkit::{
    AuditGuard, BlobGuard, CredentialGuard, DutyGuard, EventGuard, ExecutionGuard, IdentityGuard,
    IncidentGuard, MemoryAuditLog, MemoryBlobStore, MemoryCredentialRepo, MemoryElector,
    MemoryEventSink, MemoryExecutionRepo, MemoryIdentityRepo, MemoryIncidentRepo, MemoryRelay,
    MemorySecretsStore, MemorySessionRepo, MemoryTaskQueue, MemoryTenantRepo, MemoryWorkflowRepo,
    QueueGuard, RelayGuard, SecretsGuard, SessionGuard, TenantGuard, TriggerGuard, WorkflowGuard,
    audit_log,
    blob_store::{self, Subject},
    credential_repo, event_sink, execution_repo, identity_repo, incident_repo, leader_elector,
    relay, secrets_store, session_repo,
    task_queue::{self, CAPACITY, MAX_DELIVERIES},
    tenant_repo,
    trigger_repo::{self, TriggerStores},
    workflow_repo,
};

/// Makes a test for one suite: each rule is named by a guard, each guard names rules, and each rule
/// that a guard names fails on a model without it.
macro_rules! every_rule_fails_without_its_guard {
    ($name:ident: $suite:ident, $guard:ident, |$clock:ident, $missing:ident| $model:expr) => {
        #[test]
        fn $name() {
            let rules: BTreeSet<_> = $suite::RULES.iter().map(|(name, _)| *name).collect();
            let named: BTreeSet<_> = $guard::ALL
                .iter()
                .flat_map(|guard| guard.rules())
                .copied()
                .collect();
            assert_eq!(rules, named);
            let mut blind = Vec::new();
            for $missing in $guard::ALL.iter().copied() {
                for (name, rule) in $suite::RULES
                    .iter()
                    .filter(|(name, _)| $missing.rules().contains(name))
                {
                    let held = catch_unwind(AssertUnwindSafe(|| {
                        $suite::check(|$clock| async move { Arc::new($model) as Arc<_> }, *rule);
                    }));
                    if held.is_ok() {
                        blind.push(format!("{name} does not see that {:?} is gone", $missing));
                    }
                }
            }
            assert!(blind.is_empty(), "{}", blind.join("\n"));
        }
    };
}

every_rule_fails_without_its_guard!(every_rule_of_the_execution_repo_fails_without_its_guard: execution_repo, ExecutionGuard, |clock, guard| {
    MemoryExecutionRepo::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_workflow_repo_fails_without_its_guard: workflow_repo, WorkflowGuard, |clock, guard| {
    MemoryWorkflowRepo::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_task_queue_fails_without_its_guard: task_queue, QueueGuard, |clock, guard| {
    MemoryTaskQueue::without(clock, (usize::from(CAPACITY), MAX_DELIVERIES), guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_blob_store_fails_without_its_guard: blob_store, BlobGuard, |clock, guard| {
    let store = Arc::new(MemoryBlobStore::without(clock, guard));
    let damaged = Arc::clone(&store);
    Subject {
        store,
        damage: Box::new(move |tenant, digest, damage| damaged.damage(tenant, digest, damage)),
    }
});
every_rule_fails_without_its_guard!(every_rule_of_the_credential_repo_fails_without_its_guard: credential_repo, CredentialGuard, |clock, guard| {
    MemoryCredentialRepo::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_secrets_store_fails_without_its_guard: secrets_store, SecretsGuard, |_clock, guard| {
    MemorySecretsStore::without(guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_identity_repo_fails_without_its_guard: identity_repo, IdentityGuard, |clock, guard| {
    MemoryIdentityRepo::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_session_repo_fails_without_its_guard: session_repo, SessionGuard, |clock, guard| {
    MemorySessionRepo::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_audit_log_fails_without_its_guard: audit_log, AuditGuard, |clock, guard| {
    MemoryAuditLog::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_trigger_repo_fails_without_its_guard: trigger_repo, TriggerGuard, |clock, guard| {
    TriggerStores::models(&clock, Some(guard))
});
every_rule_fails_without_its_guard!(every_rule_of_the_leader_elector_fails_without_its_guard: leader_elector, DutyGuard, |clock, guard| {
    MemoryElector::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_event_sink_fails_without_its_guard: event_sink, EventGuard, |_clock, guard| {
    MemoryEventSink::without(guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_relay_fails_without_its_guard: relay, RelayGuard, |_clock, guard| {
    MemoryRelay::without(guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_incident_repo_fails_without_its_guard: incident_repo, IncidentGuard, |clock, guard| {
    MemoryIncidentRepo::without(clock, guard)
});
every_rule_fails_without_its_guard!(every_rule_of_the_tenant_repo_fails_without_its_guard: tenant_repo, TenantGuard, |_clock, guard| {
    MemoryTenantRepo::without(guard)
});
