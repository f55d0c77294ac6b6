//! The rules of the port, and agreement with the model.

use std::{fs, path::Path, sync::Arc};

use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_core::{Digest, TenantId};
use nebula_testkit::{
    InlineOffload, ManualClock, agree,
    blob_store::{Damage, Subject},
};

/// An empty store in a folder that goes with it.
async fn subject(clock: Arc<ManualClock>) -> Arc<Subject> {
    let folder = tempfile::tempdir().unwrap();
    let config = BlobFsConfig {
        path: folder.path().join("blobs"),
        create_folder: true,
    };
    let store = BlobFs::open(config, clock, Arc::new(InlineOffload)).await;
    Arc::new(Subject {
        store: Arc::new(store.unwrap()),
        damage: Box::new(move |tenant, digest, damage| {
            inflict(&folder.path().join("blobs"), tenant, digest, damage);
        }),
    })
}

/// Changes the file and leaves its time as it was, as a disk does.
fn inflict(root: &Path, tenant: &TenantId, digest: Digest, damage: Damage) {
    let id = tenant.as_str();
    let capital = u8::from(id.starts_with(char::is_uppercase));
    let digest = digest.to_string();
    let path = root
        .join(format!("{capital}-{}", id.to_lowercase()))
        .join(&digest[..2])
        .join(&digest);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    damage.inflict(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
}

nebula_testkit::blob_store!(subject);

#[test]
fn five_thousand_random_operations_agree_with_the_model() {
    for seed in 1..=5 {
        agree::blob_stores(seed, 1_000, subject);
    }
}

/// Guard: reading makes nothing, also no folder; the first put makes it.
#[test]
fn the_first_put_makes_the_folder() {
    use nebula_ports::{BlobListing, BlobStore, BlobStoreExt};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/blobs");
    let config = BlobFsConfig {
        path: path.clone(),
        create_folder: true,
    };
    nebula_testkit::run(async {
        let clock = Arc::new(ManualClock::default());
        let blobs = BlobFs::open(config, clock, Arc::new(InlineOffload)).await;
        let (blobs, tenant) = (blobs.unwrap(), TenantId::local());
        let id = nebula_core::BlobId::of(b"content");
        assert_eq!(blobs.get_bytes(&tenant, id).await.unwrap(), None);
        let page = blobs.list(&tenant, &BlobListing::default()).await.unwrap();
        assert_eq!(
            (page.blobs, blobs.tenants(None, 9).await.unwrap()),
            (vec![], vec![])
        );
        assert!(!folder.path().join("a").exists());
        let put = blobs.put_bytes(&tenant, b"content".as_slice().into());
        let _ = put.await.unwrap();
        assert!(path.exists());
    });
}
