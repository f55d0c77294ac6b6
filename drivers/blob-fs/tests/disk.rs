//! A disk that is full or read-only: a typed error, and what was acknowledged is there.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_core::TenantId;
use nebula_ports::{BlobDeleted, BlobListing, BlobStore, BlobStoreExt, ErrorKind, Result};
use nebula_testkit::{InlineOffload, ManualClock, run};

/// A small file system of its own; it is gone with this value.
struct Disk(PathBuf);

impl Disk {
    /// `None`, said aloud, where nothing can be mounted.
    fn new(folder: &Path) -> Option<Self> {
        let mounted = done(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=4096k", "tmpfs"])
                .arg(folder),
        );
        if !mounted {
            println!("SKIPPED: no file system can be mounted here");
        }
        mounted.then(|| Self(folder.to_owned()))
    }

    fn becomes(&self, how: &str) {
        let options = format!("remount,{how}");
        assert!(done(
            Command::new("mount").args(["-o", &options]).arg(&self.0)
        ));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        done(Command::new("umount").arg(&self.0));
    }
}

fn done(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

async fn open(path: &Path) -> Result<BlobFs> {
    let config = BlobFsConfig {
        path: path.join("blobs"),
        create_folder: true,
    };
    let clock = Arc::new(ManualClock::default());
    BlobFs::open(config, clock, Arc::new(InlineOffload)).await
}

fn content(number: u8, length: usize) -> Bytes {
    vec![number; length].into()
}

/// Guards: `Fault::io` says `Full`; a put that fails leaves nothing of it behind.
#[test]
fn a_full_disk_takes_nothing_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = Disk::new(folder.path()) else {
        return;
    };
    run(async {
        let blobs = open(folder.path()).await.unwrap();
        let tenant = TenantId::local();
        let kept = blobs.put_bytes(&tenant, content(1, 1 << 20)).await.unwrap();
        // Too large at its first piece, at a later one, and only at its end.
        for length in [3 << 20, (2 << 20) + 1, 8 << 20] {
            let put = blobs
                .put_bytes(&tenant, content(2, length + (1 << 20)))
                .await;
            assert_eq!(put.unwrap_err().kind, ErrorKind::Full, "{length}");
            let left = fs::read_dir(folder.path().join("blobs/0-local/incoming")).unwrap();
            assert_eq!(left.count(), 0);
        }
        let page = blobs.list(&tenant, &BlobListing::default()).await.unwrap();
        assert_eq!(page.blobs, [kept]);
        assert!(blobs.get_bytes(&tenant, kept.id).await.unwrap().is_some());
        // There is room again.
        let small = blobs.put_bytes(&tenant, content(3, 1 << 20)).await.unwrap();
        assert!(blobs.get_bytes(&tenant, small.id).await.unwrap().is_some());
    });
}

/// Guard: `Fault::io` says `ReadOnly`; what only reads goes on.
#[test]
fn a_read_only_disk_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(folder.path()) else {
        return;
    };
    run(async {
        let blobs = open(folder.path()).await.unwrap();
        let tenant = TenantId::local();
        let kept = blobs.put_bytes(&tenant, content(1, 1_000)).await.unwrap();
        disk.becomes("ro");
        let reopened = open(folder.path()).await.unwrap();
        let digest = kept.id.digest;
        let failures = [
            blobs.put_bytes(&tenant, content(2, 10)).await.map(|_| ()),
            blobs
                .put_bytes(&tenant, content(1, 1_000))
                .await
                .map(|_| ()),
            blobs.renew(&tenant, kept.id).await.map(|_| ()),
            blobs
                .delete(&tenant, digest, kept.renewed_at)
                .await
                .map(|_| ()),
        ];
        for failure in failures {
            assert_eq!(failure.unwrap_err().kind, ErrorKind::ReadOnly);
        }
        assert!(
            reopened
                .get_bytes(&tenant, kept.id)
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(blobs.head(&tenant, digest).await.unwrap(), Some(kept));
        disk.becomes("rw");
        let deleted = blobs.delete(&tenant, digest, kept.renewed_at).await;
        assert_eq!(deleted.unwrap(), BlobDeleted::Deleted);
    });
}
