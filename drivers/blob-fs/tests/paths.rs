//! Names and places: what leads out of the folder, what is in a place where a blob should be, what
//! nobody of ours has put there. Each case names the guard that it is about.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;
use nebula_blob_fs::{BlobFs, BlobFsConfig};
use nebula_core::{BlobId, TenantId};
use nebula_ports::{
    BlobDeleted, BlobListing, BlobRenewed, BlobStore, BlobStoreExt, ErrorKind, Result,
};
use nebula_testkit::{InlineOffload, ManualClock, run};

/// What lies outside, and what is asked for inside: the same, so that no digest helps.
const CONTENT: &[u8] = b"the same inside and outside";

/// A folder of blobs, and one beside it that nothing may touch.
struct Place {
    folder: tempfile::TempDir,
    blobs: BlobFs,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        let outside = folder.path().join("outside");
        for name in ["file".to_owned(), id().digest.to_string()] {
            fs::write(outside.join(name), CONTENT).unwrap();
        }
        let blobs = run(open(&folder.path().join("blobs")));
        Self { folder, blobs }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    /// Names, content and times of what is outside.
    fn seen_outside(&self) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
        let entries = fs::read_dir(self.outside()).unwrap();
        let seen = entries.map(|entry| {
            let path = entry.unwrap().path();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let content = fs::read(&path).unwrap();
            (path, (content, modified))
        });
        seen.collect()
    }

    fn listed(&self, tenant: &TenantId) -> Result<Vec<BlobId>> {
        let page = run(self.blobs.list(tenant, &BlobListing::default()))?;
        Ok(page.blobs.iter().map(|blob| blob.id).collect())
    }
}

async fn open(path: &Path) -> BlobFs {
    let config = BlobFsConfig {
        path: path.to_owned(),
        create_folder: true,
    };
    let clock = Arc::new(ManualClock::default());
    BlobFs::open(config, clock, Arc::new(InlineOffload))
        .await
        .unwrap()
}

fn id() -> BlobId {
    BlobId::of(CONTENT)
}

/// The folder of the blob's shard and its file, below the root.
fn blob_place() -> PathBuf {
    let digest = id().digest.to_string();
    Path::new("0-local").join(&digest[..2]).join(&digest)
}

/// Guard: the alphabet of a tenant's id, checked where it comes in. Nothing else becomes a path.
const REFUSED: &[&str] = &[
    "",
    ".",
    "..",
    "...",
    "/",
    "//",
    "/etc",
    "./a",
    "a/",
    "a/b",
    "a/../b",
    "../a",
    "../../etc/passwd",
    "..\\a",
    "a\\b",
    "\\",
    "C:",
    "C:\\a",
    "c:a",
    "\\\\host\\share",
    "a\0",
    "\0",
    "a\0/../b",
    " ",
    " a",
    "a ",
    "a b",
    "\t",
    "a\n",
    "a\r\n",
    "~",
    "~root",
    "-",
    "-a",
    "_",
    "_a",
    "a.b",
    ".a",
    "a.",
    "a:b",
    "a*",
    "a?",
    "a|b",
    "a<b",
    "a\"b",
    "$HOME",
    "%2e%2e",
    "%2e%2e%2f",
    "a%00",
    "é",
    "ａ",
    "a\u{202e}b",
    "．．",
    "a\u{301}",
    "．．／a",
    "..\u{2215}a",
    "a;b",
    "a&b",
    "`a`",
    "{a}",
];

#[test]
fn what_is_no_tenant_reaches_no_path() {
    for text in REFUSED {
        assert!(TenantId::new(*text).is_err(), "{text:?}");
    }
    let long = "a".repeat(129);
    assert!(TenantId::new(long).is_err());
}

/// Ids that mean something to some system, with their folders. Guard: the folder's name is made
/// from the id, one way and back, and is never the id itself.
const ODD: &[(&str, &str)] = &[
    ("con", "0-con"),
    ("CON", "7-con"),
    ("Con", "1-con"),
    ("nul", "0-nul"),
    ("aux", "0-aux"),
    ("com1", "0-com1"),
    ("LPT9", "7-lpt9"),
    ("incoming", "0-incoming"),
    ("00", "0-00"),
    ("ff", "0-ff"),
    ("0-local", "0-0-local"),
    ("1-local", "0-1-local"),
    ("a--b", "0-a--b"),
    ("a-_", "0-a-_"),
    ("aB", "2-ab"),
    ("Ab", "1-ab"),
    ("AB", "3-ab"),
    ("ab", "0-ab"),
];

