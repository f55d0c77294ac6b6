//! The rules of the ports, on a file and in memory.

use std::{cell::RefCell, sync::Arc};

use nebula_core::Clock;
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, trigger_repo::TriggerStores};
use tempfile::TempDir;

thread_local! {
    /// The folder of this test's database; each test has a thread, and the folder ends with it.
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

async fn open(config: SqliteConfig, clock: Arc<ManualClock>) -> Arc<Sqlite> {
    let clock: Arc<dyn Clock> = clock;
    Arc::new(
        Sqlite::open(config, clock)
            .await
            .expect("nothing stands in the way"),
    )
}

async fn on_file(clock: Arc<ManualClock>) -> Arc<Sqlite> {
    let folder = tempfile::tempdir().expect("the temp folder can be written");
    let config = SqliteConfig::file(folder.path().join("nebula.db"));
    FOLDER.set(Some(folder));
    open(config, clock).await
}

async fn in_memory(clock: Arc<ManualClock>) -> Arc<Sqlite> {
    open(SqliteConfig::ephemeral(), clock).await
}

mod file {
    use super::{Arc, TriggerStores, on_file};
    nebula_testkit::execution_repo!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::workflow_repo!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::credential_repo!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::identity_repo!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::tenant_repo!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::session_repo!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::audit_log!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::leader_elector!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::incident_repo!(|clock| async move { on_file(clock).await as _ });
    nebula_testkit::trigger_repo!(|clock| async move {
        Arc::new(TriggerStores::of(&on_file(clock).await))
    });
}

mod memory {
    use super::{Arc, TriggerStores, in_memory};
    nebula_testkit::execution_repo!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::workflow_repo!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::credential_repo!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::identity_repo!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::tenant_repo!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::session_repo!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::audit_log!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::leader_elector!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::incident_repo!(|clock| async move { in_memory(clock).await as _ });
    nebula_testkit::trigger_repo!(|clock| async move {
        Arc::new(TriggerStores::of(&in_memory(clock).await))
    });
}
