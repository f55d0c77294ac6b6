//! The actions on real folders: what they do, and every way out that must be closed.
#![cfg(unix)]

use std::{
    fs,
    os::unix::{fs::PermissionsExt, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use nebula_action::{
    Action, ActionContext, ActionError, Capability, ErrorClass, Grants, Protected, Reconciled,
};
use nebula_core::{BoxFuture, ExecutionId, Job, NodeId, Offload, TenantId, Timestamp, WorkflowId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Runs the work on the spot.
#[derive(Debug)]
struct Here;

impl Offload for Here {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        Box::pin(async { job() })
    }
}

/// A folder `in` that is granted, beside a folder `out` that is not.
struct Scene {
    temp: TempDir,
    context: ActionContext,
}

impl Scene {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        fs::create_dir(temp.path().join("in")).unwrap();
        fs::create_dir(temp.path().join("out")).unwrap();
        fs::write(temp.path().join("out/secret.txt"), "hunter2").unwrap();
        let inside = temp.path().join("in");
        let context = ActionContext {
            tenant: TenantId::local(),
            execution: ExecutionId::from_bytes([0; 16]),
            workflow: WorkflowId::new("w").unwrap(),
            node: NodeId::new("n").unwrap(),
            attempt: 1,
            idempotency_key: "key".to_owned(),
            now: Timestamp::default(),
            seed: 0,
            timeout: Duration::from_secs(60),
            deadline: None,
            cancellation: CancellationToken::new(),
            heartbeat: nebula_action::Heartbeat::default(),
            grants: Grants::default(),
            protected: Protected::new([fs::canonicalize(&inside).unwrap().join("data")]),
            http: None,
            blobs: None,
            credentials: nebula_action::Credentials::default(),
            folder: Arc::from(inside.as_path()),
            deferred: IndexMap::new(),
        };
        let mut scene = Self { temp, context };
        scene.grant(&["fs:read:.", "fs:write:."]);
        scene
    }

    fn grant(&mut self, capabilities: &[&str]) {
        let base = self.inside("");
        let parsed = capabilities
            .iter()
            .map(|text| Capability::parse(text, &base).unwrap());
        self.context.grants = Grants::new(parsed);
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.temp.path().join("in").join(name)
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.temp.path().join("out").join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.inside(name), content).unwrap();
    }

    fn content(&self, name: &str) -> String {
        fs::read_to_string(self.inside(name)).unwrap()
    }

    async fn run(&self, id: &str, input: Value) -> Result<Value, ActionError> {
        let result = action(id).execute(&self.context, input).await;
        if let Err(error) = &result {
            assert!(!error.message.contains("hunter2"), "{error}");
        }
        result.map(|result| result.value)
    }

    async fn code(&self, id: &str, input: Value) -> String {
        match self.run(id, input).await {
            Ok(value) => panic!("no error but {value}"),
            Err(error) => error.code.to_string(),
        }
    }

    async fn names(&self, input: Value) -> Vec<String> {
        let listed = self.run("file.list", input).await.unwrap();
        let entries = listed.as_array().unwrap().iter();
        entries
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn action(id: &str) -> Arc<dyn Action> {
    let mut all = nebula_action_file::all(Arc::new(Here)).into_iter();
    all.find(|action| action.metadata().id.as_str() == id)
        .unwrap()
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn a_text_file_is_read_whole() {
    let scene = Scene::new();
    scene.put("a.txt", "grüße\n");
    let read = scene
        .run("file.read", json!({ "path": "a.txt" }))
        .await
        .unwrap();
    let path = scene.inside("a.txt");
    assert_eq!(read, json!({ "path": path, "size": 8, "text": "grüße\n" }));
    let read = scene
        .run("file.read", json!({ "path": path }))
        .await
        .unwrap();
    assert_eq!(read["size"], 8);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_read_as_base64_only() {
    let scene = Scene::new();
    scene.put("a.bin", [0xff, 0x00, 0x41]);
    let error = scene
        .run("file.read", json!({ "path": "a.bin" }))
        .await
        .unwrap_err();
    assert_eq!(error.code, "FILE_NOT_UTF8");
    assert!(error.message.contains("encoding: base64"), "{error}");
    let read = scene
        .run(
            "file.read",
            json!({ "path": "a.bin", "encoding": "base64" }),
        )
        .await
        .unwrap();
    assert_eq!(read["text"], "/wBB");
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_and_never_cut() {
    let scene = Scene::new();
    scene.put("a.txt", "x".repeat(1025));
    assert_eq!(
        scene
            .code("file.read", json!({ "path": "a.txt", "max_size": "1 KiB" }))
            .await,
        "FILE_TOO_LARGE"
    );
    assert!(
        scene
            .run("file.read", json!({ "path": "a.txt", "max_size": "1025" }))
            .await
            .is_ok()
    );
    let huge = fs::File::create(scene.inside("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let error = scene
        .run("file.read", json!({ "path": "huge" }))
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::LimitExceeded);
    assert!(error.message.contains("16 MiB"), "{error}");
    assert_eq!(
        scene
            .code("file.read", json!({ "path": "huge", "max_size": "1 GiB" }))
            .await,
        "FILE_MAX_SIZE"
    );
}

#[tokio::test]
async fn what_is_missing_or_no_file_is_said_so() {
    let scene = Scene::new();
    fs::create_dir(scene.inside("folder")).unwrap();
    scene.put("a.txt", "");
    assert_eq!(
        scene.code("file.read", json!({ "path": "no.txt" })).await,
        "FILE_NOT_FOUND"
    );
    assert_eq!(
        scene
            .code("file.read", json!({ "path": "no/no.txt" }))
            .await,
        "FILE_NOT_FOUND"
    );
    assert_eq!(
        scene.code("file.read", json!({ "path": "folder" })).await,
        "FILE_IS_FOLDER"
    );
    assert_eq!(
        scene.code("file.read", json!({ "path": "a.txt/b" })).await,
        "FILE_NOT_A_FOLDER"
    );
    assert_eq!(
        scene.code("file.read", json!({ "path": "" })).await,
        "FILE_PATH"
    );
    assert_eq!(
        scene
            .code("file.read", json!({ "path": "x".repeat(300) }))
            .await,
        "FILE_PATH"
    );
    assert_eq!(
        scene.code("file.read", json!({ "path": "." })).await,
        "FILE_IS_FOLDER"
    );
    for mode in ["create", "overwrite", "append"] {
        let input = json!({ "path": "folder", "content": "x", "mode": mode });
        let code = scene.code("file.write", input).await;
        assert_eq!(
            code,
            if mode == "create" {
                "FILE_EXISTS"
            } else {
                "FILE_IS_FOLDER"
            }
        );
        let input = json!({ "path": "no/a.txt", "content": "x", "mode": mode });
        assert_eq!(scene.code("file.write", input).await, "FILE_NOT_FOUND");
    }
    assert_eq!(
        scene.code("file.list", json!({ "path": "a.txt" })).await,
        "FILE_NOT_A_FOLDER"
    );
    assert_eq!(
        scene.code("file.list", json!({ "path": "no" })).await,
        "FILE_NOT_FOUND"
    );
}

#[tokio::test]
async fn a_fifo_or_a_socket_holds_nobody_up() {
    let scene = Scene::new();
    fifo(&scene.inside("pipe"));
    let _listener = UnixListener::bind(scene.inside("socket")).unwrap();
    for name in ["pipe", "socket"] {
        assert_eq!(
            scene.code("file.read", json!({ "path": name })).await,
            "FILE_NOT_REGULAR",
            "{name}"
        );
        for mode in ["overwrite", "append"] {
            let input = json!({ "path": name, "content": "x", "mode": mode });
            assert_eq!(
                scene.code("file.write", input).await,
                "FILE_NOT_REGULAR",
                "{name} {mode}"
            );
        }
    }
}

#[tokio::test]
async fn a_link_out_of_the_grant_is_denied_with_the_capability_that_it_would_take() {
    let scene = Scene::new();
    symlink(scene.outside("secret.txt"), scene.inside("link.txt")).unwrap();
    symlink(scene.outside(""), scene.inside("folder")).unwrap();
    symlink("../out/secret.txt", scene.inside("relative.txt")).unwrap();
    let real = fs::canonicalize(scene.outside("secret.txt")).unwrap();
    for path in ["link.txt", "folder/secret.txt", "relative.txt"] {
        let error = scene
            .run("file.read", json!({ "path": path }))
            .await
            .unwrap_err();
        assert_eq!(error.code, "PATH_LEAVES_GRANT", "{path}");
        let capability = format!("fs:read:{}", real.display());
        assert_eq!(error.class, ErrorClass::Denied { capability }, "{path}");
        for mode in ["overwrite", "append"] {
            let input = json!({ "path": path, "content": "x", "mode": mode });
            assert_eq!(
                scene.code("file.write", input).await,
                "PATH_LEAVES_GRANT",
                "{path} {mode}"
            );
        }
    }
    let input = json!({ "path": "folder/new.txt", "content": "x" });
    assert_eq!(scene.code("file.write", input).await, "PATH_LEAVES_GRANT");
    let input = json!({ "path": "folder/sub/new.txt", "content": "x", "make_folders": true });
    assert_eq!(scene.code("file.write", input).await, "PATH_LEAVES_GRANT");
    assert_eq!(
        scene.code("file.list", json!({ "path": "folder" })).await,
        "PATH_LEAVES_GRANT"
    );
    assert_eq!(fs::read_dir(scene.outside("")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(real).unwrap(), "hunter2");
}

/// How many ways out are tried at least.
const WAYS_OUT: usize = 100;

/// Paths that lead out, or to what is no file: each is text that a workflow could give.
fn ways_out(scene: &Scene) -> Vec<String> {
    let outside = scene.outside("secret.txt");
    let outside = outside.to_str().unwrap();
    fs::create_dir_all(scene.inside("sub/deep")).unwrap();
    scene.put("ok.txt", "fine");
    fifo(&scene.inside("pipe"));
    let links = [
        ("abs", outside),
        ("rel", "../out/secret.txt"),
        ("dir", "../out"),
        ("first", "second"),
        ("second", "dir"),
        ("loop", "loop"),
        ("up", ".."),
        ("upup", "../.."),
        ("sub/up", "../.."),
        ("root", "/"),
        ("proc", "/proc/self/root"),
        ("fd", "/proc/self/fd/0"),
        ("dev", "/dev/zero"),
        ("null", "/dev/null"),
        ("dangling", "../out/not-there"),
    ];
    for (name, to) in links {
        symlink(to, scene.inside(name)).unwrap();
    }
    let mut ways = Vec::new();
    for depth in 1..=10 {
        let up = "../".repeat(depth);
        ways.push(format!("{up}out/secret.txt"));
        ways.push(format!("sub/deep/../../{up}out/secret.txt"));
        ways.push(format!("./{}out/secret.txt", ".././".repeat(depth)));
        ways.push(format!("{}out//secret.txt", "..//".repeat(depth)));
    }
    for through in ["dir", "first", "second"] {
        for rest in ["secret.txt", "./secret.txt", "../out/secret.txt", ".", ""] {
            ways.push(format!("{through}/{rest}"));
        }
    }
    for through in ["up", "upup", "sub/up", "root", "proc"] {
        ways.push(format!("{through}/out/secret.txt"));
        ways.push(format!("{through}{outside}"));
        ways.push(through.to_owned());
    }
    let plain = [
        "abs",
        "rel",
        "loop",
        "loop/x",
        "fd",
        "dev",
        "null",
        "dangling",
        "pipe",
        "..",
        "../",
        "../..",
        "sub/../..",
        "sub/../../in/../out/secret.txt",
        "ok.txt/..",
        "ok.txt/../../out/secret.txt",
        "",
        "\0",
        "ok.txt\0",
        "\0ok.txt",
        "../out/secret.txt\0",
        "../out/secret.txt\0.txt",
        "ok\0/../../out/secret.txt",
        "..\\out\\secret.txt",
        "..\\..\\out\\secret.txt",
        "%2e%2e/out/secret.txt",
        "%2e%2e%2fout%2fsecret.txt",
        "..%2fout%2fsecret.txt",
        "..%c0%afout/secret.txt",
        "..;/out/secret.txt",
        "\u{ff0e}\u{ff0e}/out/secret.txt",
        "..\u{2215}out\u{2215}secret.txt",
        "\u{2026}/out/secret.txt",
        "~/secret.txt",
        "~root/.ssh/id_rsa",
        "$HOME/secret.txt",
        "{{ up }}/out",
        "/etc/passwd",
        "//etc/passwd",
        "/dev/zero",
        "/dev/stdin",
        "/dev/fd/0",
        "/dev/tcp/127.0.0.1/80",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/self/root/etc/passwd",
        "/proc/1/cwd",
        "/",
        "//",
        "/..",
        "C:\\Windows\\win.ini",
        "\\\\host\\share\\x",
        "file:///etc/passwd",
    ];
    ways.extend(plain.map(str::to_owned));
    ways.extend(
        [
            outside,
            &format!("/{outside}"),
            &format!("file://{outside}"),
        ]
        .map(str::to_owned),
    );
    ways.push(format!("{}/../out/secret.txt", scene.inside("").display()));
    for length in [256, 4_096, 100_000] {
        ways.push("x".repeat(length));
        ways.push(format!("../out/{}", "x".repeat(length)));
    }
    ways.push(format!("{}out/secret.txt", "../".repeat(3_000)));
    ways.push(format!("{}x", "sub/../".repeat(3_000)));
    ways
}

/// Guard: paths are opened below the handle of what is granted, links are followed within it alone, and
/// only regular files are read. Each way out is tried to be read, listed and written in every mode.
#[tokio::test]
async fn no_path_leads_out_of_the_grant() {
    let mut scene = Scene::new();
    let mut ways = ways_out(&scene);
    let all = ways.len();
    ways.sort();
    ways.dedup();
    assert!(ways.len() == all && all >= WAYS_OUT, "{all}");
    let mut led = Vec::new();
    for way in &ways {
        let read = scene.run("file.read", json!({ "path": way })).await;
        if let Ok(value) = read {
            led.push(format!("{way:?} gives {value}"));
        }
        let listed = scene.run("file.list", json!({ "path": way })).await;
        if let Ok(value) = listed
            && value.to_string().contains("secret.txt")
        {
            led.push(format!("{way:?} lists {value}"));
        }
    }
    for (way, mode) in ways
        .iter()
        .flat_map(|way| ["create", "overwrite", "append"].map(|mode| (way, mode)))
    {
        let input =
            json!({ "path": way, "content": "changed", "mode": mode, "make_folders": true });
        // What is a plain name in spite of its looks may be written: within the grant.
        let _ = scene.run("file.write", input).await;
        let there = fs::read_dir(scene.outside("")).unwrap().count();
        let secret = fs::read_to_string(scene.outside("secret.txt")).unwrap();
        let beside = fs::read_dir(scene.temp.path()).unwrap().count();
        if (there, &*secret, beside) != (1, "hunter2", 2) {
            led.push(format!("{way:?} is written ({mode})"));
        }
    }
    assert!(led.is_empty(), "{}", led.join("\n"));
    // The same text leads there where it is granted.
    scene.grant(&["fs:read:.."]);
    let input = json!({ "path": "../out/secret.txt" });
    let read = scene.run("file.read", input).await.unwrap();
    assert_eq!(read["text"], "hunter2");
}

#[tokio::test]
async fn a_link_within_the_grant_is_followed() {
    let scene = Scene::new();
    scene.put("real.txt", "one");
    symlink("real.txt", scene.inside("link.txt")).unwrap();
    let read = scene
        .run("file.read", json!({ "path": "link.txt" }))
        .await
        .unwrap();
    assert_eq!(read["text"], "one");
    let input = json!({ "path": "link.txt", "content": "two", "mode": "overwrite" });
    scene.run("file.write", input).await.unwrap();
    assert_eq!(scene.content("real.txt"), "two");
    assert!(
        fs::symlink_metadata(scene.inside("link.txt"))
            .unwrap()
            .is_symlink()
    );
}

#[tokio::test]
async fn a_grant_for_one_file_opens_that_file_and_nothing_beside_it() {
    let mut scene = Scene::new();
    scene.put("a.txt", "a");
    scene.put("b.txt", "b");
    symlink("b.txt", scene.inside("link.txt")).unwrap();
    scene.grant(&[
        "fs:read:a.txt",
        "fs:read:link.txt",
        "fs:write:a.txt",
        "fs:write:link.txt",
    ]);
    assert_eq!(
        scene
            .run("file.read", json!({ "path": "a.txt" }))
            .await
            .unwrap()["text"],
        "a"
    );
    assert_eq!(
        scene.code("file.read", json!({ "path": "b.txt" })).await,
        "CAPABILITY_DENIED"
    );
    assert_eq!(
        scene.code("file.read", json!({ "path": "link.txt" })).await,
        "PATH_LEAVES_GRANT"
    );
    for mode in ["overwrite", "append"] {
        let input = json!({ "path": "link.txt", "content": "x", "mode": mode });
        assert_eq!(scene.code("file.write", input).await, "PATH_LEAVES_GRANT");
        let input = json!({ "path": "a.txt", "content": "x", "mode": mode });
        scene.run("file.write", input).await.unwrap();
    }
    assert_eq!(
        (scene.content("a.txt"), scene.content("b.txt")),
        ("xx".to_owned(), "b".to_owned())
    );
}

#[tokio::test]
async fn without_a_grant_nothing_opens() {
    let mut scene = Scene::new();
    scene.put("a.txt", "a");
    assert_eq!(
        scene
            .code("file.read", json!({ "path": "../out/secret.txt" }))
            .await,
        "CAPABILITY_DENIED"
    );
    scene.grant(&["fs:read:."]);
    let error = scene
        .run("file.write", json!({ "path": "new.txt", "content": "x" }))
        .await
        .unwrap_err();
    let capability = format!("fs:write:{}", scene.inside("new.txt").display());
    assert_eq!(error.class, ErrorClass::Denied { capability });
    scene.grant(&[]);
    assert_eq!(
        scene.code("file.read", json!({ "path": "a.txt" })).await,
        "CAPABILITY_DENIED"
    );
    assert_eq!(
        scene.code("file.list", json!({ "path": "." })).await,
        "CAPABILITY_DENIED"
    );
}

#[tokio::test]
async fn closed_places_stay_closed_also_behind_a_link() {
    let scene = Scene::new();
    for closed in ["data", ".git"] {
        fs::create_dir(scene.inside(closed)).unwrap();
        scene.put(&format!("{closed}/a.txt"), "hunter2");
    }
    symlink("data", scene.inside("one")).unwrap();
    symlink(".git/a.txt", scene.inside("two")).unwrap();
    for path in ["data/a.txt", ".git/a.txt", "one/a.txt", "two"] {
        assert_eq!(
            scene.code("file.read", json!({ "path": path })).await,
            "PATH_PROTECTED",
            "{path}"
        );
        let input = json!({ "path": path, "content": "x", "mode": "overwrite" });
        assert_eq!(
            scene.code("file.write", input).await,
            "PATH_PROTECTED",
            "{path}"
        );
    }
    let input = json!({ "path": "one/deep/a.txt", "content": "x", "make_folders": true });
    assert_eq!(scene.code("file.write", input).await, "PATH_PROTECTED");
    assert!(!scene.inside("data/deep").exists());
    assert_eq!(scene.names(json!({ "path": "." })).await, ["one", "two"]);
}

#[tokio::test]
async fn create_makes_a_new_file_and_touches_none_that_is_there() {
    let scene = Scene::new();
    let input = json!({ "path": "a.txt", "content": "one" });
    let written = scene.run("file.write", input.clone()).await.unwrap();
    assert_eq!(
        written,
        json!({ "path": scene.inside("a.txt"), "bytes": 3 })
    );
    assert_eq!(scene.code("file.write", input).await, "FILE_EXISTS");
    symlink("nowhere", scene.inside("dangling")).unwrap();
    assert_eq!(
        scene
            .code("file.write", json!({ "path": "dangling", "content": "x" }))
            .await,
        "FILE_EXISTS"
    );
    assert_eq!(scene.content("a.txt"), "one");
    assert!(!scene.inside("nowhere").exists());
}

#[tokio::test]
async fn a_lost_create_is_found_again_by_its_content() {
    let scene = Scene::new();
    let write = action("file.write");
    let asked = async |path: &str, mode: &str| {
        let input = json!({ "path": path, "content": "one", "mode": mode });
        write.reconcile(&scene.context, &input).await.unwrap()
    };
    assert_eq!(asked("a.txt", "create").await, Reconciled::NotHappened);
    assert_eq!(asked("no/a.txt", "create").await, Reconciled::NotHappened);
    scene.put("a.txt", "one");
    let result = json!({ "path": scene.inside("a.txt"), "bytes": 3 });
    assert_eq!(asked("a.txt", "create").await, Reconciled::Happened(result));
    scene.put("a.txt", "on");
    assert_eq!(asked("a.txt", "create").await, Reconciled::Unknown);
    assert_eq!(asked("a.txt", "append").await, Reconciled::Unknown);
}

#[tokio::test]
async fn overwrite_replaces_the_whole_content_and_leaves_nothing_beside_it() {
    let scene = Scene::new();
    scene.put("a.txt", "a long old content");
    fs::set_permissions(scene.inside("a.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::File::open(scene.inside("a.txt")).unwrap();
    let input = json!({ "path": "a.txt", "content": "new", "mode": "overwrite" });
    scene.run("file.write", input.clone()).await.unwrap();
    scene.run("file.write", input).await.unwrap();
    assert_eq!(scene.content("a.txt"), "new");
    assert_eq!(
        std::io::read_to_string(before).unwrap(),
        "a long old content",
        "a reader keeps the old one"
    );
    let mode = fs::metadata(scene.inside("a.txt"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(scene.names(json!({ "path": "." })).await, ["a.txt"]);
    let input = json!({ "path": "b.txt", "content": "fresh", "mode": "overwrite" });
    scene.run("file.write", input).await.unwrap();
    assert_eq!(scene.content("b.txt"), "fresh");
}

#[tokio::test]
async fn what_a_crash_left_beside_the_file_does_not_stop_the_next_attempt() {
    let scene = Scene::new();
    let input = json!({ "path": "a.txt", "content": "new", "mode": "overwrite" });
    let digest = nebula_core::Digest::of(b"key").to_string();
    scene.put(&format!(".a.txt.nebula-{}.tmp", &digest[..16]), "half");
    scene.run("file.write", input).await.unwrap();
    assert_eq!(scene.names(json!({ "path": "." })).await, ["a.txt"]);
}

#[tokio::test]
async fn append_adds_to_the_end() {
    let scene = Scene::new();
    for line in ["one\n", "two\n"] {
        let input = json!({ "path": "a.txt", "content": line, "mode": "append" });
        scene.run("file.write", input).await.unwrap();
    }
    assert_eq!(scene.content("a.txt"), "one\ntwo\n");
}

/// Guard: the number of names of a file that is appended to.
#[tokio::test]
async fn what_has_another_name_outside_is_not_appended_to() {
    let scene = Scene::new();
    fs::write(scene.outside("theirs"), "theirs").unwrap();
    fs::hard_link(scene.outside("theirs"), scene.inside("ours")).unwrap();
    let write = |mode: &str| json!({ "path": "ours", "content": "!", "mode": mode });
    let refused = scene.code("file.write", write("append")).await;
    assert_eq!(refused, "FILE_HARD_LINKED");
    // A new file takes the name, and the other name keeps what it led to.
    scene.run("file.write", write("overwrite")).await.unwrap();
    assert_eq!(scene.content("ours"), "!");
    let theirs = fs::read_to_string(scene.outside("theirs")).unwrap();
    assert_eq!(theirs, "theirs");
}

#[tokio::test]
async fn folders_are_made_only_when_asked_for_and_granted() {
    let mut scene = Scene::new();
    let input = json!({ "path": "a/b/c.txt", "content": "x", "make_folders": true });
    scene.run("file.write", input.clone()).await.unwrap();
    assert_eq!(scene.content("a/b/c.txt"), "x");
    scene.grant(&["fs:write:new"]);
    let input = json!({ "path": "new/c.txt", "content": "x", "make_folders": true });
    scene.run("file.write", input).await.unwrap();
    scene.grant(&["fs:write:other/c.txt"]);
    let input = json!({ "path": "other/c.txt", "content": "x", "make_folders": true });
    let error = scene.run("file.write", input).await.unwrap_err();
    let capability = format!("fs:write:{}", scene.inside("other").display());
    assert_eq!(error.class, ErrorClass::Denied { capability });
}

#[tokio::test]
async fn bytes_are_written_from_base64() {
    let scene = Scene::new();
    let input = json!({ "path": "a.bin", "content": "/wBB", "encoding": "base64" });
    assert_eq!(scene.run("file.write", input).await.unwrap()["bytes"], 3);
    assert_eq!(fs::read(scene.inside("a.bin")).unwrap(), [0xff, 0x00, 0x41]);
    let input = json!({ "path": "b.bin", "content": "hunter2!", "encoding": "base64" });
    assert_eq!(scene.code("file.write", input).await, "FILE_CONTENT");
}

#[tokio::test]
async fn content_that_is_no_text_is_refused() {
    let scene = Scene::new();
    let input = json!({ "path": "a.txt", "content": { "a": "hunter2" } });
    let error = scene.run("file.write", input).await.unwrap_err();
    assert_eq!(
        error.class,
        ErrorClass::InvalidInput {
            pointer: "/content".to_owned()
        }
    );
    assert!(error.message.contains("text.format"), "{error}");
    assert!(!scene.inside("a.txt").exists());
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
async fn a_folder_that_the_system_closes_is_said_so() {
    let scene = Scene::new();
    let folder = scene.inside("shut");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write to read-only folders");
        return;
    }
    for mode in ["create", "overwrite", "append"] {
        let input = json!({ "path": "shut/a.txt", "content": "x", "mode": mode });
        assert_eq!(
            scene.code("file.write", input).await,
            "FILE_DENIED_BY_SYSTEM",
            "{mode}"
        );
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_folder_is_listed_sorted_by_name_and_links_are_not_followed() {
    let scene = Scene::new();
    scene.put("b.md", "12345");
    scene.put("a.txt", "");
    fs::create_dir(scene.inside("c")).unwrap();
    symlink(scene.outside("secret.txt"), scene.inside("d")).unwrap();
    fifo(&scene.inside("e"));
    let listed = scene
        .run("file.list", json!({ "path": "." }))
        .await
        .unwrap();
    let shown: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            format!(
                "{} {}",
                entry["name"].as_str().unwrap(),
                entry["kind"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        shown,
        ["a.txt file", "b.md file", "c folder", "d link", "e other"]
    );
    assert_eq!(listed[1]["size"], 5);
    assert_eq!(listed[1]["path"], json!(scene.inside("b.md")));
    assert!(listed[1]["modified"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        scene.names(json!({ "path": ".", "pattern": "*.md" })).await,
        ["b.md"]
    );
    assert_eq!(scene.names(json!({ "path": "c" })).await, [""; 0]);
}

#[tokio::test]
async fn a_list_is_never_cut() {
    let scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.put(name, "");
    }
    assert_eq!(
        scene
            .names(json!({ "path": ".", "max_entries": 3 }))
            .await
            .len(),
        3
    );
    let error = scene
        .run("file.list", json!({ "path": ".", "max_entries": 2 }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.class),
        ("FILE_TOO_MANY_ENTRIES", ErrorClass::LimitExceeded)
    );
}

#[test]
fn effects_and_capabilities_follow_from_the_parameters() {
    use nebula_action::{EffectClass, Literal};
    let metadata = action("file.write").metadata().clone();
    let class = |literal: Literal| metadata.effect.class(|_| literal.clone());
    assert_eq!(class(Literal::Absent), EffectClass::AtMostOnce);
    assert_eq!(
        class(Literal::Known(json!("overwrite"))),
        EffectClass::Idempotent
    );
    assert_eq!(class(Literal::Dynamic), EffectClass::AtMostOnce);
    assert_eq!(metadata.capabilities.len(), 1);
}
