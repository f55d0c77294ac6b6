//! The rules of the port.

use std::{cell::RefCell, sync::Arc};

use nebula_secrets_local::{KeySource, LocalSecrets, SecretsConfig};
use nebula_system::SystemEntropy;
use nebula_testkit::{InlineOffload, ManualClock};
use tempfile::TempDir;

thread_local! {
    /// The folder of this test's file; each test has a thread, and the folder ends with it.
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

async fn open(clock: Arc<ManualClock>) -> LocalSecrets {
    let folder = tempfile::tempdir().expect("the temp folder can be written");
    let config = SecretsConfig::file(folder.path().join("secrets.nebula"));
    let source = KeySource::File(folder.path().join("secrets.key"));
    FOLDER.set(Some(folder));
    let (entropy, offload) = (Arc::new(SystemEntropy), Arc::new(InlineOffload));
    let opened = LocalSecrets::open(config, source, clock, entropy, offload).await;
    opened.expect("nothing stands in the way")
}

nebula_testkit::secrets_store!(|clock| async move { Arc::new(open(clock).await) as Arc<_> });
