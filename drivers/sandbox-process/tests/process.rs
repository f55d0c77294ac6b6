//! `process.run` with real programs: what it gives, and every way in which one could get away.
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use nebula_action::{
    Action as _, ActionContext, ActionError, Capability, ErrorClass, Grants, Protected,
};
use nebula_core::{Clock as _, ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_sandbox_process::{KEY_VARIABLE, ProcessConfig, ProcessRun, Programs};
use nebula_system::SystemClock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SH: &str = "/bin/sh";
const CAT: &str = "/bin/cat";

/// Programs that may run, and a folder `in` that is granted, beside a folder `out` that is not.
struct Scene {
    temp: TempDir,
    context: ActionContext,
    action: ProcessRun,
}

impl Scene {
    fn new() -> Self {
        Self::of(&[SH, CAT, "/usr/bin/env", "/bin/ls", "/bin/pwd"])
    }

    fn of(allowed: &[&str]) -> Self {
        let temp = TempDir::new().unwrap();
        fs::create_dir(temp.path().join("in")).unwrap();
        fs::create_dir(temp.path().join("out")).unwrap();
        let inside = fs::canonicalize(temp.path().join("in")).unwrap();
        let context = ActionContext {
            tenant: TenantId::local(),
            execution: ExecutionId::from_bytes([0; 16]),
            workflow: WorkflowId::new("w").unwrap(),
            node: NodeId::new("n").unwrap(),
            attempt: 1,
            idempotency_key: "the-key".to_owned(),
            now: Timestamp::default(),
            seed: 0,
            timeout: Duration::from_secs(60),
            deadline: None,
            cancellation: CancellationToken::new(),
            heartbeat: nebula_action::Heartbeat::default(),
            grants: Grants::default(),
            protected: Protected::new([inside.join("data")]),
            http: None,
            blobs: None,
            credentials: nebula_action::Credentials::default(),
            folder: Arc::from(inside.as_path()),
            deferred: IndexMap::new(),
        };
        let config = ProcessConfig {
            allow: allowed.iter().map(PathBuf::from).collect(),
        };
        let programs = Programs::new(config, Arc::new(SystemClock::default()));
        let mut scene = Self {
            temp,
            context,
            action: ProcessRun::new(Arc::new(programs)),
        };
        let process: Vec<String> = [SH, CAT, "/usr/bin/env", "/bin/ls", "/bin/pwd"]
            .map(|program| format!("process:{program}"))
            .into();
        scene.grant(process.iter().map(String::as_str).chain(["fs:write:."]));
        scene
    }

    fn grant<'a>(&mut self, capabilities: impl IntoIterator<Item = &'a str>) {
        let base = self.inside("");
        let parsed = capabilities
            .into_iter()
            .map(|text| Capability::parse(text, &base).unwrap());
        self.context.grants = Grants::new(parsed);
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.temp.path().join("in").join(name)
    }

    async fn run(&self, input: Value) -> Result<Value, ActionError> {
        let result = self.action.execute(&self.context, input).await;
        result.map(|result| result.value)
    }

    /// What a shell script comes to: a shell only so that there is something to run.
    async fn script(&self, script: &str, more: Value) -> Result<Value, ActionError> {
        let mut input = json!({ "program": SH, "args": ["-c", script] });
        let input_map = input.as_object_mut().unwrap();
        input_map.extend(more.as_object().unwrap().clone());
        self.run(input).await
    }

    async fn code(&self, input: Value) -> String {
        match self.run(input).await {
            Ok(value) => panic!("no error but {value}"),
            Err(error) => error.code.to_string(),
        }
    }

    /// Waits until a script has written a number there.
    async fn number_in(&self, name: &str) -> u32 {
        let clock = SystemClock::default();
        for _ in 0..1_000 {
            let text = fs::read_to_string(self.inside(name)).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                return number.parse().unwrap();
            }
            clock.sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} was not written");
    }
}

fn there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether a process runs; a dead one whose new parent has not looked yet does not.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

