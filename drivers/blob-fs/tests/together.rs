//! Several stores over one folder at once, as of several processes: locks and ages keep them apart.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_core::{BlobId, TenantId, Timestamp};
use nebula_ports::{BlobDeleted, BlobRenewed, BlobStore, BlobStoreExt};
use nebula_testkit::{InlineOffload, ManualClock, run};

/// How often it is tried. Without the lock fifty are enough.
const ROUNDS: usize = 500;

fn open(path: &Path, clock: &ManualClock) -> BlobFs {
    let config = BlobFsConfig {
        path: path.to_owned(),
        create_folder: true,
    };
    let clock = Arc::new(clock.clone());
    run(BlobFs::open(config, clock, Arc::new(InlineOffload))).unwrap()
}

/// What is told to have been renewed stays, as long as nobody has seen that renewal and deletes it.
/// Guard: a deletion looks and deletes under the lock of the shard, and a renewal takes it, too.
#[test]
fn a_deletion_never_takes_what_was_renewed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (tenant, id) = (TenantId::local(), BlobId::of(b"content"));
    let (stop, clock) = (AtomicBool::new(false), ManualClock::default());
    let deleted = AtomicUsize::new(0);
    // The latest age that somebody has set out to delete.
    let seen = Mutex::new(Timestamp::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            let blobs = open(folder.path(), &clock);
            while !stop.load(SeqCst) {
                let Some(blob) = run(blobs.head(&tenant, id.digest)).unwrap() else {
                    continue;
                };
                let mut latest = seen.lock().unwrap();
                *latest = blob.renewed_at.max(*latest);
                drop(latest);
                let gone = run(blobs.delete(&tenant, id.digest, blob.renewed_at)).unwrap();
                deleted.fetch_add(usize::from(gone == BlobDeleted::Deleted), SeqCst);
            }
        });
        let blobs = open(folder.path(), &clock);
        let mut round = 0;
        while round < ROUNDS || deleted.load(SeqCst) == 0 {
            round += 1;
            // What is put anew is younger than what was deleted, as it is in life.
            clock.advance(Duration::from_secs(1));
            let renewed = match run(blobs.renew(&tenant, id)).unwrap() {
                BlobRenewed::Renewed(blob) => blob,
                BlobRenewed::Missing => {
                    run(blobs.put_bytes(&tenant, b"content".as_slice().into())).unwrap()
                }
            };
            let there = run(blobs.head(&tenant, id.digest)).unwrap();
            let latest = *seen.lock().unwrap();
            if there.is_none() && latest < renewed.renewed_at {
                stop.store(true, SeqCst);
                panic!("round {round}: {renewed:?} was deleted by who had seen {latest} at most");
            }
        }
        stop.store(true, SeqCst);
    });
}
