//! The files of `deploy/`: what they set is there to be set, and what stands around it fits.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nebula_testkit::servers::Redis;
use serde_json::{Value, json};

use crate::support::{CONTROL_PLANE, Machine, SERVER, WORKER, exists};

const FOLDERS: [&str; 3] = ["compose", "kubernetes", "systemd"];

/// How much longer than its grace a worker may take.
const OVERTIME: u64 = 5;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

#[track_caller]
fn text(file: &str) -> String {
    let path = deploy().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands behind each place where `before` does, up to the end of the word.
fn words<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '}' | ']');
    let behind = text.split(before).skip(1);
    behind
        .map(|it| it.trim_start_matches([' ', '"']))
        .map(|it| it.split(ends).next().unwrap_or_default())
        .collect()
}

/// The one number behind `before`, in seconds if it is a time.
#[track_caller]
fn number(text: &str, before: &str) -> u64 {
    let words = words(text, before);
    let [word] = words[..] else {
        panic!("{before:?} stands there {} times", words.len());
    };
    word.trim_end_matches('s').parse().unwrap()
}

fn seconds(settings: &Value, group: &str) -> u64 {
    let text = settings[group]["grace"].as_str().unwrap();
    text.strip_suffix('s').unwrap().parse().unwrap()
}

fn port(address: &Value) -> u64 {
    let address = address.as_str().unwrap();
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// What a program makes of a file of settings, whose addresses lie in files of this test.
#[track_caller]
fn shown(machine: &Machine, folder: &str, program: &str, more: &[&str]) -> Value {
    let mut settings = text(&format!("{folder}/{program}.toml"));
    for name in ["storage", "queue"] {
        let file = machine.work().join(name);
        fs::write(&file, "postgres://nebula:secret@database/nebula\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        for place in ["/run/secrets", "/run/nebula", "/etc/nebula"] {
            let there = format!("\"{place}/{name}\"");
            settings = settings.replace(&there, &format!("\"{}\"", file.display()));
        }
    }
    let file = machine.setting(&format!("{folder}-{program}.toml"), &settings);
    let config = ["--config", file.to_str().unwrap()];
    let arguments = [&config, more, &["config", "show"]].concat();
    machine.ends(program, &arguments).exits(0).json()
}

/// The settings of each program that a folder has some for.
fn all(machine: &Machine, folder: &str) -> BTreeMap<String, Value> {
    let entries = fs::read_dir(deploy().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let programs = names.filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned()));
    programs
        .map(|program| (program.clone(), shown(machine, folder, &program, &[])))
        .collect()
}

#[test]
fn the_settings_are_known_and_the_same_where_they_must_be() {
    let machine = Machine::new();
    for folder in FOLDERS {
        let all = all(&machine, folder);
        let (plane, worker) = (&all[CONTROL_PLANE], &all[WORKER]);
        for group in ["storage", "queue", "shared", "secrets"] {
            assert_eq!(plane[group], worker[group], "{folder}: {group}");
        }
        for (group, key) in [
            ("shared", "blobs"),
            ("shared", "resume_key"),
            ("secrets", "path"),
            ("secrets", "key_file"),
        ] {
            assert!(worker[group][key].is_string(), "{folder}: {group}.{key}");
        }
        assert_eq!(all.contains_key(SERVER), folder == "systemd");
    }
    assert!(!exists(&machine.home().join("data")), "nothing was made");
}

#[test]
fn each_program_has_longer_to_stop_than_it_takes() {
    let machine = Machine::new();
    let of = |folder: &str, program: &str| shown(&machine, folder, program, &[]);
    let (plane, worker) = (of("compose", CONTROL_PLANE), of("compose", WORKER));
    let compose = text("compose/compose.yaml");
    let (before, after) = compose.split_once("\n  worker:\n").unwrap();
    let (after, _) = after.split_once("\n  postgres:\n").unwrap();
    assert!(number(before, "stop_grace_period:") > seconds(&plane, "serve"));
    assert!(number(after, "stop_grace_period:") > seconds(&worker, "worker") + OVERTIME);

    let (plane, worker) = (of("kubernetes", CONTROL_PLANE), of("kubernetes", WORKER));
    let file = text("kubernetes/control-plane.yaml");
    let pause = number(&file, "seconds:");
    assert!(number(&file, "terminationGracePeriodSeconds:") > seconds(&plane, "serve") + pause);
    let file = text("kubernetes/worker.yaml");
    let takes = seconds(&worker, "worker") + OVERTIME;
    assert!(number(&file, "terminationGracePeriodSeconds:") > takes);

    let (plane, worker) = (of("systemd", CONTROL_PLANE), of("systemd", WORKER));
    let unit = text("systemd/nebula-control-plane.service");
    assert!(number(&unit, "TimeoutStopSec=") > seconds(&plane, "serve"));
    let unit = text("systemd/nebula-worker@.service");
    assert!(number(&unit, "TimeoutStopSec=") > seconds(&worker, "worker") + OVERTIME);
    let server = of("systemd", SERVER);
    let unit = text("systemd/nebula-server.service");
    let takes = seconds(&server, "serve") + seconds(&server, "worker") + OVERTIME;
    assert!(number(&unit, "TimeoutStopSec=") > takes);
}

