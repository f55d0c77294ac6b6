//! The rules of the ports beside executions. Where there is no server they say so, and hold for the models.
#![cfg(unix)]

mod support;

use std::sync::Arc;

use nebula_testkit::{
    MemoryAuditLog, MemoryCredentialRepo, MemoryElector, MemoryIdentityRepo, MemoryIncidentRepo,
    MemorySessionRepo, MemoryWorkflowRepo, trigger_repo::TriggerStores,
};
use support::store;

/// The store, or the model of a port where there is no server.
macro_rules! or_model {
    ($model:ident) => {
        |clock| async move {
            match store(&clock).await {
                Some(store) => store as _,
                None => Arc::new($model::new(clock)) as _,
            }
        }
    };
}

nebula_testkit::workflow_repo!(or_model!(MemoryWorkflowRepo));
nebula_testkit::leader_elector!(or_model!(MemoryElector));
nebula_testkit::audit_log!(or_model!(MemoryAuditLog));
nebula_testkit::identity_repo!(or_model!(MemoryIdentityRepo));
nebula_testkit::session_repo!(or_model!(MemorySessionRepo));
nebula_testkit::credential_repo!(or_model!(MemoryCredentialRepo));
nebula_testkit::incident_repo!(or_model!(MemoryIncidentRepo));
nebula_testkit::trigger_repo!(|clock| async move {
    Arc::new(match store(&clock).await {
        Some(store) => TriggerStores::of(&store),
        None => TriggerStores::models(&clock, None),
    })
});
nebula_testkit::tenant_repo!(|clock| async move {
    match store(&clock).await {
        Some(store) => store as _,
        None => Arc::new(nebula_testkit::MemoryTenantRepo::default()) as Arc<_>,
    }
});
