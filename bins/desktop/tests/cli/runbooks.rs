//! Runbooks as files of workflows, and a service that breaks while the engine that heals it is killed.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    serve::Serving,
    support::{User, lines, wait_until},
};

/// Where the service of the tests listens, for the process that is one.
const PORT: &str = "NEBULA_TEST_SERVICE_PORT";

/// The folder that the example names.
const FOLDER: &str = "/srv/ledger";

/// What starts the service in the example.
const STARTS: &str = "/usr/bin/python3 -m http.server --bind 127.0.0.1 8099";

/// A service in a process of its own: this test program with a port in its environment, until it is
/// killed. Without one there is nothing to do.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variable says that this process is the service, not the tests"
)]
fn a_service_of_the_tests_answers_where_it_is_told_to() {
    let Ok(port) = std::env::var(PORT) else {
        return;
    };
    let Ok(listener) = TcpListener::bind(format!("127.0.0.1:{port}")) else {
        return;
    };
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    }
}

/// The example with a port and a folder of its own, a user who has published it, and their service.
struct Shop {
    user: User,
    port: u16,
}

impl Shop {
    fn new(change: impl Fn(&str, String) -> String) -> Self {
        let user = User::new();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let shop = Self { user, port };
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/heal-service");
        for name in [
            "watch.yaml",
            "heal.yaml",
            "page.yaml",
            "restart.sh",
            "nebula.toml",
        ] {
            let text = fs::read_to_string(example.join(name)).unwrap();
            let text = text
                .replace(STARTS, &shop.starts())
                .replace("8099", &port.to_string())
                .replace(FOLDER, shop.user.work().to_str().unwrap())
                .replace("every: 10s", "every: 1s")
                .replace("duration: 3s", "duration: 2s");
            shop.user.write(name, &change(name, text));
        }
        let config = shop.user.home().join("config");
        fs::create_dir_all(&config).unwrap();
        let settings = fs::read_to_string(shop.file("nebula.toml")).unwrap();
        // What a killed engine held is taken over after its lease.
        let settings = format!("{settings}\n[worker]\nlease_ttl = \"3s\"\n");
        fs::write(config.join("nebula.toml"), settings).unwrap();
        fs::set_permissions(shop.file("restart.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, id) in [
            ("page", "page"),
            ("heal", "heal-ledger"),
            ("watch", "watch-ledger"),
        ] {
            let file = format!("{name}.yaml");
            shop.user.nebula(&["workflows", "push", &file]).exits(0);
            let draft = format!("{id}@draft");
            shop.user.nebula(&["workflows", "publish", &draft]).exits(0);
        }
        shop
    }

    /// The command that is the service.
    fn starts(&self) -> String {
        let program = std::env::current_exe().unwrap();
        let test = "runbooks::a_service_of_the_tests_answers_where_it_is_told_to";
        format!(
            "/usr/bin/env {PORT}={} {} --exact {test}",
            self.port,
            program.display()
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.user.work().join(name)
    }

    /// Starts the service as a person does.
    fn start(&self) {
        let ended = Command::new(self.file("restart.sh")).env_clear().status();
        assert!(ended.unwrap().success());
        fs::remove_file(self.file("restarts.log")).unwrap();
        wait_until("the service answers", || self.answers());
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut answer = String::new();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200")
    }

    /// Kills the service, if there is one.
    fn break_it(&self) {
        if let Ok(pid) = fs::read_to_string(self.file("pid")) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }

    fn incidents(&self) -> Vec<Value> {
        let listed = self
            .user
            .nebula(&["incidents", "list", "--json"])
            .exits(0)
            .json();
        listed["incidents"].as_array().unwrap().clone()
    }

    /// What the timeline of the only incident says: what happened, and the text of it.
    fn timeline(&self) -> Vec<(String, String)> {
        let all = self.incidents();
        assert_eq!(all.len(), 1, "{all:?}");
        let id = all[0]["incident"].as_str().unwrap().to_owned();
        let shown = self
            .user
            .nebula(&["incidents", "show", &id, "--json"])
            .exits(0)
            .json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entries = shown["timeline"].as_array().unwrap();
        entries
            .iter()
            .map(|it| (text(&it["what"]), text(&it["text"])))
            .collect()
    }

    /// The executions of a workflow, newest first.
    fn executions(&self, workflow: &str) -> Vec<Value> {
        let list = [
            "executions",
            "list",
            "--workflow",
            workflow,
            "--limit",
            "1000",
        ];
        let listed = self.user.nebula(&list).exits(0).json();
        listed["executions"].as_array().unwrap().clone()
    }

    /// What the ended executions of the runbook gave, oldest first.
    fn outcomes(&self) -> Vec<Value> {
        let mut ended = Vec::new();
        for execution in self.executions("heal-ledger").iter().rev() {
            let id = execution["execution"].as_str().unwrap();
            let shown = self.user.nebula(&["executions", "show", id]).json();
            if shown["status"] == "completed" {
                ended.push(shown["output"].clone());
            }
        }
        ended
    }

    fn restarts(&self) -> usize {
        lines(&self.file("restarts.log")).len()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.break_it();
    }
}

/// SIGKILL while the runbook waits for the service: what was done is not done again.
#[test]
fn an_engine_that_is_killed_while_it_waits_heals_a_service_once() {
    let shop = Shop::new(|_, text| text);
    shop.start();
    let engine = Serving::start(&shop.user);
    wait_until("the service was looked at", || {
        let looked = shop.executions("watch-ledger");
        looked.iter().any(|it| it["status"] == "completed")
    });
    assert_eq!((shop.restarts(), shop.incidents().len()), (0, 0));

    shop.break_it();
    wait_until("the runbook has restarted it and waits", || {
        let begun = shop.executions("heal-ledger");
        // The oldest: those behind it wait for their turn.
        let first = begun.last();
        let waits = first.is_some_and(|it| it["status"] == "waiting" && it["wake_at"].is_string());
        waits && shop.restarts() == 1
    });
    drop(engine);
    assert_eq!(shop.incidents()[0]["status"], "open");

    let _engine = Serving::start(&shop.user);
    wait_until("the incident is resolved", || {
        shop.incidents()[0]["status"] == "resolved"
    });
    assert!(shop.answers());
    // Alerts that waited meanwhile find it well.
    wait_until("the alerts that waited are done with", || {
        let all = shop.executions("heal-ledger");
        all.iter().all(|it| it["status"] == "completed")
    });
    assert_eq!(shop.restarts(), 1, "it was restarted once");
    let timeline = shop.timeline();
    let what: Vec<_> = timeline.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["opened", "noted", "resolved"], "{timeline:?}");
    assert!(
        timeline[1]
            .1
            .contains("restart succeeded, wait_for_health succeeded, check_health succeeded"),
        "{timeline:?}"
    );
    let healed = json!({ "recovered": true, "failures": 0, "escalated": false });
    assert!(shop.outcomes().iter().all(|it| *it == healed));
    assert_eq!(shop.executions("page").len(), 0);
}

/// SIGKILL while the program runs: it is run again, since the step says that this comes to the same.
#[test]
fn an_engine_that_is_killed_while_a_program_runs_runs_it_again_and_heals_the_service() {
    // Each run of the program waits for its own file to go.
    let hold = "cd \"$(dirname \"$0\")\" || exit 1\necho begun >> begun.log\n\
        n=$(wc -l < begun.log)\nwhile [ -f hold-$((n)) ]; do sleep 0.05; done\n";
    let shop = Shop::new(|name, text| match name {
        "restart.sh" => text.replacen("cd \"$(dirname \"$0\")\" || exit 1\n", hold, 1),
        _ => text,
    });
    shop.start();
    let begun = || lines(&shop.file("begun.log")).len();
    assert_eq!(begun(), 1);
    shop.user.write("hold-2", "");
    shop.user.write("hold-3", "");
    shop.break_it();
    let engine = Serving::start(&shop.user);
    wait_until("the program runs", || begun() == 2);
    drop(engine);
    assert_eq!(shop.restarts(), 0);

    let engine = Serving::start(&shop.user);
    wait_until("the program runs again", || begun() == 3);
    fs::remove_file(shop.file("hold-3")).unwrap();
    wait_until("the incident is resolved", || {
        shop.incidents()[0]["status"] == "resolved"
    });
    assert!(shop.answers());
    assert_eq!(shop.restarts(), 1);
    drop(engine);
    // What a killed engine had begun goes on by itself, and comes to the same.
    fs::remove_file(shop.file("hold-2")).unwrap();
    wait_until("the first run has restarted it, too", || {
        shop.restarts() == 2
    });
    wait_until("the service answers", || shop.answers());
    let timeline = shop.timeline();
    let what: Vec<_> = timeline.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["opened", "noted", "resolved"], "{timeline:?}");
}

