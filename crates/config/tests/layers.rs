//! The layers as a preset uses them: what wins, where it comes from, what is refused.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use nebula_config::{Flag, Layers, MAX_FILE_BYTES, MAX_PROBLEMS};
use nebula_core::ByteSize;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    storage: Storage,
    worker: Worker,
    log: Log,
    hosts: Vec<String>,
    ports: Vec<u16>,
    per_workflow: BTreeMap<String, Worker>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    path: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Worker {
    concurrency: u16,
    #[serde(with = "nebula_core::serde_duration")]
    lease_ttl: Duration,
    inline_limit: ByteSize,
    share: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Log {
    Text,
    Json,
}

fn defaults() -> Settings {
    Settings {
        storage: Storage { path: None },
        worker: worker(4),
        log: Log::Text,
        hosts: vec!["localhost".to_owned()],
        ports: Vec::new(),
        per_workflow: BTreeMap::new(),
    }
}

fn worker(concurrency: u16) -> Worker {
    Worker {
        concurrency,
        lease_ttl: Duration::from_secs(10),
        inline_limit: ByteSize::kib(256),
        share: 0.5,
    }
}

/// The layers of one case; the file is `nebula.toml` in a folder of its own.
fn layers(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> (TempDir, Layers) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nebula.toml");
    fs::write(&path, file).unwrap();
    private(&path);
    let variables = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let layers = Layers::new(&defaults()).file(&path);
    let layers = layers.environment("NEBULA_", &["NEBULA_HOME"], variables);
    let layers = flags.iter().fold(layers, |layers, (key, value)| {
        let (name, value) = ("--flag", (*value).to_owned());
        layers.flag(Flag { name, key, value })
    });
    (folder, layers)
}

/// Takes the permission to write from everybody else, whatever the umask.
fn private(path: &std::path::Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn built(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Settings {
    layers(file, environment, flags).1.build().unwrap().0
}

/// Compares the problems, one a line, with the folder's name taken out.
fn check(file: &str, environment: &[(&str, &str)], expected: &str) {
    let (folder, layers) = layers(file, environment, &[]);
    let error = layers.build::<Settings>().unwrap_err().to_string();
    let folder = format!("{}/", folder.path().display());
    assert_eq!(error.replace(&folder, ""), expected);
}

#[test]
fn without_layers_the_defaults_stand() {
    assert_eq!(built("", &[], &[]), defaults());
}

#[test]
fn each_layer_wins_over_the_ones_below_value_by_value() {
    let file = "[worker]\nconcurrency = 1\nlease_ttl = '1s'\nshare = 1\n";
    let environment = [
        ("NEBULA_WORKER__CONCURRENCY", "2"),
        ("NEBULA_WORKER__INLINE_LIMIT", "1 KiB"),
    ];
    let settings = built(file, &environment, &[("worker.concurrency", "3")]);
    let expected = Worker {
        concurrency: 3,
        lease_ttl: Duration::from_secs(1),
        inline_limit: ByteSize::kib(1),
        share: 1.0,
    };
    assert_eq!(settings.worker, expected);
}

#[test]
fn every_value_knows_its_source() {
    let (folder, layers) = layers(
        "hosts = ['a']\n[worker]\nlease_ttl = '1s'\n",
        &[("NEBULA_STORAGE__PATH", "/x")],
        &[("worker.concurrency", "3")],
    );
    let (_, sources) = layers.build::<Settings>().unwrap();
    let folder = format!("{}/", folder.path().display());
    let shown: Vec<_> = sources
        .iter()
        .map(|(key, source)| format!("{key} {source}"))
        .collect();
    assert_eq!(
        shown.join("\n").replace(&folder, ""),
        "hosts nebula.toml:1:9\n\
         log default\n\
         ports default\n\
         storage.path environment variable NEBULA_STORAGE__PATH\n\
         worker.concurrency flag --flag\n\
         worker.inline_limit default\n\
         worker.lease_ttl nebula.toml:3:13\n\
         worker.share default"
    );
    assert_eq!(sources.of("worker"), None);
}

#[test]
fn text_takes_the_type_that_the_setting_wants() {
    let environment = [
        ("NEBULA_HOSTS", r#"["a", "b"]"#),
        ("NEBULA_PORTS", "[80, 443]"),
        ("NEBULA_LOG", "json"),
        ("NEBULA_WORKER__SHARE", "0.25"),
        ("NEBULA_STORAGE__PATH", "12"),
        ("NEBULA_PER_WORKFLOW__INTAKE__CONCURRENCY", "9"),
        ("NEBULA_HOME", "not a setting"),
        ("PATH", "not ours"),
    ];
    let file = "[per_workflow.intake]\nconcurrency = 1\nlease_ttl = '10s'\ninline_limit = '256 KiB'\nshare = 0.5\n";
    let settings = built(file, &environment, &[]);
    assert_eq!(settings.hosts, ["a", "b"]);
    assert_eq!(settings.ports, [80, 443]);
    assert_eq!(settings.log, Log::Json);
    assert_eq!(settings.storage.path, Some("12".into()));
    assert_eq!(settings.worker.share.to_bits(), 0.25_f64.to_bits());
    assert_eq!(settings.per_workflow["intake"], worker(9));
}

#[test]
fn an_unknown_key_is_a_problem_with_a_hint() {
    check(
        "[worker]\nconcurency = 1\n",
        &[],
        "nebula.toml:2:1: there is no setting `worker.concurency`; did you mean `worker.concurrency`?",
    );
    check(
        "",
        &[("NEBULA_WORKR__CONCURRENCY", "1")],
        "environment variable NEBULA_WORKR__CONCURRENCY: there is no setting `workr`; did you mean `worker`?",
    );
    check(
        "",
        &[("NEBULA_X", "1")],
        "environment variable NEBULA_X: there is no setting `x`",
    );
}

#[test]
fn a_wrong_value_is_named_by_its_kind_and_place() {
    check(
        "[worker]\nconcurrency = 'hunter2'\n",
        &[],
        "nebula.toml:2:15: `worker.concurrency`: expected u16, found text",
    );
    check(
        "worker = 3\n",
        &[],
        "nebula.toml:1:10: `worker`: expected struct Worker, found a whole number",
    );
    check(
        "",
        &[("NEBULA_WORKER__CONCURRENCY", "70000")],
        "environment variable NEBULA_WORKER__CONCURRENCY: `worker.concurrency`: expected u16, found integer `70000`",
    );
    check(
        "",
        &[("NEBULA_WORKER__CONCURRENCY", "hunter2")],
        "environment variable NEBULA_WORKER__CONCURRENCY: `worker.concurrency`: expected a whole number",
    );
    check(
        "",
        &[("NEBULA_HOSTS", "a,b")],
        r#"environment variable NEBULA_HOSTS: `hosts`: expected a list; write it with brackets, like ["a", "b"]"#,
    );
    check(
        "log = 'jsn'\n",
        &[],
        "nebula.toml:1:7: `log`: expected one of text, json; did you mean `json`?",
    );
    check(
        "ports = [1,\n  'x']\n",
        &[],
        "nebula.toml:2:3: `ports.1`: expected u16, found text",
    );
    check(
        "",
        &[("NEBULA_WORKER__LEASE_TTL__X", "1")],
        "environment variable NEBULA_WORKER__LEASE_TTL__X: `worker.lease_ttl`: expected a string, found a group of settings",
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    check(
        "colour = 1\n[worker]\nconcurrency = -1\nlease_ttl = '10'\n",
        &[("NEBULA_LOG", "xml")],
        "nebula.toml:1:1: there is no setting `colour`\n\
         environment variable NEBULA_LOG: `log`: expected one of text, json\n\
         nebula.toml:3:15: `worker.concurrency`: expected u16, found integer `-1`\n\
         nebula.toml:4:13: `worker.lease_ttl`: `10` is not a span of time; write numbers with w, d, h, m, s or ms, such as `1h30m` or `200ms`",
    );
    let many: String = (0..100)
        .map(|number| format!("key{number} = 1\n"))
        .collect();
    let error = layers(&many, &[], &[]).1.build::<Settings>().unwrap_err();
    assert_eq!(error.problems.len(), MAX_PROBLEMS);
}

#[test]
fn broken_toml_is_placed() {
    check(
        "[worker]\nconcurrency = \n",
        &[],
        "nebula.toml:2:15: string values must be quoted, expected literal string",
    );
}

#[test]
fn a_file_that_is_not_there_is_a_problem_only_where_it_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    assert!(
        Layers::new(&defaults())
            .optional_file(&path)
            .build::<Settings>()
            .is_ok()
    );
    let error = Layers::new(&defaults())
        .file(&path)
        .build::<Settings>()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("none.toml: cannot be read: entity not found")
    );
    let error = Layers::new(&defaults())
        .file(folder.path())
        .build::<Settings>()
        .unwrap_err();
    assert!(
        error.to_string().ends_with("it is not a regular file"),
        "{error}"
    );
}

#[test]
fn a_huge_file_is_refused() {
    let text = "#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1);
    check(&text, &[], "nebula.toml: is larger than 1048576 bytes");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nebula.toml");
    fs::write(&path, "").unwrap();
    for (mode, refused) in [(0o600, false), (0o644, false), (0o664, true), (0o602, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for layers in [
            Layers::new(&defaults()).file(&path),
            Layers::new(&defaults()).optional_file(&path),
        ] {
            let built = layers.build::<Settings>();
            assert_eq!(built.is_err(), refused, "{mode:o}");
            if let Err(error) = built {
                assert!(
                    error.to_string().contains("can be written by others"),
                    "{error}"
                );
            }
        }
    }
}
