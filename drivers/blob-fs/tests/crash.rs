//! Processes that put and delete the same blobs at once, and are killed: what was told to be there
//! is there, whole, and what is left over is cleared away.
//!
//! The test starts itself again as the writers, waits for so many acknowledgements on their output,
//! kills them with SIGKILL, and opens what they left.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_core::{BlobId, ByteSize, TenantId};
use nebula_ports::{BlobListing, BlobPut, BlobStore, BlobStoreExt, PortError};
use nebula_testkit::{InlineOffload, ManualClock, SeededEntropy, run};

/// Processes that write at the same time.
const WRITERS: u64 = 3;

/// Acknowledgements of all of them before each kill.
const KILLS: [usize; 4] = [3, 20, 60, 150];

/// Contents that are put again and again, and deleted again and again.
const SHARED: u64 = 4;

/// Longer than what is kept in memory, so that a kill meets files that are half written.
const LARGE: usize = (1 << 20) + 70_000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, path, seed] = &arguments[..]
        && mode == "write"
    {
        let seed = seed.parse().expect("a number");
        return run(write(Path::new(path), seed)).map_err(io::Error::other);
    }
    if let [_, mode, path] = &arguments[..]
        && mode == "hold"
    {
        return run(hold(Path::new(path))).map_err(io::Error::other);
    }
    if let [_, mode, path] = &arguments[..]
        && mode == "once"
    {
        return run(once(Path::new(path))).map_err(io::Error::other);
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("blobs");
    what_the_dead_leave_is_cleared_and_what_the_living_write_is_not(&path)?;
    what_is_acknowledged_is_synchronised(folder.path())?;
    let mut acked = BTreeSet::new();
    for (round, acks) in (1..).zip(KILLS) {
        kill_after(acks, &path, round, &mut acked)?;
        run(verify(&path, &acked)).map_err(io::Error::other)?;
    }
    writeln!(
        io::stdout(),
        "test what_was_acknowledged_survives_sigkill ... ok ({} blobs)",
        acked.len()
    )
}

/// Guard: a file is cleared away when nobody holds its lock, and only then.
fn what_the_dead_leave_is_cleared_and_what_the_living_write_is_not(path: &Path) -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("hold")
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().expect("it is piped");
    let said = BufReader::new(output).lines().next();
    assert_eq!(said.transpose()?.as_deref(), Some("half"));
    let looked = || -> io::Result<usize> {
        run(open(path)).map_err(io::Error::other)?;
        left(path)
    };
    assert_eq!(looked()?, 1, "its writer lives");
    child.kill()?;
    child.wait()?;
    assert_eq!(left(path)?, 1, "SIGKILL lets nobody clear up");
    assert_eq!(looked()?, 0, "its writer is dead");
    writeln!(
        io::stdout(),
        "test what_the_dead_leave_is_cleared_and_what_the_living_write_is_not ... ok"
    )
}

/// Guards: a blob's bytes are synchronised before it has its name, its name after that, and each
/// folder in the one above before anything is in it. Asked of the system: no kill can show it.
fn what_is_acknowledged_is_synchronised(folder: &Path) -> io::Result<()> {
    let (path, calls) = (folder.join("once/blobs"), folder.join("calls"));
    let traced = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,/^rename,/^mkdir", "-o"])
        .arg(&calls)
        .arg(std::env::current_exe()?)
        .args([OsStr::new("once"), path.as_os_str()])
        .status();
    if !traced.is_ok_and(|status| status.success()) {
        return writeln!(
            io::stdout(),
            "test what_is_acknowledged_is_synchronised ... SKIPPED: strace does not work here"
        );
    }
    let calls = fs::read_to_string(calls)?;
    let calls: Vec<_> = calls.lines().filter(|call| call.ends_with("= 0")).collect();
    let synced = |calls: &[&str], what: &str| {
        let mut syncs = calls.iter().filter(|call| call.contains(" fsync("));
        assert!(syncs.any(|call| call.contains(what)), "{what}: {calls:#?}");
    };
    let renamed = calls.iter().position(|call| call.contains("rename"));
    let (before, after) = calls.split_at(renamed.expect("a blob gets its name"));
    synced(before, "/incoming/");
    let shard = &BlobId::of(&content(2)).digest.to_string()[..2];
    synced(after, &format!("/blobs/0-local/{shard}>"));
    let mut made = 0;
    for (at, call) in before.iter().enumerate() {
        if let Some((_, parent)) = call.split_once("mkdirat(")
            && let (Some(from), Some(to)) = (parent.find('<'), parent.find('>'))
            && parent.contains("blobs>")
        {
            synced(&before[at..], &parent[from..=to]);
            made += 1;
        }
    }
    assert!(made > 0, "{before:#?}");
    writeln!(
        io::stdout(),
        "test what_is_acknowledged_is_synchronised ... ok"
    )
}