#[test]
fn each_tenant_has_a_folder_of_its_own_below_the_root() {
    let place = Place::new();
    let longest = ["A", "a"].map(|letter| letter.repeat(128));
    let mut expected: Vec<String> = ODD.iter().map(|(_, folder)| (*folder).to_owned()).collect();
    expected.push(format!("{:x}-{}", u128::MAX, "a".repeat(128)));
    expected.push(format!("0-{}", "a".repeat(128)));
    let ids = ODD.iter().map(|(id, _)| *id);
    let ids: Vec<_> = ids.chain(longest.iter().map(String::as_str)).collect();
    let mut tenants: Vec<_> = ids.iter().map(|id| TenantId::new(*id).unwrap()).collect();
    for tenant in &tenants {
        let content = Bytes::from(tenant.as_str().to_owned());
        let _ = run(place.blobs.put_bytes(tenant, content)).unwrap();
    }
    let mut folders: Vec<_> = fs::read_dir(place.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort_unstable();
    expected.sort_unstable();
    assert_eq!(folders, expected);
    tenants.sort_unstable();
    assert_eq!(run(place.blobs.tenants(None, 100)).unwrap(), tenants);
    for tenant in tenants {
        let own = BlobId::of(tenant.as_str().as_bytes());
        assert_eq!(place.listed(&tenant).unwrap(), [own]);
    }
    let left: Vec<_> = fs::read_dir(place.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing beside the root: {left:?}");
}

/// Folders in the root that are nobody's. Guard: a folder is a tenant's only if that tenant's folder
/// has exactly this name.
const NO_TENANTS: &[&[u8]] = &[
    b"local",
    b"0-",
    b"-local",
    b"00-local",
    b"0--local",
    b"0-Local",
    b"0x0-local",
    b"+0-local",
    b"g-local",
    b"20-local",
    b"1-1a",
    b"0-a.b",
    b"0-a b",
    b"0- a",
    b"0-a\n",
    b"0-\xff",
    b"0-\xc3\xa9",
    b"A-local",
    b".0-local",
    b"0-local~",
    b"0-local.tmp",
    b"lost+found",
    b".snapshot",
    b"...",
    b"100000000000000000000000000000000-local",
];

#[test]
fn a_folder_that_is_nobodys_is_no_tenant() {
    let place = Place::new();
    fs::create_dir(place.root()).unwrap();
    for name in NO_TENANTS {
        fs::create_dir(place.root().join(OsStr::from_bytes(name))).unwrap();
    }
    assert_eq!(run(place.blobs.tenants(None, 100)).unwrap(), []);
    drop(run(open(&place.root())));
    for name in NO_TENANTS {
        assert!(place.root().join(OsStr::from_bytes(name)).exists());
    }
}

/// Files in a shard that are no blobs: what becomes of the digest's 64 digits. Guard: a file is a
/// blob only if its whole name is the digest, in its shard.
#[test]
fn a_file_with_another_name_is_no_blob() {
    let digest = id().digest.to_string();
    let shard = &digest[..2];
    let names: Vec<Vec<u8>> = vec![
        digest.to_uppercase().into_bytes(),
        format!("{}X", &digest[..63]).into_bytes(),
        digest[..63].into(),
        digest[..2].into(),
        format!("{digest}0").into_bytes(),
        format!("{digest}.tmp").into_bytes(),
        format!("{digest}~").into_bytes(),
        format!(".{digest}").into_bytes(),
        format!("{digest} ").into_bytes(),
        format!(" {digest}").into_bytes(),
        format!("{digest}\n").into_bytes(),
        format!("0x{}", &digest[2..]).into_bytes(),
        format!("+{}", &digest[1..]).into_bytes(),
        format!("{}\u{e9}", &digest[..62]).into_bytes(),
        [&digest.as_bytes()[..63], b"\xff"].concat(),
        // A digest, and not that of its shard.
        BlobId::of(b"elsewhere").digest.to_string().into_bytes(),
        b"...".to_vec(),
        b"incoming".to_vec(),
        vec![b'a'; 255],
    ];
    assert!(
        !BlobId::of(b"elsewhere")
            .digest
            .to_string()
            .starts_with(shard)
    );
    let place = Place::new();
    let tenant = TenantId::local();
    let _ = run(place.blobs.put_bytes(&tenant, CONTENT.into())).unwrap();
    let folder = place.root().join("0-local").join(shard);
    for name in &names {
        fs::write(folder.join(OsStr::from_bytes(name)), b"planted").unwrap();
    }
    assert_eq!(place.listed(&tenant).unwrap(), [id()]);
    let elsewhere = BlobId::of(b"elsewhere");
    let read = run(place.blobs.get_bytes(&tenant, elsewhere));
    assert_eq!(read.unwrap(), None);
}

/// What somebody puts in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    /// A symbolic link to what lies outside.
    Link,
    /// One through `..`.
    LinkUp,
    /// One to a place that does not exist.
    Dangling,
    /// One to itself.
    Loop,
    /// One to a place within the root.
    LinkWithin,
    /// A second name of a file that lies outside.
    HardLink,
    Fifo,
    Socket,
    /// The device that is always empty.
    Null,
    /// The device that never ends.
    Zero,
    Folder,
    File,
}

use Thing::*;

/// Puts a thing in a place, to which `outside` lies as `target`; says whether the system let us.
fn plant(place: &Place, at: &Path, thing: Thing, target: &str) -> bool {
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    let target = place.outside().join(target);
    let made = |mut command: Command| command.arg(at).status().unwrap().success();
    match thing {
        Link => symlink(&target, at).unwrap(),
        LinkUp => {
            let up = "../".repeat(at.strip_prefix(place.folder.path()).unwrap().iter().count() - 1);
            let below = target.strip_prefix(place.folder.path()).unwrap();
            symlink(Path::new(&up).join(below), at).unwrap();
        }
        Dangling => symlink(place.outside().join("made"), at).unwrap(),
        Loop => symlink(at, at).unwrap(),
        LinkWithin => {
            let within = place.root().join("0-other");
            fs::create_dir_all(&within).unwrap();
            fs::write(within.join(id().digest.to_string()), CONTENT).unwrap();
            let file = at.ends_with(id().digest.to_string());
            let to = if file {
                within.join(id().digest.to_string())
            } else {
                within
            };
            symlink(to, at).unwrap();
        }
        HardLink => fs::hard_link(place.outside().join("file"), at).unwrap(),
        Fifo => return made(Command::new("mkfifo")),
        Socket => drop(UnixListener::bind(at).unwrap()),
        Null | Zero => {
            let minor = if thing == Null { "3" } else { "5" };
            let mut command = Command::new("mknod");
            // mknod PATH c 1 N: the path goes first.
            let status = command.arg(at).args(["c", "1", minor]).status();
            return status.unwrap().success();
        }
        Folder => fs::create_dir(at).unwrap(),
        File => fs::write(at, CONTENT).unwrap(),
    }
    true
}

/// How every call answers: content, a kind of error, or nothing.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    get: String,
    head: String,
    renew: String,
    list: String,
    delete: String,
    put: String,
}