async fn until_ended(pids: &[u32]) {
    let clock = SystemClock::default();
    for _ in 0..1_000 {
        if pids.iter().all(|pid| !runs(*pid)) {
            return;
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
    panic!("one of {pids:?} runs on");
}

#[tokio::test]
async fn it_gives_what_the_program_left() {
    let scene = Scene::new();
    let script = "cat; printf '%s' \"$1\" >&2; exit 3";
    let input = json!({
        "program": SH,
        "args": ["-c", script, "sh", "$(id); `id` && x"],
        "stdin": { "a": [1] },
        "output": "json",
        "expect": [0, 3],
    });
    let mut out = scene.run(input).await.unwrap();
    out["duration_ms"].take();
    let expected = json!({
        "exit_code": 3, "stdout": { "a": [1] }, "stderr": "$(id); `id` && x",
        "cut": false, "duration_ms": null,
    });
    assert_eq!(out, expected);
    let base64 = json!({ "stdin": "é", "program": CAT, "output": "base64" });
    assert_eq!(scene.run(base64).await.unwrap()["stdout"], json!("w6k="));
}

/// Guard: the environment is emptied.
#[tokio::test]
async fn a_program_sees_the_variables_that_were_named_and_no_other() {
    let scene = Scene::new();
    let named = json!({ "program": "/usr/bin/env", "env": { "A": "1", "b_2": "x y" } });
    assert_eq!(
        scene.run(named).await.unwrap()["stdout"],
        json!("A=1\nb_2=x y\n")
    );
    let none = json!({ "program": "/usr/bin/env" });
    assert_eq!(scene.run(none).await.unwrap()["stdout"], json!(""));
    let keyed = json!({ "program": "/usr/bin/env", "effect": "keyed" });
    let expected = json!(format!("{KEY_VARIABLE}=the-key\n"));
    assert_eq!(scene.run(keyed).await.unwrap()["stdout"], expected);
}

/// Guards: the loader's variables, the engine's own, names that are none.
#[tokio::test]
async fn a_variable_that_would_run_other_code_is_refused() {
    let scene = Scene::new();
    for name in [
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "GLIBC_TUNABLES",
        KEY_VARIABLE,
        "A=B",
        "1",
        "",
    ] {
        let input = json!({ "program": "/usr/bin/env", "env": { name: "x" } });
        assert_eq!(scene.code(input).await, "PROCESS_PARAMETER", "{name}");
    }
}

/// Guards: the operator's list; the grant. Neither is enough.
#[tokio::test]
async fn a_program_runs_only_if_it_is_listed_and_granted() {
    let mark = |scene: &Scene| scene.inside("mark").display().to_string();
    let touch =
        |scene: &Scene| json!({ "program": SH, "args": ["-c", format!("echo > {}", mark(scene))] });
    let unlisted = Scene::of(&[]);
    let error = unlisted.run(touch(&unlisted)).await.unwrap_err();
    assert_eq!(error.code, "PROCESS_NOT_ALLOWED");
    assert!(error.message.contains("process.allow"), "{error}");
    assert!(!unlisted.inside("mark").exists());
    let other = Scene::of(&[CAT]);
    assert_eq!(other.code(touch(&other)).await, "PROCESS_NOT_ALLOWED");
    let mut ungranted = Scene::new();
    ungranted.grant(["process:/bin/cat"]);
    assert_eq!(ungranted.code(touch(&ungranted)).await, "CAPABILITY_DENIED");
    assert!(!ungranted.inside("mark").exists());
    let listed = Scene::new();
    listed.run(touch(&listed)).await.unwrap();
    assert!(listed.inside("mark").exists());
}

/// Guard: the folder is opened below its grant.
#[tokio::test]
async fn a_program_begins_in_a_granted_folder() {
    let scene = Scene::new();
    let pwd = |directory: &str| json!({ "program": SH, "args": ["-c", "cd -P . && pwd"], "directory": directory });
    let expected = |name: &str| {
        let real = fs::canonicalize(scene.inside(name)).unwrap();
        json!(format!("{}\n", real.display()))
    };
    assert_eq!(scene.run(pwd(".")).await.unwrap()["stdout"], expected(""));
    fs::create_dir(scene.inside("sub")).unwrap();
    symlink("sub", scene.inside("link")).unwrap();
    assert_eq!(
        scene.run(pwd("link")).await.unwrap()["stdout"],
        expected("sub")
    );
    let root = json!({ "program": SH, "args": ["-c", "pwd"] });
    assert_eq!(scene.run(root).await.unwrap()["stdout"], json!("/\n"));
    assert_eq!(scene.code(pwd("../out")).await, "CAPABILITY_DENIED");
    symlink("../out", scene.inside("leaves")).unwrap();
    assert_eq!(scene.code(pwd("leaves")).await, "PROCESS_DIRECTORY");
    assert_eq!(scene.code(pwd("missing")).await, "PROCESS_DIRECTORY");
    fs::create_dir(scene.inside("data")).unwrap();
    symlink("data", scene.inside("closed")).unwrap();
    assert_eq!(scene.code(pwd("data")).await, "PATH_PROTECTED");
    assert_eq!(scene.code(pwd("closed")).await, "PROCESS_DIRECTORY");
}

/// Guard: files that stay open over `exec` are marked before anything runs.
#[tokio::test]
async fn a_program_finds_no_open_file_of_the_engine() {
    let held = tempfile::NamedTempFile::new().unwrap();
    let file = held.as_file();
    rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty()).unwrap();
    let scene = Scene::new();
    let listed = json!({ "program": "/bin/ls", "args": ["-l", "/proc/self/fd"] });
    let out = scene.run(listed).await.unwrap();
    let out = out["stdout"].as_str().unwrap();
    let name = held.path().file_name().unwrap().to_str().unwrap();
    assert!(!out.contains(name), "{out}");
    // Those of its three outputs and inputs, and the folder that it lists.
    assert_eq!(
        out.lines().filter(|line| line.contains("->")).count(),
        4,
        "{out}"
    );
}

/// Guards: SIGKILL after the grace; the whole group; the status is taken.
#[tokio::test]
async fn a_cancelled_program_goes_with_all_that_it_forked_though_it_ignores_sigterm() {
    let scene = Arc::new(Scene::new());
    let stubborn = "trap '' TERM; cd \"$0\"; \
        (trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > c; while :; do sleep 1; done' & \
         sh -c 'echo $$ > b; exec sleep 600'; while :; do sleep 1; done) & \
        echo $$ > a; while :; do sleep 1; done";
    let task = {
        let (scene, place) = (scene.clone(), scene.inside("").display().to_string());
        let mut set = tokio::task::JoinSet::new();
        set.spawn(async move {
            scene
                .run(json!({ "program": SH, "args": ["-c", stubborn, place] }))
                .await
        });
        set
    };
    let mut task = task;
    let pids = [
        scene.number_in("a").await,
        scene.number_in("b").await,
        scene.number_in("c").await,
    ];
    assert!(pids.iter().all(|pid| runs(*pid)));
    scene.context.cancellation.cancel();
    let error = task.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.class),
        ("CANCELLED", ErrorClass::Unknown)
    );
    assert!(!there(pids[0]), "its status was taken");
    until_ended(&pids).await;
}