#[test]
fn what_is_named_elsewhere_is_what_is_set() {
    let machine = Machine::new();
    for (program, unit) in [
        (CONTROL_PLANE, "nebula-control-plane"),
        (WORKER, "nebula-worker@"),
        (SERVER, "nebula-server"),
    ] {
        let unit = text(&format!("systemd/{unit}.service"));
        let line = unit.lines().find_map(|it| it.strip_prefix("ExecStart="));
        let mut words = line.unwrap().split(' ');
        assert_eq!(words.next().unwrap(), format!("/usr/bin/{program}"));
        assert_eq!(words.next(), Some("--config"));
        assert_eq!(words.next().unwrap(), format!("/etc/nebula/{program}.toml"));
        let flags: Vec<String> = words.map(|it| it.replace("%i", "1")).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        shown(&machine, "systemd", program, &flags);
    }

    let plane = shown(&machine, "kubernetes", CONTROL_PLANE, &[]);
    let worker = shown(&machine, "kubernetes", WORKER, &[]);
    for (file, name, address) in [
        ("control-plane", "api", &plane["serve"]["listen"]),
        ("worker", "health", &worker["health"]["listen"]),
    ] {
        let file = text(&format!("kubernetes/{file}.yaml"));
        for its in ["containerPort", "port"] {
            let its = format!("{{ name: {name}, {its}:");
            assert_eq!(number(&file, &its), port(address), "{its}");
        }
        assert_eq!(words(&file, "NEBULA_HOME, value:"), ["/var/lib/nebula"]);
    }
    let scaler = text("kubernetes/keda-redis.yaml");
    assert_eq!(
        json!(number(&scaler, "listLength:")),
        worker["worker"]["executions"]
    );
    let list = text("kubernetes/kustomization.yaml");
    let (_, list) = list.split_once("resources:\n").unwrap();
    let named = list.lines().map_while(|line| line.strip_prefix("  - "));
    for file in named {
        text(&format!("kubernetes/{file}"));
    }
    let (toolchain, built) = (text("../rust-toolchain.toml"), text("Containerfile"));
    let channel = words(&toolchain, "channel =");
    assert_eq!(words(&built, "RUSTUP_TOOLCHAIN="), channel);
    assert!(built.contains(&format!("FROM rust:{}-", channel[0])));
    let compose = text("compose/compose.yaml");
    let worker = shown(&machine, "compose", WORKER, &[]);
    assert_eq!(
        number(&compose, "expose: ["),
        port(&worker["health"]["listen"])
    );
}

#[test]
fn no_variable_is_set_that_a_program_refuses() {
    let machine = Machine::new();
    // What Kubernetes would set for a service of this name, if it were let.
    let links = "NEBULA_WORKER_PORT";
    let mut shows = machine.command(WORKER, &["config", "show"]);
    let ended = shows.env(links, "tcp://10.0.0.1:7401").output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let mut files = vec![deploy().join("Containerfile")];
    for folder in FOLDERS {
        let entries = fs::read_dir(deploy().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        files.extend(paths.filter(|path| path.is_file()));
    }
    for path in files {
        let (file, path) = (fs::read_to_string(&path).unwrap(), path.display());
        for word in file.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let told = !word.starts_with("NEBULA_") || ["NEBULA_HOME", links].contains(&word);
            assert!(told, "{path}: {word}");
        }
        if file.contains("\n      containers:\n") || file.contains("\n  containers:\n") {
            assert!(file.contains("enableServiceLinks: false"), "{path}");
        }
    }
}

#[test]
fn probes_are_answered_and_a_scaler_counts_what_waits() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let machine = Machine::new();
    for program in [CONTROL_PLANE, WORKER] {
        let settings = format!("queue.address = \"{}\"\n", redis.address());
        machine.setting(&format!("{program}.toml"), &settings);
    }
    let plane = machine.control_plane();
    let one = "id: one\nnodes: [{ id: a, action: data.set, parameters: { text: Hi } }]\n";
    plane.publish("one", one);
    let started: Vec<String> = (0..3).map(|_| plane.start("one", &json!({}))).collect();
    let scaler = text("kubernetes/keda-redis.yaml");
    let (_, list) = scaler.split_once("listName: \"").unwrap();
    let (list, _) = list.split_once('"').unwrap();
    // A scaler asks for the size of a list or a set, whichever it is.
    assert_eq!(redis.asked(&["TYPE", list]).trim(), "zset");
    assert_eq!(redis.asked(&["ZCARD", list]).trim(), "3");
    let worker = machine.worker(&[]);
    plane.become_one_of(&started, &["completed"]);
    assert_eq!(redis.asked(&["ZCARD", list]).trim(), "0");

    let file = text("kubernetes/worker.yaml");
    let paths = words(&file, " path:");
    assert_eq!(paths.len(), 3, "{paths:?}");
    for path in paths {
        assert_eq!(worker.asks(path).0, 200, "{path}");
    }
    let file = text("kubernetes/control-plane.yaml");
    let paths = words(&file, " path:");
    assert_eq!(paths.len(), 3, "{paths:?}");
    // Under the name by which a probe asks; the address of a pod is none that it knows.
    assert_eq!(words(&file, "name: Host, value:"), ["localhost"; 3]);
    for path in paths {
        plane.get(path);
    }
    let query = text("kubernetes/keda-prometheus.yaml");
    for name in words(&query, "(nebula_") {
        let (name, _) = name.split_once(')').unwrap();
        worker.metric(&format!("nebula_{name}"));
    }
}
