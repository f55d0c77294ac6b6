//! The models pass the suites that they are the oracle for.

use std::sync::Arc;

use nebula_testkit::{
    MemoryAuditLog, MemoryBlobStore, MemoryCredentialRepo, MemoryElector, MemoryEventSink,
    MemoryExecutionRepo, MemoryIdentityRepo, MemoryIncidentRepo, MemoryRelay, MemorySecretsStore,
    MemorySessionRepo, MemoryTaskQueue, MemoryTenantRepo, MemoryWorkflowRepo,
    blob_store::Subject,
    task_queue::{CAPACITY, MAX_DELIVERIES},
    trigger_repo::TriggerStores,
};

nebula_testkit::execution_repo!(|clock| async move {
    Arc::new(MemoryExecutionRepo::new(clock)) as Arc<_>
});
nebula_testkit::workflow_repo!(|clock| async move {
    Arc::new(MemoryWorkflowRepo::new(clock)) as Arc<_>
});
nebula_testkit::task_queue!(|clock| async move {
    Arc::new(MemoryTaskQueue::new(
        clock,
        usize::from(CAPACITY),
        MAX_DELIVERIES,
    )) as Arc<_>
});
nebula_testkit::blob_store!(|clock| async move {
    let store = Arc::new(MemoryBlobStore::new(clock));
    let damaged = Arc::clone(&store);
    Arc::new(Subject {
        store,
        damage: Box::new(move |tenant, digest, damage| damaged.damage(tenant, digest, damage)),
    })
});
nebula_testkit::credential_repo!(|clock| async move {
    Arc::new(MemoryCredentialRepo::new(clock)) as Arc<_>
});
nebula_testkit::secrets_store!(|_| async { Arc::new(MemorySecretsStore::default()) as Arc<_> });
nebula_testkit::identity_repo!(|clock| async move {
    Arc::new(MemoryIdentityRepo::new(clock)) as Arc<_>
});
nebula_testkit::session_repo!(
    |clock| async move { Arc::new(MemorySessionRepo::new(clock)) as Arc<_> }
);
nebula_testkit::audit_log!(|clock| async move { Arc::new(MemoryAuditLog::new(clock)) as Arc<_> });
nebula_testkit::trigger_repo!(|clock| async move { Arc::new(TriggerStores::models(&clock, None)) });
nebula_testkit::leader_elector!(
    |clock| async move { Arc::new(MemoryElector::new(clock)) as Arc<_> }
);
nebula_testkit::event_sink!(|_| async { Arc::new(MemoryEventSink::default()) as Arc<_> });
nebula_testkit::relay!(|_| async { Arc::new(MemoryRelay::default()) as Arc<_> });
nebula_testkit::incident_repo!(|clock| async move {
    Arc::new(MemoryIncidentRepo::new(clock)) as Arc<_>
});
nebula_testkit::tenant_repo!(|_| async { Arc::new(MemoryTenantRepo::default()) as Arc<_> });