/// What does not help is counted over executions and a killed engine, and told once.
#[test]
fn what_does_not_heal_is_escalated_after_three_failures() {
    let broken = "exit 0\n";
    let shop = Shop::new(|name, text| match name {
        "restart.sh" => text.replacen("cd ", &format!("{broken}cd "), 1),
        "heal.yaml" => text.replace("duration: 2s", "duration: 100ms"),
        _ => text,
    });
    let engine = Serving::start(&shop.user);
    wait_until("it has failed once", || !shop.outcomes().is_empty());
    drop(engine);
    let engine = Serving::start(&shop.user);
    wait_until("it has failed four times", || shop.outcomes().len() >= 4);
    wait_until("a person was told", || {
        shop.executions("page")
            .iter()
            .any(|it| it["status"] == "completed")
    });
    let outcomes = shop.outcomes();
    for (index, outcome) in outcomes.iter().enumerate() {
        let failures = index + 1;
        let expected =
            json!({ "recovered": false, "failures": failures, "escalated": failures == 3 });
        assert_eq!(*outcome, expected);
    }
    let open = shop.incidents();
    assert_eq!(
        (&open[0]["status"], &open[0]["severity"]),
        (&json!("open"), &json!("critical"))
    );
    let pages = shop.executions("page");
    assert_eq!(pages.len(), 1, "told once: {pages:?}");
    let id = pages[0]["execution"].as_str().unwrap();
    let page = shop.user.nebula(&["executions", "show", id]).json();
    assert_eq!(
        page["output"]["text"],
        "heal-ledger did not heal ledger: 3 failures one after the other"
    );

    // Somebody mends what restarts it: the count begins anew.
    let mended = fs::read_to_string(shop.file("restart.sh"))
        .unwrap()
        .replacen(broken, "", 1);
    shop.user.write("restart.sh", &mended);
    wait_until("the incident is resolved", || {
        shop.incidents()[0]["status"] == "resolved"
    });
    drop(engine);
    let outcomes = shop.outcomes();
    let healed = json!({ "recovered": true, "failures": 0, "escalated": false });
    assert_eq!(*outcomes.last().unwrap(), healed);
    let counts = shop.timeline();
    let failures = counts
        .iter()
        .filter(|(_, text)| text.contains("failures one after the other: "));
    assert!(failures.count() >= 4, "{counts:?}");
}