fn ask(place: &Place) -> Answers {
    let tenant = TenantId::local();
    let said = |answer: Result<String>| match answer {
        Ok(answer) => answer,
        Err(error) => format!("{:?}", error.kind),
    };
    let blobs = &place.blobs;
    let get = run(blobs.get_bytes(&tenant, id()));
    let head = run(blobs.head(&tenant, id().digest));
    let renew = run(blobs.renew(&tenant, id()));
    let list = place.listed(&tenant);
    let delete = run(blobs.delete(&tenant, id().digest, nebula_testkit::START));
    let put = run(blobs.put_bytes(&tenant, CONTENT.into()));
    Answers {
        get: said(get.map(|read| read.map_or("none", |_| "content").to_owned())),
        head: said(head.map(|blob| blob.map_or("none", |_| "blob").to_owned())),
        renew: said(renew.map(|answer| match answer {
            BlobRenewed::Renewed(_) => "renewed".to_owned(),
            BlobRenewed::Missing => "missing".to_owned(),
        })),
        list: said(list.map(|ids| format!("{} listed", ids.len()))),
        delete: said(delete.map(|answer| match answer {
            BlobDeleted::Deleted => "deleted".to_owned(),
            BlobDeleted::Renewed(_) => "renewed".to_owned(),
            BlobDeleted::Missing => "missing".to_owned(),
        })),
        put: said(put.map(|_| "stored".to_owned())),
    }
}