/// Guard: the watch goes on when its caller leaves, and ends the group.
#[tokio::test]
async fn a_program_whose_caller_left_is_ended() {
    let scene = Scene::new();
    let place = scene.inside("").display().to_string();
    let script = "trap '' TERM; cd \"$0\"; sleep 600 & echo $! > b; echo $$ > a; wait; sleep 600";
    let input = json!({ "program": SH, "args": ["-c", script, place] });
    let pids = tokio::select! {
        ended = scene.run(input) => panic!("{ended:?}"),
        pids = async { [scene.number_in("a").await, scene.number_in("b").await] } => pids,
    };
    until_ended(&pids).await;
    let clock = SystemClock::default();
    for _ in 0..500 {
        if !there(pids[0]) {
            return;
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
    panic!("a zombie stayed");
}

/// Guard: the runner kills what it has not waited for.
#[tokio::test]
async fn a_runner_that_goes_takes_its_programs_along() {
    let scene = Scene::new();
    let place = scene.inside("").display().to_string();
    let script = "trap '' TERM; cd \"$0\"; sleep 600 & echo $! > b; echo $$ > a; wait; sleep 600";
    let input = json!({ "program": SH, "args": ["-c", script, place] });
    let pids = tokio::select! {
        ended = scene.run(input) => panic!("{ended:?}"),
        pids = async { [scene.number_in("a").await, scene.number_in("b").await] } => pids,
    };
    drop(scene);
    until_ended(&pids).await;
    assert!(!there(pids[0]), "a zombie stayed");
}

/// Guard: the rest of the group is killed once its leader has ended.
#[tokio::test]
async fn what_a_program_leaves_running_in_its_group_ends_with_it() {
    let scene = Scene::new();
    let script = "sleep 600 & echo $! ; exit 0";
    let out = scene.script(script, json!({})).await.unwrap();
    let pid = out["stdout"].as_str().unwrap().trim().parse().unwrap();
    until_ended(&[pid]).await;
    assert!(out["duration_ms"].as_u64().unwrap() < 30_000, "{out}");
}

/// Guard: what left the group and holds the output is not waited for.
#[tokio::test]
async fn a_daemon_that_keeps_the_output_open_holds_nothing_up() {
    let scene = Scene::new();
    let script = "setsid sleep 600 & echo $!";
    let out = scene.script(script, json!({})).await.unwrap();
    let pid: i32 = out["stdout"].as_str().unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // It may be about to leave the group still; then it was killed with it.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    assert!(out["duration_ms"].as_u64().unwrap() < 30_000, "{out}");
}

/// Guard: an output is read to its end, and only its beginning kept.
#[tokio::test]
async fn an_output_of_any_length_is_cut_and_holds_nothing_up() {
    let scene = Scene::new();
    let script =
        "head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2";
    let out = scene
        .script(script, json!({ "max_output": "1000 B" }))
        .await
        .unwrap();
    assert_eq!(out["stdout"], json!("x".repeat(1_000)));
    assert_eq!(out["stderr"], json!("y".repeat(1_000)));
    assert_eq!((&out["cut"], &out["exit_code"]), (&json!(true), &json!(0)));
}

/// Guard: input and output are moved side by side.
#[tokio::test]
async fn a_large_input_goes_through_and_one_that_is_not_read_holds_nothing_up() {
    let scene = Scene::new();
    let text = "0123456789abcdef".repeat(64 << 10);
    let through = json!({ "program": CAT, "stdin": text, "max_output": "2 MiB" });
    assert_eq!(scene.run(through).await.unwrap()["stdout"], json!(text));
    let unread = scene.script("exit 0", json!({ "stdin": text })).await;
    assert_eq!(unread.unwrap()["exit_code"], json!(0));
}

#[tokio::test]
async fn a_program_that_fails_says_how() {
    let scene = Scene::new();
    let failed = scene
        .script("echo no such thing >&2; exit 4", json!({}))
        .await
        .unwrap_err();
    assert_eq!(
        failed.to_string(),
        "PROCESS_FAILED: /bin/sh ended with exit code 4: no such thing"
    );
    assert_eq!(failed.class, ErrorClass::Fatal);
    let again = scene
        .script("exit 75", json!({ "retry_on": [75] }))
        .await
        .unwrap_err();
    assert_eq!(again.class, ErrorClass::Retryable { after: None });
    let killed = scene.script("kill -9 $$", json!({})).await.unwrap_err();
    assert_eq!(
        (killed.code.as_str(), killed.class),
        ("PROCESS_KILLED", ErrorClass::Unknown)
    );
    let read = scene
        .script("kill -9 $$", json!({ "effect": "read" }))
        .await
        .unwrap_err();
    assert_eq!(read.class, ErrorClass::Fatal);
    let json = scene
        .script("echo {", json!({ "output": "json" }))
        .await
        .unwrap_err();
    assert_eq!(json.code, "PROCESS_OUTPUT");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_says_why() {
    let mut scene = Scene::of(&["/nowhere/at/all", "/etc/hostname"]);
    scene.grant(["process:/nowhere/at/all", "process:/etc/hostname"]);
    for program in ["/nowhere/at/all", "/etc/hostname"] {
        let error = scene.run(json!({ "program": program })).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.class),
            ("PROCESS_START", ErrorClass::Fatal),
            "{program}"
        );
    }
    let script = scene.inside("plain.sh");
    fs::write(&script, "#!/bin/sh\necho fine\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let path = fs::canonicalize(&script).unwrap().display().to_string();
    let mut scene = Scene::of(&[&path]);
    scene.grant([format!("process:{path}").as_str()]);
    assert_eq!(
        scene.run(json!({ "program": path })).await.unwrap()["stdout"],
        json!("fine\n")
    );
}

/// Guards: what a call may take.
#[tokio::test]
async fn a_call_has_its_limits() {
    let scene = Scene::new();
    let many: Vec<&str> = vec!["x"; 1_025];
    for (input, code) in [
        (
            json!({ "program": CAT, "max_output": "65 MiB" }),
            "PROCESS_PARAMETER",
        ),
        (json!({ "program": CAT, "args": many }), "PROCESS_PARAMETER"),
        (
            json!({ "program": CAT, "args": ["x".repeat(200_000)] }),
            "PROCESS_PARAMETER",
        ),
        (
            json!({ "program": CAT, "args": ["a\0b"] }),
            "PROCESS_PARAMETER",
        ),
        (
            json!({ "program": CAT, "env": { "A": "a\0b" } }),
            "PROCESS_PARAMETER",
        ),
        (
            json!({ "program": CAT, "stdin": "x".repeat((64 << 20) + 1) }),
            "PROCESS_INPUT_TOO_LARGE",
        ),
        (json!({ "program": "cat" }), "PROCESS_PROGRAM"),
    ] {
        assert_eq!(scene.code(input).await, code);
    }
}