/// Puts one blob.
async fn once(path: &Path) -> Result<(), PortError> {
    let blobs = open(path).await?;
    let put = blobs.put_bytes(&TenantId::local(), content(2)).await?;
    assert_eq!(put.id, BlobId::of(&content(2)));
    Ok(())
}

/// How many unfinished files there are.
fn left(path: &Path) -> io::Result<usize> {
    Ok(fs::read_dir(path.join("0-local/incoming"))?.count())
}

/// Puts something whose end never comes.
async fn hold(path: &Path) -> Result<(), PortError> {
    let blobs = open(path).await?;
    let halt = stream::once(async {
        let mut output = io::stdout();
        output.write_all(b"half\n").expect("the parent listens");
        std::future::pending().await
    });
    let source = stream::iter([content(1), content(3)].map(Ok)).chain(halt);
    let tenant = TenantId::local();
    let put = blobs.put(&tenant, source.boxed(), ByteSize::mib(16));
    let put = put.await?;
    unreachable!("{put:?}")
}

async fn open(path: &Path) -> Result<BlobFs, PortError> {
    let config = BlobFsConfig {
        path: path.to_owned(),
        create_folder: true,
    };
    // Each process has its own idea of the time; ages grow all the same.
    let clock = Arc::new(ManualClock::default());
    BlobFs::open(config, clock, Arc::new(InlineOffload)).await
}

/// Content number `n`: small for even numbers.
fn content(n: u64) -> Bytes {
    let length = if n.is_multiple_of(2) { 3_000 } else { LARGE };
    let mut bytes = vec![b'x'; length];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes.into()
}

/// Puts content of its own and prints its number; between them puts and deletes what all share.
async fn write(path: &Path, seed: u64) -> Result<(), PortError> {
    let blobs = open(path).await?;
    let tenant = TenantId::local();
    let random = SeededEntropy::new(seed);
    for n in (seed << 32).. {
        let shared = content(random.below(SHARED));
        let seen = blobs.put_bytes(&tenant, shared.clone()).await?;
        if random.chance(50) {
            let deleted = blobs.delete(&tenant, seen.id.digest, seen.renewed_at);
            // Another may have renewed it, or deleted it: whatever is said, what is there is whole.
            let _ = deleted.await?;
        }
        if let Some(read) = blobs.get_bytes(&tenant, BlobId::of(&shared)).await? {
            assert!(read == shared);
        }
        let bytes = content(n);
        let pieces: Vec<_> = bytes
            .chunks(100_000)
            .map(|it| Ok(bytes.slice_ref(it)))
            .collect();
        let put = blobs
            .put(&tenant, stream::iter(pieces).boxed(), ByteSize::mib(2))
            .await?;
        assert!(matches!(put, BlobPut::Stored(_)), "{put:?}");
        // One write call for each line, so that a killed process leaves whole lines.
        let line = format!("{n}\n");
        io::stdout()
            .write_all(line.as_bytes())
            .expect("the parent listens");
    }
    Ok(())
}

fn kill_after(acks: usize, path: &Path, round: u64, acked: &mut BTreeSet<u64>) -> io::Result<()> {
    let mut children: Vec<Child> = Vec::new();
    for writer in 0..WRITERS {
        let child = Command::new(std::env::current_exe()?)
            .arg("write")
            .arg(path)
            .arg((round * WRITERS + writer).to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        children.push(child);
    }
    let outputs = children
        .iter_mut()
        .map(|child| child.stdout.take().expect("it is piped"));
    let mut outputs: Vec<_> = outputs
        .map(|output| BufReader::new(output).lines())
        .collect();
    for _ in 0..acks.div_ceil(outputs.len()) {
        for output in &mut outputs {
            let line = output.next().expect("it writes until it is killed")?;
            acked.insert(line.parse().expect("a number"));
        }
    }
    for child in &mut children {
        child.kill()?;
    }
    for (child, output) in children.iter_mut().zip(outputs) {
        child.wait()?;
        for line in output {
            acked.insert(line?.parse().expect("a number"));
        }
    }
    Ok(())
}

async fn verify(path: &Path, acked: &BTreeSet<u64>) -> Result<(), PortError> {
    let blobs = open(path).await?;
    let tenant = TenantId::local();
    let left = left(path).expect("somebody has put");
    assert_eq!(left, 0, "the dead leave nothing");
    for n in acked {
        let bytes = content(*n);
        let read = blobs.get_bytes(&tenant, BlobId::of(&bytes)).await?;
        assert!(read.is_some_and(|read| read == bytes), "{n} is not there");
    }
    // Whatever else has a name is whole, too.
    let mut listing = BlobListing::default();
    loop {
        let page = blobs.list(&tenant, &listing).await?;
        for blob in page.blobs {
            let read = blobs.get_bytes(&tenant, blob.id).await?;
            assert!(read.is_some());
        }
        listing.after = page.next;
        if listing.after.is_none() {
            return Ok(());
        }
    }
}
