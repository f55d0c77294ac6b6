//! The example that the README runs first, where its own input is missing.

use std::{fs, path::Path};

use serde_json::json;

use crate::support::User;

/// A user who has the package log's workflow and sample.
fn package_log() -> User {
    let user = User::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/package-log");
    for name in ["workflow.yaml", "sample.log"] {
        fs::copy(example.join(name), user.work().join(name)).unwrap();
    }
    fs::create_dir(user.work().join("out")).unwrap();
    user
}

#[test]
fn the_package_log_says_loudly_that_it_reports_on_the_sample() {
    let user = package_log();
    let missing = user.work().join("no-such.log");
    let missing = missing.to_str().unwrap();
    let input = format!("log={missing}");
    let run = [
        "run",
        "workflow.yaml",
        "--grant-requested",
        "--input",
        &input,
    ];
    let loud = format!(
        "THIS IS THE SAMPLE, not this machine: {missing} could not be read (FILE_NOT_FOUND)"
    );

    let said = user.nebula(&run).exits(0);
    let document = said.json();
    assert_eq!(document["nodes"]["read"][0]["status"], "failed");
    let output = &document["output"];
    assert_eq!(output["warning"], json!(loud));
    assert_eq!(output["from"], "sample.log");
    assert_eq!(
        (&output["lines"], &output["first_day"]),
        (&json!(26), &json!("2026-03-02"))
    );

    let report = fs::read_to_string(user.work().join("out/report.md")).unwrap();
    assert!(
        report.contains("**THIS IS THE SAMPLE, not this machine:**"),
        "{report}"
    );
    assert!(report.contains("| 2026-03-02 |"), "{report}");
    let sheet = fs::read_to_string(user.work().join("out/report.csv")).unwrap();
    let rows: Vec<&str> = sheet.lines().take(2).collect();
    assert_eq!(rows, ["day,action,entries", "2026-03-02,configure,3"]);
}
