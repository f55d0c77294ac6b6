//! The control-flow patterns on the whole engine, over this store.

use std::sync::Arc;

use nebula_storage_sqlite::{Sqlite, SqliteConfig};

nebula_testkit::control_flow_patterns!(|clock| async move {
    let store = Sqlite::open(SqliteConfig::ephemeral(), clock).await;
    let store = Arc::new(store.expect("nothing stands in the way"));
    (store.clone() as Arc<_>, store as Arc<_>)
});