/// The pages of the book, which are read by those who write runbooks.
const PAGE: &str = include_str!("../../../../docs/runbooks.md");

#[test]
fn every_example_of_the_page_is_a_runbook_or_workflow_that_can_be_saved() {
    let user = User::new();
    let mut checked = 0;
    for (index, block) in PAGE.split("```").skip(1).step_by(2).enumerate() {
        let (head, body) = block.split_once('\n').unwrap();
        if head == "yaml" {
            let name = format!("page-{index}.yaml");
            user.write(&name, body);
            let said = user.nebula(&["validate", &name]).exits(0).json();
            assert_eq!(said["files"][0]["diagnostics"], json!([]), "{body}");
            checked += 1;
        } else {
            assert_eq!(head, "text", "{body}");
        }
    }
    assert_eq!(checked, 3);
}

/// Looks at a port and tells.
const LOOKS: &str = "name: look-at-port\nsteps:\n  - { name: Look, action: health_check, params: { tcp: \"127.0.0.1:PORT\" } }\n  - { name: Tell, action: notify, condition: steps.look.failed, params: { channel: ops, message: \"{{ service.name }} is down\" } }\n";

#[test]
fn a_runbook_is_a_workflow_wherever_one_is_taken() {
    let user = User::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    user.write("look.yaml", &LOOKS.replace("PORT", &port));
    let input = "service={\"name\":\"shop\"}";
    let run = [
        "run",
        "look.yaml",
        "--input",
        input,
        "--grant-requested",
        "--json",
    ];
    let well = user.nebula(&run).exits(0).json();
    assert_eq!(well["output"], json!({ "recovered": true, "failures": 0 }));
    drop(listener);
    let down = user.nebula(&run).exits(0).json();
    assert_eq!(down["output"], json!({ "recovered": false, "failures": 1 }));
    assert_eq!(
        down["events"][0]["payload"]["message"], "shop is down",
        "{down}"
    );
    let nobody = user
        .nebula(&["run", "look.yaml", "--grant-requested", "--json"])
        .exits(2);
    assert_eq!(nobody.error_code(), "INPUT_INVALID");

    for command in [["plan", "look.yaml"], ["validate", "look.yaml"]] {
        user.nebula(&command).exits(0);
    }
    user.nebula(&["workflows", "push", "look.yaml"]).exits(0);
    let shown = user
        .nebula(&["workflows", "pull", "look-at-port@draft"])
        .exits(0);
    assert!(shown.out.contains("health.check"), "{shown:?}");
    // What only the planner knows stands where the runbook says it.
    user.write("wrong.yaml", &LOOKS.replace("tcp:", "tpc:"));
    let own = user.nebula(&["validate", "wrong.yaml"]).exits(2).json();
    let own = &own["files"][0]["diagnostics"][0];
    assert_eq!(
        (&own["code"], &own["line"]),
        (&json!("RUNBOOK_UNKNOWN_FIELD"), &json!(3))
    );
    user.write(
        "wrong.yaml",
        &LOOKS.replace(
            "health_check, params: { tcp: \"127.0.0.1:PORT\" }",
            "http.requst, params: { url: \"http://a.example\" }",
        ),
    );
    let planned = user.nebula(&["validate", "wrong.yaml"]).exits(2).json();
    let planned = &planned["files"][0]["diagnostics"][0];
    assert_eq!(
        (&planned["code"], &planned["line"], &planned["pointer"]),
        (
            &json!("PLAN_UNKNOWN_ACTION"),
            &json!(3),
            &json!("/steps/0/action")
        )
    );
    // Nothing of a runbook is written over.
    let before = fs::read_to_string(user.work().join("look.yaml")).unwrap();
    let rename = ["workflows", "rename-node", "look.yaml", "look", "see"];
    let refused = user.nebula(&rename);
    assert_ne!(refused.code, Some(0));
    assert_eq!(
        fs::read_to_string(user.work().join("look.yaml")).unwrap(),
        before
    );
}