/// Plants a thing, asks for everything, and holds what is outside against what it was.
fn check(at: &Path, thing: Thing, target: &str, expected: [&str; 6]) {
    let place = Place::new();
    if !plant(&place, &place.root().join(at), thing, target) {
        println!("SKIPPED: the system makes no {thing:?} for us");
        return;
    }
    let before = place.seen_outside();
    let found = ask(&place);
    let [get, head, renew, list, delete, put] = expected.map(str::to_owned);
    let expected = Answers {
        get,
        head,
        renew,
        list,
        delete,
        put,
    };
    assert_eq!(found, expected, "{thing:?} at {}", at.display());
    assert_eq!(
        place.seen_outside(),
        before,
        "{thing:?} at {}",
        at.display()
    );
    // Nor does a process that begins here clear anything away but its own.
    drop(run(open(&place.root())));
    assert_eq!(
        place.seen_outside(),
        before,
        "{thing:?} at {}",
        at.display()
    );
    if found.put == "stored" {
        let read = run(place.blobs.get_bytes(&TenantId::local(), id()));
        assert_eq!(read.unwrap().as_deref(), Some(CONTENT));
        let file = fs::symlink_metadata(place.root().join(blob_place())).unwrap();
        assert!(
            file.is_file(),
            "{thing:?}: what was put is a file of its own"
        );
    }
}

/// In the place of a blob. Guards: no link is followed; only a regular file with one name is read or
/// renewed; opening waits for nobody; a put takes its place back, by a rename that follows nothing.
#[test]
fn what_stands_in_the_place_of_a_blob_is_not_taken_for_it() {
    let bad = [
        "Corrupt", "Corrupt", "Corrupt", "0 listed", "missing", "stored",
    ];
    let target = id().digest.to_string();
    for thing in [
        Link, LinkUp, Dangling, Loop, LinkWithin, HardLink, Fifo, Socket, Null, Zero,
    ] {
        check(&blob_place(), thing, &target, bad);
    }
    let folder = [
        "Corrupt", "Corrupt", "Corrupt", "0 listed", "missing", "Corrupt",
    ];
    check(&blob_place(), Folder, &target, folder);
}

/// In the place of a shard or of a tenant's folder. Guard: each folder is opened by its name alone
/// from the one above, and no link is followed.
#[test]
fn what_stands_in_the_place_of_a_folder_is_not_entered() {
    let bad = ["Corrupt"; 6];
    let shard = blob_place().parent().unwrap().to_owned();
    for at in [shard.as_path(), Path::new("0-local")] {
        for thing in [
            Link, LinkUp, Dangling, Loop, LinkWithin, HardLink, Fifo, Socket, Null, Zero, File,
        ] {
            check(at, thing, "", bad);
        }
    }
}

/// In the place of the folder for what comes in. Guard: the same; and what is there already is read.
#[test]
fn nothing_comes_in_through_a_folder_that_is_not_ours() {
    let nothing = ["none", "none", "missing", "0 listed", "missing", "Corrupt"];
    for thing in [
        Link, LinkUp, Dangling, Loop, LinkWithin, HardLink, Fifo, Socket, Null, Zero, File,
    ] {
        check(Path::new("0-local/incoming"), thing, "", nothing);
    }
}

/// Among what comes in. Guard: only regular files are cleared away, by their names here.
#[test]
fn what_is_planted_among_leftovers_is_not_followed() {
    let fine = ["none", "none", "missing", "0 listed", "missing", "stored"];
    for thing in [
        Link, LinkUp, Dangling, Loop, LinkWithin, HardLink, Fifo, Socket, Null, Zero, Folder, File,
    ] {
        check(Path::new("0-local/incoming/1-0"), thing, "file", fine);
    }
}

/// Guard: the tenant whose folder is a link is not listed as one.
#[test]
fn a_link_is_no_tenant() {
    let place = Place::new();
    fs::create_dir(place.root()).unwrap();
    symlink(place.outside(), place.root().join("0-evil")).unwrap();
    assert_eq!(run(place.blobs.tenants(None, 10)).unwrap(), []);
}

/// A root that is a file is an error, and a root that is a link is followed: the operator said so.
#[test]
fn the_root_is_the_operators_word() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let blobs = run(open(&link));
    let _ = run(blobs.put_bytes(&TenantId::local(), CONTENT.into())).unwrap();
    assert!(real.join(blob_place()).exists());

    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for (path, create_folder) in [(file, true), (folder.path().join("none"), false)] {
        let config = BlobFsConfig {
            path,
            create_folder,
        };
        let clock = Arc::new(ManualClock::default());
        let opened = run(BlobFs::open(config, clock, Arc::new(InlineOffload)));
        assert_eq!(opened.unwrap_err().kind, ErrorKind::Unavailable);
    }
}
