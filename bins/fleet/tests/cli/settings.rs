//! Settings: where they come from, and what is said of wrong ones.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use crate::support::{CONTROL_PLANE, Machine, SERVER, WORKER, exists};

const ALL: [&str; 3] = [WORKER, CONTROL_PLANE, SERVER];

#[test]
fn each_value_has_a_source_and_later_layers_win() {
    let machine = Machine::new();
    machine.setting(
        "nebula-worker.toml",
        "[worker]\nexecutions = 5\ngrace = \"7s\"\n\n[pool]\ngroup = \"file\"\n",
    );
    let mut shows = machine.command(WORKER, &["--group", "flag", "config", "show", "--sources"]);
    shows
        .env("NEBULA_WORKER__EXECUTIONS", "6")
        .env("NEBULA_POOL__GROUP", "variable");
    let output = shows.output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |key: &str| {
        let it = &shown["settings"][key];
        (
            it["value"].clone(),
            it["source"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(of("pool.group"), (json!("flag"), "flag --group".to_owned()));
    let (value, source) = of("worker.executions");
    assert_eq!(value, 6);
    assert!(source.contains("NEBULA_WORKER__EXECUTIONS"), "{source}");
    let (value, source) = of("worker.grace");
    assert_eq!(value, "7s");
    assert!(source.contains("nebula-worker.toml:3"), "{source}");
    assert_eq!(of("health.listen").0, "127.0.0.1:7401");
    // What is shown is all there is, and it can be read again.
    for program in ALL {
        let shown = machine.ends(program, &["config", "show"]).exits(0);
        assert!(shown.json().is_object(), "{shown:?}");
    }
}

#[test]
fn each_preset_has_its_own_numbers() {
    let machine = Machine::new();
    let of = |program: &str| machine.ends(program, &["config", "show"]).exits(0).json();
    let server = of(SERVER);
    assert_eq!(server["engine"]["concurrency"], 64);
    assert_eq!(server["worker"]["executions"], 64);
    assert_eq!(of(WORKER)["worker"]["grace"], "20s");
    let plane = of(CONTROL_PLANE);
    assert!(plane["worker"].is_null() && plane["process"].is_null());
    assert!(of(WORKER)["serve"].is_null());
}

#[test]
fn what_is_wrong_is_told_before_anything_is_opened() {
    let machine = Machine::new();
    let says = |program: &str, text: &str, expected: &[&str]| {
        machine.setting(&format!("{program}.toml"), text);
        let mut said = machine.ends(program, &[]).exits(2);
        for expected in expected {
            said = said.says(expected);
        }
        assert_eq!(said.json()["error"]["code"], "SETTINGS", "{said:?}");
        said.says("what to do:")
    };
    for program in ALL {
        let file = format!("{program}.toml:2:1");
        says(
            program,
            "[storage]\nadress = \"x\"\n",
            &[&file, "`storage.adress`", "`storage.address`"],
        );
        says(
            program,
            "storage.address = \"sqlite:n.db\"\n",
            &["`storage.address`", "absolute"],
        );
        says(
            program,
            "storage.address = \"oracle://db/n\"\n",
            &["`oracle:`", "sqlite:/"],
        );
        says(
            program,
            "queue.address = \"pigeon:\"\n",
            &["`pigeon:`", "memory:"],
        );
        let secret = "storage.address = \"postgres://me:hunter2@db/n\"\n";
        let said = says(program, secret, &["password", "storage.address_file"]);
        assert!(!said.err.contains("hunter2"), "{said:?}");
        says(
            program,
            "shared.blobs = \"blobs\"\n",
            &["`shared.blobs`", "relative"],
        );
        says(
            program,
            "log.filter = \"a=b=c\"\n",
            &["`log.filter`", "a=b=c"],
        );
    }
    says(WORKER, "worker.executions = 0\n", &["`executions` is zero"]);
    says(WORKER, "pool.tags = [\"A B\"]\n", &["`pool.tags`", "`A B`"]);
    says(WORKER, "serve.listen = \"127.0.0.1:1\"\n", &["`serve`"]);
    says(
        CONTROL_PLANE,
        "process.allow = [\"/bin/true\"]\n",
        &["`process`"],
    );
    says(
        SERVER,
        "process.allow = [\"true\"]\n",
        &["`process.allow`", "relative"],
    );
    assert!(!exists(&machine.home().join("data")), "nothing was made");
    machine
        .ends(WORKER, &["--config", "/nowhere.toml"])
        .exits(2)
        .says("/nowhere.toml");
    machine
        .ends(WORKER, &["--concurrency", "many"])
        .exits(2)
        .says("many");
    let open = ["--listen", "0.0.0.0:0"];
    machine.setting("nebula-control-plane.toml", "");
    machine
        .ends(CONTROL_PLANE, &open)
        .exits(2)
        .says("nothing there would be encrypted");
}

#[test]
fn what_is_around_a_program_is_told_with_what_to_do() {
    let machine = Machine::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = machine.ends(WORKER, &["--health", &address]).exits(3);
    assert_eq!(said.json()["error"]["code"], "PORT_UNUSABLE");
    said.says(&address).says("--health");
    let said = machine
        .ends(CONTROL_PLANE, &["--listen", &address])
        .exits(3);
    said.says(&address).says("--listen");
    // A file that is no database.
    let file = machine.work().join("n.db");
    fs::write(
        &file,
        "no database, but text that is long enough to be read as the head of one; ".repeat(20),
    )
    .unwrap();
    let given = format!("sqlite:{}", file.display());
    for program in ALL {
        // No test may need a port that another one has.
        let health = match program {
            WORKER => ["--health", "127.0.0.1:0"],
            _ => ["--listen", "127.0.0.1:0"],
        };
        let arguments = [&health[..], &["--storage", &given]].concat();
        let said = machine.ends(program, &arguments).exits(3);
        assert!(said.err.contains("n.db"), "{said:?}");
        let said = machine
            .ends(program, &["--storage", &given, "doctor"])
            .exits(3);
        let document = said.json();
        assert_eq!(document["healthy"], false);
        let checks = document["checks"].as_array().unwrap();
        let storage = checks.iter().find(|it| it["check"] == "storage").unwrap();
        assert_eq!(storage["verdict"], "failed", "{document}");
    }
}

#[test]
fn a_doctor_looks_and_makes_nothing() {
    let machine = Machine::new();
    for program in ALL {
        let document = machine.ends(program, &["doctor"]).exits(0).json();
        assert_eq!(document["healthy"], true, "{document}");
        let of = |check: &str| {
            let mut checks = document["checks"].as_array().unwrap().iter();
            checks.find(|it| it["check"] == check).unwrap().clone()
        };
        assert_eq!(of("queue")["verdict"], "warning");
        assert!(
            of("storage")["detail"]
                .as_str()
                .unwrap()
                .contains("not there yet")
        );
        assert_eq!(of("secrets")["verdict"], "ok");
        assert!(!exists(&machine.home().join("data/nebula.db")));
        // What cannot be read is one check of several.
        machine.setting(&format!("{program}.toml"), "nothing = 1\n");
        let document = machine.ends(program, &["doctor"]).exits(3).json();
        let settings = &document["checks"][1];
        assert_eq!(
            (&settings["check"], &settings["verdict"]),
            (&json!("settings"), &json!("failed"))
        );
        machine.setting(&format!("{program}.toml"), "");
    }
    let _plane = machine.control_plane();
    let document = machine.ends(WORKER, &["doctor"]).exits(0).json();
    let text = document.to_string();
    assert!(text.contains("sqlite: it answers"), "{text}");
    let key = machine.home().join("config/secrets.key");
    assert!(!exists(&key), "no secret was set");
    // An address in a file that others read is refused.
    let file = machine.setting("address", "sqlite:/tmp/n.db\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    machine.setting(
        "nebula-worker.toml",
        &format!("storage.address_file = \"{}\"\n", file.display()),
    );
    machine.ends(WORKER, &["doctor"]).exits(3);
    machine.ends(WORKER, &[]).exits(2).says("chmod 600");
}