/// A runbook goes over HTTP as any definition does: what is wrong is told in its own text, and what is
/// right is saved, published, started, and does what it says.
#[test]
fn a_runbook_goes_over_http_and_what_is_wrong_is_told_in_its_own_lines() {
    let user = User::new();
    let server = Serving::start(&user);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let book = format!(
        "name: look-after\nsteps:\n  - {{ name: Say it, action: log, params: {{ level: warn, message: \"{{{{ service.name }}}} is ill\" }} }}\n  \
         - {{ name: Look, action: health_check, params: {{ tcp: \"{address}\" }} }}\n"
    );
    let put = |text: &str| {
        let headers = "content-type: application/yaml\r\nif-match: *\r\n";
        server.ask("PUT", "/api/v1/workflows/look-after", headers, text)
    };
    let (status, wrong) = put(&book.replace("level: warn", "level: loud"));
    assert_eq!(status, 422, "{wrong}");
    let told = wrong.to_string();
    assert!(told.contains("RUNBOOK") && told.contains("loud"), "{told}");
    let found = &wrong["diagnostics"][0];
    assert_eq!(found["line"], 3, "{wrong}");
    assert_eq!(
        server.ask("GET", "/api/v1/workflows/look-after", "", "").0,
        404
    );

    let (status, saved) = put(&book);
    assert_eq!(status, 201, "{saved}");
    let json = "content-type: application/json\r\nif-match: *\r\n";
    let version = format!("{{\"version\":{}}}", saved["version"]);
    let publish = "/api/v1/workflows/look-after/publish";
    let (status, published) = server.ask("POST", publish, json, &version);
    assert_eq!(status, 200, "{published}");
    let start = |service: &str| {
        let body = format!("{{\"workflow\":\"look-after\",\"input\":{{\"service\":{service}}}}}");
        let headers = "content-type: application/json\r\n";
        server.ask("POST", "/api/v1/executions?wait=20s", headers, &body)
    };
    let (status, refused) = start("{\"health\":\"ill\"}");
    assert_eq!(status, 422, "a service has a name: {refused}");
    let (status, ended) = start("{\"name\":\"ledger\"}");
    assert_eq!(
        (status, &ended["status"]),
        (200, &json!("completed")),
        "{ended}"
    );
    assert_eq!(ended["output"]["recovered"], true, "{ended}");
    let (_, listed) = server.ask("GET", "/api/v1/incidents", "", "");
    let incident = &listed["incidents"][0];
    assert_eq!(
        (&incident["key"], &incident["status"]),
        (&json!("look-after/ledger"), &json!("resolved"))
    );
    drop(free);
}
